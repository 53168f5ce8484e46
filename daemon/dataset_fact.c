/*
 * The columns of a dataset's fact table: key and indexes. SPDX-License-Identifier: Apache-2.0
 *
 * They come of the columns and the key: the key as written, then the values where the columns
 * stand, a lookup where its first column does.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_private.h"

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
	if (!dataset_is_word(reader, node, option)) {
		return false;
	}
	*ret_lookup = find_lookup(dataset, yaml_text(node));
	if (*ret_lookup >= 0) {
		return true;
	}
	*ret_column = dataset_column(dataset, yaml_text(node));
	if (*ret_column < 0) {
		dataset_unknown_column(reader, dataset, node, option, true);
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
void dataset_read_key(struct option_reader *reader, const struct yaml_node *node, void *base)
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

void dataset_write_key(struct outline *out, const char *name, const void *base)
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

void dataset_read_indexes(struct option_reader *reader, const struct yaml_node *node, void *base)
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

void dataset_write_indexes(struct outline *out, const char *name, const void *base)
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
