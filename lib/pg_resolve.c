/*
 * Where to connect to: lists of hosts, names to addresses. SPDX-License-Identifier: Apache-2.0
 *
 * The host, hostaddr and port lists make targets, one per host. A target whose host is a name is
 * looked up by uv_getaddrinfo, all at once, and becomes one target per address. What needs no
 * lookup: a hostaddr, a numeric host, a socket's directory, and nothing (libpq's default). A lookup
 * that is still in flight when the attempt ends is left to itself.
 */

#include <netdb.h>
#include <string.h>

#include "lib/pg_dsn.h"
#include "lib/pg_private.h"

struct pg_lookup {
	uv_getaddrinfo_t request;
	struct pg *pg; /* NULL: nobody waits any more */
	struct pg_lookup *next;
	struct pg_target target; /* without an address */
};

void pg_target_fini(struct pg_target *target)
{
	free(target->host);
	free(target->addr);
	free(target->port);
	*target = (struct pg_target){0};
}

static void free_targets(struct pg_connecting *connecting)
{
	for (unsigned t = 0; t < connecting->n_targets; t++) {
		pg_target_fini(&connecting->targets[t]);
	}
	connecting->n_targets = 0;
}

static void lookup_free(struct pg_lookup *lookup)
{
	pg_target_fini(&lookup->target);
	free(lookup);
}

void pg_resolve_abandon(struct pg *pg)
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
static int add_target(
	struct pg_connecting *connecting, const struct pg_target *like, const char *addr)
{
	struct pg_target target = {.rank = like->rank};

	if (connecting->n_targets == PG_MAX_TARGETS) {
		return 0;
	}
	target.host = strdup(like->host);
	target.addr = strdup(addr);
	target.port = strdup(like->port);
	if (!target.host || !target.addr || !target.port) {
		pg_target_fini(&target);
		return -1;
	}
	insert(connecting, &target);
	return 0;
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

static void take_addresses(
	struct pg *pg, struct pg_lookup *lookup, int status, struct addrinfo *list)
{
	unlink_lookup(&pg->connecting, lookup);
	if (status < 0) {
		unresolved(pg, lookup->target.host, status);
	} else if (add_addresses(pg, lookup, list) < 0) {
		pg_connect_no_memory(pg);
		return;
	}
	if (pg->connecting.n_lookups == 0) {
		pg_connect_resolved(pg);
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

int pg_resolve(struct pg *pg, const PQconninfoOption *options)
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
		pg_target_fini(&target);
	}
	return r;
}

const char *pg_resolve_waits_for(const struct pg *pg)
{
	return pg->connecting.lookups->target.host;
}
