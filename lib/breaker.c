/*
 * A circuit breaker. SPDX-License-Identifier: Apache-2.0
 *
 * Requests that were under way when it opened still report: their failures count, but move nothing;
 * one that succeeds closes it, for then the host answers.
 */

#include "lib/breaker.h"

void breaker_init(struct breaker *breaker, unsigned after, uint64_t probe_ms,
	const struct breaker_state *saved)
{
	*breaker = (struct breaker){.after = after, .probe_ms = probe_ms};
	if (!saved || after == 0) {
		return;
	}
	switch (saved->phase) {
	case BREAKER_CLOSED:
		/* One more failure is needed at least: the limit may be lower now. */
		breaker->state.n_failures =
			saved->n_failures < after ? saved->n_failures : after - 1;
		break;
	case BREAKER_OPEN:
	case BREAKER_PROBING:
		breaker->state = *saved;
		breaker->state.phase = BREAKER_OPEN;
		break;
	}
}

static uint64_t until_probe_ms(struct breaker *breaker, int64_t now_us)
{
	struct breaker_state *state = &breaker->state;
	uint64_t passed_ms;

	if (now_us < state->opened_us) {
		state->opened_us = now_us; /* the clock was set back */
	}
	passed_ms = ((uint64_t)now_us - (uint64_t)state->opened_us) / 1000;
	return passed_ms >= breaker->probe_ms ? 0 : breaker->probe_ms - passed_ms;
}

uint64_t breaker_try(struct breaker *breaker, int64_t now_us)
{
	uint64_t wait_ms;

	switch (breaker->state.phase) {
	case BREAKER_CLOSED:
		return 0;
	case BREAKER_OPEN:
		wait_ms = until_probe_ms(breaker, now_us);
		if (wait_ms == 0) {
			breaker->state.phase = BREAKER_PROBING;
		}
		return wait_ms;
	case BREAKER_PROBING:
		return BREAKER_LOOK_AGAIN_MS;
	}
	return 0;
}

bool breaker_succeeded(struct breaker *breaker)
{
	bool was_open = breaker->state.phase != BREAKER_CLOSED;

	breaker->state = (struct breaker_state){.phase = BREAKER_CLOSED};
	return was_open;
}

static void open_breaker(struct breaker_state *state, int64_t now_us)
{
	state->phase = BREAKER_OPEN;
	state->opened_us = now_us;
}

bool breaker_failed(struct breaker *breaker, int64_t now_us)
{
	struct breaker_state *state = &breaker->state;

	state->n_failures += state->n_failures < UINT32_MAX;
	switch (state->phase) {
	case BREAKER_CLOSED:
		if (breaker->after == 0 || state->n_failures < breaker->after) {
			return false;
		}
		open_breaker(state, now_us);
		return true;
	case BREAKER_OPEN:
		return false;
	case BREAKER_PROBING:
		open_breaker(state, now_us);
		return false;
	}
	return false;
}

void breaker_abandoned(struct breaker *breaker)
{
	if (breaker->state.phase == BREAKER_PROBING) {
		breaker->state.phase = BREAKER_OPEN;
		breaker_probe_now(breaker);
	}
}

void breaker_probe_now(struct breaker *breaker)
{
	if (breaker->state.phase == BREAKER_OPEN) {
		breaker->state.opened_us = 0; /* long ago */
	}
}

const char *breaker_phase_name(enum breaker_phase phase)
{
	switch (phase) {
	case BREAKER_CLOSED:
		return "closed";
	case BREAKER_OPEN:
		return "open";
	case BREAKER_PROBING:
		return "probing";
	}
	return "unknown";
}
