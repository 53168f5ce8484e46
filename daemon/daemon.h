#pragma once

/*
 * The long-lived object: owns the loop's inhabitants, starts and stops them in order.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config.h"
#include "lib/attr.h"
#include "lib/error.h"

struct daemon_options {
	struct config *config; /* a reference is taken */
	bool once;             /* each scheduled source once, no listener, then exit */
	uint64_t timeout_ms;   /* of once; 0: none */
};

/*
 * Runs until it is told to stop. Returns the exit code (lib/exitcode.h). What could not be started
 * is in `error`.
 */
int daemon_run(const struct daemon_options *options, struct error *error) must_check;
