#pragma once

/*
 * Characters out of UTF-8. SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>
#include <stdint.h>

/*
 * Bytes of the character at `text` and which it is; 0 when it is no UTF-8 (overlong forms, surrogates
 * and what is beyond U+10FFFF are none), or len is 0.
 */
unsigned utf8_decode(const char *text, size_t len, uint32_t *ret_character);
