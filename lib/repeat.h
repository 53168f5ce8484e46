#pragma once

/*
 * What fails again and again is said when it begins, then now and then, and when it is over. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * {0} is one that has not failed.
 */

#include <stdbool.h>

#include "lib/error.h"

struct repeat {
	unsigned n; /* failures in a row */
	char code[ERROR_CODE_BYTES];
};

/*
 * It failed, with this code. True when that is to be said: the first time, every `every`-th time, and
 * when the code is another than the last.
 */
bool repeat_failed(struct repeat *repeat, const char *code, unsigned every);

/* It went well. Returns how many failures are over; 0: it was well before. */
unsigned repeat_over(struct repeat *repeat);
