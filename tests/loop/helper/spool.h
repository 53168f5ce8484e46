#pragma once

/*
 * A spool in a directory of its own, on a loop. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "daemon/spool.h"

struct fixture {
	uv_loop_t loop;
	char directory[64];
	struct spool *spool;
};

static inline void fixture_open_with(struct fixture *fixture, const struct spool_options *options)
{
	struct spool_options full = *options;
	struct error error = {0};

	full.directory = fixture->directory;
	if (spool_open(&fixture->loop, &full, &fixture->spool, &error) < 0) {
		fail_msg("%s: %s", error.code, error.text);
	}
}

static inline void fixture_open(struct fixture *fixture)
{
	struct spool_options options = {.keep_ms = UINT64_MAX};

	fixture_open_with(fixture, &options);
}

/* Close the spool, and the loop with all that is left to do on it. */
static inline void fixture_close(struct fixture *fixture)
{
	fixture->spool = spool_free(fixture->spool);
	assert_int_equal(uv_run(&fixture->loop, UV_RUN_DEFAULT), 0);
}

static inline void fixture_reopen(struct fixture *fixture)
{
	fixture_close(fixture);
	fixture_open(fixture);
}

static inline int fixture_set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	const char *base = getenv("TMPDIR");

	assert_non_null(fixture);
	snprintf(fixture->directory, sizeof(fixture->directory), "%s/test-spool-XXXXXX",
		base && strlen(base) < 40 ? base : "/tmp");
	assert_non_null(mkdtemp(fixture->directory));
	assert_int_equal(uv_loop_init(&fixture->loop), 0);
	*state = fixture;
	return 0;
}

static inline void remove_directory(const char *path)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static inline int fixture_tear_down(void **state)
{
	struct fixture *fixture = *state;

	fixture_close(fixture);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	remove_directory(fixture->directory);
	free(fixture);
	return 0;
}

#define spool_test(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

/* ---- what is written, and how it is known again ---- */

static inline struct spool_header header_of_run(int64_t run)
{
	struct spool_header header = {
		.run = run,
		.dataset = "mandi_prices",
		.source = "history",
		.slice = "2026-11-19/Kerala",
		.day = 20776,
		.started_us = run * 1000,
		.trigger = "schedule",
	};

	assert_int_equal(spool_uuid_new(header.uuid), 0);
	return header;
}

static inline struct spool_writer *create(
	struct fixture *fixture, const struct spool_header *header)
{
	struct spool_writer *writer = NULL;
	struct error error = {0};

	if (spool_create(fixture->spool, header, &writer, &error) < 0) {
		fail_msg("%s: %s", error.code, error.text);
	}
	return writer;
}

/* The bytes of a page follow from a seed: some repeat, some do not. */
static inline void page_bytes(uint64_t seed, size_t at, unsigned char *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t v = (at + i) / 7 * 0x9E3779B97F4A7C15u + seed;

		out[i] = (unsigned char)((at + i) % 100 < 60 ? 'a' + seed % 26 : v >> 56);
	}
}

static inline int try_page(
	struct spool_writer *writer, uint64_t seed, size_t len, size_t piece, struct error *error)
{
	unsigned char *bytes = malloc(len + 1);
	int r = spool_page_begin(writer, error);

	assert_non_null(bytes);
	page_bytes(seed, 0, bytes, len);
	for (size_t at = 0; at < len && r == 0; at += piece) {
		r = spool_page_write(
			writer, bytes + at, len - at < piece ? len - at : piece, error);
	}
	free(bytes);
	return r == 0 ? spool_page_end(writer, error) : r;
}

static inline void write_page(struct spool_writer *writer, uint64_t seed, size_t len)
{
	struct error error = {0};

	if (try_page(writer, seed, len, 1 + seed % 40000, &error) < 0) {
		fail_msg("%s: %s", error.code, error.text);
	}
}

struct outcome {
	bool done;
	struct error error;
};

static inline void on_done(void *arg, const struct error *error)
{
	struct outcome *outcome = arg;

	assert_false(outcome->done);
	outcome->done = true;
	if (error) {
		outcome->error = *error;
	}
}

static const struct spool_outcome proven = {
	.state = SLICE_PROVEN,
	.expected = 8148,
	.received = 8148,
	.distinct = 8140,
	.quarantined = 8,
	.pages = 3,
	.passes = 1,
	.updated = 1795187440,
	.finished_us = 1795187440123456,
};

static inline struct error try_commit(struct fixture *fixture, struct spool_writer *writer)
{
	struct outcome outcome = {0};

	spool_commit(writer, &proven, on_done, &outcome);
	assert_false(outcome.done);
	while (!outcome.done) {
		uv_run(&fixture->loop, UV_RUN_ONCE);
	}
	return outcome.error;
}

static inline void commit(struct fixture *fixture, struct spool_writer *writer)
{
	struct error error = try_commit(fixture, writer);

	if (error_is_set(&error)) {
		fail_msg("%s: %s", error.code, error.text);
	}
}

static inline struct error mark_loaded(struct fixture *fixture, const char *uuid)
{
	struct outcome outcome = {0};

	assert_int_equal(spool_mark_loaded(fixture->spool, uuid, on_done, &outcome), 0);
	assert_false(outcome.done);
	while (!outcome.done) {
		uv_run(&fixture->loop, UV_RUN_ONCE);
	}
	return outcome.error;
}

/* ---- reading back ---- */

static inline struct spool_reader *open_reader(struct fixture *fixture, const char *uuid)
{
	struct spool_reader *reader = NULL;
	struct error error = {0};

	if (spool_read(fixture->spool, uuid, &reader, &error) < 0) {
		fail_msg("%s: %s", error.code, error.text);
	}
	return reader;
}

/*
 * Read the next page and compare it with what write_page(seed) wrote. Returns SPOOL_PAGE_END,
 * SPOOL_END when there was none, SPOOL_ERROR.
 */
static inline enum spool_item check_page(
	struct spool_reader *reader, uint64_t seed, size_t len, struct error *error)
{
	unsigned char want[128 * 1024];
	enum spool_item item;
	const void *data;
	size_t n, at = 0;

	while ((item = spool_reader_next(reader, &data, &n, error)) == SPOOL_DATA) {
		assert_in_range(n, 1, sizeof(want));
		assert_true(at + n <= len);
		page_bytes(seed, at, want, n);
		assert_memory_equal(data, want, n);
		at += n;
	}
	if (item == SPOOL_PAGE_END) {
		assert_int_equal(at, len);
	} else {
		assert_int_equal(at, 0);
	}
	return item;
}

static inline void path_of(const struct fixture *fixture, const struct spool_header *header,
	const char *suffix, char out[static 256])
{
	snprintf(out, 256, "%s/%lld-%s.%s", fixture->directory, (long long)header->run,
		header->uuid, suffix);
}

static inline bool exists(
	const struct fixture *fixture, const struct spool_header *header, const char *suffix)
{
	char path[256];

	path_of(fixture, header, suffix, path);
	return access(path, F_OK) == 0;
}

static inline off_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}
