/*
 * The spool on a disk that is full or fails, in the order of its system calls, and within its
 * memory. SPDX-License-Identifier: Apache-2.0
 *
 * Failing calls are injected by strace(1) into a child of this program, where that may be done.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/loop/helper/spool.h"

#if defined(__SANITIZE_ADDRESS__)
enum { IS_SANITIZED = 1 };
#elif defined(__has_feature)
enum { IS_SANITIZED = __has_feature(address_sanitizer) };
#else
enum { IS_SANITIZED = 0 };
#endif

/* ---- full ---- */

static bool mount_small(const char *directory, const char *size)
{
	return unshare(CLONE_NEWNS) == 0 &&
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("none", directory, "tmpfs", 0, size) == 0;
}

static void check_disk_error(const struct fixture *fixture, const struct spool_header *header,
	const struct error *error, const char *code, const char *what)
{
	char text[400];

	assert_int_equal(error->class, ERROR_RETRY);
	assert_string_equal(error->where, "spool");
	assert_string_equal(error->code, code);
	path_of(fixture, header, "part", text);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), ": %s", what);
	assert_string_equal(error->text, text);
}

/* Pages until one fails. Returns how many were whole. */
static unsigned write_until_it_fails(struct spool_writer *writer, struct error *error)
{
	unsigned n = 0;

	while (try_page(writer, 1000003u * n, 40000, 40000, error) == 0) {
		assert_true(++n < 10000);
	}
	return n;
}

static void check_pages(struct fixture *fixture, const struct spool_header *header, unsigned n)
{
	struct spool_reader *reader = open_reader(fixture, header->uuid);
	struct error error = {0};

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(check_page(reader, 1000003u * i, 40000, &error), SPOOL_PAGE_END);
	}
	assert_int_equal(check_page(reader, 0, 0, &error), SPOOL_END);
	spool_reader_free(reader);
}

static void keeps_whole_pages_on_a_full_disk(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(1), other = header_of_run(2);
	struct spool_writer *writer, *second = NULL;
	struct error error = {0};
	unsigned n;

	if (!mount_small(fixture->directory, "size=512k")) {
		skip();
	}
	fixture_open(fixture);
	writer = create(fixture, &header);
	n = write_until_it_fails(writer, &error);
	check_disk_error(fixture, &header, &error, "ENOSPC", "writing: No space left on device");
	assert_true(n > 5);

	/* Not even a header fits: nothing is left of the attempt. */
	error_clear(&error);
	assert_int_equal(spool_create(fixture->spool, &other, &second, &error), -1);
	check_disk_error(fixture, &other, &error, "ENOSPC", "writing: No space left on device");
	assert_false(exists(fixture, &other, "part"));
	assert_int_equal(spool_stats(fixture->spool).n_part, 1);

	spool_page_abort(writer); /* which makes room again */
	commit(fixture, writer);
	check_pages(fixture, &header, n);
	fixture_close(fixture);
	assert_int_equal(umount(fixture->directory), 0);
}

/* The outcome does not fit: no .ready; when there is room again, the same pages are committed. */
static void commits_later_when_the_disk_was_full(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(1);
	struct spool_writer *writer;
	char path[256], filler[256];
	struct error error = {0};
	unsigned char *zeros = calloc(1, 4096);
	int fd;

	if (!mount_small(fixture->directory, "size=512k")) {
		free(zeros);
		skip();
	}
	fixture_open(fixture);
	writer = create(fixture, &header);
	/* To the end of a block of the file system, so that the outcome needs a new one. */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(try_page(writer, 1000003u * i, 40000, 40000, &error), 0);
	}
	path_of(fixture, &header, "part", path);
	for (unsigned i = 0; 4096 - size_of(path) % 4096 > 200; i++) {
		size_t len = (size_t)(4096 - size_of(path) % 4096) * 2 / 3;

		assert_int_equal(spool_page_begin(writer, &error), 0);
		assert_int_equal(spool_page_write(writer, zeros, len / 2, &error), 0);
		assert_int_equal(spool_page_end(writer, &error), 0);
		assert_true(i < 1000);
	}
	snprintf(filler, sizeof(filler), "%s/filler", fixture->directory);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, zeros, 4096) == 4096) {
		continue;
	}
	close(fd);

	error = try_commit(fixture, writer);
	check_disk_error(fixture, &header, &error, "ENOSPC", "writing: No space left on device");
	assert_false(exists(fixture, &header, "ready"));
	assert_int_equal(spool_stats(fixture->spool).n_part, 1);
	assert_int_equal(spool_stats(fixture->spool).n_ready, 0);
	assert_int_equal(unlink(filler), 0);
	error_clear(&error);
	assert_int_equal(spool_resume(fixture->spool, header.uuid, &writer, &error), 0);
	commit(fixture, writer);
	assert_true(exists(fixture, &header, "ready"));
	spool_reader_free(open_reader(fixture, header.uuid));
	fixture_close(fixture);
	assert_int_equal(umount(fixture->directory), 0);
	free(zeros);
}

/* The same without the right to mount: a limit on the size of files. */
static void keeps_whole_pages_at_a_file_limit(void **state)
{
	struct fixture *fixture = *state;
	struct spool_header header = header_of_run(1);
	struct rlimit old, small;
	struct spool_writer *writer;
	struct error error = {0};
	unsigned n;

	signal(SIGXFSZ, SIG_IGN);
	fixture_open(fixture);
	writer = create(fixture, &header);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){.rlim_cur = 300000, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	n = write_until_it_fails(writer, &error);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	check_disk_error(fixture, &header, &error, "EFBIG", "writing: File too large");
	assert_in_range(n, 5, 1000);
	spool_page_abort(writer);
	commit(fixture, writer);
	check_pages(fixture, &header, n);
}

/* ---- the order of the calls, and what their failures leave ---- */

static const char one_uuid[] = "12345678-9abc-4def-8123-456789abcdef";

/* The child: one slice into a spool that is there; the errors go to stdout. */
static int write_one(const char *directory, const char *what)
{
	struct fixture fixture = {.spool = NULL};
	struct spool_options options = {.directory = directory, .keep_ms = UINT64_MAX};
	struct spool_header header = {.run = 1,
		.started_us = 1,
		.dataset = "d",
		.source = "s",
		.slice = "all",
		.trigger = "t"};
	struct error error = {0};

	memcpy(header.uuid, one_uuid, sizeof(header.uuid));
	if (uv_loop_init(&fixture.loop) < 0 ||
		spool_open(&fixture.loop, &options, &fixture.spool, &error) < 0) {
		printf("open %s\n", error.text);
		return 1;
	}
	if (strcmp(what, "commit") == 0) {
		struct spool_writer *writer = create(&fixture, &header);

		write_page(writer, 1, 100000);
		error = try_commit(&fixture, writer);
	} else {
		error = mark_loaded(&fixture, one_uuid);
	}
	printf("%s %s parts=%u ready=%u loaded=%u\n", what,
		error_is_set(&error) ? error.text : "ok", spool_stats(fixture.spool).n_part,
		spool_stats(fixture.spool).n_ready, spool_stats(fixture.spool).n_loaded);
	spool_free(fixture.spool);
	uv_run(&fixture.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&fixture.loop);
}

static void read_file(const char *directory, const char *name, char *out, size_t size)
{
	char path[256];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(out, 1, size - 1, file);
	out[n] = '\0';
	fclose(file);
}

/*
 * Run the child under strace with further options; what it says and the trace stand in files beside
 * the spool. False: strace is not there, or may not trace.
 */
static bool trace_child(
	struct fixture *fixture, const char *what, const char *options, char *out, size_t size)
{
	char command[800], exe[256];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	assert_true(n > 0);
	exe[n] = '\0';
	snprintf(command, sizeof(command),
		"cd '%s' && ASAN_OPTIONS=detect_leaks=0 strace -f -y -o trace -e "
		"trace=fdatasync,fsync,rename,renameat,renameat2,ftruncate,pwrite64,unlinkat "
		"%s '%s' --one '%s' %s >out 2>err",
		fixture->directory, options, exe, fixture->directory, what);
	if (system("strace -o /dev/null true 2>/dev/null") != 0) {
		return false;
	}
	if (system(command) != 0) {
		read_file(fixture->directory, "err", out, size);
		fail_msg("%s: %s", command, out);
	}
	read_file(fixture->directory, "out", out, size);
	return true;
}

/* What comes after `from` in the trace, and must. */
static const char *find_after(const char *from, const char *call, const char *argument)
{
	const char *at = from;

	while ((at = strstr(at, call))) {
		const char *end = strchr(at, '\n');
		const char *found = strstr(at, argument);

		if (found && end && found < end) {
			return end;
		}
		at++;
	}
	fail_msg("no %s of %s behind:\n%s", call, argument, from);
	return NULL;
}

static void syncs_before_it_renames(void **state)
{
	struct fixture *fixture = *state;
	char out[400], trace[20000], part[100], ready[100], loaded[100], directory[100];
	const char *at;

	fixture_reopen(fixture); /* the id is there, so that its syncs are not in the trace */
	fixture_close(fixture);
	snprintf(part, sizeof(part), "1-%s.part", one_uuid);
	snprintf(ready, sizeof(ready), "1-%s.ready", one_uuid);
	snprintf(loaded, sizeof(loaded), "1-%s.loaded", one_uuid);
	snprintf(directory, sizeof(directory), "%s>", fixture->directory);
	if (!trace_child(fixture, "commit", "", out, sizeof(out))) {
		skip();
	}
	assert_string_equal(out, "commit ok parts=0 ready=1 loaded=0\n");
	read_file(fixture->directory, "trace", trace, sizeof(trace));
	at = find_after(trace, "pwrite64(", part);
	at = find_after(at, "fdatasync(", part);
	assert_null(strstr(at, "pwrite64("));
	assert_null(strstr(at, "ftruncate("));
	at = find_after(at, "renameat", ready);
	find_after(at, "fsync(", directory);

	assert_true(trace_child(fixture, "mark", "", out, sizeof(out)));
	assert_string_equal(out, "mark ok parts=0 ready=0 loaded=1\n");
	read_file(fixture->directory, "trace", trace, sizeof(trace));
	at = find_after(trace, "renameat", loaded);
	find_after(at, "fsync(", directory);
}

struct fault_case {
	const char *what, *inject; /* the call and when */
	const char *said;	   /* with the directory left out */
	bool part, ready, loaded;  /* which file is there afterwards */
};

/* A failing disk: who waits hears of it, and no file has a name that it should not have. */
static void leaves_no_wrong_name(void **state)
{
	static const struct fault_case cases[] = {
		{"commit", "fdatasync:error=EIO",
			".part: syncing: Input/output error parts=0 ready=0 loaded=0\n"},
		{"commit", "fdatasync:error=ENOSPC",
			".part: syncing: No space left on device parts=0 ready=0 loaded=0\n"},
		{"commit", "renameat,renameat2,rename:error=EIO",
			".part: renaming: Input/output error parts=1 ready=0 loaded=0\n",
			.part = true},
		{"commit", "fsync:error=EIO",
			".part: renaming: Input/output error parts=1 ready=0 loaded=0\n",
			.part = true},
		{"commit", "ftruncate:error=EIO", /* also of the lock's file, which does no harm */
			".part: cutting an aborted page: Input/output error parts=1 ready=0 "
			"loaded=0\n",
			.part = true},
		{"mark", "renameat,renameat2,rename:error=EROFS",
			".ready: renaming: Read-only file system parts=0 ready=1 loaded=0\n",
			.ready = true},
		{"mark", "fsync:error=EIO",
			".ready: renaming: Input/output error parts=0 ready=1 loaded=0\n",
			.ready = true},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct fault_case *c = &cases[i];
		struct spool_header header = {.run = 1};
		char out[400], want[400], option[100];

		fixture_reopen(fixture);
		fixture_close(fixture);
		if (strcmp(c->what, "mark") == 0) {
			assert_int_equal(write_one(fixture->directory, "commit"), 0);
		}
		snprintf(option, sizeof(option), "-e inject=%s", c->inject);
		if (!trace_child(fixture, c->what, option, out, sizeof(out))) {
			skip();
		}
		snprintf(want, sizeof(want), "%s %s/1-%s%s", c->what, fixture->directory, one_uuid,
			c->said);
		assert_string_equal(out, want);
		memcpy(header.uuid, one_uuid, sizeof(header.uuid));
		assert_int_equal(exists(fixture, &header, "part"), c->part);
		assert_int_equal(exists(fixture, &header, "ready"), c->ready);
		assert_int_equal(exists(fixture, &header, "loaded"), c->loaded);
		remove_directory(fixture->directory);
		assert_int_equal(mkdir(fixture->directory, 0700), 0);
	}
}

/* ---- closing while the pool works ---- */

struct calls {
	unsigned n;
};

static void count_call(void *arg, const struct error *error)
{
	struct calls *calls = arg;

	assert_null(error);
	calls->n++;
}

static void may_be_freed_at_any_turn_of_the_loop(void **state)
{
	struct fixture *fixture = *state;
	int64_t run = 1;

	for (int turns = 0; turns < 12; turns++) {
		struct spool_header a = header_of_run(run++), b = header_of_run(run++);
		struct spool_options options = {.keep_ms = 0};
		struct calls calls = {0};
		struct spool_writer *writer;

		fixture_open_with(fixture, &options);
		writer = create(fixture, &a);
		write_page(writer, 1, 1000);
		commit(fixture, writer);
		writer = create(fixture, &b);
		write_page(writer, 1, 1000);
		assert_int_equal(spool_mark_loaded(fixture->spool, a.uuid, count_call, &calls), 0);
		spool_commit(writer, &proven, count_call, &calls);
		assert_int_equal(calls.n, 0);
		for (int i = 0; i < turns; i++) {
			uv_run(&fixture->loop, UV_RUN_NOWAIT);
			usleep(100);
		}
		spool_prune(fixture->spool, INT64_MAX / 2);
		fixture_close(fixture);
		assert_int_equal(calls.n, 2);
		assert_true(exists(fixture, &b, "ready"));
	}
}

/* ---- memory ---- */

enum { BIG_BYTES = 1 << 30 };

/* The child: a page of 1 GiB through the spool. Its peak memory is its exit status in MiB. */
static int pass_big_page(const char *directory)
{
	struct fixture fixture = {.spool = NULL};
	struct spool_options options = {.directory = directory, .keep_ms = UINT64_MAX};
	struct spool_header header = header_of_run(1);
	static unsigned char piece[16 * 1024];
	struct spool_writer *writer;
	struct spool_reader *reader;
	struct error error = {0};
	enum spool_item item;
	struct rusage usage;
	const void *data;
	size_t len, total = 0;

	page_bytes(1, 0, piece, sizeof(piece));
	assert_int_equal(uv_loop_init(&fixture.loop), 0);
	assert_int_equal(spool_open(&fixture.loop, &options, &fixture.spool, &error), 0);
	writer = create(&fixture, &header);
	assert_int_equal(spool_page_begin(writer, &error), 0);
	for (size_t at = 0; at < BIG_BYTES; at += sizeof(piece)) {
		memcpy(piece + at / sizeof(piece) % 1000 * 16, &at, sizeof(at));
		assert_int_equal(spool_page_write(writer, piece, sizeof(piece), &error), 0);
	}
	assert_int_equal(spool_page_end(writer, &error), 0);
	commit(&fixture, writer);
	reader = open_reader(&fixture, header.uuid);
	while ((item = spool_reader_next(reader, &data, &len, &error)) == SPOOL_DATA) {
		total += len;
	}
	assert_int_equal(item, SPOOL_PAGE_END);
	assert_int_equal(total, BIG_BYTES);
	spool_reader_free(reader);
	spool_free(fixture.spool);
	uv_run(&fixture.loop, UV_RUN_DEFAULT);
	getrusage(RUSAGE_SELF, &usage);
	return (int)(usage.ru_maxrss / 1024);
}

static void needs_little_memory_for_a_large_page(void **state)
{
	struct fixture *fixture = *state;
	char *const argv[] = {(char *)"test", (char *)"--big", fixture->directory, NULL};
	int status;
	pid_t pid;

	if (IS_SANITIZED) {
		skip();
	}
	/* A fresh image: the memory of this one must not count. */
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	print_message("peak of 1 GiB through the spool: %d MiB\n", WEXITSTATUS(status));
	assert_in_range(WEXITSTATUS(status), 1, 16);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		spool_test(keeps_whole_pages_at_a_file_limit),
		spool_test(syncs_before_it_renames),
		spool_test(leaves_no_wrong_name),
		spool_test(may_be_freed_at_any_turn_of_the_loop),
		spool_test(needs_little_memory_for_a_large_page),
		/* These enter a mount namespace of their own, and stay there. */
		spool_test(keeps_whole_pages_on_a_full_disk),
		spool_test(commits_later_when_the_disk_was_full),
	};

	if (argc == 4 && strcmp(argv[1], "--one") == 0) {
		return write_one(argv[2], argv[3]);
	}
	if (argc == 3 && strcmp(argv[1], "--big") == 0) {
		return pass_big_page(argv[2]);
	}
	return cmocka_run_group_tests_name("spool-disk", tests, NULL, NULL);
}
