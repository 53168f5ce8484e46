/*
 * lib/http on a real loop, against a scripted server on the same one.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The path of a request names the script that answers it. Every test ends with teardown(): client
 * and server are closed and uv_loop_close() must return 0. Nothing sleeps; a guard ends a test
 * that hangs.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/http.h"
#include "tests/loop/helper/fail_alloc.h"
#include "tests/loop/helper/http_server.h"

enum { GUARD_MS = 30000, BODY_LIMIT = 50000, LONG_BYTES = 300000, MAX_ITERATIONS = 40 };

#define QUERY "api-key=579b464db66ec23bdd000001secret&format=json"

struct fixture {
	uv_loop_t loop;
	uv_timer_t guard;
	struct http_server *server;
	struct http *http;
	struct buffer request; /* the last one the server saw */
	bool closed, guard_closed;
};

/* One request and what became of it. */
struct client {
	struct fixture *f;
	struct http_transfer *transfer;
	struct buffer body;
	unsigned n_headers, n_done, n_pieces;
	struct http_response response;
	struct error error;
	/* What on_body does: pauses before piece n and resumes from a timer, or at once. */
	bool pause_each, resume_at_once, abort, cancel_in_body;
	unsigned pauses;
	uv_timer_t timer;
	bool timer_open;
	struct client *also; /* started in on_done */
	bool close_in_done;
};

/* ---- the scripts ---- */

/* gzip of 100,000 times 'a'. */
static const unsigned char GZIP[133] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03,
	0xed, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xac, 0xeb, 0x5f, 0xc2, 0x1a, 0x1e,
	0x40, 0x01, [123] = 0xaf, 0x06, 0x87, 0xfa, 0xe2, 0x1b, 0xa0, 0x86, 0x01, 0x00};

static void script_plain(struct http_conn *conn)
{
	conn_answer(conn, 200, "Content-Type: application/json; charset=utf-8\r\n", "{\"a\":1}", 7);
}

static void script_429(struct http_conn *conn)
{
	conn_answer(conn, 429, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n",
		"{\"error\": \"Rate limit exceeded\"}", 32);
}

static void script_204(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void script_502(struct http_conn *conn)
{
	conn_answer(conn, 502, "Content-Type: text/html\r\n", "<html>", 6);
}

static void script_redirect(struct http_conn *conn)
{
	conn_answer(conn, 302, "Location: /plain\r\n", "", 0);
}

static void script_cookie(struct http_conn *conn)
{
	conn_answer(conn, 200, "Set-Cookie: id=7; Path=/\r\n", "", 0);
}

static void script_continue(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 100 Continue\r\n\r\n");
	script_plain(conn);
}

static void send_long(struct http_conn *conn, size_t len)
{
	_cleanup_free_ char *data = malloc(len);

	assert_non_null(data);
	for (size_t i = 0; i < len; i++) {
		data[i] = (char)('a' + i % 23);
	}
	conn_send(conn, data, len);
}

static void script_long(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LONG_BYTES);
	send_long(conn, LONG_BYTES);
}

static void script_announced(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
}

static void script_gzip(struct http_conn *conn)
{
	conn_answer(conn, 200, "Content-Encoding: gzip\r\n", GZIP, sizeof(GZIP));
}

/* In two chunks with a pause between, so that the decoder is stopped in the middle. */
static void script_gzip_chunked(struct http_conn *conn)
{
	conn_send_text(conn,
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
		"Transfer-Encoding: chunked\r\n\r\n3c\r\n");
	conn_send(conn, GZIP, 60);
	conn_delay(conn, 5);
	conn_send_text(conn, "\r\n49\r\n");
	conn_send(conn, GZIP + 60, 73);
	conn_send_text(conn, "\r\n0\r\n\r\n");
}

static void script_bad_gzip(struct http_conn *conn)
{
	conn_answer(
		conn, 200, "Content-Encoding: gzip\r\n", "no gzip at all, not in the least", 32);
}

static void script_stall(struct http_conn *conn)
{
	conn_stall(conn);
}

static void script_stall_in_body(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
	conn_stall(conn);
}

static void script_truncated(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
	conn_cut(conn);
}

static void script_truncated_chunk(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nsome");
	conn_cut(conn);
}

static void script_reset_in_body(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
	conn_delay(conn, 20);
	conn_reset(conn);
}

static void script_cut(struct http_conn *conn)
{
	conn_cut(conn);
}

static void script_reset(struct http_conn *conn)
{
	conn_reset(conn);
}

static void script_garbage(struct http_conn *conn)
{
	conn_send_text(conn, "SSH-2.0-OpenSSH_9.2p1 this is another service\r\n\r\n");
	conn_cut(conn);
}

static void script_bad_length(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx");
	conn_cut(conn);
}

static void script_drip(struct http_conn *conn)
{
	conn_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
	for (int i = 0; i < 100; i++) {
		conn_send_text(conn, "x");
		conn_delay(conn, 100);
	}
}

static const struct {
	const char *path;
	void (*run)(struct http_conn *conn);
} scripts[] = {
	{"/plain", script_plain},
	{"/429", script_429},
	{"/204", script_204},
	{"/502", script_502},
	{"/redirect", script_redirect},
	{"/cookie", script_cookie},
	{"/continue", script_continue},
	{"/long", script_long},
	{"/announced", script_announced},
	{"/gzip", script_gzip},
	{"/gzip-chunked", script_gzip_chunked},
	{"/bad-gzip", script_bad_gzip},
	{"/stall", script_stall},
	{"/stall-in-body", script_stall_in_body},
	{"/truncated", script_truncated},
	{"/truncated-chunk", script_truncated_chunk},
	{"/reset-in-body", script_reset_in_body},
	{"/cut", script_cut},
	{"/reset", script_reset},
	{"/garbage", script_garbage},
	{"/bad-length", script_bad_length},
	{"/drip", script_drip},
};

static void on_request(void *arg, struct http_conn *conn, const char *request)
{
	struct fixture *f = arg;
	const char *path = strchr(request, ' ') + 1;
	size_t len = strcspn(path, "? ");

	buffer_clear(&f->request);
	buffer_append_str(&f->request, request);
	for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
		if (strlen(scripts[i].path) == len && strncmp(scripts[i].path, path, len) == 0) {
			scripts[i].run(conn);
			return;
		}
	}
	conn_answer(conn, 404, "", "", 0);
}

/* ---- fixture ---- */

static const struct http_options default_options = {
	.user_agent = "ogdsync-test/1.0",
	.connect_timeout_ms = 20000,
	.request_timeout_ms = 20000,
	.low_speed_bytes = 10,
	.low_speed_ms = 20000,
	.body_bytes = 1024 * 1024,
};

static void on_guard(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("the test hangs");
}

static void setup_with(struct fixture *f, const struct http_options *options)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(uv_loop_init(&f->loop), 0);
	uv_timer_init(&f->loop, &f->guard);
	uv_timer_start(&f->guard, on_guard, GUARD_MS, 0);
	uv_unref((uv_handle_t *)&f->guard);
	f->server = http_server_new(&f->loop, on_request, f);
	assert_int_equal(http_new(&f->loop, options, &f->http), 0);
}

static void on_http_closed(void *arg)
{
	((struct fixture *)arg)->closed = true;
}

static void teardown(struct fixture *f)
{
	if (f->http) {
		http_close(f->http, on_http_closed, f);
	}
	http_server_close(f->server);
	uv_close((uv_handle_t *)&f->guard, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_true(f->closed);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	buffer_fini(&f->request);
}

/* ---- client ---- */

static void on_resume_timer(uv_timer_t *timer)
{
	struct client *c = container_of(timer, struct client, timer);

	http_resume(c->transfer);
}

static void on_timer_closed(uv_handle_t *handle)
{
	container_of((uv_timer_t *)handle, struct client, timer)->timer_open = false;
}

static enum http_take on_body(void *arg, const void *data, size_t len)
{
	struct client *c = arg;

	assert_int_equal(c->n_headers, 1);
	assert_int_equal(c->n_done, 0);
	if (c->abort) {
		return HTTP_ABORT;
	}
	if (c->cancel_in_body) {
		http_cancel(c->transfer);
		c->cancel_in_body = false;
		return HTTP_TAKE;
	}
	if (c->pause_each && c->pauses == c->n_pieces) {
		c->pauses++;
		if (c->resume_at_once) {
			http_resume(c->transfer);
		} else {
			uv_timer_start(&c->timer, on_resume_timer, 2, 0);
		}
		return HTTP_PAUSE;
	}
	c->n_pieces++;
	buffer_append(&c->body, data, len);
	return HTTP_TAKE;
}

static void on_header(void *arg, const struct http_response *response)
{
	struct client *c = arg;

	assert_int_equal(c->n_done, 0);
	assert_int_not_equal(response->status, 0);
	c->n_headers++;
}

static void client_start(struct client *c, struct fixture *f, const char *url);

static void on_done(void *arg, const struct http_response *response, const struct error *error)
{
	struct client *c = arg;

	c->n_done++;
	c->response = *response;
	if (error) {
		c->error = *error;
		assert_null(strstr(error->text, "api-key"));
		assert_null(strstr(error->text, "579b"));
		assert_string_not_equal(error->text, "");
	}
	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
	if (c->also) {
		char url[200];

		snprintf(url, sizeof(url), "http://127.0.0.1:%d/plain",
			http_server_port(c->f->server));
		client_start(c->also, c->f, url);
	}
	if (c->close_in_done) {
		http_close(c->f->http, on_http_closed, c->f);
		c->f->http = NULL;
	}
	http_cancel(c->transfer); /* too late, and harmless */
}

static int client_try(
	struct client *c, struct fixture *f, const char *url, const char *body, struct error *error)
{
	static const char *const headers[] = {"X-Test: yes", NULL};
	int r;

	c->f = f;
	r = http_start(f->http,
		&(struct http_request){.url = url,
			.body = body,
			.headers = headers,
			.on_body = on_body,
			.on_header = on_header,
			.on_done = on_done,
			.arg = c},
		&c->transfer, error);
	assert_int_equal(c->n_done, 0);
	if (r == 0) {
		uv_timer_init(&f->loop, &c->timer);
		c->timer_open = true;
	}
	return r;
}

static void client_start(struct client *c, struct fixture *f, const char *url)
{
	struct error error = {0};

	assert_int_equal(client_try(c, f, url, NULL, &error), 0);
}

static void client_start_path(struct client *c, struct fixture *f, const char *path)
{
	char url[400];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s?" QUERY, http_server_port(f->server),
		path);
	client_start(c, f, url);
}

static void run_until_done(struct client *c)
{
	while (c->n_done == 0 || c->timer_open) {
		uv_run(&c->f->loop, UV_RUN_ONCE);
	}
	assert_int_equal(c->n_done, 1);
}

static void get(struct client *c, struct fixture *f, const char *path)
{
	client_start_path(c, f, path);
	run_until_done(c);
}

/* ---- answers ---- */

static void gets_an_answer(void **state)
{
	struct fixture f;
	struct client c = {0};

	(void)state;
	setup_with(&f, &default_options);
	get(&c, &f, "/plain");
	assert_false(error_is_set(&c.error));
	assert_int_equal(c.response.status, 200);
	assert_int_equal(c.response.body_bytes, 7);
	assert_string_equal(c.response.content_type, "application/json; charset=utf-8");
	assert_false(c.response.has_retry_after);
	assert_true(c.response.seconds > 0 && c.response.seconds < 10);
	assert_string_equal(buffer_str(&c.body), "{\"a\":1}");
	assert_int_equal(c.n_headers, 1);
	assert_non_null(strstr(buffer_str(&f.request), "GET /plain?" QUERY " HTTP/1.1\r\n"));
	assert_non_null(strstr(buffer_str(&f.request), "\r\nUser-Agent: ogdsync-test/1.0\r\n"));
	assert_non_null(strstr(buffer_str(&f.request), "\r\nAccept-Encoding: gzip, deflate\r\n"));
	assert_non_null(strstr(buffer_str(&f.request), "\r\nX-Test: yes\r\n"));
	buffer_fini(&c.body);
	teardown(&f);
}

struct status_case {
	const char *path;
	int status;
	size_t body_bytes;
	const char *retry_after;
};

static void any_status_is_an_answer(void **state)
{
	static const struct status_case cases[] = {
		{"/429", 429, 32, "Wed, 21 Oct 2026 07:28:00 GMT"},
		{"/204", 204, 0, NULL},
		{"/502", 502, 6, NULL},
		{"/redirect", 302, 0, NULL}, /* not followed */
		{"/unknown", 404, 0, NULL},
		{"/continue", 200, 7, NULL},
		{"/gzip", 200, 100000, NULL},
		{"/gzip-chunked", 200, 100000, NULL},
		{"/long", 200, LONG_BYTES, NULL},
	};
	struct fixture f;

	(void)state;
	setup_with(&f, &default_options);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct client c = {0};

		get(&c, &f, cases[i].path);
		assert_false(error_is_set(&c.error));
		assert_int_equal(c.response.status, cases[i].status);
		assert_int_equal(c.response.body_bytes, cases[i].body_bytes);
		assert_int_equal(c.body.len, cases[i].body_bytes);
		assert_int_equal(c.n_headers, 1);
		assert_int_equal(c.response.has_retry_after, cases[i].retry_after != NULL);
		assert_string_equal(
			c.response.retry_after, cases[i].retry_after ? cases[i].retry_after : "");
		buffer_fini(&c.body);
	}
	/* One connection served all of them, and the redirect led nowhere. */
	assert_int_equal(http_server_connections(f.server), 1);
	assert_int_equal(http_server_requests(f.server), N_ELEMENTS(cases));
	teardown(&f);
}

static void keeps_no_cookies(void **state)
{
	struct fixture f;
	struct client c = {0}, again = {0};

	(void)state;
	setup_with(&f, &default_options);
	get(&c, &f, "/cookie");
	get(&again, &f, "/cookie");
	assert_null(strcasestr(buffer_str(&f.request), "cookie:"));
	teardown(&f);
}

static void posts_json(void **state)
{
	struct fixture f;
	struct client c = {0};
	struct error error = {0};
	char url[100];

	(void)state;
	setup_with(&f, &default_options);
	snprintf(url, sizeof(url), "http://localhost:%d/plain", http_server_port(f.server));
	assert_int_equal(client_try(&c, &f, url, "{\"x\":[1,2]}", &error), 0);
	run_until_done(&c);
	assert_int_equal(c.response.status, 200);
	assert_non_null(strstr(buffer_str(&f.request), "POST /plain HTTP/1.1\r\n"));
	assert_non_null(strstr(buffer_str(&f.request), "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(buffer_str(&f.request), "\r\n\r\n{\"x\":[1,2]}"));
	assert_null(strstr(buffer_str(&f.request), "Expect"));
	buffer_fini(&c.body);
	teardown(&f);
}

/* ---- proxies ---- */

static void asks_no_proxy_of_the_environment(void **state)
{
	struct fixture f;
	struct client c = {0};

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	setup_with(&f, &default_options);
	get(&c, &f, "/plain");
	assert_int_equal(c.response.status, 200);
	assert_non_null(strstr(buffer_str(&f.request), "GET /plain"));
	buffer_fini(&c.body);
	teardown(&f);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void uses_a_proxy_but_not_for_loopback(void **state)
{
	struct http_options options = default_options;
	struct client c = {0}, loopback = {0};
	struct fixture f;
	char proxy[100];

	(void)state;
	setenv("no_proxy", "*", 1);
	setup_with(&f, &default_options);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", http_server_port(f.server));
	http_close(f.http, on_http_closed, &f);
	options.proxy = proxy;
	assert_int_equal(http_new(&f.loop, &options, &f.http), 0);
	client_start(&c, &f, "https://portal.invalid/resource/x?" QUERY);
	run_until_done(&c);
	assert_int_equal(strncmp(buffer_str(&f.request), "CONNECT portal.invalid:443 ", 27), 0);
	assert_null(strstr(buffer_str(&f.request), "api-key"));
	assert_true(error_is_set(&c.error));
	assert_int_equal(c.error.class, ERROR_RETRY);
	get(&loopback, &f, "/plain");
	assert_int_equal(loopback.response.status, 200);
	assert_non_null(strstr(buffer_str(&f.request), "GET /plain"));
	buffer_fini(&loopback.body);
	teardown(&f);
	unsetenv("no_proxy");
}

/* ---- failures ---- */

static void refuses_urls(void **state)
{
	static const struct {
		const char *url, *code, *text;
	} cases[] = {
		{"http://api.data.gov.in/resource/x?" QUERY, "insecure_url",
			"only https is used, and http to loopback; not http to api.data.gov.in"},
		{"http://10.0.0.1/?" QUERY, "insecure_url", NULL},
		{"http://127.0.0.1.example.org/?" QUERY, "insecure_url", NULL},
		{"http://localhost.example.org/?" QUERY, "insecure_url", NULL},
		{"http://[::2]/?" QUERY, "insecure_url", NULL},
		{"http://128.0.0.1/?" QUERY, "insecure_url", NULL},
		{"ftp://127.0.0.1/?" QUERY, "insecure_url", NULL},
		{"file:///etc/passwd?" QUERY, NULL, NULL},
		{"https://user:word@api.data.gov.in/?" QUERY, "bad_url", NULL},
		{"api.data.gov.in/?" QUERY, "bad_url", NULL},
		{"https://a b/?" QUERY, "bad_url", NULL},
		{"", "bad_url", NULL},
	};
	struct fixture f;

	(void)state;
	setup_with(&f, &default_options);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct error error = {0};
		struct client c = {0};

		assert_int_equal(client_try(&c, &f, cases[i].url, NULL, &error), -1);
		assert_int_equal(error.class, ERROR_REJECTED);
		assert_null(strstr(error.text, "api-key"));
		assert_null(strstr(error.text, "word"));
		if (cases[i].code) {
			assert_string_equal(error.code, cases[i].code);
		}
		if (cases[i].text) {
			assert_string_equal(error.text, cases[i].text);
		}
	}
	teardown(&f);
}

struct failure_case {
	const char *path;
	const char *code;
	const char *text; /* a part of it */
	enum error_class class;
	int status;
};

static void names_failures(void **state)
{
	static const struct failure_case cases[] = {
		{"/stall", "timeout", "timed out after", ERROR_RETRY, 0},
		{"/stall-in-body", "timeout", "with 4 out of 100 bytes", ERROR_RETRY, 200},
		{"/cut", "recv", "Empty reply from server", ERROR_RETRY, 0},
		{"/reset", "recv", "Connection reset by peer", ERROR_RETRY, 0},
		{"/reset-in-body", "recv", "Connection reset by peer", ERROR_RETRY, 200},
		{"/truncated", "truncated", "96 bytes remaining", ERROR_RETRY, 200},
		{"/truncated-chunk", "truncated", "outstanding read data", ERROR_RETRY, 200},
		{"/long", "too_large", "the answer is longer than 50000 bytes", ERROR_REJECTED,
			200},
		{"/gzip", "too_large", "the answer is longer than 50000 bytes", ERROR_REJECTED,
			200},
		{"/gzip-chunked", "too_large", "longer than 50000 bytes", ERROR_REJECTED, 200},
		{"/announced", "timeout", "timed out", ERROR_RETRY, 200},
		{"/garbage", "malformed", "HTTP/0.9", ERROR_RETRY, 0},
		{"/bad-gzip", "malformed", "", ERROR_RETRY, 200},
		{"/bad-length", "malformed", "", ERROR_RETRY, 200},
	};
	struct http_options options = default_options;
	struct fixture f;

	(void)state;
	options.request_timeout_ms = 150;
	options.body_bytes = BODY_LIMIT;
	setup_with(&f, &options);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct client c = {0};

		get(&c, &f, cases[i].path);
		if (strcmp(c.error.code, cases[i].code) != 0 ||
			!strstr(c.error.text, cases[i].text)) {
			fail_msg("%s: %s: %s", cases[i].path, c.error.code, c.error.text);
		}
		assert_int_equal(c.error.class, cases[i].class);
		assert_int_equal(c.response.status, cases[i].status);
		assert_int_equal(c.n_headers, cases[i].status != 0);
		assert_true(c.body.len <= BODY_LIMIT);
		buffer_fini(&c.body);
	}
	teardown(&f);
}

static void takes_exactly_the_limit(void **state)
{
	struct http_options options = default_options;

	(void)state;
	for (int less = 0; less < 2; less++) {
		struct client c = {0};
		struct fixture f;

		options.body_bytes = LONG_BYTES - (uint64_t)less;
		setup_with(&f, &options);
		get(&c, &f, "/long");
		assert_string_equal(c.error.code, less ? "too_large" : "");
		buffer_fini(&c.body);
		teardown(&f);
	}
}

static void gives_up_on_a_drip(void **state)
{
	struct http_options options = default_options;
	struct client c = {0};
	struct fixture f;

	(void)state;
	options.low_speed_bytes = 1000;
	options.low_speed_ms = 500; /* curl counts seconds: 1 */
	setup_with(&f, &options);
	get(&c, &f, "/drip");
	assert_string_equal(c.error.code, "slow");
	assert_non_null(strstr(c.error.text, "Less than 1000 bytes/sec"));
	assert_true(c.response.seconds < 10);
	buffer_fini(&c.body);
	teardown(&f);
}

static void names_connection_failures(void **state)
{
	struct client refused = {0}, unknown = {0}, no_tls = {0}, wrong_family = {0};
	struct http_options options = default_options;
	struct fixture f;
	char url[100];

	(void)state;
	options.ip = 6;
	setup_with(&f, &options);
	snprintf(url, sizeof(url), "http://localhost:%d/plain", http_server_port(f.server));
	client_start(&wrong_family, &f, url); /* the server listens on 127.0.0.1 */
	run_until_done(&wrong_family);
	assert_true(error_is_set(&wrong_family.error));
	assert_int_equal(http_server_connections(f.server), 0);
	teardown(&f);

	options.ip = 4;
	setup_with(&f, &options);
	client_start(&refused, &f, "http://127.0.0.1:1/?" QUERY);
	run_until_done(&refused);
	assert_string_equal(refused.error.code, "connect");
	client_start(&unknown, &f, "https://nonexistent.invalid/?" QUERY);
	run_until_done(&unknown);
	assert_string_equal(unknown.error.code, "resolve");
	assert_string_equal(unknown.error.text, "Could not resolve host: nonexistent.invalid");
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/?" QUERY, http_server_port(f.server));
	client_start(&no_tls, &f, url);
	/* What the server sees is no request, so the answer to it is a cut. */
	while (http_server_connections(f.server) == 0) {
		uv_run(&f.loop, UV_RUN_ONCE);
	}
	http_server_close(f.server);
	run_until_done(&no_tls);
	assert_string_equal(no_tls.error.code, "tls");
	assert_int_equal(no_tls.error.class, ERROR_RETRY);
	f.server = http_server_new(&f.loop, on_request, &f);
	teardown(&f);
}

/* The server ends the connection while a long body is being sent to it. */
static void names_a_failure_to_send(void **state)
{
	enum { BYTES = 40 * 1000 * 1000 };
	char *body = malloc(BYTES + 1);
	struct client c = {0};
	struct error error = {0};
	struct fixture f;
	char url[100];

	(void)state;
	assert_non_null(body);
	memset(body, 'x', BYTES);
	body[BYTES] = '\0';
	setup_with(&f, &default_options);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/plain", http_server_port(f.server));
	assert_int_equal(client_try(&c, &f, url, body, &error), 0);
	while (http_server_connections(f.server) == 0) {
		uv_run(&f.loop, UV_RUN_ONCE);
	}
	http_server_close(f.server);
	run_until_done(&c);
	assert_true(!strcmp(c.error.code, "send") || !strcmp(c.error.code, "recv"));
	assert_int_equal(c.error.class, ERROR_RETRY);
	f.server = http_server_new(&f.loop, on_request, &f);
	teardown(&f);
	free(body);
}

/* ---- pause, abort, cancel, close ---- */

static void pauses_and_resumes(void **state)
{
	static const char *const paths[] = {"/long", "/gzip", "/gzip-chunked", "/plain"};
	static const size_t bytes[] = {LONG_BYTES, 100000, 100000, 7};
	struct fixture f;

	(void)state;
	setup_with(&f, &default_options);
	for (unsigned i = 0; i < 2 * N_ELEMENTS(paths); i++) {
		struct client c = {.pause_each = true, .resume_at_once = i % 2};

		get(&c, &f, paths[i / 2]);
		assert_false(error_is_set(&c.error));
		assert_int_equal(c.body.len, bytes[i / 2]);
		assert_int_equal(c.response.body_bytes, bytes[i / 2]);
		assert_true(c.pauses > 0);
		for (size_t k = 0; i / 2 == 0 && k < c.body.len; k++) {
			assert_int_equal(c.body.data[k], 'a' + k % 23);
		}
		buffer_fini(&c.body);
	}
	teardown(&f);
}

/* One waits, paused, while another is fetched; then it goes on. */
static void a_paused_one_does_not_block_others(void **state)
{
	struct client paused = {.pause_each = true}, other = {0};
	struct fixture f;

	(void)state;
	setup_with(&f, &default_options);
	client_start_path(&paused, &f, "/long");
	while (paused.pauses == 0) {
		uv_run(&f.loop, UV_RUN_ONCE);
	}
	uv_timer_stop(&paused.timer);
	get(&other, &f, "/long");
	assert_int_equal(other.body.len, LONG_BYTES);
	assert_int_equal(paused.n_pieces, 0);
	http_resume(paused.transfer);
	run_until_done(&paused);
	assert_int_equal(paused.body.len, LONG_BYTES);
	buffer_fini(&paused.body);
	buffer_fini(&other.body);
	teardown(&f);
}

static void aborts_and_cancels_from_callbacks(void **state)
{
	struct client aborted = {.abort = true}, canceled = {.cancel_in_body = true};
	struct client first = {0}, second = {0}, last = {.close_in_done = true}, running = {0};
	struct error error = {0};
	struct fixture f;

	(void)state;
	setup_with(&f, &default_options);
	get(&aborted, &f, "/long");
	assert_string_equal(aborted.error.code, "aborted");
	get(&canceled, &f, "/long");
	assert_string_equal(canceled.error.code, "canceled");
	assert_int_equal(canceled.error.class, ERROR_CANCELED);
	assert_int_equal(canceled.n_pieces, 0);
	/* on_done may start the next one, and close. */
	first.also = &second;
	get(&first, &f, "/plain");
	run_until_done(&second);
	assert_int_equal(second.response.status, 200);
	client_start_path(&running, &f, "/stall");
	client_start_path(&last, &f, "/plain");
	run_until_done(&last);
	run_until_done(&running);
	assert_string_equal(running.error.code, "canceled");
	assert_null(f.http);
	buffer_fini(&first.body);
	buffer_fini(&second.body);
	buffer_fini(&last.body);
	(void)error;
	teardown(&f);
}

static void starts_nothing_when_closing(void **state)
{
	struct client c = {0};
	struct error error = {0};
	struct http *http;
	struct fixture f;

	(void)state;
	setup_with(&f, &default_options);
	http = f.http;
	http_close(http, on_http_closed, &f);
	assert_int_equal(client_try(&c, &f, "http://127.0.0.1:1/", NULL, &error), -1);
	assert_int_equal(error.class, ERROR_CANCELED);
	f.http = NULL;
	teardown(&f);
}

/* Let the loop turn n times. */
static void turn(struct fixture *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
}

static const char *const canceled_paths[] = {
	"/plain", "/long", "/stall", "/stall-in-body", "/cut", "/gzip-chunked", "/truncated"};

static void cancel_at(const char *path, unsigned n, bool pause)
{
	struct client c = {.pause_each = pause, .resume_at_once = true}, after = {0};
	struct fixture f;

	setup_with(&f, &default_options);
	client_start_path(&c, &f, path);
	turn(&f, n);
	if (c.n_done > 0) {
		run_until_done(&c);
	} else {
		http_cancel(c.transfer);
		assert_int_equal(c.n_done, 0);
		run_until_done(&c);
		assert_int_equal(c.error.class, ERROR_CANCELED);
		assert_string_equal(c.error.code, "canceled");
	}
	/* The client works as before. */
	get(&after, &f, "/plain");
	assert_int_equal(after.response.status, 200);
	assert_int_equal(c.n_done, 1);
	buffer_fini(&c.body);
	buffer_fini(&after.body);
	teardown(&f);
}

static void cancels_at_any_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(canceled_paths); i++) {
		for (unsigned n = 0; n < MAX_ITERATIONS; n++) {
			cancel_at(canceled_paths[i], n, n % 2);
		}
	}
}

static void close_at(unsigned n)
{
	struct client clients[N_ELEMENTS(canceled_paths)] = {0};
	struct fixture f;

	setup_with(&f, &default_options);
	for (size_t i = 0; i < N_ELEMENTS(canceled_paths); i++) {
		clients[i].pause_each = i % 2;
		client_start_path(&clients[i], &f, canceled_paths[i]);
	}
	turn(&f, n);
	teardown(&f);
	for (size_t i = 0; i < N_ELEMENTS(canceled_paths); i++) {
		assert_int_equal(clients[i].n_done, 1);
		buffer_fini(&clients[i].body);
	}
}

static void closes_at_any_time(void **state)
{
	(void)state;
	for (unsigned n = 0; n < MAX_ITERATIONS; n++) {
		close_at(n);
	}
}

/*
 * ---- no memory ----
 *
 * Ours alone: when its own fails, curl 7.88 may divide by zero (an empty hash of a socket's
 * transfers, tried).
 */

/* Start with the n-th allocation failing; true when it came to that. */
static bool get_without_memory(const char *path, unsigned n)
{
	struct http_options options = default_options;
	struct client c = {0}, after = {0};
	struct error error = {0};
	struct fixture f;
	char url[400];
	bool failed;

	options.request_timeout_ms = 5000;
	setup_with(&f, &options);
	snprintf(
		url, sizeof(url), "http://127.0.0.1:%d%s?" QUERY, http_server_port(f.server), path);
	fail_alloc_at(n);
	if (client_try(&c, &f, url, NULL, &error) == 0) {
		run_until_done(&c);
		if (error_is_set(&c.error)) {
			assert_int_equal(c.error.class, ERROR_RETRY);
		}
	} else {
		assert_true(error_is_set(&error));
		assert_int_equal(c.n_done, 0);
	}
	failed = fail_alloc_end();
	get(&after, &f, "/plain");
	assert_int_equal(after.response.status, 200);
	buffer_fini(&c.body);
	buffer_fini(&after.body);
	teardown(&f);
	return failed;
}

static void survives_no_memory(void **state)
{
	unsigned n = 1;

	(void)state;
	while (get_without_memory("/gzip", n)) {
		n++;
	}
	assert_true(n > 5);
}

static void cannot_begin_without_memory(void **state)
{
	struct http *http = NULL;
	uv_loop_t loop;
	unsigned n;
	int r = -1;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	for (n = 1; r < 0; n++) {
		fail_alloc_at(n);
		r = http_new(&loop, &default_options, &http);
		fail_alloc_end();
		assert_true(r == 0 || !http);
	}
	assert_true(n > 3);
	http_close(http, on_http_closed, &(struct fixture){0});
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gets_an_answer),
		cmocka_unit_test(any_status_is_an_answer),
		cmocka_unit_test(keeps_no_cookies),
		cmocka_unit_test(posts_json),
		cmocka_unit_test(asks_no_proxy_of_the_environment),
		cmocka_unit_test(uses_a_proxy_but_not_for_loopback),
		cmocka_unit_test(refuses_urls),
		cmocka_unit_test(names_failures),
		cmocka_unit_test(takes_exactly_the_limit),
		cmocka_unit_test(gives_up_on_a_drip),
		cmocka_unit_test(names_connection_failures),
		cmocka_unit_test(names_a_failure_to_send),
		cmocka_unit_test(pauses_and_resumes),
		cmocka_unit_test(a_paused_one_does_not_block_others),
		cmocka_unit_test(aborts_and_cancels_from_callbacks),
		cmocka_unit_test(starts_nothing_when_closing),
		cmocka_unit_test(cancels_at_any_time),
		cmocka_unit_test(closes_at_any_time),
		cmocka_unit_test(survives_no_memory),
		cmocka_unit_test(cannot_begin_without_memory),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
