/*
 * What must survive the process: <spool>/state.json. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is: the file is read at start; whenever the document changed, its text goes to the
 * thread pool, which replaces the file. What changes meanwhile is written by the next write: at most
 * one is under way, and no change waits for more than one.
 *
 * Possible failure modes are:
 *   - The file is missing or damaged: the daemon begins afresh and says so. Counters start at 0 and an
 *     open breaker is forgotten; no row is lost, for those are in the spool and the database.
 *   - It cannot be written (disk full): the old one stays, the next change tries again.
 *   - kill -9: what was not written yet is as if it had not happened; a run that had just ended is
 *     counted once less.
 */

#include "daemon/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/atomic_file.h"

enum { MAX_FILE_BYTES = 16 << 20 };

struct state {
	struct state_options options;
	char *path;
	struct state_doc doc;
	bool dirty; /* changed since the last write began */
	bool writing;
	bool closing;
};

static void state_free(struct state *state)
{
	state_doc_fini(&state->doc);
	free(state->path);
	free(state);
}

static void read_file(struct state *state, struct error *why)
{
	_cleanup_buffer_ struct buffer text = {0};
	const char *wrong;

	if (atomic_file_read(state->path, MAX_FILE_BYTES, &text, why) < 0) {
		return;
	}
	if (state_parse(&state->doc, buffer_str(&text), text.len, &wrong) < 0) {
		error_set(why, ERROR_REJECTED, "state", "damaged", "%s: %s", state->path, wrong);
	}
}

int state_open(const struct state_options *options, struct state **ret, struct error *why)
{
	struct state *state = calloc(1, sizeof(*state));

	if (!state || state_doc_init(&state->doc, options->config) < 0) {
		free(state);
		return -ENOMEM;
	}
	state->options = *options;
	if (asprintf(&state->path, "%s/state.json", options->directory) < 0) {
		state->path = NULL;
		state_free(state);
		return -ENOMEM;
	}
	read_file(state, why);
	*ret = state;
	return 0;
}

int state_reconfigure(struct state *state, const struct config *config)
{
	_cleanup_free_ char *text = state_format(&state->doc);
	struct state_doc old = state->doc;
	const char *wrong;

	if (!text || state_doc_init(&state->doc, config) < 0) {
		state->doc = old;
		return -ENOMEM;
	}
	if (state_parse(&state->doc, text, strlen(text), &wrong) < 0) {
		state_doc_fini(&state->doc);
		state->doc = old;
		return -ENOMEM; /* what we wrote is right */
	}
	state_doc_fini(&old);
	state->options.config = config;
	return 0;
}

struct state_doc *state_doc(struct state *state)
{
	return &state->doc;
}

static void write_if_due(struct state *state);

static void told(struct state *state, const struct error *error)
{
	if (!state->closing) {
		state->options.on_written(state->options.arg, error);
	}
}

static void on_written(void *arg, const struct error *error)
{
	struct state *state = arg;
	bool again = state->dirty;

	state->writing = false;
	state->dirty = again || error;
	told(state, error);
	if (again) {
		write_if_due(state);
	}
	if (state->closing && !state->writing) {
		state_free(state);
	}
}

static void write_if_due(struct state *state)
{
	_cleanup_free_ char *text = NULL;
	struct error error = {.class = ERROR_NONE};

	if (state->writing || !state->dirty) {
		return;
	}
	text = state_format(&state->doc);
	if (!text ||
		atomic_file_write_async(state->options.loop, state->path, text, strlen(text),
			on_written, state) < 0) {
		error_no_memory(&error, "state");
		told(state, &error);
		return;
	}
	state->writing = true;
	state->dirty = false;
}

void state_touch(struct state *state)
{
	state->dirty = true;
	write_if_due(state);
}

void state_close(struct state *state)
{
	state->closing = true;
	write_if_due(state);
	if (!state->writing) {
		state_free(state);
	}
}
