/*
 * The scrubber. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: nearly every byte of a text can begin no secret, which a table of 256 flags says at
 * once. Where one can, each secret is tried, byte by byte; a byte of the text may stand for itself
 * or be an escape that spells the byte. Where both readings fit (a secret that holds a % itself)
 * one is followed after the other. The longest match counts, and it grows by each match that begins
 * inside it, so of two secrets that overlap no rest stays. The hole is then closed by moving the
 * rest of the text down.
 *
 * A failure to remember a secret must be fatal for the caller: scrub_add() says so.
 */

#include "lib/scrub.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct secret {
	unsigned char *bytes;
	size_t len;
};

/* See scrub.h why this is global. */
static struct {
	struct secret *secrets;
	size_t n_secrets;
	bool begins[256]; /* a byte of a text at which a match may begin */
} registry;

static const char hidden[] = "(hidden)";
static const char hidden_short[] = "****";

int scrub_add(const char *secret)
{
	size_t len = secret ? strlen(secret) : 0;
	struct secret *secrets;
	unsigned char *bytes;

	if (len == 0) {
		return 0;
	}
	if (len < SCRUB_MIN_BYTES) {
		return -EINVAL;
	}
	for (size_t i = 0; i < registry.n_secrets; i++) {
		if (registry.secrets[i].len == len &&
			memcmp(registry.secrets[i].bytes, secret, len) == 0) {
			return 0;
		}
	}
	secrets = realloc(registry.secrets, (registry.n_secrets + 1) * sizeof(*secrets));
	if (!secrets) {
		return -ENOMEM;
	}
	registry.secrets = secrets;
	bytes = malloc(len);
	if (!bytes) {
		return -ENOMEM;
	}
	memcpy(bytes, secret, len);
	secrets[registry.n_secrets++] = (struct secret){.bytes = bytes, .len = len};
	registry.begins[bytes[0]] = true;
	registry.begins['%'] = true;
	registry.begins['\\'] = true;
	registry.begins['+'] = registry.begins['+'] || bytes[0] == ' ';
	return 0;
}

void scrub_clear(void)
{
	for (size_t i = 0; i < registry.n_secrets; i++) {
		explicit_bzero(registry.secrets[i].bytes, registry.secrets[i].len);
		free(registry.secrets[i].bytes);
	}
	free(registry.secrets);
	memset(&registry, 0, sizeof(registry));
}

static int hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of n hex digits, or -1. */
static int hex_number(const unsigned char *at, const unsigned char *end, unsigned n)
{
	int v = 0;

	if ((size_t)(end - at) < n) {
		return -1;
	}
	for (unsigned i = 0; i < n; i++) {
		int digit = hex_value(at[i]);

		if (digit < 0) {
			return -1;
		}
		v = v * 16 + digit;
	}
	return v;
}

/* What a backslash and this letter stand for, or -1. */
static int escaped_letter(unsigned char c)
{
	static const char letters[] = "\"\\/'bfnrt";
	static const char values[] = "\"\\/'\b\f\n\r\t";
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? values[at - letters] : -1;
}

/* Bytes of the escape at `at` that spells the byte `c`; 0: there is none. */
static size_t escape_of(unsigned char c, const unsigned char *at, const unsigned char *end)
{
	if (*at == '+') {
		return c == ' ';
	}
	if (*at == '%') {
		return hex_number(at + 1, end, 2) == c ? 3 : 0;
	}
	if (*at != '\\' || end - at < 2) {
		return 0;
	}
	if (at[1] == 'x') {
		return hex_number(at + 2, end, 2) == c ? 4 : 0;
	}
	if (at[1] == 'u') {
		return c < 0x80 && hex_number(at + 2, end, 4) == c ? 6 : 0;
	}
	return escaped_letter(at[1]) == c ? 2 : 0;
}

/* The UTF-8 form of a code point above ASCII. Returns its bytes, 0 for none. */
static size_t encode_utf8(uint32_t code, unsigned char out[static 4])
{
	static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t n = code < 0x80	  ? 0
		: code < 0x800	  ? 2
		: code < 0x10000  ? 3
		: code < 0x110000 ? 4
				  : 0;

	for (size_t i = n; i > 1; i--) {
		out[i - 1] = (unsigned char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (unsigned char)(first[n] | code);
	return n;
}

/* \uXXXX above ASCII, perhaps two of them: bytes of the escape, and what it spells. */
static size_t unicode_escape(const unsigned char *at, const unsigned char *end,
	unsigned char out[static 4], size_t *ret_n)
{
	int high, low;

	if (end - at < 6 || at[0] != '\\' || at[1] != 'u') {
		return 0;
	}
	high = hex_number(at + 2, end, 4);
	if (high >= 0xd800 && high < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u') {
		low = hex_number(at + 8, end, 4);
		if (low < 0xdc00 || low > 0xdfff) {
			return 0;
		}
		*ret_n = encode_utf8(
			0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00),
			out);
		return 12;
	}
	*ret_n = high < 0 ? 0 : encode_utf8((uint32_t)high, out);
	return *ret_n > 0 ? 6 : 0;
}

/* Is all that is left the start of an escape that was cut off? */
static bool is_cut_escape(const unsigned char *at, const unsigned char *end)
{
	size_t n = (size_t)(end - at), letters = *at == '%' ? 1 : 2, digits;

	if (n < letters) {
		return *at == '\\';
	}
	if (*at == '\\') {
		digits = at[1] == 'x' ? 2 : at[1] == 'u' ? 4 : 0;
	} else {
		digits = *at == '%' ? 2 : 0;
	}
	return n < letters + digits && hex_number(at + letters, end, (unsigned)(n - letters)) >= 0;
}

/*
 * Match the secret from its byte i on; returns the end of the match or NULL. A text that ends while
 * at least SCRUB_MIN_BYTES of the secret were seen matches as well.
 */
static const unsigned char *match(
	const struct secret *secret, size_t i, const unsigned char *at, const unsigned char *end)
{
	unsigned char spelled[4];
	const unsigned char *found = NULL;
	size_t n, n_spelled = 0;

	for (; i < secret->len; i++) {
		unsigned char c = secret->bytes[i];

		if (at == end) {
			return i >= SCRUB_MIN_BYTES ? end : NULL;
		}
		n = escape_of(c, at, end);
		if (n > 0 && *at == c) {
			found = match(secret, i + 1, at + n, end); /* both readings: try this one */
			if (found) {
				return found;
			}
			n = 1;
		} else if (n == 0 && *at == c) {
			n = 1;
		} else if (n == 0) {
			n = unicode_escape(at, end, spelled, &n_spelled);
			if (n == 0 || secret->len - i < n_spelled ||
				memcmp(secret->bytes + i, spelled, n_spelled) != 0) {
				return i >= SCRUB_MIN_BYTES && is_cut_escape(at, end) ? end : NULL;
			}
			i += n_spelled - 1;
		}
		at += n;
	}
	return at;
}

/* The end of the longest match that begins at `at`, or NULL. */
static const unsigned char *longest_match(const unsigned char *at, const unsigned char *end)
{
	const unsigned char *longest = NULL;

	if (!registry.begins[*at]) {
		return NULL;
	}
	for (size_t i = 0; i < registry.n_secrets; i++) {
		const unsigned char *found = match(&registry.secrets[i], 0, at, end);

		if (found && (!longest || found > longest)) {
			longest = found;
		}
	}
	return longest;
}

/* The next stretch to hide from `at` on: its start, and its end in *ret_end. NULL: none. */
static const unsigned char *find(
	const unsigned char *at, const unsigned char *end, const unsigned char **ret_end)
{
	const unsigned char *stop, *more;

	for (; at < end; at++) {
		stop = longest_match(at, end);
		if (stop) {
			for (const unsigned char *inside = at + 1; inside < stop; inside++) {
				more = longest_match(inside, end);
				stop = more && more > stop ? more : stop;
			}
			*ret_end = stop;
			return at;
		}
	}
	return NULL;
}

size_t scrub_bytes(char *data, size_t len)
{
	const unsigned char *from = (unsigned char *)data, *end = from + len, *start, *stop;
	char *to = data;

	if (registry.n_secrets == 0) {
		return len;
	}
	while ((start = find(from, end, &stop)) != NULL) {
		bool wide = (size_t)(stop - start) >= sizeof(hidden) - 1;
		const char *instead = wide ? hidden : hidden_short;

		memmove(to, from, (size_t)(start - from));
		to += start - from;
		memcpy(to, instead, strlen(instead));
		to += strlen(instead);
		from = stop;
	}
	memmove(to, from, (size_t)(end - from));
	return (size_t)(to - data) + (size_t)(end - from);
}

void scrub_text(char *text)
{
	text[scrub_bytes(text, strlen(text))] = '\0';
}

void scrub_buffer(struct buffer *buffer)
{
	if (buffer->data) {
		buffer->len = scrub_bytes(buffer->data, buffer->len);
		buffer->data[buffer->len] = '\0';
	}
}

bool scrub_finds(const char *data, size_t len)
{
	const unsigned char *stop, *at = (const unsigned char *)data;

	return registry.n_secrets > 0 && find(at, at + len, &stop) != NULL;
}
