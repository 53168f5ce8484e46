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
 * If there are more runs than buffers fit, finish first merges neighbours, always as few as needed
 * and those with the fewest bytes, so that no item is copied more often than it must. A
 * merged run is appended to the same file and the place of its parts is given back to the disk.
 *
 * An item has to lie in a buffer whole to be compared: no buffer is smaller than the largest item.
 *
 * Failure modes: the disk is full or broken (the error names the directory). The sorter is then
 * good for nothing but sorter_free(). The file has no name, so nothing stays behind after a crash.
 */

#include "lib/sorter.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	BLOCK_MAX_BYTES = 64 * 1024, /* of one read or write */
	BLOCK_LOW_BYTES = 16 * 1024, /* smaller reads only to save a pass over the data */
	LENGTH_BYTES = sizeof(uint32_t),
	FIRST_RUNS = 16,
};

struct entry {
	uint64_t prefix;
	const unsigned char *item; /* its length, then its bytes */
};

/* A sorted stretch of the temporary file. */
struct run {
	off_t at;
	uint64_t bytes;
};

/* Where the merge stands in a run. The head item begins at buf + pos and is there as a whole. */
struct cursor {
	uint64_t prefix;
	unsigned char *buf;
	size_t pos, len;
	off_t next;    /* in the file: behind what the buffer holds */
	uint64_t left; /* bytes of the run from there on */
	unsigned number;
};

enum sorter_state { SORTER_COLLECTING, SORTER_IN_MEMORY, SORTER_MERGING };

struct sorter {
	struct sorter_options options;
	enum sorter_state state;
	int fd; /* -1 until the first spill */
	off_t end;
	struct run *runs;
	unsigned n_runs, size_runs, n_spilled;
	uint64_t n_items;
	size_t max_item_bytes; /* the longest that came, length included */

	unsigned char *region;
	size_t block_bytes, n_block; /* of the output block at the start, and used of it */
	unsigned char *items_end;
	struct entry *index; /* n_index entries; while collecting the latest comes first */
	size_t n_index, next_index;

	struct cursor *cursors;
	struct cursor **heap; /* the least head is heap[0] */
	unsigned n_heap;
	size_t buffer_bytes;
	bool taken; /* heap[0] has been handed out */
};

static uint32_t item_len(const unsigned char *item)
{
	uint32_t len;

	memcpy(&len, item, sizeof(len));
	return len;
}

static size_t room_bytes(const struct sorter *sorter)
{
	return sorter->options.memory_bytes - sorter->block_bytes;
}

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

static int compare_items(const struct sorter *sorter, uint64_t a_prefix, const unsigned char *a,
	uint64_t b_prefix, const unsigned char *b)
{
	if (a_prefix != b_prefix) {
		return a_prefix < b_prefix ? -1 : 1;
	}
	return sorter->options.compare(
		a + LENGTH_BYTES, item_len(a), b + LENGTH_BYTES, item_len(b), sorter->options.arg);
}

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

/*
 * A merge sort from below: qsort_r() is not stable where it finds no memory, takes its scratch
 * from outside our limit, and calls a function where comparing two prefixes is enough.
 */
static void sort_index(struct sorter *sorter)
{
	size_t n = sorter->n_index;
	struct entry *from = sorter->index, *to = sorter->index - n, *swap;

	reverse(from, n);
	for (size_t width = 1; width < n; width *= 2) {
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

static int disk_error(const struct sorter *sorter, int err, const char *what, struct error *error)
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
	return sorter->fd < 0 ? disk_error(sorter, errno, "opening", error) : 0;
}

static int flush_block(struct sorter *sorter, struct error *error)
{
	size_t done = 0;

	while (done < sorter->n_block) {
		ssize_t n = pwrite(
			sorter->fd, sorter->region + done, sorter->n_block - done, sorter->end);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		if (n <= 0) {
			return disk_error(sorter, n < 0 ? errno : EIO, "writing", error);
		}
		done += (size_t)n;
		sorter->end += n;
	}
	sorter->n_block = 0;
	return 0;
}

/* Append an item, its length included, to the run that is being written. */
static int put_item(struct sorter *sorter, const unsigned char *item, struct error *error)
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
		if (sorter->n_block == sorter->block_bytes && flush_block(sorter, error) < 0) {
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
		if (put_item(sorter, sorter->index[i].item, error) < 0) {
			return -1;
		}
	}
	if (flush_block(sorter, error) < 0 || add_run(sorter, at, error) < 0) {
		return -1;
	}
	sorter->n_spilled++;
	collect_again(sorter);
	return 0;
}

/* ---- merging ---- */

static const unsigned char *head(const struct cursor *cursor)
{
	return cursor->buf + cursor->pos;
}

static bool head_is_whole(const struct cursor *cursor)
{
	size_t held = cursor->len - cursor->pos;

	return held >= LENGTH_BYTES && held - LENGTH_BYTES >= item_len(head(cursor));
}

static int fill(struct sorter *sorter, struct cursor *cursor, struct error *error)
{
	size_t want;
	ssize_t n;

	memmove(cursor->buf, cursor->buf + cursor->pos, cursor->len - cursor->pos);
	cursor->len -= cursor->pos;
	cursor->pos = 0;
	want = sorter->buffer_bytes - cursor->len;
	if (want > cursor->left) {
		want = (size_t)cursor->left;
	}
	do {
		n = pread(sorter->fd, cursor->buf + cursor->len, want, cursor->next);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		/* Nothing where something was written: the disk lost it. */
		return disk_error(sorter, n < 0 ? errno : EIO, "reading", error);
	}
	cursor->len += (size_t)n;
	cursor->next += n;
	cursor->left -= (uint64_t)n;
	return 0;
}

/* Bring the next item to the head. Returns 1, 0 at the end of the run, -1. */
static int load_head(struct sorter *sorter, struct cursor *cursor, struct error *error)
{
	if (cursor->pos == cursor->len && cursor->left == 0) {
		return 0;
	}
	while (!head_is_whole(cursor)) {
		if (fill(sorter, cursor, error) < 0) {
			return -1;
		}
	}
	cursor->prefix = sorter->options.prefix(
		head(cursor) + LENGTH_BYTES, item_len(head(cursor)), sorter->options.arg);
	return 1;
}

static bool is_before(const struct sorter *sorter, const struct cursor *a, const struct cursor *b)
{
	int order = compare_items(sorter, a->prefix, head(a), b->prefix, head(b));

	return order < 0 || (order == 0 && a->number < b->number);
}

static void sift_down(struct sorter *sorter, unsigned i)
{
	struct cursor **heap = sorter->heap, *moving = heap[i];

	for (;;) {
		unsigned child = 2 * i + 1;

		if (child >= sorter->n_heap) {
			break;
		}
		if (child + 1 < sorter->n_heap && is_before(sorter, heap[child + 1], heap[child])) {
			child++;
		}
		if (!is_before(sorter, heap[child], moving)) {
			break;
		}
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moving;
}

static size_t cost_of_cursor(void)
{
	return sizeof(struct cursor) + sizeof(struct cursor *);
}

/* Open cursors on n neighbouring runs; the buffers share what memory there is. */
static int merge_open(struct sorter *sorter, unsigned first, unsigned n, struct error *error)
{
	size_t bytes = room_bytes(sorter) / n - cost_of_cursor();
	unsigned char *buffers;

	if (bytes > BLOCK_MAX_BYTES) {
		bytes = BLOCK_MAX_BYTES;
	}
	if (bytes < sorter->max_item_bytes) {
		bytes = sorter->max_item_bytes;
	}
	sorter->buffer_bytes = bytes;
	sorter->cursors = (struct cursor *)(sorter->region + sorter->block_bytes);
	sorter->heap = (struct cursor **)(sorter->cursors + n);
	buffers = (unsigned char *)(sorter->heap + n);
	assert(buffers + n * bytes <= sorter->region + sorter->options.memory_bytes);
	for (unsigned i = 0; i < n; i++) {
		const struct run *run = &sorter->runs[first + i];

		sorter->cursors[i] = (struct cursor){.buf = buffers + i * bytes,
			.next = run->at,
			.left = run->bytes,
			.number = i};
		sorter->heap[i] = &sorter->cursors[i];
		if (load_head(sorter, &sorter->cursors[i], error) < 0) {
			return -1;
		}
	}
	sorter->n_heap = n; /* a run is never empty */
	for (unsigned i = n / 2; i-- > 0;) {
		sift_down(sorter, i);
	}
	sorter->taken = false;
	return 0;
}

/* The least item of all runs. Returns 1, 0 at the end, -1. */
static int merge_next(struct sorter *sorter, const unsigned char **ret_item, struct error *error)
{
	if (sorter->taken) {
		struct cursor *cursor = sorter->heap[0];
		int r;

		cursor->pos += LENGTH_BYTES + item_len(head(cursor));
		r = load_head(sorter, cursor, error);
		if (r < 0) {
			return -1;
		}
		if (r == 0) {
			sorter->heap[0] = sorter->heap[--sorter->n_heap];
		}
		sorter->taken = false;
		if (sorter->n_heap > 0) {
			sift_down(sorter, 0);
		}
	}
	if (sorter->n_heap == 0) {
		return 0;
	}
	*ret_item = head(sorter->heap[0]);
	sorter->taken = true;
	return 1;
}

/* How many runs can be merged at once. At least 2, as sorter_add() limits the items. */
static unsigned fan_in(const struct sorter *sorter)
{
	size_t low = sorter->block_bytes < BLOCK_LOW_BYTES ? sorter->block_bytes : BLOCK_LOW_BYTES;
	size_t bytes = sorter->max_item_bytes > low ? sorter->max_item_bytes : low;

	return (unsigned)(room_bytes(sorter) / (bytes + cost_of_cursor()));
}

/* The first of the n neighbours that hold the fewest bytes together. */
static unsigned smallest_neighbours(const struct sorter *sorter, unsigned n)
{
	uint64_t sum = 0, least = UINT64_MAX;
	unsigned first = 0;

	for (unsigned i = 0; i < sorter->n_runs; i++) {
		sum += sorter->runs[i].bytes;
		if (i >= n) {
			sum -= sorter->runs[i - n].bytes;
		}
		if (i + 1 >= n && sum < least) {
			least = sum;
			first = i + 1 - n;
		}
	}
	return first;
}

/* Merge n neighbouring runs into one, which takes their place in the list. */
static int merge_neighbours(struct sorter *sorter, unsigned first, unsigned n, struct error *error)
{
	off_t at = sorter->end;
	const unsigned char *item;
	int r;

	if (merge_open(sorter, first, n, error) < 0) {
		return -1;
	}
	while ((r = merge_next(sorter, &item, error)) > 0) {
		if (put_item(sorter, item, error) < 0) {
			return -1;
		}
	}
	if (r < 0 || flush_block(sorter, error) < 0) {
		return -1;
	}
	for (unsigned i = first; i < first + n; i++) {
		/* Only saves room; not every file system can. */
		(void)fallocate(sorter->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			sorter->runs[i].at, (off_t)sorter->runs[i].bytes);
	}
	sorter->runs[first] = (struct run){.at = at, .bytes = (uint64_t)(sorter->end - at)};
	memmove(&sorter->runs[first + 1], &sorter->runs[first + n],
		(sorter->n_runs - first - n) * sizeof(*sorter->runs));
	sorter->n_runs -= n - 1;
	return 0;
}

static int merge_until_they_fit(struct sorter *sorter, struct error *error)
{
	unsigned most = fan_in(sorter);

	while (sorter->n_runs > most) {
		unsigned n = sorter->n_runs - most + 1;

		if (n > most) {
			n = most;
		}
		if (merge_neighbours(sorter, smallest_neighbours(sorter, n), n, error) < 0) {
			return -1;
		}
	}
	return 0;
}

int sorter_finish(struct sorter *sorter, struct error *error)
{
	assert(sorter->state == SORTER_COLLECTING);
	if (sorter->n_runs == 0) {
		sort_index(sorter);
		sorter->state = SORTER_IN_MEMORY;
		return 0;
	}
	if (sorter_spill(sorter, error) < 0 || merge_until_they_fit(sorter, error) < 0) {
		return -1;
	}
	sorter->state = SORTER_MERGING;
	return merge_open(sorter, 0, sorter->n_runs, error);
}

int sorter_next(struct sorter *sorter, const void **ret_item, size_t *ret_len, struct error *error)
{
	const unsigned char *item = NULL;
	int r = 0;

	assert(sorter->state != SORTER_COLLECTING);
	if (sorter->state == SORTER_MERGING) {
		r = merge_next(sorter, &item, error);
	} else if (sorter->next_index < sorter->n_index) {
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
		return merge_open(sorter, 0, sorter->n_runs, error);
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
