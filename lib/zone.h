#pragma once

/*
 * Time zones by name, without TZ and tzset(): the daemon lives by the zone of its configuration, which
 * a reload may change. SPDX-License-Identifier: Apache-2.0
 *
 * Reads the compiled files of the system (TZif, RFC 8536) and the rule at their end. Times are
 * seconds since 1970; a local time is written the same way, as if the zone were UTC. All but
 * zone_load() is pure.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/error.h"

struct zone;

/*
 * "Asia/Kolkata" from `directory` (NULL: /usr/share/zoneinfo). "UTC" needs no file. Returns 0, or -1 with
 * class REJECTED when there is no such zone or its file is damaged.
 */
int zone_load(const char *directory, const char *name, struct zone **ret, struct error *error)
	must_check;

/* From the bytes of a TZif file. */
int zone_parse(const void *data, size_t len, struct zone **ret, struct error *error) must_check;

struct zone *zone_free(struct zone *zone); /* takes NULL, returns NULL */

/* Seconds east of Greenwich at that moment. */
int32_t zone_offset(const struct zone *zone, int64_t utc_s);

static inline int64_t zone_to_local(const struct zone *zone, int64_t utc_s)
{
	return utc_s + zone_offset(zone, utc_s);
}

/*
 * The first moment at which clocks show `local_s` or later: the first of two when an hour is
 * repeated; the first one after the gap when clocks jump over it.
 */
int64_t zone_to_utc(const struct zone *zone, int64_t local_s);
