#pragma once

/*
 * A command's session with the database: the configuration, a loop of its own, one connection.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A command does one thing after the other, so it waits: whatever is started on the loop ends with
 * database_done(), and database_wait() turns the loop until then. Lives in the command's own
 * function; database_close() in any case.
 */

#include <stdbool.h>
#include <uv.h>

#include "cli/cli.h"
#include "daemon/config.h"
#include "lib/pg.h"

enum database_role {
	DATABASE_WRITER, /* database.dsn */
	DATABASE_OWNER,  /* database.owner_dsn, where it is set */
};

struct database {
	struct cli *cli;
	struct config *config;
	uv_loop_t loop;
	struct pg *pg; /* NULL: not connected */
	bool has_loop, done;
	struct error error; /* of what was waited for */
};

/*
 * The configuration and the loop, then the connection. Each returns 0, or the exit code, and why
 * was said on standard error. A command may call them one by one, or database_open() for all.
 */
int database_config(struct cli *cli, struct database *ret) must_check;
int database_connect(struct database *database, enum database_role role) must_check;
int database_open(struct cli *cli, enum database_role role, struct database *ret) must_check;
void database_close(struct database *database);

/* Ends a database_wait(); a pg_done_fn whose arg is the session. */
void database_done(void *arg, const struct error *error);

/* Returns -1 when what was started ended with an error; it is in database->error. */
int database_wait(struct database *database) must_check;

/* One statement, waited for; `on_result` sees what it brought, may be NULL. -1: database->error. */
int database_query(struct database *database, const char *sql, const struct pg_param *params,
	unsigned n_params, void (*on_result)(void *arg, const struct pg_result *result), void *arg)
	must_check;

/* Say the error, without secrets. Returns the exit code for it. */
int database_fail(struct cli *cli, const struct error *error);
