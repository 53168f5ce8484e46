/*
 * Dataset -> tables: what the database has, asked; what is missing, said or made.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: (apply: BEGIN and an advisory lock, so that two appliers wait for each other); is there a
 * migration table, and which versions; the catalog of the tables that the configuration names; the
 * plan; (check: are all rights there; apply: its statements, COMMIT). Any failure ends it; an open transaction is rolled back.
 */

#include "daemon/schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/migration.h"
#include "daemon/schema_rights.h"
#include "lib/pgarray.h"

/* "ogdsync" in ASCII: who else would take this lock? */
#define SCHEMA_LOCK_SQL "SELECT pg_advisory_xact_lock(31361549374583395)"

static const char catalog_sql[] =
	"WITH want AS (SELECT * FROM unnest($1::text[], $2::text[]) AS w (s, t)),"
	" rel AS (SELECT c.oid, n.nspname AS s, c.relname AS t, c.relkind"
	"  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	"  JOIN want w ON w.s = n.nspname AND w.t = c.relname)"
	" SELECT 's', n.nspname::text, '', '', '', false, 0 FROM pg_catalog.pg_namespace n"
	"  WHERE n.nspname = ANY ($1::text[])"
	" UNION ALL SELECT 'r', s, t, '', relkind::text, false, 0 FROM rel"
	" UNION ALL SELECT 'c', s, t, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
	"  coalesce((SELECT k.n FROM pg_catalog.pg_index i,"
	"   unnest(i.indkey::int2[]) WITH ORDINALITY AS k (att, n)"
	"   WHERE i.indrelid = rel.oid AND i.indisprimary AND k.att = a.attnum), 0)"
	"  FROM rel JOIN pg_catalog.pg_attribute a"
	"   ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped"
	" UNION ALL SELECT 'i', s, t, c.relname, '', false, 0"
	"  FROM rel JOIN pg_catalog.pg_index i ON i.indrelid = rel.oid"
	"  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
	" UNION ALL SELECT 'p', s, t, c.relname, pg_get_expr(c.relpartbound, c.oid), false, 0"
	"  FROM rel JOIN pg_catalog.pg_inherits h ON h.inhparent = rel.oid"
	"  JOIN pg_catalog.pg_class c ON c.oid = h.inhrelid"
	/* $3 is the writer, or NULL: a schema in which it has all it needs */
	" UNION ALL SELECT 'g', n.nspname::text, '', '', '', false, 0 FROM pg_catalog.pg_namespace n"
	"  WHERE n.nspname = ANY ($1::text[]) AND has_schema_privilege($3::name, n.oid, 'USAGE')"
	"  AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND CASE"
	"   WHEN c.relkind IN ('r', 'p', 'v') THEN NOT (has_table_privilege($3::name, c.oid, 'SELECT')"
	"    AND has_table_privilege($3::name, c.oid, 'INSERT')"
	"    AND has_table_privilege($3::name, c.oid, 'UPDATE')"
	"    AND has_table_privilege($3::name, c.oid, 'DELETE'))"
	"   WHEN c.relkind = 'S' THEN NOT has_sequence_privilege($3::name, c.oid, 'USAGE')"
	"   ELSE false END)";

struct schema {
	struct schema_options options;
	schema_done_fn on_done;
	void *arg;
	struct catalog catalog;
	struct buffer sql;
	struct schema_result result;
	struct error error;
	bool in_transaction;
};

static void finish(struct schema *schema)
{
	const struct error *error = error_is_set(&schema->error) ? &schema->error : NULL;

	schema->result.statements = buffer_str(&schema->sql);
	schema->on_done(schema->arg, &schema->result, error);
	catalog_fini(&schema->catalog);
	buffer_fini(&schema->sql);
	free(schema);
}

static void on_rolled_back(void *arg, const struct error *error)
{
	(void)error;
	finish(arg);
}

static void fail(struct schema *schema, const struct error *error)
{
	if (error) {
		error_clear(&schema->error);
		schema->error = *error;
	}
	if (schema->in_transaction && schema->error.class != ERROR_CANCELED &&
		pg_is_connected(schema->options.pg)) {
		pg_exec(schema->options.pg, "ROLLBACK", on_rolled_back, schema);
		return;
	}
	finish(schema);
}

static void on_applied(void *arg, const struct error *error)
{
	struct schema *schema = arg;

	schema->in_transaction = error != NULL;
	if (error) {
		fail(schema, error);
		return;
	}
	finish(schema);
}

/* A plan that is not empty means that a load would fail: say which command helps. */
static void refuse(struct schema *schema)
{
	bool any = false;

	for (size_t i = 0; i < schema->catalog.n_items; i++) {
		any |= schema->catalog.items[i].kind == 'm';
	}
	error_set(&schema->error, ERROR_REJECTED, "schema", any ? "schema_older" : "schema_missing",
		"the database %s: run `ogdsync schema apply` (%u statements; `ogdsync schema plan` "
		"shows them)",
		any ? "lacks tables that the configuration needs"
		    : "has no ogdsync schema yet",
		schema->result.n_statements);
}

static void on_rights(void *arg, const struct pg_result *result, const struct error *error)
{
	struct schema *schema = arg;

	if (error) {
		fail(schema, error);
	} else if (schema_rights_lack(result, &schema->error)) {
		fail(schema, NULL);
	} else {
		finish(schema);
	}
}

static void decide(struct schema *schema)
{
	bool check = schema->options.mode == SCHEMA_CHECK;
	int n = schema_plan(schema->options.config, &schema->catalog, schema->options.writer,
		schema->options.today, check, &schema->sql, &schema->error);

	if (n < 0) {
		fail(schema, NULL);
		return;
	}
	schema->result.n_statements = (unsigned)n;
	if (check && n == 0) {
		schema_rights_ask(schema->options.pg, schema->options.config, on_rights, schema);
		return;
	}
	if (check) {
		refuse(schema);
	}
	if (schema->options.mode == SCHEMA_APPLY) {
		_cleanup_buffer_ struct buffer sql = {0};

		buffer_printf(&sql, "%sCOMMIT", buffer_str(&schema->sql));
		pg_exec(schema->options.pg, buffer_str(&sql), on_applied, schema);
		return;
	}
	finish(schema);
}

static void on_catalog(void *arg, const struct pg_result *result, const struct error *error)
{
	struct schema *schema = arg;
	int r = 0;

	for (int i = 0; !error && i < pg_n_rows(result) && r == 0; i++) {
		r = catalog_add(&schema->catalog, pg_value(result, i, 0)[0], pg_value(result, i, 1),
			pg_value(result, i, 2),
			/* a partition's own name would only get in the way of finding it */
			pg_value(result, i, 0)[0] == 'p' ? "" : pg_value(result, i, 3),
			pg_value(result, i, 4), pg_bool(result, i, 5), (int)pg_i64(result, i, 6));
	}
	if (r < 0) {
		error_no_memory(&schema->error, "schema");
	}
	if (error || r < 0) {
		fail(schema, error);
		return;
	}
	decide(schema);
}

static void want(struct pgarray *schemas, struct pgarray *tables, const char *schema,
	const char *table, const char *suffix)
{
	_cleanup_buffer_ struct buffer name = {0};

	buffer_printf(&name, "%s%s", table, suffix);
	pgarray_add_text(schemas, schema);
	pgarray_add_text(tables, buffer_str(&name));
}

static void want_all(const struct config *config, struct pgarray *schemas, struct pgarray *tables)
{
	want(schemas, tables, "ogdsync", "migration", "");
	for (unsigned d = 0; d < config->n_datasets; d++) {
		const struct dataset *dataset = config->datasets[d];

		want(schemas, tables, dataset->schema, dataset->table, "");
		want(schemas, tables, dataset->schema, dataset->table, "_revision");
		want(schemas, tables, dataset->schema, dataset->table, "_named");
		for (unsigned l = 0; l < dataset->n_lookups; l++) {
			want(schemas, tables, dataset->lookups[l].schema, dataset->lookups[l].table, "");
		}
	}
}

static void ask_catalog(struct schema *schema)
{
	struct pgarray schemas, tables;
	struct pg_param params[3] = {{.data = NULL}};

	pgarray_init(&schemas, PG_OID_TEXT);
	pgarray_init(&tables, PG_OID_TEXT);
	want_all(schema->options.config, &schemas, &tables);
	params[0] = pgarray_param(&schemas);
	params[1] = pgarray_param(&tables);
	params[2].data = schema->options.writer;
	pg_query(schema->options.pg, catalog_sql, params, 3, on_catalog, schema);
	pgarray_fini(&schemas);
	pgarray_fini(&tables);
}

static void on_versions(void *arg, const struct pg_result *result, const struct error *error)
{
	struct schema *schema = arg;
	int r = 0;

	for (int i = 0; !error && i < pg_n_rows(result) && r == 0; i++) {
		r = catalog_add(&schema->catalog, 'm', "ogdsync", "migration", "", "", false,
			(int)pg_i64(result, i, 0));
	}
	if (r < 0) {
		error_no_memory(&schema->error, "schema");
	}
	if (error || r < 0) {
		fail(schema, error);
		return;
	}
	ask_catalog(schema);
}

static void on_table(void *arg, const struct pg_result *result, const struct error *error)
{
	struct schema *schema = arg;

	if (error) {
		fail(schema, error);
	} else if (pg_bool(result, 0, 0)) {
		pg_query(schema->options.pg, "SELECT version FROM ogdsync.migration ORDER BY version",
			NULL, 0, on_versions, schema);
	} else {
		ask_catalog(schema);
	}
}

/* to_regclass() fails on a schema one may not use, so ask the catalog. */
static void ask_table(struct schema *schema)
{
	pg_query(schema->options.pg,
		"SELECT EXISTS (SELECT FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE n.nspname = 'ogdsync' AND c.relname = 'migration')",
		NULL, 0, on_table, schema);
}

static void on_locked(void *arg, const struct error *error)
{
	struct schema *schema = arg;

	schema->in_transaction = true;
	if (error) {
		fail(schema, error);
		return;
	}
	ask_table(schema);
}

int schema_start(const struct schema_options *options, schema_done_fn on_done, void *arg)
{
	struct schema *schema = calloc(1, sizeof(*schema));

	if (!schema) {
		return -ENOMEM;
	}
	schema->options = *options;
	schema->on_done = on_done;
	schema->arg = arg;
	if (options->mode == SCHEMA_APPLY) {
		pg_exec(options->pg, "BEGIN; " SCHEMA_LOCK_SQL, on_locked, schema);
	} else {
		ask_table(schema);
	}
	return 0;
}
