#pragma once

/*
 * A fetched slice: what it is, and how its fetch ended. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * Both are written into its file of the spool and into the ledger.
 */

#include <stdbool.h>
#include <stdint.h>

enum { SPOOL_UUID_BYTES = 37, SPOOL_NAME_BYTES = 64, SPOOL_SLICE_BYTES = 256, SPOOL_REASON_BYTES = 40,
	SPOOL_TEXT_BYTES = 256 };

/* How a fetch ended; the words are stored and shown. */
enum slice_state {
	SLICE_PROVEN,  /* every row was received */
	SLICE_PARTIAL, /* rows, but not provably all */
	SLICE_SUSPECT, /* 200 with nothing where something was due */
	SLICE_FAILED,  /* nothing that may be loaded */
};

const char *slice_state_name(enum slice_state state);

/* What a file holds; written at its begin. */
struct spool_header {
	int64_t run;
	char uuid[SPOOL_UUID_BYTES];
	char dataset[SPOOL_NAME_BYTES], source[SPOOL_NAME_BYTES];
	char slice[SPOOL_SLICE_BYTES]; /* "all", "2026-11-19", "2026-11-19/Kerala" */
	int32_t day;                   /* data date as days since 1970, INT32_MIN: none */
	int64_t started_us;            /* when the fetch of the slice began */
	bool accept; /* an operator says that rows which vanished are meant to */
	char trigger[SPOOL_NAME_BYTES]; /* "schedule", "once", "operator:uid=0", ... */
};

/* How the fetch ended; written at its end. */
struct spool_outcome {
	enum slice_state state;
	char reason[SPOOL_REASON_BYTES]; /* error code, "" when proven */
	char text[SPOOL_TEXT_BYTES];     /* for people */
	int64_t expected;                /* T, -1 unknown */
	uint64_t received, distinct, quarantined;
	unsigned pages, passes;
	int64_t updated; /* of the envelope, seconds; 0 unknown */
	int64_t finished_us;
};
