/*
 * Characters out of UTF-8. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/utf8.h"

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
		if ((p[i] & 0xc0) != 0x80) {
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
