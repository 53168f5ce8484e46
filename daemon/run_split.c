/*
 * A slice that the passes could not prove, in parts. SPDX-License-Identifier: Apache-2.0
 *
 * Its parts take its place in the list of slices, and it comes after them. Its own file stays open
 * until they are fetched, for their proofs may make it whole. The loader takes the files in this
 * order, so the parts' rows are in the table before.
 *
 * When there is no memory for the parts, or there would be too many, it is not split: the slice stays
 * partial, as its own passes left it.
 */

#include "daemon/run_private.h"

#include <errno.h>
#include <string.h>

/* The slice whose parts are being fetched. */
struct slice *run_whole_of(struct run *run)
{
	unsigned i = run->next;

	while (run->slices[i].split_value) {
		i++;
	}
	return &run->slices[i];
}

/* Room before the present slice for one part of each value; returns how many there are. */
static int insert_parts(struct run *run, const struct valueset *values)
{
	unsigned n = 0, n_before = run->next;
	unsigned n_rest = run->info.n_slices - n_before;
	struct slice whole = *run_slice_now(run), *parts;
	struct slice *slices =
		calloc(run->info.n_slices + values->n_values, sizeof(*slices));

	if (!slices) {
		return -ENOMEM;
	}
	parts = slices + n_before;
	for (size_t i = 0; i < values->n_values; i++) {
		if (split_part(&whole.plan, values->values[i], &parts[n].plan)) {
			parts[n].split_value = strdup(values->values[i]);
			n += parts[n].split_value != NULL;
		}
	}
	memcpy(slices, run->slices, n_before * sizeof(*slices));
	memcpy(parts + n, run->slices + n_before, n_rest * sizeof(*slices));
	free(run->slices);
	run->slices = slices;
	run->info.n_slices += n;
	run->info.slice = NULL; /* it pointed there */
	return (int)n;
}

/* The values received, and those of other days, for a value may be in none of the pages that came. */
static int collect_values(const struct run *run, const struct valueset *received,
	struct valueset *values)
{
	for (size_t i = 0; i < received->n_values; i++) {
		const char *value = received->values[i];

		if (valueset_add(values, value, strlen(value)) < 0) {
			return -ENOMEM;
		}
	}
	return loader_stored_values(run->runner->options.loader, run->info.source, values);
}

bool run_split(struct run *run, const struct fetch_result *result)
{
	_cleanup_(valueset_fini) struct valueset values = {0};
	struct runner *runner = run->runner;
	struct slice *whole = run_slice_now(run);
	int n;

	if (whole->split_value || !split_is_due(run->info.source, &whole->outcome, result->values)) {
		return false;
	}
	if (collect_values(run, result->values, &values) < 0 || values.overflow) {
		return false;
	}
	n = insert_parts(run, &values);
	if (n <= 0) {
		return false;
	}
	whole = run_slice_now(run) + n;
	whole->phase = SLICE_SPLIT;
	whole->split = (struct split){
		.n_parts = (unsigned)n, .updated = whole->outcome.updated};
	whole->writer = result->writer;
	runner->options.on_split(runner->options.arg, &run->info, whole->plan.name,
		&whole->outcome, whole->split.n_parts);
	runner_kick(runner);
	return true;
}

void run_finish_split(struct run *run)
{
	struct slice *whole = run_slice_now(run);

	split_judge(&whole->split, &whole->outcome);
	run_commit(run, take_ptr(whole->writer));
}
