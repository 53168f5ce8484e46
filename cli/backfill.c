/*
 * ogdsync backfill: name days that healing shall fetch. SPDX-License-Identifier: Apache-2.0
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "daemon/jsontext.h"
#include "lib/exitcode.h"

static json_int_t number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void print_answer(struct cli *cli, const json_t *json)
{
	json_int_t days = number(json, "days_needed");

	fprintf(cli->out,
		"%" JSON_INTEGER_FORMAT " days are marked as missing; %" JSON_INTEGER_FORMAT
		" days of the range are holes.\n",
		number(json, "marked"), number(json, "holes"));
	if (number(json, "holes") > 0) {
		fprintf(cli->out,
			"Healing fetches %" JSON_INTEGER_FORMAT " on each day, the newest first; %"
			JSON_INTEGER_FORMAT " newer ones go before: about %" JSON_INTEGER_FORMAT
			" day%s.\n",
			number(json, "max_slices_per_day"), number(json, "newer_holes"), days,
			days == 1 ? "" : "s");
	}
}

/* {"from": .., ..} of the options that are given; NULL when out of memory. */
static json_t *make_body(const struct cli *cli)
{
	static const char *const names[] = {"dataset", "source", "from", "to"};
	json_t *json = json_object();

	for (unsigned i = 0; i < N_ELEMENTS(names) && json; i++) {
		const char *text = cli_option(cli, names[i]);

		if (text && json_object_set_new(json, names[i], jsontext_string(text)) < 0) {
			json_decref(json);
			json = NULL;
		}
	}
	return json;
}

static int run_backfill(struct cli *cli)
{
	struct client_answer answer = {.status = 0};
	int code = daemon_check_date(cli, "from");
	json_t *json;

	code = code ? code : daemon_check_date(cli, "to");
	if (code == 0 && (!cli_option(cli, "from") || !cli_option(cli, "to"))) {
		code = cli_usage(cli, "--from and --to are needed");
	}
	code = code ? code : daemon_post(cli, "/sync/backfill", make_body(cli), &answer);
	if (code == 0 && cli_flag(cli, "json")) {
		fprintf(cli->out, "%s\n", buffer_str(&answer.body));
	} else if (code == 0) {
		json = json_loads(buffer_str(&answer.body), 0, NULL);
		print_answer(cli, json);
		json_decref(json);
	}
	client_answer_fini(&answer);
	return code;
}

static const struct cli_option options[] = {
	CLI_OPTION_JSON,
	{"dataset", "NAME", "of this dataset (the first one that has a date)"},
	{"source", "NAME", "by this source (the one that heals)"},
	{"from", "DATE", "from this day on"},
	{"to", "DATE", "up to this day"},
	CLI_OPTION_END,
};

const struct command command_backfill = {
	.name = "backfill",
	.synopsis = "",
	.summary = "Have days fetched that nothing is known of",
	.help = "Marks the days of the range that are in no book as missing; healing fetches them,\n"
		"the newest first, within its daily budget. Days that are known stay as they are.\n",
	.run = run_backfill,
	.options = options,
};
