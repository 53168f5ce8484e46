/*
 * The metrics in Prometheus's text format 0.0.4. SPDX-License-Identifier: Apache-2.0
 *
 * Base units, _total on counters, _timestamp_seconds on times. A series for each source costs as many
 * series as there are sources: what is of use for the whole alone (how long runs and requests took, how
 * requests ended) has no such label.
 */

#include "daemon/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/date.h"

static void head(struct buffer *out, const char *name, const char *type, const char *help)
{
	buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(struct buffer *out, const char *name, const char *help, uint64_t v)
{
	head(out, name, "counter", help);
	buffer_printf(out, "%s %" PRIu64 "\n", name, v);
}

static void gauge(struct buffer *out, const char *name, const char *help, double v)
{
	head(out, name, "gauge", help);
	buffer_printf(out, "%s %.17g\n", name, v);
}

/* The whole of a file's states, or of how requests ended. */
static void labelled(
	struct buffer *out, const char *name, const char *label, const char *value, uint64_t v)
{
	buffer_printf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, v);
}

static void histogram(
	struct buffer *out, const char *name, const char *help, const struct histogram *h)
{
	uint64_t n = 0;

	head(out, name, "histogram", help);
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
		n += h->counts[i];
		buffer_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, h->bounds[i], n);
	}
	n += h->counts[HISTOGRAM_BOUNDS];
	buffer_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, n);
	buffer_printf(out, "%s_sum %.9g\n%s_count %" PRIu64 "\n", name, h->sum, name, n);
}

/* ---- a source ---- */

static void begin_source(struct buffer *out, const char *name, const struct metrics_source *source)
{
	buffer_printf(out, "%s{dataset=\"%s\",source=\"%s\"", name, source->dataset, source->name);
}

static void time_of_source(
	struct buffer *out, const char *name, const struct metrics_source *source, int64_t us)
{
	begin_source(out, name, source);
	buffer_printf(out, "} %" PRId64 ".%03" PRId64 "\n", us / 1000000, us / 1000 % 1000);
}

static int64_t attempt_us(const struct metrics_source *source)
{
	return source->counts->attempt_us;
}

static int64_t success_us(const struct metrics_source *source)
{
	return source->success_us;
}

static int64_t new_data_us(const struct metrics_source *source)
{
	return source->counts->new_data_us;
}

static int64_t newest_date_us(const struct metrics_source *source)
{
	int32_t day = source->counts->newest_day;

	return day == INT32_MIN ? 0 : date_begin_us(day);
}

static void times(const struct metrics *metrics, struct buffer *out)
{
	static const struct {
		const char *name, *help;
		int64_t (*us)(const struct metrics_source *source);
		bool of_dates;
	} list[] = {
		{"ogdsync_source_last_attempt_timestamp_seconds",
			"When a run of the source last began; 0: never.", attempt_us, false},
		{"ogdsync_source_last_success_timestamp_seconds",
			"When a run of the source was last a success; 0: never.", success_us, false},
		{"ogdsync_source_last_new_data_timestamp_seconds",
			"When the source last brought a row that was new or had changed; 0: never.",
			new_data_us, false},
		{"ogdsync_source_newest_data_timestamp_seconds",
			"Midnight, in India, of the newest data date that the source brought; 0: none.",
			newest_date_us, true},
	};

	for (size_t i = 0; i < N_ELEMENTS(list); i++) {
		head(out, list[i].name, "gauge", list[i].help);
		for (unsigned s = 0; s < metrics->n_sources; s++) {
			const struct metrics_source *source = &metrics->sources[s];

			if (!list[i].of_dates || source->has_date) {
				time_of_source(out, list[i].name, source, list[i].us(source));
			}
		}
	}
}

static void runs(const struct metrics *metrics, struct buffer *out)
{
	static const enum run_state ends[] = {
		RUN_SUCCESS, RUN_PARTIAL, RUN_SUSPECT, RUN_FAILED, RUN_CANCELED};
	static const char total[] = "ogdsync_runs_total";
	static const char row[] = "ogdsync_source_consecutive_failures";

	head(out, total, "counter", "Runs that ended, by how.");
	for (unsigned s = 0; s < metrics->n_sources; s++) {
		for (size_t i = 0; i < N_ELEMENTS(ends); i++) {
			begin_source(out, total, &metrics->sources[s]);
			buffer_printf(out, ",state=\"%s\"} %" PRIu64 "\n", run_state_name(ends[i]),
				metrics->sources[s].counts->runs[ends[i]]);
		}
	}
	head(out, row, "gauge", "Runs since the last success of the source.");
	for (unsigned s = 0; s < metrics->n_sources; s++) {
		begin_source(out, row, &metrics->sources[s]);
		buffer_printf(out, "} %u\n", metrics->sources[s].counts->n_unsuccessful);
	}
}

static void rows_of_source(const struct metrics_source *source, const char *name, struct buffer *out)
{
	const struct row_counts *rows = &source->counts->rows;
	const struct {
		const char *kind;
		uint64_t n;
	} kinds[] = {
		{"inserted", rows->inserted},
		{"updated", rows->updated},
		{"unchanged", rows->unchanged},
		{"duplicate", rows->duplicate},
		{"quarantined", rows->quarantined},
	};

	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		begin_source(out, name, source);
		buffer_printf(out, ",kind=\"%s\"} %" PRIu64 "\n", kinds[i].kind, kinds[i].n);
	}
}

static void rows(const struct metrics *metrics, struct buffer *out)
{
	static const char received[] = "ogdsync_rows_received_total";
	static const char became[] = "ogdsync_rows_total";

	head(out, received, "counter", "Rows of committed slices, as received.");
	for (unsigned s = 0; s < metrics->n_sources; s++) {
		begin_source(out, received, &metrics->sources[s]);
		buffer_printf(out, "} %" PRIu64 "\n", metrics->sources[s].counts->rows.received);
	}
	head(out, became, "counter", "The same rows by what became of them; their sum.");
	for (unsigned s = 0; s < metrics->n_sources; s++) {
		rows_of_source(&metrics->sources[s], became, out);
	}
}

/* ---- the whole ---- */

static void freshness(const struct metrics *metrics, struct buffer *out)
{
	static const char stale[] = "ogdsync_dataset_stale";

	head(out, stale, "gauge", "1 when the newest data date is older than `freshness` allows.");
	for (unsigned d = 0; d < metrics->n_datasets; d++) {
		labelled(out, stale, "dataset", metrics->datasets[d].name,
			metrics->datasets[d].stale);
	}
}

static void portal(const struct metrics *metrics, struct buffer *out)
{
	static const char requests[] = "ogdsync_portal_requests_total";

	head(out, requests, "counter", "Requests to the portal that ended, by how.");
	for (int kind = 0; kind < N_ANSWER_KINDS; kind++) {
		labelled(out, requests, "outcome", answer_kind_name((enum answer_kind)kind),
			metrics->requests[kind]);
	}
	histogram(out, "ogdsync_portal_request_duration_seconds",
		"How long requests to the portal took.", metrics->request_seconds);
	counter(out, "ogdsync_portal_received_bytes_total",
		"Bytes of the portal's answers, decompressed.", metrics->received_bytes);
	gauge(out, "ogdsync_portal_breaker_open",
		"1 when the portal failed so often that it is only probed now and then.",
		metrics->breaker_open);
}

static void spool(const struct metrics *metrics, struct buffer *out)
{
	static const char files[] = "ogdsync_spool_files";

	gauge(out, "ogdsync_spool_bytes", "Size of the spool.", (double)metrics->spool.bytes);
	gauge(out, "ogdsync_spool_unloaded_bytes",
		"What of it does not give way to new pages: it is not loaded yet.",
		(double)metrics->spool.unloaded_bytes);
	gauge(out, "ogdsync_spool_limit_bytes", "Size that the spool may have; 0: any.",
		(double)metrics->spool.limit_bytes);
	head(out, files, "gauge", "Files of the spool: being written, waiting, loaded, damaged.");
	labelled(out, files, "state", "part", metrics->spool.n_part);
	labelled(out, files, "state", "ready", metrics->spool.n_ready);
	labelled(out, files, "state", "loaded", metrics->spool.n_loaded);
	labelled(out, files, "state", "damaged", metrics->spool.n_damaged);
}

/* Under the names that every exporter of a process has. */
static void process(const struct metrics_process *process, struct buffer *out)
{
	head(out, "process_cpu_seconds_total", "counter", "CPU time used, user and system.");
	buffer_printf(out, "process_cpu_seconds_total %.6f\n", process->cpu_seconds);
	gauge(out, "process_resident_memory_bytes", "Resident memory.",
		(double)process->resident_bytes);
	gauge(out, "process_open_fds", "Open file descriptors.", (double)process->n_fds);
	gauge(out, "process_max_fds", "Most file descriptors that may be open.",
		(double)process->max_fds);
	head(out, "process_start_time_seconds", "gauge", "When the process began.");
	buffer_printf(out, "process_start_time_seconds %.3f\n", process->start_seconds);
}

void metrics_text(const struct metrics *metrics, struct buffer *out)
{
	head(out, "ogdsync_build_info", "gauge", "The version, as a label.");
	labelled(out, "ogdsync_build_info", "version", metrics->version, 1);
	times(metrics, out);
	runs(metrics, out);
	rows(metrics, out);
	histogram(out, "ogdsync_run_duration_seconds",
		"How long runs took, until their last row was committed.", metrics->run_seconds);
	gauge(out, "ogdsync_running", "1 while a run is fetching.", metrics->running);
	gauge(out, "ogdsync_queued_runs", "Runs that wait for their turn.", metrics->n_queued);
	freshness(metrics, out);
	portal(metrics, out);
	spool(metrics, out);
	gauge(out, "ogdsync_database_up",
		"1 when the database can be reached and its schema is as configured.",
		metrics->database_up);
	gauge(out, "ogdsync_lease_held", "1 when this daemon is the one that may write.",
		metrics->lease_held);
	gauge(out, "ogdsync_alerts_firing", "Alerts that fire.", metrics->n_alerts);
	counter(out, "ogdsync_alert_failures_total",
		"Messages of alerts that the webhook or the database did not take.",
		metrics->n_send_failures);
	counter(out, "ogdsync_log_dropped_lines_total",
		"Lines of the log that nobody took in time.", metrics->n_log_dropped);
	process(&metrics->process, out);
}
