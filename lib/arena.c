/*
 * Memory that is given back all at once. SPDX-License-Identifier: Apache-2.0
 *
 * A list of blocks, filled one after the other. When the current block has no room, the first later
 * block that has is moved behind it, and only when there is none is one allocated. So after a few
 * batches of the same shape the blocks stand in the right order and nothing is allocated any more.
 * The rest of a block that was left is lost until the reset. Under AddressSanitizer the free part
 * is poisoned: a pointer that outlives arena_reset() is found at its first use.
 */

#include "lib/arena.h"

#include <stdint.h>
#include <string.h>

#if defined(__has_include)
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(at, bytes)   ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

enum { ARENA_BLOCK_BYTES = 64 * 1024 - 64 };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(max_align_t) unsigned char bytes[];
};

static size_t room(const struct arena_block *block)
{
	return block->size - block->used;
}

static struct arena_block *block_new(size_t bytes)
{
	size_t size = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;
	struct arena_block *block;

	block = malloc(sizeof(*block) + size);
	if (block) {
		*block = (struct arena_block){.size = size};
		ASAN_POISON_MEMORY_REGION(block->bytes, size);
	}
	return block;
}

/* A block with room for `bytes`, unlinked from those behind `link`; NULL when there is none. */
static struct arena_block *take_later(struct arena_block **link, size_t bytes)
{
	struct arena_block *block;

	for (; *link; link = &(*link)->next) {
		block = *link;
		if (room(block) >= bytes) {
			*link = block->next;
			return block;
		}
	}
	return NULL;
}

/* Make a block with room for `bytes` the current one. */
static struct arena_block *next_block(struct arena *arena, size_t bytes)
{
	struct arena_block **link = arena->current ? &arena->current->next : &arena->first;
	struct arena_block *block = take_later(link, bytes);

	if (!block) {
		block = block_new(bytes);
	}
	if (block) {
		block->next = *link;
		*link = block;
		arena->current = block;
	}
	return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	const size_t align = _Alignof(max_align_t);
	struct arena_block *block = arena->current;
	void *at;

	if (bytes > SIZE_MAX / 4) {
		return NULL;
	}
	bytes = bytes ? (bytes + align - 1) / align * align : align;
	if (!block || room(block) < bytes) {
		block = next_block(arena, bytes);
		if (!block) {
			return NULL;
		}
	}
	at = block->bytes + block->used;
	block->used += bytes;
	arena->used_bytes += bytes;
	ASAN_UNPOISON_MEMORY_REGION(at, bytes);
	return at;
}

void *arena_copy(struct arena *arena, const void *data, size_t bytes)
{
	void *at = arena_alloc(arena, bytes);

	if (at && bytes > 0) {
		memcpy(at, data, bytes);
	}
	return at;
}

void arena_reset(struct arena *arena)
{
	for (struct arena_block *block = arena->first; block; block = block->next) {
		block->used = 0;
		ASAN_POISON_MEMORY_REGION(block->bytes, block->size);
	}
	arena->current = arena->first;
	arena->used_bytes = 0;
}

void arena_fini(struct arena *arena)
{
	struct arena_block *block = arena->first, *next;

	for (; block; block = next) {
		next = block->next;
		ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
		free(block);
	}
	*arena = (struct arena){0};
}
