/*
 * What systemd is told. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/report_private.h"

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#if HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "lib/scrub.h"

enum { WORDS_BYTES = 200 };

static void notify(const char *text)
{
#if HAVE_SYSTEMD
	(void)sd_notify(0, text);
#else
	(void)text;
#endif
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
	} else if (status->database.state != STATUS_DATABASE_UP) {
		snprintf(words, sizeof(words), "idle; database %s",
			status->database.state == STATUS_DATABASE_DOWN ? "down" : "schema differs");
	} else {
		snprintf(words, sizeof(words), "idle; last sync %s",
			status->counts.last.status ? status->counts.last.status : "none yet");
	}
	snprintf(line, sizeof(line), "STATUS=%s", words);
	scrub_text(line);
	notify(line);
}

void report_ready(struct report *report)
{
	log_notice(NULL, "daemon.ready", f_str("version", OGDSYNC_VERSION),
		f_str("config", report->config->file));
	notify("READY=1");
	report_systemd(report);
}

void report_stopping(struct report *report, const char *why)
{
	(void)report;
	log_notice(NULL, "daemon.stopping", f_str("reason", why));
	notify("STOPPING=1\nSTATUS=stopping");
}
