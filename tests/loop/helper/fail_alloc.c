/*
 * The n-th allocation fails. SPDX-License-Identifier: Apache-2.0
 */

#include "tests/loop/helper/fail_alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint n_left; /* 1: the next one fails; 0: none does */
static atomic_bool failed;
static atomic_uint n_shields;

void fail_alloc_at(unsigned n)
{
	failed = false;
	n_left = n;
}

bool fail_alloc_end(void)
{
	n_left = 0;
	return failed;
}

void fail_alloc_shield_up(void)
{
	n_shields++;
}

void fail_alloc_shield_down(void)
{
	n_shields--;
}

static bool fails(void)
{
	if (n_shields > 0 || n_left == 0 || --n_left > 0) {
		return false;
	}
	failed = true;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}
