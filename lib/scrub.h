#pragma once

/*
 * The scrubber: takes known secrets out of whatever leaves the program.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One registry for the process (beside the log target its only global: a sink that was handed the
 * wrong registry would leak, so there is none to hand). Filled by the configuration; asked by every
 * sink: log, errors, status, ledger, metrics, alerts. Only for the thread of the loop.
 *
 * An occurrence is found as plain bytes, percent-encoded (any of its bytes, hex digits in either
 * case, + for a space) and as a JSON or log string writes it (\", \\, \/, \n, \u0041, \xNN), also mixed.
 * What was cut off at the end of a text is found too, from SCRUB_MIN_BYTES on; a text cut at its
 * start is not, so scrub first and cut then.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/attr.h"
#include "lib/buffer.h"

enum { SCRUB_MIN_BYTES = 4 };

/*
 * Remember a secret (copied). Returns 0, also when it is known already or NULL or empty; -EINVAL when
 * it is shorter than SCRUB_MIN_BYTES: hiding it would tear holes into everything else; -ENOMEM.
 */
int scrub_add(const char *secret) must_check;

/* Forget all of them, wiping the memory. A reload need not: what was secret stays secret. */
void scrub_clear(void);

/*
 * Replace each occurrence in place by "(hidden)", or by "****" where there is less room: a text
 * never gets longer. scrub_bytes() returns the new length, and writes no NUL.
 */
size_t scrub_bytes(char *data, size_t len);
void scrub_text(char *text);
void scrub_buffer(struct buffer *buffer);

/* True when scrub_bytes() would change something. */
bool scrub_finds(const char *data, size_t len);
