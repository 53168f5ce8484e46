#pragma once

/*
 * The insides of the runner, for its own files: runner.c (the queue of runs), run.c (the slices of one
 * run, in the order of the stages), run_split.c (a slice in parts), run_cancel.c (ended before its
 * time), run_end.c (what became of it).
 * SPDX-License-Identifier: Apache-2.0
 */

#include <sys/queue.h>

#include "daemon/run.h"

enum slice_phase {
	SLICE_PLANNED,
	SLICE_FETCHING,
	SLICE_SPLIT, /* fetched, and stands behind its parts, for their outcome is part of its own */
	SLICE_FETCHED, /* the file of the slice before is not ready yet */
	SLICE_COMMITTING,
	SLICE_READY,
	SLICE_SETTLED,
};

struct slice {
	struct plan_slice plan;
	char uuid[SPOOL_UUID_BYTES];
	enum slice_phase phase;
	enum run_state state; /* when settled */
	struct spool_outcome outcome;
	char *split_value; /* of a part: as served; NULL: a whole */
	struct split split;          /* of a whole in SLICE_SPLIT: its parts stand before it */
	struct spool_writer *writer; /* only in SLICE_SPLIT and SLICE_FETCHED */
	char left[SPOOL_UUID_BYTES]; /* the file of a dead process that is taken over, or "" */
};

struct run {
	TAILQ_ENTRY(run) entry;
	struct runner *runner;
	struct config *config;
	struct run_info info;
	char trigger[SPOOL_NAME_BYTES];
	struct error error; /* the first */
	struct error stop;  /* the portal will not serve this source: no more slices */
	struct slice *slices;
	unsigned next; /* slice to fetch */
	bool writing;  /* a file is being made .ready: that of slice `written` */
	unsigned written;
	uint64_t write_by_ms; /* the clock's */
	struct fetch *fetch;
	bool spooled;  /* all fetched */
	bool canceled; /* by an operator */
	bool gives_way, refused;
};

TAILQ_HEAD(run_list, run);

struct runner {
	struct runner_options options;
	struct run_list queue;   /* not begun */
	struct run_list waiting; /* fetched, not settled */
	struct run *fetching;
	uv_timer_t timer; /* begins the next step in a turn of its own */
	int64_t last_id;
	bool held; /* begins no slice */
	bool closing;
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* runner.c: look for the next step, in a turn of its own. */
void runner_kick(struct runner *runner);

/* run.c */
struct slice *run_slice_now(struct run *run);
void run_outcome_error(const struct spool_outcome *outcome, struct error *error); /* unless proven */
void run_keep_error(struct run *run, const struct error *error); /* the first one stays */
/* The next slice, or the end of fetching. */
void run_step(struct run *run);
/* A slice is being fetched or written; the end of that comes by itself. */
bool run_is_busy(const struct run *run);
/* Write the outcome of the present slice behind its pages; then the loader has it. */
void run_commit(struct run *run, struct spool_writer *take_writer);

/* run_split.c */
/* True: the slice that was just fetched comes again, in parts. */
bool run_split(struct run *run, const struct fetch_result *result);
/* All parts are fetched: what they make of the whole is committed. */
void run_finish_split(struct run *run);
/* The slice whose parts are being fetched. */
struct slice *run_whole_of(struct run *run);

/* run_cancel.c: settle the slices that were not begun, without a word for each. */
void run_drop_rest(struct run *run);

/* run_end.c */
void run_settle(struct run *run, struct slice *slice, enum run_state state);
/* The loader is done with a slice; may be the run's end. */
void run_take_result(struct run *run, struct slice *slice, const struct load_result *result,
	const struct error *error);
struct slice *run_find_slice(struct run *run, const char *uuid); /* that the loader has; or NULL */
bool run_is_settled(const struct run *run);
/* Everything is fetched and settled: tell and forget it. */
void run_end_if_settled(struct run *run);
void run_free(struct run *run);
