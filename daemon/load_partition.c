/*
 * The load stage: partitions for the dates of a slice. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: before the pages are read it is known which partitions there are, and whether we
 * may make more; when all dates are known, those that are missing are made.
 *
 * Failure modes: a date has no place in the table, for we may not make one, or nobody would (the year
 * 206). Its rows go to quarantine, and the others are loaded. If these are more than the dataset's
 * quarantine_limit, the fault is the table's and not the rows': the slice fails as `no_partition`,
 * stays in the spool, and is loaded when somebody has made the partition.
 */

#include "daemon/load_private.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/date.h"

enum { MAX_RANGES = 1024 };

static void add_range(struct load *load, struct day_range range)
{
	if (load->n_partitions < MAX_RANGES) {
		load->partitions[load->n_partitions++] = range;
	}
}

static void take_list(struct load *load, const struct pg_result *result)
{
	struct day_range range;
	int n = pg_n_rows(result);

	load->n_partitions = 0;
	if (load->state == LOAD_PLACES && n > 0 && pg_value(result, 0, 1)[0] == 't') {
		add_range(load, partition_makeable(
					(int32_t)(clock_wall_us(load->options.clock) / 86400000000)));
	}
	for (int i = 0; i < n; i++) {
		if (!pg_is_null(result, i, 0) &&
			partition_parse_bound(pg_value(result, i, 0), &range) == 0) {
			add_range(load, range);
		}
	}
}

static void on_list(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	if (!error) {
		take_list(load, result);
		load->state = load->next;
	}
	load_finish_operation(load, error);
}

static enum step list(struct load *load, enum load_state next)
{
	struct pg_param params[] = {
		{.data = load_dataset(load)->schema},
		{.data = load_dataset(load)->table},
	};

	if (!load->partitions) {
		load->partitions = calloc(MAX_RANGES, sizeof(*load->partitions));
	}
	if (!load->partitions) {
		return load_no_memory(load);
	}
	load->next = next;
	pg_query(load->options.pg, partition_list_sql, params, N_ELEMENTS(params), on_list, load);
	return STEP_WAIT;
}

/* ---- before the rows ---- */

enum step load_step_places(struct load *load)
{
	if (load_dataset(load)->partition == PARTITION_NONE) {
		return load_enter(load, LOAD_READ);
	}
	return list(load, LOAD_OPEN);
}

enum step load_step_open(struct load *load)
{
	intake_places(load->intake, load->partitions, load->n_partitions);
	return load_enter(load, LOAD_READ);
}

int load_check_places(struct load *load)
{
	const struct dataset *dataset = load_dataset(load);
	struct intake_counts counts = intake_counts(load->intake);
	_cleanup_buffer_ struct buffer day = {0};

	if (counts.homeless * 1000000 <= counts.received * dataset->quarantine_limit_ppm) {
		return 0;
	}
	date_format(counts.homeless_day, "%Y-%m-%d", &day);
	return error_set(&load->error, ERROR_REJECTED, "load", "no_partition",
		"%s.%s has no partition for the dates of %llu of %llu rows, like %s, and this role may"
		" not make one: run `ogdsync schema apply`",
		dataset->schema, dataset->table, (unsigned long long)counts.homeless,
		(unsigned long long)counts.received, buffer_str(&day));
}

/* ---- behind them ---- */

enum step load_step_partitions(struct load *load)
{
	if (load_dataset(load)->partition == PARTITION_NONE) {
		return load_enter(load, LOAD_FILL);
	}
	return list(load, LOAD_ATTACH);
}

static void on_attached(void *arg, const struct error *error)
{
	struct load *load = arg;

	load->state = error ? load->state : LOAD_PARTITIONS;
	load_finish_operation(load, error);
}

enum step load_step_attach(struct load *load)
{
	char suffix[PARTITION_SUFFIX_BYTES];
	struct day_range range;
	unsigned n_days;
	const struct day_count *days = intake_days(load->intake, &n_days);
	int32_t day = partition_missing(load->partitions, load->n_partitions, days, n_days);

	if (day == INT32_MIN) {
		return load_enter(load, LOAD_FILL);
	}
	range = partition_of(load_dataset(load)->partition, day, suffix);
	buffer_clear(&load->sql);
	partition_create_sql(load_dataset(load), range, suffix, &load->sql);
	if (buffer_failed(&load->sql)) {
		return load_no_memory(load);
	}
	pg_exec(load->options.pg, buffer_str(&load->sql), on_attached, load);
	return STEP_WAIT;
}
