/*
 * Names that a load brought and that look like older ones. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: a load brought no new name, and there is nothing to do. Else each new name is
 * compared with those that were known before (similar.h). Where nothing was known everything is new,
 * and nothing is said.
 *
 * It only tells people, so whatever fails here is passed over.
 */

#include "daemon/rename.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All names of a lookup, for the comparison. */
struct names {
	struct field *fields; /* n_columns for each row */
	struct similar_row *rows;
	uint32_t *slots;
	uint32_t n;
	unsigned n_columns, n_new;
};

static void names_fini(struct names *names)
{
	free(names->fields);
	free(names->rows);
	free(names->slots);
}

static int collect(const struct lookup_set *set, unsigned l, struct names *names)
{
	uint32_t n_slots = lookup_count(set, l);

	names->fields = calloc((size_t)n_slots * names->n_columns, sizeof(*names->fields));
	names->rows = calloc(n_slots, sizeof(*names->rows));
	names->slots = calloc(n_slots, sizeof(*names->slots));
	if (!names->fields || !names->rows || !names->slots) {
		return -1;
	}
	for (uint32_t slot = 0; slot < n_slots; slot++) {
		struct field *fields = names->fields + (size_t)names->n * names->n_columns;
		bool is_new = lookup_is_new(set, l, slot);

		if (lookup_id(set, l, slot) == 0) {
			continue;
		}
		lookup_names(set, l, slot, fields);
		names->slots[names->n] = slot;
		names->rows[names->n++] =
			(struct similar_row){.names = fields, .rank = is_new, .is_new = is_new};
		names->n_new += is_new;
	}
	return 0;
}

static void join_texts(const struct field *fields, unsigned n, char *out)
{
	size_t at = 0;

	out[0] = '\0';
	for (unsigned c = 0; c < n && at < RENAME_TEXT_BYTES; c++) {
		int len = snprintf(out + at, RENAME_TEXT_BYTES - at, "%s%.*s", c ? " / " : "",
			fields[c].len > 0 ? fields[c].len : 0, (const char *)fields[c].data);

		at += len > 0 ? (size_t)len : 0;
	}
}

static int by_similar(const void *a, const void *b)
{
	const struct similar_pair *x = a, *y = b;

	return x->similar != y->similar ? (x->similar < y->similar ? -1 : 1)
					: (x->current > y->current) - (x->current < y->current);
}

static void take(struct renames *renames, const struct lookup_set *set, unsigned l,
	const struct lookup_def *lookup, const struct names *names, const struct similar_pair *pair)
{
	struct rename *rename = &renames->list[renames->n_list];

	renames->n++;
	if (renames->n_list == RENAMES_SHOWN) {
		return;
	}
	renames->n_list++;
	rename->lookup = lookup->name;
	rename->similar = pair->similar;
	rename->id = lookup_id(set, l, names->slots[pair->current]);
	rename->known_id = lookup_id(set, l, names->slots[pair->old]);
	join_texts(names->rows[pair->current].names, names->n_columns, rename->name);
	join_texts(names->rows[pair->old].names, names->n_columns, rename->known);
}

static void find_in(struct renames *renames, const struct dataset *dataset,
	const struct lookup_set *set, unsigned l)
{
	_cleanup_(names_fini) struct names names = {.n_columns = dataset->lookups[l].n_columns};
	struct similar_list found = {0};

	if (!lookup_has_new(set, l) || collect(set, l, &names) < 0 || names.n_new == names.n ||
		similar_find(names.rows, names.n, names.n_columns, true, &found) < 0) {
		return;
	}
	if (found.n_pairs > 0) {
		qsort(found.pairs, found.n_pairs, sizeof(*found.pairs), by_similar);
	}
	for (size_t i = 0; i < found.n_pairs; i++) {
		take(renames, set, l, &dataset->lookups[l], &names, &found.pairs[i]);
	}
	similar_list_fini(&found);
}

struct renames *rename_find(const struct dataset *dataset, const struct lookup_set *set)
{
	struct renames *renames = calloc(1, sizeof(*renames));

	for (unsigned l = 0; renames && l < dataset->n_lookups; l++) {
		find_in(renames, dataset, set, l);
	}
	if (renames && renames->n == 0) {
		free(renames);
		return NULL;
	}
	return renames;
}
