/*
 * Bytes of a page -> envelope and records. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: a piece of the body goes to yajl in slices of at most 64 KiB. Its callbacks know by
 * the depth where they are: 1 is the envelope, 2 inside `records` is between records, 3 is a
 * record. A value of the envelope is read at once. A name or value of a record is noted as a span:
 * where it lies in the record's own bytes. At the record's closing brace the spans become pointers
 * and the record is handed out. A record that is cut by the end of a slice has its bytes so far
 * copied; so what is held is one record, whatever the page's size.
 *
 * What yajl gives from buffers of its own (a string with escapes, a token cut by a slice) is copied
 * into `texts` instead, because yajl uses them again for the next token.
 *
 * Failure modes, all final until decode_reset(): malformed JSON (yajl says what), a limit passed, a
 * body that ends early or does not begin with a brace, the caller's own stop. Three things yajl 2.1
 * does not see and we check: an unfinished string behind the end ({}"abc), half surrogates (it
 * makes them "?" or another character), and a token without end, which it would collect for ever.
 */

#include "daemon/decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "daemon/envelope.h"
#include "lib/buffer.h"

enum {
	SLICE_BYTES = 64 * 1024,
	MAX_TOKEN_BYTES = 6 * DECODE_MAX_STRING, /* each character may be served as \u0041 */
	DEPTH_ENVELOPE = 1,
	DEPTH_RECORDS = 2,
	DEPTH_RECORD = 3,
};

/* Text of a record: bytes at `at` of its raw bytes, or of `texts`. */
struct span {
	uint32_t at, len;
	bool copied;
};

struct slot {
	struct span name, text;
	enum json_kind kind;
	uint32_t end; /* raw offset behind a string that was copied */
};

struct decode {
	decode_record_fn on_record;
	void *arg;
	yajl_handle yajl; /* NULL until the first brace of a page was seen */

	/* The slice at work, and where in the page it begins. */
	const unsigned char *slice;
	size_t slice_len;
	uint64_t slice_at;
	size_t quiet_bytes; /* fed since the slice in which yajl last had a name or value */
	unsigned n_mark;    /* bytes of a byte order mark seen */
	bool closed;        /* the last brace was seen */

	unsigned depth;
	enum envelope_key key; /* of the envelope, whose value is due */
	bool in_records;
	struct envelope envelope;

	uint64_t record_at; /* byte of the page at which the open record begins */
	bool in_record;
	struct slot slots[DECODE_MAX_FIELDS];
	struct record_field fields[DECODE_MAX_FIELDS];
	unsigned n_slots;
	struct buffer raw;   /* bytes of the open record from earlier slices */
	struct buffer texts; /* copied texts of the open record */

	int stopped; /* what on_record returned */
	struct error error;
};

int decode_new(decode_record_fn on_record, void *arg, struct decode **ret)
{
	struct decode *d = calloc(1, sizeof(*d));

	if (!d) {
		return -ENOMEM;
	}
	d->on_record = on_record;
	d->arg = arg;
	d->raw.limit = DECODE_MAX_RECORD;
	decode_reset(d);
	*ret = d;
	return 0;
}

struct decode *decode_free(struct decode *d)
{
	if (!d) {
		return NULL;
	}
	if (d->yajl) {
		yajl_free(d->yajl);
	}
	buffer_fini(&d->raw);
	buffer_fini(&d->texts);
	free(d);
	return NULL;
}

/* yajl cannot begin again: the next page gets a new parser. */
void decode_reset(struct decode *d)
{
	if (d->yajl) {
		yajl_free(take_ptr(d->yajl));
	}
	d->slice_at = 0;
	d->slice_len = d->quiet_bytes = 0;
	d->n_mark = d->depth = d->n_slots = 0;
	d->closed = d->in_records = d->in_record = false;
	envelope_init(&d->envelope);
	d->stopped = 0;
	error_clear(&d->error);
}

/* ---- failures ---- */

/* Where we are, for messages: "byte 1234" or "record 7, byte 1234". Returns 0, as a callback stops.
 */
static int fail_at(struct decode *d, uint64_t byte, const char *code, const char *what)
{
	if (d->in_records) {
		error_set(&d->error, ERROR_RETRY, "decode", code, "record %llu, byte %llu: %s",
			(unsigned long long)d->envelope.n_records, (unsigned long long)byte, what);
	} else {
		error_set(&d->error, ERROR_RETRY, "decode", code, "byte %llu: %s",
			(unsigned long long)byte, what);
	}
	return 0;
}

/* The byte behind the token at work. */
static uint64_t position(const struct decode *d)
{
	return d->slice_at + yajl_get_bytes_consumed(d->yajl);
}

static int fail(struct decode *d, const char *code, const char *what)
{
	return fail_at(d, position(d), code, what);
}

static int fail_no_memory(struct decode *d)
{
	error_no_memory(&d->error, "decode");
	return 0;
}

/* ---- a record ---- */

/* Note where a text lies. yajl's pointer is into our slice unless it had to build the text. */
static bool span_note(struct decode *d, const void *text, size_t len, struct span *ret)
{
	uintptr_t at = (uintptr_t)text - (uintptr_t)d->slice;

	if (at < d->slice_len) {
		*ret = (struct span){
			.at = (uint32_t)(d->slice_at + at - d->record_at),
			.len = (uint32_t)len,
		};
		return true;
	}
	*ret = (struct span){.at = (uint32_t)d->texts.len, .len = (uint32_t)len, .copied = true};
	buffer_append(&d->texts, text, len);
	return !buffer_failed(&d->texts);
}

static int take_envelope(struct decode *d, enum json_kind kind, const char *text, size_t len)
{
	if (d->key == ENVELOPE_RECORDS && kind != JSON_NULL_VALUE) {
		return fail(d, "bad_json", "`records` is no list");
	}
	envelope_take(&d->envelope, d->key, kind, text, len);
	return 1;
}

static int take_value(struct decode *d, enum json_kind kind, const char *text, size_t len)
{
	struct slot *slot;

	d->quiet_bytes = 0;
	if (len > DECODE_MAX_STRING) {
		return fail(d, "too_long", "a string or number of more than 64 KiB");
	}
	if (d->depth == DEPTH_ENVELOPE) {
		return take_envelope(d, kind, text, len);
	}
	if (!d->in_records || d->depth > DEPTH_RECORD) {
		return 1;
	}
	if (d->depth == DEPTH_RECORDS) {
		return fail(d, "bad_json", "a record that is no object");
	}
	slot = &d->slots[d->n_slots++]; /* its name was noted by on_map_key */
	slot->kind = kind;
	if (!span_note(d, text, len, &slot->text)) {
		return fail_no_memory(d);
	}
	if (slot->text.copied) {
		slot->end = (uint32_t)(position(d) - d->record_at);
	}
	return 1;
}

static int take_record_key(struct decode *d, const void *name, size_t len)
{
	if (d->n_slots == DECODE_MAX_FIELDS) {
		return fail(d, "too_many_fields", "a record of more than 256 fields");
	}
	return span_note(d, name, len, &d->slots[d->n_slots].name) ? 1 : fail_no_memory(d);
}

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
 * A copied string was served with escapes, or cut by a slice. Its text as served ends before the
 * quote at slot->end and begins behind the next quote to the left that no backslash precedes.
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

static const char *span_text(const struct decode *d, const char *raw, struct span span)
{
	return (span.copied ? d->texts.data : raw) + span.at;
}

static void fill_field(const struct decode *d, const char *raw, const struct slot *slot,
	struct record_field *field)
{
	*field = (struct record_field){
		.name = span_text(d, raw, slot->name),
		.name_len = slot->name.len,
		.kind = slot->kind,
		.text = span_text(d, raw, slot->text),
		.len = slot->text.len,
	};
	if (slot->text.copied && slot->kind == JSON_STRING_VALUE) {
		check_escapes(raw, slot, field);
	}
}

/* The open record's bytes of this slice, up to `end` of the slice, go to its earlier ones. */
static bool keep_raw(struct decode *d, size_t end)
{
	size_t begin = d->record_at > d->slice_at ? (size_t)(d->record_at - d->slice_at) : 0;

	buffer_append(&d->raw, d->slice + begin, end - begin);
	return !buffer_failed(&d->raw);
}

static int fail_record_too_long(struct decode *d)
{
	return fail_at(d, d->record_at, "too_long", "a record of more than 1 MiB begins here");
}

static int begin_record(struct decode *d)
{
	d->in_record = true;
	d->record_at = position(d) - 1;
	d->n_slots = 0;
	buffer_clear(&d->raw);
	buffer_clear(&d->texts);
	return 1;
}

static int end_record(struct decode *d)
{
	size_t end = yajl_get_bytes_consumed(d->yajl);
	struct record record = {
		.fields = d->fields,
		.n_fields = d->n_slots,
		.raw_len = (size_t)(d->slice_at + end - d->record_at),
		.index = d->envelope.n_records,
		.offset = d->record_at,
	};

	if (d->record_at >= d->slice_at) {
		record.raw = (const char *)d->slice + (d->record_at - d->slice_at);
	} else if (keep_raw(d, end)) {
		record.raw = d->raw.data;
	} else {
		return fail_record_too_long(d);
	}
	for (unsigned i = 0; i < d->n_slots; i++) {
		fill_field(d, record.raw, &d->slots[i], &d->fields[i]);
	}
	d->in_record = false;
	d->stopped = d->on_record(d->arg, &record);
	d->envelope.n_records++;
	return d->stopped == 0;
}

/* ---- callbacks of yajl: 1 goes on, 0 stops ---- */

static int on_null(void *arg)
{
	return take_value(arg, JSON_NULL_VALUE, "", 0);
}

static int on_boolean(void *arg, int value)
{
	return take_value(arg, JSON_BOOL_VALUE, value ? "true" : "false", value ? 4 : 5);
}

static int on_number(void *arg, const char *text, size_t len)
{
	return take_value(arg, JSON_NUMBER_VALUE, text, len);
}

static int on_string(void *arg, const unsigned char *text, size_t len)
{
	return take_value(arg, JSON_STRING_VALUE, (const char *)text, len);
}

static int on_map_key(void *arg, const unsigned char *name, size_t len)
{
	struct decode *d = arg;

	d->quiet_bytes = 0;
	if (len > DECODE_MAX_STRING) {
		return fail(d, "too_long", "a name of more than 64 KiB");
	}
	if (d->in_record && d->depth == DEPTH_RECORD) {
		return take_record_key(d, name, len);
	}
	if (d->depth == DEPTH_ENVELOPE) {
		d->key = envelope_key((const char *)name, len);
	}
	return 1;
}

static int enter(struct decode *d)
{
	return ++d->depth <= DECODE_MAX_DEPTH ? 1 : fail(d, "too_deep", "nested deeper than 16");
}

static int on_start_map(void *arg)
{
	struct decode *d = arg;

	if (d->in_records && d->depth == DEPTH_RECORDS) {
		d->depth++;
		return begin_record(d);
	}
	if (d->depth > 0 && !take_value(d, JSON_NESTED_VALUE, "", 0)) {
		return 0;
	}
	return enter(d);
}

static int on_end_map(void *arg)
{
	struct decode *d = arg;

	d->depth--;
	if (d->in_record && d->depth == DEPTH_RECORDS) {
		return end_record(d);
	}
	d->closed = d->depth == 0;
	return !d->closed; /* what follows is checked without yajl */
}

static int on_start_array(void *arg)
{
	struct decode *d = arg;

	if (d->depth == DEPTH_ENVELOPE && d->key == ENVELOPE_RECORDS) {
		if (d->envelope.has_records) {
			return fail(d, "bad_json", "a second `records`");
		}
		d->envelope.has_records = d->in_records = true;
	} else if (!take_value(d, JSON_NESTED_VALUE, "", 0)) {
		return 0;
	}
	return enter(d);
}

static int on_end_array(void *arg)
{
	struct decode *d = arg;

	d->depth--;
	if (d->depth == DEPTH_ENVELOPE) {
		d->in_records = false;
	}
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_map_key,
	.yajl_end_map = on_end_map,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end_array,
};

/* ---- pieces ---- */

static bool is_white(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t skip_white(const unsigned char *data, size_t len)
{
	size_t n = 0;

	while (n < len && is_white(data[n])) {
		n++;
	}
	return n;
}

static void fail_not_json(struct decode *d, uint64_t byte, unsigned char c)
{
	char what[80];

	if (c > ' ' && c < 0x7f) {
		snprintf(what, sizeof(what), "begins with '%c'%s, not with '{'", c,
			c == '<' ? " (HTML?)" : "");
	} else {
		snprintf(what, sizeof(what), "begins with byte 0x%02x, not with '{'", c);
	}
	fail_at(d, byte, "not_json", what);
}

/* The byte order mark of UTF-8, which may come in pieces too. */
static const unsigned char mark[] = {0xef, 0xbb, 0xbf};

static bool mark_is_cut(const struct decode *d)
{
	return d->n_mark > 0 && d->n_mark < sizeof(mark);
}

static size_t skip_mark(struct decode *d, const unsigned char *data, size_t len)
{
	size_t n = 0;

	while (n < len && d->n_mark == d->slice_at + n && d->n_mark < sizeof(mark) &&
		data[n] == mark[d->n_mark]) {
		d->n_mark++;
		n++;
	}
	return n;
}

/* Up to the first brace. Returns how many bytes are done with. */
static size_t take_head(struct decode *d, const unsigned char *data, size_t len)
{
	size_t n = skip_mark(d, data, len);

	if (n < len && mark_is_cut(d)) {
		fail_not_json(d, 0, mark[0]);
		return len;
	}
	n += skip_white(data + n, len - n);
	if (n == len) {
		return len;
	}
	if (data[n] != '{') {
		fail_not_json(d, d->slice_at + n, data[n]);
		return len;
	}
	d->yajl = yajl_alloc(&callbacks, NULL, d);
	if (!d->yajl) {
		fail_no_memory(d);
		return len;
	}
	yajl_config(d->yajl, yajl_dont_validate_strings, 1);
	return n;
}

/* Behind the last brace: only white space. */
static size_t take_tail(struct decode *d, const unsigned char *data, size_t len)
{
	size_t n = skip_white(data, len);

	if (n < len) {
		fail_at(d, d->slice_at + n, "bad_json", "more after the end");
	}
	return len;
}

static void fail_parse(struct decode *d)
{
	unsigned char *text = yajl_get_error(d->yajl, 0, NULL, 0);

	if (!text) {
		fail_no_memory(d);
		return;
	}
	text[strcspn((char *)text, "\n")] = '\0';
	fail(d, "bad_json", (char *)text);
	yajl_free_error(d->yajl, text);
}

/* Through yajl. Returns how many bytes are done with. */
static size_t take_body(struct decode *d, const unsigned char *data, size_t len)
{
	d->slice = data;
	d->slice_len = len;
	switch (yajl_parse(d->yajl, data, len)) {
	case yajl_status_ok:
		break;
	case yajl_status_client_canceled:
		return d->closed ? yajl_get_bytes_consumed(d->yajl) : len;
	case yajl_status_error:
		fail_parse(d);
		return len;
	}
	if (d->in_record && !keep_raw(d, len)) {
		fail_record_too_long(d);
	}
	d->quiet_bytes += len;
	if (d->quiet_bytes > MAX_TOKEN_BYTES) {
		fail_at(d, d->slice_at, "too_long", "a string or number of more than 64 KiB");
	}
	return len;
}

static size_t take_slice(struct decode *d, const unsigned char *data, size_t len)
{
	if (!d->yajl) {
		return take_head(d, data, len);
	}
	return d->closed ? take_tail(d, data, len) : take_body(d, data, len);
}

/* What stopped us, if anything did: 0, -1 with the error, or the caller's own number. */
static int verdict(const struct decode *d, struct error *error)
{
	if (error_is_set(&d->error)) {
		if (error && !error_is_set(error)) {
			*error = d->error;
		}
		return -1;
	}
	return d->stopped;
}

int decode_feed(struct decode *d, const void *data, size_t len, struct error *error)
{
	const unsigned char *bytes = data;

	while (len > 0 && !error_is_set(&d->error) && d->stopped == 0) {
		size_t n = take_slice(d, bytes, len < SLICE_BYTES ? len : SLICE_BYTES);

		d->slice_at += n;
		bytes += n;
		len -= n;
	}
	return verdict(d, error);
}

int decode_finish(struct decode *d, struct envelope *ret_envelope, struct error *error)
{
	if (!error_is_set(&d->error) && d->stopped == 0 && !d->closed) {
		if (d->yajl || mark_is_cut(d)) {
			fail_at(d, d->slice_at, "bad_json", "the page ends here, in the middle");
		} else {
			error_set(&d->error, ERROR_RETRY, "decode", "empty_body",
				"the answer is empty");
		}
	}
	*ret_envelope = d->envelope;
	return verdict(d, error);
}
