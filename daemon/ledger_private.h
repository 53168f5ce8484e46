#pragma once

/*
 * Parameters of statements, for the ledger's own files. SPDX-License-Identifier: Apache-2.0
 */

#include <inttypes.h>
#include <stdio.h>

#include "lib/pg.h"

/* Microseconds since 1970 as timestamptz, and the other way. */
#define SQL_TIME(n) "to_timestamp($" #n "::bigint / 1000000.0)"
#define SQL_US(time) "(extract(epoch FROM " time ") * 1000000)::bigint"

enum { NUMBER_BYTES = 24, MAX_PARAMS = 24 };

/* Text parameters with room for the numbers among them. */
struct params {
	struct pg_param list[MAX_PARAMS];
	char numbers[MAX_PARAMS][NUMBER_BYTES];
	unsigned n;
};

static inline void add_text(struct params *params, const char *text)
{
	params->list[params->n++].data = text;
}

/* "" is NULL: no code, no error. */
static inline void add_text_or_null(struct params *params, const char *text)
{
	add_text(params, text && text[0] ? text : NULL);
}

static inline void add_number(struct params *params, int64_t v)
{
	char *text = params->numbers[params->n];

	snprintf(text, NUMBER_BYTES, "%" PRId64, v);
	add_text(params, text);
}

static inline void add_number_or_null(struct params *params, int64_t v, int64_t null)
{
	if (v == null) {
		add_text(params, NULL);
	} else {
		add_number(params, v);
	}
}
