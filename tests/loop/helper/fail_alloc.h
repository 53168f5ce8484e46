#pragma once

/*
 * The n-th allocation fails. SPDX-License-Identifier: Apache-2.0
 *
 * Programs that link this are built with --wrap for malloc, calloc, realloc, reallocarray and
 * strdup, so every call from our own code comes by here; what shared libraries allocate does not.
 */

#include <stdbool.h>

/* The n-th call from now returns NULL, once; 0: none. */
void fail_alloc_at(unsigned n);

/* True when that call has come. Ends the waiting for it. */
bool fail_alloc_end(void);

/* Between these nothing fails: for scripted peers, which run on the same loop. They nest. */
void fail_alloc_shield_up(void);
void fail_alloc_shield_down(void);
