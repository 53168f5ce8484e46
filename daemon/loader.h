#pragma once

/*
 * The queue in front of the load stage: ready slices and runs to book, one at a time, for as long as
 * the database takes to come back. SPDX-License-Identifier: Apache-2.0
 *
 * Owns the load connection: connects, checks (or makes) the schema, fills the lookup caches, and
 * connects again whenever it is lost. Nothing that was added is ever dropped but by loader_close():
 * a slice lies in the spool, and the next start adds it again.
 */

#include <stdbool.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/ledger.h"
#include "daemon/load.h"
#include "daemon/spool.h"
#include "daemon/valueset.h"
#include "lib/clock.h"

enum loader_state {
	LOADER_DOWN,   /* no connection; the error says why, once there was an attempt */
	LOADER_SCHEMA, /* connected, but the schema is not what the configuration needs */
	LOADER_UP,
};

struct loader;

struct loader_options {
	uv_loop_t *loop;
	const struct clock *clock;
	struct config *config; /* a reference is taken */
	struct spool *spool;

	/*
	 * Appends the statement that a load transaction begins with, or nothing when we may not write:
	 * then nothing is loaded until loader_wake().
	 */
	void (*fence)(void *arg, struct buffer *sql);
	/* The state changed, or its error did. */
	void (*on_state)(void *arg, enum loader_state state, const struct error *error);
	/*
	 * A slice is settled: committed (error NULL), or refused for good (REJECTED: its file stays
	 * in the spool and is tried again after the next connect).
	 */
	void (*on_slice)(void *arg, const struct load_result *result, const struct error *error);
	/* Nothing is left to do. */
	void (*on_idle)(void *arg);
	/* An attempt failed and will be repeated. */
	void (*on_retry)(void *arg, const char *uuid, const struct error *error);
	void *arg;
};

int loader_new(const struct loader_options *options, struct loader **ret, struct error *error)
	must_check;

enum loader_file {
	LOADER_READY,
	LOADER_LOADED, /* has been: make sure that the database (a restored one?) still has it */
};

/* A file of the spool is to be loaded. 0 or -ENOMEM (then it waits for the next start). */
int loader_add(struct loader *loader, const char *uuid, unsigned n_slices, enum loader_file file)
	must_check;

/*
 * Nobody wants the rows of a file that was added. True: it was forgotten, on_slice will not come.
 * False: it is being loaded; that is rolled back, and on_slice comes with CANCELED, or with success
 * when the commit was under way.
 */
bool loader_cancel(struct loader *loader, const char *uuid);

/* Book the end of a run, after all that was added before. Strings are copied. */
int loader_finish_run(struct loader *loader, const struct ledger_run *run, enum run_state state,
	const char *code, const char *text, int64_t finished_us) must_check;

/* After all that was added before: runs below this id that are still open will be ended by nobody. */
int loader_close_runs(struct loader *loader, int64_t before) must_check;

/*
 * Adds the stored values of the column that the source splits by, as far as they are known: those of
 * the lookup that has the column, as of the last connect and what was loaded since. None before the
 * first connect, or when the column is in no lookup. 0 or -ENOMEM.
 */
int loader_stored_values(const struct loader *loader, const struct source *source,
	struct valueset *values) must_check;

/* The lease cannot be renewed for this reason: look whether it is the database. */
void loader_doubt(struct loader *loader, const struct error *error);

/* By when (loop time) what it waits for must have ended; UINT64_MAX: it waits for nothing. */
uint64_t loader_deadline_ms(const struct loader *loader);

/* Begin nothing until loader_go_on(). Still is it when nothing of it uses the configuration. */
void loader_hold(struct loader *loader);
bool loader_is_still(const struct loader *loader);
void loader_go_on(struct loader *loader);

/*
 * Another configuration of the same database, while it is still: connects again, for the schema to be
 * checked and the lookups to be read. -ENOMEM: all is as it was.
 */
int loader_reconfigure(struct loader *loader, struct config *config) must_check;

/* The lease may be ours now: go on. */
void loader_wake(struct loader *loader);

enum loader_state loader_state(const struct loader *loader);
const struct error *loader_error(const struct loader *loader); /* why not UP; may be unset */
unsigned loader_attempts(const struct loader *loader); /* failed attempts since the last success */
bool loader_is_idle(const struct loader *loader);      /* nothing queued, nothing running */
/* The database refused a slice of it, which waits in the spool to be tried again. */
bool loader_has_refused(const struct loader *loader, const struct source *source);

/* Cancels what runs; on_slice does not come any more. `loader` is gone when on_closed comes. */
void loader_close(struct loader *loader, void (*on_closed)(void *arg), void *arg);
