/*
 * lib/httpd on a real loop, asked by raw sockets. SPDX-License-Identifier: Apache-2.0
 *
 * Server and clients share one loop. Each test builds a server in setup(), and teardown() closes it
 * and asserts that nothing of it stays on the loop. Deadlines are short here; nothing sleeps.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/httpd.h"
#include "tests/loop/helper/fail_alloc.h"

enum { MAX_LATE = 200, MAX_CLIENTS = 160, GUARD_MS = 20000, BIG_BYTES = 16 * 1024 * 1024 };

struct client {
	uv_poll_t poll;
	int fd;
	struct buffer in;
	bool ended, open;
};

struct fixture {
	uv_loop_t loop;
	uv_timer_t guard;
	struct httpd *httpd;
	struct httpd_listener *tcp, *unix_socket;
	char directory[64], path[96];
	struct httpd_request *late[MAX_LATE];
	unsigned n_late, n_called;
	bool closing, closed;
	struct client clients[MAX_CLIENTS];
	unsigned n_clients;
};

/* The routes. */

static void on_echo(void *arg, struct httpd_request *request)
{
	struct fixture *f = arg;
	const char *param = httpd_param(request), *name = httpd_query(request, "name");
	const char *flag = httpd_query(request, "flag"), *header = httpd_header(request, "X-Test");
	_cleanup_buffer_ struct buffer text = {0};
	size_t len;
	const char *body = httpd_body(request, &len);

	fail_alloc_shield_up();
	f->n_called++;
	buffer_printf(&text, "%s %s param=%s name=%s flag=%s header=%s unix=%d body=%zu:%s",
		httpd_method(request) == HTTPD_GET ? "GET" : "POST", httpd_path(request),
		param ? param : "(null)", name ? name : "(null)", flag ? flag : "(null)",
		header ? header : "(null)", httpd_is_unix(request), len, len < 100 ? body : "...");
	fail_alloc_shield_down();
	httpd_reply(request,
		&(struct httpd_answer){
			.content_type = "text/plain", .body = text.data, .len = text.len});
}

static void on_late(void *arg, struct httpd_request *request)
{
	struct fixture *f = arg;

	assert_true(f->n_late < MAX_LATE);
	f->late[f->n_late++] = request;
}

static void on_big(void *arg, struct httpd_request *request)
{
	char *body = malloc(BIG_BYTES);

	(void)arg;
	assert_non_null(body);
	memset(body, 'x', BIG_BYTES);
	httpd_reply(request,
		&(struct httpd_answer){.body = body, .len = BIG_BYTES, .take = HTTPD_TAKE});
}

static void on_tagged(void *arg, struct httpd_request *request)
{
	(void)arg;
	httpd_reply(request,
		&(struct httpd_answer){
			.etag = "v1", .body = strdup("tagged"), .len = 6, .take = HTTPD_TAKE});
}

static void on_fixture_closed(void *arg)
{
	struct fixture *f = arg;

	f->closed = true;
}

static void start_close(struct fixture *f)
{
	if (!f->closing) {
		f->closing = true;
		httpd_close(f->httpd, on_fixture_closed, f);
	}
}

static void on_stop(void *arg, struct httpd_request *request)
{
	start_close(arg);
	httpd_reply(request,
		&(struct httpd_answer){
			.status = 202, .body = "bye", .len = 3, .take = HTTPD_STATIC});
}

static void on_created(void *arg, struct httpd_request *request)
{
	const struct httpd_header headers[] = {{"Location", "/sync/runs/7"}, {"X-Two", "2"}};

	(void)arg;
	httpd_reply(
		request, &(struct httpd_answer){.status = 202, .headers = headers, .n_headers = 2});
}

static const struct httpd_route routes[] = {
	{HTTPD_GET, "/echo", on_echo},
	{HTTPD_POST, "/echo", on_echo},
	{HTTPD_GET, "/echo/*", on_echo},
	{HTTPD_GET, "/late", on_late},
	{HTTPD_GET, "/big", on_big},
	{HTTPD_GET, "/tagged", on_tagged},
	{HTTPD_POST, "/stop", on_stop},
	{HTTPD_POST, "/created", on_created},
};

/* The loop. */

static void on_guard(uv_timer_t *timer)
{
	const struct fixture *f = container_of(timer, struct fixture, guard);

	fprintf(stderr, "still waiting after %d ms; last answer: %.2000s\n", GUARD_MS,
		f->n_clients ? buffer_str(&f->clients[f->n_clients - 1].in) : "");
	abort(); /* there is no way back from inside the loop */
}

static void turn(struct fixture *f)
{
	uv_run(&f->loop, UV_RUN_ONCE);
}

#define run_until(f, condition)                                                                    \
	do {                                                                                       \
		while (!(condition)) {                                                             \
			turn(f);                                                                   \
		}                                                                                  \
	} while (0)

static void on_over(uv_timer_t *timer)
{
	timer->data = NULL;
}

/* Let the loop run for a while; returns how often it turned. */
static unsigned run_for(struct fixture *f, uint64_t ms)
{
	uv_timer_t timer;
	unsigned turns;

	uv_timer_init(&f->loop, &timer);
	timer.data = f;
	uv_timer_start(&timer, on_over, ms, 0);
	for (turns = 0; timer.data; turns++) {
		turn(f);
	}
	uv_close((uv_handle_t *)&timer, NULL);
	turn(f);
	return turns;
}

/* Clients. */

static void on_client_readable(uv_poll_t *poll, int status, int events)
{
	struct client *client = container_of(poll, struct client, poll);
	char data[65536];
	ssize_t n;

	(void)status;
	(void)events;
	n = recv(client->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n > 0) {
		fail_alloc_shield_up();
		buffer_append(&client->in, data, (size_t)n);
		fail_alloc_shield_down();
	} else if (n == 0 || errno != EAGAIN) {
		client->ended = true;
		uv_poll_stop(poll);
	}
}

static struct client *client_on(struct fixture *f, int fd)
{
	struct client *client = &f->clients[f->n_clients++];

	assert_true(f->n_clients <= MAX_CLIENTS);
	client->fd = fd;
	client->open = true;
	assert_int_equal(uv_poll_init(&f->loop, &client->poll, fd), 0);
	uv_poll_start(&client->poll, UV_READABLE, on_client_readable);
	return client;
}

static struct client *connect_port(struct fixture *f, unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return client_on(f, fd);
}

static struct client *connect_tcp(struct fixture *f)
{
	return connect_port(f, httpd_listener_port(f->tcp));
}

static int connect_path(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct client *connect_unix(struct fixture *f)
{
	int fd = connect_path(f->path);

	assert_true(fd >= 0);
	return client_on(f, fd);
}

static void say(struct client *client, const char *text)
{
	/* The server may have cut us off already. */
	(void)!send(client->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void ask(struct client *client, const char *method, const char *target)
{
	char text[512];

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, target);
	say(client, text);
}

static void hang_up(struct client *client)
{
	if (client->open) {
		client->open = false;
		uv_close((uv_handle_t *)&client->poll, NULL);
		close(client->fd);
	}
}

static unsigned count(const struct client *client, const char *text)
{
	const char *p = buffer_str(&client->in);
	unsigned n = 0;

	while (*text && (p = strstr(p, text))) {
		n++;
		p += strlen(text);
	}
	return n;
}

static bool has(const struct client *client, const char *text)
{
	return count(client, text) > 0;
}

static void expect(const struct client *client, const char *text)
{
	if (*text && !has(client, text)) {
		fail_msg("no \"%s\" in: %.2000s", text, buffer_str(&client->in));
	}
}

/* One request on a connection of its own; the client after its answer came. */
static struct client *get(
	struct fixture *f, const char *method, const char *target, const char *more_headers)
{
	struct client *client = connect_tcp(f);
	char text[1024];

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nConnection: close\r\n%s\r\n", method,
		target, more_headers);
	say(client, text);
	run_until(f, client->ended);
	return client;
}

#define HOST "Host: localhost\r\n"

/* The fixture. */

static void reply_late(struct fixture *f, unsigned i)
{
	struct httpd_request *request = f->late[i];

	f->late[i] = NULL;
	if (request) {
		httpd_reply(request,
			&(struct httpd_answer){
				.body = strdup("late answer"), .len = 11, .take = HTTPD_TAKE});
	}
}

static struct fixture *fixture_new(const struct httpd_options *options)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct httpd_options with_routes = *options;

	assert_non_null(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	uv_timer_init(&f->loop, &f->guard);
	uv_timer_start(&f->guard, on_guard, GUARD_MS, 0);
	snprintf(f->directory, sizeof(f->directory), "/tmp/test-httpd-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/socket", f->directory);
	with_routes.routes = routes;
	with_routes.n_routes = N_ELEMENTS(routes);
	with_routes.arg = f;
	assert_int_equal(httpd_new(&f->loop, &with_routes, &f->httpd), 0);
	assert_int_equal(httpd_listen_tcp(f->httpd, "127.0.0.1", 0, &f->tcp, NULL), 0);
	assert_int_equal(httpd_listen_unix(f->httpd, f->path, 0660, &f->unix_socket, NULL), 0);
	return f;
}

static void fixture_close(struct fixture *f)
{
	start_close(f);
	run_until(f, f->closed);
}

static void fixture_free(struct fixture *f)
{
	fixture_close(f);
	for (unsigned i = 0; i < f->n_late; i++) {
		reply_late(f, i); /* the server is gone: this only frees */
	}
	for (unsigned i = 0; i < f->n_clients; i++) {
		hang_up(&f->clients[i]);
	}
	uv_close((uv_handle_t *)&f->guard, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	for (unsigned i = 0; i < f->n_clients; i++) {
		buffer_fini(&f->clients[i].in);
	}
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
}

static int setup(void **state)
{
	*state = fixture_new(&(struct httpd_options){0});
	return 0;
}

/* Deadlines of a fifth of a second, at most eight clients. */
static int setup_short(void **state)
{
	*state = fixture_new(&(struct httpd_options){.deadline_ms = 200, .connections = 8});
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

/* What every answer has. */

static void test_get(void **state)
{
	struct client *client = get(*state, "GET", "/echo?name=a%20b&flag", HOST "X-Test: yes\r\n");

	expect(client, "HTTP/1.1 200 OK\r\n");
	expect(client, "\r\nCache-Control: no-store\r\n");
	expect(client, "\r\nX-Content-Type-Options: nosniff\r\n");
	expect(client, "\r\nContent-Type: text/plain\r\n");
	expect(client, "\r\n\r\nGET /echo param=(null) name=a b flag= header=yes unix=0 body=0:");
}

static void test_unix(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_unix(f);

	say(client, "GET /echo HTTP/1.1\r\nHost: whatever.example\r\n\r\n");
	run_until(f, has(client, "body="));
	expect(client, "unix=1");
	say(client, "GET /echo/part HTTP/1.1\r\nHost:\r\n\r\n");
	run_until(f, has(client, "param=part"));
}

static void test_head(void **state)
{
	struct client *client = get(*state, "HEAD", "/echo", HOST);

	expect(client, "HTTP/1.1 200 OK\r\n");
	assert_false(has(client, "Content-Length: 0"));
	assert_false(has(client, "GET /echo"));
	assert_string_equal(client->in.data + client->in.len - 4, "\r\n\r\n");
}

static void test_refusals(void **state)
{
	static const struct {
		const char *method, *target, *headers, *status, *also;
	} cases[] = {
		{"GET", "/", HOST, "404 Not Found",
			"\"status\":404,\"detail\":\"there is no / here\""},
		{"GET", "/echo/a/b", HOST, "404 ", "application/problem+json"},
		{"GET", "/echo/", HOST, "404 ", "\"type\":\"about:blank\""},
		{"GET", "/ech", HOST, "404 ", "\"title\":\"Not Found\""},
		{"GET", "http://localhost/echo", HOST, "404 ", "no-store"},
		{"PUT", "/echo", HOST, "405 Method Not Allowed", "\r\nAllow: GET, HEAD, POST\r\n"},
		{"POST", "/late", HOST, "405 ", "\r\nAllow: GET, HEAD\r\n"},
		{"HEAD", "/stop", HOST, "405 ", "\r\nAllow: POST\r\n"},
		{"OPTIONS", "/late", HOST, "405 ", "nosniff"},
		{"GET", "/echo", "Host: evil.example\r\n", "421 Misdirected Request",
			"server.hosts"},
		{"GET", "/echo", "Host: localhost.evil.example\r\n", "421 ", ""},
		{"GET", "/echo", "Host: localhost:80:80\r\n", "421 ", ""},
		{"GET", "/echo", "Host:\r\n", "421 ", ""},
		{"GET", "/echo", "Host: [::1\r\n", "421 ", ""},
		{"GET", "/echo", HOST "Host: evil.example\r\n", "4", ""},
		{"GET", "/nowhere", "Host: evil.example\r\n", "421 ", ""},
		{"POST", "/echo", HOST "Origin: http://localhost\r\n", "403 Forbidden", "web page"},
		{"POST", "/echo", HOST "Origin: null\r\n", "403 ", ""},
		{"POST", "/echo", HOST "Content-Length: 4097\r\n", "413 ", "more than 4096 bytes"},
		{"POST", "/echo", HOST "Content-Length: 99999999999999999999\r\n", "4", ""},
		{"GET", "/echo", "", "421 ", ""},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct client *client = get(f, cases[i].method, cases[i].target, cases[i].headers);
		char start[64];

		snprintf(start, sizeof(start), "HTTP/1.1 %s", cases[i].status);
		if (strncmp(buffer_str(&client->in), start, strlen(start)) != 0) {
			fail_msg("case %zu: not %s: %s", i, start, buffer_str(&client->in));
		}
		if (strncmp(cases[i].method, "HEAD", 4) != 0) {
			expect(client, cases[i].also);
		}
	}
	assert_int_equal(f->n_called, 0);
}

static void test_hosts(void **state)
{
	static const char *const good[] = {"localhost", "LOCALHOST:8642", "127.0.0.1", "[::1]",
		"[::1]:8642", "prices.example", "prices.example:80"};
	static const char *const hosts[] = {"prices.example"};
	struct fixture *f = *state;
	char header[64];

	httpd_set_hosts(f->httpd, hosts, 1);
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		snprintf(header, sizeof(header), "Host: %s\r\n", good[i]);
		expect(get(f, "GET", "/echo", header), "HTTP/1.1 200 OK");
	}
	httpd_set_hosts(f->httpd, NULL, 0);
	expect(get(f, "GET", "/echo", "Host: prices.example\r\n"), "HTTP/1.1 421 ");
}

static void test_headers_of_answer(void **state)
{
	struct client *client = get(*state, "POST", "/created", HOST "Content-Length: 0\r\n");

	expect(client, "HTTP/1.1 202 Accepted\r\n");
	expect(client, "\r\nLocation: /sync/runs/7\r\n");
	expect(client, "\r\nX-Two: 2\r\n");
}

static void test_etag(void **state)
{
	struct client *client = get(*state, "GET", "/tagged", HOST "If-None-Match: \"v0\"\r\n");

	expect(client, "HTTP/1.1 200 OK\r\n");
	expect(client, "\r\nETag: \"v1\"\r\n");
	expect(client, "\r\n\r\ntagged");
	client = get(*state, "GET", "/tagged", HOST "If-None-Match: \"v0\", W/\"v1\"\r\n");
	expect(client, "HTTP/1.1 304 Not Modified\r\n");
	expect(client, "\r\nETag: \"v1\"\r\n");
	assert_false(has(client, "tagged"));
}

/* Bodies and headers of all sizes. */

static void test_body(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_tcp(f);
	_cleanup_buffer_ struct buffer text = {0};

	say(client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe");
	run_for(f, 5);
	say(client, "llo");
	run_until(f, has(client, "body=5:hello"));
	buffer_append_str(&text, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 4096\r\n\r\n");
	for (unsigned i = 0; i < HTTPD_BODY_BYTES; i++) {
		buffer_append_char(&text, 'b');
	}
	say(client, buffer_str(&text));
	run_until(f, has(client, "body=4096:"));
	say(client,
		"POST /echo HTTP/1.1\r\n" HOST
		"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	run_until(f, has(client, "body=3:abc"));
	assert_int_equal(f->n_called, 3);
}

static void test_body_expect_continue(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_tcp(f);

	say(client,
		"POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	run_until(f, has(client, "100 Continue\r\n\r\n"));
	say(client, "ok");
	run_until(f, has(client, "body=2:ok"));
	client = connect_tcp(f);
	say(client,
		"POST /echo HTTP/1.1\r\n" HOST
		"Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
	run_until(f, client->ended);
	expect(client, "413 ");
	assert_false(has(client, "100 Continue"));
}

static void test_body_chunked_too_long(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_tcp(f);

	say(client, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	for (unsigned i = 0; i < 300; i++) {
		say(client, "10\r\n0123456789abcdef\r\n");
		turn(f);
	}
	say(client, "0\r\n\r\n");
	run_until(f, has(client, "more than 4096 bytes"));
	expect(client, "HTTP/1.1 413 ");
	assert_int_equal(f->n_called, 0);
	ask(client, "GET", "/echo");
	run_until(f, has(client, "body=0:"));
}

static struct client *get_with_headers(struct fixture *f, unsigned n, unsigned bytes)
{
	struct client *client = connect_tcp(f);
	_cleanup_buffer_ struct buffer text = {0};

	buffer_append_str(&text, "GET /echo HTTP/1.1\r\n" HOST "Connection: close\r\n");
	for (unsigned i = 0; i < n; i++) {
		buffer_printf(&text, "X-%u: %0*d\r\n", i, (int)bytes, 0);
	}
	buffer_append_str(&text, "\r\n");
	say(client, buffer_str(&text));
	run_until(f, client->ended);
	return client;
}

static void test_header_sizes(void **state)
{
	struct fixture *f = *state;
	struct client *client;

	expect(get_with_headers(f, 1, 16000), "HTTP/1.1 200 ");
	expect(get_with_headers(f, 15, 1024), "HTTP/1.1 200 ");
	expect(get_with_headers(f, 150, 90), "HTTP/1.1 200 ");
	expect(get_with_headers(f, 16, 1024), "HTTP/1.1 431 ");
	expect(get_with_headers(f, 1, 17000), "HTTP/1.1 431 ");
	client = get_with_headers(f, 100, 1024); /* more than fits: libmicrohttpd's own answer */
	assert_true(client->in.len == 0 || has(client, "HTTP/1.1 431 "));
	assert_int_equal(f->n_called, 3);
}

/* Many requests, late answers. */

static void test_pipelining(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_tcp(f);
	const char *late, *after;

	ask(client, "GET", "/echo/one");
	say(client,
		"GET /echo/two HTTP/1.1\r\n" HOST "\r\nGET /late HTTP/1.1\r\n" HOST
		"\r\nGET /echo/three HTTP/1.1\r\n" HOST "\r\nGET /echo/four HTTP/1.1\r\n" HOST
		"\r\n");
	run_until(f, f->n_late == 1 && has(client, "param=two"));
	run_for(f, 10);
	assert_false(has(client, "param=three"));
	reply_late(f, 0);
	run_until(f, has(client, "param=four"));
	late = strstr(client->in.data, "late answer");
	after = strstr(client->in.data, "param=three");
	assert_non_null(late);
	assert_true(late < after);
	assert_int_equal(count(client, "HTTP/1.1 200 OK"), 5);
}

static void test_late_many(void **state)
{
	struct fixture *f = *state;
	struct client *clients[20];

	for (unsigned i = 0; i < 20; i++) {
		clients[i] = i % 2 ? connect_tcp(f) : connect_unix(f);
		ask(clients[i], "GET", "/late");
	}
	run_until(f, f->n_late == 20);
	for (unsigned i = 20; i-- > 0;) {
		reply_late(f, i);
	}
	for (unsigned i = 0; i < 20; i++) {
		run_until(f, has(clients[i], "late answer"));
		assert_int_equal(count(clients[i], "HTTP/1.1 200 OK"), 1);
	}
}

/* The client leaves first; its request is still answered, its connection is then gone. */
static void test_late_client_gone(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 6; i++) {
		struct client *client = connect_tcp(f);

		ask(client, "GET", "/late");
		run_until(f, f->n_late == i + 1);
		hang_up(client);
		run_for(f, 5);
		reply_late(f, i);
	}
	run_for(f, 10);
	expect(get(f, "GET", "/echo", HOST), "HTTP/1.1 200 OK");
}

static void test_late_deadline(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_tcp(f);

	ask(client, "GET", "/late");
	run_until(f, has(client, "the answer took too long"));
	expect(client, "HTTP/1.1 503 Service Unavailable");
	expect(client, "\r\nRetry-After: 1\r\n");
	reply_late(f, 0); /* dropped */
	ask(client, "GET", "/echo");
	run_until(f, has(client, "body=0:"));
	assert_false(has(client, "late answer"));
}

static void test_late_too_many(void **state)
{
	struct fixture *f = *state;
	struct client *clients[5];

	for (unsigned i = 0; i < 5; i++) {
		clients[i] = connect_tcp(f);
		ask(clients[i], "GET", "/late");
		run_until(f, f->n_late == i + 1);
	}
	run_until(f, has(clients[4], "too many requests are waiting"));
	assert_int_equal(clients[3]->in.len, 0);
	reply_late(f, 4);
	reply_late(f, 0);
	run_until(f, has(clients[0], "late answer"));
	ask(clients[4], "GET", "/late");
	run_until(f, f->n_late == 6);
	run_for(f, 5);
	reply_late(f, 5);
	run_until(f, has(clients[4], "late answer"));
}

static void test_late_problem(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_unix(f);

	ask(client, "GET", "/late");
	run_until(f, f->n_late == 1);
	httpd_problem(take_ptr(f->late[0]), 503, NULL, 0, "the database is %s", "\"down\"");
	run_until(f, has(client, "}"));
	expect(client, "\r\nContent-Type: application/problem+json\r\n");
	expect(client,
		"{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
		"\"detail\":\"the database is \\\"down\\\"\"}");
}

/* Clients that keep us waiting. */

static void test_drip(void **state)
{
	static const char request[] = "GET /echo HTTP/1.1\r\nHost: localhost\r\nX: "
				      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct fixture *f = *state;
	struct client *client = connect_tcp(f);
	uint64_t start = uv_hrtime(), took_ms;
	size_t i = 0;

	while (!client->ended) {
		char c[2] = {request[i], '\0'};

		say(client, c);
		i += request[i + 1] != '\0';
		run_for(f, 10);
	}
	took_ms = (uv_hrtime() - start) / 1000000;
	assert_in_range(took_ms, 190, 2000);
	assert_int_equal(client->in.len, 0);
}

static void test_drip_body(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_unix(f);

	say(client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n");
	while (!client->ended) {
		say(client, "x");
		run_for(f, 20);
	}
	assert_int_equal(f->n_called, 0);
}

static void test_reader_stalls(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_tcp(f);
	uint64_t start = uv_hrtime();

	uv_poll_stop(&client->poll);
	ask(client, "GET", "/big");
	run_for(f, 400);
	uv_poll_start(&client->poll, UV_READABLE, on_client_readable);
	run_until(f, client->ended);
	assert_true(client->in.len < BIG_BYTES);
	assert_true((uv_hrtime() - start) / 1000000 >= 200);
}

static void test_reader_reads(void **state)
{
	struct client *client = get(*state, "GET", "/big", HOST);

	assert_in_range(client->in.len, BIG_BYTES + 50, BIG_BYTES + 1000);
}

/* A connection that is asked again and again outlives the deadline of one request. */
static void test_keep_alive(void **state)
{
	struct fixture *f = *state;
	struct client *client = connect_tcp(f);

	for (unsigned i = 0; i < 6; i++) {
		ask(client, "GET", "/echo");
		run_until(f, count(client, "body=0:") == i + 1);
		run_for(f, 100);
		assert_false(client->ended);
	}
	run_until(f, client->ended);
}

static void test_half_open(void **state)
{
	struct fixture *f = *state;
	struct client *client;
	uint64_t start = uv_hrtime();

	for (unsigned i = 0; i < 100; i++) {
		client = connect_tcp(f);
		if (i % 2) {
			say(client, "GET /echo HTTP/1.1\r\nHos");
		}
	}
	client = connect_tcp(f);
	ask(client, "GET", "/echo");
	run_until(f, has(client, "body=0:"));
	assert_true((uv_hrtime() - start) / 1000000 < 5000);
	/* 101 connected, 64 stayed, among them the last ones. */
	run_until(f, f->clients[36].ended);
	run_for(f, 10);
	for (unsigned i = 0; i < 101; i++) {
		assert_int_equal(f->clients[i].ended, i < 37);
	}
	/* Nor is the other listener touched. */
	client = connect_unix(f);
	ask(client, "GET", "/echo");
	run_until(f, has(client, "unix=1"));
}

/* Those who wait for an answer are not pushed out by those who only connect. */
static void test_half_open_spares_late(void **state)
{
	struct fixture *f = *state;
	struct client *late = connect_tcp(f), *client;

	ask(late, "GET", "/late");
	run_until(f, f->n_late == 1);
	for (unsigned i = 0; i < 30; i++) {
		connect_tcp(f);
	}
	client = connect_tcp(f);
	ask(client, "GET", "/echo");
	run_until(f, has(client, "body=0:"));
	reply_late(f, 0);
	run_until(f, has(late, "late answer"));
}

/* Waiting costs nothing: the loop only turns when something happens. */
static void test_waiting_is_idle(void **state)
{
	struct fixture *f = *state;
	struct client *half = connect_tcp(f), *late = connect_tcp(f), *stalled = connect_unix(f);
	unsigned turns;

	say(half, "GET /echo HTTP/1.1\r\nHost: loc");
	ask(late, "GET", "/late");
	ask(late, "GET", "/echo"); /* pipelined behind the late one */
	uv_poll_stop(&stalled->poll);
	ask(stalled, "GET", "/big");
	run_until(f, f->n_late == 1);
	run_for(f, 50);
	turns = run_for(f, 200);
	assert_true(turns < 10);
}

/* No descriptor is left for one who connects: those who are there go on, later ones get in again.
 */
static void test_no_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, low;
	struct client *client = connect_tcp(f), *late;
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)httpd_listener_port(f->tcp)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), taken[64];
	unsigned n_taken = 0, turns;

	ask(client, "GET", "/echo");
	run_until(f, has(client, "body=0:"));
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (n_taken < 64 && (taken[n_taken] = dup(fd)) >= 0) {
		n_taken++;
	}
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	late = client_on(f, fd);
	ask(late, "GET", "/echo");
	turns = run_for(f, 100);
	assert_true(turns < 10);
	assert_int_equal(late->in.len, 0);
	ask(client, "GET", "/echo/again");
	run_until(f, has(client, "param=again"));
	while (n_taken > 0) {
		close(taken[--n_taken]);
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	hang_up(client);
	/* Under valgrind the kernel accepts, and valgrind closes: nothing to be had from that. */
	run_until(f, has(late, "body=0:") || (late->ended && late->in.len == 0));
}

/* Sockets. */

static void test_socket_file(void **state)
{
	struct fixture *f = *state;
	struct httpd_listener *listener;
	struct error error = {0};
	struct stat st;
	char path[128], text[ERROR_TEXT_BYTES];

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	snprintf(text, sizeof(text), "unix:%s", f->path);
	assert_string_equal(httpd_listener_name(f->unix_socket), text);
	assert_int_equal(httpd_listener_port(f->unix_socket), 0);

	/* Somebody listens there. */
	assert_int_equal(httpd_listen_unix(f->httpd, f->path, 0660, &listener, &error), -1);
	assert_string_equal(error.code, "address_in_use");
	snprintf(text, sizeof(text), "unix:%s: the address is in use by another process", f->path);
	assert_string_equal(error.text, text);

	/* Another file is not removed. */
	snprintf(path, sizeof(path), "%s/file", f->directory);
	fclose(fopen(path, "w"));
	error_clear(&error);
	assert_int_equal(httpd_listen_unix(f->httpd, path, 0660, &listener, &error), -1);
	assert_string_equal(error.code, "address_in_use");
	assert_int_equal(unlink(path), 0);

	error_clear(&error);
	snprintf(path, sizeof(path), "%s/none/socket", f->directory);
	assert_int_equal(httpd_listen_unix(f->httpd, path, 0660, &listener, &error), -1);
	assert_string_equal(error.code, "ENOENT");

	error_clear(&error);
	memset(text, 'x', 200);
	text[200] = '\0';
	assert_int_equal(httpd_listen_unix(f->httpd, text, 0660, &listener, &error), -1);
	assert_string_equal(error.code, "ENAMETOOLONG");
}

static void test_socket_stale(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct httpd_listener *listener;
	struct client *client;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/stale", f->directory);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(httpd_listen_unix(f->httpd, address.sun_path, 0600, &listener, NULL), 0);
	client = client_on(f, connect_path(address.sun_path));
	ask(client, "GET", "/echo");
	run_until(f, has(client, "unix=1"));
}

/* A file that somebody put in the place of ours is not ours to remove. */
static void test_socket_replaced(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(unlink(f->path), 0);
	fclose(fopen(f->path, "w"));
	fixture_close(f);
	assert_int_equal(unlink(f->path), 0);
}

static void test_tcp(void **state)
{
	struct fixture *f = *state;
	struct httpd_listener *listener;
	struct error error = {0};
	char text[128];
	unsigned port = httpd_listener_port(f->tcp);

	assert_in_range(port, 1, 65535);
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	assert_string_equal(httpd_listener_name(f->tcp), text);
	assert_int_equal(httpd_listen_tcp(f->httpd, "localhost", port, &listener, &error), -1);
	assert_string_equal(error.code, "address_in_use");
	snprintf(
		text, sizeof(text), "127.0.0.1:%u: the address is in use by another process", port);
	assert_string_equal(error.text, text);
	error_clear(&error);
	assert_int_equal(httpd_listen_tcp(f->httpd, "prices.example", 80, &listener, &error), -1);
	assert_string_equal(error.text, "prices.example:80: Invalid argument");
	assert_int_equal(httpd_listen_tcp(f->httpd, "127.0.0.1", 65536, &listener, NULL), -1);
}

static void test_tcp_v6(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct httpd_listener *listener;
	struct error error = {0};
	struct client *client;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (httpd_listen_tcp(f->httpd, "::1", 0, &listener, &error) < 0) {
		close(fd);
		skip(); /* a machine without IPv6 */
	}
	assert_int_equal(strncmp(httpd_listener_name(listener), "[::1]:", 6), 0);
	address.sin6_port = htons((uint16_t)httpd_listener_port(listener));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	client = client_on(f, fd);
	ask(client, "GET", "/echo");
	run_until(f, has(client, "unix=0"));
}

static void test_inherited(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct httpd_listener *listener;
	struct client *client;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/inherited", f->directory);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(httpd_listen_fd(f->httpd, fd, &listener, NULL), 0);
	client = client_on(f, connect_path(address.sun_path));
	ask(client, "GET", "/echo");
	run_until(f, has(client, "unix=1"));
	assert_int_equal(strncmp(httpd_listener_name(listener), "unix:/tmp/", 10), 0);

	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	fd = dup(fd);
	assert_int_equal(httpd_listen_fd(f->httpd, fd, &listener, NULL), -1); /* does not listen */
	assert_int_equal(close(fd), -1);
	fd--;
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(httpd_listen_fd(f->httpd, fd, &listener, NULL), 0);
	client = connect_port(f, httpd_listener_port(listener));
	ask(client, "GET", "/echo");
	run_until(f, has(client, "unix=0"));

	/* It was made by somebody else, who also removes it. */
	fixture_close(f);
	assert_int_equal(unlink(address.sun_path), 0);
}

/* The end. */

static void test_close_from_handler(void **state)
{
	struct fixture *f = *state;
	struct client *late = connect_tcp(f), *client = connect_tcp(f);

	ask(late, "GET", "/late");
	run_until(f, f->n_late == 1);
	say(client, "POST /stop HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
	run_until(f, f->closed && client->ended && late->ended);
	expect(client, "HTTP/1.1 202 Accepted");
	expect(late, "HTTP/1.1 503 ");
	expect(late, "shutting down");
}

/* Something of everything, closed at the n-th turn of the loop. */
static void close_at(unsigned n, bool with_replies)
{
	struct fixture *f = fixture_new(&(struct httpd_options){.deadline_ms = 30});
	struct client *client;

	for (unsigned i = 0; i < 8; i++) {
		client = i % 2 ? connect_tcp(f) : connect_unix(f);
		ask(client, "GET", "/late");
	}
	ask(connect_tcp(f), "GET", "/echo");
	say(connect_tcp(f), "GET /ec");
	say(connect_unix(f), "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n12");
	client = connect_unix(f);
	uv_poll_stop(&client->poll);
	ask(client, "GET", "/big");
	client = connect_tcp(f);
	ask(client, "GET", "/late");
	ask(client, "GET", "/late");
	hang_up(client);
	for (unsigned i = 0; i < n; i++) {
		if (with_replies && i % 2) {
			reply_late(f, i / 2);
		}
		/* First by single turns, then by time, past the deadlines. */
		if (i < 20) {
			uv_run(&f->loop, UV_RUN_NOWAIT);
		} else {
			run_for(f, 3);
		}
	}
	start_close(f);
	if (with_replies && f->n_late > 2) {
		reply_late(f, f->n_late - 1); /* after close, before closed */
	}
	fixture_free(f);
}

static void test_close_at_any_time(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 40; n++) {
		close_at(n, false);
		close_at(n, true);
	}
}

/*
 * The n-th allocation fails: who is concerned is cut off or gets no answer, others do not notice,
 * and it ends cleanly. Returns false when there was no n-th.
 */
static bool ask_without_memory(unsigned n)
{
	struct fixture *f = fixture_new(&(struct httpd_options){.deadline_ms = 2000});
	struct client *client = connect_tcp(f), *late = connect_unix(f), *after;
	bool failed;

	fail_alloc_at(n);
	say(client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
	ask(late, "GET", "/late");
	run_until(f, (client->ended || has(client, "unix=0")) && (late->ended || f->n_late == 1));
	reply_late(f, 0);
	run_until(f, late->ended || has(late, "late answer"));
	ask(client, "GET", "/nowhere");
	run_until(f, client->ended || has(client, "404 Not Found"));
	failed = fail_alloc_end();
	after = connect_tcp(f);
	ask(after, "GET", "/echo");
	run_until(f, has(after, "body=0:"));
	fixture_free(f);
	return failed;
}

static void test_no_memory(void **state)
{
	unsigned n = 1;

	(void)state;
	while (ask_without_memory(n)) {
		n++;
	}
	assert_true(n > 5);
	for (n = 1; n < 20; n++) {
		struct httpd_listener *listener = NULL;
		struct error error = {0};
		struct fixture *f = fixture_new(&(struct httpd_options){0});
		int r;

		fail_alloc_at(n);
		r = httpd_listen_tcp(f->httpd, "127.0.0.1", 0, &listener, &error);
		fail_alloc_end();
		assert_int_equal(r == 0, listener != NULL);
		assert_int_equal(r < 0, error_is_set(&error));
		fixture_free(f);
	}
}

static void test_close_without_listener(void **state)
{
	uv_loop_t loop;
	struct httpd *httpd;

	(void)state;
	uv_loop_init(&loop);
	assert_int_equal(httpd_new(&loop, &(struct httpd_options){0}, &httpd), 0);
	httpd_close(httpd, NULL, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_get, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_headers_of_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_etag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_expect_continue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_chunked_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_header_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pipelining, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_client_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_deadline, setup_short, teardown),
		cmocka_unit_test_setup_teardown(test_late_too_many, setup_short, teardown),
		cmocka_unit_test_setup_teardown(test_late_problem, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drip, setup_short, teardown),
		cmocka_unit_test_setup_teardown(test_drip_body, setup_short, teardown),
		cmocka_unit_test_setup_teardown(test_reader_stalls, setup_short, teardown),
		cmocka_unit_test_setup_teardown(test_reader_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_alive, setup_short, teardown),
		cmocka_unit_test_setup_teardown(test_half_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_open_spares_late, setup_short, teardown),
		cmocka_unit_test_setup_teardown(test_waiting_is_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_stale, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp_v6, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inherited, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_from_handler, setup, teardown),
		cmocka_unit_test(test_close_at_any_time),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_close_without_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
