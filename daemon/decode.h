#pragma once

/*
 * Bytes of a page -> envelope and records, streaming. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * A push parser: feed it the body in pieces of any size, it hands out each record of `records` when
 * that ends, in constant memory whatever the page's size. Digits come as served: no number is ever
 * made a double. Key order of the envelope is not relied on (PORTAL 1.2). Limits: nesting 16, a
 * string or number 64 KiB, 256 fields and 1 MiB a record; more is an error that says record and
 * byte. Invalid UTF-8 and half surrogates are the record's trouble, not the page's: they are handed
 * on and normalise rejects that record. A byte order mark in front is skipped.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/error.h"

enum {
	DECODE_MAX_DEPTH = 16,
	DECODE_MAX_STRING = 64 * 1024,
	DECODE_MAX_FIELDS = 256,
	DECODE_MAX_RECORD = 1024 * 1024,
};

enum json_kind {
	JSON_NULL_VALUE,
	JSON_STRING_VALUE,
	JSON_NUMBER_VALUE,
	JSON_BOOL_VALUE,
	JSON_NESTED_VALUE, /* an array or object inside a record: text is empty */
};

struct record_field {
	const char *name;
	size_t name_len;
	enum json_kind kind;
	/* A string with half a surrogate pair, which is no character: text is as served, undecoded. */
	bool bad_escape;
	bool folded; /* this string is as text_is_folded() asks; false says nothing */
	const char *text; /* decoded string, digits as served, "true"/"false"; not terminated */
	size_t len;
};

/*
 * Everything is borrowed until on_record returns. A name that the record repeats stands here as often,
 * in the order served (the last one counts: normalise.h).
 */
struct record {
	const struct record_field *fields;
	unsigned n_fields;
	const char *raw; /* the record's bytes as served, from { to } */
	size_t raw_len;
	uint64_t index;  /* 0-based in its page */
	uint64_t offset; /* byte in its page where it begins */
	uint64_t shape;  /* equal in records of the same names in the same order; 0: not known */
};

/* Return 0 to go on; anything else stops the parse and is returned by decode_feed. */
typedef int (*decode_record_fn)(void *arg, const struct record *record);

struct envelope {
	bool has_status, has_total, has_count, has_records, has_updated;
	bool status_ok; /* status was "ok" */
	int64_t total, count;
	int64_t updated;      /* seconds; milliseconds are brought to seconds */
	int64_t limit, offset; /* echoed; -1: absent, "all" or no number */
	char message[200];    /* of the service; or of the gateway's {"error": ...}; printable */
	bool gateway_error;   /* the body was {"error": ...} */
	uint64_t n_records;
};

struct decode;

int decode_new(decode_record_fn on_record, void *arg, struct decode **ret) must_check; /* -errno */
struct decode *decode_free(struct decode *decode);

/* Begin the next page with the same callbacks. */
void decode_reset(struct decode *decode);

/*
 * Returns 0, -1 with an error (class RETRY, code "bad_json", "not_json", "too_deep", "too_long",
 * "too_many_fields": a truncated or foreign body is worth another try), or what on_record returned.
 * After a failure it says the same again until decode_reset().
 */
int decode_feed(struct decode *decode, const void *data, size_t len, struct error *error) must_check;

/*
 * The page is at its end: check that it was whole and hand out the envelope, which is also filled
 * as far as it was seen when this fails. An empty body is code "empty_body".
 */
int decode_finish(struct decode *decode, struct envelope *ret_envelope, struct error *error) must_check;

/*
 * What the envelope itself says of the answer: 0 when it is a list of records; else -1 and
 * code "portal_error" (status: error), "gateway_error", "no_records", "no_total". Class RETRY, but for
 * the portal's "Meta not found" (no such resource), which is REJECTED.
 */
int envelope_check(const struct envelope *envelope, struct error *error) must_check;
