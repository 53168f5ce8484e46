/*
 * How `ogdsyncd --once` exits. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/exit_code.h"

#include <string.h>

#include "lib/exitcode.h"

int exit_code_worse(int a, int b)
{
	/* What an operator must mend stands before what mends itself. */
	static const int order[] = {EXITCODE_OK, EXITCODE_TRY_AGAIN, EXITCODE_UNAVAILABLE,
		EXITCODE_NO_PERMISSION, EXITCODE_CONFIG, EXITCODE_SOFTWARE};
	unsigned of_a = 0, of_b = 0;

	for (unsigned i = 0; i < N_ELEMENTS(order); i++) {
		of_a = order[i] == a ? i : of_a;
		of_b = order[i] == b ? i : of_b;
	}
	return of_a > of_b ? a : b;
}

static bool is_refused_right(const char *code)
{
	return strncmp(code, "28", 2) == 0 || strcmp(code, "42501") == 0;
}

static bool is_refused_key(const char *code)
{
	return strcmp(code, "key_refused") == 0 || strcmp(code, "key_missing") == 0;
}

/* The portal answered, and what it served waits in the spool for the dataset to be mended. */
static bool is_kept(const char *code)
{
	return strcmp(code, "schema_drift") == 0 || strcmp(code, "too_many_bad_rows") == 0;
}

static int of_outcome(enum run_state state, const char *why, bool of_portal)
{
	switch (state) {
	case RUN_SUCCESS:
		return EXITCODE_OK;
	case RUN_RUNNING:
	case RUN_SPOOLED:
	case RUN_PARTIAL:
	case RUN_SUSPECT:
	case RUN_CANCELED:
		return is_refused_key(why) ? EXITCODE_NO_PERMISSION : EXITCODE_TRY_AGAIN;
	case RUN_FAILED:
		break;
	}
	if (is_refused_key(why) || is_refused_right(why)) {
		return EXITCODE_NO_PERMISSION;
	}
	if (is_kept(why)) {
		return EXITCODE_TRY_AGAIN;
	}
	return of_portal ? EXITCODE_UNAVAILABLE : EXITCODE_TRY_AGAIN;
}

/* What the fetch stage says is the portal's fault; all else is rows that are not loaded. */
int exit_code_of_run(const struct run_info *run)
{
	return of_outcome(run->state, run->error ? run->error->code : "",
		run->error && strcmp(run->error->where, "fetch") == 0);
}

/* The codes of the database and of the disk: a SQLSTATE, or the name of an errno. */
static bool is_ours(const char *code)
{
	return code[0] != '\0' && strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == strlen(code);
}

int exit_code_of_words(const char *state, const char *code)
{
	enum run_state known = RUN_FAILED;
	const char *why = code ? code : "";

	for (int i = RUN_RUNNING; i < N_RUN_STATES; i++) {
		if (strcmp(run_state_name((enum run_state)i), state) == 0) {
			known = (enum run_state)i;
		}
	}
	return of_outcome(known, why, !is_ours(why));
}

int exit_code_of_database(enum loader_state state, const struct error *error)
{

	if (state == LOADER_SCHEMA) {
		return is_refused_right(error->code) ? EXITCODE_NO_PERMISSION : EXITCODE_CONFIG;
	}
	return is_refused_right(error->code) ? EXITCODE_NO_PERMISSION : EXITCODE_TRY_AGAIN;
}

int exit_code_of_start(const struct error *error)
{
	if (strcmp(error->code, "locked") == 0) {
		return EXITCODE_TRY_AGAIN;
	}
	if (strcmp(error->code, "address_in_use") == 0) {
		return EXITCODE_UNAVAILABLE;
	}
	return error->class == ERROR_REJECTED ? EXITCODE_CONFIG : EXITCODE_UNAVAILABLE;
}
