#pragma once

/*
 * The first half of a load: pages of a slice -> packed rows in key order, and rejects.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads the spool piece by piece, decodes, normalises, turns names into ids and sorts. It has no
 * connection: where the database must act first (new names, a full list of rejects), or where a
 * blocking step is due (a full sorter), it says so and goes on when called again.
 */

#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/diff.h"
#include "daemon/ledger.h"
#include "daemon/lookup.h"
#include "daemon/spool.h"
#include "lib/sorter.h"

struct intake;

struct intake_options {
	const struct source *source;
	struct lookup_set *lookups;
	struct spool_reader *reader; /* at its begin; borrowed */
	struct sorter *sorter;       /* empty; borrowed */
	struct ledger_rejects *rejects;
	bool *rejected; /* by position, of a slice of one page: set for each reject; or NULL */
	int32_t default_day; /* for first_seen and last_seen of datasets without a date */
};

int intake_new(const struct intake_options *options, struct intake **ret) must_check; /* -errno */
struct intake *intake_free(struct intake *intake);

enum intake_step {
	INTAKE_ERROR = -1,
	INTAKE_MORE,    /* call again */
	INTAKE_NAMES,   /* some lookups want ids: insert them, then call again */
	INTAKE_FULL,    /* sorter_spill(), then call again */
	INTAKE_REJECTS, /* write and clear the rejects, then call again */
	INTAKE_END,     /* everything is in the sorter (which is not finished yet) and in rejects */
};

enum intake_step intake_advance(struct intake *intake, struct error *error) must_check;

/*
 * From now on rows of other days are rejects, as `no_partition`: the table cannot hold them. Borrowed
 * until END.
 */
struct day_range;
void intake_places(struct intake *intake, const struct day_range *ranges, unsigned n_ranges);

struct intake_counts {
	uint64_t received, quarantined;
	uint64_t homeless;    /* of the quarantined: without a place in the table */
	int32_t homeless_day; /* of the first of them */
};
struct intake_counts intake_counts(const struct intake *intake);

/* The data dates found, ascending; the list is the intake's. */
struct day_count {
	int32_t day;
	uint64_t received;
	uint64_t distinct; /* counted by whoever dedupes */
};
struct day_count *intake_days(struct intake *intake, unsigned *ret_n);
struct day_count *day_find(struct day_count *days, unsigned n_days, int32_t day);

/*
 * Another reading of the same pages, to quarantine the records at `origins` (ascending) as reason
 * `conflict`. Same steps as above but for NAMES and FULL.
 */
void intake_collect(struct intake *intake, const struct row_origin *origins, size_t n_origins);
