/*
 * The load stage: rows that are served no longer. SPDX-License-Identifier: Apache-2.0
 *
 * For a dataset with missing_rows: deactivate, after a proven slice, when every row of it is in the
 * table. The happy path is:
 *   - Has a younger run looked at it already? Then this one says nothing about today.
 *   - Count the rows, and those that are active. If they are as many as the slice has keys, nothing
 *     has vanished and nothing has come back: that is all.
 *   - If some are inactive: go through the sorted keys once more, some thousands at a time, and make
 *     those active that are served again. Then every served row is active, so that what is active
 *     beyond the number of keys has vanished: it is counted before it is touched.
 *   - Not more than deactivate_limit of the active rows: go through the keys again; between the last
 *     key of the portion before and the last one of this, what is active and not among them becomes
 *     inactive. So does what lies behind the last key of all.
 *
 * Keys are in the order of the table's own index (integers by value, text by bytes), so each portion
 * is one range of it. Memory is that of one portion, whatever the size of the slice.
 *
 * Possible failure modes are:
 *   - More than the limit, and the run does not say that it is meant (`accept`): no row is made
 *     inactive, the slice is `suspect` (too_many_missing). Its rows are loaded all the same.
 *   - Somebody else changes the table meanwhile: another number vanishes than was counted: RETRY.
 *
 * A record in quarantine counts as not served, for its key may be what could not be read.
 */

#include "daemon/load_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/ledger_coverage.h"
#include "daemon/statement.h"

enum { PORTION_KEYS = 10000 };

/* The keys of the slice; each has a row by now. */
static uint64_t n_keys(const struct load *load)
{
	const struct row_counts *counts = &load->result.counts;

	return counts->inserted + counts->updated + counts->unchanged;
}

static int from_the_first_key(struct load *load)
{
	buffer_clear(&load->last_key);
	return sorter_rewind(load->sorter, &load->error);
}

/* ---- is there anything to do ---- */

static void on_looked(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;
	struct cover_row known;

	if (!error) {
		load->state = LOAD_COUNT;
		if (pg_n_rows(result) > 0) {
			ledger_read_cover(result, 0, &known);
			load->state = known.run > load->result.header.run ? LOAD_SEEN : LOAD_COUNT;
		}
	}
	load_finish_operation(load, error);
}

enum step load_step_active(struct load *load)
{
	const struct spool_header *header = &load->result.header;

	if (load_dataset(load)->missing_rows != MISSING_DEACTIVATE ||
		load->result.outcome.state != SLICE_PROVEN || load->result.again) {
		return load_enter(load, LOAD_SEEN);
	}
	ledger_find_cover(load->options.pg, header->dataset, header->source, header->slice,
		on_looked, load);
	return STEP_WAIT;
}

static void on_counted(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	if (!error) {
		load->n_active = (uint64_t)pg_i64(result, 0, 1);
		load->state = (uint64_t)pg_i64(result, 0, 0) > load->n_active ? LOAD_RETURN
									       : LOAD_JUDGE;
	}
	load_finish_operation(load, error);
}

enum step load_step_count(struct load *load)
{
	load->n_changed = 0;
	if (from_the_first_key(load) < 0) {
		return STEP_FAIL;
	}
	buffer_clear(&load->sql);
	statement_count_active(load_dataset(load), &load->sql);
	if (buffer_failed(&load->sql)) {
		return load_no_memory(load);
	}
	pg_query(load->options.pg, buffer_str(&load->sql), NULL, 0, on_counted, load);
	return STEP_WAIT;
}

/* ---- a portion of the keys ---- */

static void add_key(const struct load *load, const void *packed, struct pgarray *arrays)
{
	struct field key[DIFF_MAX_FIELDS];

	row_unpack(packed, key, load_dataset(load)->n_key);
	for (unsigned k = 0; k < load_dataset(load)->n_key; k++) {
		pgarray_add(&arrays[k], key[k]);
	}
}

/*
 * The next keys, behind the last one of the portion before if there was one. Returns how many are
 * new, 0: the end; -1.
 */
static int64_t take_portion(struct load *load, struct pgarray *arrays)
{
	int64_t n = 0;
	const void *item;
	size_t len;
	int r = 0;

	for (unsigned k = 0; k < load_dataset(load)->n_key; k++) {
		pgarray_init(&arrays[k], column_type_oid(load_dataset(load)->fact[k].type));
	}
	if (load->last_key.len > 0) {
		add_key(load, load->last_key.data, arrays);
	}
	while (n < PORTION_KEYS && (r = sorter_next(load->sorter, &item, &len, &load->error)) > 0) {
		add_key(load, item, arrays);
		n++;
		if (n == PORTION_KEYS) {
			buffer_clear(&load->last_key);
			buffer_append(&load->last_key, item, len);
		}
	}
	return r < 0 ? -1 : n;
}

static void on_portion(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	if (!error) {
		load->n_changed += (uint64_t)pg_affected(result);
		load->state = load->next;
	}
	load_finish_operation(load, error);
}

static enum step ask_portion(struct load *load, struct pgarray *arrays, enum load_state next)
{
	struct pg_param params[LOAD_MAX_PARAMS];
	bool failed = buffer_failed(&load->sql) || buffer_failed(&load->last_key);
	unsigned n = load_array_params(arrays, load_dataset(load)->n_key, params, &failed);

	if (failed) {
		return load_no_memory(load);
	}
	load->next = next;
	pg_query(load->options.pg, buffer_str(&load->sql), params, n, on_portion, load);
	return STEP_WAIT;
}

/* Those that are served again. */
enum step load_step_return(struct load *load)
{
	struct pgarray arrays[DIFF_MAX_FIELDS];
	int64_t n = take_portion(load, arrays);
	enum step step = STEP_FAIL;

	if (n == 0) {
		load->n_active += load->n_changed;
		step = load_enter(load, LOAD_JUDGE);
	} else if (n > 0) {
		buffer_clear(&load->sql);
		statement_activate(load_dataset(load), &load->sql);
		step = ask_portion(load, arrays, LOAD_RETURN);
	}
	load_free_arrays(arrays, load_dataset(load)->n_key);
	return step;
}

/* ---- how many have vanished ---- */

static enum step suspect(struct load *load, uint64_t n_vanished)
{
	struct spool_outcome *outcome = &load->result.outcome;

	outcome->state = SLICE_SUSPECT;
	snprintf(outcome->reason, sizeof(outcome->reason), "too_many_missing");
	snprintf(outcome->text, sizeof(outcome->text),
		"%" PRIu64 " of %" PRIu64 " rows are served no longer, more than deactivate_limit (%g %%): "
		"they stay active until `ogdsync run --accept`",
		n_vanished, load->n_active, load_dataset(load)->deactivate_limit_ppm / 1e4);
	return load_enter(load, LOAD_SEEN);
}

static enum step changed_meanwhile(struct load *load)
{
	error_set(&load->error, ERROR_RETRY, "load", "40001",
		"somebody else changes which rows of %s.%s there are", load_dataset(load)->schema,
		load_dataset(load)->table);
	return STEP_FAIL;
}

enum step load_step_judge(struct load *load)
{
	uint64_t n_vanished = load->n_active - n_keys(load);

	if (load->n_active < n_keys(load)) {
		return changed_meanwhile(load);
	}
	if (n_vanished == 0) {
		return load_enter(load, LOAD_SEEN);
	}
	if (n_vanished * 1000000 > load->n_active * load_dataset(load)->deactivate_limit_ppm &&
		!load->result.header.accept) {
		return suspect(load, n_vanished);
	}
	load->n_changed = 0;
	load->n_vanished = n_vanished;
	return from_the_first_key(load) < 0 ? STEP_FAIL : load_enter(load, LOAD_VANISH);
}

/* The range of one portion; the last one has no end. */
enum step load_step_vanish(struct load *load)
{
	struct pgarray arrays[DIFF_MAX_FIELDS];
	bool has_begin = load->last_key.len > 0;
	int64_t n = take_portion(load, arrays);
	enum step step = STEP_FAIL;

	if (n >= 0) {
		bool has_end = n == PORTION_KEYS;

		buffer_clear(&load->sql);
		statement_deactivate(load_dataset(load), has_begin, has_end, &load->sql);
		step = ask_portion(load, arrays, has_end ? LOAD_VANISH : LOAD_VANISHED);
	}
	load_free_arrays(arrays, load_dataset(load)->n_key);
	return step;
}

enum step load_step_vanished(struct load *load)
{
	return load->n_changed == load->n_vanished ? load_enter(load, LOAD_SEEN)
						   : changed_meanwhile(load);
}
