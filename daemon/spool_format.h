#pragma once

/*
 * What the bytes of a spool file mean. SPDX-License-Identifier: Apache-2.0
 *
 *	file    magic "ogdspool", version (32 bit), 0 (32 bit); then blocks
 *	block   head of 64 bytes, body of `length` bytes
 *	head    type, number (32 bit each), length, raw_bytes, rows, total, updated, fetched_us, hash
 *		(64 bit each), all little-endian
 *
 * Block 0 is the header (JSON), blocks 1 to n are pages (one zstd frame each, raw_bytes
 * decompressed), block n + 1 is the outcome (JSON) and the end of the file. The hash is XXH64 of
 * the head before it, seeded with XXH64 of the body: so it covers every byte of the block. rows to
 * fetched_us belong to pages and are 0 elsewhere. While a page is written its head is all zero.
 *
 * No input or output here: names, heads, JSON.
 */

#include <stdint.h>

#include "daemon/spool.h"
#include "lib/buffer.h"

enum {
	SPOOL_FILE_HEAD_BYTES = 16,
	SPOOL_BLOCK_HEAD_BYTES = 64,
	SPOOL_VERSION = 1,
	SPOOL_WINDOW_LOG = 19,              /* of zstd: 1 MiB to decompress, 1.4 MiB to compress */
	SPOOL_MAX_TEXT_BYTES = 64 * 1024,   /* of a header or an outcome */
	SPOOL_FILE_NAME_BYTES = 19 + 1 + 36 + 8 + 1, /* <run>-<uuid>.damaged */
};

enum spool_block_type {
	SPOOL_BLOCK_OPEN = 0,
	SPOOL_BLOCK_HEADER = 1,
	SPOOL_BLOCK_PAGE = 2,
	SPOOL_BLOCK_OUTCOME = 3,
};

struct spool_block {
	uint32_t type, number;
	uint64_t length, raw_bytes;
	struct spool_page page;
	uint64_t hash;
};

void spool_file_head(unsigned char out[static SPOOL_FILE_HEAD_BYTES]);
/* NULL, or what is wrong with it. */
const char *spool_file_head_check(const unsigned char head[static SPOOL_FILE_HEAD_BYTES]);

/* Computes and stores the hash, given that of the body. */
void spool_block_encode(const struct spool_block *block, uint64_t body_hash,
	unsigned char out[static SPOOL_BLOCK_HEAD_BYTES]);
void spool_block_decode(const unsigned char head[static SPOOL_BLOCK_HEAD_BYTES],
	struct spool_block *ret);
/* The hash that the block should have. */
uint64_t spool_block_hash(const unsigned char head[static SPOOL_BLOCK_HEAD_BYTES],
	uint64_t body_hash);

/* Append a whole block with a text as its body. */
void spool_append_text_block(struct buffer *out, enum spool_block_type type, uint32_t number,
	const char *text);

/* JSON on the heap, NULL when out of memory. Bytes that are no UTF-8 become '?'. */
char *spool_header_format(const struct spool_header *header);
char *spool_outcome_format(const struct spool_outcome *outcome);

/*
 * The text of a block whose checksum is right. 0; -EINVAL and in ret_wrong, as a literal, what is
 * wrong with it; -ENOMEM: jansson does not tell a lack of memory from bad syntax, and what was
 * written here has no bad syntax.
 */
int spool_header_parse(const char *json, size_t len, struct spool_header *ret,
	const char **ret_wrong) must_check;
int spool_outcome_parse(const char *json, size_t len, struct spool_outcome *ret,
	const char **ret_wrong) must_check;

/* 8-4-4-4-12 lower case hexadecimal digits, and nothing after them. */
bool spool_uuid_is_valid(const char *uuid);

enum spool_suffix { SPOOL_PART, SPOOL_READY, SPOOL_LOADED, SPOOL_DAMAGED };

struct spool_name {
	int64_t run;
	char uuid[SPOOL_UUID_BYTES];
	enum spool_suffix suffix;
};

void spool_name_format(const struct spool_name *name, char out[static SPOOL_FILE_NAME_BYTES]);
bool spool_name_parse(const char *text, struct spool_name *ret);
