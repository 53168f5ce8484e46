#pragma once

/*
 * The second connection to the database: holds the lease, and answers questions while the first one
 * loads. SPDX-License-Identifier: Apache-2.0
 *
 * Owned by the daemon, who starts it when the schema is known to be there. Connects again by itself.
 */

#include <stdbool.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/lease.h"

struct reader;

struct reader_options {
	uv_loop_t *loop;
	struct config *config; /* a reference is taken */
	const char *holder;    /* spool_holder() */
	/* The lease was won, lost or cannot be known: see reader_lease(). */
	void (*on_lease)(void *arg);
	void *arg;
};

/* -1: with an error; *ret is then NULL, or must be closed. */
int reader_new(const struct reader_options *options, struct reader **ret, struct error *error)
	must_check;

/* Connect, if it is not; want the lease. */
void reader_start(struct reader *reader);

/* Borrowed until the next turn of the loop. */
const struct lease_status *reader_lease(struct reader *reader);

/* The statement that a load transaction begins with, while we hold the lease; else "". Appended. */
void reader_fence_sql(struct reader *reader, struct buffer *sql);

/*
 * Ask one statement, after those that were asked before. Everything is copied. 0, and then
 * on_result comes once, later: what the server says, or an error of class RETRY ("down" without a
 * connection, "timeout"), or CANCELED when the reader is closed. Else it never comes: -EBUSY when too
 * many wait, -ECANCELED after reader_close(), -ENOMEM. A result is borrowed for the call.
 */
int reader_query(struct reader *reader, const char *sql, const struct pg_param *params,
	unsigned n_params, pg_result_fn on_result, void *arg) must_check;

/*
 * Give the lease up, so that a command can take it, and want it again `hold_off_ms` later. A load
 * that is going on ends as it would; nobody has the lease before that. Returns false when it is not
 * ours to lend; true also when it was lent just before.
 */
bool reader_lend(struct reader *reader, uint64_t hold_off_ms);

/* By when (loop time) what it waits for must have ended; UINT64_MAX: it waits for nothing. */
uint64_t reader_deadline_ms(const struct reader *reader);

/* Another configuration of the same database. */
void reader_reconfigure(struct reader *reader, struct config *config);

/* Gives the lease up, so that another daemon need not wait for its end, and closes. */
void reader_close(struct reader *reader, void (*on_closed)(void *arg), void *arg);
