/*
 * From a DSN to an open connection. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: the options with all defaults are read (pg_dsn_options) and their host,
 * hostaddr and port lists made into targets, one per host. Each target whose host is a name is looked
 * up by uv_getaddrinfo, all at once, and becomes one target per address. When the last
 * answer is there, PQconnectStartParams gets the DSN as it was written, with host, hostaddr and port of
 * the targets over it: so libpq has nothing to resolve, and still knows the names (for
 * certificates, .pgpass, Kerberos). From then on PQconnectPoll says what to wait for; it may close and
 * open sockets as it likes, so the watch is closed before it and made anew after it.
 *
 * Failure modes: a name that cannot be resolved drops out of the list, and fails the attempt when it
 * was the last. A target that does not answer within its share of the time left is struck from the
 * list, and the attempt begins again without it: otherwise one dead host that swallows packets would
 * use up the time of the living. No time left: "timeout". Everything else is libpq's verdict.
 * A lookup that is still in flight when the attempt ends is left to itself.
 */

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "lib/pg_dsn.h"
#include "lib/pg_private.h"

struct pg_lookup {
	uv_getaddrinfo_t request;
	struct pg *pg; /* NULL: nobody waits any more */
	struct pg_lookup *next;
	struct pg_target target; /* without an address */
};

static void target_fini(struct pg_target *target)
{
	free(target->host);
	free(target->addr);
	free(target->port);
	*target = (struct pg_target){0};
}

static void free_targets(struct pg_connecting *connecting)
{
	for (unsigned t = 0; t < connecting->n_targets; t++) {
		target_fini(&connecting->targets[t]);
	}
	connecting->n_targets = 0;
}

static void lookup_free(struct pg_lookup *lookup)
{
	target_fini(&lookup->target);
	free(lookup);
}

void pg_connect_abandon(struct pg *pg)
{
	struct pg_connecting *connecting = &pg->connecting;

	for (struct pg_lookup *l = connecting->lookups; l; l = l->next) {
		l->pg = NULL;
		(void)uv_cancel((uv_req_t *)&l->request); /* if it waits for a thread */
	}
	connecting->lookups = NULL;
	connecting->n_lookups = 0;
	free_targets(connecting);
}

/* Names are answered in any order; the targets keep that of the DSN. */
static void insert(struct pg_connecting *connecting, const struct pg_target *target)
{
	unsigned at = connecting->n_targets;

	while (at > 0 && connecting->targets[at - 1].rank > target->rank) {
		connecting->targets[at] = connecting->targets[at - 1];
		at--;
	}
	connecting->targets[at] = *target;
	connecting->n_targets++;
}

/* A target too many is left out: nobody names 64 servers. */
static int add_target(struct pg_connecting *connecting, const struct pg_target *like,
	const char *addr)
{
	struct pg_target target = {.rank = like->rank};

	if (connecting->n_targets == PG_MAX_TARGETS) {
		return 0;
	}
	target.host = strdup(like->host);
	target.addr = strdup(addr);
	target.port = strdup(like->port);
	if (!target.host || !target.addr || !target.port) {
		target_fini(&target);
		return -1;
	}
	insert(connecting, &target);
	return 0;
}

/* ---- the attempt itself ---- */

static void failed(struct pg *pg)
{
	pg_connect_abandon(pg);
	pg_drop(pg);
	pg_conclude(pg);
}

static void out_of_memory(struct pg *pg)
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
		out_of_memory(pg);
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
	pg_connect_abandon(pg);
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
		snprintf(text, size, "cannot resolve \"%s\"", connecting->lookups->target.host);
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

	target_fini(target);
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

/* ---- names ---- */

static void all_resolved(struct pg *pg)
{
	if (pg->connecting.n_targets == 0) {
		pg->op.error = pg->connecting.unresolved;
		failed(pg);
	} else {
		begin(pg);
	}
}

static void unlink_lookup(struct pg_connecting *connecting, const struct pg_lookup *lookup)
{
	struct pg_lookup **at = &connecting->lookups;

	while (*at != lookup) {
		at = &(*at)->next;
	}
	*at = lookup->next;
	connecting->n_lookups--;
}

static void unresolved(struct pg *pg, const char *host, int status)
{
	error_set(&pg->connecting.unresolved, ERROR_RETRY, "database", "resolve",
		"cannot resolve \"%s\": %s", host, uv_strerror(status));
}

static int add_addresses(struct pg *pg, const struct pg_lookup *lookup, const struct addrinfo *list)
{
	char addr[NI_MAXHOST];

	for (; list; list = list->ai_next) {
		if (getnameinfo(list->ai_addr, list->ai_addrlen, addr, sizeof(addr), NULL, 0,
			    NI_NUMERICHOST) == 0 &&
			add_target(&pg->connecting, &lookup->target, addr) < 0) {
			return -1;
		}
	}
	return 0;
}

static void take_addresses(struct pg *pg, struct pg_lookup *lookup, int status,
	struct addrinfo *list)
{
	unlink_lookup(&pg->connecting, lookup);
	if (status < 0) {
		unresolved(pg, lookup->target.host, status);
	} else if (add_addresses(pg, lookup, list) < 0) {
		out_of_memory(pg);
		return;
	}
	if (pg->connecting.n_lookups == 0) {
		all_resolved(pg);
	}
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
	struct pg_lookup *lookup = container_of(request, struct pg_lookup, request);
	struct pg *pg = lookup->pg;

	if (pg) {
		take_addresses(pg, lookup, status, list);
	}
	uv_freeaddrinfo(list);
	lookup_free(lookup);
	if (pg) {
		pg_advance(pg);
	}
}

static int look_up(struct pg *pg, const struct pg_target *target)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct pg_lookup *lookup = calloc(1, sizeof(*lookup));
	int r;

	if (!lookup) {
		return -1;
	}
	lookup->pg = pg;
	lookup->target.rank = target->rank;
	lookup->target.host = strdup(target->host);
	lookup->target.port = strdup(target->port);
	if (!lookup->target.host || !lookup->target.port) {
		lookup_free(lookup);
		return -1;
	}
	r = uv_getaddrinfo(pg->loop, &lookup->request, on_resolved, target->host, NULL, &hints);
	if (r < 0) { /* not even a name */
		unresolved(pg, target->host, r);
		lookup_free(lookup);
		return 0;
	}
	lookup->next = pg->connecting.lookups;
	pg->connecting.lookups = lookup;
	pg->connecting.n_lookups++;
	return 0;
}

static bool is_address(const char *host)
{
	unsigned char addr[16];

	return uv_inet_pton(AF_INET, host, addr) == 0 || uv_inet_pton(AF_INET6, host, addr) == 0;
}

static int take_target(struct pg *pg, const struct pg_target *target)
{
	const char *host = target->host;

	if (target->addr[0] || !host[0] || host[0] == '/' || host[0] == '@') {
		return add_target(&pg->connecting, target, target->addr);
	}
	if (is_address(host)) {
		return add_target(&pg->connecting, target, host);
	}
	return look_up(pg, target);
}

/* Element `index` of a comma list, "" past its end. On the heap. */
static char *element(const char *list, unsigned index)
{
	for (; index > 0; index--) {
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return strndup(list, strcspn(list, ","));
}

static unsigned count(const char *list)
{
	unsigned n = 1;

	for (; *list; list++) {
		n += *list == ',';
	}
	return n;
}

/* -1 with the error set, or for want of memory. */
static int take_targets(struct pg *pg, const PQconninfoOption *options)
{
	const char *hosts = pg_dsn_option(options, "host");
	const char *addrs = pg_dsn_option(options, "hostaddr");
	const char *ports = pg_dsn_option(options, "port");
	unsigned n = addrs[0] ? count(addrs) : count(hosts);
	int r = 0;

	if ((hosts[0] && count(hosts) != n) || (count(ports) != 1 && count(ports) != n)) {
		return error_set(&pg->op.error, ERROR_REJECTED, "database", "dsn",
			"host, hostaddr and port lists differ in length");
	}
	for (unsigned i = 0; i < n && r == 0; i++) {
		struct pg_target target = {
			.rank = i,
			.host = element(hosts, i),
			.addr = element(addrs, i),
			.port = element(ports, count(ports) == 1 ? 0 : i),
		};

		r = target.host && target.addr && target.port ? take_target(pg, &target) : -1;
		target_fini(&target);
	}
	return r;
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
	if (!options || take_targets(pg, options) < 0) {
		out_of_memory(pg);
	} else if (pg->connecting.n_lookups == 0) {
		all_resolved(pg);
	}
	PQconninfoFree(options);
}
