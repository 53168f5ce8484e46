/*
 * The spool's reader on arbitrary bytes. SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says how, the others are the file. With arbitrary bytes no checksum would ever be
 * right, and nothing behind it be reached; so bit 0 asks for them to be mended first. Bit 1: read
 * it as a .part is read at the start, else as a .ready.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "daemon/spool_private.h"
#include "tests/fuzz/fuzz.h"

enum { MEND_CHECKSUMS = 1, AS_PART = 2, PAGE_BYTES = 1 << 20 };

static void check(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

/* Every refusal says why. */
static void check_error(const struct error *error)
{
	check(strcmp(error->code, "damaged") == 0 || strcmp(error->code, "too_large") == 0 ||
			strcmp(error->code, "no_memory") == 0,
		error->code);
	check(error->text[0] != '\0', "an error without a text");
}

static void mend(unsigned char *file, size_t len)
{
	size_t at = SPOOL_FILE_HEAD_BYTES;

	if (len >= SPOOL_FILE_HEAD_BYTES) {
		spool_file_head(file);
	}
	while (at < len && len - at >= SPOOL_BLOCK_HEAD_BYTES) {
		unsigned char *body = file + at + SPOOL_BLOCK_HEAD_BYTES;
		size_t left = len - at - SPOOL_BLOCK_HEAD_BYTES;
		struct spool_block block;

		spool_block_decode(file + at, &block);
		if (block.length > left) {
			return;
		}
		spool_block_encode(&block, XXH64(body, block.length, 0), file + at);
		at += SPOOL_BLOCK_HEAD_BYTES + block.length;
	}
}

struct totals {
	uint64_t bytes;
	unsigned pages;
	enum spool_item end;
};

static struct totals read_pages(struct spool_reader *reader)
{
	struct totals totals = {0};
	struct error error = {0};
	uint64_t page_bytes = 0;
	const void *data;
	size_t len;

	while ((totals.end = spool_reader_next(reader, &data, &len, &error)) > SPOOL_END) {
		if (totals.end == SPOOL_PAGE_END) {
			totals.pages++;
			page_bytes = 0;
			continue;
		}
		check(len > 0 && len <= 128 * 1024, "a piece of that size");
		page_bytes += len;
		totals.bytes += len;
		check(page_bytes <= PAGE_BYTES, "a page above the limit");
	}
	if (totals.end == SPOOL_ERROR) {
		check_error(&error);
	}
	return totals;
}

static void read_all(struct spool_reader *reader, bool as_part, size_t len)
{
	struct spool_extent extent;
	struct error error = {0};
	struct totals first, second;

	if (as_part) {
		check(spool_reader_measure(reader, &extent, &error) == 0, "cannot measure");
		check(extent.whole_bytes <= len, "more than there is");
	} else {
		check(spool_reader_outcome(reader) != NULL, "no outcome");
	}
	first = read_pages(reader);
	if (as_part && !extent.has_outcome && extent.whole_bytes == len) {
		check(first.pages <= extent.pages, "a page that was not measured");
	}
	check(spool_reader_rewind(reader, &error) == 0, "cannot rewind");
	second = read_pages(reader);
	check(first.bytes == second.bytes && first.pages == second.pages && first.end == second.end,
		"it reads differently the second time");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct spool_reader_options options = {
		.path = "input", .end = UINT64_MAX, .page_bytes = PAGE_BYTES};
	_cleanup_free_ unsigned char *file = malloc(len + 1);
	bool as_part = len > 0 && data[0] & AS_PART;
	struct spool_reader *reader;
	struct error error = {0};
	int fd = memfd_create("spool", MFD_CLOEXEC);

	check(file && fd >= 0, "no memory");
	if (len > 0) {
		memcpy(file, data + 1, --len);
		if (data[0] & MEND_CHECKSUMS) {
			mend(file, len);
		}
	}
	check(write(fd, file, len) == (ssize_t)len, "cannot write");
	options.extent = as_part ? SPOOL_EXTENT_PAGES : SPOOL_EXTENT_WHOLE;
	if (spool_reader_open(fd, &options, &reader, &error) < 0) {
		check_error(&error);
		return 0;
	}
	read_all(reader, as_part, len);
	spool_reader_free(reader);
	return 0;
}
