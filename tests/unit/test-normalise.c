/*
 * Records to rows, and why not. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/decode.h"
#include "daemon/normalise.h"
#include "daemon/text.h"
#include "lib/buffer.h"
#include "lib/utf8.h"
#include "tests/unit/data.h"
#include "tests/unit/fixture.h"

/* Rows of a page as text, a line each; the rejects between them. */
struct run {
	struct fixture fixture;
	struct normaliser *normaliser;
	struct arena arena;
	struct buffer out;
	struct reject reject; /* the last one */
	uint64_t n_rows, n_rejects;
};

static void show_field(struct buffer *out, enum column_type type, struct field field)
{
	struct decimal decimal;

	if (field.len < 0) {
		assert_null(field.data);
		buffer_append_str(out, "NULL");
		return;
	}
	switch (type) {
	case COLUMN_TEXT:
		buffer_append_char(out, '\'');
		buffer_append(out, field.data, (size_t)field.len);
		buffer_append_char(out, '\'');
		break;
	case COLUMN_NUMERIC:
		assert_int_equal(decimal_from_wire(field.data, (size_t)field.len, &decimal), 0);
		decimal_format(&decimal, out);
		break;
	case COLUMN_INTEGER:
		buffer_printf(out, "%lld", (long long)field_to_int8(field));
		break;
	case COLUMN_DATE:
		date_format(field_to_date(field), "%Y-%m-%d", out);
		break;
	case COLUMN_TIMESTAMP:
		buffer_printf(out, "%lld", (long long)field_to_timestamp(field));
		break;
	case COLUMN_ID:
		fail();
	}
}

static int on_record(void *arg, const struct record *record)
{
	struct run *run = arg;
	struct field row[FIXTURE_COLUMNS];
	int r = normalise(run->normaliser, record, &run->arena, row, &run->reject);

	assert_true(r == 0 || r == 1);
	if (r == 1) {
		buffer_printf(&run->out, "%s %u\n", reject_reason_name(run->reject.reason),
			run->reject.column);
		run->n_rejects++;
		return 0;
	}
	for (unsigned i = 0; i < run->fixture.dataset.n_columns; i++) {
		buffer_append_str(&run->out, i ? "|" : "");
		show_field(&run->out, run->fixture.columns[i].type, row[i]);
	}
	buffer_append_char(&run->out, '\n');
	run->n_rows++;
	return 0;
}

/* The fixture must be ready; decodes a page `{"records":[records]}`. */
static void run_page(struct run *run, const char *records, size_t len)
{
	struct error error = {0};
	struct envelope envelope;
	struct decode *decode;

	if (!run->normaliser) {
		assert_int_equal(normaliser_new(&run->fixture.source, &run->normaliser), 0);
	}
	normaliser_begin_page(run->normaliser);
	assert_int_equal(decode_new(on_record, run, &decode), 0);
	assert_int_equal(decode_feed(decode, "{\"records\":[", 12, &error), 0);
	assert_int_equal(decode_feed(decode, records, len, &error), 0);
	assert_int_equal(decode_feed(decode, "]}", 2, &error), 0);
	assert_int_equal(decode_finish(decode, &envelope, &error), 0);
	decode_free(decode);
	assert_false(buffer_failed(&run->out));
}

static void run_fini(struct run *run)
{
	normaliser_free(run->normaliser);
	arena_fini(&run->arena);
	buffer_fini(&run->out);
}

/* ---- one value ---- */

enum flag { NULLABLE = 1, BOUNDED = 2 /* -10 to 10.5 */, TIMES = 4 };

static const struct value_case {
	enum column_type type;
	unsigned flags;
	const char *json;
	const char *want; /* the value, or the name of the reason */
	const char *text; /* of the reject */
} values[] = {
	/* text */
	{COLUMN_TEXT, 0, "\"Kerala\"", "'Kerala'", NULL},
	{COLUMN_TEXT, 0, "\"  Modasar        \"", "'Modasar'", NULL},
	{COLUMN_TEXT, 0, "\"Thazhakkara  VFPCK\"", "'Thazhakkara VFPCK'", NULL},
	{COLUMN_TEXT, 0, "\"a\\t \\n\\r\\u00a0\\u2003\\u3000b\\u00a0\"", "'a b'", NULL},
	{COLUMN_TEXT, 0, "\"kutki KUTKI\"", "'kutki KUTKI'", NULL},
	{COLUMN_TEXT, 0, "\"Pea Pod/\\u0939\\u0930\\u0940\"", "'Pea Pod/हरी'", NULL},
	{COLUMN_TEXT, 0, "\"\\u200b\\ufeff\\u0001\"", "'\u200b\ufeff\x01'", NULL},
	{COLUMN_TEXT, 0, "12.50", "'12.50'", NULL},
	{COLUMN_TEXT, 0, "1e400", "'1e400'", NULL},
	{COLUMN_TEXT, 0, "\"NAN\"", "'NAN'", NULL},
	{COLUMN_TEXT, 0, "\"na\"", "'na'", NULL},
	{COLUMN_TEXT, 0, "\"--\"", "'--'", NULL},
	{COLUMN_TEXT, NULLABLE, "\"\"", "NULL", NULL},
	{COLUMN_TEXT, NULLABLE, "\" \\t\\u00a0 \"", "NULL", NULL},
	{COLUMN_TEXT, NULLABLE, "\" NA \"", "NULL", NULL},
	{COLUMN_TEXT, NULLABLE, "\"N/A\"", "NULL", NULL},
	{COLUMN_TEXT, NULLABLE, "\"-\"", "NULL", NULL},
	{COLUMN_TEXT, NULLABLE, "null", "NULL", NULL},
	{COLUMN_TEXT, 0, "null", "missing", "v: null where a value is due"},
	{COLUMN_TEXT, 0, "\"\"", "missing", "v: \"\" stands for no value, but one is due"},
	{COLUMN_TEXT, 0, "\" NA\"", "missing", "v: \" NA\" stands for no value, but one is due"},
	{COLUMN_TEXT, NULLABLE, "true", "bad_type", "v: true where text is due"},
	{COLUMN_TEXT, NULLABLE, "false", "bad_type", "v: false where text is due"},
	{COLUMN_TEXT, NULLABLE, "[]", "bad_type", "v: an object or array where text is due"},
	{COLUMN_TEXT, NULLABLE, "{\"a\":1}", "bad_type", "v: an object or array where text is due"},
	{COLUMN_TEXT, 0, "\"Pu\xff\xc3ne\"", "bad_text", "v: \"Pu\\xff\\xc3ne\" is no valid UTF-8"},
	{COLUMN_TEXT, 0, "\"\xed\xa0\x80\"", "bad_text", "v: \"\\xed\\xa0\\x80\" is no valid UTF-8"},
	{COLUMN_TEXT, 0, "\"\xc0\x80\"", "bad_text", "v: \"\\xc0\\x80\" is no valid UTF-8"},
	{COLUMN_TEXT, 0, "\"a\\u0000b\"", "bad_text", "v: \"a\\x00b\" holds a NUL byte"},
	{COLUMN_TEXT, 0, "\"a\\ud83d\"", "bad_text", "v: \"a\\\\ud83d\" has half a surrogate pair"},
	{COLUMN_TEXT, 0, "\"a\\n\\t\\u0085\\\"\\\\\\u0000\"", "bad_text",
		"v: \"a\\n\\t\\u0085\\\"\\\\\\x00\" holds a NUL byte"},
	/* numeric */
	{COLUMN_NUMERIC, 0, "4200", "4200", NULL},
	{COLUMN_NUMERIC, 0, "\"4200\"", "4200", NULL},
	{COLUMN_NUMERIC, 0, "4350.333333333330", "4350.333333333330", NULL},
	{COLUMN_NUMERIC, 0, "\" 1,20,000.50\\u00a0\"", "120000.50", NULL},
	{COLUMN_NUMERIC, 0, "\"1,234,567\"", "1234567", NULL},
	{COLUMN_NUMERIC, 0, "-0.0", "0.0", NULL},
	{COLUMN_NUMERIC, 0, "1E3", "1000", NULL},
	{COLUMN_NUMERIC, 0, "\"+5\"", "5", NULL},
	{COLUMN_NUMERIC, 0, "1234567890123456789012345678901234567890",
		"1234567890123456789012345678901234567890", NULL},
	{COLUMN_NUMERIC, NULLABLE, "\"NA\"", "NULL", NULL},
	{COLUMN_NUMERIC, NULLABLE, "\"-\"", "NULL", NULL},
	{COLUMN_NUMERIC, 0, "\"12..5\"", "bad_number", "v: \"12..5\" is no number"},
	{COLUMN_NUMERIC, 0, "\"1,70,00\"", "bad_number", "v: \"1,70,00\" is no number"},
	{COLUMN_NUMERIC, 0, "\"NaN\"", "bad_number", "v: \"NaN\" is no number"},
	{COLUMN_NUMERIC, 0, "\"1 000\"", "bad_number", "v: \"1 000\" is no number"},
	{COLUMN_NUMERIC, 0, "\"...\"", "bad_number", "v: \"...\" is no number"},
	{COLUMN_NUMERIC, 0, "12345678901234567890123456789012345678901", "number_too_long",
		"v: 1234567890123456789012345678901234567890... has more than 40 digits, or an "
		"exponent beyond 30"},
	{COLUMN_NUMERIC, 0, "1e31", "number_too_long",
		"v: 1e31 has more than 40 digits, or an exponent beyond 30"},
	{COLUMN_NUMERIC, 0, "\"4\xff\"", "bad_text", "v: \"4\\xff\" is no valid UTF-8"},
	{COLUMN_NUMERIC, 0, "true", "bad_type", "v: true where a number is due"},
	{COLUMN_NUMERIC, BOUNDED, "10.5", "10.5", NULL},
	{COLUMN_NUMERIC, BOUNDED, "10.500", "10.500", NULL},
	{COLUMN_NUMERIC, BOUNDED, "-10", "-10", NULL},
	{COLUMN_NUMERIC, BOUNDED, "10.500001", "out_of_range", "v: 10.500001 is above 10.5"},
	{COLUMN_NUMERIC, BOUNDED, "\"-10.01\"", "out_of_range", "v: \"-10.01\" is below -10"},
	/* integer */
	{COLUMN_INTEGER, 0, "13", "13", NULL},
	{COLUMN_INTEGER, 0, "\"13\"", "13", NULL},
	{COLUMN_INTEGER, 0, "\"12.0\"", "12", NULL},
	{COLUMN_INTEGER, 0, "-1.20e1", "-12", NULL},
	{COLUMN_INTEGER, 0, "0", "0", NULL},
	{COLUMN_INTEGER, 0, "-0.00", "0", NULL},
	{COLUMN_INTEGER, 0, "10000", "10000", NULL},
	{COLUMN_INTEGER, 0, "1e18", "1000000000000000000", NULL},
	{COLUMN_INTEGER, 0, "9223372036854775807", "9223372036854775807", NULL},
	{COLUMN_INTEGER, 0, "-9223372036854775808", "-9223372036854775808", NULL},
	{COLUMN_INTEGER, 0, "9223372036854775808", "out_of_range",
		"v: 9223372036854775808 is beyond 64 bits"},
	{COLUMN_INTEGER, 0, "-9223372036854775809", "out_of_range", NULL},
	{COLUMN_INTEGER, 0, "1e30", "out_of_range", "v: 1e30 is beyond 64 bits"},
	{COLUMN_INTEGER, 0, "12.5", "bad_number", "v: 12.5 is no whole number"},
	{COLUMN_INTEGER, 0, "0.0001", "bad_number", "v: 0.0001 is no whole number"},
	{COLUMN_INTEGER, 0, "\"x\"", "bad_number", "v: \"x\" is no number"},
	{COLUMN_INTEGER, 0, "[1]", "bad_type", "v: an object or array where a whole number is due"},
	{COLUMN_INTEGER, BOUNDED, "11", "out_of_range", "v: 11 is above 10.5"},
	{COLUMN_INTEGER, NULLABLE, "\"NA\"", "NULL", NULL},
	/* date */
	{COLUMN_DATE, 0, "\"20/11/2026\"", "2026-11-20", NULL},
	{COLUMN_DATE, 0, "\" 1/2/2026 \"", "2026-02-01", NULL},
	{COLUMN_DATE, 0, "\"29/02/2024\"", "2024-02-29", NULL},
	{COLUMN_DATE, 0, "\"31/02/2026\"", "bad_date",
		"v: \"31/02/2026\" is no date of the form %d/%m/%Y"},
	{COLUMN_DATE, 0, "20261120", "bad_date", "v: 20261120 is no date of the form %d/%m/%Y"},
	{COLUMN_DATE, 0, "true", "bad_type", "v: true where a date is due"},
	{COLUMN_DATE, NULLABLE, "\"NA\"", "NULL", NULL},
	{COLUMN_DATE, TIMES, "\"20-11-2026 10:00:00\"", "2026-11-20", NULL},
	/* time */
	{COLUMN_TIMESTAMP, TIMES, "\"01-01-1970 05:30:00\"", "0", NULL},
	{COLUMN_TIMESTAMP, TIMES, "\"17-09-2026  01:00:00\"", "1789587000000000", NULL},
	{COLUMN_TIMESTAMP, TIMES, "\"1970-01-01T00:00:01Z\"", "1000000", NULL},
	{COLUMN_TIMESTAMP, TIMES, "\"17/09/2026\"", "1789583400000000", NULL},
	{COLUMN_TIMESTAMP, TIMES, "\"17-09-2026 25:00:00\"", "bad_date",
		"v: \"17-09-2026 25:00:00\" is no time of the form %d-%m-%Y %H:%M:%S or "
		"%Y-%m-%dT%H:%M:%S%z or %d/%m/%Y"},
	{COLUMN_TIMESTAMP, 0, "{}", "bad_type", "v: an object or array where a time is due"},
};

static void set_up_value(struct run *run, const struct value_case *c)
{
	struct fixture *f = &run->fixture;

	fixture_init(f);
	fixture_add_column(f, "v", c->type);
	f->columns[0].nullable = c->flags & NULLABLE;
	if (c->flags & BOUNDED) {
		f->columns[0].has_min = f->columns[0].has_max = true;
		assert_int_equal(decimal_parse("-10", 3, &f->columns[0].min), DECIMAL_OK);
		assert_int_equal(decimal_parse("10.5", 4, &f->columns[0].max), DECIMAL_OK);
	}
	if (c->flags & TIMES) {
		f->formats[0] = (char *)"%d-%m-%Y %H:%M:%S";
		f->formats[1] = (char *)"%Y-%m-%dT%H:%M:%S%z";
		f->formats[2] = (char *)"%d/%m/%Y";
		f->source.n_date_formats = 3;
	}
}

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		const struct value_case *c = &values[i];
		struct run run = {0};
		char record[512], want[512];

		set_up_value(&run, c);
		snprintf(record, sizeof(record), "{\"v\":%s}", c->json);
		run_page(&run, record, strlen(record));
		snprintf(want, sizeof(want), "%s%s\n", c->want, run.n_rejects ? " 0" : "");
		assert_string_equal(buffer_str(&run.out), want);
		if (c->text) {
			assert_string_equal(run.reject.text, c->text);
		}
		assert_true(c->text == NULL || run.n_rejects == 1);
		run_fini(&run);
	}
}

/* As long as the decoder lets pass. */
static void test_long_values(void **state)
{
	static const struct {
		enum column_type type;
		const char *quote, *unit;
		size_t n;
		const char *text; /* of the reject; NULL: it is taken */
	} cases[] = {
		{COLUMN_TEXT, "\"", "x", DECODE_MAX_STRING, NULL},
		{COLUMN_TEXT, "\"", " हरी", 6000, NULL},
		{COLUMN_NUMERIC, "", "7", 10000,
			"v: 7777777777777777777777777777777777777777... has more than 40 digits, or an "
			"exponent beyond 30"},
		{COLUMN_NUMERIC, "\"", "7", 10000,
			"v: \"777777777777777777777777777777777777777777777777777777777777777777\"... has more "
			"than 40 digits, or an exponent beyond 30"},
		{COLUMN_DATE, "\"", "1/", 10000, NULL},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct run run = {0};
		struct buffer record = {0};

		fixture_init(&run.fixture);
		fixture_add_column(&run.fixture, "v", cases[i].type);
		buffer_printf(&record, "{\"v\":%s", cases[i].quote);
		for (size_t n = 0; n < cases[i].n; n++) {
			buffer_append_str(&record, cases[i].unit);
		}
		buffer_printf(&record, "%s}", cases[i].quote);
		run_page(&run, record.data, record.len);
		if (cases[i].type == COLUMN_TEXT) {
			assert_int_equal(run.n_rows, 1);
			assert_true(run.out.len >= cases[i].n * strlen(cases[i].unit) - 1);
		} else {
			assert_int_equal(run.n_rejects, 1);
		}
		if (cases[i].text) {
			assert_string_equal(run.reject.text, cases[i].text);
		}
		buffer_fini(&record);
		run_fini(&run);
	}
}

/* ---- names ---- */

static void check_names(struct run *run, const char *records, const char *want)
{
	buffer_clear(&run->out);
	run_page(run, records, strlen(records));
	assert_string_equal(buffer_str(&run->out), want);
}

static void test_names(void **state)
{
	struct run run = {0};

	(void)state;
	fixture_init(&run.fixture);
	fixture_add_column(&run.fixture, "a", COLUMN_TEXT);
	fixture_add_name(&run.fixture, "A");
	fixture_add_name(&run.fixture, "a_x0020_");
	run.fixture.columns[0].nullable = true;
	fixture_add_column(&run.fixture, "b", COLUMN_INTEGER);
	run.fixture.columns[1].nullable = true;
	/* the first name that is present, whatever the order in the record */
	check_names(&run, "{\"a\":1,\"A\":2,\"a_x0020_\":3}", "'1'|NULL\n");
	check_names(&run, "{\"a_x0020_\":3,\"A\":2,\"a\":1}", "'1'|NULL\n");
	check_names(&run, "{\"a_x0020_\":3,\"b\":7,\"A\":2}", "'2'|7\n");
	check_names(&run, "{\"b\":7,\"a_x0020_\":3}", "'3'|7\n");
	/* present and NULL counts */
	check_names(&run, "{\"a\":null,\"A\":2}", "NULL|NULL\n");
	check_names(&run, "{\"A\":\"NA\",\"a_x0020_\":3}", "NULL|NULL\n");
	/* a name twice: the last */
	check_names(&run, "{\"a\":1,\"a\":2,\"b\":3,\"a\":4}", "'4'|3\n");
	check_names(&run, "{\"A\":1,\"a\":2,\"A\":3}", "'2'|NULL\n");
	/* not ours */
	check_names(&run, "{\"\":1,\"c\":2,\"a \":3,\" a\":3,\"aa\":4,\"B\":5}", "NULL|NULL\n");
	/* the shape changes from record to record */
	check_names(&run,
		"{\"a\":1,\"b\":2},{\"b\":2,\"a\":1},{\"x\":0,\"a\":1,\"b\":2},{\"b\":2},{},"
		"{\"a\":1,\"c\":3,\"b\":2},{\"a\":1,\"b\":2}",
		"'1'|2\n'1'|2\n'1'|2\nNULL|2\nNULL|NULL\n'1'|2\n'1'|2\n");
	run_fini(&run);
}

/* A name may stand for two columns, and be longer than what is remembered. */
static void test_shared_and_long_names(void **state)
{
	static const char name[] = "a_name_of_more_than_sixty_bytes_that_is_not_remembered_by_its_place";
	struct run run = {0};
	char record[256];

	(void)state;
	fixture_init(&run.fixture);
	fixture_add_column(&run.fixture, name, COLUMN_TEXT);
	fixture_add_column(&run.fixture, "other", COLUMN_NUMERIC);
	fixture_add_name(&run.fixture, name);
	snprintf(record, sizeof(record), "{\"%s\":1.0},{\"%s\":2.0,\"other\":3},{\"%s?\":4}", name, name,
		name);
	check_names(&run, record, "'1.0'|1.0\n'2.0'|3\nmissing 0\n");
	assert_string_equal(run.reject.text,
		"a_name_of_more_than_sixty_bytes_that_is_not_remembered_by_its_place: not in the "
		"record, but a value is due");
	run_fini(&run);
}

/* ---- required columns and drift ---- */

static int drift_of(struct run *run, const char *records)
{
	buffer_clear(&run->out);
	run_page(run, records, strlen(records));
	return normaliser_drift(run->normaliser);
}

static void test_required_and_drift(void **state)
{
	struct run run = {0};

	(void)state;
	fixture_init(&run.fixture);
	fixture_add_column(&run.fixture, "key", COLUMN_TEXT);
	run.fixture.columns[0].nullable = true; /* but the key makes it required */
	fixture_add_column(&run.fixture, "in_lookup", COLUMN_TEXT);
	run.fixture.columns[1].nullable = true;
	fixture_add_column(&run.fixture, "price", COLUMN_NUMERIC);
	fixture_add_column(&run.fixture, "note", COLUMN_TEXT);
	run.fixture.columns[3].nullable = true;
	fixture_add_fact(&run.fixture, 0);
	fixture_add_lookup(&run.fixture, "l", 1, 1);
	run.fixture.dataset.n_key = 2;
	fixture_add_fact(&run.fixture, 2);
	fixture_add_fact(&run.fixture, 3);

	check_names(&run, "{\"key\":null,\"in_lookup\":1,\"price\":1}", "missing 0\n");
	check_names(&run, "{\"key\":1,\"in_lookup\":\"\",\"price\":1}", "missing 1\n");
	check_names(&run, "{\"key\":1,\"in_lookup\":1,\"price\":1}", "'1'|'1'|1|NULL\n");

	assert_int_equal(drift_of(&run, ""), -1);
	assert_int_equal(drift_of(&run, "{}"), 0);
	assert_int_equal(drift_of(&run, "{\"key\":1,\"in_lookup\":1,\"Price\":1}"), 2);
	assert_int_equal(drift_of(&run, "{\"key\":1,\"price\":1}"), 1);
	/* seen is what was there, in any record, be it null, bad, or behind what rejects the record */
	assert_int_equal(drift_of(&run, "{\"key\":1},{\"in_lookup\":null},{\"price\":\"x\"}"), -1);
	assert_int_equal(drift_of(&run, "{\"key\":[],\"in_lookup\":[],\"price\":[]}"), -1);
	/* and is forgotten with the page */
	assert_int_equal(drift_of(&run, "{\"key\":1,\"in_lookup\":1}"), 2);
	run_fini(&run);
}

static void test_reason_names(void **state)
{
	static const char *const names[] = {"none", "missing", "bad_number", "number_too_long",
		"out_of_range", "bad_date", "bad_text", "bad_type", "conflict"};

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(names); i++) {
		assert_string_equal(reject_reason_name(i), names[i]); /* stored: never to change */
	}
	assert_int_equal(N_ELEMENTS(names), REJECT_CONFLICT + 1);
}

/* What people read is valid UTF-8 and ends, whatever was served. */
static void test_reject_text_is_cut(void **state)
{
	char name[200];

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t name_len = 1; name_len < sizeof(name); name_len++) {
		struct run run = {0};
		struct buffer record = {0};
		const char *text = run.reject.text;
		size_t len;

		name[name_len] = '\0';
		fixture_init(&run.fixture);
		fixture_add_column(&run.fixture, name, COLUMN_DATE);
		buffer_printf(&record, "{\"%s\":\"", name);
		for (size_t i = 0; i < 60; i++) {
			buffer_append_str(&record, i < name_len % 40 ? "x" : "हरी🌱é");
		}
		buffer_append_str(&record, "\"}");
		run_page(&run, record.data, record.len);
		assert_int_equal(run.n_rejects, 1);
		len = strlen(text);
		assert_true(len < sizeof(run.reject.text));
		for (size_t at = 0; at < len;) {
			uint32_t character;
			unsigned n = utf8_decode(text + at, len - at, &character);

			assert_int_not_equal(n, 0);
			at += n;
		}
		if (name_len < 60) {
			assert_non_null(strstr(text, "\"... is no date of the form"));
		}
		name[name_len] = 'n';
		buffer_fini(&record);
		run_fini(&run);
	}
}

/* ---- text ---- */

static void test_utf8(void **state)
{
	unsigned n_valid[5] = {0};
	uint32_t character;
	char bytes[4];

	(void)state;
	for (unsigned a = 0; a < 0x100; a++) {
		for (unsigned b = 0; b < 0x10000; b++) {
			bytes[0] = (char)a;
			bytes[1] = (char)(b >> 8);
			bytes[2] = (char)b;
			n_valid[0] = utf8_decode(bytes, 3, &character);
			assert_true(n_valid[0] < 4);
			n_valid[n_valid[0]]++;
		}
	}
	assert_int_equal(n_valid[1], 0x80 * 0x10000);
	assert_int_equal(n_valid[2], (0x800 - 0x80) * 0x100);
	assert_int_equal(n_valid[3], 0x10000 - 0x800 - 0x800);
	for (uint32_t c = 0x10000; c < 0x120000; c++) {
		bytes[0] = (char)(0xf0 | c >> 18);
		bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (c & 0x3f));
		assert_int_equal(utf8_decode(bytes, 3, &character), 0);
		assert_int_equal(utf8_decode(bytes, 4, &character), c <= 0x10ffff ? 4 : 0);
		assert_true(c > 0x10ffff || character == c);
	}
	assert_int_equal(utf8_decode("\xf0\x8f\xbf\xbf", 4, &character), 0);
	assert_int_equal(utf8_decode("", 0, &character), 0);
}

static void test_fold(void **state)
{
	static const struct {
		const char *text, *want;
		enum text_fault fault;
	} cases[] = {
		{"", "", TEXT_FINE},
		{" ", "", TEXT_FINE},
		{"a", "a", TEXT_FINE},
		{" \t\n\v\f\r a \t\n\v\f\r b \t\n\v\f\r ", "a b", TEXT_FINE},
		{"\u00a0a\u00a0\u00a0b\u00a0", "a b", TEXT_FINE},
		{"a\xc2\x85\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000b", "a b", TEXT_FINE},
		{"a\u1fff\u200b\u180e\ufeff\xc2\x84\xc2\x86" "b",
			"a\u1fff\u200b\u180e\ufeff\xc2\x84\xc2\x86" "b",
			TEXT_FINE},
		{"\x7f\x1f", "\x7f\x1f", TEXT_FINE},
		{"  \xff  x", "\xff x", TEXT_NO_UTF8},
		{"x  \xe0\xa4", "x \xe0\xa4", TEXT_NO_UTF8},
	};
	char out[64];
	size_t len;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(text_fold(cases[i].text, strlen(cases[i].text), out, &len),
			cases[i].fault);
		out[len] = '\0';
		assert_string_equal(out, cases[i].want);
		/* in place, and twice is once */
		assert_int_equal(normalise_text(out, len, out), len);
		assert_string_equal(out, cases[i].want);
	}
	assert_int_equal(text_fold("a\0 \xff", 4, out, &len), TEXT_HAS_NUL);
	assert_int_equal(len, 4);
	assert_int_equal(text_fold("\xff\0", 2, out, &len), TEXT_NO_UTF8);
}

/* What is said to be folded is as text_fold() leaves it; and nothing else of ASCII is passed over. */
static void check_folded(const char *text, size_t len)
{
	char out[64];
	size_t out_len;
	bool plain = true, same;

	for (size_t i = 0; i < len; i++) {
		plain &= text[i] >= ' ';
	}
	same = text_fold(text, len, out, &out_len) == TEXT_FINE && out_len == len &&
		memcmp(out, text, len) == 0;
	assert_int_equal(text_is_folded(text, len), plain && same);
}

/* Every text of three places out of seven bytes, at each place of two words. */
static void test_is_folded(void **state)
{
	static const char bytes[] = {'a', ' ', '\t', '\x1f', '\x7f', '\xc3', '\xa0'};
	char text[20];

	(void)state;
	for (unsigned i = 0; i < 7 * 7 * 7; i++) {
		for (size_t at = 0; at + 3 <= sizeof(text); at++) {
			memset(text, 'x', sizeof(text));
			text[at] = bytes[i % 7];
			text[at + 1] = bytes[i / 7 % 7];
			text[at + 2] = bytes[i / 49];
			check_folded(text, sizeof(text));
			check_folded(text, at + 3);
			check_folded(text + at, 3);
			check_folded(text + at, sizeof(text) - at);
		}
	}
	assert_true(text_is_folded("", 0));
}

/* ---- dates ---- */

/* The date that was read last is remembered by its text. */
static void test_dates_in_a_row(void **state)
{
	struct run run = {0};

	(void)state;
	fixture_init(&run.fixture);
	fixture_add_column(&run.fixture, "d", COLUMN_DATE);
	check_names(&run,
		"{\"d\":\"20/11/2026\"},{\"d\":\"20/11/2026\"},{\"d\":\" 20/11/2026 \"},{\"d\":\"31/02/2026\"},"
		"{\"d\":\"31/02/2026\"},{\"d\":\"20/11/2026\"},{\"d\":\"2/1/2026\"},{\"d\":\"20/11/20261\"}",
		"2026-11-20\n2026-11-20\n2026-11-20\nbad_date 0\nbad_date 0\n2026-11-20\n"
		"2026-01-02\nbad_date 0\n");
	run_fini(&run);
}

static const struct date_case {
	const char *format, *text, *want; /* NULL: no date */
} dates[] = {
	{"%d/%m/%Y", "20/11/2026", "2026-11-20"},
	{"%d/%m/%Y", "1/1/0001", "0001-01-01"},
	{"%d/%m/%Y", "31/12/9999", "9999-12-31"},
	{"%d/%m/%Y", "29/02/2000", "2000-02-29"},
	{"%Y%m%d", "20261120", "2026-11-20"},
	{"%Y-%m-%dT%H:%M:%S%z", "2026-11-20T23:59:59Z", "2026-11-20"},
	{"%m.%d.%Y %%", "11.20.2026 %", "2026-11-20"},
	{"%d/%m/%Y", "29/02/1900", NULL},
	{"%d/%m/%Y", "29/02/2026", NULL},
	{"%d/%m/%Y", "31/04/2026", NULL},
	{"%d/%m/%Y", "00/01/2026", NULL},
	{"%d/%m/%Y", "01/00/2026", NULL},
	{"%d/%m/%Y", "01/13/2026", NULL},
	{"%d/%m/%Y", "01/01/0000", NULL},
	{"%d/%m/%Y", "001/01/2026", NULL},
	{"%d/%m/%Y", "01/01/226", NULL},
	{"%d/%m/%Y", "01/01/26", NULL},
	{"%d/%m/%Y", "01/01/20261", NULL},
	{"%d/%m/%Y", "01/01/2026 ", NULL},
	{"%d/%m/%Y", " 01/01/2026", NULL},
	{"%d/%m/%Y", "-1/01/2026", NULL},
	{"%d/%m/%Y", "+1/01/2026", NULL},
	{"%d/%m/%Y", "01-01-2026", NULL},
	{"%d/%m/%Y", "01/01/2026x", NULL},
	{"%d/%m/%Y", "01/01/", NULL},
	{"%d/%m/%Y", "01/01", NULL},
	{"%d/%m/%Y", "", NULL},
	{"%d/%m/%Y %H:%M", "01/01/2026 24:00", NULL},
	{"%d/%m/%Y %H:%M", "01/01/2026 23:60", NULL},
	{"%d/%m/%Y %H:%M:%S", "31/12/2016 23:59:60", NULL},
	{"%m/%Y", "01/2026", NULL},
	{"%Y", "2026", NULL},
	{"", "", NULL},
	{"%d/%m/%Y%", "01/01/2026%", NULL},
	{"%d/%m/%y", "01/01/26", NULL},
};

static void test_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(dates); i++) {
		const struct date_case *c = &dates[i];
		struct buffer out = {0};
		int32_t day = -1;
		int64_t us;

		assert_int_equal(date_parse(c->text, strlen(c->text), c->format, &day),
			c->want ? 0 : -1);
		assert_int_equal(timestamp_parse(c->text, strlen(c->text), c->format, &us),
			c->want ? 0 : -1);
		if (c->want) {
			date_format(day, "%Y-%m-%d", &out);
			assert_string_equal(buffer_str(&out), c->want);
		}
		buffer_fini(&out);
	}
}

/* Every day of the years 1 to 9999, counted by hand. */
static void test_calendar(void **state)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int32_t day = -719162; /* 0001-01-01 */
	struct buffer out = {0};

	(void)state;
	for (int y = 1; y <= 9999; y++) {
		for (int m = 1; m <= 12; m++) {
			int leap = m == 2 && (y % 400 == 0 || (y % 4 == 0 && y % 100 != 0));

			for (int d = 1; d <= lengths[m - 1] + leap; d++, day++) {
				int32_t parsed;
				char text[40];
				int n = snprintf(text, sizeof(text), "%d-%02d-%04d", d, m, y);

				assert_int_equal(date_parse(text, (size_t)n, "%d-%m-%Y", &parsed),
					0);
				assert_int_equal(parsed, day);
				buffer_clear(&out);
				date_format(day, "%d-%m-%Y", &out);
				assert_string_equal(buffer_str(&out) + (d < 10), text);
			}
		}
	}
	assert_int_equal(day, 2932897); /* 10000-01-01 */
	buffer_fini(&out);
}

static void test_timestamps(void **state)
{
	static const struct {
		const char *format, *text;
		int64_t seconds; /* INT64_MIN: none */
	} cases[] = {
		{"%d-%m-%Y %H:%M:%S", "01-01-1970 05:30:00", 0},
		{"%d-%m-%Y %H:%M:%S", "1-1-1970 5:29:59", -1},
		{"%d-%m-%Y", "01-01-1970", -19800},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00Z", 0},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00+00:00", 0},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T05:30:00+0530", 0},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T05:00:00+05", 0},
		{"%Y-%m-%dT%H:%M:%S%z", "1969-12-31T19:00:00-05:00", 0},
		{"%Y-%m-%dT%H:%M:%S%z", "2025-12-08T05:02:21Z", 1765170141},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00", INT64_MIN},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00z", INT64_MIN},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00+5", INT64_MIN},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00+05:3", INT64_MIN},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00+05:", INT64_MIN},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00+16:00", INT64_MIN},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00+05:60", INT64_MIN},
		{"%Y-%m-%dT%H:%M:%S%z", "1970-01-01T00:00:00Zx", INT64_MIN},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		int64_t us = 0;
		int r = timestamp_parse(cases[i].text, strlen(cases[i].text), cases[i].format, &us);

		assert_int_equal(r, cases[i].seconds == INT64_MIN ? -1 : 0);
		assert_true(r < 0 || us == cases[i].seconds * 1000000);
	}
}

static void test_date_format(void **state)
{
	struct buffer out = {0};

	(void)state;
	date_format(20777, "%d-%m-%Y %H:%M:%S%z 100%% %", &out);
	assert_string_equal(buffer_str(&out), "20-11-2026 00:00:00+05:30 100% %");
	buffer_fini(&out);
}

/* ---- whole pages ---- */

static void test_golden(void **state)
{
	static const char want[] =
		"'Kerala'|'Thiruvananthapuram'|'Nedumangad VFPCK'|'Banana'|'Nendra Bale'|'Medium'|"
		"2026-11-20|4200|4500.50|4350.333333333330\n"
		"'Tamil Nadu'|'Theni'|'Theni (Uzhavar Sandhai )'|'Peas(Dry)'|'Other'|'Grade A'|"
		"2026-11-20|120000|NULL|0.26\n"
		"'Delhi'|'Delhi'|'Azadpur \"new\"'|'Pea Pod/हरी मटर'|'हरी'|'🌱'|"
		"2026-11-20|1000|NULL|0.0\n"
		"missing 1\n";
	struct data page = data_read("page-mandi.json");
	struct run run = {0};
	const char *records = strstr(page.bytes, "[\n  {\"state\"") + 1;

	(void)state;
	fixture_mandi(&run.fixture);
	run_page(&run, records, (size_t)(strrchr(page.bytes, ']') - records));
	assert_string_equal(buffer_str(&run.out), want);
	assert_string_equal(run.reject.text, "district: not in the record, but a value is due");
	assert_int_equal(normaliser_drift(run.normaliser), -1);
	run_fini(&run);
	data_free(&page);
}

/* A real day: every price has the digits that were served. */
static int on_sample_record(void *arg, const struct record *record)
{
	struct run *run = arg;
	struct field row[FIXTURE_COLUMNS];
	struct buffer *out = &run->out;

	arena_reset(&run->arena);
	if (normalise(run->normaliser, record, &run->arena, row, &run->reject) != 0) {
		run->n_rejects++;
		return 0;
	}
	for (unsigned i = 7; i < 10; i++) {
		buffer_clear(out);
		show_field(out, COLUMN_NUMERIC, row[i]);
		assert_int_equal(out->len, record->fields[i].len);
		assert_memory_equal(out->data, record->fields[i].text, out->len);
	}
	assert_int_equal(field_to_date(row[6]), 20430); /* 2025-12-08 */
	run->n_rows++;
	return 0;
}

static void run_sample(struct run *run, const struct data *page)
{
	struct error error = {0};
	struct envelope envelope;
	struct decode *decode;

	assert_int_equal(normaliser_new(&run->fixture.source, &run->normaliser), 0);
	assert_int_equal(decode_new(on_sample_record, run, &decode), 0);
	assert_int_equal(decode_feed(decode, page->bytes, page->len, &error), 0);
	assert_int_equal(decode_finish(decode, &envelope, &error), 0);
	assert_int_equal(normaliser_drift(run->normaliser), -1);
	decode_free(decode);
}

static void test_sample(void **state)
{
	struct data page = sample_read("mandi_daily_2025-12-08_4832rows_full_api_response.json");
	struct run run = {0}, bounded = {0};

	(void)state;
	if (!page.bytes) {
		skip();
	}
	fixture_mandi(&run.fixture);
	for (unsigned i = 7; i < 10; i++) {
		run.fixture.columns[i].has_min = false;
	}
	run_sample(&run, &page);
	assert_int_equal(run.n_rows, 4832);
	assert_int_equal(run.n_rejects, 0);
	run_fini(&run);

	/* One price of that day is negative. */
	fixture_mandi(&bounded.fixture);
	run_sample(&bounded, &page);
	assert_int_equal(bounded.n_rows, 4831);
	assert_int_equal(bounded.n_rejects, 1);
	assert_int_equal(bounded.reject.reason, REJECT_OUT_OF_RANGE);
	assert_string_equal(bounded.reject.text, "min_price: -4000 is below 0");
	run_fini(&bounded);
	data_free(&page);
}

/* The historical resource, as strings in 2025 and as numbers in 2026. */
static void test_sample_strings_and_numbers(void **state)
{
	static const char *const names[] = {"State", "District", "Market", "Commodity", "Variety", "Grade",
		"Arrival_Date", "Min_Price", "Max_Price", "Modal_Price"};
	struct data page = sample_read("historical_35985678_records_2025-2026.json");
	const char *begin, *end;
	struct run run = {0};

	(void)state;
	if (!page.bytes) {
		skip();
	}
	fixture_mandi(&run.fixture);
	for (unsigned i = 0; i < N_ELEMENTS(names); i++) {
		run.fixture.names[i][0] = (char *)names[i];
	}
	begin = strchr(page.bytes, '[') + 1;
	end = strrchr(page.bytes, ']');
	run_page(&run, begin, (size_t)(end - begin));
	assert_non_null(strstr(buffer_str(&run.out),
		"'Andhra Pradesh'|'Kurnool'|'Adoni'|'Cotton'|'Bunny'|'FAQ'|2025-10-18|4016|7569|7299\n"));
	assert_non_null(strstr(buffer_str(&run.out),
		"'Gujarat'|'Amreli'|'Amreli APMC'|'Soyabean'|'Soyabeen'|'FAQ'|2026-02-10|4875|"));
	assert_int_equal(run.n_rejects, 0);
	run_fini(&run);
	data_free(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_shared_and_long_names),
		cmocka_unit_test(test_required_and_drift),
		cmocka_unit_test(test_reason_names),
		cmocka_unit_test(test_reject_text_is_cut),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_is_folded),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_dates_in_a_row),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_date_format),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_sample_strings_and_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
