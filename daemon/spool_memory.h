#pragma once

/*
 * A spool file in memory, for records that come from elsewhere. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/spool.h"

/* One page; read like any other file, and gone with its reader. `len` at most some MiB. */
int spool_of_page(const struct spool_header *header, const struct spool_outcome *outcome,
	const void *page, size_t len, struct spool_reader **ret, struct error *error) must_check;
