#pragma once

/*
 * What the files of the spool share among themselves: the table of files, and reading one of them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * spool.c owns the table, spool_scan.c fills it at start, spool_write.c and spool_move.c change it,
 * spool_visit.c walks over it: all on the loop's thread. Jobs in the thread pool never touch it: they have copies of the names.
 */

#include "daemon/spool_blocks.h"
#include "daemon/spool_format.h"

enum { SPOOL_IO_BYTES = 64 * 1024 };

enum spool_file_state {
	SPOOL_FILE_WRITING,     /* .part with a writer */
	SPOOL_FILE_INTERRUPTED, /* .part without */
	SPOOL_FILE_COMMITTING,  /* .part becoming .ready in the pool */
	SPOOL_FILE_READY,
	SPOOL_FILE_MARKING, /* .ready becoming .loaded in the pool */
	SPOOL_FILE_LOADED,
	SPOOL_FILE_DAMAGED, /* .damaged, or becoming so in the pool */
	SPOOL_FILE_GONE,    /* taken out of the table while somebody walks over it */
};

struct spool_file {
	enum spool_file_state state;
	char uuid[SPOOL_UUID_BYTES];
	int64_t run, started_us;
	int64_t changed_us;   /* mtime, of .part, .loaded and .damaged */
	uint64_t bytes;       /* on disk */
	uint64_t whole_bytes; /* up to the end of the last whole block */
	uint64_t cut_bytes;   /* torn tail that was found at start */
	unsigned pages;       /* these and the rest: of .part */
	uint64_t rows;
	int64_t total, updated;
};

struct spool {
	uv_loop_t *loop;
	struct spool_options options; /* directory is ours */
	char *directory;
	char holder[SPOOL_UUID_BYTES];
	int dir, lock; /* descriptors */
	unsigned n_refs; /* the owner, each writer, each job in the pool */
	struct spool_file **files; /* by run, started_us, uuid */
	unsigned n_files, size_files;
	unsigned n_visits; /* walks that are under way: nothing is freed */
	uint64_t bytes;    /* of all files */
};

/* ---- spool.c ---- */

struct spool *spool_ref(struct spool *spool);
void spool_unref(struct spool *spool);

/* Put a copy into the table; NULL when out of memory. */
struct spool_file *spool_add_file(struct spool *spool, const struct spool_file *file) must_check;
struct spool_file *spool_find_file(const struct spool *spool, const char *uuid); /* or NULL */
void spool_forget_file(struct spool *spool, struct spool_file *file);
void spool_sweep(struct spool *spool); /* free what was forgotten, unless somebody walks */
void spool_set_bytes(struct spool *spool, struct spool_file *file, uint64_t bytes);

/* Make sure that `bytes` more may be written: the oldest .loaded files give way. */
int spool_make_room(struct spool *spool, uint64_t bytes, struct error *error) must_check;

enum spool_suffix spool_file_suffix(const struct spool_file *file);
void spool_file_name(const struct spool_file *file, enum spool_suffix suffix,
	char out[static SPOOL_FILE_NAME_BYTES]);

/* A failed system call on a file of the spool: the text is "<directory>/<name>: <what>: <errno>". */
int spool_disk_error(const struct spool *spool, const char *name, const char *what, int err,
	struct error *error);

/* ---- spool_scan.c ---- */

/* Fill the table from the directory. Blocks. */
int spool_scan(struct spool *spool, struct error *error) must_check;

/* ---- spool_move.c ---- */

/* Rename and sync the directory, or leave it as it was. Blocks. 0 or -errno. */
int spool_rename_synced(int dir, const char *from, const char *to) must_check;

/* Wall time as file times have it. */
int64_t spool_now_us(void);

/* Remove a file of the table and of the directory, the latter in the pool. */
void spool_remove_file(struct spool *spool, struct spool_file *file);

/* ---- spool_read.c ---- */

enum spool_reader_extent {
	SPOOL_EXTENT_WHOLE, /* ends with an outcome, as a .ready must */
	SPOOL_EXTENT_PAGES, /* pages up to `end` */
};

struct spool_reader_options {
	const char *path;    /* for messages; copied */
	enum spool_reader_extent extent;
	uint64_t end;        /* of SPOOL_EXTENT_PAGES; else the size of the file counts */
	uint64_t page_bytes; /* most bytes of a page */
};

/* Open a file of the table; of SPOOL_EXTENT_PAGES as far as it is whole. */
int spool_read_file(struct spool *spool, const struct spool_file *file,
	enum spool_reader_extent extent, struct spool_reader **ret, struct error *error) must_check;

/* Reads and checks header and outcome. Takes the descriptor, in any case. */
int spool_reader_open(int take_fd, const struct spool_reader_options *options,
	struct spool_reader **ret, struct error *error) must_check;

/*
 * Verify block after block of a file that was opened as SPOOL_EXTENT_PAGES up to its last byte; ends
 * at the first that is not whole. Returns -1 only if the disk fails.
 */
int spool_reader_measure(struct spool_reader *reader, struct spool_extent *ret,
	struct error *error) must_check;
