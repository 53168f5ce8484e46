/*
 * From a DSN to an open connection. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: the options with all defaults are read (pg_dsn_options) and made into targets
 * (pg_resolve.c). When the last name is resolved, PQconnectStartParams gets the DSN as it was
 * written, with host, hostaddr and port of the targets over it: so libpq has nothing to resolve,
 * and still knows the names (for certificates, .pgpass, Kerberos). From then on PQconnectPoll says
 * what to wait for; it may close and open sockets as it likes, so the watch is closed before it and
 * made anew after it.
 *
 * Failure modes: a name that cannot be resolved drops out of the list, and fails the attempt when
 * it was the last. A target that does not answer within its share of the time left is struck from
 * the list, and the attempt begins again without it: otherwise one dead host that swallows packets
 * would use up the time of the living. No time left: "timeout". Everything else is libpq's verdict.
 */

#include <stdio.h>
#include <string.h>

#include "lib/pg_dsn.h"
#include "lib/pg_private.h"

static void failed(struct pg *pg)
{
	pg_resolve_abandon(pg);
	pg_drop(pg);
	pg_conclude(pg);
}

void pg_connect_no_memory(struct pg *pg)
{
	error_no_memory(&pg->op.error, "database");
	failed(pg);
}

/* The value of host=, hostaddr= or port= for all targets: joined with commas. */
static void join(struct buffer *list, const struct pg_connecting *connecting, size_t member)
{
	for (unsigned t = 0; t < connecting->n_targets; t++) {
		const char *base = (const char *)&connecting->targets[t];

		buffer_append_str(list, t > 0 ? "," : "");
		buffer_append_str(list, *(char *const *)(base + member));
	}
}

static PGconn *start_libpq(const struct pg *pg)
{
	static const char *const keywords[] = {"dbname", "host", "hostaddr", "port",
		"client_encoding", "fallback_application_name", NULL};
	const struct pg_connecting *connecting = &pg->connecting;
	_cleanup_buffer_ struct buffer host = {0}, addr = {0}, port = {0};
	const char *values[N_ELEMENTS(keywords)];

	join(&host, connecting, offsetof(struct pg_target, host));
	join(&addr, connecting, offsetof(struct pg_target, addr));
	join(&port, connecting, offsetof(struct pg_target, port));
	if (buffer_failed(&host) || buffer_failed(&addr) || buffer_failed(&port)) {
		return NULL;
	}
	/* An empty value says nothing to libpq: then that of the DSN or the default stands. */
	values[0] = pg->options.dsn;
	values[1] = buffer_str(&host);
	values[2] = buffer_str(&addr);
	values[3] = buffer_str(&port);
	values[4] = "UTF8";
	values[5] = pg->options.application_name;
	values[6] = NULL;
	return PQconnectStartParams(keywords, values, 1);
}

/* Which target libpq tries now. */
static unsigned find_current(const struct pg *pg)
{
	const struct pg_connecting *connecting = &pg->connecting;
	const char *host = PQhost(pg->conn), *addr = PQhostaddr(pg->conn), *port = PQport(pg->conn);
	unsigned found = connecting->current;

	if (!host || !addr || !port) {
		return found;
	}
	for (unsigned t = connecting->n_targets; t-- > 0;) {
		const struct pg_target *target = &connecting->targets[t];
		const char *name = target->host[0] ? target->host : target->addr;

		if (strcmp(name, host) != 0 || strcmp(target->port, port) != 0) {
			continue;
		}
		if (!target->addr[0] || strcmp(target->addr, addr) == 0) {
			found = t;
		}
	}
	return found;
}

static void give_share(struct pg *pg)
{
	struct pg_connecting *connecting = &pg->connecting;
	unsigned n_left = connecting->n_targets - connecting->current;
	uint64_t now = uv_now(pg->loop);

	connecting->share_until_ms = 0;
	if (pg->deadline_ms > now && n_left > 1) {
		connecting->share_until_ms = now + (pg->deadline_ms - now) / n_left;
	}
	pg_arm(pg);
}

/* libpq may have gone on to the next target. */
static void follow(struct pg *pg)
{
	unsigned current = find_current(pg);

	if (current != pg->connecting.current) {
		pg->connecting.current = current;
		give_share(pg);
	}
}

/* Forget the failure of a name when there was another way; tell it when there was none. */
static void libpq_failed(struct pg *pg)
{
	struct error *unresolved = &pg->connecting.unresolved;

	pg_error_connect(pg);
	if (error_is_set(unresolved)) {
		size_t len = strlen(pg->op.error.text);

		snprintf(pg->op.error.text + len, sizeof(pg->op.error.text) - len, "; %s",
			unresolved->text);
	}
	failed(pg);
}

static void begin(struct pg *pg)
{
	pg_unwatch(pg);
	PQfinish(pg->conn);
	pg->conn = start_libpq(pg);
	if (!pg->conn) {
		pg_connect_no_memory(pg);
		return;
	}
	PQsetNoticeReceiver(pg->conn, pg_notice_receiver, pg);
	PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE); /* for the SQLSTATE */
	if (PQstatus(pg->conn) == CONNECTION_BAD) {
		libpq_failed(pg);
		return;
	}
	if (pg->state != PG_CONNECTING) {
		pg_enter(pg, PG_CONNECTING);
	}
	pg->connecting.current = 0;
	pg->connecting.current = find_current(pg);
	give_share(pg);
	pg_watch(pg, UV_WRITABLE);
}

static void connected(struct pg *pg)
{
	PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
	if (PQsetnonblocking(pg->conn, 1) != 0) {
		libpq_failed(pg);
		return;
	}
	pg_resolve_abandon(pg);
	pg_conclude(pg);
}

void pg_connect_step(struct pg *pg)
{
	pg_unwatch(pg);
	switch (PQconnectPoll(pg->conn)) {
	case PGRES_POLLING_READING:
		follow(pg);
		pg_watch(pg, UV_READABLE);
		break;
	case PGRES_POLLING_WRITING:
	case PGRES_POLLING_ACTIVE: /* never sent by this libpq */
		follow(pg);
		pg_watch(pg, UV_WRITABLE);
		break;
	case PGRES_POLLING_OK:
		connected(pg);
		break;
	case PGRES_POLLING_FAILED:
		libpq_failed(pg);
		break;
	}
}

static void describe_wait(const struct pg *pg, char *text, size_t size)
{
	const struct pg_connecting *connecting = &pg->connecting;

	if (pg->state == PG_RESOLVING) {
		snprintf(text, size, "cannot resolve \"%s\"", pg_resolve_waits_for(pg));
	} else {
		const struct pg_target *target = &connecting->targets[connecting->current];

		snprintf(text, size, "no answer from \"%s\", port %s",
			target->host[0] ? target->host : target->addr, target->port);
	}
}

static void timed_out(struct pg *pg)
{
	char text[ERROR_TEXT_BYTES / 2];

	describe_wait(pg, text, sizeof(text));
	error_set(&pg->op.error, ERROR_RETRY, "database",
		pg->state == PG_RESOLVING ? "resolve" : "timeout", "%s within %llu ms", text,
		(unsigned long long)pg->options.connect_timeout_ms);
	failed(pg);
}

static void strike_current(struct pg_connecting *connecting)
{
	struct pg_target *target = &connecting->targets[connecting->current];

	pg_target_fini(target);
	connecting->n_targets--;
	memmove(target, target + 1,
		(connecting->n_targets - connecting->current) * sizeof(*target));
}

void pg_connect_overdue(struct pg *pg)
{
	uint64_t now = uv_now(pg->loop);

	if (pg->deadline_ms && now >= pg->deadline_ms) {
		timed_out(pg);
	} else if (pg->state == PG_CONNECTING && pg->connecting.share_until_ms &&
		now >= pg->connecting.share_until_ms) {
		strike_current(&pg->connecting);
		begin(pg);
	}
}

void pg_connect_resolved(struct pg *pg)
{
	if (pg->connecting.n_targets == 0) {
		pg->op.error = pg->connecting.unresolved;
		failed(pg);
	} else {
		begin(pg);
	}
}

void pg_connect(struct pg *pg, pg_done_fn on_done, void *arg)
{
	PQconninfoOption *options;

	pg_start(pg, PG_OP_CONNECT, arg, pg->options.connect_timeout_ms);
	pg->op.on_done = on_done;
	pg_drop(pg);
	pg_enter(pg, PG_RESOLVING);
	error_clear(&pg->connecting.unresolved);
	options = pg_dsn_options(pg->options.dsn);
	if (!options || pg_resolve(pg, options) < 0) {
		pg_connect_no_memory(pg);
	} else if (pg->connecting.n_lookups == 0) {
		pg_connect_resolved(pg);
	}
	PQconninfoFree(options);
}
