/*
 * Failures that somebody must read or act on. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/error.h"

#include <stdio.h>
#include <string.h>

static void flatten(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f) {
			*text = ' ';
		}
	}
}

int error_set_va(struct error *error, enum error_class class, const char *where, const char *code,
	const char *format, va_list args)
{
	if (!error || error->class != ERROR_NONE) {
		return -1;
	}
	error->class = class;
	error->where = where;
	snprintf(error->code, sizeof(error->code), "%s", code);
	vsnprintf(error->text, sizeof(error->text), format, args);
	flatten(error->text);
	return -1;
}

int error_set(struct error *error, enum error_class class, const char *where, const char *code,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_set_va(error, class, where, code, format, args);
	va_end(args);
	return -1;
}

int error_no_memory(struct error *error, const char *where)
{
	return error_set(error, ERROR_RETRY, where, "no_memory", "out of memory");
}

int error_errno(struct error *error, enum error_class class, const char *where, int err,
	const char *what)
{
	const char *name = strerrorname_np(err);
	char code[ERROR_CODE_BYTES];

	snprintf(code, sizeof(code), "%s", name ? name : "errno");
	return error_set(error, class, where, code, "%s: %s", what, strerror(err));
}

void error_prefix(struct error *error, const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list args;
	int n;

	if (!error_is_set(error)) {
		return;
	}
	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(text)) {
		snprintf(text + n, sizeof(text) - n, ": %s", error->text);
	}
	memcpy(error->text, text, sizeof(text));
	flatten(error->text);
}

void error_clear(struct error *error)
{
	*error = (struct error){.class = ERROR_NONE};
}

bool error_is_set(const struct error *error)
{
	return error && error->class != ERROR_NONE;
}

const char *error_class_name(enum error_class class)
{
	switch (class) {
	case ERROR_NONE:
		return "none";
	case ERROR_RETRY:
		return "retry";
	case ERROR_REJECTED:
		return "rejected";
	case ERROR_UNCERTAIN:
		return "uncertain";
	case ERROR_CANCELED:
		return "canceled";
	}
	return "unknown";
}
