/*
 * The daemon and the age of its books. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/daemon_private.h"

/* Loads and runs come first. */
static bool may_prune(void *arg)
{
	const struct daemon *daemon = arg;

	return !daemon->stopping && loader_state(daemon->loader) == LOADER_UP &&
		reader_lease(daemon->reader)->state == LEASE_HOLDER &&
		runner_is_idle(daemon->runner) && loader_is_idle(daemon->loader);
}

static void on_pruned(void *arg, const struct history_counts *counts, const struct error *error)
{
	report_pruned(((struct daemon *)arg)->report, counts, error);
}

int daemon_open_history(struct daemon *daemon)
{
	const struct history_options options = {
		.loop = &daemon->loop,
		.clock = daemon->clock,
		.config = daemon->config,
		.reader = daemon->reader,
		.may = may_prune,
		.on_pruned = on_pruned,
		.arg = daemon,
	};

	return history_new(&options, &daemon->history);
}
