#pragma once

/*
 * The insides of the daemon, for its own files: daemon.c (life), daemon_state.c (state.json),
 * daemon_spool.c (what an earlier process left), daemon_heal.c (holes), daemon_http.c (what is asked
 * over HTTP), daemon_control.c (what operators ask for), daemon_reload.c (the configuration anew).
 * SPDX-License-Identifier: Apache-2.0
 */

#include <signal.h>
#include <uv.h>

#include "daemon/alert_send.h"
#include "daemon/api.h"
#include "daemon/coverage.h"
#include "daemon/daemon.h"
#include "daemon/history.h"
#include "daemon/loader.h"
#include "daemon/portal.h"
#include "daemon/reader.h"
#include "daemon/report.h"
#include "daemon/run.h"
#include "daemon/schedule.h"
#include "daemon/spool.h"
#include "daemon/state.h"
#include "lib/httpd.h"
#include "lib/log.h"
#include "lib/zone.h"

enum { N_DAEMON_TIMERS = 5, N_DAEMON_SIGNALS = 4 };

/* Where the present round of healing stands, and when the next one may be. */
struct daemon_heal {
	bool asking, told;
	unsigned n_left, dataset, source;
	struct cover_list list; /* of the dataset */
	uint64_t look_ms, pause_ms, wait_ms; /* monotonic; wait_ms: the last pause */
};

struct daemon {
	struct daemon_options options;
	struct config *config;
	const struct clock *clock;
	uv_loop_t loop;
	struct zone *zone;
	struct spool *spool;
	struct state *state; /* NULL before the start, and at the end of the stop */
	struct portal *portal;
	struct loader *loader;
	struct reader *reader;
	struct runner *runner;
	struct schedule *schedule;
	struct report *report;
	struct alert_sender *alerts; /* NULL with `once` */
	struct history *history;     /* likewise */
	struct httpd *httpd;
	struct api api;
	struct report_now now;
	struct daemon_heal heal;
	uv_timer_t tick;  /* schedule; with `once`, its time limit */
	uv_timer_t limit; /* of stopping */
	uv_timer_t hang_up; /* after SIGHUP */
	uv_timer_t reload;
	uv_timer_t watchdog;
	bool late; /* something is, and that was said */
	struct config *next_config; /* waits for its turn, or NULL */
	uv_signal_t signals[N_DAEMON_SIGNALS];
	unsigned n_handles; /* timers and signals that were begun */
	unsigned n_commits; /* interrupted files on their way to .ready */
	struct api_run ended[8]; /* the last ones, in a ring: the books may not have them yet */
	unsigned n_ended;
	int64_t began_us;
	bool stopping, once_begun;
	bool left_over; /* with `once`: what no fetch went on with was brought to an end, too */
	int exit_code;
};

/* daemon.c */
void daemon_check_once(struct daemon *daemon);
void daemon_give_up(struct daemon *daemon, const char *why); /* stop, for somebody to start it again */
/* In the zone of the schedule: the day of a moment, and when it began. */
int32_t daemon_day(const struct daemon *daemon, int64_t us);
int64_t daemon_day_begin_us(const struct daemon *daemon, int64_t us);

void daemon_look_at_schedule(struct daemon *daemon); /* in the next turn of the loop */

/* daemon_watchdog.c: signs of life, if systemd asks for them */
void daemon_start_watchdog(struct daemon *daemon);

/* daemon_reload.c: whole or nothing */
void daemon_reload(struct daemon *daemon, const char *who, struct api_outcome *ret);

/* daemon_control.c */
void daemon_control(void *arg, const struct api_command *command, struct api_outcome *ret);
bool daemon_find_run(void *arg, int64_t id, struct api_run *ret);
void daemon_remember_run(struct daemon *daemon, const struct run_info *run);

/* daemon_state.c: remember, and write state.json when it can be */
void daemon_save_state(struct daemon *daemon);
void daemon_save_breaker(struct daemon *daemon);
void daemon_save_marks(struct daemon *daemon, const struct run_info *run);
int daemon_open_state(struct daemon *daemon);
void daemon_restore_schedule(struct daemon *daemon);

/* daemon_spool.c */
void daemon_end_interrupted(struct daemon *daemon); /* what no fetch will go on with */
int daemon_take_over_spool(struct daemon *daemon, struct error *error);
void daemon_recheck_loaded(struct daemon *daemon);
void daemon_close_runs(struct daemon *daemon);

/* daemon_heal.c */
void daemon_heal_look(struct daemon *daemon); /* if a round is due */
void daemon_heal_soon(struct daemon *daemon); /* one is: something changed */
void daemon_heal_ended(struct daemon *daemon, const struct run_info *run);

/* daemon_http.c */
int daemon_listen(struct daemon *daemon, struct error *error);

/* daemon_metrics.c */
void daemon_metrics(void *arg, struct buffer *text);

/* daemon_alerts.c */
int daemon_open_alerts(struct daemon *daemon);
int daemon_test_alerts(void *arg, const char *who, alert_tested_fn on_done, void *done_arg);
void daemon_look(struct daemon *daemon); /* whether something needs a person */

/* daemon_history.c */
int daemon_open_history(struct daemon *daemon);
