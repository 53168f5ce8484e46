#pragma once

/*
 * Loading again: the load stage under the lease of a command, and the runs that it is booked under.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is loaded again is a run of its own for each source, so that the books of the run that
 * fetched stay as they were; the rows carry the id of the run that fetched them all the same.
 */

#include "cli/holder.h"
#include "daemon/load.h"

struct rerun {
	const struct source *source;
	struct ledger_run run;
	unsigned n_again; /* slices that were booked under it */
	unsigned n_bad;
	struct error first; /* why the first of the bad ones is */
};

struct rerun_list {
	struct holder *holder;
	char trigger[SPOOL_NAME_BYTES]; /* "replay:uid=1000" */
	struct rerun *reruns;
	unsigned n;
	int64_t next_id; /* 0: not asked yet */
};

/* `verb` is what was commanded; who did is written behind it. Fini in any case. */
void rerun_init(struct rerun_list *list, struct holder *holder, const char *verb);
void rerun_fini(struct rerun_list *list);

/*
 * Load one slice. Of `replay` run and uuid are filled in; the reader is taken. -1: why is in
 * `error`, and counts as a slice that could not be loaded.
 */
int rerun_load(struct rerun_list *list, const struct source *source, struct load_replay *replay,
	bool force, struct spool_reader *take_reader, struct load_result *ret, struct error *error)
	must_check;

/* A slice could not be loaded, whose file was not even tried. */
void rerun_bad(struct rerun_list *list, const struct source *source, const struct error *error);

/* Book the ends. -1: holder->database.error. */
int rerun_finish(struct rerun_list *list) must_check;
