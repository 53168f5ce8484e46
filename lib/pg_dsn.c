/*
 * Connection strings. SPDX-License-Identifier: Apache-2.0
 *
 * Whatever can be known is asked from libpq, so that service files, the environment and both forms
 * mean here what they mean there. There is no call that only fills in the defaults for a given
 * string; but PQconnectStartParams does that first, then checks the values, and connects only
 * when they are good. With one value that cannot be good it goes no further, and PQconninfo says
 * what it had found.
 */

#include "lib/pg_dsn.h"

#include <errno.h>
#include <string.h>

#include "lib/pg_private.h"

/* As libpq decides it; anything else is the name of a database. */
static bool is_connection_string(const char *dsn)
{
	return strncmp(dsn, "postgresql://", 13) == 0 || strncmp(dsn, "postgres://", 11) == 0 ||
		strchr(dsn, '=');
}

/* Everything from the first to the last quote may be ours: cut it out. */
static void cut_quoted(char *text)
{
	char *first = strchr(text, '"');
	char *last = strrchr(text, '"');

	if (first && last > first) {
		memmove(first + 1, last, strlen(last) + 1);
	}
	text[strcspn(text, "\n")] = '\0';
}

static int malformed(struct error *error, char *message)
{
	if (!message) {
		return error_no_memory(error, "database");
	}
	cut_quoted(message);
	return error_set(error, ERROR_REJECTED, "database", "dsn",
		"the connection string is malformed: %s", message);
}

/* user:p@ss@host: what libpq takes for the host is the rest of a password. */
static bool has_stray_at(const PQconninfoOption *options)
{
	const char *host = pg_dsn_option(options, "host");

	return host[0] != '/' && host[0] != '@' && strstr(host, "@") && !strstr(host, ",@") &&
		!strstr(host, "/");
}

int pg_dsn_check(const char *dsn, struct error *error)
{
	PQconninfoOption *options;
	char *message = NULL;
	int r = 0;

	if (!is_connection_string(dsn)) {
		return 0;
	}
	options = PQconninfoParse(dsn, &message);
	if (!options) {
		r = malformed(error, message);
	} else if (has_stray_at(options)) {
		r = error_set(error, ERROR_REJECTED, "database", "dsn",
			"the connection string is malformed: an @ in the password must be written "
			"%%40");
	}
	PQfreemem(message);
	PQconninfoFree(options);
	return r;
}

int pg_dsn_secrets(const char *dsn, void (*found)(void *arg, const char *secret), void *arg)
{
	PQconninfoOption *options;
	char *message = NULL;

	if (!is_connection_string(dsn)) {
		return 0;
	}
	options = PQconninfoParse(dsn, &message);
	if (!options) {
		int r = message ? -EINVAL : -ENOMEM;

		PQfreemem(message);
		return r;
	}
	for (const PQconninfoOption *o = options; o->keyword; o++) {
		/* dispchar "*" is libpq's own mark of what must not be shown. */
		if (o->val && o->val[0] &&
			(o->dispchar[0] == '*' || strstr(o->keyword, "password"))) {
			found(arg, o->val);
		}
	}
	PQconninfoFree(options);
	return 0;
}

PQconninfoOption *pg_dsn_options(const char *dsn)
{
	static const char *const keywords[] = {"dbname", "channel_binding", NULL};
	const char *const values[] = {dsn, "(none of these)", NULL};
	PQconninfoOption *options;
	PGconn *conn;

	conn = PQconnectStartParams(keywords, values, 1);
	options = conn ? PQconninfo(conn) : NULL;
	PQfinish(conn);
	return options;
}

const char *pg_dsn_option(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o && o->keyword; o++) {
		if (strcmp(o->keyword, keyword) == 0) {
			return o->val ? o->val : "";
		}
	}
	return "";
}

void pg_dsn_describe(const char *dsn, struct buffer *out)
{
	static const char *const shown[] = {"host", "hostaddr", "port", "dbname", "user"};
	struct error error = {0};
	PQconninfoOption *options;
	const char *gap = "";

	if (pg_dsn_check(dsn, &error) < 0) {
		buffer_append_str(out, "(malformed)");
		return;
	}
	options = pg_dsn_options(dsn);
	for (unsigned i = 0; i < N_ELEMENTS(shown); i++) {
		const char *value = pg_dsn_option(options, shown[i]);

		if (value[0]) {
			buffer_printf(out, "%s%s=%s", gap, shown[i], value);
			gap = " ";
		}
	}
	PQconninfoFree(options);
}
