#pragma once

/*
 * HTTP client: curl multi on a libuv loop. SPDX-License-Identifier: Apache-2.0
 *
 * The only file that knows libcurl. A request goes in, its answer is streamed out; nothing is
 * known here of portals, retries or pages. Redirects are not followed. Plain http is refused but
 * to loopback. The URL holds the API key: it is never part of an error text.
 *
 * http_start(), http_resume(), http_cancel() and http_close() may be called from every callback
 * below. The process must ignore SIGPIPE.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/attr.h"
#include "lib/error.h"

struct http;
struct http_transfer;

struct http_options {
	const char *user_agent; /* never empty: the portal stalls clients without (PORTAL 4.3) */
	uint64_t connect_timeout_ms, request_timeout_ms; /* name resolution included */
	uint64_t low_speed_bytes, low_speed_ms; /* fewer bytes a second for so long: gives up */
	uint64_t body_bytes; /* most bytes of a body, decompressed */
	int ip;              /* 0 any, 4, 6 */
	const char *proxy;   /* or NULL: none. Never from the environment, never for loopback */
	const char *ca_file; /* or NULL: the system's */
};

/* Options are copied. Returns 0 or -errno. */
int http_new(uv_loop_t *loop, const struct http_options *options, struct http **ret) must_check;

/*
 * Cancels what runs (their on_done comes with CANCELED first) and closes; on_closed is called
 * from the loop when every handle is gone, and `http` with it.
 */
typedef void (*http_closed_fn)(void *arg);
void http_close(struct http *http, http_closed_fn on_closed, void *arg);

enum http_take { HTTP_TAKE, HTTP_PAUSE, HTTP_ABORT };

struct http_response {
	int status;            /* 0: no status line came */
	uint64_t body_bytes;   /* received, decompressed */
	char content_type[64];
	bool has_retry_after;
	char retry_after[64];  /* as served; read by backoff_retry_after() */
	int64_t date_s;        /* what the server's clock says; 0: nothing that can be read */
	double seconds;        /* from start to end */
};

struct http_request {
	const char *url;  /* copied */
	const char *body; /* POST this JSON when not NULL; borrowed until on_done */
	const char *const *headers; /* further header lines, NULL-terminated list, or NULL; copied */
	/*
	 * A piece of the body of any answer, whatever its status (on_header has said it).
	 * HTTP_PAUSE: not taken, will come again after http_resume(); request_timeout_ms runs on.
	 * HTTP_ABORT: the transfer fails with code "aborted". NULL: the body is counted only.
	 */
	enum http_take (*on_body)(void *arg, const void *data, size_t len);
	/*
	 * Status and headers of `response` are set. Comes once, before the first piece of the body
	 * or, without one, before on_done; not when no status line came. May be NULL.
	 */
	void (*on_header)(void *arg, const struct http_response *response);
	/*
	 * Called once, never before http_start() returned; the transfer is freed after it. error
	 * is NULL when a whole answer came, whatever its status. Error codes:
	 *	RETRY     "timeout" (connecting, or the whole), "resolve", "connect", "tls", "send",
	 *	          "recv", "truncated", "slow", "malformed", "no_memory", "failed"
	 *	REJECTED  "too_large"; "tls" when a certificate is not trusted
	 *	CANCELED  "aborted", "canceled"
	 */
	void (*on_done)(void *arg, const struct http_response *response, const struct error *error);
	void *arg;
};

/*
 * Returns 0 and the running transfer, or -1 with the reason and then no callback comes: "bad_url",
 * "insecure_url", "no_memory", "canceled" (after http_close()).
 */
int http_start(struct http *http, const struct http_request *request,
	struct http_transfer **ret_transfer, struct error *error) must_check;

/* Go on after HTTP_PAUSE. */
void http_resume(struct http_transfer *transfer);

/* on_done comes later with ERROR_CANCELED, whatever else happened; no other callback before it. */
void http_cancel(struct http_transfer *transfer);
