#pragma once

/*
 * Which names probably mean the same thing. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * The portal renames: markets got the suffix " APMC", "Papaya (Raw)" lost its blank, Kerala became
 * Keralam. Facts keep what was served; this finds pairs for people to look at, and joins nothing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/copyrow.h"

/* How much had to be overlooked to make two names equal; from little to much. */
enum similar {
	SIMILAR_EQUAL,
	SIMILAR_CASE,        /* kutki, Kutki */
	SIMILAR_SPACE,       /* Papaya (Raw), Papaya(Raw); TamilNadu; Andhra_Pradesh */
	SIMILAR_PUNCTUATION, /* Grain Market , Sonipat; Grain Market-Sonipat */
	SIMILAR_APMC,        /* Aluva, Aluva APMC, APMC ALUVA */
	SIMILAR_KNOWN,       /* Uttrakhand, Uttarakhand: a table has it */
	SIMILAR_SPELLING,    /* one longer word differs by a letter or two */
	SIMILAR_NOT,
};

const char *similar_name(enum similar similar);

/* Of two texts, and of two rows of names: no more than one of which may differ by its spelling. */
enum similar similar_text(struct field a, struct field b);
enum similar similar_rows(const struct field *a, const struct field *b, unsigned n_columns);

/* What is left of a name when so much is overlooked, up to SIMILAR_KNOWN; never nothing. */
void similar_fold(struct field name, enum similar step, struct buffer *out);

/* SIMILAR_SPELLING of two names that are folded for SIMILAR_CASE. */
bool similar_words(const char *a, const char *b);

struct similar_row {
	const struct field *names; /* as many as there are columns; borrowed */
	int64_t rank;              /* of two names the one with the greater rank is the present one */
	bool is_new;
};

struct similar_pair {
	uint32_t old, current; /* rows */
	enum similar similar;
};

struct similar_list {
	struct similar_pair *pairs;
	size_t n_pairs, size;
};

/*
 * The pairs among the rows. Of several that are equal but for small things each is paired with the
 * present one. With `only_new` those of a row that is new and one that is not. 0 or -ENOMEM.
 */
int similar_find(const struct similar_row *rows, uint32_t n_rows, unsigned n_columns, bool only_new,
	struct similar_list *ret) must_check;
void similar_list_fini(struct similar_list *list);
