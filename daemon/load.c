/*
 * The load stage: one slice out of the spool into the table, in one transaction.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The happy path of a load is:
 *   - BEGIN; is the slice's uuid in the ledger already? Then roll back and report its counts.
 *   - Lock the lease row: another holder means that we may not write ("fenced").
 *   - Read the spool file piece by piece into the sorter (intake.c). Names that are new are
 *     inserted on the way, rejected records are written to quarantine in portions.
 *   - Make partitions that are missing for the dates found.
 *   - Then batch by batch in key order (batch.c): read the stored rows of its keys, COPY the new
 *     ones, UPDATE the changed ones, COPY their old values into the revisions.
 *   - Records that lost a conflict are fetched from the spool once more, for quarantine.
 *   - Books: dates of the names, the run's counters, the slice, its coverage. COMMIT.
 *
 * Possible failure modes are:
 *   - A statement fails, the connection is lost: the transaction is gone, everything is as before;
 *     the error's class says whether the same again may succeed. 23505 and 40001 are of that kind:
 *     somebody else wrote the same keys meanwhile.
 *   - The connection is lost after COMMIT was sent: class UNCERTAIN; the next load of the same uuid
 *     finds out.
 *   - The spool file is damaged, or a page does not decode: REJECTED; the file stays.
 *   - Canceled: at the next step, unless COMMIT was sent.
 *
 * A slice that has nothing to load (failed or suspect fetch) takes the same way without rows: its
 * attempt is booked.
 */

#include "daemon/load.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/batch.h"
#include "daemon/intake.h"
#include "daemon/partition.h"
#include "daemon/statement.h"
#include "lib/sorter.h"

enum {
	BATCH_ROWS = 50000,
	PROBE_ROWS = 10000,
	UPDATE_ROWS = 10000,
	READS_PER_TURN = 16, /* pieces of 128 KiB, decoded or packed */
	MAX_PARTITIONS = 1024,
	MAX_QUERY_PARAMS = DIFF_MAX_FIELDS + 1,
};

enum load_state {
	LOAD_BEGIN,
	LOAD_FIND,
	LOAD_FENCE,
	LOAD_READ,
	LOAD_NAMES,
	LOAD_SPILL,
	LOAD_REJECTS,
	LOAD_SORT,
	LOAD_PARTITIONS,
	LOAD_ATTACH,
	LOAD_FILL,
	LOAD_KNOWN,
	LOAD_COPY,
	LOAD_UPDATE,
	LOAD_REVISE,
	LOAD_SEEN,
	LOAD_RUN,
	LOAD_SLICE,
	LOAD_COVER,
	LOAD_COMMIT,
	LOAD_ROLLBACK,
	LOAD_DONE,
	N_LOAD_STATES,
};

enum step {
	STEP_WAIT, /* an operation was started; its callback goes on */
	STEP_GO,   /* the state changed: go on at once */
	STEP_FAIL, /* load->error says why */
};

struct load {
	struct load_options options;
	load_done_fn on_done;
	void *arg;
	enum load_state state, next; /* next: after the present operation */
	struct error error;
	struct load_result result;
	uint64_t started_ms;
	bool canceled, collecting;

	struct spool_reader *reader;
	struct sorter *sorter;
	struct intake *intake;
	struct batch *batch;
	struct ledger_rejects rejects;
	struct buffer sql, piece;

	unsigned lookup;              /* in LOAD_NAMES and LOAD_SEEN */
	enum load_state after_rejects;
	uint32_t batch_rows, cursor;  /* in the batch's outputs */
	uint32_t sent;                /* rows of the present UPDATE */
	struct day_range *partitions;
	unsigned n_partitions;
	unsigned cover;               /* next coverage row: 0 the slice, then the days */

	uv_idle_t idle; /* one step of reading for each turn of the loop */
	uv_work_t work; /* spilling and sorting block */
	int work_result;
};

static void load_go(struct load *load);

static const struct dataset *dataset_of(const struct load *load)
{
	return load->options.dataset;
}

static bool has_rows(const struct load *load)
{
	enum slice_state state = load->result.outcome.state;

	return state == SLICE_PROVEN || state == SLICE_PARTIAL;
}

/* ---- how operations end ---- */

static void take_error(struct load *load, const struct error *error)
{
	if (!error_is_set(&load->error)) {
		load->error = *error;
	}
}

static void finish_operation(struct load *load, const struct error *error)
{
	if (error) {
		take_error(load, error);
	}
	load_go(load);
}

static void on_statement(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	(void)result;
	load->state = error ? load->state : load->next;
	finish_operation(load, error);
}

static void on_exec(void *arg, const struct error *error)
{
	on_statement(arg, NULL, error);
}

static enum step enter(struct load *load, enum load_state next)
{
	load->state = next;
	return STEP_GO;
}

static enum step fail_memory(struct load *load)
{
	error_no_memory(&load->error, "load");
	return STEP_FAIL;
}

/* Run load->sql; afterwards `next`. */
static enum step query(struct load *load, const struct pg_param *params, unsigned n_params,
	enum load_state next)
{
	load->next = next;
	if (buffer_failed(&load->sql)) {
		return fail_memory(load);
	}
	pg_query(load->options.pg, buffer_str(&load->sql), params, n_params, on_statement, load);
	return STEP_WAIT;
}

static unsigned array_params(struct pgarray *arrays, unsigned n, struct pg_param *params,
	bool *ret_failed)
{
	for (unsigned i = 0; i < n; i++) {
		params[i] = pgarray_param(&arrays[i]);
		*ret_failed |= buffer_failed(&arrays[i].bytes);
	}
	return n;
}

static void free_arrays(struct pgarray *arrays, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pgarray_fini(&arrays[i]);
	}
}

/* ---- the transaction begins ---- */

static enum step step_begin(struct load *load)
{
	load->next = LOAD_FIND;
	pg_exec(load->options.pg,
		"BEGIN;"
		" SET LOCAL synchronous_commit = on;"
		" SET LOCAL lock_timeout = '30s';"
		" SET LOCAL idle_in_transaction_session_timeout = '5min';"
		" SET LOCAL client_connection_check_interval = '10s'",
		on_exec, load);
	return STEP_WAIT;
}

static void on_found(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	if (!error && pg_n_rows(result) > 0) {
		ledger_read_counts(result, &load->result.counts);
		load->result.already = true;
		load->state = LOAD_ROLLBACK;
	} else if (!error) {
		load->state = load->options.fence ? LOAD_FENCE : LOAD_READ;
	}
	finish_operation(load, error);
}

static enum step step_find(struct load *load)
{
	ledger_find_slice(load->options.pg, load->result.header.uuid, on_found, load);
	return STEP_WAIT;
}

static void on_fenced(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	if (!error && pg_n_rows(result) != 1) {
		error_set(&load->error, ERROR_RETRY, "load", "fenced",
			"another daemon holds the lease on this database");
	} else if (!error) {
		load->state = LOAD_READ;
	}
	finish_operation(load, error);
}

static enum step step_fence(struct load *load)
{
	pg_query(load->options.pg, load->options.fence, NULL, 0, on_fenced, load);
	return STEP_WAIT;
}

/* ---- reading the pages ---- */

static void on_idle(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	load_go(container_of(idle, struct load, idle));
}

static enum step again(struct load *load)
{
	uv_idle_start(&load->idle, on_idle);
	return STEP_WAIT;
}

/* Every row is in the table: the last rejects, then the books. */
static enum step end_of_rows(struct load *load)
{
	load->lookup = 0;
	load->after_rejects = LOAD_SEEN;
	return enter(load, LOAD_REJECTS);
}

static enum step end_of_reading(struct load *load)
{
	struct intake_counts counts = intake_counts(load->intake);

	if (load->collecting) {
		return end_of_rows(load);
	}
	load->result.counts.received = counts.received;
	load->result.counts.quarantined = counts.quarantined;
	return enter(load, LOAD_SORT);
}

/*
 * Some 10 ms of reading for a turn of the loop. With less the pages that arrive meanwhile take all
 * the time, and the server has nothing to do until they have all come.
 */
static enum intake_step read_on(struct load *load)
{
	enum intake_step step = INTAKE_MORE;

	for (unsigned i = 0; i < READS_PER_TURN && step == INTAKE_MORE; i++) {
		step = intake_advance(load->intake, &load->error);
	}
	return step;
}

static enum step step_read(struct load *load)
{
	if (!has_rows(load)) {
		return enter(load, LOAD_RUN);
	}
	switch (read_on(load)) {
	case INTAKE_ERROR:
		return STEP_FAIL;
	case INTAKE_MORE:
		return again(load);
	case INTAKE_NAMES:
		load->lookup = 0;
		return enter(load, LOAD_NAMES);
	case INTAKE_FULL:
		return enter(load, LOAD_SPILL);
	case INTAKE_REJECTS:
		load->after_rejects = LOAD_READ;
		return enter(load, LOAD_REJECTS);
	case INTAKE_END:
		break;
	}
	return end_of_reading(load);
}

static void result_fields(const struct pg_result *result, int row, struct field *fields, int n)
{
	for (int i = 0; i < n; i++) {
		fields[i].len = pg_is_null(result, row, i) ? -1 : pg_value_len(result, row, i);
		fields[i].data = pg_value(result, row, i);
	}
}

static void on_name(void *arg, const struct pg_result *row)
{
	struct load *load = arg;
	struct field fields[LOOKUP_FIXED_FIELDS + LOOKUP_MAX_COLUMNS];

	result_fields(row, 0, fields, pg_n_columns(row));
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
			dataset_of(load)->lookups[load->lookup].schema,
			dataset_of(load)->lookups[load->lookup].table);
	}
	load->lookup++;
	finish_operation(load, error);
}

static enum step step_names(struct load *load)
{
	struct pgarray arrays[LOOKUP_MAX_COLUMNS + 1];
	struct pg_param params[LOOKUP_MAX_COLUMNS + 1];
	unsigned l = load->lookup, n;
	bool failed = false;

	if (l == dataset_of(load)->n_lookups) {
		return enter(load, LOAD_READ);
	}
	if (lookup_wanted(load->options.lookups, l) == 0) {
		load->lookup++;
		return STEP_GO;
	}
	buffer_clear(&load->sql);
	lookup_insert_sql(load->options.lookups, l, &load->sql);
	lookup_insert_arrays(load->options.lookups, l, arrays);
	n = array_params(arrays, dataset_of(load)->lookups[l].n_columns + 1, params, &failed);
	if (!failed && !buffer_failed(&load->sql)) {
		pg_query_rows(load->options.pg, buffer_str(&load->sql), params, n, on_name, on_names,
			load);
	}
	free_arrays(arrays, n);
	return failed || buffer_failed(&load->sql) ? fail_memory(load) : STEP_WAIT;
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

static enum step step_spill(struct load *load)
{
	load->next = load->state == LOAD_SPILL ? LOAD_READ : LOAD_PARTITIONS;
	if (uv_queue_work(load->options.loop, &load->work, work_spill, on_spilled) < 0) {
		return fail_memory(load);
	}
	return STEP_WAIT;
}

static void on_rejects(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	(void)result;
	ledger_rejects_clear(&load->rejects);
	load->state = error ? load->state : load->after_rejects;
	finish_operation(load, error);
}

static enum step step_rejects(struct load *load)
{
	if (load->rejects.n == 0) {
		return enter(load, load->after_rejects);
	}
	ledger_quarantine(load->options.pg, &load->result.header, &load->rejects, on_rejects, load);
	return STEP_WAIT;
}

/* ---- partitions ---- */

static void on_partitions(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;
	int n = error ? 0 : pg_n_rows(result);

	load->n_partitions = 0;
	for (int i = 0; i < n && load->n_partitions < MAX_PARTITIONS; i++) {
		if (partition_parse_bound(pg_value(result, i, 0),
			    &load->partitions[load->n_partitions]) == 0) {
			load->n_partitions++;
		}
	}
	load->state = error ? load->state : LOAD_ATTACH;
	finish_operation(load, error);
}

static enum step step_partitions(struct load *load)
{
	struct pg_param params[] = {
		{.data = dataset_of(load)->schema},
		{.data = dataset_of(load)->table},
	};

	if (dataset_of(load)->partition == PARTITION_NONE) {
		return enter(load, LOAD_FILL);
	}
	free(load->partitions);
	load->partitions = calloc(MAX_PARTITIONS, sizeof(*load->partitions));
	if (!load->partitions) {
		return fail_memory(load);
	}
	pg_query(load->options.pg, partition_list_sql, params, N_ELEMENTS(params), on_partitions,
		load);
	return STEP_WAIT;
}

/* Without the rights of an owner the day has nowhere to go: say what helps. */
static void on_attached(void *arg, const struct error *error)
{
	struct load *load = arg;

	if (error && strcmp(error->code, "42501") == 0) {
		error_set(&load->error, ERROR_REJECTED, "load", "no_partition",
			"%s.%s has no partition for a date of this slice and this role may not make "
			"one: run `ogdsync schema apply`",
			dataset_of(load)->schema, dataset_of(load)->table);
	}
	load->state = error ? load->state : LOAD_PARTITIONS;
	finish_operation(load, error);
}

static enum step step_attach(struct load *load)
{
	char suffix[PARTITION_SUFFIX_BYTES];
	struct day_range range;
	unsigned n_days;
	const struct day_count *days = intake_days(load->intake, &n_days);
	int32_t day = partition_missing(load->partitions, load->n_partitions, days, n_days);

	if (day == INT32_MIN) {
		return enter(load, LOAD_FILL);
	}
	range = partition_of(dataset_of(load)->partition, day, suffix);
	buffer_clear(&load->sql);
	partition_create_sql(dataset_of(load), range, suffix, &load->sql);
	if (buffer_failed(&load->sql)) {
		return fail_memory(load);
	}
	pg_exec(load->options.pg, buffer_str(&load->sql), on_attached, load);
	return STEP_WAIT;
}

/* ---- batches ---- */

static bool by_day(const struct load *load, int32_t *ret_day)
{
	return statement_day_key(dataset_of(load)) >= 0 && batch_one_day(load->batch, ret_day);
}

static enum step make_batch(struct load *load)
{
	struct batch_options options = {
		.dataset = dataset_of(load),
		.run = load->result.header.run,
		.force = load->options.force,
		.memory_bytes = load->options.memory_bytes / 4,
		.sorter = load->sorter,
	};

	options.days = intake_days(load->intake, &options.n_days);
	options.max_rows = statement_day_key(dataset_of(load)) >= 0 && options.n_days == 1
				   ? BATCH_ROWS
				   : PROBE_ROWS;
	return batch_new(&options, &load->batch) < 0 ? fail_memory(load) : STEP_GO;
}

static enum step end_of_batches(struct load *load)
{
	struct row_counts *counts = &load->result.counts;
	const struct row_origin *conflicts;
	size_t n;

	batch_count(load->batch, counts);
	conflicts = batch_conflicts(load->batch, &n);
	if (n == 0) {
		return end_of_rows(load);
	}
	if (spool_reader_rewind(load->reader, &load->error) < 0) {
		return STEP_FAIL;
	}
	intake_collect(load->intake, conflicts, n);
	load->collecting = true;
	return enter(load, LOAD_READ);
}

static enum step step_fill(struct load *load)
{
	if (!load->batch && make_batch(load) == STEP_FAIL) {
		return STEP_FAIL;
	}
	if (batch_fill(load->batch, &load->batch_rows, &load->error) < 0) {
		return STEP_FAIL;
	}
	load->cursor = 0;
	return load->batch_rows == 0 ? end_of_batches(load) : enter(load, LOAD_KNOWN);
}

static void on_known(void *arg, const struct pg_result *row)
{
	struct load *load = arg;
	struct field fields[DIFF_MAX_FIELDS + 1];

	result_fields(row, 0, fields, pg_n_columns(row));
	if (batch_known(load->batch, fields) < 0) {
		error_no_memory(&load->error, "load");
	}
}

static void on_all_known(void *arg, const struct error *error)
{
	struct load *load = arg;

	if (!error) {
		load->state = LOAD_COPY;
		load->cursor = 0;
	}
	finish_operation(load, error);
}

static enum step ask_known(struct load *load, const struct pg_param *params, unsigned n)
{
	if (buffer_failed(&load->sql)) {
		return fail_memory(load);
	}
	pg_query_rows(load->options.pg, buffer_str(&load->sql), params, n, on_known, on_all_known,
		load);
	return STEP_WAIT;
}

static enum step known_of_day(struct load *load, int32_t day)
{
	unsigned k = (unsigned)statement_day_key(dataset_of(load));
	unsigned char store[4];
	struct field date = field_date(day, store);
	struct pg_param params[2] = {
		{.data = date.data, .len = date.len, .binary = true, .oid = PG_OID_DATE},
	};
	struct pgarray values;
	enum step step;

	batch_key_values(load->batch, k, &values);
	params[1] = pgarray_param(&values);
	statement_known_day(dataset_of(load), &load->sql);
	step = buffer_failed(&values.bytes) ? fail_memory(load) : ask_known(load, params, 2);
	pgarray_fini(&values);
	return step;
}

static enum step step_known(struct load *load)
{
	struct pgarray arrays[DIFF_MAX_FIELDS];
	struct pg_param params[MAX_QUERY_PARAMS];
	bool failed = false;
	int32_t day;
	enum step step;
	unsigned n;

	buffer_clear(&load->sql);
	if (by_day(load, &day)) {
		return known_of_day(load, day);
	}
	statement_known_keys(dataset_of(load), &load->sql);
	batch_key_arrays(load->batch, 0, load->batch_rows, arrays);
	n = array_params(arrays, dataset_of(load)->n_key, params, &failed);
	step = failed ? fail_memory(load) : ask_known(load, params, n);
	free_arrays(arrays, n);
	return step;
}

/* Put pieces until the socket is full or the rows are at their end. */
static void feed_copy(struct load *load)
{
	bool revise = load->state == LOAD_REVISE, more = true;

	while (more) {
		more = revise ? batch_copy_revisions(load->batch, &load->cursor, &load->piece)
			      : batch_copy_new(load->batch, &load->cursor, &load->piece);
		if (!more) {
			copyrow_trailer(&load->piece);
		}
		if (buffer_failed(&load->piece)) {
			error_no_memory(&load->error, "load");
			pg_copy_fail(load->options.pg, "out of memory");
			return;
		}
		if (pg_copy_put(load->options.pg, load->piece.data, load->piece.len) > 0 && more) {
			buffer_clear(&load->piece);
			return;
		}
		buffer_clear(&load->piece);
	}
	pg_copy_end(load->options.pg);
}

static void on_copy_ready(void *arg)
{
	feed_copy(arg);
}

static void on_copied(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;
	struct batch_verdicts v = batch_verdicts(load->batch);
	uint64_t sent = load->state == LOAD_REVISE ? v.n_changed : v.n_new;

	if (!error && (uint64_t)pg_affected(result) != sent) {
		error_set(&load->error, ERROR_REJECTED, "load", "copy_count",
			"COPY stored %lld of %llu rows", (long long)pg_affected(result),
			(unsigned long long)sent);
	}
	load->cursor = 0;
	load->state = error ? load->state : load->next;
	finish_operation(load, error);
}

static enum step start_copy(struct load *load, enum load_state next)
{
	struct pg_copy_in copy = {
		.on_ready = on_copy_ready,
		.on_drain = on_copy_ready,
		.on_done = on_copied,
		.arg = load,
	};

	load->next = next;
	load->cursor = 0;
	buffer_clear(&load->piece);
	copyrow_header(&load->piece);
	pg_copy_in(load->options.pg, buffer_str(&load->sql), &copy);
	return STEP_WAIT;
}

static enum step step_copy(struct load *load)
{
	if (batch_verdicts(load->batch).n_new == 0) {
		return enter(load, LOAD_UPDATE);
	}
	buffer_clear(&load->sql);
	statement_copy(dataset_of(load), &load->sql);
	return buffer_failed(&load->sql) ? fail_memory(load) : start_copy(load, LOAD_UPDATE);
}

static void on_updated(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	if (!error && pg_affected(result) != load->sent) {
		error_set(&load->error, ERROR_RETRY, "load", "40001",
			"%u rows were to be updated, %lld were: somebody else changes the same rows",
			load->sent, (long long)pg_affected(result));
	}
	finish_operation(load, error);
}

static enum step step_update(struct load *load)
{
	struct pgarray arrays[DIFF_MAX_FIELDS];
	struct pg_param params[MAX_QUERY_PARAMS];
	unsigned char store[8];
	struct field run = field_int8(load->result.header.run, store);
	bool failed = false;
	unsigned n;

	load->sent = batch_update_arrays(load->batch, &load->cursor, UPDATE_ROWS, arrays);
	n = array_params(arrays, dataset_of(load)->n_fact, params, &failed);
	params[n] = (struct pg_param){
		.data = run.data, .len = run.len, .binary = true, .oid = PG_OID_INT8};
	buffer_clear(&load->sql);
	statement_update(dataset_of(load), &load->sql);
	failed |= buffer_failed(&load->sql);
	if (load->sent > 0 && !failed) {
		pg_query(load->options.pg, buffer_str(&load->sql), params, n + 1, on_updated, load);
	}
	free_arrays(arrays, n);
	if (failed) {
		return fail_memory(load);
	}
	return load->sent > 0 ? STEP_WAIT : enter(load, LOAD_REVISE);
}

static enum step step_revise(struct load *load)
{
	if (batch_verdicts(load->batch).n_changed == 0) {
		return enter(load, LOAD_FILL);
	}
	buffer_clear(&load->sql);
	statement_copy_revisions(dataset_of(load), &load->sql);
	return buffer_failed(&load->sql) ? fail_memory(load) : start_copy(load, LOAD_FILL);
}

/* ---- the books ---- */

static void on_seen(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	(void)result;
	load->lookup++;
	finish_operation(load, error);
}

static enum step step_seen(struct load *load)
{
	struct pgarray arrays[3];
	struct pg_param params[3];
	bool failed = false;
	unsigned n;

	if (load->lookup == dataset_of(load)->n_lookups) {
		return enter(load, LOAD_RUN);
	}
	buffer_clear(&load->sql);
	lookup_seen_sql(load->options.lookups, load->lookup, &load->sql);
	n = lookup_seen_arrays(load->options.lookups, load->lookup, arrays);
	array_params(arrays, N_ELEMENTS(arrays), params, &failed);
	failed |= buffer_failed(&load->sql);
	if (n > 0 && !failed) {
		pg_query(load->options.pg, buffer_str(&load->sql), params, N_ELEMENTS(params),
			on_seen, load);
	}
	free_arrays(arrays, N_ELEMENTS(arrays));
	if (failed) {
		return fail_memory(load);
	}
	load->lookup += n == 0;
	return n > 0 ? STEP_WAIT : STEP_GO;
}

static enum step step_run(struct load *load)
{
	const struct spool_header *header = &load->result.header;
	struct ledger_run run = {
		.id = header->run,
		.dataset = header->dataset,
		.source = header->source,
		.trigger = header->trigger,
		.started_us = header->started_us,
		.n_slices = load->options.n_slices,
	};

	load->next = LOAD_SLICE;
	ledger_add_to_run(load->options.pg, &run, &load->result.counts, on_statement, load);
	return STEP_WAIT;
}

static enum step step_slice(struct load *load)
{
	load->next = LOAD_COVER;
	load->cover = 0;
	ledger_add_slice(load->options.pg, &load->result.header, &load->result.outcome,
		&load->result.counts, on_statement, load);
	return STEP_WAIT;
}

/* A data date is over at `day_ends` of the next day in India. */
static bool day_is_over(const struct load *load, int32_t day)
{
	const int64_t ist_us = (int64_t)(5 * 3600 + 1800) * 1000000;
	int64_t end_us = ((int64_t)(day + 1) * 86400 + dataset_of(load)->day_ends_s) * 1000000;

	return load->result.outcome.finished_us + ist_us >= end_us;
}

static const char *cover_state(const struct load *load, int32_t day)
{
	switch (load->result.outcome.state) {
	case SLICE_PROVEN:
		return day == INT32_MIN || day_is_over(load, day) ? "complete" : "open";
	case SLICE_PARTIAL:
		return "partial";
	case SLICE_SUSPECT:
		return "suspect";
	case SLICE_FAILED:
		break;
	}
	return "missing";
}

static void on_covered(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	(void)result;
	load->cover++;
	finish_operation(load, error);
}

static void cover_slice(struct load *load, struct ledger_cover *cover)
{
	const struct spool_outcome *outcome = &load->result.outcome;

	cover->slice = load->result.header.slice;
	cover->day = load->result.header.day;
	cover->expected = outcome->expected;
	cover->received = load->result.counts.received;
	cover->distinct = outcome->distinct;
	cover->quarantined = load->result.counts.quarantined;
}

/* A source without `slice:` says something about each date found in its rows. */
static void cover_day(const struct day_count *day, struct buffer *name, struct ledger_cover *cover)
{
	date_format(day->day, "%Y-%m-%d", name);
	cover->slice = buffer_str(name);
	cover->day = day->day;
	cover->expected = -1;
	cover->received = day->received;
	cover->distinct = day->distinct;
}

static enum step step_cover(struct load *load)
{
	_cleanup_buffer_ struct buffer name = {0};
	unsigned n_days = 0;
	const struct day_count *days = load->intake ? intake_days(load->intake, &n_days) : NULL;
	struct ledger_cover cover = {
		.dataset = load->result.header.dataset,
		.source = load->result.header.source,
		.code = load->result.outcome.reason,
		.run = load->result.header.run,
		.checked_us = load->result.outcome.finished_us,
	};

	if (load->cover > (load->options.source->slice.sliced ? 0 : n_days)) {
		return enter(load, LOAD_COMMIT);
	}
	if (load->cover == 0) {
		cover_slice(load, &cover);
	} else {
		cover_day(&days[load->cover - 1], &name, &cover);
	}
	if (buffer_failed(&name)) {
		return fail_memory(load);
	}
	cover.state = cover_state(load, cover.day);
	ledger_cover(load->options.pg, &cover, on_covered, load);
	return STEP_WAIT;
}

static enum step step_commit(struct load *load)
{
	buffer_clear(&load->sql);
	buffer_append_str(&load->sql, "COMMIT");
	return query(load, NULL, 0, LOAD_DONE);
}

/* ---- the end ---- */

static void on_rolled_back(void *arg, const struct error *error)
{
	struct load *load = arg;

	(void)error; /* the first error counts; without a connection the server rolls back itself */
	load->state = LOAD_DONE;
	load_go(load);
}

static enum step step_rollback(struct load *load)
{
	if (!pg_is_connected(load->options.pg)) {
		return enter(load, LOAD_DONE);
	}
	pg_exec(load->options.pg, "ROLLBACK", on_rolled_back, load);
	return STEP_WAIT;
}

static void load_free(struct load *load)
{
	batch_free(load->batch);
	intake_free(load->intake);
	sorter_free(load->sorter);
	spool_reader_free(load->reader);
	ledger_rejects_fini(&load->rejects);
	buffer_fini(&load->sql);
	buffer_fini(&load->piece);
	free(load->partitions);
	free(load);
}

static void on_idle_closed(uv_handle_t *handle)
{
	struct load *load = container_of((uv_idle_t *)handle, struct load, idle);
	struct load_result result = load->result;
	struct error error = load->error;
	load_done_fn on_done = load->on_done;
	void *arg = load->arg;

	load_free(load); /* first, so that a load which on_done starts does not need the memory twice */
	on_done(arg, &result, error_is_set(&error) ? &error : NULL);
}

static enum step step_done(struct load *load)
{
	unsigned n_days = 0;
	const struct day_count *days = load->intake ? intake_days(load->intake, &n_days) : NULL;

	load->result.newest_day = n_days > 0 ? days[n_days - 1].day : INT32_MIN;
	load->result.took_ms = clock_mono_ms(load->options.clock) - load->started_ms;
	if (error_is_set(&load->error) || load->result.already) {
		lookup_rollback(load->options.lookups);
	} else {
		lookup_commit(load->options.lookups);
	}
	uv_close((uv_handle_t *)&load->idle, on_idle_closed);
	return STEP_WAIT;
}

static enum step (*const steps[N_LOAD_STATES])(struct load *) = {
	[LOAD_BEGIN] = step_begin,
	[LOAD_FIND] = step_find,
	[LOAD_FENCE] = step_fence,
	[LOAD_READ] = step_read,
	[LOAD_NAMES] = step_names,
	[LOAD_SPILL] = step_spill,
	[LOAD_REJECTS] = step_rejects,
	[LOAD_SORT] = step_spill,
	[LOAD_PARTITIONS] = step_partitions,
	[LOAD_ATTACH] = step_attach,
	[LOAD_FILL] = step_fill,
	[LOAD_KNOWN] = step_known,
	[LOAD_COPY] = step_copy,
	[LOAD_UPDATE] = step_update,
	[LOAD_REVISE] = step_revise,
	[LOAD_SEEN] = step_seen,
	[LOAD_RUN] = step_run,
	[LOAD_SLICE] = step_slice,
	[LOAD_COVER] = step_cover,
	[LOAD_COMMIT] = step_commit,
	[LOAD_ROLLBACK] = step_rollback,
	[LOAD_DONE] = step_done,
};

static bool is_ending(const struct load *load)
{
	return load->state == LOAD_ROLLBACK || load->state == LOAD_DONE;
}

/* Go through the states until one waits. A failure in any of them leads to the roll-back. */
static void load_go(struct load *load)
{
	enum step step = STEP_GO;

	while (step == STEP_GO) {
		if (load->canceled && !is_ending(load)) {
			error_set(&load->error, ERROR_CANCELED, "load", "canceled", "canceled");
		}
		if (error_is_set(&load->error) && !is_ending(load)) {
			load->state = LOAD_ROLLBACK;
		}
		step = steps[load->state](load);
		step = step == STEP_FAIL ? STEP_GO : step;
	}
}

/* ---- the beginning ---- */

static int open_parts(struct load *load, const char *uuid, struct error *error)
{
	const struct load_options *options = &load->options;
	struct sorter_options sorter = {
		.memory_bytes = options->memory_bytes / 2,
		.directory = spool_directory(options->spool),
		.compare = row_compare_packed,
		.prefix = row_prefix_packed,
		.arg = options->dataset,
	};
	struct intake_options intake = {
		.source = options->source,
		.lookups = options->lookups,
		.rejects = &load->rejects,
	};

	if (spool_read(options->spool, uuid, &load->reader, error) < 0) {
		return -1;
	}
	load->result.header = *spool_reader_header(load->reader);
	if (!spool_reader_outcome(load->reader)) {
		return error_set(error, ERROR_REJECTED, "load", "unfinished",
			"slice %s is still being fetched", uuid);
	}
	load->result.outcome = *spool_reader_outcome(load->reader);
	if (sorter_new(&sorter, &load->sorter) < 0) {
		return error_no_memory(error, "load");
	}
	intake.reader = load->reader;
	intake.sorter = load->sorter;
	intake.default_day = (int32_t)(load->result.header.started_us / 86400000000);
	if (intake_new(&intake, &load->intake) < 0) {
		return error_no_memory(error, "load");
	}
	return 0;
}

int load_start(const struct load_options *options, const char *uuid, load_done_fn on_done, void *arg,
	struct load **ret, struct error *error)
{
	struct load *load = calloc(1, sizeof(*load));

	if (!load) {
		return error_no_memory(error, "load");
	}
	load->options = *options;
	load->on_done = on_done;
	load->arg = arg;
	load->started_ms = clock_mono_ms(options->clock);
	ledger_rejects_init(&load->rejects);
	if (open_parts(load, uuid, error) < 0) {
		load_free(load);
		return -1;
	}
	uv_idle_init(options->loop, &load->idle);
	*ret = load;
	load_go(load);
	return 0;
}

void load_cancel(struct load *load)
{
	if (load->state == LOAD_COMMIT || is_ending(load)) {
		return;
	}
	load->canceled = true;
	if (pg_is_busy(load->options.pg)) {
		pg_cancel(load->options.pg);
	} else if (load->state == LOAD_READ) {
		uv_idle_start(&load->idle, on_idle);
	}
}
