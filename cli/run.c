/*
 * ogdsync run: fetch now. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is: one POST for each source; with --wait, look every now and then what became of the
 * runs, draw how far the one that is fetched has come, say how each ended, and exit with the worst.
 *
 * A source that is being run already is no reason to stop with --wait: that run is waited for. A run
 * whose rows wait for the database is not waited for longer than a restart of that takes: 75.
 */

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/progress.h"
#include "daemon/exit_code.h"
#include "lib/exitcode.h"

enum { MAX_RUNS = 64, LOOK_MS = 200, PATIENCE = 5000 / LOOK_MS, LABEL_BYTES = 256 };

struct waited {
	int64_t id;
	char label[LABEL_BYTES];
	unsigned n_waits; /* looks in a row that found it waiting for the database */
	bool over;
};

struct job {
	struct cli *cli;
	struct waited runs[MAX_RUNS];
	unsigned n_runs;
	struct progress progress;
	char what[LABEL_BYTES + 64]; /* that the bar is about */
	int code;                    /* the worst so far */
};

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static int64_t number_of(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void worse(struct job *job, int code)
{
	job->code = job->code == EXITCODE_OK ? code : exit_code_worse(job->code, code);
}

/* ---- asking for runs ---- */

static json_t *request_body(const struct cli *cli, const char *label)
{
	const char *slash = strchr(label, '/');
	json_t *body = json_pack("{s:s%}", "dataset", label,
		slash ? (size_t)(slash - label) : strlen(label));

	if (slash) {
		json_object_set_new(body, "source", json_string(slash + 1));
	}
	if (cli_option(cli, "from")) {
		json_object_set_new(body, "from", json_string(cli_option(cli, "from")));
	}
	if (cli_option(cli, "to")) {
		json_object_set_new(body, "to", json_string(cli_option(cli, "to")));
	}
	if (cli_flag(cli, "accept")) {
		json_object_set_new(body, "accept", json_true());
	}
	return body;
}

static void add_run(struct job *job, const char *label, int64_t id)
{
	struct waited *run = &job->runs[job->n_runs++];

	*run = (struct waited){.id = id};
	snprintf(run->label, sizeof(run->label), "%s", label);
}

static void ask_for(struct job *job, const char *label)
{
	struct cli *cli = job->cli;
	bool wait = cli_flag(cli, "wait");
	struct client_answer answer;
	json_t *json;
	int code = daemon_post_any(cli, "/sync/run", request_body(cli, label), &answer);

	if (code == 0 && (answer.status == 202 || (answer.status == 409 && wait))) {
		json = json_loads(buffer_str(&answer.body), 0, NULL);
		add_run(job, label, number_of(json, "run"));
		json_decref(json);
	} else {
		worse(job, code ? code : daemon_refused(cli, &answer));
	}
	client_answer_fini(&answer);
}

/* Each source that the schedule runs by itself. */
static void ask_for_scheduled(struct job *job, const json_t *status)
{
	const json_t *dataset, *source;
	char label[LABEL_BYTES];
	size_t i, k;

	json_array_foreach(json_object_get(status, "datasets"), i, dataset)
	{
		json_array_foreach(json_object_get(dataset, "sources"), k, source)
		{
			if (job->n_runs < MAX_RUNS &&
				(json_is_string(json_object_get(source, "next_run_at")) ||
					json_is_true(json_object_get(source, "paused")) ||
					json_is_true(json_object_get(status, "paused")))) {
				snprintf(label, sizeof(label), "%s/%s", text_of(dataset, "name"),
					text_of(source, "name"));
				ask_for(job, label);
			}
		}
	}
}

/* The document at `path`, or NULL; what is no 2xx is said unless `quiet`. */
static json_t *get(struct job *job, const char *path, int *ret_status)
{
	struct client_request request = {.path = path};
	struct client_answer answer;
	json_t *json = NULL;
	int code = daemon_ask(job->cli, &request, &answer);

	*ret_status = code == 0 ? answer.status : 0;
	if (code != 0) {
		worse(job, code);
	} else if (answer.status == 200) {
		json = json_loads(buffer_str(&answer.body), 0, NULL);
	}
	client_answer_fini(&answer);
	return json;
}

/* ---- waiting ---- */

static void draw(struct job *job, const json_t *status)
{
	const json_t *running = json_object_get(status, "running");
	char what[sizeof(job->what)];
	uint64_t began_ms = job->progress.began_ms;

	if (!json_is_object(running)) {
		progress_clear(&job->progress);
		return;
	}
	snprintf(what, sizeof(what), "%.128s/%.64s %.80s", text_of(running, "dataset"),
		text_of(running, "source"), text_of(running, "slice") ? text_of(running, "slice") : "");
	if (strcmp(what, job->what) != 0) {
		progress_clear(&job->progress);
		memcpy(job->what, what, sizeof(what));
		progress_begin(&job->progress, job->cli->err, job->what, 0);
		job->progress.began_ms = began_ms ? began_ms : job->progress.began_ms;
	}
	job->progress.total = (uint64_t)number_of(running, "pages");
	progress_set(&job->progress, (uint64_t)number_of(running, "page"));
}

static bool waits_for_database(const json_t *status)
{
	const char *database = text_of(json_object_get(status, "database"), "state");
	const char *lease = text_of(json_object_get(status, "lease"), "state");

	return !database || !lease || strcmp(database, "up") != 0 || strcmp(lease, "holder") != 0;
}

static void say(struct job *job, const struct waited *run, const json_t *json)
{
	FILE *out = job->cli->out;

	progress_clear(&job->progress);
	fprintf(out, "%s run %" PRId64 " %s: received %" PRId64 ", new %" PRId64 ", changed %" PRId64
		", unchanged %" PRId64 ", duplicate %" PRId64 ", refused %" PRId64 "%s%s\n",
		run->label, run->id, text_of(json, "state"), number_of(json, "received"),
		number_of(json, "inserted"), number_of(json, "updated"), number_of(json, "unchanged"),
		number_of(json, "duplicate"), number_of(json, "quarantined"),
		text_of(json, "error") ? "; " : "", text_of(json, "error") ? text_of(json, "error") : "");
	fflush(out);
}

/* True when there is nothing more to wait for. */
static bool look_at(struct job *job, struct waited *run, const json_t *status)
{
	char path[64];
	int http;
	json_t *json;
	const char *state;

	snprintf(path, sizeof(path), "/sync/runs/%" PRId64, run->id);
	json = get(job, path, &http);
	state = text_of(json, "state");
	if (!state) {
		/* The daemon was restarted, and the database cannot be asked; or neither knows it. */
		run->over = http == 0 || http == 404;
		if (http == 404) {
			worse(job, cli_error(job->cli, EXITCODE_TRY_AGAIN,
					   "run %" PRId64 ": nothing is known of it", run->id));
		}
	} else if (json_is_string(json_object_get(json, "finished_at"))) {
		run->over = true;
		say(job, run, json);
		worse(job, exit_code_of_words(state, text_of(json, "code")));
	} else if (strcmp(state, "spooled") != 0 || !waits_for_database(status)) {
		run->n_waits = 0;
	} else if (++run->n_waits > PATIENCE) {
		run->over = true;
		progress_clear(&job->progress);
		worse(job, cli_error(job->cli, EXITCODE_TRY_AGAIN,
				   "%s run %" PRId64 ": all is fetched, and waits for the database",
				   run->label, run->id));
	}
	json_decref(json);
	return run->over;
}

static void wait_for_all(struct job *job)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	unsigned n_open = job->n_runs;
	int http;

	while (n_open > 0) {
		json_t *status = get(job, "/sync/status", &http);

		if (!status) {
			break;
		}
		draw(job, status);
		n_open = 0;
		for (unsigned i = 0; i < job->n_runs; i++) {
			n_open += !job->runs[i].over && !look_at(job, &job->runs[i], status);
		}
		json_decref(status);
		if (n_open > 0) {
			nanosleep(&pause, NULL);
		}
	}
	progress_clear(&job->progress);
}

static int run_run(struct cli *cli)
{
	struct job job = {.cli = cli};
	json_t *status;
	int http;

	if (!cli_option(cli, "from") != !cli_option(cli, "to")) {
		return cli_usage(cli, "--from and --to go together");
	}
	if (cli->n_operands > MAX_RUNS) {
		return cli_usage(cli, "at most %d sources", MAX_RUNS);
	}
	progress_begin(&job.progress, cli->err, job.what, 0);
	for (int i = 0; i < cli->n_operands; i++) {
		ask_for(&job, cli->operands[i]);
	}
	if (cli->n_operands == 0) {
		status = get(&job, "/sync/status", &http);
		ask_for_scheduled(&job, status);
		json_decref(status);
		if (job.n_runs == 0 && job.code == 0) {
			return cli_error(cli, EXITCODE_NO_INPUT, "no source has a schedule: name one");
		}
	}
	if (cli_flag(cli, "wait")) {
		wait_for_all(&job);
		return job.code;
	}
	for (unsigned i = 0; i < job.n_runs; i++) {
		fprintf(cli->out, "%s run %" PRId64 "\n", job.runs[i].label, job.runs[i].id);
	}
	return job.code;
}

static const struct cli_option options[] = {
	{"from", "DATE", "with --to: these data dates, not what is due"},
	{"to", "DATE", "the last one"},
	{"accept", NULL, "rows that vanished at the portal are meant to"},
	{"wait", NULL, "until it has ended, and exit with its outcome"},
	CLI_OPTION_END,
};

const struct command command_run = {
	.name = "run",
	.synopsis = "[DATASET[/SOURCE]...]",
	.summary = "Fetch now",
	.help = "Each source of the schedule, or these: a dataset stands for its first source, with "
		"dates\n"
		"for the first one that is fetched by dates. A run takes at most 400 dates.\n"
		"\n"
		"With --wait the exit code is 0 success; 75 partial, suspect, canceled, or fetched "
		"and not\n"
		"loaded; 69 the portal is unavailable; 77 the key or a database right was refused. "
		"The run\n"
		"goes on when this command is ended.\n",
	.run = run_run,
	.options = options,
	.max_operands = -1,
};
