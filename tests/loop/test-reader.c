/*
 * Questions on the connection of the lease, with a real server. SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/reader.h"
#include "tests/loop/helper/fail_alloc.h"
#include "tests/loop/helper/pgloop.h"
#include "tests/loop/helper/postgres.h"

enum { LONG_MS = 20 * 1000, MAX_QUERIES = 32 };

struct rig {
	struct postgres *postgres;
	uv_loop_t loop;
	struct config *config;
	struct reader *reader;
	unsigned n_answers, n_closed, n_lease;
	struct error error;     /* of the last answer */
	char values[256];       /* of all answers, one after the other */
	const char *then;       /* asked from inside the next answer */
	unsigned n_left_of_lease; /* times that it was not ours any more */
};

static void on_lease(void *arg)
{
	struct rig *rig = arg;

	rig->n_lease++;
	rig->n_left_of_lease += rig->n_lease > 1 &&
				reader_lease(rig->reader)->state != LEASE_HOLDER;
}

static void on_answer(void *arg, const struct pg_result *result, const struct error *error)
{
	struct rig *rig = arg;
	const char *then = take_ptr(rig->then);
	size_t len = strlen(rig->values);

	rig->n_answers++;
	rig->error = error ? *error : (struct error){.class = ERROR_NONE};
	if (result) {
		snprintf(rig->values + len, sizeof(rig->values) - len, "%s ", pg_value(result, 0, 0));
	}
	if (then) {
		assert_int_equal(reader_query(rig->reader, then, NULL, 0, on_answer, rig), 0);
	}
}

static void open_rig(struct rig *rig, void **state)
{
	struct reader_options options = {
		.loop = &rig->loop, .holder = "here", .on_lease = on_lease, .arg = rig};
	struct error error = {0};

	*rig = (struct rig){.postgres = *state, .config = calloc(1, sizeof(*rig->config))};
	postgres_sql(rig->postgres,
		"CREATE SCHEMA IF NOT EXISTS ogdsync; DROP TABLE IF EXISTS ogdsync.lease;"
		"CREATE TABLE ogdsync.lease (name text PRIMARY KEY, holder text NOT NULL,"
		" epoch bigint NOT NULL, expires_at timestamptz NOT NULL)");
	rig->config->n_refs = 2; /* never freed by the reader */
	rig->config->database.dsn = (char *)postgres_dsn(rig->postgres);
	rig->config->database.reconnect_max_ms = 100;
	options.config = rig->config;
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	assert_int_equal(reader_new(&options, &rig->reader, &error), 0);
}

static void turn_until(struct rig *rig, const unsigned *counter, unsigned n)
{
	uint64_t until = uv_hrtime() / 1000000 + LONG_MS;

	while (*counter < n && uv_hrtime() / 1000000 < until) {
		uv_run(&rig->loop, UV_RUN_NOWAIT);
		uv_sleep(1);
	}
	assert_int_equal(*counter, n);
}

static void start(struct rig *rig)
{
	reader_start(rig->reader);
	turn_until(rig, &rig->n_lease, 1);
	assert_int_equal(reader_lease(rig->reader)->state, LEASE_HOLDER);
}

static void ask(struct rig *rig, const char *sql)
{
	assert_int_equal(reader_query(rig->reader, sql, NULL, 0, on_answer, rig), 0);
}

static void on_closed(void *arg)
{
	((struct rig *)arg)->n_closed++;
}

static void close_rig(struct rig *rig)
{
	reader_close(rig->reader, on_closed, rig);
	turn_until(rig, &rig->n_closed, 1);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&rig->loop), 0);
	assert_int_equal(rig->config->n_refs, 2);
	free(rig->config);
}

/* In the order asked, never from inside, parameters copied. */
static void test_questions(void **state)
{
	char text[] = "first", binary[] = {0, 0, 1, 0};
	const struct pg_param params[] = {
		{.data = text},
		{.data = NULL},
		{.data = binary, .len = 4, .binary = true, .oid = 23},
	};
	char sql[] = "SELECT $1::text || coalesce($2::text, '-') || $3";
	struct rig rig;

	open_rig(&rig, state);
	start(&rig);
	assert_int_equal(reader_query(rig.reader, sql, params, 3, on_answer, &rig), 0);
	memset(text, 'x', sizeof(text) - 1);
	memset(binary, 'x', sizeof(binary));
	memset(sql, 'x', sizeof(sql) - 1);
	ask(&rig, "SELECT 'second'");
	rig.then = "SELECT 'from inside'";
	ask(&rig, "SELECT 'third'");
	assert_int_equal(rig.n_answers, 0);
	turn_until(&rig, &rig.n_answers, 4);
	assert_string_equal(rig.values, "first-256 second third from inside ");

	ask(&rig, "SELECT 1 / 0");
	turn_until(&rig, &rig.n_answers, 5);
	assert_int_equal(rig.error.class, ERROR_REJECTED);
	assert_string_equal(rig.error.code, "22012");
	ask(&rig, "SELECT 'still here'");
	turn_until(&rig, &rig.n_answers, 6);
	assert_false(error_is_set(&rig.error));
	close_rig(&rig);
}

/* Before the start, after the connection went, and again when it is back. */
static void test_down(void **state)
{
	struct rig rig;

	open_rig(&rig, state);
	ask(&rig, "SELECT 1");
	ask(&rig, "SELECT 2");
	assert_int_equal(rig.n_answers, 0);
	turn_until(&rig, &rig.n_answers, 2);
	assert_int_equal(rig.error.class, ERROR_RETRY);
	assert_string_equal(rig.error.code, "down");
	start(&rig);

	ask(&rig, "SELECT pg_terminate_backend(pg_backend_pid())");
	ask(&rig, "SELECT 'not asked any more'");
	turn_until(&rig, &rig.n_answers, 4);
	assert_string_equal(rig.error.code, "down");
	assert_string_equal(rig.values, "");
	do {
		unsigned n = rig.n_answers;

		ask(&rig, "SELECT 'again'");
		turn_until(&rig, &rig.n_answers, n + 1);
	} while (error_is_set(&rig.error));
	assert_string_equal(rig.values, "again ");
	close_rig(&rig);
}

/* One that takes too long is canceled, and its connection serves on. */
static void test_too_long(void **state)
{
	struct rig rig;
	uint64_t begin;

	open_rig(&rig, state);
	start(&rig);
	begin = uv_hrtime() / 1000000;
	ask(&rig, "SELECT pg_sleep(60)");
	turn_until(&rig, &rig.n_answers, 1);
	assert_in_range(uv_hrtime() / 1000000 - begin, 2500, 8000);
	assert_int_equal(rig.error.class, ERROR_RETRY);
	assert_string_equal(rig.error.code, "timeout");
	ask(&rig, "SELECT 'next'");
	turn_until(&rig, &rig.n_answers, 2);
	assert_string_equal(rig.values, "next ");
	assert_int_equal(rig.n_left_of_lease, 0);
	close_rig(&rig);
}

/* A queue that never empties does not keep the lease from being renewed. */
static void test_lease_goes_first(void **state)
{
	struct rig rig;
	char expires[64], later[64];
	uint64_t until;

	open_rig(&rig, state);
	start(&rig);
	postgres_value(rig.postgres, "SELECT expires_at FROM ogdsync.lease", expires, sizeof(expires));
	until = uv_hrtime() / 1000000 + 7000; /* it is renewed every 5 s */
	while (uv_hrtime() / 1000000 < until) {
		unsigned n = rig.n_answers;

		ask(&rig, "SELECT pg_sleep(0.02)");
		ask(&rig, "SELECT pg_sleep(0.02)");
		ask(&rig, "SELECT pg_sleep(0.02)");
		turn_until(&rig, &rig.n_answers, n + 3);
	}
	postgres_value(rig.postgres, "SELECT expires_at FROM ogdsync.lease", later, sizeof(later));
	assert_string_not_equal(expires, later);
	assert_int_equal(rig.n_left_of_lease, 0);
	close_rig(&rig);
}

static void test_bounds(void **state)
{
	struct rig rig;

	open_rig(&rig, state);
	for (unsigned i = 0; i < MAX_QUERIES; i++) {
		ask(&rig, "SELECT 1");
	}
	assert_int_equal(
		reader_query(rig.reader, "SELECT 1", NULL, 0, on_answer, &rig), -EBUSY);
	turn_until(&rig, &rig.n_answers, MAX_QUERIES);
	fail_alloc_at(1);
	assert_int_equal(
		reader_query(rig.reader, "SELECT 1", NULL, 0, on_answer, &rig), -ENOMEM);
	assert_true(fail_alloc_end());
	close_rig(&rig);
}

/* Closed with questions in flight and in the queue, at loop iteration 0, 1, 2, ... */
static void test_close(void **state)
{
	for (unsigned i = 0; i < 24; i++) {
		struct rig rig;

		open_rig(&rig, state);
		if (i % 2) {
			start(&rig);
		}
		ask(&rig, "SELECT pg_sleep(20)");
		ask(&rig, "SELECT 1");
		ask(&rig, "SELECT 2");
		for (unsigned n = 0; n < i / 2; n++) {
			uv_run(&rig.loop, UV_RUN_NOWAIT);
		}
		reader_close(rig.reader, on_closed, &rig);
		assert_int_equal(reader_query(rig.reader, "SELECT 1", NULL, 0, on_answer, &rig),
			-ECANCELED);
		turn_until(&rig, &rig.n_closed, 1);
		assert_int_equal(rig.n_answers, 3);
		assert_string_equal(rig.error.code, i % 2 || i == 0 ? "canceled" : "down");
		uv_run(&rig.loop, UV_RUN_DEFAULT);
		assert_int_equal(uv_loop_close(&rig.loop), 0);
		free(rig.config);
	}
}

/* Closed at each turn of connecting. */
static void test_close_while_connecting(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		struct rig rig;

		open_rig(&rig, state);
		reader_start(rig.reader);
		for (unsigned n = 0; n < i; n++) {
			uv_run(&rig.loop, UV_RUN_NOWAIT);
		}
		close_rig(&rig);
	}
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
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_lease_goes_first),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_close_while_connecting),
	};

	return cmocka_run_group_tests_name("reader", tests, setup, teardown);
}
