/*
 * state.json on a real disk: written behind, coalesced, read again. SPDX-License-Identifier: Apache-2.0
 */

#include "tests/loop/helper/spool.h"

#include <jansson.h>

#include "daemon/state.h"
#include "lib/atomic_file.h"
#include "tests/helper/state.h"

struct heard {
	unsigned n_written, n_failed;
	struct error error;
};

static void on_written(void *arg, const struct error *error)
{
	struct heard *heard = arg;

	heard->n_written += !error;
	heard->n_failed += error != NULL;
	if (error) {
		heard->error = *error;
	}
}

static struct state *open_state(struct fixture *fixture, const struct state_fixture *config,
	struct heard *heard, struct error *why)
{
	struct state_options options = {
		.loop = &fixture->loop,
		.config = &config->config,
		.directory = fixture->directory,
		.on_written = on_written,
		.arg = heard,
	};
	struct state *state = NULL;

	assert_int_equal(state_open(&options, &state, why), 0);
	return state;
}

static void survives(void **state)
{
	struct fixture *fixture = *state;
	struct state_fixture config;
	struct heard heard = {0};
	struct error why = {0};
	struct state *s;

	state_fixture_init(&config);
	s = open_state(fixture, &config, &heard, &why);
	assert_string_equal(why.code, "ENOENT");
	state_fill(state_doc(s));
	state_touch(s);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(heard.n_written, 1);
	/* As after kill -9: the first one is not closed before the second reads. */
	error_clear(&why);
	struct state *next = open_state(fixture, &config, &heard, &why);
	assert_false(error_is_set(&why));
	assert_int_equal(state_doc(next)->counts.n_syncs, 12);
	assert_int_equal(state_doc(next)->breaker.phase, BREAKER_OPEN);
	state_close(next);
	state_close(s);
}

static void what_changes_meanwhile_is_one_write(void **state)
{
	struct fixture *fixture = *state;
	struct state_fixture config;
	struct heard heard = {0};
	struct error why = {0};
	struct state *s;

	state_fixture_init(&config);
	s = open_state(fixture, &config, &heard, &why);
	for (int i = 1; i <= 100; i++) {
		state_doc(s)->last_run = i;
		state_touch(s);
	}
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(heard.n_written, 2);
	state_close(s);
	error_clear(&why);
	s = open_state(fixture, &config, &heard, &why);
	assert_int_equal(state_doc(s)->last_run, 100);
	state_close(s);
}

static void close_writes_what_is_due(void **state)
{
	struct fixture *fixture = *state;
	struct state_fixture config;
	struct heard heard = {0};
	struct error why = {0};
	struct state *s;

	state_fixture_init(&config);
	s = open_state(fixture, &config, &heard, &why);
	state_doc(s)->last_run = 1;
	state_touch(s);
	state_doc(s)->last_run = 2;
	state_touch(s);
	state_close(s);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(heard.n_written, 0); /* nobody is told any more */
	error_clear(&why);
	s = open_state(fixture, &config, &heard, &why);
	assert_int_equal(state_doc(s)->last_run, 2);
	state_close(s);
}

static void a_failed_write_is_repeated(void **state)
{
	struct fixture *fixture = *state;
	struct state_fixture config;
	struct heard heard = {0};
	struct error why = {0};
	char path[100];
	struct state *s;

	state_fixture_init(&config);
	snprintf(path, sizeof(path), "%s/state.json.tmp", fixture->directory);
	assert_int_equal(mkdir(path, 0700), 0); /* in the way */
	s = open_state(fixture, &config, &heard, &why);
	state_doc(s)->last_run = 5;
	state_touch(s);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(heard.n_failed, 1);
	assert_non_null(strstr(heard.error.text, "state.json"));
	assert_int_equal(rmdir(path), 0);
	state_touch(s);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(heard.n_written, 1);
	state_close(s);
}

static void a_damaged_file_says_why(void **state)
{
	struct fixture *fixture = *state;
	struct state_fixture config;
	struct heard heard = {0};
	struct error why = {0}, error = {0};
	char path[100];
	struct state *s;

	state_fixture_init(&config);
	snprintf(path, sizeof(path), "%s/state.json", fixture->directory);
	assert_int_equal(atomic_file_write(path, "{\"version\":1}", 13, &error), 0);
	s = open_state(fixture, &config, &heard, &why);
	assert_string_equal(why.code, "damaged");
	assert_non_null(strstr(why.text, "state.json: it lacks a value, or one is malformed"));
	assert_int_equal(state_doc(s)->last_run, 0);
	state_close(s);
}

static unsigned json_countdown;

static void *json_alloc(size_t size)
{
	return json_countdown > 0 && --json_countdown == 0 ? NULL : malloc(size);
}

/* jansson goes on where memory is missing; what it then leaves out must not be written. */
static void a_short_memory_writes_nothing_wrong(void **state)
{
	struct fixture *fixture = *state;
	struct state_fixture config;
	struct state_doc doc, again;
	_cleanup_free_ char *whole = NULL;
	const char *wrong;
	unsigned n;
	bool failed = true;

	(void)fixture;
	state_fixture_init(&config);
	assert_int_equal(state_doc_init(&doc, &config.config), 0);
	assert_int_equal(state_doc_init(&again, &config.config), 0);
	state_fill(&doc);
	whole = state_format(&doc);
	json_set_alloc_funcs(json_alloc, free);
	for (n = 1; failed; n++) {
		json_countdown = n;
		_cleanup_free_ char *text = state_format(&doc);
		failed = json_countdown == 0;
		json_countdown = 0;
		assert_true(text ? strcmp(text, whole) == 0 : failed);
	}
	assert_true(n > 20);
	for (n = 1, failed = true; failed; n++) {
		json_countdown = n;
		int r = state_parse(&again, whole, strlen(whole), &wrong);
		failed = json_countdown == 0;
		json_countdown = 0;
		assert_int_equal(again.counts.n_syncs, r == 0 ? 12 : 0);
	}
	json_set_alloc_funcs(malloc, free);
	state_doc_fini(&doc);
	state_doc_fini(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		spool_test(survives),
		spool_test(what_changes_meanwhile_is_one_write),
		spool_test(close_writes_what_is_due),
		spool_test(a_failed_write_is_repeated),
		spool_test(a_damaged_file_says_why),
		spool_test(a_short_memory_writes_nothing_wrong),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
