/*
 * Failures that somebody must read. SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/error.h"

static void keeps_the_first(void **state)
{
	struct error error = {0};

	(void)state;
	assert_false(error_is_set(&error));
	assert_int_equal(error_set(&error, ERROR_RETRY, "fetch", "http_502",
				 "the portal said %d %s", 502, "Bad Gateway"),
		-1);
	assert_true(error_is_set(&error));
	assert_int_equal(error_set(&error, ERROR_REJECTED, "load", "23505", "second"), -1);
	assert_int_equal(error_no_memory(&error, "load"), -1);
	assert_int_equal(error.class, ERROR_RETRY);
	assert_string_equal(error.where, "fetch");
	assert_string_equal(error.code, "http_502");
	assert_string_equal(error.text, "the portal said 502 Bad Gateway");
	error_clear(&error);
	assert_false(error_is_set(&error));
	assert_int_equal(error_no_memory(&error, "load"), -1);
	assert_int_equal(error.class, ERROR_RETRY);
	assert_string_equal(error.code, "no_memory");
	assert_string_equal(error.text, "out of memory");
}

static void needs_no_error(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, ERROR_RETRY, "x", "y", "z"), -1);
	assert_int_equal(error_no_memory(NULL, "x"), -1);
	assert_int_equal(error_errno(NULL, ERROR_RETRY, "x", ENOENT, "y"), -1);
	error_prefix(NULL, "x");
	assert_false(error_is_set(NULL));
}

static void names_system_errors(void **state)
{
	struct error error = {0};

	(void)state;
	assert_int_equal(
		error_errno(&error, ERROR_REJECTED, "spool", ENOSPC, "writing a.part"), -1);
	assert_string_equal(error.code, "ENOSPC");
	assert_string_equal(error.text, "writing a.part: No space left on device");
	error_clear(&error);
	assert_int_equal(error_errno(&error, ERROR_REJECTED, "spool", 99999, "writing a.part"), -1);
	assert_string_equal(error.code, "errno");
	assert_string_equal(error.text, "writing a.part: Unknown error 99999");
}

/* One line, whatever a server put into its message. */
static void stays_on_one_line(void **state)
{
	struct error error = {0};

	(void)state;
	error_set(&error, ERROR_REJECTED, "load", "42P01", "ERROR:\tno table\nHINT: \x1b[1mhi\x7f");
	assert_string_equal(error.text, "ERROR: no table HINT:  [1mhi ");
	error_prefix(&error, "load.c\n%s", "x");
	assert_string_equal(error.text, "load.c x: ERROR: no table HINT:  [1mhi ");
}

static void cuts_what_is_too_long(void **state)
{
	char text[3 * ERROR_TEXT_BYTES];
	struct error error = {0};

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&error, ERROR_RETRY, "fetch", text, "%s", text);
	assert_int_equal(strlen(error.code), ERROR_CODE_BYTES - 1);
	assert_int_equal(strlen(error.text), ERROR_TEXT_BYTES - 1);
	error_prefix(&error, "%s", "first");
	assert_int_equal(strlen(error.text), ERROR_TEXT_BYTES - 1);
	assert_memory_equal(error.text, "first: xxx", 10);
	memset(text, 'y', sizeof(text) - 1);
	error_prefix(&error, "%s", text);
	assert_int_equal(strlen(error.text), ERROR_TEXT_BYTES - 1);
	assert_memory_equal(error.text, "yyy", 3);
}

static void prefixes(void **state)
{
	struct error error = {0};

	(void)state;
	error_prefix(&error, "nothing");
	assert_string_equal(error.text, "");
	error_set(&error, ERROR_RETRY, "fetch", "timeout", "no answer");
	error_prefix(&error, "page %d", 3);
	error_prefix(&error, "slice %s", "2026-11-19");
	assert_string_equal(error.text, "slice 2026-11-19: page 3: no answer");
}

static void names_its_classes(void **state)
{
	static const char *const names[] = {"none", "retry", "rejected", "uncertain", "canceled"};

	(void)state;
	for (unsigned i = 0; i < N_ELEMENTS(names); i++) {
		assert_string_equal(error_class_name((enum error_class)i), names[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_first),
		cmocka_unit_test(needs_no_error),
		cmocka_unit_test(names_system_errors),
		cmocka_unit_test(stays_on_one_line),
		cmocka_unit_test(cuts_what_is_too_long),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(names_its_classes),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
