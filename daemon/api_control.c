/*
 * The HTTP routes by which operators change something. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is: who asks is known; the body is a JSON object of the keys that the route takes; it
 * becomes a command; the daemon does it at once; the answer is 202 and where to look.
 *
 * Possible failure modes are: by TCP without a token that would open it: 403, with a wrong one: 401.
 * The body is something else: 400, which names the key. The daemon says why not: its status, as a
 * problem, with the ids of the runs in the way.
 */

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/api_private.h"
#include "daemon/date.h"
#include "lib/httpd_check.h"

/* ---- who asks ---- */

bool api_may_control(const struct api *api, struct httpd_request *request,
	char who[static API_WHO_BYTES])
{
	static const struct httpd_header bearer = {"WWW-Authenticate", "Bearer"};
	const char *token = api->source.config(api->source.arg)->server.token;
	uid_t uid;

	if (httpd_is_unix(request)) {
		if (httpd_peer_uid(request, &uid) == 0) {
			snprintf(who, API_WHO_BYTES, "operator:uid=%u", (unsigned)uid);
		} else {
			snprintf(who, API_WHO_BYTES, "operator");
		}
		return true;
	}
	if (!token) {
		httpd_problem(request, 403, NULL, 0,
			"this takes the unix socket, or server.token_file and its token");
		return false;
	}
	if (!httpd_bearer_matches(httpd_header(request, "Authorization"), token)) {
		httpd_problem(request, 401, &bearer, 1, "the token is missing or wrong");
		return false;
	}
	snprintf(who, API_WHO_BYTES, "operator:token");
	return true;
}

/* ---- what is asked ---- */

json_t *api_read_body(struct httpd_request *request)
{
	size_t len;
	const char *body = httpd_body(request, &len);
	json_error_t error;
	json_t *object;

	if (len == 0) {
		body = "{}";
		len = 2;
	}
	object = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	if (!object) {
		httpd_problem(request, 400, NULL, 0, "the body is no JSON: %s", error.text);
	} else if (!json_is_object(object)) {
		json_decref(object);
		object = NULL;
		httpd_problem(request, 400, NULL, 0, "the body is no JSON object");
	}
	return object;
}

/* A command, and what of the body its texts point to. */
struct call {
	struct api_command command;
	json_t *body;
	char who[API_WHO_BYTES];
	char dataset[SPOOL_NAME_BYTES];
	char problem[ERROR_TEXT_BYTES]; /* what is wrong with the body, or "" */
};

static void wrong(struct call *call, const char *key, const char *what)
{
	if (!call->problem[0]) {
		snprintf(call->problem, sizeof(call->problem), "%s %s", key, what);
	}
}

static const char *take_text(struct call *call, const char *key, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || text[0] == '\0') {
		wrong(call, key, "is a text");
		return NULL;
	}
	return text;
}

static void take_day(struct call *call, const char *key, const json_t *value, int32_t *ret)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) != strlen("2026-11-19") ||
		date_parse(text, strlen(text), "%Y-%m-%d", ret) < 0) {
		wrong(call, key, "is a date like 2026-11-19");
	}
}

/* Of a run, where the dataset stands beside it: its name. Elsewhere: DATASET/SOURCE. */
static void take_source(struct call *call, const json_t *value)
{
	const char *text = take_text(call, "source", value);
	const char *slash = text ? strchr(text, '/') : NULL;

	if (!text || call->command.verb == API_RUN) {
		call->command.source = text;
	} else if (!slash || (size_t)(slash - text) >= sizeof(call->dataset)) {
		wrong(call, "source", "is DATASET/SOURCE");
	} else {
		memcpy(call->dataset, text, (size_t)(slash - text));
		call->command.dataset = call->dataset;
		call->command.source = slash + 1;
	}
}

static bool is_key(const char *key, const char *name, struct call *call, bool taken)
{
	return strcmp(key, name) == 0 && (taken || (wrong(call, key, "is not for this"), false));
}

static void take_key(struct call *call, const char *key, const json_t *value)
{
	struct api_command *command = &call->command;
	bool runs = command->verb == API_RUN;

	if (is_key(key, "source", call, command->verb != API_RELOAD)) {
		take_source(call, value);
	} else if (is_key(key, "dataset", call, runs)) {
		command->dataset = take_text(call, key, value);
	} else if (is_key(key, "from", call, runs)) {
		take_day(call, key, value, &command->from);
	} else if (is_key(key, "to", call, runs)) {
		take_day(call, key, value, &command->to);
	} else if (is_key(key, "accept", call, runs)) {
		command->accept = json_is_true(value);
		if (!json_is_boolean(value)) {
			wrong(call, key, "is true or false");
		}
	} else {
		wrong(call, key, "is no key of this");
	}
}

static void take_body(struct call *call)
{
	struct api_command *command = &call->command;
	const char *key;
	json_t *value;

	json_object_foreach(call->body, key, value)
	{
		take_key(call, key, value);
	}
	if (command->verb == API_RUN && !command->dataset) {
		wrong(call, "dataset", "is missing");
	}
	if ((command->from == INT32_MIN) != (command->to == INT32_MIN)) {
		wrong(call, command->from == INT32_MIN ? "from" : "to",
			"is missing: a range has both");
	} else if (command->from > command->to) {
		wrong(call, "from", "is after to");
	}
}

/* ---- what came of it ---- */

static json_t *id_list(const struct api_outcome *outcome)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < outcome->n_runs; i++) {
		json_array_append_new(list, json_integer(outcome->runs[i]));
	}
	return list;
}

static json_t *line_list(const struct buffer *lines)
{
	json_t *list = json_array();
	const char *at = buffer_str(lines), *end;

	for (; (end = strchr(at, '\n')); at = end + 1) {
		json_array_append_new(list, json_stringn(at, (size_t)(end - at)));
	}
	return list;
}

static json_t *outcome_json(enum api_verb verb, const struct api_outcome *outcome)
{
	bool done = outcome->status == 202;
	json_t *json = json_object();

	if (!done) {
		json_object_set_new(json, "type", json_string("about:blank"));
		json_object_set_new(json, "title", json_string(httpd_status_title(outcome->status)));
		json_object_set_new(json, "status", json_integer(outcome->status));
		json_object_set_new(json, "detail", json_string(outcome->text));
	}
	switch (verb) {
	case API_RUN:
		if (outcome->n_runs > 0) {
			json_object_set_new(json, "run", json_integer(outcome->runs[0]));
		}
		break;
	case API_CANCEL:
		json_object_set_new(json, "runs", id_list(outcome));
		break;
	case API_PAUSE:
	case API_RESUME:
		if (done) {
			json_object_set_new(json, "paused", json_boolean(verb == API_PAUSE));
		}
		break;
	case API_RELOAD:
		json_object_set_new(json, done ? "changes" : "problems", line_list(&outcome->lines));
		break;
	}
	return json;
}

static void set_location(char *location, size_t size, enum api_verb verb,
	const struct api_outcome *outcome)
{
	if (outcome->n_runs > 0) {
		snprintf(location, size, "/sync/runs/%lld", (long long)outcome->runs[0]);
	} else {
		snprintf(location, size, "%s",
			verb == API_RELOAD ? "/sync/config" : "/sync/status");
	}
}

static void answer(struct httpd_request *request, enum api_verb verb,
	const struct api_outcome *outcome)
{
	char location[64];
	const struct httpd_header header = {"Location", location};
	json_t *json = outcome_json(verb, outcome);
	char *body = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (!body) {
		httpd_problem(request, 503, NULL, 0, "out of memory");
		return;
	}
	set_location(location, sizeof(location), verb, outcome);
	httpd_reply(request,
		&(struct httpd_answer){
			.status = outcome->status,
			.content_type = outcome->status == 202 ? API_JSON
							       : "application/problem+json",
			.headers = &header,
			.n_headers = outcome->status == 202 || outcome->n_runs > 0,
			.body = body,
			.len = strlen(body),
			.take = HTTPD_TAKE,
		});
}

/* ---- the routes ---- */

static void do_call(const struct api *api, struct httpd_request *request, struct call *call)
{
	struct api_outcome outcome = {.status = 202};

	call->body = api_read_body(request);
	if (!call->body) {
		return;
	}
	take_body(call);
	if (call->problem[0]) {
		httpd_problem(request, 400, NULL, 0, "%s", call->problem);
	} else {
		api->source.control(api->source.arg, &call->command, &outcome);
		answer(request, call->command.verb, &outcome);
	}
	buffer_fini(&outcome.lines);
	json_decref(call->body);
}

static void control(const struct api *api, struct httpd_request *request, enum api_verb verb)
{
	struct call call = {
		.command = {.verb = verb, .from = INT32_MIN, .to = INT32_MIN, .who = call.who}};

	if (api_may_control(api, request, call.who)) {
		do_call(api, request, &call);
	}
}

/* POST /sync/run {"dataset", "source"?, "from"?, "to"?, "accept"?} */
void api_on_run_now(void *arg, struct httpd_request *request)
{
	control(arg, request, API_RUN);
}

/* POST /sync/pause {"source"?: "DATASET/SOURCE"}; the same for the next two */
void api_on_pause(void *arg, struct httpd_request *request)
{
	control(arg, request, API_PAUSE);
}

void api_on_resume(void *arg, struct httpd_request *request)
{
	control(arg, request, API_RESUME);
}

void api_on_cancel(void *arg, struct httpd_request *request)
{
	control(arg, request, API_CANCEL);
}

/* POST /sync/reload */
void api_on_reload(void *arg, struct httpd_request *request)
{
	control(arg, request, API_RELOAD);
}
