/*
 * ogdsync why: one paragraph about one day. SPDX-License-Identifier: Apache-2.0
 *
 * The daemon has the words (/sync/why); here they are only folded.
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "lib/exitcode.h"

enum { WIDTH = 78 };

/* Bytes that would steer a terminal become '?'. */
static void put_word(FILE *out, const char *word, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		fputc((unsigned char)word[i] < ' ' || word[i] == 127 ? '?' : word[i], out);
	}
}

static int print_text(struct cli *cli, const json_t *json)
{
	const char *text = json_string_value(json_object_get(json, "text"));
	size_t column = 0;

	if (!text) {
		return cli_error(cli, EXITCODE_UNAVAILABLE, "the answer is not what ogdsyncd says");
	}
	while (*text) {
		size_t len = strcspn(text, " ");

		if (column > 0 && column + 1 + len > WIDTH) {
			fputc('\n', cli->out);
			column = 0;
		} else if (column > 0) {
			fputc(' ', cli->out);
			column++;
		}
		put_word(cli->out, text, len);
		column += len;
		text += len + strspn(text + len, " ");
	}
	fputc('\n', cli->out);
	return EXITCODE_OK;
}

static int run_why(struct cli *cli)
{
	_cleanup_buffer_ struct buffer path = {0};
	int code = daemon_check_date(cli, "date");

	if (code != 0) {
		return code;
	}
	if (!cli_option(cli, "date")) {
		return cli_usage(cli, "--date is missing");
	}
	buffer_append_str(&path, "/sync/why");
	daemon_add_param(&path, "dataset", cli_option(cli, "dataset"));
	daemon_add_param(&path, "date", cli_option(cli, "date"));
	daemon_add_param(&path, "state", cli_option(cli, "state"));
	return daemon_show(cli, buffer_str(&path), print_text);
}

static const struct cli_option options[] = {
	CLI_OPTION_JSON,
	{"dataset", "NAME", "of this dataset (the first one that has a date)"},
	{"date", "DATE", "the day, such as 2026-11-19"},
	{"state", "NAME", "the part of the day that has this value, such as Kerala"},
	CLI_OPTION_END,
};

const struct command command_why = {
	.name = "why",
	.synopsis = "",
	.summary = "Explain one day",
	.help = "Was it due, what came of it, what is stored, and what happens next and when.\n",
	.run = run_why,
	.options = options,
};
