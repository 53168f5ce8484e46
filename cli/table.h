#pragma once

/*
 * Columns for people: as wide as their widest cell. SPDX-License-Identifier: Apache-2.0
 *
 * Cells come row by row, table_print() writes them all. Bytes that would steer a terminal become
 * '?', for what a portal served may stand in a cell. {0} with its columns set is an empty table;
 * table_fini() in any case.
 */

#include <stdio.h>

#include "lib/buffer.h"

struct table_column {
	const char *name; /* "ROWS"; borrowed */
	bool right;	  /* numbers */
};

struct table {
	const struct table_column *columns;
	unsigned n_columns;
	unsigned n_cells;
	struct buffer cells; /* each with its NUL */
};

/* The next cell; NULL and "" are shown as "-". */
void table_add(struct table *table, const char *text);
void table_addf(struct table *table, const char *format, ...) printf_like(2, 3);

/* Heads and rows; nothing when there is no row. Returns -1 when memory was short. */
int table_print(const struct table *table, FILE *out) must_check;
void table_fini(struct table *table);
