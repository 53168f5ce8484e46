/*
 * Log lines: what they look like, where they go, and that nobody waits.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/buffer.h"
#include "lib/log.h"
#include "lib/scrub.h"

#define TIME "2026-11-20T12:00:03.120+05:30"

struct fixture {
	struct clock_manual clock;
	char directory[40];
	char file[80], socket_path[80];
	int err;	 /* the real stderr */
	char line[4096]; /* the sink's last one */
	unsigned n_lines;
};

static void on_line(void *arg, enum log_level level, const char *line)
{
	struct fixture *fixture = arg;

	assert_true(level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG);
	assert_null(strchr(line, '\n'));
	snprintf(fixture->line, sizeof(fixture->line), "%s", line);
	fixture->n_lines++;
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	clock_manual_init(&fixture->clock, INT64_C(1795156203120000));
	strcpy(fixture->directory, "/tmp/test-log-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->file, sizeof(fixture->file), "%s/sync.log", fixture->directory);
	snprintf(fixture->socket_path, sizeof(fixture->socket_path), "%s/socket",
		fixture->directory);
	fixture->err = dup(STDERR_FILENO);
	assert_true(fixture->err >= 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	log_set_sink(NULL, NULL);
	log_close();
	scrub_clear();
	unsetenv("JOURNAL_STREAM");
	dup2(fixture->err, STDERR_FILENO);
	close(fixture->err);
	unlink(fixture->file);
	unlink(fixture->socket_path);
	rmdir(fixture->directory);
	free(fixture);
	return 0;
}

static struct log_options options_of(struct fixture *fixture, enum log_format format)
{
	return (struct log_options){.format = format,
		.level = LOG_LEVEL_INFO,
		.journal_socket = fixture->socket_path,
		.clock = &fixture->clock.clock};
}

static void open_sink(struct fixture *fixture, enum log_format format)
{
	struct log_options options = options_of(fixture, format);
	struct error error = {0};

	assert_int_equal(log_open(&options, &error), 0);
	log_set_sink(on_line, fixture);
}

/* ---- lines ---- */

static void writes_logfmt(void **state)
{
	struct fixture *fixture = *state;
	struct log source = {.fields = {f_str("source", "mandi_prices/live")}, .n_fields = 1};
	struct log run = {
		.parent = &source, .fields = {f_u64("run", 1795187440123)}, .n_fields = 1};

	open_sink(fixture, LOG_FORMAT_LOGFMT);
	log_error(&run, "run.failed", f_msg("no answer for 180 s"));
	assert_string_equal(fixture->line,
		TIME " ERROR run.failed source=mandi_prices/live run=1795187440123 "
		     "msg=\"no answer for 180 s\"");
	log_info(&run, "run.done");
	assert_string_equal(
		fixture->line, TIME " INFO run.done source=mandi_prices/live run=1795187440123");
	log_notice(NULL, "daemon.start", f_i64("a", INT64_MIN), f_u64("b", UINT64_MAX),
		f_f64("c", 0.25), f_bool("d", true), f_bool("e", false), f_f64("f", 1e30));
	assert_string_equal(fixture->line,
		TIME " NOTICE daemon.start a=-9223372036854775808 b=18446744073709551615 c=0.25 "
		     "d=true e=false f=1e+30");
	log_warning(&source, "page.short", f_str("left_out", NULL), f_str("source", "other/one"));
	assert_string_equal(fixture->line, TIME " WARNING page.short source=other/one");
}

static void keeps_levels_apart(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_LOGFMT);
	struct error error = {0};

	open_sink(fixture, LOG_FORMAT_LOGFMT);
	assert_true(log_enabled(LOG_LEVEL_INFO));
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	log_debug(NULL, "run.state");
	assert_int_equal(fixture->n_lines, 0);
	options.level = LOG_LEVEL_DEBUG;
	assert_int_equal(log_open(&options, &error), 0);
	log_debug(NULL, "run.state");
	assert_string_equal(fixture->line, TIME " DEBUG run.state");
	options.level = LOG_LEVEL_ERROR;
	assert_int_equal(log_open(&options, &error), 0);
	log_warning(NULL, "run.retry");
	log_error(NULL, "run.failed");
	assert_int_equal(fixture->n_lines, 2);
	assert_int_equal(log_dropped(), 0);
}

struct value {
	const char *value, *shown;
};

static const struct value values[] = {
	{"", "\"\""},
	{"plain", "plain"},
	{"a/b:c,d;[e]{f}'g'", "a/b:c,d;[e]{f}'g'"},
	{"two words", "\"two words\""},
	{"a=b", "\"a=b\""},
	{"say \"hi\"", "\"say \\\"hi\\\"\""},
	{"back\\slash", "\"back\\\\slash\""},
	{"line\nfeed\r\t\b\f", "\"line\\nfeed\\r\\t\\b\\f\""},
	{"esc\x1b[31mred", "\"esc\\u001b[31mred\""},
	{"del\x7f", "\"del\\u007f\""},
	{"csi\xc2\x9b"
	 "31m",
		"\"csi\\u009b31m\""},
	{"हरी", "हरी"},
	{"हरी मटर", "\"हरी मटर\""},
	{"₹1,700", "₹1,700"},
	{"key \xf0\x9f\x94\x91", "\"key \xf0\x9f\x94\x91\""},
	/* what is not UTF-8: stray, overlong, surrogate, too large, cut */
	{"a\x80"
	 "b",
		"\"a\xef\xbf\xbd"
		"b\""},
	{"a\xc0\x80", "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
	{"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	{"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	{"\xe0\xa4", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
	{"\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
};

static void quotes_what_needs_it(void **state)
{
	struct fixture *fixture = *state;

	open_sink(fixture, LOG_FORMAT_LOGFMT);
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		char want[200];

		snprintf(want, sizeof(want), TIME " INFO x.y v=%s", values[i].shown);
		log_info(NULL, "x.y", f_str("v", values[i].value));
		assert_string_equal(fixture->line, want);
	}
}

static void cuts_long_values(void **state)
{
	struct fixture *fixture = *state;
	char *value = malloc(100001);
	struct log_options options = options_of(fixture, LOG_FORMAT_LOGFMT);
	struct error error = {0};
	char line[4096];
	FILE *file;

	options.file = fixture->file;
	assert_non_null(value);
	memset(value, 'x', 100000);
	memcpy(value + 2046, "हरी", strlen("हरी"));
	value[100000] = '\0';
	assert_int_equal(
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_open(&options, &error), 0);
	log_info(NULL, "x.y", f_str("v", value));
	file = fopen(fixture->file, "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	assert_int_equal(strlen(line), strlen(TIME " INFO x.y v=") + 2046 + strlen("...\n"));
	assert_string_equal(line + strlen(line) - 5, "x...\n");
	free(value);
}

static void writes_json(void **state)
{
	struct fixture *fixture = *state;
	struct log run = {.fields = {f_u64("run", 1795187440123)}, .n_fields = 1};

	open_sink(fixture, LOG_FORMAT_JSON);
	log_error(&run, "run.failed", f_str("code", "http_502"), f_msg("bad \"gateway\""),
		f_bool("final", false), f_f64("ratio", 0.5), f_f64("none", NAN));
	assert_string_equal(fixture->line,
		"{\"ts\":\"" TIME "\",\"level\":\"ERROR\",\"event\":\"run.failed\","
		"\"msg\":\"bad \\\"gateway\\\"\",\"run\":1795187440123,\"code\":\"http_502\","
		"\"final\":false,\"ratio\":0.5,\"none\":null}");
	log_info(NULL, "run.done");
	assert_string_equal(fixture->line,
		"{\"ts\":\"" TIME
		"\",\"level\":\"INFO\",\"event\":\"run.done\",\"msg\":\"run.done\"}");
}

/* Whatever bytes a value has, a line stays one JSON object with that value. */
static void writes_json_that_parses(void **state)
{
	struct fixture *fixture = *state;
	uint64_t seed = 20261120;

	open_sink(fixture, LOG_FORMAT_JSON);
	for (unsigned round = 0; round < 5000; round++) {
		char value[40] = "";
		json_t *object;

		for (size_t i = 0; i < round % 30; i++) {
			seed = seed * 6364136223846793005U + 1442695040888963407U;
			value[i] = (char)(seed >> 33 & (round % 2 ? 0xff : 0x7f));
			value[i] = value[i] ? value[i] : '"';
		}
		log_info(NULL, "x.y", f_str("v", value));
		object = json_loads(fixture->line, 0, NULL);
		assert_non_null(object);
		if (round % 2 == 0) {
			assert_string_equal(json_string_value(json_object_get(object, "v")), value);
		}
		json_decref(object);
	}
}

static void hides_secrets(void **state)
{
	struct fixture *fixture = *state;
	struct log run = {.fields = {f_str("url", "/x?key=s%45cret%22-1&y")}, .n_fields = 1};

	assert_int_equal(scrub_add("sEcret\"-1"), 0);
	assert_int_equal(scrub_add("12345678"), 0);
	open_sink(fixture, LOG_FORMAT_LOGFMT);
	log_info(&run, "x.y", f_msg("sEcret\"-1"), f_u64("n", 12345678), f_u64("m", 12345679));
	assert_string_equal(fixture->line,
		TIME " INFO x.y url=\"/x?key=(hidden)&y\" msg=(hidden) n=(hidden) m=12345679");
	open_sink(fixture, LOG_FORMAT_JSON);
	log_info(&run, "x.y", f_msg("sEcret\"-1"), f_u64("n", 12345678));
	assert_string_equal(fixture->line,
		"{\"ts\":\"" TIME "\",\"level\":\"INFO\",\"event\":\"x.y\",\"msg\":\"(hidden)\","
		"\"url\":\"/x?key=(hidden)&y\",\"n\":\"(hidden)\"}");
}

static void keeps_errno(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_LOGFMT);
	struct error error = {0};

	close(STDERR_FILENO);
	assert_int_equal(log_open(&options, &error), 0);
	errno = ENOTTY;
	log_info(NULL, "x.y");
	assert_int_equal(errno, ENOTTY);
}

/* ---- the file ---- */

static void assert_contents(const char *name, const char *want)
{
	char text[8192];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	assert_string_equal(text, want);
}

static void appends_to_a_file_and_reopens_it(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_JSON);
	struct error error = {0};
	char rotated[100];
	struct stat st;

	options.file = fixture->file;
	assert_int_equal(
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_open(&options, &error), 0);
	log_info(NULL, "one");
	assert_int_equal(log_open(&options, &error), 0); /* a reload */
	log_info(NULL, "two");
	assert_contents(fixture->file, TIME " INFO one\n" TIME " INFO two\n");
	assert_int_equal(stat(fixture->file, &st), 0);
	assert_int_equal(st.st_mode & 0027, 0);

	snprintf(rotated, sizeof(rotated), "%s.1", fixture->file);
	assert_int_equal(rename(fixture->file, rotated), 0);
	log_info(NULL, "three");
	assert_int_equal(log_reopen(&error), 0);
	log_info(NULL, "four");
	assert_contents(rotated, TIME " INFO one\n" TIME " INFO two\n" TIME " INFO three\n");
	assert_contents(fixture->file, TIME " INFO four\n");
	assert_int_equal(unlink(rotated), 0);
}

static void keeps_its_targets_when_others_fail(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_LOGFMT);
	struct error error = {0};

	options.file = fixture->file;
	assert_int_equal(
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_open(&options, &error), 0);
	options.file = "/nonexistent/sync.log";
	assert_int_equal(log_open(&options, &error), -1);
	assert_int_equal(error.class, ERROR_REJECTED);
	assert_string_equal(error.text,
		"/nonexistent/sync.log: opening the log file: No such file or directory");
	assert_string_equal(error.code, "ENOENT");
	log_info(NULL, "still.here");
	assert_contents(fixture->file, TIME " INFO still.here\n");
}

/* ---- stderr ---- */

/* All that a descriptor holds now. */
static size_t drain(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, text + len, size - 1 - len)) > 0) {
		len += (size_t)n;
	}
	text[len] = '\0';
	return len;
}

static void fill(int fd)
{
	static const char block[4096] = "";
	int flags = fcntl(fd, F_GETFL);

	assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
	while (write(fd, block, sizeof(block)) > 0) {
	}
	while (write(fd, block, 1) > 0) {
	}
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

/* A full one costs no time; what was lost is said as soon as there is room again. */
static void check_full(struct fixture *fixture, const int fds[2])
{
	struct log_options options = options_of(fixture, LOG_FORMAT_LOGFMT);
	uint64_t before = log_dropped();
	struct error error = {0};
	static char text[1 << 20];

	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_open(&options, &error), 0);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	log_info(NULL, "one");
	drain(fds[0], text, sizeof(text));
	assert_string_equal(text, TIME " INFO one\n");
	fill(fds[1]);
	for (unsigned i = 0; i < 100; i++) {
		log_info(NULL, "lost");
	}
	assert_int_equal(log_dropped() - before, 100);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	drain(fds[0], text, sizeof(text));
	log_info(NULL, "two");
	drain(fds[0], text, sizeof(text));
	assert_string_equal(text, TIME " INFO two\n" TIME " WARNING log.dropped lines=100\n");
	log_info(NULL, "three");
	drain(fds[0], text, sizeof(text));
	assert_string_equal(text, TIME " INFO three\n");
	log_close();
}

static void drops_when_a_pipe_is_full(void **state)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	check_full(*state, fds);
	close(fds[0]);
	close(fds[1]);
}

static void drops_when_a_socket_is_full(void **state)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	check_full(*state, fds);
	close(fds[0]);
	close(fds[1]);
}

/* The pipe of another user cannot be opened again. */
static void drops_when_a_foreign_pipe_is_full(void **state)
{
	int fds[2], status;
	pid_t pid;

	if (geteuid() != 0) {
		skip();
	}
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0) {
			_exit(1);
		}
		check_full(*state, fds);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fds[0]);
	close(fds[1]);
}

/* A line of more than a pipe takes goes out in part; the next one starts on a line of its own. */
static void ends_a_line_that_was_cut(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_LOGFMT);
	uint64_t before = log_dropped();
	struct error error = {0};
	static char text[1 << 20], value[2000];
	int fds[2];

	memset(value, 'x', sizeof(value) - 1);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(log_open(&options, &error), 0);
	log_info(NULL, "cut", f_str("u", value), f_str("v", value), f_str("w", value));
	log_info(NULL, "lost");
	assert_int_equal(log_dropped() - before, 2);
	assert_int_equal(drain(fds[0], text, sizeof(text)), 4096);
	log_info(NULL, "next");
	drain(fds[0], text, sizeof(text));
	assert_string_equal(text, "\n" TIME " INFO next\n" TIME " WARNING log.dropped lines=2\n");
	close(fds[0]);
	log_info(NULL, "nobody.reads");
	assert_int_equal(log_dropped() - before, 3);
	close(fds[1]);
}

/* ---- the journal ---- */

static int journald(const struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, fixture->socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* The next entry. Returns its length, 0: none. */
static size_t receive(int fd, char *text, size_t size)
{
	ssize_t n = recv(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void speaks_to_the_journal(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_JOURNAL);
	struct log run = {.fields = {f_u64("run", 7)}, .n_fields = 1};
	struct buffer want = {0};
	struct error error = {0};
	int fd = journald(fixture);
	char text[4096];
	size_t n;

	assert_int_equal(scrub_add("se\ncret-1"), 0);
	assert_int_equal(log_open(&options, &error), 0);
	log_error(&run, "run.failed", f_str("source", "mandi_prices/live"),
		f_msg("two\nlines, se\ncret-1"), f_str("empty", ""));
	n = receive(fd, text, sizeof(text));
	buffer_printf(&want,
		"MESSAGE=run.failed run=7 source=mandi_prices/live "
		"msg=\"two\\nlines, (hidden)\" empty=\"\"\n"
		"PRIORITY=3\nSYSLOG_IDENTIFIER=%s\nOGDSYNC_EVENT=run.failed\nOGDSYNC_RUN=7\n"
		"OGDSYNC_SOURCE=mandi_prices/live\nOGDSYNC_MSG\n",
		program_invocation_short_name);
	buffer_append(&want, "\x13\0\0\0\0\0\0\0", 8);
	buffer_append_str(&want, "two\nlines, (hidden)\nOGDSYNC_EMPTY=\n");
	assert_int_equal(n, want.len);
	assert_memory_equal(text, want.data, n);
	buffer_fini(&want);
	assert_int_equal(receive(fd, text, sizeof(text)), 0);
	close(fd);
}

/* So that `journalctl -x` explains it. An event that the table does not name has none. */
static void names_what_the_catalog_explains(void **state)
{
	static const struct log_message_id ids[] = {
		{"run.failed", "9a8a111c83e4cea85c3171b97983027e"}, {NULL, NULL}};
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_JOURNAL);
	struct error error = {0};
	int fd = journald(fixture);
	char text[4096];

	options.message_ids = ids;
	assert_int_equal(log_open(&options, &error), 0);
	log_error(NULL, "run.failed", f_u64("run", 7));
	assert_true(receive(fd, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "\nMESSAGE_ID=9a8a111c83e4cea85c3171b97983027e\n"));
	log_error(NULL, "run.fail", f_u64("run", 7));
	assert_true(receive(fd, text, sizeof(text)) > 0);
	assert_null(strstr(text, "MESSAGE_ID"));
	close(fd);
}

static void sends_long_entries_whole(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_JOURNAL);
	uint64_t before = log_dropped();
	struct error error = {0};
	int fd = journald(fixture);
	static char text[1 << 20];
	struct log_field fields[32];
	char names[32][4], value[2001];
	size_t n;

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (unsigned i = 0; i < N_ELEMENTS(fields); i++) {
		snprintf(names[i], sizeof(names[i]), "f%u", i);
		fields[i] = f_str(names[i], value);
	}
	assert_int_equal(log_open(&options, &error), 0);
	log_write(NULL, LOG_LEVEL_INFO, "long", fields, N_ELEMENTS(fields));
	n = receive(fd, text, sizeof(text));
	assert_true(n > 32 * 2 * 2000);
	assert_memory_equal(text + n - 4, "xxx\n", 4);
	assert_int_equal(log_dropped() - before, 0);
	close(fd);
}

static void drops_when_the_journal_is_behind(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_JOURNAL);
	uint64_t before = log_dropped();
	struct error error = {0};
	int fd = journald(fixture);
	unsigned n_sent = 0, n_received = 0;
	bool reported = false;
	char text[4096];

	assert_int_equal(log_open(&options, &error), 0);
	while (log_dropped() == before && n_sent < 100000) {
		log_info(NULL, "flood");
		n_sent++;
	}
	assert_int_equal(log_dropped() - before, 1);
	while (receive(fd, text, sizeof(text)) > 0) {
		n_received++;
	}
	assert_int_equal(n_received, n_sent - 1);
	log_info(NULL, "again");
	while (receive(fd, text, sizeof(text)) > 0) {
		reported |= strstr(text, "MESSAGE=log.dropped lines=1\nPRIORITY=4\n") != NULL;
	}
	assert_true(reported);

	/* It went away, and comes back under the same name. */
	close(fd);
	log_info(NULL, "lost");
	assert_int_equal(log_dropped() - before, 2);
	assert_int_equal(unlink(fixture->socket_path), 0);
	log_info(NULL, "lost");
	assert_int_equal(log_dropped() - before, 3);
	fd = journald(fixture);
	log_info(NULL, "found");
	assert_true(receive(fd, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "MESSAGE=found\n"));
	close(fd);
}

static void needs_a_journal_that_was_asked_for(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_JOURNAL);
	struct error error = {0};
	char want[200];

	assert_int_equal(log_open(&options, &error), -1);
	snprintf(want, sizeof(want), "%s: connecting to the journal: No such file or directory",
		fixture->socket_path);
	assert_string_equal(error.text, want);
}

/* auto: the journal if stderr is connected to it and it can be reached. */
static void finds_the_journal_by_itself(void **state)
{
	struct fixture *fixture = *state;
	struct log_options options = options_of(fixture, LOG_FORMAT_AUTO);
	struct error error = {0};
	char stream[80], text[4096];
	struct stat st;
	int fds[2], fd;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(fstat(fds[1], &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_int_equal(log_open(&options, &error), 0);
	log_info(NULL, "no.socket");
	drain(fds[0], text, sizeof(text));
	assert_string_equal(text, TIME " INFO no.socket\n");

	fd = journald(fixture);
	assert_int_equal(log_open(&options, &error), 0);
	log_info(NULL, "to.journal");
	assert_true(receive(fd, text, sizeof(text)) > 0);
	assert_int_equal(drain(fds[0], text, sizeof(text)), 0);

	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_int_equal(log_open(&options, &error), 0);
	log_info(NULL, "other.stderr");
	drain(fds[0], text, sizeof(text));
	assert_string_equal(text, TIME " INFO other.stderr\n");
	close(fd);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		LOG_TEST(writes_logfmt),
		LOG_TEST(keeps_levels_apart),
		LOG_TEST(quotes_what_needs_it),
		LOG_TEST(cuts_long_values),
		LOG_TEST(writes_json),
		LOG_TEST(writes_json_that_parses),
		LOG_TEST(hides_secrets),
		LOG_TEST(keeps_errno),
		LOG_TEST(appends_to_a_file_and_reopens_it),
		LOG_TEST(keeps_its_targets_when_others_fail),
		LOG_TEST(drops_when_a_pipe_is_full),
		LOG_TEST(drops_when_a_socket_is_full),
		LOG_TEST(drops_when_a_foreign_pipe_is_full),
		LOG_TEST(ends_a_line_that_was_cut),
		LOG_TEST(speaks_to_the_journal),
		LOG_TEST(names_what_the_catalog_explains),
		LOG_TEST(sends_long_entries_whole),
		LOG_TEST(drops_when_the_journal_is_behind),
		LOG_TEST(needs_a_journal_that_was_asked_for),
		LOG_TEST(finds_the_journal_by_itself),
	};

	signal(SIGPIPE, SIG_IGN);
	setenv("TZ", "Asia/Kolkata", 1);
	tzset();
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
