/*
 * The load stage: one slice out of the spool into the table, in one transaction.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The happy path of a load is:
 *   - BEGIN; is the slice's uuid in the ledger already? Then roll back and report its counts.
 *   - Lock the lease row: another holder means that we may not write ("fenced").
 *   - List the partitions, for a row whose date has no place in the table is a reject.
 *   - Read the spool file piece by piece into the sorter (intake.c), in the thread pool. Names that
 *     are new are inserted on the way, rejected records are written to quarantine in portions.
 *   - Make partitions that are missing for the dates found.
 *   - Then batch by batch in key order (batch.c): read the stored rows of its keys, COPY the new
 *     ones, UPDATE the changed ones, COPY their old values into the revisions.
 *   - Records that lost a conflict are fetched from the spool once more, for quarantine.
 *   - Rows that are served no longer become inactive (load_deactivate.c).
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

#include "daemon/load_private.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/lease.h"

const struct dataset *load_dataset(const struct load *load)
{
	return load->options.dataset;
}

/* ---- how operations end ---- */

static void take_error(struct load *load, const struct error *error)
{
	if (!error_is_set(&load->error)) {
		load->error = *error;
	}
}

void load_finish_operation(struct load *load, const struct error *error)
{
	if (error) {
		take_error(load, error);
	}
	load_go(load);
}

void load_on_statement(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	(void)result;
	load->state = error ? load->state : load->next;
	load_finish_operation(load, error);
}

static void on_exec(void *arg, const struct error *error)
{
	load_on_statement(arg, NULL, error);
}

enum step load_enter(struct load *load, enum load_state next)
{
	load->state = next;
	return STEP_GO;
}

enum step load_no_memory(struct load *load)
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
		return load_no_memory(load);
	}
	pg_query(load->options.pg, buffer_str(&load->sql), params, n_params, load_on_statement, load);
	return STEP_WAIT;
}

unsigned load_array_params(struct pgarray *arrays, unsigned n, struct pg_param *params,
	bool *ret_failed)
{
	for (unsigned i = 0; i < n; i++) {
		params[i] = pgarray_param(&arrays[i]);
		*ret_failed |= buffer_failed(&arrays[i].bytes);
	}
	return n;
}

void load_free_arrays(struct pgarray *arrays, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pgarray_fini(&arrays[i]);
	}
}

void load_result_fields(const struct pg_result *result, int row, struct field *fields, int n)
{
	for (int i = 0; i < n; i++) {
		fields[i].len = pg_is_null(result, row, i) ? -1 : pg_value_len(result, row, i);
		fields[i].data = pg_value(result, row, i);
	}
}

enum step load_work(struct load *load, uv_work_cb work, uv_after_work_cb on_worked)
{
	int r = uv_queue_work(load->options.loop, &load->work, work, on_worked);

	return r < 0 ? load_no_memory(load) : STEP_WAIT;
}

/* ---- the transaction begins ---- */

/*
 * The server ends what a client that was frozen has left open, a COPY by its statement_timeout: else
 * nobody could take the lease over.
 *
 * Every join of a load is of some thousand keys with an indexed table. A table that was never analyzed
 * looks small, and then a hash or merge join would read the whole of it for each batch.
 */
static enum step step_begin(struct load *load)
{
	load->next = LOAD_FIND;
	buffer_clear(&load->sql);
	buffer_printf(&load->sql,
		"BEGIN;"
		" SET LOCAL synchronous_commit = on;"
		" SET LOCAL lock_timeout = '30s';"
		" SET LOCAL statement_timeout = %" PRIu64 ";"
		" SET LOCAL idle_in_transaction_session_timeout = '1min';"
		" SET LOCAL client_connection_check_interval = '10s';"
		" SET LOCAL enable_hashjoin = off;"
		" SET LOCAL enable_mergejoin = off",
		load->options.statement_timeout_ms);
	if (buffer_failed(&load->sql)) {
		return load_no_memory(load);
	}
	pg_exec(load->options.pg, buffer_str(&load->sql), on_exec, load);
	return STEP_WAIT;
}

static void on_found(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	const struct load_replay *replay = load->options.replay;

	if (!error && pg_n_rows(result) > 0 && !replay) {
		ledger_read_counts(result, &load->result.counts);
		load->result.already = true;
		load->state = LOAD_ROLLBACK;
	} else if (!error) {
		load->result.again = replay && (replay->release || pg_n_rows(result) > 0);
		load->state = load->options.fence ? LOAD_FENCE : LOAD_PLACES;
	}
	load_finish_operation(load, error);
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
		lease_set_fenced(&load->error);
	} else if (!error) {
		load->state = LOAD_PLACES;
	}
	load_finish_operation(load, error);
}

static enum step step_fence(struct load *load)
{
	pg_query(load->options.pg, load->options.fence, NULL, 0, on_fenced, load);
	return STEP_WAIT;
}

/* ---- the end ---- */

static enum step step_commit(struct load *load)
{
	buffer_clear(&load->sql);
	buffer_append_str(&load->sql, "COMMIT");
	return query(load, NULL, 0, LOAD_DONE);
}

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
		return load_enter(load, LOAD_DONE);
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
	buffer_fini(&load->last_key);
	free(load->partitions);
	free(load);
}

static void on_end_closed(uv_handle_t *handle)
{
	struct load *load = container_of((uv_idle_t *)handle, struct load, end);
	struct load_result result = load->result;
	_cleanup_free_ struct renames *renames = load->renames;
	struct error error = load->error;
	load_done_fn on_done = load->on_done;
	void *arg = load->arg;

	result.renames = renames;
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
		load->renames = rename_find(load_dataset(load), load->options.lookups);
		lookup_commit(load->options.lookups);
	}
	uv_close((uv_handle_t *)&load->end, on_end_closed);
	return STEP_WAIT;
}

static enum step (*const steps[N_LOAD_STATES])(struct load *) = {
	[LOAD_BEGIN] = step_begin,
	[LOAD_FIND] = step_find,
	[LOAD_FENCE] = step_fence,
	[LOAD_PLACES] = load_step_places,
	[LOAD_OPEN] = load_step_open,
	[LOAD_READ] = load_step_read,
	[LOAD_NAMES] = load_step_names,
	[LOAD_SPILL] = load_step_spill,
	[LOAD_REJECTS] = load_step_rejects,
	[LOAD_SORT] = load_step_spill,
	[LOAD_PARTITIONS] = load_step_partitions,
	[LOAD_ATTACH] = load_step_attach,
	[LOAD_FILL] = load_step_fill,
	[LOAD_KNOWN] = load_step_known,
	[LOAD_COPY] = load_step_copy,
	[LOAD_UPDATE] = load_step_update,
	[LOAD_REVISE] = load_step_revise,
	[LOAD_ACTIVE] = load_step_active,
	[LOAD_COUNT] = load_step_count,
	[LOAD_RETURN] = load_step_return,
	[LOAD_JUDGE] = load_step_judge,
	[LOAD_VANISH] = load_step_vanish,
	[LOAD_VANISHED] = load_step_vanished,
	[LOAD_SEEN] = load_step_seen,
	[LOAD_INACTIVE] = load_step_inactive,
	[LOAD_RUN] = load_step_run,
	[LOAD_SLICE] = load_step_slice,
	[LOAD_COVER] = load_step_cover,
	[LOAD_RELEASE] = load_step_release,
	[LOAD_COMMIT] = step_commit,
	[LOAD_ROLLBACK] = step_rollback,
	[LOAD_DONE] = step_done,
};

static bool is_ending(const struct load *load)
{
	return load->state == LOAD_ROLLBACK || load->state == LOAD_DONE;
}

/* Go through the states until one waits. A failure in any of them leads to the roll-back. */
void load_go(struct load *load)
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

/* The proof was made of parts, and one of them will not be in the table. */
static void take_proof_back(struct spool_outcome *outcome)
{
	if (outcome->state == SLICE_PROVEN) {
		outcome->state = SLICE_PARTIAL;
		snprintf(outcome->reason, sizeof(outcome->reason), "part_refused");
		snprintf(outcome->text, sizeof(outcome->text),
			"all rows came, but the database refused a part of them");
	}
}

static int open_parts(struct load *load, const char *uuid, struct error *error)
{
	const struct load_options *options = &load->options;
	struct sorter_options sorter = {
		.memory_bytes = options->memory_bytes / 2,
		.directory = options->directory ? options->directory
						: spool_directory(options->spool),
		.compare = row_compare_packed,
		.prefix = row_prefix_packed,
		.arg = options->dataset,
	};
	struct intake_options intake = {
		.source = options->source,
		.lookups = options->lookups,
		.rejects = &load->rejects,
		.rejected = options->replay && options->replay->release
				    ? options->replay->release->rejected
				    : NULL,
	};

	load->reader = options->take_reader;
	if (!load->reader && spool_read(options->spool, uuid, &load->reader, error) < 0) {
		return -1;
	}
	load->result.header = *spool_reader_header(load->reader);
	if (!spool_reader_outcome(load->reader)) {
		return error_set(error, ERROR_REJECTED, "load", "unfinished",
			"slice %s is still being fetched", load->result.header.uuid);
	}
	load->result.outcome =
		options->replay ? options->replay->outcome : *spool_reader_outcome(load->reader);
	if (options->lacks_part) {
		take_proof_back(&load->result.outcome);
	}
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
		spool_reader_free(options->take_reader);
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
	uv_idle_init(options->loop, &load->end);
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
	} /* else work is being done in the thread pool, and ends soon */
}
