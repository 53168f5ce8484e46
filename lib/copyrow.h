#pragma once

/*
 * Rows in PostgreSQL's binary COPY format. SPDX-License-Identifier: Apache-2.0
 *
 * A field is a length and bytes in the type's send format, or NULL; a tuple is a 16-bit count and
 * that many fields, each a 32-bit length (-1: NULL) and its bytes, all big-endian ("COPY", section
 * "Binary Format" of the PostgreSQL manual). Rows are kept in this form from the moment they are
 * normalised, so that writing one is a copy of its bytes.
 */

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/attr.h"
#include "lib/buffer.h"

/* A borrowed value in send format. len -1: NULL. */
struct field {
	int32_t len;
	const void *data;
};

static const struct field field_null = {.len = -1};

enum { COPYROW_HEADER_BYTES = 19, COPYROW_COUNT_BYTES = 2, COPYROW_TRAILER_BYTES = 2 };

/* PostgreSQL counts from 2000-01-01; everything above this file counts from 1970-01-01. */
#define COPYROW_EPOCH_DAYS 10957
#define COPYROW_EPOCH_US   (COPYROW_EPOCH_DAYS * INT64_C(86400000000))

/* What opens a binary COPY stream, and the count of -1 that ends one. */
void copyrow_header(struct buffer *out);
void copyrow_trailer(struct buffer *out);

void copyrow_begin(struct buffer *out, unsigned n_fields);
void copyrow_field(struct buffer *out, struct field field);
void copyrow_null(struct buffer *out);
void copyrow_text(struct buffer *out, const char *text, size_t len);
void copyrow_int4(struct buffer *out, int32_t v);
void copyrow_int8(struct buffer *out, int64_t v);
void copyrow_date(struct buffer *out, int32_t day);     /* days since 1970-01-01 */
void copyrow_timestamp(struct buffer *out, int64_t us); /* microseconds since 1970 UTC */
void copyrow_bool(struct buffer *out, bool v);

/* The same values as fields: `store` keeps the bytes and must live as long as the field. */
struct field field_int4(int32_t v, unsigned char store[static 4]);
struct field field_int8(int64_t v, unsigned char store[static 8]);
struct field field_date(int32_t day, unsigned char store[static 4]);
struct field field_timestamp(int64_t us, unsigned char store[static 8]);

/* A field as copyrow_field() writes it, where there is room: how many bytes, and behind them. */
static inline size_t copyrow_field_bytes(struct field field)
{
	return sizeof(uint32_t) + (field.len > 0 ? (size_t)field.len : 0);
}

static inline char *copyrow_put(char *at, struct field field)
{
	uint32_t length = htobe32((uint32_t)field.len);

	memcpy(at, &length, sizeof(length));
	at += sizeof(length);
	if (field.len > 0) {
		memcpy(at, field.data, (size_t)field.len);
		at += field.len;
	}
	return at;
}

/*
 * And back; the field must not be NULL and must have the type's length (asserted). Integers are
 * read for every comparison of a sort, so they are inline.
 */
static inline int32_t field_to_int4(struct field field)
{
	uint32_t be;

	assert(field.len == sizeof(be));
	memcpy(&be, field.data, sizeof(be));
	return (int32_t)be32toh(be);
}

static inline int64_t field_to_int8(struct field field)
{
	uint64_t be;

	assert(field.len == sizeof(be));
	memcpy(&be, field.data, sizeof(be));
	return (int64_t)be64toh(be);
}

/* PostgreSQL's infinity and -infinity are the largest and the smallest integer, both ways. */
int32_t field_to_date(struct field field);
int64_t field_to_timestamp(struct field field);

/*
 * Take one tuple apart; the fields point into `data`. Returns its bytes in all, 0 when `len` holds
 * only a part of it, or -1 when it is malformed or has another count than n_fields (the trailer,
 * for one).
 */
long copyrow_parse(const void *data, size_t len, struct field *fields, unsigned n_fields);

/*
 * The ends of a stream that may be cut anywhere. The header's bytes in all (19, and an extension
 * if there is one), 0 when `len` holds only a part of it, -1 when it is none.
 */
long copyrow_parse_header(const void *data, size_t len);
bool copyrow_is_trailer(const void *data, size_t len);
