#pragma once

/*
 * One value of a record -> its column's send format. For normalise.c alone. Pure.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/normalise.h"

/* The most bytes that a value takes which is no text. */
enum { VALUE_BYTES = 64, VALUE_MEMO_BYTES = 30 };

struct value_rules {
	const struct source *source;
	size_t longest_null; /* bytes of the longest text that means NULL */
};

/*
 * The last date or time that was read in a column: a slice often has but one. {0} at the begin.
 */
struct value_memo {
	uint8_t text_len, len; /* 0: nothing yet */
	char text[VALUE_MEMO_BYTES];
	unsigned char wire[8];
};

void value_rules_init(struct value_rules *rules, const struct source *source);

/*
 * Write the value of `field` (NULL: the record has none) to `out`, which has room for the larger of
 * its text and VALUE_BYTES. *ret_len -1: NULL. Returns 0, or 1 with the reject, but for its column.
 */
int value_put(const struct value_rules *rules, const struct column *column, bool required,
	const struct record_field *field, struct value_memo *memo, char *out, int32_t *ret_len,
	struct reject *reject) must_check;
