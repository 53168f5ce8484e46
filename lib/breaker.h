#pragma once

/*
 * A circuit breaker: after so many failures in a row stop asking, and only probe now and then. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 *	            n_failures = after
 *	CLOSED ------------------------> OPEN <-----------+
 *	   ^                               | probe_ms     | failure
 *	   |            success            v              |
 *	   +---------------------------- PROBING ---------+
 *
 * What must survive a restart is struct breaker_state; so its time is wall time, and a clock that
 * was set back makes nobody wait longer than probe_ms.
 */

#include <stdbool.h>
#include <stdint.h>

enum breaker_phase { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

struct breaker_state {
	enum breaker_phase phase;
	unsigned n_failures; /* in a row */
	int64_t opened_us;   /* or when the last probe failed; 0 while closed */
};

struct breaker {
	unsigned after; /* failures; 0: never opens */
	uint64_t probe_ms;
	struct breaker_state state; /* may be read at any time */
};

/* With the state of an earlier process (checked), or NULL. A probe that it had begun is forgotten. */
void breaker_init(struct breaker *breaker, unsigned after, uint64_t probe_ms,
	const struct breaker_state *saved);

/*
 * May a request go out? 0: yes, and if the breaker was open, this one is the probe. Else the ms
 * after which to ask again; while a probe is out, that is BREAKER_LOOK_AGAIN_MS. Whoever got a 0 must
 * call one of the three below.
 */
enum { BREAKER_LOOK_AGAIN_MS = 1000 };
uint64_t breaker_try(struct breaker *breaker, int64_t now_us);

/*
 * True when the breaker, open or probing, closed by this; when, closed until now, it opened by
 * this. A failed probe is no news.
 */
bool breaker_succeeded(struct breaker *breaker);
bool breaker_failed(struct breaker *breaker, int64_t now_us);

/* The request ended without telling anything: canceled. Another one may probe at once. */
void breaker_abandoned(struct breaker *breaker);

/* Let the next request probe, whatever the time. */
void breaker_probe_now(struct breaker *breaker);

const char *breaker_phase_name(enum breaker_phase phase);
