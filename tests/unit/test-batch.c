/*
 * daemon/batch: sorted rows -> duplicates, conflicts, verdicts and the bytes for the table.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/batch.h"
#include "tests/helper/dataset.h"
#include "tests/helper/row.h"

/* commodity_id, day, market_id | low, price; stored rows have run_id behind */
#define PRICE "idinn"

enum { RUN = 500 };

struct rig {
	struct config *config;
	struct sorter *sorter;
	struct batch *batch;
	struct day_count days[2];
};

/* `rows` in the order of their pages; page 1 + i / 2, position i % 2. */
static void open_with(struct rig *rig, const char *const rows[], unsigned n, uint32_t max_rows,
	size_t memory_bytes)
{
	struct error error = {0};

	*rig = (struct rig){.config = dataset_config_one(DATASET_PRICES)};
	rig->days[0].day = row_day("2026-11-18");
	rig->days[1].day = row_day("2026-11-19");
	struct sorter_options sorter = {
		.memory_bytes = 1024 * 1024,
		.directory = "/tmp",
		.compare = row_compare_packed,
		.arg = rig->config->datasets[0],
	};
	struct batch_options options = {
		.dataset = rig->config->datasets[0],
		.run = RUN,
		.max_rows = max_rows,
		.memory_bytes = memory_bytes,
		.days = rig->days,
		.n_days = 2,
	};

	assert_int_equal(sorter_new(&sorter, &rig->sorter), 0);
	for (unsigned i = 0; i < n; i++) {
		struct row_origin origin = {.page = 1 + i / 2, .position = i % 2};
		_cleanup_buffer_ struct buffer packed = {0};
		struct row row;

		row_from_text(&row, PRICE, rows[i]);
		row_pack(&packed, origin, row.fields, 5);
		assert_int_equal(sorter_add(rig->sorter, packed.data, packed.len), 0);
	}
	assert_int_equal(sorter_finish(rig->sorter, &error), 0);
	options.sorter = rig->sorter;
	assert_int_equal(batch_new(&options, &rig->batch), 0);
}

static void close_rig(struct rig *rig)
{
	batch_free(rig->batch);
	sorter_free(rig->sorter);
	config_unref(rig->config);
}

static uint32_t fill(struct rig *rig)
{
	struct error error = {0};
	uint32_t n;

	assert_int_equal(batch_fill(rig->batch, &n, &error), 0);
	return n;
}

static void known(struct rig *rig, const char *stored)
{
	_cleanup_buffer_ struct buffer copy = {0};
	struct row row;

	row_from_text(&row, PRICE "b", stored);
	copyrow_begin(&copy, 6);
	for (unsigned i = 0; i < 6; i++) {
		copyrow_field(&copy, row.fields[i]);
	}
	for (size_t len = 1; len < copy.len; len++) {
		assert_int_equal(batch_known_tuples(rig->batch, copy.data, len), -EBADMSG);
	}
	copyrow_trailer(&copy);
	assert_int_equal(batch_known_tuples(rig->batch, copy.data, copy.len), 0);
}

static void append_number(struct buffer *text, struct field field)
{
	struct decimal d;

	if (field.len < 0) {
		buffer_append_char(text, '~');
	} else {
		assert_int_equal(decimal_from_wire(field.data, (size_t)field.len, &d), 0);
		decimal_format(&d, text);
	}
}

/* COPY rows as text: "id day id low price run [run], ..." */
static void check_copy(const struct buffer *copy, unsigned n_runs, const char *want)
{
	_cleanup_buffer_ struct buffer text = {0};
	struct field f[7];
	long n;

	for (size_t at = 0; at < copy->len; at += (size_t)n) {
		n = copyrow_parse(copy->data + at, copy->len - at, f, 5 + n_runs);
		assert_true(n > 0);
		buffer_printf(&text, "%s%d %d %d ", at > 0 ? ", " : "", field_to_int4(f[0]),
			field_to_date(f[1]) - row_day("2026-11-01") + 1, field_to_int4(f[2]));
		append_number(&text, f[3]);
		buffer_append_char(&text, ' ');
		append_number(&text, f[4]);
		for (unsigned i = 5; i < 5 + n_runs; i++) {
			buffer_printf(&text, " %d", (int)field_to_int8(f[i]));
		}
	}
	assert_string_equal(buffer_str(&text), want);
}

static void check_new(struct rig *rig, const char *want)
{
	_cleanup_buffer_ struct buffer copy = {0};
	uint32_t cursor = 0;

	assert_false(batch_copy_new(rig->batch, &cursor, &copy));
	check_copy(&copy, 1, want);
}

static void check_revisions(struct rig *rig, const char *want)
{
	_cleanup_buffer_ struct buffer copy = {0};
	uint32_t cursor = 0;

	assert_false(batch_copy_revisions(rig->batch, &cursor, &copy));
	check_copy(&copy, 2, want);
}

/* inserted updated unchanged duplicate quarantined */
static void check_counts(struct rig *rig, const char *want)
{
	struct row_counts c = {0};
	char have[100];

	batch_count(rig->batch, &c);
	snprintf(have, sizeof(have), "%d %d %d %d %d", (int)c.inserted, (int)c.updated,
		(int)c.unchanged, (int)c.duplicate, (int)c.quarantined);
	assert_string_equal(have, want);
}

static void test_verdicts(void **state)
{
	static const char *const rows[] = {
		"2 2026-11-19 1 ~ 5",
		"1 2026-11-19 2 1 5",
		"1 2026-11-18 2 2 6",
		"1 2026-11-19 1 3 7",
	};
	struct pgarray arrays[5];
	uint32_t cursor = 0;
	struct rig rig;

	(void)state;
	open_with(&rig, rows, N_ELEMENTS(rows), 100, 1 << 20);
	assert_int_equal(fill(&rig), 4);
	known(&rig, "1 2026-11-19 1 3.0 7 400"); /* equal */
	known(&rig, "1 2026-11-19 2 1 4 400");	 /* other */
	known(&rig, "1 2026-11-18 2 1 4 501");	 /* younger */
	known(&rig, "1 2026-11-17 2 1 4 400");	 /* not ours */
	known(&rig, "3 2026-11-19 2 1 4 400");
	check_new(&rig, "2 19 1 ~ 5 500");
	check_revisions(&rig, "1 19 2 1 4 400 500");
	assert_int_equal(batch_update_arrays(rig.batch, &cursor, 100, arrays), 1);
	assert_memory_equal(arrays[2].bytes.data + 20, "\0\0\0\4\0\0\0\2", 8);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(arrays[i].n_elements, 1);
		pgarray_fini(&arrays[i]);
	}
	assert_int_equal(batch_update_arrays(rig.batch, &cursor, 100, arrays), 0);
	for (unsigned i = 0; i < 5; i++) {
		pgarray_fini(&arrays[i]);
	}
	check_counts(&rig, "1 1 2 0 0");
	assert_int_equal(fill(&rig), 0);
	check_counts(&rig, "1 1 2 0 0");
	assert_int_equal(rig.days[0].distinct, 1);
	assert_int_equal(rig.days[1].distinct, 3);
	close_rig(&rig);
}

/* Whatever the order in which they come, the greatest stays. */
static void test_conflicts(void **state)
{
	static const char *const rows[] = {
		"1 2026-11-19 1 5 9",
		"1 2026-11-19 1 ~ 9",
		"1 2026-11-19 2 1 1",
		"1 2026-11-19 1 5 10",
		"1 2026-11-19 1 5 9.0",
		"1 2026-11-19 1 5.0 10.00",
	};
	size_t n;

	(void)state;
	for (unsigned first = 0; first < N_ELEMENTS(rows); first++) {
		const char *turned[N_ELEMENTS(rows)];
		const struct row_origin *losers;
		struct rig rig;

		for (unsigned i = 0; i < N_ELEMENTS(rows); i++) {
			turned[i] = rows[(first + i) % N_ELEMENTS(rows)];
		}
		open_with(&rig, turned, N_ELEMENTS(rows), 100, 1 << 20);
		assert_int_equal(fill(&rig), 2);
		check_counts(&rig, "2 0 0 2 2");
		losers = batch_conflicts(rig.batch, &n);
		assert_int_equal(n, 2);
		assert_true(losers[0].page < losers[1].page ||
			(losers[0].page == losers[1].page &&
				losers[0].position < losers[1].position));
		for (unsigned i = 0; i < n; i++) {
			unsigned at = (losers[i].page - 1) * 2 + losers[i].position;

			assert_true(strstr(turned[at], "9") && strstr(turned[at], "19 1 "));
			assert_null(strstr(turned[at], " 10"));
		}
		close_rig(&rig);
	}
}

/* Batches of one to six rows: a key never ends up in two of them, and none is lost. */
static void test_small_batches(void **state)
{
	static const char *const rows[] = {
		"1 2026-11-19 1 1 1",
		"1 2026-11-19 1 1 1",
		"1 2026-11-19 2 1 1",
		"1 2026-11-19 3 1 1",
		"1 2026-11-19 3 1 2",
		"1 2026-11-19 3 1 3",
		"1 2026-11-19 4 1 1",
		"1 2026-11-19 5 1 1",
		"1 2026-11-19 5 1 1",
	};

	(void)state;
	for (unsigned max_rows = 1; max_rows <= 6; max_rows++) {
		uint32_t n, sum = 0;
		struct rig rig;

		/* every second time the memory is what ends a batch */
		open_with(&rig, rows, N_ELEMENTS(rows), max_rows % 2 ? max_rows : 100,
			max_rows % 2 ? 1 << 20 : max_rows * 40);
		while ((n = fill(&rig)) > 0) {
			char key[64];

			for (uint32_t i = 1; i <= n; i++) {
				snprintf(key, sizeof(key), "1 2026-11-19 %u 1 %u 1", sum + i,
					sum + i == 3 ? 3 : 1);
				known(&rig, key);
			}
			assert_int_equal(batch_verdicts(rig.batch).n_unchanged, n);
			sum += n;
		}
		assert_int_equal(sum, 5);
		check_counts(&rig, "0 0 5 2 2");
		assert_int_equal(rig.days[1].distinct, 5);
		close_rig(&rig);
	}
}

static void test_keys(void **state)
{
	static const char *const rows[] = {
		"1 2026-11-18 1 1 1",
		"1 2026-11-19 2 1 1",
		"4 2026-11-18 1 1 1",
		"9 2026-11-18 1 1 1",
	};
	_cleanup_buffer_ struct buffer ids = {0};
	struct pgarray arrays[3];
	struct rig rig;
	int32_t day = 0;

	(void)state;
	open_with(&rig, rows, N_ELEMENTS(rows), 100, 1 << 20);
	assert_int_equal(fill(&rig), 4);
	assert_false(batch_one_day(rig.batch, &day));
	batch_key_ids(rig.batch, 0, &ids);
	assert_string_equal(buffer_str(&ids), "1,4,9");
	assert_int_equal(batch_key_arrays(rig.batch, 1, 2, arrays), 2);
	assert_memory_equal(arrays[0].bytes.data + 20, "\0\0\0\4\0\0\0\1\0\0\0\4\0\0\0\4", 16);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(arrays[i].n_elements, 2);
		pgarray_fini(&arrays[i]);
	}
	assert_int_equal(batch_key_arrays(rig.batch, 3, 100, arrays), 1);
	for (unsigned i = 0; i < 3; i++) {
		pgarray_fini(&arrays[i]);
	}
	close_rig(&rig);
}

/* Outputs come in pieces, and say when there is more. */
static void test_pieces(void **state)
{
	enum { N = 3000 };
	static char texts[N][32];
	const char *rows[N];
	uint32_t cursor = 0;
	unsigned n_pieces = 0;
	size_t bytes = 0;
	struct rig rig;
	bool more = true;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		snprintf(texts[i], sizeof(texts[i]), "1 2026-11-19 %u 1 1", i);
		rows[i] = texts[i];
	}
	open_with(&rig, rows, N, N, 1 << 20);
	assert_int_equal(fill(&rig), N);
	while (more) {
		_cleanup_buffer_ struct buffer piece = {0};

		more = batch_copy_new(rig.batch, &cursor, &piece);
		assert_in_range(piece.len, 1, 66 * 1024);
		bytes += piece.len;
		n_pieces++;
	}
	assert_int_equal(bytes, N * (2 + 3 * 8 + 2 * 14 + 12));
	assert_in_range(n_pieces, 3, 4);
	close_rig(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_small_batches),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
