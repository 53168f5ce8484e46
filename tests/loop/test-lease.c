/*
 * The lease, with several contenders on a real server. SPDX-License-Identifier: Apache-2.0
 *
 * Each contender has a loop of its own; one whose loop is not turned is a daemon that was stopped.
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

#include "daemon/lease.h"
#include "tests/loop/helper/fail_alloc.h"
#include "tests/loop/helper/pgloop.h"
#include "tests/loop/helper/postgres.h"

enum { DURATION_MS = 600, LONG_MS = 10 * 1000 };

struct contender {
	struct pgloop l;
	struct lease *lease;
	unsigned n_changes, n_released, n_lease_closed;
	struct error released;
	char seen[256]; /* the states, one after the other: "holder/1 standby/2 " */
};

static struct postgres *server(void **state)
{
	return *state;
}

static const struct lease_status *status(struct contender *c)
{
	return lease_status(c->lease);
}

static void on_change(void *arg)
{
	struct contender *c = arg;
	size_t len = strlen(c->seen);

	c->n_changes++;
	snprintf(c->seen + len, sizeof(c->seen) - len, "%s/%d ", lease_state_name(status(c)->state),
		(int)status(c)->epoch);
}

static void on_released(void *arg, const struct error *error)
{
	struct contender *c = arg;

	c->n_released++;
	c->released = error ? *error : (struct error){0};
}

static void on_lease_closed(void *arg)
{
	((struct contender *)arg)->n_lease_closed++;
}

static void contender_open_for(
	struct contender *c, void **state, const char *holder, uint64_t duration_ms)
{
	const struct lease_options options = {
		.name = "writer",
		.holder = holder,
		.duration_ms = duration_ms,
		.on_change = on_change,
		.arg = c,
	};

	*c = (struct contender){0};
	pgloop_open(&c->l, postgres_dsn(server(state)));
	assert_int_equal(lease_new(&c->l.loop, c->l.pg, &options, &c->lease), 0);
	assert_int_equal(status(c)->state, LEASE_UNKNOWN);
}

static void contender_open(struct contender *c, void **state, const char *holder)
{
	contender_open_for(c, state, holder, DURATION_MS);
	pgloop_connect(&c->l);
	lease_want(c->lease);
	assert_int_equal(c->n_changes, 0); /* never from inside */
}

static void contender_close(struct contender *c)
{
	lease_close(c->lease, on_lease_closed, c);
	pgloop_until(&c->l, &c->n_lease_closed, 1);
	pgloop_close(&c->l);
}

static void turn(struct contender *c)
{
	if (c) {
		uv_run(&c->l.loop, UV_RUN_NOWAIT);
	}
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void turn_for(struct contender *a, struct contender *b, uint64_t ms)
{
	uint64_t until = now_ms() + ms;

	while (now_ms() < until) {
		turn(a);
		turn(b);
		uv_sleep(1);
	}
}

/* Turn both until `c` (one of them) is in `state`. */
static void turn_until(
	struct contender *a, struct contender *b, struct contender *c, enum lease_state state)
{
	uint64_t until = now_ms() + LONG_MS;

	while (status(c)->state != state && now_ms() < until) {
		turn(a);
		turn(b);
		uv_sleep(1);
	}
	assert_string_equal(lease_state_name(status(c)->state), lease_state_name(state));
}

static void new_table(void **state)
{
	postgres_sql(server(state),
		"CREATE SCHEMA IF NOT EXISTS ogdsync; DROP TABLE IF EXISTS ogdsync.lease;"
		"CREATE TABLE ogdsync.lease (name text PRIMARY KEY, holder text NOT NULL,"
		" epoch bigint NOT NULL, expires_at timestamptz NOT NULL)");
}

static void check_row(void **state, const char *holder, int epoch)
{
	char value[128], want[128];

	postgres_value(server(state), "SELECT holder || '/' || epoch FROM ogdsync.lease", value,
		sizeof(value));
	snprintf(want, sizeof(want), "%s/%d", holder, epoch);
	assert_string_equal(value, want);
}

/* The first one holds and renews, the second one stands by, for several durations. */
static void test_two(void **state)
{
	struct contender a, b;

	new_table(state);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	assert_int_equal(status(&a)->epoch, 1);
	assert_string_equal(status(&a)->holder, "a");
	contender_open(&b, state, "b");
	turn_until(&a, &b, &b, LEASE_STANDBY);
	assert_string_equal(status(&b)->holder, "a");
	assert_int_equal(status(&b)->epoch, 1);
	turn_for(&a, &b, DURATION_MS * 3);
	assert_string_equal(a.seen, "holder/1 ");
	assert_string_equal(b.seen, "standby/1 ");
	check_row(state, "a", 1);

	/* It dies: the other takes over when the lease has expired, not before. */
	contender_close(&a);
	turn_for(&b, NULL, DURATION_MS / 2);
	assert_int_equal(status(&b)->state, LEASE_STANDBY);
	turn_until(&b, NULL, &b, LEASE_HOLDER);
	assert_string_equal(b.seen, "standby/1 holder/2 ");
	check_row(state, "b", 2);
	contender_close(&b);
}

/* Both begin at once, many times: one of them gets it. */
static void test_race(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct contender a, b;

		new_table(state);
		if (i % 2) {
			postgres_sql(server(state),
				"INSERT INTO ogdsync.lease VALUES ('writer', 'c', 7, now())");
		}
		contender_open(&a, state, "a");
		contender_open(&b, state, "b");
		while (status(&a)->state == LEASE_UNKNOWN || status(&b)->state == LEASE_UNKNOWN ||
			status(&a)->state == status(&b)->state) {
			turn_for(&a, &b, 1);
			assert_false(status(&a)->state == LEASE_HOLDER &&
				status(&b)->state == LEASE_HOLDER);
		}
		assert_int_equal(postgres_number(server(state), "SELECT epoch FROM ogdsync.lease"),
			i % 2 ? 8 : 1);
		contender_close(&a);
		contender_close(&b);
	}
}

/* After kill -9 the next start of the same holder goes on at once, with the same epoch. */
static void test_same_holder(void **state)
{
	struct contender a;

	new_table(state);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	contender_close(&a);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	assert_string_equal(a.seen, "holder/1 ");
	contender_close(&a);
}

static void fence(struct contender *c, struct pgloop *load)
{
	_cleanup_buffer_ struct buffer sql = {0};

	lease_fence_sql(c->lease, &sql);
	pgloop_query(load, buffer_str(&sql));
}

/* A stopped holder: the other takes over, and what the first one believes does it no good. */
static void test_stopped_holder(void **state)
{
	struct contender a, b;
	struct pgloop load;

	new_table(state);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	contender_open(&b, state, "b");
	turn_until(&a, &b, &b, LEASE_STANDBY);
	turn_until(&b, NULL, &b, LEASE_HOLDER); /* the loop of a stands still */
	assert_int_equal(status(&b)->epoch, 2);
	assert_int_equal(status(&a)->state, LEASE_HOLDER); /* it believes so */

	pgloop_open(&load, postgres_dsn(server(state)));
	pgloop_connect(&load);
	pgloop_query(&load, "BEGIN");
	fence(&a, &load);
	assert_int_equal(load.n_rows, 0); /* but cannot load */
	fence(&b, &load);
	assert_int_equal(load.n_rows, 1);
	pgloop_query(&load, "ROLLBACK");
	pgloop_close(&load);

	turn_until(&a, &b, &a, LEASE_STANDBY);
	assert_string_equal(a.seen, "holder/1 unknown/1 standby/2 ");
	assert_string_equal(status(&a)->holder, "b");
	contender_close(&a);
	contender_close(&b);
}

/* A load of the old holder is going on: its lease expires, and is not taken before it ends. */
static void test_take_over_waits(void **state)
{
	struct contender a, b;
	struct pgloop load;

	new_table(state);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	contender_open(&b, state, "b");
	turn_until(&a, &b, &b, LEASE_STANDBY);
	pgloop_open(&load, postgres_dsn(server(state)));
	pgloop_connect(&load);
	pgloop_query(&load, "BEGIN");
	fence(&a, &load);
	assert_int_equal(load.n_rows, 1);

	turn_for(&a, &b, DURATION_MS * 2); /* renewals pass the lock */
	assert_int_equal(status(&a)->state, LEASE_HOLDER);
	turn_for(&b, NULL, DURATION_MS * 3); /* a is stopped, its transaction is not over */
	assert_int_equal(status(&b)->state, LEASE_STANDBY);
	assert_false(error_is_set(&status(&b)->error));
	check_row(state, "a", 1);
	assert_int_equal(postgres_number(server(state),
				 "SELECT count(*) FROM ogdsync.lease"
				 " WHERE expires_at < clock_timestamp()"),
		1);

	pgloop_query(&load, "COMMIT");
	turn_until(&b, NULL, &b, LEASE_HOLDER);
	assert_string_equal(b.seen, "standby/1 holder/2 ");
	pgloop_close(&load);
	contender_close(&a);
	contender_close(&b);
}

/* While the take-over waits, the old holder wakes up and renews: it keeps the lease. */
static void test_old_holder_returns(void **state)
{
	struct contender a, b;
	struct pgloop load;

	new_table(state);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	contender_open(&b, state, "b");
	turn_until(&a, &b, &b, LEASE_STANDBY);
	pgloop_open(&load, postgres_dsn(server(state)));
	pgloop_connect(&load);
	pgloop_query(&load, "BEGIN");
	fence(&a, &load);
	turn_for(&b, NULL, DURATION_MS * 2);
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	turn_for(&a, &b, DURATION_MS);
	pgloop_query(&load, "COMMIT");
	turn_for(&a, &b, DURATION_MS);
	assert_int_equal(status(&a)->state, LEASE_HOLDER);
	assert_string_equal(b.seen, "standby/1 ");
	check_row(state, "a", 1);
	pgloop_close(&load);
	contender_close(&a);
	contender_close(&b);
}

/* The server's clock decides; its jumps are the row's expiry moving against it. */
static void test_clock_jumps(void **state)
{
	struct contender a, b;

	new_table(state);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);

	/* Back by a day: the row lasts a day, until the next renewal. */
	postgres_sql(server(state),
		"UPDATE ogdsync.lease SET expires_at = expires_at + interval '1 day'");
	turn_for(&a, NULL, DURATION_MS);
	assert_int_equal(postgres_number(server(state),
				 "SELECT ceil(extract(epoch FROM expires_at - now()))"
				 " FROM ogdsync.lease"),
		1);
	assert_string_equal(a.seen, "holder/1 ");

	/* Forward by a day: it has expired. Whoever comes first has it. */
	contender_open(&b, state, "b");
	turn_until(&a, &b, &b, LEASE_STANDBY);
	postgres_sql(server(state),
		"UPDATE ogdsync.lease SET expires_at = expires_at - interval '1 day'");
	turn_until(&b, NULL, &b, LEASE_HOLDER);
	turn_until(&a, &b, &a, LEASE_STANDBY); /* its renewal found no row; */
	turn_for(&a, &b, DURATION_MS / 3);     /* a look says why */
	assert_string_equal(a.seen, "holder/1 standby/1 standby/2 ");
	assert_string_equal(status(&a)->holder, "b");
	check_row(state, "b", 2);
	contender_close(&a);
	contender_close(&b);
}

/* Lent: given up, taken by the other, and taken back when that one has given it up. */
static void test_release(void **state)
{
	struct contender a, b;

	new_table(state);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	contender_open(&b, state, "b");
	turn_until(&a, &b, &b, LEASE_STANDBY);
	lease_release(a.lease, DURATION_MS, on_released, &a);
	assert_int_equal(a.n_released, 0);
	assert_int_equal(status(&a)->state, LEASE_STANDBY);
	turn_until(&a, &b, &b, LEASE_HOLDER);
	assert_int_equal(a.n_released, 1);
	assert_false(error_is_set(&a.released));
	assert_int_equal(status(&b)->epoch, 2);
	lease_release(b.lease, UINT64_MAX, on_released, &b);
	turn_until(&a, &b, &a, LEASE_HOLDER);
	assert_int_equal(status(&a)->epoch, 3);
	turn_for(&a, &b, DURATION_MS);
	assert_string_equal(b.seen, "standby/1 holder/2 "); /* it does not want it any more */
	lease_want(b.lease);
	turn_until(&a, &b, &b, LEASE_STANDBY);

	/* Nobody took it: back after the hold-off, with the same epoch. */
	contender_close(&b);
	lease_release(a.lease, 50, on_released, &a);
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	assert_int_equal(status(&a)->epoch, 3);
	assert_int_equal(a.n_released, 2);

	/* Without a server, too, it is told. */
	pg_disconnect(a.l.pg);
	lease_release(a.lease, UINT64_MAX, on_released, &a);
	pgloop_until(&a.l, &a.n_released, 3);
	assert_string_equal(a.released.code, "connection");
	contender_close(&a);
}

/* The connection goes: believed for one duration, then unknown; and back when it is back. */
static void test_connection_lost(void **state)
{
	struct contender a;
	uint64_t start;

	new_table(state);
	contender_open(&a, state, "a");
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	start = now_ms();
	pg_disconnect(a.l.pg);
	turn_until(&a, NULL, &a, LEASE_UNKNOWN);
	assert_in_range(now_ms() - start, DURATION_MS / 2, DURATION_MS * 2);
	assert_string_equal(status(&a)->error.code, "connection");
	assert_string_equal(status(&a)->holder, "");
	pgloop_connect(&a.l);
	lease_want(a.lease);
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	assert_false(error_is_set(&status(&a)->error));
	assert_string_equal(a.seen, "holder/1 holder/1 unknown/1 holder/1 ");

	/* The connection is in use by somebody else: renewed a little later. */
	pgloop_query(&a.l, "SELECT pg_sleep(0.3)");
	turn_for(&a, NULL, DURATION_MS * 2);
	assert_string_equal(a.seen, "holder/1 holder/1 unknown/1 holder/1 ");
	contender_close(&a);
}

static void test_no_table(void **state)
{
	struct contender a;

	postgres_sql(server(state), "DROP TABLE IF EXISTS ogdsync.lease");
	contender_open(&a, state, "a");
	turn_for(&a, NULL, DURATION_MS);
	assert_int_equal(status(&a)->state, LEASE_UNKNOWN);
	assert_string_equal(status(&a)->error.code, "42P01");
	assert_int_equal(a.n_changes, 1);
	new_table(state);
	turn_until(&a, NULL, &a, LEASE_HOLDER);
	contender_close(&a);
}

/* Closed at loop iteration 0, 1, 2, ..., with a release under way or not, or the connection first.
 */
static void test_close(void **state)
{
	for (int i = 0; i < 36; i++) {
		struct contender a;
		int how = i % 3;

		new_table(state);
		contender_open(&a, state, "it's \\ a");
		for (int n = 0; n < i / 3; n++) {
			turn(&a);
		}
		if (how == 1) {
			lease_release(a.lease, 0, on_released, &a);
			turn(&a);
		} else if (how == 2) {
			pg_close(take_ptr(a.l.pg), NULL, NULL); /* both in one turn */
		}
		contender_close(&a);
		assert_int_equal(a.n_released, how == 1);
	}
}

static void test_no_memory(void **state)
{
	const struct lease_options options = {.name = "n", .holder = "h", .duration_ms = 1000};
	struct lease *lease = NULL;
	struct pgloop l;
	unsigned n = 0;

	pgloop_open(&l, postgres_dsn(server(state)));
	for (;;) {
		fail_alloc_at(++n);
		if (lease_new(&l.loop, l.pg, &options, &lease) == 0) {
			assert_false(fail_alloc_end());
			break;
		}
		assert_true(fail_alloc_end());
	}
	assert_int_equal(n, 4);
	lease_close(lease, NULL, NULL);
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
		cmocka_unit_test(test_two),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_same_holder),
		cmocka_unit_test(test_stopped_holder),
		cmocka_unit_test(test_take_over_waits),
		cmocka_unit_test(test_old_holder_returns),
		cmocka_unit_test(test_clock_jumps),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_connection_lost),
		cmocka_unit_test(test_no_table),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
