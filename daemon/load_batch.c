/*
 * The load stage, second half: sorter -> batches -> what is known, new, changed -> table.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/load_private.h"

#include <errno.h>

#include "daemon/statement.h"

enum {
	BATCH_ROWS = 50000,
	PROBE_ROWS = 10000,
	UPDATE_ROWS = 10000,
};

static bool by_day(const struct load *load, int32_t *ret_day)
{
	return statement_day_key(load_dataset(load)) >= 0 && batch_one_day(load->batch, ret_day);
}

static enum step make_batch(struct load *load)
{
	struct batch_options options = {
		.dataset = load_dataset(load),
		.run = load->result.header.run,
		.force = load->options.force,
		.settled = load->options.replay && load->options.replay->release,
		.memory_bytes = load->options.memory_bytes / 4,
		.sorter = load->sorter,
	};

	options.days = intake_days(load->intake, &options.n_days);
	options.max_rows = statement_day_key(load_dataset(load)) >= 0 && options.n_days == 1
				   ? BATCH_ROWS
				   : PROBE_ROWS;
	return batch_new(&options, &load->batch) < 0 ? load_no_memory(load) : STEP_GO;
}

static enum step end_of_batches(struct load *load)
{
	struct row_counts *counts = &load->result.counts;
	const struct row_origin *conflicts;
	size_t n;

	batch_count(load->batch, counts);
	conflicts = batch_conflicts(load->batch, &n);
	if (n == 0) {
		return load_end_of_rows(load);
	}
	if (spool_reader_rewind(load->reader, &load->error) < 0) {
		return STEP_FAIL;
	}
	intake_collect(load->intake, conflicts, n);
	load->collecting = true;
	return load_enter(load, LOAD_READ);
}

enum step load_step_fill(struct load *load)
{
	if (!load->batch && make_batch(load) == STEP_FAIL) {
		return STEP_FAIL;
	}
	if (batch_fill(load->batch, &load->batch_rows, &load->error) < 0) {
		return STEP_FAIL;
	}
	load->cursor = 0;
	return load->batch_rows == 0 ? end_of_batches(load) : load_enter(load, LOAD_KNOWN);
}

static void on_known(void *arg, const struct pg_result *row)
{
	struct load *load = arg;
	struct field fields[DIFF_MAX_FIELDS + 1];

	load_result_fields(row, 0, fields, pg_n_columns(row));
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
	load_finish_operation(load, error);
}

static enum step ask_known(struct load *load, const struct pg_param *params, unsigned n)
{
	if (buffer_failed(&load->sql)) {
		return load_no_memory(load);
	}
	pg_query_rows(load->options.pg, buffer_str(&load->sql), params, n, on_known, on_all_known,
		load);
	return STEP_WAIT;
}

/* A piece of the COPY: the header is at the begin of the first. */
static int take_known(struct load *load, const char *data, size_t len)
{
	long header = 0;

	if (!load->known_begun) {
		header = copyrow_parse_header(data, len);
		load->known_begun = true;
	}
	if (header < 0) {
		return -EBADMSG;
	}
	return batch_known_tuples(load->batch, data + header, len - (size_t)header);
}

static void on_known_data(void *arg, const void *data, size_t len)
{
	struct load *load = arg;
	int r = error_is_set(&load->error) ? 0 : take_known(load, data, len);

	if (r == -ENOMEM) {
		error_no_memory(&load->error, "load");
	} else if (r < 0) {
		error_set(&load->error, ERROR_RETRY, "load", "copy",
			"COPY of the stored rows is not of the form that was asked for");
	}
}

static enum step known_of_day(struct load *load, int32_t day)
{
	buffer_clear(&load->piece);
	batch_key_ids(load->batch, (unsigned)statement_day_key(load_dataset(load)), &load->piece);
	statement_copy_known(load_dataset(load), day, buffer_str(&load->piece), &load->sql);
	if (buffer_failed(&load->piece) || buffer_failed(&load->sql)) {
		return load_no_memory(load);
	}
	load->known_begun = false;
	pg_copy_out(load->options.pg, buffer_str(&load->sql), on_known_data, on_all_known, load);
	return STEP_WAIT;
}

enum step load_step_known(struct load *load)
{
	struct pgarray arrays[DIFF_MAX_FIELDS];
	struct pg_param params[LOAD_MAX_PARAMS];
	bool failed = false;
	int32_t day;
	enum step step;
	unsigned n;

	buffer_clear(&load->sql);
	if (by_day(load, &day)) {
		return known_of_day(load, day);
	}
	statement_known_keys(load_dataset(load), &load->sql);
	batch_key_arrays(load->batch, 0, load->batch_rows, arrays);
	n = load_array_params(arrays, load_dataset(load)->n_key, params, &failed);
	step = failed ? load_no_memory(load) : ask_known(load, params, n);
	load_free_arrays(arrays, n);
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
	load_finish_operation(load, error);
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

enum step load_step_copy(struct load *load)
{
	if (batch_verdicts(load->batch).n_new == 0) {
		return load_enter(load, LOAD_UPDATE);
	}
	buffer_clear(&load->sql);
	statement_copy(load_dataset(load), &load->sql);
	return buffer_failed(&load->sql) ? load_no_memory(load) : start_copy(load, LOAD_UPDATE);
}

static void on_updated(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	if (!error && pg_affected(result) != load->sent) {
		error_set(&load->error, ERROR_RETRY, "load", "40001",
			"%u rows were to be updated, %lld were: somebody else changes the same rows",
			load->sent, (long long)pg_affected(result));
	}
	load_finish_operation(load, error);
}

enum step load_step_update(struct load *load)
{
	struct pgarray arrays[DIFF_MAX_FIELDS];
	struct pg_param params[LOAD_MAX_PARAMS];
	unsigned char store[8];
	struct field run = field_int8(load->result.header.run, store);
	bool failed = false;
	unsigned n;

	load->sent = batch_update_arrays(load->batch, &load->cursor, UPDATE_ROWS, arrays);
	n = load_array_params(arrays, load_dataset(load)->n_fact, params, &failed);
	params[n] = (struct pg_param){
		.data = run.data, .len = run.len, .binary = true, .oid = PG_OID_INT8};
	buffer_clear(&load->sql);
	statement_update(load_dataset(load), &load->sql);
	failed |= buffer_failed(&load->sql);
	if (load->sent > 0 && !failed) {
		pg_query(load->options.pg, buffer_str(&load->sql), params, n + 1, on_updated, load);
	}
	load_free_arrays(arrays, n);
	if (failed) {
		return load_no_memory(load);
	}
	return load->sent > 0 ? STEP_WAIT : load_enter(load, LOAD_REVISE);
}

enum step load_step_revise(struct load *load)
{
	if (batch_verdicts(load->batch).n_changed == 0) {
		return load_enter(load, LOAD_FILL);
	}
	buffer_clear(&load->sql);
	statement_copy_revisions(load_dataset(load), &load->sql);
	return buffer_failed(&load->sql) ? load_no_memory(load) : start_copy(load, LOAD_FILL);
}
