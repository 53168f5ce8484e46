/*
 * A dataset from its file. SPDX-License-Identifier: Apache-2.0
 *
 * The table's order is the order in which things are resolved, whatever the order in the file:
 * first the columns (dataset_columns.c), then what names them: date, lookups, key and indexes
 * (dataset_fact.c), last the sources (source_read.c).
 */

#include <stdio.h>
#include <string.h>

#include "daemon/config_private.h"

enum {
	MAX_NAME_BYTES = 63, /* PostgreSQL cuts longer ones without asking */
	/* What is put behind a table's name (_revision, _2026_11) must fit too. */
	MAX_TABLE_BYTES = MAX_NAME_BYTES - 9,
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
bool dataset_is_name(
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

void dataset_read_table(struct option_reader *reader, const struct yaml_node *node,
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

void dataset_write_table(
	struct outline *out, const char *name, const char *schema, const char *table)
{
	char text[2 * MAX_NAME_BYTES + 2];

	snprintf(text, sizeof(text), "%s.%s", schema, table);
	outline_text(out, name, text);
}

static void read_table(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct dataset *dataset = base;

	dataset_read_table(reader, node, &dataset->schema, &dataset->table);
}

static void write_table(struct outline *out, const char *name, const void *base)
{
	const struct dataset *dataset = base;

	dataset_write_table(out, name, dataset->schema, dataset->table);
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
		(void)dataset_is_name(reader, child->key, "source", MAX_NAME_BYTES);
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
	{.name = "columns", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = dataset_read_columns,
		.write = dataset_write_columns},
	{.name = "date", .type = OPTION_SPECIAL, .read = dataset_read_date, .write = dataset_write_date},
	{.name = "lookups", .type = OPTION_SPECIAL, .read = dataset_read_lookups, .write = dataset_write_lookups},
	{.name = "key", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = dataset_read_key,
		.write = dataset_write_key},
	{.name = "partition", .type = OPTION_WORD, .at = AT(partition), .fallback = "none",
		.words = partition_words, .first_word = PARTITION_NONE},
	{.name = "indexes", .type = OPTION_SPECIAL, .read = dataset_read_indexes, .write = dataset_write_indexes},
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
