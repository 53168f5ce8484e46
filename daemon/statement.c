/*
 * The text of the statements on a dataset's tables. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/statement.h"

#include "daemon/date.h"
#include "daemon/partition.h"
#include "lib/pg.h"

void statement_append_columns(struct buffer *sql, const struct dataset *dataset, unsigned from,
	unsigned to, const char *prefix)
{
	for (unsigned i = from; i < to; i++) {
		buffer_append_str(sql, i > from ? ", " : "");
		buffer_append_str(sql, prefix);
		pg_append_ident(sql, dataset->fact[i].name);
	}
}

static void append_fact_table(struct buffer *sql, const struct dataset *dataset)
{
	append_table(sql, dataset->schema, dataset->table, "");
}

/* The fact column that stands for a lookup. */
static const char *find_lookup_column(const struct dataset *dataset, int lookup)
{
	for (unsigned i = 0; i < dataset->n_fact; i++) {
		if (dataset->fact[i].lookup == lookup) {
			return dataset->fact[i].name;
		}
	}
	return "";
}

void statement_copy(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "COPY ");
	append_fact_table(sql, dataset);
	buffer_append_str(sql, " (");
	statement_append_columns(sql, dataset, 0, dataset->n_fact, "");
	buffer_append_str(sql, ", run_id) FROM STDIN (FORMAT binary)");
}

void statement_copy_revisions(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "COPY ");
	append_table(sql, dataset->schema, dataset->table, "_revision");
	buffer_append_str(sql, " (");
	statement_append_columns(sql, dataset, 0, dataset->n_fact, "");
	buffer_append_str(sql, ", run_id, replaced_by) FROM STDIN (FORMAT binary)");
}

int statement_day_key(const struct dataset *dataset)
{
	int date = dataset->fact_date;

	/* A date that is no part of the key says nothing about where a key is stored. */
	if (date < 0 || (unsigned)date >= dataset->n_key) {
		return -1;
	}
	for (unsigned k = 0; k < dataset->n_key; k++) {
		if (k != (unsigned)date) {
			return dataset->fact[k].type == COLUMN_ID ? (int)k : -1;
		}
	}
	return -1;
}

void statement_copy_known(const struct dataset *dataset, int32_t day, const char *ids,
	struct buffer *sql)
{
	buffer_append_str(sql, "COPY (SELECT ");
	statement_append_columns(sql, dataset, 0, dataset->n_fact, "");
	buffer_append_str(sql, ", run_id FROM ");
	append_fact_table(sql, dataset);
	buffer_append_str(sql, " WHERE ");
	pg_append_ident(sql, dataset->fact[dataset->fact_date].name);
	buffer_append_str(sql, " = '");
	date_format(day, "%Y-%m-%d", sql);
	buffer_append_str(sql, "'::date AND ");
	pg_append_ident(sql, dataset->fact[statement_day_key(dataset)].name);
	buffer_append_str(sql, " = ANY ('{");
	buffer_append_str(sql, ids);
	buffer_append_str(sql, "}'::integer[])) TO STDOUT (FORMAT binary)");
}

static void append_unnest(struct buffer *sql, const struct dataset *dataset, unsigned n)
{
	buffer_append_str(sql, "unnest(");
	for (unsigned i = 0; i < n; i++) {
		buffer_printf(sql, "%s$%u", i > 0 ? ", " : "", i + 1);
	}
	buffer_append_str(sql, ") AS u (");
	statement_append_columns(sql, dataset, 0, n, "");
	buffer_append_str(sql, ")");
}

void statement_append_key_equal(struct buffer *sql, const struct dataset *dataset)
{
	for (unsigned k = 0; k < dataset->n_key; k++) {
		buffer_append_str(sql, k > 0 ? " AND t." : "t.");
		pg_append_ident(sql, dataset->fact[k].name);
		buffer_append_str(sql, " = u.");
		pg_append_ident(sql, dataset->fact[k].name);
	}
}

void statement_known_keys(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "SELECT ");
	statement_append_columns(sql, dataset, 0, dataset->n_fact, "t.");
	buffer_append_str(sql, ", t.run_id FROM ");
	append_unnest(sql, dataset, dataset->n_key);
	buffer_append_str(sql, " JOIN ");
	append_fact_table(sql, dataset);
	buffer_append_str(sql, " t ON ");
	statement_append_key_equal(sql, dataset);
}

void statement_update(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "UPDATE ");
	append_fact_table(sql, dataset);
	buffer_append_str(sql, " t SET ");
	for (unsigned i = dataset->n_key; i < dataset->n_fact; i++) {
		pg_append_ident(sql, dataset->fact[i].name);
		buffer_append_str(sql, " = u.");
		pg_append_ident(sql, dataset->fact[i].name);
		buffer_append_str(sql, ", ");
	}
	buffer_printf(sql, "run_id = $%u::bigint FROM ", dataset->n_fact + 1);
	append_unnest(sql, dataset, dataset->n_fact);
	buffer_append_str(sql, " WHERE ");
	statement_append_key_equal(sql, dataset);
}

void statement_count_active(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "SELECT count(*), count(*) FILTER (WHERE is_active) FROM ");
	append_fact_table(sql, dataset);
}

void statement_activate(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "UPDATE ");
	append_fact_table(sql, dataset);
	buffer_append_str(sql, " t SET is_active = true FROM ");
	append_unnest(sql, dataset, dataset->n_key);
	buffer_append_str(sql, " WHERE NOT t.is_active AND ");
	statement_append_key_equal(sql, dataset);
}

/* " AND (t.key, ..) > (($1)[..], ..)" */
static void append_bound(struct buffer *sql, const struct dataset *dataset, const char *compare,
	bool last)
{
	buffer_append_str(sql, " AND (");
	statement_append_columns(sql, dataset, 0, dataset->n_key, "t.");
	buffer_printf(sql, ") %s (", compare);
	for (unsigned k = 1; k <= dataset->n_key; k++) {
		buffer_append_str(sql, k > 1 ? ", " : "");
		if (last) {
			buffer_printf(sql, "($%u)[cardinality($%u)]", k, k);
		} else {
			buffer_printf(sql, "($%u)[1]", k);
		}
	}
	buffer_append_char(sql, ')');
}

void statement_deactivate(const struct dataset *dataset, bool has_begin, bool has_end,
	struct buffer *sql)
{
	buffer_append_str(sql, "UPDATE ");
	append_fact_table(sql, dataset);
	buffer_append_str(sql, " t SET is_active = false WHERE t.is_active");
	if (has_begin) {
		append_bound(sql, dataset, ">", false);
	}
	if (has_end) {
		append_bound(sql, dataset, "<=", true);
	}
	/* No column of a key is NULL. NOT IN is hashed without knowing how many keys there are. */
	buffer_append_str(sql, " AND (");
	statement_append_columns(sql, dataset, 0, dataset->n_key, "t.");
	buffer_append_str(sql, ") NOT IN (SELECT ");
	statement_append_columns(sql, dataset, 0, dataset->n_key, "u.");
	buffer_append_str(sql, " FROM ");
	append_unnest(sql, dataset, dataset->n_key);
	buffer_append_char(sql, ')');
}

void statement_count_day(const struct dataset *dataset, int column, struct buffer *sql)
{
	int lookup = column >= 0 ? dataset->columns[column].lookup : -1;
	const char *of = lookup >= 0 ? "l." : "t.";

	buffer_append_str(sql, "SELECT count(*) FROM ");
	append_fact_table(sql, dataset);
	buffer_append_str(sql, " AS t");
	if (lookup >= 0) {
		const struct lookup_def *def = &dataset->lookups[lookup];

		buffer_append_str(sql, " JOIN ");
		append_table(sql, def->schema, def->table, "");
		buffer_printf(sql, " AS l ON l.id = t.");
		pg_append_ident(sql, find_lookup_column(dataset, lookup));
	}
	buffer_append_str(sql, " WHERE t.");
	pg_append_ident(sql, dataset->columns[dataset->date].name);
	buffer_append_str(sql, " = date '1970-01-01' + $1::int");
	if (column >= 0) {
		buffer_append_str(sql, " AND ");
		buffer_append_str(sql, of);
		pg_append_ident(sql, dataset->columns[column].name);
		buffer_append_str(sql, " = $2::text");
	}
}
