#pragma once

/*
 * A scripted HTTP server on the test's own loop. SPDX-License-Identifier: Apache-2.0
 *
 * Raw TCP on 127.0.0.1, a port that the system picks. For each request that came in whole,
 * on_request is called and puts what shall happen onto the connection, in order: bytes, a pause, a
 * cut. When that is done the next request of the same connection is looked for; a handler that puts
 * nothing leaves the client waiting for ever.
 */

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_server;
struct http_conn;

/* `request` is the header as sent, and the body if one was announced; a terminated text. */
typedef void (*http_request_fn)(void *arg, struct http_conn *conn, const char *request);

struct http_server *http_server_new(uv_loop_t *loop, http_request_fn on_request, void *arg);

/* Cuts every connection; run the loop afterwards. */
void http_server_close(struct http_server *server);

int http_server_port(const struct http_server *server);
unsigned http_server_connections(const struct http_server *server); /* accepted so far */
unsigned http_server_requests(const struct http_server *server);

/* ---- what the handler says ---- */

void conn_send(struct http_conn *conn, const void *data, size_t len); /* copied */
void conn_send_text(struct http_conn *conn, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void conn_delay(struct http_conn *conn, uint64_t ms);
void conn_cut(struct http_conn *conn);   /* an orderly end */
void conn_reset(struct http_conn *conn); /* RST */
void conn_stall(struct http_conn *conn); /* nothing more, ever */

/* A whole answer. `headers` are further lines, each with its CRLF, or "". */
void conn_answer(
	struct http_conn *conn, int status, const char *headers, const void *body, size_t len);
