#pragma once

/*
 * "Did you mean ...?" Pure. SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>

/*
 * How many letters must be added, left out, changed, or swapped with the next, to make one word of the
 * other; no letter twice. UINT_MAX when one of them has more than 48.
 */
unsigned suggest_distance(const char *a, size_t n_a, const char *b, size_t n_b);

/*
 * The one of `words` that `word` was probably meant to be, or NULL: at most a third of its letters
 * (and at least one) may have been added, left out, changed, or swapped with the next.
 */
const char *suggest(const char *word, const char *const *words, unsigned n_words);
