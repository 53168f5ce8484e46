/*
 * The status page over HTTP. SPDX-License-Identifier: Apache-2.0
 *
 * The files are part of the program. A browser that has one by its tag gets 304 until a new program
 * brings another. The page gets what it shows from the other routes; the policy sent with it allows
 * its own script and style, requests to where it came from, and nothing else. It shows names that
 * come from the portal, so whatever they hold must stay text.
 */

#include "daemon/api_page.h"

#include <string.h>

#include "daemon/page.h"

static const struct httpd_header headers[] = {
	{"Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
		"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors "
		"'none'"},
	{"Referrer-Policy", "no-referrer"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
};

static const struct page_file *find_file(const char *name)
{
	for (const struct page_file *file = page_files; file->name; file++) {
		if (strcmp(file->name, name) == 0) {
			return file;
		}
	}
	return NULL;
}

void api_page(void *arg, struct httpd_request *request)
{
	const char *name = httpd_param(request);
	const struct page_file *file = find_file(name ? name : "index.html");

	(void)arg;
	if (!file) {
		httpd_problem(request, 404, NULL, 0, "the page has no such file");
		return;
	}
	httpd_reply(request,
		&(struct httpd_answer){
			.content_type = file->content_type,
			.etag = file->etag,
			.headers = headers,
			.n_headers = N_ELEMENTS(headers),
			.body = file->body,
			.len = file->len,
			.take = HTTPD_STATIC,
		});
}
