#pragma once

/*
 * The insides of the loader, for its own files: loader.c (life), loader_connect.c (from nothing to a
 * connection whose schema fits), loader_queue.c (what is loaded and booked over it).
 * SPDX-License-Identifier: Apache-2.0
 */

#include <sys/queue.h>
#include <uv.h>

#include "daemon/loader.h"
#include "daemon/lookup_read.h"
#include "lib/pg.h"

enum { ROLE_BYTES = 64 }; /* PostgreSQL's NAMEDATALEN */

enum phase {
	PHASE_DOWN, /* waits for the timer */
	PHASE_CONNECTING,
	PHASE_SCHEMA,
	PHASE_LOOKUPS,
	PHASE_IDLE,
	PHASE_WORKING,
};

enum item_kind { ITEM_SLICE, ITEM_RUN, ITEM_OPEN_RUNS };

struct item {
	TAILQ_ENTRY(item) entry;
	struct loader *loader; /* while the file is being renamed */
	enum item_kind kind;
	unsigned n_tries;
	/* ITEM_SLICE */
	char uuid[SPOOL_UUID_BYTES];
	unsigned n_slices;
	enum loader_file file;
	bool canceled; /* while it is being loaded */
	char slice[SPOOL_SLICE_BYTES]; /* once it is set aside; and run.id, dataset, source */
	/* ITEM_RUN; of ITEM_OPEN_RUNS only run.id */
	struct ledger_run run;
	char dataset[SPOOL_NAME_BYTES], source[SPOOL_NAME_BYTES], trigger[SPOOL_NAME_BYTES];
	enum run_state state;
	char code[ERROR_CODE_BYTES], text[ERROR_TEXT_BYTES];
	int64_t finished_us;
};

TAILQ_HEAD(item_list, item);

struct loader {
	struct loader_options options;
	struct config *config;
	struct pg *pg;
	struct pg *owner; /* with create_tables and an owner_dsn: makes the tables */
	char writer[ROLE_BYTES]; /* and grants us what a load needs */
	uv_timer_t timer;
	enum phase phase;
	enum loader_state state;
	struct error error;
	unsigned n_attempts;
	struct lookup_set **lookups; /* one for each dataset */
	unsigned dataset;            /* in PHASE_LOOKUPS: whose are being read */
	struct lookup_read read;
	struct item_list queue;
	struct item_list aside;	 /* refused; tried again after the next connect, or when that is due */
	uint64_t aside_until_ms; /* of the loop */
	unsigned n_aside_rounds;
	struct load *load;
	struct buffer fence; /* of the present load */
	bool held; /* begins nothing */
	unsigned n_marking; /* files on their way to .loaded */
	bool closing;
	unsigned n_open; /* handles, connections and renames that closing waits for */
	void (*on_closed)(void *arg);
	void *closed_arg;
};

/* loader.c */
/* One of those that closing waits for is gone. */
void loader_part_closed(struct loader *loader);

/* loader_connect.c */
void loader_connect(struct loader *loader);
/* The connection is gone, or good for nothing: again after a pause. The last touch of its caller. */
void loader_down(struct loader *loader, enum loader_state state, const struct error *error);
void loader_wait_ms(struct loader *loader, uint64_t ms);
uint64_t loader_pause_ms(const struct loader *loader);
void loader_close_connections(struct loader *loader);

/* loader_queue.c */
/* After a connect: what was set aside is tried again, and what was loaded will be looked up again. */
void loader_requeue(struct loader *loader);
/* The first item, if there is one and nothing else is going on. */
void loader_work(struct loader *loader);
/* Closing: book the runs that are over, if that can be, and close the connections. */
void loader_finish(struct loader *loader);
