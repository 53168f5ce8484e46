/*
 * The daemon and its metrics. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/daemon_private.h"

#include <config.h>

#include "daemon/process.h"

static void fill_portal(const struct daemon *daemon, struct metrics *metrics)
{
	const struct portal_counters *counters = portal_counters(daemon->portal);

	metrics->request_seconds = &counters->seconds;
	metrics->requests = counters->requests;
	metrics->received_bytes = counters->n_bytes;
	metrics->breaker_open = portal_breaker(daemon->portal)->state.phase != BREAKER_CLOSED;
}

static void fill_spool(const struct daemon *daemon, struct metrics *metrics)
{
	struct spool_stats spool = spool_stats(daemon->spool);

	metrics->spool.bytes = spool.bytes;
	metrics->spool.unloaded_bytes = spool.unloaded_bytes;
	metrics->spool.limit_bytes = spool.limit_bytes;
	metrics->spool.n_part = spool.n_part;
	metrics->spool.n_ready = spool.n_ready;
	metrics->spool.n_loaded = spool.n_loaded;
	metrics->spool.n_damaged = spool.n_damaged;
}

void daemon_metrics(void *arg, struct buffer *text)
{
	struct daemon *daemon = arg;
	const struct source *queue[N_ELEMENTS(daemon->now.queue)];
	struct metrics metrics = {
		.version = OGDSYNC_VERSION,
		.n_queued = runner_queue(daemon->runner, queue, N_ELEMENTS(queue)),
		.n_log_dropped = log_dropped(),
		.process = {.start_seconds = (double)daemon->began_us / 1e6},
	};

	report_metrics(daemon->report, &metrics);
	fill_portal(daemon, &metrics);
	fill_spool(daemon, &metrics);
	process_usage(&metrics.process);
	metrics_text(&metrics, text);
}
