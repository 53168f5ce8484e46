/*
 * The daemon and what operators ask of it. SPDX-License-Identifier: Apache-2.0
 *
 * Everything is decided at once, in memory: a run is queued, a pause is noted and written to
 * state.json, a cancel sets the end of runs in motion. What cannot be done says why and changes
 * nothing. Each is logged with who asked.
 */

#include "daemon/daemon_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/scrub.h"

static void refuse(struct api_outcome *outcome, int status, const char *format, ...)
	printf_like(3, 4);

static void refuse(struct api_outcome *outcome, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	outcome->status = status;
	vsnprintf(outcome->text, sizeof(outcome->text), format, args);
	va_end(args);
}

static void add_run(struct api_outcome *outcome, int64_t id)
{
	outcome->runs[outcome->n_runs++] = id;
}

/* ---- which source ---- */

/* The one that is meant when none is named: for dates the first with slices, else the first. */
static const struct source *default_source(const struct dataset *dataset, bool dates)
{
	for (unsigned s = 0; dates && s < dataset->n_sources; s++) {
		if (dataset->sources[s].slice.sliced) {
			return &dataset->sources[s];
		}
	}
	return &dataset->sources[0];
}

/* NULL: the outcome says why. */
static const struct source *find_source(const struct daemon *daemon,
	const struct api_command *command, struct api_outcome *outcome)
{
	const struct dataset *dataset = config_dataset(daemon->config, command->dataset);
	const struct source *source;

	if (!dataset) {
		refuse(outcome, 404, "there is no dataset %s", command->dataset);
		return NULL;
	}
	if (!command->source) {
		return default_source(dataset, command->from != INT32_MIN);
	}
	source = config_source(daemon->config, command->dataset, command->source);
	if (!source) {
		refuse(outcome, 404, "%s has no source %s", command->dataset, command->source);
	}
	return source;
}

/* ---- run ---- */

/* The dates of the command, the newest first; 0: the outcome says why not. */
static unsigned plan_range(const struct daemon *daemon, const struct source *source,
	const struct api_command *command, struct plan_slice *slices, struct api_outcome *outcome)
{
	int64_t n = (int64_t)command->to - command->from + 1;

	if (!source->slice.sliced) {
		refuse(outcome, 400, "from, to: %s is not fetched by dates", source->label);
	} else if (command->to > daemon_day(daemon, clock_wall_us(daemon->clock))) {
		refuse(outcome, 400, "to: that day has not come");
	} else if (n > PLAN_MAX_SLICES) {
		refuse(outcome, 400, "from, to: %lld days are more than the %d of one run",
			(long long)n, PLAN_MAX_SLICES);
	}
	if (outcome->status != 202) {
		return 0;
	}
	for (int64_t i = 0; i < n; i++) {
		plan_day((int32_t)(command->to - i), &slices[i]);
	}
	return (unsigned)n;
}

static unsigned plan(const struct daemon *daemon, const struct source *source,
	const struct api_command *command, struct plan_slice *slices, struct api_outcome *outcome)
{
	int32_t today = daemon_day(daemon, clock_wall_us(daemon->clock));
	unsigned n = command->from == INT32_MIN
			     ? plan_due(source, today, today, slices, PLAN_MAX_SLICES)
			     : plan_range(daemon, source, command, slices, outcome);

	for (unsigned i = 0; i < n; i++) {
		slices[i].accept = command->accept;
	}
	return n;
}

static void run_now(struct daemon *daemon, const struct api_command *command,
	struct api_outcome *outcome)
{
	_cleanup_free_ struct plan_slice *slices = calloc(PLAN_MAX_SLICES, sizeof(*slices));
	const struct source *source = find_source(daemon, command, outcome);
	int64_t id = source ? runner_find(daemon->runner, source) : 0;
	unsigned n;

	if (!source) {
		return;
	}
	if (id) {
		refuse(outcome, 409, "%s is being run already", source->label);
		add_run(outcome, id);
		return;
	}
	n = slices ? plan(daemon, source, command, slices, outcome) : 0;
	if (outcome->status != 202) {
		return;
	}
	id = n > 0 ? runner_add(daemon->runner, source, command->who, slices, n) : -ENOMEM;
	if (id <= 0) {
		refuse(outcome, 503, "out of memory");
		return;
	}
	add_run(outcome, id);
	log_notice(NULL, "control.run", f_i64("run", id), f_str("source", source->label),
		f_str("by", command->who), f_u64("slices", n));
}

/* ---- pause and resume ---- */

static void set_pause(struct daemon *daemon, const struct api_command *command,
	struct api_outcome *outcome)
{
	bool paused = command->verb == API_PAUSE;
	const struct source *source = NULL;
	struct state_doc *doc = state_doc(daemon->state);

	if (command->dataset) {
		source = find_source(daemon, command, outcome);
		if (!source) {
			return;
		}
		state_doc_source(doc, source)->mark.paused = paused;
	} else {
		doc->paused = paused;
	}
	schedule_pause(daemon->schedule, source, paused);
	daemon_save_state(daemon);
	daemon_look_at_schedule(daemon);
	log_notice(NULL, paused ? "control.pause" : "control.resume",
		f_str("source", source ? source->label : NULL), f_str("by", command->who));
}

/* ---- cancel ---- */

static void cancel(struct daemon *daemon, const struct api_command *command,
	struct api_outcome *outcome)
{
	const struct source *source = NULL;

	if (command->dataset) {
		source = find_source(daemon, command, outcome);
		if (!source) {
			return;
		}
	}
	outcome->n_runs = runner_cancel(daemon->runner, source, command->who, outcome->runs);
	if (outcome->n_runs == 0) {
		refuse(outcome, 409, "nothing runs%s%s", source ? " of " : "",
			source ? source->label : "");
		return;
	}
	for (unsigned i = 0; i < outcome->n_runs; i++) {
		log_notice(NULL, "control.cancel", f_i64("run", outcome->runs[i]),
			f_str("by", command->who));
	}
}

void daemon_control(void *arg, const struct api_command *command, struct api_outcome *ret)
{
	switch (command->verb) {
	case API_RUN:
		run_now(arg, command, ret);
		break;
	case API_PAUSE:
	case API_RESUME:
		set_pause(arg, command, ret);
		break;
	case API_CANCEL:
		cancel(arg, command, ret);
		break;
	case API_RELOAD:
		daemon_reload(arg, command->who, ret);
		break;
	}
}

/* ---- what became of a run ---- */

static void copy_run(const struct run_info *run, struct api_run *ret)
{
	*ret = (struct api_run){
		.id = run->id,
		.state = run->started_us == 0 ? "queued" : run_state_name(run->state),
		.started_us = run->started_us,
		.finished_us = run->finished_us,
		.n_slices = run->n_slices,
		.counts = run->counts,
	};
	snprintf(ret->dataset, sizeof(ret->dataset), "%s", run->source->dataset->name);
	snprintf(ret->source, sizeof(ret->source), "%s", run->source->name);
	snprintf(ret->trigger, sizeof(ret->trigger), "%s", run->trigger);
	if (run->error) {
		snprintf(ret->code, sizeof(ret->code), "%s", run->error->code);
		snprintf(ret->error, sizeof(ret->error), "%s", run->error->text);
		scrub_text(ret->error);
	}
}

void daemon_remember_run(struct daemon *daemon, const struct run_info *run)
{
	copy_run(run, &daemon->ended[daemon->n_ended++ % N_ELEMENTS(daemon->ended)]);
}

bool daemon_find_run(void *arg, int64_t id, struct api_run *ret)
{
	struct daemon *daemon = arg;
	const struct run_info *run = runner_info(daemon->runner, id);

	if (run) {
		copy_run(run, ret);
		return true;
	}
	for (unsigned i = 0; i < N_ELEMENTS(daemon->ended); i++) {
		if (daemon->ended[i].id == id) {
			*ret = daemon->ended[i];
			return true;
		}
	}
	return false;
}
