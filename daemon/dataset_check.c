/*
 * What a dataset's options must be to each other. SPDX-License-Identifier: Apache-2.0
 *
 * Only what would otherwise fail later, far from the file: in the database, or silently. Looked at
 * when the dataset has been read, problems and all; so nothing is taken for granted here.
 */

#include <stdio.h>
#include <string.h>

#include "daemon/config_private.h"

/* ---- names in the database ---- */

/* Names that stand beside the columns in the tables and views that are made of the dataset. */
static const char *const fact_names[] = {
	"run_id", "is_active", "replaced_by", "replaced_at", /* ours */
	"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid",  /* PostgreSQL's */
};
static const char *const lookup_names[] = {
	"id",
	"first_seen",
	"last_seen",
	"is_active",
	"same_as",
	"tableoid",
	"xmin",
	"cmin",
	"xmax",
	"cmax",
	"ctid",
};

static bool is_one_of(const char *name, const char *const *names, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static void check_reserved(
	struct option_reader *reader, const struct yaml_node *root, const struct dataset *dataset)
{
	for (unsigned i = 0; i < dataset->n_columns; i++) {
		const struct column *column = &dataset->columns[i];
		const struct yaml_node *node = yaml_get(yaml_get(root, "columns"), column->name);

		if (is_one_of(column->name, fact_names, N_ELEMENTS(fact_names)) ||
			(column->lookup >= 0 &&
				is_one_of(column->name, lookup_names, N_ELEMENTS(lookup_names)))) {
			yaml_problem(reader->problems, node->key,
				"column \"%s\": the name is taken by a column of the table's own",
				column->name);
		}
	}
}

/* <lookup>_id and <lookup>_current stand beside the columns. */
static void check_derived(
	struct option_reader *reader, const struct yaml_node *root, const struct dataset *dataset)
{
	static const char *const ends[] = {"_id", "_current"};
	char name[128];

	for (unsigned l = 0; l < dataset->n_lookups; l++) {
		const char *lookup = dataset->lookups[l].name;
		const struct yaml_node *node = yaml_get(yaml_get(root, "lookups"), lookup);

		for (unsigned e = 0; e < N_ELEMENTS(ends); e++) {
			snprintf(name, sizeof(name), "%s%s", lookup, ends[e]);
			if (dataset_column(dataset, name) >= 0) {
				yaml_problem(reader->problems, node->key,
					"lookup \"%s\": \"%s\" would stand beside a column of that "
					"name",
					lookup, name);
			}
		}
	}
}

/* ---- tables ---- */

struct table {
	const char *schema, *name, *end;
};

static bool same_table(struct table a, struct table b)
{
	char x[128], y[128];

	if (!a.name || !b.name || !a.schema || !b.schema) {
		return false;
	}
	snprintf(x, sizeof(x), "%s%s", a.name, a.end);
	snprintf(y, sizeof(y), "%s%s", b.name, b.end);
	return strcmp(a.schema, b.schema) == 0 && strcmp(x, y) == 0;
}

/* The n-th table of a dataset: the facts, what belongs to them, the lookups. False: no more. */
static bool nth_table(const struct dataset *dataset, unsigned n, struct table *ret)
{
	static const char *const ends[] = {"", "_revision", "_named"};

	if (n < N_ELEMENTS(ends)) {
		*ret = (struct table){dataset->schema, dataset->table, ends[n]};
		return true;
	}
	n -= N_ELEMENTS(ends);
	if (n >= dataset->n_lookups) {
		return false;
	}
	*ret = (struct table){dataset->lookups[n].schema, dataset->lookups[n].table, ""};
	return true;
}

static const struct yaml_node *table_node(
	const struct yaml_node *root, const struct dataset *dataset, unsigned n)
{
	const struct yaml_node *lookup;

	if (n < 3) {
		return yaml_get(root, "table");
	}
	lookup = yaml_get(yaml_get(root, "lookups"), dataset->lookups[n - 3].name);
	return yaml_get(lookup, "table");
}

/* Is a table of `dataset` also one of `other`? Of its own, only those before it count. */
static void check_tables(struct option_reader *reader, const struct yaml_node *root,
	const struct dataset *dataset, const struct dataset *other)
{
	struct table mine, theirs;

	for (unsigned i = 0; nth_table(dataset, i, &mine); i++) {
		for (unsigned j = 0; nth_table(other, j, &theirs) && (other != dataset || j < i);
			j++) {
			if (same_table(mine, theirs)) {
				yaml_problem(reader->problems, table_node(root, dataset, i),
					"table: %s.%s%s belongs to the dataset \"%s\" already",
					mine.schema, mine.name, mine.end,
					other->name ? other->name : "?");
				break;
			}
		}
	}
}

/* ---- dates ---- */

static bool is_given(const struct yaml_node *root, const char *option)
{
	const struct yaml_node *node = yaml_get(root, option);

	return node && !yaml_is_null(node);
}

static void check_date(
	struct option_reader *reader, const struct yaml_node *root, const struct dataset *dataset)
{
	const struct yaml_node *partition = yaml_get(root, "partition");

	if (dataset->date < 0) {
		if (partition && dataset->partition != PARTITION_NONE && !is_given(root, "date")) {
			yaml_problem(reader->problems, partition,
				"partition: a dataset without date has no ranges to part it by");
		}
		if (dataset->freshness_ms > 0 && !is_given(root, "date")) {
			yaml_problem(reader->problems, yaml_get(root, "freshness"),
				"freshness: a dataset without date cannot be stale");
		}
		return;
	}
	if (dataset->columns[dataset->date].nullable) {
		yaml_problem(reader->problems, yaml_get(root, "date"),
			"date: the column \"%s\" is nullable, which the date cannot be",
			dataset->columns[dataset->date].name);
	}
	if (partition && dataset->partition != PARTITION_NONE && dataset->n_key > 0 &&
		!dataset_in_key(dataset, (unsigned)dataset->date)) {
		yaml_problem(reader->problems, partition,
			"partition: the date \"%s\" must be part of the key",
			dataset->columns[dataset->date].name);
	}
}

static void check_missing_rows(
	struct option_reader *reader, const struct yaml_node *root, const struct dataset *dataset)
{
	if (dataset->missing_rows == MISSING_DEACTIVATE && is_given(root, "date")) {
		yaml_problem(reader->problems, yaml_get(root, "missing_rows"),
			"missing_rows: only a dataset without date is served whole, so only there "
			"can "
			"rows be missing");
	}
	if (dataset->missing_rows == MISSING_KEEP && yaml_get(root, "deactivate_limit")) {
		yaml_problem(reader->problems, yaml_get(root, "deactivate_limit")->key,
			"deactivate_limit: means nothing without missing_rows: deactivate");
	}
}

static void check_sources(struct option_reader *reader, const struct yaml_node *root,
	const struct dataset *dataset, unsigned page_max)
{
	for (unsigned i = 0; i < dataset->n_sources; i++) {
		const struct source *source = &dataset->sources[i];
		const struct yaml_node *node =
			source->name ? yaml_get(yaml_get(root, "sources"), source->name) : NULL;
		const struct yaml_node *size = yaml_get(node, "page_size");

		if (source->page_size > page_max) {
			yaml_problem(reader->problems, size ? size : node,
				"page_size: %u is more than portal.page_max, which is %u",
				source->page_size, page_max);
		}
		if (source->slice.sliced && dataset->missing_rows == MISSING_DEACTIVATE) {
			yaml_problem(reader->problems, node,
				"slice: means nothing with missing_rows: deactivate");
		}
	}
}

void dataset_check(struct option_reader *reader, const struct yaml_node *root,
	const struct dataset *dataset, unsigned page_max)
{
	if (reader->problems->no_memory) {
		return;
	}
	check_reserved(reader, root, dataset);
	check_derived(reader, root, dataset);
	check_date(reader, root, dataset);
	check_missing_rows(reader, root, dataset);
	check_tables(reader, root, dataset, dataset);
	check_sources(reader, root, dataset, page_max);
}

void dataset_check_others(struct option_reader *reader, const struct yaml_node *root,
	const struct dataset *dataset, struct dataset *const *others, unsigned n_others)
{
	char quoted[PROBLEM_QUOTE_BYTES];

	for (unsigned i = 0; i < n_others && !reader->problems->no_memory; i++) {
		if (dataset->name && others[i]->name &&
			strcmp(dataset->name, others[i]->name) == 0) {
			yaml_problem(reader->problems, yaml_get(root, "dataset"),
				"dataset: %s stands in %s already",
				problem_quote(dataset->name, quoted), others[i]->file);
		}
		check_tables(reader, root, dataset, others[i]);
	}
}
