/*
 * The daemon and its state.json.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/daemon_private.h"

#include <errno.h>
#include <string.h>

void daemon_save_state(struct daemon *daemon)
{
	struct state_doc *doc;

	if (!daemon->state) {
		return;
	}
	doc = state_doc(daemon->state);
	(void)report_save(daemon->report, doc);
	if (daemon->runner) { /* in a stop it goes first, and the document has its last word */
		doc->breaker = portal_breaker(daemon->portal)->state;
		doc->last_run = runner_last_id(daemon->runner);
	}
	state_touch(daemon->state);
}

void daemon_save_breaker(struct daemon *daemon)
{
	const struct breaker_state *now = &portal_breaker(daemon->portal)->state;

	/* Failures that open nothing, and probes, are not worth a write. */
	if (daemon->state && (now->phase == BREAKER_OPEN || now->phase == BREAKER_CLOSED) &&
		(now->phase != state_doc(daemon->state)->breaker.phase ||
			now->opened_us != state_doc(daemon->state)->breaker.opened_us)) {
		daemon_save_state(daemon);
	}
}

/*
 * What a source is due for is settled when a run of it is safe in the spool; until then a killed
 * process leaves its tick open, and the next one fires it again.
 */
void daemon_save_marks(struct daemon *daemon, const struct run_info *run)
{
	struct state_source *source;

	if (daemon->state && !daemon->stopping && !run->heals) {
		source = state_doc_source(state_doc(daemon->state), run->source);
		if (source) { /* it is configured still */
			schedule_save(daemon->schedule, run->source, &source->mark);
			source->mark.attempt_us =
				clock_wall_us(daemon->clock); /* also if it only waits */
		}
	}
	daemon_save_state(daemon);
}

static void on_state_written(void *arg, const struct error *error)
{
	report_state(((struct daemon *)arg)->report, false, error);
}

int daemon_open_state(struct daemon *daemon)
{
	struct state_options options = {
		.loop = &daemon->loop,
		.config = daemon->config,
		.directory = spool_directory(daemon->spool),
		.on_written = on_state_written,
		.arg = daemon,
	};
	struct spool_stats spool = spool_stats(daemon->spool);
	bool used = spool.n_part + spool.n_ready + spool.n_loaded > 0;
	struct error why = {.class = ERROR_NONE};

	if (state_open(&options, &daemon->state, &why) < 0) {
		return -ENOMEM;
	}
	/* A new installation has none, and that is no news. */
	if (error_is_set(&why) && (used || strcmp(why.code, "ENOENT") != 0)) {
		report_state(daemon->report, true, &why);
	}
	report_restore(daemon->report, state_doc(daemon->state));
	return 0;
}

/* Also for a source that is new: its ticks count from now on, whatever becomes of this process. */
void daemon_restore_schedule(struct daemon *daemon)
{
	schedule_pause(daemon->schedule, NULL, state_doc(daemon->state)->paused);
	for (unsigned d = 0; d < daemon->config->n_datasets; d++) {
		const struct dataset *dataset = daemon->config->datasets[d];

		for (unsigned s = 0; s < dataset->n_sources; s++) {
			struct state_source *source = state_doc_source(
				state_doc(daemon->state), &dataset->sources[s]);

			schedule_restore(daemon->schedule, &dataset->sources[s], &source->mark);
			schedule_save(daemon->schedule, &dataset->sources[s], &source->mark);
		}
	}
}
