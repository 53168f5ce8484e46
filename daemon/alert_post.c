/*
 * One message to one channel. SPDX-License-Identifier: Apache-2.0
 *
 * The webhook gets a POST; any 2xx says that it was taken. With a secret the header
 * X-Ogdsync-Signature holds the HMAC of the very bytes of the body. NOTIFY goes through the read
 * connection, which the lease shares: it needs a database that is up, and no lease.
 *
 * The webhook's address is a secret: lib/http puts no URL into an error, and the scrubber knows it.
 */

#include "daemon/alert_post.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hmac.h"
#include "lib/http.h"

/* Together below the 10 s that who asks for a test waits for its answer. */
enum {
	CONNECT_TIMEOUT_MS = 5 * 1000,
	REQUEST_TIMEOUT_MS = 8 * 1000,
	ANSWER_BYTES = 64 * 1024,
};

struct alert_post {
	const struct config *config;
	struct reader *reader;
	struct http *http; /* NULL: no webhook */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

struct message {
	char *body;
	alert_sent_fn on_sent;
	void *arg;
};

int alert_post_new(uv_loop_t *loop, const struct config *config, struct reader *reader,
	struct alert_post **ret)
{
	const struct http_options options = {
		.user_agent = config->portal.user_agent,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.request_timeout_ms = REQUEST_TIMEOUT_MS,
		.low_speed_bytes = 1,
		.low_speed_ms = REQUEST_TIMEOUT_MS,
		.body_bytes = ANSWER_BYTES,
		.proxy = config->portal.proxy,
		.ca_file = config->portal.ca_file,
	};
	struct alert_post *post = calloc(1, sizeof(*post));
	int r = post ? 0 : -ENOMEM;

	if (post && config->alerts.webhook) {
		r = http_new(loop, &options, &post->http);
	}
	if (r < 0) {
		free(post);
		return r;
	}
	post->config = config;
	post->reader = reader;
	*ret = post;
	return 0;
}

bool alert_post_has(const struct alert_post *post, enum alert_channel channel)
{
	switch (channel) {
	case ALERT_WEBHOOK:
		return post->config->alerts.webhook;
	case ALERT_NOTIFY:
		return post->config->alerts.notify_channel;
	}
	return false;
}

static void finish(struct message *message, const struct error *error)
{
	message->on_sent(message->arg, error);
	free(message->body);
	free(message);
}

/* ---- the webhook ---- */

static void on_answer(void *arg, const struct http_response *response, const struct error *error)
{
	struct error refused = {.class = ERROR_NONE};
	char code[ERROR_CODE_BYTES];

	if (!error && response->status / 100 != 2) {
		snprintf(code, sizeof(code), "http_%d", response->status);
		error_set(&refused, ERROR_RETRY, "alert", code, "the webhook answered %d",
			response->status);
		error = &refused;
	}
	finish(arg, error);
}

static int post_webhook(struct alert_post *post, struct message *message, struct error *error)
{
	static const char name[] = "X-Ogdsync-Signature: sha256=";
	char digest[HMAC_SHA256_HEX_BYTES], signature[sizeof(name) + sizeof(digest)];
	const char *headers[] = {"Content-Type: application/json", NULL, NULL};
	const struct config_alerts *config = &post->config->alerts;
	const struct http_request request = {
		.url = config->webhook,
		.body = message->body,
		.headers = headers,
		.on_done = on_answer,
		.arg = message,
	};
	struct http_transfer *transfer;

	if (config->webhook_secret) {
		if (hmac_sha256_hex(config->webhook_secret, message->body, strlen(message->body),
			    digest) < 0) {
			return error_set(error, ERROR_RETRY, "alert", "signature",
				"the message cannot be signed");
		}
		snprintf(signature, sizeof(signature), "%s%s", name, digest);
		headers[1] = signature;
	}
	return http_start(post->http, &request, &transfer, error);
}

/* ---- NOTIFY ---- */

static void on_notified(void *arg, const struct pg_result *result, const struct error *error)
{
	(void)result;
	finish(arg, error);
}

static int notify(struct alert_post *post, struct message *message, struct error *error)
{
	const struct pg_param params[] = {
		{.data = post->config->alerts.notify_channel},
		{.data = message->body},
	};
	int r = reader_query(post->reader, "SELECT pg_catalog.pg_notify($1, $2)", params,
		N_ELEMENTS(params), on_notified, message);

	return r < 0 ? error_errno(error, ERROR_RETRY, "alert", -r, "asking the database") : 0;
}

/* ---- */

static int send_message(struct alert_post *post, enum alert_channel channel,
	struct message *message, struct error *error)
{
	switch (channel) {
	case ALERT_WEBHOOK:
		return post_webhook(post, message, error);
	case ALERT_NOTIFY:
		return notify(post, message, error);
	}
	return -1;
}

int alert_post_send(struct alert_post *post, enum alert_channel channel, const char *body,
	alert_sent_fn on_sent, void *arg, struct error *error)
{
	struct message *message = calloc(1, sizeof(*message));

	if (!message) {
		return error_no_memory(error, "alert");
	}
	*message = (struct message){.body = strdup(body), .on_sent = on_sent, .arg = arg};
	if (!message->body || send_message(post, channel, message, error) < 0) {
		error_no_memory(error, "alert"); /* unless another reason is set */
		free(message->body);
		free(message);
		return -1;
	}
	return 0;
}

static void on_http_closed(void *arg)
{
	struct alert_post *post = arg;

	post->on_closed(post->closed_arg);
	free(post);
}

void alert_post_close(struct alert_post *post, void (*on_closed)(void *arg), void *arg)
{
	post->on_closed = on_closed;
	post->closed_arg = arg;
	if (post->http) {
		http_close(post->http, on_http_closed, post);
	} else {
		on_http_closed(post);
	}
}
