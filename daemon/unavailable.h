#pragma once

/*
 * What a configuration may say but this version does not do. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * The grammar is whole, so that a file need not change later; nothing of it is silently ignored.
 * Entries go away as the features come.
 */

#include "daemon/config.h"

/* `option` is "heal of mandi_prices/history"; borrowed for the call. */
typedef void (*unavailable_fn)(void *arg, const char *option, const char *effect);

void config_unavailable(const struct config *config, unavailable_fn visit, void *arg);
