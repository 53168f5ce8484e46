/*
 * The URL of one page. Pure. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/page_url.h"

#include <ctype.h>
#include <string.h>

void url_encode(const char *text, struct buffer *out)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80 && (isalnum(c) || strchr("-._~", c))) {
			buffer_append_char(out, *text);
		} else {
			buffer_printf(out, "%%%02X", c);
		}
	}
}

static void add_param(struct buffer *out, const char *param, const char *value)
{
	buffer_append_char(out, '&');
	url_encode(param, out);
	buffer_append_char(out, '=');
	url_encode(value, out);
}

/* The source's own name of a column, and the direction. */
static void add_sort(struct buffer *out, const char *field, bool reversed)
{
	buffer_append_str(out, "&sort%5B");
	url_encode(field, out);
	buffer_printf(out, "%%5D=%s", reversed ? "desc" : "asc");
}

void page_url(const struct page_query *query, struct buffer *out)
{
	const struct source *source = query->source;

	buffer_printf(out, "%s/resource/", query->base_url);
	url_encode(source->resource, out);
	buffer_printf(out, "?format=json&offset=%llu&limit=%u", (unsigned long long)query->offset,
		query->limit);
	for (unsigned i = 0; i < query->filters->n_filters; i++) {
		add_param(out, query->filters->filters[i].param, query->filters->filters[i].value);
	}
	for (unsigned i = 0; i < source->n_sort; i++) {
		add_sort(out, source->fields[source->sort[i]].names[0], query->reversed);
	}
	add_param(out, "api-key", query->api_key);
}
