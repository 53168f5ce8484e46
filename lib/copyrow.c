/*
 * Rows in PostgreSQL's binary COPY format. SPDX-License-Identifier: Apache-2.0
 *
 * Writing: header, then for each row begin and its fields, then trailer; a failure (no memory) is
 * asked for once, in the buffer. Reading takes one tuple at a time and checks each length against
 * the bytes at hand before it believes it: "not yet all there" and "malformed" are told apart, so
 * that a stream may be cut anywhere.
 */

#include "lib/copyrow.h"

/* The signature holds a CR LF pair, a NUL and a high bit, so that a damaged transfer shows. */
static const unsigned char header[COPYROW_HEADER_BYTES] = {
	'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0};

enum { SIGNATURE_BYTES = 11, LENGTH_BYTES = 4 };

void copyrow_header(struct buffer *out)
{
	buffer_append(out, header, sizeof(header));
}

void copyrow_trailer(struct buffer *out)
{
	buffer_append_be16(out, UINT16_MAX);
}

void copyrow_begin(struct buffer *out, unsigned n_fields)
{
	assert(n_fields <= INT16_MAX);
	buffer_append_be16(out, (uint16_t)n_fields);
}

void copyrow_field(struct buffer *out, struct field field)
{
	size_t bytes = copyrow_field_bytes(field);
	char *at = buffer_reserve(out, bytes);

	if (at) {
		copyrow_put(at, field);
		buffer_grown(out, bytes);
	}
}

void copyrow_null(struct buffer *out)
{
	copyrow_field(out, field_null);
}

void copyrow_text(struct buffer *out, const char *text, size_t len)
{
	assert(len <= INT32_MAX);
	copyrow_field(out, (struct field){.len = (int32_t)len, .data = text});
}

void copyrow_int4(struct buffer *out, int32_t v)
{
	unsigned char store[4];

	copyrow_field(out, field_int4(v, store));
}

void copyrow_int8(struct buffer *out, int64_t v)
{
	unsigned char store[8];

	copyrow_field(out, field_int8(v, store));
}

void copyrow_date(struct buffer *out, int32_t day)
{
	unsigned char store[4];

	copyrow_field(out, field_date(day, store));
}

void copyrow_timestamp(struct buffer *out, int64_t us)
{
	unsigned char store[8];

	copyrow_field(out, field_timestamp(us, store));
}

void copyrow_bool(struct buffer *out, bool v)
{
	unsigned char byte = v;

	copyrow_field(out, (struct field){.len = 1, .data = &byte});
}

struct field field_int4(int32_t v, unsigned char store[static 4])
{
	uint32_t be = htobe32((uint32_t)v);

	memcpy(store, &be, sizeof(be));
	return (struct field){.len = sizeof(be), .data = store};
}

struct field field_int8(int64_t v, unsigned char store[static 8])
{
	uint64_t be = htobe64((uint64_t)v);

	memcpy(store, &be, sizeof(be));
	return (struct field){.len = sizeof(be), .data = store};
}

struct field field_date(int32_t day, unsigned char store[static 4])
{
	if (day != INT32_MIN && day != INT32_MAX) {
		assert(day >= INT32_MIN + COPYROW_EPOCH_DAYS);
		day -= COPYROW_EPOCH_DAYS;
	}
	return field_int4(day, store);
}

struct field field_timestamp(int64_t us, unsigned char store[static 8])
{
	if (us != INT64_MIN && us != INT64_MAX) {
		assert(us >= INT64_MIN + COPYROW_EPOCH_US);
		us -= COPYROW_EPOCH_US;
	}
	return field_int8(us, store);
}

int32_t field_to_date(struct field field)
{
	int32_t day = field_to_int4(field);

	if (day > INT32_MAX - COPYROW_EPOCH_DAYS) {
		return INT32_MAX;
	}
	return day == INT32_MIN ? day : day + COPYROW_EPOCH_DAYS;
}

int64_t field_to_timestamp(struct field field)
{
	int64_t us = field_to_int8(field);

	if (us > INT64_MAX - COPYROW_EPOCH_US) {
		return INT64_MAX;
	}
	return us == INT64_MIN ? us : us + COPYROW_EPOCH_US;
}

static int32_t read_length(const unsigned char *at)
{
	return field_to_int4((struct field){.len = LENGTH_BYTES, .data = at});
}

static unsigned read_count(const unsigned char *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

long copyrow_parse_header(const void *data, size_t len)
{
	size_t seen = len < SIGNATURE_BYTES ? len : SIGNATURE_BYTES;
	uint32_t flags, extension;

	if (memcmp(data, header, seen) != 0) {
		return -1;
	}
	if (len < COPYROW_HEADER_BYTES) {
		return 0;
	}
	memcpy(&flags, (const char *)data + SIGNATURE_BYTES, sizeof(flags));
	memcpy(&extension, (const char *)data + SIGNATURE_BYTES + 4, sizeof(extension));
	extension = be32toh(extension);
	if (flags != 0 || extension > INT32_MAX) {
		return -1;
	}
	return len - COPYROW_HEADER_BYTES < extension ? 0 : COPYROW_HEADER_BYTES + (long)extension;
}

bool copyrow_is_trailer(const void *data, size_t len)
{
	return len >= COPYROW_TRAILER_BYTES && read_count(data) == UINT16_MAX;
}

long copyrow_parse(const void *data, size_t len, struct field *fields, unsigned n_fields)
{
	const unsigned char *at = data;
	size_t used = COPYROW_COUNT_BYTES;

	if (len < COPYROW_COUNT_BYTES) {
		return 0;
	}
	if (read_count(at) != n_fields) {
		return -1;
	}
	for (unsigned i = 0; i < n_fields; i++) {
		int32_t length;

		if (len - used < LENGTH_BYTES) {
			return 0;
		}
		length = read_length(at + used);
		used += LENGTH_BYTES;
		if (length < -1) {
			return -1;
		}
		if (length > 0 && len - used < (size_t)length) {
			return 0;
		}
		fields[i] = (struct field){.len = length, .data = length < 0 ? NULL : at + used};
		used += length > 0 ? (size_t)length : 0;
	}
	return (long)used;
}
