#pragma once

/*
 * Failures that somebody must read or act on. SPDX-License-Identifier: Apache-2.0
 *
 * A struct error has a fixed size and lives with its caller, so that reporting a failure cannot
 * fail. Its class is set once, where the cause is known; everybody above only reads it. Mechanical
 * failures (no memory, a bad descriptor) travel as plain -errno, bugs are asserts.
 */

#include <stdarg.h>
#include <stdbool.h>

#include "lib/attr.h"

enum error_class {
	ERROR_NONE,
	ERROR_RETRY,     /* the same again may succeed: time-outs, 429, 5xx, lost before COMMIT */
	ERROR_REJECTED,  /* the same input fails again: 4xx, bad JSON, a constraint */
	ERROR_UNCERTAIN, /* COMMIT was sent and no answer came: read the ledger */
	ERROR_CANCELED,  /* asked for */
};

enum { ERROR_TEXT_BYTES = 512, ERROR_CODE_BYTES = 40 };

struct error {
	enum error_class class;
	const char *where;           /* the stage: "fetch", "load"; a literal */
	char code[ERROR_CODE_BYTES]; /* stable token for machines: "http_502", "schema_drift" */
	char text[ERROR_TEXT_BYTES]; /* one sentence for people, no secret, no line end */
};

/*
 * Fill in `error` and return -1, so that a function may `return error_set(...)`. The first error
 * stays: one that is set already is left as it was. Text that is too long is cut. `error` may be
 * NULL for callers who do not care.
 */
int error_set(struct error *error, enum error_class class, const char *where, const char *code,
	const char *format, ...) printf_like(5, 6);
int error_set_va(struct error *error, enum error_class class, const char *where, const char *code,
	const char *format, va_list args) printf_like(5, 0);

/* Out of memory, as an error of class RETRY. Returns -1. */
int error_no_memory(struct error *error, const char *where);

/* A failed system call: code is the errno's name, text is `what: strerror`. Returns -1. */
int error_errno(struct error *error, enum error_class class, const char *where, int err,
	const char *what);

/* Put "what: " in front of the text, for callers who know more about the place. */
void error_prefix(struct error *error, const char *format, ...) printf_like(2, 3);

void error_clear(struct error *error);
bool error_is_set(const struct error *error);
const char *error_class_name(enum error_class class);
