/*
 * ogdsync schedule next: what the daemon will do. SPDX-License-Identifier: Apache-2.0
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/table.h"
#include "lib/exitcode.h"

static int print_ticks(struct cli *cli, const json_t *json)
{
	static const struct table_column columns[] = {
		{.name = "AT"}, {.name = "SOURCE"}, {.name = "TRIGGER"}};
	struct table table = {.columns = columns, .n_columns = N_ELEMENTS(columns)};
	const json_t *ticks = json_object_get(json, "schedule"), *tick;
	size_t i;
	int r;

	json_array_foreach(ticks, i, tick)
	{
		table_add(&table, json_string_value(json_object_get(tick, "at")));
		table_addf(&table, "%s/%s", json_string_value(json_object_get(tick, "dataset")),
			json_string_value(json_object_get(tick, "source")));
		table_add(&table, json_string_value(json_object_get(tick, "trigger")));
	}
	if (json_array_size(ticks) == 0) {
		fputs("Nothing runs by itself.\n", cli->out);
	}
	r = table_print(&table, cli->out);
	table_fini(&table);
	return r < 0 ? cli_error(cli, EXITCODE_SOFTWARE, "out of memory") : EXITCODE_OK;
}

static int run_next(struct cli *cli)
{
	_cleanup_buffer_ struct buffer path = {0};
	const char *n = cli->n_operands > 0 ? cli->operands[0] : NULL;

	if (n && (n[0] == '\0' || strspn(n, "0123456789") != strlen(n) || strlen(n) > 3)) {
		return cli_usage(cli, "N is a whole number from 1 to 500");
	}
	buffer_append_str(&path, "/sync/schedule");
	daemon_add_param(&path, "n", n);
	return daemon_show(cli, buffer_str(&path), print_ticks);
}

static const struct cli_option options[] = {
	CLI_OPTION_JSON,
	CLI_OPTION_END,
};

const struct command command_schedule_next = {
	.name = "schedule next",
	.synopsis = "[N]",
	.summary = "List the next runs of the schedule",
	.help = "The next N (10) of all sources, with their jitter. Healing is not on the schedule.\n",
	.run = run_next,
	.options = options,
	.max_operands = 1,
};
