/*
 * ogdsync schema plan, schema apply: the tables that the configuration asks for.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Needs only the database. One connection on a loop of its own: connect, plan (and apply), close.
 */

#include <string.h>
#include <time.h>
#include <uv.h>

#include "cli/commands.h"
#include "daemon/config.h"
#include "daemon/schema.h"
#include "lib/exitcode.h"
#include "lib/scrub.h"

enum { CONNECT_TIMEOUT_MS = 10000 };

struct session {
	struct cli *cli;
	struct config *config;
	struct pg *pg;
	enum schema_mode mode;
	int code;
};

static void on_closed(void *arg)
{
	(void)arg; /* the loop ends by itself */
}

static void finish(struct session *session, const struct error *error)
{
	struct error shown;

	if (error) {
		bool right = strncmp(error->code, "28", 2) == 0 || strcmp(error->code, "42501") == 0;
		bool schema = strncmp(error->code, "schema", 6) == 0;

		shown = *error;
		scrub_text(shown.text);
		session->code = cli_error(session->cli,
			right    ? EXITCODE_NO_PERMISSION
			: schema ? EXITCODE_CONFIG
				 : EXITCODE_UNAVAILABLE,
			"%s", shown.text);
	}
	pg_close(session->pg, on_closed, session);
}

static void on_schema(void *arg, const struct schema_result *result, const struct error *error)
{
	struct session *session = arg;
	FILE *out = session->cli->out;

	if (!error && result->n_statements == 0) {
		fputs("nothing to do: the database has all that the configuration asks for\n",
			session->mode == SCHEMA_PLAN ? session->cli->err : out);
	} else if (!error && session->mode == SCHEMA_PLAN) {
		fputs(result->statements, out);
	} else if (!error) {
		fprintf(out, "applied %u statements\n", result->n_statements);
	}
	finish(session, error);
}

static void on_connected(void *arg, const struct error *error)
{
	struct session *session = arg;
	struct schema_options options = {
		.pg = session->pg,
		.config = session->config,
		.mode = session->mode,
		.writer = cli_option(session->cli, "writer"),
		.today = (int32_t)(time(NULL) / 86400),
	};

	if (error) {
		finish(session, error);
	} else if (schema_start(&options, on_schema, session) < 0) {
		session->code = cli_error(session->cli, EXITCODE_SOFTWARE, "out of memory");
		finish(session, NULL);
	}
}

static int run_session(struct session *session)
{
	const struct config_database *database = &session->config->database;
	struct error error = {.class = ERROR_NONE};
	struct pg_options options = {
		.dsn = database->owner_dsn ? database->owner_dsn : database->dsn,
		.application_name = "ogdsync",
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
	};
	uv_loop_t loop;

	if (config_require(session->config, CONFIG_NEED_OWNER_DSN, &error) < 0) {
		return cli_error(session->cli, EXITCODE_CONFIG, "%s", error.text);
	}
	if (uv_loop_init(&loop) < 0) {
		return cli_error(session->cli, EXITCODE_SOFTWARE, "no event loop");
	}
	if (pg_new(&loop, &options, &session->pg, &error) < 0) {
		scrub_text(error.text);
		session->code = cli_error(session->cli, EXITCODE_CONFIG, "%s", error.text);
	} else {
		pg_connect(session->pg, on_connected, session);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return session->code;
}

static int run_schema(struct cli *cli, enum schema_mode mode)
{
	_cleanup_buffer_ struct buffer report = {0};
	struct session session = {.cli = cli, .mode = mode};

	if (config_load(cli->config_file, &session.config, &report) < 0) {
		fputs(buffer_str(&report), cli->err);
		return EXITCODE_CONFIG;
	}
	run_session(&session);
	config_unref(session.config);
	return session.code;
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
