#pragma once

/*
 * Ask the running daemon, and wait for its answer. SPDX-License-Identifier: Apache-2.0
 *
 * HTTP over the control socket or loopback, by libcurl, one request at a time. Nothing of this is
 * for a loop.
 */

#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/error.h"

struct client_request {
	const char *address; /* "/run/ogdsync/ogdsync.sock" or "unix:...", "HOST:PORT" */
	const char *method;  /* NULL: GET, or POST with a body */
	const char *path;    /* "/sync/status?format=text" */
	const char *body;    /* JSON, or NULL */
	const char *token;   /* Bearer, or NULL */
	unsigned timeout_s;  /* 0: 15 */
};

struct client_answer {
	int status;
	char location[128];
	struct buffer body;
};

/*
 * Returns 0 with whatever the daemon answered, also 4xx and 5xx; or -1: "unreachable" (nobody
 * listens there), "no_permission", "timeout", "not_http". client_answer_fini() in any case.
 */
int client_ask(const struct client_request *request, struct client_answer *ret,
	struct error *error) must_check;
void client_answer_fini(struct client_answer *answer);

/* The `detail` (or else the status) of an answer that is a problem, for people. */
void client_problem(const struct client_answer *answer, struct buffer *out);
