/*
 * How fast pages become rows. SPDX-License-Identifier: Apache-2.0
 *
 * First the peak memory over a page of 50,000 rows that is made piece by piece. Then rows per second
 * over a page of 10,000 rows in memory, in pieces of 16 KiB as they come from the network: decode
 * alone, with normalise, and with the proof.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "daemon/decode.h"
#include "daemon/identity.h"
#include "daemon/normalise.h"
#include "tests/unit/fixture.h"

enum { PIECE_BYTES = 16 * 1024, PAGE_ROWS = 10000, LONG_PAGE_ROWS = 50000, ROUNDS = 15 };

enum depth { DECODE, NORMALISE, IDENTITY };

struct bench {
	enum depth depth;
	struct fixture fixture;
	struct decode *decode;
	struct normaliser *normaliser;
	struct proof *proof;
	struct arena arena;
	uint64_t n_rows;
};

static void need(int ok)
{
	if (!ok) {
		fprintf(stderr, "bench-decode failed\n");
		exit(EXIT_FAILURE);
	}
}

static int on_record(void *arg, const struct record *record)
{
	struct bench *bench = arg;
	struct field row[FIXTURE_COLUMNS];
	struct reject reject;

	bench->n_rows++;
	if (bench->depth == DECODE) {
		return 0;
	}
	need(normalise(bench->normaliser, record, &bench->arena, row, &reject) == 0);
	if (bench->depth == IDENTITY) {
		need(proof_add(bench->proof, identity_of_row(&bench->fixture.dataset, row)) == 0);
	}
	return 0;
}

static void bench_init(struct bench *bench)
{
	const struct proof_options options = {.passes = 3, .restarts = 2, .empty_tries = 5};

	memset(bench, 0, sizeof(*bench));
	fixture_mandi(&bench->fixture);
	need(decode_new(on_record, bench, &bench->decode) == 0);
	need(normaliser_new(&bench->fixture.source, &bench->normaliser) == 0);
	need(proof_new(&options, &bench->proof) == 0);
}

static void bench_fini(struct bench *bench)
{
	decode_free(bench->decode);
	normaliser_free(bench->normaliser);
	proof_free(bench->proof);
	arena_fini(&bench->arena);
}

static void begin_page(struct bench *bench)
{
	decode_reset(bench->decode);
	normaliser_begin_page(bench->normaliser);
	proof_begin_answer(bench->proof);
	bench->n_rows = 0;
}

static void feed(struct bench *bench, const char *data, size_t len)
{
	struct error error = {0};

	need(decode_feed(bench->decode, data, len, &error) == 0);
	arena_reset(&bench->arena); /* as a load does, once a piece is packed */
}

static void end_page(struct bench *bench, uint64_t n_rows)
{
	struct error error = {0};
	struct envelope envelope;

	need(decode_finish(bench->decode, &envelope, &error) == 0);
	need(envelope.n_records == n_rows && bench->n_rows == n_rows);
}

/* Rows as the portal has them, all with keys of their own. */
static void append_row(struct buffer *out, unsigned i)
{
	static const char *const states[] = {"Tamil Nadu", "Uttar Pradesh", "Kerala", "Gujarat"};
	static const char *const commodities[] = {"Tomato", "Bhindi(Ladies Finger)", "Onion",
		"Amaranthus", "Raddish", "Green Chilli", "Banana - Green"};

	buffer_printf(out,
		"{\"state\":\"%s\",\"district\":\"District %u\",\"market\":\"Kandamangalam %u(Uzhavar "
		"Sandhai ) APMC\",\"commodity\":\"%s\",\"variety\":\"Other\",\"grade\":\"FAQ %u\","
		"\"arrival_date\":\"20/11/2026\",\"min_price\":%u,\"max_price\":%u,\"modal_price\":%u%s}",
		states[i % 4], i % 97, i % 1451, commodities[i % 7], i / 1451, 1000 + i % 5000,
		2000 + i % 5000, 1500 + i % 5000, i % 50 ? "" : ".5");
}

static void append_head(struct buffer *out, unsigned n_rows)
{
	buffer_printf(out, "{\"created\":1627939168,\"updated\":1795165200,\"status\":\"ok\",\"total\":%u,"
			   "\"count\":%u,\"limit\":\"%u\",\"offset\":\"0\",\"records\":[",
		n_rows, n_rows, n_rows);
}

static void measure_memory(void)
{
	struct buffer piece = {0};
	struct rusage usage;
	struct bench bench;
	uint64_t bytes = 0;
	long before_kib;

	bench_init(&bench);
	bench.depth = IDENTITY;
	buffer_reserve(&piece, PIECE_BYTES + 1024);
	getrusage(RUSAGE_SELF, &usage);
	before_kib = usage.ru_maxrss;
	begin_page(&bench);
	append_head(&piece, LONG_PAGE_ROWS);
	for (unsigned i = 0; i < LONG_PAGE_ROWS; i++) {
		buffer_append_str(&piece, i ? "," : "");
		append_row(&piece, i);
		if (piece.len >= PIECE_BYTES) {
			feed(&bench, piece.data, piece.len);
			bytes += piece.len;
			buffer_clear(&piece);
		}
	}
	buffer_append_str(&piece, "]}");
	feed(&bench, piece.data, piece.len);
	end_page(&bench, LONG_PAGE_ROWS);
	need(proof_end_answer(bench.proof, LONG_PAGE_ROWS, 0) == PROOF_PROVEN);
	getrusage(RUSAGE_SELF, &usage);
	printf("page of %d rows, %.1f MB: peak RSS %ld KiB, %ld more than at the start; proof %zu KiB\n",
		LONG_PAGE_ROWS, (double)bytes / 1e6, usage.ru_maxrss, usage.ru_maxrss - before_kib,
		proof_memory_bytes(bench.proof) / 1024);
	buffer_fini(&piece);
	bench_fini(&bench);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure_speed(const struct buffer *page, enum depth depth, const char *name)
{
	double times[ROUNDS];
	struct bench bench;

	bench_init(&bench);
	bench.depth = depth;
	for (unsigned round = 0; round < ROUNDS; round++) {
		double begin = seconds();

		begin_page(&bench);
		for (size_t at = 0; at < page->len; at += PIECE_BYTES) {
			size_t n = page->len - at < PIECE_BYTES ? page->len - at : PIECE_BYTES;

			feed(&bench, page->data + at, n);
		}
		end_page(&bench, PAGE_ROWS);
		if (depth == IDENTITY) {
			proof_end_answer(bench.proof, 2 * PAGE_ROWS, 0);
		}
		times[round] = seconds() - begin;
	}
	qsort(times, ROUNDS, sizeof(times[0]), compare_doubles);
	printf("%-30s %.2f M rows/s, %.0f MB/s\n", name, PAGE_ROWS / times[ROUNDS / 2] / 1e6,
		(double)page->len / times[ROUNDS / 2] / 1e6);
	bench_fini(&bench);
}

int main(void)
{
	struct buffer page = {0};

	measure_memory();
	append_head(&page, PAGE_ROWS);
	for (unsigned i = 0; i < PAGE_ROWS; i++) {
		buffer_append_str(&page, i ? "," : "");
		append_row(&page, i);
	}
	buffer_append_str(&page, "]}");
	need(!buffer_failed(&page));
	printf("page of %d rows, %zu bytes a row, median of %d, one core:\n", PAGE_ROWS,
		page.len / PAGE_ROWS, ROUNDS);
	measure_speed(&page, DECODE, "decode");
	measure_speed(&page, NORMALISE, "decode, normalise");
	measure_speed(&page, IDENTITY, "decode, normalise, identity");
	buffer_fini(&page);
	return EXIT_SUCCESS;
}
