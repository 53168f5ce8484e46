#pragma once

/*
 * What stands around the records of an answer. For decode.c alone; others see struct envelope
 * (decode.h). Pure. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/decode.h"

/* The names of the envelope that mean something to us. */
enum envelope_key {
	ENVELOPE_OTHER,
	ENVELOPE_COUNT,
	ENVELOPE_ERROR,
	ENVELOPE_LIMIT,
	ENVELOPE_MESSAGE,
	ENVELOPE_OFFSET,
	ENVELOPE_RECORDS,
	ENVELOPE_STATUS,
	ENVELOPE_TOTAL,
	ENVELOPE_UPDATED,
};

void envelope_init(struct envelope *envelope);
enum envelope_key envelope_key(const char *name, size_t len);

/* Any kind of value may come for any key: what is not of the due kind counts as absent. */
void envelope_take(struct envelope *envelope, enum envelope_key key, enum json_kind kind,
	const char *text, size_t len);
