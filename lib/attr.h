#pragma once

/*
 * Attributes and the two pointer helpers that every file uses. SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>
#include <stdlib.h>

#define must_check    __attribute__((warn_unused_result))
#define printf_like(f, a) __attribute__((format(printf, f, a)))

/* Run `func(&variable)` when the variable goes out of scope. */
#define _cleanup_(func) __attribute__((cleanup(func)))
#define _cleanup_free_  _cleanup_(freep)

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define N_ELEMENTS(array)               (sizeof(array) / sizeof((array)[0]))

static inline void freep(void *p)
{
	free(*(void **)p);
}

/* Hand over: returns the pointer and clears the variable that owned it. */
#define take_ptr(ptr)                    \
	({                               \
		__typeof__(ptr) t_ = (ptr); \
		(ptr) = NULL;            \
		t_;                      \
	})
