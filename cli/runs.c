/*
 * ogdsync runs: what ran, and how it ended. SPDX-License-Identifier: Apache-2.0
 *
 * The documents are the daemon's, from the books; --json prints them as they came.
 */

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/table.h"
#include "lib/exitcode.h"

static const char *text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static void add_number(struct table *table, const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	if (json_is_integer(value)) {
		table_addf(table, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	} else {
		table_add(table, NULL);
	}
}

/* To the second: the zone is that of the daemon. */
static void add_time(struct table *table, const json_t *json, const char *key)
{
	const char *text = text_of(json, key);

	table_addf(table, "%.19s", text ? text : "");
}

static const char *why(const json_t *json)
{
	return text_of(json, "error") ? text_of(json, "error") : text_of(json, "code");
}

static int print(struct cli *cli, struct table *table)
{
	int r = table_print(table, cli->out);

	table_fini(table);
	return r < 0 ? cli_error(cli, EXITCODE_SOFTWARE, "out of memory") : EXITCODE_OK;
}

static int print_runs(struct cli *cli, const json_t *list)
{
	static const struct table_column columns[] = {
		{"RUN", true},
		{"SOURCE", false},
		{"STARTED", false},
		{"STATE", false},
		{"RECEIVED", true},
		{"NEW", true},
		{"CHANGED", true},
		{"REFUSED", true},
		{"BY", false},
		{"WHY", false},
	};
	struct table table = {.columns = columns, .n_columns = N_ELEMENTS(columns)};
	const json_t *run;
	size_t i;

	json_array_foreach(list, i, run)
	{
		add_number(&table, run, "id");
		table_addf(&table, "%s/%s", text_of(run, "dataset"), text_of(run, "source"));
		add_time(&table, run, "started_at");
		table_add(&table, text_of(run, "state"));
		add_number(&table, run, "received");
		add_number(&table, run, "inserted");
		add_number(&table, run, "updated");
		add_number(&table, run, "quarantined");
		table_add(&table, text_of(run, "trigger"));
		table_add(&table, why(run));
	}
	return print(cli, &table);
}

static int print_slices(struct cli *cli, const json_t *list)
{
	static const struct table_column columns[] = {
		{"SLICE", false},
		{"STATE", false},
		{"EXPECTED", true},
		{"RECEIVED", true},
		{"NEW", true},
		{"CHANGED", true},
		{"REFUSED", true},
		{"PAGES", true},
		{"LOADED", false},
		{"WHY", false},
	};
	struct table table = {.columns = columns, .n_columns = N_ELEMENTS(columns)};
	const json_t *slice;
	size_t i;

	json_array_foreach(list, i, slice)
	{
		table_add(&table, text_of(slice, "slice"));
		table_add(&table, text_of(slice, "state"));
		add_number(&table, slice, "expected");
		add_number(&table, slice, "received");
		add_number(&table, slice, "inserted");
		add_number(&table, slice, "updated");
		add_number(&table, slice, "quarantined");
		add_number(&table, slice, "pages");
		add_time(&table, slice, "loaded_at");
		table_add(&table, why(slice));
	}
	return print(cli, &table);
}

static int print_run(struct cli *cli, json_t *run)
{
	json_t *list = json_pack("[O]", run);
	int code = print_runs(cli, list);

	json_decref(list);
	if (code == 0 && json_array_size(json_object_get(run, "slice_list")) > 0) {
		fputc('\n', cli->out);
		code = print_slices(cli, json_object_get(run, "slice_list"));
	}
	return code;
}

static int print_answer(struct cli *cli, const struct client_answer *answer)
{
	json_t *json;
	int code;

	if (cli_flag(cli, "json")) {
		fprintf(cli->out, "%s\n", buffer_str(&answer->body));
		return 0;
	}
	json = json_loads(buffer_str(&answer->body), 0, NULL);
	code = !json		   ? cli_error(cli, EXITCODE_UNAVAILABLE, "that is no answer of ogdsyncd")
	       : cli->n_operands ? print_run(cli, json)
				 : print_runs(cli, json_object_get(json, "runs"));
	json_decref(json);
	return code;
}

/* A path of the daemon's; -1: a value that could be anything else in it. */
static int make_path(const struct cli *cli, char *path, size_t size)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
	const char *limit = cli_option(cli, "limit"), *before = cli_option(cli, "before");
	const char *source = cli_option(cli, "source");
	const char *values[] = {limit, before, source, cli->n_operands ? cli->operands[0] : NULL};

	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		if (values[i] && values[i][strspn(values[i], plain)] != '\0') {
			return -1;
		}
	}
	if (cli->n_operands) {
		snprintf(path, size, "/sync/runs/%s", cli->operands[0]);
	} else {
		snprintf(path, size, "/sync/runs?limit=%s%s%s%s%s", limit ? limit : "20",
			before ? "&before=" : "", before ? before : "", source ? "&source=" : "",
			source ? source : "");
	}
	return 0;
}

static int run_runs(struct cli *cli)
{
	struct client_answer answer;
	char path[512];
	int code;

	if (make_path(cli, path, sizeof(path)) < 0) {
		return cli_usage(cli, "there is a character that no id or name has");
	}
	code = daemon_get(cli, path, &answer);
	if (code == 0) {
		code = print_answer(cli, &answer);
	}
	client_answer_fini(&answer);
	return code;
}

static const struct cli_option options[] = {
	CLI_OPTION_JSON,
	{"limit", "N", "so many (20; at most 500)"},
	{"before", "RUN", "older than this one"},
	{"source", "DATASET/SOURCE", "only of this source"},
	CLI_OPTION_END,
};

const struct command command_runs = {
	.name = "runs",
	.synopsis = "[RUN]",
	.summary = "List what ran and how it ended, or show one run with its slices",
	.help = "The newest first. Needs the daemon, and the database for all that has ended.\n",
	.run = run_runs,
	.options = options,
	.max_operands = 1,
};
