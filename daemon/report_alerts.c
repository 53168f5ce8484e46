/*
 * What happens, for the alerts. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/report_private.h"

#include <string.h>

static const char *text_of(const struct run_info *run)
{
	return run->error ? run->error->text : "";
}

/*
 * After it was counted. A run that heals asks for what was not there before; that it still is not is
 * no news of the source.
 */
void report_alert_ended(struct report *report, const struct run_info *run)
{
	const struct source_report *source = report_source(report, run->source);
	struct alert_run end = {
		.dataset = run->source->dataset->name,
		.source = run->source->name,
		.success = run->state == RUN_SUCCESS,
		.suspect = run->state == RUN_SUSPECT,
		.n_unsuccessful = source ? source->tally.n_unsuccessful : 0,
		.code = run->error ? run->error->code : "",
		.text = text_of(run),
	};

	report->spool_refused = false;
	if (run->heals && run->state != RUN_SUCCESS) {
		return;
	}
	alerts_take_run(&report->alerts, &end, report->config->alerts.after_failures,
		clock_wall_us(report->clock));
}

void report_alert_fetched(struct report *report, const struct run_info *run,
	const struct spool_outcome *outcome)
{
	report->spool_refused = false;
	if (strcmp(outcome->reason, "too_many_bad_rows") == 0) {
		alerts_take_bad_rows(&report->alerts, run->source->dataset->name,
			run->source->name, outcome->text, clock_wall_us(report->clock));
	}
}

void report_alert_progress(struct report *report, const struct run_info *run)
{
	report->spool_refused = strcmp(run->progress.waiting, "spool_full") == 0;
}

static void log_alert(const struct alert *alert)
{
	log_at(NULL, alert->firing ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE,
		alert->firing ? "alert.firing" : "alert.over",
		f_str("alert", alert_kind_name(alert->kind)), f_str("dataset", alert->dataset),
		f_str("source", alert->source), f_msg(alert->text));
}

bool report_look(struct report *report, bool breaker_open, const struct spool_stats *spool)
{
	int64_t now_us = clock_wall_us(report->clock);
	struct alert_look look = {
		.breaker_open = breaker_open,
		.database_up = report->status.database.state == STATUS_DATABASE_UP,
		.database_error = report->database_error,
		.unloaded_bytes = spool->unloaded_bytes,
		.limit_bytes = spool->limit_bytes,
		.spool_refused = report->spool_refused,
	};
	const struct alert *alert;
	bool changed = false;

	alerts_take_look(&report->alerts, &look, now_us);
	for (unsigned d = 0; d < report->config->n_datasets; d++) {
		alerts_take_freshness(&report->alerts, report->config->datasets[d],
			report->newest[d], now_us);
	}
	while ((alert = alerts_step(&report->alerts, now_us))) {
		log_alert(alert);
		changed = true;
	}
	return changed;
}

struct alerts *report_alerts(struct report *report)
{
	return &report->alerts;
}

void report_sent(struct report *report, enum alert_channel channel, const struct error *error)
{
	struct repeat *trouble = &report->send_trouble[channel];
	unsigned n;

	if (error) {
		report->n_send_failures++;
		if (repeat_failed(trouble, error->code, REPORT_FAILURES_PER_LINE)) {
			log_warning(NULL, "alert.failed",
				f_str("channel", alert_channel_name(channel)),
				f_u64("failures", trouble->n), f_str("code", error->code),
				f_msg(error->text));
		}
		return;
	}
	n = repeat_over(trouble);
	log_info(NULL, "alert.sent", f_str("channel", alert_channel_name(channel)),
		f_u64("after_failures", n));
}
