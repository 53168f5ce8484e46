#pragma once

/*
 * What the pages of a spool file are worth by today's rules. SPDX-License-Identifier: Apache-2.0
 *
 * For a file whose fetch failed because of the dataset, not because of the portal: its pages are
 * received once more, and the same proof decides. Blocks; not for the daemon's loop.
 */

#include "daemon/dataset.h"
#include "daemon/spool.h"

/*
 * Reads `reader` to its end and rewinds it. `outcome` comes as it stands in the file, and goes as it
 * would be written now: still SLICE_FAILED, with the reason, when too little of it can be read. -1:
 * the file cannot be read, or memory is short.
 */
int reprove(struct spool_reader *reader, const struct source *source, struct spool_outcome *outcome,
	struct error *error) must_check;
