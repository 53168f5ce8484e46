/*
 * ogdsync doctor: the database. SPDX-License-Identifier: Apache-2.0
 *
 * Connects as the daemon does, compares the tables as the daemon does, and asks the server's own
 * catalog for every right that a load takes: reading, inserting and updating in the bookkeeping
 * schema, the tables of each dataset, their revisions and lookups, and the sequences behind them.
 */

#include <string.h>
#include <time.h>

#include "cli/doctor.h"
#include "daemon/schema.h"
#include "lib/pgarray.h"

enum { CONNECT_TIMEOUT_MS = 10000 };

static bool is_code(const struct error *error, const char *code)
{
	return strcmp(error->code, code) == 0;
}

static const char *remedy_for_connection(const struct error *error)
{
	if (strncmp(error->code, "28", 2) == 0) {
		return "look at the role and password in database.dsn, and at pg_hba.conf";
	}
	if (is_code(error, "3D000")) {
		return "make the database: createdb --owner=ROLE NAME";
	}
	if (is_code(error, "dsn") || is_code(error, "config")) {
		return "look at database.dsn";
	}
	if (strncmp(error->code, "53", 2) == 0) {
		return "raise max_connections, or the role's connection limit";
	}
	return "see that PostgreSQL runs and listens where database.dsn says";
}

void doctor_check_database(struct doctor *doctor, struct finding *finding)
{
	struct database *database = &doctor->database;
	struct pg_options options = {
		.dsn = database->config->database.dsn,
		.application_name = "ogdsync",
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
	};
	struct error error = {.class = ERROR_NONE};

	if (config_require(database->config, CONFIG_NEED_DSN, &error) == 0 &&
		pg_new(&database->loop, &options, &database->pg, &error) == 0) {
		pg_connect(database->pg, database_done, database);
		if (database_wait(database) < 0) {
			error = database->error;
		}
	}
	if (error_is_set(&error)) {
		finding_set(
			finding, FINDING_CRITICAL, remedy_for_connection(&error), "%s", error.text);
		return;
	}
	finding_set(finding, FINDING_OK, NULL, "connected as %s", pg_user(database->pg));
}

static void on_schema(void *arg, const struct schema_result *result, const struct error *error)
{
	(void)result;
	database_done(arg, error);
}

static const char *remedy_for_schema(const struct error *error)
{
	if (is_code(error, "schema_newer")) {
		return "install the version of ogdsync that made these tables, or a later one";
	}
	if (is_code(error, "schema_differs")) {
		return "let the dataset's file and the table agree; `ogdsync schema plan` compares "
		       "them";
	}
	return "run `ogdsync schema apply --writer ROLE` as the owner of the database";
}

void doctor_check_schema(struct doctor *doctor, struct finding *finding)
{
	struct database *database = &doctor->database;
	struct schema_options options = {
		.pg = database->pg,
		.config = database->config,
		.mode = SCHEMA_CHECK,
		.today = (int32_t)(time(NULL) / 86400),
	};

	/* A right that is lacking is for the next check to name: the tables are there. */
	if (schema_start(&options, on_schema, database) < 0) {
		finding_set(finding, FINDING_UNKNOWN, NULL, "out of memory");
	} else if (database_wait(database) < 0 && !is_code(&database->error, "42501")) {
		finding_set(finding, FINDING_CRITICAL, remedy_for_schema(&database->error), "%s",
			database->error.text);
	} else {
		finding_set(finding, FINDING_OK, NULL, "the tables are as configured");
	}
}

/* What is lacking, an object in a line: "mandi.price: INSERT, UPDATE". */
static const char rights_sql[] =
	"WITH want AS (SELECT * FROM unnest($1::text[], $2::text[]) AS w (s, t)),"
	" ours AS (SELECT DISTINCT s FROM want UNION SELECT 'ogdsync'),"
	" lacking AS (SELECT n.nspname || '.' || c.relname AS name, r.p"
	"  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	"  CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE')) AS r (p)"
	"  WHERE c.relkind IN ('r', 'p') AND NOT has_table_privilege(c.oid, r.p)"
	"   AND (n.nspname = 'ogdsync' OR (n.nspname, c.relname) IN (SELECT s, t FROM want))"
	" UNION ALL SELECT n.nspname || '.' || c.relname, 'USAGE'"
	"  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	"  JOIN pg_catalog.pg_depend d ON d.objid = c.oid AND d.deptype IN ('a', 'i')"
	"  JOIN pg_catalog.pg_class t ON t.oid = d.refobjid"
	"  WHERE (n.nspname, t.relname) IN (SELECT s, t FROM want)"
	"   AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE') END"
	" UNION ALL SELECT 'schema ' || n.nspname, 'USAGE' FROM pg_catalog.pg_namespace n"
	"  WHERE n.nspname IN (SELECT s FROM ours) AND NOT has_schema_privilege(n.oid, 'USAGE'))"
	" SELECT name || ': ' || string_agg(p, ', ' ORDER BY p) FROM lacking GROUP BY name"
	" ORDER BY name";

static void add_table(struct pgarray *schemas, struct pgarray *tables, const char *schema,
	const char *table, const char *end)
{
	_cleanup_buffer_ struct buffer name = {0};

	buffer_printf(&name, "%s%s", table, end);
	pgarray_add_text(schemas, schema);
	pgarray_add_text(tables, buffer_str(&name));
}

static void add_tables(const struct config *config, struct pgarray *schemas, struct pgarray *tables)
{
	for (unsigned i = 0; i < config->n_datasets; i++) {
		const struct dataset *dataset = config->datasets[i];

		add_table(schemas, tables, dataset->schema, dataset->table, "");
		add_table(schemas, tables, dataset->schema, dataset->table, "_revision");
		for (unsigned j = 0; j < dataset->n_lookups; j++) {
			const struct lookup_def *lookup = &dataset->lookups[j];

			add_table(schemas, tables, lookup->schema, lookup->table, "");
		}
	}
}

static void on_rights(void *arg, const struct pg_result *result)
{
	struct finding *finding = arg;
	int n = pg_n_rows(result);

	if (n == 0) {
		finding_set(finding, FINDING_OK, NULL, "all that a load takes");
		return;
	}
	finding_set(finding, FINDING_CRITICAL,
		"run `ogdsync schema apply --writer ROLE` as the owner of the database",
		"%d objects lack rights: %s%s%s", n, pg_value(result, 0, 0), n > 1 ? "; " : "",
		n > 1 ? pg_value(result, 1, 0) : "");
}

void doctor_check_rights(struct doctor *doctor, struct finding *finding)
{
	struct pgarray schemas, tables;
	struct pg_param params[2];

	pgarray_init(&schemas, PG_OID_TEXT);
	pgarray_init(&tables, PG_OID_TEXT);
	add_tables(doctor->database.config, &schemas, &tables);
	params[0] = pgarray_param(&schemas);
	params[1] = pgarray_param(&tables);
	if (database_query(&doctor->database, rights_sql, params, N_ELEMENTS(params), on_rights,
		    finding) < 0) {
		finding_set(finding, FINDING_UNKNOWN, "look at the server's log", "%s",
			doctor->database.error.text);
	}
	pgarray_fini(&schemas);
	pgarray_fini(&tables);
}
