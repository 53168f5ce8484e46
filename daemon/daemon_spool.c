/*
 * The daemon and what an earlier process left in the spool. SPDX-License-Identifier: Apache-2.0
 *
 * What was ready is queued for the load at the start. What was interrupted stays for some minutes, for
 * a fetch of the same slice may go on with it (resume.c); if none did, its pages become a partial
 * slice.
 */

#include "daemon/daemon_private.h"

#include <string.h>

#include "daemon/resume.h"

enum {
	LOADED_LOOK_BACK_S = 48 * 3600,
};

static int queue_part(void *arg, const struct spool_entry *entry)
{
	struct daemon *daemon = arg;

	return strchr(entry->header.slice, '/')
		       ? loader_add(daemon->loader, entry->header.uuid, 1, LOADER_READY)
		       : 0;
}

static int queue_whole(void *arg, const struct spool_entry *entry)
{
	struct daemon *daemon = arg;

	return strchr(entry->header.slice, '/')
		       ? 0
		       : loader_add(daemon->loader, entry->header.uuid, 1, LOADER_READY);
}

/* Parts first: a whole may be proven by them, and must not be called complete before. */
static int queue_ready(struct daemon *daemon, struct error *error)
{
	int r = spool_visit(daemon->spool, 0, queue_part, daemon, error);

	return r < 0 ? r : spool_visit(daemon->spool, 0, queue_whole, daemon, error);
}

/* An interrupted file on its way to .ready. */
struct ending {
	struct daemon *daemon;
	char uuid[SPOOL_UUID_BYTES];
};

/* Load it; and its run is over. */
static int queue_ended(struct ending *ending)
{
	struct daemon *daemon = ending->daemon;
	int r = loader_add(daemon->loader, ending->uuid, 1, LOADER_READY);

	return r < 0 ? r : loader_close_runs(daemon->loader, daemon->began_us / 1000);
}

static void on_part_ended(void *arg, const struct error *error)
{
	struct ending *ending = arg;
	struct daemon *daemon = ending->daemon;

	daemon->n_commits--;
	if (error) {
		log_warning(NULL, "spool.interrupted", f_str("uuid", ending->uuid),
			f_str("code", error->code), f_msg(error->text));
	} else if (!daemon->stopping && queue_ended(ending) < 0) {
		log_error(NULL, "spool.interrupted", f_str("uuid", ending->uuid),
			f_msg("out of memory; the next start loads it"));
	}
	free(ending);
	daemon_check_once(daemon);
}

/* A fetch may go on with it, or does: it is young, or at least its source is at work. */
static bool may_go_on(const struct daemon *daemon, const struct spool_interrupted *part)
{
	const struct source *source =
		config_source(daemon->config, part->header.dataset, part->header.source);

	return source && (runner_has(daemon->runner, source) ||
				 (!daemon->once_begun &&
					 resume_is_young(part, clock_wall_us(daemon->clock))));
}

/* Its whole pages are rows, but not provably all. */
static void commit_part(struct ending *ending, const struct spool_interrupted *part)
{
	struct spool *spool = ending->daemon->spool;
	struct error error = {.class = ERROR_NONE};
	struct spool_writer *writer;
	const struct spool_outcome outcome = {
		.state = SLICE_PARTIAL,
		.reason = "interrupted",
		.text = "the process ended while it was fetching",
		.expected = part->total,
		.received = part->rows,
		.pages = part->pages,
		.passes = 1,
		.updated = part->updated,
		.finished_us = part->written_us,
	};

	ending->daemon->n_commits++;
	if (spool_resume(spool, part->header.uuid, &writer, &error) < 0) {
		on_part_ended(ending, &error);
		return;
	}
	log_notice(NULL, "spool.interrupted", f_str("uuid", part->header.uuid),
		f_str("slice", part->header.slice), f_u64("pages", part->pages),
		f_u64("rows", part->rows));
	spool_commit(writer, &outcome, on_part_ended, ending);
}

static int end_part(void *arg, const struct spool_interrupted *part)
{
	struct daemon *daemon = arg;
	struct ending *ending;

	if (part->pages == 0) {
		resume_forget(daemon->spool, part->header.uuid);
		return 0;
	}
	if (may_go_on(daemon, part)) {
		return 0;
	}
	ending = calloc(1, sizeof(*ending));
	if (!ending) {
		return 0; /* we come back */
	}
	ending->daemon = daemon;
	memcpy(ending->uuid, part->header.uuid, sizeof(ending->uuid));
	commit_part(ending, part);
	return 0;
}

void daemon_end_interrupted(struct daemon *daemon)
{
	struct error error = {.class = ERROR_NONE};

	if (spool_stats(daemon->spool).n_part > 0 &&
		spool_recover(daemon->spool, end_part, daemon, &error) < 0) {
		log_warning(NULL, "spool.unreadable", f_str("code", error.code), f_msg(error.text));
	}
}

/* The runs of earlier processes are over, whether they had come to an end or not. */
int daemon_take_over_spool(struct daemon *daemon, struct error *error)
{
	daemon_end_interrupted(daemon);
	if (queue_ready(daemon, error) < 0) {
		return -1;
	}
	return loader_close_runs(daemon->loader, daemon->began_us / 1000) < 0
		       ? error_no_memory(error, "daemon")
		       : 0;
}

static int recheck(void *arg, const struct spool_entry *entry)
{
	struct daemon *daemon = arg;

	return entry->loaded ? loader_add(daemon->loader, entry->header.uuid, 1, LOADER_LOADED) : 0;
}

/* After a fail-over or a restored backup the database may lack what it had acknowledged. */
void daemon_recheck_loaded(struct daemon *daemon)
{
	struct error error = {.class = ERROR_NONE};
	int64_t since_us =
		clock_wall_us(daemon->clock) - (int64_t)LOADED_LOOK_BACK_S * 1000000;

	if (spool_visit(daemon->spool, since_us, recheck, daemon, &error) < 0) {
		log_warning(NULL, "spool.unreadable", f_str("code", error.code), f_msg(error.text));
	}
	daemon_close_runs(daemon);
}

/*
 * After the database was away, or the lease another's: what is open there and not here is of a process
 * that is dead, or of an end that the database has lost.
 */
void daemon_close_runs(struct daemon *daemon)
{
	if (daemon->runner) {
		/* Without memory the next time does it. */
		(void)!loader_close_runs(daemon->loader, runner_oldest_id(daemon->runner));
	}
}
