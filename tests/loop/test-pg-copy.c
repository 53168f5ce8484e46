/*
 * COPY in and out, and how it breaks. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "tests/loop/helper/pgloop.h"
#include "tests/loop/helper/postgres.h"

enum { ROW_FILL = 60, BLOCK_ROWS = 100 };

/* Puts rows "id<TAB>filling" until n_rows, as fast as it is allowed to. */
struct copier {
	struct pgloop l;
	long n_rows, n_put;
	size_t n_bytes, most_bytes, heap_start, heap_peak; /* most_bytes: put within one call */
	unsigned nap_ms;				   /* before putting, at each drain */
	unsigned n_ready, n_drain, n_full, n_turns;
	long fail_at;  /* then pg_copy_fail; 0 never */
	long stop_at;  /* then put nothing, and wait; 0 never */
	bool heedless; /* goes on putting whatever pg_copy_put says */
	unsigned stopped;
	uv_prepare_t prepare;
};

static struct postgres *server(void **state)
{
	return *state;
}

static int put_block(struct copier *c)
{
	char block[BLOCK_ROWS * (ROW_FILL + 32)];
	size_t len = 0;

	for (int i = 0; i < BLOCK_ROWS && c->n_put < c->n_rows; i++) {
		len += (size_t)snprintf(
			block + len, sizeof(block) - len, "%ld\t%0*d\n", ++c->n_put, ROW_FILL, 7);
	}
	c->n_bytes += len;
	return pg_copy_put(c->l.pg, block, len);
}

static void put_all(struct copier *c)
{
	size_t before = c->n_bytes;
	int r = 0;

	while (c->n_put < c->n_rows && (r == 0 || c->heedless)) {
		if (c->stop_at && c->n_put >= c->stop_at) {
			c->stopped = 1;
			return;
		}
		if (c->fail_at && c->n_put >= c->fail_at) {
			pg_copy_fail(c->l.pg, "enough of it");
			return;
		}
		r = put_block(c);
		c->n_full += r == 1;
		c->most_bytes =
			c->n_bytes - before > c->most_bytes ? c->n_bytes - before : c->most_bytes;
		if (pgloop_heap_bytes() > c->heap_peak) {
			c->heap_peak = pgloop_heap_bytes();
		}
	}
	if (c->n_put == c->n_rows) {
		pg_copy_end(c->l.pg);
	}
}

static void on_ready(void *arg)
{
	struct copier *c = arg;

	c->n_ready++;
	put_all(c);
}

static void on_drain(void *arg)
{
	struct copier *c = arg;

	c->n_drain++;
	uv_sleep(c->nap_ms);
	put_all(c);
}

static void on_copied(void *arg, const struct pg_result *result, const struct error *error)
{
	struct copier *c = arg;

	pgloop_on_result(&c->l, result, error);
}

static void on_prepare(uv_prepare_t *prepare)
{
	container_of(prepare, struct copier, prepare)->n_turns++;
}

static void copier_open(struct copier *c, const char *dsn)
{
	pgloop_open(&c->l, dsn);
	uv_prepare_init(&c->l.loop, &c->prepare);
	uv_prepare_start(&c->prepare, on_prepare);
	pgloop_connect(&c->l);
}

static void copier_start(struct copier *c)
{
	const struct pg_copy_in copy = {on_ready, on_drain, on_copied, c};

	c->n_put = 0;
	c->n_bytes = c->most_bytes = 0;
	c->n_ready = c->n_drain = c->n_full = c->n_turns = c->stopped = 0;
	c->heap_peak = c->heap_start = pgloop_heap_bytes();
	pg_copy_in(c->l.pg, "COPY c FROM STDIN", &copy);
	assert_int_equal(c->n_ready, 0);
}

static void copier_run(struct copier *c)
{
	unsigned before = c->l.n_done;

	copier_start(c);
	pgloop_until(&c->l, &c->l.n_done, before + 1);
}

static void copier_close(struct copier *c)
{
	uv_close((uv_handle_t *)&c->prepare, NULL);
	pgloop_close(&c->l);
}

static void check_error(
	const struct pgloop *l, enum error_class class, const char *code, const char *text)
{
	assert_string_equal(error_class_name(l->error.class), error_class_name(class));
	assert_string_equal(l->error.code, code);
	if (!strstr(l->error.text, text)) {
		fail_msg("\"%s\" is not in \"%s\"", text, l->error.text);
	}
}

static void new_table(void **state)
{
	postgres_sql(server(state),
		"DROP TABLE IF EXISTS c; CREATE TABLE c(id int PRIMARY KEY, fill text)");
}

/* A trigger that stands still for 20 ms every 20,000 rows. */
static void make_slow(void **state)
{
	postgres_sql(server(state),
		"CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
		" $$BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END$$;"
		"CREATE TRIGGER slow BEFORE INSERT ON c FOR EACH ROW WHEN (NEW.id % 20000 = 0)"
		" EXECUTE FUNCTION slow()");
}

static void test_in(void **state)
{
	struct copier c = {.n_rows = 1000000};

	new_table(state);
	make_slow(state);
	copier_open(&c, postgres_dsn(server(state)));
	copier_run(&c);
	assert_false(error_is_set(&c.l.error));
	assert_int_equal(c.l.affected, 1000000);
	assert_int_equal(c.n_ready, 1);
	assert_int_equal(postgres_number(server(state), "SELECT count(*) FROM c"), 1000000);
	assert_true(c.n_bytes > 60 * 1000 * 1000);
	assert_true(c.n_full > 100);			      /* it was told to wait, */
	assert_true(c.n_drain >= c.n_full - 1);		      /* woken again, */
	assert_true(c.heap_peak - c.heap_start < 512 * 1024); /* and so libpq held little, */
	assert_true(c.n_turns > c.n_bytes / (512 * 1024));    /* while the loop turned */
	copier_close(&c);
}

/* A server that takes everything at once: a caller is told to let the loop turn all the same. */
static void test_in_turns(void **state)
{
	struct copier c = {.n_rows = 200000};

	new_table(state);
	copier_open(&c, postgres_tcp_dsn(server(state))); /* whose buffers hold megabytes */
	copier_run(&c);
	assert_false(error_is_set(&c.l.error));
	assert_true(c.n_bytes > 12 * 1000 * 1000);
	assert_true(c.most_bytes < 320 * 1024);
	copier_close(&c);
}

/* Whoever ignores the 1 buffers: the test above can fail. */
static void test_in_heedless(void **state)
{
	struct copier c = {.n_rows = 200000, .heedless = true};

	new_table(state);
	make_slow(state);
	copier_open(&c, postgres_dsn(server(state)));
	copier_run(&c);
	assert_false(error_is_set(&c.l.error));
	if (c.heap_start > 0) { /* nobody knows under valgrind */
		assert_true(c.heap_peak - c.heap_start > 2 * 1024 * 1024);
	}
	assert_int_equal(postgres_number(server(state), "SELECT count(*) FROM c"), 200000);
	copier_close(&c);
}

static void test_in_empty(void **state)
{
	struct copier c = {.n_rows = 0};

	new_table(state);
	copier_open(&c, postgres_dsn(server(state)));
	copier_run(&c);
	assert_false(error_is_set(&c.l.error));
	assert_int_equal(c.l.affected, 0);
	copier_close(&c);
}

static void test_in_wrong(void **state)
{
	const struct pg_copy_in copy = {on_ready, on_drain, on_copied, NULL};
	struct pg_copy_in mine = copy;
	struct copier c = {.n_rows = 10};

	copier_open(&c, postgres_dsn(server(state)));
	mine.arg = &c;
	pg_copy_in(c.l.pg, "COPY nothing FROM STDIN", &mine);
	pgloop_until(&c.l, &c.l.n_done, 2);
	check_error(&c.l, ERROR_REJECTED, "42P01", "relation \"nothing\" does not exist");
	assert_int_equal(c.n_ready, 0);
	pg_copy_in(c.l.pg, "SELECT 1", &mine); /* no COPY at all: its result, and never ready */
	pgloop_until(&c.l, &c.l.n_done, 3);
	assert_int_equal(c.n_ready, 0);
	pg_disconnect(c.l.pg);
	pg_copy_in(c.l.pg, "COPY c FROM STDIN", &mine);
	pgloop_until(&c.l, &c.l.n_done, 4);
	check_error(&c.l, ERROR_RETRY, "connection", "not connected");
	copier_close(&c);
}

/* The server finds a duplicate early: the COPY ends long before all is sent. */
static void test_in_unique(void **state)
{
	struct copier c = {.n_rows = 5 * 1000 * 1000};

	new_table(state);
	postgres_sql(server(state), "INSERT INTO c VALUES (50000)");
	copier_open(&c, postgres_dsn(server(state)));
	for (int i = 0; i < 3; i++) {
		copier_run(&c);
		check_error(&c.l, ERROR_REJECTED, "23505",
			"unique constraint \"c_pkey\" (Key (id)=(50000) already exists.); COPY c, "
			"line 50000");
		assert_true(c.n_put < c.n_rows);
		assert_true(pg_is_connected(c.l.pg));
		pgloop_query(&c.l, "SELECT 1");
	}
	copier_close(&c);
	assert_int_equal(postgres_number(server(state), "SELECT count(*) FROM c"), 1);
}

/* The caller has nothing more to put for a while: the error comes all the same. */
static void test_in_unique_waiting(void **state)
{
	struct copier c = {.n_rows = 100000, .stop_at = 60000};

	new_table(state);
	postgres_sql(server(state), "INSERT INTO c VALUES (50000)");
	copier_open(&c, postgres_dsn(server(state)));
	copier_run(&c);
	check_error(&c.l, ERROR_REJECTED, "23505", "c_pkey");
	copier_close(&c);
}

/* Notices on the way are no error. */
static void test_in_notices(void **state)
{
	struct copier c = {.n_rows = 100000};
	char last[32];

	new_table(state);
	postgres_sql(server(state),
		"CREATE OR REPLACE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS"
		" $$BEGIN RAISE WARNING 'row %', NEW.id; PERFORM pg_sleep(0.005); RETURN NEW; "
		"END$$;"
		"CREATE TRIGGER talk BEFORE INSERT ON c FOR EACH ROW WHEN (NEW.id % 1000 = 0)"
		" EXECUTE FUNCTION talk()");
	copier_open(&c, postgres_tcp_dsn(server(state)));
	for (int i = 0; i < 2; i++) {
		copier_run(&c);
		if (error_is_set(&c.l.error)) {
			fail_msg("%s", c.l.error.text);
		}
		snprintf(last, sizeof(last), "row %ld", c.n_rows);
		assert_string_equal(pg_last_notice(c.l.pg), last);
		assert_int_equal(c.l.affected, c.n_rows);
		/* Once more, with a loop too slow to read them in time. */
		c.nap_ms = 120;
		c.n_rows = 20000;
		pgloop_query(&c.l, "TRUNCATE c");
	}
	copier_close(&c);
}

static void test_in_fail(void **state)
{
	struct copier c = {.n_rows = 100000, .fail_at = 30000};

	new_table(state);
	copier_open(&c, postgres_dsn(server(state)));
	copier_run(&c);
	check_error(&c.l, ERROR_CANCELED, "57014", "COPY from stdin failed: enough of it");
	assert_int_equal(pgloop_number(&c.l, "SELECT count(*) FROM c"), 0);
	copier_close(&c);
}

static void turn(struct copier *c, int n)
{
	for (int i = 0; i < n; i++) {
		uv_run(&c->l.loop, UV_RUN_NOWAIT);
	}
}

static void test_in_cancel(void **state)
{
	struct copier c = {.n_rows = 10 * 1000 * 1000};

	new_table(state);
	make_slow(state);
	copier_open(&c, postgres_dsn(server(state)));
	for (int i = 0; i < 30; i += 3) {
		unsigned before = c.l.n_done;

		copier_start(&c);
		turn(&c, i);
		pg_cancel(c.l.pg);
		pg_cancel(c.l.pg);
		assert_int_equal(c.l.n_done, before);
		pgloop_until(&c.l, &c.l.n_done, before + 1);
		check_error(&c.l, ERROR_CANCELED, "57014", "cancel");
		/* It hits nothing else. */
		pgloop_query(&c.l, "SELECT pg_sleep(0.01)");
	}
	copier_close(&c);
}

/* Killed in the middle, in one way or another. */
static void killed_in_copy(void **state, const char *how)
{
	struct copier c = {.n_rows = 100000, .stop_at = 50000};
	char pid[32], sql[128];
	unsigned before;

	new_table(state);
	copier_open(&c, postgres_tcp_dsn(server(state)));
	pgloop_query(&c.l, "SELECT pg_backend_pid()");
	snprintf(pid, sizeof(pid), "%s", buffer_str(&c.l.rows));
	before = c.l.n_done;
	copier_start(&c);
	pgloop_until(&c.l, &c.stopped, 1);
	if (strcmp(how, "terminate") == 0) {
		snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%s)", pid);
		postgres_sql(server(state), sql);
	} else if (strcmp(how, "kill") == 0) {
		postgres_kill_backend(server(state), (int)strtol(pid, NULL, 10));
	} else {
		postgres_stop(server(state), strcmp(how, "immediate") == 0 ? SIGQUIT : SIGKILL);
	}
	pgloop_until(&c.l, &c.l.n_done, before + 1);
	assert_int_equal(c.l.error.class, ERROR_RETRY);
	assert_false(pg_is_connected(c.l.pg));
	assert_int_equal(c.l.n_lost, 0);
	if (!postgres_pid(server(state))) {
		postgres_restart(server(state));
	}
	postgres_wait_ready(server(state));
	pgloop_connect(&c.l);
	assert_int_equal(pgloop_number(&c.l, "SELECT count(*) FROM c"), 0);
	copier_close(&c);
}

static void test_in_terminated(void **state)
{
	killed_in_copy(state, "terminate");
}

static void test_in_backend_killed(void **state)
{
	killed_in_copy(state, "kill");
}

static void test_in_stopped(void **state)
{
	killed_in_copy(state, "immediate");
}

static void test_in_postmaster_killed(void **state)
{
	killed_in_copy(state, "postmaster");
}

/* ---- out ---- */

struct taker {
	struct pgloop l;
	unsigned long n_pieces, n_bytes, n_turn, most_turn; /* pieces within one turn */
	unsigned char first[32];
	size_t heap_start, heap_peak;
	unsigned long cancel_at;
	unsigned n_turns;
	uv_prepare_t prepare;
};

static void on_data(void *arg, const void *data, size_t len)
{
	struct taker *t = arg;

	if (t->n_pieces++ == 0) {
		memcpy(t->first, data, len < sizeof(t->first) ? len : sizeof(t->first));
	}
	t->n_bytes += len;
	t->n_turn++;
	t->most_turn = t->n_turn > t->most_turn ? t->n_turn : t->most_turn;
	if (t->n_pieces % 256 == 0 && pgloop_heap_bytes() > t->heap_peak) {
		t->heap_peak = pgloop_heap_bytes();
	}
	if (t->n_pieces == t->cancel_at) {
		pg_cancel(t->l.pg);
	}
}

static void on_taken(void *arg, const struct error *error)
{
	pgloop_on_done(&((struct taker *)arg)->l, error);
}

static void on_taker_prepare(uv_prepare_t *prepare)
{
	struct taker *t = container_of(prepare, struct taker, prepare);

	t->n_turns++;
	t->n_turn = 0;
}

static void taker_open(struct taker *t, void **state)
{
	pgloop_open(&t->l, postgres_dsn(server(state)));
	uv_prepare_init(&t->l.loop, &t->prepare);
	uv_prepare_start(&t->prepare, on_taker_prepare);
	pgloop_connect(&t->l);
	t->heap_start = t->heap_peak = pgloop_heap_bytes();
}

static void taker_run(struct taker *t, const char *sql)
{
	unsigned before = t->l.n_done;

	t->n_pieces = t->n_bytes = 0;
	pg_copy_out(t->l.pg, sql, on_data, on_taken, t);
	pgloop_until(&t->l, &t->l.n_done, before + 1);
}

static void taker_close(struct taker *t)
{
	uv_close((uv_handle_t *)&t->prepare, NULL);
	pgloop_close(&t->l);
}

static void test_out(void **state)
{
	struct taker t = {0};

	taker_open(&t, state);
	taker_run(&t,
		"COPY (SELECT i, repeat('x', 90) FROM generate_series(1, 300000) i) TO STDOUT "
		"BINARY");
	assert_false(error_is_set(&t.l.error));
	assert_memory_equal(t.first, "PGCOPY\n\377\r\n\0", 11);
	/* header and first row, rows, trailer: a row is 2 + 4 + 4 + 4 + 90 bytes */
	assert_int_equal(t.n_pieces, 300001);
	assert_int_equal(t.n_bytes, 19 + 300000ul * 104 + 2);
	assert_true(t.heap_peak - t.heap_start < 256 * 1024);
	assert_true(t.n_turns > 300000 / 256);

	t.most_turn = 0;
	taker_run(&t, "COPY (SELECT i FROM generate_series(1, 100000) i) TO STDOUT");
	assert_int_equal(t.n_pieces, 100000);
	assert_in_range(t.most_turn, 1, 512); /* two slices, of many that came with one read */

	taker_run(&t,
		"COPY (SELECT 10 / (500 - i) FROM generate_series(1, 1000) i) TO STDOUT BINARY");
	check_error(&t.l, ERROR_REJECTED, "22012", "division by zero");
	taker_run(&t, "SELECT 1"); /* no COPY: done, and no data */
	assert_int_equal(t.n_pieces, 0);
	pgloop_query(&t.l, "SELECT 1");
	taker_close(&t);
}

static void test_out_cancel(void **state)
{
	struct taker t = {.cancel_at = 5000};

	taker_open(&t, state);
	taker_run(&t, "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 3000000)) TO STDOUT");
	check_error(&t.l, ERROR_CANCELED, "57014", "canceling statement due to user request");
	assert_int_equal(t.n_pieces, 5000); /* nothing after the cancel */
	pgloop_query(&t.l, "SELECT 1");
	taker_close(&t);
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
		cmocka_unit_test(test_in),
		cmocka_unit_test(test_in_turns),
		cmocka_unit_test(test_in_heedless),
		cmocka_unit_test(test_in_empty),
		cmocka_unit_test(test_in_wrong),
		cmocka_unit_test(test_in_unique),
		cmocka_unit_test(test_in_unique_waiting),
		cmocka_unit_test(test_in_notices),
		cmocka_unit_test(test_in_fail),
		cmocka_unit_test(test_in_cancel),
		cmocka_unit_test(test_in_terminated),
		cmocka_unit_test(test_in_backend_killed),
		cmocka_unit_test(test_in_stopped),
		cmocka_unit_test(test_in_postmaster_killed),
		cmocka_unit_test(test_out),
		cmocka_unit_test(test_out_cancel),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
