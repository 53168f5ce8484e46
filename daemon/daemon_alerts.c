/*
 * The daemon and its alerts: looks whether something needs a person, and has it told.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/daemon_private.h"

static void on_sent(void *arg, enum alert_channel channel, const struct error *error)
{
	struct daemon *daemon = arg;

	report_sent(daemon->report, channel, error);
	if (!error) {
		daemon_save_state(daemon); /* that it was told */
	}
}

int daemon_open_alerts(struct daemon *daemon)
{
	const struct alert_sender_options options = {
		.loop = &daemon->loop,
		.clock = daemon->clock,
		.config = daemon->config,
		.alerts = report_alerts(daemon->report),
		.reader = daemon->reader,
		.on_sent = on_sent,
		.arg = daemon,
	};

	return alert_sender_new(&options, &daemon->alerts);
}

/* With `once` nobody is told here: the exit code says it, and the next daemon what goes on. */
void daemon_look(struct daemon *daemon)
{
	struct spool_stats spool = spool_stats(daemon->spool);

	if (daemon->stopping) {
		return;
	}
	if (report_look(daemon->report,
		    portal_breaker(daemon->portal)->state.phase != BREAKER_CLOSED, &spool)) {
		daemon_save_state(daemon);
	}
	if (daemon->alerts) {
		alert_sender_wake(daemon->alerts);
	}
}

int daemon_test_alerts(void *arg, const char *who, alert_tested_fn on_done, void *done_arg)
{
	struct daemon *daemon = arg;

	log_notice(NULL, "alert.test", f_str("by", who));
	return alert_sender_test(daemon->alerts, on_done, done_arg);
}
