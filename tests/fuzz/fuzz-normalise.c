/*
 * One value for a column of any type. SPDX-License-Identifier: Apache-2.0
 *
 * The first byte chooses the type of the column and the kind of the value, the rest is its text.
 */

#include <string.h>

#include "daemon/normalise.h"
#include "lib/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fixture.h"

static void check_utf8(const char *text, size_t len)
{
	uint32_t character;

	for (size_t at = 0; at < len;) {
		unsigned n = utf8_decode(text + at, len - at, &character);

		must(n > 0);
		at += n;
	}
}

static void check_value(enum column_type type, struct field field)
{
	struct decimal decimal;
	char *again;

	switch (type) {
	case COLUMN_TEXT:
		check_utf8(field.data, (size_t)field.len);
		again = malloc((size_t)field.len);
		must(again);
		must(normalise_text(field.data, (size_t)field.len, again) == (size_t)field.len);
		must(memcmp(again, field.data, (size_t)field.len) == 0);
		free(again);
		break;
	case COLUMN_NUMERIC:
		must(decimal_from_wire(field.data, (size_t)field.len, &decimal) == 0);
		must(decimal_wire_bytes(&decimal) == (size_t)field.len);
		break;
	case COLUMN_INTEGER:
	case COLUMN_TIMESTAMP:
		must(field.len == 8);
		break;
	case COLUMN_DATE:
		must(field.len == 4);
		break;
	case COLUMN_ID:
		abort();
	}
}

/* The decoder lets nothing else pass for a number. */
static bool may_be_number(const uint8_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\0' || !strchr("0123456789+-.eE", text[i])) {
			return false;
		}
	}
	return len > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record_field value = {.name = "v", .name_len = 1};
	struct record record = {.fields = &value, .n_fields = 1, .raw = "{}", .raw_len = 2};
	struct normaliser *normaliser;
	struct fixture fixture;
	struct arena arena = {0};
	struct reject reject = {0};
	struct field row[FIXTURE_COLUMNS];
	enum column_type type;
	int r;

	if (size < 1) {
		return 0;
	}
	type = data[0] % COLUMN_ID;
	value.kind = data[0] / 8 % (JSON_NESTED_VALUE + 1);
	value.text = (const char *)data + 1;
	value.len = size - 1;
	if (value.kind == JSON_BOOL_VALUE) {
		value.text = "true";
		value.len = 4;
	}
	if (value.kind == JSON_NUMBER_VALUE && !may_be_number(data + 1, size - 1)) {
		value.kind = JSON_STRING_VALUE;
	}
	value.bad_escape = data[0] >= 0xf0;
	fixture_init(&fixture);
	fixture_add_column(&fixture, "v", type);
	fixture.columns[0].nullable = data[0] & 0x40;
	fixture.formats[1] = (char *)"%Y-%m-%dT%H:%M:%S%z";
	fixture.source.n_date_formats = 2;
	must(normaliser_new(&fixture.source, &normaliser) == 0);
	r = normalise(normaliser, &record, &arena, row, &reject);
	must(r == 0 || r == 1);
	if (r == 1) {
		must(strlen(reject.text) < sizeof(reject.text));
		check_utf8(reject.text, strlen(reject.text));
		must(*reject_reason_name(reject.reason));
	} else if (row[0].len >= 0) {
		check_value(type, row[0]);
	} else {
		must(fixture.columns[0].nullable);
	}
	normaliser_free(normaliser);
	arena_fini(&arena);
	return 0;
}
