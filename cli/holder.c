/*
 * A command that writes. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - connect; are the tables as the configuration says?
 *   - look at the lease. It is free, or has expired: take it.
 *   - Somebody has it: ask the daemon on the socket to lend it. It says yes, ends the slice that it
 *     is loading, and stands by; the lease is free when that transaction has ended.
 *   - Work. Then give it up; the daemon takes it back when it looks again, after 5 s at most.
 *
 * Possible failure modes are:
 *   - No daemon answers, or it does not hold the lease itself: somebody on another host does. Exit
 *     75 with the holder's name.
 *   - The daemon's slice does not end within LEND_S: 75.
 *   - We are killed: the lease expires, and the daemon goes on by itself. The work's transaction is
 *     rolled back by the server.
 */

#include "cli/holder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/daemon.h"
#include "daemon/lookup_read.h"
#include "daemon/schema.h"
#include "lib/exitcode.h"
#include "lib/scrub.h"

enum { POLL_MS = 100, CONNECT_S = 12, FREE_S = 30, LEND_S = 600, ASK_AGAIN_S = 2 };

/* ---- the tables ---- */

static void on_schema(void *arg, const struct schema_result *result, const struct error *error)
{
	(void)result;
	database_done(arg, error);
}

static int check_schema(struct holder *holder)
{
	struct database *database = &holder->database;
	struct schema_options options = {
		.pg = database->pg, .config = database->config, .mode = SCHEMA_CHECK};

	if (schema_start(&options, on_schema, database) < 0) {
		return cli_error(database->cli, EXITCODE_SOFTWARE, "out of memory");
	}
	return database_wait(database) < 0 ? database_fail(database->cli, &database->error) : 0;
}

int holder_lookups(struct holder *holder, const struct dataset *dataset, struct lookup_set **ret)
{
	struct database *database = &holder->database;
	struct lookup_read read;
	unsigned d = 0;

	while (database->config->datasets[d] != dataset) {
		d++;
	}
	if (!holder->lookups[d]) {
		if (lookup_set_new(dataset, &holder->lookups[d]) < 0) {
			return error_no_memory(&database->error, "cli");
		}
		if (lookup_read_start(&read, database->pg, dataset, holder->lookups[d], database_done,
			    database) &&
			database_wait(database) < 0) {
			holder->lookups[d] = lookup_set_free(holder->lookups[d]);
			return -1;
		}
	}
	*ret = holder->lookups[d];
	return 0;
}

/* ---- the lease ---- */

static void on_lease(void *arg)
{
	(void)arg; /* looked at by whoever needs it */
}

static void on_tick(uv_timer_t *tick)
{
	database_done(&container_of(tick, struct holder, tick)->database, NULL);
}

/* Let the loop do what it has to do for a moment. */
static void pass_time(struct holder *holder)
{
	uv_timer_start(&holder->tick, on_tick, POLL_MS, 0);
	(void)!database_wait(&holder->database);
}

/* Does the daemon here lend it? 0, or the exit code and why was said. */
static int ask_daemon(struct holder *holder, const struct lease_status *lease)
{
	struct cli *cli = holder->database.cli;
	struct client_request request = {.path = "/sync/lend", .body = "{}"};
	_cleanup_buffer_ struct buffer problem = {0};
	struct client_answer answer;
	int code = daemon_ask(cli, &request, &answer);

	if (code == 0 && answer.status / 100 != 2) {
		client_problem(&answer, &problem);
		code = cli_error(cli, answer.status == 403 ? EXITCODE_NO_PERMISSION : EXITCODE_TRY_AGAIN,
			"%s", buffer_str(&problem));
	}
	client_answer_fini(&answer);
	if (code == 0 || code == EXITCODE_NO_PERMISSION) {
		return code;
	}
	return cli_error(cli, EXITCODE_TRY_AGAIN,
		"%s holds the lease on this database; try again when it has given it up, or when it "
		"has expired",
		lease->holder);
}

static int refuse_unknown(struct holder *holder, const struct lease_status *lease)
{
	struct error error = lease->error;

	if (!error_is_set(&error)) {
		error_set(&error, ERROR_RETRY, "cli", "timeout", "the database does not answer");
	}
	return database_fail(holder->database.cli, &error);
}

static int wait_for_lease(struct holder *holder)
{
	const struct lease_status *lease = reader_lease(holder->reader);
	unsigned limit = CONNECT_S * 1000 / POLL_MS;
	unsigned ask_from = 0; /* a slice that takes long may outlast what the daemon waits for us */

	for (unsigned n = 0; lease->state != LEASE_HOLDER; n++) {
		if (n >= limit && lease->state == LEASE_UNKNOWN) {
			return refuse_unknown(holder, lease);
		}
		if (n >= limit) {
			return cli_error(holder->database.cli, EXITCODE_TRY_AGAIN,
				"a transaction of %s is still going on; try again later",
				lease->holder[0] ? lease->holder : "the last holder of the lease");
		}
		if (lease->state == LEASE_STANDBY && lease->left_ms > 0 && n >= ask_from) {
			int code = ask_daemon(holder, lease);

			if (code != 0) {
				return code;
			}
			ask_from = n + ASK_AGAIN_S * 1000 / POLL_MS;
		}
		limit = (ask_from > 0 ? LEND_S : lease->state == LEASE_STANDBY ? FREE_S : CONNECT_S) * 1000 /
			POLL_MS;
		reader_start(holder->reader);
		pass_time(holder);
	}
	return 0;
}

static int take_lease(struct holder *holder)
{
	struct database *database = &holder->database;
	char host[LEASE_HOLDER_BYTES / 2] = "", name[LEASE_HOLDER_BYTES];
	struct error error = {.class = ERROR_NONE};
	struct reader_options options = {
		.loop = &database->loop,
		.config = database->config,
		.holder = name,
		.on_lease = on_lease,
	};

	(void)gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "ogdsync@%s[%ld]", host, (long)getpid());
	uv_timer_init(&database->loop, &holder->tick);
	if (reader_new(&options, &holder->reader, &error) < 0) {
		return database_fail(database->cli, &error);
	}
	reader_start(holder->reader);
	return wait_for_lease(holder);
}

const char *holder_fence(struct holder *holder)
{
	buffer_clear(&holder->fence);
	reader_fence_sql(holder->reader, &holder->fence);
	if (holder->fence.len == 0) {
		buffer_append_str(&holder->fence, "SELECT 1 WHERE false"); /* lost: "fenced" */
	}
	return buffer_str(&holder->fence);
}

/* ---- life ---- */

int holder_open(struct cli *cli, struct holder *ret)
{
	int code;

	*ret = (struct holder){.reader = NULL};
	code = database_open(cli, DATABASE_WRITER, &ret->database);
	if (code != 0) {
		return code;
	}
	ret->lookups = calloc(ret->database.config->n_datasets + 1, sizeof(*ret->lookups));
	if (!ret->lookups) {
		return cli_error(cli, EXITCODE_SOFTWARE, "out of memory");
	}
	code = check_schema(ret);
	return code != 0 ? code : take_lease(ret);
}

static void on_reader_closed(void *arg)
{
	database_done(arg, NULL);
}

void holder_close(struct holder *holder)
{
	struct database *database = &holder->database;

	if (holder->tick.loop) {
		uv_close((uv_handle_t *)&holder->tick, NULL);
	}
	if (holder->reader) {
		reader_close(holder->reader, on_reader_closed, database);
		(void)!database_wait(database);
	}
	for (unsigned d = 0; holder->lookups && d < database->config->n_datasets; d++) {
		lookup_set_free(holder->lookups[d]);
	}
	free(holder->lookups);
	buffer_fini(&holder->fence);
	database_close(database);
}
