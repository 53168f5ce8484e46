#pragma once

/*
 * How long to wait before the next try. Pure: chance and time are handed in.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdint.h>

struct backoff {
	uint64_t base_ms; /* most before the first retry */
	uint64_t cap_ms;  /* most before any */
};

/*
 * Full jitter: anything from 0 to min(cap, base * 2^n_failed), each as likely, so that many who
 * failed at once do not come back at once. n_failed is 0 before the first retry; `random` is any 64
 * bits of chance (arc4random_buf).
 */
uint64_t backoff_delay_ms(const struct backoff *backoff, unsigned n_failed, uint64_t random);

enum retry_after {
	RETRY_AFTER_NONE,   /* malformed: as if there were none */
	RETRY_AFTER_GIVEN,
	RETRY_AFTER_CAPPED, /* more than a day; *ret_ms is a day */
};

enum { RETRY_AFTER_MAX_MS = 24 * 60 * 60 * 1000 };

/*
 * The value of a Retry-After field (RFC 9110, 10.2.3): seconds, or a date in one of HTTP's three forms
 * (5.6.7), which gives 0 when it is past. `now_us` is wall time: ours, for want of the server's.
 */
enum retry_after backoff_retry_after(const char *text, int64_t now_us, uint64_t *ret_ms);
