#pragma once

/*
 * The table of commands, in the order in which help lists them. SPDX-License-Identifier: Apache-2.0
 *
 * X(name) stands for `const struct command command_<name>` in cli/<name>.c.
 */

#include "cli/cli.h"

/* clang-format off */
#define COMMANDS(X) \
	X(status) \
	X(run) \
	X(pause) \
	X(resume) \
	X(cancel) \
	X(reload) \
	X(runs) \
	X(coverage) \
	X(why) \
	X(schedule_next) \
	X(backfill) \
	X(config_check) \
	X(config_show) \
	X(doctor) \
	X(completion) \
	X(schema_plan) \
	X(schema_apply) \
	X(spool_ls) \
	X(spool_verify) \
	X(replay) \
	X(quarantine_ls) \
	X(quarantine_show) \
	X(quarantine_replay) \
	X(quarantine_drop) \
	X(rollback) \
	X(alert_test) \
	X(lookup_similar) \
	X(lookup_join)
/* clang-format on */

#define COMMAND_DECLARE(name) extern const struct command command_##name;
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE
