/*
 * ogdsync config check, config show: the configuration as the daemon would read it.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include "cli/commands.h"
#include "daemon/config.h"
#include "lib/exitcode.h"

/* A line for each; the last one may say how many more there are. */
static unsigned count_problems(const char *report)
{
	unsigned n = 0, n_more;

	for (const char *line = report; *line; line += *line == '\n') {
		n += sscanf(line, "and %u more", &n_more) == 1 ? n_more : 1;
		line += strcspn(line, "\n");
	}
	return n;
}

/* 0 and the configuration, or the exit code and the report was printed. */
static int load(struct cli *cli, struct config **ret)
{
	_cleanup_buffer_ struct buffer report = {0};
	const char *file = cli->n_operands > 0 ? cli->operands[0] : cli->config_file;
	unsigned n_problems;

	if (config_load(file, ret, &report) == 0) {
		return 0;
	}
	n_problems = count_problems(buffer_str(&report));
	fputs(buffer_str(&report), cli->err);
	return cli_error(cli, EXITCODE_CONFIG, "%s: %u problem%s", file, n_problems,
		n_problems == 1 ? "" : "s");
}

static int run_check(struct cli *cli)
{
	struct config *config;
	unsigned n_sources = 0;
	int code = load(cli, &config);

	if (code != 0) {
		return code;
	}
	for (unsigned i = 0; i < config->n_datasets; i++) {
		n_sources += config->datasets[i]->n_sources;
	}
	fprintf(cli->out, "%s: OK, %u dataset%s with %u source%s\n", config->file,
		config->n_datasets, config->n_datasets == 1 ? "" : "s", n_sources,
		n_sources == 1 ? "" : "s");
	config_unref(config);
	return EXITCODE_OK;
}

static int run_show(struct cli *cli)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct config *config;
	int code = load(cli, &config);

	if (code != 0) {
		return code;
	}
	if (cli_flag(cli, "json")) {
		config_dump_json(config, &text);
	} else {
		config_dump(config, &text);
	}
	config_unref(config);
	if (buffer_failed(&text)) {
		return cli_error(cli, EXITCODE_SOFTWARE, "out of memory");
	}
	fwrite(buffer_str(&text), 1, text.len, cli->out);
	return EXITCODE_OK;
}

const struct command command_config_check = {
	.name = "config check",
	.synopsis = "[FILE]",
	.summary = "Read the configuration and report every problem",
	.help = "Reads FILE and datasets.d/ beside it, as the daemon would at its start. Exits 78 "
		"when\n"
		"something is wrong; each problem is a line `file:line:column: message`.\n",
	.run = run_check,
	.max_operands = 1,
};

static const struct cli_option show_options[] = {CLI_OPTION_JSON, CLI_OPTION_END};

const struct command command_config_show = {
	.name = "config show",
	.synopsis = "[FILE]",
	.summary = "Print the configuration with its defaults, secrets hidden",
	.run = run_show,
	.options = show_options,
	.max_operands = 1,
};
