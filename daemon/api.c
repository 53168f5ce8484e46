/*
 * The HTTP routes: their table, and those that are answered from memory.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each handler looks at what was asked, asks the source, and replies, here at once. Everything about
 * HTTP that is the same for all routes is done before by lib/httpd.
 */

#include "daemon/api_private.h"

#include <string.h>

#include "daemon/api_page.h"

void api_reply(struct httpd_request *take_request, int status, const char *content_type,
	struct buffer *take_body)
{
	size_t len = take_body->len;
	char *body = buffer_steal(take_body);

	if (!body) {
		httpd_problem(take_request, 503, NULL, 0, "out of memory");
		return;
	}
	httpd_reply(take_request,
		&(struct httpd_answer){
			.status = status,
			.content_type = content_type,
			.body = body,
			.len = len,
			.take = HTTPD_TAKE,
		});
}

static void reply_status_json(struct httpd_request *request, const struct status *status)
{
	char etag[STATUS_ETAG_BYTES];
	char *body = status_json(status);

	if (!body) {
		httpd_problem(request, 503, NULL, 0, "out of memory");
		return;
	}
	httpd_reply(request,
		&(struct httpd_answer){
			.content_type = API_JSON,
			.etag = status_etag(body, strlen(body), etag),
			.body = body,
			.len = strlen(body),
			.take = HTTPD_TAKE,
		});
}

/* GET /sync/status[?format=json|text] */
static void on_status(void *arg, struct httpd_request *request)
{
	const struct api *api = arg;
	const struct status *status = api->source.status(api->source.arg);
	const char *format = httpd_query(request, "format");
	struct buffer text = {0};

	if (!format || strcmp(format, "json") == 0) {
		reply_status_json(request, status);
	} else if (strcmp(format, "text") == 0) {
		status_text(status, &text);
		api_reply(request, 200, API_TEXT, &text);
	} else {
		httpd_problem(request, 400, NULL, 0, "format is json or text");
	}
}

/* GET /livez: that this is answered is the answer. */
static void on_livez(void *arg, struct httpd_request *request)
{
	(void)arg;
	httpd_reply(request,
		&(struct httpd_answer){
			.content_type = API_TEXT,
			.body = "ok\n",
			.len = 3,
			.take = HTTPD_STATIC,
		});
}

static void append_check(struct buffer *text, const struct api_check *check)
{
	buffer_printf(text, "[%c] %s%s%s\n", check->ok ? '+' : '-', check->name,
		check->detail[0] ? ": " : "", check->detail);
}

/* GET /readyz[?verbose]: those that fail are always named. */
static void on_readyz(void *arg, struct httpd_request *request)
{
	const struct api *api = arg;
	struct api_check checks[API_MAX_CHECKS] = {0};
	unsigned n = api->source.checks(api->source.arg, checks), n_failed = 0;
	bool verbose = httpd_query(request, "verbose") != NULL;
	struct buffer text = {0};

	for (unsigned i = 0; i < n; i++) {
		n_failed += !checks[i].ok;
		if (verbose || !checks[i].ok) {
			append_check(&text, &checks[i]);
		}
	}
	buffer_append_str(&text, n_failed ? "not ready\n" : "ready\n");
	api_reply(request, n_failed ? 503 : 200, API_TEXT, &text);
}

/* GET /metrics */
static void on_metrics(void *arg, struct httpd_request *request)
{
	const struct api *api = arg;
	struct buffer text = {0};

	api->source.metrics(api->source.arg, &text);
	api_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8", &text);
}

/* GET /sync/config: what is in force, with its defaults; secrets are hidden. */
static void on_config(void *arg, struct httpd_request *request)
{
	const struct api *api = arg;
	struct buffer json = {0};

	config_dump_json(api->source.config(api->source.arg), &json);
	api_reply(request, 200, API_JSON, &json);
}

const struct httpd_route api_routes[] = {
	{HTTPD_GET, "/sync/status", on_status},
	{HTTPD_GET, "/livez", on_livez},
	{HTTPD_GET, "/readyz", on_readyz},
	{HTTPD_POST, "/sync/lend", api_on_lend},
	{HTTPD_GET, "/", api_page},
	{HTTPD_GET, "/page/*", api_page},
	{HTTPD_GET, "/metrics", on_metrics},
	{HTTPD_GET, "/sync/config", on_config},
	{HTTPD_POST, "/sync/run", api_on_run_now},
	{HTTPD_POST, "/sync/pause", api_on_pause},
	{HTTPD_POST, "/sync/resume", api_on_resume},
	{HTTPD_POST, "/sync/cancel", api_on_cancel},
	{HTTPD_POST, "/sync/reload", api_on_reload},
	{HTTPD_POST, "/sync/alert-test", api_on_alert_test},
	{HTTPD_GET, "/sync/schedule", api_on_schedule},
	{HTTPD_GET, "/sync/coverage", api_on_coverage},
	{HTTPD_GET, "/sync/why", api_on_why},
	{HTTPD_POST, "/sync/backfill", api_on_backfill},
	{HTTPD_GET, "/sync/runs", api_on_runs},
	{HTTPD_GET, "/sync/runs/*", api_on_run},
	{HTTPD_GET, "/sync/quarantine", api_on_rejects},
	{HTTPD_GET, "/sync/quarantine/*", api_on_reject},
};

const unsigned api_n_routes = N_ELEMENTS(api_routes);
