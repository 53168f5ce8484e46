#pragma once

/*
 * The files of the status page, embedded from web/ at build time. SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>

struct page_file {
	const char *name; /* "index.html"; NULL ends the table */
	const char *content_type;
	const char *etag; /* a hash of the body */
	size_t len;
	const char *body;
};

extern const struct page_file page_files[];
