/*
 * HTTP server: between a request and its answer. SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd calls on_mhd_access() when the headers are there, for each piece of the body, and
 * when the request is whole. Refusals wait for that last call too, because an answer before the
 * body was read closes the connection; only a body that is announced as too long is answered at
 * once.
 *
 * Who answers at once does it inside dispatch(). Else the connection is suspended; the answer
 * resumes it, and libmicrohttpd makes the last call once more, which finds the answer and queues
 * it.
 *
 * A request has two holders: libmicrohttpd (conn is set, until on_mhd_completed) and the owner
 * (owned, until it replied). The last one to let go frees it. So an owner may answer a request
 * whose client is gone, whose time is over, or whose server was closed: the answer is dropped.
 */

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/httpd_check.h"
#include "lib/httpd_private.h"

static struct httpd_request *request_new(
	struct conn *conn, struct MHD_Connection *connection, const char *path)
{
	struct httpd_request *request = calloc(1, sizeof(*request));

	if (request) {
		request->conn = conn;
		request->connection = connection;
		request->path = path;
		request->owned = true;
		conn->request = request;
	}
	return request;
}

/* One holder has let go. */
static void request_put(struct httpd_request *request)
{
	if (!request->conn && !request->owned) {
		buffer_fini(&request->body);
		free(request);
	}
}

static struct httpd *httpd_of(const struct httpd_request *request)
{
	return request->conn->listener->httpd;
}

/* The response for `answer`, or NULL. A taken body is the response's or freed. */
static struct MHD_Response *response_body(const struct httpd_answer *answer, bool empty)
{
	void *body = (void *)answer->body; /* libmicrohttpd's prototypes lack the const */
	struct MHD_Response *response;

	if (empty || answer->take != HTTPD_TAKE) {
		response = MHD_create_response_from_buffer(empty ? 0 : answer->len, body,
			answer->take == HTTPD_STATIC || empty ? MHD_RESPMEM_PERSISTENT
							      : MHD_RESPMEM_MUST_COPY);
	} else {
		response =
			MHD_create_response_from_buffer_with_free_callback(answer->len, body, free);
	}
	if (answer->take == HTTPD_TAKE && (empty || !response)) {
		free(body);
	}
	return response;
}

static bool add_headers(struct MHD_Response *response, const struct httpd_answer *answer)
{
	char etag[80];
	bool ok = MHD_add_response_header(response, "Cache-Control", "no-store") &&
		MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");

	if (answer->content_type) {
		ok = ok && MHD_add_response_header(response, "Content-Type", answer->content_type);
	}
	if (answer->etag) {
		snprintf(etag, sizeof(etag), "\"%s\"", answer->etag);
		ok = ok && MHD_add_response_header(response, "ETag", etag);
	}
	for (unsigned i = 0; i < answer->n_headers; i++) {
		ok = ok &&
			MHD_add_response_header(
				response, answer->headers[i].name, answer->headers[i].value);
	}
	return ok;
}

/* Decide what the client gets. The connection is closed if the response cannot be made. */
static void request_answer(struct httpd_request *request, const struct httpd_answer *answer)
{
	const char *known = answer->etag ? httpd_header(request, "If-None-Match") : NULL;
	bool same = known && httpd_etag_matches(known, answer->etag);

	assert(!request->answered);
	request->answered = true;
	request->status = same ? 304 : answer->status ? answer->status : 200;
	request->response = response_body(answer, same);
	if (request->response && !add_headers(request->response, answer)) {
		MHD_destroy_response(request->response);
		request->response = NULL;
	}
	if (request->suspended) {
		request->suspended = false;
		request->conn->listener->n_late--;
		conn_enter(request->conn, CONN_SENDING);
		MHD_resume_connection(request->connection);
		listener_wake(request->conn->listener);
	}
}

void httpd_reply(struct httpd_request *take_request, const struct httpd_answer *answer)
{
	struct httpd_request *request = take_request;

	assert(request->owned);
	request->owned = false;
	if (request->conn && !request->answered) {
		request_answer(request, answer);
	} else if (answer->take == HTTPD_TAKE) {
		free((void *)answer->body);
	}
	request_put(request);
}

/* Returns the text on the heap, or NULL. */
static char *problem_text(int status, const char *detail)
{
	json_t *problem = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title",
		httpd_status_title(status), "status", status, "detail", detail);
	char *text = problem ? json_dumps(problem, JSON_COMPACT) : NULL;

	json_decref(problem);
	return text;
}

static struct httpd_answer problem_answer(int status, const char *detail)
{
	char *text = problem_text(status, detail);

	return (struct httpd_answer){
		.status = status,
		.content_type = "application/problem+json",
		.body = text ? text : "{}",
		.len = text ? strlen(text) : 2,
		.take = text ? HTTPD_TAKE : HTTPD_STATIC,
	};
}

void httpd_problem(struct httpd_request *take_request, int status,
	const struct httpd_header *headers, unsigned n_headers, const char *format, ...)
{
	char detail[ERROR_TEXT_BYTES];
	struct httpd_answer answer;
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	answer = problem_answer(status, detail);
	answer.headers = headers;
	answer.n_headers = n_headers;
	httpd_reply(take_request, &answer);
}

static const struct httpd_header retry_soon = {"Retry-After", "1"};

void request_give_up(struct httpd_request *request, const char *reason)
{
	struct httpd_answer answer = problem_answer(503, reason);

	answer.headers = &retry_soon;
	answer.n_headers = 1;
	request_answer(request, &answer);
}

enum httpd_method httpd_method(const struct httpd_request *request)
{
	return request->method;
}

const char *httpd_path(const struct httpd_request *request)
{
	return request->path;
}

const char *httpd_param(const struct httpd_request *request)
{
	return request->param;
}

const char *httpd_query(const struct httpd_request *request, const char *name)
{
	const char *value = NULL;

	if (!request->conn ||
		MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
			strlen(name), &value, NULL) != MHD_YES) {
		return NULL;
	}
	return value ? value : "";
}

const char *httpd_header(const struct httpd_request *request, const char *name)
{
	return request->conn
		? MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name)
		: NULL;
}

const char *httpd_body(const struct httpd_request *request, size_t *ret_len)
{
	*ret_len = request->body.len;
	return buffer_str(&request->body);
}

bool httpd_is_unix(const struct httpd_request *request)
{
	return request->conn && request->conn->listener->is_unix;
}

int httpd_peer_uid(const struct httpd_request *request, uid_t *ret)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!httpd_is_unix(request) ||
		getsockopt(request->conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) {
		return -1;
	}
	*ret = peer.uid;
	return 0;
}

struct header_count {
	size_t bytes;
	unsigned n_hosts;       /* Host headers */
	unsigned n_other_hosts; /* that are not ours */
	const struct httpd *httpd;
};

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *key,
	size_t key_len, const char *value, size_t value_len)
{
	struct header_count *count = cls;

	(void)kind;
	count->bytes += key_len + value_len + strlen(": \r\n");
	if (strcasecmp(key, "Host") == 0) {
		count->n_hosts++;
		count->n_other_hosts += !httpd_host_is_ours(
			value ? value : "", count->httpd->hosts, count->httpd->n_hosts);
	}
	return MHD_YES;
}

/* True when the headers are refused; the request is then answered. */
static bool refuse_headers(struct httpd_request *request)
{
	struct header_count count = {.httpd = httpd_of(request)};

	MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, count_header, &count);
	if (count.bytes + strlen(request->path) > HTTPD_HEADER_BYTES) {
		httpd_problem(
			request, 431, NULL, 0, "more than %d bytes of headers", HTTPD_HEADER_BYTES);
		return true;
	}
	if (!httpd_is_unix(request) && (count.n_hosts == 0 || count.n_other_hosts > 0)) {
		httpd_problem(request, 421, NULL, 0,
			"the Host header names no host of this server; see server.hosts");
		return true;
	}
	return false;
}

static void answer_not_allowed(struct httpd_request *request, unsigned methods)
{
	const struct httpd_header allow = {
		"Allow",
		methods == HTTPD_GET            ? "GET, HEAD"
			: methods == HTTPD_POST ? "POST"
						: "GET, HEAD, POST",
	};

	httpd_problem(request, 405, &allow, 1, "%s takes only %s", request->path, allow.value);
}

static enum httpd_method parse_method(const char *method)
{
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
		return HTTPD_GET;
	}
	return strcmp(method, "POST") == 0 ? HTTPD_POST : 0;
}

/* The route, or NULL and the request is answered. */
static const struct httpd_route *find_route(struct httpd_request *request)
{
	const struct httpd_options *options = &httpd_of(request)->options;
	unsigned methods = 0;
	const char *param;

	for (unsigned i = 0; i < options->n_routes; i++) {
		const struct httpd_route *route = &options->routes[i];

		if (!httpd_path_matches(route->path, request->path, &param)) {
			continue;
		}
		if (route->methods & request->method) {
			request->param = param;
			return route;
		}
		methods |= route->methods;
	}
	if (methods) {
		answer_not_allowed(request, methods);
	} else {
		httpd_problem(request, 404, NULL, 0, "there is no %s here", request->path);
	}
	return NULL;
}

static void answer_too_long(struct httpd_request *request)
{
	httpd_problem(request, 413, NULL, 0, "more than %d bytes of body", HTTPD_BODY_BYTES);
}

/* Hand a whole request to its route, or answer it. */
static void route(struct httpd_request *request)
{
	const struct httpd *httpd = httpd_of(request);
	const struct httpd_route *found;

	if (httpd->closing) {
		httpd_problem(request, 503, &retry_soon, 1, "shutting down");
		return;
	}
	if (refuse_headers(request)) {
		return;
	}
	found = find_route(request);
	if (!found) {
		return;
	}
	if (request->body_too_long) {
		answer_too_long(request);
	} else if (buffer_failed(&request->body)) {
		httpd_problem(request, 503, &retry_soon, 1, "out of memory");
	} else if (request->method == HTTPD_POST && httpd_header(request, "Origin")) {
		httpd_problem(request, 403, NULL, 0, "a web page may not ask for this");
	} else {
		found->handler(httpd->options.arg, request);
	}
}

static enum MHD_Result queue_answer(struct httpd_request *request)
{
	struct MHD_Response *response = take_ptr(request->response);
	enum MHD_Result r = MHD_NO;

	if (response) {
		conn_enter(request->conn, CONN_SENDING);
		r = MHD_queue_response(request->connection, (unsigned)request->status, response);
		MHD_destroy_response(response);
	}
	return r;
}

/* The request is whole: call its route, then send the answer or wait for it. */
static enum MHD_Result dispatch(struct httpd_request *request)
{
	struct httpd_listener *listener = request->conn->listener;

	conn_enter(request->conn, CONN_ANSWERING);
	route(request);
	if (!request->answered && listener->n_late >= httpd_of(request)->options.connections / 2) {
		request_give_up(request, "too many requests are waiting");
	}
	if (request->answered) {
		return queue_answer(request);
	}
	listener->n_late++;
	request->suspended = true;
	MHD_suspend_connection(request->connection);
	return MHD_YES;
}

/* The headers are there. The body is read first, unless it says itself that it is too long. */
static enum MHD_Result begin(struct httpd_request *request, const char *method)
{
	const char *length = httpd_header(request, "Content-Length");

	request->method = parse_method(method);
	if (length && strtoull(length, NULL, 10) > HTTPD_BODY_BYTES) {
		answer_too_long(request);
		return queue_answer(request);
	}
	return MHD_YES;
}

/* A piece of the body. What is too long is read to its end, so that the client hears of it. */
static void receive(struct httpd_request *request, const char *data, size_t len)
{
	request->body_too_long |= len > HTTPD_BODY_BYTES - request->body.len;
	if (!request->body_too_long) {
		buffer_append(&request->body, data, len);
	}
}

enum MHD_Result on_mhd_access(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *n_data, void **context)
{
	struct httpd_request *request = *context;
	struct conn *conn = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
				    ->socket_context;

	(void)cls;
	(void)version;
	if (!request) {
		request = conn ? request_new(conn, connection, url) : NULL;
		*context = request;
		return request ? begin(request, method) : MHD_NO;
	}
	if (*n_data > 0) {
		receive(request, data, *n_data);
		*n_data = 0;
		return MHD_YES;
	}
	return request->answered ? queue_answer(request) : dispatch(request);
}

void on_mhd_completed(void *cls, struct MHD_Connection *connection, void **context,
	enum MHD_RequestTerminationCode code)
{
	struct httpd_request *request = *context;

	(void)cls;
	(void)connection;
	(void)code;
	if (!request) {
		return;
	}
	assert(!request->suspended);
	if (request->response) {
		MHD_destroy_response(request->response);
		request->response = NULL;
	}
	request->conn->request = NULL;
	conn_enter(request->conn, CONN_RECEIVING);
	request->conn = NULL;
	request->connection = NULL;
	if (!request->answered) {
		request->owned = false; /* never reached its owner */
	}
	request_put(request);
	*context = NULL;
}
