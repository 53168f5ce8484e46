#pragma once

/*
 * The portal as all sources share it: one HTTP client, one token bucket, one circuit breaker, the
 * API keys, and what was learnt about page sizes. SPDX-License-Identifier: Apache-2.0
 *
 * Belongs to the daemon; a fetch borrows it. Decides when a request may be sent, never what it
 * asks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/verdict.h"
#include "lib/attr.h"
#include "lib/breaker.h"
#include "lib/clock.h"
#include "lib/histogram.h"
#include "lib/http.h"

struct portal;

struct portal_options {
	const struct config_portal *config;  /* borrowed until portal_close() */
	const struct clock *clock;           /* borrowed */
	const struct breaker_state *breaker; /* of an earlier process, or NULL */
};

int portal_new(uv_loop_t *loop, const struct portal_options *options,
	struct portal **ret) must_check; /* -errno */

/* No fetch may be running. on_closed comes from the loop, and the portal is gone with it. */
void portal_close(struct portal *portal, void (*on_closed)(void *arg), void *arg);

struct http *portal_http(struct portal *portal);
/*
 * Other limits, keys and addresses from now on, while nothing is being fetched. -errno: all is as it was.
 */
int portal_reconfigure(struct portal *portal, const struct config_portal *config) must_check;

const struct config_portal *portal_config(const struct portal *portal);
const struct clock *portal_clock(const struct portal *portal);
uv_loop_t *portal_loop(const struct portal *portal);

/* ---- a run ---- */

/* A run begins: the first key again, and a whole retry budget. */
void portal_begin_run(struct portal *portal);

/* Take `ms` out of the run's retry budget. False, and nothing taken, when so much is not left. */
bool portal_spend(struct portal *portal, uint64_t ms) must_check;

/* ---- when a request may be sent ---- */

enum portal_wait {
	PORTAL_READY,
	PORTAL_PACED,  /* requests_per_minute */
	PORTAL_HELD,   /* after a 429, or a Retry-After */
	PORTAL_BROKEN, /* the circuit breaker is open, the next probe is later */
};
const char *portal_wait_name(enum portal_wait why); /* "", "pace", "hold", "breaker" */

/*
 * 0: send a request now; whoever is told so must say by portal_heard() or portal_abandoned() what
 * came of it. Else the ms after which to ask again.
 */
uint64_t portal_try(struct portal *portal, enum portal_wait *ret_why);

/* It was answered, or not: is the host well? */
void portal_heard(struct portal *portal, bool trouble);

/* It ended without telling anything of the host. */
void portal_abandoned(struct portal *portal);

/* Nothing more to this host for so long. */
void portal_hold(struct portal *portal, uint64_t ms);

/* For state.json, and for `--once`: breaker_probe_now(). */
struct breaker *portal_breaker(struct portal *portal);

/*
 * How long to wait before the same is tried again after n >= 1 failures in a row: full jitter;
 * after a 429 (`held`) a minute at least if the backoff goes as far, doubling. `retry_after` is the
 * header as served, or NULL; no shorter time than it says is returned.
 */
uint64_t portal_pause_ms(struct portal *portal, unsigned n, bool held, const char *retry_after);

/* ---- keys ---- */

/* The number of the key in use, from 0; -1: none is configured, or all were refused in this run. */
int portal_key(const struct portal *portal);
const char *portal_key_text(const struct portal *portal, int key);

/* The portal refused this key: in this run it is not used again. True when another one is left. */
bool portal_refuse_key(struct portal *portal, int key);

/* ---- page sizes ---- */

/* Rows to ask for: what the source wants, no more than page_max, and than what worked last. */
unsigned portal_page_size(const struct portal *portal, const struct source *source);

/*
 * A smaller page than wanted came through where a larger one had not. Known for a day: then the
 * larger one is tried again. Forgets quietly when there is no memory.
 */
void portal_learn_page_size(struct portal *portal, const struct source *source, unsigned rows);

/* ---- for metrics ---- */
struct portal_counters {
	uint64_t requests[N_ANSWER_KINDS]; /* that ended so */
	uint64_t n_bytes;                  /* of bodies, decompressed */
	struct histogram seconds;          /* of each request */
};
struct portal_counters *portal_counters(struct portal *portal);
