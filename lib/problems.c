/*
 * Problems, collected. SPDX-License-Identifier: Apache-2.0
 *
 * They are found in whatever order the checks run and told in the order in which somebody mends
 * them: by file and place. A broken file can hold any number, so only KEPT of them are kept.
 */

#include "lib/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 1000, MESSAGE_BYTES = 512 };

struct problem {
	struct problem_place place;
	unsigned nth; /* keeps the order of those at one place */
	char *message;
};

static bool room(struct problems *problems)
{
	unsigned size = problems->size ? problems->size * 2 : 16;
	struct problem *list;

	if (problems->n < problems->size) {
		return true;
	}
	list = reallocarray(problems->list, size, sizeof(*list));
	if (list) {
		problems->list = list;
		problems->size = size;
	}
	return list != NULL;
}

void problems_add(struct problems *problems, struct problem_place place, const char *format, ...)
{
	char text[MESSAGE_BYTES];
	char *message;
	va_list args;

	if (problems->n == KEPT) {
		problems->n_more++;
		return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	message = strdup(text);
	if (!message || !room(problems)) {
		free(message);
		problems->no_memory = true;
		return;
	}
	problems->list[problems->n] = (struct problem){place, problems->n, message};
	problems->n++;
}

bool problems_none(const struct problems *problems)
{
	return problems->n == 0 && !problems->no_memory;
}

static int by_number(unsigned a, unsigned b)
{
	return (a > b) - (a < b);
}

static int by_place(const void *left, const void *right)
{
	const struct problem *a = left, *b = right;
	int r = by_number(a->place.order, b->place.order);

	if (r == 0) {
		r = by_number(a->place.line, b->place.line);
	}
	if (r == 0) {
		r = by_number(a->place.column, b->place.column);
	}
	return r != 0 ? r : by_number(a->nth, b->nth);
}

static void report_one(const struct problem *problem, struct buffer *report)
{
	const struct problem_place *place = &problem->place;

	buffer_append_str(report, place->file);
	if (place->line > 0) {
		buffer_printf(report, ":%u:%u", place->line, place->column);
	}
	buffer_printf(report, ": %s\n", problem->message);
}

void problems_report(struct problems *problems, struct buffer *report)
{
	unsigned shown = problems->n < PROBLEMS_SHOWN ? problems->n : PROBLEMS_SHOWN;

	if (problems->n > 0) {
		qsort(problems->list, problems->n, sizeof(problems->list[0]), by_place);
	}
	for (unsigned i = 0; i < shown; i++) {
		report_one(&problems->list[i], report);
	}
	if (problems->n + problems->n_more > shown) {
		buffer_printf(report, "and %u more\n", problems->n + problems->n_more - shown);
	}
	if (problems->no_memory) {
		buffer_append_str(report, "out of memory\n");
	}
}

void problems_fini(struct problems *problems)
{
	for (unsigned i = 0; i < problems->n; i++) {
		free(problems->list[i].message);
	}
	free(problems->list);
	*problems = (struct problems){0};
}

/* How many of at most `limit` bytes do not cut a UTF-8 character apart. */
static size_t whole_characters(const char *text, size_t limit)
{
	size_t len = strlen(text);

	if (len <= limit) {
		return len;
	}
	while (limit > 0 && ((unsigned char)text[limit] & 0xc0) == 0x80) {
		limit--;
	}
	return limit;
}

const char *problem_quote(const char *text, char buf[static PROBLEM_QUOTE_BYTES])
{
	size_t n = whole_characters(text, PROBLEM_QUOTE_BYTES - sizeof("\"\"..."));
	char *p = buf;

	*p++ = '"';
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		*p++ = c < ' ' || c == 0x7f ? '?' : (char)c;
	}
	snprintf(p, (size_t)(buf + PROBLEM_QUOTE_BYTES - p), "%s\"", text[n] ? "..." : "");
	return buf;
}
