/*
 * Which records came, and how often. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: page after page in one direction, each with rows not seen before, `total` the same
 * throughout; with the last row M = T, and the slice is proven in its first pass.
 *
 * Why M = T proves it: let all answers be cut from one snapshot with T rows. An answer has no row
 * twice, so it has of an identity at most as many copies as the snapshot, and M, summed up, is at
 * most T. It is T only when of every identity some answer had all copies. Two different rows that
 * share an identity (a key with two values, or a collision of hashes) make M smaller, never greater.
 *
 * When the pages overlap (`sort` was ignored), or copies of one row lie on two pages, a pass ends
 * with M < T; the next one goes the other way, and what was seen is kept.
 *
 * When the snapshot changed in between, earlier answers prove nothing about the new one, and M starts
 * again from 0:
 *	`total` grew, or only `updated` changed: rows came; page on, the next pass sees the others
 *	`total` fell, or M > T: rows are gone; start afresh, or, after `restarts` of these, page on
 *
 * An empty answer where rows are due may be the portal's hiccup: it is asked again, and only when it
 * stays empty the pass is over. Its total is read like any other, but for 0 where there were rows: that
 * is not believed before it was asked again, too. Only an empty first answer with total 0 is believed
 * at once, because nothing follows from it but that somebody looks again another day.
 *
 * All memory is taken in proof_add(), so that the end of an answer cannot fail.
 */

#include "daemon/identity.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "lib/buffer.h"
#include "lib/idset.h"
#include "lib/tally.h"

enum {
	COUNTED = IDSET_MARK_1,  /* it is part of M */
	RECEIVED = IDSET_MARK_2, /* some answer since the last restart had it */
	ANSWERED = IDSET_MARK_3, /* the present answer has it */
	SCALE_AT = 6,            /* in numeric's send format: two bytes that say how a value is shown */
};

/* ---- identities ---- */

/*
 * The key's values are gathered, each behind its length, and hashed at once; only what is longer than
 * `bytes` is hashed piece by piece.
 */
struct gathering {
	uint64_t hash;
	size_t n;
	char bytes[512];
};

static void gather(struct gathering *g, const void *data, size_t len)
{
	if (len > sizeof(g->bytes) - g->n) {
		g->hash = XXH3_64bits_withSeed(g->bytes, g->n, g->hash);
		g->n = 0;
	}
	if (len > sizeof(g->bytes)) {
		g->hash = XXH3_64bits_withSeed(data, len, g->hash);
		return;
	}
	memcpy(g->bytes + g->n, data, len);
	g->n += len;
}

static void gather_field(struct gathering *g, enum column_type type, struct field field)
{
	const char *data = field.data;

	gather(g, &field.len, sizeof(field.len));
	if (field.len > 0 && type == COLUMN_NUMERIC && field.len >= SCALE_AT + 2) {
		gather(g, data, SCALE_AT);
		gather(g, data + SCALE_AT + 2, (size_t)field.len - SCALE_AT - 2);
	} else if (field.len > 0) {
		gather(g, data, (size_t)field.len);
	}
}

uint64_t identity_of_row(const struct dataset *dataset, const struct field *row)
{
	struct gathering g;

	g.hash = g.n = 0; /* and not the 512 bytes */
	for (unsigned i = 0; i < dataset->n_key; i++) {
		const struct fact_column *fact = &dataset->fact[i];
		const struct lookup_def *lookup;

		if (fact->lookup < 0) {
			gather_field(&g, fact->type, row[fact->column]);
			continue;
		}
		lookup = &dataset->lookups[fact->lookup];
		for (unsigned j = 0; j < lookup->n_columns; j++) {
			unsigned column = lookup->columns[j];

			gather_field(&g, dataset->columns[column].type, row[column]);
		}
	}
	return XXH3_64bits_withSeed(g.bytes, g.n, g.hash);
}

uint64_t identity_of_raw(const void *raw, size_t len)
{
	return XXH3_64bits(raw, len);
}

/* ---- the proof ---- */

struct proof {
	struct proof_options options;
	struct idset seen;    /* identities since the last restart */
	struct tally repeats; /* of those with copies in one answer: the most copies less one */
	uint64_t n_matched;   /* M */
	uint64_t n_distinct;

	/* What the present snapshot looks like. */
	bool has_snapshot; /* rows came since the last restart */
	int64_t total;     /* T; without snapshot what an empty answer said, or -1 */
	int64_t updated;

	uint64_t offset;
	unsigned pass;
	bool reversed;
	unsigned n_restarts;
	unsigned n_empty; /* in a row */

	/* The present answer. */
	struct buffer answer; /* its identities, each once */
	struct tally copies;  /* of those that it repeats: how often more */
	uint64_t n_rows;
};

int proof_new(const struct proof_options *options, struct proof **ret)
{
	struct proof *p = calloc(1, sizeof(*p));

	if (!p) {
		return -ENOMEM;
	}
	p->options = *options;
	p->total = -1;
	p->pass = 1;
	*ret = p;
	return 0;
}

struct proof *proof_free(struct proof *p)
{
	if (!p) {
		return NULL;
	}
	idset_fini(&p->seen);
	tally_fini(&p->repeats);
	tally_fini(&p->copies);
	buffer_fini(&p->answer);
	free(p);
	return NULL;
}

void proof_begin_answer(struct proof *p)
{
	buffer_clear(&p->answer);
	tally_clear(&p->copies);
	p->n_rows = 0;
}

static uint64_t answered(const struct proof *p, size_t i)
{
	uint64_t identity;

	memcpy(&identity, p->answer.data + i * sizeof(identity), sizeof(identity));
	return identity;
}

static size_t n_answered(const struct proof *p)
{
	return p->answer.len / sizeof(uint64_t);
}

void proof_abort_answer(struct proof *p)
{
	for (size_t i = 0; i < n_answered(p); i++) {
		idset_mark(&p->seen, answered(p, i), 0, ANSWERED);
	}
	proof_begin_answer(p);
}

/* A second copy in this answer. */
static int add_copy(struct proof *p, uint64_t identity)
{
	uint32_t *copies = tally_count(&p->copies, identity);

	if (!copies || !tally_count(&p->repeats, identity)) {
		return -ENOMEM;
	}
	++*copies;
	return 0;
}

int proof_add(struct proof *p, uint64_t identity)
{
	int had;

	if (!buffer_reserve(&p->answer, sizeof(identity))) {
		return -ENOMEM;
	}
	had = idset_add(&p->seen, identity, ANSWERED);
	if (had < 0 || (had & ANSWERED && add_copy(p, identity) < 0)) {
		return -ENOMEM;
	}
	if (!(had & ANSWERED)) {
		buffer_append(&p->answer, &identity, sizeof(identity));
	}
	p->n_rows++;
	return 0;
}

/* What was seen so far proves nothing about the answers from here on. */
static void forget_matches(struct proof *p)
{
	idset_unmark(&p->seen, COUNTED);
	tally_clear(&p->repeats);
	p->n_matched = 0;
}

static enum proof_step restart(struct proof *p)
{
	idset_clear(&p->seen);
	tally_clear(&p->repeats);
	p->n_matched = p->n_distinct = p->offset = 0;
	p->has_snapshot = false;
	p->total = -1;
	p->updated = 0;
	p->pass = 1;
	p->reversed = false;
	p->n_restarts++;
	return PROOF_RESTART;
}

void proof_reset(struct proof *p)
{
	(void)restart(p);
	p->n_restarts = p->n_empty = 0;
}

static bool may_restart(const struct proof *p)
{
	return p->n_restarts < p->options.restarts;
}

static enum proof_step end_pass(struct proof *p)
{
	if (p->pass >= p->options.passes) {
		return PROOF_SHORT;
	}
	p->pass++;
	p->reversed = !p->reversed;
	p->offset = 0;
	return PROOF_NEXT_PASS;
}

/* Whether an empty answer may be asked again; if not, count from 0 when the next one comes. */
static bool may_ask_again(struct proof *p)
{
	if (++p->n_empty <= p->options.empty_tries) {
		return true;
	}
	p->n_empty = 0;
	return false;
}

/* No rows, and total 0 or nothing to compare it with. */
static enum proof_step end_void_answer(struct proof *p, int64_t total)
{
	bool first = p->total < 0 && p->n_restarts == 0;

	if (!p->has_snapshot) {
		p->total = total;
	}
	if (!(first && total == 0) && may_ask_again(p)) {
		return PROOF_EMPTY;
	}
	if (p->has_snapshot && may_restart(p)) {
		return restart(p);
	}
	return !p->has_snapshot && total == 0 ? PROOF_NOTHING : end_pass(p);
}

static bool is_same_snapshot(const struct proof *p, int64_t total, int64_t updated)
{
	bool touched = updated != 0 && p->updated != 0 && updated != p->updated;

	return p->has_snapshot && total == p->total && !touched;
}

/* Raise what is known of each identity to what this answer had. */
static void count_answer(struct proof *p)
{
	const struct tally_entry *entry;
	size_t cursor = 0;

	for (size_t i = 0; i < n_answered(p); i++) {
		unsigned had = idset_mark(&p->seen, answered(p, i), COUNTED | RECEIVED, ANSWERED);

		p->n_matched += !(had & COUNTED);
		p->n_distinct += !(had & RECEIVED);
	}
	while ((entry = tally_next(&p->copies, &cursor))) {
		uint32_t *most = tally_count(&p->repeats, entry->hash);

		assert(most); /* proof_add() made room */
		if (entry->count > *most) {
			p->n_matched += entry->count - *most;
			*most = entry->count;
		}
	}
}

/* M changed: proven, or more than there can be, or on with it. */
static enum proof_step decide(struct proof *p)
{
	uint64_t total = (uint64_t)p->total;

	if (p->n_matched == total) {
		return PROOF_PROVEN;
	}
	if (p->n_matched > total) {
		if (may_restart(p)) {
			return restart(p);
		}
		forget_matches(p);
	}
	return p->offset < total ? PROOF_PAGE : end_pass(p);
}

enum proof_step proof_end_answer(struct proof *p, int64_t total, int64_t updated)
{
	bool empty = p->n_rows == 0;

	assert(total >= 0);
	if (empty && (total == 0 || !p->has_snapshot)) {
		return end_void_answer(p, total);
	}
	if (p->has_snapshot && total < p->total && may_restart(p)) {
		return restart(p);
	}
	if (!is_same_snapshot(p, total, updated)) {
		forget_matches(p);
	}
	p->has_snapshot = true;
	p->total = total;
	p->updated = updated != 0 ? updated : p->updated;
	if (empty) {
		return p->offset < (uint64_t)total && may_ask_again(p) ? PROOF_EMPTY : end_pass(p);
	}
	p->n_empty = 0;
	count_answer(p);
	p->offset += p->n_rows;
	return decide(p);
}

uint64_t proof_offset(const struct proof *p)
{
	return p->offset;
}

bool proof_reversed(const struct proof *p)
{
	return p->reversed;
}

unsigned proof_pass(const struct proof *p)
{
	return p->pass;
}

uint64_t proof_matched(const struct proof *p)
{
	return p->n_matched;
}

uint64_t proof_distinct(const struct proof *p)
{
	return p->n_distinct;
}

int64_t proof_total(const struct proof *p)
{
	return p->total;
}

size_t proof_memory_bytes(const struct proof *p)
{
	return sizeof(*p) + idset_memory_bytes(&p->seen) + tally_memory_bytes(&p->repeats) +
	       tally_memory_bytes(&p->copies) + p->answer.size;
}
