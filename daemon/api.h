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

#include "daemon/config.h"
#include "daemon/ledger_read.h"
#include "daemon/lease.h"
#include "daemon/status.h"
#include "lib/httpd.h"

/* One thing that must be true before work can be done. */
struct api_check {
	const char *name; /* "database"; a literal */
	bool ok;
	char detail[160]; /* why not, or what was found; may be "" */
};

enum { API_MAX_CHECKS = 16 };

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
	void *arg;
};

struct api {
	struct api_source source;
};

extern const struct httpd_route api_routes[];
extern const unsigned api_n_routes;
