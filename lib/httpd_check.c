/*
 * The parts of HTTP that are decided by looking at text. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/httpd_check.h"

#include <string.h>
#include <strings.h>

#include "lib/attr.h"

/* The length of the host in `text` without its port, or 0 when it is not well formed. */
static size_t host_len(const char *text)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
	size_t len, n_digits;

	if (text[0] == '[' && !end) {
		return 0;
	}
	len = end ? (size_t)(end - text) + 1 : strcspn(text, ":");
	if (text[len] == '\0') {
		return len;
	}
	n_digits = strspn(text + len + 1, "0123456789");
	return text[len] == ':' && text[len + 1 + n_digits] == '\0' ? len : 0;
}

static bool is_host(const char *host, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(host, name, len) == 0;
}

bool httpd_host_is_ours(const char *host, const char *const *hosts, unsigned n_hosts)
{
	static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
	size_t len = host_len(host);

	if (len == 0) {
		return false;
	}
	for (size_t i = 0; i < N_ELEMENTS(loopback); i++) {
		if (is_host(host, len, loopback[i])) {
			return true;
		}
	}
	for (unsigned i = 0; i < n_hosts; i++) {
		if (is_host(host, len, hosts[i])) {
			return true;
		}
	}
	return false;
}

/* One `"tag"` or `W/"tag"` at `text`; its end, or NULL when there is none. */
static const char *etag_next(const char *text, const char *etag, bool *ret_equal)
{
	const char *start, *end;

	if (strncmp(text, "W/", 2) == 0) {
		text += 2;
	}
	if (*text != '"') {
		return NULL;
	}
	start = text + 1;
	end = strchr(start, '"');
	if (!end) {
		return NULL;
	}
	*ret_equal = (size_t)(end - start) == strlen(etag) &&
		memcmp(start, etag, (size_t)(end - start)) == 0;
	return end + 1;
}

bool httpd_etag_matches(const char *list, const char *etag)
{
	bool equal = false;

	list += strspn(list, " \t");
	if (strcmp(list, "*") == 0) {
		return true;
	}
	while (list && *list && !equal) {
		list = etag_next(list, etag, &equal);
		list = list ? list + strspn(list, " \t,") : NULL;
	}
	return equal;
}

bool httpd_bearer_matches(const char *header, const char *token)
{
	static const char scheme[] = "Bearer ";
	size_t len = strlen(token), n = 0;
	unsigned different = 1;

	if (header && strncasecmp(header, scheme, strlen(scheme)) == 0) {
		header += strlen(scheme);
		n = strlen(header);
		different = n != len;
		for (size_t i = 0; i < n; i++) {
			different |= (unsigned char)header[i] ^ (unsigned char)token[len ? i % len : 0];
		}
	}
	return !different;
}

bool httpd_path_matches(const char *pattern, const char *path, const char **ret_param)
{
	size_t len = strlen(pattern);

	*ret_param = NULL;
	if (len == 0 || pattern[len - 1] != '*') {
		return strcmp(pattern, path) == 0;
	}
	if (strncmp(pattern, path, len - 1) != 0 || path[len - 1] == '\0' ||
		strchr(path + len - 1, '/')) {
		return false;
	}
	*ret_param = path + len - 1;
	return true;
}

const char *httpd_status_title(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{200, "OK"},
		{202, "Accepted"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{503, "Service Unavailable"},
	};

	for (size_t i = 0; i < N_ELEMENTS(titles); i++) {
		if (titles[i].status == status) {
			return titles[i].title;
		}
	}
	return "";
}
