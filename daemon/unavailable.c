/*
 * What a configuration may say but this version does not do. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/unavailable.h"

enum { DEFAULT_HISTORY_DAYS = 400 };

void config_unavailable(const struct config *config, unavailable_fn visit, void *arg)
{
	const uint64_t history_ms = (uint64_t)DEFAULT_HISTORY_DAYS * 86400 * 1000;

	if (config->history.runs_ms != history_ms || config->history.quarantine_ms != history_ms ||
		config->history.revisions_ms != UINT64_MAX) {
		visit(arg, "history", "nothing is ever deleted");
	}
}
