/*
 * HTTP client: one request. SPDX-License-Identifier: Apache-2.0
 *
 * Everything that makes a request safe is set here, on its own easy handle: TLS is verified; plain
 * http goes to loopback only, and never through a proxy; no redirect is followed; no cookie, no
 * .netrc, no proxy from the environment. gzip and deflate are offered and no other coding: their
 * windows are 32 KiB, where brotli may ask for 16 MiB. What is counted against the limit is what
 * comes out of the decoder.
 *
 * The URL's query holds the API key. curl's texts are not known to quote it, but that is not left
 * to curl: a text in which the query is found is replaced by curl's general one.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/http_private.h"

static void curl_url_cleanupp(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void curl_freep(char **text)
{
	curl_free(*text);
}

static bool is_loopback(const char *host)
{
	struct in_addr v4;

	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0) {
		return true;
	}
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

struct url_parts {
	bool https, loopback;
	char *query; /* on the heap, or NULL */
};

/* Take the URL apart and refuse what must not be asked for. No text here quotes it. */
static int check_url(const char *text, struct url_parts *ret, struct error *error)
{
	_cleanup_(curl_url_cleanupp) CURLU *url = curl_url();
	_cleanup_(curl_freep) char *scheme = NULL, *host = NULL, *query = NULL;
	CURLUcode r;

	if (!url) {
		return error_no_memory(error, "http");
	}
	r = curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER);
	if (r == CURLUE_OUT_OF_MEMORY) {
		return error_no_memory(error, "http");
	}
	if (r != CURLUE_OK || curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
		curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
		return error_set(error, ERROR_REJECTED, "http", "bad_url",
			"the URL is malformed: %s", curl_url_strerror(r));
	}
	ret->https = strcmp(scheme, "https") == 0;
	ret->loopback = is_loopback(host);
	if (!ret->https && (strcmp(scheme, "http") != 0 || !ret->loopback)) {
		return error_set(error, ERROR_REJECTED, "http", "insecure_url",
			"only https is used, and http to loopback; not %s to %s", scheme, host);
	}
	if (curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_OK && query[0]) {
		ret->query = strdup(query);
		return ret->query ? 0 : error_no_memory(error, "http");
	}
	return 0;
}

/* A header's value, or "". */
static bool copy_header(CURL *easy, const char *name, char *out, size_t size)
{
	struct curl_header *header = NULL;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
		return false;
	}
	snprintf(out, size, "%s", header->value);
	return true;
}

static void read_header(struct http_transfer *transfer)
{
	struct http_response *response = &transfer->response;
	char date[64];
	time_t date_s;
	long status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	response->status = (int)status;
	copy_header(transfer->easy, "Content-Type", response->content_type,
		sizeof(response->content_type));
	response->has_retry_after = copy_header(transfer->easy, "Retry-After",
		response->retry_after, sizeof(response->retry_after));
	if (copy_header(transfer->easy, "Date", date, sizeof(date))) {
		date_s = curl_getdate(date, NULL);
		response->date_s = date_s > 0 ? date_s : 0;
	}
}

void transfer_tell_header(struct http_transfer *transfer)
{
	if (transfer->header_told) {
		return;
	}
	read_header(transfer);
	if (transfer->response.status == 0) {
		return;
	}
	transfer->header_told = true;
	if (transfer->request.on_header) {
		transfer->request.on_header(transfer->request.arg, &transfer->response);
	}
}

/* curl's write callback: anything but `len` or PAUSE ends the transfer. */
static size_t on_write(char *data, size_t size, size_t n, void *arg)
{
	struct http_transfer *transfer = arg;
	size_t len = size * n;
	enum http_take take;

	transfer_tell_header(transfer);
	if (transfer->cancel) {
		return CURL_WRITEFUNC_ERROR;
	}
	if (len > transfer->http->options.body_bytes - transfer->response.body_bytes) {
		transfer->too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	take = transfer->request.on_body
		? transfer->request.on_body(transfer->request.arg, data, len)
		: HTTP_TAKE;
	switch (take) {
	case HTTP_TAKE:
		transfer->response.body_bytes += len;
		return len;
	case HTTP_PAUSE:
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	case HTTP_ABORT:
		break;
	}
	transfer->aborted = true;
	return CURL_WRITEFUNC_ERROR;
}

static long in_seconds(uint64_t ms)
{
	return (long)((ms + 999) / 1000);
}

static CURLcode set_limits(CURL *easy, const struct http_options *options)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms);
	r |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->request_timeout_ms);
	r |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)options->low_speed_bytes);
	r |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, in_seconds(options->low_speed_ms));
	return r;
}

static CURLcode set_network(
	CURL *easy, const struct http_options *options, const struct url_parts *parts)
{
	static const long versions[] = {
		[0] = CURL_IPRESOLVE_WHATEVER, [4] = CURL_IPRESOLVE_V4, [6] = CURL_IPRESOLVE_V6};
	const char *proxy = options->proxy && !parts->loopback ? options->proxy : "";
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, parts->https ? "https" : "http");
	r |= curl_easy_setopt(easy, CURLOPT_IPRESOLVE, versions[options->ip]);
	/* Set, though empty: else curl looks into the environment. */
	r |= curl_easy_setopt(easy, CURLOPT_PROXY, proxy);
	r |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	r |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	if (options->ca_file) {
		r |= curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
		r |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	/* A resolver thread that hangs is left behind instead of waited for. */
	r |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	r |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	r |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	return r;
}

/* HTTP/1.1 alone: two requests at a time gain nothing by HTTP/2, and a paused one harms no other. */
static CURLcode set_http(CURL *easy, const struct http_options *options)
{
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	r |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	r |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	r |= curl_easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent);
	r |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
	return r;
}

static int add_header(struct http_transfer *transfer, const char *line)
{
	struct curl_slist *list = curl_slist_append(transfer->headers, line);

	if (!list) {
		return -ENOMEM;
	}
	transfer->headers = list;
	return 0;
}

static int set_headers(struct http_transfer *transfer, const struct http_request *request)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && request->headers && request->headers[i]; i++) {
		r = add_header(transfer, request->headers[i]);
	}
	if (r == 0 && request->body) {
		r = add_header(transfer, "Content-Type: application/json");
	}
	if (r == 0 && request->body) {
		r = add_header(transfer, "Expect:"); /* do not ask whether we may send it */
	}
	return r;
}

static CURLcode set_request(struct http_transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;
	CURLcode r = CURLE_OK;

	r |= curl_easy_setopt(easy, CURLOPT_URL, request->url);
	if (request->body) {
		r |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
		r |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(request->body));
	}
	if (transfer->headers) {
		r |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	}
	r |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	r |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	r |= curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	r |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
	return r;
}

static int transfer_setup(struct http_transfer *transfer, const struct http_request *request,
	const struct url_parts *parts)
{
	const struct http_options *options = &transfer->http->options;
	CURLcode r = CURLE_OK;

	transfer->easy = curl_easy_init();
	if (!transfer->easy || set_headers(transfer, request) < 0) {
		return -ENOMEM;
	}
	r |= set_limits(transfer->easy, options);
	r |= set_network(transfer->easy, options, parts);
	r |= set_http(transfer->easy, options);
	r |= set_request(transfer, request);
	return r == CURLE_OK ? 0 : -ENOMEM;
}

struct http_transfer *transfer_new(
	struct http *http, const struct http_request *request, struct error *error)
{
	struct url_parts parts = {0};
	struct http_transfer *transfer;

	if (check_url(request->url, &parts, error) < 0) {
		return NULL;
	}
	transfer = calloc(1, sizeof(*transfer));
	if (!transfer) {
		free(parts.query);
		error_no_memory(error, "http");
		return NULL;
	}
	transfer->http = http;
	transfer->request = *request;
	transfer->query = parts.query;
	if (transfer_setup(transfer, request, &parts) < 0) {
		error_no_memory(error, "http");
		return transfer_free(transfer);
	}
	return transfer;
}

struct http_transfer *transfer_free(struct http_transfer *transfer)
{
	if (!transfer) {
		return NULL;
	}
	curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	free(transfer->query);
	free(transfer);
	return NULL;
}

/* ---- what went wrong ---- */

/* curl has one code for "took too long" in all its forms. */
static const char *time_out_code(const struct http_transfer *transfer)
{
	curl_off_t ready_us = 0, total_us = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
	curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	if (ready_us > 0 &&
		(uint64_t)total_us / 1000 + 1 < transfer->http->options.request_timeout_ms) {
		return "slow";
	}
	return "timeout";
}

static const char *error_code(const struct http_transfer *transfer, CURLcode code)
{
	switch ((int)code) {
	case CURLE_OPERATION_TIMEDOUT:
		return time_out_code(transfer);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "resolve";
	case CURLE_COULDNT_CONNECT:
	case CURLE_PROXY:
		return "connect";
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return "tls";
	case CURLE_SEND_ERROR:
		return "send";
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
		return "recv";
	case CURLE_PARTIAL_FILE:
		return "truncated";
	case CURLE_UNSUPPORTED_PROTOCOL: /* an answer without a status line */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return "malformed";
	case CURLE_OUT_OF_MEMORY:
		return "no_memory";
	default:
		return "failed";
	}
}

/* A certificate that is not trusted now will not be at the next attempt. */
static enum error_class error_class_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_ISSUER_ERROR:
		return ERROR_REJECTED;
	default:
		return ERROR_RETRY;
	}
}

static const char *error_text(const struct http_transfer *transfer, CURLcode code)
{
	const char *text = transfer->curl_text;

	if (!text[0] || (transfer->query && strstr(text, transfer->query))) {
		text = curl_easy_strerror(code);
	}
	return text;
}

static void explain(const struct http_transfer *transfer, CURLcode code, struct error *error)
{
	if (transfer->cancel) {
		error_set(error, ERROR_CANCELED, "http", "canceled", "the request was canceled");
	} else if (transfer->too_large) {
		error_set(error, ERROR_REJECTED, "http", "too_large",
			"the answer is longer than %llu bytes",
			(unsigned long long)transfer->http->options.body_bytes);
	} else if (transfer->aborted) {
		error_set(error, ERROR_CANCELED, "http", "aborted", "the answer was not wanted");
	} else if (transfer->no_memory) {
		error_no_memory(error, "http");
	} else if (code != CURLE_OK) {
		error_set(error, error_class_of(code), "http", error_code(transfer, code), "%s",
			error_text(transfer, code));
	}
}

void transfer_conclude(struct http_transfer *transfer, CURLcode code, struct error *error)
{
	curl_off_t total_us = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &total_us);
	transfer->response.seconds = (double)total_us / 1e6;
	explain(transfer, code, error);
}
