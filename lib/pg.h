#pragma once

/*
 * One libpq connection on a libuv loop: connect, query, copy in, copy out, cancel.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The only files that know libpq (pg*.c). One operation at a time; its callback may start the next.
 * Works through PgBouncer in transaction mode: no startup options, no named statements. Names are
 * resolved by uv_getaddrinfo with a deadline (PQconnectStart blocks on DNS), cancel runs in the
 * thread pool (PQcancel blocks). Neither a password nor a conninfo is ever part of an error text.
 *
 * SQLSTATE decides the class of an error: 08, 57P, 53, 40, 55P03, 57014, 25006 (read-only), and a
 * lost connection are RETRY; a connection lost after COMMIT was sent is UNCERTAIN (the statement's
 * text is exactly "COMMIT"); the rest is REJECTED, a COMMIT that was answered by ROLLBACK too.
 * error->code is the SQLSTATE ("23505"), or "connection", "timeout", "resolve", "dsn", "canceled".
 * A FATAL error, and whatever breaks the connection, leaves it disconnected before the callback
 * comes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/attr.h"
#include "lib/error.h"

struct pg;
struct pg_result;

struct pg_options {
	const char *dsn; /* keyword=value or URI, several hosts allowed; copied */
	const char *application_name;
	/* Whole attempt, name resolution included; several addresses share it. */
	uint64_t connect_timeout_ms;
	/* Client side: cancels and fails when an operation takes longer; 0 none. */
	uint64_t statement_timeout_ms;
	/* The idle connection was lost (server shutdown). Not called during an operation, may be NULL. */
	void (*on_lost)(void *arg, const struct error *error);
	void *arg; /* for on_lost */
};

int pg_new(uv_loop_t *loop, const struct pg_options *options, struct pg **ret,
	struct error *error) must_check;

/*
 * Cancels a running operation (its callback comes with CANCELED first, even that of a COMMIT),
 * closes, frees. Nothing may be started any more. A name that is being looked up keeps the loop
 * alive.
 */
void pg_close(struct pg *pg, void (*on_closed)(void *arg), void *arg);

/* Every callback below comes once, never before the call returned; error is NULL on success. */
typedef void (*pg_done_fn)(void *arg, const struct error *error);

/* Connect, or connect again: an old connection is dropped first. */
void pg_connect(struct pg *pg, pg_done_fn on_done, void *arg);
void pg_disconnect(struct pg *pg); /* at once; no operation may be running */
/* Of the operations that begin from now on; see pg_options. */
void pg_set_statement_timeout(struct pg *pg, uint64_t ms);
/* By when (loop time) the running operation must have ended; UINT64_MAX: none runs, or no limit. */
uint64_t pg_deadline_ms(const struct pg *pg);
bool pg_is_connected(const struct pg *pg);
bool pg_is_busy(const struct pg *pg);
const char *pg_user(const struct pg *pg); /* the role that logged in; "" unless connected */

/* The server's last notice or warning since the present or last operation began; "" if none. */
const char *pg_last_notice(const struct pg *pg);

/*
 * A parameter in text format, or binary with binary = true; NULL data is NULL. Borrowed until
 * pg_query() returns.
 */
struct pg_param {
	const char *data;
	int len; /* binary only */
	bool binary;
	uint32_t oid; /* 0: the server infers it */
};

/* `result` is borrowed until the callback returns, and NULL when error is set. */
typedef void (*pg_result_fn)(void *arg, const struct pg_result *result, const struct error *error);

/* One statement. `sql` is borrowed until pg_query() returns. */
void pg_query(struct pg *pg, const char *sql, const struct pg_param *params, unsigned n_params,
	pg_result_fn on_result, void *arg);

/* The same, rows one by one (single-row mode, binary results): on_row for each, then on_done. */
struct pg_row; /* see pg_row_field */
typedef void (*pg_row_fn)(void *arg, const struct pg_result *row);
void pg_query_rows(struct pg *pg, const char *sql, const struct pg_param *params, unsigned n_params,
	pg_row_fn on_row, pg_done_fn on_done, void *arg);

/* Several statements without parameters in one text (migrations). The last result counts. */
void pg_exec(struct pg *pg, const char *sql, pg_done_fn on_done, void *arg);

int pg_n_rows(const struct pg_result *result);
int pg_n_columns(const struct pg_result *result);
bool pg_is_null(const struct pg_result *result, int row, int column);
const char *pg_value(const struct pg_result *result, int row, int column); /* text, "" for NULL */
int pg_value_len(const struct pg_result *result, int row, int column);
/* Of a text value; 0 for NULL. */
int64_t pg_i64(const struct pg_result *result, int row, int column);
bool pg_bool(const struct pg_result *result, int row, int column);
int64_t pg_affected(const struct pg_result *result); /* rows of INSERT, UPDATE, DELETE, COPY */

/*
 * COPY .. FROM STDIN. on_ready comes when the server awaits data; from then on pg_copy_put() until
 * pg_copy_end(), whose on_done comes with the server's answer. If the server ends the COPY first
 * (an error), on_done comes likewise and nothing more may be put: it is one callback for the whole
 * operation. pg_copy_put() returns 0 to go on, 1 when the socket is full: put no more until
 * on_drain. PQputCopyData itself never pushes back, so whoever ignores the 1 buffers without limit.
 * Blocks of some KiB are best. An error of the server is noticed after about 100 ms, or at
 * pg_copy_end().
 */
struct pg_copy_in {
	void (*on_ready)(void *arg);
	void (*on_drain)(void *arg);
	pg_result_fn on_done;
	void *arg;
};
void pg_copy_in(struct pg *pg, const char *sql, const struct pg_copy_in *copy);
int pg_copy_put(struct pg *pg, const void *data, size_t len) must_check;
void pg_copy_end(struct pg *pg);
/* The server rolls the COPY back; on_done comes with CANCELED. */
void pg_copy_fail(struct pg *pg, const char *reason);

/* COPY .. TO STDOUT: each piece is one row of the stream (the first one also holds the header). */
typedef void (*pg_data_fn)(void *arg, const void *data, size_t len);
void pg_copy_out(struct pg *pg, const char *sql, pg_data_fn on_data, pg_done_fn on_done, void *arg);

/*
 * Ask the server to stop the running operation; its callback comes with CANCELED (or its result).
 * No row or data comes after this. A server that does not answer loses the connection after 5 s.
 */
void pg_cancel(struct pg *pg);

/* `name` as a quoted SQL identifier, appended; `text` as a quoted literal. */
struct buffer;
void pg_append_ident(struct buffer *out, const char *name);
void pg_append_literal(struct buffer *out, const char *text);

/* Append one element to a text-format array literal '{...}': opened with "{" by the first call. */
void pg_array_append(struct buffer *array, const char *element, size_t len);
void pg_array_append_null(struct buffer *array);
void pg_array_end(struct buffer *array);
