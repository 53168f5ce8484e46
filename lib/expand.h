#pragma once

/*
 * ${NAME} and ${NAME:-default} in a text. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * $$ is a dollar. What was put in is never looked at again, so a value may hold any characters. The
 * default counts for a variable that is not set or empty; it holds no variable itself. Any other
 * dollar is an error: it would be a variable that silently was none.
 */

#include <stdbool.h>

#include "lib/arena.h"
#include "lib/attr.h"
#include "lib/buffer.h"

/* The value of a variable, or NULL when it is not set. */
typedef const char *(*expand_lookup_fn)(void *arg, const char *name);

enum { EXPAND_MAX_NAMES = 8 };

struct expanded {
	char *text;
	/* The variables whose values became part of the text. */
	char *names[EXPAND_MAX_NAMES];
	unsigned n_names;
	char *missing; /* the first that is not set and has no default, or NULL */
	bool has_variable;
};

/*
 * Texts and names are allocated in `arena`. Returns 0, -ENOMEM, or -EINVAL with what is wrong in
 * ret_problem.
 */
int expand(const char *text, expand_lookup_fn lookup, void *arg, struct arena *arena,
	struct expanded *ret, const char **ret_problem) must_check;
