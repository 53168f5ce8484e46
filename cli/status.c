/*
 * ogdsync status: how the daemon is doing. SPDX-License-Identifier: Apache-2.0
 *
 * The text for people is rendered by the daemon (?format=text), so that curl shows the same.
 * --check judges by the JSON document and exits as monitoring plugins do: what needs somebody now
 * is critical, what may pass by itself is a warning. A day that is missing is neither: the daemon
 * heals it, and the status says so.
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "lib/exitcode.h"

struct verdict {
	enum check_level level;
	struct buffer reasons;
};

static void worse(
	struct verdict *verdict, enum check_level level, const char *what, const char *detail)
{
	if (level > verdict->level) {
		verdict->level = level;
	}
	buffer_printf(&verdict->reasons, "%s%s%s%s", verdict->reasons.len > 0 ? "; " : "", what,
		detail ? ": " : "", detail ? detail : "");
}

static const char *text_at(const json_t *json, const char *object, const char *key)
{
	return json_string_value(json_object_get(json_object_get(json, object), key));
}

static void judge_sync(struct verdict *verdict, const json_t *json)
{
	const char *status = text_at(json, "last_sync", "status");
	const char *error = text_at(json, "last_sync", "error");

	if (!status) {
		worse(verdict, CHECK_WARNING, "nothing was synced yet", NULL);
	} else if (strcmp(status, "failed") == 0) {
		worse(verdict, CHECK_CRITICAL, "the last sync failed", error);
	} else if (strcmp(status, "success") != 0) {
		worse(verdict, CHECK_WARNING, status, error);
	}
}

static void judge_database(struct verdict *verdict, const json_t *json)
{
	const char *state = text_at(json, "database", "state");
	const char *error = text_at(json, "database", "error");

	if (state && strcmp(state, "schema") == 0) {
		worse(verdict, CHECK_CRITICAL, "the tables do not fit the datasets", error);
	} else if (state && strcmp(state, "down") == 0) {
		worse(verdict, CHECK_WARNING, "the database is down", error);
	}
}

static void judge_stale(struct verdict *verdict, const json_t *json)
{
	const json_t *dataset;
	size_t i;

	json_array_foreach(json_object_get(json, "datasets"), i, dataset)
	{
		if (json_is_true(json_object_get(dataset, "stale"))) {
			worse(verdict, CHECK_CRITICAL, "stale",
				json_string_value(json_object_get(dataset, "name")));
		}
	}
}

static struct verdict judge(const json_t *json)
{
	struct verdict verdict = {.level = CHECK_OK};

	if (!json_is_string(json_object_get(json, "status"))) {
		worse(&verdict, CHECK_UNKNOWN, "this is not the status of ogdsyncd", NULL);
		return verdict;
	}
	judge_stale(&verdict, json);
	judge_database(&verdict, json);
	judge_sync(&verdict, json);
	if (json_is_true(json_object_get(json, "paused"))) {
		worse(&verdict, CHECK_WARNING, "paused", NULL);
	}
	return verdict;
}

static void print_verdict(struct cli *cli, const struct verdict *verdict)
{
	static const struct {
		const char *name, *color;
	} levels[] = {
		[CHECK_OK] = {"OK", "\033[32m"},
		[CHECK_WARNING] = {"WARNING", "\033[33m"},
		[CHECK_CRITICAL] = {"CRITICAL", "\033[31m"},
		[CHECK_UNKNOWN] = {"UNKNOWN", "\033[35m"},
	};
	bool color = cli_color(cli->out);

	fprintf(cli->out, "%s%s%s%s%s\n", color ? levels[verdict->level].color : "",
		levels[verdict->level].name, color ? "\033[0m" : "",
		verdict->reasons.len > 0 ? ": " : "", buffer_str(&verdict->reasons));
}

static int check(struct cli *cli)
{
	struct client_answer answer;
	struct verdict verdict = {.level = CHECK_CRITICAL};
	int code = daemon_get(cli, "/sync/status", &answer);
	json_t *json = code == 0 ? json_loads(buffer_str(&answer.body), 0, NULL) : NULL;

	if (code == 0) {
		verdict = judge(json);
		print_verdict(cli, &verdict);
	} else if (code == EXITCODE_CONFIG || code == EXITCODE_NO_PERMISSION) {
		verdict.level = CHECK_UNKNOWN; /* the daemon may be well */
	}
	json_decref(json);
	buffer_fini(&verdict.reasons);
	client_answer_fini(&answer);
	return (int)verdict.level;
}

static int run_status(struct cli *cli)
{
	struct client_answer answer;
	bool json = cli_flag(cli, "json");
	int code;

	if (cli_flag(cli, "check")) {
		return json ? cli_usage(cli, "--check and --json exclude each other") : check(cli);
	}
	code = daemon_get(cli, json ? "/sync/status" : "/sync/status?format=text", &answer);
	if (code == 0) {
		fwrite(buffer_str(&answer.body), 1, answer.body.len, cli->out);
	}
	client_answer_fini(&answer);
	return code;
}

static const struct cli_option options[] = {
	CLI_OPTION_JSON,
	{"check", NULL, "one line, and exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN"},
	CLI_OPTION_END,
};

const struct command command_status = {
	.name = "status",
	.synopsis = "",
	.summary = "Say how the daemon is doing",
	.help = "What runs, what is next, the outcome of the last sync, and how complete the data "
		"is.\n"
		"\n"
		"With --check: CRITICAL is a daemon that does not answer, a dataset that is stale, "
		"a\n"
		"failed sync, or tables that do not fit. WARNING is any other sync that was no "
		"success, a\n"
		"database that is down, or a pause. UNKNOWN is not being able to ask.\n",
	.run = run_status,
	.options = options,
};
