#pragma once

/*
 * A throw-away PostgreSQL server for one test program. SPDX-License-Identifier: Apache-2.0
 *
 * postgres_start() makes a cluster in a temporary directory and starts its postmaster as our own
 * child: unix socket in that directory, loopback TCP on a port the system picked, fsync off. As
 * root it runs as the user postgres. Who has no server binaries skips the whole program: exit 77.
 *
 * Everything here blocks and asserts: it is called while the loop does not turn, or when that
 * does not matter. Roles: tester (superuser, trusted), secret (needs its password over TCP).
 */

#include <stdbool.h>

struct postgres;

#define POSTGRES_PASSWORD "Sw0rd/fish%"

struct postgres *postgres_start(void); /* exits with 77 where there is no PostgreSQL */
void postgres_free(
	struct postgres *postgres); /* ends the server, removes the directory; takes NULL */

const char *postgres_dsn(const struct postgres *postgres);     /* unix socket, user tester */
const char *postgres_tcp_dsn(const struct postgres *postgres); /* the same over loopback */
const char *postgres_directory(const struct postgres *postgres);
int postgres_port(const struct postgres *postgres);
int postgres_pid(const struct postgres *postgres); /* of the postmaster */

/* Run SQL on a connection of its own; it must succeed. The value is that of the first field or "".
 */
void postgres_sql(struct postgres *postgres, const char *sql);
void postgres_value(struct postgres *postgres, const char *sql, char *value, unsigned size);
long postgres_number(struct postgres *postgres, const char *sql);
void postgres_wait_true(struct postgres *postgres, const char *sql); /* until it says t, for 10 s */

void postgres_stop(struct postgres *postgres, int signal); /* SIGTERM, SIGINT, SIGQUIT or SIGKILL */
void postgres_restart(struct postgres *postgres);	   /* when it is down */

/*
 * kill -9 of one backend: the whole server restarts by itself. postgres_wait_ready() waits until it
 * has (and not until just before it begins to).
 */
void postgres_kill_backend(struct postgres *postgres, int pid);
void postgres_wait_ready(struct postgres *postgres);

/* TLS with a certificate of its own, made by openssl; false where there is none. */
bool postgres_enable_tls(struct postgres *postgres);

/*
 * A PgBouncer in transaction mode in front of it, unix socket only; its DSN, or NULL where there is
 * none. Ended by postgres_free().
 */
const char *postgres_bouncer(struct postgres *postgres);
