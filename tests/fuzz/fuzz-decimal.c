/*
 * A number, through the wire format and text and back. SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include "lib/buffer.h"
#include "lib/decimal.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char wire[8 + 2 * DECIMAL_MAX_GROUPS];
	struct decimal parsed, received, again;
	struct buffer text = {0};

	/* As bytes from a server: whatever is taken can be sent back and shown. */
	if (decimal_from_wire(data, size, &received) == 0) {
		must(decimal_wire_bytes(&received) <= sizeof(wire));
		decimal_to_wire(&received, wire);
		decimal_format(&received, &text);
		must(!buffer_failed(&text));
		buffer_clear(&text);
	}
	if (decimal_parse((const char *)data, size, &parsed) == DECIMAL_OK) {
		must(decimal_wire_bytes(&parsed) <= sizeof(wire));
		decimal_to_wire(&parsed, wire);
		must(decimal_from_wire(wire, decimal_wire_bytes(&parsed), &received) == 0);
		must(decimal_compare(&parsed, &received) == 0 && parsed.scale == received.scale);
		must(decimal_wire_equal(wire, decimal_wire_bytes(&parsed), wire,
			decimal_wire_bytes(&parsed)));
		decimal_format(&parsed, &text);
		must(!buffer_failed(&text));
		/* Plain digits may be more than 40 where an exponent made them. */
		if (text.len <= DECIMAL_MAX_DIGITS) {
			must(decimal_parse(text.data, text.len, &again) == DECIMAL_OK);
			must(decimal_compare(&parsed, &again) == 0 && parsed.scale == again.scale);
		}
	}
	buffer_fini(&text);
	return 0;
}
