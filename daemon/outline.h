#pragma once

/*
 * Nested keys and values written out, as YAML or as JSON. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * The YAML is what lib/yaml.h reads back: a $ is doubled. Every text passes the scrubber first.
 */

#include <stdbool.h>

#include "lib/attr.h"
#include "lib/buffer.h"

enum outline_format { OUTLINE_YAML, OUTLINE_JSON };

enum { OUTLINE_MAX_DEPTH = 16 };

struct outline {
	struct buffer *out;
	enum outline_format format;
	unsigned depth, lists;
	unsigned n[OUTLINE_MAX_DEPTH]; /* entries of each level that is open */
};

/* `key` is NULL inside a list. Lists hold no mappings. */
void outline_open(struct outline *outline, const char *key);
void outline_close(struct outline *outline);
void outline_open_list(struct outline *outline, const char *key);
void outline_close_list(struct outline *outline);
void outline_text(struct outline *outline, const char *key, const char *text); /* NULL: null */
void outline_word(struct outline *outline, const char *key, const char *word); /* 36h, year */
void outline_number(struct outline *outline, const char *key, uint64_t v);
void outline_bool(struct outline *outline, const char *key, bool v);
