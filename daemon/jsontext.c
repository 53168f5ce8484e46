/*
 * Small JSON documents by jansson, with its silent losses made loud. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/jsontext.h"

#include <string.h>

#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/escape.h"

/*
 * A JSON string of any bytes: texts that quote the portal may have been cut to their array in the
 * middle of a character, or may be no UTF-8 at all. They must not keep an outcome off the disk.
 */
json_t *jsontext_string(const char *text)
{
	_cleanup_buffer_ struct buffer clean = {0};
	const char *end = text + strlen(text);

	while (text < end) {
		size_t n = escape_utf8_bytes(text, end);

		buffer_append(&clean, n > 0 ? text : "?", n > 0 ? n : 1);
		text += n > 0 ? n : 1;
	}
	return buffer_failed(&clean) ? NULL : json_stringn(buffer_str(&clean), clean.len);
}

static int append_piece(const char *data, size_t len, void *arg)
{
	buffer_append(arg, data, len);
	return 0;
}

/*
 * Takes the object. One line, so that strings(1) shows it as one. Not by json_dumps(): when its
 * buffer finds no memory it may leave a piece out and go on. Ours remembers that it failed.
 */
char *jsontext_dump(json_t *take_object, int failed)
{
	struct buffer text = {0};

	if (failed || json_dump_callback(take_object, append_piece, &text, JSON_COMPACT) < 0) {
		text.failed = true;
	}
	json_decref(take_object);
	return buffer_steal(&text);
}

bool jsontext_get_text(const json_t *o, const char *key, char *out, size_t size)
{
	const json_t *value = json_object_get(o, key);

	if (!json_is_string(value) || json_string_length(value) >= size) {
		return false;
	}
	/* jansson refuses a NUL inside unless told otherwise, so this is all of it. */
	memcpy(out, json_string_value(value), json_string_length(value) + 1);
	return true;
}

bool jsontext_get_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	const json_t *value = json_object_get(o, key);

	if (!json_is_integer(value) || json_integer_value(value) < min ||
		json_integer_value(value) > max) {
		return false;
	}
	*ret = json_integer_value(value);
	return true;
}

bool jsontext_get_count(const json_t *o, const char *key, uint64_t *ret)
{
	int64_t v;

	if (!jsontext_get_int(o, key, 0, INT64_MAX, &v)) {
		return false;
	}
	*ret = (uint64_t)v;
	return true;
}

bool jsontext_get_unsigned(const json_t *o, const char *key, unsigned *ret)
{
	int64_t v;

	if (!jsontext_get_int(o, key, 0, UINT32_MAX, &v)) {
		return false;
	}
	*ret = (unsigned)v;
	return true;
}

/*
 * NULL when out of memory. What jansson could not keep of a text it may leave out without a word;
 * so the text must come out again as it went in. It does, for it was written by jsontext_dump().
 */
json_t *jsontext_load(const char *json, size_t len)
{
	json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	_cleanup_free_ char *again = o ? jsontext_dump(json_incref(o), 0) : NULL;

	if (!again || strlen(again) != len || memcmp(again, json, len) != 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}
