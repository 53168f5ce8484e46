/*
 * The columns of a dataset, its date, and its lookups. SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include "daemon/config_private.h"

enum {
	MAX_NAME_BYTES = 63,
	MAX_LOOKUP_BYTES = MAX_NAME_BYTES - 8, /* with _current behind it */
	MAX_COLUMNS = 250,		       /* decode reads 256 fields of a record */
};

/* ---- columns ---- */

static void read_limit(struct option_reader *reader, const struct yaml_node *node,
	struct decimal *ret, bool *ret_has)
{
	const struct option_def def = {.name = yaml_text(node->key), .type = OPTION_TEXT};
	char *text = option_text(reader, &def, node, NULL);
	char found[OPTION_FOUND_BYTES];

	if (!text) {
		return;
	}
	*ret_has = decimal_parse(text, strlen(text), ret) == DECIMAL_OK;
	if (!*ret_has) {
		yaml_problem(reader->problems, node, "%s: expected a number%s", def.name,
			option_found(node, 0, found));
	}
}

static void read_min(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct column *column = base;

	read_limit(reader, node, &column->min, &column->has_min);
}

static void read_max(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct column *column = base;

	read_limit(reader, node, &column->max, &column->has_max);
}

static void write_limit(
	struct outline *out, const char *name, bool has, const struct decimal *limit)
{
	_cleanup_buffer_ struct buffer text = {0};

	if (has) {
		decimal_format(limit, &text);
		outline_word(out, name, buffer_str(&text));
	}
}

static void write_min(struct outline *out, const char *name, const void *base)
{
	const struct column *column = base;

	write_limit(out, name, column->has_min, &column->min);
}

static void write_max(struct outline *out, const char *name, const void *base)
{
	const struct column *column = base;

	write_limit(out, name, column->has_max, &column->max);
}

static const char *const type_words[] = {"text", "numeric", "integer", "date", "timestamp", NULL};

static const struct option_def column_options[] = {
	{.name = "type",
		.type = OPTION_WORD,
		.flags = OPTION_REQUIRED,
		.at = offsetof(struct column, type),
		.words = type_words,
		.first_word = COLUMN_TEXT},
	{.name = "nullable",
		.type = OPTION_BOOL,
		.at = offsetof(struct column, nullable),
		.fallback = "false"},
	{.name = "min", .type = OPTION_SPECIAL, .read = read_min, .write = write_min},
	{.name = "max", .type = OPTION_SPECIAL, .read = read_max, .write = write_max},
	{0},
};

static void check_limits(
	struct option_reader *reader, const struct yaml_node *node, const struct column *column)
{
	const struct yaml_node *min = yaml_get(node, "min"), *max = yaml_get(node, "max");
	const struct yaml_node *limit = min ? min : max;

	if (limit && column->type != COLUMN_NUMERIC && column->type != COLUMN_INTEGER) {
		yaml_problem(reader->problems, limit->key,
			"%s: only numeric and integer columns have one", yaml_text(limit->key));
	} else if (column->has_min && column->has_max &&
		decimal_compare(&column->min, &column->max) > 0) {
		yaml_problem(reader->problems, max, "max: is less than min");
	}
}

void dataset_read_columns(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct dataset *dataset = base;

	if (!option_is_mapping(reader, node, "columns")) {
		return;
	}
	if (node->n_children == 0 || node->n_children > MAX_COLUMNS) {
		yaml_problem(reader->problems, node, "columns: expected 1 to %d columns, found %u",
			MAX_COLUMNS, node->n_children);
		return;
	}
	dataset->columns = option_alloc(reader, node->n_children, sizeof(*dataset->columns));
	if (!dataset->columns) {
		return;
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		struct column *column = &dataset->columns[dataset->n_columns++];

		column->name = option_copy(reader, yaml_text(child->key));
		column->lookup = -1;
		(void)dataset_is_name(reader, child->key, "column", MAX_NAME_BYTES);
		options_read(reader, column_options, child, column);
		check_limits(reader, child, column);
	}
}

void dataset_write_columns(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	outline_open(out, name);
	for (unsigned i = 0; i < dataset->n_columns; i++) {
		outline_open(out, dataset->columns[i].name);
		options_write(out, column_options, &dataset->columns[i]);
		outline_close(out);
	}
	outline_close(out);
}

/* ---- names of columns ---- */

void dataset_unknown_column(struct option_reader *reader, const struct dataset *dataset,
	const struct yaml_node *node, const char *option, bool lookups_too)
{
	char quoted[PROBLEM_QUOTE_BYTES], meant[OPTION_MEANT_BYTES];
	const char *names[2 * MAX_COLUMNS];
	unsigned n = 0;

	for (unsigned i = 0; i < dataset->n_columns; i++) {
		names[n++] = dataset->columns[i].name;
	}
	for (unsigned i = 0; lookups_too && i < dataset->n_lookups && n < N_ELEMENTS(names); i++) {
		names[n++] = dataset->lookups[i].name;
	}
	yaml_problem(reader->problems, node, "%s: there is no column %s%s", option,
		problem_quote(yaml_text(node), quoted),
		option_meant(yaml_text(node), names, n, meant));
}

bool dataset_is_word(struct option_reader *reader, const struct yaml_node *node, const char *option)
{
	const struct option_def def = {.name = option, .type = OPTION_TEXT};

	return option_text(reader, &def, node, NULL) != NULL;
}

int dataset_read_column(struct option_reader *reader, const struct dataset *dataset,
	const struct yaml_node *node, const char *option)
{
	int column;

	if (dataset->n_columns == 0 || !dataset_is_word(reader, node, option)) {
		return -1;
	}
	column = dataset_column(dataset, yaml_text(node));
	if (column < 0) {
		dataset_unknown_column(reader, dataset, node, option, false);
	}
	return column;
}

void dataset_read_date(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct dataset *dataset = base;
	int column;

	if (yaml_is_null(node)) {
		return;
	}
	column = dataset_read_column(reader, dataset, node, "date");
	if (column >= 0 && dataset->columns[column].type != COLUMN_DATE) {
		yaml_problem(reader->problems, node,
			"date: the column \"%s\" is of type %s, not date",
			dataset->columns[column].name,
			column_type_name(dataset->columns[column].type));
		return;
	}
	dataset->date = column;
}

void dataset_write_date(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	outline_text(out, name, dataset->date < 0 ? NULL : dataset->columns[dataset->date].name);
}

/* ---- lookups ---- */

static void read_lookup_table(
	struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct lookup_def *lookup = base;

	dataset_read_table(reader, node, &lookup->schema, &lookup->table);
}

static bool is_never_inactive(const void *base)
{
	return ((const struct lookup_def *)base)->inactive_after_ms == 0;
}

/* The first two are read and written by hand. */
enum { LOOKUP_TABLE, LOOKUP_COLUMNS, LOOKUP_PLAIN };

static const struct option_def lookup_options[] = {
	[LOOKUP_TABLE] = {.name = "table",
		.type = OPTION_SPECIAL,
		.flags = OPTION_REQUIRED,
		.read = read_lookup_table},
	[LOOKUP_COLUMNS] = {.name = "columns", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED},
	[LOOKUP_PLAIN] = {.name = "inactive_after",
		.type = OPTION_DURATION,
		.flags = OPTION_NULLABLE,
		.at = offsetof(struct lookup_def, inactive_after_ms),
		.min = 86400000,
		.left_out = is_never_inactive},
	{0},
};

static void add_lookup_column(struct option_reader *reader, struct dataset *dataset, unsigned l,
	const struct yaml_node *node)
{
	struct lookup_def *lookup = &dataset->lookups[l];
	int c = dataset_read_column(reader, dataset, node, "columns");
	struct column *column = c < 0 ? NULL : &dataset->columns[c];

	if (!column) {
		return;
	}
	if (column->lookup >= 0) {
		yaml_problem(reader->problems, node,
			"columns: \"%s\" belongs to the lookup \"%s\" already", column->name,
			dataset->lookups[column->lookup].name);
		return;
	}
	if (column->type != COLUMN_TEXT) {
		yaml_problem(reader->problems, node,
			"columns: a lookup is made of texts, and \"%s\" is of type %s",
			column->name, column_type_name(column->type));
		return;
	}
	column->lookup = (int)l;
	lookup->columns[lookup->n_columns++] = (unsigned)c;
}

static void read_lookup_columns(struct option_reader *reader, struct dataset *dataset, unsigned l,
	const struct yaml_node *node)
{
	struct lookup_def *lookup = &dataset->lookups[l];

	if (!node || node->kind == YAML_BROKEN) {
		return;
	}
	if (node->kind != YAML_SEQUENCE || node->n_children == 0) {
		yaml_problem(reader->problems, node, "columns: expected a list of columns");
		return;
	}
	lookup->columns = option_alloc(reader, node->n_children, sizeof(*lookup->columns));
	for (node = node->first; node && lookup->columns; node = node->next) {
		add_lookup_column(reader, dataset, l, node);
	}
}

void dataset_read_lookups(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct dataset *dataset = base;

	if (!option_is_mapping(reader, node, "lookups") || node->n_children > MAX_COLUMNS) {
		return;
	}
	dataset->lookups = option_alloc(reader, node->n_children, sizeof(*dataset->lookups));
	for (const struct yaml_node *child = node->first; child && dataset->lookups;
		child = child->next) {
		unsigned l = dataset->n_lookups++;

		dataset->lookups[l].name = option_copy(reader, yaml_text(child->key));
		(void)dataset_is_name(reader, child->key, "lookup", MAX_LOOKUP_BYTES);
		options_read(reader, lookup_options, child, &dataset->lookups[l]);
		read_lookup_columns(reader, dataset, l, yaml_get(child, "columns"));
	}
}

static void write_names(struct outline *out, const char *name, const struct dataset *dataset,
	const unsigned *columns, unsigned n)
{
	outline_open_list(out, name);
	for (unsigned i = 0; i < n; i++) {
		outline_text(out, NULL, dataset->columns[columns[i]].name);
	}
	outline_close_list(out);
}

void dataset_write_lookups(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	outline_open(out, name);
	for (unsigned i = 0; i < dataset->n_lookups; i++) {
		const struct lookup_def *lookup = &dataset->lookups[i];

		outline_open(out, lookup->name);
		dataset_write_table(out, "table", lookup->schema, lookup->table);
		write_names(out, "columns", dataset, lookup->columns, lookup->n_columns);
		options_write(out, &lookup_options[LOOKUP_PLAIN], lookup);
		outline_close(out);
	}
	outline_close(out);
}
