/*
 * Small files that are replaced whole or not at all. SPDX-License-Identifier: Apache-2.0
 */

#include <signal.h>
#include <sys/resource.h>

#include "lib/atomic_file.h"
#include "tests/loop/helper/spool.h"

static const char *read_text(const char *path, struct buffer *text)
{
	struct error error = {0};

	buffer_clear(text);
	assert_int_equal(atomic_file_read(path, 1 << 20, text, &error), 0);
	return buffer_str(text);
}

static void replaces_a_file(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_buffer_ struct buffer text = {0};
	struct error error = {0};
	char path[100], temporary[104];
	struct stat st;

	snprintf(path, sizeof(path), "%s/state.json", fixture->directory);
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	assert_int_equal(atomic_file_write(path, "one", 3, &error), 0);
	assert_string_equal(read_text(path, &text), "one");
	assert_int_equal(atomic_file_write(path, "", 0, &error), 0);
	assert_string_equal(read_text(path, &text), "");
	/* One that a crash left is no obstacle. */
	assert_int_equal(atomic_file_write(temporary, "a longer rest of a crash", 24, &error), 0);
	assert_int_equal(atomic_file_write(path, "two", 3, &error), 0);
	assert_string_equal(read_text(path, &text), "two");
	assert_int_equal(access(temporary, F_OK), -1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void takes_a_path_without_directory(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_buffer_ struct buffer text = {0};
	struct error error = {0};
	char old[4096];

	assert_non_null(getcwd(old, sizeof(old)));
	assert_int_equal(chdir(fixture->directory), 0);
	assert_int_equal(atomic_file_write("plain", "x", 1, &error), 0);
	assert_string_equal(read_text("plain", &text), "x");
	assert_int_equal(chdir(old), 0);
}

static void keeps_the_old_file_when_it_fails(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_buffer_ struct buffer text = {0};
	static char big[100000];
	struct rlimit old, small;
	struct error error = {0};
	char path[100], want[300];
	int r;

	snprintf(path, sizeof(path), "%s/state.json", fixture->directory);
	assert_int_equal(atomic_file_write(path, "one", 3, &error), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){.rlim_cur = 50000, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = atomic_file_write(path, big, sizeof(big), &error);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(r, -1);
	assert_string_equal(error.code, "EFBIG");
	assert_int_equal(error.class, ERROR_RETRY);
	snprintf(want, sizeof(want), "%s: writing: File too large", path);
	assert_string_equal(error.text, want);
	assert_string_equal(read_text(path, &text), "one");
	snprintf(want, sizeof(want), "%s.tmp", path);
	assert_int_equal(access(want, F_OK), -1);

	/* The name is that of a directory. */
	error_clear(&error);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(atomic_file_write(path, "two", 3, &error), -1);
	snprintf(want, sizeof(want), "%s: renaming: Is a directory", path);
	assert_string_equal(error.text, want);

	error_clear(&error);
	assert_int_equal(atomic_file_write("/nonexistent/x", "two", 3, &error), -1);
	assert_string_equal(
		error.text, "/nonexistent/x: opening its directory: No such file or directory");
}

static void reads_up_to_a_limit(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_buffer_ struct buffer text = {0};
	static char big[100000];
	struct error error = {0};
	char path[100], want[300];

	snprintf(path, sizeof(path), "%s/state.json", fixture->directory);
	assert_int_equal(atomic_file_read(path, 10, &text, &error), -1);
	assert_string_equal(error.code, "ENOENT");
	error_clear(&error);
	assert_int_equal(atomic_file_write(path, big, sizeof(big), &error), 0);
	assert_int_equal(atomic_file_read(path, sizeof(big), &text, &error), 0);
	assert_int_equal(text.len, sizeof(big));
	buffer_clear(&text);
	assert_int_equal(atomic_file_read(path, sizeof(big) - 1, &text, &error), -1);
	assert_string_equal(error.code, "too_large");
	assert_int_equal(error.class, ERROR_REJECTED);
	snprintf(want, sizeof(want), "%s: larger than 99999 bytes", path);
	assert_string_equal(error.text, want);
}

static void writes_in_the_pool(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_buffer_ struct buffer text = {0};
	struct outcome done = {0}, failed = {0};
	char path[100], data[] = "three";

	snprintf(path, sizeof(path), "%s/state.json", fixture->directory);
	assert_int_equal(atomic_file_write_async(&fixture->loop, path, data, 5, on_done, &done), 0);
	assert_int_equal(atomic_file_write_async(
				 &fixture->loop, "/nonexistent/x", data, 5, on_done, &failed),
		0);
	memset(data, 'x', sizeof(data)); /* it was copied */
	assert_false(done.done);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_true(done.done && failed.done);
	assert_false(error_is_set(&done.error));
	assert_string_equal(failed.error.code, "ENOENT");
	assert_string_equal(read_text(path, &text), "three");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		spool_test(replaces_a_file),
		spool_test(takes_a_path_without_directory),
		spool_test(keeps_the_old_file_when_it_fails),
		spool_test(reads_up_to_a_limit),
		spool_test(writes_in_the_pool),
	};

	return cmocka_run_group_tests_name("atomic-file", tests, NULL, NULL);
}
