/*
 * Text as it is stored. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/text.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_continuation(const unsigned char *p)
{
	return (*p & 0xc0) == 0x80;
}

unsigned utf8_decode(const char *text, size_t len, uint32_t *ret_character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)text;
	uint32_t character;
	unsigned n;

	if (len == 0 || *p < 0x80) {
		*ret_character = len ? *p : 0;
		return len ? 1 : 0;
	}
	n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	if (*p < 0xc2 || *p > 0xf4 || n > len) {
		return 0;
	}
	character = *p & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if (!is_continuation(p + i)) {
			return 0;
		}
		character = character << 6 | (p[i] & 0x3f);
	}
	if (character < least[n] || character > 0x10ffff ||
		(character >= 0xd800 && character <= 0xdfff)) {
		return 0;
	}
	*ret_character = character;
	return n;
}

static bool is_white(uint32_t c)
{
	switch (c) {
	case '\t':
	case '\n':
	case '\v':
	case '\f':
	case '\r':
	case ' ':
	case 0x85:
	case 0xa0:
	case 0x1680:
	case 0x2028:
	case 0x2029:
	case 0x202f:
	case 0x205f:
	case 0x3000:
		return true;
	default:
		return c >= 0x2000 && c <= 0x200a;
	}
}

/* True for most bytes there are: ASCII that is neither white space nor a control byte. */
static bool is_plain(unsigned char c)
{
	return c > ' ' && c < 0x80;
}

enum text_fault text_fold(const char *text, size_t len, char *out, size_t *ret_len)
{
	const char *p = text, *end = text + len;
	enum text_fault fault = TEXT_FINE;
	bool gap = false;
	char *o = out;

	while (p < end) {
		uint32_t character = (unsigned char)*p;
		unsigned n = 1;

		if (!is_plain((unsigned char)*p)) {
			n = utf8_decode(p, (size_t)(end - p), &character);
			if (n > 0 && is_white(character)) {
				gap = o > out;
				p += n;
				continue;
			}
			if (fault == TEXT_FINE && (n == 0 || character == 0)) {
				fault = n == 0 ? TEXT_NO_UTF8 : TEXT_HAS_NUL;
			}
			n += n == 0;
		}
		if (gap) {
			*o++ = ' '; /* never beyond p: the white space had a byte at least */
			gap = false;
		}
		for (; n > 0; n--) {
			*o++ = *p++;
		}
	}
	*ret_len = (size_t)(o - out);
	return fault;
}

/* One character, or one byte that is none, as text_quote() shows it. Returns the bytes it took. */
static unsigned show(const char *text, size_t len, char shown[static 8])
{
	unsigned char c = (unsigned char)*text;
	uint32_t character = 0;
	unsigned n = utf8_decode(text, len, &character);

	if (c == '\n' || c == '\t') {
		snprintf(shown, 8, "\\%c", c == '\n' ? 'n' : 't');
		return 1;
	}
	if (n == 0 || character < ' ' || character == 0x7f) {
		snprintf(shown, 8, "\\x%02x", c);
		return 1;
	}
	if (character >= 0x80 && character < 0xa0) {
		snprintf(shown, 8, "\\u%04x", character);
		return n;
	}
	snprintf(shown, 8, "%s%.*s", c == '"' || c == '\\' ? "\\" : "", (int)n, text);
	return n;
}

void text_quote(const char *text, size_t len, char *out, size_t size)
{
	static const char cut[] = "\"...";
	const char *end = text + len;
	size_t used = 1;
	char shown[8];

	assert(size > sizeof(cut) + sizeof(shown));
	out[0] = '"';
	while (text < end) {
		unsigned n = show(text, (size_t)(end - text), shown);

		if (used + strlen(shown) + sizeof(cut) > size) {
			memcpy(out + used, cut, sizeof(cut));
			return;
		}
		memcpy(out + used, shown, strlen(shown));
		used += strlen(shown);
		text += n;
	}
	memcpy(out + used, "\"", 2);
}
