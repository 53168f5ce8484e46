#pragma once

/*
 * What differs between two configurations. Pure. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/config.h"

/* An option by its place, its old and its new value as they are written; NULL: there was or is none. */
typedef void (*config_diff_fn)(void *arg, const char *option, const char *old, const char *new);

/* Every option that has another value; secrets as "(hidden)". Returns -ENOMEM when memory is short. */
int config_diff(const struct config *old, const struct config *new, config_diff_fn visit, void *arg)
	must_check;

/* Every option that has another value and cannot be changed in a process that runs. */
void config_needs_restart(const struct config *old, const struct config *new,
	void (*visit)(void *arg, const char *option), void *arg);
