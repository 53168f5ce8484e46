/*
 * ogdsync reload: let the daemon read its configuration again. SPDX-License-Identifier: Apache-2.0
 *
 * The daemon says at once whether it can, and what will change. It takes the new configuration when
 * the slice in work has ended; --wait looks in the status document until that has happened.
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "lib/exitcode.h"

enum { LOOK_MS = 100 };

static void print_lines(FILE *file, const json_t *list)
{
	const json_t *line;
	size_t i;

	json_array_foreach(list, i, line)
	{
		fprintf(file, "%s\n", json_string_value(line));
	}
}

/* True while the daemon has not taken it; *code is set when it cannot be asked any more. */
static bool is_waiting(struct cli *cli, int *code)
{
	struct client_answer answer;
	json_t *status;
	bool waiting = false;

	*code = daemon_get(cli, "/sync/status", &answer);
	if (*code == 0) {
		status = json_loads(buffer_str(&answer.body), 0, NULL);
		waiting = json_is_string(json_object_get(status, "reload"));
		json_decref(status);
	}
	client_answer_fini(&answer);
	return waiting;
}

static int wait_for_it(struct cli *cli)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	int code;

	while (is_waiting(cli, &code)) {
		nanosleep(&pause, NULL);
	}
	return code;
}

static int run_reload(struct cli *cli)
{
	struct client_answer answer;
	json_t *json = NULL;
	int code = daemon_post_any(cli, "/sync/reload", json_object(), &answer);

	if (code == 0) {
		json = json_loads(buffer_str(&answer.body), 0, NULL);
		print_lines(cli->err, json_object_get(json, "problems"));
		code = answer.status == 202 ? 0 : daemon_refused(cli, &answer);
		print_lines(cli->out, json_object_get(json, "changes"));
	}
	json_decref(json);
	client_answer_fini(&answer);
	return code == 0 && cli_flag(cli, "wait") ? wait_for_it(cli) : code;
}

static const struct cli_option options[] = {
	{"wait", NULL, "until the daemon works by it"},
	CLI_OPTION_END,
};

const struct command command_reload = {
	.name = "reload",
	.synopsis = "",
	.summary = "Let the daemon read its configuration again",
	.help = "All of it or nothing: with a wrong file, or when what changed needs a restart "
		"(listen,\n"
		"spool.directory, the database's dsn, owner_dsn and create_tables), every problem is\n"
		"printed, the old configuration stays in force, and the exit code is 78. Else what\n"
		"changes is printed. A slice in work ends under the old configuration.\n",
	.run = run_reload,
	.options = options,
};
