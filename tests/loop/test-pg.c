/*
 * Connecting, statements, results and their errors. SPDX-License-Identifier: Apache-2.0
 */

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/pg_dsn.h"
#include "tests/loop/helper/pgloop.h"
#include "tests/loop/helper/postgres.h"

static struct postgres *server(void **state)
{
	return *state;
}

static void check_error(
	const struct pgloop *l, enum error_class class, const char *code, const char *text)
{
	assert_string_equal(error_class_name(l->error.class), error_class_name(class));
	assert_string_equal(l->error.code, code);
	assert_string_equal(l->error.where, "database");
	if (!strstr(l->error.text, text)) {
		fail_msg("\"%s\" is not in \"%s\"", text, l->error.text);
	}
	assert_null(strchr(l->error.text, '\n'));
}

/* A loopback TCP socket that listens and never says a word. */
static int silent_listener(int *ret_port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*ret_port = ntohs(addr.sin_port);
	return fd;
}

/* A port where nobody listens. */
static int dead_port(void)
{
	int port;

	close(silent_listener(&port));
	return port;
}

/* ---- connecting ---- */

static void test_connect(void **state)
{
	const char *const dsns[] = {postgres_dsn(server(state)), postgres_tcp_dsn(server(state))};

	for (unsigned i = 0; i < N_ELEMENTS(dsns); i++) {
		struct pgloop l;

		pgloop_open(&l, dsns[i]);
		assert_false(pg_is_connected(l.pg));
		pgloop_connect(&l);
		pgloop_query(&l,
			"SELECT current_user, current_setting('application_name'),"
			" current_setting('client_encoding')");
		assert_string_equal(buffer_str(&l.rows), "tester|ogdsync|UTF8\n");
		pgloop_connect(&l); /* again: the old connection is dropped */
		pg_disconnect(l.pg);
		assert_false(pg_is_connected(l.pg));
		pgloop_try(&l, "SELECT 1");
		check_error(&l, ERROR_RETRY, "connection", "not connected");
		pgloop_connect(&l);
		pgloop_close(&l);
	}
}

static void check_connects(const char *dsn)
{
	struct pgloop l;

	pgloop_open(&l, dsn);
	pgloop_connect(&l);
	pgloop_close(&l);
}

static void test_connect_forms(void **state)
{
	int port = postgres_port(server(state));
	const char *directory = postgres_directory(server(state));
	char dsn[5][256];

	snprintf(dsn[0], 256, "postgresql://tester@localhost:%d/postgres", port);
	snprintf(dsn[1], 256, "host=localhost port=%d user=tester dbname=postgres", port);
	snprintf(dsn[2], 256,
		"host=db.example hostaddr=127.0.0.1 port=%d user=tester dbname=postgres", port);
	snprintf(dsn[3], 256, "hostaddr=127.0.0.1 port=%d user=tester dbname=postgres", port);
	snprintf(dsn[4], 256, "postgres://tester@/postgres?port=%d&host=%s", port, directory);
	for (unsigned i = 0; i < N_ELEMENTS(dsn); i++) {
		check_connects(dsn[i]);
	}
}

/* What is not in the DSN comes from a service file or the environment, as libpq has it. */
static void test_connect_defaults(void **state)
{
	char path[256], port[16], dsn[256];
	FILE *file;

	snprintf(port, sizeof(port), "%d", postgres_port(server(state)));
	snprintf(path, sizeof(path), "%s/services", postgres_directory(server(state)));
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "[ogd]\nhost=localhost\nport=%s\nuser=tester\ndbname=postgres\n", port);
	fclose(file);
	setenv("PGSERVICEFILE", path, 1);
	check_connects("service=ogd");
	snprintf(dsn, sizeof(dsn), "service=ogd host=%s", postgres_directory(server(state)));
	check_connects(dsn);
	unsetenv("PGSERVICEFILE");

	setenv("PGHOST", "localhost", 1);
	setenv("PGPORT", port, 1);
	setenv("PGUSER", "tester", 1);
	check_connects("postgres");
	check_connects("dbname=postgres");
	unsetenv("PGHOST");
	unsetenv("PGPORT");
	unsetenv("PGUSER");
}

static void test_connect_fails(void **state)
{
	int port = postgres_port(server(state)), dead = dead_port();
	char dsn[11][256];
	struct {
		const char *dsn;
		enum error_class class;
		const char *code, *text;
	} cases[] = {
		{dsn[0], ERROR_RETRY, "connection", "Connection refused"},
		{dsn[1], ERROR_RETRY, "connection", "No such file or directory"},
		{dsn[2], ERROR_RETRY, "resolve", "cannot resolve \"nowhere.invalid\": "},
		{dsn[3], ERROR_REJECTED, "28P01",
			"password authentication failed for user \"secret\""},
		{dsn[4], ERROR_REJECTED, "28P01", "no password supplied"},
		{dsn[5], ERROR_REJECTED, "3D000", "database \"nothing\" does not exist"},
		{dsn[6], ERROR_RETRY, "connection", "cannot resolve \"nowhere.invalid\""},
		{dsn[7], ERROR_REJECTED, "dsn", "host, hostaddr and port lists differ in length"},
		{dsn[8], ERROR_RETRY, "connection", "server is not in hot standby mode"},
		{dsn[9], ERROR_REJECTED, "dsn", "invalid sslmode value"},
		{dsn[10], ERROR_REJECTED, "dsn", "definition of service \"nothing\" not found"},
	};

	snprintf(dsn[0], 256, "host=127.0.0.1 port=%d user=tester", dead);
	snprintf(dsn[1], 256, "host=/nonexistent port=%d user=tester", port);
	snprintf(dsn[2], 256, "host=nowhere.invalid port=%d user=tester", port);
	snprintf(dsn[3], 256, "postgres://secret:wr0ng-pass@127.0.0.1:%d/postgres", port);
	snprintf(
		dsn[4], 256, "postgres://secret@127.0.0.1:%d/postgres?passfile=/nonexistent", port);
	snprintf(dsn[5], 256, "host=127.0.0.1 port=%d user=tester dbname=nothing", port);
	snprintf(dsn[6], 256, "host=nowhere.invalid,127.0.0.1 port=%d,%d user=tester", port, dead);
	snprintf(dsn[7], 256, "host=a,b hostaddr=127.0.0.1 port=%d user=tester", port);
	snprintf(dsn[8], 256, "%s target_session_attrs=standby", postgres_dsn(server(state)));
	snprintf(dsn[9], 256, "%s sslmode=mostly", postgres_dsn(server(state)));
	snprintf(dsn[10], 256, "service=nothing");
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		struct pgloop l;

		pgloop_open(&l, cases[i].dsn);
		pgloop_try_connect(&l);
		check_error(&l, cases[i].class, cases[i].code, cases[i].text);
		assert_null(strstr(l.error.text, "wr0ng"));
		assert_null(strstr(l.error.text, "LOCATION"));
		assert_null(strstr(l.error.text, "28P01"));
		assert_false(pg_is_connected(l.pg));
		pgloop_close(&l);
	}
}

static void test_password(void **state)
{
	struct pgloop l;
	char dsn[256];

	snprintf(dsn, sizeof(dsn), "postgres://secret:Sw0rd%%2Ffish%%25@127.0.0.1:%d/postgres",
		postgres_port(server(state)));
	pgloop_open(&l, dsn);
	pgloop_connect(&l);
	pgloop_close(&l);
}

static void test_connect_deadline(void **state)
{
	struct pg_options options = {.connect_timeout_ms = 300};
	struct pgloop l;
	char dsn[256];
	uint64_t start;
	int port, fd = silent_listener(&port);

	(void)state;
	snprintf(dsn, sizeof(dsn), "host=127.0.0.1 port=%d user=tester", port);
	options.dsn = dsn;
	pgloop_open_with(&l, &options);
	start = uv_hrtime();
	pgloop_try_connect(&l);
	check_error(&l, ERROR_RETRY, "timeout", "no answer from \"127.0.0.1\", port");
	assert_in_range((uv_hrtime() - start) / 1000000, 290, 2000);
	pgloop_close(&l);
	close(fd);
}

/* The first host is dead in one way or another; the second one gets its share of the time. */
static void test_several_hosts(void **state)
{
	int silent, fd = silent_listener(&silent);
	int port = postgres_port(server(state));
	char hosts[4][128];

	snprintf(hosts[0], 128, "host=127.0.0.1,127.0.0.1 port=%d,%d", dead_port(), port);
	snprintf(hosts[1], 128, "host=localhost,localhost port=%d,%d", silent, port);
	snprintf(hosts[2], 128, "host=nowhere.invalid,localhost port=%d,%d", port, port);
	snprintf(hosts[3], 128, "host=127.0.0.1,%s port=%d,%d", postgres_directory(server(state)),
		silent, port);
	for (unsigned i = 0; i < N_ELEMENTS(hosts); i++) {
		struct pg_options options = {.connect_timeout_ms = 2000};
		struct pgloop l;
		char dsn[256];

		snprintf(dsn, sizeof(dsn), "%s user=tester dbname=postgres", hosts[i]);
		options.dsn = dsn;
		pgloop_open_with(&l, &options);
		pgloop_connect(&l);
		pgloop_query(&l, "SELECT 1");
		pgloop_close(&l);
	}
	close(fd);
}

/* They are tried in the order of the DSN, whichever name is resolved first. */
static void test_order(void **state)
{
	int first = dead_port(), second = dead_port();
	char dsn[256], text[2][32];
	struct pgloop l;

	(void)state;
	snprintf(
		dsn, sizeof(dsn), "host=localhost,127.0.0.1 port=%d,%d user=tester", first, second);
	snprintf(text[0], 32, "port %d failed", first);
	snprintf(text[1], 32, "port %d failed", second);
	pgloop_open(&l, dsn);
	pgloop_try_connect(&l);
	assert_non_null(strstr(l.error.text, text[0]));
	assert_non_null(strstr(l.error.text, text[1]));
	assert_true(strstr(l.error.text, text[0]) < strstr(l.error.text, text[1]));
	pgloop_close(&l);
}

static void note_secret(void *arg, const char *secret)
{
	buffer_append_str(arg, secret);
	buffer_append_char(arg, ';');
}

static void test_dsn(void **state)
{
	static const struct {
		const char *dsn, *secrets, *described, *wrong;
	} cases[] = {
		{"host=h port=1 dbname=d user=u password='it''s \\'x' sslpassword=k", NULL,
			"(malformed)", "malformed"},
		{"host=h port=1 dbname=d user=u password='a \\'x' sslpassword=k", "a 'x;k;",
			"host=h port=1 dbname=d user=u", NULL},
		{"postgres://u:p%40ss%2F@h1:1,h2:2/d?sslpassword=k", "p@ss/;k;",
			"host=h1,h2 port=1,2 dbname=d user=u", NULL},
		{"postgres://u@h/d?password=topsecret", "topsecret;",
			"host=h port=5432 dbname=d user=u", NULL},
		{"postgres://u:p@ss@h/d", "p;", "(malformed)", "%40"},
		{"postgres://u:topsecret@h:port:x/d?topsecret", NULL, "(malformed)", "malformed"},
		{"password=topsecret host", NULL, "(malformed)", "missing \"\" in connection info"},
		{"market", "", "port=5432 dbname=market user=u", NULL},
		{"", "", "port=5432 dbname=u user=u", NULL},
	};

	(void)state;
	setenv("PGUSER", "u", 1);
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_buffer_ struct buffer secrets = {0}, described = {0};
		struct error error = {0};
		int r = pg_dsn_secrets(cases[i].dsn, note_secret, &secrets);

		assert_int_equal(r, cases[i].secrets ? 0 : -EINVAL);
		assert_string_equal(buffer_str(&secrets), cases[i].secrets ? cases[i].secrets : "");
		pg_dsn_describe(cases[i].dsn, &described);
		assert_string_equal(buffer_str(&described), cases[i].described);
		r = pg_dsn_check(cases[i].dsn, &error);
		assert_int_equal(r, cases[i].wrong ? -1 : 0);
		if (cases[i].wrong) {
			assert_int_equal(error.class, ERROR_REJECTED);
			assert_non_null(strstr(error.text, cases[i].wrong));
			assert_null(strstr(error.text, "topsecret"));
		}
	}
	unsetenv("PGUSER");
}

/* ---- statements ---- */

static void test_query(void **state)
{
	const unsigned char four[] = {0, 0, 0, 4};
	const struct pg_param params[] = {
		{.data = "with 'quotes' and \\"},
		{.data = NULL},
		{.data = (const char *)four, .len = 4, .binary = true, .oid = 23},
		{.data = "2.50", .oid = 1700},
	};
	struct pgloop l;

	pgloop_open(&l, postgres_dsn(server(state)));
	pgloop_connect(&l);
	pg_query(l.pg, "SELECT $1::text, $2::text, $3 + 1, $4, true", params, 4, pgloop_on_result,
		&l);
	assert_true(pg_is_busy(l.pg));
	pgloop_until(&l, &l.n_done, 2);
	assert_false(pg_is_busy(l.pg));
	assert_string_equal(buffer_str(&l.rows), "with 'quotes' and \\|~|5|2.50|t\n");

	pgloop_exec(&l,
		"CREATE TABLE q(id int PRIMARY KEY); INSERT INTO q SELECT generate_series(1, 7)");
	pgloop_query(&l, "UPDATE q SET id = id + 100 WHERE id > 3");
	assert_int_equal(l.affected, 4);
	assert_int_equal(l.n_rows, 0);
	assert_int_equal(pgloop_number(&l, "SELECT sum(id) FROM q"), 428);
	pgloop_try(&l, "SELECT 1; SELECT 2");
	check_error(&l, ERROR_REJECTED, "42601", "multiple commands");
	pgloop_query(&l, "DO $$BEGIN RAISE WARNING 'mind the step'; END$$");
	assert_string_equal(pg_last_notice(l.pg), "mind the step");
	pgloop_query(&l, "SELECT 1");
	assert_string_equal(pg_last_notice(l.pg), "");
	pgloop_query(&l, ""); /* nothing is not an error */
	pgloop_exec(&l, "DROP TABLE q");
	pgloop_close(&l);
}

static void test_error_classes(void **state)
{
	static const struct {
		const char *setup, *sql;
		enum error_class class;
		const char *code, *text;
		bool loses;
	} cases[] = {
		{"", "INSERT INTO e VALUES (1)", ERROR_REJECTED, "23505",
			"duplicate key value violates unique constraint \"e_pkey\" (Key (id)=(1) "
			"already exists.)",
			false},
		{"", "SELEC 1", ERROR_REJECTED, "42601", "syntax error at or near \"SELEC\"",
			false},
		{"", "SELECT * FROM nothing", ERROR_REJECTED, "42P01",
			"relation \"nothing\" does not exist", false},
		{"", "SELECT 1/0", ERROR_REJECTED, "22012", "division by zero", false},
		{"SET statement_timeout = '50ms'", "SELECT pg_sleep(5)", ERROR_RETRY, "57014",
			"canceling statement due to statement timeout", false},
		{"SET default_transaction_read_only = on", "INSERT INTO e VALUES (2)", ERROR_RETRY,
			"25006", "read-only transaction", false},
		{"", "DO $$BEGIN RAISE EXCEPTION 'try again' USING ERRCODE = '40001'; END$$",
			ERROR_RETRY, "40001", "try again", false},
		{"", "DO $$BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END$$",
			ERROR_RETRY, "53100", "full", false},
		{"", "DO $$BEGIN RAISE EXCEPTION 'locked' USING ERRCODE = '55P03'; END$$",
			ERROR_RETRY, "55P03", "locked", false},
		{"", "DO $$BEGIN RAISE EXCEPTION E'two\\nlines' USING DETAIL = 'more'; END$$",
			ERROR_REJECTED, "P0001", "two lines (more)", false},
		{"", "SELECT pg_terminate_backend(pg_backend_pid())", ERROR_RETRY, "57P01",
			"terminating connection due to administrator command", true},
		{"", "COPY e TO STDOUT", ERROR_REJECTED, "copy", "COPY where none was expected",
			false},
		{"", "COPY e FROM STDIN", ERROR_REJECTED, "copy", "COPY where none was expected",
			false},
	};
	struct pgloop l;

	postgres_sql(server(state), "CREATE TABLE e(id int PRIMARY KEY); INSERT INTO e VALUES (1)");
	pgloop_open(&l, postgres_dsn(server(state)));
	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		pgloop_connect(&l);
		pgloop_query(&l, cases[i].setup);
		pgloop_try(&l, cases[i].sql);
		check_error(&l, cases[i].class, cases[i].code, cases[i].text);
		assert_int_equal(pg_is_connected(l.pg), !cases[i].loses);
		if (!cases[i].loses) {
			pgloop_query(&l, "SELECT 1");
		}
	}
	assert_int_equal(l.n_lost, 0);
	pgloop_close(&l);
	postgres_sql(server(state), "DROP TABLE e");
}

static void test_failed_commit(void **state)
{
	struct pgloop l;

	pgloop_open(&l, postgres_dsn(server(state)));
	pgloop_connect(&l);
	pgloop_query(&l, "BEGIN");
	pgloop_try(&l, "SELECT 1/0");
	pgloop_try(&l, "COMMIT");
	check_error(&l, ERROR_REJECTED, "25P02", "COMMIT was answered by ROLLBACK");
	pgloop_query(&l, "BEGIN");
	pgloop_query(&l, "COMMIT");
	pgloop_close(&l);
}

static void test_statement_timeout(void **state)
{
	struct pg_options options = {
		.dsn = postgres_dsn(server(state)),
		.connect_timeout_ms = 5000,
		.statement_timeout_ms = 150,
	};
	struct pgloop l;
	uint64_t start;

	pgloop_open_with(&l, &options);
	pgloop_connect(&l);
	start = uv_hrtime();
	pgloop_try(&l, "SELECT pg_sleep(30)");
	check_error(&l, ERROR_RETRY, "timeout", "no result within 150 ms");
	assert_in_range((uv_hrtime() - start) / 1000000, 140, 3000);
	pgloop_query(&l, "SELECT 1"); /* the connection is as good as before */
	pgloop_close(&l);
}

struct rows {
	struct pgloop l;
	long n, next;
	size_t heap_start, heap_peak;
	unsigned n_turns;
	uv_prepare_t prepare;
};

static void on_row(void *arg, const struct pg_result *row)
{
	struct rows *rows = arg;
	uint32_t id;

	assert_int_equal(pg_n_rows(row), 1);
	assert_int_equal(pg_value_len(row, 0, 0), 4);
	memcpy(&id, pg_value(row, 0, 0), 4);
	assert_int_equal(be32toh(id), ++rows->n);
	assert_int_equal(pg_value_len(row, 0, 1), 100);
	if (rows->n % 1000 == 0 && pgloop_heap_bytes() > rows->heap_peak) {
		rows->heap_peak = pgloop_heap_bytes();
	}
}

static void on_rows_done(void *arg, const struct error *error)
{
	struct rows *rows = arg;

	pgloop_on_done(&rows->l, error);
}

static void on_prepare(uv_prepare_t *prepare)
{
	container_of(prepare, struct rows, prepare)->n_turns++;
}

static void test_rows(void **state)
{
	struct rows rows = {0};

	pgloop_open(&rows.l, postgres_dsn(server(state)));
	pgloop_connect(&rows.l);
	uv_prepare_init(&rows.l.loop, &rows.prepare);
	uv_prepare_start(&rows.prepare, on_prepare);
	rows.heap_start = pgloop_heap_bytes();
	pg_query_rows(rows.l.pg, "SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i",
		NULL, 0, on_row, on_rows_done, &rows);
	pgloop_until(&rows.l, &rows.l.n_done, 2);
	assert_false(error_is_set(&rows.l.error));
	assert_int_equal(rows.n, 200000);
	assert_true(rows.heap_peak - rows.heap_start < 256 * 1024);
	assert_true(rows.n_turns > 200000 / 256); /* the loop turned all the while */

	rows.n = 0;
	pg_query_rows(rows.l.pg,
		"SELECT i, repeat('x', 100), 10 / (500 - i) FROM generate_series(1, 1000) i", NULL,
		0, on_row, on_rows_done, &rows);
	pgloop_until(&rows.l, &rows.l.n_done, 3);
	check_error(&rows.l, ERROR_REJECTED, "22012", "division by zero");
	assert_int_equal(rows.n, 499);
	uv_close((uv_handle_t *)&rows.prepare, NULL);
	pgloop_close(&rows.l);
}

static void test_quoting(void **state)
{
	static const char *const texts[] = {"plain", "", "it's", "back\\slash", "\"double\"", "a,b",
		"{}", "NULL", "null", " lead", "new\nline", "\\'", "ü€𝄞", "$1", "%s", "\t"};
	_cleanup_buffer_ struct buffer sql = {0}, array = {0}, want = {0};
	struct pg_param param;
	struct pgloop l;

	pgloop_open(&l, postgres_dsn(server(state)));
	pgloop_connect(&l);
	for (unsigned i = 0; i < N_ELEMENTS(texts); i++) {
		buffer_clear(&sql);
		buffer_append_str(&sql, "SELECT x'41'::int||");
		pg_append_literal(&sql, texts[i]);
		buffer_append_str(&sql, " AS ");
		pg_append_ident(&sql, texts[i][0] ? texts[i] : "x");
		buffer_clear(&want);
		buffer_printf(&want, "65%s\n", texts[i]);
		pgloop_query(&l, buffer_str(&sql));
		assert_string_equal(buffer_str(&l.rows), buffer_str(&want));
		pg_array_append(&array, texts[i], strlen(texts[i]));
	}
	pg_array_append_null(&array);
	pg_array_end(&array);
	param = (struct pg_param){.data = buffer_str(&array)};
	pg_query(l.pg, "SELECT v FROM unnest($1::text[]) WITH ORDINALITY u(v, n) ORDER BY n",
		&param, 1, pgloop_on_result, &l);
	pgloop_until(&l, &l.n_done, l.n_done + 1);
	buffer_clear(&want);
	for (unsigned i = 0; i < N_ELEMENTS(texts); i++) {
		buffer_printf(&want, "%s\n", texts[i]);
	}
	buffer_append_str(&want, "~\n");
	assert_string_equal(buffer_str(&l.rows), buffer_str(&want));

	buffer_clear(&array);
	pg_array_end(&array);
	assert_string_equal(buffer_str(&array), "{}");
	pgloop_close(&l);
}

static int setup(void **state)
{
	*state = postgres_start();
	return 0;
}

static int teardown(void **state)
{
	postgres_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_forms),
		cmocka_unit_test(test_connect_defaults),
		cmocka_unit_test(test_connect_fails),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_connect_deadline),
		cmocka_unit_test(test_several_hosts),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_error_classes),
		cmocka_unit_test(test_failed_commit),
		cmocka_unit_test(test_statement_timeout),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_quoting),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
