/*
 * The frame of the operator's command. SPDX-License-Identifier: Apache-2.0
 *
 *	ogdsync [--config FILE] [--socket ADDRESS] COMMAND [--option...] [OPERAND...]
 *
 * Options before the command are parsed first, up to the first word that is none; the words that
 * follow name the command (the longest name that fits, so that `config check` wins over `config`);
 *what is left is parsed by getopt_long with the options of that command and those that all have.
 */

#include "cli/cli.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "daemon/units.h"
#include "lib/exitcode.h"
#include "lib/suggest.h"

enum { N_COMMON = 4, MAX_COMMANDS = 64, NAME_BYTES = 64 };

/* The values that getopt_long returns, above those of letters; the command's own from OPTION_FIRST.
 */
enum { OPTION_HELP = 256, OPTION_VERSION, OPTION_CONFIG, OPTION_SOCKET, OPTION_FIRST };

static const struct option common_options[N_COMMON] = {
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"socket", required_argument, NULL, OPTION_SOCKET},
};

static const char common_help[] =
	"      --config=FILE     read this configuration (or OGDSYNC_CONFIG)\n"
	"      --socket=ADDRESS  ask the daemon here: a path, or HOST:PORT (or OGDSYNC_SOCKET)\n"
	"      --help            say this\n"
	"      --version         say which version this is\n";

static void printf_like(2, 0) error_va(struct cli *cli, const char *format, va_list args)
{
	fputs("ogdsync: ", cli->err);
	vfprintf(cli->err, format, args);
	fputc('\n', cli->err);
}

int cli_error(struct cli *cli, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_va(cli, format, args);
	va_end(args);
	return code;
}

int cli_usage(struct cli *cli, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_va(cli, format, args);
	va_end(args);
	fprintf(cli->err, "Try 'ogdsync %s%s--help'.\n", cli->command ? cli->command->name : "",
		cli->command ? " " : "");
	return EXITCODE_USAGE;
}

bool cli_id(const char *text, int64_t *ret)
{
	uint64_t number;

	if (!units_number(text, &number) || number == 0 || number > INT64_MAX) {
		return false;
	}
	*ret = (int64_t)number;
	return true;
}

bool cli_color(FILE *file)
{
	const char *no_color = getenv("NO_COLOR");
	int fd = fileno(file);

	return !(no_color && *no_color) && fd >= 0 && isatty(fd);
}

const char *cli_option(const struct cli *cli, const char *name)
{
	const struct cli_option *options = cli->command->options;

	for (unsigned i = 0; options && options[i].name; i++) {
		if (strcmp(options[i].name, name) == 0) {
			return cli->values[i];
		}
	}
	assert(!"an option that the command does not have");
	return NULL;
}

bool cli_flag(const struct cli *cli, const char *name)
{
	return cli_option(cli, name) != NULL;
}

/* Help. */

static void help_all(FILE *out, const struct command *const *commands)
{
	fputs("Usage: ogdsync [OPTION...] COMMAND [OPTION...] [OPERAND...]\n"
	      "Ask and steer ogdsyncd, which keeps PostgreSQL in step with India's open data "
	      "portal.\n"
	      "\nCommands:\n",
		out);
	for (; *commands; commands++) {
		fprintf(out, "  %-20s  %s\n", (*commands)->name, (*commands)->summary);
	}
	fprintf(out, "\nOptions:\n%s", common_help);
	fputs("\n'ogdsync COMMAND --help' says more. See also ogdsync(1).\n", out);
}

static void help_command(FILE *out, const struct command *command)
{
	const struct cli_option *option = command->options;
	char name[NAME_BYTES];

	fprintf(out, "Usage: ogdsync %s [OPTION...]%s%s\n", command->name,
		*command->synopsis ? " " : "", command->synopsis);
	fprintf(out, "%s.\n", command->summary);
	if (command->help) {
		fprintf(out, "\n%s", command->help);
	}
	fputs("\nOptions:\n", out);
	for (; option && option->name; option++) {
		snprintf(name, sizeof(name), "--%s%s%s", option->name, option->argument ? "=" : "",
			option->argument ? option->argument : "");
		fprintf(out, "      %-16s  %s\n", name, option->help);
	}
	fputs(common_help, out);
}

/* The command. */

/* How many words of argv the name takes, or 0 when it is not what stands there. */
static int name_words(const char *name, int argc, char **argv)
{
	int n = 0;

	for (;;) {
		size_t len = strcspn(name, " ");

		if (n == argc || strlen(argv[n]) != len || memcmp(name, argv[n], len) != 0) {
			return 0;
		}
		n++;
		if (name[len] == '\0') {
			return n;
		}
		name += len + 1;
	}
}

static const struct command *find_command(
	const struct command *const *commands, int argc, char **argv, int *ret_words)
{
	const struct command *best = NULL;

	*ret_words = 0;
	for (; *commands; commands++) {
		int n = name_words((*commands)->name, argc, argv);

		if (n > *ret_words) {
			best = *commands;
			*ret_words = n;
		}
	}
	return best;
}

/* The words do not name a command; say what might have been meant. */
static int unknown_command(
	struct cli *cli, const struct command *const *commands, int argc, char **argv)
{
	const char *names[MAX_COMMANDS];
	char two[NAME_BYTES];
	unsigned n_names = 0, n_group = 0;
	const char *meant;
	size_t len = strlen(argv[0]);

	snprintf(two, sizeof(two), "%s %s", argv[0], argc > 1 ? argv[1] : "");
	for (; *commands && n_names < MAX_COMMANDS; commands++) {
		names[n_names] = (*commands)->name;
		n_group += strncmp(names[n_names], argv[0], len) == 0 && names[n_names][len] == ' ';
		n_names++;
	}
	if (n_group > 0 && (argc < 2 || argv[1][0] == '-')) {
		return cli_usage(cli, "'%s' is a group: name one of its commands", argv[0]);
	}
	meant = suggest(argv[0], names, n_names);
	if (!meant && argc > 1) {
		meant = suggest(two, names, n_names);
	}
	if (meant) {
		return cli_usage(cli, "unknown command '%s', did you mean '%s'?",
			n_group > 0 ? two : argv[0], meant);
	}
	return cli_usage(cli, "unknown command '%s'", n_group > 0 ? two : argv[0]);
}

/* Options. */

/* One that all have. Returns -1 to go on, else the exit code. */
static int common_option(struct cli *cli, const struct command *const *commands, int option)
{
	switch (option) {
	case OPTION_HELP:
		if (cli->command) {
			help_command(cli->out, cli->command);
		} else {
			help_all(cli->out, commands);
		}
		return EXITCODE_OK;
	case OPTION_VERSION:
		fprintf(cli->out, "ogdsync %s\n", OGDSYNC_VERSION);
		return EXITCODE_OK;
	case OPTION_CONFIG:
		cli->config_file = optarg;
		return -1;
	case OPTION_SOCKET:
		cli->socket = optarg;
		return -1;
	}
	assert(!"an option that is not common");
	return EXITCODE_SOFTWARE;
}

/* What getopt_long refused: optopt is the letter, the known option, or 0 for an unknown one. */
static int bad_option(
	struct cli *cli, const struct option *options, unsigned n_options, int why, char **argv)
{
	const char *names[N_COMMON + CLI_MAX_OPTIONS], *meant;
	char text[NAME_BYTES];

	if (optopt > 0 && optopt < OPTION_HELP) {
		return cli_usage(cli, "unknown option -%c", optopt);
	}
	snprintf(text, sizeof(text), "%s", argv[optind - 1]);
	text[strcspn(text, "=")] = '\0';
	if (optopt > 0) {
		return cli_usage(
			cli, why == ':' ? "%s needs an argument" : "%s takes no argument", text);
	}
	for (unsigned i = 0; i < n_options; i++) {
		names[i] = options[i].name;
	}
	meant = suggest(text + strspn(text, "-"), names, n_options);
	return meant ? cli_usage(cli, "unknown option %s, did you mean --%s?", text, meant)
		     : cli_usage(cli, "unknown option %s", text);
}

/* The options that `command` takes, into room for all. Returns how many; a zeroed one follows. */
static unsigned collect_options(const struct command *command, struct option *options)
{
	unsigned n = 0;

	memcpy(options, common_options, sizeof(common_options));
	for (; command && command->options && command->options[n].name; n++) {
		assert(n < CLI_MAX_OPTIONS);
		options[N_COMMON + n] = (struct option){
			.name = command->options[n].name,
			.has_arg = command->options[n].argument ? required_argument : no_argument,
			.val = (int)(OPTION_FIRST + n),
		};
	}
	options[N_COMMON + n] = (struct option){.name = NULL};
	return N_COMMON + n;
}

/* argv[0] is not looked at. Returns -1 to go on, else the exit code; optind is the first operand.
 */
static int parse_options(
	struct cli *cli, const struct command *const *commands, int argc, char **argv)
{
	struct option options[N_COMMON + CLI_MAX_OPTIONS + 1];
	unsigned n_options = collect_options(cli->command, options);
	int option, code = -1;

	optind = 0; /* glibc: start over */
	opterr = 0;
	/* Before the command the first word ends the options; after it they may stand anywhere. */
	while (code < 0 &&
		(option = getopt_long(argc, argv, cli->command ? ":" : "+:", options, NULL)) !=
			-1) {
		if (option == '?' || option == ':') {
			code = bad_option(cli, options, n_options, option, argv);
		} else if (option < OPTION_FIRST) {
			code = common_option(cli, commands, option);
		} else {
			cli->values[option - OPTION_FIRST] = optarg ? optarg : "";
		}
	}
	return code;
}

static int run_command(struct cli *cli, int argc, char **argv)
{
	const struct command *command = cli->command;

	cli->operands = argv + optind;
	cli->n_operands = argc - optind;
	if (cli->n_operands < command->min_operands) {
		return cli_usage(cli, "something is missing: ogdsync %s %s", command->name,
			command->synopsis);
	}
	if (command->max_operands >= 0 && cli->n_operands > command->max_operands) {
		return cli_usage(cli, "do not know what to do with '%s'",
			cli->operands[command->max_operands]);
	}
	return command->run(cli);
}

static int run(struct cli *cli, const struct command *const *commands, int argc, char **argv)
{
	int code = parse_options(cli, commands, argc, argv);
	int n_words;

	if (code >= 0) {
		return code;
	}
	argc -= optind;
	argv += optind;
	if (argc == 0) {
		help_all(cli->err, commands);
		return EXITCODE_USAGE;
	}
	cli->command = find_command(commands, argc, argv, &n_words);
	if (!cli->command) {
		return unknown_command(cli, commands, argc, argv);
	}
	/* The last word of the name stands where getopt_long expects the program's. */
	argc -= n_words - 1;
	argv += n_words - 1;
	code = parse_options(cli, commands, argc, argv);
	return code >= 0 ? code : run_command(cli, argc, argv);
}

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int cli_main(const struct command *const *commands, int argc, char **argv, FILE *out, FILE *err)
{
	const char *config_file = from_environment("OGDSYNC_CONFIG");
	struct cli cli = {
		.out = out,
		.err = err,
		.commands = commands,
		.config_file = config_file ? config_file : OGDSYNC_CONFIG_FILE,
		.socket = from_environment("OGDSYNC_SOCKET"),
	};
	int code = run(&cli, commands, argc, argv);

	if (fflush(out) != 0 || ferror(out)) {
		return cli_error(
			&cli, EXITCODE_TRY_AGAIN, "cannot write the output: %s", strerror(errno));
	}
	return code;
}
