/*
 * A run that the daemon remembers, as JSON. SPDX-License-Identifier: Apache-2.0
 *
 * With the keys that ledger_ask_run() gives, so that nobody needs to know where it came from.
 */

#include <inttypes.h>
#include <string.h>

#include "daemon/api_private.h"
#include "lib/clock.h"
#include "lib/escape.h"

static void append_time(struct buffer *out, const char *key, int64_t us)
{
	char time[CLOCK_RFC3339_BYTES];

	buffer_printf(out, ",\"%s\":", key);
	if (us) {
		buffer_printf(out, "\"%s\"", clock_format_rfc3339(us, 3, time));
	} else {
		buffer_append_str(out, "null");
	}
}

static void append_text(struct buffer *out, const char *key, const char *text)
{
	buffer_printf(out, ",\"%s\":", key);
	if (text[0]) {
		buffer_append_char(out, '"');
		escape_append(out, text, strlen(text));
		buffer_append_char(out, '"');
	} else {
		buffer_append_str(out, "null");
	}
}

void api_append_run(struct buffer *out, const struct api_run *run)
{
	const struct row_counts *counts = &run->counts;
	buffer_printf(out, "\"id\":%" PRId64, run->id);
	append_text(out, "dataset", run->dataset);
	append_text(out, "source", run->source);
	append_text(out, "trigger", run->trigger);
	append_text(out, "state", run->state);
	append_text(out, "code", run->code);
	append_text(out, "error", run->error);
	append_time(out, "started_at", run->started_us);
	append_time(out, "finished_at", run->finished_us);
	buffer_printf(out,
		",\"slices\":%u,\"received\":%" PRIu64 ",\"inserted\":%" PRIu64
		",\"updated\":%" PRIu64 ",\"unchanged\":%" PRIu64 ",\"duplicate\":%" PRIu64
		",\"quarantined\":%" PRIu64,
		run->n_slices, counts->received, counts->inserted, counts->updated,
		counts->unchanged, counts->duplicate, counts->quarantined);
}
