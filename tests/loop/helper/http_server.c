/*
 * A scripted HTTP server on the test's own loop. SPDX-License-Identifier: Apache-2.0
 */

#include "tests/loop/helper/http_server.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/attr.h"
#include "lib/buffer.h"
#include "tests/loop/helper/fail_alloc.h"

enum step_kind { STEP_SEND, STEP_DELAY, STEP_CUT, STEP_RESET, STEP_STALL };

struct step {
	enum step_kind kind;
	uint64_t ms;
	size_t len;
	TAILQ_ENTRY(step) link;
	uv_write_t write;
	struct http_conn *conn;
	char data[];
};

struct http_conn {
	struct http_server *server;
	uv_tcp_t tcp;
	uv_timer_t timer;
	unsigned n_handles;
	bool busy, closing;
	TAILQ_HEAD(, step) steps;
	LIST_ENTRY(http_conn) link;
	struct buffer in;
	char chunk[64 * 1024];
};

struct http_server {
	uv_tcp_t tcp;
	int port;
	unsigned n_connections, n_requests, n_conns;
	bool closed, gone;
	http_request_fn on_request;
	void *arg;
	LIST_HEAD(, http_conn) conns;
};

static void conn_advance(struct http_conn *conn);

static void server_put(struct http_server *server)
{
	if (server->gone && server->n_conns == 0) {
		free(server);
	}
}

static void on_conn_handle_closed(uv_handle_t *handle)
{
	struct http_conn *conn = handle->data;
	struct http_server *server = conn->server;
	struct step *step;

	if (--conn->n_handles > 0) {
		return;
	}
	while ((step = TAILQ_FIRST(&conn->steps))) {
		TAILQ_REMOVE(&conn->steps, step, link);
		free(step);
	}
	LIST_REMOVE(conn, link);
	buffer_fini(&conn->in);
	free(conn);
	server->n_conns--;
	server_put(server);
}

static void conn_close(struct http_conn *conn, bool reset)
{
	if (conn->closing) {
		return;
	}
	conn->closing = true;
	if (!reset || uv_tcp_close_reset(&conn->tcp, (uv_close_cb)on_conn_handle_closed) < 0) {
		uv_close((uv_handle_t *)&conn->tcp, on_conn_handle_closed);
	}
	uv_close((uv_handle_t *)&conn->timer, on_conn_handle_closed);
}

static void on_delay_over(uv_timer_t *timer)
{
	struct http_conn *conn = timer->data;

	conn->busy = false;
	conn_advance(conn);
}

static void on_written(uv_write_t *write, int status)
{
	struct step *step = container_of(write, struct step, write);
	struct http_conn *conn = step->conn;

	free(step);
	conn->busy = false;
	if (status < 0) {
		conn_close(conn, false);
	} else {
		conn_advance(conn);
	}
}

static void step_run(struct http_conn *conn, struct step *step)
{
	uv_buf_t buf = uv_buf_init(step->data, (unsigned)step->len);

	TAILQ_REMOVE(&conn->steps, step, link);
	conn->busy = true;
	switch (step->kind) {
	case STEP_SEND:
		if (uv_write(&step->write, (uv_stream_t *)&conn->tcp, &buf, 1, on_written) < 0) {
			abort();
		}
		return;
	case STEP_DELAY:
		uv_timer_start(&conn->timer, on_delay_over, step->ms, 0);
		break;
	case STEP_CUT:
		conn_close(conn, false);
		break;
	case STEP_RESET:
		conn_close(conn, true);
		break;
	case STEP_STALL:
		break;
	}
	free(step);
}

/* The length of the whole request that stands at the begin of the buffer, or 0. */
static size_t request_len(const struct http_conn *conn)
{
	const char *text = buffer_str(&conn->in), *end = strstr(text, "\r\n\r\n"), *length;
	size_t len;

	if (!end) {
		return 0;
	}
	len = (size_t)(end - text) + 4;
	length = strcasestr(text, "\r\nContent-Length:");
	if (length && length < end) {
		len += strtoul(length + 17, NULL, 10);
	}
	return conn->in.len >= len ? len : 0;
}

static void take_request(struct http_conn *conn, size_t len)
{
	_cleanup_free_ char *request = strndup(conn->in.data, len);

	memmove(conn->in.data, conn->in.data + len, conn->in.len - len + 1);
	conn->in.len -= len;
	conn->server->n_requests++;
	conn->server->on_request(conn->server->arg, conn, request);
	if (TAILQ_EMPTY(&conn->steps)) {
		conn_stall(conn);
	}
}

static void conn_advance(struct http_conn *conn)
{
	fail_alloc_shield_up();
	while (!conn->busy && !conn->closing) {
		struct step *step = TAILQ_FIRST(&conn->steps);
		size_t len = request_len(conn);

		if (step) {
			step_run(conn, step);
		} else if (len > 0) {
			take_request(conn, len);
		} else {
			break;
		}
	}
	fail_alloc_shield_down();
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct http_conn *conn = handle->data;

	(void)size;
	*buf = uv_buf_init(conn->chunk, sizeof(conn->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct http_conn *conn = stream->data;

	if (n < 0) {
		conn_close(conn, false);
		return;
	}
	fail_alloc_shield_up();
	buffer_append(&conn->in, buf->base, (size_t)n);
	fail_alloc_shield_down();
	conn_advance(conn);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct http_server *server = stream->data;
	struct http_conn *conn;

	fail_alloc_shield_up();
	conn = calloc(1, sizeof(*conn));
	fail_alloc_shield_down();
	if (!conn || status < 0) {
		abort();
	}
	conn->server = server;
	TAILQ_INIT(&conn->steps);
	uv_tcp_init(stream->loop, &conn->tcp);
	uv_tcp_nodelay(&conn->tcp, 1); /* else a step waits 40 ms for the client's ACK */
	uv_timer_init(stream->loop, &conn->timer);
	conn->tcp.data = conn->timer.data = conn;
	conn->n_handles = 2;
	LIST_INSERT_HEAD(&server->conns, conn, link);
	server->n_conns++;
	server->n_connections++;
	if (uv_accept(stream, (uv_stream_t *)&conn->tcp) < 0 ||
		uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) < 0) {
		conn_close(conn, false);
	}
}

struct http_server *http_server_new(uv_loop_t *loop, http_request_fn on_request, void *arg)
{
	struct http_server *server = calloc(1, sizeof(*server));
	struct sockaddr_in address;
	int len = sizeof(address);

	assert(server);
	server->on_request = on_request;
	server->arg = arg;
	LIST_INIT(&server->conns);
	uv_tcp_init(loop, &server->tcp);
	server->tcp.data = server;
	uv_ip4_addr("127.0.0.1", 0, &address);
	if (uv_tcp_bind(&server->tcp, (struct sockaddr *)&address, 0) < 0 ||
		uv_listen((uv_stream_t *)&server->tcp, 64, on_connection) < 0 ||
		uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&address, &len) < 0) {
		abort();
	}
	server->port = ntohs(address.sin_port);
	return server;
}

static void on_server_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;

	server->gone = true;
	server_put(server);
}

void http_server_close(struct http_server *server)
{
	struct http_conn *conn;

	LIST_FOREACH(conn, &server->conns, link)
	{
		conn_close(conn, false);
	}
	uv_close((uv_handle_t *)&server->tcp, on_server_closed);
}

int http_server_port(const struct http_server *server)
{
	return server->port;
}

unsigned http_server_connections(const struct http_server *server)
{
	return server->n_connections;
}

unsigned http_server_requests(const struct http_server *server)
{
	return server->n_requests;
}

static struct step *add_step(
	struct http_conn *conn, enum step_kind kind, const void *data, size_t len)
{
	struct step *step = calloc(1, sizeof(*step) + len);

	assert(step);
	step->kind = kind;
	step->conn = conn;
	step->len = len;
	if (len > 0) {
		memcpy(step->data, data, len);
	}
	TAILQ_INSERT_TAIL(&conn->steps, step, link);
	return step;
}

void conn_send(struct http_conn *conn, const void *data, size_t len)
{
	add_step(conn, STEP_SEND, data, len);
}

void conn_send_text(struct http_conn *conn, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	assert(n >= 0);
	conn_send(conn, text, (size_t)n);
}

void conn_delay(struct http_conn *conn, uint64_t ms)
{
	add_step(conn, STEP_DELAY, NULL, 0)->ms = ms;
}

void conn_cut(struct http_conn *conn)
{
	add_step(conn, STEP_CUT, NULL, 0);
}

void conn_reset(struct http_conn *conn)
{
	add_step(conn, STEP_RESET, NULL, 0);
}

void conn_stall(struct http_conn *conn)
{
	add_step(conn, STEP_STALL, NULL, 0);
}

void conn_answer(
	struct http_conn *conn, int status, const char *headers, const void *body, size_t len)
{
	conn_send_text(conn, "HTTP/1.1 %d Scripted\r\n%sContent-Length: %zu\r\n\r\n", status,
		headers, len);
	conn_send(conn, body, len);
}
