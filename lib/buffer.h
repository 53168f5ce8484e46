#pragma once

/*
 * A growing run of bytes with a limit. SPDX-License-Identifier: Apache-2.0
 *
 * Appends never return a failure: the first one that does not fit (no memory, or past `limit`)
 * sets `failed`, later ones do nothing, and whoever needs the bytes asks buffer_failed() once.
 * The bytes are always followed by a NUL that `len` does not count. {0} is an empty buffer without
 * a limit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/attr.h"

struct buffer {
	char *data; /* NULL until the first append */
	size_t len;
	size_t size;  /* bytes allocated */
	size_t limit; /* most bytes that `len` may reach; 0 is none */
	bool failed;
};

void buffer_fini(struct buffer *buffer);

/* Empty it and forget a failure; the memory stays for the next use. */
void buffer_clear(struct buffer *buffer);

/* Only for buffer_reserve(): where there is not room enough. */
char *buffer_grow(struct buffer *buffer, size_t n);

/*
 * Room for `n` more bytes; NULL when that fails. What is written there counts after buffer_grown().
 * These three are called for every field of every row, so they are inline.
 */
static inline char *buffer_reserve(struct buffer *buffer, size_t n)
{
	if (n < buffer->size - buffer->len && !buffer->limit && !buffer->failed) {
		return buffer->data + buffer->len;
	}
	return buffer_grow(buffer, n);
}

static inline void buffer_grown(struct buffer *buffer, size_t n)
{
	buffer->len += n;
	buffer->data[buffer->len] = '\0';
}

static inline void buffer_append(struct buffer *buffer, const void *data, size_t len)
{
	char *room = buffer_reserve(buffer, len);

	if (room) {
		if (len > 0) {
			memcpy(room, data, len);
		}
		buffer_grown(buffer, len);
	}
}

void buffer_append_str(struct buffer *buffer, const char *str);
void buffer_append_char(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...) printf_like(2, 3);

/* Big-endian integers, as the PostgreSQL wire format has them. */
void buffer_append_be16(struct buffer *buffer, uint16_t v);
void buffer_append_be32(struct buffer *buffer, uint32_t v);
void buffer_append_be64(struct buffer *buffer, uint64_t v);

bool buffer_failed(const struct buffer *buffer);

/* The text, "" when nothing was appended. Borrowed until the next change. */
const char *buffer_str(const struct buffer *buffer);

/* The text on the heap, now the caller's; the buffer is empty after. NULL when it had failed. */
char *buffer_steal(struct buffer *buffer);

#define _cleanup_buffer_ _cleanup_(buffer_fini)
