/*
 * The portal as all sources share it. SPDX-License-Identifier: Apache-2.0
 *
 * A request may be sent when no hold is on, the breaker lets it through, and the bucket has a
 * token; asked in this order, so that the longest reason is the one that is shown. The hold is of
 * the host: after a 429 every request counts against us, whoever sends it.
 *
 * The retry budget is the time that a run may lose to failures: pauses, holds, and what failed
 * requests took. It is one for all slices of a run, so that a portal that is down costs 30 minutes
 * and not 30 minutes a slice.
 */

#include "daemon/portal.h"

#include <errno.h>
#include <string.h>

#include "lib/backoff.h"
#include "lib/bucket.h"

enum { HOLD_MS = 60 * 1000, PAGE_SIZE_KNOWN_MS = 24 * 3600 * 1000 };

/* What was learnt of one resource. */
struct page_size {
	char *resource;
	unsigned rows;
	uint64_t learnt_ms;
	struct page_size *next;
};

struct portal {
	uv_loop_t *loop;
	struct portal_options options;
	struct http *http;
	struct backoff backoff;
	struct bucket bucket;
	struct breaker breaker;
	uint64_t hold_until_ms;
	uint64_t spent_ms; /* of the run's retry budget */
	bool *refused;     /* per key, in this run */
	struct page_size *sizes;
	struct portal_counters counters;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

static uint64_t now_ms(const struct portal *portal)
{
	return clock_mono_ms(portal->options.clock);
}

/* ---- a run ---- */

void portal_begin_run(struct portal *portal)
{
	portal->spent_ms = 0;
	memset(portal->refused, 0, portal->options.config->n_api_keys * sizeof(*portal->refused));
}

bool portal_spend(struct portal *portal, uint64_t ms)
{
	if (ms > portal->options.config->retry_budget_ms - portal->spent_ms) {
		return false;
	}
	portal->spent_ms += ms;
	return true;
}

/* ---- when a request may be sent ---- */

const char *portal_wait_name(enum portal_wait why)
{
	switch (why) {
	case PORTAL_READY:
		return "";
	case PORTAL_PACED:
		return "pace";
	case PORTAL_HELD:
		return "hold";
	case PORTAL_BROKEN:
		return "breaker";
	}
	return "";
}

/* The breaker before the bucket, for a token is not put back. */
static uint64_t try_now(struct portal *portal, enum portal_wait *ret_why)
{
	uint64_t wait = breaker_try(&portal->breaker, clock_wall_us(portal->options.clock));

	if (wait > 0) {
		*ret_why = PORTAL_BROKEN;
		return wait;
	}
	wait = bucket_take(&portal->bucket, now_ms(portal));
	if (wait > 0) {
		*ret_why = PORTAL_PACED;
		breaker_abandoned(&portal->breaker);
	}
	return wait;
}

uint64_t portal_try(struct portal *portal, enum portal_wait *ret_why)
{
	uint64_t now = now_ms(portal), wait;

	if (portal->hold_until_ms > now) {
		*ret_why = PORTAL_HELD;
		return portal->hold_until_ms - now;
	}
	wait = try_now(portal, ret_why);
	if (wait == 0) {
		*ret_why = PORTAL_READY;
	}
	return wait;
}

void portal_heard(struct portal *portal, bool trouble)
{
	if (trouble) {
		breaker_failed(&portal->breaker, clock_wall_us(portal->options.clock));
	} else {
		breaker_succeeded(&portal->breaker);
	}
}

void portal_abandoned(struct portal *portal)
{
	breaker_abandoned(&portal->breaker);
}

/* The bucket is told too, so that what was saved up meanwhile does not come as a burst. */
void portal_hold(struct portal *portal, uint64_t ms)
{
	uint64_t until = now_ms(portal) + ms;

	if (until > portal->hold_until_ms) {
		portal->hold_until_ms = until;
		bucket_hold(&portal->bucket, until);
	}
}

struct breaker *portal_breaker(struct portal *portal)
{
	return &portal->breaker;
}

/* A minute, doubling with every further 429, and never longer than any pause may be. */
static uint64_t hold_ms(const struct config_portal *config, unsigned n)
{
	uint64_t ms = (uint64_t)HOLD_MS << (n > 10 ? 10 : n - 1);

	return ms < config->backoff_max_ms ? ms : config->backoff_max_ms;
}

uint64_t portal_pause_ms(struct portal *portal, unsigned n, bool held, const char *retry_after)
{
	uint64_t random, ms, asked_ms = 0;

	arc4random_buf(&random, sizeof(random));
	ms = backoff_delay_ms(&portal->backoff, n - 1, random);
	if (held && ms < hold_ms(portal->options.config, n)) {
		ms = hold_ms(portal->options.config, n);
	}
	if (retry_after &&
		backoff_retry_after(retry_after, clock_wall_us(portal->options.clock), &asked_ms) !=
			RETRY_AFTER_NONE &&
		ms < asked_ms) {
		ms = asked_ms;
	}
	return ms;
}

/* ---- keys ---- */

int portal_key(const struct portal *portal)
{
	for (unsigned i = 0; i < portal->options.config->n_api_keys; i++) {
		if (!portal->refused[i]) {
			return (int)i;
		}
	}
	return -1;
}

const char *portal_key_text(const struct portal *portal, int key)
{
	return portal->options.config->api_keys[key];
}

bool portal_refuse_key(struct portal *portal, int key)
{
	portal->refused[key] = true;
	return portal_key(portal) >= 0;
}

/* ---- page sizes ---- */

static struct page_size *find_size(const struct portal *portal, const char *resource)
{
	struct page_size *size = portal->sizes;

	while (size && strcmp(size->resource, resource) != 0) {
		size = size->next;
	}
	return size;
}

unsigned portal_page_size(const struct portal *portal, const struct source *source)
{
	const struct page_size *size = find_size(portal, source->resource);
	unsigned rows = source->page_size;

	if (rows > portal->options.config->page_max) {
		rows = portal->options.config->page_max;
	}
	if (size && size->rows < rows && now_ms(portal) - size->learnt_ms < PAGE_SIZE_KNOWN_MS) {
		rows = size->rows;
	}
	return rows;
}

void portal_learn_page_size(struct portal *portal, const struct source *source, unsigned rows)
{
	struct page_size *size = find_size(portal, source->resource);

	if (!size) {
		size = calloc(1, sizeof(*size));
		if (!size) {
			return;
		}
		size->resource = strdup(source->resource);
		if (!size->resource) {
			free(size);
			return;
		}
		size->next = portal->sizes;
		portal->sizes = size;
	}
	size->rows = rows;
	size->learnt_ms = now_ms(portal);
}

/* ---- begin and end ---- */

struct http *portal_http(struct portal *portal)
{
	return portal->http;
}

const struct config_portal *portal_config(const struct portal *portal)
{
	return portal->options.config;
}

const struct clock *portal_clock(const struct portal *portal)
{
	return portal->options.clock;
}

uv_loop_t *portal_loop(const struct portal *portal)
{
	return portal->loop;
}

struct portal_counters *portal_counters(struct portal *portal)
{
	return &portal->counters;
}

static void portal_free(struct portal *portal)
{
	while (portal->sizes) {
		struct page_size *size = portal->sizes;

		portal->sizes = size->next;
		free(size->resource);
		free(size);
	}
	free(portal->refused);
	free(portal);
}

static int new_http(struct portal *portal)
{
	static const int families[] = {[IP_ANY] = 0, [IP_4] = 4, [IP_6] = 6};
	const struct config_portal *config = portal->options.config;
	const struct http_options options = {
		.user_agent = config->user_agent,
		.connect_timeout_ms = config->connect_timeout_ms,
		.request_timeout_ms = config->request_timeout_ms,
		.low_speed_bytes = config->low_speed_bytes,
		.low_speed_ms = config->low_speed_ms,
		.body_bytes = config->page_bytes,
		.ip = families[config->ip],
		.proxy = config->proxy,
		.ca_file = config->ca_file,
	};

	return http_new(portal->loop, &options, &portal->http);
}

int portal_new(uv_loop_t *loop, const struct portal_options *options, struct portal **ret)
{
	const struct config_portal *config = options->config;
	struct portal *portal = calloc(1, sizeof(*portal));
	int r = -ENOMEM;

	if (!portal) {
		return -ENOMEM;
	}
	portal->loop = loop;
	portal->options = *options;
	portal->refused = calloc(config->n_api_keys + 1, sizeof(*portal->refused));
	if (portal->refused) {
		r = new_http(portal);
	}
	if (r < 0) {
		portal_free(portal);
		return r;
	}
	portal->counters.seconds = (struct histogram){.bounds = {0.5, 2, 5, 15, 60, 180}};
	portal->backoff = (struct backoff){
		.base_ms = config->backoff_min_ms, .cap_ms = config->backoff_max_ms};
	bucket_init(&portal->bucket, config->requests_per_minute, config->parallel, now_ms(portal));
	breaker_init(&portal->breaker, config->breaker_after, config->breaker_probe_ms,
		options->breaker);
	*ret = portal;
	return 0;
}

static void on_old_http_closed(void *arg)
{
	(void)arg;
}

int portal_reconfigure(struct portal *portal, const struct config_portal *config)
{
	const struct config_portal *old = portal->options.config;
	struct http *http = portal->http;
	bool *refused = calloc(config->n_api_keys + 1, sizeof(*refused));
	int r = -ENOMEM;

	portal->options.config = config;
	if (refused) {
		r = new_http(portal);
	}
	if (r < 0) {
		portal->options.config = old;
		free(refused);
		return r;
	}
	http_close(http, on_old_http_closed, NULL);
	free(portal->refused);
	portal->refused = refused;
	portal->backoff = (struct backoff){
		.base_ms = config->backoff_min_ms, .cap_ms = config->backoff_max_ms};
	bucket_change(&portal->bucket, config->requests_per_minute, config->parallel,
		now_ms(portal));
	portal->breaker.after = config->breaker_after;
	portal->breaker.probe_ms = config->breaker_probe_ms;
	return 0;
}

static void on_http_closed(void *arg)
{
	struct portal *portal = arg;
	void (*on_closed)(void *arg) = portal->on_closed;
	void *on_closed_arg = portal->on_closed_arg;

	portal_free(portal);
	on_closed(on_closed_arg);
}

void portal_close(struct portal *portal, void (*on_closed)(void *arg), void *arg)
{
	portal->on_closed = on_closed;
	portal->on_closed_arg = arg;
	http_close(portal->http, on_http_closed, portal);
}
