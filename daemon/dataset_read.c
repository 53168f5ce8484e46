/*
 * A dataset from its file. SPDX-License-Identifier: Apache-2.0
 *
 * The table's order is the order in which things are resolved, whatever the order in the file:
 * first the columns, then what names them (date, lookups, key, indexes), last the sources. The
 * columns of the fact table come of it: the key as written, then the values where the columns
 * stand, a lookup where its first column does.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_private.h"

enum {
	MAX_NAME_BYTES = 63, /* PostgreSQL cuts longer ones without asking */
	/* What is put behind a table's name (_revision, _2026_11) must fit too. */
	MAX_TABLE_BYTES = MAX_NAME_BYTES - 9,
	MAX_LOOKUP_BYTES = MAX_NAME_BYTES - 8, /* _current, _id */
	MAX_COLUMNS = 250,		       /* decode reads 256 fields of a record */
};

const char *wrong_name(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");

	if (n == 0 || text[n] || (text[0] >= '0' && text[0] <= '9')) {
		return "must be a name of lower-case letters, digits and _";
	}
	return n > MAX_NAME_BYTES ? "must not be longer than 63 bytes" : NULL;
}

/* A key of a mapping that becomes a name. */
static bool is_name(
	struct option_reader *reader, const struct yaml_node *key, const char *what, size_t max)
{
	char quoted[PROBLEM_QUOTE_BYTES];
	const char *wrong = wrong_name(yaml_text(key));

	if (!wrong && strlen(yaml_text(key)) > max) {
		yaml_problem(reader->problems, key, "%s %s: must not be longer than %zu bytes",
			what, problem_quote(yaml_text(key), quoted), max);
		return false;
	}
	if (wrong) {
		yaml_problem(reader->problems, key, "%s %s: %s", what,
			problem_quote(yaml_text(key), quoted), wrong);
	}
	return !wrong;
}

/* ---- table names ---- */

static const char *wrong_table(const char *text)
{
	const char *dot = strchr(text, '.');
	char schema[MAX_NAME_BYTES + 1] = "public";

	if (dot && (size_t)(dot - text) < sizeof(schema)) {
		snprintf(schema, sizeof(schema), "%.*s", (int)(dot - text), text);
	}
	text = dot ? dot + 1 : text;
	if (wrong_name(text) || wrong_name(schema)) {
		return "must be schema.name, both of lower-case letters, digits and _";
	}
	if (strlen(text) > MAX_TABLE_BYTES) {
		return "must not have a name longer than 54 bytes";
	}
	if (strcmp(schema, "ogdsync") == 0) {
		return "must not be in the schema ogdsync, which keeps the books";
	}
	if (strncmp(schema, "pg_", 3) == 0 || strcmp(schema, "information_schema") == 0) {
		return "must not be in a schema of the system";
	}
	return NULL;
}

static const struct option_def table_def = {
	.name = "table", .type = OPTION_TEXT, .wrong = wrong_table};

static void read_table_name(struct option_reader *reader, const struct yaml_node *node,
	char **ret_schema, char **ret_table)
{
	char *text = option_text(reader, &table_def, node, NULL);
	char *dot = text ? strchr(text, '.') : NULL;

	if (dot) {
		*dot = '\0';
		*ret_schema = text;
		*ret_table = dot + 1;
	} else if (text) {
		*ret_schema = option_copy(reader, "public");
		*ret_table = text;
	}
}

static void write_table_name(
	struct outline *out, const char *name, const char *schema, const char *table)
{
	char text[2 * MAX_NAME_BYTES + 2];

	snprintf(text, sizeof(text), "%s.%s", schema, table);
	outline_text(out, name, text);
}

static void read_table(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct dataset *dataset = base;

	read_table_name(reader, node, &dataset->schema, &dataset->table);
}

static void write_table(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	write_table_name(out, name, dataset->schema, dataset->table);
}

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

static void read_columns(struct option_reader *reader, const struct yaml_node *node, void *base)
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
		(void)is_name(reader, child->key, "column", MAX_NAME_BYTES);
		options_read(reader, column_options, child, column);
		check_limits(reader, child, column);
	}
}

static void write_columns(struct outline *out, const char *name, const void *base)
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

static void unknown_column(struct option_reader *reader, const struct dataset *dataset,
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

static bool is_word(struct option_reader *reader, const struct yaml_node *node, const char *option)
{
	const struct option_def def = {.name = option, .type = OPTION_TEXT};

	return option_text(reader, &def, node, NULL) != NULL;
}

int dataset_read_column(struct option_reader *reader, const struct dataset *dataset,
	const struct yaml_node *node, const char *option)
{
	int column;

	if (dataset->n_columns == 0 || !is_word(reader, node, option)) {
		return -1;
	}
	column = dataset_column(dataset, yaml_text(node));
	if (column < 0) {
		unknown_column(reader, dataset, node, option, false);
	}
	return column;
}

static void read_date(struct option_reader *reader, const struct yaml_node *node, void *base)
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

static void write_date(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	outline_text(out, name, dataset->date < 0 ? NULL : dataset->columns[dataset->date].name);
}

/* ---- lookups ---- */

static void read_lookup_table(
	struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct lookup_def *lookup = base;

	read_table_name(reader, node, &lookup->schema, &lookup->table);
}

static const struct option_def lookup_options[] = {
	{.name = "table",
		.type = OPTION_SPECIAL,
		.flags = OPTION_REQUIRED,
		.read = read_lookup_table},
	{.name = "columns", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED},
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

static void read_lookups(struct option_reader *reader, const struct yaml_node *node, void *base)
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
		(void)is_name(reader, child->key, "lookup", MAX_LOOKUP_BYTES);
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

static void write_lookups(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	outline_open(out, name);
	for (unsigned i = 0; i < dataset->n_lookups; i++) {
		const struct lookup_def *lookup = &dataset->lookups[i];

		outline_open(out, lookup->name);
		write_table_name(out, "table", lookup->schema, lookup->table);
		write_names(out, "columns", dataset, lookup->columns, lookup->n_columns);
		outline_close(out);
	}
	outline_close(out);
}

/* ---- the fact table's columns ---- */

static int find_lookup(const struct dataset *dataset, const char *name)
{
	for (unsigned i = 0; i < dataset->n_lookups; i++) {
		if (strcmp(dataset->lookups[i].name, name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

static void add_lookup_fact(struct option_reader *reader, struct dataset *dataset, unsigned l)
{
	struct fact_column *fact = &dataset->fact[dataset->n_fact];
	size_t size = strlen(dataset->lookups[l].name) + sizeof("_id");

	*fact = (struct fact_column){.type = COLUMN_ID, .column = -1, .lookup = (int)l};
	fact->name = option_alloc(reader, size, 1);
	if (fact->name) {
		snprintf(fact->name, size, "%s_id", dataset->lookups[l].name);
		dataset->n_fact++;
	}
}

static void add_column_fact(struct dataset *dataset, unsigned c)
{
	const struct column *column = &dataset->columns[c];

	dataset->fact[dataset->n_fact++] = (struct fact_column){.name = column->name,
		.type = column->type,
		.nullable = column->nullable,
		.column = (int)c,
		.lookup = -1};
}

/* The fact column that stands for a lookup or a column; -1: none (yet). */
static int find_fact(const struct dataset *dataset, int lookup, int column)
{
	for (unsigned i = 0; i < dataset->n_fact; i++) {
		const struct fact_column *fact = &dataset->fact[i];

		if (fact->lookup == lookup && fact->column == column) {
			return (int)i;
		}
	}
	return -1;
}

/* What `node` names: a lookup if one has that name, else a column that no lookup has taken. */
static bool resolve(struct option_reader *reader, const struct dataset *dataset,
	const struct yaml_node *node, const char *option, int *ret_lookup, int *ret_column)
{
	const struct column *column;

	*ret_column = -1;
	if (!is_word(reader, node, option)) {
		return false;
	}
	*ret_lookup = find_lookup(dataset, yaml_text(node));
	if (*ret_lookup >= 0) {
		return true;
	}
	*ret_column = dataset_column(dataset, yaml_text(node));
	if (*ret_column < 0) {
		unknown_column(reader, dataset, node, option, true);
		return false;
	}
	column = &dataset->columns[*ret_column];
	if (column->lookup >= 0) {
		yaml_problem(reader->problems, node,
			"%s: the column \"%s\" is part of the lookup \"%s\": name that", option,
			column->name, dataset->lookups[column->lookup].name);
		return false;
	}
	return true;
}

static void check_key_column(
	struct option_reader *reader, const struct yaml_node *node, const struct column *column)
{
	if (column->nullable) {
		yaml_problem(reader->problems, node,
			"key: the column \"%s\" is nullable, which a key cannot be", column->name);
	}
}

static void add_key(
	struct option_reader *reader, struct dataset *dataset, const struct yaml_node *node)
{
	int lookup, column;

	if (!resolve(reader, dataset, node, "key", &lookup, &column)) {
		return;
	}
	if (find_fact(dataset, lookup, column) >= 0) {
		yaml_problem(
			reader->problems, node, "key: \"%s\" stands here twice", yaml_text(node));
		return;
	}
	if (lookup < 0) {
		check_key_column(reader, node, &dataset->columns[column]);
		add_column_fact(dataset, (unsigned)column);
		return;
	}
	for (unsigned i = 0; i < dataset->lookups[lookup].n_columns; i++) {
		check_key_column(
			reader, node, &dataset->columns[dataset->lookups[lookup].columns[i]]);
	}
	add_lookup_fact(reader, dataset, (unsigned)lookup);
}

static void add_values(struct option_reader *reader, struct dataset *dataset)
{
	for (unsigned c = 0; c < dataset->n_columns; c++) {
		int l = dataset->columns[c].lookup;

		if (l >= 0 && find_fact(dataset, l, -1) < 0) {
			add_lookup_fact(reader, dataset, (unsigned)l);
		} else if (l < 0 && find_fact(dataset, -1, (int)c) < 0) {
			add_column_fact(dataset, c);
		}
	}
}

/* The key of the table: read here, and by it the order of all that is stored. */
static void read_key(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct dataset *dataset = base;

	dataset->fact_date = -1;
	if (dataset->n_columns == 0 || node->kind == YAML_BROKEN) {
		return;
	}
	dataset->fact = option_alloc(reader, dataset->n_columns, sizeof(*dataset->fact));
	if (!dataset->fact) {
		return;
	}
	if (node->kind != YAML_SEQUENCE || node->n_children == 0) {
		char found[OPTION_FOUND_BYTES];

		yaml_problem(reader->problems, node, "key: expected a list of columns%s",
			node->kind == YAML_SEQUENCE ? ", found an empty one"
						    : option_found(node, 0, found));
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		add_key(reader, dataset, child);
	}
	dataset->n_key = dataset->n_fact;
	add_values(reader, dataset);
	dataset->fact_date = dataset->date < 0 ? -1 : find_fact(dataset, -1, dataset->date);
}

static const char *fact_word(const struct dataset *dataset, unsigned i)
{
	const struct fact_column *fact = &dataset->fact[i];

	return fact->lookup >= 0 ? dataset->lookups[fact->lookup].name : fact->name;
}

static void write_key(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	outline_open_list(out, name);
	for (unsigned i = 0; i < dataset->n_key; i++) {
		outline_text(out, NULL, fact_word(dataset, i));
	}
	outline_close_list(out);
}

/* ---- indexes ---- */

static unsigned *read_index(
	struct option_reader *reader, const struct dataset *dataset, const struct yaml_node *node)
{
	unsigned *index = option_alloc(reader, node->n_children + 1, sizeof(*index));
	unsigned n = 0;

	for (node = node->first; node && index; node = node->next) {
		int lookup, column, fact;

		if (!resolve(reader, dataset, node, "indexes", &lookup, &column)) {
			continue;
		}
		fact = find_fact(dataset, lookup, column);
		if (fact >= 0) {
			index[n++] = (unsigned)fact;
		}
	}
	if (index) {
		index[n] = UINT_MAX;
	}
	return index;
}

static void read_indexes(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	static const char what[] = "indexes: expected a list of lists of columns";
	struct dataset *dataset = base;

	if (!dataset->fact || node->kind == YAML_BROKEN) {
		return;
	}
	if (node->kind != YAML_SEQUENCE) {
		yaml_problem(reader->problems, node, what);
		return;
	}
	dataset->indexes = option_alloc(reader, node->n_children, sizeof(*dataset->indexes));
	for (node = node->first; node && dataset->indexes; node = node->next) {
		unsigned *index;

		if (node->kind != YAML_SEQUENCE || node->n_children == 0) {
			yaml_problem(reader->problems, node, what);
			continue;
		}
		index = read_index(reader, dataset, node);
		if (index) {
			dataset->indexes[dataset->n_indexes++] = index;
		}
	}
}

static void write_indexes(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	outline_open_list(out, name);
	for (unsigned i = 0; i < dataset->n_indexes; i++) {
		outline_open_list(out, NULL);
		for (const unsigned *fact = dataset->indexes[i]; *fact != UINT_MAX; fact++) {
			outline_text(out, NULL, fact_word(dataset, *fact));
		}
		outline_close_list(out);
	}
	outline_close_list(out);
}

/* ---- sources ---- */

static void read_sources(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct dataset *dataset = base;

	if (!option_is_mapping(reader, node, "sources")) {
		return;
	}
	if (node->n_children == 0) {
		yaml_problem(reader->problems, node, "sources: there is none");
	}
	dataset->sources = option_alloc(reader, node->n_children, sizeof(*dataset->sources));
	for (const struct yaml_node *child = node->first; child && dataset->sources;
		child = child->next) {
		struct source *source = &dataset->sources[dataset->n_sources++];

		source->dataset = dataset;
		source->name = option_copy(reader, yaml_text(child->key));
		(void)is_name(reader, child->key, "source", MAX_NAME_BYTES);
		source_read(reader, child, source);
	}
}

static void write_sources(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	outline_open(out, name);
	for (unsigned i = 0; i < dataset->n_sources; i++) {
		outline_open(out, dataset->sources[i].name);
		source_write(out, &dataset->sources[i]);
		outline_close(out);
	}
	outline_close(out);
}

/* ---- the table ---- */

#define AT(field) offsetof(struct dataset, field)

static const char *const partition_words[] = {"none", "year", "month", NULL};
static const char *const change_words[] = {"revise", "overwrite", "keep", NULL};
static const char *const missing_words[] = {"keep", "deactivate", NULL};
static const char *const nulls_default[] = {"", "NA", "N/A", "-", NULL};

static bool keeps_missing_rows(const void *base)
{
	return ((const struct dataset *)base)->missing_rows == MISSING_KEEP;
}

/* clang-format off */

static const struct option_def dataset_options[] = {
	{.name = "dataset", .type = OPTION_TEXT, .flags = OPTION_REQUIRED, .at = AT(name),
		.wrong = wrong_name},
	{.name = "table", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = read_table,
		.write = write_table},
	{.name = "columns", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = read_columns,
		.write = write_columns},
	{.name = "date", .type = OPTION_SPECIAL, .read = read_date, .write = write_date},
	{.name = "lookups", .type = OPTION_SPECIAL, .read = read_lookups, .write = write_lookups},
	{.name = "key", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = read_key,
		.write = write_key},
	{.name = "partition", .type = OPTION_WORD, .at = AT(partition), .fallback = "none",
		.words = partition_words, .first_word = PARTITION_NONE},
	{.name = "indexes", .type = OPTION_SPECIAL, .read = read_indexes, .write = write_indexes},
	{.name = "on_change", .type = OPTION_WORD, .at = AT(on_change), .fallback = "revise",
		.words = change_words, .first_word = ON_CHANGE_REVISE},
	{.name = "missing_rows", .type = OPTION_WORD, .at = AT(missing_rows), .fallback = "keep",
		.words = missing_words, .first_word = MISSING_KEEP},
	{.name = "deactivate_limit", .type = OPTION_SHARE, .at = AT(deactivate_limit_ppm),
		.fallback = "5%", .left_out = keeps_missing_rows},
	{.name = "quarantine_limit", .type = OPTION_SHARE, .at = AT(quarantine_limit_ppm),
		.fallback = "5%"},
	{.name = "freshness", .type = OPTION_DURATION, .flags = OPTION_NULLABLE,
		.at = AT(freshness_ms), .min = 60000},
	{.name = "day_ends", .type = OPTION_TIME_OF_DAY, .at = AT(day_ends_s),
		.fallback = "09:00"},
	{.name = "foreign_keys", .type = OPTION_BOOL, .at = AT(foreign_keys), .fallback = "false"},
	{.name = "nulls", .type = OPTION_TEXTS, .flags = OPTION_EMPTY, .at = AT(nulls),
		.second = AT(n_nulls), .fallbacks = nulls_default},
	{.name = "sources", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = read_sources,
		.write = write_sources},
	{0},
};

/* clang-format on */

struct dataset *dataset_read(struct option_reader *reader, const struct yaml *yaml)
{
	struct dataset *dataset = option_alloc(reader, 1, sizeof(*dataset));
	struct problem_place whole = {.file = yaml->file, .order = yaml->order};

	if (!dataset) {
		return NULL;
	}
	if (!yaml->root || yaml_is_null(yaml->root)) {
		problems_add(reader->problems, whole, "the file is empty");
		return NULL;
	}
	dataset->date = -1;
	dataset->fact_date = -1;
	dataset->file = option_copy(reader, yaml->file);
	options_read(reader, dataset_options, yaml->root, dataset);
	return dataset;
}

void dataset_write(struct outline *out, const struct dataset *dataset)
{
	options_write(out, dataset_options, dataset);
}
