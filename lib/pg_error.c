/*
 * From SQLSTATE and libpq's texts to struct error. SPDX-License-Identifier: Apache-2.0
 *
 * A statement's error comes as fields of a result. A connection that could not be made only has a
 * text, of one or more lines, in which the SQLSTATE stands when verbosity is VERBOSE:
 *
 *   connection to server at "db1" (10.0.0.1), port 5432 failed: FATAL:  28P01: password ...
 *   LOCATION:  auth_failed, auth.c:338
 *
 * libpq's texts name hosts, users and databases, never a password (those of its parser do: see
 * pg_dsn.c).
 */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/pg_private.h"

enum { SQLSTATE_LEN = 5 };

enum error_class pg_error_class(const char *sqlstate)
{
	static const char *const retried[] = {
		"08",	 /* connection */
		"40",	 /* serialization, deadlock */
		"53",	 /* disk, memory, connections used up */
		"57P",	 /* shut down by somebody */
		"55P03", /* lock_timeout */
		"57014", /* statement_timeout, cancel */
		"25006", /* read only: a standby that will be promoted, or a fail-over in progress
			  */
	};

	for (unsigned i = 0; i < N_ELEMENTS(retried); i++) {
		if (strncmp(sqlstate, retried[i], strlen(retried[i])) == 0) {
			return ERROR_RETRY;
		}
	}
	return ERROR_REJECTED;
}

static const char *field(const PGresult *result, int code)
{
	const char *value = PQresultErrorField(result, code);

	return value ? value : "";
}

static bool is_fatal(const PGresult *result)
{
	const char *severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

/* "primary (detail)", and for COPY where it was. */
static void describe(const struct pg *pg, const PGresult *result, char *text, size_t size)
{
	const char *detail = field(result, PG_DIAG_MESSAGE_DETAIL);
	const char *context = field(result, PG_DIAG_CONTEXT);
	bool copying = pg->op.kind == PG_OP_COPY_IN && context[0];

	snprintf(text, size, "%s%s%s%s%s%.*s", field(result, PG_DIAG_MESSAGE_PRIMARY),
		detail[0] ? " (" : "", detail, detail[0] ? ")" : "", copying ? "; " : "",
		copying ? (int)strcspn(context, "\n") : 0, context);
}

/* The outcome of an operation that was stopped on request: 57014 is the server's yes to it. */
static bool set_stopped(struct pg *pg, const char *sqlstate, const char *text)
{
	if (strcmp(sqlstate, "57014") != 0) {
		return false;
	}
	switch (pg->op.stop) {
	case PG_STOP_NONE:
		return false;
	case PG_STOP_TIMEOUT:
		error_set(&pg->op.error, ERROR_RETRY, "database", "timeout",
			"no result within %llu ms",
			(unsigned long long)pg->options.statement_timeout_ms);
		return true;
	case PG_STOP_CANCEL:
	case PG_STOP_COPY_FAIL:
		error_set(&pg->op.error, ERROR_CANCELED, "database", "57014", "%s", text);
		return true;
	}
	return false;
}

void pg_error_result(struct pg *pg, const PGresult *result)
{
	const char *sqlstate = field(result, PG_DIAG_SQLSTATE);
	char text[ERROR_TEXT_BYTES];

	if (!sqlstate[0]) { /* libpq's own words: the connection is gone, or memory is short */
		pg_error_lost(pg, PQresultErrorMessage(result));
		return;
	}
	describe(pg, result, text, sizeof(text));
	if (is_fatal(result)) {
		pg->op.fatal = true;
		error_set(&pg->op.error, pg->op.commit ? ERROR_UNCERTAIN : ERROR_RETRY, "database",
			sqlstate, "%s", text);
	} else if (!set_stopped(pg, sqlstate, text)) {
		error_set(
			&pg->op.error, pg_error_class(sqlstate), "database", sqlstate, "%s", text);
	}
}

void pg_error_lost(struct pg *pg, const char *text)
{
	int len = (int)strcspn(text, "\n");

	error_set(&pg->op.error, pg->op.commit ? ERROR_UNCERTAIN : ERROR_RETRY, "database",
		"connection", "%.*s", len > 0 ? len : 19, len > 0 ? text : "the connection lost");
}

void pg_error_stopped(struct pg *pg)
{
	bool timeout = pg->op.stop == PG_STOP_TIMEOUT;
	enum error_class class = timeout ? ERROR_RETRY : ERROR_CANCELED;

	error_set(&pg->op.error, pg->op.commit ? ERROR_UNCERTAIN : class, "database",
		timeout ? "timeout" : "canceled", "%s, and no answer to the cancel request",
		timeout ? "no result in time" : "canceled");
}

/* Where ":  28P01: " stands, the last one: several hosts give several lines. */
static const char *find_sqlstate(const char *text)
{
	const char *found = NULL;

	for (const char *at = strstr(text, ":  "); at; at = strstr(at + 1, ":  ")) {
		const char *state = at + 3;
		int n = 0;

		while (n < SQLSTATE_LEN &&
			(isdigit((unsigned char)state[n]) || isupper((unsigned char)state[n]))) {
			n++;
		}
		if (n == SQLSTATE_LEN && strncmp(state + n, ": ", 2) == 0) {
			found = state;
		}
	}
	return found;
}

/* The lines but LOCATION, without SQLSTATEs, as one. */
static void tidy(const char *message, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	while (*message && len + 1 < size) {
		int n = (int)strcspn(message, "\n");
		char line[ERROR_TEXT_BYTES];
		char *state;

		snprintf(line, sizeof(line), "%.*s", n, message + strspn(message, "\t "));
		state = (char *)find_sqlstate(line);
		if (state) {
			memmove(state, state + SQLSTATE_LEN + 2,
				strlen(state + SQLSTATE_LEN + 2) + 1);
		}
		if (line[0] && strncmp(line, "LOCATION:", 9) != 0) {
			len += (size_t)snprintf(
				text + len, size - len, "%s%s", len ? "; " : "", line);
		}
		message += n;
		message += *message == '\n';
	}
}

/* What libpq says of values it cannot use. It has no code for them. */
static bool is_bad_option(const char *message)
{
	static const char *const starts[] = {"invalid ", "definition of service ", "service file "};

	for (unsigned i = 0; i < N_ELEMENTS(starts); i++) {
		if (strncmp(message, starts[i], strlen(starts[i])) == 0) {
			return true;
		}
	}
	return false;
}

void pg_error_connect(struct pg *pg)
{
	const char *message = PQerrorMessage(pg->conn);
	const char *state = find_sqlstate(message);
	char text[ERROR_TEXT_BYTES], code[SQLSTATE_LEN + 1];

	tidy(message, text, sizeof(text));
	if (state) {
		snprintf(code, sizeof(code), "%s", state);
		error_set(&pg->op.error, pg_error_class(code), "database", code, "%s", text);
	} else if (PQconnectionNeedsPassword(pg->conn)) {
		error_set(&pg->op.error, ERROR_REJECTED, "database", "28P01", "%s", text);
	} else if (is_bad_option(message)) {
		error_set(&pg->op.error, ERROR_REJECTED, "database", "dsn", "%s", text);
	} else {
		error_set(&pg->op.error, ERROR_RETRY, "database", "connection", "%s", text);
	}
}

void pg_notice_receiver(void *arg, const PGresult *result)
{
	struct pg *pg = arg;

	pg->n_notices++;
	pg->notice_fatal = is_fatal(result);
	snprintf(pg->notice_code, sizeof(pg->notice_code), "%s", field(result, PG_DIAG_SQLSTATE));
	snprintf(pg->notice, sizeof(pg->notice), "%s", field(result, PG_DIAG_MESSAGE_PRIMARY));
}
