/*
 * The distinct texts of a column. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * A sorted array: a column worth splitting by has some dozen values, and rows that arrive sorted
 * repeat the one before.
 */

#include "daemon/valueset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const char *value, const char *text, size_t len)
{
	int c = strncmp(value, text, len);

	return c ? c : value[len] != '\0';
}

/* Where `text` is, or where it belongs. */
static size_t find(const struct valueset *set, const char *text, size_t len)
{
	size_t low = 0, high = set->n_values;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(set->values[mid], text, len) < 0) {
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	return low;
}

static int make_room(struct valueset *set)
{
	size_t n = set->n_room ? 2 * set->n_room : 64;
	char **values;

	if (set->n_values < set->n_room) {
		return 0;
	}
	values = realloc(set->values, n * sizeof(*values));
	if (!values) {
		return -ENOMEM;
	}
	set->values = values;
	set->n_room = n;
	return 0;
}

static int insert(struct valueset *set, size_t at, const char *text, size_t len)
{
	char *copy;

	if (make_room(set) < 0) {
		return -ENOMEM;
	}
	copy = strndup(text, len);
	if (!copy) {
		return -ENOMEM;
	}
	memmove(set->values + at + 1, set->values + at, (set->n_values - at) * sizeof(copy));
	set->values[at] = copy;
	set->n_values++;
	return 0;
}

int valueset_add(struct valueset *set, const char *text, size_t len)
{
	if (memchr(text, '\0', len)) {
		return 0;
	}
	if (set->last < set->n_values && compare(set->values[set->last], text, len) == 0) {
		return 0;
	}
	set->last = find(set, text, len);
	if (set->last < set->n_values && compare(set->values[set->last], text, len) == 0) {
		return 0;
	}
	if (set->n_values == VALUESET_MAX) {
		set->overflow = true;
		return 0;
	}
	return insert(set, set->last, text, len);
}

void valueset_clear(struct valueset *set)
{
	for (size_t i = 0; i < set->n_values; i++) {
		free(set->values[i]);
	}
	set->n_values = 0;
	set->last = 0;
	set->overflow = false;
}

void valueset_fini(struct valueset *set)
{
	valueset_clear(set);
	free(set->values);
	*set = (struct valueset){0};
}
