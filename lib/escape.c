/*
 * Foreign text inside quotes. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/escape.h"

#include <stdint.h>
#include <string.h>

/* As the standard has it: shortest form only, no surrogates, up to U+10FFFF. */
size_t escape_utf8_bytes(const char *text, const char *text_end)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *at = (const unsigned char *)text;
	size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	uint32_t code;

	if (n <= 1 || at[0] > 0xf4 || (size_t)(text_end - text) < n) {
		return n == 1;
	}
	code = at[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80) {
			return 0;
		}
		code = code << 6 | (at[i] & 0x3f);
	}
	return code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

static bool is_control(const char *text, size_t n)
{
	const unsigned char *at = (const unsigned char *)text;

	return (n == 1 && (at[0] < 0x20 || at[0] == 0x7f)) ||
		(n == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

/* The letter that names a character behind a backslash, or NUL. */
static char letter_of(char c)
{
	static const char characters[] = "\b\f\n\r\t\"\\";
	static const char letters[] = "bfnrt\"\\";
	const char *found = c ? strchr(characters, c) : NULL;

	return found ? letters[found - characters] : '\0';
}

void escape_append(struct buffer *out, const char *text, size_t len)
{
	const char *end = text + len;
	size_t n;

	for (; text < end; text += n) {
		n = escape_utf8_bytes(text, end);
		if (n == 0) {
			buffer_append_str(out, "\xef\xbf\xbd"); /* U+FFFD */
			n = 1;
		} else if (letter_of(*text)) {
			buffer_append_char(out, '\\');
			buffer_append_char(out, letter_of(*text));
		} else if (is_control(text, n)) {
			buffer_printf(out, "\\u%04x", (unsigned char)text[n - 1]);
		} else {
			buffer_append(out, text, n);
		}
	}
}

bool escape_is_needed(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n;

	for (; text < end; text += n) {
		n = escape_utf8_bytes(text, end);
		if (n == 0 || letter_of(*text) || is_control(text, n)) {
			return true;
		}
	}
	return false;
}
