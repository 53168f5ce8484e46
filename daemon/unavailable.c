/*
 * What a configuration may say but this version does not do. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/unavailable.h"

#include <string.h>

enum { DEFAULT_HISTORY_DAYS = 400 };

static void of_dataset(const struct dataset *dataset, unavailable_fn visit, void *arg)
{
	_cleanup_buffer_ struct buffer option = {0};

	if (dataset->missing_rows == MISSING_DEACTIVATE) {
		buffer_printf(&option, "missing_rows of %s", dataset->name);
		visit(arg, buffer_str(&option), "rows that vanished at the portal stay active");
	}
}

void config_unavailable(const struct config *config, unavailable_fn visit, void *arg)
{
	const uint64_t history_ms = (uint64_t)DEFAULT_HISTORY_DAYS * 86400 * 1000;

	if (config->alerts.webhook) {
		visit(arg, "alerts.webhook", "no message is sent");
	}
	if (config->history.runs_ms != history_ms || config->history.quarantine_ms != history_ms ||
		config->history.revisions_ms != UINT64_MAX) {
		visit(arg, "history", "nothing is ever deleted");
	}
	for (unsigned d = 0; d < config->n_datasets; d++) {
		of_dataset(config->datasets[d], visit, arg);
	}
}
