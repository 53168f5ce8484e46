/*
 * The filters of a slice: what is sent, and the canary. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/filter.h"
#include "daemon/normalise.h"
#include "daemon/page_url.h"
#include "tests/unit/fixture.h"

enum { STATE, DAY, SEEN, PRICE, YEAR };

static void make_fixture(struct fixture *f)
{
	fixture_init(f);
	fixture_add_column(f, "state", COLUMN_TEXT);
	fixture_add_name(f, "State");
	fixture_add_column(f, "day", COLUMN_DATE);
	fixture_add_column(f, "seen", COLUMN_TIMESTAMP);
	fixture_add_column(f, "price", COLUMN_NUMERIC);
	fixture_add_column(f, "year", COLUMN_INTEGER);
	for (unsigned i = 0; i < f->dataset.n_columns; i++) {
		f->columns[i].nullable = true;
	}
	f->formats[1] = (char *)"%d-%m-%Y %H:%M:%S";
	f->source.n_date_formats = 2;
	f->source.resource = (char *)"a/b";
	f->source.slice = (struct source_slice){.split_by = -1};
}

/* ---- the canary ---- */

struct canary_case {
	const char *param, *value;
	const char *record; /* what the portal serves then */
	const char *text;   /* NULL: it obeys, or cannot be compared */
};

static const struct canary_case canary_cases[] = {
	{"filters[state]", "Kerala", "{\"state\":\"Kerala\"}", NULL},
	{"filters[State.keyword]", "Kerala", "{\"State\":\" Kerala \"}", NULL},
	{"filters[State.keyword]", "Kerala  ", "{\"State\":\"Kerala\"}", NULL},
	{"filters[state]", "Kerala", "{\"state\":\"Keralam\"}",
		"the portal ignores the filter filters[state]=Kerala: record 0 of the page has "
		"state \"Keralam\""},
	{"filters[state]", "Kerala", "{\"state\":\"kerala\"}",
		"the portal ignores the filter filters[state]=Kerala: record 0 of the page has "
		"state \"kerala\""},
	{"filters[state]", "Kerala", "{\"state\":null}",
		"the portal ignores the filter filters[state]=Kerala: record 0 of the page has "
		"state \"\""},
	{"filters[state]", "Kerala", "{\"year\":7}",
		"the portal ignores the filter filters[state]=Kerala: record 0 of the page has "
		"state \"\""},
	{"filters[price]", "1700", "{\"price\":\"1,700.00\"}", NULL},
	{"filters[price]", "1700", "{\"price\":1700.5}",
		"the portal ignores the filter filters[price]=1700: record 0 of the page has "
		"price \"1700.5\""},
	{"filters[year]", "2022", "{\"year\":\"2022\"}", NULL},
	{"filters[year]", "2022", "{\"year\":2023}",
		"the portal ignores the filter filters[year]=2022: record 0 of the page has year "
		"\"2023\""},
	{"filters[day]", "01/09/2026", "{\"day\":\"1/9/2026\"}", NULL},
	{"filters[day]", "01/09/2026", "{\"day\":\"02/09/2026\"}",
		"the portal ignores the filter filters[day]=01/09/2026: record 0 of the page has "
		"day \"02/09/2026\""},
	/* The day in India, whatever the hour. */
	{"filters[seen]", "01/09/2026", "{\"seen\":\"01-09-2026 00:00:00\"}", NULL},
	{"filters[seen]", "01/09/2026", "{\"seen\":\"01-09-2026 23:59:59\"}", NULL},
	{"filters[seen]", "01/09/2026", "{\"seen\":\"31-08-2026 23:59:59\"}",
		"the portal ignores the filter filters[seen]=01/09/2026: record 0 of the page has "
		"seen \"31-08-2026 23:59:59\""},
	/* Nothing that could be compared. */
	{"filters[other]", "Kerala", "{\"state\":\"Goa\"}", NULL},
	{"filters[]", "Kerala", "{\"state\":\"Goa\"}", NULL},
	{"range[day][gte]", "2026-09-01", "{\"day\":\"02/09/2020\"}", NULL},
	{"filters[day]", "2026-09-01", "{\"day\":\"02/09/2026\"}", NULL},
	{"filters[price]", "cheap", "{\"price\":1}", NULL},
	{"filters[year]", "2022x", "{\"year\":1}", NULL},
};

struct check {
	struct fixture *fixture;
	struct filter_list *list;
	struct normaliser *normaliser;
	struct error error;
	unsigned n;
};

static int on_record(void *arg, const struct record *record)
{
	struct check *check = arg;
	struct arena arena = {0};
	struct field row[FIXTURE_COLUMNS];
	struct reject reject;
	int r;

	check->n++;
	assert_int_equal(normalise(check->normaliser, record, &arena, row, &reject), 0);
	r = filter_list_check(check->list, &check->fixture->source, row, record, &check->error);
	assert_int_equal(r, error_is_set(&check->error) ? -1 : 0);
	arena_fini(&arena);
	return 0;
}

static struct error check_record(struct fixture *f, struct filter_list *list, const char *record)
{
	struct check check = {.fixture = f, .list = list};
	struct error error = {0};
	struct decode *decode;
	char page[200];

	assert_int_equal(normaliser_new(&f->source, &check.normaliser), 0);
	assert_int_equal(decode_new(on_record, &check, &decode), 0);
	snprintf(page, sizeof(page), "{\"records\":[%s]}", record);
	assert_int_equal(decode_feed(decode, page, strlen(page), &error), 0);
	assert_int_equal(check.n, 1);
	decode_free(decode);
	normaliser_free(check.normaliser);
	return check.error;
}

static void compares_typed_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(canary_cases); i++) {
		const struct canary_case *c = &canary_cases[i];
		struct source_filter own = {(char *)c->param, (char *)c->value};
		struct filter_list list;
		struct fixture f;
		struct error error;

		make_fixture(&f);
		f.source.filters = &own;
		f.source.n_filters = 1;
		assert_int_equal(filter_list_init(&list, &f.source, FILTER_NO_DAY, NULL), 0);
		assert_int_equal(list.n_filters, 1);
		assert_string_equal(list.filters[0].value, c->value);
		error = check_record(&f, &list, c->record);
		assert_string_equal(error.text, c->text ? c->text : "");
		assert_string_equal(error.code, c->text ? "filter_ignored" : "");
		filter_list_fini(&list);
	}
}

/* The slice's day is known as a day; its text is not read again. */
static void compares_the_day_of_the_slice(void **state)
{
	struct filter_list list;
	struct fixture f;

	(void)state;
	make_fixture(&f);
	f.source.slice = (struct source_slice){.sliced = true,
		.by = DAY,
		.filter = (char *)"filters[Arrival_Date]",
		.format = (char *)"%Y/%m/%d",
		.split_by = STATE,
		.split_filter = (char *)"filters[State]"};
	assert_int_equal(filter_list_init(&list, &f.source, 20697, "Goa"), 0);
	assert_int_equal(list.n_filters, 2);
	assert_string_equal(list.filters[0].value, "2026/09/01");
	assert_string_equal(
		check_record(&f, &list, "{\"day\":\"01/09/2026\",\"state\":\"Goa\"}").text, "");
	assert_string_equal(
		check_record(&f, &list, "{\"day\":\"02/09/2026\",\"state\":\"Goa\"}").text,
		"the portal ignores the filter filters[Arrival_Date]=2026/09/01: record 0 of the "
		"page has day \"02/09/2026\"");
	assert_string_equal(
		check_record(&f, &list, "{\"day\":\"01/09/2026\",\"state\":\"Delhi\"}").text,
		"the portal ignores the filter filters[State]=Goa: record 0 of the page has state "
		"\"Delhi\"");
	filter_list_fini(&list);
	assert_int_equal(filter_list_init(&list, &f.source, FILTER_NO_DAY, NULL), 0);
	assert_int_equal(list.n_filters, 0);
	filter_list_fini(&list);
}

/* ---- the URL ---- */

static void encodes_the_url(void **state)
{
	static const struct {
		const char *text, *encoded;
	} cases[] = {
		{"", ""},
		{"AZaz09-._~", "AZaz09-._~"},
		{"filters[State.keyword]", "filters%5BState.keyword%5D"},
		{"a b+c&d=e#f?g/h%i", "a%20b%2Bc%26d%3De%23f%3Fg%2Fh%25i"},
		{"\xe0\xa4\xb9\x7f\n", "%E0%A4%B9%7F%0A"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_buffer_ struct buffer out = {0};

		url_encode(cases[i].text, &out);
		assert_string_equal(buffer_str(&out), cases[i].encoded);
	}
}

static void makes_the_url_of_a_page(void **state)
{
	struct source_filter own = {(char *)"filters[a&b]", (char *)"A-1, Green"};
	unsigned sort[] = {STATE, PRICE};
	struct filter_list list;
	struct fixture f;
	struct page_query query = {.base_url = "https://api.data.gov.in",
		.offset = 12345678901,
		.limit = 1000,
		.reversed = true,
		.api_key = "k&y"};
	_cleanup_buffer_ struct buffer out = {0};

	(void)state;
	make_fixture(&f);
	f.source.filters = &own;
	f.source.n_filters = 1;
	f.source.sort = sort;
	f.source.n_sort = 2;
	assert_int_equal(filter_list_init(&list, &f.source, FILTER_NO_DAY, NULL), 0);
	query.source = &f.source;
	query.filters = &list;
	page_url(&query, &out);
	assert_string_equal(buffer_str(&out),
		"https://api.data.gov.in/resource/a%2Fb?format=json&offset=12345678901&limit=1000"
		"&filters%5Ba%26b%5D=A-1%2C%20Green&sort%5Bstate%5D=desc&sort%5Bprice%5D=desc"
		"&api-key=k%26y");
	filter_list_fini(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compares_typed_values),
		cmocka_unit_test(compares_the_day_of_the_slice),
		cmocka_unit_test(encodes_the_url),
		cmocka_unit_test(makes_the_url_of_a_page),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
