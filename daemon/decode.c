/*
 * Bytes of a page -> envelope and records. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: a piece of the body goes to yajl in slices of at most 64 KiB. Its callbacks know by the
 * depth where they are: 1 is the envelope, 2 inside `records` is between records, 3 is a record. A
 * value of the envelope is read at once (envelope.c). A name or value of a record is noted; at the
 * record's closing brace it is handed out (record.c). A record that is cut by the end of a slice has
 * its bytes so far copied; so what is held is one record, whatever the page's size.
 *
 * Between two records yajl is at rest: it has taken every byte up to a brace. Whole plain records that
 * follow are taken out of the stream there (plain.c), each with the comma before it; to yajl the list
 * is only shorter. So it sees the envelope, the first record, and what is cut or not plain.
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
#include "daemon/plain.h"
#include "daemon/record.h"

enum {
	SLICE_BYTES = 64 * 1024,
	MAX_TOKEN_BYTES = 6 * DECODE_MAX_STRING, /* each character may be served as \u0041 */
	DEPTH_ENVELOPE = 1,
	DEPTH_RECORDS = 2,
	DEPTH_RECORD = 3,
};

struct decode {
	decode_record_fn on_record;
	void *arg;
	yajl_handle yajl; /* NULL until the first brace of a page was seen */

	struct slice slice; /* at work; between two, where the next one begins */
	size_t quiet_bytes; /* fed since the slice in which yajl last had a name or value */
	unsigned n_mark;    /* bytes of a byte order mark seen */
	bool closed;        /* the last brace was seen */

	unsigned depth;
	enum envelope_key key; /* of the envelope, whose value is due */
	bool in_records;
	struct envelope envelope;

	struct open_record record;
	struct plain plain;
	bool at_rest; /* yajl stands right behind a record */

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
	open_record_fini(&d->record);
	free(d);
	return NULL;
}

/* yajl cannot begin again: the next page gets a new parser. */
void decode_reset(struct decode *d)
{
	if (d->yajl) {
		yajl_free(take_ptr(d->yajl));
	}
	d->slice = (struct slice){0};
	d->quiet_bytes = 0;
	d->n_mark = d->depth = 0;
	d->closed = d->in_records = d->record.is_open = d->at_rest = false;
	envelope_init(&d->envelope);
	d->stopped = 0;
	error_clear(&d->error);
}

/* ---- failures ---- */

/* Says where: "byte 1234" or "record 7, byte 1234". Returns 0, as a callback does to stop yajl. */
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
	return d->slice.at + yajl_get_bytes_consumed(d->yajl);
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

/* ---- names and values ---- */

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
	if (open_record_value(&d->record, &d->slice, kind, text, len, position(d)) < 0) {
		return fail_no_memory(d);
	}
	return 1;
}

static int take_record_name(struct decode *d, const void *name, size_t len)
{
	if (d->record.n_slots == DECODE_MAX_FIELDS) {
		return fail(d, "too_many_fields", "a record of more than 256 fields");
	}
	if (open_record_name(&d->record, &d->slice, name, len) < 0) {
		return fail_no_memory(d);
	}
	return 1;
}

static int fail_record_too_long(struct decode *d)
{
	return fail_at(d, d->record.at, "too_long", "a record of more than 1 MiB begins here");
}

static bool hand_out(struct decode *d, struct record *record)
{
	record->index = d->envelope.n_records;
	d->stopped = d->on_record(d->arg, record);
	d->envelope.n_records++;
	return d->stopped == 0;
}

static int end_record(struct decode *d)
{
	struct record record;

	if (open_record_end(&d->record, &d->slice, yajl_get_bytes_consumed(d->yajl), &record) < 0) {
		return fail_record_too_long(d);
	}
	return hand_out(d, &record);
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
	if (d->record.is_open && d->depth == DEPTH_RECORD) {
		return take_record_name(d, name, len);
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
		open_record_begin(&d->record, position(d) - 1);
		return 1;
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
	if (d->record.is_open && d->depth == DEPTH_RECORDS) {
		d->at_rest = true; /* the brace is the last byte that yajl was given */
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

	while (n < len && d->n_mark == d->slice.at + n && d->n_mark < sizeof(mark) &&
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
		fail_not_json(d, d->slice.at + n, data[n]);
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
		fail_at(d, d->slice.at + n, "bad_json", "more after the end");
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

/* The plain records that come next. Returns how many bytes they take. */
static size_t take_plain(struct decode *d, const unsigned char *data, size_t len)
{
	struct record record;
	size_t used = 0, n;

	while (d->stopped == 0 && (n = plain_next(&d->plain, data + used, len - used, &record)) > 0) {
		used += n;
		record.offset = d->slice.at + used - record.raw_len;
		hand_out(d, &record);
	}
	d->quiet_bytes = used > 0 ? 0 : d->quiet_bytes;
	return used;
}

/* yajl gets no more at a time than what may be the end of a record, to be at rest there. */
static size_t up_to_brace(const unsigned char *data, size_t len)
{
	const unsigned char *brace = memchr(data, '}', len);

	return brace ? (size_t)(brace - data) + 1 : len;
}

/* Through yajl. Returns how many bytes are done with. */
static size_t take_body(struct decode *d, const unsigned char *data, size_t len)
{
	size_t plain = d->at_rest ? take_plain(d, data, len) : 0;

	if (plain > 0) {
		return plain;
	}
	len = up_to_brace(data, len);
	d->slice.bytes = data;
	d->slice.len = len;
	d->at_rest = false;
	switch (yajl_parse(d->yajl, data, len)) {
	case yajl_status_ok:
		break;
	case yajl_status_client_canceled:
		return d->closed ? yajl_get_bytes_consumed(d->yajl) : len;
	case yajl_status_error:
		fail_parse(d);
		return len;
	}
	if (d->record.is_open && open_record_keep(&d->record, &d->slice) < 0) {
		fail_record_too_long(d);
	}
	d->quiet_bytes += len;
	if (d->quiet_bytes > MAX_TOKEN_BYTES) {
		fail_at(d, d->slice.at, "too_long", "a string or number of more than 64 KiB");
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

		d->slice.at += n;
		bytes += n;
		len -= n;
	}
	return verdict(d, error);
}

int decode_finish(struct decode *d, struct envelope *ret_envelope, struct error *error)
{
	if (!error_is_set(&d->error) && d->stopped == 0 && !d->closed) {
		if (d->yajl || mark_is_cut(d)) {
			fail_at(d, d->slice.at, "bad_json", "the page ends here, in the middle");
		} else {
			error_set(&d->error, ERROR_RETRY, "decode", "empty_body",
				"the answer is empty");
		}
	}
	*ret_envelope = d->envelope;
	return verdict(d, error);
}
