/*
 * The text of the statements that undo a run. SPDX-License-Identifier: Apache-2.0
 *
 * Of several revisions of a key that the run replaced the last one counts: the run was then the one
 * before it too, or came back by force. Where old values are not kept, there are no revisions, and
 * only what the run inserted can be undone: see the caller.
 */

#include "daemon/rollback.h"

#include "daemon/partition.h"
#include "daemon/statement.h"
#include "lib/pg.h"

static bool has_revisions(const struct dataset *dataset)
{
	return dataset->on_change == ON_CHANGE_REVISE;
}

static void append_fact(struct buffer *sql, const struct dataset *dataset)
{
	append_table(sql, dataset->schema, dataset->table, "");
}

static void append_revision(struct buffer *sql, const struct dataset *dataset)
{
	append_table(sql, dataset->schema, dataset->table, "_revision");
}

static void append_key(struct buffer *sql, const struct dataset *dataset, const char *prefix)
{
	statement_append_columns(sql, dataset, 0, dataset->n_key, prefix);
}

/* " FROM t JOIN revision u ..": the revisions that rows of the run may return to. */
static void append_old(struct buffer *sql, const struct dataset *dataset)
{
	buffer_append_str(sql, " FROM ");
	append_fact(sql, dataset);
	buffer_append_str(sql, " t JOIN ");
	append_revision(sql, dataset);
	buffer_append_str(sql, " u ON ");
	statement_append_key_equal(sql, dataset);
	buffer_append_str(sql, " WHERE t.run_id = $1::bigint AND u.replaced_by = $1 AND u.run_id <> $1");
}

/* " FROM revision u .. ": values of the run that another one has replaced. */
static void append_changed(struct buffer *sql, const struct dataset *dataset)
{
	buffer_append_str(sql, " FROM ");
	append_revision(sql, dataset);
	buffer_append_str(sql, " u");
	for (unsigned l = 0; l < dataset->n_lookups; l++) {
		buffer_append_str(sql, " LEFT JOIN ");
		append_table(sql, dataset->lookups[l].schema, dataset->lookups[l].table, "");
		buffer_printf(sql, " l%u ON l%u.id = u.\"%s_id\"", l, l, dataset->lookups[l].name);
	}
	buffer_append_str(sql, " WHERE u.run_id = $1::bigint AND u.replaced_by <> $1"
			       " AND NOT EXISTS (SELECT FROM ");
	append_fact(sql, dataset);
	buffer_append_str(sql, " t WHERE t.run_id = $1 AND ");
	statement_append_key_equal(sql, dataset);
	buffer_append_char(sql, ')');
}

void rollback_count_sql(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "SELECT (SELECT count(*) FROM ");
	append_fact(sql, dataset);
	buffer_append_str(sql, " WHERE run_id = $1::bigint)");
	if (!has_revisions(dataset)) {
		buffer_append_str(sql, ", 0, 0, 0");
		return;
	}
	buffer_append_str(sql, ", (SELECT count(*) FROM (SELECT DISTINCT ");
	append_key(sql, dataset, "u.");
	append_old(sql, dataset);
	buffer_append_str(sql, ") AS old), (SELECT count(*) FROM (SELECT DISTINCT ");
	append_key(sql, dataset, "u.");
	append_changed(sql, dataset);
	buffer_append_str(sql, ") AS changed), (SELECT count(*) FROM ");
	append_revision(sql, dataset);
	buffer_append_str(sql, " WHERE replaced_by = $1)");
}

/* The names behind a column of the key. */
static void append_names(struct buffer *sql, const struct dataset *dataset, unsigned k)
{
	const struct fact_column *fact = &dataset->fact[k];

	if (fact->lookup < 0) {
		buffer_append_str(sql, "u.");
		pg_append_ident(sql, fact->name);
		buffer_append_str(sql, "::text, ");
		return;
	}
	for (unsigned c = 0; c < dataset->lookups[fact->lookup].n_columns; c++) {
		buffer_printf(sql, "l%d.", fact->lookup);
		pg_append_ident(sql,
			dataset->columns[dataset->lookups[fact->lookup].columns[c]].name);
		buffer_append_str(sql, "::text, ");
	}
}

void rollback_changed_sql(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "SELECT DISTINCT ");
	for (unsigned k = 0; k < dataset->n_key; k++) {
		append_names(sql, dataset, k);
	}
	buffer_append_str(sql, "u.replaced_by");
	append_changed(sql, dataset);
	buffer_append_str(sql, " ORDER BY 1 LIMIT $2::bigint");
}

void rollback_dates_sql(const struct dataset *dataset, struct buffer *sql)
{
	if (dataset->fact_date < 0) {
		buffer_append_str(sql, "SELECT '{}'::date[] WHERE $1::bigint IS NOT NULL");
		return;
	}
	buffer_append_str(sql, "SELECT coalesce(array_agg(DISTINCT ");
	pg_append_ident(sql, dataset->fact[dataset->fact_date].name);
	buffer_append_str(sql, "), '{}') FROM ");
	append_fact(sql, dataset);
	buffer_append_str(sql, " WHERE run_id = $1::bigint");
}

void rollback_restore_sql(const struct dataset *dataset, struct buffer *sql)
{
	if (!has_revisions(dataset)) {
		buffer_append_str(sql, "SELECT 0 WHERE $1::bigint IS NOT NULL");
		return;
	}
	buffer_append_str(sql, "WITH u AS MATERIALIZED (SELECT DISTINCT ON (");
	append_key(sql, dataset, "u.");
	buffer_append_str(sql, ") u.ctid AS place, ");
	statement_append_columns(sql, dataset, 0, dataset->n_fact, "u.");
	buffer_append_str(sql, ", u.run_id");
	append_old(sql, dataset);
	buffer_append_str(sql, " ORDER BY ");
	append_key(sql, dataset, "u.");
	buffer_append_str(sql, ", u.replaced_at DESC, u.ctid DESC), back AS (UPDATE ");
	append_fact(sql, dataset);
	buffer_append_str(sql, " t SET ");
	for (unsigned i = dataset->n_key; i < dataset->n_fact; i++) {
		pg_append_ident(sql, dataset->fact[i].name);
		buffer_append_str(sql, " = u.");
		pg_append_ident(sql, dataset->fact[i].name);
		buffer_append_str(sql, ", ");
	}
	buffer_append_str(sql, "run_id = u.run_id FROM u WHERE ");
	statement_append_key_equal(sql, dataset);
	buffer_append_str(sql, " RETURNING 1), gone AS (DELETE FROM ");
	append_revision(sql, dataset);
	buffer_append_str(sql, " r USING u WHERE r.ctid = u.place) SELECT count(*) FROM back");
}

void rollback_delete_sql(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "WITH gone AS (DELETE FROM ");
	append_fact(sql, dataset);
	buffer_append_str(sql, " WHERE run_id = $1::bigint RETURNING 1)");
	if (has_revisions(dataset)) { /* of a key that the run itself changed twice */
		buffer_append_str(sql, ", own AS (DELETE FROM ");
		append_revision(sql, dataset);
		buffer_append_str(sql, " WHERE run_id = $1 AND replaced_by = $1)");
	}
	buffer_append_str(sql, " SELECT count(*) FROM gone");
}

void rollback_left_sql(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "SELECT EXISTS (SELECT FROM ");
	append_fact(sql, dataset);
	buffer_append_str(sql, "), ARRAY(SELECT d FROM unnest($1::date[]) AS d WHERE ");
	if (dataset->fact_date < 0) {
		buffer_append_str(sql, "false)");
		return;
	}
	buffer_append_str(sql, "EXISTS (SELECT FROM ");
	append_fact(sql, dataset);
	buffer_append_str(sql, " t WHERE t.");
	pg_append_ident(sql, dataset->fact[dataset->fact_date].name);
	buffer_append_str(sql, " = d))");
}
