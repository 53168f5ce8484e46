#pragma once

/*
 * The events that the journal's catalog explains (`journalctl -x`). Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * An id is for ever: it is the name of an explanation, here and in systemd/ogdsync.catalog. What is
 * no longer written keeps its line.
 */

#include "lib/log.h"

/* For log_open(); ended by an entry without event. */
extern const struct log_message_id message_ids[];
