#pragma once

/*
 * A command that writes: connected, and the holder of the lease for as long as it runs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two connections, as the daemon has them: one for the work, one that renews the lease. Whatever the
 * command writes begins with holder_fence() in the same transaction; so one that was frozen, and
 * whose lease ran out meanwhile, writes nothing. Lives in the command's own function.
 */

#include "cli/database.h"
#include "daemon/lookup.h"
#include "daemon/reader.h"

struct holder {
	struct database database; /* its connection does the work */
	struct reader *reader;    /* holds the lease */
	uv_timer_t tick;
	struct lookup_set **lookups; /* one for each dataset; NULL: not read yet */
	struct buffer fence;
};

/*
 * Read the configuration, connect, compare the tables, become the holder: a daemon that runs here is
 * asked to lend the lease. Returns 0, or the exit code, and why was said: 75 with the holder's
 * name when it is not to be had. holder_close() in any case; it gives the lease back.
 */
int holder_open(struct cli *cli, struct holder *ret) must_check;
void holder_close(struct holder *holder);

/* The statement that a transaction begins with; it returns one row as long as we hold the lease. */
const char *holder_fence(struct holder *holder);

/* The names of a dataset's lookups, read once. -1: database.error. */
int holder_lookups(struct holder *holder, const struct dataset *dataset, struct lookup_set **ret)
	must_check;
