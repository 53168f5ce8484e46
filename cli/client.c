/*
 * Ask the running daemon. SPDX-License-Identifier: Apache-2.0
 */

#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_BYTES = 64 * 1024 * 1024, TIMEOUT_S = 15, CONNECT_TIMEOUT_S = 5 };

static void easyp(CURL **curl)
{
	if (*curl) {
		curl_easy_cleanup(*curl);
	}
}

static void slistp(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

/* The path of a unix socket, or NULL when the address is one of TCP. */
static const char *unix_path(const char *address)
{
	if (strncmp(address, "unix:", 5) == 0) {
		return address + 5;
	}
	return strchr(address, '/') ? address : NULL;
}

static size_t on_body(char *data, size_t one, size_t len, void *arg)
{
	(void)one;
	buffer_append(arg, data, len);
	return buffer_failed(arg) ? 0 : len;
}

static size_t on_header(char *data, size_t one, size_t len, void *arg)
{
	static const char name[] = "Location:";
	struct client_answer *answer = arg;
	size_t skip = sizeof(name) - 1;

	(void)one;
	if (len > skip && strncasecmp(data, name, skip) == 0) {
		skip += strspn(data + skip, " \t");
		snprintf(answer->location, sizeof(answer->location), "%.*s",
			(int)strcspn(data + skip, "\r\n"), data + skip);
	}
	return len;
}

static bool add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more) {
		*list = more;
	}
	return more != NULL;
}

static int set_headers(CURL *curl, const struct client_request *request, struct curl_slist **list)
{
	char line[512];
	bool ok = add_line(list, "Accept: application/json, text/plain");

	if (request->body) {
		ok = ok && add_line(list, "Content-Type: application/json");
	}
	if (request->token) {
		snprintf(line, sizeof(line), "Authorization: Bearer %s", request->token);
		ok = ok && add_line(list, line);
		explicit_bzero(line, sizeof(line));
	}
	return ok && curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *list) == CURLE_OK ? 0 : -1;
}

static int set_where(CURL *curl, const struct client_request *request)
{
	const char *path = unix_path(request->address);
	char url[512];
	int n = snprintf(url, sizeof(url), "http://%s%s", path ? "localhost" : request->address,
		request->path);
	bool ok = n > 0 && (size_t)n < sizeof(url) &&
		curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;

	if (path) {
		ok = ok && curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path) == CURLE_OK;
	}
	return ok ? 0 : -1;
}

static void set_how(CURL *curl, const struct client_request *request, struct client_answer *answer)
{
	unsigned timeout_s = request->timeout_s ? request->timeout_s : TIMEOUT_S;

	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer->body);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, answer);
	if (request->body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	}
	if (request->method && strcmp(request->method, "POST") == 0 && !request->body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	} else if (request->method && strcmp(request->method, "GET") != 0) {
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	}
}

/* Why a connect() to the socket fails; curl does not always keep the reason. 0 when it does not. */
static int probe(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, err = 0;

	if (strlen(path) >= sizeof(address.sun_path)) {
		return ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return errno;
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		err = errno;
	}
	close(fd);
	return err;
}

static int connect_error(const struct client_request *request, struct error *error)
{
	const char *path = unix_path(request->address);
	int err = path ? probe(path) : 0;

	if (err == EACCES || err == EPERM) {
		return error_set(error, ERROR_REJECTED, "client", "no_permission",
			"no right to ask the daemon at %s: its group may; see ogdsync(1)", path);
	}
	return error_set(error, ERROR_RETRY, "client", "unreachable",
		"no daemon answers at %s: %s; is ogdsyncd running?", path ? path : request->address,
		err ? strerror(err) : "cannot connect");
}

static int transfer_error(const struct client_request *request, CURLcode code, struct error *error)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return connect_error(request, error);
	case CURLE_OPERATION_TIMEDOUT:
		return error_set(error, ERROR_RETRY, "client", "timeout",
			"the daemon at %s does not answer in time", request->address);
	case CURLE_OUT_OF_MEMORY:
		return error_no_memory(error, "client");
	default:
		return error_set(error, ERROR_RETRY, "client", "not_http",
			"what listens at %s does not answer as ogdsyncd does: %s", request->address,
			curl_easy_strerror(code));
	}
}

int client_ask(const struct client_request *request, struct client_answer *ret, struct error *error)
{
	_cleanup_(slistp) struct curl_slist *headers = NULL;
	_cleanup_(easyp) CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode code;

	*ret = (struct client_answer){.body.limit = ANSWER_BYTES};
	if (!curl || set_headers(curl, request, &headers) < 0) {
		return error_no_memory(error, "client");
	}
	if (set_where(curl, request) < 0) {
		return error_set(error, ERROR_REJECTED, "client", "address",
			"%s is no address of a daemon", request->address);
	}
	set_how(curl, request, ret);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK) {
		return transfer_error(request, code, error);
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	ret->status = (int)status;
	return 0;
}

void client_answer_fini(struct client_answer *answer)
{
	buffer_fini(&answer->body);
}

void client_problem(const struct client_answer *answer, struct buffer *out)
{
	json_t *json = json_loads(buffer_str(&answer->body), 0, NULL);
	const char *detail = json_string_value(json_object_get(json, "detail"));

	if (detail) {
		buffer_append_str(out, detail);
	} else {
		buffer_printf(out, "the daemon answered with status %d", answer->status);
	}
	json_decref(json);
}
