/*
 * Rows in PostgreSQL's binary COPY format. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/copyrow.h"

/*
 * As PostgreSQL 15 wrote it: COPY (SELECT 1::int4, -2::int8, date '1969-12-31',
 * timestamptz '1970-01-01 00:00:00.000001+00', true, 'हरी'::text, NULL::text, date 'infinity',
 * timestamptz '-infinity') TO STDOUT BINARY
 */
static const char server_wrote[] =
	"5047434f50590aff0d0a0000000000000000000009000000040000000100000008fffffffffffffffe00000004"
	"ffffd53200000008fffca2fec4c82001000000010100000009e0a4b9e0a4b0e0a580ffffffff000000047fffff"
	"ff000000088000000000000000ffff";

enum { SERVER_FIELDS = 9 };

static size_t unhex(const char *hex, unsigned char *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		out[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return n;
}

static void writes_what_the_server_writes(void **state)
{
	unsigned char golden[sizeof(server_wrote)];
	size_t n = unhex(server_wrote, golden);
	struct buffer out = {0};

	(void)state;
	copyrow_header(&out);
	assert_int_equal(out.len, COPYROW_HEADER_BYTES);
	copyrow_begin(&out, SERVER_FIELDS);
	copyrow_int4(&out, 1);
	copyrow_int8(&out, -2);
	copyrow_date(&out, -1);
	copyrow_timestamp(&out, 1);
	copyrow_bool(&out, true);
	copyrow_text(&out, "हरी", strlen("हरी"));
	copyrow_null(&out);
	copyrow_date(&out, INT32_MAX);
	copyrow_timestamp(&out, INT64_MIN);
	copyrow_trailer(&out);
	assert_false(buffer_failed(&out));
	assert_int_equal(out.len, n);
	assert_memory_equal(out.data, golden, n);
	buffer_fini(&out);
}

static void reads_what_the_server_writes(void **state)
{
	unsigned char golden[sizeof(server_wrote)];
	size_t n = unhex(server_wrote, golden);
	struct field fields[SERVER_FIELDS];
	long used;

	(void)state;
	used = copyrow_parse_header(golden, n);
	assert_int_equal(used, COPYROW_HEADER_BYTES);
	assert_false(copyrow_is_trailer(golden + used, n - (size_t)used));
	used += copyrow_parse(golden + used, n - (size_t)used, fields, SERVER_FIELDS);
	assert_int_equal(used, n - COPYROW_TRAILER_BYTES);
	assert_int_equal(field_to_int4(fields[0]), 1);
	assert_int_equal(field_to_int8(fields[1]), -2);
	assert_int_equal(field_to_date(fields[2]), -1);
	assert_int_equal(field_to_timestamp(fields[3]), 1);
	assert_int_equal(fields[4].len, 1);
	assert_int_equal(*(const char *)fields[4].data, 1);
	assert_int_equal(fields[5].len, 9);
	assert_memory_equal(fields[5].data, "हरी", 9);
	assert_int_equal(fields[6].len, -1);
	assert_int_equal(field_to_date(fields[7]), INT32_MAX);
	assert_true(field_to_timestamp(fields[8]) == INT64_MIN);
	assert_true(copyrow_is_trailer(golden + used, n - (size_t)used));
	assert_int_equal(copyrow_parse(golden + used, n - (size_t)used, fields, SERVER_FIELDS), -1);
}

/* Cut at each byte, in memory of just that size so that a sanitizer sees a read behind it. */
static void knows_a_part_from_the_whole(void **state)
{
	unsigned char golden[sizeof(server_wrote)];
	size_t n = unhex(server_wrote, golden);
	size_t tuple = n - COPYROW_HEADER_BYTES - COPYROW_TRAILER_BYTES;
	struct field fields[SERVER_FIELDS];

	(void)state;
	for (size_t len = 0; len <= tuple; len++) {
		unsigned char *part = malloc(len ? len : 1);

		assert_non_null(part);
		memcpy(part, golden + COPYROW_HEADER_BYTES, len);
		assert_int_equal(copyrow_parse(part, len, fields, SERVER_FIELDS),
			len < tuple ? 0 : (long)tuple);
		assert_false(copyrow_is_trailer(part, len));
		if (len <= COPYROW_HEADER_BYTES) {
			memcpy(part, golden, len);
			assert_int_equal(copyrow_parse_header(part, len),
				len < COPYROW_HEADER_BYTES ? 0 : COPYROW_HEADER_BYTES);
		}
		free(part);
	}
}

static void refuses_the_malformed(void **state)
{
	static const struct {
		const char *tuple;
		unsigned n_fields;
		long result;
	} cases[] = {
		{"0000", 0, 2},
		{"0000", 1, -1},
		{"0001ffffffff", 1, 6},
		{"0001ffffffff", 2, -1},
		{"0001fffffffe", 1, -1},
		{"000180000000", 1, -1},
		{"00017fffffff00", 1, 0},
		{"000100000000", 1, 6},
		{"0002000000000000", 2, 0},
		{"ffff", 1, -1},
	};
	struct field fields[2];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		unsigned char bytes[32];
		size_t n = unhex(cases[i].tuple, bytes);

		assert_int_equal(
			copyrow_parse(bytes, n, fields, cases[i].n_fields), cases[i].result);
	}
}

static void reads_headers(void **state)
{
	static const struct {
		const char *header;
		long result;
	} cases[] = {
		{"5047434f50590aff0d0a000000000000000000", 19},
		{"5047434f50590aff0d0a000000000000000000aabb", 19},
		{"5047434f50590aff0d0a000000000000000002aabb", 21}, /* an extension is skipped */
		{"5047434f50590aff0d0a000000000000000003aabb", 0},
		{"5047434f50590aff0d0a0000000000ffffffffaabb", -1},
		{"5047434f50590aff0d0a000001000000000000", -1}, /* flags: rows with oids */
		{"5047434f50590aff0a00", -1},			/* CR LF were turned into LF */
		{"0001", -1},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		unsigned char bytes[32];
		size_t n = unhex(cases[i].header, bytes);

		assert_int_equal(copyrow_parse_header(bytes, n), cases[i].result);
	}
}

static void turns_values_and_back(void **state)
{
	static const int64_t values[] = {0, 1, -1, 127, -128, 65536, -65537, INT32_MAX, INT32_MIN,
		10957, -10957, 946684800000000, INT64_C(253402300799999999), INT64_MAX, INT64_MIN};
	unsigned char store[8];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		int32_t v = (int32_t)values[i];

		assert_int_equal(field_to_int4(field_int4(v, store)), v);
		assert_true(field_to_int8(field_int8(values[i], store)) == values[i]);
		assert_true(field_to_timestamp(field_timestamp(values[i], store)) == values[i]);
		assert_int_equal(field_to_date(field_date(v, store)), v);
	}
	assert_memory_equal(field_date(10957, store).data, "\0\0\0\0", 4);
	assert_memory_equal(field_timestamp(946684800000001, store).data, "\0\0\0\0\0\0\0\1", 8);
}

static void fails_once_the_buffer_is_full(void **state)
{
	struct buffer out = {.limit = 10};

	(void)state;
	copyrow_begin(&out, 2);
	copyrow_int4(&out, 7);
	assert_int_equal(out.len, 10);
	assert_false(buffer_failed(&out));
	copyrow_null(&out);
	assert_true(buffer_failed(&out));
	assert_int_equal(out.len, 10);
	buffer_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_what_the_server_writes),
		cmocka_unit_test(reads_what_the_server_writes),
		cmocka_unit_test(knows_a_part_from_the_whole),
		cmocka_unit_test(refuses_the_malformed),
		cmocka_unit_test(reads_headers),
		cmocka_unit_test(turns_values_and_back),
		cmocka_unit_test(fails_once_the_buffer_is_full),
	};

	return cmocka_run_group_tests_name("copyrow", tests, NULL, NULL);
}
