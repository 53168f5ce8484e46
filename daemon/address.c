/*
 * Addresses. SPDX-License-Identifier: Apache-2.0
 *
 * What is checked is what would go wrong later without anybody seeing why, or send a key to where
 * it must not go; whether a host exists is for the network to say.
 */

#include "daemon/address.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/units.h"

struct url {
	const char *scheme, *user, *host, *rest; /* user: NULL when there is none */
	size_t scheme_len, host_len;
};

static bool has_only_url_bytes(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p <= ' ' || *p > '~' || strchr("\"<>\\^`{|}", *p)) {
			return false;
		}
	}
	return true;
}

static bool is_port(const char *text, size_t len, bool zero_too)
{
	char copy[8];
	uint64_t port;

	if (len == 0 || len >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	return units_number(copy, &port) && port <= UINT16_MAX && (port > 0 || zero_too);
}

/* Where the host ends: behind the bracket, or at the last colon. */
static size_t host_len(const char *host, size_t len)
{
	const char *end = memchr(host, host[0] == '[' ? ']' : ':', len);

	if (!end) {
		return len;
	}
	return (size_t)(end - host) + (host[0] == '[');
}

static const char *split(const char *text, struct url *url)
{
	const char *colon = strstr(text, "://");
	const char *at;
	size_t len;

	if (!colon || !has_only_url_bytes(text)) {
		return "is not a URL";
	}
	url->scheme = text;
	url->scheme_len = (size_t)(colon - text);
	url->host = colon + 3;
	len = strcspn(url->host, "/?#");
	url->rest = url->host + len;
	at = memrchr(url->host, '@', len);
	if (at) {
		url->user = url->host;
		url->host = at + 1;
		len = (size_t)(url->rest - url->host);
	}
	url->host_len = host_len(url->host, len);
	if (url->host_len == 0) {
		return "has no host";
	}
	if (url->host_len < len &&
		(url->host[url->host_len] != ':' ||
			!is_port(url->host + url->host_len + 1, len - url->host_len - 1, false))) {
		return "has a port that is none";
	}
	return NULL;
}

static bool has_scheme(const struct url *url, const char *scheme)
{
	return url->scheme_len == strlen(scheme) &&
		strncmp(url->scheme, scheme, url->scheme_len) == 0;
}

static bool url_is_loopback(const struct url *url)
{
	bool bracket = url->host[0] == '[';
	char host[ADDRESS_HOST_BYTES];

	if (url->host_len >= sizeof(host)) {
		return false;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(url->host_len - 2 * bracket),
		url->host + bracket);
	return address_is_loopback(host);
}

static const char *wrong_https(const char *text, struct url *url)
{
	const char *wrong = split(text, url);

	if (wrong) {
		return wrong;
	}
	if (url->user) {
		return "must not hold a user or password";
	}
	if (!has_scheme(url, "https") && !has_scheme(url, "http")) {
		return "must begin with https://";
	}
	if (has_scheme(url, "http") && !url_is_loopback(url)) {
		return "must begin with https://: plain http goes to this machine alone";
	}
	return NULL;
}

const char *address_wrong_base_url(const char *text)
{
	struct url url = {0};
	const char *wrong = wrong_https(text, &url);

	if (wrong) {
		return wrong;
	}
	if (strpbrk(url.rest, "?#")) {
		return "must not hold a query or fragment";
	}
	if (text[strlen(text) - 1] == '/') {
		return "must not end with a slash";
	}
	return NULL;
}

const char *address_wrong_webhook(const char *text)
{
	struct url url = {0};

	return wrong_https(text, &url);
}

const char *address_wrong_proxy(const char *text)
{
	static const char *const schemes[] = {"http", "https", "socks5", "socks5h"};
	struct url url = {0};
	const char *wrong = split(text, &url);

	for (unsigned i = 0; i < N_ELEMENTS(schemes) && !wrong; i++) {
		if (has_scheme(&url, schemes[i])) {
			return *url.rest && strcmp(url.rest, "/") != 0 ? "must end behind the port"
								       : NULL;
		}
	}
	return wrong ? wrong : "must begin with http://, https://, socks5:// or socks5h://";
}

bool address_password(const char *text, const char **ret, size_t *ret_len)
{
	const char *user = strstr(text, "://");
	const char *at, *colon;
	size_t len;

	user = user ? user + 3 : text;
	len = strcspn(user, "/?#");
	at = memrchr(user, '@', len);
	colon = at ? memchr(user, ':', (size_t)(at - user)) : NULL;
	if (!colon || colon + 1 == at) {
		return false;
	}
	*ret = colon + 1;
	*ret_len = (size_t)(at - colon - 1);
	return true;
}

bool address_is_loopback(const char *host)
{
	static const unsigned char one[16] = {[15] = 1};
	unsigned char ip[16];

	if (strcmp(host, "localhost") == 0) {
		return true;
	}
	if (inet_pton(AF_INET, host, ip) == 1) {
		return ip[0] == 127;
	}
	return inet_pton(AF_INET6, host, ip) == 1 && memcmp(ip, one, sizeof(one)) == 0;
}

bool address_is_unix(const char *text)
{
	return strncmp(text, "unix:", 5) == 0;
}

static const char *wrong_unix(const char *path)
{
	if (path[0] != '/') {
		return "needs an absolute path behind unix:";
	}
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		return "has a path of more than 107 bytes";
	}
	return NULL;
}

const char *address_wrong_listen(const char *text)
{
	static const char what[] = "expected unix:/path, 127.0.0.1:8642 or [::1]:8642";
	char host[ADDRESS_HOST_BYTES];
	unsigned char ip[16];
	const char *colon = strrchr(text, ':');

	if (address_is_unix(text)) {
		return wrong_unix(text + 5);
	}
	if (!colon || colon == text || !is_port(colon + 1, strlen(colon + 1), true) ||
		(size_t)(colon - text) >= sizeof(host)) {
		return what;
	}
	if ((text[0] == '[') != (colon[-1] == ']')) {
		return what;
	}
	(void)address_split_listen(text, host, sizeof(host));
	if (text[0] == '[') {
		return inet_pton(AF_INET6, host, ip) == 1 ? NULL : what;
	}
	return strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, ip) == 1 ? NULL : what;
}

unsigned address_split_listen(const char *text, char *ret_host, size_t size)
{
	const char *colon = strrchr(text, ':');
	bool bracket = text[0] == '[';
	uint64_t port = 0;

	snprintf(ret_host, size, "%.*s", (int)(colon - text) - 2 * bracket, text + bracket);
	return units_number(colon + 1, &port) ? (unsigned)port : 0;
}
