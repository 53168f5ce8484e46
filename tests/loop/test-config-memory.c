/*
 * daemon/config: whichever allocation fails, there is no configuration, and the report says why.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "tests/unit/config_files.h"

#include "tests/loop/helper/fail_alloc.h"

static void test_each_allocation(void **state)
{
	const struct directory *d = *state;
	unsigned n_failed = 0;

	put(d, "ogdsync.yaml",
		"portal: {proxy: \"http://u:geheim@localhost:1\"}\n"
		"database: {dsn: \"postgres://u:geheim2@h/d\"}\n"
		"alerts: {webhook: \"https://localhost/geheim3\"}\n");
	for (unsigned n = 1;; n++) {
		struct buffer report = {0};
		struct config *config = NULL;
		int r;

		scrub_clear();
		fail_alloc_at(n);
		r = config_load(d->file, &config, &report);
		if (!fail_alloc_end()) {
			assert_int_equal(r, 0);
			config_unref(config);
			buffer_fini(&report);
			break;
		}
		if (r == 0) {
			/* What failed was not needed. */
			config_unref(config);
		} else {
			assert_null(config);
			assert_true(buffer_failed(&report) ||
				    strstr(buffer_str(&report), "memory") != NULL);
			n_failed++;
		}
		buffer_fini(&report);
	}
	assert_true(n_failed > 10);
}

/* And a failure while problems are told. */
static void test_each_allocation_of_a_report(void **state)
{
	const struct directory *d = *state;

	put(d, "ogdsync.yaml", "a: 1\nb: 2\ntimezone: x\n");
	for (unsigned n = 1;; n++) {
		struct buffer report = {0};
		struct config *config = NULL;
		bool failed;

		scrub_clear();
		fail_alloc_at(n);
		assert_int_equal(config_load(d->file, &config, &report), -1);
		failed = fail_alloc_end();
		buffer_fini(&report);
		if (!failed) {
			break;
		}
	}
}

static void test_dump(void **state)
{
	struct config *config = load_good(*state);

	for (unsigned n = 1;; n++) {
		struct buffer out = {0};
		bool failed;

		fail_alloc_at(n);
		config_dump(config, &out);
		failed = fail_alloc_end();
		assert_int_equal(buffer_failed(&out), failed);
		buffer_fini(&out);
		if (!failed) {
			break;
		}
	}
	config_unref(config);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_each_allocation),
		TEST(test_each_allocation_of_a_report),
		TEST(test_dump),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
