#pragma once

/*
 * Which daemon a command talks to, and talking to it. SPDX-License-Identifier: Apache-2.0
 */

#include <jansson.h>

#include "cli/cli.h"
#include "cli/client.h"

/*
 * Send `request` (its address is filled in) to the daemon of --socket, OGDSYNC_SOCKET, or the first
 * unix `listen` of the configuration. Returns 0 and the answer, also 4xx and 5xx; else the exit
 * code, and why was said on standard error. client_answer_fini() in any case.
 */
int daemon_ask(
	struct cli *cli, struct client_request *request, struct client_answer *ret) must_check;

/* Where the daemon of this configuration is asked: a path or HOST:PORT; NULL: nowhere. Borrowed. */
struct config;
const char *daemon_configured_address(const struct config *config);

/* As daemon_ask(), but that the daemon cannot be asked is not said: it is in `error`. */
int daemon_try(struct cli *cli, struct client_request *request, struct client_answer *ret,
	struct error *error) must_check;

/* POST with `take_body` as JSON, else like daemon_ask(). A NULL body is a lack of memory. */
int daemon_post_any(struct cli *cli, const char *path, json_t *take_body,
	struct client_answer *ret) must_check;

/* Say why the daemon refused; the exit code. */
int daemon_refused(struct cli *cli, const struct client_answer *answer);

/* daemon_post_any(), and an answer that is not 2xx is said and turned into an exit code too. */
int daemon_post(struct cli *cli, const char *path, json_t *take_body, struct client_answer *ret)
	must_check;

/* GET, and an answer that is not 2xx is said and turned into an exit code too. */
int daemon_get(struct cli *cli, const char *path, struct client_answer *ret) must_check;

/* Append a parameter to a path: "?name=value", then "&name=value". NULL: nothing. */
struct buffer;
void daemon_add_param(struct buffer *path, const char *name, const char *value);

/*
 * Print the answer to `path` as it is (--json), or by `print` from its JSON. Returns the exit code.
 */
int daemon_show(struct cli *cli, const char *path, int (*print)(struct cli *cli, const json_t *json))
	must_check;

/* An option that is a date, such as 2026-11-19, or is not given. 0, or the exit code. */
int daemon_check_date(struct cli *cli, const char *option) must_check;
