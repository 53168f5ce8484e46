/*
 * A growing run of bytes. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buffer.h"

static void starts_empty(void **state)
{
	struct buffer buffer = {0};
	char *text;

	(void)state;
	assert_string_equal(buffer_str(&buffer), "");
	assert_false(buffer_failed(&buffer));
	buffer_clear(&buffer);
	buffer_append(&buffer, NULL, 0);
	assert_int_equal(buffer.len, 0);
	buffer_fini(&buffer);
	text = buffer_steal(&buffer);
	assert_string_equal(text, "");
	free(text);
	buffer_fini(&buffer);
}

static void grows_and_ends_with_a_nul(void **state)
{
	struct buffer buffer = {0};
	size_t len = 0;
	char *text;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		buffer_append_str(&buffer, "ab");
		buffer_append_char(&buffer, 'c');
		buffer_printf(&buffer, "%u,", i);
		len += 3 + (i < 10 ? 2 : i < 100 ? 3 : i < 1000 ? 4 : 5);
		assert_int_equal(buffer.len, len);
		assert_true(buffer.size > len);
		assert_int_equal(buffer.data[len], '\0');
	}
	assert_memory_equal(buffer.data, "abc0,abc1,abc2,", 15);
	assert_string_equal(buffer.data + len - 8, "abc4999,");
	text = buffer_steal(&buffer);
	assert_int_equal(strlen(text), len);
	assert_null(buffer.data);
	assert_int_equal(buffer.len, 0);
	free(text);
}

static void prints_any_length(void **state)
{
	char text[2000];
	struct buffer buffer = {0};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (size_t n = 250; n < sizeof(text); n += 7) {
		text[n] = '\0';
		buffer_clear(&buffer);
		buffer_printf(&buffer, "%s", text);
		assert_int_equal(buffer.len, n);
		assert_string_equal(buffer_str(&buffer), text);
		text[n] = 'x';
	}
	buffer_fini(&buffer);
}

static void stops_at_its_limit(void **state)
{
	struct buffer buffer = {.limit = 5};

	(void)state;
	buffer_append_str(&buffer, "abcde");
	assert_false(buffer_failed(&buffer));
	buffer_append_char(&buffer, 'f');
	assert_true(buffer_failed(&buffer));
	assert_string_equal(buffer_str(&buffer), "abcde");
	/* The failure stays, also for what would have fitted. */
	buffer_append(&buffer, "", 0);
	buffer_printf(&buffer, "%s", "");
	assert_true(buffer_failed(&buffer));
	assert_null(buffer_reserve(&buffer, 0));
	buffer_clear(&buffer);
	assert_false(buffer_failed(&buffer));
	assert_string_equal(buffer_str(&buffer), "");
	buffer_append_str(&buffer, "abcdef");
	assert_true(buffer_failed(&buffer));
	assert_null(buffer_steal(&buffer));
	assert_int_equal(buffer.limit, 5);
	buffer_append_str(&buffer, "xy");
	assert_string_equal(buffer_str(&buffer), "xy");
	buffer_fini(&buffer);
}

static void fails_on_absurd_sizes(void **state)
{
	struct buffer buffer = {0};

	(void)state;
	buffer_append_str(&buffer, "abc");
	assert_null(buffer_reserve(&buffer, SIZE_MAX));
	assert_true(buffer_failed(&buffer));
	buffer_clear(&buffer);
	assert_null(buffer_reserve(&buffer, SIZE_MAX / 2 + 1));
	assert_true(buffer_failed(&buffer));
	buffer_fini(&buffer);
}

static void takes_reserved_bytes(void **state)
{
	struct buffer buffer = {0};
	char *room = buffer_reserve(&buffer, 1000);

	(void)state;
	assert_non_null(room);
	assert_int_equal(buffer.len, 0);
	memset(room, 'z', 1000);
	buffer_grown(&buffer, 10);
	assert_string_equal(buffer_str(&buffer), "zzzzzzzzzz");
	buffer_fini(&buffer);
}

static void writes_big_endian(void **state)
{
	struct buffer buffer = {0};

	(void)state;
	buffer_append_be16(&buffer, 0x0102);
	buffer_append_be32(&buffer, 0x03040506);
	buffer_append_be64(&buffer, 0x0708090a0b0c0d0e);
	assert_int_equal(buffer.len, 14);
	assert_memory_equal(buffer.data, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16", 14);
	buffer_fini(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_empty),
		cmocka_unit_test(grows_and_ends_with_a_nul),
		cmocka_unit_test(prints_any_length),
		cmocka_unit_test(stops_at_its_limit),
		cmocka_unit_test(fails_on_absurd_sizes),
		cmocka_unit_test(takes_reserved_bytes),
		cmocka_unit_test(writes_big_endian),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
