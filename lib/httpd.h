#pragma once

/*
 * HTTP server: libmicrohttpd on a libuv loop. SPDX-License-Identifier: Apache-2.0
 *
 * Takes requests on any number of listeners (unix sockets, TCP), checks what every route wants
 * checked, and hands the request to the function of its route. Knows no route of its own. Owned by
 * whoever called httpd_new().
 *
 * Answered here, without asking the owner: 404, 405 with Allow, 403 (a POST with an Origin), 413
 * (body above 4 KiB), 421 (a Host that is not ours; not asked on unix sockets), 431 (headers above
 * 16 KiB), 503 (too many late answers, or shutting down). What cannot even be read as HTTP is
 * answered by libmicrohttpd (400, 414, 431, 505).
 *
 * Time: a client has `deadline_ms` from connecting, or from the end of the last answer, to send one
 * whole request, however it drips; the owner has as long to answer it, after which the client gets
 * 503; the client has as long to read the answer. At `connections` on one listener a new one pushes
 * out the one that has owed its request for the longest.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "lib/attr.h"
#include "lib/error.h"

struct httpd;
struct httpd_listener;
struct httpd_request;

enum httpd_method {
	HTTPD_GET = 1, /* HEAD too: the same answer, its body is not sent */
	HTTPD_POST = 2,
};

enum { HTTPD_BODY_BYTES = 4096, HTTPD_HEADER_BYTES = 16384 };

/*
 * Answer `request` by httpd_reply() or httpd_problem(): at once, or later from the loop. Every
 * request must get exactly one of them, also after its client is gone, its time is over (503 was
 * sent) or the server is closed: it frees the request.
 */
typedef void (*httpd_handler_fn)(void *arg, struct httpd_request *request);

struct httpd_route {
	unsigned methods; /* of enum httpd_method, or-ed; one path may have several routes */
	const char *path; /* "/livez"; "/sync/runs/" followed by "*" takes one more part */
	httpd_handler_fn handler;
};

struct httpd_options {
	const struct httpd_route *routes; /* borrowed until on_closed */
	unsigned n_routes;
	void *arg;            /* for the handlers */
	uint64_t deadline_ms; /* 0: 10 s */
	unsigned connections; /* most on one listener; 0: 64. Half of them may wait for late answers
			       */
};

/* Options are copied. Returns 0 or -errno. */
int httpd_new(uv_loop_t *loop, const struct httpd_options *options, struct httpd **ret) must_check;

/*
 * Stop: nobody new is accepted; requests without an answer get 503, and so do those that come within
 * a moment on connections that stand; then every connection is closed, our socket files are
 * removed. on_closed comes later from the loop, when `httpd` is gone. May be called from a handler.
 */
typedef void (*httpd_closed_fn)(void *arg);
void httpd_close(struct httpd *httpd, httpd_closed_fn on_closed, void *arg);

/*
 * Names that Host may have besides localhost, 127.0.0.1 and [::1], without port. Borrowed until the
 * next call or on_closed.
 */
void httpd_set_hosts(struct httpd *httpd, const char *const *hosts, unsigned n_hosts);

/*
 * Listen. 0, or -1 with the reason: code "address_in_use" when somebody else has the address, else
 * the errno's name; the text names the address. Listeners live as long as `httpd`.
 */

/* A socket file at `path` with `mode`. One that nobody listens on is replaced. */
int httpd_listen_unix(struct httpd *httpd, const char *path, mode_t mode,
	struct httpd_listener **ret, struct error *error) must_check;

/* `host` is an address or "localhost" (127.0.0.1); port 0: the system picks. */
int httpd_listen_tcp(struct httpd *httpd, const char *host, unsigned port,
	struct httpd_listener **ret, struct error *error) must_check;

/* A socket that listens already (socket activation). take_fd is closed, also on failure. */
int httpd_listen_fd(struct httpd *httpd, int take_fd, struct httpd_listener **ret,
	struct error *error) must_check;

unsigned httpd_listener_port(const struct httpd_listener *listener);    /* 0: unix */
const char *httpd_listener_name(const struct httpd_listener *listener); /* "[::1]:8642" */

/*
 * What was asked. Texts are borrowed until the handler returns: copy what a late answer needs.
 */
enum httpd_method httpd_method(const struct httpd_request *request);
const char *httpd_path(const struct httpd_request *request);
const char *httpd_param(const struct httpd_request *request); /* what "*" stands for, or NULL */
/* NULL: not given. "": given without a value (`?verbose`). */
const char *httpd_query(const struct httpd_request *request, const char *name);
const char *httpd_header(const struct httpd_request *request, const char *name); /* or NULL */
/* The body, "" when there is none; always followed by a NUL. */
const char *httpd_body(const struct httpd_request *request, size_t *ret_len);
bool httpd_is_unix(const struct httpd_request *request); /* came by a unix socket */
/* Who is at the other end of a unix socket; -1 when that is not known, or it is TCP. */
int httpd_peer_uid(const struct httpd_request *request, uid_t *ret) must_check;

enum httpd_take {
	HTTPD_COPY,   /* the bytes are copied */
	HTTPD_TAKE,   /* malloc'ed; freed by httpd, also on failure */
	HTTPD_STATIC, /* the bytes never go away */
};

struct httpd_header {
	const char *name, *value;
};

/* Everything is borrowed for the call but the body with HTTPD_TAKE. */
struct httpd_answer {
	int status;               /* 0: 200 */
	const char *content_type; /* or NULL: no such header */
	const char *etag;         /* without quotes, or NULL; If-None-Match makes it 304 */
	const struct httpd_header *headers; /* more of them */
	unsigned n_headers;
	const void *body;
	size_t len;
	enum httpd_take take;
};

/* Answer and free the request. */
void httpd_reply(struct httpd_request *take_request, const struct httpd_answer *answer);

/*
 * Answer with an error as application/problem+json (RFC 9457): title from the status, `detail` from
 * the format. `headers` may be NULL.
 */
void httpd_problem(struct httpd_request *take_request, int status,
	const struct httpd_header *headers, unsigned n_headers, const char *format, ...)
	printf_like(5, 6);
