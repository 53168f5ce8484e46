#pragma once

/*
 * Pages on disk: what was fetched is safe here until the database has it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One file per slice, `<run>-<uuid>.part` while it is written, `.ready` when it is whole and synced, `.loaded`
 * after the commit. A file is a sequence of blocks, each with type, length and XXH64: a header
 * (what it is, no URL), pages (one zstd frame each), and at the end the outcome of the fetch. The
 * directory is flock()ed: one process at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "lib/attr.h"
#include "lib/error.h"

enum { SPOOL_UUID_BYTES = 37, SPOOL_NAME_BYTES = 64, SPOOL_SLICE_BYTES = 256, SPOOL_REASON_BYTES = 40,
	SPOOL_TEXT_BYTES = 256 };

/* How a fetch ended; the words are stored and shown. */
enum slice_state {
	SLICE_PROVEN,  /* every row was received */
	SLICE_PARTIAL, /* rows, but not provably all */
	SLICE_SUSPECT, /* 200 with nothing where something was due */
	SLICE_FAILED,  /* nothing that may be loaded */
};

const char *slice_state_name(enum slice_state state);

/* What a file holds; written at its begin. */
struct spool_header {
	int64_t run;
	char uuid[SPOOL_UUID_BYTES];
	char dataset[SPOOL_NAME_BYTES], source[SPOOL_NAME_BYTES];
	char slice[SPOOL_SLICE_BYTES]; /* "all", "2026-11-19", "2026-11-19/Kerala" */
	int32_t day;                   /* data date as days since 1970, INT32_MIN: none */
	int64_t started_us;            /* when the fetch of the slice began */
	char trigger[SPOOL_NAME_BYTES]; /* "schedule", "once", "operator:uid=0", ... */
};

/* How the fetch ended; written at its end. */
struct spool_outcome {
	enum slice_state state;
	char reason[SPOOL_REASON_BYTES]; /* error code, "" when proven */
	char text[SPOOL_TEXT_BYTES];     /* for people */
	int64_t expected;                /* T, -1 unknown */
	uint64_t received, distinct, quarantined;
	unsigned pages, passes;
	int64_t updated; /* of the envelope, seconds; 0 unknown */
	int64_t finished_us;
};

struct spool;
struct spool_options {
	const char *directory;
	uint64_t max_bytes, keep_ms;
};

/*
 * Open, create if need be, lock. Code "locked" (another process has it), else errno names.
 * Blocks; at start only. Torn tails of .part files are found here.
 */
int spool_open(uv_loop_t *loop, const struct spool_options *options, struct spool **ret,
	struct error *error) must_check;
struct spool *spool_free(struct spool *spool);

const char *spool_directory(const struct spool *spool);

struct spool_stats {
	uint64_t bytes, limit_bytes;
	unsigned n_part, n_ready, n_loaded;
};
struct spool_stats spool_stats(const struct spool *spool);

/* ---- writing ---- */
struct spool_writer;

/* Returns -1 with code "spool_full" when max_bytes would be passed even without .loaded files. */
int spool_create(struct spool *spool, const struct spool_header *header,
	struct spool_writer **ret, struct error *error) must_check;
int spool_page_begin(struct spool_writer *writer, struct error *error) must_check;
int spool_page_write(struct spool_writer *writer, const void *data, size_t len,
	struct error *error) must_check;
int spool_page_end(struct spool_writer *writer, struct error *error) must_check;
void spool_page_abort(struct spool_writer *writer);   /* cut the unfinished page off again */
int spool_restart(struct spool_writer *writer, struct error *error) must_check; /* drop all pages */
/* Forget the file. */
void spool_discard(struct spool_writer *writer);

/*
 * Outcome, fdatasync, rename to .ready, fsync of the directory, in the thread pool; then on_done
 * from the loop, and the writer is gone either way.
 */
typedef void (*spool_done_fn)(void *arg, const struct error *error);
void spool_commit(struct spool_writer *writer, const struct spool_outcome *outcome,
	spool_done_fn on_done, void *arg);

/* ---- reading ---- */
struct spool_reader;

/* By uuid; header and outcome are read and checked. Code "damaged" names file, block and byte. */
int spool_read(struct spool *spool, const char *uuid, struct spool_reader **ret,
	struct error *error) must_check;
struct spool_reader *spool_reader_free(struct spool_reader *reader);
const struct spool_header *spool_reader_header(const struct spool_reader *reader);
const struct spool_outcome *spool_reader_outcome(const struct spool_reader *reader);

/*
 * The next piece of the pages, decompressed, borrowed until the next call. A page's checksum is
 * verified before its first byte is handed out.
 */
enum spool_item { SPOOL_ERROR = -1, SPOOL_END, SPOOL_DATA, SPOOL_PAGE_END };
enum spool_item spool_reader_next(struct spool_reader *reader, const void **ret_data,
	size_t *ret_len, struct error *error) must_check;
int spool_reader_rewind(struct spool_reader *reader, struct error *error) must_check;

/* ---- after the load ---- */
void spool_mark_loaded(struct spool *spool, const char *uuid, spool_done_fn on_done, void *arg);

/* Oldest first (by run, then start): the uuid of a .ready file after `after` ("" for the first). */
struct spool_entry {
	struct spool_header header;
	uint64_t bytes;
	int64_t loaded_us; /* mtime of a .loaded file */
	bool loaded;
};
typedef int (*spool_visit_fn)(void *arg, const struct spool_entry *entry);
/* Every .ready (and .loaded when asked) file, oldest first; stops when the visitor returns non-zero. */
int spool_visit(struct spool *spool, bool loaded_too, spool_visit_fn visit, void *arg,
	struct error *error) must_check;

/* Remove .loaded files older than `keep`. Cheap; called now and then. */
void spool_prune(struct spool *spool, int64_t now_us);
