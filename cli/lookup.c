/*
 * Rows of lookup tables. SPDX-License-Identifier: Apache-2.0
 */

#include "cli/lookup.h"

#include <inttypes.h>
#include <string.h>

#include "cli/document.h"
#include "daemon/partition.h"
#include "lib/exitcode.h"

/* ---- which lookup ---- */

static bool has_name(const char *name, const char *begin, const char *end)
{
	return strlen(name) == (size_t)(end - begin) && memcmp(name, begin, (size_t)(end - begin)) == 0;
}

/* "market" or "mandi_prices/market", up to `end`. Returns how many there are of it. */
static unsigned find_places(const struct config *config, const char *text, const char *end,
	struct lookup_place *ret)
{
	const char *slash = memchr(text, '/', (size_t)(end - text));
	const char *lookup = slash ? slash + 1 : text;
	unsigned n = 0;

	for (unsigned d = 0; d < config->n_datasets; d++) {
		const struct dataset *dataset = config->datasets[d];

		for (unsigned l = 0; l < dataset->n_lookups; l++) {
			if (has_name(dataset->lookups[l].name, lookup, end) &&
				(!slash || has_name(dataset->name, text, slash))) {
				*ret = (struct lookup_place){dataset, &dataset->lookups[l]};
				n++;
			}
		}
	}
	return n;
}

int lookup_place(struct cli *cli, const struct config *config, const char *text,
	const char *end, struct lookup_place *ret)
{
	unsigned n = find_places(config, text, end, ret);

	if (n == 0) {
		return cli_error(cli, EXITCODE_USAGE, "no dataset has a lookup '%.*s'",
			(int)(end - text), text);
	}
	return n == 1 ? 0
		      : cli_error(cli, EXITCODE_USAGE,
				"several datasets have a lookup '%.*s': write DATASET/LOOKUP",
				(int)(end - text), text);
}

/* "market:17", with the dataset where the lookup's name is not enough. */
void lookup_append_id(const struct config *config, struct lookup_place place, int64_t id, struct buffer *out)
{
	const char *name = place.lookup->name;
	struct lookup_place found;

	if (find_places(config, name, name + strlen(name), &found) > 1) {
		buffer_printf(out, "%s/", place.dataset->name);
	}
	buffer_printf(out, "%s:%" PRId64, name, id);
}

/* ---- reading ---- */

static const char *column_name(struct lookup_place place, unsigned c)
{
	return place.dataset->columns[place.lookup->columns[c]].name;
}

enum { FIXED = 6 }; /* columns before the texts */

static void select_sql(struct lookup_place place, const char *where, struct buffer *sql)
{
	buffer_append_str(sql, "SELECT t.id, coalesce(t.same_as, 0), (SELECT count(*) FROM ");
	append_table(sql, place.lookup->schema, place.lookup->table, "");
	buffer_append_str(sql, " x WHERE x.same_as = t.id),"
			       " (coalesce(t.last_seen, '1900-01-01') - date '1900-01-01') * 100000::bigint"
			       " + (coalesce(t.first_seen, '1900-01-01') - date '1900-01-01'),"
			       " t.first_seen, t.last_seen");
	for (unsigned c = 0; c < place.lookup->n_columns; c++) {
		buffer_append_str(sql, ", t.");
		pg_append_ident(sql, column_name(place, c));
	}
	buffer_append_str(sql, " FROM ");
	append_table(sql, place.lookup->schema, place.lookup->table, "");
	buffer_printf(sql, " t WHERE %s ORDER BY t.id", where);
}

static char *text_or_null(const struct pg_result *result, int row, int column)
{
	return pg_is_null(result, row, column) ? NULL : strdup(pg_value(result, row, column));
}

static int take_name(const struct pg_result *result, int row, unsigned n_columns, struct lookup_name *ret)
{
	*ret = (struct lookup_name){
		.id = pg_i64(result, row, 0),
		.same_as = pg_i64(result, row, 1),
		.n_pointed = pg_i64(result, row, 2),
		.rank = pg_i64(result, row, 3),
		.first_seen = text_or_null(result, row, 4),
		.last_seen = text_or_null(result, row, 5),
		.texts = calloc(n_columns, sizeof(*ret->texts)),
	};
	for (unsigned c = 0; ret->texts && c < n_columns; c++) {
		ret->texts[c].data = text_or_null(result, row, FIXED + (int)c);
		ret->texts[c].len =
			ret->texts[c].data ? pg_value_len(result, row, FIXED + (int)c) : -1;
	}
	return ret->texts ? 0 : -1;
}

static void on_names(void *arg, const struct pg_result *result)
{
	struct lookup_names *names = arg;
	int n = pg_n_rows(result);

	names->list = calloc((size_t)n + 1, sizeof(*names->list));
	names->failed = !names->list;
	for (int i = 0; i < n && !names->failed; i++) {
		names->failed = take_name(result, i, names->place.lookup->n_columns,
					&names->list[names->n]) < 0;
		names->n++;
	}
}

void lookup_names_free(struct lookup_names *names)
{
	for (unsigned i = 0; i < names->n; i++) {
		struct lookup_name *name = &names->list[i];

		for (unsigned c = 0; name->texts && c < names->place.lookup->n_columns; c++) {
			free((char *)name->texts[c].data);
		}
		free(name->texts);
		free(name->first_seen);
		free(name->last_seen);
	}
	free(names->list);
	*names = (struct lookup_names){0};
}

int lookup_names_read(struct database *database, struct lookup_place place, const char *where,
	struct lookup_names *ret)
{
	_cleanup_buffer_ struct buffer sql = {0};

	*ret = (struct lookup_names){.place = place};
	select_sql(place, where, &sql);
	if (!buffer_failed(&sql) && database_query(database, buffer_str(&sql), NULL, 0, on_names,
					    ret) < 0) {
		return database_fail(database->cli, &database->error);
	}
	return buffer_failed(&sql) || ret->failed
		       ? cli_error(database->cli, EXITCODE_SOFTWARE, "out of memory")
		       : 0;
}

/* ---- showing ---- */

void lookup_append_texts(const struct lookup_names *names, const struct lookup_name *name, struct buffer *out)
{
	for (unsigned c = 0; c < names->place.lookup->n_columns; c++) {
		buffer_printf(out, "%s%s", c ? " / " : "",
			name->texts[c].data ? (const char *)name->texts[c].data : "-");
	}
}

json_t *lookup_name_json(const struct config *config, const struct lookup_names *names,
	const struct lookup_name *name)
{
	_cleanup_buffer_ struct buffer id = {0};
	json_t *texts = json_object();

	lookup_append_id(config, names->place, name->id, &id);
	for (unsigned c = 0; texts && c < names->place.lookup->n_columns; c++) {
		const char *text = name->texts[c].data;

		(void)json_object_set_new(texts, column_name(names->place, c),
			text ? json_string(text) : json_null());
	}
	return json_pack("{s:s, s:o, s:o, s:o}", "id", buffer_str(&id), "names", texts,
		"first_seen", document_text(name->first_seen), "last_seen",
		document_text(name->last_seen));
}
