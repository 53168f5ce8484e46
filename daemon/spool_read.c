/*
 * Reading a spool file. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: open checks the file's head and the header block, then walks over the heads of
 * the blocks to the outcome, which must end the file, and checks that. Each page is read twice,
 * once to verify its hash and once to decompress it piece by piece; so whoever gets a byte has a
 * page that is whole, and memory does not depend on its size.
 *
 * Failure modes: the disk fails (RETRY, the errno's name); anything is not as it was written
 * (REJECTED, "damaged", the text names file, block and byte); a page is larger than is allowed
 * now (REJECTED, "too_large"). A page never yields more than its head declares, which is checked
 * against that limit first: so a bomb does not go off.
 *
 * A .part is read in the same way up to a given byte, where the last whole page ends.
 */

#include "daemon/spool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { OUT_BYTES = 128 * 1024 };

struct spool_reader {
	struct spool_blocks blocks;
	uint64_t page_bytes;
	uint64_t pages_at, pages_end;
	struct spool_header header;
	struct spool_outcome outcome;
	bool has_outcome;

	bool in_page;	    /* of the present block */
	uint64_t next_at;   /* compressed bytes that are not in blocks.buf yet */
	uint64_t raw_bytes; /* decompressed so far */
	bool frame_done;
	ZSTD_DCtx *zstd; /* this and out: made for the first page */
	ZSTD_inBuffer input;
	unsigned char *out;
};

/* ---- opening ---- */

static int fail_parse(
	const struct spool_reader *reader, int r, const char *wrong, struct error *error)
{
	return r == -ENOMEM ? error_no_memory(error, "spool")
			    : spool_blocks_damaged(&reader->blocks, wrong, error);
}

static int read_header(struct spool_reader *reader, struct error *error)
{
	_cleanup_buffer_ struct buffer text = {0};
	unsigned char file_head[SPOOL_FILE_HEAD_BYTES];
	const char *wrong;
	int r;

	if (reader->blocks.end < sizeof(file_head)) {
		return spool_blocks_damaged(&reader->blocks, "the file ends before", error);
	}
	r = spool_blocks_read(&reader->blocks, file_head, sizeof(file_head), 0, error);
	if (r < 0) {
		return r;
	}
	wrong = spool_file_head_check(file_head);
	if (wrong) {
		return spool_blocks_damaged(&reader->blocks, wrong, error);
	}
	reader->blocks.at = sizeof(file_head);
	r = spool_blocks_text(&reader->blocks, SPOOL_BLOCK_HEADER, &text, error);
	if (r < 0) {
		return r;
	}
	r = spool_header_parse(text.data, text.len, &reader->header, &wrong);
	if (r < 0) {
		return fail_parse(reader, r, wrong, error);
	}
	spool_blocks_next(&reader->blocks);
	reader->pages_at = reader->blocks.at;
	return 0;
}

/* From head to head to the last block. The pages are verified when they are read. */
static int walk_to_outcome(struct spool_reader *reader, struct error *error)
{
	for (;;) {
		int r = spool_blocks_head(&reader->blocks, error);

		if (r < 0) {
			return r;
		}
		if (reader->blocks.block.type == SPOOL_BLOCK_OUTCOME) {
			return 0;
		}
		if (reader->blocks.block.type != SPOOL_BLOCK_PAGE) {
			return spool_blocks_damaged(&reader->blocks, "it is no page", error);
		}
		spool_blocks_next(&reader->blocks);
	}
}

static int read_outcome(struct spool_reader *reader, struct error *error)
{
	_cleanup_buffer_ struct buffer text = {0};
	const char *wrong = NULL;
	int r = walk_to_outcome(reader, error);

	if (r < 0) {
		return r;
	}
	reader->pages_end = reader->blocks.at;
	r = spool_blocks_text(&reader->blocks, SPOOL_BLOCK_OUTCOME, &text, error);
	if (r < 0) {
		return r;
	}
	r = spool_outcome_parse(text.data, text.len, &reader->outcome, &wrong);
	if (r < 0) {
		return fail_parse(reader, r, wrong, error);
	}
	if (spool_blocks_body_end(&reader->blocks) != reader->blocks.end) {
		return spool_blocks_damaged(
			&reader->blocks, "the file goes on after its outcome", error);
	}
	reader->has_outcome = true;
	return 0;
}

static void to_first_page(struct spool_reader *reader)
{
	reader->blocks.at = reader->pages_at;
	reader->blocks.number = 1;
	reader->in_page = false;
}

static int check_ends(struct spool_reader *reader, const struct spool_reader_options *options,
	struct error *error)
{
	int r = read_header(reader, error);

	if (r == 0 && options->extent == SPOOL_EXTENT_WHOLE) {
		r = read_outcome(reader, error);
	} else {
		reader->pages_end = reader->blocks.end;
	}
	return r;
}

int spool_reader_open(int take_fd, const struct spool_reader_options *options,
	struct spool_reader **ret, struct error *error)
{
	struct spool_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		close(take_fd);
		return error_no_memory(error, "spool");
	}
	reader->page_bytes = options->page_bytes;
	if (spool_blocks_init(&reader->blocks, take_fd, options->path, error) < 0) {
		spool_reader_free(reader);
		return -1;
	}
	if (options->extent == SPOOL_EXTENT_PAGES && options->end < reader->blocks.end) {
		reader->blocks.end = options->end;
	}
	if (check_ends(reader, options, error) < 0) {
		spool_reader_free(reader);
		return -1;
	}
	to_first_page(reader);
	*ret = reader;
	return 0;
}

static int open_named(const struct spool *spool, const struct spool_file *file,
	enum spool_suffix suffix, char name[static SPOOL_FILE_NAME_BYTES])
{
	spool_file_name(file, suffix, name);
	return openat(spool->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

int spool_read_file(struct spool *spool, const struct spool_file *file,
	enum spool_reader_extent extent, struct spool_reader **ret, struct error *error)
{
	char name[SPOOL_FILE_NAME_BYTES], path[PATH_MAX + SPOOL_FILE_NAME_BYTES];
	struct spool_reader_options options = {.path = path,
		.extent = extent,
		.end = file->whole_bytes,
		.page_bytes = spool->options.page_bytes};
	struct spool_reader *reader;
	int fd = open_named(spool, file, spool_file_suffix(file), name);

	if (fd < 0 && errno == ENOENT && file->state == SPOOL_FILE_MARKING) {
		fd = open_named(spool, file, SPOOL_LOADED, name);
	}
	if (fd < 0) {
		return spool_disk_error(spool, name, "opening", errno, error);
	}
	snprintf(path, sizeof(path), "%s/%s", spool->directory, name);
	if (spool_reader_open(fd, &options, &reader, error) < 0) {
		return -1;
	}
	if (reader->header.run != file->run || strcmp(reader->header.uuid, file->uuid) != 0) {
		reader->blocks.number = 0;
		reader->blocks.at = SPOOL_FILE_HEAD_BYTES;
		spool_blocks_damaged(&reader->blocks, "the header is that of another file", error);
		spool_reader_free(reader);
		return -1;
	}
	*ret = reader;
	return 0;
}

int spool_read(
	struct spool *spool, const char *uuid, struct spool_reader **ret, struct error *error)
{
	const struct spool_file *file = spool_find_file(spool, uuid);

	if (!file || file->state == SPOOL_FILE_DAMAGED) {
		return error_set(error, ERROR_REJECTED, "spool", "not_found",
			"%s: holds no file with UUID %s", spool->directory, uuid);
	}
	return spool_read_file(spool, file,
		spool_file_suffix(file) == SPOOL_PART ? SPOOL_EXTENT_PAGES : SPOOL_EXTENT_WHOLE,
		ret, error);
}

struct spool_reader *spool_reader_free(struct spool_reader *reader)
{
	if (!reader) {
		return NULL;
	}
	spool_blocks_fini(&reader->blocks);
	ZSTD_freeDCtx(reader->zstd);
	free(reader->out);
	free(reader);
	return NULL;
}

const struct spool_header *spool_reader_header(const struct spool_reader *reader)
{
	return &reader->header;
}

const struct spool_outcome *spool_reader_outcome(const struct spool_reader *reader)
{
	return reader->has_outcome ? &reader->outcome : NULL;
}

const struct spool_page *spool_reader_page(const struct spool_reader *reader)
{
	return &reader->blocks.block.page;
}

uint64_t spool_reader_at(const struct spool_reader *reader)
{
	return reader->blocks.at;
}

int spool_reader_rewind(struct spool_reader *reader, struct error *error)
{
	(void)error;
	to_first_page(reader);
	return 0;
}

/* ---- pages ---- */

static int make_decoder(struct spool_reader *reader, struct error *error)
{
	if (!reader->zstd) {
		reader->zstd = ZSTD_createDCtx();
	}
	if (!reader->out) {
		reader->out = malloc(OUT_BYTES);
	}
	if (!reader->zstd || !reader->out) {
		return error_no_memory(error, "spool");
	}
	ZSTD_DCtx_reset(reader->zstd, ZSTD_reset_session_and_parameters);
	ZSTD_DCtx_setParameter(reader->zstd, ZSTD_d_windowLogMax, SPOOL_WINDOW_LOG);
	return 0;
}

static int open_page(struct spool_reader *reader, struct error *error)
{
	int r = spool_blocks_head(&reader->blocks, error);

	if (r == 0 && reader->blocks.block.type != SPOOL_BLOCK_PAGE) {
		r = spool_blocks_damaged(&reader->blocks, "it is no page", error);
	}
	if (r == 0) {
		r = spool_blocks_verify(&reader->blocks, error);
	}
	if (r < 0) {
		return r;
	}
	if (reader->blocks.block.raw_bytes > reader->page_bytes) {
		return error_set(error, ERROR_REJECTED, "spool", "too_large",
			"%s: block %" PRIu32 " at byte %" PRIu64 ": a page of %" PRIu64
			" bytes, more than the %" PRIu64 " allowed",
			reader->blocks.path, reader->blocks.number, reader->blocks.at,
			reader->blocks.block.raw_bytes, reader->page_bytes);
	}
	if (make_decoder(reader, error) < 0) {
		return -1;
	}
	reader->next_at = spool_blocks_body(&reader->blocks);
	reader->input = (ZSTD_inBuffer){.src = reader->blocks.buf};
	reader->raw_bytes = 0;
	reader->frame_done = false;
	reader->in_page = true;
	return 0;
}

static bool page_is_used_up(const struct spool_reader *reader)
{
	return reader->input.pos == reader->input.size &&
		reader->next_at == spool_blocks_body_end(&reader->blocks);
}

static int refill(struct spool_reader *reader, struct error *error)
{
	uint64_t left = spool_blocks_body_end(&reader->blocks) - reader->next_at;
	size_t n = left < sizeof(reader->blocks.buf) ? (size_t)left : sizeof(reader->blocks.buf);
	int r = spool_blocks_read(&reader->blocks, reader->blocks.buf, n, reader->next_at, error);

	reader->input = (ZSTD_inBuffer){.src = reader->blocks.buf, .size = n};
	reader->next_at += n;
	return r;
}

/* Decompress until the window is full or the frame ends. */
static int inflate_piece(struct spool_reader *reader, size_t *ret_len, struct error *error)
{
	ZSTD_outBuffer out = {.dst = reader->out, .size = OUT_BYTES};

	while (out.pos < out.size && !reader->frame_done) {
		size_t in_before = reader->input.pos, out_before = out.pos;
		size_t r;

		if (reader->input.pos == reader->input.size && !page_is_used_up(reader)) {
			int failed = refill(reader, error);

			if (failed < 0) {
				return failed;
			}
			in_before = 0;
		}
		r = ZSTD_decompressStream(reader->zstd, &out, &reader->input);
		if (ZSTD_isError(r)) {
			return spool_blocks_damaged(&reader->blocks, ZSTD_getErrorName(r), error);
		}
		reader->frame_done = r == 0;
		if (r != 0 && reader->input.pos == in_before && out.pos == out_before) {
			return spool_blocks_damaged(
				&reader->blocks, "its zstd frame is cut", error);
		}
	}
	*ret_len = out.pos;
	return 0;
}

static int check_page_end(struct spool_reader *reader, struct error *error)
{
	if (!page_is_used_up(reader)) {
		return spool_blocks_damaged(
			&reader->blocks, "something follows its zstd frame", error);
	}
	if (reader->raw_bytes != reader->blocks.block.raw_bytes) {
		return spool_blocks_damaged(
			&reader->blocks, "its page is shorter than declared", error);
	}
	return 0;
}

/* The next piece of the open page. */
static enum spool_item next_piece(
	struct spool_reader *reader, const void **ret_data, size_t *ret_len, struct error *error)
{
	size_t len = 0;

	if (inflate_piece(reader, &len, error) < 0) {
		return SPOOL_ERROR;
	}
	if (len > reader->blocks.block.raw_bytes - reader->raw_bytes) {
		spool_blocks_damaged(&reader->blocks, "its page is longer than declared", error);
		return SPOOL_ERROR;
	}
	reader->raw_bytes += len;
	if (len > 0) {
		*ret_data = reader->out;
		*ret_len = len;
		return SPOOL_DATA;
	}
	if (check_page_end(reader, error) < 0) {
		return SPOOL_ERROR;
	}
	spool_blocks_next(&reader->blocks);
	reader->in_page = false;
	return SPOOL_PAGE_END;
}

enum spool_item spool_reader_next(
	struct spool_reader *reader, const void **ret_data, size_t *ret_len, struct error *error)
{
	if (!reader->in_page) {
		if (reader->blocks.at == reader->pages_end) {
			return SPOOL_END;
		}
		if (open_page(reader, error) < 0) {
			return SPOOL_ERROR;
		}
	}
	return next_piece(reader, ret_data, ret_len, error);
}

/* ---- measuring a .part ---- */

int spool_reader_measure(struct spool_reader *reader, struct spool_extent *ret, struct error *error)
{
	int r;

	to_first_page(reader);
	r = spool_blocks_measure(&reader->blocks, ret, error);
	to_first_page(reader);
	return r;
}
