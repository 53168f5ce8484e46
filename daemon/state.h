#pragma once

/*
 * What must survive the process and is in no database: <spool>/state.json. SPDX-License-Identifier: Apache-2.0
 *
 * Read once, then kept in memory and written behind. Belongs to the daemon, which alone changes the
 * document. Whoever holds the spool's lock is the only one who writes it.
 */

#include <uv.h>

#include "daemon/config.h"
#include "daemon/state_format.h"
#include "lib/attr.h"
#include "lib/error.h"

struct state;

struct state_options {
	uv_loop_t *loop;
	const struct config *config; /* borrowed until state_close() */
	const char *directory;       /* of the spool; copied */
	/* A write ended; NULL: well. A failed one is repeated at the next state_touch(). */
	void (*on_written)(void *arg, const struct error *error);
	void *arg;
};

/*
 * Read the file; blocks. 0 or -ENOMEM. When it cannot be used, `why` is set (code "ENOENT" when there
 * is none) and the document is fresh.
 */
int state_open(const struct state_options *options, struct state **ret, struct error *why)
	must_check;

/* What it knows of the sources that `config` has, too; borrowed as before. -ENOMEM: as it was. */
int state_reconfigure(struct state *state, const struct config *config) must_check;

struct state_doc *state_doc(struct state *state);

/* The document changed: write it, after the write that is under way if there is one. */
void state_touch(struct state *state);

/* The last write, if one is due, still happens; the loop runs until then. on_written comes no more. */
void state_close(struct state *state);
