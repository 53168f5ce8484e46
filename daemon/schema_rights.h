#pragma once

/*
 * Whether the connected role may do what a load does. SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>

#include "daemon/config.h"
#include "lib/pg.h"

/* One query; the tables must be there. Its result is for schema_rights_lack(). */
void schema_rights_ask(struct pg *pg, const struct config *config, pg_result_fn on_result, void *arg);

/* Is a right missing? Then REJECTED "42501", and the text says all that is. */
bool schema_rights_lack(const struct pg_result *result, struct error *error);
