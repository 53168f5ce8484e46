#pragma once

/*
 * A record that needs no parser. For decode.c alone; others see struct record (decode.h). Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nearly every record is one flat object of strings without escapes, numbers and nulls, with the names
 * of the record before. Such a one is recognised here at a fraction of what yajl's callbacks cost;
 * whatever is anything else, or not right, is left to yajl, which alone says what is wrong.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/decode.h"

enum { PLAIN_NAME_BYTES = 63 };

/* A name as served, quotes included. len 0: too long to be remembered. */
struct plain_name {
	uint8_t len;
	char text[PLAIN_NAME_BYTES];
};

/* {0} is one that has seen nothing. */
struct plain {
	struct plain_name names[DECODE_MAX_FIELDS]; /* of the record before, by place */
	unsigned n_names;
	uint64_t shape; /* of these; 0: they have changed */
	struct record_field fields[DECODE_MAX_FIELDS];
};

/*
 * Behind a record of the list: a comma and a whole plain record. Returns their bytes, with `ret` filled
 * but for index and offset; 0 when yajl must look at it. The fields point into `data` and `plain`.
 */
size_t plain_next(struct plain *plain, const void *data, size_t len, struct record *ret) must_check;
