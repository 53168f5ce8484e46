/*
 * One record while it is decoded. SPDX-License-Identifier: Apache-2.0
 *
 * Of a surrogate pair that is not one, yajl 2.1 makes "?" or another character. So strings with
 * escapes are looked at once more, as they were served.
 */

#include "daemon/record.h"

#include <errno.h>
#include <string.h>

void open_record_fini(struct open_record *open)
{
	buffer_fini(&open->raw);
	buffer_fini(&open->texts);
}

void open_record_begin(struct open_record *open, uint64_t at)
{
	open->is_open = true;
	open->at = at;
	open->n_slots = 0;
	open->raw.limit = DECODE_MAX_RECORD;
	buffer_clear(&open->raw);
	buffer_clear(&open->texts);
}

/* yajl's pointer is into the slice unless it had to build the text. */
static int note(struct open_record *open, const struct slice *slice, const void *text, size_t len,
	struct span *ret)
{
	uintptr_t at = (uintptr_t)text - (uintptr_t)slice->bytes;

	ret->len = (uint32_t)len;
	ret->copied = at >= slice->len;
	if (!ret->copied) {
		ret->at = (uint32_t)(slice->at + at - open->at);
		return 0;
	}
	ret->at = (uint32_t)open->texts.len;
	buffer_append(&open->texts, text, len);
	return buffer_failed(&open->texts) ? -ENOMEM : 0;
}

int open_record_name(struct open_record *open, const struct slice *slice, const void *text,
	size_t len)
{
	return note(open, slice, text, len, &open->slots[open->n_slots].name);
}

int open_record_value(struct open_record *open, const struct slice *slice, enum json_kind kind,
	const void *text, size_t len, uint64_t end)
{
	struct slot *slot = &open->slots[open->n_slots++];

	slot->kind = kind;
	slot->end = (uint32_t)(end - open->at);
	return note(open, slice, text, len, &slot->text);
}

/* ---- half surrogates ---- */

static unsigned hex_digit(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* Of four hex digits, which yajl has checked. */
static unsigned hex_unit(const char *p)
{
	return hex_digit(p[0]) << 12 | hex_digit(p[1]) << 8 | hex_digit(p[2]) << 4 |
		hex_digit(p[3]);
}

/* True when a string as served holds an escaped surrogate without its other half. */
static bool has_half_surrogate(const char *p, const char *end)
{
	while ((p = memchr(p, '\\', (size_t)(end - p)))) {
		unsigned unit = p[1] == 'u' ? hex_unit(p + 2) : 0;

		if (unit < 0xd800 || unit > 0xdfff) {
			p += unit ? 6 : 2; /* \u0000 leaves four plain digits, which is as good */
			continue;
		}
		if (unit > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u' ||
			(hex_unit(p + 8) & 0xfc00) != 0xdc00) {
			return true;
		}
		p += 12;
	}
	return false;
}

/*
 * The text as served ends before the quote at slot->end and begins behind the next quote to the left
 * that no backslash precedes.
 */
static void check_escapes(const char *raw, const struct slot *slot, struct record_field *field)
{
	const char *end = raw + slot->end - 1;
	const char *begin = end;

	while (begin[-1] != '"' || begin[-2] == '\\') {
		begin--;
	}
	if (has_half_surrogate(begin, end)) {
		field->bad_escape = true;
		field->text = begin;
		field->len = (size_t)(end - begin);
	}
}

/* ---- the end ---- */

static const char *span_text(const struct open_record *open, const char *raw, struct span span)
{
	return (span.copied ? open->texts.data : raw) + span.at;
}

static void fill_field(const struct open_record *open, const char *raw, const struct slot *slot,
	struct record_field *field)
{
	*field = (struct record_field){
		.name = span_text(open, raw, slot->name),
		.name_len = slot->name.len,
		.kind = slot->kind,
		.text = span_text(open, raw, slot->text),
		.len = slot->text.len,
	};
	if (slot->text.copied && slot->kind == JSON_STRING_VALUE) {
		check_escapes(raw, slot, field);
	}
}

/* Its bytes of this slice, up to `end`, go to its earlier ones. */
static int keep(struct open_record *open, const struct slice *slice, size_t end)
{
	size_t begin = open->at > slice->at ? (size_t)(open->at - slice->at) : 0;

	buffer_append(&open->raw, slice->bytes + begin, end - begin);
	return buffer_failed(&open->raw) ? -1 : 0;
}

int open_record_keep(struct open_record *open, const struct slice *slice)
{
	return keep(open, slice, slice->len);
}

int open_record_end(struct open_record *open, const struct slice *slice, size_t end,
	struct record *ret)
{
	const char *raw;

	if (open->at >= slice->at) {
		raw = (const char *)slice->bytes + (open->at - slice->at);
	} else if (keep(open, slice, end) == 0) {
		raw = open->raw.data;
	} else {
		return -1;
	}
	for (unsigned i = 0; i < open->n_slots; i++) {
		fill_field(open, raw, &open->slots[i], &open->fields[i]);
	}
	open->is_open = false;
	*ret = (struct record){
		.fields = open->fields,
		.n_fields = open->n_slots,
		.raw = raw,
		.raw_len = (size_t)(slice->at + end - open->at),
		.offset = open->at,
	};
	return 0;
}
