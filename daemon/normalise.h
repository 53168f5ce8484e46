#pragma once

/*
 * Record -> row: names, dates, numbers, NULLs, or a reason why not. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row is one field per column of the dataset, in PostgreSQL's binary send format (lib/copyrow.h).
 * Never an invented value: what cannot be read exactly is rejected with a reason, and its raw bytes
 * go to quarantine. Rules: ogdsync-datasets(5).
 *
 * Of the names of a column the first one that the record has counts, be its value null; of a name that
 * the record repeats the last value counts, as in PostgreSQL's jsonb.
 */

#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/date.h"
#include "daemon/decode.h"
#include "lib/arena.h"
#include "lib/copyrow.h"

enum reject_reason {
	REJECT_NONE,
	REJECT_MISSING,     /* field absent or NULL where the column is not nullable */
	REJECT_BAD_NUMBER,   /* also one with a fraction where an integer was due */
	REJECT_NUMBER_TOO_LONG,
	REJECT_OUT_OF_RANGE, /* min, max; or beyond bigint */
	REJECT_BAD_DATE,
	REJECT_BAD_TEXT,    /* invalid UTF-8, half a surrogate pair, or a NUL */
	REJECT_BAD_TYPE,    /* true, false, an object or array where a value was due */
	REJECT_CONFLICT,    /* same key, other values, in one slice (set by load) */
};

struct reject {
	enum reject_reason reason;
	unsigned column;    /* of the dataset */
	char text[160];     /* for people, UTF-8: what was served, what was due */
};

const char *reject_reason_name(enum reject_reason reason); /* "bad_number"; stable, stored */

struct normaliser;

/* Compiled from a source's fields; the source is borrowed. -errno. */
int normaliser_new(const struct source *source, struct normaliser **ret) must_check;
struct normaliser *normaliser_free(struct normaliser *normaliser);

/* Forget which columns were seen: a new page begins. */
void normaliser_begin_page(struct normaliser *normaliser);

/*
 * Fill row[0 .. n_columns), bytes in `arena`. Returns 0, 1 when the record is rejected (`reject`
 * says why; row is undefined), -ENOMEM.
 */
int normalise(struct normaliser *normaliser, const struct record *record, struct arena *arena,
	struct field *row, struct reject *reject) must_check;

/*
 * A column that is not nullable (or part of the key) and that no record of this page carried under
 * any of its names, though there were records: schema drift. -1 when there is none.
 */
int normaliser_drift(const struct normaliser *normaliser);

/* The text rules alone, for filters and tests: trim, fold white space. Returns the new length. */
size_t normalise_text(const char *text, size_t len, char *out);
