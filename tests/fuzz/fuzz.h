#pragma once

/*
 * What libFuzzer calls, and replay.c for each file of a corpus. SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What holds whatever came in. */
#define must(condition)             \
	do {                        \
		if (!(condition)) { \
			abort();    \
		}                   \
	} while (0)
