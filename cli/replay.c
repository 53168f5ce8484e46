/*
 * ogdsync replay: load files of the spool again. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - find the files: by name, by the run that fetched them, or by dataset and slice; in the order
 *     of the runs, parts of a split slice before the whole;
 *   - become the holder of the lease (holder.h);
 *   - each through the load stage. A row that is as it was is left alone, so the same pages again
 *     write nothing. What is in quarantine from the same slice is looked at again too, and leaves
 *     if it is loaded now;
 *   - book the ends of the runs that they were booked under (rerun.h).
 *
 * A file whose fetch failed for the dataset's sake (schema_drift, too_many_bad_rows) was kept for
 * this: its pages are judged by today's rules first (reprove.h).
 *
 * Possible failure modes are: there is nothing to load in a file, it is damaged, or it fails still:
 * said, the others are loaded, and the exit status is 75 (65 when damaged). None is found: 66.
 */

#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/release.h"
#include "daemon/reprove.h"
#include "daemon/spool_list.h"
#include "lib/exitcode.h"
#include "lib/scrub.h"

struct job {
	char *path;
	struct spool_header header;
};

struct replay {
	struct cli *cli;
	struct holder holder;
	struct rerun_list reruns;
	struct progress progress;
	struct job *jobs;
	unsigned n_jobs;
	bool force;
	int code; /* the first that is not 0 */
	struct release_totals released;
};

static void fail(struct replay *replay, int code)
{
	replay->code = replay->code == EXITCODE_OK ? code : replay->code;
}

/* ---- which files ---- */

static bool is_part(const struct spool_header *header)
{
	return strchr(header->slice, '/') != NULL;
}

static int compare_jobs(const void *a, const void *b)
{
	const struct spool_header *x = &((const struct job *)a)->header;
	const struct spool_header *y = &((const struct job *)b)->header;

	if (x->run != y->run) {
		return x->run < y->run ? -1 : 1;
	}
	if (is_part(x) != is_part(y)) {
		return is_part(x) ? -1 : 1;
	}
	return x->started_us < y->started_us ? -1 : x->started_us > y->started_us;
}

static int add_job(struct replay *replay, const char *path, const struct spool_header *header)
{
	struct job *jobs = reallocarray(replay->jobs, replay->n_jobs + 1, sizeof(*jobs));
	struct job job = {.path = strdup(path), .header = *header};

	if (jobs) {
		replay->jobs = jobs;
	}
	if (!jobs || !job.path) {
		free(job.path);
		return cli_error(replay->cli, EXITCODE_SOFTWARE, "out of memory");
	}
	jobs[replay->n_jobs++] = job;
	return 0;
}

static int file_code(const struct error *error)
{
	return strcmp(error->code, "not_found") == 0 ? EXITCODE_NO_INPUT
	       : strcmp(error->code, "EACCES") == 0  ? EXITCODE_NO_PERMISSION
						     : EXITCODE_DATA;
}

static int add_named(struct replay *replay)
{
	struct cli *cli = replay->cli;
	int code = 0;

	for (int i = 0; i < cli->n_operands && code == 0; i++) {
		struct error error = {.class = ERROR_NONE};
		struct spool_reader *reader;

		if (spool_path_open(cli->operands[i], &reader, &error) < 0) {
			return cli_error(cli, file_code(&error), "%s", error.text);
		}
		code = add_job(replay, cli->operands[i], spool_reader_header(reader));
		spool_reader_free(reader);
	}
	return code;
}

static bool is_wanted(const struct cli *cli, const struct spool_header *header, int64_t run)
{
	return run > 0 ? header->run == run
		       : strcmp(header->slice, cli_option(cli, "slice")) == 0 &&
				 strcmp(header->dataset, cli_option(cli, "dataset")) == 0;
}

/* A file that cannot be read is no reason to leave out the others, if it is not the one. */
static int add_if_wanted(struct replay *replay, struct spool_list *list, struct spool_found *found,
	int64_t run)
{
	_cleanup_buffer_ struct buffer path = {0};
	char name[SPOOL_FILE_NAME_BYTES];
	struct error error = {.class = ERROR_NONE};
	struct spool_reader *reader;
	int code = 0;

	if (found->name.suffix == SPOOL_PART || (run > 0 && found->name.run != run)) {
		return 0;
	}
	if (spool_found_open(list, found, &reader, &error) < 0) {
		if (strcmp(error.code, "not_found") != 0) {
			fail(replay, cli_error(replay->cli, file_code(&error), "%s", error.text));
		}
		return 0;
	}
	if (is_wanted(replay->cli, spool_reader_header(reader), run)) {
		spool_name_format(&found->name, name);
		buffer_printf(&path, "%s/%s", list->directory, name);
		code = add_job(replay, buffer_str(&path), spool_reader_header(reader));
	}
	spool_reader_free(reader);
	return code;
}

static int add_from_spool(struct replay *replay, const struct config *config, int64_t run)
{
	struct error error = {.class = ERROR_NONE};
	struct spool_list list;
	int code = 0;

	if (spool_list_read(config->spool.directory, &list, &error) < 0) {
		code = cli_error(replay->cli, file_code(&error), "%s", error.text);
	}
	for (unsigned i = 0; i < list.n_files && code == 0; i++) {
		code = add_if_wanted(replay, &list, &list.files[i], run);
	}
	spool_list_fini(&list);
	return code;
}

static int find_jobs(struct replay *replay, int64_t run)
{
	struct cli *cli = replay->cli;
	struct database database;
	int code;

	if (cli->n_operands > 0) {
		code = add_named(replay);
	} else {
		code = database_config(cli, &database);
		code = code == 0 ? add_from_spool(replay, database.config, run) : code;
		database_close(&database);
	}
	if (code == 0 && replay->n_jobs == 0) {
		code = cli_error(cli, EXITCODE_NO_INPUT, "the spool has no such file");
	}
	if (code == 0) {
		qsort(replay->jobs, replay->n_jobs, sizeof(*replay->jobs), compare_jobs);
	}
	return code;
}

/* ---- one file ---- */

/* Open, and what may be said of it today. */
static int open_job(const struct job *job, const struct source *source,
	struct spool_outcome *ret_outcome, struct spool_reader **ret, struct error *error)
{
	const struct spool_outcome *outcome;

	if (spool_path_open(job->path, ret, error) < 0) {
		return -1;
	}
	outcome = spool_reader_outcome(*ret);
	if (!outcome) {
		error_set(error, ERROR_RETRY, "replay", "unfinished", "%s: still being fetched",
			job->path);
	} else if (outcome->pages == 0 || outcome->state == SLICE_SUSPECT) {
		error_set(error, ERROR_REJECTED, "replay", "nothing", "%s: holds no pages: %s",
			job->path, outcome->text);
	} else {
		*ret_outcome = *outcome;
		if (outcome->state != SLICE_FAILED ||
			(reprove(*ret, source, ret_outcome, error) == 0 &&
				ret_outcome->state != SLICE_FAILED)) {
			return 0;
		}
		error_set(error, ERROR_REJECTED, "replay", ret_outcome->reason, "%s: %s", job->path,
			ret_outcome->text);
	}
	*ret = spool_reader_free(*ret);
	return -1;
}

static void say_result(struct replay *replay, const struct job *job, const struct load_result *result)
{
	const struct row_counts *counts = &result->counts;

	progress_clear(&replay->progress);
	fprintf(replay->cli->out,
		"%s/%s %s of run %" PRId64 ": %s, %" PRIu64 " received = %" PRIu64 " inserted + %" PRIu64
		" updated + %" PRIu64 " unchanged + %" PRIu64 " duplicate + %" PRIu64
		" quarantined\n",
		job->header.dataset, job->header.source, job->header.slice, job->header.run,
		slice_state_name(result->outcome.state), counts->received, counts->inserted,
		counts->updated, counts->unchanged, counts->duplicate, counts->quarantined);
}

/* What was rejected when these pages came, and was loaded now, leaves quarantine. */
static int release_job(struct replay *replay, const struct job *job)
{
	struct ledger_pick pick = {
		.dataset = job->header.dataset,
		.source = job->header.source,
		.slice = job->header.slice,
		.run = job->header.run,
	};

	return release_records(&replay->reruns, &pick, NULL, &replay->released);
}

static int load_job(struct replay *replay, const struct job *job, const struct source *source,
	struct error *error)
{
	struct load_replay again = {.release = NULL};
	struct load_result result;
	struct spool_reader *reader;

	if (open_job(job, source, &again.outcome, &reader, error) < 0) {
		rerun_bad(&replay->reruns, source, error);
		return -1;
	}
	if (rerun_load(&replay->reruns, source, &again, replay->force, reader, &result, error) < 0) {
		return -1;
	}
	say_result(replay, job, &result);
	return 0;
}

static int code_of(const struct error *error)
{
	return strcmp(error->code, "damaged") == 0 ? EXITCODE_DATA : EXITCODE_TRY_AGAIN;
}

/* The exit code that ends it all, 0 to go on. */
static int replay_job(struct replay *replay, const struct job *job)
{
	struct database *database = &replay->holder.database;
	struct error error = {.class = ERROR_NONE};
	const struct source *source =
		config_source(database->config, job->header.dataset, job->header.source);

	if (!source) {
		error_set(&error, ERROR_REJECTED, "replay", "unknown_source",
			"%s: %s/%s is not configured", job->path, job->header.dataset,
			job->header.source);
	} else if (load_job(replay, job, source, &error) == 0) {
		return release_job(replay, job);
	}
	progress_clear(&replay->progress);
	scrub_text(error.text);
	fail(replay, cli_error(replay->cli, code_of(&error), "%s", error.text));
	/* Without connection or lease the others fare no better. */
	return pg_is_connected(database->pg) && strcmp(error.code, "fenced") != 0 ? 0
										  : replay->code;
}

static int replay_all(struct replay *replay)
{
	int code = 0;

	progress_begin(&replay->progress, replay->cli->err, "replaying", replay->n_jobs);
	for (unsigned i = 0; i < replay->n_jobs && code == 0; i++) {
		progress_set(&replay->progress, i);
		code = replay_job(replay, &replay->jobs[i]);
	}
	progress_clear(&replay->progress);
	if (replay->released.released > 0) {
		fprintf(replay->cli->out, "%" PRIu64 " records left quarantine\n",
			replay->released.released);
	}
	if (code == 0 && rerun_finish(&replay->reruns) < 0) {
		code = database_fail(replay->cli, &replay->holder.database.error);
	}
	return code != 0 ? code : replay->code;
}

/* ---- the command ---- */

static int check_operands(struct cli *cli, int64_t *ret_run)
{
	const char *run = cli_option(cli, "run"), *slice = cli_option(cli, "slice");
	int n_ways = (run != NULL) + (slice != NULL) + (cli->n_operands > 0);

	if (n_ways != 1) {
		return cli_usage(cli, "name files, or a run, or a slice");
	}
	if ((slice != NULL) != (cli_option(cli, "dataset") != NULL)) {
		return cli_usage(cli, "--slice and --dataset go together");
	}
	if (run && !cli_id(run, ret_run)) {
		return cli_usage(cli, "--run: '%s' is no id of a run", run);
	}
	return 0;
}

static int run_replay(struct cli *cli)
{
	struct replay replay = {.cli = cli, .force = cli_flag(cli, "force")};
	int64_t run = 0;
	int code = check_operands(cli, &run);

	if (code != 0) {
		return code;
	}
	code = find_jobs(&replay, run);
	if (code == 0) {
		code = holder_open(cli, &replay.holder);
		rerun_init(&replay.reruns, &replay.holder, "replay");
		if (code == 0) {
			code = replay_all(&replay);
		}
		rerun_fini(&replay.reruns);
		holder_close(&replay.holder);
	}
	for (unsigned i = 0; i < replay.n_jobs; i++) {
		free(replay.jobs[i].path);
	}
	free(replay.jobs);
	return code;
}

static const struct cli_option options[] = {
	{"run", "N", "all slices that this run fetched"},
	{"slice", "NAME", "all files of this slice, 2026-11-19 or all"},
	{"dataset", "D", "of this dataset"},
	{"force", NULL, "values of an older run may replace those of a younger one"},
	CLI_OPTION_END,
};

const struct command command_replay = {
	.name = "replay",
	.synopsis = "[FILE...]",
	.summary = "Load fetched slices again",
	.help = "Loads files of the spool once more, for instance after a rule of the dataset was\n"
		"mended: what was rejected then, or failed as schema_drift, is loaded if it is good "
		"now.\n"
		"Rows that are as they were are not written. A daemon that runs lends its lease "
		"and\n"
		"goes on afterwards.\n",
	.run = run_replay,
	.options = options,
	.max_operands = -1,
};
