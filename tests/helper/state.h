#pragma once

/*
 * A configuration of two datasets and three sources, and a state that is full of values.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include "daemon/state_format.h"

struct state_fixture {
	struct source mandi_sources[2], air_sources[1];
	struct dataset mandi, air;
	struct dataset *datasets[2];
	struct config config;
};

static inline void state_fixture_init(struct state_fixture *f)
{
	*f = (struct state_fixture){
		.mandi_sources = {{.name = (char *)"live", .dataset = &f->mandi},
			{.name = (char *)"history", .dataset = &f->mandi}},
		.air_sources = {{.name = (char *)"live", .dataset = &f->air}},
		.mandi = {.name = (char *)"mandi", .sources = f->mandi_sources, .n_sources = 2},
		.air = {.name = (char *)"air", .sources = f->air_sources, .n_sources = 1},
		.datasets = {&f->mandi, &f->air},
		.config = {.datasets = f->datasets, .n_datasets = 2},
	};
}

static inline void state_fill(struct state_doc *doc)
{
	struct status_sync last = {
		.status = "partial",
		.started_us = 1795187440123000,
		.finished_us = 1795187450123000,
		.duration_ms = 10000,
		.n_fetched = 15,
		.n_inserted = 5,
		.n_updated = 4,
		.n_unchanged = 3,
		.n_duplicate = 2,
		.n_quarantined = 1,
		.error = "397 of 400 rows came in 3 passes; \"quoted\"",
	};

	doc->last_run = 1795187440123;
	doc->paused = true;
	doc->breaker = (struct breaker_state){BREAKER_OPEN, 7, 1795187440000000};
	doc->counts.n_syncs = 12;
	doc->counts.n_failures = 3;
	doc->counts.last_success_us = 1795187000000000;
	doc->counts.last_failure_us = 1795187450123000;
	state_keep_sync(&doc->counts, &last);
	doc->sources[1].mark = (struct schedule_mark){1795187440000000, 1795187450123000,
		1795188340123000, 1795087440000000, true, 2, true};
	doc->sources[1].counts.n_syncs = 8;
	state_keep_sync(&doc->sources[1].counts, &last);
	doc->sources[1].tally = (struct source_counts){
		.runs = {[RUN_SUCCESS] = 5, [RUN_PARTIAL] = 2, [RUN_CANCELED] = 1},
		.n_unsuccessful = 2,
		.rows = {31, 1, 2, 4, 8, 16},
		.attempt_us = 1795187440123000,
		.new_data_us = 1795187449123000,
		.newest_day = 20777,
	};
	doc->datasets[1].newest_day = 20776;
	alert_set(alerts_find(&doc->alerts, ALERT_STALE, "air", NULL), true,
		"the newest data is of 2026-11-18", 1795187440123000);
	alerts_find(&doc->alerts, ALERT_STALE, "air", NULL)->firing = true;
	alerts_find(&doc->alerts, ALERT_STALE, "air", NULL)->told[ALERT_WEBHOOK] = true;
	alerts_find(&doc->alerts, ALERT_FAILING, "mandi", "history")->told[ALERT_NOTIFY] = true;
}
