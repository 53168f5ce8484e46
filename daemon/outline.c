/*
 * Keys and values. SPDX-License-Identifier: Apache-2.0
 *
 * YAML in block style with lists in one line; JSON without white space. Both quote a text alike:
 * what YAML's reader would refuse or fold (control characters, line separators) is escaped.
 */

#include "daemon/outline.h"

#include <assert.h>
#include <string.h>

#include "lib/scrub.h"

static void put_escaped(struct outline *outline, const unsigned char *p, size_t *ret_len)
{
	static const unsigned char odd[][4] = {
		"\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf", "\xef\xbf\xbe", "\xef\xbf\xbf"};
	static const char *const written[] = {
		"\\u2028", "\\u2029", "\\ufeff", "\\ufffe", "\\uffff"};

	if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
		buffer_printf(outline->out, "\\u00%02x", p[1]);
		*ret_len = 2;
		return;
	}
	for (unsigned i = 0; i < N_ELEMENTS(odd); i++) {
		if (strncmp((const char *)p, (const char *)odd[i], 3) == 0) {
			buffer_append_str(outline->out, written[i]);
			*ret_len = 3;
			return;
		}
	}
	buffer_append_char(outline->out, (char)*p);
	*ret_len = 1;
}

static void put_quoted(struct outline *outline, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len;

	buffer_append_char(outline->out, '"');
	for (; *p; p += len) {
		len = 1;
		if (*p == '"' || *p == '\\') {
			buffer_printf(outline->out, "\\%c", *p);
		} else if (*p < ' ' || *p == 0x7f) {
			buffer_printf(outline->out, "\\u%04x", *p);
		} else if (*p == '$' && outline->format == OUTLINE_YAML) {
			buffer_append_str(outline->out, "$$");
		} else {
			put_escaped(outline, p, &len);
		}
	}
	buffer_append_char(outline->out, '"');
}

static bool is_block(const struct outline *outline)
{
	return outline->format == OUTLINE_YAML && outline->lists == 0;
}

static bool is_bare_key(const char *key)
{
	return key[strspn(key, "abcdefghijklmnopqrstuvwxyz_0123456789")] == '\0' &&
		(key[0] < '0' || key[0] > '9') && strcmp(key, "null") != 0;
}

/* A key is never a variable's place: its dollar stays one. */
static void put_key(struct outline *outline, const char *key)
{
	struct outline plain = {.out = outline->out, .format = OUTLINE_JSON};

	if (outline->format == OUTLINE_YAML && is_bare_key(key)) {
		buffer_append_str(outline->out, key);
	} else {
		put_quoted(&plain, key);
	}
	buffer_append_char(outline->out, ':');
}

/* All that stands before a value. */
static void begin(struct outline *outline, const char *key)
{
	unsigned *n = &outline->n[outline->depth];

	if (is_block(outline)) {
		buffer_printf(outline->out, "%*s", (int)outline->depth * 2, "");
	} else if (*n > 0) {
		buffer_append_str(outline->out, outline->format == OUTLINE_YAML ? ", " : ",");
	}
	(*n)++;
	if (key) {
		put_key(outline, key);
		if (outline->format == OUTLINE_YAML) {
			buffer_append_char(outline->out, ' ');
		}
	}
}

static void end(struct outline *outline)
{
	if (is_block(outline)) {
		buffer_append_char(outline->out, '\n');
	}
}

static void descend(struct outline *outline)
{
	assert(outline->depth + 1 < OUTLINE_MAX_DEPTH);
	outline->n[++outline->depth] = 0;
}

void outline_open(struct outline *outline, const char *key)
{
	assert(outline->lists == 0);
	begin(outline, key);
	if (outline->format == OUTLINE_JSON) {
		buffer_append_char(outline->out, '{');
	} else {
		outline->out->len -= outline->out->len > 0 && !outline->out->failed;
		buffer_append_char(outline->out, '\n');
	}
	descend(outline);
}

void outline_close(struct outline *outline)
{
	assert(outline->depth > 0);
	outline->depth--;
	if (outline->format == OUTLINE_JSON) {
		buffer_append_char(outline->out, '}');
	}
}

void outline_open_list(struct outline *outline, const char *key)
{
	begin(outline, key);
	buffer_append_char(outline->out, '[');
	outline->lists++;
	descend(outline);
}

void outline_close_list(struct outline *outline)
{
	assert(outline->lists > 0);
	outline->depth--;
	outline->lists--;
	buffer_append_char(outline->out, ']');
	end(outline);
}

void outline_text(struct outline *outline, const char *key, const char *text)
{
	_cleanup_buffer_ struct buffer scrubbed = {0};

	begin(outline, key);
	if (text) {
		buffer_append_str(&scrubbed, text);
		scrub_buffer(&scrubbed);
		put_quoted(outline, buffer_str(&scrubbed));
		outline->out->failed |= buffer_failed(&scrubbed);
	} else {
		buffer_append_str(outline->out, "null");
	}
	end(outline);
}

void outline_word(struct outline *outline, const char *key, const char *word)
{
	begin(outline, key);
	if (outline->format == OUTLINE_YAML) {
		buffer_append_str(outline->out, word);
	} else {
		put_quoted(outline, word);
	}
	end(outline);
}

void outline_number(struct outline *outline, const char *key, uint64_t v)
{
	begin(outline, key);
	buffer_printf(outline->out, "%llu", (unsigned long long)v);
	end(outline);
}

void outline_bool(struct outline *outline, const char *key, bool v)
{
	begin(outline, key);
	buffer_append_str(outline->out, v ? "true" : "false");
	end(outline);
}
