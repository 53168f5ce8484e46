#pragma once

/*
 * Rows of lookup tables, for the commands about names. SPDX-License-Identifier: Apache-2.0
 *
 * An id is written LOOKUP:NUMBER, or DATASET/LOOKUP:NUMBER where several datasets have such a lookup.
 */

#include <jansson.h>
#include <stdint.h>

#include "cli/cli.h"
#include "cli/database.h"
#include "daemon/dataset.h"
#include "lib/buffer.h"
#include "lib/copyrow.h"

/* A lookup table of the configuration. */
struct lookup_place {
	const struct dataset *dataset;
	const struct lookup_def *lookup;
};

/* One row of it. */
struct lookup_name {
	int64_t id;
	int64_t same_as;   /* 0: none */
	int64_t n_pointed; /* how many names are the same as this one */
	int64_t rank;
	char *first_seen, *last_seen; /* or NULL */
	struct field *texts;
};

struct lookup_names {
	struct lookup_place place;
	struct lookup_name *list;
	unsigned n;
	bool failed;
};

/* "market" or "mandi_prices/market", up to `end`. 0, or the exit code, and it was said why. */
int lookup_place(struct cli *cli, const struct config *config, const char *text, const char *end,
	struct lookup_place *ret) must_check;

/* The rows for which `where` holds (of the alias t), by id. To be freed in any case. As above. */
int lookup_names_read(struct database *database, struct lookup_place place, const char *where,
	struct lookup_names *ret) must_check;
void lookup_names_free(struct lookup_names *names);

void lookup_append_id(const struct config *config, struct lookup_place place, int64_t id,
	struct buffer *out);
void lookup_append_texts(const struct lookup_names *names, const struct lookup_name *name,
	struct buffer *out);

/* {"id", "names", "first_seen", "last_seen"} */
json_t *lookup_name_json(const struct config *config, const struct lookup_names *names,
	const struct lookup_name *name);
