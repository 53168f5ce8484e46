/*
 * Fill a dataset's lookups from their tables. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/lookup_read.h"

static void next(struct lookup_read *read);

static void on_row(void *arg, const struct pg_result *row)
{
	struct lookup_read *read = arg;
	struct field fields[LOOKUP_FIXED_FIELDS + LOOKUP_MAX_COLUMNS];

	for (int i = 0; i < pg_n_columns(row); i++) {
		fields[i].len = pg_is_null(row, 0, i) ? -1 : pg_value_len(row, 0, i);
		fields[i].data = pg_value(row, 0, i);
	}
	if (lookup_take_row(read->set, read->lookup, fields) < 0) {
		error_no_memory(&read->error, "lookup");
	}
}

static void on_rows(void *arg, const struct error *error)
{
	struct lookup_read *read = arg;

	if (!error && error_is_set(&read->error)) {
		error = &read->error;
	}
	read->lookup++;
	if (!error && read->lookup < read->dataset->n_lookups) {
		next(read);
		return;
	}
	if (!error) {
		lookup_commit(read->set);
	}
	read->on_done(read->arg, error);
}

static void next(struct lookup_read *read)
{
	_cleanup_buffer_ struct buffer sql = {0};

	lookup_select_sql(read->set, read->lookup, &sql);
	pg_query_rows(read->pg, buffer_str(&sql), NULL, 0, on_row, on_rows, read);
}

bool lookup_read_start(struct lookup_read *read, struct pg *pg, const struct dataset *dataset,
	struct lookup_set *set, pg_done_fn on_done, void *arg)
{
	*read = (struct lookup_read){
		.pg = pg, .dataset = dataset, .set = set, .on_done = on_done, .arg = arg};
	if (dataset->n_lookups == 0) {
		return false;
	}
	next(read);
	return true;
}
