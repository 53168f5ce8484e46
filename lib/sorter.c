/*
 * Sorts any number of byte strings within a fixed memory. SPDX-License-Identifier: Apache-2.0
 *
 * One region of memory_bytes is reserved at the start and serves both halves of the work:
 *
 *	collecting   [block][items ...>                 free                 <... index]
 *	merging      [block][cursors][heap][a buffer for each run ...................]
 *
 * Items lie one behind the other as they came, each behind its length; an index entry points to
 * one and holds its prefix. The memory is full when no room is left for the item, its entry and as
 * much again as the index, which the merge sort of the entries needs as scratch.
 *
 * The happy path of a large sort: add until full, spill (sort the index, append the items in that
 * order to the temporary file: a "run"), and so on; finish spills the rest and opens a cursor on
 * each run; next takes the least head from a heap of cursors. Runs keep their order and the
 * earlier one wins among equals, so the sort is stable.
 *
 * Runs and their merge are the matter of sorter_merge.c.
 *
 * Failure modes: the disk is full or broken (the error names the directory). The sorter is then
 * good for nothing but sorter_free(). The file has no name, so nothing stays behind after a crash.
 */

#include "lib/sorter_private.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Items lie where they came in, not in order: the ones that come next are fetched into the cache. */
enum { PREFETCH_ITEMS = 8, FEW_ENTRIES = 8 };

static void collect_again(struct sorter *sorter)
{
	sorter->items_end = sorter->region + sorter->block_bytes;
	sorter->index = (struct entry *)(sorter->region + sorter->options.memory_bytes);
	sorter->n_index = 0;
}

uint64_t sorter_prefix_bytes(const void *item, size_t len, const void *arg)
{
	uint64_t v = 0;

	(void)arg;
	memcpy(&v, item, len < sizeof(v) ? len : sizeof(v));
	return be64toh(v);
}

static uint64_t no_prefix(const void *item, size_t len, const void *arg)
{
	(void)item;
	(void)len;
	(void)arg;
	return 0;
}

int sorter_new(const struct sorter_options *options, struct sorter **ret)
{
	struct sorter *sorter;

	if (options->memory_bytes < SORTER_MIN_MEMORY_BYTES) {
		return -EINVAL;
	}
	sorter = calloc(1, sizeof(*sorter));
	if (!sorter) {
		return -ENOMEM;
	}
	sorter->options = *options;
	sorter->options.memory_bytes &= ~(size_t)63; /* the index grows down from an aligned end */
	sorter->options.prefix = options->prefix ? options->prefix : no_prefix;
	sorter->fd = -1;
	sorter->block_bytes = sorter->options.memory_bytes / 16 & ~(size_t)63;
	if (sorter->block_bytes > BLOCK_MAX_BYTES) {
		sorter->block_bytes = BLOCK_MAX_BYTES;
	}
	sorter->region = mmap(NULL, sorter->options.memory_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sorter->region == MAP_FAILED) {
		free(sorter);
		return -ENOMEM;
	}
	collect_again(sorter);
	*ret = sorter;
	return 0;
}

struct sorter *sorter_free(struct sorter *sorter)
{
	if (!sorter) {
		return NULL;
	}
	if (sorter->fd >= 0) {
		close(sorter->fd);
	}
	munmap(sorter->region, sorter->options.memory_bytes);
	free(sorter->runs);
	free(sorter);
	return NULL;
}

/* ---- collecting ---- */

int sorter_add(struct sorter *sorter, const void *item, size_t len)
{
	size_t free_bytes = (size_t)((unsigned char *)sorter->index - sorter->items_end);
	size_t index_bytes = (sorter->n_index + 1) * sizeof(struct entry);
	uint32_t len32 = (uint32_t)len;

	assert(sorter->state == SORTER_COLLECTING);
	if (len > SORTER_MAX_ITEM_BYTES || len > room_bytes(sorter) / 4) {
		return -EMSGSIZE;
	}
	/* The entry itself, and scratch for all of them. */
	if (free_bytes < LENGTH_BYTES + len + sizeof(struct entry) + index_bytes) {
		return 1;
	}
	memcpy(sorter->items_end, &len32, sizeof(len32));
	if (len > 0) {
		memcpy(sorter->items_end + LENGTH_BYTES, item, len);
	}
	sorter->index--;
	sorter->index->item = sorter->items_end;
	sorter->index->prefix =
		sorter->options.prefix(sorter->items_end + LENGTH_BYTES, len, sorter->options.arg);
	sorter->n_index++;
	sorter->items_end += LENGTH_BYTES + len;
	sorter->n_items++;
	if (LENGTH_BYTES + len > sorter->max_item_bytes) {
		sorter->max_item_bytes = LENGTH_BYTES + len;
	}
	return 0;
}

/* ---- sorting in memory ---- */

static bool in_order(const struct sorter *sorter, const struct entry *a, const struct entry *b)
{
	return compare_items(sorter, a->prefix, a->item, b->prefix, b->item) <= 0;
}

/* Merge from[0, middle) and from[middle, n) into `to`. */
static void merge_halves(const struct sorter *sorter, const struct entry *from, struct entry *to,
	size_t middle, size_t n)
{
	size_t a = 0, b = middle;

	if (middle >= n || in_order(sorter, &from[middle - 1], &from[middle])) {
		memcpy(to, from, n * sizeof(*to));
		return;
	}
	while (a < middle && b < n) {
		*to++ = in_order(sorter, &from[a], &from[b]) ? from[a++] : from[b++];
	}
	memcpy(to, &from[a], (middle - a) * sizeof(*to));
	to += middle - a;
	memcpy(to, &from[b], (n - b) * sizeof(*to));
}

static void reverse(struct entry *entries, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct entry e = entries[i];

		entries[i] = entries[n - 1 - i];
		entries[n - 1 - i] = e;
	}
}

/* Sort a few in place. */
static void sort_few(const struct sorter *sorter, struct entry *entries, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct entry moving = entries[i];
		size_t at = i;

		for (; at > 0 && !in_order(sorter, &entries[at - 1], &moving); at--) {
			entries[at] = entries[at - 1];
		}
		entries[at] = moving;
	}
}

/*
 * A merge sort from below: qsort_r() is not stable where it finds no memory, takes its scratch
 * from outside our limit, and calls a function where comparing two prefixes is enough.
 */
static void sort_index(struct sorter *sorter)
{
	size_t n = sorter->n_index;
	struct entry *from = sorter->index, *to = sorter->index - n, *swap;

	reverse(from, n);
	for (size_t i = 0; i < n; i += FEW_ENTRIES) {
		sort_few(sorter, from + i, n - i < FEW_ENTRIES ? n - i : FEW_ENTRIES);
	}
	for (size_t width = FEW_ENTRIES; width < n; width *= 2) {
		for (size_t i = 0; i < n; i += 2 * width) {
			size_t len = n - i < 2 * width ? n - i : 2 * width;

			merge_halves(sorter, from + i, to + i, width, len);
		}
		swap = from;
		from = to;
		to = swap;
	}
	sorter->index = from;
}

/* ---- the temporary file ---- */

int sorter_disk_error(const struct sorter *sorter, int err, const char *what, struct error *error)
{
	char text[300];

	snprintf(text, sizeof(text), "%s: %s a temporary file for sorting",
		sorter->options.directory, what);
	return error_errno(error, ERROR_RETRY, "sorter", err, text);
}

/* Not every file system has O_TMPFILE (overlayfs, NFS). */
static int open_named(const char *directory)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/.sort-XXXXXX", directory) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0) {
		unlink(path);
	}
	return fd;
}

static int open_file(struct sorter *sorter, struct error *error)
{
	const char *directory = sorter->options.directory;

	if (sorter->fd >= 0) {
		return 0;
	}
	sorter->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (sorter->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		sorter->fd = open_named(directory);
	}
	return sorter->fd < 0 ? sorter_disk_error(sorter, errno, "opening", error) : 0;
}

int sorter_flush(struct sorter *sorter, struct error *error)
{
	size_t done = 0;

	while (done < sorter->n_block) {
		ssize_t n = pwrite(
			sorter->fd, sorter->region + done, sorter->n_block - done, sorter->end);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return sorter_disk_error(sorter, n < 0 ? errno : EIO, "writing", error);
		}
		done += (size_t)n;
		sorter->end += n;
	}
	sorter->n_block = 0;
	return 0;
}

int sorter_put_item(struct sorter *sorter, const unsigned char *item, struct error *error)
{
	size_t left = LENGTH_BYTES + item_len(item);

	while (left > 0) {
		size_t n = sorter->block_bytes - sorter->n_block;

		if (n > left) {
			n = left;
		}
		memcpy(sorter->region + sorter->n_block, item, n);
		sorter->n_block += n;
		item += n;
		left -= n;
		if (sorter->n_block == sorter->block_bytes && sorter_flush(sorter, error) < 0) {
			return -1;
		}
	}
	return 0;
}

static int add_run(struct sorter *sorter, off_t at, struct error *error)
{
	if (sorter->n_runs == sorter->size_runs) {
		unsigned size = sorter->size_runs ? 2 * sorter->size_runs : FIRST_RUNS;
		struct run *runs = reallocarray(sorter->runs, size, sizeof(*runs));

		if (!runs) {
			return error_no_memory(error, "sorter");
		}
		sorter->runs = runs;
		sorter->size_runs = size;
	}
	sorter->runs[sorter->n_runs++] =
		(struct run){.at = at, .bytes = (uint64_t)(sorter->end - at)};
	return 0;
}

int sorter_spill(struct sorter *sorter, struct error *error)
{
	off_t at = sorter->end;

	assert(sorter->state == SORTER_COLLECTING);
	if (sorter->n_index == 0) {
		return 0;
	}
	if (open_file(sorter, error) < 0) {
		return -1;
	}
	sort_index(sorter);
	for (size_t i = 0; i < sorter->n_index; i++) {
		if (sorter_put_item(sorter, sorter->index[i].item, error) < 0) {
			return -1;
		}
	}
	if (sorter_flush(sorter, error) < 0 || add_run(sorter, at, error) < 0) {
		return -1;
	}
	sorter->n_spilled++;
	collect_again(sorter);
	return 0;
}

/* ---- taking out ---- */

int sorter_finish(struct sorter *sorter, struct error *error)
{
	assert(sorter->state == SORTER_COLLECTING);
	if (sorter->n_runs == 0) {
		sort_index(sorter);
		sorter->state = SORTER_IN_MEMORY;
		return 0;
	}
	if (sorter_spill(sorter, error) < 0 || sorter_merge_until_they_fit(sorter, error) < 0) {
		return -1;
	}
	sorter->state = SORTER_MERGING;
	return sorter_merge_open(sorter, 0, sorter->n_runs, error);
}

int sorter_next(struct sorter *sorter, const void **ret_item, size_t *ret_len, struct error *error)
{
	const unsigned char *item = NULL;
	int r = 0;

	assert(sorter->state != SORTER_COLLECTING);
	if (sorter->state == SORTER_MERGING) {
		r = sorter_merge_next(sorter, &item, error);
	} else if (sorter->next_index < sorter->n_index) {
		if (sorter->n_index - sorter->next_index > PREFETCH_ITEMS) {
			__builtin_prefetch(sorter->index[sorter->next_index + PREFETCH_ITEMS].item);
		}
		item = sorter->index[sorter->next_index++].item;
		r = 1;
	}
	if (r > 0) {
		*ret_item = item + LENGTH_BYTES;
		*ret_len = item_len(item);
	}
	return r;
}

int sorter_rewind(struct sorter *sorter, struct error *error)
{
	assert(sorter->state != SORTER_COLLECTING);
	sorter->next_index = 0;
	if (sorter->state == SORTER_MERGING) {
		return sorter_merge_open(sorter, 0, sorter->n_runs, error);
	}
	return 0;
}

uint64_t sorter_items(const struct sorter *sorter)
{
	return sorter->n_items;
}

unsigned sorter_runs(const struct sorter *sorter)
{
	return sorter->n_spilled;
}
