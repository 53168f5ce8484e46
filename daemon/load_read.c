/*
 * The load stage, first half: pages -> sorter, names -> ids, rejects -> quarantine.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/load_private.h"

#include <string.h>

enum { READS_PER_WORK = 64 }; /* pieces of 128 KiB, decoded or packed: some 20 ms, then a look around */

/* ---- reading the pages ---- */

static bool has_rows(const struct load *load)
{
	enum slice_state state = load->result.outcome.state;

	return state == SLICE_PROVEN || state == SLICE_PARTIAL;
}

/* Every row is in the table: the last rejects, then the books. */
enum step load_end_of_rows(struct load *load)
{
	load->lookup = 0;
	load->after_rejects = LOAD_ACTIVE;
	return load_enter(load, LOAD_REJECTS);
}

static enum step end_of_reading(struct load *load)
{
	struct intake_counts counts = intake_counts(load->intake);

	if (load->collecting) {
		return load_end_of_rows(load);
	}
	if (load_check_places(load) < 0) {
		return STEP_FAIL;
	}
	load->result.counts.received = counts.received;
	load->result.counts.quarantined = counts.quarantined;
	return load_enter(load, LOAD_SORT);
}

/*
 * In the thread pool, so that pages arrive and rows go to the server meanwhile. Until on_read the
 * intake, what it works on, and load->error are the worker's.
 */
static void work_read(uv_work_t *work)
{
	struct load *load = container_of(work, struct load, work);

	load->read = INTAKE_MORE;
	for (unsigned i = 0; i < READS_PER_WORK && load->read == INTAKE_MORE; i++) {
		load->read = intake_advance(load->intake, &load->error);
	}
}

static enum step take_read(struct load *load)
{
	switch (load->read) {
	case INTAKE_ERROR: /* load->error says why */
	case INTAKE_MORE:
		return STEP_GO;
	case INTAKE_NAMES:
		load->lookup = 0;
		return load_enter(load, LOAD_NAMES);
	case INTAKE_FULL:
		return load_enter(load, LOAD_SPILL);
	case INTAKE_REJECTS:
		load->after_rejects = LOAD_READ;
		return load_enter(load, LOAD_REJECTS);
	case INTAKE_END:
		break;
	}
	return end_of_reading(load);
}

static void on_read(uv_work_t *work, int status)
{
	struct load *load = container_of(work, struct load, work);

	(void)status;
	(void)take_read(load);
	load_go(load);
}

enum step load_step_read(struct load *load)
{
	return has_rows(load) ? load_work(load, work_read, on_read) : load_enter(load, LOAD_RUN);
}

static void on_name(void *arg, const struct pg_result *row)
{
	struct load *load = arg;
	struct field fields[LOOKUP_FIXED_FIELDS + LOOKUP_MAX_COLUMNS];

	load_result_fields(row, 0, fields, pg_n_columns(row));
	if (lookup_take_row(load->options.lookups, load->lookup, fields) < 0) {
		error_no_memory(&load->error, "load");
	}
}

static void on_names(void *arg, const struct error *error)
{
	struct load *load = arg;

	/* After a cancel the rows may have been left out. */
	if (!error && !load->canceled &&
		lookup_wanted(load->options.lookups, load->lookup) > 0) {
		error_set(&load->error, ERROR_RETRY, "load", "40001",
			"somebody else is adding the same names to %s.%s",
			load_dataset(load)->lookups[load->lookup].schema,
			load_dataset(load)->lookups[load->lookup].table);
	}
	load->lookup++;
	load_finish_operation(load, error);
}

enum step load_step_names(struct load *load)
{
	struct pgarray arrays[LOOKUP_MAX_COLUMNS + 1];
	struct pg_param params[LOOKUP_MAX_COLUMNS + 1];
	unsigned l = load->lookup, n;
	bool failed = false;

	if (l == load_dataset(load)->n_lookups) {
		return load_enter(load, LOAD_READ);
	}
	if (lookup_wanted(load->options.lookups, l) == 0) {
		load->lookup++;
		return STEP_GO;
	}
	buffer_clear(&load->sql);
	lookup_insert_sql(load->options.lookups, l, &load->sql);
	lookup_insert_arrays(load->options.lookups, l, arrays);
	n = load_array_params(arrays, load_dataset(load)->lookups[l].n_columns + 1, params, &failed);
	if (!failed && !buffer_failed(&load->sql)) {
		pg_query_rows(load->options.pg, buffer_str(&load->sql), params, n, on_name, on_names,
			load);
	}
	load_free_arrays(arrays, n);
	return failed || buffer_failed(&load->sql) ? load_no_memory(load) : STEP_WAIT;
}

static void work_spill(uv_work_t *work)
{
	struct load *load = container_of(work, struct load, work);

	load->work_result = load->state == LOAD_SPILL ? sorter_spill(load->sorter, &load->error)
						      : sorter_finish(load->sorter, &load->error);
}

static void on_spilled(uv_work_t *work, int status)
{
	struct load *load = container_of(work, struct load, work);

	(void)status;
	load->state = load->work_result < 0 ? load->state : load->next;
	load_go(load);
}

enum step load_step_spill(struct load *load)
{
	load->next = load->state == LOAD_SPILL ? LOAD_READ : LOAD_PARTITIONS;
	return load_work(load, work_spill, on_spilled);
}

static void on_rejects(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	(void)result;
	ledger_rejects_clear(&load->rejects);
	load->state = error ? load->state : load->after_rejects;
	load_finish_operation(load, error);
}

enum step load_step_rejects(struct load *load)
{
	if (load->rejects.n == 0) {
		return load_enter(load, load->after_rejects);
	}
	ledger_quarantine(load->options.pg, &load->result.header, &load->rejects, on_rejects, load);
	return STEP_WAIT;
}
