/*
 * The spool when memory is short: the n-th allocation fails, for every n.
 * SPDX-License-Identifier: Apache-2.0
 *
 * jansson, a shared library, lets its allocator be set.
 */

#include <errno.h>
#include <jansson.h>

#include "lib/atomic_file.h"
#include "lib/sorter.h"
#include "tests/loop/helper/fail_alloc.h"
#include "tests/loop/helper/spool.h"

/* Compiled here, so that it is wrapped. */
static void *json_alloc(size_t size)
{
	return malloc(size);
}

/* ---- one life of a spool; ends where something fails ---- */

static int write_slice(struct fixture *fixture, struct error *error)
{
	struct spool_header header = {.run = 1,
		.dataset = "d",
		.source = "s",
		.slice = "all",
		.trigger = "t",
		.uuid = "12345678-9abc-4def-8123-456789abcdef"};
	struct outcome done = {0};
	struct spool_writer *writer;

	if (spool_create(fixture->spool, &header, &writer, error) < 0) {
		return -1;
	}
	if (spool_page_begin(writer, error) < 0 ||
		spool_page_write(writer, "12345", 5, error) < 0 ||
		spool_page_end(writer, error) < 0) {
		spool_discard(writer);
		return -1;
	}
	spool_commit(writer, &proven, on_done, &done);
	assert_false(done.done);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(done.done);
	*error = done.error;
	return error_is_set(error) ? -1 : 0;
}

static int read_slice(struct fixture *fixture, const char *uuid, struct error *error)
{
	struct spool_reader *reader;
	enum spool_item item;
	const void *data;
	size_t len;

	if (spool_read(fixture->spool, uuid, &reader, error) < 0) {
		return -1;
	}
	item = spool_reader_next(reader, &data, &len, error);
	if (item == SPOOL_DATA) {
		assert_int_equal(len, 5);
		item = spool_reader_next(reader, &data, &len, error);
	}
	spool_reader_free(reader);
	return item == SPOOL_ERROR ? -1 : 0;
}

struct load {
	struct fixture *fixture;
	struct error *error;
	unsigned n;
};

static int load_slice(void *arg, const struct spool_entry *entry)
{
	struct load *load = arg;
	struct outcome done = {0};

	load->n++;
	if (read_slice(load->fixture, entry->header.uuid, load->error) < 0) {
		return -1;
	}
	if (spool_mark_loaded(load->fixture->spool, entry->header.uuid, on_done, &done) < 0) {
		return error_no_memory(load->error, "test");
	}
	uv_run(&load->fixture->loop, UV_RUN_DEFAULT);
	assert_true(done.done && !error_is_set(&done.error));
	return 0;
}

static int live(struct fixture *fixture, struct error *error)
{
	struct spool_options options = {.directory = fixture->directory, .keep_ms = 0};
	struct load load = {.fixture = fixture, .error = error};

	if (spool_open(&fixture->loop, &options, &fixture->spool, error) < 0) {
		return -1;
	}
	if (write_slice(fixture, error) < 0) {
		return -1;
	}
	fixture->spool = spool_free(fixture->spool);
	if (spool_open(&fixture->loop, &options, &fixture->spool, error) < 0 ||
		spool_visit(fixture->spool, 0, load_slice, &load, error) < 0) {
		return -1;
	}
	assert_int_equal(load.n, 1);
	spool_prune(fixture->spool, INT64_MAX / 2);
	return 0;
}

static void says_that_memory_is_short(void **state)
{
	struct fixture *fixture = *state;
	unsigned n;
	int r = -1;

	json_set_alloc_funcs(json_alloc, free);
	for (n = 1; r < 0; n++) {
		struct error error = {0};

		fail_alloc_at(n);
		r = live(fixture, &error);
		if (r < 0) {
			assert_string_equal(error.code, "no_memory");
			assert_int_equal(error.class, ERROR_RETRY);
			assert_string_equal(error.text, "out of memory");
		} else if (fail_alloc_end()) {
			/* A failure that did no harm: a job that was done at once instead. */
			r = -1;
		}
		fixture_close(fixture);
		fail_alloc_end();

		/* Whatever happened, the next start finds no damage, and at most one file. */
		fixture_open(fixture);
		assert_int_equal(spool_stats(fixture->spool).n_damaged, 0);
		assert_true(spool_stats(fixture->spool).n_part +
				spool_stats(fixture->spool).n_ready +
				spool_stats(fixture->spool).n_loaded <=
			1);
		fixture_close(fixture);
		remove_directory(fixture->directory);
		assert_int_equal(mkdir(fixture->directory, 0700), 0);
		assert_true(n < 1000);
	}
	json_set_alloc_funcs(malloc, free);
	print_message("%u allocations\n", n);
	assert_true(n > 30);
}

/* ---- small files ---- */

static int replace(struct fixture *fixture, const char *path, struct error *error)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct outcome done = {0};

	if (atomic_file_write_async(&fixture->loop, path, "new", 3, on_done, &done) < 0) {
		return error_no_memory(error, "test");
	}
	assert_false(done.done);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(done.done && !error_is_set(&done.error));
	return atomic_file_read(path, 100, &text, error);
}

static void replaces_files_when_memory_is_short(void **state)
{
	struct fixture *fixture = *state;
	char path[100];
	unsigned n;
	int r = -1;

	snprintf(path, sizeof(path), "%s/file", fixture->directory);
	for (n = 1; r < 0; n++) {
		struct error error = {0};

		fail_alloc_at(n);
		r = replace(fixture, path, &error);
		fail_alloc_end();
		assert_string_equal(error.code, r < 0 ? "no_memory" : "");
		assert_true(n < 100);
	}
	assert_int_equal(n, 6);
}

static int compare_all(const void *a, size_t a_len, const void *b, size_t b_len, const void *arg)
{
	(void)b_len;
	(void)arg;
	return memcmp(a, b, a_len);
}

static int sort(const struct fixture *fixture, struct error *error)
{
	struct sorter_options options = {.memory_bytes = SORTER_MIN_MEMORY_BYTES,
		.directory = fixture->directory,
		.compare = compare_all};
	struct sorter *sorter;
	const void *item;
	int r;
	size_t len;

	if (sorter_new(&options, &sorter) < 0) {
		return error_no_memory(error, "test");
	}
	for (uint32_t i = 0; i < 20000; i++) {
		r = sorter_add(sorter, &i, sizeof(i));
		if (r == 1) {
			r = sorter_spill(sorter, error);
			r = r < 0 ? r : sorter_add(sorter, &i, sizeof(i));
		}
		if (r < 0) {
			sorter_free(sorter);
			return -1;
		}
	}
	r = sorter_finish(sorter, error);
	r = r < 0 ? r : sorter_next(sorter, &item, &len, error);
	sorter_free(sorter);
	return r < 0 ? -1 : 0;
}

static void sorts_when_memory_is_short(void **state)
{
	struct fixture *fixture = *state;
	unsigned n;
	int r = -1;

	for (n = 1; r < 0; n++) {
		struct error error = {0};

		fail_alloc_at(n);
		r = sort(fixture, &error);
		fail_alloc_end();
		assert_string_equal(error.code, r < 0 ? "no_memory" : "");
		assert_true(n < 100);
	}
	assert_true(n > 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		spool_test(says_that_memory_is_short),
		spool_test(replaces_files_when_memory_is_short),
		spool_test(sorts_when_memory_is_short),
	};

	return cmocka_run_group_tests_name("spool-memory", tests, NULL, NULL);
}
