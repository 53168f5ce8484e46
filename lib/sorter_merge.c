/*
 * Merging the sorted runs of a sorter. SPDX-License-Identifier: Apache-2.0
 *
 * A cursor on each run holds its head; the least head of all is the top of a heap, and among equals
 * that of the earlier run. When it has been used, its cursor moves on and sinks in the heap.
 *
 * If there are more runs than buffers fit, finish first merges neighbours, always as few as needed
 * and those with the fewest bytes, so that no item is copied more often than it must. A
 * merged run is appended to the same file and the place of its parts is given back to the disk.
 *
 * An item has to lie in a buffer whole to be compared: no buffer is smaller than the largest item.
 */

#include "lib/sorter_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

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
		return sorter_disk_error(sorter, n < 0 ? errno : EIO, "reading", error);
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

int sorter_merge_open(struct sorter *sorter, unsigned first, unsigned n, struct error *error)
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

int sorter_merge_next(struct sorter *sorter, const unsigned char **ret_item, struct error *error)
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

	if (sorter_merge_open(sorter, first, n, error) < 0) {
		return -1;
	}
	while ((r = sorter_merge_next(sorter, &item, error)) > 0) {
		if (sorter_put_item(sorter, item, error) < 0) {
			return -1;
		}
	}
	if (r < 0 || sorter_flush(sorter, error) < 0) {
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

int sorter_merge_until_they_fit(struct sorter *sorter, struct error *error)
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
