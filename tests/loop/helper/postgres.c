/*
 * A throw-away PostgreSQL server. SPDX-License-Identifier: Apache-2.0
 *
 * The postmaster is our child, so that we reap it at once, and asks the kernel for SIGQUIT when we
 * die.
 */

#include "tests/loop/helper/postgres.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_SKIP = 77, PATH_BYTES = 512, WAIT_STEP_US = 10 * 1000, WAIT_STEPS = 1000 };

struct postgres {
	char bin[PATH_BYTES]; /* directory of the binaries */
	char directory[64];
	char dsn[256], tcp_dsn[256], bouncer_dsn[256];
	int port;
	pid_t pid;	  /* 0: not running */
	pid_t bouncer;	  /* 0: none */
	unsigned n_ready; /* how often it has said so, before it was last harmed */
};

static bool find_binaries(char *bin)
{
	const char *given = getenv("OGDSYNC_PG_BINDIR");
	glob_t found = {0};
	bool ok = false;

	if (given) {
		snprintf(bin, PATH_BYTES, "%s", given);
		return true;
	}
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0) {
		snprintf(bin, PATH_BYTES, "%s", found.gl_pathv[found.gl_pathc - 1]);
		*strrchr(bin, '/') = '\0';
		ok = true;
	}
	globfree(&found);
	return ok;
}

/* In the child: give up root, which PostgreSQL refuses. */
static void drop_root(void)
{
	const struct passwd *user = getpwnam("postgres");

	if (geteuid() != 0) {
		return;
	}
	if (!user || initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
		setuid(user->pw_uid) < 0) {
		_exit(EXIT_SKIP);
	}
}

/* `program` is one of PostgreSQL's, or a path. */
static pid_t spawn(const struct postgres *postgres, const char *program, const char *const argv[])
{
	char path[PATH_BYTES * 2], log[PATH_BYTES];
	pid_t pid;

	if (program[0] == '/') {
		snprintf(path, sizeof(path), "%s", program);
	} else {
		snprintf(path, sizeof(path), "%s/%s", postgres->bin, program);
	}
	snprintf(log, sizeof(log), "%s/log", postgres->directory);
	pid = fork();
	assert(pid >= 0);
	if (pid == 0) {
		int fd;

		drop_root();
		prctl(PR_SET_PDEATHSIG, SIGQUIT);
		setsid(); /* Ctrl-C is for the test */
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		setenv("LC_ALL", "C.UTF-8", 1);
		setenv("PATH", postgres->bin, 1); /* where initdb looks for itself and for postgres */
		execv(path, (char *const *)argv);
		_exit(EXIT_SKIP);
	}
	return pid;
}

static void run(const struct postgres *postgres, const char *program, const char *const argv[])
{
	int status = 0;

	waitpid(spawn(postgres, program, argv), &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "%s failed: see %s/log\n", program, postgres->directory);
		exit(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP ? EXIT_SKIP : 1);
	}
}

static int free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	assert(getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
	close(fd);
	return ntohs(addr.sin_port);
}

static void write_file(const struct postgres *postgres, const char *name, const char *text)
{
	char path[PATH_BYTES];
	FILE *file;

	snprintf(path, sizeof(path), "%s/data/%s", postgres->directory, name);
	file = fopen(path, "w");
	assert(file);
	fputs(text, file);
	fclose(file);
}

static void configure(const struct postgres *postgres)
{
	char text[PATH_BYTES * 2];

	write_file(postgres, "pg_hba.conf",
		"local all all trust\n"
		"host all secret 127.0.0.1/32 scram-sha-256\n"
		"host all all 127.0.0.1/32 trust\n");
	snprintf(text, sizeof(text),
		"port=%d\nlisten_addresses='127.0.0.1'\nunix_socket_directories='%s'\n"
		"fsync=off\nsynchronous_commit=off\nfull_page_writes=off\nmax_connections=40\n"
		"shared_buffers=64MB\nautovacuum=off\nlog_min_messages=log\n",
		postgres->port, postgres->directory);
	write_file(postgres, "postgresql.conf", text);
}

static void make_cluster(struct postgres *postgres)
{
	char data[PATH_BYTES];
	const char *const argv[] = {"initdb", "-D", data, "-U", "tester", "-A", "trust",
		"--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions", NULL};
	const struct passwd *user = getpwnam("postgres");

	snprintf(postgres->directory, sizeof(postgres->directory), "/tmp/ogdsync-pg-XXXXXX");
	assert(mkdtemp(postgres->directory));
	if (geteuid() == 0 && user) {
		assert(chown(postgres->directory, user->pw_uid, user->pw_gid) == 0);
	}
	snprintf(data, sizeof(data), "%s/data", postgres->directory);
	run(postgres, "initdb", argv);
}

static bool is_ready(const struct postgres *postgres)
{
	return PQping(postgres->dsn) == PQPING_OK;
}

/* How often "ready to accept connections" stands in the log. */
static unsigned count_ready(const struct postgres *postgres)
{
	char path[PATH_BYTES], line[1024];
	unsigned n = 0;
	FILE *log;

	snprintf(path, sizeof(path), "%s/log", postgres->directory);
	log = fopen(path, "r");
	while (log && fgets(line, sizeof(line), log)) {
		n += strstr(line, "ready to accept connections") != NULL;
	}
	if (log) {
		fclose(log);
	}
	return n;
}

void postgres_kill_backend(struct postgres *postgres, int pid)
{
	postgres->n_ready = count_ready(postgres);
	kill(pid, SIGKILL);
}

void postgres_wait_ready(struct postgres *postgres)
{
	for (int i = 0; i < WAIT_STEPS; i++) {
		if (count_ready(postgres) > postgres->n_ready && is_ready(postgres)) {
			return;
		}
		usleep(WAIT_STEP_US);
	}
	assert(!"PostgreSQL did not recover");
}

/* After kill -9 the old backends still hold the shared memory for a moment: try again. */
void postgres_restart(struct postgres *postgres)
{
	char data[PATH_BYTES];
	const char *const argv[] = {"postgres", "-D", data, NULL};
	int status = 0;

	snprintf(data, sizeof(data), "%s/data", postgres->directory);
	postgres->n_ready = count_ready(postgres);
	for (int i = 0; i < WAIT_STEPS; i++) {
		if (postgres->pid == 0) {
			postgres->pid = spawn(postgres, "postgres", argv);
		}
		usleep(WAIT_STEP_US);
		if (waitpid(postgres->pid, &status, WNOHANG) == postgres->pid) {
			postgres->pid = 0;
		} else if (is_ready(postgres)) {
			return;
		}
	}
	assert(!"PostgreSQL did not start");
}

struct postgres *postgres_start(void)
{
	struct postgres *postgres = calloc(1, sizeof(*postgres));

	assert(postgres);
	if (!find_binaries(postgres->bin)) {
		fprintf(stderr, "no PostgreSQL server here: skipped\n");
		exit(EXIT_SKIP);
	}
	make_cluster(postgres);
	postgres->port = free_port();
	configure(postgres);
	snprintf(postgres->dsn, sizeof(postgres->dsn),
		"host=%s port=%d dbname=postgres user=tester", postgres->directory, postgres->port);
	snprintf(postgres->tcp_dsn, sizeof(postgres->tcp_dsn),
		"host=127.0.0.1 port=%d dbname=postgres user=tester", postgres->port);
	postgres_restart(postgres);
	postgres_sql(postgres, "CREATE ROLE secret LOGIN PASSWORD '" POSTGRES_PASSWORD "'");
	return postgres;
}

void postgres_stop(struct postgres *postgres, int signal)
{
	if (postgres->pid) {
		kill(postgres->pid, signal);
		waitpid(postgres->pid, NULL, 0);
		postgres->pid = 0;
	}
}

static int remove_entry(const char *path, const struct stat *info, int flag, struct FTW *ftw)
{
	(void)info;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void postgres_free(struct postgres *postgres)
{
	if (!postgres) {
		return;
	}
	if (postgres->bouncer) {
		kill(postgres->bouncer, SIGTERM);
		waitpid(postgres->bouncer, NULL, 0);
	}
	postgres_stop(postgres, SIGQUIT);
	nftw(postgres->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(postgres);
}

const char *postgres_dsn(const struct postgres *postgres)
{
	return postgres->dsn;
}

const char *postgres_tcp_dsn(const struct postgres *postgres)
{
	return postgres->tcp_dsn;
}

const char *postgres_directory(const struct postgres *postgres)
{
	return postgres->directory;
}

int postgres_port(const struct postgres *postgres)
{
	return postgres->port;
}

int postgres_pid(const struct postgres *postgres)
{
	return postgres->pid;
}

static void ignore_notice(void *arg, const char *message)
{
	(void)arg;
	(void)message;
}

static PGresult *query(struct postgres *postgres, const char *sql)
{
	PGconn *conn = PQconnectdb(postgres->dsn);
	ExecStatusType status;
	PGresult *result;

	PQsetNoticeProcessor(conn, ignore_notice, NULL);
	result = PQexec(conn, sql);
	status = PQresultStatus(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
		fprintf(stderr, "%s: %s", sql, PQerrorMessage(conn));
		abort();
	}
	PQfinish(conn);
	return result;
}

void postgres_sql(struct postgres *postgres, const char *sql)
{
	PQclear(query(postgres, sql));
}

void postgres_value(struct postgres *postgres, const char *sql, char *value, unsigned size)
{
	PGresult *result = query(postgres, sql);

	snprintf(value, size, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
}

long postgres_number(struct postgres *postgres, const char *sql)
{
	char value[64];

	postgres_value(postgres, sql, value, sizeof(value));
	return strtol(value, NULL, 10);
}

void postgres_wait_true(struct postgres *postgres, const char *sql)
{
	char value[8] = "";

	for (int i = 0; i < WAIT_STEPS; i++) {
		postgres_value(postgres, sql, value, sizeof(value));
		if (value[0] == 't') {
			return;
		}
		usleep(WAIT_STEP_US);
	}
	fprintf(stderr, "never true: %s\n", sql);
	abort();
}

bool postgres_enable_tls(struct postgres *postgres)
{
	char key[PATH_BYTES], crt[PATH_BYTES];
	const char *const argv[] = {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
		"-days", "1", "-subj", "/CN=localhost", "-keyout", key, "-out", crt, NULL};

	if (access("/usr/bin/openssl", X_OK) < 0) {
		return false;
	}
	snprintf(key, sizeof(key), "%s/data/server.key", postgres->directory);
	snprintf(crt, sizeof(crt), "%s/data/server.crt", postgres->directory);
	run(postgres, "/usr/bin/openssl", argv);
	postgres_sql(postgres, "ALTER SYSTEM SET ssl = on");
	postgres_stop(postgres, SIGINT);
	postgres_restart(postgres);
	return true;
}

const char *postgres_bouncer(struct postgres *postgres)
{
	char ini[PATH_BYTES], text[PATH_BYTES * 4];
	const char *const argv[] = {"pgbouncer", ini, NULL};
	int port = free_port();

	if (access("/usr/sbin/pgbouncer", X_OK) < 0) {
		return NULL;
	}
	snprintf(text, sizeof(text),
		"[databases]\npostgres = host=%s port=%d user=tester\n"
		"[pgbouncer]\nlisten_addr =\nlisten_port = %d\nunix_socket_dir = %s\n"
		"auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n",
		postgres->directory, postgres->port, port, postgres->directory);
	write_file(postgres, "pgbouncer.ini", text);
	snprintf(ini, sizeof(ini), "%s/data/pgbouncer.ini", postgres->directory);
	chmod(ini, 0644);
	postgres->bouncer = spawn(postgres, "/usr/sbin/pgbouncer", argv);
	snprintf(postgres->bouncer_dsn, sizeof(postgres->bouncer_dsn),
		"host=%s port=%d dbname=postgres user=tester", postgres->directory, port);
	for (int i = 0; i < WAIT_STEPS && PQping(postgres->bouncer_dsn) != PQPING_OK; i++) {
		usleep(WAIT_STEP_US);
	}
	return postgres->bouncer_dsn;
}
