/*
 * The same over TLS, and through PgBouncer in transaction mode. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/loop/helper/pgloop.h"
#include "tests/loop/helper/postgres.h"

struct way {
	struct pgloop l;
	long n_put, n_rows;
	unsigned n_full;
	size_t n_bytes;
};

static struct postgres *server(void **state)
{
	return *state;
}

static void put_more(void *arg)
{
	struct way *way = arg;
	char row[128];

	while (way->n_put < way->n_rows) {
		int len = snprintf(row, sizeof(row), "%ld\t%090d\n", ++way->n_put, 1);

		if (pg_copy_put(way->l.pg, row, (size_t)len)) {
			way->n_full++;
			return;
		}
	}
	pg_copy_end(way->l.pg);
}

static void on_copied(void *arg, const struct pg_result *result, const struct error *error)
{
	pgloop_on_result(&((struct way *)arg)->l, result, error);
}

static void on_data(void *arg, const void *data, size_t len)
{
	(void)data;
	((struct way *)arg)->n_bytes += len;
}

static void on_done(void *arg, const struct error *error)
{
	pgloop_on_done(&((struct way *)arg)->l, error);
}

static void on_row(void *arg, const struct pg_result *row)
{
	((struct way *)arg)->n_bytes += (size_t)pg_value_len(row, 0, 1);
}

static void copy_in(struct way *way, long n_rows)
{
	const struct pg_copy_in copy = {put_more, put_more, on_copied, way};

	way->n_put = 0;
	way->n_rows = n_rows;
	pg_copy_in(way->l.pg, "COPY w FROM STDIN", &copy);
	pgloop_until(&way->l, &way->l.n_done, way->l.n_done + 1);
}

static void must_succeed(const struct way *way)
{
	if (error_is_set(&way->l.error)) {
		fail_msg("%s: %s", way->l.error.code, way->l.error.text);
	}
}

/* What a load does, and what interrupts it. */
static void try_way(void **state, const char *dsn)
{
	struct way way = {0};
	struct pgloop *l = &way.l;

	postgres_sql(server(state),
		"DROP TABLE IF EXISTS w; CREATE TABLE w(id int PRIMARY KEY, t text)");
	pgloop_open(l, dsn);
	pgloop_connect(l);
	pgloop_query(l, "BEGIN");
	pgloop_query(l, "SET LOCAL lock_timeout = '5s'");
	copy_in(&way, 300000);
	must_succeed(&way);
	assert_true(way.n_full > 10);
	pgloop_query(l, "COMMIT");
	assert_int_equal(pgloop_number(l, "SELECT count(*) FROM w"), 300000);

	pg_copy_out(l->pg, "COPY w TO STDOUT BINARY", on_data, on_done, &way);
	pgloop_until(l, &l->n_done, l->n_done + 1);
	must_succeed(&way);
	assert_int_equal(way.n_bytes, 19 + 300000 * (2 + 8 + 4 + 90) + 2);
	way.n_bytes = 0;
	pg_query_rows(l->pg, "SELECT * FROM w", NULL, 0, on_row, on_done, &way);
	pgloop_until(l, &l->n_done, l->n_done + 1);
	must_succeed(&way);
	assert_int_equal(way.n_bytes, 300000 * 90);

	copy_in(&way, 3000000); /* the first row is there already */
	assert_string_equal(l->error.code, "23505");
	assert_true(way.n_put < way.n_rows);

	pg_query(l->pg, "SELECT pg_sleep(30)", NULL, 0, pgloop_on_result, l);
	for (int i = 0; i < 5; i++) {
		uv_run(&l->loop, UV_RUN_NOWAIT);
		uv_sleep(2);
	}
	pg_cancel(l->pg);
	pgloop_until(l, &l->n_done, l->n_done + 1);
	assert_int_equal(l->error.class, ERROR_CANCELED);
	assert_string_equal(l->error.code, "57014");
	pgloop_query(l, "SELECT 1");
	pgloop_close(l);
}

static void test_plain(void **state)
{
	try_way(state, postgres_tcp_dsn(server(state)));
}

static void test_bouncer(void **state)
{
	const char *dsn = postgres_bouncer(server(state));
	struct pgloop one, two;

	if (!dsn) {
		skip();
	}
	try_way(state, dsn);

	/* Two clients in turns on few server connections: nothing of one is seen by the other. */
	pgloop_open(&one, dsn);
	pgloop_open(&two, dsn);
	pgloop_connect(&one);
	pgloop_connect(&two);
	for (int i = 0; i < 20; i++) {
		pgloop_query(&one, "BEGIN");
		pgloop_query(&one, "SET LOCAL application_name = 'one'");
		pgloop_query(&two, "SELECT current_setting('application_name')");
		assert_string_equal(buffer_str(&two.rows), "ogdsync\n");
		pgloop_query(&one, "COMMIT");
	}
	pgloop_close(&one);
	pgloop_close(&two);
}

static void test_tls(void **state)
{
	struct pgloop l;
	char dsn[256];

	if (!postgres_enable_tls(server(state))) {
		skip();
	}
	snprintf(dsn, sizeof(dsn), "%s sslmode=require", postgres_tcp_dsn(server(state)));
	try_way(state, dsn);

	pgloop_open(&l, dsn);
	pgloop_connect(&l);
	pgloop_query(&l, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
	assert_string_equal(buffer_str(&l.rows), "t\n");
	postgres_kill_backend(server(state), (int)pgloop_number(&l, "SELECT pg_backend_pid()"));
	pgloop_until(&l, &l.n_lost, 1);
	postgres_wait_ready(server(state));
	pgloop_connect(&l);
	pgloop_close(&l);

	/* The name is what the certificate is compared with, although the address is what is
	 * dialled. */
	snprintf(dsn, sizeof(dsn),
		"host=localhost port=%d dbname=postgres user=tester sslmode=verify-full"
		" sslrootcert=%s/data/server.crt",
		postgres_port(server(state)), postgres_directory(server(state)));
	pgloop_open(&l, dsn);
	pgloop_connect(&l);
	pgloop_close(&l);
	snprintf(dsn, sizeof(dsn),
		"host=127.0.0.1 port=%d dbname=postgres user=tester sslmode=verify-full"
		" sslrootcert=%s/data/server.crt",
		postgres_port(server(state)), postgres_directory(server(state)));
	pgloop_open(&l, dsn);
	pgloop_try_connect(&l);
	assert_non_null(strstr(l.error.text, "does not match host name \"127.0.0.1\""));
	pgloop_close(&l);
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
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_bouncer),
		cmocka_unit_test(test_tls),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
