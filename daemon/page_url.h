#pragma once

/*
 * The URL of one page. Pure. SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/filter.h"
#include "lib/buffer.h"

struct page_query {
	const char *base_url; /* no slash at its end */
	const struct source *source;
	const struct filter_list *filters;
	uint64_t offset;
	unsigned limit;
	bool reversed; /* sort descending */
	const char *api_key;
};

/*
 * The key is the last parameter, so that what is cut off the end of a URL is the key first. Whoever
 * logs a URL logs it without query.
 */
void page_url(const struct page_query *query, struct buffer *out);

/* Everything but letters, digits and -._~ as %XX; so brackets too, which the portal takes both
 * ways. */
void url_encode(const char *text, struct buffer *out);
