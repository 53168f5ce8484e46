#pragma once

/*
 * The distinct texts of a column, for splitting a slice by them. Pure.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/attr.h"

enum { VALUESET_MAX = 4096 };

struct valueset {
	char **values; /* sorted by bytes */
	size_t n_values, n_room;
	bool overflow; /* there were more than VALUESET_MAX */
	size_t last;   /* where the value before was found */
};

/* {0} is an empty set. 0 or -ENOMEM. A text with a NUL in it is left out. */
int valueset_add(struct valueset *set, const char *text, size_t len) must_check;
void valueset_clear(struct valueset *set);
void valueset_fini(struct valueset *set);
