#pragma once

/*
 * Rows of a dataset from text, one word for each column. SPDX-License-Identifier: Apache-2.0
 *
 * "7 2026-11-19 3 ~ 1.50": ids, dates, bigints, numbers and text as they are written; ~ is NULL.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/dataset.h"
#include "lib/civil.h"
#include "lib/copyrow.h"
#include "lib/decimal.h"

enum { ROW_MAX_FIELDS = 16, ROW_FIELD_BYTES = 64 };

struct row {
	struct field fields[ROW_MAX_FIELDS];
	unsigned char store[ROW_MAX_FIELDS][ROW_FIELD_BYTES];
};

static inline struct field row_numeric(const char *word, unsigned char *store)
{
	struct decimal d;

	assert(decimal_parse(word, strlen(word), &d) == DECIMAL_OK);
	assert(decimal_wire_bytes(&d) <= ROW_FIELD_BYTES);
	decimal_to_wire(&d, store);
	return (struct field){.len = (int32_t)decimal_wire_bytes(&d), .data = store};
}

static inline int32_t row_day(const char *word)
{
	return (int32_t)civil_to_day(atoi(word), atoi(word + 5), atoi(word + 8));
}

static inline struct field row_field(enum column_type type, const char *word, unsigned char *store)
{
	if (strcmp(word, "~") == 0) {
		return field_null;
	}
	switch (type) {
	case COLUMN_ID:
		return field_int4(atoi(word), store);
	case COLUMN_DATE:
		return field_date(row_day(word), store);
	case COLUMN_INTEGER:
		return field_int8(atoll(word), store);
	case COLUMN_TIMESTAMP:
		return field_timestamp(atoll(word), store);
	case COLUMN_NUMERIC:
		return row_numeric(word, store);
	case COLUMN_TEXT:
		break;
	}
	memcpy(store, word, strlen(word));
	return (struct field){.len = (int32_t)strlen(word), .data = store};
}

/* `types`: one letter a column: i d n(umeric) b(igint) t(ext) s (timestamp) */
static inline enum column_type row_type(char letter)
{
	switch (letter) {
	case 'i':
		return COLUMN_ID;
	case 'd':
		return COLUMN_DATE;
	case 'n':
		return COLUMN_NUMERIC;
	case 'b':
		return COLUMN_INTEGER;
	case 's':
		return COLUMN_TIMESTAMP;
	}
	return COLUMN_TEXT;
}

static inline void row_from_text(struct row *row, const char *types, const char *text)
{
	char copy[512], *rest = copy, *word;
	unsigned n = 0;

	assert(strlen(text) < sizeof(copy));
	strcpy(copy, text);
	for (; types[n] && (word = strsep(&rest, " ")); n++) {
		assert(n < ROW_MAX_FIELDS && strlen(word) <= ROW_FIELD_BYTES);
		row->fields[n] = row_field(row_type(types[n]), word, row->store[n]);
	}
	assert(!types[n] && !rest);
}
