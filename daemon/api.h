#pragma once

/*
 * The HTTP routes: what is asked is turned into a call, what comes back into an answer.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Knows neither the daemon nor a run: whoever owns the server hands in a struct api_source. The
 * routes are for httpd_new(); their arg is a struct api, in its owner's memory until the server is
 * closed.
 */

#include <stdbool.h>

#include "daemon/alert.h"
#include "daemon/config.h"
#include "daemon/ledger.h"
#include "daemon/ledger_read.h"
#include "daemon/lease.h"
#include "daemon/schedule.h"
#include "daemon/status.h"
#include "lib/httpd.h"

/* One thing that must be true before work can be done. */
struct api_check {
	const char *name; /* "database"; a literal */
	bool ok;
	char detail[160]; /* why not, or what was found; may be "" */
};

enum { API_MAX_CHECKS = 16 };

/* What an operator asks for. Texts are borrowed for the call. */
enum api_verb { API_RUN, API_PAUSE, API_RESUME, API_CANCEL, API_RELOAD };

struct api_command {
	enum api_verb verb;
	const char *dataset, *source; /* NULL: not given */
	int32_t from, to;             /* data dates of a run; INT32_MIN: what is due */
	bool accept;                  /* see plan_slice */
	const char *who;              /* "operator:uid=1000" */
};

enum { API_MAX_RUNS = 64 };

/* What came of it. */
struct api_outcome {
	int status;                  /* 202; or 4xx, 5xx and `text` */
	char text[ERROR_TEXT_BYTES]; /* why not */
	int64_t runs[API_MAX_RUNS];  /* that were asked for, canceled, or stand in the way */
	unsigned n_runs;
	struct buffer lines; /* of a reload: what is wrong or what changed, each with its end */
};

/* A run that has not ended, or a moment ago, as the daemon remembers it. */
struct api_run {
	int64_t id;
	char dataset[SPOOL_NAME_BYTES], source[SPOOL_NAME_BYTES], trigger[SPOOL_NAME_BYTES];
	const char *state; /* "queued", and those of run_state_name() */
	char code[ERROR_CODE_BYTES], error[ERROR_TEXT_BYTES];
	int64_t started_us, finished_us; /* 0: not yet */
	unsigned n_slices;
	struct row_counts counts; /* of what was loaded */
};

/* When a source is due, and what day it is for the schedule. */
struct api_plan {
	int64_t next_run_us;     /* INT64_MAX: never by itself */
	int32_t next_day, today; /* next_day: on which that is */
	int64_t day_begin_us;    /* of today */
	bool paused;             /* the source, or all of them */
};

struct api_source {
	/* The state of the daemon, borrowed until the next turn of the loop. */
	const struct status *(*status)(void *arg);
	/* Fills in at most API_MAX_CHECKS; returns how many. */
	unsigned (*checks)(void *arg, struct api_check *checks);
	/* Prometheus's text, appended. */
	void (*metrics)(void *arg, struct buffer *text);
	const struct config *(*config)(void *arg);
	/* Ask the books; see reader_query(). */
	int (*query)(void *arg, const struct ledger_question *question, pg_result_fn on_result,
		void *result_arg);
	/* A command on this host wants the lease; false: it is not ours. */
	bool (*lend)(void *arg);
	const struct lease_status *(*lease)(void *arg);
	/* Do what an operator asks for, now. */
	void (*control)(void *arg, const struct api_command *command, struct api_outcome *ret);
	/* Send a message that is a test; see alert_sender_test(). */
	int (*alert_test)(void *arg, const char *who, alert_tested_fn on_done, void *done_arg);
	bool (*run)(void *arg, int64_t id, struct api_run *ret); /* false: not known */
	int64_t (*now_us)(void *arg);
	void (*plan)(void *arg, const struct source *source, struct api_plan *ret);
	/* See schedule_upcoming(). */
	unsigned (*upcoming)(void *arg, struct schedule_tick *ticks, unsigned max);
	/* Days were marked for healing, by `who`. */
	void (*backfilled)(void *arg, const struct source *source, int64_t n_days, const char *who);
	void *arg;
};

struct api {
	struct api_source source;
};

extern const struct httpd_route api_routes[];
extern const unsigned api_n_routes;
