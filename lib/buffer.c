/*
 * A growing run of bytes with a limit. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/buffer.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BUFFER_FIRST_BYTES = 256 };

void buffer_fini(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){.limit = buffer->limit};
}

void buffer_clear(struct buffer *buffer)
{
	buffer->len = 0;
	buffer->failed = false;
	if (buffer->data) {
		buffer->data[0] = '\0';
	}
}

static bool over_limit(const struct buffer *buffer, size_t n)
{
	return n > SIZE_MAX / 2 - buffer->len ||
	       (buffer->limit && buffer->len + n > buffer->limit);
}

char *buffer_grow(struct buffer *buffer, size_t n)
{
	size_t size = buffer->size ? buffer->size : BUFFER_FIRST_BYTES;
	char *data;

	if (buffer->failed || over_limit(buffer, n)) {
		buffer->failed = true;
		return NULL;
	}
	while (size <= buffer->len + n) {
		size *= 2;
	}
	if (size > buffer->size) {
		data = realloc(buffer->data, size);
		if (!data) {
			buffer->failed = true;
			return NULL;
		}
		buffer->data = data;
		buffer->size = size;
	}
	return buffer->data + buffer->len;
}

void buffer_append_str(struct buffer *buffer, const char *str)
{
	buffer_append(buffer, str, strlen(str));
}

void buffer_append_char(struct buffer *buffer, char c)
{
	buffer_append(buffer, &c, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args, again;
	char *room;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	room = n < 0 ? NULL : buffer_reserve(buffer, (size_t)n);
	if (room) {
		vsnprintf(room, (size_t)n + 1, format, again);
		buffer_grown(buffer, (size_t)n);
	}
	buffer->failed |= n < 0;
	va_end(again);
}

void buffer_append_be16(struct buffer *buffer, uint16_t v)
{
	v = htobe16(v);
	buffer_append(buffer, &v, sizeof(v));
}

void buffer_append_be32(struct buffer *buffer, uint32_t v)
{
	v = htobe32(v);
	buffer_append(buffer, &v, sizeof(v));
}

void buffer_append_be64(struct buffer *buffer, uint64_t v)
{
	v = htobe64(v);
	buffer_append(buffer, &v, sizeof(v));
}

bool buffer_failed(const struct buffer *buffer)
{
	return buffer->failed;
}

const char *buffer_str(const struct buffer *buffer)
{
	return buffer->data ? buffer->data : "";
}

char *buffer_steal(struct buffer *buffer)
{
	char *data = NULL;

	if (!buffer->failed && buffer_reserve(buffer, 0)) {
		buffer->data[buffer->len] = '\0';
		data = buffer->data;
		buffer->data = NULL;
	}
	buffer_fini(buffer);
	return data;
}
