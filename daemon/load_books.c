/*
 * The load stage, its books: dates of the names, the run, the slice, coverage.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/load_private.h"

#include "daemon/date.h"

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
		return load_enter(load, LOAD_RUN);
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

	load->next = LOAD_SLICE;
	ledger_add_to_run(load->options.pg, &run, &load->result.counts, load_on_statement, load);
	return STEP_WAIT;
}

enum step load_step_slice(struct load *load)
{
	load->next = LOAD_COVER;
	load->cover = 0;
	ledger_add_slice(load->options.pg, &load->result.header, &load->result.outcome,
		&load->result.counts, load_on_statement, load);
	return STEP_WAIT;
}

/* A data date is over at `day_ends` of the next day in India. */
static bool day_is_over(const struct load *load, int32_t day)
{
	const int64_t ist_us = (int64_t)(5 * 3600 + 1800) * 1000000;
	int64_t end_us = ((int64_t)(day + 1) * 86400 + load_dataset(load)->day_ends_s) * 1000000;

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
	load_finish_operation(load, error);
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

enum step load_step_cover(struct load *load)
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
		return load_enter(load, LOAD_COMMIT);
	}
	if (load->cover == 0) {
		cover_slice(load, &cover);
	} else {
		cover_day(&days[load->cover - 1], &name, &cover);
	}
	if (buffer_failed(&name)) {
		return load_no_memory(load);
	}
	cover.state = cover_state(load, cover.day);
	ledger_cover(load->options.pg, &cover, on_covered, load);
	return STEP_WAIT;
}
