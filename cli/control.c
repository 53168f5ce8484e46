/*
 * ogdsync pause, resume, cancel: steer the running daemon. SPDX-License-Identifier: Apache-2.0
 *
 * Each is one POST, for everything or for each source that is named. The daemon logs who asked.
 */

#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "lib/exitcode.h"

/* Takes what the daemon answered with, or NULL; for each source (NULL: for all). */
typedef void (*tell_fn)(struct cli *cli, const char *source, const json_t *answer);

static int ask(struct cli *cli, const char *path, const char *source, tell_fn tell)
{
	struct client_answer answer;
	json_t *json = NULL;
	int code = daemon_post(cli, path, source ? json_pack("{s:s}", "source", source) : json_object(),
		&answer);

	if (code == 0) {
		json = json_loads(buffer_str(&answer.body), 0, NULL);
		tell(cli, source, json);
	}
	json_decref(json);
	client_answer_fini(&answer);
	return code;
}

/* All of them, also after one that failed; the first failure counts. */
static int ask_each(struct cli *cli, const char *path, tell_fn tell)
{
	int code = cli->n_operands == 0 ? ask(cli, path, NULL, tell) : 0;

	for (int i = 0; i < cli->n_operands; i++) {
		int r = ask(cli, path, cli->operands[i], tell);

		code = code ? code : r;
	}
	return code;
}

static void tell_paused(struct cli *cli, const char *source, const json_t *answer)
{
	(void)answer;
	fprintf(cli->out, "%s is paused\n", source ? source : "the schedule");
}

static int run_pause(struct cli *cli)
{
	return ask_each(cli, "/sync/pause", tell_paused);
}

static void tell_resumed(struct cli *cli, const char *source, const json_t *answer)
{
	(void)answer;
	fprintf(cli->out, "%s goes on\n", source ? source : "the schedule");
}

static int run_resume(struct cli *cli)
{
	return ask_each(cli, "/sync/resume", tell_resumed);
}

static void tell_canceled(struct cli *cli, const char *source, const json_t *answer)
{
	const json_t *run;
	size_t i;

	(void)source;
	json_array_foreach(json_object_get(answer, "runs"), i, run)
	{
		fprintf(cli->out, "run %" JSON_INTEGER_FORMAT " is canceled\n",
			json_integer_value(run));
	}
}

static int run_cancel(struct cli *cli)
{
	return ask_each(cli, "/sync/cancel", tell_canceled);
}

const struct command command_pause = {
	.name = "pause",
	.synopsis = "[DATASET/SOURCE...]",
	.summary = "Let the schedule start nothing until it is resumed",
	.help = "All of the schedule, or only these sources. A restart of the daemon does not end a "
		"pause.\n"
		"What runs goes on, and `ogdsync run` still runs what it is told to.\n",
	.run = run_pause,
	.max_operands = -1,
};

const struct command command_resume = {
	.name = "resume",
	.synopsis = "[DATASET/SOURCE...]",
	.summary = "End a pause",
	.help = "What was missed meanwhile is fetched as one run.\n",
	.run = run_resume,
	.max_operands = -1,
};

const struct command command_cancel = {
	.name = "cancel",
	.synopsis = "[DATASET/SOURCE...]",
	.summary = "End what runs and what is queued",
	.help = "All runs, or those of these sources. The request to the portal and the statement in "
		"the\n"
		"database are stopped; what was fetched and not loaded is dropped. Slices that were\n"
		"committed stay. Exit code 75: nothing runs.\n",
	.run = run_cancel,
	.max_operands = -1,
};
