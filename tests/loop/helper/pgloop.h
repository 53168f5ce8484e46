#pragma once

/*
 * A struct pg on a loop of its own, driven by a test. SPDX-License-Identifier: Apache-2.0
 *
 * Each call below starts one operation and turns the loop until it is over; what came is in the
 * struct. pgloop_close() checks that nothing is left behind.
 */

#include <uv.h>

#include "lib/buffer.h"
#include "lib/pg.h"

struct pgloop {
	uv_loop_t loop;
	struct pg *pg;
	unsigned n_done, n_lost, n_closed;
	struct error error; /* of the last operation; ERROR_NONE is success */
	struct error lost;
	struct buffer rows; /* of the last result: '|' between values, '\n' after rows, ~ for NULL */
	long n_rows, affected;
	uv_timer_t guard;
	bool overdue;
};

void pgloop_open(struct pgloop *l, const char *dsn);
void pgloop_open_with(struct pgloop *l, const struct pg_options *options); /* on_lost is ours */
void pgloop_close(struct pgloop *l);

/* Turn the loop until `*counter` is `n`, or fail after 20 s. */
void pgloop_until(struct pgloop *l, const unsigned *counter, unsigned n);

void pgloop_try_connect(struct pgloop *l);
void pgloop_connect(struct pgloop *l); /* must succeed */
void pgloop_try(struct pgloop *l, const char *sql);
void pgloop_query(struct pgloop *l, const char *sql); /* must succeed */
void pgloop_exec(struct pgloop *l, const char *sql);
long pgloop_number(struct pgloop *l, const char *sql);

/* The callbacks, for operations that a test starts by itself. arg is the struct pgloop. */
void pgloop_on_done(void *arg, const struct error *error);
void pgloop_on_result(void *arg, const struct pg_result *result, const struct error *error);

/* Heap bytes in use, whoever allocated them; works under AddressSanitizer too. */
size_t pgloop_heap_bytes(void);
