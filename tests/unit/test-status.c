/*
 * daemon/status: the document is compared byte by byte with files in data/.
 * SPDX-License-Identifier: Apache-2.0
 *
 * After a wanted change: STATUS_WRITE=1 test-status, then read the difference.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/status.h"

#define SECOND INT64_C(1000000)

static const int64_t noon = 1795156203 * SECOND; /* 2026-11-20T12:00:03+05:30 */

static const struct status_source mandi_sources[] = {
	{
		.name = "live",
		.running = true,
		.counts =
			{
				.n_syncs = 12,
				.n_failures = 1,
				.last_success_us = 1795138200 * SECOND,
				.last_failure_us = 1795051800 * SECOND,
				.last = {.status = "success",
					.started_us = 1795138180 * SECOND,
					.finished_us = 1795138200 * SECOND,
					.duration_ms = 20040,
					.n_fetched = 18000,
					.n_inserted = 17000,
					.n_unchanged = 1000},
				.next_run_us = 1795174200 * SECOND,
			},
	},
	{.name = "history", .counts = {.paused = true, .next_run_us = 0}},
};

static const struct status_dataset datasets[] = {
	{
		.name = "mandi_prices",
		.newest_day = 20777,
		.coverage = {.missing_days = 3, .partial_days = 1},
		.sources = mandi_sources,
		.n_sources = 2,
	},
	{
		.name = "pincode_directory",
		.newest_day = STATUS_NO_DAY,
		.coverage = {.missing_days = STATUS_UNKNOWN, .partial_days = STATUS_UNKNOWN},
	},
};

static const struct status_queued queue[] = {
	{"mandi_prices", "history"},
	{"air_quality", "live"},
};

static struct status full(void)
{
	return (struct status){
		.counts =
			{
				.n_syncs = 41,
				.n_failures = 3,
				.last_success_us = 1795138200 * SECOND,
				.last_failure_us = noon,
				.last =
					{
						.status = "partial",
						.started_us = 1795156190 * SECOND,
						.finished_us = noon,
						.duration_ms = 12345,
						.n_fetched = 10432,
						.n_inserted = 9800,
						.n_updated = 600,
						.n_unchanged = 20,
						.n_duplicate = 10,
						.n_quarantined = 2,
						.error = "2026-11-19: 10432 of 10440 rows came "
							 "(\"total\")",
					},
				.next_run_us = 1795174200 * SECOND,
			},
		.running = {.run = 1795156203123,
			.dataset = "mandi_prices",
			.source = "live",
			.slice = "2026-11-20/Kerala",
			.page = 3,
			.n_pages = 18,
			.n_rows = 3000},
		.queue = queue,
		.n_queue = 2,
		.newest_day = 20777,
		.stale = true,
		.coverage = {.missing_days = 3, .partial_days = 1},
		.spool = {.bytes = 1258291,
			.limit_bytes = UINT64_C(2147483648),
			.n_ready = 1,
			.n_loaded = 14},
		.database = {.state = STATUS_DATABASE_DOWN,
			.since_us = 1795152600 * SECOND,
			.error = "connection refused"},
		.lease = {.state = STATUS_LEASE_HOLDER, .holder = "host-1/3f2a", .epoch = 4},
		.datasets = datasets,
		.n_datasets = 2,
	};
}

/* Just started: nothing ran, nothing is known. */
static struct status fresh(void)
{
	return (struct status){
		.newest_day = STATUS_NO_DAY,
		.coverage = {.missing_days = STATUS_UNKNOWN, .partial_days = STATUS_UNKNOWN},
		.spool = {.limit_bytes = UINT64_C(2147483648)},
	};
}

static void compare(const char *name, const char *text)
{
	char path[512];
	_cleanup_free_ char *expected = calloc(1, 65536);
	const char *root = getenv("SOURCE_ROOT");
	FILE *file;

	snprintf(path, sizeof(path), "%s/tests/unit/data/%s", root ? root : ".", name);
	file = fopen(path, getenv("STATUS_WRITE") ? "w" : "r");
	assert_non_null(file);
	if (getenv("STATUS_WRITE")) {
		fputs(text, file);
	} else {
		assert_true(fread(expected, 1, 65535, file) > 0);
		assert_string_equal(text, expected);
	}
	fclose(file);
}

static void test_json(void **state)
{
	const struct status a = full(), b = fresh();
	_cleanup_free_ char *text = status_json(&a);
	_cleanup_free_ char *empty = status_json(&b);

	(void)state;
	compare("status.json", text);
	compare("status-fresh.json", empty);
	assert_null(strstr(empty, "\"\""));
}

static void test_text(void **state)
{
	const struct status a = full(), b = fresh();
	_cleanup_buffer_ struct buffer text = {0}, empty = {0};

	(void)state;
	status_text(&a, &text);
	compare("status.txt", buffer_str(&text));
	status_text(&b, &empty);
	compare("status-fresh.txt", buffer_str(&empty));
}

/* The keys that clients of the predecessor read. */
static void test_frozen(void **state)
{
	const struct status a = full();
	_cleanup_free_ char *text = status_json(&a);
	json_t *json = json_loads(text, 0, NULL);
	const char *status, *last_success, *last_failure, *last, *started, *finished, *error;
	json_int_t n_syncs, n_failures, n_records;
	double seconds;

	(void)state;
	assert_int_equal(
		json_unpack(json, "{s:s, s:I, s:I, s:s, s:s, s:{s:s, s:s, s:s, s:I, s:F, s:s}}",
			"status", &status, "total_syncs", &n_syncs, "total_failures", &n_failures,
			"last_success_at", &last_success, "last_failure_at", &last_failure,
			"last_sync", "status", &last, "started_at", &started, "finished_at",
			&finished, "records_fetched", &n_records, "duration_seconds", &seconds,
			"error", &error),
		0);
	assert_string_equal(status, "running");
	assert_int_equal(n_syncs, 41);
	assert_int_equal(n_failures, 3);
	assert_string_equal(last_failure, "2026-11-20T12:00:03+05:30");
	assert_string_equal(last, "partial");
	assert_int_equal(n_records, 10432);
	assert_true(seconds > 12.3449 && seconds < 12.3451);
	json_decref(json);
}

static void test_etag(void **state)
{
	char a[STATUS_ETAG_BYTES], b[STATUS_ETAG_BYTES];

	(void)state;
	assert_string_equal(status_etag("abc", 3, a), status_etag("abc", 3, b));
	assert_int_equal(strlen(a), 16);
	assert_string_not_equal(a, status_etag("abd", 3, b));
}

/* An error text may hold anything; the document stays valid, or there is none. */
static void test_bad_text(void **state)
{
	struct status a = full();
	char *text;

	(void)state;
	a.database.error = "tab\tquote\" back\\slash";
	text = status_json(&a);
	assert_non_null(strstr(text, "tab\\tquote\\\" back\\\\slash"));
	free(text);
	a.database.error = "not \xff utf-8";
	text = status_json(&a);
	assert_non_null(text);
	assert_non_null(strstr(text, "not ? utf-8"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_frozen),
		cmocka_unit_test(test_etag),
		cmocka_unit_test(test_bad_text),
	};

	setenv("TZ", "Asia/Kolkata", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
