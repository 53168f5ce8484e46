/*
 * A place among the blocks of a spool file. SPDX-License-Identifier: Apache-2.0
 *
 * A length is believed only as far as the file reaches, and a body is used only after its hash was
 * seen to be right. Memory is one buffer, whatever the length of a block.
 */

#include "daemon/spool_blocks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static int fail_disk(const struct spool_blocks *blocks, int err, struct error *error)
{
	char text[ERROR_TEXT_BYTES];

	snprintf(text, sizeof(text), "%s: reading", blocks->path);
	return error_errno(error, ERROR_RETRY, "spool", err, text);
}

int spool_blocks_damaged(const struct spool_blocks *blocks, const char *what, struct error *error)
{
	error_set(error, ERROR_REJECTED, "spool", "damaged",
		"%s: block %" PRIu32 " at byte %" PRIu64 ": %s", blocks->path, blocks->number,
		blocks->at, what);
	return SPOOL_BLOCKS_DAMAGED;
}

int spool_blocks_init(
	struct spool_blocks *blocks, int take_fd, const char *path, struct error *error)
{
	struct stat st;

	blocks->fd = take_fd;
	blocks->path = strdup(path);
	blocks->hash = XXH64_createState();
	if (!blocks->path || !blocks->hash) {
		return error_no_memory(error, "spool");
	}
	if (fstat(take_fd, &st) < 0) {
		return fail_disk(blocks, errno, error);
	}
	blocks->end = (uint64_t)st.st_size;
	return 0;
}

void spool_blocks_fini(struct spool_blocks *blocks)
{
	close(blocks->fd);
	XXH64_freeState(blocks->hash);
	free(blocks->path);
}

int spool_blocks_read(
	const struct spool_blocks *blocks, void *data, size_t len, uint64_t at, struct error *error)
{
	unsigned char *out = data;

	while (len > 0) {
		ssize_t n = pread(blocks->fd, out, len, (off_t)at);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return fail_disk(blocks, errno, error);
		}
		if (n == 0) {
			return spool_blocks_damaged(blocks, "the file ends in it", error);
		}
		out += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

uint64_t spool_blocks_body(const struct spool_blocks *blocks)
{
	return blocks->at + SPOOL_BLOCK_HEAD_BYTES;
}

uint64_t spool_blocks_body_end(const struct spool_blocks *blocks)
{
	return spool_blocks_body(blocks) + blocks->block.length;
}

void spool_blocks_next(struct spool_blocks *blocks)
{
	blocks->at = spool_blocks_body_end(blocks);
	blocks->number++;
}

int spool_blocks_head(struct spool_blocks *blocks, struct error *error)
{
	int r;

	if (blocks->end - blocks->at < SPOOL_BLOCK_HEAD_BYTES) {
		return spool_blocks_damaged(blocks, "the file ends in its head", error);
	}
	r = spool_blocks_read(blocks, blocks->head, sizeof(blocks->head), blocks->at, error);
	if (r < 0) {
		return r;
	}
	spool_block_decode(blocks->head, &blocks->block);
	if (blocks->block.number != blocks->number) {
		return spool_blocks_damaged(blocks, "it has another number", error);
	}
	if (blocks->block.length > blocks->end - spool_blocks_body(blocks)) {
		return spool_blocks_damaged(blocks, "the file ends in it", error);
	}
	return 0;
}

int spool_blocks_verify(struct spool_blocks *blocks, struct error *error)
{
	uint64_t at = spool_blocks_body(blocks), end = spool_blocks_body_end(blocks);

	XXH64_reset(blocks->hash, 0);
	while (at < end) {
		size_t n =
			end - at < sizeof(blocks->buf) ? (size_t)(end - at) : sizeof(blocks->buf);
		int r = spool_blocks_read(blocks, blocks->buf, n, at, error);

		if (r < 0) {
			return r;
		}
		XXH64_update(blocks->hash, blocks->buf, n);
		at += n;
	}
	if (spool_block_hash(blocks->head, XXH64_digest(blocks->hash)) != blocks->block.hash) {
		return spool_blocks_damaged(blocks, "its checksum does not match", error);
	}
	return 0;
}

static int verify_text(struct spool_blocks *blocks, enum spool_block_type type, struct error *error)
{
	int r = spool_blocks_head(blocks, error);

	if (r < 0) {
		return r;
	}
	if (blocks->block.type != type) {
		return spool_blocks_damaged(blocks, "it is of another type", error);
	}
	if (blocks->block.length > SPOOL_MAX_TEXT_BYTES) {
		return spool_blocks_damaged(blocks, "its text is too long", error);
	}
	return spool_blocks_verify(blocks, error);
}

int spool_blocks_text(struct spool_blocks *blocks, enum spool_block_type type, struct buffer *text,
	struct error *error)
{
	char *room;
	int r = verify_text(blocks, type, error);

	if (r < 0) {
		return r;
	}
	room = buffer_reserve(text, blocks->block.length);
	if (!room) {
		return error_no_memory(error, "spool");
	}
	r = spool_blocks_read(blocks, room, blocks->block.length, spool_blocks_body(blocks), error);
	if (r == 0) {
		buffer_grown(text, blocks->block.length);
	}
	return r;
}

/* ---- measuring a .part ---- */

static int measure_block(struct spool_blocks *blocks, bool *ret_is_outcome, struct error *error)
{
	int r = spool_blocks_head(blocks, error);

	if (r < 0) {
		return r;
	}
	*ret_is_outcome = blocks->block.type == SPOOL_BLOCK_OUTCOME;
	if (blocks->block.type != SPOOL_BLOCK_PAGE && !*ret_is_outcome) {
		return spool_blocks_damaged(blocks, "it is no page", error);
	}
	if (*ret_is_outcome && spool_blocks_body_end(blocks) != blocks->end) {
		return spool_blocks_damaged(blocks, "the file goes on after its outcome", error);
	}
	return spool_blocks_verify(blocks, error);
}

static void add_page(struct spool_extent *extent, const struct spool_page *page)
{
	extent->pages++;
	extent->rows += page->rows;
	extent->total = page->total;
	extent->updated = page->updated;
}

int spool_blocks_measure(struct spool_blocks *blocks, struct spool_extent *ret, struct error *error)
{
	*ret = (struct spool_extent){.whole_bytes = blocks->at, .total = -1};
	while (blocks->at < blocks->end) {
		struct error failure = {0};
		int r = measure_block(blocks, &ret->has_outcome, &failure);

		if (r == SPOOL_BLOCKS_DAMAGED) {
			ret->has_outcome = false;
			return 0;
		}
		if (r < 0) {
			return error_set(error, failure.class, failure.where, failure.code, "%s",
				failure.text);
		}
		if (!ret->has_outcome) {
			add_page(ret, &blocks->block.page);
		}
		spool_blocks_next(blocks);
		ret->whole_bytes = blocks->at;
	}
	return 0;
}
