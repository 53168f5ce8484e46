/*
 * What time it is, as a thing that can be handed in. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/attr.h"

static int64_t system_wall_us(const struct clock *clock)
{
	struct timespec now;

	(void)clock;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t system_mono_ms(const struct clock *clock)
{
	struct timespec now;

	(void)clock;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const struct clock clock_system = {.wall_us = system_wall_us, .mono_ms = system_mono_ms};

static int64_t manual_wall_us(const struct clock *clock)
{
	return container_of(clock, struct clock_manual, clock)->wall_us;
}

static uint64_t manual_mono_ms(const struct clock *clock)
{
	return container_of(clock, struct clock_manual, clock)->mono_ms;
}

void clock_manual_init(struct clock_manual *manual, int64_t wall_us)
{
	*manual = (struct clock_manual){
		.clock = {.wall_us = manual_wall_us, .mono_ms = manual_mono_ms},
		.wall_us = wall_us,
		.mono_ms = 1000,
	};
}

void clock_manual_advance(struct clock_manual *manual, uint64_t ms)
{
	manual->wall_us += (int64_t)ms * 1000;
	manual->mono_ms += ms;
}

const char *clock_format_rfc3339(int64_t wall_us, int n_digits, char buf[static CLOCK_RFC3339_BYTES])
{
	int64_t us = wall_us % 1000000;
	time_t s;
	struct tm tm;
	char fraction[8] = "";
	long offset;

	us += us < 0 ? 1000000 : 0;
	s = (time_t)((wall_us - us) / 1000000);
	localtime_r(&s, &tm);
	if (n_digits == 3) {
		snprintf(fraction, sizeof(fraction), ".%03d", (int)(us / 1000));
	} else if (n_digits == 6) {
		snprintf(fraction, sizeof(fraction), ".%06d", (int)us);
	}
	offset = labs(tm.tm_gmtoff) / 60;
	snprintf(buf, CLOCK_RFC3339_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d%s%c%02ld:%02ld",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		fraction, tm.tm_gmtoff < 0 ? '-' : '+', offset / 60 % 100, offset % 60);
	return buf;
}
