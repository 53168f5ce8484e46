#pragma once

/*
 * A place among the blocks of a spool file. SPDX-License-Identifier: Apache-2.0
 *
 * Goes from block to block, verifies them, and says what is wrong with which one and where. Knows
 * nothing of what is in a page. It lies inside its owner, a spool_reader.
 *
 * Functions return 0, -1 when the disk fails or memory is short, or SPOOL_BLOCKS_DAMAGED; all with
 * an error.
 */

#include "daemon/spool_format.h"

enum { SPOOL_BLOCKS_DAMAGED = -2, SPOOL_BLOCKS_BUF_BYTES = 64 * 1024 };

struct XXH64_state_s;

struct spool_blocks {
	int fd;
	char *path;      /* for messages */
	uint64_t end;    /* nothing is read from there on */
	uint64_t at;     /* the present block begins here */
	uint32_t number; /* and has this number */
	struct spool_block block;
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];
	struct XXH64_state_s *hash;
	unsigned char buf[SPOOL_BLOCKS_BUF_BYTES]; /* free for the owner between two calls */
};

/* Takes the descriptor in any case; `blocks` may be passed to fini in any case. */
int spool_blocks_init(struct spool_blocks *blocks, int take_fd, const char *path,
	struct error *error) must_check;
void spool_blocks_fini(struct spool_blocks *blocks);

/* Read `len` bytes from `at`. */
int spool_blocks_read(const struct spool_blocks *blocks, void *data, size_t len, uint64_t at,
	struct error *error) must_check;

/* Read the head of the present block. It is not verified yet, but the block ends before `end`. */
int spool_blocks_head(struct spool_blocks *blocks, struct error *error) must_check;

/* One pass over the body: does the block have the hash that its head says? */
int spool_blocks_verify(struct spool_blocks *blocks, struct error *error) must_check;

/* Head, type, verify; then append the body, which is a text, to `text`. */
int spool_blocks_text(struct spool_blocks *blocks, enum spool_block_type type, struct buffer *text,
	struct error *error) must_check;

/* These need the head. */
uint64_t spool_blocks_body(const struct spool_blocks *blocks);     /* where the body begins */
uint64_t spool_blocks_body_end(const struct spool_blocks *blocks); /* and the next block */
void spool_blocks_next(struct spool_blocks *blocks);

/* Error "damaged": "<path>: block <number> at byte <at>: <what>". Returns SPOOL_BLOCKS_DAMAGED. */
int spool_blocks_damaged(const struct spool_blocks *blocks, const char *what, struct error *error);

/* What a .part holds that is whole. */
struct spool_extent {
	uint64_t whole_bytes;
	unsigned pages;
	uint64_t rows;
	int64_t total, updated; /* of the last page */
	bool has_outcome;       /* and nothing behind it: only the rename is missing */
};

/* Verify block after block from here, up to the first that is not whole. 0 or -1. */
int spool_blocks_measure(struct spool_blocks *blocks, struct spool_extent *ret,
	struct error *error) must_check;
