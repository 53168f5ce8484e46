/*
 * Range partitions by year or month of the data date. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/partition.h"

#include <stdio.h>
#include <string.h>

#include "daemon/intake.h"
#include "daemon/normalise.h"
#include "lib/civil.h"
#include "lib/pg.h"

enum { BOUND_TEXT_BYTES = 32, FIRST_YEAR = 1900 };

const char partition_list_sql[] =
	"SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid),"
	" pg_catalog.has_schema_privilege(n.oid, 'CREATE')"
	" AND pg_catalog.pg_has_role(p.relowner, 'USAGE')"
	" FROM pg_catalog.pg_class p"
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace"
	" LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid"
	" LEFT JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relispartition"
	" WHERE n.nspname = $1 AND p.relname = $2";

static int32_t first_of_month(int year, int month)
{
	return (int32_t)civil_to_day(month > 12 ? year + 1 : year, month > 12 ? 1 : month, 1);
}

struct day_range partition_of(enum partition_by by, int32_t day,
	char suffix[static PARTITION_SUFFIX_BYTES])
{
	struct civil date = civil_from_day(day);

	if (by == PARTITION_MONTH) {
		snprintf(suffix, PARTITION_SUFFIX_BYTES, "_%04d_%02d", date.year, date.month);
		return (struct day_range){
			.from = first_of_month(date.year, date.month),
			.to = first_of_month(date.year, date.month + 1),
		};
	}
	snprintf(suffix, PARTITION_SUFFIX_BYTES, "_%04d", date.year);
	return (struct day_range){
		.from = first_of_month(date.year, 1),
		.to = first_of_month(date.year + 1, 1),
	};
}

/* One end of a bound: 'yyyy-mm-dd', MINVALUE or MAXVALUE. */
static int parse_end(const char *text, int32_t *ret)
{
	int y, m, d;

	if (strcmp(text, "MINVALUE") == 0) {
		*ret = INT32_MIN + 1;
		return 0;
	}
	if (strcmp(text, "MAXVALUE") == 0) {
		*ret = INT32_MAX;
		return 0;
	}
	if (sscanf(text, "'%d-%d-%d'", &y, &m, &d) != 3) {
		return -1;
	}
	*ret = (int32_t)civil_to_day(y, m, d);
	return 0;
}

int partition_parse_bound(const char *bound, struct day_range *ret)
{
	char from[BOUND_TEXT_BYTES], to[BOUND_TEXT_BYTES];
	struct day_range range = {.from = INT32_MIN + 1, .to = INT32_MAX};

	if (strcmp(bound, "DEFAULT") != 0) {
		if (sscanf(bound, "FOR VALUES FROM (%31[^)]) TO (%31[^)])", from, to) != 2 ||
			parse_end(from, &range.from) < 0 || parse_end(to, &range.to) < 0) {
			return -1;
		}
	}
	*ret = range;
	return 0;
}

void append_table(struct buffer *out, const char *schema, const char *table, const char *suffix)
{
	_cleanup_buffer_ struct buffer name = {0};

	buffer_printf(&name, "%s%s", table, suffix);
	pg_append_ident(out, schema);
	buffer_append_char(out, '.');
	pg_append_ident(out, buffer_str(&name));
	out->failed |= buffer_failed(&name);
}

void partition_create_sql(const struct dataset *dataset, struct day_range range, const char *suffix,
	struct buffer *sql)
{
	buffer_append_str(sql, "CREATE TABLE ");
	append_table(sql, dataset->schema, dataset->table, suffix);
	buffer_append_str(sql, " (LIKE ");
	append_table(sql, dataset->schema, dataset->table, "");
	buffer_append_str(sql, " INCLUDING DEFAULTS INCLUDING CONSTRAINTS);\nALTER TABLE ");
	append_table(sql, dataset->schema, dataset->table, "");
	buffer_append_str(sql, " ATTACH PARTITION ");
	append_table(sql, dataset->schema, dataset->table, suffix);
	buffer_append_str(sql, " FOR VALUES FROM ('");
	date_format(range.from, "%Y-%m-%d", sql);
	buffer_append_str(sql, "') TO ('");
	date_format(range.to, "%Y-%m-%d", sql);
	buffer_append_str(sql, "');\n");
}

struct day_range partition_makeable(int32_t today)
{
	return (struct day_range){
		.from = first_of_month(FIRST_YEAR, 1),
		.to = first_of_month(civil_from_day(today).year + 2, 1),
	};
}

bool partition_has(const struct day_range *ranges, unsigned n_ranges, int32_t day)
{
	for (unsigned i = 0; i < n_ranges; i++) {
		if (ranges[i].from <= day && day < ranges[i].to) {
			return true;
		}
	}
	return false;
}

int32_t partition_missing(const struct day_range *existing, unsigned n_existing,
	const struct day_count *days, unsigned n_days)
{
	for (unsigned i = 0; i < n_days; i++) {
		if (!partition_has(existing, n_existing, days[i].day)) {
			return days[i].day;
		}
	}
	return INT32_MIN;
}
