#pragma once

/*
 * What time it is, as a thing that can be handed in. SPDX-License-Identifier: Apache-2.0
 *
 * Everything that decides by time takes a struct clock, so that a test can set the hands. Wall
 * time (`_us`, since 1970 UTC) may jump both ways and is for dates, schedules and what people
 * read; monotonic time (`_ms`) is for deadlines and durations.
 */

#include <stddef.h>
#include <stdint.h>

struct clock {
	int64_t (*wall_us)(const struct clock *clock);
	uint64_t (*mono_ms)(const struct clock *clock);
};

/* The clock of the machine. */
extern const struct clock clock_system;

/* A clock set by hand. */
struct clock_manual {
	struct clock clock;
	int64_t wall_us;
	uint64_t mono_ms;
};

void clock_manual_init(struct clock_manual *manual, int64_t wall_us);
void clock_manual_advance(struct clock_manual *manual, uint64_t ms);

static inline int64_t clock_wall_us(const struct clock *clock)
{
	return clock->wall_us(clock);
}

static inline uint64_t clock_mono_ms(const struct clock *clock)
{
	return clock->mono_ms(clock);
}

enum { CLOCK_RFC3339_BYTES = 40 };

/*
 * "2026-11-20T12:00:03.120+05:30" of `wall_us` in the process's time zone (TZ), with `n_digits`
 * (0, 3 or 6) of the second's fraction. RFC 3339, section 5.6.
 */
const char *clock_format_rfc3339(int64_t wall_us, int n_digits, char buf[static CLOCK_RFC3339_BYTES]);
