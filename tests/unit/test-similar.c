/*
 * daemon/similar: which names are proposed as one, and which are not.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/similar.h"
#include "data.h"
#include "lib/attr.h"

static struct field text(const char *value)
{
	return (struct field){.len = value ? (int32_t)strlen(value) : -1, .data = value};
}

static void test_pairs(void **state)
{
	static const struct {
		const char *a, *b;
		enum similar similar;
	} cases[] = {
		{"Kochi", "Kochi", SIMILAR_EQUAL},
		{NULL, NULL, SIMILAR_EQUAL},
		{NULL, "Kochi", SIMILAR_NOT},
		{"", "Kochi", SIMILAR_NOT},
		{"-", ".", SIMILAR_NOT},
		{"- ", "-", SIMILAR_SPACE},
		{"kapurthala", "Kapurthala", SIMILAR_CASE},
		{"Kutki", "kutki", SIMILAR_CASE},
		{"Papaya (Raw)", "Papaya(Raw)", SIMILAR_SPACE},
		{"Thazhakkara  VFPCK", "Thazhakkara VFPCK", SIMILAR_SPACE},
		{"North and Middle Andaman ", "North and Middle Andaman", SIMILAR_SPACE},
		{"UdhamSinghNagar", "Udhamsinghnagar", SIMILAR_CASE},
		{"UdhamSinghNagar", "Udham Singh Nagar", SIMILAR_SPACE},
		{"Andhra_Pradesh", "Andhra Pradesh", SIMILAR_SPACE},
		{"TamilNadu", "Tamil Nadu", SIMILAR_SPACE},
		{"New Grain Market , Sonipat", "New Grain Market,Sonipat", SIMILAR_SPACE},
		{"New Grain Market , Sonipat", "New Grain Market-Sonipat", SIMILAR_PUNCTUATION},
		{"A-1, Green", "A1 Green", SIMILAR_PUNCTUATION},
		{"Aluva", "Aluva APMC", SIMILAR_APMC},
		{"Aluva", "ALUVA(APMC)", SIMILAR_APMC},
		{"Halvad", "APMC HALVAD", SIMILAR_APMC},
		{"Khedbrahma", "APMCKHEDBRAHMA", SIMILAR_APMC},
		{"APMC HALVAD", "Halvad APMC", SIMILAR_APMC},
		{"APMC", "APMC APMC", SIMILAR_APMC},
		{"Kerala", "Keralam", SIMILAR_KNOWN},
		{"Uttrakhand", "Uttarakhand", SIMILAR_KNOWN},
		{"Uttaranchal", "Uttrakhand", SIMILAR_KNOWN},
		{"Chattisgarh", "Chhattisgarh", SIMILAR_KNOWN},
		{"Pondicherry", "Puducherry", SIMILAR_KNOWN},
		{"NCT of Delhi", "Delhi", SIMILAR_KNOWN},
		{"Andaman and Nicobar", "Andaman and Nicobar Islands", SIMILAR_KNOWN},
		{"Orissa", "Odisha", SIMILAR_KNOWN},
		{"Osmanabad", "Dharashiv(Usmanabad)", SIMILAR_KNOWN},
		{"Aurangabad", "Chattrapati Sambhajinagar", SIMILAR_KNOWN},
		{"Ahmednagar", "Ahilyanagar", SIMILAR_KNOWN},
		{"Bangalore", "Bengaluru APMC", SIMILAR_KNOWN},
		{"Paddy(Dhan)(Common)", "Paddy(Common)", SIMILAR_KNOWN},
		{"Bhindi(Ladies Finger)", "Ladies Finger", SIMILAR_KNOWN},
		{"Chittor", "Chittoor", SIMILAR_SPELLING},
		{"Banaskanth", "Banaskantha", SIMILAR_SPELLING},
		{"Jhajar", "Jhajjar", SIMILAR_SPELLING},
		{"Swai Madhopur", "Swaii Madhopur", SIMILAR_NOT},
		{"Swai Madhopur", "Swai Madhopor", SIMILAR_SPELLING},
		{"Nanital", "Nainital", SIMILAR_SPELLING},
		{"Dehradoon", "Dehradun", SIMILAR_SPELLING},
		{"Sounth 24 Parganas", "South 24 Parganas", SIMILAR_SPELLING},
		{"Sounth 24 Parganas", "South 25 Parganas", SIMILAR_NOT},
		{"Palakad", "Palakkad", SIMILAR_SPELLING},
		{"Mayurbhanja", "Mayurbhanj", SIMILAR_SPELLING},
		{"Pomogranate", "Pomegranate", SIMILAR_SPELLING},
		{"Soyabeen", "Soyabean", SIMILAR_SPELLING},
		{"Vashim", "Washim", SIMILAR_SPELLING},
		{"Dhaulpur", "Dholpur", SIMILAR_SPELLING},
		{"Amarawati APMC", "Amravati", SIMILAR_SPELLING},
		{"Chittor Market", "Chittoor Markett", SIMILAR_NOT},
		{"Grade A", "Grade B", SIMILAR_NOT},
		{"TD 1 (FAQ)", "TD 3 (FAQ)", SIMILAR_NOT},
		{"DCH-32(Unginned)", "DCH-23(Unginned)", SIMILAR_NOT},
		{"DCH-32(Unginned)", "DHH-32(Unginned)", SIMILAR_NOT},
		{"Bold", "Gold", SIMILAR_NOT},
		{"FAQ", "Non-FAQ", SIMILAR_NOT},
		{"Kalol", "Kadod", SIMILAR_NOT},
		{"Papaya", "Papaya(Raw)", SIMILAR_NOT},
		{"Gram", "Green Gram", SIMILAR_NOT},
		{"Sirsa", "Sirsi", SIMILAR_SPELLING},
		{"\xe0\xa4\xb9\xe0\xa4\xb0\xe0\xa5\x80", "\xe0\xa4\xb9\xe0\xa4\xb0\xe0\xa5\x80 ", SIMILAR_SPACE},
		{"\xe0\xa4\xb9", "\xe0\xa4\xb0", SIMILAR_NOT},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct field a = text(cases[i].a), b = text(cases[i].b);

		if (similar_text(a, b) != cases[i].similar ||
			similar_text(b, a) != cases[i].similar) {
			fail_msg("%s, %s: %s and %s, not %s", cases[i].a, cases[i].b,
				similar_name(similar_text(a, b)), similar_name(similar_text(b, a)),
				similar_name(cases[i].similar));
		}
	}
}

static void test_rows(void **state)
{
	static const struct {
		const char *a[3], *b[3];
		enum similar similar;
	} cases[] = {
		{{"Kerala", "Ernakulam", "Aluva"}, {"Kerala", "Ernakulam", "Aluva APMC"}, SIMILAR_APMC},
		{{"Kerala", "Ernakulam", "Aluva"}, {"Keralam", "Ernakulam", "Aluva APMC"}, SIMILAR_KNOWN},
		{{"Kerala", "Ernakulam", "Aluva"}, {"Keralam", "Ernakullam", "Aluva APMC"},
			SIMILAR_SPELLING},
		/* Two words are misspelt: that is something else. */
		{{"Kerala", "Ernakulam", "Aluva"}, {"Kerala", "Ernakullam", "Aluvaa"}, SIMILAR_NOT},
		/* Markets of one name in several states. */
		{{"Punjab", "Jalandhar", "Jalalabad"}, {"Uttar Pradesh", "Jalandhar", "Jalalabad"},
			SIMILAR_NOT},
		{{NULL, "x", "y"}, {NULL, "X", "y"}, SIMILAR_CASE},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct field a[3], b[3];

		for (unsigned c = 0; c < 3; c++) {
			a[c] = text(cases[i].a[c]);
			b[c] = text(cases[i].b[c]);
		}
		assert_int_equal(similar_rows(a, b, 3), cases[i].similar);
	}
}

enum { MAX_ROWS = 4096 };

struct list {
	struct field names[MAX_ROWS][3];
	struct similar_row rows[MAX_ROWS];
	uint32_t n;
};

static void add(struct list *list, const char *a, const char *b, int64_t rank, bool is_new)
{
	struct field *names = list->names[list->n];

	names[0] = text(a);
	names[1] = text(b);
	list->rows[list->n++] = (struct similar_row){.names = names, .rank = rank, .is_new = is_new};
}

/* "old>current why, ..." by the numbers of the rows, in their order. */
static int by_rows(const void *a, const void *b)
{
	const struct similar_pair *x = a, *y = b;

	return x->old != y->old ? (x->old < y->old ? -1 : 1)
				: (x->current > y->current) - (x->current < y->current);
}

static void check(const struct list *list, bool only_new, const char *want)
{
	struct similar_list found;
	_cleanup_buffer_ struct buffer out = {0};

	assert_int_equal(similar_find(list->rows, list->n, 2, only_new, &found), 0);
	if (found.n_pairs > 0) {
		qsort(found.pairs, found.n_pairs, sizeof(*found.pairs), by_rows);
	}
	for (size_t i = 0; i < found.n_pairs; i++) {
		buffer_printf(&out, "%s%u>%u %s", i ? ", " : "", found.pairs[i].old,
			found.pairs[i].current, similar_name(found.pairs[i].similar));
	}
	assert_string_equal(buffer_str(&out), want);
	similar_list_fini(&found);
}

static void test_find(void **state)
{
	static struct list list;

	(void)state;
	check(&list, false, "");
	add(&list, "Kerala", "Aluva", 10, false);
	add(&list, "Kerala", "Aluva APMC", 20, false);
	add(&list, "Keralam", "Aluva APMC", 30, true);
	add(&list, "Kerala", "Chittor", 10, false);
	add(&list, "Kerala", "Chittoor", 10, true);
	add(&list, "Kerala", "CHITTOR", 9, false);
	add(&list, "Punjab", "Chittoor", 10, true);
	add(&list, "Punjabb", "Ropar", 5, false);
	add(&list, "Punjab", "Ropar", 4, true);
	/* The present one of each fold stands for it; of equal ranks the later row. */
	check(&list, false, "0>2 known, 1>2 known, 3>4 spelling, 5>3 case, 8>7 spelling");
	check(&list, true, "1>2 known, 3>4 spelling, 8>7 spelling");
}

static void test_nothing_new_is_nothing(void **state)
{
	static struct list list;

	(void)state;
	add(&list, "a", "Aluva", 1, true);
	add(&list, "a", "Aluva APMC", 2, true);
	check(&list, true, "");
	list.rows[0].is_new = list.rows[1].is_new = false;
	check(&list, true, "");
	check(&list, false, "0>1 apmc");
}

/* 756 markets of the recorded days stand there without and with " APMC". */
static void test_recorded_markets(void **state)
{
	static struct list list;
	struct data file = sample_read("derived_vocabulary.json");
	struct similar_list found;
	unsigned n_apmc = 0, n_other = 0;
	json_t *document, *markets, *market;
	size_t i;

	(void)state;
	if (!file.bytes) {
		skip();
	}
	document = json_loadb(file.bytes, file.len, 0, NULL);
	markets = json_object_get(document, "markets");
	assert_in_range(json_array_size(markets), 2895, MAX_ROWS);
	json_array_foreach (markets, i, market) {
		for (unsigned c = 0; c < 3; c++) {
			list.names[i][c] = text(json_string_value(json_array_get(market, c)));
		}
		list.rows[i] = (struct similar_row){.names = list.names[i], .rank = (int64_t)i};
	}
	assert_int_equal(similar_find(list.rows, (uint32_t)i, 3, false, &found), 0);
	for (size_t p = 0; p < found.n_pairs; p++) {
		n_apmc += found.pairs[p].similar == SIMILAR_APMC;
		n_other += found.pairs[p].similar != SIMILAR_APMC;
	}
	print_message("%u by APMC, %u others\n", n_apmc, n_other);
	assert_in_range(n_apmc, 740, 900);
	assert_in_range(n_other, 10, 200);
	similar_list_fini(&found);
	json_decref(document);
	data_free(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_nothing_new_is_nothing),
		cmocka_unit_test(test_recorded_markets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
