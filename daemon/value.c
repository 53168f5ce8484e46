/*
 * One value of a record -> its column's send format. SPDX-License-Identifier: Apache-2.0
 *
 * A string is folded first (text.c), whatever its column; what is then empty or stands for NULL is
 * NULL. JSON's own numbers are taken by their digits. Nothing is rounded, guessed or clipped: what
 * does not fit is rejected with a sentence that says what was served and what was due.
 */

#include "daemon/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/text.h"
#include "lib/utf8.h"

enum { QUOTE_BYTES = 72 };

static_assert(8 + 2 * DECIMAL_MAX_GROUPS <= VALUE_BYTES, "a numeric fits");

void value_rules_init(struct value_rules *rules, const struct source *source)
{
	const struct dataset *dataset = source->dataset;

	*rules = (struct value_rules){.source = source};
	for (unsigned i = 0; i < dataset->n_nulls; i++) {
		size_t len = strlen(dataset->nulls[i]);

		rules->longest_null = len > rules->longest_null ? len : rules->longest_null;
	}
}

/* ---- rejects ---- */

static const char *const reason_names[] = {
	[REJECT_NONE] = "none",
	[REJECT_MISSING] = "missing",
	[REJECT_BAD_NUMBER] = "bad_number",
	[REJECT_NUMBER_TOO_LONG] = "number_too_long",
	[REJECT_OUT_OF_RANGE] = "out_of_range",
	[REJECT_BAD_DATE] = "bad_date",
	[REJECT_BAD_TEXT] = "bad_text",
	[REJECT_BAD_TYPE] = "bad_type",
	[REJECT_CONFLICT] = "conflict",
};

const char *reject_reason_name(enum reject_reason reason)
{
	return reason_names[reason];
}

/* The value as served: a string in quotes, anything else bare. */
static void show_value(const struct record_field *field, char out[static QUOTE_BYTES])
{
	switch (field->kind) {
	case JSON_NULL_VALUE:
		snprintf(out, QUOTE_BYTES, "null");
		break;
	case JSON_STRING_VALUE:
		text_quote(field->text, field->len, out, QUOTE_BYTES);
		break;
	case JSON_NUMBER_VALUE:
	case JSON_BOOL_VALUE:
		snprintf(out, QUOTE_BYTES, "%.*s%s", field->len > 40 ? 40 : (int)field->len,
			field->text, field->len > 40 ? "..." : "");
		break;
	case JSON_NESTED_VALUE:
		snprintf(out, QUOTE_BYTES, "an object or array");
		break;
	}
}

/* Cut what snprintf() cut in the middle of a character. */
static void trim_cut_character(char *text, size_t len)
{
	uint32_t character;
	size_t at = len;

	while (at > 0 && ((unsigned char)text[at - 1] & 0xc0) == 0x80) {
		at--;
	}
	at -= at > 0;
	if (len > 0 && utf8_decode(text + at, len - at, &character) != len - at) {
		text[at] = '\0';
	}
}

/* "arrival_date: "31/02/2026" is no date of the form %d/%m/%Y". Returns 1, as normalise() does. */
static int reject_value(struct reject *reject, const struct column *column,
	const struct record_field *field, enum reject_reason reason, const char *what,
	const char *due)
{
	char value[QUOTE_BYTES];

	show_value(field, value);
	snprintf(reject->text, sizeof(reject->text), "%s: %s %s%s", column->name, value, what, due);
	trim_cut_character(reject->text, strlen(reject->text));
	reject->reason = reason;
	return 1;
}

static int reject_bound(struct reject *reject, const struct column *column,
	const struct record_field *field, const char *what, const struct decimal *bound)
{
	struct buffer due = {0};
	int r;

	decimal_format(bound, &due);
	r = reject_value(reject, column, field, REJECT_OUT_OF_RANGE, what, buffer_str(&due));
	buffer_fini(&due);
	return r;
}

static int reject_date(struct reject *reject, const struct column *column,
	const struct record_field *field, const struct source *source)
{
	const char *what = column->type == COLUMN_DATE ? "is no date of the form "
						       : "is no time of the form ";
	struct buffer due = {0};
	int r;

	for (unsigned i = 0; i < source->n_date_formats; i++) {
		buffer_append_str(&due, i ? " or " : "");
		buffer_append_str(&due, source->date_formats[i]);
	}
	r = reject_value(reject, column, field, REJECT_BAD_DATE, what, buffer_str(&due));
	buffer_fini(&due);
	return r;
}

static int reject_missing(struct reject *reject, const struct column *column,
	const struct record_field *field)
{
	if (field) {
		return reject_value(reject, column, field, REJECT_MISSING,
			field->kind == JSON_NULL_VALUE ? "where a value is due"
						       : "stands for no value, but one is due",
			"");
	}
	snprintf(reject->text, sizeof(reject->text), "%s: not in the record, but a value is due",
		column->name);
	trim_cut_character(reject->text, strlen(reject->text));
	reject->reason = REJECT_MISSING;
	return 1;
}

/* ---- values: each writes its send format at `out` and says how long it is ---- */

/* The value at work. */
struct value {
	const struct value_rules *rules;
	const struct column *column;
	const struct record_field *field;
	struct value_memo *memo;
	const char *text; /* trimmed; at `out`, or as served */
	size_t len;
	char *out;
	struct reject *reject;
};

static int reject(const struct value *v, enum reject_reason reason, const char *what)
{
	return reject_value(v->reject, v->column, v->field, reason, what, "");
}

static bool is_null_text(const struct value_rules *rules, const char *text, size_t len)
{
	const struct dataset *dataset = rules->source->dataset;

	if (len == 0 || len > rules->longest_null) {
		return len == 0;
	}
	for (unsigned i = 0; i < dataset->n_nulls; i++) {
		if (strncmp(dataset->nulls[i], text, len) == 0 && dataset->nulls[i][len] == '\0') {
			return true;
		}
	}
	return false;
}

static const char *const due_names[] = {
	[COLUMN_TEXT] = "text is due",
	[COLUMN_NUMERIC] = "a number is due",
	[COLUMN_INTEGER] = "a whole number is due",
	[COLUMN_DATE] = "a date is due",
	[COLUMN_TIMESTAMP] = "a time is due",
};

/* The value's text, folded; empty is NULL. */
static int read_text(struct value *v)
{
	const struct record_field *field = v->field;
	enum text_fault fault = TEXT_FINE;

	switch (field->kind) {
	case JSON_NULL_VALUE:
		v->len = 0;
		return 0;
	case JSON_NUMBER_VALUE:
		v->text = field->text;
		v->len = field->len;
		break;
	case JSON_STRING_VALUE:
		if (field->bad_escape) {
			return reject(v, REJECT_BAD_TEXT, "has half a surrogate pair");
		}
		if (field->folded || text_is_folded(field->text, field->len)) {
			v->text = field->text;
			v->len = field->len;
			break;
		}
		v->text = v->out;
		fault = text_fold(field->text, field->len, v->out, &v->len);
		break;
	case JSON_BOOL_VALUE:
	case JSON_NESTED_VALUE:
		return reject_value(v->reject, v->column, field, REJECT_BAD_TYPE, "where ",
			due_names[v->column->type]);
	}
	if (fault != TEXT_FINE) {
		return reject(v, REJECT_BAD_TEXT,
			fault == TEXT_HAS_NUL ? "holds a NUL byte" : "is no valid UTF-8");
	}
	if (is_null_text(v->rules, v->text, v->len)) {
		v->len = 0;
	}
	return 0;
}

static int read_decimal(const struct value *v, struct decimal *ret)
{
	const struct column *column = v->column;

	switch (decimal_parse(v->text, v->len, ret)) {
	case DECIMAL_OK:
		break;
	case DECIMAL_MALFORMED:
		return reject(v, REJECT_BAD_NUMBER, "is no number");
	case DECIMAL_TOO_LONG:
		return reject(v, REJECT_NUMBER_TOO_LONG,
			"has more than 40 digits, or an exponent beyond 30");
	}
	if (column->has_min && decimal_compare(ret, &column->min) < 0) {
		return reject_bound(v->reject, column, v->field, "is below ", &column->min);
	}
	if (column->has_max && decimal_compare(ret, &column->max) > 0) {
		return reject_bound(v->reject, column, v->field, "is above ", &column->max);
	}
	return 0;
}

static int put_text(const struct value *v, int32_t *ret_len)
{
	if (v->text != v->out) {
		memcpy(v->out, v->text, v->len);
	}
	*ret_len = (int32_t)v->len;
	return 0;
}

/* Every whole number without a sign is within the column's bounds. */
static bool is_bound_below_zero_alone(const struct column *column)
{
	return !column->has_max &&
	       (!column->has_min || column->min.negative || column->min.n_digits == 0);
}

static int put_numeric(const struct value *v, int32_t *ret_len)
{
	struct decimal d;
	int r;

	if (is_bound_below_zero_alone(v->column)) {
		*ret_len = (int32_t)decimal_whole_to_wire(v->text, v->len, (unsigned char *)v->out);
		if (*ret_len > 0) {
			return 0;
		}
	}
	r = read_decimal(v, &d);

	if (r == 0) {
		decimal_to_wire(&d, (unsigned char *)v->out);
		*ret_len = (int32_t)decimal_wire_bytes(&d);
	}
	return r;
}

/* Negative on the way, because that side has one value more. */
static bool decimal_to_int64(const struct decimal *d, int64_t *ret)
{
	int64_t n = 0;

	for (int i = 0; i <= d->weight; i++) {
		int64_t group = i < d->n_digits ? d->digits[i] : 0;

		if (__builtin_mul_overflow(n, 10000, &n) || __builtin_sub_overflow(n, group, &n)) {
			return false;
		}
	}
	*ret = n;
	return d->negative || !__builtin_sub_overflow(0, n, ret);
}

static int put_integer(const struct value *v, int32_t *ret_len)
{
	struct decimal d;
	int64_t n = 0;
	int r = read_decimal(v, &d);

	if (r != 0) {
		return r;
	}
	if (d.n_digits > d.weight + 1) {
		return reject(v, REJECT_BAD_NUMBER, "is no whole number");
	}
	if (d.n_digits > 0 && !decimal_to_int64(&d, &n)) {
		return reject(v, REJECT_OUT_OF_RANGE, "is beyond 64 bits");
	}
	field_int8(n, (unsigned char *)v->out);
	*ret_len = 8;
	return 0;
}

static bool recall(const struct value *v, int32_t *ret_len)
{
	const struct value_memo *memo = v->memo;

	if (v->len != memo->text_len || memcmp(v->text, memo->text, v->len) != 0) {
		return false;
	}
	memcpy(v->out, memo->wire, sizeof(memo->wire));
	*ret_len = memo->len;
	return true;
}

/* What is noted is read before `out` is written: they may be the same. */
static void remember(const struct value *v, struct field field)
{
	struct value_memo *memo = v->memo;

	memo->text_len = v->len <= sizeof(memo->text) ? (uint8_t)v->len : 0;
	memcpy(memo->text, v->text, memo->text_len);
	memo->len = (uint8_t)field.len;
	memcpy(memo->wire, field.data, memo->len);
}

static bool read_moment(const struct value *v, const char *format, unsigned char store[static 8],
	struct field *ret)
{
	int32_t day;
	int64_t us;

	if (v->column->type == COLUMN_DATE) {
		if (date_parse(v->text, v->len, format, &day) < 0) {
			return false;
		}
		*ret = field_date(day, store);
		return true;
	}
	if (timestamp_parse(v->text, v->len, format, &us) < 0) {
		return false;
	}
	*ret = field_timestamp(us, store);
	return true;
}

static int put_moment(const struct value *v, int32_t *ret_len)
{
	const struct source *source = v->rules->source;
	unsigned char store[8];
	struct field field;

	if (recall(v, ret_len)) {
		return 0;
	}
	for (unsigned i = 0; i < source->n_date_formats; i++) {
		if (read_moment(v, source->date_formats[i], store, &field)) {
			remember(v, field);
			memcpy(v->out, field.data, (size_t)field.len);
			*ret_len = field.len;
			return 0;
		}
	}
	return reject_date(v->reject, v->column, v->field, source);
}

static int put(const struct value *v, int32_t *ret_len)
{
	switch (v->column->type) {
	case COLUMN_TEXT:
		return put_text(v, ret_len);
	case COLUMN_NUMERIC:
		return put_numeric(v, ret_len);
	case COLUMN_INTEGER:
		return put_integer(v, ret_len);
	case COLUMN_DATE:
	case COLUMN_TIMESTAMP:
		return put_moment(v, ret_len);
	case COLUMN_ID:
		break;
	}
	assert(!"ids stand in fact columns only");
	return -EINVAL;
}

/* Most texts there are: nothing to fold, and too long for any that means NULL. */
static bool is_text_as_served(const struct value_rules *rules, const struct column *column,
	const struct record_field *field)
{
	return column->type == COLUMN_TEXT && field && field->folded &&
	       field->len > rules->longest_null;
}

int value_put(const struct value_rules *rules, const struct column *column, bool required,
	const struct record_field *field, struct value_memo *memo, char *out, int32_t *ret_len,
	struct reject *reject)
{
	struct value v = {
		.rules = rules,
		.column = column,
		.field = field,
		.memo = memo,
		.out = out,
		.reject = reject,
	};
	int r;

	if (is_text_as_served(rules, column, field)) {
		memcpy(out, field->text, field->len);
		*ret_len = (int32_t)field->len;
		return 0;
	}
	r = field ? read_text(&v) : 0;
	if (r != 0) {
		return r;
	}
	if (v.len > 0) {
		return put(&v, ret_len);
	}
	if (required) {
		return reject_missing(reject, column, field);
	}
	*ret_len = -1;
	return 0;
}
