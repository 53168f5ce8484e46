#pragma once

/*
 * Names that a load brought and that look like older ones: the portal may have renamed something.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdint.h>

#include "daemon/lookup.h"
#include "daemon/similar.h"

enum { RENAMES_SHOWN = 8, RENAME_TEXT_BYTES = 160 };

struct rename {
	const char *lookup; /* of the dataset */
	enum similar similar;
	int32_t id, known_id;
	char name[RENAME_TEXT_BYTES], known[RENAME_TEXT_BYTES]; /* columns with " / " between */
};

struct renames {
	struct rename list[RENAMES_SHOWN]; /* the first ones, the surest first */
	unsigned n_list;
	uint64_t n; /* all */
};

/*
 * Of the names whose ids were given in the transaction that is about to be committed. NULL: there are
 * none, or no memory to look for them. The caller's, to be given to free().
 */
struct renames *rename_find(const struct dataset *dataset, const struct lookup_set *set);
