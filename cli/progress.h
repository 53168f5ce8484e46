#pragma once

/*
 * A bar for what takes longer than a second, on a terminal; silent otherwise.
 * SPDX-License-Identifier: Apache-2.0
 *
 * On standard error, one line that is overwritten and wiped at the end, so that nothing of it is
 * left between the lines of the command. Lives with its caller.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	FILE *file;
	const char *what; /* "replaying" */
	uint64_t total, done;
	uint64_t began_ms, drawn_ms;
	bool on, drawn, color;
};

/* `total` in whatever unit progress_set() counts; 0 is unknown: only what was done is shown. */
void progress_begin(struct progress *progress, FILE *file, const char *what, uint64_t total);
void progress_set(struct progress *progress, uint64_t done);

/* Wipe the line: before anything else is written, and at the end. */
void progress_clear(struct progress *progress);
