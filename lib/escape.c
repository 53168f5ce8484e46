/*
 * Foreign text inside quotes. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/escape.h"

#include <stdint.h>
#include <string.h>

#include "lib/utf8.h"

size_t escape_utf8_bytes(const char *at, const char *end)
{
	uint32_t character;

	return utf8_decode(at, (size_t)(end - at), &character);
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
