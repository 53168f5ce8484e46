/*
 * The table of MESSAGE_IDs: well formed, and each belongs to one event.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/message_id.h"

static void is_well_formed(void **state)
{
	(void)state;
	for (const struct log_message_id *at = message_ids; at->event; at++) {
		assert_int_equal(strlen(at->id), 32);
		assert_int_equal(strspn(at->id, "0123456789abcdef"), 32);
		assert_non_null(strchr(at->event, '.'));
	}
}

/* In order of the events, so that none stands there twice; and no id does. */
static void has_nothing_twice(void **state)
{
	(void)state;
	for (const struct log_message_id *at = message_ids; at->event; at++) {
		if (at[1].event) {
			assert_true(strcmp(at->event, at[1].event) < 0);
		}
		for (const struct log_message_id *other = at + 1; other->event; other++) {
			assert_string_not_equal(at->id, other->id);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_well_formed),
		cmocka_unit_test(has_nothing_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
