#pragma once

/*
 * One message to one channel, once: the webhook, or NOTIFY. SPDX-License-Identifier: Apache-2.0
 *
 * Knows nothing of alerts. Whoever sends decides what is tried again.
 */

#include <stdbool.h>
#include <uv.h>

#include "daemon/alert.h"
#include "daemon/config.h"
#include "daemon/reader.h"
#include "lib/attr.h"
#include "lib/error.h"

struct alert_post;

/* `config` and `reader` are borrowed until on_closed; only their parts for alerts are used. */
int alert_post_new(uv_loop_t *loop, const struct config *config, struct reader *reader,
	struct alert_post **ret) must_check; /* -errno */

/* For the messages from now on; borrowed as the one before. */
void alert_post_reconfigure(struct alert_post *post, const struct config *config);

/* What is configured. */
bool alert_post_has(const struct alert_post *post, enum alert_channel channel);

/*
 * `body` is copied. on_sent comes once, never before this returned; error NULL: the receiver took it.
 * No text names the webhook's address. -1 and the reason, and then it never comes.
 */
typedef void (*alert_sent_fn)(void *arg, const struct error *error);
int alert_post_send(struct alert_post *post, enum alert_channel channel, const char *body,
	alert_sent_fn on_sent, void *arg, struct error *error) must_check;

/*
 * What is on its way ends as canceled; the reader must be closed before. on_closed may come before this
 * returns.
 */
void alert_post_close(struct alert_post *post, void (*on_closed)(void *arg), void *arg);
