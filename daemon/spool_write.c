/*
 * Writing a spool file. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: create writes file head and header. A page begins with room for its head, all
 * zero; what comes is compressed and written in pieces of 64 KiB; when it ends, the head is written
 * over the zeros. Only then is the page whole: a crash before leaves a tail that the next
 * start cuts off. These are plain writes into the page cache and never wait for the disk. Commit
 * goes to the thread pool: outcome, fdatasync, rename to .ready, fsync of the directory.
 *
 * Failure modes: no room (spool_full), the disk fails (the errno's name, the text names the file).
 * Inside a page: the page is aborted, what was whole stays, the same page may be tried again. In
 * the commit: no .ready; the .part stays with its pages as interrupted. Only when fdatasync itself
 * fails the file is removed, for the kernel may then show bytes that are not on the disk.
 *
 * An aborted page is overwritten by the next one; should it have been longer, the commit cuts the
 * rest off. So it does not matter whether cutting at once had worked.
 */

#include "daemon/spool_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

struct spool_writer {
	struct spool *spool;
	struct spool_file *file;
	int fd;
	char name[SPOOL_FILE_NAME_BYTES], ready_name[SPOOL_FILE_NAME_BYTES];
	uint64_t pages_at; /* where the header block ends */
	uint64_t end;	   /* where the last whole block ends */
	uint32_t number;   /* of the next block */

	bool in_page;
	uint64_t at; /* next byte to write */
	uint64_t raw_bytes;
	struct spool_page page;
	ZSTD_CCtx *zstd;
	XXH64_state_t *hash;
	size_t n_out;
	unsigned char out[SPOOL_IO_BYTES];

	uv_work_t work; /* the commit */
	struct buffer outcome;
	struct error error;
	bool given_up; /* fdatasync failed, the file is removed */
	spool_done_fn on_done;
	void *arg;
};

static const struct spool_page unknown_page = {.total = -1};

static int fail(const struct spool_writer *writer, const char *what, int err, struct error *error)
{
	return spool_disk_error(writer->spool, writer->name, what, err, error);
}

/* Returns 0 or -errno. */
static int write_at(int fd, const void *data, size_t len, uint64_t at)
{
	const unsigned char *in = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, in, len, (off_t)at);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return n < 0 ? -errno : -EIO;
		}
		in += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

/* ---- the writer ---- */

/* Gives back what the writer holds; the file stays as it is. */
static void writer_free(struct spool_writer *writer)
{
	if (!writer) {
		return;
	}
	if (writer->fd >= 0) {
		close(writer->fd);
	}
	ZSTD_freeCCtx(writer->zstd);
	XXH64_freeState(writer->hash);
	buffer_fini(&writer->outcome);
	spool_unref(writer->spool);
	free(writer);
}

static bool set_up_zstd(struct spool_writer *writer)
{
	return writer->zstd &&
		!ZSTD_isError(ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, 1)) &&
		!ZSTD_isError(
			ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_windowLog, SPOOL_WINDOW_LOG));
}

static struct spool_writer *writer_new(struct spool *spool)
{
	struct spool_writer *writer = calloc(1, sizeof(*writer));

	if (!writer) {
		return NULL;
	}
	writer->spool = spool_ref(spool);
	writer->fd = -1;
	writer->zstd = ZSTD_createCCtx();
	writer->hash = XXH64_createState();
	if (!set_up_zstd(writer) || !writer->hash) {
		writer_free(writer);
		return NULL;
	}
	return writer;
}

static void set_file(struct spool_writer *writer, struct spool_file *file)
{
	writer->file = file;
	spool_file_name(file, SPOOL_PART, writer->name);
	spool_file_name(file, SPOOL_READY, writer->ready_name);
}

/* What a crash now would leave. */
static void note_whole(struct spool_writer *writer)
{
	writer->file->whole_bytes = writer->end;
	writer->file->pages = writer->number - 1;
}

/* ---- create ---- */

static int format_begin(const struct spool_header *header, struct buffer *out, struct error *error)
{
	_cleanup_free_ char *text = spool_header_format(header);
	unsigned char head[SPOOL_FILE_HEAD_BYTES];

	if (!text) {
		return error_no_memory(error, "spool");
	}
	spool_file_head(head);
	buffer_append(out, head, sizeof(head));
	spool_append_text_block(out, SPOOL_BLOCK_HEADER, 0, text);
	return buffer_failed(out) ? error_no_memory(error, "spool") : 0;
}

static int create_file(struct spool_writer *writer, const struct buffer *begin, struct error *error)
{
	int dir = writer->spool->dir, r;

	writer->fd =
		openat(dir, writer->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (writer->fd < 0) {
		return fail(writer, "creating", errno, error);
	}
	r = write_at(writer->fd, begin->data, begin->len, 0);
	if (r < 0) {
		(void)unlinkat(dir, writer->name, 0);
		return fail(writer, "writing", -r, error);
	}
	writer->pages_at = writer->end = writer->at = begin->len;
	writer->number = 1;
	return 0;
}

static int write_begin(
	struct spool_writer *writer, const struct spool_header *header, struct error *error)
{
	_cleanup_buffer_ struct buffer begin = {0};

	if (format_begin(header, &begin, error) < 0 ||
		spool_make_room(writer->spool, begin.len + SPOOL_IO_BYTES, error) < 0 ||
		create_file(writer, &begin, error) < 0) {
		return -1;
	}
	spool_set_bytes(writer->spool, writer->file, begin.len);
	note_whole(writer);
	return 0;
}

int spool_create(struct spool *spool, const struct spool_header *header, struct spool_writer **ret,
	struct error *error)
{
	struct spool_file entry = {.state = SPOOL_FILE_WRITING,
		.run = header->run,
		.started_us = header->started_us,
		.total = -1};
	struct spool_writer *writer;
	struct spool_file *file;

	assert(header->run > 0 && spool_uuid_is_valid(header->uuid));
	memcpy(entry.uuid, header->uuid, sizeof(entry.uuid));
	writer = writer_new(spool);
	file = writer ? spool_add_file(spool, &entry) : NULL;
	if (!file) {
		writer_free(writer);
		return error_no_memory(error, "spool");
	}
	set_file(writer, file);
	if (write_begin(writer, header, error) < 0) {
		spool_forget_file(spool, file);
		writer_free(writer);
		return -1;
	}
	*ret = writer;
	return 0;
}

/* ---- resume ---- */

static int find_pages(struct spool_writer *writer, struct error *error)
{
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];
	struct spool_block block;
	ssize_t n = pread(writer->fd, head, sizeof(head), SPOOL_FILE_HEAD_BYTES);

	if (n != (ssize_t)sizeof(head)) {
		return fail(writer, "reading", n < 0 ? errno : EIO, error);
	}
	spool_block_decode(head, &block); /* it was verified when the file was found */
	writer->pages_at = SPOOL_FILE_HEAD_BYTES + SPOOL_BLOCK_HEAD_BYTES + block.length;
	return 0;
}

static int open_part(struct spool_writer *writer, struct error *error)
{
	const struct spool_file *file = writer->file;

	writer->fd = openat(writer->spool->dir, writer->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (writer->fd < 0) {
		return fail(writer, "opening", errno, error);
	}
	if (find_pages(writer, error) < 0) {
		return -1;
	}
	/* A commit that failed may have left a piece of its outcome. */
	if (ftruncate(writer->fd, (off_t)file->whole_bytes) < 0) {
		return fail(writer, "cutting its end", errno, error);
	}
	writer->end = writer->at = file->whole_bytes;
	writer->number = file->pages + 1;
	return 0;
}

int spool_resume(
	struct spool *spool, const char *uuid, struct spool_writer **ret, struct error *error)
{
	struct spool_file *file = spool_find_file(spool, uuid);
	struct spool_writer *writer;

	if (!file || spool_file_suffix(file) != SPOOL_PART) {
		return error_set(error, ERROR_REJECTED, "spool", "not_found",
			"%s: holds no interrupted file with UUID %s", spool->directory, uuid);
	}
	if (file->state != SPOOL_FILE_INTERRUPTED) {
		return error_set(error, ERROR_RETRY, "spool", "busy",
			"%s: the file with UUID %s is being written", spool->directory, uuid);
	}
	writer = writer_new(spool);
	if (!writer) {
		return error_no_memory(error, "spool");
	}
	set_file(writer, file);
	if (open_part(writer, error) < 0) {
		writer_free(writer);
		return -1;
	}
	spool_set_bytes(spool, file, file->whole_bytes);
	file->state = SPOOL_FILE_WRITING;
	*ret = writer;
	return 0;
}

/* ---- pages ---- */

static int write_out(struct spool_writer *writer, struct error *error)
{
	int r;

	if (writer->n_out == 0) {
		return 0;
	}
	if (spool_make_room(writer->spool, writer->n_out, error) < 0) {
		return -1;
	}
	r = write_at(writer->fd, writer->out, writer->n_out, writer->at);
	if (r < 0) {
		return fail(writer, "writing", -r, error);
	}
	XXH64_update(writer->hash, writer->out, writer->n_out);
	writer->at += writer->n_out;
	writer->n_out = 0;
	spool_set_bytes(writer->spool, writer->file, writer->at);
	return 0;
}

/* Compress `input`; with ZSTD_e_end also what zstd still holds. */
static int compress(struct spool_writer *writer, ZSTD_inBuffer *input, ZSTD_EndDirective directive,
	struct error *error)
{
	size_t left;

	do {
		ZSTD_outBuffer out = {
			.dst = writer->out, .size = sizeof(writer->out), .pos = writer->n_out};

		left = ZSTD_compressStream2(writer->zstd, &out, input, directive);
		if (ZSTD_isError(left)) {
			return error_set(error, ERROR_RETRY, "spool", "no_memory",
				"%s/%s: zstd: %s", writer->spool->directory, writer->name,
				ZSTD_getErrorName(left));
		}
		writer->n_out = out.pos;
		if (out.pos == out.size && write_out(writer, error) < 0) {
			return -1;
		}
	} while (input->pos < input->size || (directive == ZSTD_e_end && left > 0));
	return 0;
}

int spool_page_begin(struct spool_writer *writer, struct error *error)
{
	static const unsigned char zeros[SPOOL_BLOCK_HEAD_BYTES];
	int r;

	assert(!writer->in_page);
	if (spool_make_room(writer->spool, SPOOL_IO_BYTES, error) < 0) {
		return -1;
	}
	r = write_at(writer->fd, zeros, sizeof(zeros), writer->end);
	if (r < 0) {
		return fail(writer, "writing", -r, error);
	}
	ZSTD_CCtx_reset(writer->zstd, ZSTD_reset_session_only);
	XXH64_reset(writer->hash, 0);
	writer->at = writer->end + SPOOL_BLOCK_HEAD_BYTES;
	writer->n_out = 0;
	writer->raw_bytes = 0;
	writer->page = unknown_page;
	writer->in_page = true;
	spool_set_bytes(writer->spool, writer->file, writer->at);
	return 0;
}

int spool_page_write(struct spool_writer *writer, const void *data, size_t len, struct error *error)
{
	ZSTD_inBuffer input = {.src = data, .size = len};

	assert(writer->in_page);
	if (len > writer->spool->options.page_bytes - writer->raw_bytes) {
		return error_set(error, ERROR_REJECTED, "spool", "too_large",
			"%s/%s: a page of more than %" PRIu64 " bytes", writer->spool->directory,
			writer->name, writer->spool->options.page_bytes);
	}
	writer->raw_bytes += len;
	return compress(writer, &input, ZSTD_e_continue, error);
}

void spool_page_describe(struct spool_writer *writer, const struct spool_page *page)
{
	assert(writer->in_page);
	writer->page = *page;
}

static int write_page_head(struct spool_writer *writer, struct error *error)
{
	struct spool_block block = {
		.type = SPOOL_BLOCK_PAGE,
		.number = writer->number,
		.length = writer->at - writer->end - SPOOL_BLOCK_HEAD_BYTES,
		.raw_bytes = writer->raw_bytes,
		.page = writer->page,
	};
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];
	int r;

	spool_block_encode(&block, XXH64_digest(writer->hash), head);
	r = write_at(writer->fd, head, sizeof(head), writer->end);
	return r < 0 ? fail(writer, "writing", -r, error) : 0;
}

int spool_page_end(struct spool_writer *writer, struct error *error)
{
	ZSTD_inBuffer nothing = {.size = 0};
	struct spool_file *file = writer->file;

	assert(writer->in_page);
	if (compress(writer, &nothing, ZSTD_e_end, error) < 0 || write_out(writer, error) < 0 ||
		write_page_head(writer, error) < 0) {
		return -1;
	}
	writer->in_page = false;
	writer->end = writer->at;
	writer->number++;
	file->rows += writer->page.rows;
	file->total = writer->page.total;
	file->updated = writer->page.updated;
	note_whole(writer);
	return 0;
}

/* Forget what was written after the last whole block. Returns 0 or -errno. */
static int cut(struct spool_writer *writer)
{
	writer->in_page = false;
	writer->at = writer->end;
	spool_set_bytes(writer->spool, writer->file, writer->end);
	return ftruncate(writer->fd, (off_t)writer->end) < 0 ? -errno : 0;
}

void spool_page_abort(struct spool_writer *writer)
{
	(void)cut(writer);
}

int spool_restart(struct spool_writer *writer, struct error *error)
{
	struct spool_file *file = writer->file;
	int r;

	writer->end = writer->pages_at;
	writer->number = 1;
	file->rows = 0;
	file->total = -1;
	file->updated = 0;
	note_whole(writer);
	r = cut(writer);
	return r < 0 ? fail(writer, "dropping its pages", -r, error) : 0;
}

void spool_discard(struct spool_writer *writer)
{
	spool_remove_file(writer->spool, writer->file);
	writer_free(writer);
}

/* ---- commit ---- */

static int append_outcome(struct spool_writer *writer)
{
	int r = write_at(writer->fd, writer->outcome.data, writer->outcome.len, writer->end);

	if (r < 0) {
		fail(writer, "writing", -r, &writer->error);
	} else if (ftruncate(writer->fd, (off_t)(writer->end + writer->outcome.len)) < 0) {
		r = fail(writer, "cutting an aborted page", errno, &writer->error);
	}
	return r;
}

static void commit_in_pool(uv_work_t *work)
{
	struct spool_writer *writer = container_of(work, struct spool_writer, work);
	int dir = writer->spool->dir, r;

	if (error_is_set(&writer->error)) {
		return;
	}
	if (append_outcome(writer) < 0) {
		(void)!ftruncate(writer->fd, (off_t)writer->end);
		return;
	}
	if (fdatasync(writer->fd) < 0) {
		fail(writer, "syncing", errno, &writer->error);
		writer->given_up = true;
		(void)unlinkat(dir, writer->name, 0);
		return;
	}
	r = spool_rename_synced(dir, writer->name, writer->ready_name);
	if (r < 0) {
		fail(writer, "renaming", -r, &writer->error);
	}
}

static void settle(struct spool_writer *writer)
{
	struct spool_file *file = writer->file;

	if (writer->given_up) {
		spool_forget_file(writer->spool, file);
	} else if (error_is_set(&writer->error)) {
		file->state = SPOOL_FILE_INTERRUPTED;
		file->changed_us = spool_now_us();
		spool_set_bytes(writer->spool, file, file->whole_bytes);
	} else {
		file->state = SPOOL_FILE_READY;
		file->whole_bytes = writer->end + writer->outcome.len;
		spool_set_bytes(writer->spool, file, file->whole_bytes);
	}
}

static void on_committed(uv_work_t *work, int status)
{
	struct spool_writer *writer = container_of(work, struct spool_writer, work);
	spool_done_fn on_done = writer->on_done;
	struct error error;
	void *arg = writer->arg;

	if (status < 0) {
		error_set(&writer->error, ERROR_CANCELED, "spool", "canceled", "%s: canceled",
			writer->name);
	}
	settle(writer);
	error = writer->error;
	writer_free(writer);
	on_done(arg, error_is_set(&error) ? &error : NULL);
}

void spool_commit(struct spool_writer *writer, const struct spool_outcome *outcome,
	spool_done_fn on_done, void *arg)
{
	_cleanup_free_ char *text = spool_outcome_format(outcome);

	assert(!writer->in_page);
	writer->on_done = on_done;
	writer->arg = arg;
	if (text) {
		spool_append_text_block(
			&writer->outcome, SPOOL_BLOCK_OUTCOME, writer->number, text);
	}
	if (!text || buffer_failed(&writer->outcome)) {
		error_no_memory(&writer->error, "spool");
	}
	writer->file->state = SPOOL_FILE_COMMITTING;
	(void)uv_queue_work(writer->spool->loop, &writer->work, commit_in_pool, on_committed);
}
