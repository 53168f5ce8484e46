/*
 * Loading again. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: the first slice of a source gets a run, with an id above all that the ledger knows;
 * each is loaded in a transaction of its own, which begins with our fence; at the end each run that
 * anything was booked under gets its state.
 *
 * Failure modes: a load fails: nothing of it is stored, the next one may go well. We are killed: what
 * was committed stays, and the daemon marks the run `interrupted` at its next start.
 */

#include "cli/rerun.h"

#include <string.h>
#include <unistd.h>

#include "daemon/spool.h"
#include "lib/clock.h"

static const char scratch_directory[] = "/var/tmp"; /* what does not fit into load.memory */

void rerun_init(struct rerun_list *list, struct holder *holder, const char *verb)
{
	*list = (struct rerun_list){.holder = holder};
	snprintf(list->trigger, sizeof(list->trigger), "%s:uid=%ld", verb, (long)getuid());
}

void rerun_fini(struct rerun_list *list)
{
	free(list->reruns);
}

/* ---- the run of a source ---- */

static void on_next_id(void *arg, const struct pg_result *result, const struct error *error)
{
	struct rerun_list *list = arg;

	if (!error) {
		list->next_id = pg_i64(result, 0, 0);
	}
	database_done(&list->holder->database, error);
}

static int ask_id(struct rerun_list *list)
{
	struct database *database = &list->holder->database;

	if (list->next_id > 0) {
		return 0;
	}
	ledger_next_run(database->pg, on_next_id, list);
	return database_wait(database);
}

static struct rerun *find_rerun(struct rerun_list *list, const struct source *source)
{
	struct rerun *reruns;

	for (unsigned i = 0; i < list->n; i++) {
		if (list->reruns[i].source == source) {
			return &list->reruns[i];
		}
	}
	reruns = reallocarray(list->reruns, list->n + 1, sizeof(*reruns));
	if (!reruns) {
		return NULL;
	}
	list->reruns = reruns;
	reruns[list->n] = (struct rerun){
		.source = source,
		.run =
			{
				.id = list->next_id + list->n,
				.dataset = source->dataset->name,
				.source = source->name,
				.trigger = list->trigger,
				.started_us = clock_wall_us(&clock_system),
			},
	};
	return &reruns[list->n++];
}

void rerun_bad(struct rerun_list *list, const struct source *source, const struct error *error)
{
	struct rerun *rerun = find_rerun(list, source);

	if (rerun && rerun->n_bad++ == 0) {
		rerun->first = *error;
	}
}

/* ---- one slice ---- */

struct loading {
	struct database *database;
	struct load_result *result;
};

static void on_loaded(void *arg, const struct load_result *result, const struct error *error)
{
	struct loading *loading = arg;

	*loading->result = *result;
	database_done(loading->database, error);
}

static int load_one(struct rerun_list *list, struct rerun *rerun, struct load_options *options,
	struct load_result *ret, struct error *error)
{
	struct database *database = &list->holder->database;
	struct loading loading = {database, ret};
	struct load *load;

	rerun->run.n_slices = rerun->n_again + 1;
	if (load_start(options, NULL, on_loaded, &loading, &load, error) < 0) {
		return -1;
	}
	if (database_wait(database) < 0) {
		*error = database->error;
		return -1;
	}
	rerun->n_again += ret->again;
	return 0;
}

int rerun_load(struct rerun_list *list, const struct source *source, struct load_replay *replay,
	bool force, struct spool_reader *take_reader, struct load_result *ret, struct error *error)
{
	struct database *database = &list->holder->database;
	struct load_options options = {
		.loop = &database->loop,
		.pg = database->pg,
		.clock = &clock_system,
		.dataset = source->dataset,
		.source = source,
		.memory_bytes = database->config->load_memory_bytes,
		.statement_timeout_ms = database->config->database.statement_timeout_ms,
		.n_slices = 1,
		.take_reader = take_reader,
		.directory = scratch_directory,
		.replay = replay,
		.force = force,
	};
	struct rerun *rerun = NULL;
	int r = -1;

	if (ask_id(list) == 0 && holder_lookups(list->holder, source->dataset, &options.lookups) == 0) {
		rerun = find_rerun(list, source);
	} else {
		*error = database->error;
	}
	if (rerun && spool_uuid_new(replay->uuid) == 0) {
		replay->run = rerun->run;
		options.fence = holder_fence(list->holder);
		r = load_one(list, rerun, &options, ret, error);
	} else {
		spool_reader_free(take_reader);
		error_no_memory(error, "replay"); /* the first error stays */
	}
	if (r < 0) {
		rerun_bad(list, source, error);
	}
	return r;
}

/* ---- the end ---- */

static void on_finished(void *arg, const struct pg_result *result, const struct error *error)
{
	struct error fenced = {.class = ERROR_NONE};

	if (!error && pg_n_rows(result) == 0) {
		lease_set_fenced(&fenced);
		error = &fenced;
	}
	database_done(arg, error);
}

int rerun_finish(struct rerun_list *list)
{
	struct database *database = &list->holder->database;
	int r = 0;

	for (unsigned i = 0; i < list->n && r == 0; i++) {
		struct rerun *rerun = &list->reruns[i];

		if (rerun->n_again == 0) {
			continue;
		}
		rerun->run.n_slices = rerun->n_again;
		ledger_finish_run(database->pg, holder_fence(list->holder), &rerun->run,
			rerun->n_bad > 0 ? RUN_PARTIAL : RUN_SUCCESS, rerun->first.code,
			rerun->first.text, clock_wall_us(&clock_system), on_finished, database);
		r = database_wait(database);
	}
	return r;
}
