#pragma once

/*
 * The status document: a struct in, JSON or text for people out. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The keys are a promise: those of the predecessor keep their names and meaning, those added are
 * listed in ogdsync(7). The daemon fills the struct from memory; every pointer in it is borrowed
 * for the call. A NULL text, a time of 0, and a count of STATUS_UNKNOWN are null in JSON, never "".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/buffer.h"

enum { STATUS_UNKNOWN = -1, STATUS_ETAG_BYTES = 17 };

/* A data date: days since 1970-01-01, where STATUS_NO_DAY is null. */
#define STATUS_NO_DAY INT32_MIN

/* The last run that ended. */
struct status_sync {
	const char *
		status; /* "success", "partial", "suspect", "spooled", "failed"; NULL: no run yet */
	int64_t started_us, finished_us; /* wall time */
	int64_t duration_ms;
	int64_t n_fetched, n_inserted, n_updated, n_unchanged, n_duplicate, n_quarantined;
	const char *error; /* set for every status but success */
};

/* The whole, and the like for one source. A failure is every run that is not a success. */
struct status_counts {
	uint64_t n_syncs, n_failures;
	int64_t last_success_us, last_failure_us;
	struct status_sync last;
	int64_t next_run_us;
	bool paused;
};

struct status_running {
	int64_t run; /* 0: none is running */
	const char *dataset, *source, *slice;
	int64_t page, n_pages, n_rows; /* n_pages may be STATUS_UNKNOWN */
};

struct status_queued {
	const char *dataset, *source;
};

struct status_coverage {
	int64_t missing_days, partial_days; /* STATUS_UNKNOWN until the ledger was read */
};

struct status_source {
	const char *name;
	bool running;
	struct status_counts counts;
};

struct status_dataset {
	const char *name;
	int32_t newest_day;
	bool stale;
	struct status_coverage coverage;
	const struct status_source *sources;
	unsigned n_sources;
};

enum status_database { STATUS_DATABASE_DOWN, STATUS_DATABASE_UP, STATUS_DATABASE_SCHEMA };
enum status_lease { STATUS_LEASE_UNKNOWN, STATUS_LEASE_HOLDER, STATUS_LEASE_STANDBY };

struct status {
	struct status_counts counts;
	struct status_running running;
	const struct status_queued *queue; /* the next one first */
	unsigned n_queue;
	int32_t newest_day; /* the oldest of the datasets' newest */
	bool stale;         /* any dataset is */
	struct status_coverage coverage;
	struct {
		uint64_t bytes, limit_bytes;
		unsigned n_ready, n_loaded; /* files */
	} spool;
	struct {
		enum status_database state;
		int64_t since_us;
		const char *error;
	} database;
	struct {
		enum status_lease state;
		const char *holder;
		int64_t epoch; /* 0 is null */
		const char *error; /* why it is not known, or could not be renewed */
	} lease;
	bool reload_waits; /* a new configuration, for the slice in work to end */
	const struct status_dataset *datasets;
	unsigned n_datasets;
};

/* The document, on the heap; NULL when out of memory. Times are in the process's time zone. */
char *status_json(const struct status *status) must_check;

/* The same for people, appended. */
void status_text(const struct status *status, struct buffer *out);

/* A hash of what was written, as an entity tag without quotes. */
const char *status_etag(const void *data, size_t len, char etag[static STATUS_ETAG_BYTES]);
