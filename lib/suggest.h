#pragma once

/*
 * "Did you mean ...?" Pure. SPDX-License-Identifier: Apache-2.0
 */

/*
 * The one of `words` that `word` was probably meant to be, or NULL: at most a third of its letters
 * (and at least one) may have been added, left out, changed, or swapped with the next.
 */
const char *suggest(const char *word, const char *const *words, unsigned n_words);
