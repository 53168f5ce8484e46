#pragma once

/*
 * The frame of the operator's command: one table of commands, their options, what all share.
 * SPDX-License-Identifier: Apache-2.0
 *
 * To add a command `schema plan`:
 *
 *	1. cli/schema.c defines `const struct command command_schema_plan = {...}` as cli/status.c
 *does;
 *	2. one line X(schema_plan) in the list of cli/commands.h;
 *	3. the file into cli/meson.build, the command into man/ogdsync.1.
 *
 * A command writes data to cli->out and what it has to say about itself to cli->err (cli_error),
 *and returns its exit code (lib/exitcode.h). It does not call exit().
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/attr.h"
#include "lib/error.h"

enum { CLI_MAX_OPTIONS = 24 };

/* --name, or --name=ARGUMENT. A list of them ends with one whose name is NULL. */
struct cli_option {
	const char *name;
	const char *argument; /* how help calls it, "N"; NULL: takes none */
	const char *help;     /* one line, no full stop */
};

struct cli;

struct command {
	const char *name;     /* "status"; "config check" for one of a group */
	const char *synopsis; /* the operands: "DATE..."; "" for none */
	const char *summary;  /* one line for the list of commands */
	const char *help;     /* paragraphs, with line ends; or NULL */
	int (*run)(struct cli *cli);
	const struct cli_option *options; /* or NULL */
	int min_operands, max_operands;   /* max -1: any number */
};

/* The most common options, for the lists of commands. */
#define CLI_OPTION_JSON                                                                            \
	{                                                                                          \
		"json", NULL, "print JSON"                                                         \
	}
#define CLI_OPTION_END                                                                             \
	{                                                                                          \
		NULL, NULL, NULL                                                                   \
	}

/* One call of the command; lives in cli_main(). */
struct cli {
	FILE *out, *err;
	const struct command *const *commands; /* all of them; NULL ends the list */
	const struct command *command;
	const char
		*values[CLI_MAX_OPTIONS]; /* of command->options, in their order; NULL: not given */
	char **operands;
	int n_operands;
	const char *config_file; /* --config, else OGDSYNC_CONFIG, else the one installed */
	const char *socket;      /* --socket, else OGDSYNC_SOCKET, else NULL */
};

/*
 * Everything but main(): parses, runs the command, flushes. `commands` ends with NULL. Returns the
 * exit code.
 */
int cli_main(const struct command *const *commands, int argc, char **argv, FILE *out, FILE *err);

/* The value of an option of the running command: NULL when not given, "" when it takes none. */
const char *cli_option(const struct cli *cli, const char *name);
bool cli_flag(const struct cli *cli, const char *name);

/* "ogdsync: ..." on standard error. Returns `code`. */
int cli_error(struct cli *cli, int code, const char *format, ...) printf_like(3, 4);

/* A command line that cannot be: the same, and where help is. Returns EXITCODE_USAGE. */
int cli_usage(struct cli *cli, const char *format, ...) printf_like(2, 3);

/* An id of a run or a record: a whole number above 0. */
bool cli_id(const char *text, int64_t *ret) must_check;

/* True when colours may be written: a terminal, and NO_COLOR is not set. */
bool cli_color(FILE *file);
