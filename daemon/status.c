/*
 * The status document. SPDX-License-Identifier: Apache-2.0
 *
 * Keys come in the order of the predecessor's document, then what was added. Text for people shows
 * the same things one a line, and leaves out what there is nothing to say about.
 */

#include "daemon/status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "lib/clock.h"
#include "lib/error.h"

enum { DAY_BYTES = 16 };

static const char *format_day(int32_t day, char buf[static DAY_BYTES])
{
	time_t s = (time_t)day * 86400;
	struct tm tm;

	if (!gmtime_r(&s, &tm) || strftime(buf, DAY_BYTES, "%F", &tm) == 0) {
		buf[0] = '\0';
	}
	return buf;
}

/* JSON. A value that cannot be made is left out by jansson's *_set_new, and that fails the whole.
 */

struct object {
	json_t *json;
	bool failed;
};

static void put(struct object *object, const char *key, json_t *take_value)
{
	object->failed |= json_object_set_new(object->json, key, take_value) < 0;
}

/*
 * A text from elsewhere (libpq, the portal) may not be UTF-8, which must not cost us the document:
 * what is not ASCII is then replaced.
 */
static json_t *lossy_string(const char *text)
{
	char ascii[ERROR_TEXT_BYTES];
	size_t i;

	for (i = 0; text[i] && i + 1 < sizeof(ascii); i++) {
		ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	}
	ascii[i] = '\0';
	return json_string(ascii);
}

static void put_text(struct object *object, const char *key, const char *text)
{
	json_t *value = text && *text ? json_string(text) : json_null();

	put(object, key, value ? value : lossy_string(text));
}

static void put_time(struct object *object, const char *key, int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	put_text(object, key, us ? clock_format_rfc3339(us, 0, text) : NULL);
}

static void put_day(struct object *object, const char *key, int32_t day)
{
	char text[DAY_BYTES];

	put_text(object, key, day == STATUS_NO_DAY ? NULL : format_day(day, text));
}

static void put_count(struct object *object, const char *key, int64_t n)
{
	put(object, key, n == STATUS_UNKNOWN ? json_null() : json_integer(n));
}

static void put_bool(struct object *object, const char *key, bool value)
{
	put(object, key, json_boolean(value));
}

static struct object object_new(void)
{
	json_t *json = json_object();

	return (struct object){.json = json, .failed = !json};
}

/* The finished object, or NULL when any part of it failed. */
static json_t *object_take(struct object *object)
{
	if (object->failed) {
		json_decref(object->json);
		object->json = NULL;
	}
	return take_ptr(object->json);
}

static json_t *sync_json(const struct status_sync *sync)
{
	struct object object;

	if (!sync->status) {
		return json_null();
	}
	object = object_new();
	put_text(&object, "status", sync->status);
	put_time(&object, "started_at", sync->started_us);
	put_time(&object, "finished_at", sync->finished_us);
	put_count(&object, "records_fetched", sync->n_fetched);
	put(&object, "duration_seconds", json_real((double)sync->duration_ms / 1000));
	put_text(&object, "error", sync->error);
	put_count(&object, "records_inserted", sync->n_inserted);
	put_count(&object, "records_updated", sync->n_updated);
	put_count(&object, "records_unchanged", sync->n_unchanged);
	put_count(&object, "records_duplicate", sync->n_duplicate);
	put_count(&object, "records_quarantined", sync->n_quarantined);
	return object_take(&object);
}

static void put_counts(struct object *object, const struct status_counts *counts)
{
	put(object, "total_syncs", json_integer((json_int_t)counts->n_syncs));
	put(object, "total_failures", json_integer((json_int_t)counts->n_failures));
	put_time(object, "last_success_at", counts->last_success_us);
	put_time(object, "last_failure_at", counts->last_failure_us);
	put(object, "last_sync", sync_json(&counts->last));
	put_time(object, "next_run_at", counts->next_run_us);
}

static json_t *running_json(const struct status_running *running)
{
	struct object object;

	if (running->run == 0) {
		return json_null();
	}
	object = object_new();
	put_count(&object, "run", running->run);
	put_text(&object, "dataset", running->dataset);
	put_text(&object, "source", running->source);
	put_text(&object, "slice", running->slice);
	put_count(&object, "page", running->page);
	put_count(&object, "pages", running->n_pages);
	put_count(&object, "rows", running->n_rows);
	return object_take(&object);
}

static json_t *queue_json(const struct status *status)
{
	json_t *array = json_array();
	bool failed = !array;

	for (unsigned i = 0; i < status->n_queue && !failed; i++) {
		struct object object = object_new();

		put_text(&object, "dataset", status->queue[i].dataset);
		put_text(&object, "source", status->queue[i].source);
		failed = json_array_append_new(array, object_take(&object)) < 0;
	}
	if (failed) {
		json_decref(array);
		return NULL;
	}
	return array;
}

static json_t *coverage_json(const struct status_coverage *coverage)
{
	struct object object = object_new();

	put_count(&object, "missing_days", coverage->missing_days);
	put_count(&object, "partial_days", coverage->partial_days);
	return object_take(&object);
}

static json_t *spool_json(const struct status *status)
{
	struct object object = object_new();

	put(&object, "bytes", json_integer((json_int_t)status->spool.bytes));
	put(&object, "limit_bytes", json_integer((json_int_t)status->spool.limit_bytes));
	put(&object, "ready", json_integer(status->spool.n_ready));
	put(&object, "loaded", json_integer(status->spool.n_loaded));
	return object_take(&object);
}

static const char *database_name(enum status_database state)
{
	switch (state) {
	case STATUS_DATABASE_UP:
		return "up";
	case STATUS_DATABASE_DOWN:
		return "down";
	case STATUS_DATABASE_SCHEMA:
		return "schema";
	}
	return NULL;
}

static const char *lease_name(enum status_lease state)
{
	switch (state) {
	case STATUS_LEASE_HOLDER:
		return "holder";
	case STATUS_LEASE_STANDBY:
		return "standby";
	case STATUS_LEASE_UNKNOWN:
		return "unknown";
	}
	return NULL;
}

static json_t *database_json(const struct status *status)
{
	struct object object = object_new();

	put_text(&object, "state", database_name(status->database.state));
	put_time(&object, "since", status->database.since_us);
	put_text(&object, "error", status->database.error);
	return object_take(&object);
}

static json_t *lease_json(const struct status *status)
{
	struct object object = object_new();

	put_text(&object, "state", lease_name(status->lease.state));
	put_text(&object, "holder", status->lease.holder);
	put_count(&object, "epoch", status->lease.epoch ? status->lease.epoch : STATUS_UNKNOWN);
	return object_take(&object);
}

static json_t *source_json(const struct status_source *source)
{
	struct object object = object_new();

	put_text(&object, "name", source->name);
	put_text(&object, "status", source->running ? "running" : "idle");
	put_counts(&object, &source->counts);
	put_bool(&object, "paused", source->counts.paused);
	return object_take(&object);
}

static json_t *dataset_json(const struct status_dataset *dataset)
{
	struct object object = object_new();
	json_t *sources = json_array();

	object.failed |= !sources;
	for (unsigned i = 0; i < dataset->n_sources && !object.failed; i++) {
		object.failed =
			json_array_append_new(sources, source_json(&dataset->sources[i])) < 0;
	}
	put_text(&object, "name", dataset->name);
	put_day(&object, "newest_date", dataset->newest_day);
	put_bool(&object, "stale", dataset->stale);
	put(&object, "coverage", coverage_json(&dataset->coverage));
	put(&object, "sources", sources);
	return object_take(&object);
}

static json_t *datasets_json(const struct status *status)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < status->n_datasets && array; i++) {
		if (json_array_append_new(array, dataset_json(&status->datasets[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static int append_json(const char *data, size_t len, void *out)
{
	buffer_append(out, data, len);
	return buffer_failed(out) ? -1 : 0;
}

char *status_json(const struct status *status)
{
	struct object object = object_new();
	struct buffer text = {0};
	json_t *json;

	put_text(&object, "status", status->running.run ? "running" : "idle");
	put_counts(&object, &status->counts);
	put(&object, "running", running_json(&status->running));
	put(&object, "queue", queue_json(status));
	put_bool(&object, "paused", status->counts.paused);
	put_day(&object, "newest_date", status->newest_day);
	put_bool(&object, "stale", status->stale);
	put(&object, "coverage", coverage_json(&status->coverage));
	put(&object, "spool", spool_json(status));
	put(&object, "database", database_json(status));
	put(&object, "lease", lease_json(status));
	put(&object, "datasets", datasets_json(status));
	json = object_take(&object);
	/* A duration has three digits; twelve keep it exact for years. */
	if (!json ||
		json_dump_callback(
			json, append_json, &text, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) < 0) {
		text.failed = true;
	}
	buffer_append_char(&text, '\n');
	json_decref(json);
	return buffer_steal(&text);
}

/* Text for people. */

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
	char text[DAY_BYTES];

	buffer_printf(out, "%s%s", day == STATUS_NO_DAY ? "none" : format_day(day, text),
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
	buffer_printf(out, "database      %s", database_name(status->database.state));
	if (status->database.since_us) {
		buffer_printf(
			out, " since %s", clock_format_rfc3339(status->database.since_us, 0, time));
	}
	buffer_printf(out, "%s%s\n", status->database.error ? ": " : "",
		status->database.error ? status->database.error : "");
	buffer_printf(out, "lease         %s", lease_name(status->lease.state));
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

const char *status_etag(const void *data, size_t len, char etag[static STATUS_ETAG_BYTES])
{
	snprintf(etag, STATUS_ETAG_BYTES, "%016" PRIx64, (uint64_t)XXH3_64bits(data, len));
	return etag;
}
