/*
 * The metrics as text: every series from the start, few of them, values as they were.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/metrics.h"

/* What is shipped: three datasets, four sources, one dataset without dates. */
struct fixture {
	struct source_counts counts[4];
	struct metrics_source sources[4];
	struct metrics_dataset datasets[3];
	struct histogram run_seconds, request_seconds;
	uint64_t requests[N_ANSWER_KINDS];
	struct metrics metrics;
	struct buffer text;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	static const char *const names[4][2] = {{"air_quality", "live"}, {"mandi_prices", "live"},
		{"mandi_prices", "history"}, {"pincode_directory", "all"}};

	assert_non_null(f);
	for (unsigned i = 0; i < 4; i++) {
		f->counts[i].newest_day = INT32_MIN;
		f->sources[i] = (struct metrics_source){.dataset = names[i][0],
			.name = names[i][1],
			.has_date = i < 3,
			.counts = &f->counts[i]};
	}
	f->datasets[0].name = "air_quality";
	f->datasets[1].name = "mandi_prices";
	f->datasets[2].name = "pincode_directory";
	f->run_seconds = (struct histogram){.bounds = {1, 10, 60, 300, 1800, 7200}};
	f->request_seconds = (struct histogram){.bounds = {0.5, 2, 5, 15, 60, 180}};
	f->metrics = (struct metrics){
		.version = "1.2.3",
		.sources = f->sources,
		.n_sources = 4,
		.datasets = f->datasets,
		.n_datasets = 3,
		.run_seconds = &f->run_seconds,
		.request_seconds = &f->request_seconds,
		.requests = f->requests,
	};
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	buffer_fini(&f->text);
	free(f);
	return 0;
}

static const char *text_of(struct fixture *f)
{
	buffer_clear(&f->text);
	metrics_text(&f->metrics, &f->text);
	assert_false(buffer_failed(&f->text));
	return buffer_str(&f->text);
}

static void assert_line(struct fixture *f, const char *line)
{
	char with_ends[256];

	snprintf(with_ends, sizeof(with_ends), "\n%s\n", line);
	if (!strstr(text_of(f), with_ends)) {
		print_error("no line: %s\n%s", line, buffer_str(&f->text));
		fail();
	}
}

static unsigned count_series(const char *text)
{
	unsigned n = 0;

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		n += *line != '#';
	}
	return n;
}

static void all_series_are_there_from_the_start(void **state)
{
	struct fixture *f = *state;
	unsigned n = count_series(text_of(f));

	assert_in_range(n, 100, 119);
	assert_line(f, "ogdsync_runs_total{dataset=\"mandi_prices\",source=\"history\","
		       "state=\"suspect\"} 0");
	assert_line(f, "ogdsync_rows_total{dataset=\"air_quality\",source=\"live\","
		       "kind=\"quarantined\"} 0");
	assert_line(f, "ogdsync_source_last_success_timestamp_seconds{dataset=\"air_quality\","
		       "source=\"live\"} 0.000");
	assert_line(f, "ogdsync_portal_requests_total{outcome=\"rate_limited\"} 0");
	assert_line(f, "ogdsync_build_info{version=\"1.2.3\"} 1");
	f->counts[1].runs[RUN_FAILED] = 7;
	assert_int_equal(count_series(text_of(f)), n);
}

static void four_times_of_a_source(void **state)
{
	struct fixture *f = *state;

	f->counts[1].attempt_us = INT64_C(1795156203120999);
	f->counts[1].new_data_us = INT64_C(1795156203000000);
	f->counts[1].newest_day = 20777; /* 2026-11-20 */
	f->sources[1].success_us = INT64_C(1795156204005000);
#define OF "{dataset=\"mandi_prices\",source=\"live\"} "
	assert_line(f, "ogdsync_source_last_attempt_timestamp_seconds" OF "1795156203.120");
	assert_line(f, "ogdsync_source_last_success_timestamp_seconds" OF "1795156204.005");
	assert_line(f, "ogdsync_source_last_new_data_timestamp_seconds" OF "1795156203.000");
	/* 2026-11-19T18:30:00Z is midnight in India. */
	assert_line(f, "ogdsync_source_newest_data_timestamp_seconds" OF "1795113000.000");
	assert_null(strstr(buffer_str(&f->text),
		"newest_data_timestamp_seconds{dataset=\"pincode_directory\""));
}

static void rows_are_accounted_for(void **state)
{
	struct fixture *f = *state;

	f->counts[0].rows = (struct row_counts){.received = 31,
		.inserted = 1,
		.updated = 2,
		.unchanged = 4,
		.duplicate = 8,
		.quarantined = 16};
#define AIR "{dataset=\"air_quality\",source=\"live\""
	assert_line(f, "ogdsync_rows_received_total" AIR "} 31");
	assert_line(f, "ogdsync_rows_total" AIR ",kind=\"inserted\"} 1");
	assert_line(f, "ogdsync_rows_total" AIR ",kind=\"updated\"} 2");
	assert_line(f, "ogdsync_rows_total" AIR ",kind=\"unchanged\"} 4");
	assert_line(f, "ogdsync_rows_total" AIR ",kind=\"duplicate\"} 8");
	assert_line(f, "ogdsync_rows_total" AIR ",kind=\"quarantined\"} 16");
}

/* Buckets count what is up to their bound, each with those before it. */
static void histograms_add_up(void **state)
{
	struct fixture *f = *state;

	histogram_add(&f->request_seconds, 0.25);
	histogram_add(&f->request_seconds, 2);
	histogram_add(&f->request_seconds, 2.5);
	histogram_add(&f->request_seconds, 1000);
#define TOOK "ogdsync_portal_request_duration_seconds"
	assert_line(f, TOOK "_bucket{le=\"0.5\"} 1");
	assert_line(f, TOOK "_bucket{le=\"2\"} 2");
	assert_line(f, TOOK "_bucket{le=\"5\"} 3");
	assert_line(f, TOOK "_bucket{le=\"180\"} 3");
	assert_line(f, TOOK "_bucket{le=\"+Inf\"} 4");
	assert_line(f, TOOK "_sum 1004.75");
	assert_line(f, TOOK "_count 4");
}

static void large_numbers_stay_whole(void **state)
{
	struct fixture *f = *state;

	f->counts[3].rows.received = UINT64_MAX;
	f->metrics.spool.bytes = UINT64_C(9007199254740993) - 1;
	f->metrics.n_log_dropped = 3;
	f->metrics.process.cpu_seconds = 0.000125;
	assert_line(f, "ogdsync_rows_received_total{dataset=\"pincode_directory\",source=\"all\"} "
		       "18446744073709551615");
	assert_line(f, "ogdsync_spool_bytes 9007199254740992");
	assert_line(f, "ogdsync_log_dropped_lines_total 3");
	assert_line(f, "process_cpu_seconds_total 0.000125");
}

int main(void)
{
#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		METRICS_TEST(all_series_are_there_from_the_start),
		METRICS_TEST(four_times_of_a_source),
		METRICS_TEST(rows_are_accounted_for),
		METRICS_TEST(histograms_add_up),
		METRICS_TEST(large_numbers_stay_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
