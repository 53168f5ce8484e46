/*
 * Dataset -> tables, the pure half: catalog and configuration in, statements out.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Goes through the objects in the order in which they must be made: bookkeeping migrations, then for
 * each dataset its schema, lookups, fact table, partitions, indexes, revisions and views. An
 * object that is there is compared, one that is not is added to the plan.
 */

#include "daemon/schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/lookup.h"
#include "daemon/migration.h"
#include "daemon/partition.h"

enum { MAX_SCHEMAS = 64, INDEX_NAME_BYTES = 60 };

struct plan {
	const struct config *config;
	const struct catalog *catalog;
	const struct dataset *dataset; /* the present one */
	struct buffer *sql;
	struct error *error;
	int n_statements;
	const char *schemas[MAX_SCHEMAS]; /* that the datasets need */
	unsigned n_schemas;
};

int catalog_add(struct catalog *catalog, char kind, const char *schema, const char *table,
	const char *name, const char *type, bool not_null, int n)
{
	size_t size = catalog->size ? catalog->size * 2 : 64;
	struct catalog_item *items;

	if (catalog->n_items == catalog->size) {
		items = realloc(catalog->items, size * sizeof(*items));
		if (!items) {
			return -ENOMEM;
		}
		catalog->items = items;
		catalog->size = size;
	}
	catalog->items[catalog->n_items++] = (struct catalog_item){
		.kind = kind,
		.schema = strdup(schema),
		.table = strdup(table),
		.name = strdup(name),
		.type = strdup(type),
		.not_null = not_null,
		.n = n,
	};
	items = &catalog->items[catalog->n_items - 1];
	return items->schema && items->table && items->name && items->type ? 0 : -ENOMEM;
}

void catalog_fini(struct catalog *catalog)
{
	for (size_t i = 0; i < catalog->n_items; i++) {
		free(catalog->items[i].schema);
		free(catalog->items[i].table);
		free(catalog->items[i].name);
		free(catalog->items[i].type);
	}
	free(catalog->items);
	*catalog = (struct catalog){0};
}

static const struct catalog_item *find(const struct plan *plan, char kind, const char *schema,
	const char *table, const char *name)
{
	for (size_t i = 0; i < plan->catalog->n_items; i++) {
		const struct catalog_item *item = &plan->catalog->items[i];

		if (item->kind == kind && strcmp(item->schema, schema) == 0 &&
			strcmp(item->table, table) == 0 && strcmp(item->name, name) == 0) {
			return item;
		}
	}
	return NULL;
}

static void end_statement(struct plan *plan)
{
	buffer_append_str(plan->sql, ";\n");
	plan->n_statements++;
}

/* ---- bookkeeping ---- */

static int known_version(const struct plan *plan)
{
	int version = 0;

	for (size_t i = 0; i < plan->catalog->n_items; i++) {
		const struct catalog_item *item = &plan->catalog->items[i];

		version = item->kind == 'm' && item->n > version ? item->n : version;
	}
	return version;
}

static int plan_migrations(struct plan *plan)
{
	int version = known_version(plan), newest = 0;

	if (!find(plan, 'r', "ogdsync", "migration", "")) {
		buffer_append_str(plan->sql,
			"CREATE SCHEMA IF NOT EXISTS ogdsync;\n"
			"CREATE TABLE ogdsync.migration (version integer PRIMARY KEY,"
			" name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());\n");
		plan->n_statements += 2;
	}
	for (const struct migration *m = migrations; m->version > 0; m++) {
		newest = m->version;
		if (m->version > version) {
			buffer_append_str(plan->sql, m->sql);
			buffer_printf(plan->sql,
				"INSERT INTO ogdsync.migration (version, name) VALUES (%d, '%s')",
				m->version, m->name);
			end_statement(plan);
		}
	}
	if (version > newest) {
		return error_set(plan->error, ERROR_REJECTED, "schema", "schema_newer",
			"the database's bookkeeping is at version %d, this program knows %d: "
			"install the newer ogdsync",
			version, newest);
	}
	return 0;
}

/* ---- tables ---- */

struct wanted_column {
	const char *name, *type;
	bool not_null;
	int key; /* 1-based position in the primary key, 0 none */
};

/* A table that exists must have these columns with these types and this key. */
static int compare_table(struct plan *plan, const char *schema, const char *table,
	const struct wanted_column *columns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct catalog_item *have = find(plan, 'c', schema, table, columns[i].name);

		if (!have) {
			return error_set(plan->error, ERROR_REJECTED, "schema", "schema_differs",
				"table %s.%s exists without column %s of dataset %s", schema, table,
				columns[i].name, plan->dataset->name);
		}
		if (strcmp(have->type, columns[i].type) != 0) {
			return error_set(plan->error, ERROR_REJECTED, "schema", "schema_differs",
				"%s.%s.%s is %s, dataset %s wants %s", schema, table, have->name,
				have->type, plan->dataset->name, columns[i].type);
		}
		if (have->n != columns[i].key) {
			return error_set(plan->error, ERROR_REJECTED, "schema", "schema_differs",
				"the primary key of %s.%s is not the key of dataset %s (column %s)",
				schema, table, plan->dataset->name, have->name);
		}
	}
	return 0;
}

static void append_column(struct plan *plan, const char *name, const char *type, bool collate_c,
	bool not_null)
{
	buffer_append_str(plan->sql, "  ");
	pg_append_ident(plan->sql, name);
	buffer_printf(plan->sql, " %s%s%s,\n", type, collate_c ? " COLLATE \"C\"" : "",
		not_null ? " NOT NULL" : "");
}

static void plan_schema(struct plan *plan, const char *schema)
{
	for (unsigned i = 0; i < plan->n_schemas; i++) {
		if (strcmp(plan->schemas[i], schema) == 0) {
			return;
		}
	}
	if (plan->n_schemas < MAX_SCHEMAS) {
		plan->schemas[plan->n_schemas++] = schema;
	}
	if (find(plan, 's', schema, "", "")) {
		return;
	}
	buffer_append_str(plan->sql, "CREATE SCHEMA IF NOT EXISTS ");
	pg_append_ident(plan->sql, schema);
	end_statement(plan);
}

static void create_lookup(struct plan *plan, const struct lookup_def *lookup)
{
	buffer_append_str(plan->sql, "CREATE TABLE ");
	append_table(plan->sql, lookup->schema, lookup->table, "");
	buffer_append_str(plan->sql,
		" (\n  id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,\n");
	for (unsigned c = 0; c < lookup->n_columns; c++) {
		const struct column *column = &plan->dataset->columns[lookup->columns[c]];

		append_column(plan, column->name, "text", true, !column->nullable);
	}
	buffer_append_str(plan->sql,
		"  first_seen date,\n  last_seen date,\n"
		"  is_active boolean NOT NULL DEFAULT true,\n  same_as integer REFERENCES ");
	append_table(plan->sql, lookup->schema, lookup->table, "");
	buffer_append_str(plan->sql, ",\n  UNIQUE NULLS NOT DISTINCT (");
	for (unsigned c = 0; c < lookup->n_columns; c++) {
		buffer_append_str(plan->sql, c > 0 ? ", " : "");
		pg_append_ident(plan->sql, plan->dataset->columns[lookup->columns[c]].name);
	}
	buffer_append_str(plan->sql, ")\n)");
	end_statement(plan);
}

static int plan_lookup(struct plan *plan, const struct lookup_def *lookup)
{
	struct wanted_column columns[5 + LOOKUP_MAX_COLUMNS] = {
		{.name = "id", .type = "integer", .key = 1},
		{.name = "first_seen", .type = "date"},
		{.name = "last_seen", .type = "date"},
		{.name = "is_active", .type = "boolean"},
		{.name = "same_as", .type = "integer"},
	};
	unsigned n = 5;

	plan_schema(plan, lookup->schema);
	if (!find(plan, 'r', lookup->schema, lookup->table, "")) {
		create_lookup(plan, lookup);
		return 0;
	}
	for (unsigned c = 0; c < lookup->n_columns && n < N_ELEMENTS(columns); c++) {
		columns[n++] = (struct wanted_column){
			.name = plan->dataset->columns[lookup->columns[c]].name,
			.type = "text",
		};
	}
	return compare_table(plan, lookup->schema, lookup->table, columns, n);
}

static void append_fact_columns(struct plan *plan)
{
	for (unsigned i = 0; i < plan->dataset->n_fact; i++) {
		const struct fact_column *fact = &plan->dataset->fact[i];
		bool key = i < plan->dataset->n_key;

		append_column(plan, fact->name, column_type_sql(fact->type),
			key && fact->type == COLUMN_TEXT, !fact->nullable);
	}
}

static void append_key(struct plan *plan)
{
	for (unsigned i = 0; i < plan->dataset->n_key; i++) {
		buffer_append_str(plan->sql, i > 0 ? ", " : "");
		pg_append_ident(plan->sql, plan->dataset->fact[i].name);
	}
}

static void create_fact(struct plan *plan)
{
	const struct dataset *dataset = plan->dataset;

	buffer_append_str(plan->sql, "CREATE TABLE ");
	append_table(plan->sql, dataset->schema, dataset->table, "");
	buffer_append_str(plan->sql, " (\n");
	append_fact_columns(plan);
	append_column(plan, "run_id", "bigint", false, true);
	if (dataset->missing_rows == MISSING_DEACTIVATE) {
		buffer_append_str(plan->sql, "  is_active boolean NOT NULL DEFAULT true,\n");
	}
	buffer_append_str(plan->sql, "  PRIMARY KEY (");
	append_key(plan);
	buffer_append_char(plan->sql, ')');
	for (unsigned l = 0; dataset->foreign_keys && l < dataset->n_lookups; l++) {
		buffer_printf(plan->sql, ",\n  FOREIGN KEY (\"%s_id\") REFERENCES ",
			dataset->lookups[l].name);
		append_table(plan->sql, dataset->lookups[l].schema, dataset->lookups[l].table, "");
	}
	buffer_append_str(plan->sql, "\n)");
	if (dataset->partition != PARTITION_NONE) {
		buffer_append_str(plan->sql, " PARTITION BY RANGE (");
		pg_append_ident(plan->sql, dataset->fact[dataset->fact_date].name);
		buffer_append_char(plan->sql, ')');
	}
	end_statement(plan);
}

static int plan_fact(struct plan *plan)
{
	const struct dataset *dataset = plan->dataset;
	_cleanup_free_ struct wanted_column *columns = NULL;

	plan_schema(plan, dataset->schema);
	if (!find(plan, 'r', dataset->schema, dataset->table, "")) {
		create_fact(plan);
		return 0;
	}
	columns = calloc(dataset->n_fact + 1, sizeof(*columns));
	if (!columns) {
		return error_no_memory(plan->error, "schema");
	}
	for (unsigned i = 0; i < dataset->n_fact; i++) {
		columns[i] = (struct wanted_column){
			.name = dataset->fact[i].name,
			.type = column_type_sql(dataset->fact[i].type),
			.key = i < dataset->n_key ? (int)i + 1 : 0,
		};
	}
	columns[dataset->n_fact] = (struct wanted_column){.name = "run_id", .type = "bigint"};
	return compare_table(plan, dataset->schema, dataset->table, columns, dataset->n_fact + 1);
}

static bool has_partition(const struct plan *plan, int32_t day)
{
	struct day_range range;

	for (size_t i = 0; i < plan->catalog->n_items; i++) {
		const struct catalog_item *item = &plan->catalog->items[i];

		if (item->kind == 'p' && strcmp(item->schema, plan->dataset->schema) == 0 &&
			strcmp(item->table, plan->dataset->table) == 0 &&
			partition_parse_bound(item->type, &range) == 0 && range.from <= day &&
			day < range.to) {
			return true;
		}
	}
	return false;
}

/* From the oldest day that a source may heal (else this year) through next year. */
static void plan_partitions(struct plan *plan, int32_t today)
{
	enum partition_by by = plan->dataset->partition;
	char suffix[PARTITION_SUFFIX_BYTES];
	struct day_range range;
	int32_t from = today;

	if (by == PARTITION_NONE) {
		return;
	}
	for (unsigned s = 0; s < plan->dataset->n_sources; s++) {
		const struct source_heal *heal = &plan->dataset->sources[s].heal;

		from = heal->enabled && heal->from_day < from ? heal->from_day : from;
	}
	from = partition_of(PARTITION_YEAR, from, suffix).from;
	for (int32_t day = from; day < partition_of(PARTITION_YEAR, today + 365, suffix).to;
		day = range.to) {
		range = partition_of(by, day, suffix);
		if (!has_partition(plan, day)) {
			partition_create_sql(plan->dataset, range, suffix, plan->sql);
			plan->n_statements += 2;
		}
	}
}

/* "<table>_<columns>_idx", as PostgreSQL itself would name it, cut to a name's length. */
static void index_name(const struct plan *plan, const unsigned *columns, struct buffer *name)
{
	buffer_clear(name);
	buffer_append_str(name, plan->dataset->table);
	for (unsigned i = 0; columns[i] != UINT32_MAX; i++) {
		buffer_printf(name, "_%s", plan->dataset->fact[columns[i]].name);
	}
	if (name->len > INDEX_NAME_BYTES - 4) {
		name->len = INDEX_NAME_BYTES - 4;
	}
	buffer_append_str(name, "_idx");
}

static void plan_indexes(struct plan *plan)
{
	const struct dataset *dataset = plan->dataset;
	_cleanup_buffer_ struct buffer name = {0};

	for (unsigned i = 0; i < dataset->n_indexes; i++) {
		const unsigned *columns = dataset->indexes[i];

		index_name(plan, columns, &name);
		if (find(plan, 'i', dataset->schema, dataset->table, buffer_str(&name))) {
			continue;
		}
		buffer_append_str(plan->sql, "CREATE INDEX ");
		pg_append_ident(plan->sql, buffer_str(&name));
		buffer_append_str(plan->sql, " ON ");
		append_table(plan->sql, dataset->schema, dataset->table, "");
		for (unsigned c = 0; columns[c] != UINT32_MAX; c++) {
			buffer_append_str(plan->sql, c > 0 ? ", " : " (");
			pg_append_ident(plan->sql, dataset->fact[columns[c]].name);
		}
		buffer_append_char(plan->sql, ')');
		end_statement(plan);
	}
}

static void plan_revision(struct plan *plan)
{
	const struct dataset *dataset = plan->dataset;
	_cleanup_buffer_ struct buffer table = {0};

	buffer_printf(&table, "%s_revision", dataset->table);
	if (dataset->on_change != ON_CHANGE_REVISE ||
		find(plan, 'r', dataset->schema, buffer_str(&table), "")) {
		return;
	}
	buffer_append_str(plan->sql, "CREATE TABLE ");
	append_table(plan->sql, dataset->schema, buffer_str(&table), "");
	buffer_append_str(plan->sql, " (\n");
	append_fact_columns(plan);
	buffer_append_str(plan->sql, "  run_id bigint NOT NULL,\n  replaced_by bigint NOT NULL,\n"
				     "  replaced_at timestamptz NOT NULL DEFAULT now()\n)");
	end_statement(plan);
	buffer_append_str(plan->sql, "CREATE INDEX ON ");
	append_table(plan->sql, dataset->schema, buffer_str(&table), "");
	buffer_append_str(plan->sql, " (");
	append_key(plan);
	buffer_append_char(plan->sql, ')');
	end_statement(plan);
	buffer_append_str(plan->sql, "CREATE INDEX ON ");
	append_table(plan->sql, dataset->schema, buffer_str(&table), "");
	buffer_append_str(plan->sql, " (replaced_by)");
	end_statement(plan);
}

/* The column that a lookup is named after, else its last: what people call the thing. */
static const char *title_column(const struct dataset *dataset, const struct lookup_def *lookup)
{
	for (unsigned c = 0; c < lookup->n_columns; c++) {
		if (strcmp(dataset->columns[lookup->columns[c]].name, lookup->name) == 0) {
			return lookup->name;
		}
	}
	return dataset->columns[lookup->columns[lookup->n_columns - 1]].name;
}

static void append_named_lookup(struct plan *plan, unsigned l)
{
	const struct lookup_def *lookup = &plan->dataset->lookups[l];

	for (unsigned c = 0; c < lookup->n_columns; c++) {
		buffer_printf(plan->sql, "l%u.", l);
		pg_append_ident(plan->sql, plan->dataset->columns[lookup->columns[c]].name);
		buffer_append_str(plan->sql, ", ");
	}
	buffer_printf(plan->sql, "c%u.", l);
	pg_append_ident(plan->sql, title_column(plan->dataset, lookup));
	buffer_printf(plan->sql, " AS \"%s_current\", ", lookup->name);
}

/* The names under their own names, for people and for reports. */
static void plan_named_view(struct plan *plan)
{
	const struct dataset *dataset = plan->dataset;
	_cleanup_buffer_ struct buffer view = {0};

	buffer_printf(&view, "%s_named", dataset->table);
	if (find(plan, 'r', dataset->schema, buffer_str(&view), "")) {
		return;
	}
	buffer_append_str(plan->sql, "CREATE VIEW ");
	append_table(plan->sql, dataset->schema, buffer_str(&view), "");
	buffer_append_str(plan->sql, " AS\n  SELECT ");
	for (unsigned i = 0; i < dataset->n_fact; i++) {
		if (dataset->fact[i].lookup >= 0) {
			append_named_lookup(plan, (unsigned)dataset->fact[i].lookup);
		} else {
			buffer_append_str(plan->sql, "f.");
			pg_append_ident(plan->sql, dataset->fact[i].name);
			buffer_append_str(plan->sql, ", ");
		}
	}
	buffer_append_str(plan->sql, "f.run_id\n    FROM ");
	append_table(plan->sql, dataset->schema, dataset->table, "");
	buffer_append_str(plan->sql, " f");
	for (unsigned l = 0; l < dataset->n_lookups; l++) {
		buffer_append_str(plan->sql, "\n    LEFT JOIN ");
		append_table(plan->sql, dataset->lookups[l].schema, dataset->lookups[l].table, "");
		buffer_printf(plan->sql, " l%u ON l%u.id = f.\"%s_id\"\n    LEFT JOIN ", l, l,
			dataset->lookups[l].name);
		append_table(plan->sql, dataset->lookups[l].schema, dataset->lookups[l].table, "");
		buffer_printf(plan->sql, " c%u ON c%u.id = coalesce(l%u.same_as, l%u.id)", l, l, l,
			l);
	}
	end_statement(plan);
}

/* New tables of this plan are not granted yet; else the catalog knows whether all are. */
static void plan_grants(struct plan *plan, const char *schema, const char *writer, bool is_new)
{
	static const char *const rights[] = {
		"USAGE ON SCHEMA ",
		"SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ",
		"USAGE ON ALL SEQUENCES IN SCHEMA ",
	};

	if (!is_new && find(plan, 'g', schema, "", "")) {
		return;
	}
	for (unsigned i = 0; i < N_ELEMENTS(rights); i++) {
		buffer_printf(plan->sql, "GRANT %s", rights[i]);
		pg_append_ident(plan->sql, schema);
		buffer_append_str(plan->sql, " TO ");
		pg_append_ident(plan->sql, writer);
		end_statement(plan);
	}
}

static int plan_dataset(struct plan *plan, int32_t today, bool required_only)
{
	for (unsigned l = 0; l < plan->dataset->n_lookups; l++) {
		if (plan_lookup(plan, &plan->dataset->lookups[l]) < 0) {
			return -1;
		}
	}
	if (plan_fact(plan) < 0) {
		return -1;
	}
	plan_revision(plan);
	if (!required_only) {
		plan_partitions(plan, today);
		plan_indexes(plan);
		plan_named_view(plan);
	}
	return 0;
}

int schema_plan(const struct config *config, const struct catalog *catalog, const char *writer,
	int32_t today, bool required_only, struct buffer *sql, struct error *error)
{
	struct plan plan = {.config = config, .catalog = catalog, .sql = sql, .error = error};
	bool is_new;

	if (plan_migrations(&plan) < 0) {
		return -1;
	}
	for (unsigned d = 0; d < config->n_datasets; d++) {
		plan.dataset = config->datasets[d];
		if (plan_dataset(&plan, today, required_only) < 0) {
			return -1;
		}
	}
	is_new = plan.n_statements > 0;
	for (unsigned i = 0; writer && i < plan.n_schemas; i++) {
		plan_grants(&plan, plan.schemas[i], writer, is_new);
	}
	if (writer) {
		plan_grants(&plan, "ogdsync", writer, is_new);
	}
	return buffer_failed(sql) ? error_no_memory(error, "schema") : plan.n_statements;
}
