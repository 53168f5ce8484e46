/*
 * The spool from create to prune, on a disk that works. SPDX-License-Identifier: Apache-2.0
 */

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <utime.h>

#include "tests/loop/helper/spool.h"

/* ---- round trip ---- */

static void check_header(const struct spool_header *got, const struct spool_header *want)
{
	assert_int_equal(got->run, want->run);
	assert_string_equal(got->uuid, want->uuid);
	assert_string_equal(got->dataset, want->dataset);
	assert_string_equal(got->source, want->source);
	assert_string_equal(got->slice, want->slice);
	assert_int_equal(got->day, want->day);
	assert_int_equal(got->started_us, want->started_us);
	assert_string_equal(got->trigger, want->trigger);
}

static void check_outcome(const struct spool_outcome *got, const struct spool_outcome *want)
{
	assert_int_equal(got->state, want->state);
	assert_string_equal(got->reason, want->reason);
	assert_string_equal(got->text, want->text);
	assert_int_equal(got->expected, want->expected);
	assert_int_equal(got->received, want->received);
	assert_int_equal(got->distinct, want->distinct);
	assert_int_equal(got->quarantined, want->quarantined);
	assert_int_equal(got->pages, want->pages);
	assert_int_equal(got->passes, want->passes);
	assert_int_equal(got->updated, want->updated);
	assert_int_equal(got->finished_us, want->finished_us);
}

static const size_t sizes[] = {
	0, 1, 100, 65535, 65536, 65537, 131072, 131073, 1000000, 5 * 1024 * 1024, 0, 77};

static void check_all_pages(struct spool_reader *reader)
{
	struct error error = {0};

	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		assert_int_equal(check_page(reader, i, sizes[i], &error), SPOOL_PAGE_END);
		assert_int_equal(spool_reader_page(reader)->rows, i * 10);
		assert_int_equal(spool_reader_page(reader)->total, 120);
		assert_int_equal(spool_reader_page(reader)->updated, 1795187440);
		assert_int_equal(spool_reader_page(reader)->fetched_us, (int64_t)i);
	}
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
}

static void keeps_pages_of_all_sizes(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(1795187440123);
	struct error error = {0};
	struct spool_writer *writer;
	struct spool_reader *reader;
	char path[256];

	fixture_open(fixture);
	writer = create(fixture, &header);
	assert_true(exists(fixture, &header, "part"));
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		struct spool_page page = {.rows = i * 10,
			.total = 120,
			.updated = 1795187440,
			.fetched_us = (int64_t)i};
		unsigned char *bytes = malloc(sizes[i] + 1);

		page_bytes(i, 0, bytes, sizes[i]);
		assert_int_equal(spool_page_begin(writer, &error), 0);
		assert_int_equal(spool_page_write(writer, bytes, sizes[i], &error), 0);
		spool_page_describe(writer, &page);
		assert_int_equal(spool_page_end(writer, &error), 0);
		free(bytes);
	}
	commit(fixture, writer);
	assert_false(exists(fixture, &header, "part"));
	path_of(fixture, &header, "ready", path);
	assert_int_equal(spool_stats(fixture->spool).bytes, size_of(path));

	for (int again = 0; again < 2; again++) {
		reader = open_reader(fixture, header.uuid);
		check_header(spool_reader_header(reader), &header);
		check_outcome(spool_reader_outcome(reader), &proven);
		check_all_pages(reader);
		assert_int_equal(spool_reader_rewind(reader, &error), 0);
		check_all_pages(reader);
		assert_int_equal(spool_reader_rewind(reader, &error), 0);
		assert_int_equal(check_page(reader, 0, sizes[0], &error), SPOOL_PAGE_END);
		assert_int_equal(spool_reader_rewind(reader, &error), 0);
		check_all_pages(reader);
		spool_reader_free(reader);
		fixture_reopen(fixture);
	}
}

static void keeps_random_pages(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(7);
	struct error error = {0};
	struct spool_writer *writer;
	struct spool_reader *reader;
	size_t lens[300];

	srandom(20261120);
	for (size_t i = 0; i < N_ELEMENTS(lens); i++) {
		lens[i] = (size_t)random() % ((size_t)1 << random() % 18);
	}
	fixture_open(fixture);
	writer = create(fixture, &header);
	for (size_t i = 0; i < N_ELEMENTS(lens); i++) {
		write_page(writer, i, lens[i]);
	}
	commit(fixture, writer);
	reader = open_reader(fixture, header.uuid);
	for (size_t i = 0; i < N_ELEMENTS(lens); i++) {
		assert_int_equal(check_page(reader, i, lens[i], &error), SPOOL_PAGE_END);
	}
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
	spool_reader_free(reader);
}

static void holds_a_slice_without_pages(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(1);
	struct spool_outcome nothing = {.state = SLICE_SUSPECT, .expected = -1};
	struct outcome done = {0};
	struct error error = {0};
	struct spool_reader *reader;

	header.day = INT32_MIN;
	snprintf(header.slice, sizeof(header.slice), "all");
	snprintf(nothing.reason, sizeof(nothing.reason), "nothing");
	/* Cut in the middle of a character, as an array cuts it. */
	snprintf(nothing.text, sizeof(nothing.text), "%s", "\"quoted\"\n \xe0\xa4\xae\xe0\xa4");
	fixture_open(fixture);
	spool_commit(create(fixture, &header), &nothing, on_done, &done);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(done.done && !error_is_set(&done.error));
	reader = open_reader(fixture, header.uuid);
	check_header(spool_reader_header(reader), &header);
	snprintf(nothing.text, sizeof(nothing.text), "%s", "\"quoted\"\n \xe0\xa4\xae??");
	check_outcome(spool_reader_outcome(reader), &nothing);
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
	spool_reader_free(reader);
}

/* Whatever bytes a text has, it comes back, and so does the outcome. */
static void replaces_what_is_no_utf8(void **state)
{
	static const char *const texts[][2] = {
		{"", ""},
		{"plain", "plain"},
		{"\xff\xfe bad \xc0 text", "?? bad ? text"},
		{"\xc3\xa9 \xe0\xa4\xae \xf0\x9f\x98\x80",
			"\xc3\xa9 \xe0\xa4\xae \xf0\x9f\x98\x80"},
		{"\xc1\xbf \xe0\x9f\xbf \xf0\x8f\xbf\xbf", "?? ??? ????"},	/* too long */
		{"\xed\x9f\xbf \xed\xa0\x80", "\xed\x9f\xbf ???"},		/* surrogate */
		{"\xf4\x8f\xbf\xbf \xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf ????"}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", "????"},
		{"\xc3", "?"},
		{"\xf0\x9f\x98", "???"},
	};
	struct fixture *fixture = *state;

	fixture_open(fixture);
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct spool_header header = header_of_run(2);
		struct spool_outcome outcome = {.state = SLICE_FAILED};
		struct spool_reader *reader;
		struct outcome done = {0};

		snprintf(outcome.text, sizeof(outcome.text), "%s", texts[i][0]);
		spool_commit(create(fixture, &header), &outcome, on_done, &done);
		uv_run(&fixture->loop, UV_RUN_DEFAULT);
		assert_true(done.done && !error_is_set(&done.error));
		reader = open_reader(fixture, header.uuid);
		assert_string_equal(spool_reader_outcome(reader)->text, texts[i][1]);
		spool_reader_free(reader);
	}
}

static void can_be_read_with_strings(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(44);
	char command[512], path[256];

	fixture_open(fixture);
	commit(fixture, create(fixture, &header));
	path_of(fixture, &header, "ready", path);
	snprintf(command, sizeof(command),
		"grep -aq '\"run\":44,\"uuid\":\"%s\",\"dataset\":\"mandi_prices\",\"source\":"
		"\"history\",\"slice\":\"2026-11-19/Kerala\"' %s && "
		"grep -aq '\"state\":\"proven\",\"reason\":\"\"' %s",
		header.uuid, path, path);
	assert_int_equal(system(command), 0);
}

/* ---- pages that end badly ---- */

static void cuts_an_aborted_page(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(3);
	unsigned char *noise = malloc(1000000);
	struct error error = {0};
	struct spool_writer *writer;
	struct spool_reader *reader;
	char path[256];
	off_t size;

	fixture_open(fixture);
	writer = create(fixture, &header);
	write_page(writer, 1, 5000);
	path_of(fixture, &header, "part", path);
	size = size_of(path);
	assert_int_equal(spool_stats(fixture->spool).bytes, size);
	page_bytes(9, 0, noise, 1000000);
	for (size_t len = 0; len <= 1000000; len += 250000) {
		assert_int_equal(spool_page_begin(writer, &error), 0);
		assert_int_equal(spool_page_write(writer, noise, len, &error), 0);
		spool_page_abort(writer);
		assert_int_equal(size_of(path), size);
		assert_int_equal(spool_stats(fixture->spool).bytes, size);
	}
	spool_page_abort(writer); /* none is open */
	assert_int_equal(size_of(path), size);
	write_page(writer, 2, 6000);
	assert_int_equal(spool_page_begin(writer, &error), 0);
	assert_int_equal(spool_page_write(writer, noise, 1000, &error), 0);
	spool_page_abort(writer);
	commit(fixture, writer);
	reader = open_reader(fixture, header.uuid);
	assert_int_equal(check_page(reader, 1, 5000, &error), SPOOL_PAGE_END);
	assert_int_equal(check_page(reader, 2, 6000, &error), SPOOL_PAGE_END);
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
	spool_reader_free(reader);
	free(noise);
}

static void restarts_without_pages(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(3);
	struct error error = {0};
	struct spool_writer *writer;
	struct spool_reader *reader;

	fixture_open(fixture);
	writer = create(fixture, &header);
	write_page(writer, 1, 5000);
	write_page(writer, 2, 70000);
	assert_int_equal(spool_restart(writer, &error), 0);
	write_page(writer, 3, 300);
	assert_int_equal(spool_page_begin(writer, &error), 0);
	assert_int_equal(spool_restart(writer, &error), 0); /* inside a page */
	write_page(writer, 4, 400);
	commit(fixture, writer);
	reader = open_reader(fixture, header.uuid);
	assert_int_equal(check_page(reader, 4, 400, &error), SPOOL_PAGE_END);
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
	spool_reader_free(reader);
}

static void forgets_a_discarded_file(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(3);
	struct spool_reader *reader;
	struct spool_writer *writer;
	struct error error = {0};

	fixture_open(fixture);
	writer = create(fixture, &header);
	write_page(writer, 1, 5000);
	spool_discard(writer);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_false(exists(fixture, &header, "part"));
	assert_int_equal(spool_stats(fixture->spool).bytes, 0);
	assert_int_equal(spool_stats(fixture->spool).n_part, 0);
	assert_int_equal(spool_read(fixture->spool, header.uuid, &reader, &error), -1);
	assert_string_equal(error.code, "not_found");
}

static void refuses_a_page_above_the_limit(void **state)
{
	struct fixture *fixture = *state;
	struct spool_options options = {.page_bytes = 10000, .keep_ms = UINT64_MAX};
	struct spool_header header = header_of_run(3);
	struct error error = {0};
	struct spool_writer *writer;
	struct spool_reader *reader;
	char text[512];

	fixture_open_with(fixture, &options);
	writer = create(fixture, &header);
	write_page(writer, 1, 10000);
	assert_int_equal(try_page(writer, 2, 10001, 7, &error), -1);
	assert_string_equal(error.code, "too_large");
	assert_int_equal(error.class, ERROR_REJECTED);
	spool_page_abort(writer);
	write_page(writer, 3, 100);
	commit(fixture, writer);

	/* The limit of today counts, not that of when it was written. */
	fixture_close(fixture);
	options.page_bytes = 9999;
	fixture_open_with(fixture, &options);
	reader = open_reader(fixture, header.uuid);
	error_clear(&error);
	assert_int_equal(check_page(reader, 1, 10000, &error), SPOOL_ERROR);
	assert_string_equal(error.code, "too_large");
	snprintf(text, sizeof(text),
		"%s/3-%s.ready: block 1 at byte 258: a page of 10000 bytes, more than the 9999 "
		"allowed",
		fixture->directory, header.uuid);
	assert_string_equal(error.text, text);
	spool_reader_free(reader);
}

/* ---- order, loaded, prune ---- */

struct list {
	char text[1000];
	unsigned stop_after, n;
};

static int list_entry(void *arg, const struct spool_entry *entry)
{
	struct list *list = arg;
	size_t len = strlen(list->text);

	snprintf(list->text + len, sizeof(list->text) - len, "%lld.%lld%s ",
		(long long)entry->header.run, (long long)entry->header.started_us,
		entry->loaded ? "L" : "");
	assert_int_equal(entry->loaded, entry->loaded_us > 0);
	assert_true(entry->bytes > 0);
	return ++list->n == list->stop_after ? 42 : 0;
}

static const char *listed(struct fixture *fixture, int64_t loaded_since_us, struct list *list)
{
	struct error error = {0};

	memset(list, 0, sizeof(*list));
	assert_int_equal(spool_visit(fixture->spool, loaded_since_us, list_entry, list, &error), 0);
	return list->text;
}

static struct spool_header write_slice(struct fixture *fixture, int64_t run, int64_t started_us)
{
	struct spool_header header = header_of_run(run);
	struct spool_writer *writer;

	header.started_us = started_us;
	writer = create(fixture, &header);
	write_page(writer, 1, 20000);
	commit(fixture, writer);
	return header;
}

static void lists_the_oldest_first(void **state)
{
	struct fixture *fixture = *state;
	struct error error = {0};
	struct spool_header a, b;
	struct list list;

	fixture_open(fixture);
	write_slice(fixture, 20, 5);
	a = write_slice(fixture, 3, 9);
	write_slice(fixture, 20, 4);
	b = write_slice(fixture, 100, 1);
	write_slice(fixture, 3, 10);
	for (int again = 0; again < 2; again++) {
		assert_string_equal(listed(fixture, 0, &list), "3.9 3.10 20.4 20.5 100.1 ");
		fixture_reopen(fixture);
	}
	error = mark_loaded(fixture, a.uuid);
	assert_false(error_is_set(&error));
	error = mark_loaded(fixture, b.uuid);
	assert_false(error_is_set(&error));
	for (int again = 0; again < 2; again++) {
		assert_string_equal(listed(fixture, 0, &list), "3.10 20.4 20.5 ");
		assert_string_equal(listed(fixture, 1, &list), "3.9L 3.10 20.4 20.5 100.1L ");
		assert_string_equal(listed(fixture, INT64_MAX, &list), "3.10 20.4 20.5 ");
		assert_int_equal(spool_stats(fixture->spool).n_ready, 3);
		assert_int_equal(spool_stats(fixture->spool).n_loaded, 2);
		assert_int_equal(spool_stats(fixture->spool).n_part, 0);
		fixture_reopen(fixture);
	}
	list = (struct list){.stop_after = 2};
	assert_int_equal(spool_visit(fixture->spool, 1, list_entry, &list, &error), 42);
	assert_string_equal(list.text, "3.9L 3.10 ");
	assert_true(exists(fixture, &a, "loaded"));
	assert_false(exists(fixture, &a, "ready"));
}

static void loaded_files_can_be_read_and_marked_again(void **state)
{
	struct fixture *fixture = *state;
	struct spool_reader *reader;
	struct outcome twice[2] = {{0}};
	struct spool_header header;
	struct error error = {0};

	fixture_open(fixture);
	header = write_slice(fixture, 1, 1);
	assert_int_equal(spool_mark_loaded(fixture->spool, header.uuid, on_done, &twice[0]), 0);
	assert_int_equal(spool_mark_loaded(fixture->spool, header.uuid, on_done, &twice[1]), 0);
	reader = open_reader(fixture, header.uuid); /* whatever it is named at this instant */
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(twice[0].done && twice[1].done);
	assert_false(error_is_set(&twice[0].error) || error_is_set(&twice[1].error));
	assert_int_equal(check_page(reader, 1, 20000, &error), SPOOL_PAGE_END);
	spool_reader_free(reader);
	error = mark_loaded(fixture, header.uuid);
	assert_false(error_is_set(&error));
	reader = open_reader(fixture, header.uuid);
	assert_int_equal(check_page(reader, 1, 20000, &error), SPOOL_PAGE_END);
	spool_reader_free(reader);

	error = mark_loaded(fixture, "00000000-0000-4000-8000-000000000000");
	assert_string_equal(error.code, "not_found");
	assert_int_equal(error.class, ERROR_REJECTED);
}

/* Whatever a visitor does to the file it is shown, and to others, the walk goes on. */
static int change_everything(void *arg, const struct spool_entry *entry)
{
	struct fixture *fixture = arg;
	struct spool_header header = header_of_run(entry->header.run + 1000);

	if (entry->header.run < 1000) {
		spool_discard(create(fixture, &header));
		assert_int_equal(
			spool_mark_loaded(fixture->spool, entry->header.uuid, NULL, NULL), 0);
		spool_prune(fixture->spool, INT64_MAX / 2);
	}
	return 0;
}

static void may_be_changed_while_visited(void **state)
{
	struct fixture *fixture = *state;
	struct spool_options options = {.keep_ms = 1000};
	struct error error = {0};
	struct list list;

	fixture_open_with(fixture, &options);
	for (int i = 1; i <= 10; i++) {
		write_slice(fixture, i, i);
	}
	assert_int_equal(spool_visit(fixture->spool, 1, change_everything, fixture, &error), 0);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_string_equal(listed(fixture, 0, &list), "");
	assert_int_equal(spool_stats(fixture->spool).n_loaded, 10);
	assert_int_equal(spool_visit(fixture->spool, 1, change_everything, fixture, &error), 0);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(spool_stats(fixture->spool).n_loaded, 0);
	assert_int_equal(spool_stats(fixture->spool).bytes, 0);
}

static void prunes_what_is_old(void **state)
{
	struct fixture *fixture = *state;
	struct spool_options options = {.keep_ms = 60000};
	struct spool_header loaded, ready;
	struct list list;
	char path[256];
	struct utimbuf long_ago = {.actime = 1000000, .modtime = 1000000};

	fixture_open_with(fixture, &options);
	loaded = write_slice(fixture, 1, 1);
	ready = write_slice(fixture, 2, 2);
	path_of(fixture, &loaded, "ready", path);
	assert_int_equal(utime(path, &long_ago), 0); /* the time of the load counts */
	path_of(fixture, &ready, "ready", path);
	assert_int_equal(utime(path, &long_ago), 0);
	mark_loaded(fixture, loaded.uuid);
	fixture_close(fixture);
	fixture_open_with(fixture, &options);
	spool_prune(fixture->spool, (int64_t)time(NULL) * 1000000);
	assert_string_equal(listed(fixture, 1, &list), "1.1L 2.2 ");
	spool_prune(fixture->spool, ((int64_t)time(NULL) + 70) * 1000000);
	assert_string_equal(listed(fixture, 1, &list), "2.2 ");
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_false(exists(fixture, &loaded, "loaded"));
	assert_true(exists(fixture, &ready, "ready"));
}

static void makes_room_from_loaded_files_only(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header headers[4], more = header_of_run(9);
	struct spool_options options = {.keep_ms = UINT64_MAX};
	struct error error = {0};
	struct spool_writer *writer;
	struct list list;
	char text[512];
	uint64_t each;
	int n = 0;

	fixture_open_with(fixture, &options);
	for (int i = 0; i < 4; i++) {
		headers[i] = write_slice(fixture, i + 1, 1);
		each = spool_stats(fixture->spool).bytes / (unsigned)(i + 1);
	}
	mark_loaded(fixture, headers[2].uuid); /* the oldest by its load, not by its run */
	usleep(20000);			       /* file times are that coarse */
	mark_loaded(fixture, headers[1].uuid);
	fixture_close(fixture);
	options.max_bytes = 3 * each + 200000;
	fixture_open_with(fixture, &options);

	/* Pages until nothing may give way any more. */
	writer = create(fixture, &more);
	while (try_page(writer, 1000003u * (unsigned)n, 50000, 50000, &error) == 0) {
		if (++n == 1) {
			assert_string_equal(listed(fixture, 1, &list), "1.1 2.1L 3.1L 4.1 ");
		}
	}
	assert_string_equal(error.code, "spool_full");
	assert_int_equal(error.class, ERROR_RETRY);
	assert_string_equal(listed(fixture, 1, &list), "1.1 4.1 ");
	assert_true(spool_stats(fixture->spool).bytes <= options.max_bytes);
	assert_true(spool_stats(fixture->spool).bytes + 64 * 1024 > options.max_bytes);
	spool_page_abort(writer);
	snprintf(text, sizeof(text), "%s: full: ", fixture->directory);
	assert_memory_equal(error.text, text, strlen(text));
	assert_non_null(strstr(error.text, " bytes (max_bytes) hold what is not loaded yet"));

	/* What is whole can be committed all the same, and nothing new begins. */
	commit(fixture, writer);
	more = header_of_run(10);
	error_clear(&error);
	assert_int_equal(spool_create(fixture->spool, &more, &writer, &error), -1);
	assert_string_equal(error.code, "spool_full");
	assert_false(exists(fixture, &more, "part"));
	assert_string_equal(listed(fixture, 1, &list), "1.1 4.1 9.9000 ");
	mark_loaded(fixture, headers[0].uuid);
	mark_loaded(fixture, headers[3].uuid);
	spool_discard(create(fixture, &more));
}

/* ---- who ---- */

static void is_opened_once(void **state)
{
	struct fixture *fixture = *state;
	struct spool_options options = {.directory = fixture->directory};
	struct error error = {0};
	struct spool *second = NULL;
	char text[200], holder[SPOOL_UUID_BYTES];

	fixture_open(fixture);
	snprintf(holder, sizeof(holder), "%s", spool_holder(fixture->spool));
	assert_int_equal(spool_open(&fixture->loop, &options, &second, &error), -1);
	assert_string_equal(error.code, "locked");
	assert_int_equal(error.class, ERROR_RETRY);
	snprintf(text, sizeof(text), "%s: in use by another process (pid %ld)", fixture->directory,
		(long)getpid());
	assert_string_equal(error.text, text);
	assert_null(second);
	fixture_reopen(fixture);
	assert_string_equal(spool_holder(fixture->spool), holder); /* made once */
	assert_int_equal(strlen(holder), 36);
	assert_int_equal(holder[14], '4');
}

static void keeps_the_lock_until_the_pool_is_done(void **state)
{
	struct fixture *fixture = *state;
	struct spool_options options = {.directory = fixture->directory};
	struct spool_header header = header_of_run(5);
	struct outcome done = {0};
	struct spool_writer *writer;
	struct error error = {0};
	struct spool *second;

	fixture_open(fixture);
	writer = create(fixture, &header);
	write_page(writer, 1, 100);
	fixture->spool = spool_free(fixture->spool); /* with a writer */
	write_page(writer, 2, 100);
	spool_commit(writer, &proven, on_done, &done);
	assert_int_equal(spool_open(&fixture->loop, &options, &second, &error), -1);
	assert_string_equal(error.code, "locked");
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(done.done && !error_is_set(&done.error));
	fixture_open(fixture);
	assert_int_equal(spool_stats(fixture->spool).n_ready, 1);
	assert_int_equal(spool_mark_loaded(fixture->spool, header.uuid, on_done,
				 memset(&done, 0, sizeof(done))),
		0);
	fixture_close(fixture); /* with a job in the pool */
	assert_true(done.done && !error_is_set(&done.error));
	assert_true(exists(fixture, &header, "loaded"));
}

static void refuses_a_broken_id(void **state)
{
	struct fixture *fixture = *state;
	struct spool_options options = {.directory = fixture->directory};
	struct error error = {0};
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/id", fixture->directory);
	file = fopen(path, "w");
	fputs("not a uuid\n", file);
	fclose(file);
	assert_int_equal(spool_open(&fixture->loop, &options, &fixture->spool, &error), -1);
	assert_string_equal(error.code, "bad_id");
	assert_null(fixture->spool);
}

static void hides_its_files_from_others(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(5);
	char path[256], directory[sizeof(fixture->directory)];
	static const char *const names[] = {"lock", "id"};
	mode_t old = umask(0);
	struct stat st;

	snprintf(directory, sizeof(directory), "%s", fixture->directory);
	snprintf(fixture->directory, sizeof(fixture->directory), "%.50s/new", directory);
	fixture_open(fixture);
	commit(fixture, create(fixture, &header));
	umask(old);
	assert_int_equal(stat(fixture->directory, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	path_of(fixture, &header, "ready", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, names[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	fixture_close(fixture);
	remove_directory(fixture->directory);
	snprintf(fixture->directory, sizeof(fixture->directory), "%s", directory);
}

static void leaves_other_files_alone(void **state)
{
	static const char *const names[] = {"state.json", "readme", "1-x.part", "-.part",
		"01-00000000-0000-4000-8000-000000000000.part",
		"1-00000000-0000-4000-8000-000000000000.par",
		"1-00000000-0000-4000-8000-00000000000G.ready",
		"1-00000000-0000-4000-8000-000000000000.ready.gz"};
	struct fixture *fixture = *state;
	char path[200];

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, names[i]);
		close(open(path, O_WRONLY | O_CREAT, 0600));
	}
	snprintf(path, sizeof(path), "%s/2-00000000-0000-4000-8000-000000000000.part",
		fixture->directory);
	assert_int_equal(mkdir(path, 0700), 0);
	fixture_open(fixture);
	assert_int_equal(spool_stats(fixture->spool).n_part, 0);
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, names[i]);
		assert_int_equal(access(path, F_OK), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		spool_test(keeps_pages_of_all_sizes),
		spool_test(keeps_random_pages),
		spool_test(holds_a_slice_without_pages),
		spool_test(replaces_what_is_no_utf8),
		spool_test(can_be_read_with_strings),
		spool_test(cuts_an_aborted_page),
		spool_test(restarts_without_pages),
		spool_test(forgets_a_discarded_file),
		spool_test(refuses_a_page_above_the_limit),
		spool_test(lists_the_oldest_first),
		spool_test(loaded_files_can_be_read_and_marked_again),
		spool_test(may_be_changed_while_visited),
		spool_test(prunes_what_is_old),
		spool_test(makes_room_from_loaded_files_only),
		spool_test(is_opened_once),
		spool_test(keeps_the_lock_until_the_pool_is_done),
		spool_test(refuses_a_broken_id),
		spool_test(hides_its_files_from_others),
		spool_test(leaves_other_files_alone),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
