#pragma once

/*
 * Text as it is stored: valid UTF-8, trimmed, white space folded. Pure.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stddef.h>

enum text_fault {
	TEXT_FINE,
	TEXT_NO_UTF8, /* overlong forms, surrogates and beyond U+10FFFF included */
	TEXT_HAS_NUL,
};

/*
 * Trim, and make each run of white space one blank. White space is Unicode's White_Space: the ASCII
 * ones, U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000. Nothing else is
 * touched. `out` has room for len bytes and may be `text`. With a fault (the first one is returned)
 * the bytes in question stay as they are.
 */
enum text_fault text_fold(const char *text, size_t len, char *out, size_t *ret_len);

/*
 * True when text_fold() would leave it as it is and it is ASCII without control bytes: most are.
 * False says nothing.
 */
bool text_is_folded(const char *text, size_t len);

/*
 * `text` for people, NUL-terminated and cut to `size` bytes in all: in double quotes, with `...`
 * behind them when it was cut; quotes, backslashes, control bytes and bytes that are no UTF-8
 * escaped as in C.
 */
void text_quote(const char *text, size_t len, char *out, size_t size);
