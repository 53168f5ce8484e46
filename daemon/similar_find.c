/*
 * Similar names among many. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: rows are sorted by the folds of their columns, so that those of one fold are
 * neighbours; one of them stands for all. Then, for each column, the rest is sorted by the folds of
 * the other columns, and the words of that column are compared within each run: for markets these are
 * the markets of one district, for a lookup of one column it is everything.
 *
 * Failure mode: no memory.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/similar.h"
#include "lib/buffer.h"

struct folded {
	const struct similar_row *row;
	const char *folds; /* of its columns, each with its NUL */
	const char *words; /* the same, but with spaces and punctuation */
	uint32_t number;
	bool aside; /* another row of the same fold stands for it */
};

/* Which columns count for the order. */
struct order {
	unsigned n_columns;
	int without; /* -1: all */
};

static int compare(const void *x, const void *y, void *arg)
{
	const struct folded *a = x, *b = y;
	const struct order *order = arg;
	const char *p = a->folds, *q = b->folds;

	for (unsigned c = 0; c < order->n_columns; c++) {
		int r = (int)c == order->without ? 0 : strcmp(p, q);

		if (r != 0) {
			return r;
		}
		p += strlen(p) + 1;
		q += strlen(q) + 1;
	}
	return 0;
}

static int add(struct similar_list *list, const struct folded *a, const struct folded *b,
	unsigned n_columns)
{
	bool b_is_current = b->row->rank > a->row->rank ||
			    (b->row->rank == a->row->rank && b->number > a->number);
	enum similar similar = similar_rows(a->row->names, b->row->names, n_columns);
	struct similar_pair *pairs;

	if (similar == SIMILAR_NOT) {
		return 0;
	}
	if (list->n_pairs == list->size) {
		list->size = list->size ? list->size * 2 : 64;
		pairs = realloc(list->pairs, list->size * sizeof(*pairs));
		if (!pairs) {
			return -ENOMEM;
		}
		list->pairs = pairs;
	}
	list->pairs[list->n_pairs++] = (struct similar_pair){
		.old = b_is_current ? a->number : b->number,
		.current = b_is_current ? b->number : a->number,
		.similar = similar,
	};
	return 0;
}

struct search {
	struct folded *rows;
	uint32_t n_rows;
	unsigned n_columns;
	bool only_new;
	struct similar_list *list;
};

static bool is_wanted(const struct search *search, const struct folded *a, const struct folded *b)
{
	return !search->only_new || a->row->is_new != b->row->is_new;
}

/* Rows of one fold: the present one stands for all. With only_new that is one which is not new. */
static int pair_equals(struct search *search, uint32_t from, uint32_t to)
{
	struct folded *rows = search->rows, *lead = &rows[from];

	for (uint32_t i = from + 1; i < to; i++) {
		bool is_older = search->only_new && rows[i].row->is_new != lead->row->is_new
					? rows[i].row->is_new
					: rows[i].row->rank < lead->row->rank;

		lead = is_older ? lead : &rows[i];
	}
	for (uint32_t i = from; i < to; i++) {
		rows[i].aside = &rows[i] != lead;
		if (rows[i].aside && is_wanted(search, &rows[i], lead) &&
			add(search->list, &rows[i], lead, search->n_columns) < 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

static const char *nth(const char *texts, int n)
{
	for (; n > 0; n--) {
		texts += strlen(texts) + 1;
	}
	return texts;
}

/* Rows that are equal but for one column. */
static int pair_misspelt(struct search *search, uint32_t from, uint32_t to, int column)
{
	struct folded *rows = search->rows;

	for (uint32_t i = from; i < to; i++) {
		const char *words = nth(rows[i].words, column);

		for (uint32_t j = i + 1; j < to && !rows[i].aside; j++) {
			if (!rows[j].aside && is_wanted(search, &rows[i], &rows[j]) &&
				similar_words(words, nth(rows[j].words, column)) &&
				add(search->list, &rows[i], &rows[j], search->n_columns) < 0) {
				return -ENOMEM;
			}
		}
	}
	return 0;
}

/* Each run of rows that are equal but for the column `without`. */
static int pair_runs(struct search *search, int without)
{
	struct order order = {.n_columns = search->n_columns, .without = without};
	uint32_t from = 0;
	int r = 0;

	qsort_r(search->rows, search->n_rows, sizeof(*search->rows), compare, &order);
	for (uint32_t to = 1; to <= search->n_rows && r == 0; to++) {
		if (to < search->n_rows &&
			compare(&search->rows[from], &search->rows[to], &order) == 0) {
			continue;
		}
		r = without < 0 ? pair_equals(search, from, to) : pair_misspelt(search, from, to, without);
		from = to;
	}
	return r;
}

/* The columns of each row in one buffer, folded; row `i` begins at at[i]. */
static int fold_all(const struct search *search, const struct similar_row *rows, enum similar step,
	struct buffer *out, size_t *at)
{
	_cleanup_buffer_ struct buffer one = {0};

	for (uint32_t i = 0; i < search->n_rows; i++) {
		at[i] = out->len;
		for (unsigned c = 0; c < search->n_columns; c++) {
			similar_fold(rows[i].names[c], step, &one);
			buffer_append(out, buffer_str(&one), strlen(buffer_str(&one)) + 1);
		}
	}
	return buffer_failed(out) || buffer_failed(&one) ? -ENOMEM : 0;
}

static int fold_rows(const struct similar_row *rows, struct search *search, struct buffer *folds,
	struct buffer *words)
{
	_cleanup_free_ size_t *at = calloc(2 * (size_t)search->n_rows, sizeof(*at));

	if (!at || fold_all(search, rows, SIMILAR_KNOWN, folds, at) < 0 ||
		fold_all(search, rows, SIMILAR_CASE, words, at + search->n_rows) < 0) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < search->n_rows; i++) {
		search->rows[i] = (struct folded){
			.row = &rows[i],
			.folds = folds->data + at[i],
			.words = words->data + at[search->n_rows + i],
			.number = i,
		};
	}
	return 0;
}

int similar_find(const struct similar_row *rows, uint32_t n_rows, unsigned n_columns, bool only_new,
	struct similar_list *ret)
{
	_cleanup_buffer_ struct buffer folds = {0}, words = {0};
	_cleanup_free_ struct folded *folded = calloc(n_rows + 1, sizeof(*folded));
	struct search search = {
		.rows = folded,
		.n_rows = n_rows,
		.n_columns = n_columns,
		.only_new = only_new,
		.list = ret,
	};
	int r;

	*ret = (struct similar_list){0};
	if (!folded || n_rows == 0) {
		return folded ? 0 : -ENOMEM;
	}
	r = fold_rows(rows, &search, &folds, &words);
	for (int without = -1; r == 0 && without < (int)n_columns; without++) {
		r = pair_runs(&search, without);
	}
	if (r < 0) {
		similar_list_fini(ret);
	}
	return r;
}

void similar_list_fini(struct similar_list *list)
{
	free(list->pairs);
	*list = (struct similar_list){0};
}
