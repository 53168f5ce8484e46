/*
 * Pages to records, whole and in pieces. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/decode.h"
#include "lib/buffer.h"
#include "tests/unit/data.h"

/* What came out of a page, as one text that can be compared. */
struct outcome {
	struct buffer records; /* a line each, see dump_record() */
	struct buffer raw;     /* the raw bytes of all records, one after the other */
	struct envelope envelope;
	struct error error;
	int fed, finished; /* what the calls returned */
	uint64_t stop_at;  /* on_record returns 42 at this record; UINT64_MAX: never */
};

static void outcome_fini(struct outcome *outcome)
{
	buffer_fini(&outcome->records);
	buffer_fini(&outcome->raw);
}

/* Control bytes and bytes beyond ASCII as \xNN, so that a test can show them. */
static void dump_text(struct buffer *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= ' ' && c < 0x7f) {
			buffer_append_char(out, (char)c);
		} else {
			buffer_printf(out, "\\x%02x", c);
		}
	}
}

/* "0@12 {a=s:text|b=n:1.50|c=null|d=b:true|e=nested|f=bad:\ud800}" */
static void dump_record(struct buffer *out, const struct record *record)
{
	static const char *const kinds[] = {"null", "s:", "n:", "b:", "nested"};

	buffer_printf(out, "%llu@%llu {", (unsigned long long)record->index,
		(unsigned long long)record->offset);
	for (unsigned i = 0; i < record->n_fields; i++) {
		const struct record_field *f = &record->fields[i];

		buffer_append_str(out, i ? "|" : "");
		dump_text(out, f->name, f->name_len);
		buffer_printf(out, "=%s", f->bad_escape ? "bad:" : kinds[f->kind]);
		dump_text(out, f->text, f->len);
	}
	buffer_append_str(out, "}\n");
}

static int on_record(void *arg, const struct record *record)
{
	struct outcome *outcome = arg;

	assert_int_equal(record->raw[0], '{');
	assert_int_equal(record->raw[record->raw_len - 1], '}');
	dump_record(&outcome->records, record);
	buffer_append(&outcome->raw, record->raw, record->raw_len);
	return record->index == outcome->stop_at ? 42 : 0;
}

/* Each piece lies in memory of its own, so that a pointer into an old one is found out. */
static void feed(
	struct decode *decode, struct outcome *outcome, const char *data, size_t len, size_t piece)
{
	for (size_t at = 0; at < len && outcome->fed == 0; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		char *copy = malloc(n);

		memcpy(copy, data + at, n);
		outcome->fed = decode_feed(decode, copy, n, &outcome->error);
		memset(copy, 'x', n);
		free(copy);
	}
	outcome->finished = decode_finish(decode, &outcome->envelope, &outcome->error);
	assert_false(buffer_failed(&outcome->records));
}

static void run(struct outcome *outcome, const char *data, size_t len, size_t piece)
{
	struct decode *decode;

	*outcome = (struct outcome){.stop_at = UINT64_MAX};
	assert_int_equal(decode_new(on_record, outcome, &decode), 0);
	feed(decode, outcome, data, len, piece);
	assert_null(decode_free(decode));
}

/* A page of one record. */
#define PAGE(record) "{\"total\":1,\"records\":[" record "]}"

static const struct good_case {
	const char *body;
	size_t len; /* 0: strlen */
	const char *records;
} good_cases[] = {
	/* kinds, and digits as served */
	{PAGE("{\"a\":\"x\",\"b\":1.50,\"c\":null,\"d\":true,\"e\":false}"), 0,
		"0@22 {a=s:x|b=n:1.50|c=null|d=b:true|e=b:false}\n"},
	{PAGE("{\"a\":-0.0,\"b\":1E+05,\"c\":123456789012345678901234567890.10}"), 0,
		"0@22 {a=n:-0.0|b=n:1E+05|c=n:123456789012345678901234567890.10}\n"},
	{PAGE("{}"), 0, "0@22 {}\n"},
	{PAGE("{\"\":\"\"}"), 0, "0@22 {=s:}\n"},
	{PAGE("{ }\n, {\"a\" : 1\t}\r\n"), 0, "0@22 {}\n1@28 {a=n:1}\n"},
	/* nested values are named, not read */
	{PAGE("{\"a\":[1,{\"b\":\"}\"}],\"c\":{\"a\":2},\"d\":3}"), 0,
		"0@22 {a=nested|c=nested|d=n:3}\n"},
	/* a name twice: both, in order */
	{PAGE("{\"a\":1,\"a\":2}"), 0, "0@22 {a=n:1|a=n:2}\n"},
	/* escapes */
	{PAGE("{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}"), 0,
		"0@22 {a=s:\"\\/\\x08\\x0c\\x0a\\x0d\\x09}\n"},
	{PAGE("{\"a\":\"\\u0041\\u00a0\\u0939\\ud83c\\udf31\"}"), 0,
		"0@22 {a=s:A\\xc2\\xa0\\xe0\\xa4\\xb9\\xf0\\x9f\\x8c\\xb1}\n"},
	{PAGE("{\"\\u0061b\":\"c\",\"\\\\\":\"\\\\\\\\\"}"), 0, "0@22 {ab=s:c|\\=s:\\\\}\n"},
	{PAGE("{\"a\":\"\\u0000z\"}"), 0, "0@22 {a=s:\\x00z}\n"},
	/* half surrogates: the record's trouble, shown as served */
	{PAGE("{\"a\":\"\\ud83d\"}"), 0, "0@22 {a=bad:\\ud83d}\n"},
	{PAGE("{\"a\":\"x\\ud83dyz\"}"), 0, "0@22 {a=bad:x\\ud83dyz}\n"},
	{PAGE("{\"a\":\"\\ud83d\\u0041\"}"), 0, "0@22 {a=bad:\\ud83d\\u0041}\n"},
	{PAGE("{\"a\":\"\\ud83d\\ud83d\\ude00\"}"), 0, "0@22 {a=bad:\\ud83d\\ud83d\\ude00}\n"},
	{PAGE("{\"a\":\"\\uDE00\"}"), 0, "0@22 {a=bad:\\uDE00}\n"},
	{PAGE("{\"a\":\"\\ude00\\ud83d\"}"), 0, "0@22 {a=bad:\\ude00\\ud83d}\n"},
	{PAGE("{\"a\":\"\\ud83d\\ude00\\ud83d\\n\"}"), 0,
		"0@22 {a=bad:\\ud83d\\ude00\\ud83d\\n}\n"},
	/* ... and what only looks like one */
	{PAGE("{\"a\":\"\\\\ud83d\",\"b\":\"\\u0000d83d\"}"), 0,
		"0@22 {a=s:\\ud83d|b=s:\\x00d83d}\n"},
	{PAGE("{\"a\":\"\\\"\",\"b\":\"\\\\\",\"c\":\"\\ud800\",\"d\":\"\\n\"}"), 0,
		"0@22 {a=s:\"|b=s:\\|c=bad:\\ud800|d=s:\\x0a}\n"},
	/* invalid UTF-8 is handed on */
	{PAGE("{\"a\":\"x\xff\xc0\xaf\xed\xa0\x80y\"}"), 0,
		"0@22 {a=s:x\\xff\\xc0\\xaf\\xed\\xa0\\x80y}\n"},
	{PAGE("{\"a\":\"\x7f\"}"), 0, "0@22 {a=s:\\x7f}\n"},
	/* `records` anywhere, and in the wrong place */
	{"{\"records\":[{\"a\":1}],\"total\":1}", 0, "0@12 {a=n:1}\n"},
	{"{\"x\":{\"records\":[{\"a\":1}]},\"total\":0,\"records\":[]}", 0, ""},
	{"{\"x\":[\"records\",[{\"records\":[1]}]],\"total\":0,\"records\":[]}", 0, ""},
	{"{\"total\":0,\"records\":null}", 0, ""},
	{"{}", 0, ""},
	/* around the page */
	{" \r\n\t{\"records\":[{}]} \r\n\t", 0, "0@16 {}\n"},
	{"\xef\xbb\xbf{\"records\":[{}]}", 0, "0@15 {}\n"},
	{"\xef\xbb\xbf\n{\"records\":[{}]}\n", 0, "0@16 {}\n"},
};

static const struct bad_case {
	const char *body;
	size_t len; /* 0: strlen */
	const char *code, *text;
} bad_cases[] = {
	{"", 0, "empty_body", "the answer is empty"},
	{" \r\n\t", 0, "empty_body", "the answer is empty"},
	{"\xef\xbb\xbf", 0, "empty_body", "the answer is empty"},
	{"\xef\xbb", 0, "bad_json", "byte 2: the page ends here, in the middle"},
	{"\xef\xbb{}", 0, "not_json", "byte 0: begins with byte 0xef, not with '{'"},
	{"\xef\xbb\xbf\xef\xbb\xbf{}", 0, "not_json",
		"byte 3: begins with byte 0xef, not with '{'"},
	{" \xef\xbb\xbf{}", 0, "not_json", "byte 1: begins with byte 0xef, not with '{'"},
	{"<html>\r\n<head><title>502 Bad Gateway</title></head>", 0, "not_json",
		"byte 0: begins with '<' (HTML?), not with '{'"},
	{"\n <?xml version=\"1.0\"?>", 0, "not_json",
		"byte 2: begins with '<' (HTML?), not with '{'"},
	{"[{\"a\":1}]", 0, "not_json", "byte 0: begins with '[', not with '{'"},
	{"\"x\"", 0, "not_json", "byte 0: begins with '\"', not with '{'"},
	{"null", 0, "not_json", "byte 0: begins with 'n', not with '{'"},
	{"\0{}", 3, "not_json", "byte 0: begins with byte 0x00, not with '{'"},
	{"{", 0, "bad_json", "byte 1: the page ends here, in the middle"},
	{"{\"records\":[{\"a\":1},{\"a\":2", 0, "bad_json",
		"record 1, byte 26: the page ends here, in the middle"},
	{"{\"records\":[{\"a\":1}]", 0, "bad_json", "byte 20: the page ends here, in the middle"},
	/* behind the end */
	{"{}{}", 0, "bad_json", "byte 2: more after the end"},
	{"{}}", 0, "bad_json", "byte 2: more after the end"},
	{"{}\n\n\"abc", 0, "bad_json", "byte 4: more after the end"},
	{"{} 1", 0, "bad_json", "byte 3: more after the end"},
	{"{}\0", 3, "bad_json", "byte 2: more after the end"},
	{PAGE("{}") "<!-- served by -->", 0, "bad_json", "byte 26: more after the end"},
	/* what is no record */
	{PAGE("1"), 0, "bad_json", NULL},
	{PAGE("{},\"x\""), 0, "bad_json", NULL},
	{PAGE("null"), 0, "bad_json", "record 0, byte 26: a record that is no object"},
	{PAGE("{},{},[{}]"), 0, "bad_json", "record 2, byte 29: a record that is no object"},
	{PAGE("{},true"), 0, "bad_json", "record 1, byte 29: a record that is no object"},
	{"{\"records\":{\"0\":{}}}", 0, "bad_json", "byte 12: `records` is no list"},
	{"{\"records\":\"none\"}", 0, "bad_json", "byte 17: `records` is no list"},
	{"{\"records\":[],\"records\":[]}", 0, "bad_json", "byte 25: a second `records`"},
	/* grammar */
	{PAGE("{\"a\":NaN}"), 0, "bad_json",
		"record 0, byte 28: lexical error: invalid char in json text."},
	{PAGE("{\"a\":01}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":+1}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":.5}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":1.}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":0x10}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":Infinity}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":1,}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":1}{\"a\":1}"), 0, "bad_json", NULL},
	{PAGE("{\"a\" 1}"), 0, "bad_json", NULL},
	{PAGE("{a:1}"), 0, "bad_json", NULL},
	{PAGE("{'a':1}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":1 /* one */}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":\"\t\"}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":\"\\x\"}"), 0, "bad_json", NULL},
	{PAGE("{\"a\":\"\\u12g4\"}"), 0, "bad_json", NULL},
	{"{\"records\":[{\"a\":\"\0\"}]}", 23, "bad_json", NULL},
	{PAGE("{\"a\":1]"), 0, "bad_json", NULL},
	{PAGE("{},"), 0, "bad_json", NULL},
};

static size_t case_len(const char *body, size_t len)
{
	return len ? len : strlen(body);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good_cases); i++) {
		const struct good_case *c = &good_cases[i];
		struct outcome outcome;

		run(&outcome, c->body, case_len(c->body, c->len), SIZE_MAX / 2);
		assert_string_equal(outcome.error.text, "");
		assert_int_equal(outcome.fed, 0);
		assert_int_equal(outcome.finished, 0);
		assert_string_equal(buffer_str(&outcome.records), c->records);
		outcome_fini(&outcome);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad_cases); i++) {
		const struct bad_case *c = &bad_cases[i];
		struct outcome outcome;

		run(&outcome, c->body, case_len(c->body, c->len), SIZE_MAX / 2);
		assert_int_equal(outcome.finished, -1);
		assert_int_equal(outcome.error.class, ERROR_RETRY);
		assert_string_equal(outcome.error.where, "decode");
		assert_string_equal(outcome.error.code, c->code);
		if (c->text) {
			assert_string_equal(outcome.error.text, c->text);
		}
		outcome_fini(&outcome);
	}
}

/*
 * However a page is cut, the same comes out. yajl's byte of an error may be off by the token that
 * was cut, so of texts only what is before the number is compared.
 */
static void check_same(const struct outcome *a, const struct outcome *b)
{
	size_t n = strcspn(a->error.text, "0123456789");

	assert_int_equal(a->finished, b->finished);
	assert_string_equal(a->error.code, b->error.code);
	assert_int_equal(strncmp(a->error.text, b->error.text, n), 0);
	assert_string_equal(buffer_str(&a->records), buffer_str(&b->records));
	assert_int_equal(a->raw.len, b->raw.len);
	assert_string_equal(buffer_str(&a->raw), buffer_str(&b->raw));
	assert_memory_equal(&a->envelope, &b->envelope, sizeof(a->envelope));
}

static void check_pieces(const char *body, size_t len)
{
	static const size_t pieces[] = {1, 2, 3, 5, 7, 11, 31, 64};
	struct outcome whole;

	run(&whole, body, len, SIZE_MAX / 2);
	for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
		struct outcome cut;

		run(&cut, body, len, pieces[i]);
		check_same(&whole, &cut);
		outcome_fini(&cut);
	}
	/* and cut once, at each byte */
	for (size_t i = 1; i < len; i++) {
		struct outcome cut = {.stop_at = UINT64_MAX};
		struct decode *decode;

		assert_int_equal(decode_new(on_record, &cut, &decode), 0);
		cut.fed = decode_feed(decode, body, i, &cut.error);
		feed(decode, &cut, body + i, len - i, len);
		decode_free(decode);
		check_same(&whole, &cut);
		outcome_fini(&cut);
	}
	outcome_fini(&whole);
}

static void test_pieces(void **state)
{
	struct data page = data_read("page-mandi.json");

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good_cases); i++) {
		check_pieces(good_cases[i].body, case_len(good_cases[i].body, good_cases[i].len));
	}
	for (size_t i = 0; i < N_ELEMENTS(bad_cases); i++) {
		check_pieces(bad_cases[i].body, case_len(bad_cases[i].body, bad_cases[i].len));
	}
	check_pieces(page.bytes, page.len);
	data_free(&page);
}

/* ---- plain records: taken past yajl when they come whole, never when they come byte by byte ---- */

static void check_plain(const char *record, size_t len)
{
	static const char before[] = "{\"total\":1,\"records\":[{\"a\":1,\"b\":\"x\"},{\"a\":2,\"b\":\"\"},";
	struct buffer page = {0};
	struct outcome whole, cut;

	buffer_append_str(&page, before);
	buffer_append(&page, record, len);
	buffer_append_str(&page, " , {\"a\":3,\"b\":\"y\"}]}");
	run(&whole, page.data, page.len, SIZE_MAX / 2);
	run(&cut, page.data, page.len, 1);
	check_same(&whole, &cut);
	outcome_fini(&whole);
	outcome_fini(&cut);
	buffer_fini(&page);
}

/* What is inside the list of a case. */
static void check_plain_case(const char *body, size_t len)
{
	const char *list = strchr(body, '['), *end = body + len;

	while (end > body && end[-1] != ']') {
		end--;
	}
	if (list && list + 1 < end) {
		check_plain(list + 1, (size_t)(end - list) - 2);
	}
}

static void test_plain(void **state)
{
	static const char *const records[] = {
		"{\"a\":0,\"b\":\"seven77\"}", "{\"a\":-0.50,\"b\":\"eight888\"}",
		"{\"a\":10,\"b\":\"nine 9999\"}", "{\"b\":1,\"a\":2}", "{\"a\":1}", "{}",
		"{ \"a\" : 1 ,\t\"b\"\r\n:\tnull }", "{\"a\":1,\"b\":2,\"c\":\"\"}",
		"{\"a\":1e5,\"b\":true}", "{\"a\":\"\\u0041\",\"b\":\"x\\\"},{\"}",
		"{\"a\":\"\xe0\xa4\xb9\xff\",\"b\":[]}", "{\"a\":\"}\",\"b\":\",{\"}",
		/* malformed */
		"{\"a\":01,\"b\":1}", "{\"a\":-,\"b\":1}", "{\"a\":1.,\"b\":1}", "{\"a\":.5}",
		"{\"a\":1,\"b\":2,}", "{,\"a\":1}", "{\"a\":1 \"b\":2}", "{\"a\" 1}", "{\"a\":}",
		"{\"a\":nul}", "{\"a\":nulll}", "{\"a\":1x}", "{\"a\":\"tab\tin it\"}", "{a:1}",
		"{\"a\":\"no end}", "", ",", "{\"a\":1}{\"a\":2}", "{\"a\":1},,{\"a\":2}", "7",
		"{\"a\":\"12345678\n\"}", "{\"a\":1}]", "{\"a\":1}}", "{\"a\":1}, {\"a\":2} x",
		"{\"a\":1,\"b\":2}\"}", /* yajl waits for the end of a text, not at rest */
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(records); i++) {
		check_plain(records[i], strlen(records[i]));
	}
	for (size_t i = 0; i < N_ELEMENTS(good_cases); i++) {
		check_plain_case(good_cases[i].body, case_len(good_cases[i].body, good_cases[i].len));
	}
	for (size_t i = 0; i < N_ELEMENTS(bad_cases); i++) {
		check_plain_case(bad_cases[i].body, case_len(bad_cases[i].body, bad_cases[i].len));
	}
}

struct shapes {
	uint64_t seen[16];
	unsigned n;
};

static int note_shape(void *arg, const struct record *record)
{
	struct shapes *shapes = arg;

	shapes->seen[shapes->n++] = record->shape;
	return 0;
}

/* A shape is of the names and their order, in this page and in any other. */
static void test_shape(void **state)
{
	static const char page[] =
		"{\"total\":8,\"records\":[{\"a\":0,\"b\":0},{\"a\":1,\"b\":2},{\"a\":\"\",\"b\":null},"
		"{\"b\":1,\"a\":2},{\"a\":1},{\"a\":1,\"b\":2,\"c\":3},{\"a\":1,\"x\":[]},{\"a\":3,\"b\":4}]}";
	struct shapes shapes = {0};
	struct envelope envelope;
	struct error error = {0};
	struct decode *decode;

	(void)state;
	assert_int_equal(decode_new(note_shape, &shapes, &decode), 0);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(decode_feed(decode, page, sizeof(page) - 1, &error), 0);
		assert_int_equal(decode_finish(decode, &envelope, &error), 0);
		decode_reset(decode);
	}
	decode_free(decode);
	assert_int_equal(shapes.n, 16);
	assert_true(shapes.seen[0] == 0); /* the first of a page is yajl's */
	assert_true(shapes.seen[1] != 0);
	assert_true(shapes.seen[2] == shapes.seen[1]);
	assert_true(shapes.seen[3] != shapes.seen[1] && shapes.seen[3] != 0);
	assert_true(shapes.seen[4] != shapes.seen[1] && shapes.seen[4] != 0);
	assert_true(shapes.seen[5] != shapes.seen[1] && shapes.seen[5] != shapes.seen[4]);
	assert_true(shapes.seen[6] == 0);
	assert_true(shapes.seen[7] == shapes.seen[1]);
	assert_memory_equal(shapes.seen, shapes.seen + 8, 8 * sizeof(shapes.seen[0]));
}

/* A page that is cut short is never a short page. */
static void test_truncated(void **state)
{
	struct data page = data_read("page-mandi.json");
	size_t end = page.len;

	(void)state;
	while (page.bytes[end - 1] != '}') {
		end--;
	}
	for (size_t len = 0; len < end; len++) {
		for (size_t piece = 1; piece <= 1024; piece *= 32) {
			struct outcome outcome;

			run(&outcome, page.bytes, len, piece);
			assert_int_equal(outcome.finished, -1);
			assert_string_equal(outcome.error.code, len ? "bad_json" : "empty_body");
			outcome_fini(&outcome);
		}
	}
	for (size_t len = end; len <= page.len; len++) {
		struct outcome outcome;

		run(&outcome, page.bytes, len, 100);
		assert_int_equal(outcome.finished, 0);
		assert_int_equal(outcome.envelope.n_records, 4);
		outcome_fini(&outcome);
	}
	data_free(&page);
}

static void test_golden(void **state)
{
	struct data page = data_read("page-mandi.json");
	struct data want = data_read("page-mandi.records");
	struct outcome outcome;

	(void)state;
	run(&outcome, page.bytes, page.len, 4096);
	assert_string_equal(outcome.error.text, "");
	assert_string_equal(buffer_str(&outcome.records), want.bytes);
	assert_true(outcome.envelope.has_status && outcome.envelope.status_ok);
	assert_true(outcome.envelope.has_records);
	assert_int_equal(outcome.envelope.total, 7);
	assert_int_equal(outcome.envelope.count, 4);
	assert_int_equal(outcome.envelope.n_records, 4);
	assert_int_equal(outcome.envelope.limit, 4);
	assert_int_equal(outcome.envelope.offset, 0);
	assert_int_equal(outcome.envelope.updated, 1795165200);
	assert_string_equal(outcome.envelope.message, "Resource lists");
	assert_int_equal(envelope_check(&outcome.envelope, &outcome.error), 0);
	outcome_fini(&outcome);
	data_free(&page);
	data_free(&want);
}

/* ---- the envelope ---- */

static const struct envelope_case {
	const char *body;
	int64_t total, count, updated, limit, offset; /* -1: absent */
	const char *code, *text;                      /* of envelope_check, NULL: it passes */
	enum error_class class;
} envelope_cases[] = {
	{"{\"total\":4832,\"count\":10,\"limit\":\"10\",\"offset\":\"20\",\"records\":[]}", 4832,
		10, -1, 10, 20, NULL, NULL, ERROR_NONE},
	{"{\"total\":\"4832\",\"count\":\"10\",\"limit\":10,\"offset\":20,\"records\":[]}", 4832,
		10, -1, 10, 20, NULL, NULL, ERROR_NONE},
	{"{\"total\":0,\"limit\":\"all\",\"offset\":null,\"records\":[],\"status\":\"ok\"}", 0, -1,
		-1, -1, -1, NULL, NULL, ERROR_NONE},
	{"{\"total\":1,\"records\":[],\"updated\":1765170141}", 1, -1, 1765170141, -1, -1, NULL,
		NULL, ERROR_NONE},
	{"{\"total\":1,\"records\":[],\"updated\":1687434829260}", 1, -1, 1687434829, -1, -1, NULL,
		NULL, ERROR_NONE},
	{"{\"total\":1,\"records\":[],\"updated\":\"1687434829260\"}", 1, -1, 1687434829, -1, -1,
		NULL, NULL, ERROR_NONE},
	{"{\"total\":1,\"records\":[],\"updated\":\"2026-11-20\"}", 1, -1, -1, -1, -1, NULL, NULL,
		ERROR_NONE},
	{"{\"total\":999999999999999999,\"records\":[]}", 999999999999999999, -1, -1, -1, -1, NULL,
		NULL, ERROR_NONE},
	{"{\"records\":[]}", -1, -1, -1, -1, -1, "no_total",
		"the answer has no `total` that is a number", ERROR_RETRY},
	{"{\"total\":-1,\"records\":[]}", -1, -1, -1, -1, -1, "no_total", NULL, ERROR_RETRY},
	{"{\"total\":1.0,\"records\":[]}", -1, -1, -1, -1, -1, "no_total", NULL, ERROR_RETRY},
	{"{\"total\":\"\",\"records\":[]}", -1, -1, -1, -1, -1, "no_total", NULL, ERROR_RETRY},
	{"{\"total\":null,\"records\":[]}", -1, -1, -1, -1, -1, "no_total", NULL, ERROR_RETRY},
	{"{\"total\":[7],\"records\":[]}", -1, -1, -1, -1, -1, "no_total", NULL, ERROR_RETRY},
	{"{\"total\":9999999999999999999,\"records\":[]}", -1, -1, -1, -1, -1, "no_total", NULL,
		ERROR_RETRY},
	{"{\"total\":7}", 7, -1, -1, -1, -1, "no_records", "the answer has no `records`",
		ERROR_RETRY},
	{"{\"total\":7,\"records\":null}", 7, -1, -1, -1, -1, "no_records", NULL, ERROR_RETRY},
	{"{\"message\":\"Meta not found\",\"version\":\"2.2.0\",\"status\":\"error\"}", -1, -1, -1,
		-1, -1, "portal_error", "the portal says: Meta not found", ERROR_REJECTED},
	{"{\"status\":\"error\",\"message\":\"Meta not found\",\"total\":0,\"records\":[]}", 0, -1,
		-1, -1, -1, "portal_error", "the portal says: Meta not found", ERROR_REJECTED},
	{"{\"status\":\"error\",\"message\":\"No living\\nconnections \u00e9\"}", -1, -1, -1, -1,
		-1, "portal_error", "the portal says: No living?connections ??", ERROR_RETRY},
	{"{\"status\":false,\"total\":0,\"records\":[]}", 0, -1, -1, -1, -1, "portal_error",
		"the portal says: (status is not ok)", ERROR_RETRY},
	{"{\"error\": \"Rate limit exceeded\"}", -1, -1, -1, -1, -1, "gateway_error",
		"the gateway says: Rate limit exceeded", ERROR_RETRY},
	{"{\"error\":\"a\",\"message\":\"b\"}", -1, -1, -1, -1, -1, "gateway_error",
		"the gateway says: a", ERROR_RETRY},
	{"{\"error\":{\"code\":1},\"total\":1,\"records\":[]}", 1, -1, -1, -1, -1, "gateway_error",
		"the gateway says: (nothing)", ERROR_RETRY},
	{"{\"error\":null,\"total\":1,\"records\":[]}", 1, -1, -1, -1, -1, NULL, NULL, ERROR_NONE},
};

static void check_envelope(const struct envelope_case *c, const struct envelope *envelope)
{
	struct error error = {0};

	assert_int_equal(envelope->has_total ? envelope->total : -1, c->total);
	assert_int_equal(envelope->has_count ? envelope->count : -1, c->count);
	assert_int_equal(envelope->has_updated ? envelope->updated : -1, c->updated);
	assert_int_equal(envelope->limit, c->limit);
	assert_int_equal(envelope->offset, c->offset);
	assert_int_equal(envelope_check(envelope, &error), c->code ? -1 : 0);
	assert_string_equal(error.code, c->code ? c->code : "");
	assert_int_equal(error.class, c->class);
	if (c->text) {
		assert_string_equal(error.text, c->text);
	}
}

static void test_envelope(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(envelope_cases); i++) {
		struct outcome outcome;

		run(&outcome, envelope_cases[i].body, strlen(envelope_cases[i].body), 1000);
		assert_int_equal(outcome.finished, 0);
		check_envelope(&envelope_cases[i], &outcome.envelope);
		outcome_fini(&outcome);
	}
}

static void test_long_message(void **state)
{
	struct buffer body = {0};
	struct outcome outcome;

	(void)state;
	buffer_append_str(&body, "{\"error\":\"");
	for (unsigned i = 0; i < 1000; i++) {
		buffer_append_char(&body, 'e');
	}
	buffer_append_str(&body, "\"}");
	run(&outcome, body.data, body.len, 100);
	assert_int_equal(strlen(outcome.envelope.message), sizeof(outcome.envelope.message) - 1);
	outcome_fini(&outcome);
	buffer_fini(&body);
}

/* ---- limits ---- */

static void fill(struct buffer *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buffer_append_str(out, text);
	}
}

/* Decode what `body` holds in big pieces and in small ones; "" or the code of the error. */
static void check_limit(struct buffer *body, const char *code, const char *text)
{
	static const size_t pieces[] = {SIZE_MAX / 2, 65536, 1000};

	for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
		struct outcome outcome;

		run(&outcome, body->data, body->len, pieces[i]);
		assert_string_equal(outcome.error.code, code);
		if (text) {
			assert_non_null(strstr(outcome.error.text, text));
		}
		outcome_fini(&outcome);
	}
	buffer_fini(body);
}

/* A page whose one record has the value open + middle * n + close. */
static struct buffer page_with(const char *open, const char *middle, size_t n, const char *close)
{
	struct buffer body = {0};

	buffer_append_str(&body, "{\"total\":1,\"records\":[{},{\"a\":");
	buffer_append_str(&body, open);
	fill(&body, middle, n);
	buffer_append_str(&body, close);
	buffer_append_str(&body, "}]}");
	return body;
}

static void test_limits(void **state)
{
	struct buffer body;

	(void)state;
	/* strings and numbers: 64 KiB decoded, however they were served */
	body = page_with("\"", "x", DECODE_MAX_STRING, "\"");
	check_limit(&body, "", NULL);
	body = page_with("\"", "\\u0041", DECODE_MAX_STRING, "\"");
	check_limit(&body, "", NULL);
	body = page_with("\"", "x", DECODE_MAX_STRING + 1, "\"");
	check_limit(
		&body, "too_long", "record 1, byte 65569: a string or number of more than 64 KiB");
	body = page_with("\"", "x", 10 * DECODE_MAX_STRING, "\"");
	check_limit(&body, "too_long", "a string or number of more than 64 KiB");
	body = page_with("", "7", 10000, "");
	check_limit(&body, "", NULL);
	body = page_with("", "7", DECODE_MAX_STRING + 1, "");
	check_limit(&body, "too_long", "a string or number of more than 64 KiB");
	body = page_with("1,\"", "x", DECODE_MAX_STRING + 1, "\":1");
	check_limit(&body, "too_long", "a name of more than 64 KiB");
	/* one that never ends is not waited for */
	body = page_with("\"", "x", 100 * DECODE_MAX_STRING, "");
	check_limit(&body, "too_long", "a string or number of more than 64 KiB");

	/* depth: page, records, record, then 13 more */
	body = page_with("", "[", 13, "]]]]]]]]]]]]]");
	check_limit(&body, "", NULL);
	body = page_with("", "[", 14, "]]]]]]]]]]]]]]");
	check_limit(&body, "too_deep", "record 1, byte 44: nested deeper than 16");
	body = page_with("", "{\"a\":", 100000, "");
	check_limit(&body, "too_deep", NULL);

	/* fields */
	body = page_with("1", ",\"b\":2", DECODE_MAX_FIELDS - 1, "");
	check_limit(&body, "", NULL);
	body = page_with("1", ",\"b\":2", DECODE_MAX_FIELDS, "");
	check_limit(&body, "too_many_fields", "record 1, byte");

	/* a record: many strings that are allowed each */
	body = page_with("[", "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",",
		20000, "1]");
	check_limit(
		&body, "too_long", "record 1, byte 25: a record of more than 1 MiB begins here");
}

/* The envelope may be as long as it likes. */
static void test_long_envelope(void **state)
{
	struct buffer body = {0};

	(void)state;
	buffer_append_str(&body, "{\"field\":[");
	fill(&body, "\"abcdefghijklmnopqrstuvwxyz\",", 100000);
	buffer_append_str(&body, "{\"x\":[");
	fill(&body, "{\"name\":\"State\",\"id\":\"state\"},", 100000);
	buffer_append_str(&body, "1]}],\"total\":1,\"records\":[{}]}");
	check_limit(&body, "", NULL);
}

/* ---- the caller's stop, and the next page ---- */

static void test_stop_and_reset(void **state)
{
	static const char page[] = "{\"records\":[{\"a\":1},{\"a\":2},{\"a\":3}]}";
	struct outcome outcome = {.stop_at = 1};
	struct decode *decode;

	(void)state;
	assert_int_equal(decode_new(on_record, &outcome, &decode), 0);
	feed(decode, &outcome, page, strlen(page), 4);
	assert_int_equal(outcome.fed, 42);
	assert_int_equal(outcome.finished, 42);
	assert_string_equal(outcome.error.text, "");
	assert_string_equal(buffer_str(&outcome.records), "0@12 {a=n:1}\n1@20 {a=n:2}\n");
	assert_int_equal(decode_feed(decode, page, 1, &outcome.error), 42);

	decode_reset(decode);
	outcome.stop_at = UINT64_MAX;
	outcome.fed = 0;
	buffer_clear(&outcome.records);
	feed(decode, &outcome, page, strlen(page), 5);
	assert_int_equal(outcome.finished, 0);
	assert_string_equal(
		buffer_str(&outcome.records), "0@12 {a=n:1}\n1@20 {a=n:2}\n2@28 {a=n:3}\n");

	/* a failure stays until the next reset, and says the same again */
	decode_reset(decode);
	assert_int_equal(decode_feed(decode, "{\"a\":x", 6, &outcome.error), -1);
	error_clear(&outcome.error);
	assert_int_equal(decode_feed(decode, "1}", 2, &outcome.error), -1);
	assert_string_equal(
		outcome.error.text, "byte 6: lexical error: invalid char in json text.");
	decode_reset(decode);
	error_clear(&outcome.error);
	outcome.fed = 0;
	feed(decode, &outcome, page, strlen(page), 100);
	assert_int_equal(outcome.finished, 0);
	outcome_fini(&outcome);
	decode_free(decode);
	assert_null(decode_free(NULL));
}

/* ---- real captures, when they are there ---- */

/* Digits exactly as served: the dump of each record is found in the file's own bytes. */
static int on_sample_record(void *arg, const struct record *record)
{
	const char *at = record->raw, *end = record->raw + record->raw_len;
	uint64_t *n = arg;

	assert_int_equal(record->n_fields, 10);
	for (unsigned i = 0; i < record->n_fields; i++) {
		const struct record_field *f = &record->fields[i];

		at = memmem(at, (size_t)(end - at), f->name, f->name_len);
		assert_non_null(at);
		at += f->name_len + 1;
		at += strspn(at, ": \"");
		assert_memory_equal(at, f->text, f->len);
		at += f->len;
		assert_non_null(strchr("\",\n }", *at));
	}
	++*n;
	return 0;
}

static void test_sample(void **state)
{
	struct data page = sample_read("mandi_daily_2025-12-08_4832rows_full_api_response.json");
	struct error error = {0};
	struct envelope envelope;
	struct decode *decode;
	uint64_t n = 0;

	(void)state;
	if (!page.bytes) {
		skip();
	}
	assert_int_equal(decode_new(on_sample_record, &n, &decode), 0);
	for (size_t at = 0; at < page.len; at += 16384) {
		size_t len = page.len - at < 16384 ? page.len - at : 16384;

		assert_int_equal(decode_feed(decode, page.bytes + at, len, &error), 0);
	}
	assert_int_equal(decode_finish(decode, &envelope, &error), 0);
	assert_int_equal(envelope_check(&envelope, &error), 0);
	assert_int_equal(n, 4832);
	assert_int_equal(envelope.n_records, 4832);
	assert_int_equal(envelope.total, 4832);
	assert_int_equal(envelope.count, 4832);
	assert_int_equal(envelope.updated, 1765170141);
	assert_int_equal(envelope.limit, -1);
	decode_free(decode);
	data_free(&page);
}

static void test_sample_errors(void **state)
{
	static const struct {
		const char *file, *code;
	} cases[] = {
		{"errors/200_unknown_resource.json", "portal_error"},
		{"errors/200_unknown_resource_variant_with_records.json", "portal_error"},
		{"errors/400_missing_key.json", "gateway_error"},
		{"errors/403_bad_key.json", "gateway_error"},
		{"errors/429_rate_limit.json", "gateway_error"},
		{"petroleum_8d3b6596_2026-03-03_response.json", ""},
		{"historical_35985678_2024-10-01_response_trimmed.json", ""},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct data body = sample_read(cases[i].file);
		struct outcome outcome;

		if (!body.bytes) {
			skip();
		}
		run(&outcome, body.bytes, body.len, 10);
		assert_int_equal(outcome.finished, 0);
		assert_int_equal(
			envelope_check(&outcome.envelope, &outcome.error), *cases[i].code ? -1 : 0);
		assert_string_equal(outcome.error.code, cases[i].code);
		outcome_fini(&outcome);
		data_free(&body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_envelope),
		cmocka_unit_test(test_long_message),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_long_envelope),
		cmocka_unit_test(test_stop_and_reset),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_sample_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
