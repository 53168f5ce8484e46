/*
 * HTTP client: curl multi on a libuv loop. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: http_start() makes an easy handle and puts it on our list. On the next turn of
 * the loop on_kick() gives it to curl. curl says which sockets to watch (on_socket) and when it
 * wants to be called at the latest (on_timer); whatever the loop sees goes back through
 * curl_multi_socket_action(), which calls on_write() with the body. After every such call the
 * finished transfers are collected, for one may end in any of them, also in the timer's.
 *
 * curl must not be called from its own callbacks, and on_body comes from inside of one. So nothing
 * that a user may ask for (start, resume, cancel, close) touches curl at once: it is noted, and
 * on_kick() does it from a timer of its own. Therefore all four may be called from every callback,
 * and on_done never comes before http_start() returned.
 *
 * Failure modes:
 *  - a socket cannot be watched: its transfer fails with "no_memory", the others go on (a failure
 *    returned from on_socket() would end all of them, for ever);
 *  - the loop reports an error on a socket: curl is told so (CURL_CSELECT_ERR) and finds out which;
 *  - curl refuses a transfer: it ends like any other, with the reason;
 *  - curl itself has no memory: it may have forgotten a socket or the time-out, so nothing would
 *    ever come of it (tried), and all transfers fail with "no_memory".
 *
 * The end: http_close() cancels everything; on_kick() hands out CANCELED, frees the multi handle
 * and closes what is left of the watchers. The close callback that counts n_handles down to 0 is
 * the last one, whatever the order.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/http_private.h"

/* Watches one socket for curl. Freed by its close callback. */
struct http_poll {
	uv_poll_t handle;
	struct http *http;
	curl_socket_t fd;
	LIST_ENTRY(http_poll) link; /* until it is closing */
};

static void http_free(struct http *http)
{
	curl_multi_cleanup(http->multi);
	free((char *)http->options.user_agent);
	free((char *)http->options.proxy);
	free((char *)http->options.ca_file);
	free(http);
	curl_global_cleanup();
}

static void handle_gone(struct http *http)
{
	http_closed_fn on_closed = http->on_closed;
	void *arg = http->on_closed_arg;

	if (--http->n_handles > 0) {
		return;
	}
	http_free(http);
	on_closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

/* ---- transfers ---- */

/* Its last moment: out of every list, then on_done, then gone. */
static void transfer_finish(struct http_transfer *transfer, CURLcode code)
{
	struct error error = {0};

	if (transfer->added) {
		curl_multi_remove_handle(transfer->http->multi, transfer->easy);
	}
	TAILQ_REMOVE(&transfer->http->transfers, transfer, link);
	transfer_conclude(transfer, code, &error);
	if (!transfer->cancel) {
		transfer_tell_header(transfer);
	}
	transfer->request.on_done(
		transfer->request.arg, &transfer->response, error_is_set(&error) ? &error : NULL);
	transfer_free(transfer);
}

static void collect_finished(struct http *http)
{
	CURLMsg *message;
	int n_left;

	while ((message = curl_multi_info_read(http->multi, &n_left))) {
		struct http_transfer *transfer = NULL;

		if (message->msg == CURLMSG_DONE) {
			CURLcode code = message->data.result;

			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
			transfer_finish(transfer, code);
		}
	}
}

static void kick(struct http *http);

static void socket_action(struct http *http, curl_socket_t fd, int events)
{
	struct http_transfer *transfer;
	int n_running;

	if (curl_multi_socket_action(http->multi, fd, events, &n_running) != CURLM_OK) {
		TAILQ_FOREACH(transfer, &http->transfers, link)
		{
			transfer->no_memory = true;
		}
		kick(http);
	}
	collect_finished(http);
}

/* ---- what curl asks of the loop ---- */

static void on_poll_closed(uv_handle_t *handle)
{
	struct http_poll *poll = container_of((uv_poll_t *)handle, struct http_poll, handle);
	struct http *http = poll->http;

	free(poll);
	handle_gone(http);
}

static void poll_close(struct http_poll *poll)
{
	LIST_REMOVE(poll, link);
	uv_close((uv_handle_t *)&poll->handle, on_poll_closed);
}

static struct http_poll *poll_new(struct http *http, curl_socket_t fd)
{
	struct http_poll *poll = calloc(1, sizeof(*poll));

	if (!poll) {
		return NULL;
	}
	poll->http = http;
	poll->fd = fd;
	if (uv_poll_init_socket(http->loop, &poll->handle, fd) < 0) {
		free(poll);
		return NULL;
	}
	http->n_handles++;
	LIST_INSERT_HEAD(&http->polls, poll, link);
	curl_multi_assign(http->multi, fd, poll);
	return poll;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct http_poll *poll = container_of(handle, struct http_poll, handle);
	int flags = 0;

	/* With the error alone curl says no more than "select/poll returned error". */
	flags |= status < 0 ? CURL_CSELECT_ERR | CURL_CSELECT_IN | CURL_CSELECT_OUT : 0;
	flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
	flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
	socket_action(poll->http, poll->fd, flags);
}

/* The socket cannot be watched: this transfer fails, from outside of curl. */
static void give_up_on(struct http *http, CURL *easy)
{
	struct http_transfer *transfer = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
	if (transfer) {
		transfer->no_memory = true;
		kick(http);
	}
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http *http = arg;
	struct http_poll *poll = socket_arg;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (poll) {
			poll_close(poll);
		}
		return 0;
	}
	events |= what & CURL_POLL_IN ? UV_READABLE : 0;
	events |= what & CURL_POLL_OUT ? UV_WRITABLE : 0;
	if (!poll) {
		poll = poll_new(http, fd);
	}
	if (!poll || uv_poll_start(&poll->handle, events, on_poll) < 0) {
		give_up_on(http, easy);
	}
	return 0;
}

static void on_time(uv_timer_t *timer)
{
	socket_action(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct http *http = arg;

	(void)multi;
	if (ms < 0) {
		uv_timer_stop(&http->timer);
	} else {
		/* Counted from now, not from when this turn of the loop began. */
		uv_update_time(http->loop);
		uv_timer_start(&http->timer, on_time, ms > 0 ? (uint64_t)ms : 1, 0);
	}
	return 0;
}

/* ---- what the user asks for ---- */

static void start(struct http_transfer *transfer)
{
	transfer->start = false;
	if (curl_multi_add_handle(transfer->http->multi, transfer->easy) != CURLM_OK) {
		transfer_finish(transfer, CURLE_OUT_OF_MEMORY);
		return;
	}
	transfer->added = true;
}

/* Delivers at once what curl has kept, so the transfer may pause again or fail in here. */
static void resume(struct http_transfer *transfer)
{
	CURLcode code;

	transfer->resume = false;
	if (!transfer->paused) {
		return;
	}
	transfer->paused = false;
	code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
	if (code != CURLE_OK) {
		transfer_finish(transfer, code);
	}
}

/* True when there was something to do: then the list may be another one. */
static bool do_one(struct http *http)
{
	struct http_transfer *transfer;

	TAILQ_FOREACH(transfer, &http->transfers, link)
	{
		if (transfer->cancel || transfer->no_memory) {
			transfer_finish(transfer, CURLE_OK);
			return true;
		}
		if (transfer->start) {
			start(transfer);
			return true;
		}
		if (transfer->resume) {
			resume(transfer);
			return true;
		}
	}
	return false;
}

static void finish_closing(struct http *http)
{
	curl_multi_cleanup(http->multi);
	http->multi = NULL;
	while (!LIST_EMPTY(&http->polls)) {
		poll_close(LIST_FIRST(&http->polls));
	}
	uv_close((uv_handle_t *)&http->timer, on_timer_closed);
	uv_close((uv_handle_t *)&http->kick, on_timer_closed);
}

static void on_kick(uv_timer_t *timer)
{
	struct http *http = timer->data;

	while (do_one(http)) {
	}
	collect_finished(http);
	if (http->closing && TAILQ_EMPTY(&http->transfers)) {
		finish_closing(http);
	}
}

static void kick(struct http *http)
{
	uv_timer_start(&http->kick, on_kick, 0, 0);
}

int http_start(struct http *http, const struct http_request *request,
	struct http_transfer **ret_transfer, struct error *error)
{
	struct http_transfer *transfer;

	if (http->closing) {
		return error_set(
			error, ERROR_CANCELED, "http", "canceled", "the client is closing");
	}
	transfer = transfer_new(http, request, error);
	if (!transfer) {
		return -1;
	}
	transfer->start = true;
	TAILQ_INSERT_TAIL(&http->transfers, transfer, link);
	kick(http);
	*ret_transfer = transfer;
	return 0;
}

void http_resume(struct http_transfer *transfer)
{
	transfer->resume = true;
	kick(transfer->http);
}

void http_cancel(struct http_transfer *transfer)
{
	transfer->cancel = true;
	kick(transfer->http);
}

/* ---- begin and end ---- */

/* Replaces a text that may be absent by a copy; false when there is no memory. */
static bool copy_text(const char **text)
{
	if (*text) {
		*text = strdup(*text);
		return *text;
	}
	return true;
}

static int copy_options(struct http_options *out, const struct http_options *options)
{
	bool copied;

	*out = *options;
	copied = copy_text(&out->user_agent);
	copied &= copy_text(&out->proxy);
	copied &= copy_text(&out->ca_file);
	return copied ? 0 : -ENOMEM;
}

static int set_multi(struct http *http)
{
	CURLMcode r = CURLM_OK;

	http->multi = curl_multi_init();
	if (!http->multi) {
		return -ENOMEM;
	}
	r |= curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	r |= curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	r |= curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	r |= curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	r |= curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	return r == CURLM_OK ? 0 : -EINVAL;
}

int http_new(uv_loop_t *loop, const struct http_options *options, struct http **ret)
{
	struct http *http;
	int r;

	assert(options->user_agent && options->user_agent[0] && options->body_bytes > 0);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		return -ENOMEM;
	}
	http = calloc(1, sizeof(*http));
	if (!http) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	http->loop = loop;
	LIST_INIT(&http->polls);
	TAILQ_INIT(&http->transfers);
	r = copy_options(&http->options, options);
	if (r == 0) {
		r = set_multi(http);
	}
	if (r < 0) {
		http_free(http);
		return r;
	}
	uv_timer_init(loop, &http->timer);
	uv_timer_init(loop, &http->kick);
	http->timer.data = http->kick.data = http;
	http->n_handles = 2;
	*ret = http;
	return 0;
}

void http_close(struct http *http, http_closed_fn on_closed, void *arg)
{
	struct http_transfer *transfer;

	assert(!http->closing);
	http->closing = true;
	http->on_closed = on_closed;
	http->on_closed_arg = arg;
	TAILQ_FOREACH(transfer, &http->transfers, link)
	{
		transfer->cancel = true;
	}
	kick(http);
}
