/*
 * Sorting within a memory limit. SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/sorter.h"

/* An item: key bytes, then 4 bytes that say when it went in, then filling. */
enum { SERIAL_BYTES = 4 };

struct model_item {
	unsigned char *bytes;
	size_t len;
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t key_len(const struct sorter_options *options)
{
	return *(const size_t *)options->arg;
}

static int compare_keys(const void *a, size_t a_len, const void *b, size_t b_len, const void *arg)
{
	assert_true(a_len >= *(const size_t *)arg && b_len >= *(const size_t *)arg);
	return memcmp(a, b, *(const size_t *)arg);
}

static uint64_t prefix_of_key(const void *item, size_t len, const void *arg)
{
	(void)len;
	return sorter_prefix_bytes(item, *(const size_t *)arg, NULL);
}

static void add(struct sorter *sorter, const void *item, size_t len)
{
	struct error error = {0};
	int r = sorter_add(sorter, item, len);

	if (r == 1) {
		assert_int_equal(sorter_spill(sorter, &error), 0);
		r = sorter_add(sorter, item, len);
	}
	assert_int_equal(r, 0);
}

static int by_key_and_serial(const void *a, const void *b, void *arg)
{
	const struct model_item *x = a, *y = b;
	size_t len = *(size_t *)arg;
	int order = memcmp(x->bytes, y->bytes, len);

	return order ? order : memcmp(x->bytes + len, y->bytes + len, SERIAL_BYTES);
}

static struct model_item *make_items(size_t n, size_t len, size_t most, uint64_t seed)
{
	struct model_item *items = calloc(n, sizeof(*items));

	assert_non_null(items);
	for (size_t i = 0; i < n; i++) {
		uint32_t serial = htobe32((uint32_t)i);

		items[i].len = len + SERIAL_BYTES + random_next(&seed) % (most + 1);
		items[i].bytes = malloc(items[i].len);
		assert_non_null(items[i].bytes);
		for (size_t k = 0; k < items[i].len; k++) {
			/* Few values, so that many keys are equal. */
			items[i].bytes[k] = (unsigned char)(random_next(&seed) % 3 * 100);
		}
		memcpy(items[i].bytes + len, &serial, sizeof(serial));
	}
	return items;
}

static void check_order(struct sorter *sorter, const struct model_item *items, size_t n)
{
	struct error error = {0};
	const void *item;
	size_t len;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(sorter_next(sorter, &item, &len, &error), 1);
		assert_int_equal(len, items[i].len);
		assert_memory_equal(item, items[i].bytes, len);
	}
	assert_int_equal(sorter_next(sorter, &item, &len, &error), 0);
	assert_int_equal(sorter_next(sorter, &item, &len, &error), 0);
}

/* Sort n items both ways; returns how many runs were written. */
static unsigned compare_with_model(
	const struct sorter_options *options, size_t n, size_t most, uint64_t seed)
{
	size_t len = key_len(options);
	struct model_item *items = make_items(n, len, most, seed);
	struct error error = {0};
	struct sorter *sorter;
	unsigned n_runs;

	assert_int_equal(sorter_new(options, &sorter), 0);
	for (size_t i = 0; i < n; i++) {
		add(sorter, items[i].bytes, items[i].len);
	}
	assert_int_equal(sorter_finish(sorter, &error), 0);
	assert_int_equal(sorter_items(sorter), n);
	qsort_r(items, n, sizeof(*items), by_key_and_serial, &len);
	check_order(sorter, items, n);
	assert_int_equal(sorter_rewind(sorter, &error), 0);
	check_order(sorter, items, n);
	n_runs = sorter_runs(sorter);
	sorter_free(sorter);
	for (size_t i = 0; i < n; i++) {
		free(items[i].bytes);
	}
	free(items);
	return n_runs;
}

struct size_case {
	size_t memory, n, key, most; /* most: largest filling */
	bool spills;
};

static void sorts_like_memory(void **state)
{
	static const struct size_case cases[] = {
		{16 * 1024, 0, 3, 10, false},
		{16 * 1024, 1, 3, 10, false},
		{16 * 1024, 100, 3, 10, false},
		{16 * 1024, 2000, 0, 0, true},
		{16 * 1024, 2000, 3, 0, true},
		{16 * 1024, 20000, 9, 30, true}, /* many passes: fan-in is about 14 */
		{16 * 1024, 300, 5, 3800, true}, /* large items: fan-in is 3 */
		{100 * 1000, 20000, 20, 80, true},
		{1 << 20, 20000, 20, 80, true},
		{1 << 20, 200, 8, 240 * 1000, true},
		{4 << 20, 20000, 20, 80, false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct size_case *c = &cases[i];
		struct sorter_options options = {.memory_bytes = c->memory,
			.directory = "/tmp",
			.compare = compare_keys,
			.arg = &c->key};

		for (int prefix = 0; prefix < 2; prefix++) {
			options.prefix = prefix ? prefix_of_key : NULL;
			assert_int_equal(
				compare_with_model(&options, c->n, c->most, i + 1) > 0, c->spills);
		}
	}
}

static void sorts_random_sizes(void **state)
{
	uint64_t seed = 20261120;

	(void)state;
	for (int i = 0; i < 60; i++) {
		size_t key = random_next(&seed) % 12;
		size_t most = (size_t)1 << random_next(&seed) % 11;
		struct sorter_options options = {
			.memory_bytes = SORTER_MIN_MEMORY_BYTES + random_next(&seed) % 200000,
			.directory = "/tmp",
			.compare = compare_keys,
			.prefix = i % 2 ? prefix_of_key : NULL,
			.arg = &key};

		compare_with_model(&options, random_next(&seed) % 3000, most, seed);
	}
}

/* What sorter_add() says when it is full, and that the longest item it takes can be merged. */
static void holds_the_longest_items(void **state)
{
	static const size_t memories[] = {SORTER_MIN_MEMORY_BYTES, 100001, 1 << 20, 12 << 20};
	size_t key = 1;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(memories); i++) {
		struct sorter_options options = {.memory_bytes = memories[i],
			.directory = "/tmp",
			.compare = compare_keys,
			.arg = &key};
		size_t len = SORTER_MAX_ITEM_BYTES + 1;
		struct error error = {0};
		struct sorter *sorter;
		unsigned char *item;
		const void *got;
		size_t got_len;

		assert_int_equal(sorter_new(&options, &sorter), 0);
		item = calloc(1, len);
		assert_non_null(item);
		assert_int_equal(sorter_add(sorter, item, len), -EMSGSIZE);
		while (sorter_add(sorter, item, len) == -EMSGSIZE) {
			len--;
		}
		for (unsigned k = 0; k < 40; k++) {
			item[0] = (unsigned char)(k * 7);
			add(sorter, item, len);
		}
		assert_int_equal(sorter_finish(sorter, &error), 0);
		assert_true(sorter_runs(sorter) > 2);
		for (unsigned k = 0, last = 0; k < 41; k++) {
			assert_int_equal(sorter_next(sorter, &got, &got_len, &error), 1);
			assert_int_equal(got_len, len);
			assert_true(*(const unsigned char *)got >= last);
			last = *(const unsigned char *)got;
		}
		assert_int_equal(sorter_next(sorter, &got, &got_len, &error), 0);
		free(item);
		sorter_free(sorter);
	}
}

static void refuses_too_little_memory(void **state)
{
	struct sorter_options options = {.memory_bytes = SORTER_MIN_MEMORY_BYTES - 1,
		.directory = "/tmp",
		.compare = compare_keys};
	struct sorter *sorter = NULL;

	(void)state;
	assert_int_equal(sorter_new(&options, &sorter), -EINVAL);
	assert_null(sorter);
	assert_null(sorter_free(NULL));
}

static void sorts_prefixes_as_bytes(void **state)
{
	(void)state;
	assert_int_equal(sorter_prefix_bytes("", 0, NULL), 0);
	assert_true(sorter_prefix_bytes("a", 1, NULL) < sorter_prefix_bytes("ab", 2, NULL));
	assert_true(sorter_prefix_bytes("\x7f", 1, NULL) < sorter_prefix_bytes("\x80", 1, NULL));
	assert_true(sorter_prefix_bytes("abcdefghX", 9, NULL) ==
		sorter_prefix_bytes("abcdefghA", 9, NULL));
}

/* ---- a disk that fails ---- */

static struct sorter *fill_sorter(struct sorter_options *options, const char *directory)
{
	static const size_t key = 4;
	struct sorter *sorter;
	uint32_t item = 0;

	*options = (struct sorter_options){.memory_bytes = 256 * 1024,
		.directory = directory,
		.compare = compare_keys,
		.arg = &key};
	assert_int_equal(sorter_new(options, &sorter), 0);
	while (sorter_add(sorter, &item, sizeof(item)) == 0) {
		item += 77;
	}
	return sorter;
}

static void says_where_it_cannot_write(void **state)
{
	struct sorter_options options;
	struct sorter *sorter = fill_sorter(&options, "/nonexistent/spool");
	struct error error = {0};

	(void)state;
	assert_int_equal(sorter_finish(sorter, &error), 0); /* everything fits */
	sorter_free(sorter);
	sorter = fill_sorter(&options, "/nonexistent/spool");
	assert_int_equal(sorter_spill(sorter, &error), -1);
	assert_int_equal(error.class, ERROR_RETRY);
	assert_string_equal(error.code, "ENOENT");
	assert_string_equal(error.text,
		"/nonexistent/spool: opening a temporary file for sorting: "
		"No such file or directory");
	sorter_free(sorter);
}

static void survives_a_file_limit(void **state)
{
	struct rlimit old, small;
	struct sorter_options options;
	struct sorter *sorter = fill_sorter(&options, "/tmp");
	struct error error = {0};
	int r;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){.rlim_cur = 20000, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = sorter_spill(sorter, &error);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r, -1);
	assert_string_equal(error.code, "EFBIG");
	assert_string_equal(
		error.text, "/tmp: writing a temporary file for sorting: File too large");
	sorter_free(sorter);
}

static void survives_a_full_disk(void **state)
{
	char directory[] = "/tmp/test-sorter-XXXXXX";
	struct sorter_options options;
	struct error error = {0};
	struct sorter *sorter;
	char text[200];

	(void)state;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		skip();
	}
	assert_non_null(mkdtemp(directory));
	assert_int_equal(mount("none", directory, "tmpfs", 0, "size=32k"), 0);
	sorter = fill_sorter(&options, directory);
	assert_int_equal(sorter_spill(sorter, &error), -1);
	assert_string_equal(error.code, "ENOSPC");
	snprintf(text, sizeof(text),
		"%s: writing a temporary file for sorting: No space left on device", directory);
	assert_string_equal(error.text, text);
	sorter_free(sorter);
	assert_int_equal(umount(directory), 0);
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorts_like_memory),
		cmocka_unit_test(sorts_random_sizes),
		cmocka_unit_test(holds_the_longest_items),
		cmocka_unit_test(refuses_too_little_memory),
		cmocka_unit_test(sorts_prefixes_as_bytes),
		cmocka_unit_test(says_where_it_cannot_write),
		cmocka_unit_test(survives_a_file_limit),
		cmocka_unit_test(survives_a_full_disk),
	};

	return cmocka_run_group_tests_name("sorter", tests, NULL, NULL);
}
