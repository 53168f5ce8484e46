#pragma once

/*
 * What this process uses of the machine. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/metrics.h"

/* What cannot be found out is 0. `start_seconds` is left alone. */
void process_usage(struct metrics_process *process);
