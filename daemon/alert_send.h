#pragma once

/*
 * Tells each channel of the alerts that it has not been told of. SPDX-License-Identifier: Apache-2.0
 *
 * Owned by the daemon. One message on its way for each channel; what fails is tried again with growing
 * pauses for as long as it is so, and the alert keeps what was told.
 */

#include <uv.h>

#include "daemon/alert.h"
#include "daemon/alert_post.h"
#include "lib/attr.h"
#include "lib/clock.h"

struct alert_sender;

struct alert_sender_options {
	uv_loop_t *loop;
	const struct clock *clock;
	struct config *config;  /* a reference is taken */
	struct alerts *alerts;  /* borrowed until on_closed */
	struct reader *reader;  /* borrowed; closed before alert_sender_close() */
	/* A message was taken (error NULL; the alerts changed), or was not and is tried again. */
	void (*on_sent)(void *arg, enum alert_channel channel, const struct error *error);
	void *arg;
};

int alert_sender_new(const struct alert_sender_options *options, struct alert_sender **ret)
	must_check; /* -errno */

/* For the messages from now on. The alerts are those of the new configuration by then. */
void alert_sender_reconfigure(struct alert_sender *sender, struct config *config);

/* The alerts changed. */
void alert_sender_wake(struct alert_sender *sender);

/* The channel may work again: do not wait for the end of its pause. */
void alert_sender_retry(struct alert_sender *sender, enum alert_channel channel);

/*
 * Send a message that says it is a test, once on each channel. on_done comes once; at once when there
 * is nobody to be told. -ENOMEM, and then it does not.
 */
int alert_sender_test(struct alert_sender *sender, alert_tested_fn on_done, void *arg) must_check;

/* Tests on their way are answered with an error. */
void alert_sender_close(struct alert_sender *sender, void (*on_closed)(void *arg), void *arg);
