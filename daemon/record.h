#pragma once

/*
 * One record while it is decoded. For decode.c alone; others see struct record (decode.h). Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A name or value is noted as a span: where it lies in the record's own bytes, or, when yajl had to
 * build it (a string with escapes, a token cut by a slice), in `texts`, because yajl uses its memory
 * again. At the closing brace the spans become pointers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/decode.h"
#include "lib/buffer.h"

/* A piece of the page, and where in the page it begins. */
struct slice {
	const unsigned char *bytes;
	size_t len;
	uint64_t at;
};

struct span {
	uint32_t at, len;
	bool copied; /* in `texts`, else in the record's bytes */
};

struct slot {
	struct span name, text;
	enum json_kind kind;
	uint32_t end; /* in the record's bytes, behind the token */
};

struct open_record {
	bool is_open;
	uint64_t at; /* byte of the page at which it begins */
	struct slot slots[DECODE_MAX_FIELDS];
	unsigned n_slots;
	struct record_field fields[DECODE_MAX_FIELDS];
	struct buffer raw; /* its bytes from earlier slices */
	struct buffer texts;
};

/* {0} is one that is not open. */
void open_record_fini(struct open_record *open);
void open_record_begin(struct open_record *open, uint64_t at);

/* A name, and then its value, whose token ends at byte `end` of the page. 0 or -ENOMEM. */
int open_record_name(struct open_record *open, const struct slice *slice, const void *text,
	size_t len) must_check;
int open_record_value(struct open_record *open, const struct slice *slice, enum json_kind kind,
	const void *text, size_t len, uint64_t end) must_check;

/* The slice is at its end, the record is not: keep its bytes. 0, -1: longer than a record may be. */
int open_record_keep(struct open_record *open, const struct slice *slice) must_check;

/* The record ends before byte `end` of the slice; all but its index. 0, or -1 as above. */
int open_record_end(struct open_record *open, const struct slice *slice, size_t end,
	struct record *ret) must_check;
