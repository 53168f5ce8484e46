/*
 * What systemd is told: that we are ready, what is done now, that we stop. Never waits.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/report_private.h"

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/notify.h"
#include "lib/scrub.h"

enum { WORDS_BYTES = 200 };

/* What found the queue full is repeated with the next words; only a status is not worth that. */
static void notify(struct report *report, const char *text, bool repeat)
{
	if (report->unsent && notify_send(report->unsent) == 0) {
		report->unsent = NULL;
	}
	if (notify_send(text) == -EAGAIN && repeat) {
		report->unsent = text;
	}
}

void report_systemd(struct report *report)
{
	const struct status *status = &report->status;
	char words[WORDS_BYTES], line[WORDS_BYTES + 16];

	if (status->running.run) {
		snprintf(words, sizeof(words),
			"fetching %s/%s %s: page %" PRId64 ", %" PRId64 " rows",
			status->running.dataset, status->running.source,
			status->running.slice ? status->running.slice : "", status->running.page,
			status->running.n_rows);
	} else if (report->n_unloaded > 0 && status->database.state == STATUS_DATABASE_UP) {
		snprintf(words, sizeof(words), "loading; %u slices wait", report->n_unloaded);
	} else if (status->database.state != STATUS_DATABASE_UP) {
		snprintf(words, sizeof(words), "idle; database %s",
			status->database.state == STATUS_DATABASE_DOWN ? "down" : "schema differs");
	} else {
		snprintf(words, sizeof(words), "idle; last sync %s",
			status->counts.last.status ? status->counts.last.status : "none yet");
	}
	snprintf(line, sizeof(line), "STATUS=%s", words);
	scrub_text(line);
	notify(report, line, false);
}

void report_alive(struct report *report)
{
	notify(report, "WATCHDOG=1", false);
}

void report_ready(struct report *report)
{
	log_notice(NULL, "daemon.ready", f_str("version", OGDSYNC_VERSION),
		f_str("config", report->config->file));
	notify(report, "READY=1", true);
	report_systemd(report);
}

void report_stopping(struct report *report, const char *why)
{
	log_notice(NULL, "daemon.stopping", f_str("reason", why));
	notify(report, "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=15000000", true);
}
