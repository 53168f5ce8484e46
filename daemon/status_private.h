#pragma once

/*
 * What both renderings of the status share. Pure. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/status.h"

enum { STATUS_DAY_BYTES = 16 };

/* "2026-11-20" */
const char *status_format_day(int32_t day, char buf[static STATUS_DAY_BYTES]);
const char *status_database_name(enum status_database state);
const char *status_lease_name(enum status_lease state);
