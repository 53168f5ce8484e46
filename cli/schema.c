/*
 * ogdsync schema plan, schema apply: the tables that the configuration asks for.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Needs only the database: connect, plan (and apply), close.
 */

#include <time.h>

#include "cli/commands.h"
#include "cli/database.h"
#include "daemon/schema.h"
#include "lib/exitcode.h"

struct session {
	struct database database;
	enum schema_mode mode;
};

static void on_schema(void *arg, const struct schema_result *result, const struct error *error)
{
	struct session *session = arg;
	struct cli *cli = session->database.cli;
	FILE *out = cli->out;

	if (!error && result->n_statements == 0) {
		fputs("nothing to do: the database has all that the configuration asks for\n",
			session->mode == SCHEMA_PLAN ? cli->err : out);
	} else if (!error && session->mode == SCHEMA_PLAN) {
		fputs(result->statements, out);
	} else if (!error) {
		fprintf(out, "applied %u statements\n", result->n_statements);
	}
	database_done(&session->database, error);
}

static int plan_or_apply(struct cli *cli, struct session *session)
{
	struct schema_options options = {
		.pg = session->database.pg,
		.config = session->database.config,
		.mode = session->mode,
		.writer = cli_option(cli, "writer"),
		.today = (int32_t)(time(NULL) / 86400),
	};

	if (schema_start(&options, on_schema, session) < 0) {
		return cli_error(cli, EXITCODE_SOFTWARE, "out of memory");
	}
	return database_wait(&session->database) < 0
		       ? database_fail(cli, &session->database.error)
		       : EXITCODE_OK;
}

static int run_schema(struct cli *cli, enum schema_mode mode)
{
	struct session session = {.mode = mode};
	int code = database_open(cli, DATABASE_OWNER, &session.database);

	if (code == 0) {
		code = plan_or_apply(cli, &session);
	}
	database_close(&session.database);
	return code;
}

static int run_plan(struct cli *cli)
{
	return run_schema(cli, SCHEMA_PLAN);
}

static int run_apply(struct cli *cli)
{
	return run_schema(cli, SCHEMA_APPLY);
}

static const struct cli_option options[] = {
	{"writer", "ROLE", "GRANT what the daemon needs to this role"},
	CLI_OPTION_END,
};

const struct command command_schema_plan = {
	.name = "schema plan",
	.synopsis = "",
	.summary = "Print the SQL that the database lacks",
	.help = "Compares the database with the configuration and prints the statements that\n"
		"`ogdsync schema apply` would run. Changes nothing.\n",
	.run = run_plan,
	.options = options,
};

const struct command command_schema_apply = {
	.name = "schema apply",
	.synopsis = "",
	.summary = "Make the tables that the configuration asks for",
	.help = "Runs the statements of `ogdsync schema plan` in one transaction, under a lock. Only\n"
		"adds: a table that differs is an error. Uses database.owner_dsn where it is set.\n",
	.run = run_apply,
	.options = options,
};
