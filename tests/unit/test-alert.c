/*
 * Alerts: when they fire, when they are over, whom they are told once. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "daemon/alert.h"
#include "lib/repeat.h"
#include "lib/scrub.h"
#include "tests/helper/state.h"

#define MINUTE INT64_C(60000000)
#define NOW    INT64_C(1795187440000000)

struct fixture {
	struct state_fixture config;
	struct alerts alerts;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	state_fixture_init(&f->config);
	assert_int_equal(alerts_init(&f->alerts, &f->config.config), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	alerts_fini(&f->alerts);
	free(f);
	scrub_clear();
	return 0;
}

/* What changed by this look: "+failing" begins, "-failing" is over; in order, by blanks apart. */
static const char *step(struct fixture *f, int64_t now_us)
{
	static char changed[256];
	struct alert *alert;

	changed[0] = '\0';
	while ((alert = alerts_step(&f->alerts, now_us))) {
		strcat(changed, changed[0] ? " " : "");
		strcat(changed, alert->firing ? "+" : "-");
		strcat(changed, alert_kind_name(alert->kind));
	}
	return changed;
}

enum end { SUCCESS, SUSPECT, OTHER };

static void end_run(struct fixture *f, enum end end, unsigned n_unsuccessful, const char *code)
{
	alerts_take_run(&f->alerts,
		&(struct alert_run){.dataset = "mandi",
			.source = "live",
			.success = end == SUCCESS,
			.suspect = end == SUSPECT,
			.n_unsuccessful = n_unsuccessful,
			.code = code,
			.text = "because"},
		3, NOW);
}

static void fires_after_so_many_failures(void **state)
{
	struct fixture *f = *state;

	end_run(f, OTHER, 2, "http_502");
	assert_string_equal(step(f, NOW), "");
	end_run(f, OTHER, 3, "http_502");
	assert_string_equal(step(f, NOW), "+failing");
	assert_int_equal(alerts_firing(&f->alerts), 1);
	assert_string_equal(alerts_find(&f->alerts, ALERT_FAILING, "mandi", "live")->text,
		"3 runs in a row were no success; the last: because");
	end_run(f, OTHER, 4, "http_502");
	assert_string_equal(step(f, NOW), "");
	end_run(f, SUCCESS, 0, "");
	assert_string_equal(step(f, NOW), "-failing");
	assert_int_equal(alerts_firing(&f->alerts), 0);
}

static void suspect_until_something_comes(void **state)
{
	struct fixture *f = *state;

	end_run(f, SUSPECT, 1, "nothing");
	assert_string_equal(step(f, NOW), "+suspect");
	end_run(f, OTHER, 2, "http_502"); /* says nothing of what the portal has */
	assert_string_equal(step(f, NOW), "");
	end_run(f, SUCCESS, 0, "");
	assert_string_equal(step(f, NOW), "-suspect");
}

static void bad_rows_until_a_success(void **state)
{
	struct fixture *f = *state;

	alerts_take_bad_rows(&f->alerts, "mandi", "live", "9 of 10 rows", NOW);
	end_run(f, OTHER, 1, "too_many_bad_rows");
	assert_string_equal(step(f, NOW), "+quarantine");
	end_run(f, OTHER, 2, "http_502");
	assert_string_equal(step(f, NOW), "");
	end_run(f, SUCCESS, 0, "");
	assert_string_equal(step(f, NOW), "-quarantine");
	alerts_take_bad_rows(&f->alerts, "gone", "live", "", NOW); /* no longer configured */
	assert_string_equal(step(f, NOW), "");
}

static void a_refused_key_until_the_portal_answers(void **state)
{
	struct fixture *f = *state;

	end_run(f, OTHER, 1, "key_refused");
	assert_string_equal(step(f, NOW), "+key_refused");
	end_run(f, OTHER, 2, "http_502");
	assert_string_equal(step(f, NOW), "");
	end_run(f, SUSPECT, 2, "nothing");
	assert_string_equal(step(f, NOW), "+suspect -key_refused");
}

static void portal_and_database_may_be_away_for_a_while(void **state)
{
	struct fixture *f = *state;
	struct alert_look look = {.breaker_open = true, .database_error = "refused"};

	alerts_take_look(&f->alerts, &look, NOW);
	assert_string_equal(step(f, NOW), "");
	assert_string_equal(step(f, NOW + 10 * MINUTE - 1), "");
	assert_string_equal(step(f, NOW + 10 * MINUTE), "+database_down");
	look.database_up = true;
	alerts_take_look(&f->alerts, &look, NOW + 11 * MINUTE);
	assert_string_equal(step(f, NOW + 11 * MINUTE), "-database_down");
	assert_string_equal(step(f, NOW + 30 * MINUTE), "+portal_down");
	look.breaker_open = false;
	alerts_take_look(&f->alerts, &look, NOW + 31 * MINUTE);
	assert_string_equal(step(f, NOW + 31 * MINUTE), "-portal_down");
	/* Well in between: it begins anew. */
	look.breaker_open = true;
	alerts_take_look(&f->alerts, &look, NOW + 32 * MINUTE);
	assert_string_equal(step(f, NOW + 61 * MINUTE), "");
}

static void a_clock_set_back_does_not_fire_late(void **state)
{
	struct fixture *f = *state;
	struct alert_look look = {.breaker_open = true, .database_up = true, .database_error = ""};

	alerts_take_look(&f->alerts, &look, NOW);
	alerts_take_look(&f->alerts, &look, NOW - 600 * MINUTE);
	assert_string_equal(step(f, NOW - 570 * MINUTE), "+portal_down");
}

/* Two marks: a file more or less is no message. */
static void the_spool_has_two_marks(void **state)
{
	static const struct {
		uint64_t bytes;
		bool refused;
		const char *changed;
	} cases[] = {{899, false, ""}, {900, false, "+spool_full"}, {850, false, ""},
		{800, false, ""}, {799, false, "-spool_full"}, {850, false, ""},
		{10, true, "+spool_full"}, {10, false, "-spool_full"}};
	struct fixture *f = *state;
	struct alert_look look = {.database_up = true, .database_error = "", .limit_bytes = 1000};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		look.unloaded_bytes = cases[i].bytes;
		look.spool_refused = cases[i].refused;
		alerts_take_look(&f->alerts, &look, NOW);
		assert_string_equal(step(f, NOW), cases[i].changed);
	}
	look.limit_bytes = 0;
	look.unloaded_bytes = UINT64_MAX;
	alerts_take_look(&f->alerts, &look, NOW);
	assert_string_equal(step(f, NOW), "");
}

static void stale_to_the_microsecond(void **state)
{
	struct fixture *f = *state;
	int64_t until;

	f->config.air.freshness_ms = 36 * 3600 * 1000;
	until = dataset_fresh_until_us(&f->config.air, 20777);
	alerts_take_freshness(&f->alerts, &f->config.air, 20777, until);
	assert_string_equal(step(f, until), "");
	alerts_take_freshness(&f->alerts, &f->config.air, 20777, until + 1);
	assert_string_equal(step(f, until + 1), "+stale");
	assert_string_equal(alerts_find(&f->alerts, ALERT_STALE, "air", NULL)->text,
		"the newest data is of 2026-11-20");
	alerts_take_freshness(&f->alerts, &f->config.air, 20778, until + 1);
	assert_string_equal(step(f, until + 1), "-stale");
	alerts_take_freshness(&f->alerts, &f->config.air, INT32_MIN, until + 1);
	assert_string_equal(step(f, until + 1), "");
}

/* Each channel once for the begin and once for the end; nothing when both went by untold. */
static void each_channel_is_told_once(void **state)
{
	struct fixture *f = *state;
	struct alert *alert;

	end_run(f, OTHER, 3, "http_502");
	step(f, NOW);
	alert = alerts_untold(&f->alerts, ALERT_WEBHOOK);
	assert_non_null(alert);
	alert->told[ALERT_WEBHOOK] = true;
	assert_null(alerts_untold(&f->alerts, ALERT_WEBHOOK));
	assert_ptr_equal(alerts_untold(&f->alerts, ALERT_NOTIFY), alert);
	end_run(f, SUCCESS, 0, "");
	step(f, NOW);
	assert_null(alerts_untold(&f->alerts, ALERT_NOTIFY));
	assert_ptr_equal(alerts_untold(&f->alerts, ALERT_WEBHOOK), alert);
	alert->told[ALERT_WEBHOOK] = false;
	assert_null(alerts_untold(&f->alerts, ALERT_WEBHOOK));
}

static void messages_are_json_without_secrets(void **state)
{
	struct fixture *f = *state;
	struct alert *alert = alerts_find(&f->alerts, ALERT_FAILING, "mandi", "live");
	char *text;
	json_t *o;

	setenv("TZ", "Asia/Kolkata", 1);
	tzset();
	assert_int_equal(scrub_add("the-key-1"), 0);
	alert_set(alert, true, "a \"quote\" and the-key-1", NOW);
	step(f, NOW);
	text = alert_message(alert, "box", NOW + MINUTE);
	assert_non_null(text);
	assert_null(strstr(text, "the-key-1"));
	o = json_loads(text, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "text")),
		"ogdsync on box: mandi/live: failing: a \"quote\" and (hidden)");
	assert_string_equal(json_string_value(json_object_get(o, "alert")), "failing");
	assert_string_equal(json_string_value(json_object_get(o, "state")), "firing");
	assert_string_equal(json_string_value(json_object_get(o, "dataset")), "mandi");
	assert_string_equal(json_string_value(json_object_get(o, "source")), "live");
	assert_string_equal(
		json_string_value(json_object_get(o, "since")), "2026-11-20T20:40:40+05:30");
	assert_string_equal(
		json_string_value(json_object_get(o, "at")), "2026-11-20T20:41:40+05:30");
	json_decref(o);
	free(text);
	alert_set(alert, false, "", NOW);
	step(f, NOW);
	text = alert_message(alert, "box", NOW);
	assert_non_null(strstr(text, "\"text\":\"ogdsync on box: mandi/live: failing is over\""));
	assert_non_null(strstr(text, "\"state\":\"over\""));
	free(text);
}

static void repeats_are_said_now_and_then(void **state)
{
	struct repeat repeat = {0};
	unsigned said = 0;

	(void)state;
	assert_int_equal(repeat_over(&repeat), 0);
	for (unsigned i = 0; i < 25; i++) {
		said += repeat_failed(&repeat, "http_502", 10);
	}
	assert_int_equal(said, 3); /* the 1st, the 10th, the 20th */
	assert_true(repeat_failed(&repeat, "timeout", 10));
	assert_false(repeat_failed(&repeat, "timeout", 10));
	assert_int_equal(repeat_over(&repeat), 27);
	assert_int_equal(repeat_over(&repeat), 0);
	assert_true(repeat_failed(&repeat, "timeout", 10));
}

int main(void)
{
#define ALERT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ALERT_TEST(fires_after_so_many_failures),
		ALERT_TEST(suspect_until_something_comes),
		ALERT_TEST(bad_rows_until_a_success),
		ALERT_TEST(a_refused_key_until_the_portal_answers),
		ALERT_TEST(portal_and_database_may_be_away_for_a_while),
		ALERT_TEST(a_clock_set_back_does_not_fire_late),
		ALERT_TEST(the_spool_has_two_marks),
		ALERT_TEST(stale_to_the_microsecond),
		ALERT_TEST(each_channel_is_told_once),
		ALERT_TEST(messages_are_json_without_secrets),
		ALERT_TEST(repeats_are_said_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
