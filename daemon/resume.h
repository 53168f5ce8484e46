#pragma once

/*
 * What a dead process left in the spool, and whether a fetch may go on with it.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/spool.h"

/* True while the pages of an interrupted file may be those that the portal would still serve. */
bool resume_is_young(const struct spool_interrupted *part, int64_t now_us);

/*
 * Of the interrupted files of the same slice that are young enough the one with the most rows: a
 * reader of its pages (the caller's) and its UUID. NULL: there is none.
 */
struct spool_reader *resume_find(struct spool *spool, const struct spool_header *slice,
	int64_t now_us, char ret_uuid[static SPOOL_UUID_BYTES]);

/* Its pages are in another file by now, which is whole. */
void resume_forget(struct spool *spool, const char *uuid);
