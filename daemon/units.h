#pragma once

/*
 * Quantities as people write them in the configuration. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * Each reader takes a whole text and returns false when it is none of its kind or does not fit.
 * Each units_put_...() appends a text that the reader turns back into the same value.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/buffer.h"

/* What "forever" is as a duration. */
#define UNITS_FOREVER UINT64_MAX

bool units_number(const char *text, uint64_t *ret) must_check;	    /* 60 */
bool units_duration(const char *text, uint64_t *ret_ms) must_check; /* 500ms 5m 36h 30d forever */
bool units_size(const char *text, uint64_t *ret_bytes) must_check;  /* 512B 64KiB 2GiB */
bool units_share(const char *text, unsigned *ret_ppm) must_check;   /* 5% 0.25%; at most 100% */
bool units_rate(const char *text, uint64_t *ret_bytes, uint64_t *ret_ms) must_check; /* 1KiB/60s */
bool units_span(
	const char *text, uint64_t *ret_min_ms, uint64_t *ret_max_ms) must_check; /* 1s..5m */
bool units_time_of_day(const char *text, unsigned *ret_s) must_check;		  /* 09:00 */
bool units_date(const char *text, int32_t *ret_day) must_check; /* 2024-01-01: since 1970 */

void units_put_duration(struct buffer *out, uint64_t ms);
void units_put_size(struct buffer *out, uint64_t bytes);
void units_put_share(struct buffer *out, unsigned ppm);
void units_put_rate(struct buffer *out, uint64_t bytes, uint64_t ms);
void units_put_span(struct buffer *out, uint64_t min_ms, uint64_t max_ms);
void units_put_time_of_day(struct buffer *out, unsigned s);
void units_put_date(struct buffer *out, int32_t day);
