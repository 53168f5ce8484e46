/*
 * cli/: the frame, the client and the first commands, against a real server in a child process.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The child serves daemon/api by lib/httpd on a unix socket until it is killed. The configuration
 * is made up here: config_load() and its like are those of this file, so that the command is tested
 * and not the reader of YAML.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "daemon/api.h"
#include "daemon/config.h"
#include "lib/exitcode.h"

/* The configuration that the commands find: the linker puts these in place of the real ones. */

int __wrap_config_load(const char *file, struct config **ret_config, struct buffer *report);
struct config *__wrap_config_unref(struct config *config);
int __wrap_config_require(
	const struct config *config, enum config_need need, struct error *error);
void __wrap_config_dump(const struct config *config, struct buffer *out);

static struct {
	bool bad;
	struct config_listen listen[2];
	unsigned n_listen;
	unsigned n_refs;
	char asked[256]; /* the file that was read */
} fake;

int __wrap_config_load(const char *file, struct config **ret_config, struct buffer *report)
{
	snprintf(fake.asked, sizeof(fake.asked), "%s", file);
	if (fake.bad) {
		buffer_append_str(
			report, "a.yaml:1:2: first problem\na.yaml:3:4: second problem\n");
		return -1;
	}
	*ret_config = calloc(1, sizeof(**ret_config));
	(*ret_config)->file = fake.asked;
	(*ret_config)->server.listen = fake.listen;
	(*ret_config)->server.n_listen = fake.n_listen;
	(*ret_config)->history.runs_ms = (uint64_t)400 * 86400 * 1000;
	(*ret_config)->history.quarantine_ms = (uint64_t)400 * 86400 * 1000;
	(*ret_config)->history.revisions_ms = UINT64_MAX;
	fake.n_refs++;
	return 0;
}

struct config *__wrap_config_unref(struct config *config)
{
	if (config) {
		fake.n_refs--;
		free(config);
	}
	return NULL;
}

int __wrap_config_require(
	const struct config *config, enum config_need need, struct error *error)
{
	(void)config;
	(void)need;
	return error_set(error, ERROR_REJECTED, "config", "config", "there is nothing in this one");
}

void __wrap_config_dump(const struct config *config, struct buffer *out)
{
	(void)config;
	buffer_append_str(out, "portal:\n  api_key: (hidden)\n");
}

/* The daemon that the commands find. */

static const struct status *get_status(void *arg)
{
	return arg;
}

static unsigned get_checks(void *arg, struct api_check *checks)
{
	(void)arg;
	checks[0] = (struct api_check){.name = "config", .ok = true};
	checks[1] = (struct api_check){.name = "database", .detail = "down since noon"};
	return 2;
}

/* Never returns. Says on `ready` that it listens. */
static void serve(const char *path, const struct status *status, int ready)
{
	struct api api = {{.status = get_status, .checks = get_checks, .arg = (void *)status}};
	struct httpd_options options = {api_routes, api_n_routes, &api, 0, 0};
	struct httpd_listener *listener;
	struct httpd *httpd;
	uv_loop_t loop;

	if (uv_loop_init(&loop) < 0 || httpd_new(&loop, &options, &httpd) < 0 ||
		httpd_listen_unix(httpd, path, 0600, &listener, NULL) < 0 ||
		write(ready, "x", 1) != 1) {
		_exit(1);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(0);
}

struct fixture {
	char directory[64], path[96];
	pid_t daemon;
	char *out, *err; /* of the last call */
	int code;
};

static void start_daemon(struct fixture *f, const struct status *status)
{
	int ready[2];
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	f->daemon = fork();
	assert_true(f->daemon >= 0);
	if (f->daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
		serve(f->path, status, ready[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
}

static void stop_daemon(struct fixture *f)
{
	if (f->daemon > 0) {
		kill(f->daemon, SIGKILL);
		waitpid(f->daemon, NULL, 0);
		f->daemon = 0;
	}
}

#define COMMAND_ENTRY(name) &command_##name,

static const struct command *const commands[] = {COMMANDS(COMMAND_ENTRY) NULL};

/* Call the command as a shell would: words apart by single spaces. */
static void call_of(struct fixture *f, const struct command *const *table, const char *line)
{
	char copy[512], *argv[32], *next = copy;
	size_t n_out, n_err;
	FILE *out, *err;
	int argc = 0;

	free(f->out);
	free(f->err);
	f->out = f->err = NULL;
	out = open_memstream(&f->out, &n_out);
	err = open_memstream(&f->err, &n_err);
	snprintf(copy, sizeof(copy), "%s", line);
	while (next && argc < 31) {
		argv[argc++] = strsep(&next, " ");
	}
	argv[argc] = NULL;
	f->code = cli_main(table, argc, argv, out, err);
	fclose(out);
	fclose(err);
}

static void call(struct fixture *f, const char *line)
{
	call_of(f, commands, line);
}

static void expect(struct fixture *f, const char *line, int code, const char *out, const char *err)
{
	call(f, line);
	if (f->code != code || !strstr(f->out, out) || !strstr(f->err, err) || (!*out && *f->out) ||
		(!*err && *f->err)) {
		fail_msg("%s: exit %d, expected %d\nstdout: %s\nstderr: %s", line, f->code, code,
			f->out, f->err);
	}
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(&fake, 0, sizeof(fake));
	snprintf(f->directory, sizeof(f->directory), "/tmp/test-cli-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/socket", f->directory);
	setenv("OGDSYNC_SOCKET", f->path, 1);
	unsetenv("OGDSYNC_CONFIG");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	stop_daemon(f);
	unlink(f->path);
	assert_int_equal(rmdir(f->directory), 0);
	assert_int_equal(fake.n_refs, 0);
	free(f->out);
	free(f->err);
	free(f);
	return 0;
}

/* The frame. */

static void test_help(void **state)
{
	struct fixture *f = *state;

	expect(f, "ogdsync --help", 0, "Usage: ogdsync [OPTION...] COMMAND", "");
	expect(f, "ogdsync --help", 0, "  status                Say how the daemon is doing\n", "");
	expect(f, "ogdsync --version", 0, "ogdsync 0.", "");
	expect(f, "ogdsync status --help", 0, "Usage: ogdsync status [OPTION...]\n", "");
	expect(f, "ogdsync status --help", 0, "      --check           ", "");
	expect(f, "ogdsync config check --help", 0, "ogdsync config check [OPTION...] [FILE]\n",
		"");
	expect(f, "ogdsync status --version", 0, "ogdsync 0.", "");
	expect(f, "ogdsync", EXITCODE_USAGE, "", "Usage: ogdsync");
}

static void test_usage(void **state)
{
	struct fixture *f = *state;

	expect(f, "ogdsync stauts", EXITCODE_USAGE, "",
		"ogdsync: unknown command 'stauts', did you mean 'status'?\nTry 'ogdsync "
		"--help'.\n");
	expect(f, "ogdsync nonsense", EXITCODE_USAGE, "", "ogdsync: unknown command 'nonsense'\n");
	expect(f, "ogdsync config", EXITCODE_USAGE, "", "'config' is a group");
	expect(f, "ogdsync config --json", EXITCODE_USAGE, "", "'config' is a group");
	expect(f, "ogdsync config chekc", EXITCODE_USAGE, "",
		"unknown command 'config chekc', did you mean 'config check'?");
	expect(f, "ogdsync config nonsense", EXITCODE_USAGE, "",
		"unknown command 'config nonsense'\n");
	expect(f, "ogdsync confg check", EXITCODE_USAGE, "", "did you mean 'config check'?");
	expect(f, "ogdsync status --jsn", EXITCODE_USAGE, "",
		"unknown option --jsn, did you mean --json?\nTry 'ogdsync status --help'.\n");
	expect(f, "ogdsync status --nonsense=1", EXITCODE_USAGE, "", "unknown option --nonsense\n");
	expect(f, "ogdsync status --json=1", EXITCODE_USAGE, "", "--json takes no argument");
	expect(f, "ogdsync status -x", EXITCODE_USAGE, "", "unknown option -x\n");
	expect(f, "ogdsync --jsn status", EXITCODE_USAGE, "", "unknown option --jsn\n");
	expect(f, "ogdsync status --socket", EXITCODE_USAGE, "", "--socket needs an argument");
	expect(f, "ogdsync status now", EXITCODE_USAGE, "", "do not know what to do with 'now'");
	expect(f, "ogdsync status --json --check", EXITCODE_USAGE, "", "exclude each other");
	expect(f, "ogdsync config show a b", EXITCODE_USAGE, "", "do not know what to do with 'b'");
}

static int run_operands(struct cli *cli)
{
	fprintf(cli->out, "%d %s n=%s", cli->n_operands, cli->operands[0],
		cli_option(cli, "number"));
	return 0;
}

static void test_operands(void **state)
{
	static const struct cli_option options[] = {{"number", "N", "how many"}, CLI_OPTION_END};
	static const struct command take = {.name = "take",
		.synopsis = "WHAT...",
		.summary = "Take",
		.run = run_operands,
		.options = options,
		.min_operands = 1,
		.max_operands = -1};
	static const struct command *const table[] = {&take, NULL};
	struct fixture *f = *state;

	call_of(f, table, "ogdsync take a --number 5 -- --b");
	assert_int_equal(f->code, 0);
	assert_string_equal(f->out, "2 a n=5");
	call_of(f, table, "ogdsync take");
	assert_int_equal(f->code, EXITCODE_USAGE);
	assert_string_equal(f->err,
		"ogdsync: something is missing: ogdsync take WHAT...\n"
		"Try 'ogdsync take --help'.\n");
}

static void test_output_full(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	char name[] = "ogdsync", option[] = "--version", *argv[] = {name, option, NULL},
	     *err = NULL;
	size_t n;
	FILE *err_file = open_memstream(&err, &n);

	(void)state;
	assert_non_null(full);
	assert_int_equal(cli_main(commands, 2, argv, full, err_file), EXITCODE_TRY_AGAIN);
	fclose(full);
	fclose(err_file);
	assert_string_equal(err, "ogdsync: cannot write the output: No space left on device\n");
	free(err);
}

/* config */

static void test_config(void **state)
{
	struct fixture *f = *state;

	expect(f, "ogdsync config check /x/a.yaml", 0, "/x/a.yaml: OK, 0 datasets with 0 sources\n",
		"");
	expect(f, "ogdsync config show", 0, "api_key: (hidden)\n", "");
	assert_non_null(strstr(fake.asked, "/etc/ogdsync/ogdsync.yaml"));
	expect(f, "ogdsync --config=/x/b.yaml config show", 0, "portal:", "");
	assert_string_equal(fake.asked, "/x/b.yaml");
	expect(f, "ogdsync config show --config /x/c.yaml", 0, "portal:", "");
	assert_string_equal(fake.asked, "/x/c.yaml");
	setenv("OGDSYNC_CONFIG", "/x/d.yaml", 1);
	expect(f, "ogdsync config show", 0, "portal:", "");
	assert_string_equal(fake.asked, "/x/d.yaml");
	fake.bad = true;
	expect(f, "ogdsync config check", EXITCODE_CONFIG, "",
		"a.yaml:1:2: first problem\na.yaml:3:4: second problem\n"
		"ogdsync: /x/d.yaml: 2 problems\n");
}

/* status */

static void test_status(void **state)
{
	struct fixture *f = *state;
	const struct status status = {.counts = {.n_syncs = 7}, .newest_day = 20777};

	start_daemon(f, &status);
	expect(f, "ogdsync status", 0, "syncs         7, of which 0 failed\n", "");
	expect(f, "ogdsync status --json", 0, "\"total_syncs\": 7,\n", "");
	assert_int_equal(f->out[0], '{');
	assert_string_equal(f->out + strlen(f->out) - 2, "}\n");
	setenv("OGDSYNC_SOCKET", "/nowhere", 1);
	call(f, "ogdsync status");
	assert_int_equal(f->code, EXITCODE_UNAVAILABLE);
}

static void test_status_address(void **state)
{
	struct fixture *f = *state;
	const struct status status = {.newest_day = STATUS_NO_DAY};
	char line[256], tcp[] = "127.0.0.1:1";

	start_daemon(f, &status);
	unsetenv("OGDSYNC_SOCKET");
	fake.listen[0] = (struct config_listen){.kind = LISTEN_TCP, .text = tcp};
	fake.listen[1] = (struct config_listen){.kind = LISTEN_UNIX, .path = f->path};
	fake.n_listen = 2;
	expect(f, "ogdsync status", 0, "status        idle\n", "");
	fake.n_listen = 1;
	expect(f, "ogdsync status", EXITCODE_UNAVAILABLE, "", "no daemon answers at 127.0.0.1:1: ");
	fake.n_listen = 0;
	expect(f, "ogdsync status", EXITCODE_CONFIG, "", "server.listen is empty");
	fake.bad = true;
	expect(f, "ogdsync status", EXITCODE_CONFIG, "", "name its socket with --socket");
	snprintf(line, sizeof(line), "ogdsync --socket %s status", f->path);
	expect(f, line, 0, "status        idle\n", "");
	snprintf(line, sizeof(line), "ogdsync status --socket=unix:%s", f->path);
	expect(f, line, 0, "status        idle\n", "");
}

static void test_status_no_daemon(void **state)
{
	struct fixture *f = *state;
	const struct status status = {.newest_day = STATUS_NO_DAY};
	char text[256];

	snprintf(text, sizeof(text),
		"ogdsync: no daemon answers at %s: No such file or directory; is ogdsyncd "
		"running?\n",
		f->path);
	expect(f, "ogdsync status", EXITCODE_UNAVAILABLE, "", text);
	start_daemon(f, &status);
	stop_daemon(f);
	snprintf(text, sizeof(text), "no daemon answers at %s: Connection refused; is ", f->path);
	expect(f, "ogdsync status", EXITCODE_UNAVAILABLE, "", text);
	expect(f, "ogdsync status --check", CHECK_CRITICAL, "", text);
	expect(f, "ogdsync status --socket a/b%20c", EXITCODE_UNAVAILABLE, "",
		"at a/b%20c: No such");
	expect(f, "ogdsync status --socket =", EXITCODE_UNAVAILABLE, "", "ogdsync: ");
}

/* Something else listens there. */
static void test_status_not_http(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
	char asked[512];
	pid_t child;

	memcpy(address.sun_path, f->path, strlen(f->path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			client = accept(fd, NULL, NULL);
			(void)!read(client, asked, sizeof(asked)); /* else curl may find it closed */
			(void)!write(client, "SSH-2.0-nonsense\r\n", 18);
			close(client);
		}
	}
	expect(f, "ogdsync status", EXITCODE_UNAVAILABLE, "", "does not answer as ogdsyncd does");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(fd);
}

static void test_check(void **state)
{
	static const struct status_dataset stale[] = {{.name = "mandi_prices", .stale = true}};
	static const struct {
		struct status status;
		int code;
		const char *line;
	} cases[] = {
		{{.counts.last.status = "success", .database.state = STATUS_DATABASE_UP}, CHECK_OK,
			"OK\n"},
		{{.counts.last = {.status = "partial", .error = "3 rows short"},
			 .database.state = STATUS_DATABASE_UP},
			CHECK_WARNING, "WARNING: partial: 3 rows short\n"},
		{{.counts = {.last.status = "success", .paused = true},
			 .database = {.state = STATUS_DATABASE_DOWN, .error = "refused"}},
			CHECK_WARNING, "WARNING: the database is down: refused; paused\n"},
		{{.database.state = STATUS_DATABASE_UP}, CHECK_WARNING,
			"WARNING: nothing was synced yet\n"},
		{{.counts.last = {.status = "failed", .error = "http_502"},
			 .database = {.state = STATUS_DATABASE_SCHEMA, .error = "no column x"}},
			CHECK_CRITICAL,
			"CRITICAL: the tables do not fit the datasets: no column x; the last sync "
			"failed: http_502\n"},
		{{.counts.last.status = "success",
			 .database.state = STATUS_DATABASE_UP,
			 .datasets = stale,
			 .n_datasets = 1},
			CHECK_CRITICAL, "CRITICAL: stale: mandi_prices\n"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		start_daemon(f, &cases[i].status);
		expect(f, "ogdsync status --check", cases[i].code, cases[i].line, "");
		assert_string_equal(f->out, cases[i].line);
		stop_daemon(f);
	}
	unsetenv("OGDSYNC_SOCKET");
	fake.bad = true;
	call(f, "ogdsync status --check");
	assert_int_equal(f->code, CHECK_UNKNOWN);
}

/* client, and the routes that no command asks yet */

static void ask(
	struct fixture *f, const char *method, const char *path, int status, const char *text)
{
	struct client_request request = {.address = f->path, .method = method, .path = path};
	struct client_answer answer;
	struct error error = {0};

	assert_int_equal(client_ask(&request, &answer, &error), 0);
	assert_int_equal(answer.status, status);
	if (!strstr(buffer_str(&answer.body), text)) {
		fail_msg("%s: %s", path, buffer_str(&answer.body));
	}
	client_answer_fini(&answer);
}

static void test_routes(void **state)
{
	struct fixture *f = *state;
	const struct status status = {.newest_day = STATUS_NO_DAY};
	struct client_answer answer = {.status = 502};
	struct buffer text = {0};

	start_daemon(f, &status);
	ask(f, NULL, "/livez", 200, "ok\n");
	ask(f, NULL, "/readyz", 503, "[-] database: down since noon\nnot ready\n");
	ask(f, NULL, "/readyz?verbose", 503,
		"[+] config\n[-] database: down since noon\nnot ready\n");
	ask(f, NULL, "/sync/status?format=xml", 400, "format is json or text");
	ask(f, NULL, "/sync/nothing", 404, "there is no /sync/nothing here");
	ask(f, "POST", "/sync/status", 405, "takes only GET, HEAD");
	buffer_append_str(&answer.body, "{\"detail\":\"why\"}");
	client_problem(&answer, &text);
	buffer_clear(&answer.body);
	client_problem(&answer, &text);
	assert_string_equal(buffer_str(&text), "whythe daemon answered with status 502");
	buffer_fini(&text);
	client_answer_fini(&answer);
}

/* what commands print for people */

static char *print(const struct table *table)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(table_print(table, out), 0);
	fclose(out);
	return text;
}

static void test_table(void **state)
{
	static const struct table_column columns[] = {{"NAME", false}, {"ROWS", true}, {"WHY", false}};
	struct table table = {.columns = columns, .n_columns = N_ELEMENTS(columns)};
	char *text = print(&table);

	(void)state;
	assert_string_equal(text, "");
	free(text);
	table_add(&table, "a");
	table_addf(&table, "%d", 12345);
	table_add(&table, NULL);
	table_add(&table, "d\u00e9l\033[31m");
	table_addf(&table, "%d", 7);
	table_add(&table, "a reason");
	text = print(&table);
	assert_string_equal(text,
		"NAME       ROWS  WHY\n"
		"a         12345  -\n"
		"d\u00e9l?[31m      7  a reason\n");
	free(text);
	table_fini(&table);
}

/* The bar on a terminal, after a second; the terminal is a pseudo one, its time is set back. */
static void test_progress(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	struct progress progress;
	char text[512] = "", *memory = NULL;
	size_t len;
	FILE *file;

	(void)state;
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	file = fopen(ptsname(master), "w");
	assert_non_null(file);
	progress_begin(&progress, file, "loading", 8);
	progress_set(&progress, 1);
	progress_clear(&progress);
	assert_int_equal(read(master, text, sizeof(text)), -1); /* too early */
	progress.began_ms -= 2000;
	setenv("NO_COLOR", "1", 1);
	progress.color = cli_color(file);
	unsetenv("NO_COLOR");
	progress_set(&progress, 4);
	progress_clear(&progress);
	assert_true(read(master, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "\rloading  [###############...............]   50 %  4 of 8\r"));
	fclose(file);
	close(master);

	file = open_memstream(&memory, &len);
	progress_begin(&progress, file, "loading", 8);
	progress.began_ms -= 2000;
	progress_set(&progress, 4);
	assert_false(progress.drawn); /* no terminal */
	fclose(file);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_help, setup, teardown),
		cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_operands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_no_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_not_http, setup, teardown),
		cmocka_unit_test_setup_teardown(test_check, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_progress),
	};

	setenv("TZ", "Asia/Kolkata", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
