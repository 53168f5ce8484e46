/*
 * What a crash leaves in the spool, and what the next start makes of it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A crash of the process is a file that ends anywhere; a bad disk is a bit that differs. Both are
 * tried at every place. The rest is a child that is killed at random moments.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <utime.h>

#include "tests/loop/helper/spool.h"

/* ---- whole files as bytes ---- */

struct bytes {
	unsigned char *data;
	size_t len;
};

static struct bytes read_bytes(const char *path)
{
	struct bytes bytes = {.len = (size_t)size_of(path)};
	int fd = open(path, O_RDONLY);

	bytes.data = malloc(bytes.len);
	assert_non_null(bytes.data);
	assert_int_equal(read(fd, bytes.data, bytes.len), bytes.len);
	close(fd);
	return bytes;
}

static void write_bytes(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* Three pages; where the header and each of them end. */
static const size_t lens[] = {40, 0, 150};

struct sample {
	struct spool_header header;
	size_t ends[N_ELEMENTS(lens) + 1];
	struct bytes part, ready;
};

static void make_sample(struct fixture *fixture, struct sample *sample)
{
	struct spool_writer *writer;
	char part[256], ready[256];

	fixture_open(fixture);
	sample->header = header_of_run(77);
	path_of(fixture, &sample->header, "part", part);
	path_of(fixture, &sample->header, "ready", ready);
	writer = create(fixture, &sample->header);
	sample->ends[0] = (size_t)size_of(part);
	for (size_t i = 0; i < N_ELEMENTS(lens); i++) {
		struct spool_page page = {.rows = 10, .total = 30, .updated = 1795187440};
		unsigned char bytes[256];
		struct error error = {0};

		page_bytes(i, 0, bytes, lens[i]);
		assert_int_equal(spool_page_begin(writer, &error), 0);
		assert_int_equal(spool_page_write(writer, bytes, lens[i], &error), 0);
		spool_page_describe(writer, &page);
		assert_int_equal(spool_page_end(writer, &error), 0);
		sample->ends[i + 1] = (size_t)size_of(part);
	}
	sample->part = read_bytes(part);
	commit(fixture, writer);
	sample->ready = read_bytes(ready);
	assert_int_equal(unlink(ready), 0);
	fixture_close(fixture);
}

static void sample_fini(struct sample *sample)
{
	free(sample->part.data);
	free(sample->ready.data);
}

static size_t whole_pages(const struct sample *sample, size_t len)
{
	size_t n = 0;

	while (n < N_ELEMENTS(lens) && sample->ends[n + 1] <= len) {
		n++;
	}
	return n;
}

static void check_pages(struct spool_reader *reader, size_t n)
{
	struct error error = {0};

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(check_page(reader, i, lens[i], &error), SPOOL_PAGE_END);
	}
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
}

/* ---- a file that ends anywhere ---- */

struct expected_part {
	const struct sample *sample;
	size_t n_pages, cut_bytes;
	unsigned n;
};

static int check_interrupted(void *arg, const struct spool_interrupted *part)
{
	struct expected_part *expected = arg;
	const struct sample *sample = expected->sample;
	bool any = expected->n_pages > 0;

	assert_string_equal(part->header.uuid, sample->header.uuid);
	assert_string_equal(part->header.slice, sample->header.slice);
	assert_int_equal(part->pages, expected->n_pages);
	assert_int_equal(part->rows, expected->n_pages * 10);
	assert_int_equal(part->total, any ? 30 : -1);
	assert_int_equal(part->updated, any ? 1795187440 : 0);
	assert_int_equal(part->bytes, sample->ends[expected->n_pages]);
	assert_int_equal(part->cut_bytes, expected->cut_bytes);
	assert_int_equal(part->written_us, 1600000000000000);
	expected->n++;
	return 0;
}

static unsigned recover(struct fixture *fixture, struct expected_part *expected)
{
	struct error error = {0};

	assert_int_equal(spool_recover(fixture->spool, check_interrupted, expected, &error), 0);
	return expected->n;
}

static struct spool_writer *resume(struct fixture *fixture, const struct spool_header *header)
{
	struct spool_writer *writer = NULL;
	struct error error = {0};

	if (spool_resume(fixture->spool, header->uuid, &writer, &error) < 0) {
		fail_msg("%s: %s", error.code, error.text);
	}
	return writer;
}

/* A .part of `len` bytes: opened, it holds n pages; another one can be written behind them. */
static void check_torn(struct fixture *fixture, const struct sample *sample, const void *bytes,
	size_t len, bool commit_it)
{
	struct expected_part expected = {.sample = sample, .n_pages = whole_pages(sample, len)};
	struct utimbuf then = {.actime = 1600000000, .modtime = 1600000000};
	struct spool_reader *reader;
	struct spool_writer *writer;
	struct error error = {0};
	char path[256];

	path_of(fixture, &sample->header, "part", path);
	write_bytes(path, bytes, len);
	assert_int_equal(utime(path, &then), 0);
	fixture_open(fixture);
	if (len < sample->ends[0]) {
		assert_int_equal(recover(fixture, &expected), 0);
		assert_false(exists(fixture, &sample->header, "part"));
		assert_int_equal(spool_stats(fixture->spool).bytes, 0);
		fixture_close(fixture);
		return;
	}
	expected.cut_bytes = len - sample->ends[expected.n_pages];
	assert_int_equal(size_of(path), sample->ends[expected.n_pages]);
	assert_int_equal(recover(fixture, &expected), 1);
	fixture_reopen(fixture); /* cutting is not writing: the time stays */
	expected.cut_bytes = 0;
	assert_int_equal(recover(fixture, &expected), 2);
	reader = open_reader(fixture, sample->header.uuid);
	assert_null(spool_reader_outcome(reader));
	check_pages(reader, expected.n_pages);
	spool_reader_free(reader);

	writer = resume(fixture, &sample->header);
	assert_int_equal(spool_resume(fixture->spool, sample->header.uuid, &writer, &error), -1);
	assert_string_equal(error.code, "busy");
	for (size_t i = expected.n_pages; i < N_ELEMENTS(lens); i++) {
		write_page(writer, i, lens[i]);
	}
	if (commit_it) {
		commit(fixture, writer);
		reader = open_reader(fixture, sample->header.uuid);
		assert_non_null(spool_reader_outcome(reader));
		check_pages(reader, N_ELEMENTS(lens));
		spool_reader_free(reader);
		path_of(fixture, &sample->header, "ready", path);
		assert_int_equal(unlink(path), 0);
	} else {
		spool_discard(writer);
	}
	fixture_close(fixture);
	assert_int_equal(access(path, F_OK), -1);
}

static void keeps_every_whole_prefix(void **state)
{
	struct fixture *fixture = *state;
	struct sample sample;

	make_sample(fixture, &sample);
	for (size_t len = 0; len <= sample.part.len; len++) {
		check_torn(fixture, &sample, sample.part.data, len, len % 16 == 0);
	}
	/* The same with the outcome behind it: torn while it was committed. */
	for (size_t len = sample.part.len + 1; len < sample.ready.len; len++) {
		check_torn(fixture, &sample, sample.ready.data, len, len % 16 == 0);
	}
	sample_fini(&sample);
}

/* After a crash of the machine the end of a file may be anything. */
static void cuts_what_is_no_block(void **state)
{
	struct fixture *fixture = *state;
	struct sample sample;
	unsigned char *bytes;

	make_sample(fixture, &sample);
	bytes = malloc(sample.part.len + 9000);
	for (size_t pages = 0; pages <= N_ELEMENTS(lens); pages++) {
		for (int kind = 0; kind < 3; kind++) {
			memcpy(bytes, sample.part.data, sample.part.len);
			for (size_t i = sample.ends[pages]; i < sample.part.len + 9000; i++) {
				bytes[i] = kind == 0 ? 0 : (unsigned char)random();
			}
			if (kind == 2) { /* its own beginning, shifted */
				memcpy(bytes + sample.ends[pages], sample.part.data, 300);
			}
			for (size_t more = 1; more < 9000; more = more * 3 + 1) {
				size_t len = sample.ends[pages] + more;

				/* whole_pages() must not count what was overwritten. */
				struct sample cut = sample;

				for (size_t i = pages; i < N_ELEMENTS(lens); i++) {
					cut.ends[i + 1] = SIZE_MAX;
				}
				check_torn(fixture, &cut, bytes, len, false);
			}
		}
	}
	free(bytes);
	sample_fini(&sample);
}

/* Everything was written, and only the rename is missing. */
static void finishes_a_commit(void **state)
{
	struct fixture *fixture = *state;
	struct expected_part expected = {0};
	struct spool_reader *reader;
	struct sample sample;
	char path[256];

	make_sample(fixture, &sample);
	path_of(fixture, &sample.header, "part", path);
	write_bytes(path, sample.ready.data, sample.ready.len);
	fixture_open(fixture);
	assert_int_equal(recover(fixture, &expected), 0);
	assert_true(exists(fixture, &sample.header, "ready"));
	assert_false(exists(fixture, &sample.header, "part"));
	reader = open_reader(fixture, sample.header.uuid);
	check_pages(reader, N_ELEMENTS(lens));
	assert_int_equal(spool_reader_outcome(reader)->received, proven.received);
	spool_reader_free(reader);
	sample_fini(&sample);
}

static void ignore_done(void *arg, const struct error *error)
{
	(void)arg;
	assert_null(error);
}

static int commit_or_discard(void *arg, const struct spool_interrupted *part)
{
	struct spool_outcome outcome = {.state = SLICE_PARTIAL,
		.reason = "interrupted",
		.expected = part->total,
		.received = part->rows,
		.pages = part->pages,
		.updated = part->updated};
	struct fixture *fixture = arg;
	struct spool_writer *writer = resume(fixture, &part->header);

	if (part->pages == 0) {
		spool_discard(writer);
	} else {
		spool_commit(writer, &outcome, ignore_done, NULL);
	}
	return 0;
}

static int count_ready(void *arg, const struct spool_entry *entry)
{
	(void)entry;
	++*(unsigned *)arg;
	return 0;
}

/* What the daemon does with those that are too old to be resumed, from inside the visit. */
static void turns_interrupted_files_into_partial_ones(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header headers[6];
	struct error error = {0};
	unsigned n_ready = 0;

	fixture_open(fixture);
	for (int i = 0; i < 6; i++) {
		struct spool_writer *writer;

		headers[i] = header_of_run(10 + i);
		writer = create(fixture, &headers[i]);
		for (int page = 0; page < i % 3; page++) {
			write_page(writer, (uint64_t)page, 1000);
		}
		spool_commit(writer, &proven, ignore_done, NULL);
	}
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	fixture_close(fixture);
	for (int i = 0; i < 6; i++) {
		char ready[256], part[256];
		struct bytes bytes;

		path_of(fixture, &headers[i], "ready", ready);
		path_of(fixture, &headers[i], "part", part);
		bytes = read_bytes(ready);
		write_bytes(part, bytes.data, bytes.len - 1);
		assert_int_equal(unlink(ready), 0);
		free(bytes.data);
	}
	fixture_open(fixture);
	assert_int_equal(spool_stats(fixture->spool).n_part, 6);
	assert_int_equal(spool_recover(fixture->spool, commit_or_discard, fixture, &error), 0);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(spool_stats(fixture->spool).n_part, 0);
	assert_int_equal(spool_visit(fixture->spool, 0, count_ready, &n_ready, &error), 0);
	assert_int_equal(n_ready, 4);
	for (int i = 0; i < 6; i++) {
		struct spool_reader *reader;

		if (i % 3 == 0) {
			assert_false(exists(fixture, &headers[i], "part"));
			continue;
		}
		reader = open_reader(fixture, headers[i].uuid);
		assert_int_equal(spool_reader_outcome(reader)->state, SLICE_PARTIAL);
		assert_string_equal(spool_reader_outcome(reader)->reason, "interrupted");
		assert_int_equal(spool_reader_outcome(reader)->pages, i % 3);
		spool_reader_free(reader);
	}
}

/* ---- a bit that differs ---- */

/* Read everything. Returns the pages that came before the end or the error. */
static size_t read_through(
	struct fixture *fixture, const struct sample *sample, struct error *error)
{
	struct spool_reader *reader;
	size_t n = 0;

	if (spool_read(fixture->spool, sample->header.uuid, &reader, error) < 0) {
		return 0;
	}
	while (n < N_ELEMENTS(lens) && check_page(reader, n, lens[n], error) == SPOOL_PAGE_END) {
		n++;
	}
	if (!error_is_set(error)) {
		assert_int_equal(check_page(reader, 0, 0, error), SPOOL_END);
	}
	spool_reader_free(reader);
	return n;
}

static void put_byte(const char *path, size_t at, unsigned char byte)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

static void notices_every_flipped_bit(void **state)
{
	struct fixture *fixture = *state;
	struct sample sample;
	char path[256], place[300];

	make_sample(fixture, &sample);
	path_of(fixture, &sample.header, "ready", path);
	write_bytes(path, sample.ready.data, sample.ready.len);
	fixture_open(fixture);
	for (size_t bit = 0; bit < 8 * sample.ready.len; bit++) {
		size_t at = bit / 8, whole = whole_pages(&sample, at);
		struct error error = {0};
		size_t n;

		put_byte(path, at, sample.ready.data[at] ^ (unsigned char)(1 << bit % 8));
		n = read_through(fixture, &sample, &error);
		assert_string_equal(error.code, "damaged");
		assert_int_equal(error.class, ERROR_REJECTED);
		snprintf(place, sizeof(place), "%s: block ", path);
		assert_memory_equal(error.text, place, strlen(place));
		/* Either the whole file is refused, or all pages before the damaged one came. */
		assert_true(n == 0 || n == whole);
		put_byte(path, at, sample.ready.data[at]);
	}
	assert_int_equal(read_through(fixture, &sample, &(struct error){0}), N_ELEMENTS(lens));
	sample_fini(&sample);
}

static void names_the_damaged_block(void **state)
{
	struct fixture *fixture = *state;
	struct error error = {0};
	struct sample sample;
	char path[256], text[400];

	make_sample(fixture, &sample);
	path_of(fixture, &sample.header, "ready", path);
	write_bytes(path, sample.ready.data, sample.ready.len);
	fixture_open(fixture);
	put_byte(path, sample.ends[3] - 1, 0x55);
	assert_int_equal(read_through(fixture, &sample, &error), 2);
	snprintf(text, sizeof(text), "%s: block 3 at byte %zu: its checksum does not match", path,
		sample.ends[2]);
	assert_string_equal(error.text, text);

	error_clear(&error);
	write_bytes(path, sample.ready.data, sample.part.len);
	assert_int_equal(read_through(fixture, &sample, &error), 0);
	snprintf(text, sizeof(text), "%s: block 4 at byte %zu: the file ends in its head", path,
		sample.ends[3]);
	assert_string_equal(error.text, text);
	sample_fini(&sample);
}

static void count_damaged(void *arg, const char *path)
{
	assert_int_equal(access(path, F_OK), 0);
	assert_non_null(strstr(path, ".damaged"));
	++*(unsigned *)arg;
}

/* Damage is set aside: it stops neither the start nor a visit, and stays for people to look at. */
static void sets_damaged_files_aside(void **state)
{
	struct fixture *fixture = *state;
	struct spool_options options = {.keep_ms = 1000};
	unsigned n_ready = 0, n_damaged = 0;
	struct spool_reader *reader;
	struct error error = {0};
	struct outcome done = {0};
	struct sample sample;
	char path[256];

	/* At the start: the header is damaged. */
	make_sample(fixture, &sample);
	path_of(fixture, &sample.header, "ready", path);
	write_bytes(path, sample.ready.data, sample.ready.len);
	put_byte(path, 20, 0x55);
	fixture_open_with(fixture, &options);
	assert_int_equal(spool_stats(fixture->spool).n_damaged, 1);
	assert_int_equal(spool_visit(fixture->spool, 1, count_ready, &n_ready, &error), 0);
	assert_int_equal(n_ready, 0);
	spool_visit_damaged(fixture->spool, count_damaged, &n_damaged);
	assert_int_equal(n_damaged, 1);
	assert_int_equal(spool_read(fixture->spool, sample.header.uuid, &reader, &error), -1);
	assert_string_equal(error.code, "not_found");
	fixture_close(fixture);
	fixture_open_with(fixture, &options); /* and it stays so */
	assert_int_equal(spool_stats(fixture->spool).n_damaged, 1);
	spool_prune(fixture->spool, ((int64_t)time(NULL) + 60) * 1000000);
	assert_int_equal(spool_stats(fixture->spool).n_damaged, 0);
	fixture_close(fixture);
	assert_false(exists(fixture, &sample.header, "damaged"));

	/* In a visit: it was damaged since the start. */
	write_bytes(path, sample.ready.data, sample.ready.len);
	fixture_open(fixture);
	put_byte(path, 20, 0x55);
	assert_int_equal(spool_visit(fixture->spool, 1, count_ready, &n_ready, &error), 0);
	assert_int_equal(n_ready, 0);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(exists(fixture, &sample.header, "damaged"));
	fixture_close(fixture);
	path_of(fixture, &sample.header, "damaged", path);
	assert_int_equal(unlink(path), 0);

	/* In a page: who read it says so. */
	path_of(fixture, &sample.header, "ready", path);
	write_bytes(path, sample.ready.data, sample.ready.len);
	fixture_open(fixture);
	assert_int_equal(spool_set_aside(fixture->spool, sample.header.uuid, on_done, &done), 0);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(done.done && !error_is_set(&done.error));
	assert_true(exists(fixture, &sample.header, "damaged"));
	assert_int_equal(spool_visit(fixture->spool, 1, count_ready, &n_ready, &error), 0);
	assert_int_equal(n_ready, 0);
	/* A file that somebody removed is passed over. */
	sample_fini(&sample);
}

static void passes_over_removed_files(void **state)
{
	struct fixture *fixture = *state;
	struct error error = {0};
	unsigned n_ready = 0;
	struct sample sample;
	char path[256];

	make_sample(fixture, &sample);
	path_of(fixture, &sample.header, "ready", path);
	write_bytes(path, sample.ready.data, sample.ready.len);
	fixture_open(fixture);
	assert_int_equal(spool_stats(fixture->spool).n_ready, 1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(spool_visit(fixture->spool, 1, count_ready, &n_ready, &error), 0);
	assert_int_equal(n_ready, 0);
	assert_int_equal(spool_stats(fixture->spool).n_ready, 0);
	assert_int_equal(spool_stats(fixture->spool).bytes, 0);
	sample_fini(&sample);
}

/* A .part whose header is damaged may hold pages: it is not thrown away. */
static void keeps_a_large_part_without_header(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(4);
	struct spool_writer *writer;
	char path[256], ready[256];

	fixture_open(fixture);
	writer = create(fixture, &header);
	write_page(writer, 1, 100000);
	commit(fixture, writer);
	fixture_close(fixture);
	path_of(fixture, &header, "part", path);
	path_of(fixture, &header, "ready", ready);
	assert_int_equal(rename(ready, path), 0);
	put_byte(path, 3, 'x');
	fixture_open(fixture);
	assert_int_equal(spool_stats(fixture->spool).n_damaged, 1);
	assert_true(exists(fixture, &header, "damaged"));
}

/* ---- kill -9 ---- */

static size_t len_of(int64_t run, unsigned page)
{
	return (size_t)((uint64_t)run * 7919 + page * 104729) % 60000;
}

static unsigned pages_of(int64_t run)
{
	return (unsigned)(run % 5);
}

/* The child: slice after slice, and each acknowledged commit told to the parent. */
static int write_until_killed(const char *directory, int64_t run)
{
	struct fixture fixture = {.spool = NULL};
	struct spool_options options = {.directory = directory, .keep_ms = UINT64_MAX};
	struct error error = {0};

	if (uv_loop_init(&fixture.loop) < 0 ||
		spool_open(&fixture.loop, &options, &fixture.spool, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	for (;; run++) {
		struct spool_header header = header_of_run(run);
		struct spool_writer *writer = create(&fixture, &header);

		for (unsigned i = 0; i < pages_of(run); i++) {
			write_page(writer, (uint64_t)run * 100 + i, len_of(run, i));
		}
		commit(&fixture, writer);
		if (write(STDOUT_FILENO, &run, sizeof(run)) != (ssize_t)sizeof(run)) {
			return 1;
		}
		if (run % 2 == 0) {
			mark_loaded(&fixture, header.uuid);
		}
	}
}

struct survivors {
	struct fixture *fixture;
	int64_t first, acknowledged; /* runs of this round; last one that was told */
	int64_t last_seen;
	unsigned n_interrupted;
};

static int check_survivor(void *arg, const struct spool_entry *entry)
{
	struct survivors *survivors = arg;
	int64_t run = entry->header.run;
	struct error error = {0};
	struct spool_reader *reader;

	if (run < survivors->first) {
		return 0;
	}
	assert_int_equal(run, survivors->last_seen + 1);
	survivors->last_seen = run;
	reader = open_reader(survivors->fixture, entry->header.uuid);
	for (unsigned i = 0; i < pages_of(run); i++) {
		assert_int_equal(
			check_page(reader, (uint64_t)run * 100 + i, len_of(run, i), &error),
			SPOOL_PAGE_END);
	}
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
	spool_reader_free(reader);
	return 0;
}

static int check_victim(void *arg, const struct spool_interrupted *part)
{
	struct survivors *survivors = arg;
	int64_t run = part->header.run;
	struct error error = {0};
	struct spool_reader *reader;

	assert_true(run == survivors->last_seen + 1 && run > survivors->acknowledged);
	reader = open_reader(survivors->fixture, part->header.uuid);
	for (unsigned i = 0; i < part->pages; i++) {
		assert_int_equal(
			check_page(reader, (uint64_t)run * 100 + i, len_of(run, i), &error),
			SPOOL_PAGE_END);
	}
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
	spool_reader_free(reader);
	survivors->n_interrupted++;
	spool_discard(resume(survivors->fixture, &part->header));
	return 0;
}

/* Run a child for a while, kill it. Returns the last run that it told us was safe. */
static int64_t kill_a_writer(const struct fixture *fixture, int64_t first, unsigned after_us)
{
	char run[32];
	char *const argv[] = {
		(char *)"test", (char *)"--writer", (char *)fixture->directory, run, NULL};
	int64_t told, last = first - 1;
	int pipes[2];
	pid_t pid;

	snprintf(run, sizeof(run), "%lld", (long long)first);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(pipes[1]);
	/* Once it works, wait a random while. */
	assert_int_equal(read(pipes[0], &told, sizeof(told)), sizeof(told));
	last = told;
	usleep(after_us);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (read(pipes[0], &told, sizeof(told)) == (ssize_t)sizeof(told)) {
		last = told;
	}
	close(pipes[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return last;
}

static void loses_nothing_when_killed(void **state)
{
	struct fixture *fixture = *state;
	struct survivors survivors = {.fixture = fixture, .first = 1};
	struct error error = {0};

	srandom(20261120);
	for (int round = 0; round < 25; round++) {
		survivors.last_seen = survivors.first - 1;
		survivors.acknowledged =
			kill_a_writer(fixture, survivors.first, (unsigned)random() % 12000);
		fixture_open(fixture);
		assert_int_equal(
			spool_visit(fixture->spool, 1, check_survivor, &survivors, &error), 0);
		assert_true(survivors.last_seen >= survivors.acknowledged);
		assert_int_equal(
			spool_recover(fixture->spool, check_victim, &survivors, &error), 0);
		assert_int_equal(spool_stats(fixture->spool).n_damaged, 0);
		fixture_close(fixture);
		survivors.first = survivors.last_seen + 1;
	}
	print_message("%lld slices, %u interrupted\n", (long long)survivors.last_seen,
		survivors.n_interrupted);
	assert_true(survivors.last_seen > 25);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		spool_test(keeps_every_whole_prefix),
		spool_test(cuts_what_is_no_block),
		spool_test(finishes_a_commit),
		spool_test(turns_interrupted_files_into_partial_ones),
		spool_test(notices_every_flipped_bit),
		spool_test(names_the_damaged_block),
		spool_test(sets_damaged_files_aside),
		spool_test(passes_over_removed_files),
		spool_test(keeps_a_large_part_without_header),
		spool_test(loses_nothing_when_killed),
	};

	if (argc == 4 && strcmp(argv[1], "--writer") == 0) {
		return write_until_killed(argv[2], atoll(argv[3]));
	}
	return cmocka_run_group_tests_name("spool-crash", tests, NULL, NULL);
}
