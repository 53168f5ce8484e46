#pragma once

/*
 * What is wrong with files that people write, collected and reported together. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A report is a line `file:line:column: message` for each problem, in the order of the files and
 * the places in them. {0} is an empty collection.
 */

#include <stdbool.h>

#include "lib/attr.h"
#include "lib/buffer.h"

enum { PROBLEMS_SHOWN = 50 }; /* what more there is, is counted */

/* Where in which file. Line and column count from 1; line 0 is the file as a whole. */
struct problem_place {
	const char *file; /* borrowed until problems_fini() */
	unsigned order;	  /* of the file among those that are read */
	unsigned line, column;
};

struct problem;

struct problems {
	struct problem *list;
	unsigned n, size;
	unsigned n_more; /* not kept: there are too many */
	bool no_memory;	 /* the list is not complete */
};

/* A message is one line; its texts must have passed problem_quote(), or be known to be harmless. */
void problems_add(struct problems *problems, struct problem_place place, const char *format, ...)
	printf_like(3, 4);

/* True when nothing was wrong, the memory included. */
bool problems_none(const struct problems *problems);

/* Sorts; appends the report. */
void problems_report(struct problems *problems, struct buffer *report);
void problems_fini(struct problems *problems);

enum { PROBLEM_QUOTE_BYTES = 96 };

/* `text` in double quotes, cut where it is long, control characters as "?". Returns `buf`. */
const char *problem_quote(const char *text, char buf[static PROBLEM_QUOTE_BYTES]);
