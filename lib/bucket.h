#pragma once

/*
 * A token bucket: so many requests a minute, and how many of them at once. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One for a host, shared by all who ask it. Time is monotonic.
 */

#include <stdint.h>

enum { BUCKET_MAX = 1000 * 1000 };

struct bucket {
	unsigned per_minute; /* up to BUCKET_MAX; 0: no limit */
	unsigned burst;      /* 1 to BUCKET_MAX */
	uint64_t level;      /* 60,000 are one request, so that each ms adds per_minute */
	uint64_t at_ms;      /* when level was true; ahead of now during a hold */
};

/* A full bucket. */
void bucket_init(struct bucket *bucket, unsigned per_minute, unsigned burst, uint64_t now_ms);

/* Other limits, after a reload; what is in it stays, as far as it fits. */
void bucket_change(struct bucket *bucket, unsigned per_minute, unsigned burst, uint64_t now_ms);

/* Take one request out: 0, or the ms after which to ask again (then nothing was taken). */
uint64_t bucket_take(struct bucket *bucket, uint64_t now_ms);

/*
 * The host asked for a rest: nothing until then, and then one request and the usual pace, no burst.
 * A hold that ends earlier than the present one changes nothing.
 */
void bucket_hold(struct bucket *bucket, uint64_t until_ms);
