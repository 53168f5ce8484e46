/*
 * What is due at time t, and when to look again. SPDX-License-Identifier: Apache-2.0
 *
 * Each source has the time of its next regular tick and, after a run that was no success, that of a
 * retry; whichever comes first fires. A tick is computed from the one before, never from "now", so
 * one that was missed fires once, late, and all that were missed fire as one. What fires knows the
 * first tick that it stands for: also that of a run before it that brought nothing, or that was
 * skipped, so that no date falls between two runs.
 *
 * A clock that is set back by less than a day makes a source wait: a tick does not fire twice. Back by
 * more, it had been wrong, and ticks count from now on.
 */

#include "daemon/schedule.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "lib/cron.h"

enum { MAX_CRONS = 16 };

struct entry {
	const struct source *source;
	struct cron crons[MAX_CRONS];
	unsigned n_crons;
	int64_t last_us;  /* the last tick that fired, or when we began to count */
	int64_t next_us;  /* regular; INT64_MAX never */
	int64_t retry_us; /* INT64_MAX none */
	int64_t since_us; /* the first tick that the last run stands for; 0 unknown */
	bool owed;        /* that run brought nothing, or never was: the next one stands for it */
	int64_t attempt_us; /* when the last run ended; 0 none */
	unsigned n_failed; /* in a row */
	bool start;        /* on_start is due */
	bool paused;
};

struct schedule {
	const struct zone *zone;
	bool paused; /* all of it */
	unsigned n_entries;
	struct entry entries[];
};

/* The same source is always late by the same time, different ones by different times. */
static int64_t jitter_us(const struct source *source)
{
	uint64_t hash = XXH3_64bits(source->label, strlen(source->label));

	return source->jitter_ms ? (int64_t)(hash % source->jitter_ms) * 1000 : 0;
}

static void plan_next(const struct schedule *schedule, struct entry *entry)
{
	int64_t next = INT64_MAX, tick;

	for (unsigned i = 0; i < entry->n_crons; i++) {
		tick = cron_next(&entry->crons[i], entry->last_us, schedule->zone);
		next = tick < next ? tick : next;
	}
	if (entry->source->every_ms) {
		tick = entry->last_us + (int64_t)entry->source->every_ms * 1000;
		next = tick < next ? tick : next;
	}
	entry->next_us = next;
}

static void init_entry(struct schedule *schedule, struct entry *entry, const struct source *source,
	int64_t now_us)
{
	entry->source = source;
	entry->last_us = now_us;
	entry->retry_us = INT64_MAX;
	entry->start = source->on_start;
	for (unsigned i = 0; i < source->n_schedules && i < MAX_CRONS; i++) {
		if (cron_parse(source->schedules[i], &entry->crons[entry->n_crons], NULL, NULL) ==
			0) {
			entry->n_crons++;
		}
	}
	plan_next(schedule, entry);
}

int schedule_new(const struct config *config, const struct zone *zone, int64_t now_us,
	struct schedule **ret)
{
	struct schedule *schedule;
	unsigned n = 0;

	for (unsigned d = 0; d < config->n_datasets; d++) {
		n += config->datasets[d]->n_sources;
	}
	schedule = calloc(1, sizeof(*schedule) + n * sizeof(schedule->entries[0]));
	if (!schedule) {
		return -ENOMEM;
	}
	schedule->zone = zone;
	for (unsigned d = 0; d < config->n_datasets; d++) {
		for (unsigned s = 0; s < config->datasets[d]->n_sources; s++) {
			init_entry(schedule, &schedule->entries[schedule->n_entries++],
				&config->datasets[d]->sources[s], now_us);
		}
	}
	*ret = schedule;
	return 0;
}

struct schedule *schedule_free(struct schedule *schedule)
{
	free(schedule);
	return NULL;
}

/* By its name: a run that began under an earlier configuration has a source of that. */
static struct entry *find(const struct schedule *schedule, const struct source *source)
{
	for (unsigned i = 0; i < schedule->n_entries; i++) {
		if (strcmp(schedule->entries[i].source->label, source->label) == 0) {
			return (struct entry *)&schedule->entries[i];
		}
	}
	return NULL;
}

void schedule_take_over(struct schedule *schedule, const struct schedule *old)
{
	schedule->paused = old->paused;
	for (unsigned i = 0; i < schedule->n_entries; i++) {
		struct entry *entry = &schedule->entries[i];
		const struct entry *known = find(old, entry->source);

		if (!known) {
			continue;
		}
		entry->last_us = known->last_us;
		entry->retry_us = known->retry_us;
		entry->since_us = known->since_us;
		entry->owed = known->owed;
		entry->attempt_us = known->attempt_us;
		entry->n_failed = known->n_failed;
		entry->start = known->start;
		entry->paused = known->paused;
		plan_next(schedule, entry);
	}
}

void schedule_restore(struct schedule *schedule, const struct source *source,
	const struct schedule_mark *mark)
{
	struct entry *entry = find(schedule, source);
	int64_t now_us = entry->last_us;

	if (mark->attempt_us <= now_us) {
		entry->attempt_us = mark->attempt_us;
	}
	if (mark->attempt_us > now_us - (int64_t)SCHEDULE_ON_START_MS * 1000 &&
		mark->attempt_us <= now_us) {
		entry->start = false;
	}
	if (mark->tick_us > 0 && mark->tick_us < now_us) {
		entry->last_us = mark->tick_us;
		plan_next(schedule, entry);
	}
	if (mark->retry_us > 0 && mark->retry_us <= now_us + (int64_t)SCHEDULE_RETRY_MAX_MS * 1000) {
		entry->retry_us = mark->retry_us;
		entry->n_failed = mark->n_failed;
	}
	entry->paused = mark->paused;
	if (mark->since_us > 0 && mark->since_us < now_us) {
		entry->since_us = mark->since_us;
		entry->owed = mark->owed;
	}
}

void schedule_save(const struct schedule *schedule, const struct source *source,
	struct schedule_mark *ret)
{
	const struct entry *entry = find(schedule, source);

	if (!entry) {
		return; /* it is not configured any more */
	}
	*ret = (struct schedule_mark){
		.tick_us = entry->last_us,
		.attempt_us = entry->attempt_us,
		.retry_us = entry->retry_us == INT64_MAX ? 0 : entry->retry_us,
		.since_us = entry->owed || entry->retry_us != INT64_MAX ? entry->since_us : 0,
		.owed = entry->owed,
		.n_failed = entry->n_failed,
		.paused = entry->paused,
	};
}

void schedule_pause(struct schedule *schedule, const struct source *source, bool paused)
{
	if (source) {
		find(schedule, source)->paused = paused;
	} else {
		schedule->paused = paused;
	}
}

bool schedule_is_paused(const struct schedule *schedule, const struct source *source)
{
	return source ? find(schedule, source)->paused : schedule->paused;
}

static bool waits(const struct schedule *schedule, const struct entry *entry)
{
	return schedule->paused || entry->paused;
}

/* The first tick that a run which begins now stands for. */
static int64_t first_tick(const struct entry *entry, const char *why, int64_t now_us)
{
	int64_t first = entry->next_us < now_us ? entry->next_us : now_us;
	bool again = entry->owed || (entry->retry_us != INT64_MAX && strcmp(why, "schedule") != 0);

	return again && entry->since_us > 0 && entry->since_us < first ? entry->since_us : first;
}

/* The newest tick that is not after now: those before it are covered by the same run. */
static void fire(const struct schedule *schedule, struct entry *entry, const char *why,
	int64_t now_us)
{
	entry->since_us = first_tick(entry, why, now_us);
	entry->owed = false;
	entry->start = false;
	entry->retry_us = INT64_MAX;
	for (unsigned n = 0; entry->next_us <= now_us && n < 100000; n++) {
		entry->last_us = entry->next_us;
		plan_next(schedule, entry);
	}
	if (entry->next_us <= now_us) {
		entry->last_us = now_us;
		plan_next(schedule, entry);
	}
}

/* The clock was wrong when the last tick fired. */
static void believe_clock(const struct schedule *schedule, struct entry *entry, int64_t now_us)
{
	if (entry->last_us > now_us + (int64_t)SCHEDULE_BACK_MS * 1000) {
		entry->last_us = now_us;
		plan_next(schedule, entry);
	}
	if (entry->retry_us != INT64_MAX &&
		entry->retry_us > now_us + (int64_t)SCHEDULE_RETRY_MAX_MS * 1000) {
		entry->retry_us = now_us + (int64_t)SCHEDULE_RETRY_MS * 1000;
	}
}

static const char *why_due(const struct entry *entry, int64_t now_us)
{
	if (entry->start) {
		return "start";
	}
	if (entry->next_us != INT64_MAX && entry->next_us + jitter_us(entry->source) <= now_us) {
		return "schedule";
	}
	return entry->retry_us <= now_us ? "retry" : NULL;
}

bool schedule_due(struct schedule *schedule, int64_t now_us, struct schedule_due *ret)
{
	for (unsigned i = 0; i < schedule->n_entries; i++) {
		struct entry *entry = &schedule->entries[i];
		const char *why;

		believe_clock(schedule, entry, now_us);
		why = waits(schedule, entry) ? NULL : why_due(entry, now_us);
		if (why) {
			fire(schedule, entry, why, now_us);
			*ret = (struct schedule_due){.source = entry->source,
				.trigger = why,
				.since_us = entry->since_us};
			return true;
		}
	}
	return false;
}

void schedule_skipped(struct schedule *schedule, const struct source *source)
{
	struct entry *entry = find(schedule, source);

	if (entry) {
		entry->owed = true;
	}
}

void schedule_ended(struct schedule *schedule, const struct source *source,
	enum schedule_end how, int64_t now_us)
{
	struct entry *entry = find(schedule, source);
	uint64_t ms = SCHEDULE_RETRY_MS;

	if (!entry) {
		return;
	}
	entry->attempt_us = now_us;
	entry->retry_us = INT64_MAX;
	if (how == SCHEDULE_SUCCESS || (entry->n_crons == 0 && source->every_ms == 0)) {
		entry->n_failed = 0;
		return;
	}
	for (unsigned i = 0; i < entry->n_failed && ms < SCHEDULE_RETRY_MAX_MS; i++) {
		ms *= 2;
	}
	entry->n_failed++;
	entry->owed = entry->owed || how == SCHEDULE_NOTHING;
	entry->retry_us = now_us + (int64_t)ms * 1000;
}

static int64_t next_of(const struct schedule *schedule, const struct entry *entry)
{
	int64_t next = entry->next_us;

	if (waits(schedule, entry)) {
		return INT64_MAX;
	}
	if (entry->start) {
		return entry->last_us;
	}
	if (next != INT64_MAX) {
		next += jitter_us(entry->source);
	}
	return entry->retry_us < next ? entry->retry_us : next;
}

int64_t schedule_next_us(const struct schedule *schedule, const struct source *source)
{
	const struct entry *entry = find(schedule, source);

	return entry ? next_of(schedule, entry) : INT64_MAX;
}

int64_t schedule_soonest_us(const struct schedule *schedule)
{
	int64_t soonest = INT64_MAX, next;

	for (unsigned i = 0; i < schedule->n_entries; i++) {
		next = next_of(schedule, &schedule->entries[i]);
		soonest = next < soonest ? next : soonest;
	}
	return soonest;
}

uint64_t schedule_sleep_ms(const struct schedule *schedule, int64_t now_us)
{
	int64_t soonest = schedule_soonest_us(schedule);

	if (soonest <= now_us) {
		return 0;
	}
	if (soonest - now_us >= (int64_t)SCHEDULE_LOOK_MS * 1000) {
		return SCHEDULE_LOOK_MS;
	}
	return (uint64_t)((soonest - now_us + 999) / 1000);
}

/* ---- what is to come ---- */

/* The first tick after `after_us`; INT64_MAX: none. */
static int64_t tick_after(const struct schedule *schedule, const struct entry *entry,
	int64_t after_us)
{
	struct entry then = *entry;

	then.last_us = after_us;
	plan_next(schedule, &then);
	return then.next_us;
}

static void add_tick(struct schedule_tick *ticks, unsigned *n, unsigned max,
	const struct schedule_tick *tick)
{
	unsigned i;

	if (*n == max && (max == 0 || ticks[max - 1].at_us <= tick->at_us)) {
		return;
	}
	*n += *n < max;
	for (i = *n - 1; i > 0 && ticks[i - 1].at_us > tick->at_us; i--) {
		ticks[i] = ticks[i - 1];
	}
	ticks[i] = *tick;
}

unsigned schedule_upcoming(const struct schedule *schedule, int64_t now_us,
	struct schedule_tick *ticks, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < schedule->n_entries; i++) {
		const struct entry *entry = &schedule->entries[i];
		struct schedule_tick tick = {.source = entry->source, .trigger = "schedule"};
		int64_t next = entry->next_us;

		if (waits(schedule, entry)) {
			continue;
		}
		for (unsigned k = 0; k < max && next != INT64_MAX; k++) {
			tick.at_us = next + jitter_us(entry->source);
			add_tick(ticks, &n, max, &tick);
			next = tick_after(schedule, entry, next > now_us ? next : now_us);
		}
		if (entry->start || entry->retry_us < entry->next_us) {
			tick.trigger = entry->start ? "start" : "retry";
			tick.at_us = entry->start ? now_us : entry->retry_us;
			add_tick(ticks, &n, max, &tick);
		}
	}
	return n;
}
