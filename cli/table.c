/*
 * Columns for people. SPDX-License-Identifier: Apache-2.0
 */

#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

enum { MAX_COLUMNS = 32, CELL_BYTES = 512 };

/* Code points: what is not the continuation of a UTF-8 sequence. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		n += ((unsigned char)*text & 0xc0) != 0x80;
	}
	return n;
}

static char tame(char c)
{
	return (unsigned char)c < ' ' || c == 127 ? '?' : c;
}

void table_add(struct table *table, const char *text)
{
	for (text = text && *text ? text : "-"; *text; text++) {
		buffer_append_char(&table->cells, tame(*text));
	}
	buffer_append_char(&table->cells, '\0');
	table->n_cells++;
}

void table_addf(struct table *table, const char *format, ...)
{
	char text[CELL_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	table_add(table, text);
}

/* The last column is not filled up, so that no line ends in spaces. */
static void print_cell(const struct table *table, unsigned column, const char *text, size_t width,
	FILE *out)
{
	int fill = (int)(width - width_of(text));
	bool last = column + 1 == table->n_columns;

	if (table->columns[column].right) {
		fprintf(out, "%*s%s", fill, "", text);
	} else {
		fprintf(out, "%s%*s", text, last ? 0 : fill, "");
	}
	fputs(last ? "\n" : "  ", out);
}

int table_print(const struct table *table, FILE *out)
{
	size_t widths[MAX_COLUMNS];
	const char *cell = table->cells.data;

	assert(table->n_columns <= MAX_COLUMNS && table->n_cells % table->n_columns == 0);
	if (buffer_failed(&table->cells)) {
		return -1;
	}
	if (table->n_cells == 0) {
		return 0;
	}
	for (unsigned c = 0; c < table->n_columns; c++) {
		widths[c] = width_of(table->columns[c].name);
	}
	for (unsigned i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
		size_t *width = &widths[i % table->n_columns], wanted = width_of(cell);

		*width = wanted > *width ? wanted : *width;
	}
	for (unsigned c = 0; c < table->n_columns; c++) {
		print_cell(table, c, table->columns[c].name, widths[c], out);
	}
	cell = table->cells.data;
	for (unsigned i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
		print_cell(table, i % table->n_columns, cell, widths[i % table->n_columns], out);
	}
	return 0;
}

void table_fini(struct table *table)
{
	buffer_fini(&table->cells);
}
