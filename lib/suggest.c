/*
 * "Did you mean ...?" SPDX-License-Identifier: Apache-2.0
 *
 * The distance is that of Damerau and Levenshtein, restricted: no part is edited twice. Three rows
 * of the table are enough.
 */

#include "lib/suggest.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "lib/attr.h"

enum { MAX_LETTERS = 48 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

unsigned suggest_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned rows[3][MAX_LETTERS + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	if (n_a > MAX_LETTERS || n_b > MAX_LETTERS) {
		return UINT_MAX;
	}
	for (size_t j = 0; j <= n_b; j++) {
		last[j] = (unsigned)j;
	}
	for (size_t i = 1; i <= n_a; i++) {
		unsigned *oldest = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			row[j] = min3(
				last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < row[j]) {
				row[j] = before[j - 2] + 1;
			}
		}
		before = last;
		last = row;
		row = oldest;
	}
	return last[n_b];
}

const char *suggest(const char *word, const char *const *words, unsigned n_words)
{
	size_t len = strlen(word);
	unsigned least = (unsigned)(len / 3 > 0 ? len / 3 : 1) + 1;
	const char *best = NULL;

	for (unsigned i = 0; i < n_words; i++) {
		unsigned d = suggest_distance(word, len, words[i], strlen(words[i]));

		if (d < least) {
			least = d;
			best = words[i];
		}
	}
	return best;
}
