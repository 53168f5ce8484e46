#pragma once

/*
 * The metrics: a struct in, Prometheus's text format out. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * Every series is there from the start, with 0; a time that never was is 0 too. The daemon fills the
 * struct from memory; every pointer in it is borrowed for the call. Names are a promise: they are
 * listed in ogdsync(7).
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/counts.h"
#include "daemon/verdict.h"
#include "lib/buffer.h"
#include "lib/histogram.h"

struct metrics_source {
	const char *dataset, *name; /* from the configuration: letters, digits, "_" */
	bool has_date;              /* without one there is no newest date either */
	int64_t success_us;         /* 0 never */
	const struct source_counts *counts;
};

struct metrics_dataset {
	const char *name;
	bool stale;
};

struct metrics_process {
	double cpu_seconds, start_seconds;
	uint64_t resident_bytes, n_fds, max_fds;
};

struct metrics {
	const char *version;
	const struct metrics_source *sources;
	unsigned n_sources;
	const struct metrics_dataset *datasets;
	unsigned n_datasets;
	const struct histogram *run_seconds, *request_seconds;
	const uint64_t *requests; /* by enum answer_kind */
	uint64_t received_bytes;
	bool breaker_open;
	bool running;
	unsigned n_queued;
	bool database_up, lease_held;
	struct {
		uint64_t bytes, unloaded_bytes, limit_bytes; /* limit 0: none */
		unsigned n_part, n_ready, n_loaded, n_damaged;
	} spool;
	unsigned n_alerts;        /* that fire */
	uint64_t n_send_failures; /* of their messages */
	uint64_t n_log_dropped;
	struct metrics_process process;
};

/* Appended. */
void metrics_text(const struct metrics *metrics, struct buffer *out);
