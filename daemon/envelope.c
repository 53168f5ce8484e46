/*
 * What stands around the records of an answer. SPDX-License-Identifier: Apache-2.0
 *
 * The portal has served the same key as number and as string, in seconds and in milliseconds
 * (PORTAL 1.2), so each key says what it can be read from; anything else is as if it were absent,
 * and envelope_check() says what an answer cannot do without. A key that comes twice: the last.
 */

#include "daemon/envelope.h"

#include <string.h>

static const char *const names[] = {
	[ENVELOPE_COUNT] = "count",
	[ENVELOPE_ERROR] = "error",
	[ENVELOPE_LIMIT] = "limit",
	[ENVELOPE_MESSAGE] = "message",
	[ENVELOPE_OFFSET] = "offset",
	[ENVELOPE_RECORDS] = "records",
	[ENVELOPE_STATUS] = "status",
	[ENVELOPE_TOTAL] = "total",
	[ENVELOPE_UPDATED] = "updated",
};

void envelope_init(struct envelope *envelope)
{
	memset(envelope, 0, sizeof(*envelope));
	envelope->limit = envelope->offset = -1;
}

static bool is_text(const char *text, size_t len, const char *what)
{
	return len == strlen(what) && memcmp(text, what, len) == 0;
}

enum envelope_key envelope_key(const char *name, size_t len)
{
	for (unsigned i = ENVELOPE_OTHER + 1; i < N_ELEMENTS(names); i++) {
		if (is_text(name, len, names[i])) {
			return i;
		}
	}
	return ENVELOPE_OTHER;
}

/* An integer as number or string: "4832". False when it is none, or longer than 18 digits. */
static bool parse_integer(const char *text, size_t len, int64_t *ret)
{
	int64_t v = 0;

	if (len == 0 || len > 18) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return false;
		}
		v = v * 10 + (text[i] - '0');
	}
	*ret = v;
	return true;
}

static int64_t integer_or_none(const char *text, size_t len)
{
	int64_t v;

	return parse_integer(text, len, &v) ? v : -1;
}

/* A message goes into logs and errors: printable ASCII, as every one recorded so far was. */
static void copy_message(struct envelope *envelope, const char *text, size_t len)
{
	size_t n = len < sizeof(envelope->message) - 1 ? len : sizeof(envelope->message) - 1;

	for (size_t i = 0; i < n; i++) {
		envelope->message[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
	}
	envelope->message[n] = '\0';
}

/* Seconds or milliseconds: the year 5138 in seconds is 1973 in milliseconds. */
static void take_updated(struct envelope *envelope, const char *text, size_t len)
{
	envelope->has_updated = parse_integer(text, len, &envelope->updated);
	if (envelope->has_updated && envelope->updated >= 100000000000) {
		envelope->updated /= 1000;
	}
}

void envelope_take(struct envelope *e, enum envelope_key key, enum json_kind kind, const char *text,
	size_t len)
{
	bool is_string = kind == JSON_STRING_VALUE;

	switch (key) {
	case ENVELOPE_COUNT:
		e->has_count = parse_integer(text, len, &e->count);
		break;
	case ENVELOPE_ERROR:
		if (kind != JSON_NULL_VALUE) {
			e->gateway_error = true;
			copy_message(e, text, len);
		}
		break;
	case ENVELOPE_LIMIT:
		e->limit = integer_or_none(text, len);
		break;
	case ENVELOPE_MESSAGE:
		if (is_string && !e->gateway_error) {
			copy_message(e, text, len);
		}
		break;
	case ENVELOPE_OFFSET:
		e->offset = integer_or_none(text, len);
		break;
	case ENVELOPE_STATUS:
		e->has_status = kind != JSON_NULL_VALUE;
		e->status_ok = is_string && is_text(text, len, "ok");
		break;
	case ENVELOPE_TOTAL:
		e->has_total = parse_integer(text, len, &e->total);
		break;
	case ENVELOPE_UPDATED:
		take_updated(e, text, len);
		break;
	case ENVELOPE_OTHER:
	case ENVELOPE_RECORDS:
		break;
	}
}

int envelope_check(const struct envelope *e, struct error *error)
{
	enum error_class class = ERROR_RETRY;

	if (e->gateway_error) {
		return error_set(error, class, "decode", "gateway_error", "the gateway says: %s",
			e->message[0] ? e->message : "(nothing)");
	}
	if (e->has_status && !e->status_ok) {
		if (strcmp(e->message, "Meta not found") == 0) {
			class = ERROR_REJECTED;
		}
		return error_set(error, class, "decode", "portal_error", "the portal says: %s",
			e->message[0] ? e->message : "(status is not ok)");
	}
	if (!e->has_records) {
		return error_set(
			error, class, "decode", "no_records", "the answer has no `records`");
	}
	if (!e->has_total) {
		return error_set(error, class, "decode", "no_total",
			"the answer has no `total` that is a number");
	}
	return 0;
}
