/*
 * Tells each channel of the alerts. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path of a channel:
 *   - an alert begins to fire or is over; alert_sender_wake() finds that the channel was told
 *     something else, and posts the message;
 *   - the receiver takes it: `told` says so, the owner writes that down, and the next one is looked for.
 *
 * Possible failure modes are:
 *   - The receiver is away or refuses: the same question is asked again after a pause, so what is
 *     over by then is not told, and what has begun meanwhile comes in its turn.
 *   - The process ends before the answer: after the restart it is told again, for that it was is not
 *     known. A message may so come twice, and is never lost.
 */

#include "daemon/alert_send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/slice.h"
#include "lib/backoff.h"

enum { HOST_BYTES = 65 };

static const struct backoff pauses = {.base_ms = 1000, .cap_ms = 5 * 60 * 1000};

struct channel {
	struct alert_sender *sender;
	enum alert_channel kind;
	uv_timer_t timer; /* until the next try */
	unsigned n_failed;
	bool busy; /* a message is on its way; it says: */
	enum alert_kind alert;
	char dataset[SPOOL_NAME_BYTES], source[SPOOL_NAME_BYTES];
	bool firing;
};

struct alert_sender {
	struct alert_sender_options options;
	struct config *config;
	struct alert_post *post;
	struct channel channels[N_ALERT_CHANNELS];
	char host[HOST_BYTES];
	bool closing;
	unsigned n_open;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

static int64_t now_us(const struct alert_sender *sender)
{
	return clock_wall_us(sender->options.clock);
}

static void send_next(struct channel *channel);

static void on_time(uv_timer_t *timer)
{
	send_next(container_of(timer, struct channel, timer));
}

static void try_later(struct channel *channel)
{
	uint64_t random;

	arc4random_buf(&random, sizeof(random));
	uv_timer_start(&channel->timer, on_time,
		backoff_delay_ms(&pauses, channel->n_failed, random), 0);
	channel->n_failed++;
}

static void settle(struct channel *channel, const struct error *error)
{
	struct alert_sender *sender = channel->sender;
	struct alert *alert;

	channel->busy = false;
	if (sender->closing) {
		return;
	}
	if (error) {
		try_later(channel);
	} else {
		channel->n_failed = 0;
		alert = alerts_find(sender->options.alerts, channel->alert,
			channel->dataset[0] ? channel->dataset : NULL,
			channel->source[0] ? channel->source : NULL);
		if (alert) { /* it may be configured no more */
			alert->told[channel->kind] = channel->firing;
		}
	}
	sender->options.on_sent(sender->options.arg, channel->kind, error);
}

static void on_sent(void *arg, const struct error *error)
{
	settle(arg, error);
	send_next(arg);
}

static void keep_alert(struct channel *channel, const struct alert *alert)
{
	channel->busy = true;
	channel->alert = alert->kind;
	channel->firing = alert->firing;
	snprintf(channel->dataset, sizeof(channel->dataset), "%s",
		alert->dataset ? alert->dataset : "");
	snprintf(channel->source, sizeof(channel->source), "%s", alert->source ? alert->source : "");
}

static void send_alert(struct channel *channel, const struct alert *alert)
{
	struct alert_sender *sender = channel->sender;
	_cleanup_free_ char *body = alert_message(alert, sender->host, now_us(sender));
	struct error error = {.class = ERROR_NONE};

	keep_alert(channel, alert);
	if (!body) {
		error_no_memory(&error, "alert");
		settle(channel, &error);
	} else if (alert_post_send(sender->post, channel->kind, body, on_sent, channel, &error) <
		   0) {
		settle(channel, &error);
	}
}

static void send_next(struct channel *channel)
{
	struct alert_sender *sender = channel->sender;
	const struct alert *alert;

	if (sender->closing || channel->busy || uv_is_active((uv_handle_t *)&channel->timer) ||
		!alert_post_has(sender->post, channel->kind)) {
		return;
	}
	alert = alerts_untold(sender->options.alerts, channel->kind);
	if (alert) {
		send_alert(channel, alert);
	}
}

void alert_sender_wake(struct alert_sender *sender)
{
	for (int i = 0; i < N_ALERT_CHANNELS; i++) {
		send_next(&sender->channels[i]);
	}
}

void alert_sender_retry(struct alert_sender *sender, enum alert_channel channel)
{
	if (!sender->closing) {
		uv_timer_stop(&sender->channels[channel].timer);
		send_next(&sender->channels[channel]);
	}
}

/* ---- a test ---- */

struct test {
	struct test_channel {
		struct test *test;
		enum alert_channel kind;
	} channels[N_ALERT_CHANNELS];
	struct alert_test_result result;
	unsigned n_left;
	alert_tested_fn on_done;
	void *arg;
};

static void end_test(struct test *test)
{
	if (--test->n_left == 0) {
		test->on_done(test->arg, &test->result);
		free(test);
	}
}

static void on_test_sent(void *arg, const struct error *error)
{
	struct test_channel *channel = arg;

	if (error) {
		channel->test->result.errors[channel->kind] = *error;
	}
	end_test(channel->test);
}

static void begin_test(struct alert_sender *sender, struct test *test, const char *body,
	enum alert_channel kind)
{
	struct test_channel *channel = &test->channels[kind];

	*channel = (struct test_channel){.test = test, .kind = kind};
	test->result.tried[kind] = true;
	test->n_left++;
	if (alert_post_send(sender->post, kind, body, on_test_sent, channel,
		    &test->result.errors[kind]) < 0) {
		test->n_left--;
	}
}

int alert_sender_test(struct alert_sender *sender, alert_tested_fn on_done, void *arg)
{
	_cleanup_free_ char *body = alert_test_message(sender->host, now_us(sender));
	struct test *test = calloc(1, sizeof(*test));

	if (!body || !test) {
		free(test);
		return -ENOMEM;
	}
	*test = (struct test){.n_left = 1, .on_done = on_done, .arg = arg};
	for (int kind = 0; kind < N_ALERT_CHANNELS; kind++) {
		if (alert_post_has(sender->post, (enum alert_channel)kind)) {
			begin_test(sender, test, body, (enum alert_channel)kind);
		}
	}
	end_test(test);
	return 0;
}

/* ---- begin and end ---- */

void alert_sender_reconfigure(struct alert_sender *sender, struct config *config)
{
	alert_post_reconfigure(sender->post, config);
	config_unref(sender->config);
	sender->config = config_ref(config);
}

int alert_sender_new(const struct alert_sender_options *options, struct alert_sender **ret)
{
	struct alert_sender *sender = calloc(1, sizeof(*sender));
	int r;

	if (!sender) {
		return -ENOMEM;
	}
	r = alert_post_new(options->loop, options->config, options->reader, &sender->post);
	if (r < 0) {
		free(sender);
		return r;
	}
	sender->options = *options;
	sender->config = config_ref(options->config);
	if (gethostname(sender->host, sizeof(sender->host) - 1) < 0 || !sender->host[0]) {
		memcpy(sender->host, "localhost", sizeof("localhost"));
	}
	for (int i = 0; i < N_ALERT_CHANNELS; i++) {
		sender->channels[i].sender = sender;
		sender->channels[i].kind = (enum alert_channel)i;
		uv_timer_init(options->loop, &sender->channels[i].timer);
	}
	*ret = sender;
	return 0;
}

static void on_part_closed(struct alert_sender *sender)
{
	if (--sender->n_open == 0) {
		sender->on_closed(sender->closed_arg);
		config_unref(sender->config);
		free(sender);
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_part_closed(container_of((uv_timer_t *)handle, struct channel, timer)->sender);
}

static void on_post_closed(void *arg)
{
	on_part_closed(arg);
}

void alert_sender_close(struct alert_sender *sender, void (*on_closed)(void *arg), void *arg)
{
	sender->closing = true;
	sender->on_closed = on_closed;
	sender->closed_arg = arg;
	sender->n_open = N_ALERT_CHANNELS + 1;
	for (int i = 0; i < N_ALERT_CHANNELS; i++) {
		uv_close((uv_handle_t *)&sender->channels[i].timer, on_timer_closed);
	}
	alert_post_close(sender->post, on_post_closed, sender);
}
