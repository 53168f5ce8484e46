/*
 * A spool file in memory. SPDX-License-Identifier: Apache-2.0
 *
 * The same bytes as on the disk, in a memfd: so the load stage reads them by the one way it has.
 */

#include "daemon/spool_memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

#include "daemon/spool_private.h"

static const char memory_path[] = "(records out of quarantine)";

/* Head and compressed body of the one page. False when memory is short. */
static bool append_page(struct buffer *out, const void *page, size_t len)
{
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];
	struct spool_block block = {.type = SPOOL_BLOCK_PAGE, .number = 1, .raw_bytes = len};
	size_t room = ZSTD_compressBound(len), n;
	_cleanup_free_ char *body = malloc(room);
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	if (!body || !zstd) {
		ZSTD_freeCCtx(zstd);
		return false;
	}
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, SPOOL_WINDOW_LOG);
	n = ZSTD_compress2(zstd, body, room, page, len);
	ZSTD_freeCCtx(zstd);
	if (ZSTD_isError(n)) {
		return false;
	}
	block.length = n;
	block.page.total = -1;
	spool_block_encode(&block, XXH64(body, n, 0), head);
	buffer_append(out, head, sizeof(head));
	buffer_append(out, body, n);
	return true;
}

static int append_all(struct buffer *out, const struct spool_header *header,
	const struct spool_outcome *outcome, const void *page, size_t len)
{
	_cleanup_free_ char *header_text = spool_header_format(header);
	_cleanup_free_ char *outcome_text = spool_outcome_format(outcome);
	unsigned char head[SPOOL_FILE_HEAD_BYTES];

	if (!header_text || !outcome_text) {
		return -ENOMEM;
	}
	spool_file_head(head);
	buffer_append(out, head, sizeof(head));
	spool_append_text_block(out, SPOOL_BLOCK_HEADER, 0, header_text);
	if (!append_page(out, page, len)) {
		return -ENOMEM;
	}
	spool_append_text_block(out, SPOOL_BLOCK_OUTCOME, 2, outcome_text);
	return buffer_failed(out) ? -ENOMEM : 0;
}

static int write_all(int fd, const struct buffer *bytes)
{
	size_t at = 0;

	while (at < bytes->len) {
		ssize_t n = write(fd, bytes->data + at, bytes->len - at);

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int spool_of_page(const struct spool_header *header, const struct spool_outcome *outcome,
	const void *page, size_t len, struct spool_reader **ret, struct error *error)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct spool_reader_options options = {
		.path = memory_path, .extent = SPOOL_EXTENT_WHOLE, .page_bytes = len};
	int r = append_all(&bytes, header, outcome, page, len), fd = -1;

	if (r == 0) {
		fd = memfd_create("ogdsync", MFD_CLOEXEC);
		r = fd < 0 ? -errno : write_all(fd, &bytes);
	}
	if (r < 0) {
		if (fd >= 0) {
			close(fd);
		}
		return error_errno(error, ERROR_RETRY, "spool", -r, memory_path);
	}
	return spool_reader_open(fd, &options, ret, error) < 0 ? -1 : 0;
}
