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

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

enum { OUT_BYTES = 128 * 1024, CODE_DAMAGED = -2 };

struct spool_reader {
	int fd;
	char *path;
	uint64_t page_bytes;
	uint64_t end; /* nothing is read from there on */
	uint64_t pages_at, pages_end;
	struct spool_header header;
	struct spool_outcome outcome;
	bool has_outcome;

	uint64_t at; /* the present block begins here */
	uint32_t number;
	bool in_page;
	struct spool_block block;

	uint64_t next_at;   /* compressed bytes of the page that are not in `in` yet */
	uint64_t raw_bytes; /* decompressed so far */
	bool frame_done;
	ZSTD_DCtx *zstd; /* made for the first page */
	XXH64_state_t *hash;
	ZSTD_inBuffer input;
	unsigned char in[SPOOL_IO_BYTES];
	unsigned char *out;
};

/* ---- failures ---- */

static int fail_damaged(const struct spool_reader *reader, const char *what, struct error *error)
{
	error_set(error, ERROR_REJECTED, "spool", "damaged",
		"%s: block %" PRIu32 " at byte %" PRIu64 ": %s", reader->path, reader->number,
		reader->at, what);
	return CODE_DAMAGED;
}

static int fail_disk(const struct spool_reader *reader, int err, struct error *error)
{
	char text[ERROR_TEXT_BYTES];

	snprintf(text, sizeof(text), "%s: reading", reader->path);
	return error_errno(error, ERROR_RETRY, "spool", err, text);
}

/* Returns 0, -1 (the disk), CODE_DAMAGED (the file ends before). */
static int read_exactly(
	const struct spool_reader *reader, void *data, size_t len, uint64_t at, struct error *error)
{
	unsigned char *out = data;

	while (len > 0) {
		ssize_t n = pread(reader->fd, out, len, (off_t)at);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n < 0) {
			return fail_disk(reader, errno, error);
		}
		if (n == 0) {
			return fail_damaged(reader, "the file ends in it", error);
		}
		out += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

/* ---- blocks ---- */

static uint64_t body_at(const struct spool_reader *reader)
{
	return reader->at + SPOOL_BLOCK_HEAD_BYTES;
}

static uint64_t block_end(const struct spool_reader *reader)
{
	return body_at(reader) + reader->block.length;
}

/* Read the head at reader->at. What it says is not verified yet, but lies inside the file. */
static int read_head(struct spool_reader *reader, unsigned char *head, struct error *error)
{
	int r;

	if (reader->end - reader->at < SPOOL_BLOCK_HEAD_BYTES) {
		return fail_damaged(reader, "the file ends in its head", error);
	}
	r = read_exactly(reader, head, SPOOL_BLOCK_HEAD_BYTES, reader->at, error);
	if (r < 0) {
		return r;
	}
	spool_block_decode(head, &reader->block);
	if (reader->block.number != reader->number) {
		return fail_damaged(reader, "it has another number", error);
	}
	if (reader->block.length > reader->end - body_at(reader)) {
		return fail_damaged(reader, "the file ends in it", error);
	}
	return 0;
}

/* One pass over the body: does the block have the hash that its head says? */
static int verify(struct spool_reader *reader, const unsigned char *head, struct error *error)
{
	uint64_t at = body_at(reader), end = block_end(reader);

	XXH64_reset(reader->hash, 0);
	while (at < end) {
		size_t n = end - at < sizeof(reader->in) ? (size_t)(end - at) : sizeof(reader->in);
		int r = read_exactly(reader, reader->in, n, at, error);

		if (r < 0) {
			return r;
		}
		XXH64_update(reader->hash, reader->in, n);
		at += n;
	}
	if (spool_block_hash(head, XXH64_digest(reader->hash)) != reader->block.hash) {
		return fail_damaged(reader, "its checksum does not match", error);
	}
	return 0;
}

static void next_block(struct spool_reader *reader)
{
	reader->at = block_end(reader);
	reader->number++;
}

/* Verify a block with a text and append that to `text`. */
static int read_text(struct spool_reader *reader, enum spool_block_type type, struct buffer *text,
	struct error *error)
{
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];
	char *room;
	int r = read_head(reader, head, error);

	if (r < 0) {
		return r;
	}
	if (reader->block.type != type) {
		return fail_damaged(reader, "it is of another type", error);
	}
	if (reader->block.length > SPOOL_MAX_TEXT_BYTES) {
		return fail_damaged(reader, "its text is too long", error);
	}
	r = verify(reader, head, error);
	if (r < 0) {
		return r;
	}
	room = buffer_reserve(text, reader->block.length);
	if (!room) {
		return error_no_memory(error, "spool");
	}
	r = read_exactly(reader, room, reader->block.length, body_at(reader), error);
	if (r == 0) {
		buffer_grown(text, reader->block.length);
	}
	return r;
}

/* ---- opening ---- */

static int fail_parse(
	const struct spool_reader *reader, int r, const char *wrong, struct error *error)
{
	return r == -ENOMEM ? error_no_memory(error, "spool") : fail_damaged(reader, wrong, error);
}

static int read_header(struct spool_reader *reader, struct error *error)
{
	_cleanup_buffer_ struct buffer text = {0};
	unsigned char file_head[SPOOL_FILE_HEAD_BYTES];
	const char *wrong;
	int r;

	if (reader->end < sizeof(file_head)) {
		return fail_damaged(reader, "the file ends before", error);
	}
	r = read_exactly(reader, file_head, sizeof(file_head), 0, error);
	if (r < 0) {
		return r;
	}
	wrong = spool_file_head_check(file_head);
	if (wrong) {
		return fail_damaged(reader, wrong, error);
	}
	reader->at = sizeof(file_head);
	r = read_text(reader, SPOOL_BLOCK_HEADER, &text, error);
	if (r < 0) {
		return r;
	}
	r = spool_header_parse(text.data, text.len, &reader->header, &wrong);
	if (r < 0) {
		return fail_parse(reader, r, wrong, error);
	}
	next_block(reader);
	reader->pages_at = reader->at;
	return 0;
}

/* From head to head to the last block. The pages are verified when they are read. */
static int walk_to_outcome(struct spool_reader *reader, struct error *error)
{
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];

	for (;;) {
		int r = read_head(reader, head, error);

		if (r < 0) {
			return r;
		}
		if (reader->block.type == SPOOL_BLOCK_OUTCOME) {
			return 0;
		}
		if (reader->block.type != SPOOL_BLOCK_PAGE) {
			return fail_damaged(reader, "it is no page", error);
		}
		next_block(reader);
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
	reader->pages_end = reader->at;
	r = read_text(reader, SPOOL_BLOCK_OUTCOME, &text, error);
	if (r < 0) {
		return r;
	}
	r = spool_outcome_parse(text.data, text.len, &reader->outcome, &wrong);
	if (r < 0) {
		return fail_parse(reader, r, wrong, error);
	}
	if (block_end(reader) != reader->end) {
		return fail_damaged(reader, "the file goes on after its outcome", error);
	}
	reader->has_outcome = true;
	return 0;
}

static void to_first_page(struct spool_reader *reader)
{
	reader->at = reader->pages_at;
	reader->number = 1;
	reader->in_page = false;
}

static int find_end(struct spool_reader *reader, const struct spool_reader_options *options,
	struct error *error)
{
	struct stat st;

	if (fstat(reader->fd, &st) < 0) {
		return fail_disk(reader, errno, error);
	}
	reader->end = (uint64_t)st.st_size;
	if (options->extent == SPOOL_EXTENT_PAGES && options->end < reader->end) {
		reader->end = options->end;
	}
	return 0;
}

static int check_ends(struct spool_reader *reader, const struct spool_reader_options *options,
	struct error *error)
{
	int r = find_end(reader, options, error);

	if (r == 0) {
		r = read_header(reader, error);
	}
	if (r == 0 && options->extent == SPOOL_EXTENT_WHOLE) {
		r = read_outcome(reader, error);
	} else {
		reader->pages_end = reader->end;
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
	reader->fd = take_fd;
	reader->page_bytes = options->page_bytes;
	reader->path = strdup(options->path);
	reader->hash = XXH64_createState();
	if (!reader->path || !reader->hash) {
		spool_reader_free(reader);
		return error_no_memory(error, "spool");
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
	snprintf(path, sizeof(path), "%s/%s", spool->directory, name);
	if (fd < 0) {
		return spool_disk_error(spool, name, "opening", errno, error);
	}
	if (spool_reader_open(fd, &options, &reader, error) < 0) {
		return -1;
	}
	if (reader->header.run != file->run || strcmp(reader->header.uuid, file->uuid) != 0) {
		reader->number = 0;
		reader->at = SPOOL_FILE_HEAD_BYTES;
		fail_damaged(reader, "the header is that of another file", error);
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
	close(reader->fd);
	ZSTD_freeDCtx(reader->zstd);
	XXH64_freeState(reader->hash);
	free(reader->path);
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
	return &reader->block.page;
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
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];
	int r = read_head(reader, head, error);

	if (r == 0 && reader->block.type != SPOOL_BLOCK_PAGE) {
		r = fail_damaged(reader, "it is no page", error);
	}
	if (r == 0) {
		r = verify(reader, head, error);
	}
	if (r < 0) {
		return r;
	}
	if (reader->block.raw_bytes > reader->page_bytes) {
		return error_set(error, ERROR_REJECTED, "spool", "too_large",
			"%s: block %" PRIu32 " at byte %" PRIu64 ": a page of %" PRIu64
			" bytes, more than the %" PRIu64 " allowed",
			reader->path, reader->number, reader->at, reader->block.raw_bytes,
			reader->page_bytes);
	}
	if (make_decoder(reader, error) < 0) {
		return -1;
	}
	reader->next_at = body_at(reader);
	reader->input = (ZSTD_inBuffer){.src = reader->in};
	reader->raw_bytes = 0;
	reader->frame_done = false;
	reader->in_page = true;
	return 0;
}

static bool page_is_used_up(const struct spool_reader *reader)
{
	return reader->input.pos == reader->input.size && reader->next_at == block_end(reader);
}

static int refill(struct spool_reader *reader, struct error *error)
{
	uint64_t left = block_end(reader) - reader->next_at;
	size_t n = left < sizeof(reader->in) ? (size_t)left : sizeof(reader->in);
	int r = read_exactly(reader, reader->in, n, reader->next_at, error);

	reader->input = (ZSTD_inBuffer){.src = reader->in, .size = n};
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
			return fail_damaged(reader, ZSTD_getErrorName(r), error);
		}
		reader->frame_done = r == 0;
		if (r != 0 && reader->input.pos == in_before && out.pos == out_before) {
			return fail_damaged(reader, "its zstd frame is cut", error);
		}
	}
	*ret_len = out.pos;
	return 0;
}

static int check_page_end(struct spool_reader *reader, struct error *error)
{
	if (!page_is_used_up(reader)) {
		return fail_damaged(reader, "something follows its zstd frame", error);
	}
	if (reader->raw_bytes != reader->block.raw_bytes) {
		return fail_damaged(reader, "its page is shorter than declared", error);
	}
	return 0;
}

/* The next piece of the open page. */
static enum spool_item next_piece(
	struct spool_reader *reader, const void **ret_data, size_t *ret_len, struct error *error)
{
	size_t len;

	if (inflate_piece(reader, &len, error) < 0) {
		return SPOOL_ERROR;
	}
	if (len > reader->block.raw_bytes - reader->raw_bytes) {
		fail_damaged(reader, "its page is longer than declared", error);
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
	next_block(reader);
	reader->in_page = false;
	return SPOOL_PAGE_END;
}

enum spool_item spool_reader_next(
	struct spool_reader *reader, const void **ret_data, size_t *ret_len, struct error *error)
{
	if (!reader->in_page) {
		if (reader->at == reader->pages_end) {
			return SPOOL_END;
		}
		if (open_page(reader, error) < 0) {
			return SPOOL_ERROR;
		}
	}
	return next_piece(reader, ret_data, ret_len, error);
}

/* ---- measuring a .part ---- */

static int measure_block(struct spool_reader *reader, bool *ret_is_outcome, struct error *error)
{
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];
	int r = read_head(reader, head, error);

	if (r < 0) {
		return r;
	}
	*ret_is_outcome = reader->block.type == SPOOL_BLOCK_OUTCOME;
	if (reader->block.type != SPOOL_BLOCK_PAGE && !*ret_is_outcome) {
		return fail_damaged(reader, "it is no page", error);
	}
	if (*ret_is_outcome && block_end(reader) != reader->end) {
		return fail_damaged(reader, "the file goes on after its outcome", error);
	}
	return verify(reader, head, error);
}

int spool_reader_measure(struct spool_reader *reader, struct spool_extent *ret, struct error *error)
{
	int r = 0;

	*ret = (struct spool_extent){.whole_bytes = reader->at, .total = -1};
	while (reader->at < reader->end) {
		struct error failure = {0};
		bool is_outcome = false;

		r = measure_block(reader, &is_outcome, &failure);
		if (r < 0) {
			if (r != CODE_DAMAGED) {
				error_set(error, failure.class, failure.where, failure.code, "%s",
					failure.text);
			}
			break;
		}
		ret->has_outcome = is_outcome;
		if (!is_outcome) {
			ret->pages++;
			ret->rows += reader->block.page.rows;
			ret->total = reader->block.page.total;
			ret->updated = reader->block.page.updated;
		}
		next_block(reader);
		ret->whole_bytes = reader->at;
	}
	to_first_page(reader);
	return r == CODE_DAMAGED ? 0 : r;
}
