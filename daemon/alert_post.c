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
#include <sys/queue.h>

#include "lib/hmac.h"
#include "lib/http.h"

/* Together below the 10 s that who asks for a test waits for its answer. */
enum {
	CONNECT_TIMEOUT_MS = 5 * 1000,
	REQUEST_TIMEOUT_MS = 8 * 1000,
	ANSWER_BYTES = 64 * 1024,
};

struct alert_post {
	uv_loop_t *loop;
	const struct config *config;
	struct reader *reader;
	LIST_HEAD(, message) messages; /* on their way to the webhook */
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

struct message {
	LIST_ENTRY(message) entry;
	struct alert_post *post;
	struct http *http; /* of this message alone, by the configuration of its moment */
	bool closing;
	char *body;
	alert_sent_fn on_sent;
	void *arg;
};

int alert_post_new(uv_loop_t *loop, const struct config *config, struct reader *reader,
	struct alert_post **ret)
{
	struct alert_post *post = calloc(1, sizeof(*post));

	if (!post) {
		return -ENOMEM;
	}
	*post = (struct alert_post){.loop = loop, .config = config, .reader = reader};
	LIST_INIT(&post->messages);
	*ret = post;
	return 0;
}

void alert_post_reconfigure(struct alert_post *post, const struct config *config)
{
	post->config = config;
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

static void message_free(struct message *message)
{
	if (message) {
		free(message->body);
		free(message);
	}
}

/* ---- the webhook ---- */

static void end_when_empty(struct alert_post *post)
{
	if (post->closing && LIST_EMPTY(&post->messages)) {
		post->on_closed(post->closed_arg);
		free(post);
	}
}

static void on_http_closed(void *arg)
{
	struct message *message = arg;
	struct alert_post *post = message->post;

	LIST_REMOVE(message, entry);
	message_free(message);
	end_when_empty(post);
}

/* What is on its way ends as canceled. */
static void close_http(struct message *message)
{
	if (!message->closing) {
		message->closing = true;
		http_close(message->http, on_http_closed, message);
	}
}

static void on_answer(void *arg, const struct http_response *response, const struct error *error)
{
	struct message *message = arg;
	struct error refused = {.class = ERROR_NONE};
	char code[ERROR_CODE_BYTES];

	if (!error && response->status / 100 != 2) {
		snprintf(code, sizeof(code), "http_%d", response->status);
		error_set(&refused, ERROR_RETRY, "alert", code, "the webhook answered %d",
			response->status);
		error = &refused;
	}
	message->on_sent(message->arg, error);
	close_http(message);
}

static int open_http(struct message *message)
{
	const struct config *config = message->post->config;
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

	return http_new(message->post->loop, &options, &message->http);
}

static int start_post(struct message *message, struct error *error)
{
	static const char name[] = "X-Ogdsync-Signature: sha256=";
	char digest[HMAC_SHA256_HEX_BYTES], signature[sizeof(name) + sizeof(digest)];
	const char *headers[] = {"Content-Type: application/json", NULL, NULL};
	const struct config_alerts *config = &message->post->config->alerts;
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
	return http_start(message->http, &request, &transfer, error);
}

/* From the moment that there is a client, the message is gone with it. */
static int post_webhook(struct alert_post *post, struct message *take_message, struct error *error)
{
	if (open_http(take_message) < 0) {
		message_free(take_message);
		return error_no_memory(error, "alert");
	}
	LIST_INSERT_HEAD(&post->messages, take_message, entry);
	if (start_post(take_message, error) < 0) {
		close_http(take_message);
		return -1;
	}
	return 0;
}

/* ---- NOTIFY ---- */

static void on_notified(void *arg, const struct pg_result *result, const struct error *error)
{
	struct message *message = arg;

	(void)result;
	message->on_sent(message->arg, error);
	message_free(message);
}

static int notify(struct alert_post *post, struct message *take_message, struct error *error)
{
	const struct pg_param params[] = {
		{.data = post->config->alerts.notify_channel},
		{.data = take_message->body},
	};
	int r = reader_query(post->reader, "SELECT pg_catalog.pg_notify($1, $2)", params,
		N_ELEMENTS(params), on_notified, take_message);

	if (r < 0) {
		message_free(take_message);
		return error_errno(error, ERROR_RETRY, "alert", -r, "asking the database");
	}
	return 0;
}

/* ---- */

int alert_post_send(struct alert_post *post, enum alert_channel channel, const char *body,
	alert_sent_fn on_sent, void *arg, struct error *error)
{
	struct message *message = calloc(1, sizeof(*message));

	if (message) {
		*message = (struct message){
			.post = post, .body = strdup(body), .on_sent = on_sent, .arg = arg};
	}
	if (!message || !message->body) {
		message_free(message);
		return error_no_memory(error, "alert");
	}
	switch (channel) {
	case ALERT_WEBHOOK:
		return post_webhook(post, message, error);
	case ALERT_NOTIFY:
		return notify(post, message, error);
	}
	return -1;
}

void alert_post_close(struct alert_post *post, void (*on_closed)(void *arg), void *arg)
{
	struct message *message;

	post->closing = true;
	post->on_closed = on_closed;
	post->closed_arg = arg;
	LIST_FOREACH(message, &post->messages, entry)
	{
		close_http(message);
	}
	end_when_empty(post);
}
