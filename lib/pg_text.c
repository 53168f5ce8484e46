/*
 * Quoting for SQL text. SPDX-License-Identifier: Apache-2.0
 *
 * No connection is asked: the encoding is always UTF-8, and a literal with a backslash is
 * written as E'..', which means the same whatever standard_conforming_strings says.
 */

#include <string.h>

#include "lib/buffer.h"
#include "lib/pg.h"

void pg_append_ident(struct buffer *out, const char *name)
{
	buffer_append_char(out, '"');
	for (; *name; name++) {
		if (*name == '"') {
			buffer_append_char(out, '"');
		}
		buffer_append_char(out, *name);
	}
	buffer_append_char(out, '"');
}

void pg_append_literal(struct buffer *out, const char *text)
{
	buffer_append_str(out, strchr(text, '\\') ? " E'" : "'");
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\') {
			buffer_append_char(out, *text);
		}
		buffer_append_char(out, *text);
	}
	buffer_append_char(out, '\'');
}

static void next_element(struct buffer *array)
{
	buffer_append_char(array, array->len == 0 ? '{' : ',');
}

void pg_array_append(struct buffer *array, const char *element, size_t len)
{
	next_element(array);
	buffer_append_char(array, '"');
	for (size_t i = 0; i < len; i++) {
		if (element[i] == '"' || element[i] == '\\') {
			buffer_append_char(array, '\\');
		}
		buffer_append_char(array, element[i]);
	}
	buffer_append_char(array, '"');
}

void pg_array_append_null(struct buffer *array)
{
	next_element(array);
	buffer_append_str(array, "NULL");
}

void pg_array_end(struct buffer *array)
{
	if (array->len == 0) {
		buffer_append_char(array, '{');
	}
	buffer_append_char(array, '}');
}
