#pragma once

/*
 * What state.json holds, as a struct and as text. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * There is one entry for each dataset and source of the configuration; what a file says of others is
 * forgotten. Everything that comes from a file is input: it is checked here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/alert.h"
#include "daemon/config.h"
#include "daemon/counts.h"
#include "daemon/schedule.h"
#include "daemon/status.h"
#include "lib/attr.h"
#include "lib/breaker.h"
#include "lib/error.h"

enum { STATE_VERSION = 1, STATE_STATUS_BYTES = 16 };

/* status_counts without what is computed. The texts of `last` are below it, or literals. */
struct state_counts {
	uint64_t n_syncs, n_failures;
	int64_t last_success_us, last_failure_us;
	struct status_sync last;
	char status[STATE_STATUS_BYTES], error[ERROR_TEXT_BYTES];
};

struct state_source {
	const char *dataset, *name; /* borrowed from the configuration */
	struct schedule_mark mark;
	struct state_counts counts;
	struct source_counts tally;
};

struct state_dataset {
	const char *name;    /* borrowed from the configuration */
	int32_t newest_day; /* STATUS_NO_DAY: none */
};

struct state_doc {
	int64_t last_run; /* 0: none yet */
	bool paused;      /* the whole schedule, by an operator */
	struct breaker_state breaker;
	struct state_counts counts;
	struct state_source *sources; /* in the configuration's order */
	unsigned n_sources;
	struct state_dataset *datasets;
	unsigned n_datasets;
	struct alerts alerts;
};

/* Fresh. -ENOMEM. Do not copy it: it points into itself. */
int state_doc_init(struct state_doc *doc, const struct config *config) must_check;
void state_doc_fini(struct state_doc *doc);

/* As if there had been no file. */
void state_doc_clear(struct state_doc *doc);

struct state_source *state_doc_find(struct state_doc *doc, const char *dataset, const char *name);
struct state_source *state_doc_source(struct state_doc *doc, const struct source *source);

/* Keep the texts of `last` too. */
void state_keep_sync(struct state_counts *counts, const struct status_sync *last);

/* One line with its end, on the heap; NULL when out of memory. */
char *state_format(const struct state_doc *doc) must_check;

/* 0; or -EINVAL, and then `doc` is fresh and `ret_wrong` a literal. */
int state_parse(struct state_doc *doc, const char *text, size_t len, const char **ret_wrong)
	must_check;
