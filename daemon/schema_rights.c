/*
 * Whether the connected role may do what a load does. SPDX-License-Identifier: Apache-2.0
 *
 * Asked after each connect, so that a missing right is found before a load, explained once, and seen
 * to be granted. A right on some columns passes: which ones a load needs is then the server's to say.
 */

#include "daemon/schema_rights.h"

#include <stdio.h>

#include "lib/pgarray.h"

struct wanted {
	struct pgarray schemas, tables, rights;
};

static void want(struct wanted *wanted, const char *schema, const char *table, const char *suffix,
	const char *right)
{
	_cleanup_buffer_ struct buffer name = {0};

	buffer_printf(&name, "%s%s", table, suffix);
	pgarray_add_text(&wanted->schemas, schema);
	pgarray_add_text(&wanted->tables, buffer_str(&name));
	pgarray_add_text(&wanted->rights, right);
}

static void want_to_keep(struct wanted *wanted, const char *schema, const char *table)
{
	want(wanted, schema, table, "", "SELECT");
	want(wanted, schema, table, "", "INSERT");
	want(wanted, schema, table, "", "UPDATE");
}

static void want_dataset(struct wanted *wanted, const struct dataset *dataset)
{
	want_to_keep(wanted, dataset->schema, dataset->table);
	want(wanted, dataset->schema, dataset->table, "_revision", "INSERT");
	for (unsigned l = 0; l < dataset->n_lookups; l++) {
		want_to_keep(wanted, dataset->lookups[l].schema, dataset->lookups[l].table);
	}
}

void schema_rights_ask(struct pg *pg, const struct config *config, pg_result_fn on_result, void *arg)
{
	static const char *const books[] = {"lease", "run", "run_slice", "coverage", "quarantine"};
	struct wanted wanted;
	struct pg_param params[3];

	pgarray_init(&wanted.schemas, PG_OID_TEXT);
	pgarray_init(&wanted.tables, PG_OID_TEXT);
	pgarray_init(&wanted.rights, PG_OID_TEXT);
	for (unsigned i = 0; i < N_ELEMENTS(books); i++) {
		want_to_keep(&wanted, "ogdsync", books[i]);
	}
	for (unsigned d = 0; d < config->n_datasets; d++) {
		want_dataset(&wanted, config->datasets[d]);
	}
	params[0] = pgarray_param(&wanted.schemas);
	params[1] = pgarray_param(&wanted.tables);
	params[2] = pgarray_param(&wanted.rights);
	pg_query(pg,
		"SELECT current_user, string_agg(w.p || ' on ' || w.s || '.' || w.t, ', '"
		"  ORDER BY w.s, w.t, w.p)"
		" FROM unnest($1::text[], $2::text[], $3::text[]) AS w (s, t, p)"
		" JOIN pg_catalog.pg_namespace n ON n.nspname = w.s"
		" JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.t"
		" WHERE NOT has_schema_privilege(n.oid, 'USAGE')"
		" OR NOT has_any_column_privilege(c.oid, w.p)",
		params, N_ELEMENTS(params), on_result, arg);
	pgarray_fini(&wanted.schemas);
	pgarray_fini(&wanted.tables);
	pgarray_fini(&wanted.rights);
}

bool schema_rights_lack(const struct pg_result *result, struct error *error)
{
	if (pg_is_null(result, 0, 1)) {
		return false;
	}
	error_set(error, ERROR_REJECTED, "schema", "42501",
		"the role %s lacks %s: run `ogdsync schema apply --writer %s`",
		pg_value(result, 0, 0), pg_value(result, 0, 1), pg_value(result, 0, 0));
	return true;
}
