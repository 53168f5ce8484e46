/*
 * The daemon and what an earlier process left in the spool.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/daemon_private.h"

#include <string.h>

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

/* Then the runs of earlier processes are over, whether they had come to an end or not. */
static int queue_left_over(struct daemon *daemon, struct error *error)
{
	if (queue_ready(daemon, error) < 0) {
		return -1;
	}
	return loader_close_runs(daemon->loader, daemon->began_us / 1000) < 0
		       ? error_no_memory(error, "daemon")
		       : 0;
}

static void on_recovered(void *arg, const struct error *error)
{
	struct daemon *daemon = arg;

	daemon->n_commits--;
	if (error) {
		log_warning(NULL, "spool.interrupted", f_str("code", error->code),
			f_msg(error->text));
	}
	if (daemon->n_commits == 0 && !daemon->stopping) {
		struct error why = {.class = ERROR_NONE};

		if (queue_left_over(daemon, &why) < 0) {
			log_error(NULL, "spool.unreadable", f_str("code", why.code), f_msg(why.text));
		}
		daemon_check_once(daemon);
	}
}

/* A fetch that a dead process had begun: its whole pages are rows, but not provably all. */
static int recover(void *arg, const struct spool_interrupted *part)
{
	struct daemon *daemon = arg;
	struct error error = {.class = ERROR_NONE};
	struct spool_writer *writer;
	struct spool_outcome outcome = {
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

	if (spool_resume(daemon->spool, part->header.uuid, &writer, &error) < 0) {
		log_warning(NULL, "spool.interrupted", f_str("uuid", part->header.uuid),
			f_str("code", error.code), f_msg(error.text));
		return 0;
	}
	log_notice(NULL, "spool.interrupted", f_str("uuid", part->header.uuid),
		f_str("slice", part->header.slice), f_u64("pages", part->pages),
		f_u64("rows", part->rows));
	if (part->pages == 0) {
		spool_discard(writer);
		return 0;
	}
	daemon->n_commits++;
	spool_commit(writer, &outcome, on_recovered, daemon);
	return 0;
}

int daemon_take_over_spool(struct daemon *daemon, struct error *error)
{
	if (spool_recover(daemon->spool, recover, daemon, error) < 0) {
		return -1;
	}
	/* Else on_recovered() does it, when the last of them is ready. */
	return daemon->n_commits > 0 ? 0 : queue_left_over(daemon, error);
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
}
