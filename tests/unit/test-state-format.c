/*
 * state.json: what is written is read again, and nothing else is. SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/jsontext.h"
#include "tests/helper/state.h"

static void begin(struct state_fixture *f, struct state_doc *doc)
{
	state_fixture_init(f);
	assert_int_equal(state_doc_init(doc, &f->config), 0);
}

static void assert_fresh(const struct state_doc *doc)
{
	assert_int_equal(doc->last_run, 0);
	assert_int_equal(doc->breaker.phase, BREAKER_CLOSED);
	assert_int_equal(doc->counts.n_syncs, 0);
	assert_null(doc->counts.last.status);
	for (unsigned i = 0; i < doc->n_sources; i++) {
		assert_int_equal(doc->sources[i].mark.tick_us, 0);
		assert_int_equal(doc->sources[i].counts.n_syncs, 0);
		assert_int_equal(doc->sources[i].tally.rows.received, 0);
		assert_int_equal(doc->sources[i].tally.newest_day, STATUS_NO_DAY);
	}
	assert_int_equal(doc->datasets[0].newest_day, STATUS_NO_DAY);
	assert_int_equal(doc->datasets[1].newest_day, STATUS_NO_DAY);
	for (unsigned i = 0; i < doc->alerts.n; i++) {
		assert_int_equal(doc->alerts.list[i].since_us, 0);
		assert_false(doc->alerts.list[i].firing);
		assert_false(doc->alerts.list[i].told[ALERT_WEBHOOK]);
		assert_string_equal(doc->alerts.list[i].text, "");
	}
}

static void what_is_written_is_read_again(void **state)
{
	struct state_fixture f;
	struct state_doc doc, again;
	_cleanup_free_ char *text = NULL, *text_again = NULL;
	const char *wrong = NULL;

	(void)state;
	begin(&f, &doc);
	assert_int_equal(doc.n_sources, 3);
	assert_fresh(&doc);
	state_fill(&doc);
	text = state_format(&doc);
	assert_non_null(text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_int_equal(state_doc_init(&again, &f.config), 0);
	assert_int_equal(state_parse(&again, text, strlen(text), &wrong), 0);
	assert_int_equal(again.last_run, 1795187440123);
	assert_int_equal(again.breaker.phase, BREAKER_OPEN);
	assert_int_equal(again.breaker.n_failures, 7);
	assert_int_equal(again.breaker.opened_us, 1795187440000000);
	assert_int_equal(again.counts.n_syncs, 12);
	assert_int_equal(again.counts.n_failures, 3);
	assert_string_equal(again.counts.last.status, "partial");
	assert_string_equal(again.counts.last.error, doc.counts.error);
	assert_int_equal(again.counts.last.n_quarantined, 1);
	assert_int_equal(again.sources[1].mark.tick_us, 1795187440000000);
	assert_int_equal(again.sources[1].mark.attempt_us, 1795187450123000);
	assert_int_equal(again.sources[1].mark.retry_us, 1795188340123000);
	assert_int_equal(again.sources[1].mark.since_us, 1795087440000000);
	assert_true(again.sources[1].mark.owed);
	assert_int_equal(again.sources[1].mark.n_failed, 2);
	assert_true(again.sources[1].mark.paused);
	assert_false(again.sources[0].mark.paused);
	assert_true(again.paused);
	assert_int_equal(again.sources[1].counts.n_syncs, 8);
	assert_memory_equal(&again.sources[1].tally, &doc.sources[1].tally,
		sizeof(doc.sources[1].tally));
	assert_null(again.sources[0].counts.last.status);
	assert_int_equal(again.datasets[0].newest_day, STATUS_NO_DAY);
	assert_int_equal(again.datasets[1].newest_day, 20776);
	assert_int_equal(again.alerts.n, doc.alerts.n);
	for (unsigned i = 0; i < doc.alerts.n; i++) {
		assert_memory_equal(&again.alerts.list[i], &doc.alerts.list[i],
			sizeof(doc.alerts.list[i]));
	}
	text_again = state_format(&again);
	assert_string_equal(text_again, text);
	state_doc_fini(&doc);
	state_doc_fini(&again);
}

static void what_is_no_longer_configured_is_forgotten(void **state)
{
	struct state_fixture f;
	struct state_doc doc, less;
	_cleanup_free_ char *text = NULL;
	const char *wrong = NULL;

	(void)state;
	begin(&f, &doc);
	state_fill(&doc);
	text = state_format(&doc);
	f.config.n_datasets = 1;
	f.mandi.n_sources = 1;
	assert_int_equal(state_doc_init(&less, &f.config), 0);
	assert_int_equal(state_parse(&less, text, strlen(text), &wrong), 0);
	assert_int_equal(less.counts.n_syncs, 12);
	assert_int_equal(less.n_sources, 1);
	state_doc_fini(&doc);
	state_doc_fini(&less);
}

/* Cut at any byte, or with any byte changed to a letter: fresh, or as it was written. */
static void a_damaged_file_is_none(void **state)
{
	struct state_fixture f;
	struct state_doc doc, again;
	_cleanup_free_ char *text = NULL;
	const char *wrong;
	size_t len;

	(void)state;
	begin(&f, &doc);
	state_fill(&doc);
	text = state_format(&doc);
	len = strlen(text);
	assert_int_equal(state_doc_init(&again, &f.config), 0);
	for (size_t n = 0; n < len - 1; n++) {
		wrong = NULL;
		assert_int_equal(state_parse(&again, text, n, &wrong), -EINVAL);
		assert_string_equal(wrong, "it is not as it was written");
		assert_fresh(&again);
	}
	for (size_t i = 0; i < len; i++) {
		char was = text[i];

		text[i] = 'x';
		if (state_parse(&again, text, len, &wrong) < 0) {
			assert_fresh(&again);
		}
		text[i] = was;
	}
	assert_int_equal(state_parse(&again, text, len, &wrong), 0);
	state_doc_fini(&doc);
	state_doc_fini(&again);
}

static void malformed_values_are_refused(void **state)
{
	static const struct {
		const char *from, *to, *wrong;
	} cases[] = {
		{"\"version\":1", "\"version\":2", "its version is not known"},
		{"\"phase\":\"open\"", "\"phase\":\"oper\"", "it lacks a value, or one is malformed"},
		{"\"syncs\":12", "\"syncs\":-1", "it lacks a value, or one is malformed"},
		{"\"newest_day\":20776", "\"newest_day\":20.75",
			"it lacks a value, or one is malformed"},
		{"\"firing\":true", "\"firyng\":true", "it lacks a value, or one is malformed"},
		{"\"told\":[true,", "\"told\":[null,", "it lacks a value, or one is malformed"},
		{"\"inserted\":1,\"updated\":2", "\"inserted\":1,\"uptaded\":2",
			"it lacks a value, or one is malformed"},
		{"\"tick_us\":1795187440000000", "\"tack_us\":1795187440000000",
			"it lacks a value, or one is malformed"},
	};
	struct state_fixture f;
	struct state_doc doc, again;
	_cleanup_free_ char *text = NULL;

	(void)state;
	begin(&f, &doc);
	state_fill(&doc);
	text = state_format(&doc);
	assert_int_equal(state_doc_init(&again, &f.config), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_free_ char *bad = strdup(text);
		char *at = strstr(bad, cases[i].from);
		const char *wrong = NULL;

		assert_non_null(at);
		assert_int_equal(strlen(cases[i].from), strlen(cases[i].to));
		memcpy(at, cases[i].to, strlen(cases[i].to));
		assert_int_equal(state_parse(&again, bad, strlen(bad), &wrong), -EINVAL);
		assert_string_equal(wrong, cases[i].wrong);
		assert_fresh(&again);
	}
	state_doc_fini(&doc);
	state_doc_fini(&again);
}

/* The one of a version that did not count rows yet. */
static void an_older_file_is_read(void **state)
{
	struct state_fixture f;
	struct state_doc doc, again;
	_cleanup_free_ char *text = NULL, *older = NULL;
	const char *wrong = NULL;
	json_t *o, *source;
	size_t i;

	(void)state;
	begin(&f, &doc);
	state_fill(&doc);
	text = state_format(&doc);
	assert_non_null(text);
	o = jsontext_load(text, strlen(text) - 1);
	json_array_foreach(json_object_get(o, "sources"), i, source)
	{
		assert_int_equal(json_object_del(source, "tally"), 0);
	}
	assert_int_equal(json_object_del(o, "alerts"), 0);
	older = jsontext_dump(o, 0);
	assert_int_equal(state_doc_init(&again, &f.config), 0);
	assert_int_equal(state_parse(&again, older, strlen(older), &wrong), 0);
	assert_int_equal(again.sources[1].counts.n_syncs, 8);
	assert_int_equal(again.sources[1].tally.rows.received, 0);
	assert_int_equal(again.sources[1].tally.newest_day, STATUS_NO_DAY);
	state_doc_fini(&doc);
	state_doc_fini(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(what_is_no_longer_configured_is_forgotten),
		cmocka_unit_test(a_damaged_file_is_none),
		cmocka_unit_test(malformed_values_are_refused),
		cmocka_unit_test(an_older_file_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
