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

#include "daemon/slice.h"
#include "lib/attr.h"
#include "lib/error.h"

/* What fetch knows of a page when it is whole; kept beside it. */
struct spool_page {
	uint64_t rows;
	int64_t total;      /* of the envelope; -1 unknown */
	int64_t updated;    /* of the envelope, seconds; 0 unknown */
	int64_t fetched_us; /* 0 unknown */
};

struct spool;
struct spool_options {
	const char *directory;
	uint64_t max_bytes; /* 0: no limit */
	uint64_t keep_ms;   /* how long .loaded and .damaged files stay; UINT64_MAX: forever */
	uint64_t page_bytes; /* most bytes of a page, decompressed; 0: 1 GiB */
};

/*
 * Open, create if need be, lock. Code "locked" (another process has it), else errno names.
 * Blocks; at start only. Torn tails of .part files are cut off here, those that only lack their
 * rename become .ready, and files whose beginning cannot be read are set aside as .damaged.
 */
int spool_open(uv_loop_t *loop, const struct spool_options *options, struct spool **ret,
	struct error *error) must_check;

/*
 * What runs in the thread pool ends by itself and its on_done still comes; lock and memory are
 * given back when that and the last writer are gone. Readers stand on their own.
 */
struct spool *spool_free(struct spool *spool);

/* Other limits from now on; the directory stays. */
void spool_reconfigure(struct spool *spool, const struct spool_options *options);

const char *spool_directory(const struct spool *spool);

/* The UUID in <directory>/id, made once: who holds the lease, also after kill -9. */
const char *spool_holder(const struct spool *spool);

/* A random UUID (version 4). 0 or -errno. */
int spool_uuid_new(char uuid[static SPOOL_UUID_BYTES]) must_check;

struct spool_stats {
	uint64_t bytes, limit_bytes;
	uint64_t unloaded_bytes; /* of `bytes`: what does not give way to new pages */
	unsigned n_part, n_ready, n_loaded, n_damaged;
};
struct spool_stats spool_stats(const struct spool *spool);

/* ---- writing ---- */
struct spool_writer;

/*
 * Returns -1 with code "spool_full" when max_bytes would be passed even without .loaded files; so
 * do page_begin and page_write. After any failure inside a page, abort it: then the same page may
 * be written again. A disk error names file and errno. Header strings are copied.
 */
int spool_create(struct spool *spool, const struct spool_header *header,
	struct spool_writer **ret, struct error *error) must_check;
int spool_page_begin(struct spool_writer *writer, struct error *error) must_check;
int spool_page_write(struct spool_writer *writer, const void *data, size_t len,
	struct error *error) must_check;
/* What the open page is, if it is known; before spool_page_end(). */
void spool_page_describe(struct spool_writer *writer, const struct spool_page *page);
int spool_page_end(struct spool_writer *writer, struct error *error) must_check;
void spool_page_abort(struct spool_writer *writer);   /* cut the unfinished page off again */
int spool_restart(struct spool_writer *writer, struct error *error) must_check; /* drop all pages */
/* Forget the file. */
void spool_discard(struct spool_writer *writer);

/*
 * Outcome, fdatasync, rename to .ready, fsync of the directory, in the thread pool; then on_done
 * from the loop, and the writer is gone either way. After a failure the file is no .ready: it stays
 * as an interrupted .part (spool_resume), but is given up when fdatasync failed, for then nobody
 * knows what the disk holds.
 */
typedef void (*spool_done_fn)(void *arg, const struct error *error);
void spool_commit(struct spool_writer *writer, const struct spool_outcome *outcome,
	spool_done_fn on_done, void *arg);

/* ---- reading ---- */
struct spool_reader;

/*
 * By uuid; header and outcome are read and checked. Code "damaged" names file, block and byte;
 * "not_found". A .part may be read too, as far as its pages are whole now; it has no outcome.
 * Reads from the page cache or the disk: blocks as long as that takes.
 */
int spool_read(struct spool *spool, const char *uuid, struct spool_reader **ret,
	struct error *error) must_check;
struct spool_reader *spool_reader_free(struct spool_reader *reader);
const struct spool_header *spool_reader_header(const struct spool_reader *reader);
const struct spool_outcome *spool_reader_outcome(const struct spool_reader *reader); /* or NULL */

/*
 * The next piece of the pages (at most 128 KiB), decompressed, borrowed until the next call. A
 * page's checksum is verified before its first byte is handed out. After SPOOL_ERROR only rewind or
 * free.
 */
enum spool_item { SPOOL_ERROR = -1, SPOOL_END, SPOOL_DATA, SPOOL_PAGE_END };
enum spool_item spool_reader_next(struct spool_reader *reader, const void **ret_data,
	size_t *ret_len, struct error *error) must_check;
/* What was said of the page that the last SPOOL_DATA or SPOOL_PAGE_END belongs to. */
const struct spool_page *spool_reader_page(const struct spool_reader *reader);
/* How far in the file it is, for a progress bar. */
uint64_t spool_reader_at(const struct spool_reader *reader);
int spool_reader_rewind(struct spool_reader *reader, struct error *error) must_check;

/* ---- after the load ---- */

/*
 * Rename a .ready file to .loaded. Returns 0, or -ENOMEM and then on_done (which may be NULL) never
 * comes. From now on it is visited as loaded; if that fails, as ready again.
 */
int spool_mark_loaded(struct spool *spool, const char *uuid, spool_done_fn on_done, void *arg)
	must_check;

/* The same to .damaged, for a file that spool_read() or spool_reader_next() called so. */
int spool_set_aside(struct spool *spool, const char *uuid, spool_done_fn on_done, void *arg)
	must_check;

/* Remove a .ready file: nobody wants its rows any more. In the thread pool. */
void spool_drop(struct spool *spool, const char *uuid);

struct spool_entry {
	struct spool_header header;
	uint64_t bytes;
	int64_t loaded_us; /* mtime of a .loaded file, else 0 */
	bool loaded;
};
typedef int (*spool_visit_fn)(void *arg, const struct spool_entry *entry);
/*
 * Every .ready file, and every .loaded one since loaded_since_us (1: all of them, 0: none), oldest
 * first by run, then by the begin of the fetch. Stops when the visitor returns non-zero, which is
 * then returned; -1 with an error when the disk fails. Opens each file. A file that turns out
 * damaged is set aside and passed over. The visitor may call anything but spool_free().
 */
int spool_visit(struct spool *spool, int64_t loaded_since_us, spool_visit_fn visit, void *arg,
	struct error *error) must_check;

/* The path of every file that was set aside as .damaged. */
typedef void (*spool_damaged_fn)(void *arg, const char *path);
void spool_visit_damaged(const struct spool *spool, spool_damaged_fn visit, void *arg);

/* Remove .loaded and .damaged files older than `keep`, in the thread pool. */
void spool_prune(struct spool *spool, int64_t now_us);

/* ---- after a crash ---- */

/* A .part file that nobody writes. */
struct spool_interrupted {
	struct spool_header header;
	unsigned pages; /* whole ones */
	uint64_t rows;  /* of these, as far as they were described */
	int64_t total, updated; /* of the last page: -1, 0 unknown */
	int64_t written_us;     /* mtime: when something was last written */
	uint64_t bytes, cut_bytes; /* what is left, and what was a torn tail */
};
typedef int (*spool_interrupted_fn)(void *arg, const struct spool_interrupted *part);

/* Like spool_visit(). For each of them, now or later: spool_resume(). */
int spool_recover(struct spool *spool, spool_interrupted_fn visit, void *arg, struct error *error)
	must_check;

/*
 * Write on behind the last whole page: then fetch the rest and commit, or commit what is there as
 * SLICE_PARTIAL "interrupted", or, if there is no page, discard. Codes "not_found", "busy".
 */
int spool_resume(struct spool *spool, const char *uuid, struct spool_writer **ret,
	struct error *error) must_check;
