#pragma once

/*
 * Fill a dataset's lookups from their tables. SPDX-License-Identifier: Apache-2.0
 *
 * One query after the other on a connection that is connected and idle, and ours until on_done.
 */

#include "daemon/lookup.h"

/* In its caller's memory until on_done. */
struct lookup_read {
	struct pg *pg;
	const struct dataset *dataset;
	struct lookup_set *set;
	unsigned lookup; /* the one being read */
	struct error error;
	pg_done_fn on_done;
	void *arg;
};

/* False when there is none to read: then on_done never comes. */
bool lookup_read_start(struct lookup_read *read, struct pg *pg, const struct dataset *dataset,
	struct lookup_set *set, pg_done_fn on_done, void *arg) must_check;
