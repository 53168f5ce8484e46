#pragma once

/*
 * Rows in PostgreSQL's binary COPY format. SPDX-License-Identifier: Apache-2.0
 *
 * A field is a length and bytes in the type's send format, or NULL; a tuple is a 16-bit count and
 * that many fields, each a 32-bit length (-1: NULL) and its bytes, all big-endian ("COPY", section
 * "Binary Format" of the PostgreSQL manual). Rows are kept in this form from the moment they are
 * normalised, so that writing one is a copy of its bytes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/buffer.h"

/* A borrowed value in send format. len -1: NULL. */
struct field {
	int32_t len;
	const void *data;
};

static const struct field field_null = {.len = -1};

/* The 19 bytes that open a binary COPY stream, and the -1 that ends one. */
void copyrow_header(struct buffer *out);
void copyrow_trailer(struct buffer *out);

void copyrow_begin(struct buffer *out, unsigned n_fields);
void copyrow_field(struct buffer *out, struct field field);
void copyrow_null(struct buffer *out);
void copyrow_text(struct buffer *out, const char *text, size_t len);
void copyrow_int4(struct buffer *out, int32_t v);
void copyrow_int8(struct buffer *out, int64_t v);
void copyrow_date(struct buffer *out, int32_t day);           /* days since 1970-01-01 */
void copyrow_timestamp(struct buffer *out, int64_t us);       /* microseconds since 1970 UTC */
void copyrow_bool(struct buffer *out, bool v);

/* The same values as fields: `store` keeps the bytes and must live as long as the field. */
struct field field_int4(int32_t v, unsigned char store[static 4]);
struct field field_int8(int64_t v, unsigned char store[static 8]);
struct field field_date(int32_t day, unsigned char store[static 4]);
struct field field_timestamp(int64_t us, unsigned char store[static 8]);

/* And back; the field must not be NULL and must have the type's length (asserted). */
int32_t field_to_int4(struct field field);
int64_t field_to_int8(struct field field);
int32_t field_to_date(struct field field);
int64_t field_to_timestamp(struct field field);

/*
 * Take one tuple apart. Returns its bytes in all, 0 when `len` holds only a part of it, or -1 when
 * it is malformed or has another count than n_fields.
 */
long copyrow_parse(const void *data, size_t len, struct field *fields, unsigned n_fields);

/*
 * A stream of tuples cut anywhere (COPY TO STDOUT BINARY arrives row by row, files do not): skips
 * the header, ends at the trailer.
 */
enum { COPYROW_HEADER_BYTES = 19 };
