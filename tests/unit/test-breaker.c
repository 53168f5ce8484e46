/*
 * A circuit breaker. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/attr.h"
#include "lib/breaker.h"

enum { AFTER = 3, PROBE_MS = 300000 };

static const int64_t t0 = INT64_C(1795156203000000);

static int64_t at_ms(int64_t ms)
{
	return t0 + ms * 1000;
}

static struct breaker opened(void)
{
	struct breaker breaker;

	breaker_init(&breaker, AFTER, PROBE_MS, NULL);
	for (unsigned i = 1; i <= AFTER; i++) {
		assert_int_equal(breaker_try(&breaker, t0), 0);
		assert_int_equal(breaker_failed(&breaker, t0), i == AFTER);
	}
	assert_int_equal(breaker.state.phase, BREAKER_OPEN);
	return breaker;
}

static void opens_after_failures_in_a_row(void **state)
{
	struct breaker breaker;

	(void)state;
	breaker_init(&breaker, AFTER, PROBE_MS, NULL);
	for (unsigned i = 0; i < 20; i++) {
		assert_false(breaker_failed(&breaker, t0));
		assert_false(breaker_failed(&breaker, t0));
		assert_false(breaker_succeeded(&breaker));
	}
	assert_int_equal(breaker.state.phase, BREAKER_CLOSED);
	breaker = opened();
	assert_int_equal(breaker_try(&breaker, t0), PROBE_MS);
	assert_int_equal(breaker_try(&breaker, at_ms(1)), PROBE_MS - 1);
	/* What was under way fails too: no news, and no longer wait. */
	assert_false(breaker_failed(&breaker, at_ms(1000)));
	assert_int_equal(breaker_try(&breaker, at_ms(PROBE_MS - 1)), 1);
}

static void lets_one_probe_out(void **state)
{
	struct breaker breaker = opened();

	(void)state;
	assert_int_equal(breaker_try(&breaker, at_ms(PROBE_MS)), 0);
	assert_int_equal(breaker.state.phase, BREAKER_PROBING);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(breaker_try(&breaker, at_ms(PROBE_MS)), BREAKER_LOOK_AGAIN_MS);
	}
	/* It fails: as long again, and nobody is told again. */
	assert_false(breaker_failed(&breaker, at_ms(PROBE_MS + 5000)));
	assert_int_equal(breaker_try(&breaker, at_ms(PROBE_MS + 5000)), PROBE_MS);
	assert_int_equal(breaker_try(&breaker, at_ms(2 * PROBE_MS + 5000)), 0);
	assert_true(breaker_succeeded(&breaker));
	assert_int_equal(breaker.state.phase, BREAKER_CLOSED);
	assert_int_equal(breaker.state.n_failures, 0);
	assert_int_equal(breaker_try(&breaker, at_ms(2 * PROBE_MS + 5000)), 0);
	assert_false(breaker_succeeded(&breaker));
}

static void closes_when_a_late_answer_is_good(void **state)
{
	struct breaker breaker = opened();

	(void)state;
	assert_true(breaker_succeeded(&breaker));
	assert_int_equal(breaker_try(&breaker, t0), 0);
}

static void survives_a_canceled_probe(void **state)
{
	struct breaker breaker = opened();

	(void)state;
	assert_int_equal(breaker_try(&breaker, at_ms(PROBE_MS)), 0);
	breaker_abandoned(&breaker);
	assert_int_equal(breaker.state.phase, BREAKER_OPEN);
	assert_int_equal(breaker_try(&breaker, at_ms(PROBE_MS)), 0);
	assert_int_equal(breaker.state.phase, BREAKER_PROBING);
	breaker_init(&breaker, AFTER, PROBE_MS, NULL);
	breaker_abandoned(&breaker);
	assert_int_equal(breaker.state.phase, BREAKER_CLOSED);
}

static void probes_when_asked(void **state)
{
	struct breaker breaker = opened();

	(void)state;
	breaker_probe_now(&breaker);
	assert_int_equal(breaker_try(&breaker, t0), 0);
	assert_int_equal(breaker_try(&breaker, t0), BREAKER_LOOK_AGAIN_MS);
	breaker_probe_now(&breaker); /* one is out already */
	assert_int_equal(breaker_try(&breaker, t0), BREAKER_LOOK_AGAIN_MS);
}

static void waits_no_longer_when_the_clock_is_set_back(void **state)
{
	struct breaker breaker = opened();

	(void)state;
	assert_int_equal(breaker_try(&breaker, at_ms(-86400000)), PROBE_MS);
	assert_int_equal(breaker_try(&breaker, at_ms(-86400000 + PROBE_MS)), 0);
}

static void survives_a_restart(void **state)
{
	struct breaker old = opened(), breaker;
	struct breaker_state saved = old.state;

	(void)state;
	breaker_init(&breaker, AFTER, PROBE_MS, &saved);
	assert_int_equal(breaker_try(&breaker, at_ms(1000)), PROBE_MS - 1000);
	assert_int_equal(breaker_try(&breaker, at_ms(PROBE_MS)), 0);
	assert_false(breaker_failed(&breaker, at_ms(PROBE_MS)));

	/* It ended while a probe was out: the next process may probe. */
	saved = breaker.state;
	saved.phase = BREAKER_PROBING;
	breaker_init(&breaker, AFTER, PROBE_MS, &saved);
	assert_int_equal(breaker.state.phase, BREAKER_OPEN);
	assert_int_equal(breaker_try(&breaker, at_ms(2 * PROBE_MS)), 0);

	/* Failures are counted on, but the limit may be another now. */
	saved = (struct breaker_state){.phase = BREAKER_CLOSED, .n_failures = 7};
	breaker_init(&breaker, AFTER, PROBE_MS, &saved);
	assert_int_equal(breaker_try(&breaker, t0), 0);
	assert_true(breaker_failed(&breaker, t0));

	/* Nonsense from a damaged file. */
	saved = (struct breaker_state){.phase = (enum breaker_phase)77, .n_failures = 7};
	breaker_init(&breaker, AFTER, PROBE_MS, &saved);
	assert_int_equal(breaker.state.phase, BREAKER_CLOSED);
	saved = (struct breaker_state){.phase = BREAKER_OPEN, .opened_us = INT64_MIN};
	breaker_init(&breaker, AFTER, PROBE_MS, &saved);
	assert_int_equal(breaker_try(&breaker, t0), 0);
	saved.opened_us = INT64_MAX;
	breaker_init(&breaker, AFTER, PROBE_MS, &saved);
	assert_int_equal(breaker_try(&breaker, t0), PROBE_MS);
}

static void never_opens_when_switched_off(void **state)
{
	struct breaker_state saved = {.phase = BREAKER_OPEN, .opened_us = t0};
	struct breaker breaker;

	(void)state;
	breaker_init(&breaker, 0, PROBE_MS, &saved);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(breaker_try(&breaker, t0), 0);
		assert_false(breaker_failed(&breaker, t0));
	}
}

static void names_its_phases(void **state)
{
	(void)state;
	assert_string_equal(breaker_phase_name(BREAKER_CLOSED), "closed");
	assert_string_equal(breaker_phase_name(BREAKER_OPEN), "open");
	assert_string_equal(breaker_phase_name(BREAKER_PROBING), "probing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_after_failures_in_a_row),
		cmocka_unit_test(lets_one_probe_out),
		cmocka_unit_test(closes_when_a_late_answer_is_good),
		cmocka_unit_test(survives_a_canceled_probe),
		cmocka_unit_test(probes_when_asked),
		cmocka_unit_test(waits_no_longer_when_the_clock_is_set_back),
		cmocka_unit_test(survives_a_restart),
		cmocka_unit_test(never_opens_when_switched_off),
		cmocka_unit_test(names_its_phases),
	};

	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
