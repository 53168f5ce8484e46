/*
 * A run from the request to its end: scripted portal, real spool, real server.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runner, loader and portal live on one loop as they do in the daemon, and are stopped at every
 * turn of it: the loop must then run empty, and the next process must find all that it needs.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/run.h"
#include "tests/helper/dataset.h"
#include "tests/loop/helper/http_server.h"
#include "tests/loop/helper/postgres.h"

enum { ROWS_A_DAY = 40, PAGE = 16, MAX_TURNS = 20000, DAY = 20776 /* 2026-11-19 */ };

struct world {
	struct postgres *postgres;
	uv_loop_t loop;
	char directory[64];
	struct http_server *server;
	char base_url[64];
	char *keys[1];
	struct config *config;
	struct spool *spool;
	struct portal *portal;
	struct loader *loader;
	struct runner *runner;
	unsigned n_started, n_fetched, n_ended, n_closed;
	struct run_info ended;
	char ended_code[ERROR_CODE_BYTES];
	bool refuse; /* the portal answers 403 */
};

/* ---- the portal ---- */

static unsigned number_of(const char *request, const char *param)
{
	const char *at = strstr(request, param);

	assert_non_null(at);
	return (unsigned)strtoul(at + strlen(param), NULL, 10);
}

static void on_request(void *arg, struct http_conn *conn, const char *request)
{
	const struct world *world = arg;
	unsigned offset, limit, n = 0;
	struct buffer page = {0};
	const char *day;

	if (world->refuse) {
		conn_answer(conn, 403, "", "{\"error\": \"Key not authorised\"}", 31);
		return;
	}
	offset = number_of(request, "offset=");
	limit = number_of(request, "limit=");
	day = strstr(request, "Day%5D=");
	assert_non_null(day);
	buffer_printf(&page, "{\"status\":\"ok\",\"total\":%u,\"updated\":1795187440,\"records\":[",
		ROWS_A_DAY);
	for (; n < limit && offset + n < ROWS_A_DAY; n++) {
		buffer_printf(&page,
			"%s{\"State\":\"S\",\"Market\":\"M%03u\",\"Commodity\":\"C\","
			"\"Day\":\"%.2s/%.2s/%.4s\",\"Low\":1,\"Price\":\"%u\"}",
			n ? "," : "", offset + n, day + 7, day + 10, day + 13, offset + n);
	}
	buffer_printf(&page, "],\"count\":%u}", n);
	conn_answer(conn, 200, "", page.data, page.len);
	buffer_fini(&page);
}

/* ---- what the daemon would be told ---- */

static void fence(void *arg, struct buffer *sql)
{
	(void)arg;
	buffer_append_str(sql, "SELECT 1");
}

static void on_state(void *arg, enum loader_state state, const struct error *error)
{
	(void)arg;
	(void)state;
	(void)error;
}

static void on_slice(void *arg, const struct load_result *result, const struct error *error)
{
	struct world *world = arg;

	runner_settle(world->runner, result, error);
}

static void on_idle(void *arg)
{
	(void)arg;
}

static void on_retry(void *arg, const char *uuid, const struct error *error)
{
	(void)arg;
	(void)uuid;
	(void)error;
}

static void on_start(void *arg, const struct run_info *run)
{
	(void)run;
	((struct world *)arg)->n_started++;
}

static void on_progress(void *arg, const struct run_info *run)
{
	(void)arg;
	assert_non_null(run->slice);
}

static void on_fetched(void *arg, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, const struct error *error)
{
	(void)run;
	(void)slice;
	(void)outcome;
	(void)error;
	((struct world *)arg)->n_fetched++;
}

static void on_spooled(void *arg, const struct run_info *run)
{
	(void)arg;
	(void)run;
}

static void on_end(void *arg, const struct run_info *run)
{
	struct world *world = arg;

	world->n_ended++;
	world->ended = *run;
	snprintf(world->ended_code, sizeof(world->ended_code), "%s",
		run->error ? run->error->code : "");
}

/* ---- a process ---- */

static const struct source *history(const struct world *world)
{
	return config_source(world->config, "prices", "history");
}

static void make_config(struct world *world)
{
	world->config = dataset_config_one(DATASET_PRICES);
	snprintf(world->base_url, sizeof(world->base_url), "http://127.0.0.1:%d",
		http_server_port(world->server));
	world->keys[0] = (char *)"KEY-of-the-test";
	world->config->portal.base_url = world->base_url;
	world->config->portal.api_keys = world->keys;
	world->config->portal.n_api_keys = 1;
	world->config->portal.requests_per_minute = 60000;
	world->config->portal.backoff_min_ms = 1;
	world->config->portal.backoff_max_ms = 2;
	world->config->database.dsn = (char *)postgres_dsn(world->postgres);
	world->config->database.dsn_problem = NULL;
	world->config->database.create_tables = true;
	world->config->database.reconnect_min_ms = 5;
	world->config->database.reconnect_max_ms = 20;
	((struct source *)history(world))->page_size = PAGE;
}

static int queue_ready(void *arg, const struct spool_entry *entry)
{
	struct world *world = arg;

	return loader_add(world->loader, entry->header.uuid, 1, LOADER_READY);
}

static void process_begin(struct world *world)
{
	struct spool_options spool = {.directory = world->directory, .keep_ms = UINT64_MAX};
	struct portal_options portal = {.clock = &clock_system};
	struct loader_options loader = {
		.loop = &world->loop,
		.clock = &clock_system,
		.fence = fence,
		.on_state = on_state,
		.on_slice = on_slice,
		.on_idle = on_idle,
		.on_retry = on_retry,
		.arg = world,
	};
	struct runner_options runner = {
		.loop = &world->loop,
		.clock = &clock_system,
		.on_start = on_start,
		.on_progress = on_progress,
		.on_fetched = on_fetched,
		.on_spooled = on_spooled,
		.on_end = on_end,
		.arg = world,
	};
	struct error error = {0};

	assert_int_equal(uv_loop_init(&world->loop), 0);
	world->server = http_server_new(&world->loop, on_request, world);
	make_config(world);
	portal.config = &world->config->portal;
	assert_int_equal(spool_open(&world->loop, &spool, &world->spool, &error), 0);
	assert_int_equal(portal_new(&world->loop, &portal, &world->portal), 0);
	loader.config = world->config;
	loader.spool = world->spool;
	assert_int_equal(loader_new(&loader, &world->loader, &error), 0);
	runner.config = world->config;
	runner.spool = world->spool;
	runner.portal = world->portal;
	runner.loader = world->loader;
	assert_int_equal(runner_new(&runner, &world->runner), 0);
	assert_int_equal(spool_visit(world->spool, 0, queue_ready, world, &error), 0);
}

static void on_closed(void *arg)
{
	((struct world *)arg)->n_closed++;
}

static void on_loader_closed(void *arg)
{
	struct world *world = arg;

	on_closed(world);
	portal_close(world->portal, on_closed, world);
}

static void on_runner_closed(void *arg)
{
	struct world *world = arg;

	on_closed(world);
	loader_close(world->loader, on_loader_closed, world);
}

static void process_end(struct world *world)
{
	world->n_closed = 0;
	runner_close(world->runner, on_runner_closed, world);
	for (unsigned i = 0; i < MAX_TURNS && world->n_closed < 3; i++) {
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	assert_int_equal(world->n_closed, 3);
	http_server_close(world->server);
	spool_free(world->spool);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	config_unref(world->config);
}

static int64_t ask(struct world *world, unsigned n_days)
{
	struct plan_slice slices[4];

	for (unsigned i = 0; i < n_days; i++) {
		plan_day(DAY - (int32_t)i, &slices[i]);
	}
	return runner_add(world->runner, history(world), "test", slices, n_days);
}

static int64_t heal(struct world *world, unsigned n_days)
{
	struct plan_slice slices[4];

	for (unsigned i = 0; i < n_days; i++) {
		plan_day(DAY - 20 - (int32_t)i, &slices[i]);
	}
	return runner_heal(world->runner, history(world), slices, n_days);
}

static void until_ended(struct world *world)
{
	unsigned n = world->n_ended + 1;

	for (unsigned i = 0; i < MAX_TURNS && world->n_ended < n; i++) {
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	assert_int_equal(world->n_ended, n);
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->postgres = *state;
	postgres_sql(world->postgres, "DROP SCHEMA IF EXISTS m, ogdsync CASCADE");
	strcpy(world->directory, "/tmp/test-run-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	char command[128];

	*state = world->postgres;
	snprintf(command, sizeof(command), "rm -rf '%s'", world->directory);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

/* ---- the tests ---- */

static void test_two_days_end_as_success(void **state)
{
	struct world *world = *state;
	int64_t id;

	process_begin(world);
	id = ask(world, 2);
	assert_true(id > 0);
	assert_int_equal(ask(world, 2), 0); /* the source is queued already */
	until_ended(world);
	assert_int_equal(world->ended.id, id);
	assert_int_equal(world->ended.state, RUN_SUCCESS);
	assert_int_equal(world->ended.counts.received, 2 * ROWS_A_DAY);
	assert_int_equal(world->ended.counts.inserted, 2 * ROWS_A_DAY);
	assert_int_equal(world->ended.newest_day, DAY);
	assert_int_equal(world->n_started, 1);
	assert_int_equal(world->n_fetched, 2);
	assert_true(runner_is_idle(world->runner));
	while (!loader_is_idle(world->loader)) {
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	process_end(world);
	assert_int_equal(postgres_number(world->postgres, "SELECT count(*) FROM m.price"),
		2 * ROWS_A_DAY);
	assert_int_equal(postgres_number(world->postgres,
				 "SELECT count(*) FROM ogdsync.run WHERE state = 'success'"
				 " AND slices = 2 AND received = 80 AND finished_at IS NOT NULL"),
		1);
}

static void test_refused_key_stops_the_run(void **state)
{
	struct world *world = *state;

	world->refuse = true;
	process_begin(world);
	assert_true(ask(world, 3) > 0);
	until_ended(world);
	assert_int_equal(world->ended.state, RUN_FAILED);
	assert_string_equal(world->ended_code, "key_refused");
	assert_int_equal(world->n_fetched, 3);
	assert_int_equal(http_server_requests(world->server), 1); /* the others are not tried */
	process_end(world);
}

static void test_ids_rise(void **state)
{
	struct world *world = *state;
	int64_t first, second;

	process_begin(world);
	first = ask(world, 1);
	until_ended(world);
	second = ask(world, 1);
	assert_true(second > first);
	until_ended(world);
	assert_int_equal(world->ended.counts.unchanged, ROWS_A_DAY);
	process_end(world);
}

/* The scheduled run of the same source begins behind the slice that healing is at. */
static void test_healing_gives_way(void **state)
{
	struct world *world = *state;
	int64_t healing, asked;

	process_begin(world);
	healing = heal(world, 4);
	assert_true(healing > 0);
	assert_int_equal(heal(world, 1), 0);
	while (!runner_fetching(world->runner)) {
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	asked = ask(world, 1);
	assert_true(asked > healing);
	assert_int_equal(ask(world, 1), 0);
	assert_int_equal(heal(world, 1), 0); /* others go first */
	until_ended(world);
	assert_int_equal(world->ended.id, healing);
	assert_true(world->ended.heals);
	assert_int_equal(world->ended.state, RUN_SUCCESS);
	assert_int_equal(world->ended.n_slices, 1);
	until_ended(world);
	assert_int_equal(world->ended.id, asked);
	assert_false(world->ended.heals);
	while (!loader_is_idle(world->loader)) {
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	process_end(world);
	assert_int_equal(postgres_number(world->postgres,
				 "SELECT slices FROM ogdsync.run WHERE trigger = 'heal'"),
		1);
}

static void test_healing_ends_where_it_is_refused(void **state)
{
	struct world *world = *state;

	world->refuse = true;
	process_begin(world);
	assert_true(heal(world, 4) > 0);
	until_ended(world);
	assert_int_equal(world->ended.state, RUN_FAILED);
	assert_int_equal(world->ended.n_slices, 1);
	assert_int_equal(world->n_fetched, 1);
	process_end(world);
}

/* Stop after n turns, then let another process finish what is left. */
static void stop_at(struct world *world, unsigned n, bool *ret_ended)
{
	process_begin(world);
	world->n_ended = 0;
	assert_true(ask(world, 1) > 0);
	for (unsigned i = 0; i < n && world->n_ended == 0; i++) {
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	*ret_ended = world->n_ended > 0;
	process_end(world);
}

static void test_stop_at_each_turn(void **state)
{
	struct world *world = *state;
	bool ended = false;
	unsigned n = 0;

	for (; n < MAX_TURNS && !ended; n += 1 + n / 8) {
		stop_at(world, n, &ended);
	}
	assert_true(ended);
	process_begin(world);
	assert_true(ask(world, 1) > 0);
	until_ended(world);
	assert_int_equal(world->ended.state, RUN_SUCCESS);
	process_end(world);
	assert_int_equal(postgres_number(world->postgres, "SELECT count(*) FROM m.price"),
		ROWS_A_DAY);
}

/*
 * Canceled at each turn: it ends as canceled (or had ended), nothing of it is left in the spool, and
 * the books have what the table has.
 */
static void test_cancel_at_each_turn(void **state)
{
	struct world *world = *state;
	int64_t ids[RUNNER_MAX_CANCELED], id;
	bool ended = false;

	process_begin(world);
	for (unsigned n = 0; !ended; n += 1 + n / 8) {
		struct spool_stats spool;

		world->n_ended = 0;
		id = ask(world, 2);
		assert_true(id > 0);
		for (unsigned i = 0; i < n && world->n_ended == 0; i++) {
			uv_run(&world->loop, UV_RUN_ONCE);
		}
		ended = world->n_ended > 0;
		assert_int_equal(runner_cancel(world->runner, n % 2 ? history(world) : NULL, "a test",
					 ids), ended ? 0 : 1);
		if (!ended) {
			assert_int_equal(ids[0], id);
			assert_int_equal(runner_cancel(world->runner, NULL, "again", ids), 0);
			until_ended(world);
			assert_int_equal(world->ended.state, RUN_CANCELED);
			assert_string_equal(world->ended_code, "canceled");
		}
		assert_null(runner_info(world->runner, id));
		assert_int_equal(runner_find(world->runner, history(world)), 0);
		spool = spool_stats(world->spool);
		assert_int_equal(spool.n_part + spool.n_ready, 0);
	}
	assert_int_equal(world->ended.state, RUN_SUCCESS);
	process_end(world);
	assert_int_equal(postgres_number(world->postgres, "SELECT count(*) FROM m.price"),
		2 * ROWS_A_DAY);
	assert_int_equal(
		postgres_number(world->postgres, "SELECT sum(inserted) FROM ogdsync.run_slice"),
		2 * ROWS_A_DAY);
}

static void test_database_away_then_back(void **state)
{
	struct world *world = *state;

	postgres_stop(world->postgres, SIGQUIT);
	process_begin(world);
	assert_true(ask(world, 1) > 0);
	while (world->n_fetched == 0) {
		uv_run(&world->loop, UV_RUN_ONCE);
	}
	assert_int_equal(world->n_ended, 0);
	assert_int_equal(loader_state(world->loader), LOADER_DOWN);
	postgres_restart(world->postgres);
	until_ended(world);
	assert_int_equal(world->ended.state, RUN_SUCCESS);
	process_end(world);
	assert_int_equal(postgres_number(world->postgres, "SELECT count(*) FROM m.price"),
		ROWS_A_DAY);
}

static int start_server(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	*state = postgres_start();
	return 0;
}

static int stop_server(void **state)
{
	postgres_free(*state);
	return 0;
}

#define stage_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		stage_test(test_two_days_end_as_success),
		stage_test(test_refused_key_stops_the_run),
		stage_test(test_ids_rise),
		stage_test(test_healing_gives_way),
		stage_test(test_healing_ends_where_it_is_refused),
		stage_test(test_stop_at_each_turn),
		stage_test(test_cancel_at_each_turn),
		stage_test(test_database_away_then_back),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
