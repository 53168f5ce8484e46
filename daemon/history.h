#pragma once

/*
 * Keeps the books as long as `history:` says: deletes what is older, once a day, a little at a time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Owned by the daemon. Uses the read connection, and only while the owner says that it may.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/config.h"
#include "daemon/reader.h"
#include "lib/attr.h"
#include "lib/clock.h"

struct history;

/* Rows that are gone. */
struct history_counts {
	uint64_t runs, quarantine, revisions;
};

struct history_options {
	uv_loop_t *loop;
	const struct clock *clock;
	struct config *config; /* a reference is taken */
	struct reader *reader; /* borrowed; closed before history_close() */
	/* We hold the lease, and nothing is being fetched or loaded. */
	bool (*may)(void *arg);
	/* A day's work is done, or (with an error) is tried again later. */
	void (*on_pruned)(void *arg, const struct history_counts *counts, const struct error *error);
	void *arg;
};

int history_new(const struct history_options *options, struct history **ret) must_check; /* -errno */

/* The work of the day begins anew. */
void history_reconfigure(struct history *history, struct config *config);

/* Begin, or go on, if it is time and we may. */
void history_look(struct history *history);

/* on_closed comes later, from the loop. */
void history_close(struct history *history, void (*on_closed)(void *arg), void *arg);
