#pragma once

/*
 * How often a measured value was how large: Prometheus's histogram. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Set `bounds` when it is made; all else begins at 0.
 */

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 6 };

struct histogram {
	double bounds[HISTOGRAM_BOUNDS];         /* rising; a value equal to one is in its bucket */
	uint64_t counts[HISTOGRAM_BOUNDS + 1];   /* of each bucket; the last: above all bounds */
	double sum;
};

static inline void histogram_add(struct histogram *histogram, double value)
{
	unsigned i = 0;

	while (i < HISTOGRAM_BOUNDS && value > histogram->bounds[i]) {
		i++;
	}
	histogram->counts[i]++;
	histogram->sum += value;
}
