#pragma once

/*
 * Whether rows come in the order that was asked for. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * The portal is an Elasticsearch: a sorted text field is in the byte order of the served text. A
 * portal that ignores `sort` gives pages that overlap and leave gaps (PORTAL 4.4); that is worth
 * one line, and then the passes have to prove the slice.
 */

#include <stdbool.h>

#include "daemon/dataset.h"
#include "daemon/decode.h"
#include "daemon/filter.h"
#include "lib/buffer.h"

struct order {
	const struct source *source;
	bool reversed;
	unsigned n_columns; /* leading text columns of `sort`; the rest is not looked at */
	bool has_last;
	struct buffer *last; /* per column the text of the row before */
	struct place *places; /* and where it stands in a record */
	bool violated;
};

/* -errno. */
int order_init(struct order *order, const struct source *source) must_check;
void order_fini(struct order *order);

/* A new page: what came before is not compared with it. */
void order_begin(struct order *order, bool reversed);

/* Look at one more row. Once violated it stays so. */
void order_add(struct order *order, const struct record *record);
