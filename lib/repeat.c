/*
 * What fails again and again. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/repeat.h"

#include <stdio.h>
#include <string.h>

bool repeat_failed(struct repeat *repeat, const char *code, unsigned every)
{
	bool same = repeat->n > 0 && strcmp(repeat->code, code) == 0;

	repeat->n++;
	snprintf(repeat->code, sizeof(repeat->code), "%s", code);
	return !same || repeat->n % every == 0;
}

unsigned repeat_over(struct repeat *repeat)
{
	unsigned n = repeat->n;

	*repeat = (struct repeat){.n = 0};
	return n;
}
