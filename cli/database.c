/*
 * A command's session with the database. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: read the configuration, make a loop, connect, start something, turn the loop until
 * it is done, close. A connection that is idle keeps the loop alive, so the loop is turned step by
 * step and never "until nothing is left", but at the end.
 *
 * Possible failure modes are: no configuration (78), none for the database (78), the role or a
 * right is refused (77), the tables do not fit (78), another holds the lease (75), the server is
 * not there or goes away (69).
 */

#include "cli/database.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "lib/exitcode.h"
#include "lib/scrub.h"

enum { CONNECT_TIMEOUT_MS = 10000 };

static int exit_code(const struct error *error)
{
	const char *code = error->code;

	if (strncmp(code, "28", 2) == 0 || strcmp(code, "42501") == 0) {
		return EXITCODE_NO_PERMISSION;
	}
	if (strncmp(code, "schema", 6) == 0 || strcmp(code, "config") == 0 ||
		strcmp(code, "dsn") == 0) {
		return EXITCODE_CONFIG;
	}
	if (strcmp(code, "fenced") == 0 || strcmp(code, "standby") == 0) {
		return EXITCODE_TRY_AGAIN;
	}
	return EXITCODE_UNAVAILABLE;
}

int database_fail(struct cli *cli, const struct error *error)
{
	struct error shown = *error;

	scrub_text(shown.text);
	return cli_error(cli, exit_code(error), "%s", shown.text);
}

int database_config(struct cli *cli, struct database *ret)
{
	_cleanup_buffer_ struct buffer report = {0};

	*ret = (struct database){.cli = cli};
	if (config_load(cli->config_file, &ret->config, &report) < 0) {
		fputs(buffer_str(&report), cli->err);
		return EXITCODE_CONFIG;
	}
	if (ret->config->timezone) { /* for the times that people read, as the daemon writes them */
		setenv("TZ", ret->config->timezone, 1);
		tzset();
	}
	if (uv_loop_init(&ret->loop) < 0) {
		return cli_error(cli, EXITCODE_SOFTWARE, "no event loop");
	}
	ret->has_loop = true;
	return 0;
}

int database_connect(struct database *database, enum database_role role)
{
	const struct config_database *config = &database->config->database;
	bool owner = role == DATABASE_OWNER && config->owner_dsn;
	struct pg_options options = {
		.dsn = owner ? config->owner_dsn : config->dsn,
		.application_name = "ogdsync",
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
	};
	enum config_need need =
		role == DATABASE_OWNER ? CONFIG_NEED_OWNER_DSN : CONFIG_NEED_DSN;
	struct error error = {.class = ERROR_NONE};

	if (config_require(database->config, need, &error) < 0) {
		return cli_error(database->cli, EXITCODE_CONFIG, "%s", error.text);
	}
	if (pg_new(&database->loop, &options, &database->pg, &error) < 0) {
		return database_fail(database->cli, &error);
	}
	pg_connect(database->pg, database_done, database);
	return database_wait(database) < 0 ? database_fail(database->cli, &database->error) : 0;
}

int database_open(struct cli *cli, enum database_role role, struct database *ret)
{
	int code = database_config(cli, ret);

	return code != 0 ? code : database_connect(ret, role);
}

static void on_closed(void *arg)
{
	(void)arg; /* the loop ends by itself */
}

void database_close(struct database *database)
{
	int r = 0;

	if (database->pg) {
		pg_close(database->pg, on_closed, NULL);
		database->pg = NULL;
	}
	if (database->has_loop) {
		uv_run(&database->loop, UV_RUN_DEFAULT);
		r = uv_loop_close(&database->loop);
		database->has_loop = false;
	}
	assert(r == 0);
	database->config = config_unref(database->config);
}

void database_done(void *arg, const struct error *error)
{
	struct database *database = arg;

	database->done = true;
	if (error) {
		database->error = *error;
	}
}

int database_wait(struct database *database)
{
	error_clear(&database->error);
	while (!database->done) {
		uv_run(&database->loop, UV_RUN_ONCE);
	}
	database->done = false;
	return error_is_set(&database->error) ? -1 : 0;
}

struct query {
	struct database *database;
	void (*on_result)(void *arg, const struct pg_result *result);
	void *arg;
};

static void on_answer(void *arg, const struct pg_result *result, const struct error *error)
{
	struct query *query = arg;

	if (!error && query->on_result) {
		query->on_result(query->arg, result);
	}
	database_done(query->database, error);
}

int database_query(struct database *database, const char *sql, const struct pg_param *params,
	unsigned n_params, void (*on_result)(void *arg, const struct pg_result *result), void *arg)
{
	struct query query = {database, on_result, arg};

	pg_query(database->pg, sql, params, n_params, on_answer, &query);
	return database_wait(database);
}
