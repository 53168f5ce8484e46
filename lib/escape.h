#pragma once

/*
 * Foreign text inside quotes. SPDX-License-Identifier: Apache-2.0
 *
 * By the rules of JSON strings, which logfmt's readers share: \" \\ \n, \u001b for control characters
 * (those of U+0080 to U+009F too, they also move terminals), and U+FFFD for each byte that is not
 * UTF-8. All other UTF-8 is kept as it is.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/buffer.h"

void escape_append(struct buffer *out, const char *text, size_t len);

/* Would escape_append() change anything? */
bool escape_is_needed(const char *text, size_t len);

/* The bytes of the UTF-8 sequence that begins at `at`, before `end`; 0 when it is none. */
size_t escape_utf8_bytes(const char *at, const char *end);
