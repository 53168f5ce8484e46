#pragma once

/*
 * What the files pg*.c share; nobody else includes it. SPDX-License-Identifier: Apache-2.0
 *
 * pg.c          the object: its states, operations, its end
 * pg_watch.c    the socket's handle, turns of the loop
 * pg_connect.c  from a DSN to an open connection: PQconnectPoll, addresses that do not answer
 * pg_resolve.c  names to addresses
 * pg_query.c    statements and their results
 * pg_copy.c     COPY in and out
 * pg_stop.c     deadlines, canceling
 * pg_cancel.c   PQcancel in the thread pool
 * pg_error.c    from SQLSTATE and libpq's texts to struct error
 * pg_dsn.c      reading connection strings
 */

#include <libpq-fe.h>

#include "lib/pg.h"

/*
 * DOWN ---> RESOLVING ---> CONNECTING ---.
 *  ^                                     v
 *  |  .------------------------------ DELIVERING <--- SETTLING <--.
 *  |  v                                  ^                        |
 * IDLE ---> WAITING <---> COPY_IN        '--------- every state of an operation
 *               ^-------> COPY_OUT
 *
 * DELIVERING ends an operation: back to IDLE or DOWN, then its callback. CLOSING ends every state.
 */
enum pg_state {
	PG_DOWN,
	PG_RESOLVING,  /* waits for names */
	PG_CONNECTING, /* waits for PQconnectPoll */
	PG_IDLE,
	PG_WAITING,    /* a statement was sent: flush it, take its results */
	PG_COPY_IN,    /* the server takes data */
	PG_COPY_OUT,   /* the server gives data */
	PG_SETTLING,   /* the outcome is known, but a cancel request is still on its way */
	PG_DELIVERING, /* the callback is due */
	PG_CLOSING,
	PG_N_STATES,
};

enum pg_op_kind {
	PG_OP_NONE,
	PG_OP_CONNECT,
	PG_OP_QUERY,
	PG_OP_ROWS,
	PG_OP_EXEC,
	PG_OP_COPY_IN,
	PG_OP_COPY_OUT,
};

/* Who ended the operation before its time. */
enum pg_stop { PG_STOP_NONE, PG_STOP_CANCEL, PG_STOP_TIMEOUT, PG_STOP_COPY_FAIL };

struct pg_op {
	enum pg_op_kind kind;
	enum pg_stop stop;
	bool commit;	  /* the statement is COMMIT: lost means uncertain */
	bool fatal;	  /* the server said FATAL: it closes the connection */
	PGresult *result; /* the last good one */
	struct error error;
	pg_done_fn on_done;
	pg_result_fn on_result;
	pg_row_fn on_row;
	pg_data_fn on_data;
	struct pg_copy_in copy;
	void *arg;
};

/* One way to the server: what goes into host=, hostaddr= and port=. */
struct pg_target {
	unsigned rank;		  /* of its host in the DSN */
	char *host, *addr, *port; /* "" where not given */
};

enum { PG_MAX_TARGETS = 64 };

struct pg_lookup;

struct pg_connecting {
	struct pg_target targets[PG_MAX_TARGETS];
	unsigned n_targets;
	struct pg_lookup *lookups; /* of names, in flight */
	unsigned n_lookups;
	struct error unresolved; /* the first name that could not be resolved */
	unsigned current;	 /* the target that libpq tries, as far as we can tell */
	uint64_t share_until_ms; /* when it has had its share of the time */
};

struct pg_copying {
	bool ended;		 /* PQputCopyEnd was called */
	bool full;		 /* pg_copy_put said 1; on_drain is owed */
	size_t n_unflushed;	 /* bytes put since PQflush was asked */
	size_t n_turn;		 /* bytes put since the loop turned */
	uint64_t doubt_until_ms; /* the server said something: an error unless it is a notice */
	unsigned n_notices;	 /* how many there were when the doubt arose */
};

struct pg_watch; /* a uv_poll_t on one descriptor */

struct pg {
	uv_loop_t *loop;
	struct pg_options options; /* strings are ours */
	enum pg_state state;
	PGconn *conn; /* NULL: none */
	struct pg_watch *watch;
	uv_timer_t timer;
	uv_idle_t turn; /* active: go on in the next turn of the loop */
	unsigned n_handles;

	struct pg_op op;
	uint64_t deadline_ms; /* loop time; 0 none */
	bool watch_failed;    /* no memory for a handle, or the descriptor is no good */
	struct pg_connecting connecting;
	struct pg_copying copying;
	struct pg_cancel_work *cancel_work; /* in the thread pool, or NULL */
	uint64_t cancel_again_ms;	    /* when to send one more; 0 never */

	unsigned n_notices;
	char notice[ERROR_TEXT_BYTES];
	char notice_code[6];
	bool notice_fatal;

	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* ---- pg.c ---- */
void pg_enter(struct pg *pg, enum pg_state next);
void pg_advance(struct pg *pg); /* may end in the operation's callback: the caller's last act */
bool pg_is_broken(const struct pg *pg);
void pg_drop(struct pg *pg); /* the connection, at once; the state is the caller's business */
void pg_handle_closed(struct pg *pg);

/* An operation begins. */
void pg_start(struct pg *pg, enum pg_op_kind kind, void *arg, uint64_t timeout_ms);
/* Its outcome is in op; delivered by pg_advance, or else in the next turn. */
void pg_conclude(struct pg *pg);

/* ---- pg_watch.c ---- */
void pg_watch(struct pg *pg, int events); /* UV_READABLE | UV_WRITABLE, or 0 */
void pg_watch_flushed(struct pg *pg);	  /* PQflush, then watch for what is needed */
void pg_unwatch(struct pg *pg);
void pg_read_input(struct pg *pg); /* let libpq read */
void pg_turn_start(struct pg *pg); /* pg_advance in the next turn of the loop */

/* A slice of work inside one turn of the loop. */
struct pg_budget {
	unsigned n;
	uint64_t until_ns;
};
struct pg_budget pg_budget(void);
bool pg_budget_spent(struct pg_budget *budget);

/* ---- pg_connect.c ---- */
void pg_connect_step(struct pg *pg);	 /* the socket is ready */
void pg_connect_overdue(struct pg *pg);	 /* the timer fired */
void pg_connect_resolved(struct pg *pg); /* the last name is known, or known to be unknown */
void pg_connect_no_memory(struct pg *pg);

/* ---- pg_resolve.c ---- */
/* 0, or -1 with the error set, or for want of memory. */
int pg_resolve(struct pg *pg, const PQconninfoOption *options) must_check;
void pg_resolve_abandon(struct pg *pg); /* forget lookups in flight, free the targets */
const char *pg_resolve_waits_for(const struct pg *pg); /* a name */
void pg_target_fini(struct pg_target *target);

/* ---- pg_query.c ---- */
bool pg_results_step(struct pg *pg); /* steps return false when they wait */
void pg_send_simple(struct pg *pg, const char *sql);

/* ---- pg_copy.c ---- */
void pg_copy_in_begin(struct pg *pg);
bool pg_copy_in_step(struct pg *pg);
bool pg_copy_out_step(struct pg *pg);
void pg_copy_in_listen(struct pg *pg); /* before libpq may read */
void pg_copy_in_heard(struct pg *pg);  /* after it did */
void pg_copy_in_abort(struct pg *pg, const char *reason);

/* ---- pg_stop.c ---- */
void pg_arm(struct pg *pg); /* set the timer for the earliest of what is due */

/* ---- pg_cancel.c ---- */
int pg_cancel_send(struct pg *pg) must_check; /* -errno when there is nothing to send it with */
void pg_cancel_abandon(struct pg *pg);

/* ---- pg_error.c ---- */
enum error_class pg_error_class(const char *sqlstate);
void pg_error_result(struct pg *pg, const PGresult *result);
void pg_error_lost(struct pg *pg, const char *text);
void pg_error_stopped(struct pg *pg); /* the server did not obey, and the connection goes */
void pg_error_connect(struct pg *pg);
void pg_notice_receiver(void *arg, const PGresult *result);

/* ---- pg_dsn.c ---- */
/* All options, with defaults, environment and service file. NULL: no memory. PQconninfoFree it. */
PQconninfoOption *pg_dsn_options(const char *dsn);
const char *pg_dsn_option(const PQconninfoOption *options, const char *keyword); /* "" when unset */
