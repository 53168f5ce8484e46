/*
 * Rows of names: a line each, columns with tabs between; an empty one is NULL.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include "daemon/similar.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_ROWS = 24, COLUMNS = 2 };

struct rows {
	struct field names[MAX_ROWS][COLUMNS];
	struct similar_row rows[MAX_ROWS];
	uint32_t n;
};

/* The next column or line: up to `end` of it, which is skipped. */
static struct field take(const uint8_t **at, const uint8_t *end, char separator)
{
	const uint8_t *begin = *at, *stop = begin;

	while (stop < end && *stop != (uint8_t)separator && *stop != '\n') {
		stop++;
	}
	*at = stop < end && *stop == (uint8_t)separator ? stop + 1 : stop;
	return (struct field){.len = stop > begin ? (int32_t)(stop - begin) : -1, .data = begin};
}

static void split(const uint8_t *data, size_t size, struct rows *rows)
{
	const uint8_t *end = data + size;

	for (rows->n = 0; data < end && rows->n < MAX_ROWS; rows->n++) {
		struct field *names = rows->names[rows->n];

		names[0] = take(&data, end, '\t');
		names[1] = take(&data, end, '\n');
		rows->rows[rows->n] = (struct similar_row){
			.names = names,
			.rank = names[0].len % 3,
			.is_new = names[1].len % 2 == 1,
		};
	}
}

static void check_pairs(const struct rows *rows, bool only_new, uint32_t *group)
{
	struct similar_list found;

	must(similar_find(rows->rows, rows->n, COLUMNS, only_new, &found) == 0);
	for (uint32_t i = 0; i < rows->n; i++) {
		group[i] = i;
	}
	for (size_t p = 0; p < found.n_pairs; p++) {
		const struct similar_pair *pair = &found.pairs[p];
		uint32_t from, to;

		must(pair->old < rows->n && pair->current < rows->n && pair->old != pair->current);
		must(pair->similar != SIMILAR_NOT);
		must(pair->similar == similar_rows(rows->names[pair->old],
					      rows->names[pair->current], COLUMNS));
		must(rows->rows[pair->old].rank <= rows->rows[pair->current].rank);
		must(!only_new || rows->rows[pair->old].is_new != rows->rows[pair->current].is_new);
		from = group[pair->old];
		to = group[pair->current];
		for (uint32_t i = 0; i < rows->n; i++) {
			group[i] = group[i] == from ? to : group[i];
		}
	}
	similar_list_fini(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rows rows;
	uint32_t group[MAX_ROWS];

	if (size > 0 && memchr(data, '\0', size)) {
		return 0; /* the database has no such text */
	}
	split(data, size, &rows);
	check_pairs(&rows, true, group);
	check_pairs(&rows, false, group);
	for (uint32_t i = 0; i < rows.n; i++) {
		must(similar_rows(rows.names[i], rows.names[i], COLUMNS) == SIMILAR_EQUAL);
		for (uint32_t j = 0; j < i; j++) {
			enum similar similar = similar_rows(rows.names[i], rows.names[j], COLUMNS);

			must(similar == similar_rows(rows.names[j], rows.names[i], COLUMNS));
			/* Names of one fold hang together, be it by way of others. */
			must(similar >= SIMILAR_SPELLING || group[i] == group[j]);
		}
	}
	return 0;
}
