#pragma once

/*
 * The rule of a time zone in the form of the POSIX variable TZ, "CET-1CEST,M3.5.0,M10.5.0/3", with the
 * wider hours of RFC 8536, 3.3.1. Internal to lib/zone.c. Pure. SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"

enum zone_day_kind {
	ZONE_DAY_JULIAN, /* Jn: 1 to 365, the 29th of February is not counted */
	ZONE_DAY_OF_YEAR, /* n: 0 to 365 */
	ZONE_DAY_OF_MONTH, /* Mm.w.d: the w-th weekday d of month m, the last one when w is 5 */
};

struct zone_day {
	enum zone_day_kind kind;
	int day;
	int month, week, weekday;
	int32_t time_s; /* of local time before the change; may lie outside the day */
};

struct zone_rule {
	int32_t standard_s, summer_s; /* east of Greenwich */
	bool has_summer;
	struct zone_day start, end; /* of summer time */
};

bool zone_rule_parse(const char *text, size_t len, struct zone_rule *ret) must_check;

/* The offset at t, and in *ret_until the first moment at which it may be another. */
int32_t zone_rule_span(const struct zone_rule *rule, int64_t t, int64_t *ret_until);
