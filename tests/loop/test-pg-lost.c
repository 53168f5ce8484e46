/*
 * Canceled, lost, closed: the ends that are not planned. SPDX-License-Identifier: Apache-2.0
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/loop/helper/fail_alloc.h"
#include "tests/loop/helper/pgloop.h"
#include "tests/loop/helper/postgres.h"

static struct postgres *server(void **state)
{
	return *state;
}

static void check_error(
	const struct error *error, enum error_class class, const char *code, const char *text)
{
	assert_string_equal(error_class_name(error->class), error_class_name(class));
	assert_string_equal(error->code, code);
	if (!strstr(error->text, text)) {
		fail_msg("\"%s\" is not in \"%s\"", text, error->text);
	}
}

static void turn(struct pgloop *l, int n)
{
	for (int i = 0; i < n; i++) {
		uv_run(&l->loop, UV_RUN_NOWAIT);
	}
}

/* ---- cancel ---- */

static void test_cancel(void **state)
{
	struct pgloop l;

	pgloop_open(&l, postgres_dsn(server(state)));
	pgloop_connect(&l);
	pg_cancel(l.pg); /* nothing to cancel */
	for (int i = 0; i < 40; i++) {
		unsigned before = l.n_done;

		pg_query(l.pg, "SELECT pg_sleep(30)", NULL, 0, pgloop_on_result, &l);
		if (i % 2) {
			usleep(1000);
		}
		turn(&l, i / 2);
		pg_cancel(l.pg);
		assert_int_equal(l.n_done, before);
		pgloop_until(&l, &l.n_done, before + 1);
		check_error(&l.error, ERROR_CANCELED, "57014",
			"canceling statement due to user request");
	}
	pgloop_close(&l);
}

/* A cancel that comes before the statement has begun hits nothing: it is sent again. */
static void test_cancel_early(void **state)
{
	struct pgloop l;
	uint64_t until;
	pid_t pid;

	pgloop_open(&l, postgres_dsn(server(state)));
	pgloop_connect(&l);
	pid = (pid_t)pgloop_number(&l, "SELECT pg_backend_pid()");
	kill(pid, SIGSTOP);
	pg_query(l.pg, "SELECT pg_sleep(30)", NULL, 0, pgloop_on_result, &l);
	pg_cancel(l.pg);
	until = uv_hrtime() + 100 * 1000 * 1000;
	while (uv_hrtime() < until) {
		uv_run(&l.loop, UV_RUN_NOWAIT);
	}
	kill(pid, SIGCONT);
	pgloop_until(&l, &l.n_done, 3);
	check_error(&l.error, ERROR_CANCELED, "57014", "canceling statement due to user request");
	pgloop_close(&l);
}

/* A cancel request is on its way while the operation ends by itself: it must hit nothing else. */
static void test_cancel_late(void **state)
{
	struct pgloop l;
	int n_canceled = 0;

	pgloop_open(&l, postgres_dsn(server(state)));
	pgloop_connect(&l);
	for (int i = 0; i < 200; i++) {
		unsigned before = l.n_done;

		pg_query(l.pg, "SELECT 1", NULL, 0, pgloop_on_result, &l);
		turn(&l, i % 4);
		pg_cancel(l.pg);
		if (pg_is_busy(l.pg)) {
			pgloop_until(&l, &l.n_done, before + 1);
		}
		n_canceled += error_is_set(&l.error);
		pgloop_query(&l, "SELECT pg_sleep(0.002)");
	}
	assert_true(n_canceled < 200);
	pgloop_close(&l);
}

static void test_cancel_connect(void **state)
{
	const char *const dsns[] = {postgres_dsn(server(state)), postgres_tcp_dsn(server(state)),
		"host=localhost,nowhere.invalid port=1 user=tester"};

	for (unsigned d = 0; d < N_ELEMENTS(dsns); d++) {
		for (int i = 0; i < 12; i++) {
			struct pgloop l;

			pgloop_open(&l, dsns[d]);
			pg_connect(l.pg, pgloop_on_done, &l);
			turn(&l, i);
			pg_cancel(l.pg);
			pgloop_until(&l, &l.n_done, 1);
			if (l.error.class == ERROR_CANCELED) {
				assert_false(pg_is_connected(l.pg));
			}
			if (d < 2) {
				pgloop_connect(&l);
			}
			pgloop_close(&l);
		}
	}
}

/* The server is frozen: neither the statement nor the cancel request is answered. */
static void test_frozen_server(void **state)
{
	struct pg_options options = {
		.dsn = postgres_dsn(server(state)),
		.connect_timeout_ms = 300,
		.statement_timeout_ms = 200,
	};
	struct pgloop l;
	pid_t pid;

	pgloop_open_with(&l, &options);
	pgloop_connect(&l);
	pid = (pid_t)pgloop_number(&l, "SELECT pg_backend_pid()");
	kill(pid, SIGSTOP);
	kill(postgres_pid(server(state)), SIGSTOP);
	pgloop_try(&l, "COMMIT");
	check_error(&l.error, ERROR_UNCERTAIN, "timeout", "no answer to the cancel request");
	assert_false(pg_is_connected(l.pg));
	pgloop_try_connect(&l);
	check_error(&l.error, ERROR_RETRY, "timeout", "no answer from \"/tmp/");
	kill(postgres_pid(server(state)), SIGCONT);
	kill(pid, SIGCONT);
	pgloop_connect(&l);
	pgloop_close(&l);
}

/* ---- lost ---- */

static void test_idle_lost(void **state)
{
	struct pgloop l;
	char sql[128];

	pgloop_open(&l, postgres_dsn(server(state)));
	pgloop_connect(&l);
	snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%ld)",
		pgloop_number(&l, "SELECT pg_backend_pid()"));
	postgres_sql(server(state), sql);
	pgloop_until(&l, &l.n_lost, 1);
	check_error(&l.lost, ERROR_RETRY, "57P01",
		"terminating connection due to administrator command");
	assert_false(pg_is_connected(l.pg));

	pgloop_connect(&l);
	postgres_kill_backend(server(state), (int)pgloop_number(&l, "SELECT pg_backend_pid()"));
	pgloop_until(&l, &l.n_lost, 2);
	check_error(
		&l.lost, ERROR_RETRY, "connection", "server closed the connection unexpectedly");
	postgres_wait_ready(server(state));
	pgloop_connect(&l);
	postgres_stop(server(state), SIGINT);
	pgloop_until(&l, &l.n_lost, 3);
	pgloop_try_connect(&l);
	check_error(&l.error, ERROR_RETRY, "connection", "Is the server running");
	postgres_restart(server(state));
	pgloop_connect(&l);
	assert_int_equal(pgloop_number(&l, "SELECT 7"), 7);
	pgloop_close(&l);
}

static void test_busy_lost(void **state)
{
	struct pgloop l;

	pgloop_open(&l, postgres_dsn(server(state)));
	for (int i = 0; i < 3; i++) {
		unsigned before;
		pid_t pid;

		postgres_wait_ready(server(state));
		pgloop_connect(&l);
		pid = (pid_t)pgloop_number(&l, "SELECT pg_backend_pid()");
		before = l.n_done;
		if (i == 0) {
			pg_query(l.pg, "SELECT pg_sleep(30)", NULL, 0, pgloop_on_result, &l);
		} else if (i == 1) {
			pg_exec(l.pg, "SELECT 1; SELECT pg_sleep(30)", pgloop_on_done, &l);
		} else {
			pg_exec(l.pg, "COMMIT", pgloop_on_done, &l);
		}
		turn(&l, 3);
		postgres_kill_backend(server(state), pid);
		pgloop_until(&l, &l.n_done, before + 1);
		if (i < 2) {
			check_error(&l.error, ERROR_RETRY, "connection",
				"server closed the connection unexpectedly");
			assert_false(pg_is_connected(l.pg));
		}
	}
	postgres_wait_ready(server(state));
	pgloop_close(&l);
}

/* ---- COMMIT through a proxy that cuts ---- */

enum cut { CUT_NEVER, CUT_BEFORE, CUT_AFTER };

struct proxy {
	uv_tcp_t listener;
	int port, server_port;
	enum cut cut;
};

/* Carries bytes both ways between a client and the server; sees COMMIT go by. Frees itself. */
struct line {
	struct proxy *proxy;
	uv_tcp_t client, upstream;
	uv_connect_t connect;
	bool armed; /* COMMIT was forwarded: the answer is swallowed, and the line cut */
	unsigned n_handles;
	char in[4096], out[4096];
};

static void line_handle_closed(struct line *line)
{
	if (--line->n_handles == 0) {
		free(line);
	}
}

static void on_client_closed(uv_handle_t *handle)
{
	line_handle_closed(container_of(handle, struct line, client));
}

static void on_upstream_closed(uv_handle_t *handle)
{
	line_handle_closed(container_of(handle, struct line, upstream));
}

static void line_cut(struct line *line)
{
	if (!uv_is_closing((uv_handle_t *)&line->client)) {
		uv_close((uv_handle_t *)&line->client, on_client_closed);
		uv_close((uv_handle_t *)&line->upstream, on_upstream_closed);
	}
}

static void forward(uv_tcp_t *to, const char *data, ssize_t n)
{
	uv_buf_t buf = uv_buf_init((char *)data, (unsigned)n);

	/* Little and local: it always fits into the socket, if there still is somebody. */
	(void)uv_try_write((uv_stream_t *)to, &buf, 1);
}

static void on_alloc_in(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct line *line = container_of(handle, struct line, client);

	(void)size;
	*buf = uv_buf_init(line->in, sizeof(line->in));
}

static void on_alloc_out(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct line *line = container_of(handle, struct line, upstream);

	(void)size;
	*buf = uv_buf_init(line->out, sizeof(line->out));
}

static void on_from_client(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct line *line = container_of(stream, struct line, client);
	bool commit = n > 0 && memmem(buf->base, (size_t)n, "COMMIT", 6);

	if (n < 0 || (commit && line->proxy->cut == CUT_BEFORE)) {
		line_cut(line);
	} else if (n > 0) {
		line->armed = commit && line->proxy->cut == CUT_AFTER;
		forward(&line->upstream, buf->base, n);
	}
}

static void on_from_server(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct line *line = container_of(stream, struct line, upstream);

	if (n < 0 || line->armed) {
		line_cut(line);
	} else if (n > 0) {
		forward(&line->client, buf->base, n);
	}
}

static void on_upstream(uv_connect_t *request, int status)
{
	struct line *line = container_of(request, struct line, connect);

	if (status < 0) {
		line_cut(line);
		return;
	}
	uv_read_start((uv_stream_t *)&line->client, on_alloc_in, on_from_client);
	uv_read_start((uv_stream_t *)&line->upstream, on_alloc_out, on_from_server);
}

static void on_client(uv_stream_t *stream, int status)
{
	struct proxy *proxy = container_of(stream, struct proxy, listener);
	struct line *line = calloc(1, sizeof(*line));
	struct sockaddr_in addr;

	assert_int_equal(status, 0);
	line->proxy = proxy;
	line->n_handles = 2;
	uv_tcp_init(stream->loop, &line->client);
	uv_tcp_init(stream->loop, &line->upstream);
	assert_int_equal(uv_accept(stream, (uv_stream_t *)&line->client), 0);
	uv_ip4_addr("127.0.0.1", proxy->server_port, &addr);
	uv_tcp_connect(&line->connect, &line->upstream, (struct sockaddr *)&addr, on_upstream);
}

static void proxy_open(struct proxy *proxy, uv_loop_t *loop, int server_port)
{
	struct sockaddr_in addr;
	int len = sizeof(addr);

	*proxy = (struct proxy){.server_port = server_port};
	uv_tcp_init(loop, &proxy->listener);
	uv_ip4_addr("127.0.0.1", 0, &addr);
	uv_tcp_bind(&proxy->listener, (struct sockaddr *)&addr, 0);
	assert_int_equal(uv_listen((uv_stream_t *)&proxy->listener, 4, on_client), 0);
	uv_tcp_getsockname(&proxy->listener, (struct sockaddr *)&addr, &len);
	proxy->port = ntohs(addr.sin_port);
}

static void proxy_close(struct proxy *proxy)
{
	uv_close((uv_handle_t *)&proxy->listener, NULL);
}

static void lose_commit(void **state, enum cut cut, bool simple)
{
	struct pg_options options = {.connect_timeout_ms = 5000};
	struct proxy proxy;
	struct pgloop l;
	char dsn[256];

	postgres_sql(server(state), "DROP TABLE IF EXISTS k; CREATE TABLE k(id int)");
	/* The port is only known when the loop is: connect by way of a second object. */
	pgloop_open(&l, postgres_dsn(server(state)));
	proxy_open(&proxy, &l.loop, postgres_port(server(state)));
	proxy.cut = cut;
	pg_close(l.pg, NULL, NULL);
	snprintf(
		dsn, sizeof(dsn), "host=127.0.0.1 port=%d user=tester dbname=postgres", proxy.port);
	options.dsn = dsn;
	assert_int_equal(pg_new(&l.loop, &options, &l.pg, &l.error), 0);
	pgloop_connect(&l);
	pgloop_query(&l, "BEGIN");
	pgloop_query(&l, "INSERT INTO k VALUES (1)");
	if (simple) {
		pg_exec(l.pg, "COMMIT", pgloop_on_done, &l);
		pgloop_until(&l, &l.n_done, 4);
	} else {
		pgloop_try(&l, "COMMIT");
	}
	if (cut == CUT_NEVER) {
		assert_false(error_is_set(&l.error));
	} else {
		check_error(
			&l.error, ERROR_UNCERTAIN, "connection", "server closed the connection");
		assert_false(pg_is_connected(l.pg));
	}
	assert_int_equal(postgres_number(server(state), "SELECT count(*) FROM k"),
		cut == CUT_BEFORE ? 0 : 1);

	/* Any other statement that is lost is to be tried again. */
	proxy.cut = CUT_BEFORE;
	pgloop_connect(&l);
	pgloop_try(&l, "SELECT 'COMMIT'");
	check_error(&l.error, ERROR_RETRY, "connection", "server closed the connection");
	proxy_close(&proxy);
	pgloop_close(&l);
}

static void test_commit_lost(void **state)
{
	lose_commit(state, CUT_NEVER, false);
	lose_commit(state, CUT_BEFORE, false);
	lose_commit(state, CUT_AFTER, false);
	lose_commit(state, CUT_AFTER, true);
}

static void test_commit_not_sent(void **state)
{
	struct pgloop l;

	pgloop_open(&l, postgres_dsn(server(state)));
	pgloop_try(&l, "COMMIT");
	check_error(&l.error, ERROR_RETRY, "connection", "not connected");
	pgloop_close(&l);
}

/* ---- close at loop iteration 0, 1, 2, ... ---- */

static void start_connect(struct pgloop *l)
{
	pg_connect(l->pg, pgloop_on_done, l);
}

static void start_query(struct pgloop *l)
{
	pg_query(l->pg, "SELECT pg_sleep(0.05)", NULL, 0, pgloop_on_result, l);
}

static void start_canceled(struct pgloop *l)
{
	start_query(l);
	pg_cancel(l->pg);
}

static void on_row(void *arg, const struct pg_result *row)
{
	(void)row;
	((struct pgloop *)arg)->n_rows++;
}

static void start_rows(struct pgloop *l)
{
	pg_query_rows(l->pg, "SELECT generate_series(1, 3000)", NULL, 0, on_row, pgloop_on_done, l);
}

static void on_data(void *arg, const void *data, size_t len)
{
	(void)data;
	((struct pgloop *)arg)->n_rows += (long)len;
}

static void start_copy_out(struct pgloop *l)
{
	pg_copy_out(l->pg, "COPY (SELECT generate_series(1, 3000)) TO STDOUT", on_data,
		pgloop_on_done, l);
}

static void on_copy_more(void *arg)
{
	struct pgloop *l = arg;

	while (++l->n_rows < 100000) {
		if (pg_copy_put(l->pg, "1234567890123456789\n", 20)) {
			return;
		}
	}
	pg_copy_end(l->pg);
}

static void start_copy_in(struct pgloop *l)
{
	const struct pg_copy_in copy = {on_copy_more, on_copy_more, pgloop_on_result, l};

	pg_copy_in(l->pg, "COPY closing FROM STDIN", &copy);
}

static void start_broken(struct pgloop *l)
{
	pg_query(l->pg, "SELECT pg_terminate_backend(pg_backend_pid())", NULL, 0, pgloop_on_result,
		l);
}

static void start_idle(struct pgloop *l)
{
	(void)l;
}

static void test_close(void **state)
{
	static const struct {
		void (*start)(struct pgloop *l);
		bool connected;
		int max_turns;
	} cases[] = {
		{start_idle, true, 3},
		{start_connect, false, 14},
		{start_query, true, 8},
		{start_canceled, true, 8},
		{start_rows, true, 14},
		{start_copy_out, true, 14},
		{start_copy_in, true, 30},
		{start_broken, true, 6},
	};
	const char *const dsns[] = {postgres_dsn(server(state)), postgres_tcp_dsn(server(state))};
	char named[256];

	snprintf(named, sizeof(named), "host=localhost port=%d user=tester dbname=postgres",
		postgres_port(server(state)));
	postgres_sql(server(state), "DROP TABLE IF EXISTS closing; CREATE TABLE closing(t text)");
	for (unsigned c = 0; c < N_ELEMENTS(cases); c++) {
		for (int i = 0; i < cases[c].max_turns; i++) {
			struct pgloop l;

			pgloop_open(&l, cases[c].connected ? dsns[i % 2] : named);
			if (cases[c].connected) {
				pgloop_connect(&l);
			}
			cases[c].start(&l);
			turn(&l, i);
			pgloop_close(&l);
		}
	}
}

/* Closed from inside each of its own callbacks. */
static void note_closed(void *arg)
{
	((struct pgloop *)arg)->n_closed++;
}

static void close_now(struct pgloop *l)
{
	struct pg *pg = take_ptr(l->pg);

	if (pg) {
		pg_close(pg, note_closed, l);
	}
}

static void close_on_done(void *arg, const struct error *error)
{
	pgloop_on_done(arg, error);
	close_now(arg);
}

static void close_on_row(void *arg, const struct pg_result *row)
{
	(void)row;
	close_now(arg);
}

static void close_on_data(void *arg, const void *data, size_t len)
{
	(void)data;
	(void)len;
	close_now(arg);
}

static void close_on_ready(void *arg)
{
	close_now(arg);
}

static void close_on_drain(void *arg)
{
	close_now(arg);
}

static void put_much(void *arg)
{
	struct pgloop *l = arg;

	while (pg_copy_put(l->pg, "1234567890123456789\n", 20) == 0) {
	}
}

static void close_on_lost(void *arg, const struct error *error)
{
	struct pgloop *l = arg;

	l->lost = *error;
	l->n_lost++;
	close_now(l);
}

static void test_close_inside(void **state)
{
	const struct pg_copy_in ready = {close_on_ready, on_copy_more, pgloop_on_result, NULL};
	const struct pg_copy_in drain = {put_much, close_on_drain, pgloop_on_result, NULL};
	struct pg_options options = {.dsn = postgres_dsn(server(state)), .on_lost = close_on_lost};

	for (int i = 0; i < 6; i++) {
		struct pg_copy_in copy = i == 3 ? ready : drain;
		struct pgloop l;

		pgloop_open(&l, options.dsn);
		if (i == 5) {
			pg_close(l.pg, NULL, NULL);
			options.arg = &l;
			assert_int_equal(pg_new(&l.loop, &options, &l.pg, &l.error), 0);
		}
		pgloop_connect(&l);
		copy.arg = &l;
		if (i == 0) {
			pg_exec(l.pg, "SELECT 1", close_on_done, &l);
		} else if (i == 1) {
			pg_query_rows(l.pg, "SELECT generate_series(1, 9)", NULL, 0, close_on_row,
				pgloop_on_done, &l);
		} else if (i == 2) {
			pg_copy_out(l.pg, "COPY (SELECT generate_series(1, 9)) TO STDOUT",
				close_on_data, pgloop_on_done, &l);
		} else if (i < 5) {
			pg_copy_in(l.pg, "COPY closing FROM STDIN", &copy);
		} else {
			kill((pid_t)pgloop_number(&l, "SELECT pg_backend_pid()"), SIGTERM);
		}
		pgloop_until(&l, &l.n_closed, 1);
		assert_int_equal(l.n_done, 2);
		assert_int_equal(l.n_lost, i == 5);
		if (i >= 1 && i <= 4) {
			assert_int_equal(l.error.class, ERROR_CANCELED);
		}
		pgloop_close(&l);
	}
}

/* ---- the n-th allocation fails ---- */

static void test_no_memory(void **state)
{
	char dsn[256];
	unsigned n_failed = 0;

	snprintf(dsn, sizeof(dsn), "host=localhost port=%d user=tester dbname=postgres",
		postgres_port(server(state)));
	for (unsigned n = 1;; n++) {
		struct pgloop l;
		struct error error = {0};
		struct pg_options options = {.dsn = dsn, .connect_timeout_ms = 5000};
		struct pg *pg = NULL;

		pgloop_open(&l, dsn);
		fail_alloc_at(n);
		if (pg_new(&l.loop, &options, &pg, &error) < 0) {
			assert_true(fail_alloc_end());
			check_error(&error, ERROR_RETRY, "no_memory", "out of memory");
			pgloop_close(&l);
			n_failed++;
			continue;
		}
		pg_close(l.pg, NULL, NULL);
		l.pg = pg;
		pgloop_try_connect(&l);
		if (!error_is_set(&l.error)) {
			pgloop_try(&l, "SELECT pg_sleep(0.001)");
		}
		if (!fail_alloc_end()) {
			assert_false(error_is_set(&l.error));
			pgloop_close(&l);
			break;
		}
		/* Either it failed for want of memory, or the idle connection was lost for it. */
		if (error_is_set(&l.error)) {
			assert_int_equal(l.error.class, ERROR_RETRY);
			n_failed++;
		}
		pgloop_connect(&l);
		pgloop_close(&l);
	}
	assert_true(n_failed > 15);
}

static int setup(void **state)
{
	*state = postgres_start();
	return 0;
}

static int teardown(void **state)
{
	postgres_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_early),
		cmocka_unit_test(test_cancel_late),
		cmocka_unit_test(test_cancel_connect),
		cmocka_unit_test(test_idle_lost),
		cmocka_unit_test(test_busy_lost),
		cmocka_unit_test(test_commit_lost),
		cmocka_unit_test(test_commit_not_sent),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_close_inside),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_frozen_server),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
