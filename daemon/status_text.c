/*
 * The status document as text for people. SPDX-License-Identifier: Apache-2.0
 *
 * What the JSON document says, one thing a line; what there is nothing to say about is left out.
 */

#include <inttypes.h>

#include "daemon/status.h"
#include "daemon/status_private.h"
#include "lib/clock.h"

static const char *or_none(const char *text)
{
	return text && *text ? text : "-";
}

static void text_time(struct buffer *out, const char *label, int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	if (us) {
		buffer_printf(out, "%-14s%s\n", label, clock_format_rfc3339(us, 0, text));
	}
}

static void text_bytes(struct buffer *out, uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double n = (double)bytes;
	unsigned unit = 0;

	while (n >= 1024 && unit + 1 < N_ELEMENTS(units)) {
		n /= 1024;
		unit++;
	}
	buffer_printf(out, unit && n < 100 ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

static void text_duration(struct buffer *out, int64_t ms)
{
	int64_t s = ms / 1000;

	if (s < 60) {
		buffer_printf(out, "%.1f s", (double)ms / 1000);
	} else if (s < 3600) {
		buffer_printf(out, "%d min %02d s", (int)(s / 60), (int)(s % 60));
	} else {
		buffer_printf(out, "%" PRId64 " h %02d min", s / 3600, (int)(s / 60 % 60));
	}
}

static void text_count(struct buffer *out, const char *separator, int64_t n, const char *what)
{
	buffer_printf(out, "%s%" PRId64 " %s", separator, n, what);
}

static void text_last(struct buffer *out, const struct status_sync *sync)
{
	char time[CLOCK_RFC3339_BYTES];

	if (!sync->status) {
		buffer_append_str(out, "last sync     none yet\n");
		return;
	}
	buffer_printf(out, "last sync     %s, ended %s, took ", sync->status,
		sync->finished_us ? clock_format_rfc3339(sync->finished_us, 0, time) : "-");
	text_duration(out, sync->duration_ms);
	text_count(out, "\n              ", sync->n_fetched, "received =");
	text_count(out, " ", sync->n_inserted, "inserted");
	text_count(out, " + ", sync->n_updated, "updated");
	text_count(out, " + ", sync->n_unchanged, "unchanged");
	text_count(out, " + ", sync->n_duplicate, "duplicate");
	text_count(out, " + ", sync->n_quarantined, "quarantined\n");
	if (sync->error) {
		buffer_printf(out, "              %s\n", sync->error);
	}
}

static void text_running(struct buffer *out, const struct status_running *running)
{
	if (running->run == 0) {
		return;
	}
	buffer_printf(out, "running       %s/%s slice %s, page %" PRId64, or_none(running->dataset),
		or_none(running->source), or_none(running->slice), running->page);
	if (running->n_pages != STATUS_UNKNOWN) {
		buffer_printf(out, " of %" PRId64, running->n_pages);
	}
	buffer_printf(out, ", %" PRId64 " rows (run %" PRId64 ")\n", running->n_rows, running->run);
}

static void text_queue(struct buffer *out, const struct status *status)
{
	for (unsigned i = 0; i < status->n_queue; i++) {
		buffer_printf(out, "%s%s/%s%s", i == 0 ? "queued        " : ", ",
			or_none(status->queue[i].dataset), or_none(status->queue[i].source),
			i + 1 == status->n_queue ? "\n" : "");
	}
}

static void text_day(struct buffer *out, int32_t day, bool stale)
{
	char text[STATUS_DAY_BYTES];

	buffer_printf(out, "%s%s", day == STATUS_NO_DAY ? "none" : status_format_day(day, text),
		stale ? " (stale)" : "");
}

static void text_coverage(struct buffer *out, const struct status_coverage *coverage)
{
	if (coverage->missing_days == STATUS_UNKNOWN) {
		buffer_append_str(out, "coverage      not known yet\n");
		return;
	}
	buffer_printf(out, "coverage      %" PRId64 " days missing, %" PRId64 " partial\n",
		coverage->missing_days, coverage->partial_days);
}

static void text_house(struct buffer *out, const struct status *status)
{
	char time[CLOCK_RFC3339_BYTES];

	buffer_append_str(out, "spool         ");
	text_bytes(out, status->spool.bytes);
	buffer_append_str(out, " of ");
	text_bytes(out, status->spool.limit_bytes);
	buffer_printf(out, ", %u ready to load, %u loaded\n", status->spool.n_ready,
		status->spool.n_loaded);
	buffer_printf(out, "database      %s", status_database_name(status->database.state));
	if (status->database.since_us) {
		buffer_printf(
			out, " since %s", clock_format_rfc3339(status->database.since_us, 0, time));
	}
	buffer_printf(out, "%s%s\n", status->database.error ? ": " : "",
		status->database.error ? status->database.error : "");
	buffer_printf(out, "lease         %s", status_lease_name(status->lease.state));
	if (status->lease.holder) {
		buffer_printf(out, ", held by %s (epoch %" PRId64 ")", status->lease.holder,
			status->lease.epoch);
	}
	buffer_append_char(out, '\n');
}

static void text_source(struct buffer *out, const struct status_source *source)
{
	const struct status_counts *counts = &source->counts;
	char last[CLOCK_RFC3339_BYTES], next[CLOCK_RFC3339_BYTES];

	buffer_printf(out, "  %-12s%-9s %-26s next %s%s%s\n", or_none(source->name),
		counts->last.status ? counts->last.status : "not yet",
		counts->last.finished_us ? clock_format_rfc3339(counts->last.finished_us, 0, last)
					 : "",
		counts->next_run_us ? clock_format_rfc3339(counts->next_run_us, 0, next) : "-",
		counts->paused ? ", paused" : "", source->running ? ", running" : "");
}

static void text_dataset(struct buffer *out, const struct status_dataset *dataset)
{
	buffer_printf(out, "\n%s: newest date ", or_none(dataset->name));
	text_day(out, dataset->newest_day, dataset->stale);
	if (dataset->coverage.missing_days != STATUS_UNKNOWN) {
		buffer_printf(out, ", %" PRId64 " days missing, %" PRId64 " partial",
			dataset->coverage.missing_days, dataset->coverage.partial_days);
	}
	buffer_append_char(out, '\n');
	for (unsigned i = 0; i < dataset->n_sources; i++) {
		text_source(out, &dataset->sources[i]);
	}
}

void status_text(const struct status *status, struct buffer *out)
{
	buffer_printf(out, "status        %s%s\n", status->running.run ? "running" : "idle",
		status->counts.paused ? ", paused" : "");
	text_running(out, &status->running);
	text_queue(out, status);
	text_last(out, &status->counts.last);
	text_time(out, "last success", status->counts.last_success_us);
	text_time(out, "last failure", status->counts.last_failure_us);
	text_time(out, "next run", status->counts.next_run_us);
	buffer_printf(out, "syncs         %" PRIu64 ", of which %" PRIu64 " failed\n",
		status->counts.n_syncs, status->counts.n_failures);
	buffer_append_str(out, "newest date   ");
	text_day(out, status->newest_day, status->stale);
	buffer_append_char(out, '\n');
	text_coverage(out, &status->coverage);
	text_house(out, status);
	for (unsigned i = 0; i < status->n_datasets; i++) {
		text_dataset(out, &status->datasets[i]);
	}
}
