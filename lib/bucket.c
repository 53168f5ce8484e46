/*
 * A token bucket. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/bucket.h"

#include <assert.h>

enum { ONE_REQUEST = 60000 }; /* ms of a minute */

static void refill(struct bucket *bucket, uint64_t now_ms)
{
	uint64_t full = (uint64_t)bucket->burst * ONE_REQUEST, passed;

	if (now_ms > bucket->at_ms) {
		passed = now_ms - bucket->at_ms;
		/* A long time would overflow the product; it fills the bucket anyway. */
		bucket->level = passed >= full ? full : bucket->level + passed * bucket->per_minute;
		bucket->at_ms = now_ms;
	}
	bucket->level = bucket->level < full ? bucket->level : full;
}

void bucket_init(struct bucket *bucket, unsigned per_minute, unsigned burst, uint64_t now_ms)
{
	assert(burst > 0 && burst <= BUCKET_MAX && per_minute <= BUCKET_MAX);
	*bucket = (struct bucket){
		.per_minute = per_minute,
		.burst = burst,
		.level = (uint64_t)burst * ONE_REQUEST,
		.at_ms = now_ms,
	};
}

void bucket_change(struct bucket *bucket, unsigned per_minute, unsigned burst, uint64_t now_ms)
{
	assert(burst > 0 && burst <= BUCKET_MAX && per_minute <= BUCKET_MAX);
	refill(bucket, now_ms);
	bucket->per_minute = per_minute;
	bucket->burst = burst;
	refill(bucket, now_ms);
}

uint64_t bucket_take(struct bucket *bucket, uint64_t now_ms)
{
	uint64_t missing;

	if (now_ms < bucket->at_ms) {
		return bucket->at_ms - now_ms;
	}
	if (bucket->per_minute == 0) {
		return 0;
	}
	refill(bucket, now_ms);
	if (bucket->level >= ONE_REQUEST) {
		bucket->level -= ONE_REQUEST;
		return 0;
	}
	missing = ONE_REQUEST - bucket->level;
	return (missing + bucket->per_minute - 1) / bucket->per_minute;
}

void bucket_hold(struct bucket *bucket, uint64_t until_ms)
{
	if (until_ms > bucket->at_ms) {
		bucket->at_ms = until_ms;
		bucket->level = ONE_REQUEST;
	}
}
