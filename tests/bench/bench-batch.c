/*
 * How fast rows become what goes to the table. SPDX-License-Identifier: Apache-2.0
 *
 * The inner loops of a load, without a server: rows in the order of their markets are packed and
 * sorted by key, taken in batches, compared with what the table would send, and written for COPY. Rows
 * per second of each step, the median of all rounds; the ratios are against the packing alone.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/batch.h"
#include "daemon/config.h"
#include "tests/helper/dataset.h"
#include "tests/helper/row.h"

enum { ROWS = 20000, ROUNDS = 15, MEMORY_BYTES = 6 * 1024 * 1024 };

enum stage { PACK, ADD, SORT, FILL, KNOWN, COPY, N_STAGES };

static const char *const stage_names[N_STAGES] = {
	[PACK] = "pack",
	[ADD] = "into the sorter",
	[SORT] = "sort",
	[FILL] = "take without duplicates",
	[KNOWN] = "compare with stored rows",
	[COPY] = "write for COPY",
};

struct bench {
	struct config *config;
	struct sorter *sorter;
	struct batch *batch;
	struct day_count day;
	struct buffer packed, stored, copy;
	double seconds[N_STAGES][ROUNDS];
};

static void need(int ok)
{
	if (!ok) {
		fprintf(stderr, "bench-batch failed\n");
		exit(EXIT_FAILURE);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* commodity_id, day, market_id | low, price: ordered by market, a commodity comes every so often. */
static void make_row(unsigned i, struct row *row)
{
	char low[16], price[16];

	snprintf(low, sizeof(low), "%u", 1000 + i % 5000);
	snprintf(price, sizeof(price), "%u", 1500 + i % 5000);
	row->fields[0] = field_int4((int32_t)(i * 7 % 301 + 1), row->store[0]);
	row->fields[1] = field_date(20777, row->store[1]);
	row->fields[2] = field_int4((int32_t)(i / 13 + 1), row->store[2]);
	row->fields[3] = row_numeric(low, row->store[3]);
	row->fields[4] = row_numeric(price, row->store[4]);
}

static void open_sorter(struct bench *bench)
{
	struct sorter_options options = {
		.memory_bytes = MEMORY_BYTES,
		.directory = "/tmp",
		.compare = row_compare_packed,
		.prefix = row_prefix_packed,
		.arg = bench->config->datasets[0],
	};

	need(sorter_new(&options, &bench->sorter) == 0);
}

static void open_batch(struct bench *bench)
{
	struct batch_options options = {
		.dataset = bench->config->datasets[0],
		.run = 2,
		.max_rows = 2 * ROWS,
		.memory_bytes = MEMORY_BYTES,
		.sorter = bench->sorter,
		.days = &bench->day,
		.n_days = 1,
	};

	need(batch_new(&options, &bench->batch) == 0);
}

/* Row `i` lies at i * size, for all rows are equally long here. */
static size_t pack_all(struct bench *bench)
{
	struct row row;

	buffer_clear(&bench->packed);
	for (unsigned i = 0; i < ROWS; i++) {
		make_row(i, &row);
		row_pack(&bench->packed, (struct row_origin){.page = 1, .position = i}, row.fields, 5);
	}
	need(!buffer_failed(&bench->packed));
	return bench->packed.len / ROWS;
}

static void add_all(struct bench *bench, size_t size)
{
	for (unsigned i = 0; i < ROWS; i++) {
		need(sorter_add(bench->sorter, bench->packed.data + i * size, size) == 0);
	}
}

static void copy_all(struct bench *bench)
{
	uint32_t cursor = 0;
	bool more = true;

	while (more) {
		more = batch_copy_new(bench->batch, &cursor, &bench->copy);
		buffer_append(&bench->stored, bench->copy.data, bench->copy.len);
		buffer_clear(&bench->copy);
	}
	need(!buffer_failed(&bench->stored));
}

static void run(struct bench *bench, unsigned round)
{
	double at[N_STAGES + 1];
	struct error error = {0};
	uint32_t n = 0;
	size_t size;

	open_sorter(bench);
	open_batch(bench);
	at[PACK] = now();
	size = pack_all(bench);
	at[ADD] = now();
	add_all(bench, size);
	at[SORT] = now();
	need(sorter_finish(bench->sorter, &error) == 0);
	at[FILL] = now();
	need(batch_fill(bench->batch, &n, &error) == 0 && n == ROWS);
	at[KNOWN] = now(); /* nothing is stored in the first round */
	need(batch_known_tuples(bench->batch, bench->stored.data, bench->stored.len) == 0);
	need(batch_verdicts(bench->batch).n_unchanged == (round > 0 ? ROWS : 0));
	at[COPY] = now();
	if (round == 0) {
		copy_all(bench);
	}
	at[N_STAGES] = now();
	for (unsigned s = 0; s < N_STAGES; s++) {
		bench->seconds[s][round] = at[s + 1] - at[s];
	}
	batch_free(bench->batch);
	sorter_free(bench->sorter);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(void)
{
	static struct bench bench = {.day = {.day = 20777}};
	double median[N_STAGES];

	bench.config = dataset_config_one(DATASET_PRICES);
	for (unsigned round = 0; round < ROUNDS; round++) {
		run(&bench, round);
	}
	printf("%d rows in the order of their markets, median of %d, one core:\n", ROWS, ROUNDS);
	for (unsigned s = 0; s < N_STAGES; s++) {
		if (s != COPY) { /* written once, in the first round */
			qsort(bench.seconds[s], ROUNDS, sizeof(bench.seconds[s][0]), compare_doubles);
		}
		median[s] = bench.seconds[s][s == COPY ? 0 : ROUNDS / 2];
		printf("%-30s %6.1f M rows/s, %5.2f of the packing\n", stage_names[s],
			ROWS / median[s] / 1e6, median[s] / median[PACK]);
	}
	buffer_fini(&bench.packed);
	buffer_fini(&bench.stored);
	buffer_fini(&bench.copy);
	config_unref(bench.config);
	return EXIT_SUCCESS;
}
