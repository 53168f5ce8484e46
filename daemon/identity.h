#pragma once

/*
 * Which records came, and how often: the proof that a slice is complete. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every record has an identity: the hash of its normalised key, or of its raw bytes when it was
 * rejected. One answer never repeats a row by itself, only paging does. So
 *	M = sum over identities of the most copies seen inside any ONE answer
 *	T = `total` of the answer that carried the last rows
 * and M = T proves that every row of the snapshot was received (DESIGN section 3, Proof), as long as
 * all these answers were cut from one snapshot. Therefore M is taken over the answers since `total`
 * or `updated` last changed, and over no others: yesterday's first two pages and today's rest make up
 * today's total too. The records of earlier answers are kept, they only prove nothing any more.
 * What cannot be seen is a snapshot that is replaced by another of equal `total` while the portal
 * says no `updated`, or the same.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "lib/attr.h"
#include "lib/copyrow.h"

/* Hash of the key columns of a normalised row (lookups: all their columns), or of raw bytes. */
uint64_t identity_of_row(const struct dataset *dataset, const struct field *row);
uint64_t identity_of_raw(const void *raw, size_t len);

struct proof;

struct proof_options {
	unsigned passes;       /* most passes over the slice, alternating the sort direction */
	unsigned restarts;     /* most fresh starts after the snapshot was replaced: 2 */
	unsigned empty_tries;  /* how often an empty answer is asked again, in a row: 5 (PORTAL 4.2) */
};

/* What fetch shall do next. */
enum proof_step {
	PROOF_PAGE,       /* ask for proof_offset() in the present direction */
	PROOF_EMPTY,      /* an empty page where rows were due: ask the same again after a pause */
	PROOF_NEXT_PASS,  /* offset 0, direction reversed; identities are kept */
	PROOF_RESTART,    /* the snapshot was replaced: drop the pages, offset 0, first pass */
	PROOF_PROVEN,     /* M = T */
	PROOF_NOTHING,    /* proven empty answer: total 0 */
	PROOF_SHORT,      /* passes are used up and M < T: split, or load as partial */
};

int proof_new(const struct proof_options *options, struct proof **ret) must_check; /* -errno */
struct proof *proof_free(struct proof *proof);

/*
 * One answer: begin, each record's identity, then what its envelope says (total >= 0; updated 0:
 * unknown) and what follows from that. After PROVEN, NOTHING and SHORT there are no more answers.
 */
void proof_begin_answer(struct proof *proof);
int proof_add(struct proof *proof, uint64_t identity) must_check; /* 0 or -ENOMEM: abort it */
enum proof_step proof_end_answer(struct proof *proof, int64_t total, int64_t updated);
/* The answer was cut or failed: nothing of it counts. */
void proof_abort_answer(struct proof *proof);

/* As if nothing had come. Not between begin and end of an answer. */
void proof_reset(struct proof *proof);

uint64_t proof_offset(const struct proof *proof);   /* rows received in this pass */
bool proof_reversed(const struct proof *proof);     /* this pass sorts descending */
unsigned proof_pass(const struct proof *proof);     /* 1-based */
uint64_t proof_matched(const struct proof *proof);  /* M */
uint64_t proof_distinct(const struct proof *proof); /* identities since the last restart */
int64_t proof_total(const struct proof *proof);     /* T, -1 before the first answer */
size_t proof_memory_bytes(const struct proof *proof);
