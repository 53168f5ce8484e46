/*
 * The daemon and the holes in its data. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path of a round is:
 *   - for each dataset with a date, the ledger is asked what is known of its days; that is counted
 *     for the status document;
 *   - if nothing is queued, fetched or waits to be loaded, the ledger is asked what healing has
 *     spent today, and the newest holes (heal.c) are handed to the runner, a few at a time;
 *   - the run gives way to any other; when all is loaded the next round begins.
 *
 * Nothing is remembered between rounds but when the next one is due: what was spent, tried and
 * found stands in the ledger, so a killed process loses nothing and spends nothing twice.
 *
 * Possible failure modes are:
 *   - No database: no round, for the ledger is the truth; said once.
 *   - The portal refuses: the run ends there, and healing waits 15 minutes, doubling.
 *   - Another daemon has the lease: it heals, we only count.
 *   - The database refused a slice of the source: it is not in the books and would be fetched again
 *     and again, so the source is not healed until it is loaded.
 */

#include "daemon/daemon_private.h"

#include <malloc.h>

#include "daemon/heal.h"
#include "daemon/ledger_coverage.h"

enum {
	CHUNK_SLICES = 5,
	LOOK_MS = 10 * 60 * 1000,
	RETRY_MS = 15 * 60 * 1000,
	RETRY_MAX_MS = 12 * 60 * 60 * 1000,
};

static void ask_next_dataset(struct daemon *daemon);

static const struct dataset *dataset_now(const struct daemon *daemon)
{
	return daemon->config->datasets[daemon->heal.dataset];
}

static const struct source *source_now(const struct daemon *daemon)
{
	return &dataset_now(daemon)->sources[daemon->heal.source];
}

static void end_round(struct daemon *daemon)
{
	daemon->heal.asking = false;
	coverage_fini(&daemon->heal.list);
	malloc_trim(0);
}

static int ask(struct daemon *daemon, const struct ledger_question *question,
	pg_result_fn on_result)
{
	return reader_query(daemon->reader, question->sql, question->params.list,
		question->params.n, on_result, daemon);
}

/* ---- a chunk of holes ---- */

/* Nothing else to do, and all that was fetched is in the books. */
static bool may_heal(struct daemon *daemon)
{
	return runner_is_idle(daemon->runner) && loader_is_idle(daemon->loader) &&
	       reader_lease(daemon->reader)->state == LEASE_HOLDER &&
	       portal_breaker(daemon->portal)->state.phase == BREAKER_CLOSED &&
	       !schedule_is_paused(daemon->schedule, NULL) &&
	       clock_mono_ms(daemon->clock) >= daemon->heal.pause_ms;
}

static bool start_chunk(struct daemon *daemon, const struct heal_request *request)
{
	struct plan_slice slices[CHUNK_SLICES];
	int32_t days[CHUNK_SLICES];
	unsigned n = schedule_is_paused(daemon->schedule, request->source)
			     ? 0
			     : heal_plan(request, days, CHUNK_SLICES);

	for (unsigned i = 0; i < n; i++) {
		plan_day(days[i], &slices[i]);
	}
	if (n == 0 || runner_heal(daemon->runner, request->source, slices, n) <= 0) {
		return false;
	}
	log_info(NULL, "heal.begin", f_str("source", request->source->label), f_u64("days", n),
		f_str("newest", slices[0].name), f_u64("spent", request->spent),
		f_u64("budget", request->source->heal.max_slices_per_day));
	return true;
}

static bool is_healed(const struct daemon *daemon, const struct source *source)
{
	return source->heal.enabled && !loader_has_refused(daemon->loader, source);
}

/* The next source of the dataset that heals, from heal.source on. */
static void ask_spent(struct daemon *daemon);

static void on_spent(void *arg, const struct pg_result *result, const struct error *error)
{
	struct daemon *daemon = arg;
	struct heal_request request = {
		.source = source_now(daemon),
		.coverage = &daemon->heal.list,
		.now_us = clock_wall_us(daemon->clock),
	};

	if (error || daemon->stopping || !may_heal(daemon)) {
		end_round(daemon);
		return;
	}
	request.today = daemon_day(daemon, request.now_us);
	request.spent = (unsigned)pg_i64(result, 0, 0);
	request.spent_tried = (unsigned)pg_i64(result, 0, 1);
	if (start_chunk(daemon, &request)) {
		end_round(daemon);
		return;
	}
	daemon->heal.source++;
	ask_spent(daemon);
}

static void ask_spent(struct daemon *daemon)
{
	const struct dataset *dataset = dataset_now(daemon);
	struct ledger_question question;

	while (daemon->heal.source < dataset->n_sources && !is_healed(daemon, source_now(daemon))) {
		daemon->heal.source++;
	}
	if (daemon->heal.source == dataset->n_sources || !may_heal(daemon)) {
		ask_next_dataset(daemon);
		return;
	}
	ledger_ask_spent(&question, source_now(daemon),
		daemon_day_begin_us(daemon, clock_wall_us(daemon->clock)));
	if (ask(daemon, &question, on_spent) < 0) {
		end_round(daemon);
	}
}

/* ---- what is known ---- */

static void on_coverage(void *arg, const struct pg_result *result, const struct error *error)
{
	struct daemon *daemon = arg;
	const struct dataset *dataset = dataset_now(daemon);
	struct cover_list *list = &daemon->heal.list;
	struct cover_counts counts;

	if (error || daemon->stopping || ledger_read_coverage(result, dataset, list) < 0) {
		end_round(daemon);
		return;
	}
	coverage_count(list, heal_due_from(dataset), clock_wall_us(daemon->clock), &counts);
	report_coverage(daemon->report, dataset, &counts);
	ask_spent(daemon);
}

/* Each round begins with another dataset, so that one with many holes does not keep the others. */
static void ask_next_dataset(struct daemon *daemon)
{
	struct daemon_heal *heal = &daemon->heal;
	struct ledger_question question;

	do {
		if (heal->n_left == 0) {
			if (may_heal(daemon)) {
				log_debug(NULL, "heal.rest");
			}
			end_round(daemon);
			return;
		}
		heal->n_left--;
		heal->dataset = (heal->dataset + 1) % daemon->config->n_datasets;
	} while (dataset_now(daemon)->date < 0);
	coverage_fini(&heal->list);
	heal->list.day_ends_s = dataset_now(daemon)->day_ends_s;
	heal->source = 0;
	ledger_ask_coverage(&question, dataset_now(daemon)->name, COVERAGE_FIRST_DAY,
		COVERAGE_LAST_DAY);
	if (ask(daemon, &question, on_coverage) < 0) {
		end_round(daemon);
	}
}

static bool heals_anything(const struct config *config)
{
	for (unsigned d = 0; d < config->n_datasets; d++) {
		if (heal_due_from(config->datasets[d]) != INT32_MAX) {
			return true;
		}
	}
	return false;
}

static bool is_database_there(struct daemon *daemon)
{
	bool is_up = loader_state(daemon->loader) == LOADER_UP;

	if (is_up) {
		daemon->heal.told = false;
	} else if (!daemon->heal.told && loader_attempts(daemon->loader) > 0 &&
		   heals_anything(daemon->config)) {
		daemon->heal.told = true;
		log_notice(NULL, "heal.waits",
			f_msg("which days are missing is read from the database"));
	}
	return is_up;
}

void daemon_heal_look(struct daemon *daemon)
{
	struct daemon_heal *heal = &daemon->heal;
	uint64_t now_ms = clock_mono_ms(daemon->clock);

	if (daemon->options.once || daemon->stopping || heal->asking || now_ms < heal->look_ms ||
		!is_database_there(daemon)) {
		return;
	}
	heal->look_ms = now_ms + LOOK_MS;
	heal->n_left = daemon->config->n_datasets;
	heal->asking = true;
	ask_next_dataset(daemon);
}

void daemon_heal_soon(struct daemon *daemon)
{
	daemon->heal.look_ms = 0;
}

void daemon_heal_ended(struct daemon *daemon, const struct run_info *run)
{
	struct daemon_heal *heal = &daemon->heal;

	if (run->state != RUN_FAILED && run->state != RUN_CANCELED) {
		heal->wait_ms = 0;
		return;
	}
	heal->wait_ms = heal->wait_ms == 0 ? RETRY_MS : heal->wait_ms * 2;
	heal->wait_ms = heal->wait_ms < RETRY_MAX_MS ? heal->wait_ms : RETRY_MAX_MS;
	heal->pause_ms = clock_mono_ms(daemon->clock) + heal->wait_ms;
	log_notice(NULL, "heal.pause", f_str("source", run->source->label),
		f_u64("for_ms", heal->wait_ms), f_msg("the portal refused what healing asked for"));
}
