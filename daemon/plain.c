/*
 * A record that needs no parser. SPDX-License-Identifier: Apache-2.0
 *
 * One pass from the comma to the closing brace. A string ends at its quote; eight bytes at a time are
 * asked for a quote, a backslash or a control byte (lib/word.h). A name is compared with the one that stood at the
 * same place of the record before. Bytes of 0x80 and above pass, as they do in yajl: whether they are
 * UTF-8 is for normalise to say.
 *
 * There is no failure: what is cut off, nested, escaped or malformed is not plain, and the caller
 * gives the same bytes to yajl.
 */

#include "daemon/plain.h"

#include <string.h>
#include <xxhash.h>

#include "daemon/text.h"
#include "lib/word.h"

struct scan {
	const char *at, *end;
};

static bool ends_text(char c)
{
	return c == '"' || c == '\\' || (unsigned char)c < ' ';
}

/* Where the text that begins at `at` ends: a quote, backslash or control byte, or the slice. */
static const char *find_end_of_text(const char *at, const char *end)
{
	uint64_t found;

	for (; end - at >= WORD_BYTES; at += WORD_BYTES) {
		found = word_first_of_string_end(word_load(at));
		if (found) {
			return at + __builtin_ctzll(found) / 8;
		}
	}
	while (at < end && !ends_text(*at)) {
		at++;
	}
	return at;
}

/* ---- tokens: each moves behind what it took, and returns false when it is not there ---- */

static void skip_white(struct scan *s)
{
	while (s->at < s->end && (unsigned char)*s->at <= ' ' &&
		(*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')) {
		s->at++;
	}
}

/* Behind white space, of which there mostly is none. */
static bool take_char(struct scan *s, char c)
{
	if (s->at < s->end && *s->at == c) {
		s->at++;
		return true;
	}
	skip_white(s);
	if (s->at == s->end || *s->at != c) {
		return false;
	}
	s->at++;
	return true;
}

/* From its opening quote on; the text lies between the quotes. */
static bool take_string(struct scan *s, const char **ret_text, size_t *ret_len)
{
	const char *begin = s->at + 1, *end = find_end_of_text(begin, s->end);

	if (end == s->end || *end != '"' || end - begin > DECODE_MAX_STRING) {
		return false;
	}
	*ret_text = begin;
	*ret_len = (size_t)(end - begin);
	s->at = end + 1;
	return true;
}

static bool take_digits(struct scan *s)
{
	const char *begin = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
		s->at++;
	}
	return s->at > begin;
}

static bool take_number(struct scan *s, const char **ret_text, size_t *ret_len)
{
	const char *begin = s->at, *digits;

	s->at += *s->at == '-';
	digits = s->at;
	if (!take_digits(s) || (*digits == '0' && s->at - digits > 1)) {
		return false;
	}
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		if (!take_digits(s)) {
			return false;
		}
	}
	/* An exponent, and a number that goes on behind the slice, end at no comma or brace. */
	*ret_text = begin;
	*ret_len = (size_t)(s->at - begin);
	return *ret_len <= DECODE_MAX_STRING;
}

static bool take_null(struct scan *s)
{
	if (s->end - s->at < 4 || memcmp(s->at, "null", 4) != 0) {
		return false;
	}
	s->at += 4;
	return true;
}

/*
 * A value: take_string() that looks on its way at whether the text is folded, as text_is_folded() would,
 * which is nearly free here.
 */
static bool take_text(struct scan *s, struct record_field *field)
{
	const char *begin = s->at + 1, *at = begin;
	uint64_t blank = 1, odd = 0, word, found = 0;

	while (!found && s->end - at >= WORD_BYTES) {
		unsigned n = WORD_BYTES;

		word = word_load(at);
		found = word_first_of_string_end(word);
		if (found) {
			n = (unsigned)__builtin_ctzll(found) / 8;
			word = word_cut(word, n);
		}
		odd |= word_is_odd(word, &blank);
		at += n;
	}
	field->kind = JSON_STRING_VALUE;
	if (!found) { /* the slice ends nearby */
		return take_string(s, &field->text, &field->len);
	}
	if (*at != '"' || at - begin > DECODE_MAX_STRING) {
		return false;
	}
	field->text = begin;
	field->len = (size_t)(at - begin);
	field->folded = !odd && (at == begin || at[-1] != ' ');
	s->at = at + 1;
	return true;
}

static bool take_value(struct scan *s, struct record_field *field)
{
	skip_white(s);
	field->bad_escape = field->folded = false;
	if (s->at == s->end) {
		return false;
	}
	switch (*s->at) {
	case '"':
		return take_text(s, field);
	case 'n':
		field->kind = JSON_NULL_VALUE;
		field->text = "";
		field->len = 0;
		return take_null(s);
	default:
		field->kind = JSON_NUMBER_VALUE;
		return take_number(s, &field->text, &field->len);
	}
}

/* ---- names ---- */

static bool is_name(const struct scan *s, const struct plain_name *name)
{
	return name->len > 0 && s->end - s->at >= name->len &&
		word_equal(s->at, name->text, name->len);
}

static bool take_other_name(struct plain *plain, struct plain_name *name, struct scan *s,
	struct record_field *field)
{
	const char *begin = s->at;
	size_t len;

	if (*s->at != '"' || !take_string(s, &field->name, &field->name_len)) {
		return false;
	}
	len = (size_t)(s->at - begin);
	name->len = len <= sizeof(name->text) ? (uint8_t)len : 0;
	memcpy(name->text, begin, name->len);
	plain->shape = 0;
	return true;
}

static bool take_name(struct plain *plain, unsigned place, struct scan *s,
	struct record_field *field)
{
	struct plain_name *name = &plain->names[place];

	skip_white(s);
	if (place < plain->n_names && is_name(s, name)) {
		field->name = s->at + 1;
		field->name_len = name->len - 2U;
		s->at += name->len;
		return true;
	}
	return s->at < s->end && take_other_name(plain, name, s, field);
}

/* Names too long to be remembered have no shape: they are new each time. */
static void note_shape(struct plain *plain, unsigned n_fields)
{
	uint64_t hash = n_fields;

	if (plain->shape != 0 && n_fields == plain->n_names) {
		return;
	}
	plain->n_names = n_fields;
	plain->shape = 0;
	for (unsigned i = 0; i < n_fields; i++) {
		if (plain->names[i].len == 0) {
			return;
		}
		hash = XXH3_64bits_withSeed(plain->names[i].text, plain->names[i].len, hash);
	}
	plain->shape = hash;
}

/* ---- the record ---- */

/* `{"name": value, ...}`. Returns how many fields; 0: it is not plain. */
static unsigned take_fields(struct plain *plain, struct scan *s)
{
	unsigned n = 0;

	if (!take_char(s, '{')) {
		return 0;
	}
	while (n < DECODE_MAX_FIELDS && take_name(plain, n, s, &plain->fields[n]) &&
		take_char(s, ':') && take_value(s, &plain->fields[n])) {
		n++;
		if (!take_char(s, ',')) {
			return take_char(s, '}') ? n : 0;
		}
	}
	return 0;
}

size_t plain_next(struct plain *plain, const void *data, size_t len, struct record *ret)
{
	struct scan s = {.at = data, .end = (const char *)data + len};
	const char *raw;
	unsigned n;

	if (!take_char(&s, ',')) {
		return 0;
	}
	skip_white(&s);
	raw = s.at;
	n = take_fields(plain, &s);
	if (n == 0) {
		return 0;
	}
	note_shape(plain, n);
	*ret = (struct record){
		.fields = plain->fields,
		.n_fields = n,
		.raw = raw,
		.raw_len = (size_t)(s.at - raw),
		.shape = plain->shape,
	};
	return (size_t)(s.at - (const char *)data);
}
