/*
 * The status document as JSON. SPDX-License-Identifier: Apache-2.0
 *
 * Keys come in the order of the predecessor's document, then what was added. Any value that cannot
 * be made, for want of memory, fails the whole: a key that is missing would be a wrong answer.
 */

#include "daemon/status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "daemon/status_private.h"
#include "lib/clock.h"
#include "lib/error.h"

const char *status_format_day(int32_t day, char buf[static STATUS_DAY_BYTES])
{
	time_t s = (time_t)day * 86400;
	struct tm tm;

	if (!gmtime_r(&s, &tm) || strftime(buf, STATUS_DAY_BYTES, "%F", &tm) == 0) {
		buf[0] = '\0';
	}
	return buf;
}

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
	char text[STATUS_DAY_BYTES];

	put_text(object, key, day == STATUS_NO_DAY ? NULL : status_format_day(day, text));
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

const char *status_database_name(enum status_database state)
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

const char *status_lease_name(enum status_lease state)
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

	put_text(&object, "state", status_database_name(status->database.state));
	put_time(&object, "since", status->database.since_us);
	put_text(&object, "error", status->database.error);
	return object_take(&object);
}

static json_t *lease_json(const struct status *status)
{
	struct object object = object_new();

	put_text(&object, "state", status_lease_name(status->lease.state));
	put_text(&object, "holder", status->lease.holder);
	put_count(&object, "epoch", status->lease.epoch ? status->lease.epoch : STATUS_UNKNOWN);
	put_text(&object, "error", status->lease.error);
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
	put_text(&object, "reload", status->reload_waits ? "waiting" : NULL);
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

const char *status_etag(const void *data, size_t len, char etag[static STATUS_ETAG_BYTES])
{
	snprintf(etag, STATUS_ETAG_BYTES, "%016" PRIx64, (uint64_t)XXH3_64bits(data, len));
	return etag;
}
