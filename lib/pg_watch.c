/*
 * The socket, watched; and turns of the loop. SPDX-License-Identifier: Apache-2.0
 *
 * One uv_poll_t for one descriptor, allocated, and freed in its close callback: libpq opens
 * another socket when it likes, and the handle of the old one lives until the loop has closed it.
 *
 * libpq closes its socket inside almost any call that finds it broken. So each such call is
 * followed by a look at the status, and by the end of the watch, before the loop polls again.
 */

#include <errno.h>

#include "lib/pg_private.h"

enum { TURN_STEPS = 256, TURN_NS = 1000 * 1000 };

struct pg_watch {
	uv_poll_t poll;
	struct pg *pg;
	int events;
};

static void on_watch_closed(uv_handle_t *handle)
{
	struct pg_watch *watch = container_of(handle, struct pg_watch, poll);
	struct pg *pg = watch->pg;

	free(watch);
	pg_handle_closed(pg);
}

void pg_unwatch(struct pg *pg)
{
	if (pg->watch) {
		uv_poll_stop(&pg->watch->poll);
		uv_close((uv_handle_t *)&pg->watch->poll, on_watch_closed);
		pg->watch = NULL;
	}
}

/* Let libpq read. What it reads is looked at by the steps. */
void pg_read_input(struct pg *pg)
{
	if (pg->state == PG_COPY_IN) {
		pg_copy_in_listen(pg);
	}
	if (PQconsumeInput(pg->conn) == 0 && pg_is_broken(pg)) {
		pg_unwatch(pg);
	}
	if (pg->state == PG_COPY_IN) {
		pg_copy_in_heard(pg);
	}
}

static void on_ready_socket(uv_poll_t *poll, int status, int events)
{
	struct pg_watch *watch = container_of(poll, struct pg_watch, poll);
	struct pg *pg = watch->pg;

	if (status < 0) {
		watch->events = 0; /* libuv stops a handle on POLLERR; there may be more to read */
	}
	if (pg->state == PG_CONNECTING) {
		pg_connect_step(pg);
	} else if (status < 0 || events & UV_READABLE) {
		pg_read_input(pg);
	}
	pg_advance(pg);
}

static int new_watch(struct pg *pg)
{
	struct pg_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch) {
		return -ENOMEM;
	}
	watch->pg = pg;
	r = uv_poll_init(pg->loop, &watch->poll, PQsocket(pg->conn));
	if (r < 0) {
		free(watch);
		return r;
	}
	pg->watch = watch;
	pg->n_handles++;
	return 0;
}

void pg_watch(struct pg *pg, int events)
{
	int r = 0;

	if (events == 0) {
		if (pg->watch) {
			uv_poll_stop(&pg->watch->poll);
			pg->watch->events = 0;
		}
		return;
	}
	if (!pg->watch) {
		r = new_watch(pg);
	}
	if (r == 0 && pg->watch->events != events) {
		r = uv_poll_start(&pg->watch->poll, events, on_ready_socket);
		pg->watch->events = events;
	}
	if (r < 0) {
		pg->watch_failed = true;
		pg_turn_start(pg);
	}
}

void pg_watch_flushed(struct pg *pg)
{
	int more = PQflush(pg->conn);

	if (pg_is_broken(pg)) {
		pg_unwatch(pg);
		pg_turn_start(pg);
		return;
	}
	/* For reading also while there is something to write: both sides may be full. */
	pg_watch(pg, UV_READABLE | (more == 1 ? UV_WRITABLE : 0));
}

static void on_turn(uv_idle_t *turn)
{
	struct pg *pg = container_of(turn, struct pg, turn);

	uv_idle_stop(&pg->turn);
	pg_advance(pg);
}

void pg_turn_start(struct pg *pg)
{
	uv_idle_start(&pg->turn, on_turn);
}

struct pg_budget pg_budget(void)
{
	return (struct pg_budget){.until_ns = uv_hrtime() + TURN_NS};
}

bool pg_budget_spent(struct pg_budget *budget)
{
	return ++budget->n >= TURN_STEPS || uv_hrtime() > budget->until_ns;
}
