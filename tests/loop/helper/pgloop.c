/*
 * A struct pg on a loop of its own. SPDX-License-Identifier: Apache-2.0
 */

#include "tests/loop/helper/pgloop.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { GUARD_MS = 20 * 1000 };

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t pgloop_heap_bytes(void)
{
	if (__sanitizer_get_current_allocated_bytes) {
		return __sanitizer_get_current_allocated_bytes();
	}
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void on_lost(void *arg, const struct error *error)
{
	struct pgloop *l = arg;

	l->lost = *error;
	l->n_lost++;
}

static void on_guard(uv_timer_t *timer)
{
	container_of(timer, struct pgloop, guard)->overdue = true;
}

static void on_closed(void *arg)
{
	((struct pgloop *)arg)->n_closed++;
}

void pgloop_on_done(void *arg, const struct error *error)
{
	struct pgloop *l = arg;

	l->error = error ? *error : (struct error){0};
	l->n_done++;
}

void pgloop_on_result(void *arg, const struct pg_result *result, const struct error *error)
{
	struct pgloop *l = arg;

	assert_true(!result == !!error);
	buffer_clear(&l->rows);
	l->n_rows = result ? pg_n_rows(result) : 0;
	l->affected = result ? pg_affected(result) : 0;
	for (int r = 0; r < l->n_rows && r < 1000; r++) {
		for (int c = 0; c < pg_n_columns(result); c++) {
			buffer_append_str(&l->rows, c > 0 ? "|" : "");
			buffer_append_str(
				&l->rows, pg_is_null(result, r, c) ? "~" : pg_value(result, r, c));
		}
		buffer_append_char(&l->rows, '\n');
	}
	pgloop_on_done(arg, error);
}

void pgloop_open_with(struct pgloop *l, const struct pg_options *options)
{
	struct pg_options mine = *options;
	struct error error = {0};

	*l = (struct pgloop){0};
	assert_int_equal(uv_loop_init(&l->loop), 0);
	uv_timer_init(&l->loop, &l->guard);
	uv_unref((uv_handle_t *)&l->guard);
	mine.on_lost = on_lost;
	mine.arg = l;
	if (pg_new(&l->loop, &mine, &l->pg, &error) < 0) {
		fail_msg("%s", error.text);
	}
}

void pgloop_open(struct pgloop *l, const char *dsn)
{
	struct pg_options options = {.dsn = dsn, .connect_timeout_ms = 10000};

	pgloop_open_with(l, &options);
}

void pgloop_until(struct pgloop *l, const unsigned *counter, unsigned n)
{
	l->overdue = false;
	uv_update_time(&l->loop);
	uv_timer_start(&l->guard, on_guard, GUARD_MS, 0);
	while (*counter < n && !l->overdue) {
		uv_run(&l->loop, UV_RUN_ONCE);
	}
	uv_timer_stop(&l->guard);
	assert_int_equal(*counter, n);
}

void pgloop_close(struct pgloop *l)
{
	unsigned n_done = l->n_done;

	if (l->pg) {
		bool busy = pg_is_busy(l->pg);

		pg_close(l->pg, on_closed, l);
		assert_int_equal(l->n_done, n_done); /* never from inside */
		pgloop_until(l, &l->n_closed, 1);
		assert_int_equal(l->n_done, n_done + busy);
	}
	uv_close((uv_handle_t *)&l->guard, NULL);
	uv_run(&l->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&l->loop), 0);
	buffer_fini(&l->rows);
}

static void finish(struct pgloop *l, unsigned before)
{
	assert_int_equal(l->n_done, before); /* never from inside a start */
	pgloop_until(l, &l->n_done, before + 1);
}

static void must_succeed(const struct pgloop *l, const char *what)
{
	if (error_is_set(&l->error)) {
		fail_msg("%s: %s %s: %s", what, error_class_name(l->error.class), l->error.code,
			l->error.text);
	}
}

void pgloop_try_connect(struct pgloop *l)
{
	unsigned before = l->n_done;

	pg_connect(l->pg, pgloop_on_done, l);
	finish(l, before);
}

void pgloop_connect(struct pgloop *l)
{
	pgloop_try_connect(l);
	must_succeed(l, "connect");
	assert_true(pg_is_connected(l->pg));
}

void pgloop_try(struct pgloop *l, const char *sql)
{
	unsigned before = l->n_done;

	pg_query(l->pg, sql, NULL, 0, pgloop_on_result, l);
	finish(l, before);
}

void pgloop_query(struct pgloop *l, const char *sql)
{
	pgloop_try(l, sql);
	must_succeed(l, sql);
}

void pgloop_exec(struct pgloop *l, const char *sql)
{
	unsigned before = l->n_done;

	pg_exec(l->pg, sql, pgloop_on_done, l);
	finish(l, before);
	must_succeed(l, sql);
}

long pgloop_number(struct pgloop *l, const char *sql)
{
	pgloop_query(l, sql);
	return strtol(buffer_str(&l->rows), NULL, 10);
}
