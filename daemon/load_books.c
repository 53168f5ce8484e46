/*
 * The load stage, its books: dates of the names, the run, the slice, coverage.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/load_private.h"

#include <stdio.h>
#include <string.h>

#include "daemon/coverage.h"
#include "daemon/date.h"
#include "daemon/ledger_coverage.h"

static void on_seen(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	(void)result;
	load->lookup++;
	load_finish_operation(load, error);
}

enum step load_step_seen(struct load *load)
{
	struct pgarray arrays[3];
	struct pg_param params[3];
	bool failed = false;
	unsigned n;

	if (load->lookup == load_dataset(load)->n_lookups) {
		load->lookup = 0;
		return load_enter(load, LOAD_INACTIVE);
	}
	buffer_clear(&load->sql);
	lookup_seen_sql(load->options.lookups, load->lookup, &load->sql);
	n = lookup_seen_arrays(load->options.lookups, load->lookup, arrays);
	load_array_params(arrays, N_ELEMENTS(arrays), params, &failed);
	failed |= buffer_failed(&load->sql);
	if (n > 0 && !failed) {
		pg_query(load->options.pg, buffer_str(&load->sql), params, N_ELEMENTS(params),
			on_seen, load);
	}
	load_free_arrays(arrays, N_ELEMENTS(arrays));
	if (failed) {
		return load_no_memory(load);
	}
	load->lookup += n == 0;
	return n > 0 ? STEP_WAIT : STEP_GO;
}

enum step load_step_inactive(struct load *load)
{
	if (load->lookup == load_dataset(load)->n_lookups) {
		return load_enter(load, LOAD_RUN);
	}
	buffer_clear(&load->sql);
	if (!lookup_inactive_sql(load->options.lookups, load->lookup, &load->sql)) {
		load->lookup++;
		return STEP_GO;
	}
	if (buffer_failed(&load->sql)) {
		return load_no_memory(load);
	}
	pg_query(load->options.pg, buffer_str(&load->sql), NULL, 0, on_seen, load);
	return STEP_WAIT;
}

enum step load_step_run(struct load *load)
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

	if (load->result.again) {
		run = load->options.replay->run;
	}
	load->next = LOAD_SLICE;
	ledger_add_to_run(load->options.pg, &run, &load->result.counts, load_on_statement, load);
	return STEP_WAIT;
}

enum step load_step_slice(struct load *load)
{
	const struct load_replay *replay = load->options.replay;
	struct spool_header booked = load->result.header;
	const char *of = NULL;

	if (load->result.again) {
		of = replay->release ? replay->of : load->result.header.uuid;
		booked.run = replay->run.id;
		memcpy(booked.uuid, replay->uuid, sizeof(booked.uuid));
	}
	load->next = replay && replay->release ? LOAD_RELEASE : LOAD_COVER;
	load->cover = 0;
	ledger_add_slice(load->options.pg, &booked, of, &load->result.outcome,
		&load->result.counts, load_on_statement, load);
	return STEP_WAIT;
}

/* What is good now leaves quarantine, with its table row in one transaction. */
enum step load_step_release(struct load *load)
{
	const struct load_release *release = load->options.replay->release;
	struct pgarray good, conflicts;
	bool failed;

	pgarray_init(&good, PG_OID_INT8);
	pgarray_init(&conflicts, PG_OID_INT8);
	for (unsigned i = 0; i < release->n; i++) {
		unsigned char store[8];

		pgarray_add(release->rejected[i] ? &conflicts : &good,
			field_int8(release->ids[i], store));
	}
	failed = buffer_failed(&good.bytes) || buffer_failed(&conflicts.bytes);
	if (!failed) {
		load->next = LOAD_COMMIT;
		ledger_release(load->options.pg, &load->result.header, &good, &conflicts,
			release->loaded, load_on_statement, load);
	}
	pgarray_fini(&good);
	pgarray_fini(&conflicts);
	return failed ? load_no_memory(load) : STEP_WAIT;
}

static enum cover_state cover_state(const struct load *load, int32_t day)
{
	const struct spool_outcome *outcome = &load->result.outcome;

	switch (outcome->state) {
	case SLICE_PROVEN:
		return day == INT32_MIN || outcome->finished_us >= coverage_over_us(day,
								  load_dataset(load)->day_ends_s)
			       ? COVER_COMPLETE
			       : COVER_OPEN;
	case SLICE_PARTIAL:
		return COVER_PARTIAL;
	case SLICE_SUSPECT: /* with rows: too many others are missing */
		return load->result.counts.received > 0 ? COVER_PARTIAL : COVER_SUSPECT;
	case SLICE_FAILED:
		break;
	}
	return COVER_MISSING;
}

static void look_at_slice(const struct load *load, struct cover_row *look)
{
	const struct spool_outcome *outcome = &load->result.outcome;

	look->day = load->result.header.day;
	look->expected = outcome->expected;
	look->received = load->result.counts.received;
	look->distinct = outcome->distinct;
	look->quarantined = load->result.counts.quarantined;
}

/* A source without `slice:` says something about each date found in its rows. */
static void look_at_day(const struct day_count *day, struct cover_row *look)
{
	look->day = day->day;
	look->expected = -1;
	look->received = day->received;
	look->distinct = day->distinct;
}

static void look_now(struct load *load, struct cover_row *look)
{
	unsigned n_days = 0;
	const struct day_count *days = load->intake ? intake_days(load->intake, &n_days) : NULL;

	*look = (struct cover_row){
		.run = load->result.header.run,
		.checked_us = load->result.outcome.finished_us,
	};
	snprintf(look->code, sizeof(look->code), "%s", load->result.outcome.reason);
	if (load->cover == 0) {
		look_at_slice(load, look);
	} else {
		look_at_day(&days[load->cover - 1], look);
	}
	look->state = cover_state(load, look->day);
}

static unsigned n_covers(const struct load *load)
{
	unsigned n_days = 0;

	if (!load->options.source->slice.sliced && load->intake) {
		intake_days(load->intake, &n_days);
	}
	return 1 + n_days;
}

/* The name of what `look` is a look at. */
static const char *cover_slice(const struct load *load, const struct cover_row *look,
	struct buffer *name)
{
	if (load->cover == 0) {
		return load->result.header.slice;
	}
	date_format(look->day, "%Y-%m-%d", name);
	return buffer_str(name);
}

static void on_cover_found(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	if (!error) {
		load->cover_asked = true;
		load->cover_known = pg_n_rows(result) > 0;
		if (load->cover_known) {
			ledger_read_cover(result, 0, &load->cover_old);
		}
	}
	load_finish_operation(load, error);
}

static void on_covered(void *arg, const struct pg_result *result, const struct error *error)
{
	struct load *load = arg;

	(void)result;
	load->cover++;
	load->cover_asked = false;
	load_finish_operation(load, error);
}

/* For each: read what was known; write what is known now. */
enum step load_step_cover(struct load *load)
{
	_cleanup_buffer_ struct buffer name = {0};
	const struct spool_header *header = &load->result.header;
	struct cover_row look, row;
	const char *slice;

	if (load->cover == n_covers(load)) {
		return load_enter(load, LOAD_COMMIT);
	}
	look_now(load, &look);
	slice = cover_slice(load, &look, &name);
	if (buffer_failed(&name)) {
		return load_no_memory(load);
	}
	if (!load->cover_asked) {
		ledger_find_cover(load->options.pg, header->dataset, header->source, slice,
			on_cover_found, load);
		return STEP_WAIT;
	}
	load->cover_old.day = look.day;
	coverage_fold(load->cover_known ? &load->cover_old : NULL, &look,
		load_dataset(load)->day_ends_s, &row);
	if (load->result.again && load->cover_known) { /* the portal was not asked */
		row.attempts = load->cover_old.attempts;
		row.tries = load->cover_old.tries;
	}
	ledger_cover(load->options.pg, header->dataset, header->source, slice, &row,
		load->cover_known, on_covered, load);
	return STEP_WAIT;
}
