/*
 * Record -> row. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: each field of the record is looked up by its name and noted as the choice of its
 * column; then column by column the chosen value is read (text folded, number or date parsed) and
 * written in send format behind the one before into `scratch`; at last the row's bytes are copied
 * into the arena in one go.
 *
 * Records of one page have the same names in the same order. So the name at each position is
 * remembered with the columns it stands for, and looking it up is one comparison; only a name that
 * is not the remembered one is hashed.
 *
 * Failure mode: the first column that cannot be read ends the record with a reject, and out of
 * memory. Which columns the record carried was noted before that, so that drift is seen.
 */

#include "daemon/normalise.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "daemon/text.h"

enum {
	SLOT_NAME_BYTES = 54,
	QUOTE_BYTES = 72,
	VALUE_BYTES = 64, /* the most that a value which is no text takes in send format */
	NO_NAME = UINT16_MAX,
};

static_assert(8 + 2 * DECIMAL_MAX_GROUPS <= VALUE_BYTES, "a numeric fits");

/* A column that a name stands for; rank 0 is the column's first name. */
struct target {
	unsigned column, rank;
};

/* A name of the source's fields and its targets. */
struct name {
	const char *text;
	size_t len;
	unsigned first_target, n_targets;
};

/* What stood at a position of the last record. */
struct slot {
	uint16_t len;
	uint16_t name; /* NO_NAME: no column's */
	char text[SLOT_NAME_BYTES];
};

/* The field of the record at work that a column takes its value from. */
struct choice {
	const struct record_field *field;
	unsigned rank;
};

struct normaliser {
	const struct dataset *dataset;
	const struct source *source;
	struct target *targets;
	struct name *names;
	unsigned n_names;
	uint16_t *table; /* of names, open addressing; NO_NAME is empty */
	size_t table_mask;
	bool *required; /* per column */
	bool *seen;     /* per column: a record of this page had it */
	uint64_t n_records;
	struct choice *choices;
	uint32_t *offsets; /* per column: its bytes in scratch */
	struct buffer scratch;
	struct slot slots[DECODE_MAX_FIELDS];
};

/* ---- making one ---- */

static void mark_key(struct normaliser *n)
{
	const struct dataset *dataset = n->dataset;

	for (unsigned i = 0; i < dataset->n_key; i++) {
		const struct fact_column *fact = &dataset->fact[i];

		if (fact->lookup < 0) {
			n->required[fact->column] = true;
			continue;
		}
		for (unsigned j = 0; j < dataset->lookups[fact->lookup].n_columns; j++) {
			n->required[dataset->lookups[fact->lookup].columns[j]] = true;
		}
	}
}

static uint16_t *find_place(const struct normaliser *n, const char *text, size_t len)
{
	size_t at = XXH3_64bits(text, len) & n->table_mask;

	while (n->table[at] != NO_NAME) {
		const struct name *name = &n->names[n->table[at]];

		if (name->len == len && memcmp(name->text, text, len) == 0) {
			break;
		}
		at = (at + 1) & n->table_mask;
	}
	return &n->table[at];
}

static void add_name(struct normaliser *n, const char *text)
{
	uint16_t *place = find_place(n, text, strlen(text));

	if (*place == NO_NAME) {
		*place = (uint16_t)n->n_names;
		n->names[n->n_names++] = (struct name){.text = text, .len = strlen(text)};
	}
}

/* The targets of each name, one name after the other. */
static void fill_targets(struct normaliser *n)
{
	unsigned n_targets = 0;

	for (unsigned i = 0; i < n->n_names; i++) {
		n->names[i].first_target = n_targets;
		for (unsigned column = 0; column < n->dataset->n_columns; column++) {
			const struct source_field *field = &n->source->fields[column];

			for (unsigned rank = 0; rank < field->n_names; rank++) {
				if (strcmp(field->names[rank], n->names[i].text) == 0) {
					n->targets[n_targets++] = (struct target){column, rank};
				}
			}
		}
		n->names[i].n_targets = n_targets - n->names[i].first_target;
	}
}

static int compile(struct normaliser *n)
{
	const struct dataset *dataset = n->dataset;
	size_t n_all = 1, table_size = 4;

	for (unsigned i = 0; i < dataset->n_columns; i++) {
		n_all += n->source->fields[i].n_names;
	}
	while (table_size < 2 * n_all) {
		table_size *= 2;
	}
	n->table_mask = table_size - 1;
	n->targets = calloc(n_all, sizeof(*n->targets));
	n->names = calloc(n_all, sizeof(*n->names));
	n->table = malloc(table_size * sizeof(*n->table));
	n->required = calloc(dataset->n_columns + 1, sizeof(*n->required));
	n->seen = calloc(dataset->n_columns + 1, sizeof(*n->seen));
	n->choices = calloc(dataset->n_columns + 1, sizeof(*n->choices));
	n->offsets = calloc(dataset->n_columns + 1, sizeof(*n->offsets));
	if (!n->targets || !n->names || !n->table || !n->required || !n->seen || !n->choices ||
		!n->offsets) {
		return -ENOMEM;
	}
	memset(n->table, 0xff, table_size * sizeof(*n->table));
	for (unsigned i = 0; i < dataset->n_columns; i++) {
		n->required[i] = !dataset->columns[i].nullable;
		for (unsigned j = 0; j < n->source->fields[i].n_names; j++) {
			add_name(n, n->source->fields[i].names[j]);
		}
	}
	mark_key(n);
	fill_targets(n);
	return 0;
}

int normaliser_new(const struct source *source, struct normaliser **ret)
{
	struct normaliser *n = calloc(1, sizeof(*n));

	if (!n) {
		return -ENOMEM;
	}
	n->source = source;
	n->dataset = source->dataset;
	for (unsigned i = 0; i < DECODE_MAX_FIELDS; i++) {
		n->slots[i].len = UINT16_MAX; /* nothing is remembered */
	}
	if (compile(n) < 0) {
		normaliser_free(n);
		return -ENOMEM;
	}
	*ret = n;
	return 0;
}

struct normaliser *normaliser_free(struct normaliser *n)
{
	if (!n) {
		return NULL;
	}
	free(n->targets);
	free(n->names);
	free(n->table);
	free(n->required);
	free(n->seen);
	free(n->choices);
	free(n->offsets);
	buffer_fini(&n->scratch);
	free(n);
	return NULL;
}

/* ---- names ---- */

/* Which name of ours stands at position `i`; NO_NAME when it is none. */
static uint16_t find_name(struct normaliser *n, unsigned i, const struct record_field *field)
{
	struct slot *slot = &n->slots[i];
	uint16_t name;

	if (slot->len == field->name_len && memcmp(slot->text, field->name, slot->len) == 0) {
		return slot->name;
	}
	name = *find_place(n, field->name, field->name_len);
	if (field->name_len <= sizeof(slot->text)) {
		slot->len = (uint16_t)field->name_len;
		slot->name = name;
		memcpy(slot->text, field->name, field->name_len);
	}
	return name;
}

/* `<=`: of a name that comes twice the last one counts. */
static void offer(struct normaliser *n, const struct name *name, const struct record_field *field)
{
	for (unsigned i = 0; i < name->n_targets; i++) {
		const struct target *target = &n->targets[name->first_target + i];
		struct choice *choice = &n->choices[target->column];

		if (!choice->field || target->rank <= choice->rank) {
			*choice = (struct choice){field, target->rank};
			n->seen[target->column] = true;
		}
	}
}

/* Fill `choices`. Returns how many bytes the row may take at most. */
static size_t choose(struct normaliser *n, const struct record *record)
{
	size_t bytes = n->dataset->n_columns * (size_t)VALUE_BYTES;

	memset(n->choices, 0, n->dataset->n_columns * sizeof(*n->choices));
	for (unsigned i = 0; i < record->n_fields; i++) {
		uint16_t name = find_name(n, i, &record->fields[i]);

		if (name != NO_NAME) {
			offer(n, &n->names[name], &record->fields[i]);
		}
	}
	for (unsigned i = 0; i < n->dataset->n_columns; i++) {
		bytes += n->choices[i].field ? n->choices[i].field->len : 0;
	}
	return bytes;
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
	const struct normaliser *normaliser;
	const struct column *column;
	const struct record_field *field;
	const char *text; /* trimmed; may be at `out` */
	size_t len;
	char *out;
	struct reject *reject;
};

static int reject(const struct value *v, enum reject_reason reason, const char *what)
{
	return reject_value(v->reject, v->column, v->field, reason, what, "");
}

static bool is_null_text(const struct dataset *dataset, const char *text, size_t len)
{
	if (len == 0) {
		return true;
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
	if (is_null_text(v->normaliser->dataset, v->text, v->len)) {
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

static int put_numeric(const struct value *v, int32_t *ret_len)
{
	struct decimal d;
	int r = read_decimal(v, &d);

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

static int put_date(const struct value *v, int32_t *ret_len)
{
	const struct source *source = v->normaliser->source;
	int32_t day;

	for (unsigned i = 0; i < source->n_date_formats; i++) {
		if (date_parse(v->text, v->len, source->date_formats[i], &day) == 0) {
			field_date(day, (unsigned char *)v->out);
			*ret_len = 4;
			return 0;
		}
	}
	return reject_date(v->reject, v->column, v->field, source);
}

static int put_timestamp(const struct value *v, int32_t *ret_len)
{
	const struct source *source = v->normaliser->source;
	int64_t us;

	for (unsigned i = 0; i < source->n_date_formats; i++) {
		if (timestamp_parse(v->text, v->len, source->date_formats[i], &us) == 0) {
			field_timestamp(us, (unsigned char *)v->out);
			*ret_len = 8;
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
		return put_date(v, ret_len);
	case COLUMN_TIMESTAMP:
		return put_timestamp(v, ret_len);
	case COLUMN_ID:
		break;
	}
	assert(!"ids stand in fact columns only");
	return -EINVAL;
}

/* ---- rows ---- */

void normaliser_begin_page(struct normaliser *n)
{
	memset(n->seen, 0, n->dataset->n_columns * sizeof(*n->seen));
	n->n_records = 0;
}

int normaliser_drift(const struct normaliser *n)
{
	for (unsigned i = 0; n->n_records > 0 && i < n->dataset->n_columns; i++) {
		if (n->required[i] && !n->seen[i]) {
			return (int)i;
		}
	}
	return -1;
}

/* One column's value at `out`. */
static int put_column(struct normaliser *n, unsigned i, char *out, int32_t *ret_len,
	struct reject *reject)
{
	struct value v = {
		.normaliser = n,
		.column = &n->dataset->columns[i],
		.field = n->choices[i].field,
		.out = out,
		.reject = reject,
	};
	int r = v.field ? read_text(&v) : 0;

	if (r != 0) {
		return r;
	}
	if (v.len > 0) {
		return put(&v, ret_len);
	}
	if (n->required[i]) {
		return reject_missing(reject, v.column, v.field);
	}
	*ret_len = -1;
	return 0;
}

int normalise(struct normaliser *n, const struct record *record, struct arena *arena,
	struct field *row, struct reject *reject)
{
	unsigned n_columns = n->dataset->n_columns;
	size_t used = 0;
	char *out, *bytes;

	n->n_records++;
	buffer_clear(&n->scratch);
	out = buffer_reserve(&n->scratch, choose(n, record));
	if (!out) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n_columns; i++) {
		int r = put_column(n, i, out + used, &row[i].len, reject);

		if (r != 0) {
			reject->column = i;
			return r;
		}
		n->offsets[i] = (uint32_t)used;
		used += row[i].len > 0 ? (size_t)row[i].len : 0;
	}
	bytes = arena_copy(arena, out, used);
	if (!bytes) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n_columns; i++) {
		row[i].data = row[i].len < 0 ? NULL : bytes + n->offsets[i];
	}
	return 0;
}

size_t normalise_text(const char *text, size_t len, char *out)
{
	size_t n;

	(void)text_fold(text, len, out, &n);
	return n;
}
