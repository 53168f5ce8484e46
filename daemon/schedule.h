#pragma once

/*
 * What is due at time t, and when to look again. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * Cron lines in the configuration's time zone, `every:`, `on_start`, and the retry of a source whose last run
 * was no success. Time is handed in, and may jump both ways: a tick never fires twice.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config.h"
#include "lib/attr.h"
#include "lib/zone.h"

struct schedule;

enum {
	SCHEDULE_LOOK_MS = 60 * 1000,              /* looked at again at least this often */
	SCHEDULE_RETRY_MS = 15 * 60 * 1000,        /* after a run that was no success; doubles */
	SCHEDULE_RETRY_MAX_MS = 12 * 60 * 60 * 1000,
	SCHEDULE_ON_START_MS = 15 * 60 * 1000,     /* on_start not so soon after the last attempt */
	SCHEDULE_BACK_MS = 24 * 60 * 60 * 1000,    /* a clock set back by more had been wrong */
};

/* Zone and configuration are borrowed. The schedules were checked when they were read. -errno. */
int schedule_new(const struct config *config, const struct zone *zone, int64_t now_us,
	struct schedule **ret) must_check;
/* What is known of the sources that both have, by their labels; others are new. */
void schedule_take_over(struct schedule *schedule, const struct schedule *old);
struct schedule *schedule_free(struct schedule *schedule);

/* What a later process needs of a source (state.json). Wall time; 0: none. */
struct schedule_mark {
	int64_t tick_us;    /* the last one that fired: a later one that was missed is due */
	int64_t attempt_us; /* when its last run ended: on_start waits for a while after it */
	int64_t retry_us;
	int64_t since_us;   /* the first tick that the next retry, or run if `owed`, stands for */
	bool owed;
	unsigned n_failed;  /* runs in a row that were no success */
	bool paused;        /* by an operator */
};

/* Of an earlier process. What lies in the future (the clock was set back) is not believed. */
void schedule_restore(struct schedule *schedule, const struct source *source,
	const struct schedule_mark *mark);
void schedule_save(const struct schedule *schedule, const struct source *source,
	struct schedule_mark *ret);

/*
 * Nothing of `source` (NULL: of any) is due until it is resumed; then all that was missed is due as
 * one. A pause of all and a pause of one stand beside each other.
 */
void schedule_pause(struct schedule *schedule, const struct source *source, bool paused);
bool schedule_is_paused(const struct schedule *schedule, const struct source *source);

struct schedule_due {
	const struct source *source;
	const char *trigger; /* "start", "schedule" or "retry" */
	int64_t since_us;    /* the first tick that this run stands for, not after now */
};

/* The next source that is due now, which counts as fired; false when there is none. */
bool schedule_due(struct schedule *schedule, int64_t now_us, struct schedule_due *ret);

/* What was due was not run: the next run stands for it too. */
void schedule_skipped(struct schedule *schedule, const struct source *source);

/* How its run ended. */
enum schedule_end {
	SCHEDULE_SUCCESS,
	SCHEDULE_PART,    /* no success: tried again, until the next tick */
	SCHEDULE_NOTHING, /* the same, and the next tick stands for this one too */
};
void schedule_ended(struct schedule *schedule, const struct source *source,
	enum schedule_end how, int64_t now_us);

/* When the source is due next; INT64_MAX: never by itself. */
int64_t schedule_next_us(const struct schedule *schedule, const struct source *source);
/* Of all sources. */
int64_t schedule_soonest_us(const struct schedule *schedule);
/* How long to sleep: until the soonest, but no longer than SCHEDULE_LOOK_MS. */
uint64_t schedule_sleep_ms(const struct schedule *schedule, int64_t now_us);

struct schedule_tick {
	const struct source *source;
	const char *trigger;
	int64_t at_us;
};

/* The next ticks of all sources, the soonest first; returns how many were written. */
unsigned schedule_upcoming(const struct schedule *schedule, int64_t now_us,
	struct schedule_tick *ticks, unsigned max);
