#pragma once

/*
 * Runs: the only file that knows the order of the stages. SPDX-License-Identifier: Apache-2.0
 *
 * A run executes one source for a list of slices:
 *
 *	planned -> fetching -> spooled -> loading -> committed    (or partial | suspect | failed)
 *
 * One run fetches at a time, in the order of requests, a source once in the queue. What was
 * fetched goes to the loader; the next run fetches while that loads. Owned by the daemon.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/fetch.h"
#include "daemon/load.h"
#include "daemon/loader.h"
#include "daemon/plan.h"
#include "daemon/portal.h"
#include "daemon/run_info.h"
#include "daemon/split.h"
#include "daemon/spool.h"
#include "lib/clock.h"

struct runner;

struct runner_options {
	uv_loop_t *loop;
	const struct clock *clock;
	struct config *config; /* a reference is taken by each run */
	struct spool *spool;
	struct portal *portal;
	struct loader *loader;
	int64_t last_id; /* no run gets an id below or equal */

	void (*on_start)(void *arg, const struct run_info *run);
	void (*on_progress)(void *arg, const struct run_info *run);
	/* The passes could not prove a slice: it is fetched again in so many parts. */
	void (*on_split)(void *arg, const struct run_info *run, const char *slice,
		const struct spool_outcome *outcome, unsigned n_parts);
	/* A slice was fetched (and is safe in the spool unless `error` is set). */
	void (*on_fetched)(void *arg, const struct run_info *run, const char *slice,
		const struct spool_outcome *outcome, const struct error *error);
	/* Everything is fetched; what is in the spool waits for the database. */
	void (*on_spooled)(void *arg, const struct run_info *run);
	void (*on_end)(void *arg, const struct run_info *run);
	void *arg;
};

int runner_new(const struct runner_options *options, struct runner **ret) must_check; /* -errno */

/*
 * Ask for a run. Returns its id; 0 when the source is queued or being fetched already; -errno. The
 * fetch begins in a later turn of the loop.
 */
int64_t runner_add(struct runner *runner, const struct source *source, const char *trigger,
	const struct plan_slice *slices, unsigned n_slices);

/*
 * The same for holes, with the trigger "heal": only while no other run is queued or fetched; and it
 * gives way to one that comes later, behind the slice that is being fetched, as it does when the
 * portal refuses a slice. What it had not begun is then not part of it.
 */
int64_t runner_heal(struct runner *runner, const struct source *source,
	const struct plan_slice *slices, unsigned n_slices);

/*
 * End the runs of `source` (NULL: of all) as canceled: what is being fetched or loaded is stopped, and
 * what waits for the loader is dropped. A slice that was committed stays. on_end comes later, also
 * for those that had not begun, without on_start. Returns how many, their ids in `ids`.
 */
enum { RUNNER_MAX_CANCELED = 64 };
unsigned runner_cancel(struct runner *runner, const struct source *source, const char *who,
	int64_t ids[static RUNNER_MAX_CANCELED]);

/* The loader is done with a slice (of any run, also one of an earlier process: ignored). */
void runner_settle(struct runner *runner, const struct load_result *result,
	const struct error *error);

int64_t runner_last_id(const struct runner *runner); /* that was given to a run */
int64_t runner_oldest_id(const struct runner *runner); /* below it all runs are over */
const struct run_info *runner_fetching(struct runner *runner); /* or NULL */
unsigned runner_queue(const struct runner *runner, const struct source **sources, unsigned max);
bool runner_is_idle(const struct runner *runner);     /* nothing queued, fetching or unsettled */
bool runner_is_fetching(const struct runner *runner); /* queued or fetching */
bool runner_has(const struct runner *runner, const struct source *source); /* queued or running */
/* The run that keeps another of its source from being added; 0: none. */
int64_t runner_find(const struct runner *runner, const struct source *source);
/* A run that has not ended; NULL: none. state is running while it is queued, too. */
const struct run_info *runner_info(const struct runner *runner, int64_t id);

/* Begin no slice until runner_go_on(). Still is it when none is being fetched. */
void runner_hold(struct runner *runner);
bool runner_is_still(const struct runner *runner);
void runner_go_on(struct runner *runner);

/* For the runs that are asked for from now on; those before keep theirs. */
void runner_reconfigure(struct runner *runner, struct config *config);

/* By when the present fetch must show progress (the clock's ms); UINT64_MAX: nothing runs. */
uint64_t runner_deadline_ms(const struct runner *runner);
/* The same for the file that is being made .ready. */
uint64_t runner_write_deadline_ms(const struct runner *runner);

/*
 * Stop: the fetch is canceled (what it has is committed to the spool), the queue is emptied.
 * on_closed comes when nothing of a run is on its way any more; the runner is gone.
 */
void runner_close(struct runner *runner, void (*on_closed)(void *arg), void *arg);
