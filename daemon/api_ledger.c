/*
 * The HTTP routes that are answered from the books. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - the parameters are read; what is wrong with them is 400 and names the parameter;
 *   - the first statement is sent; its rows are appended to the body;
 *   - where there is a second statement it follows; then the body is sent.
 *
 * Possible failure modes are: no database, or it is slow: 503. The server refuses a statement (the
 * schema is not what it should be, a right is missing): 500 with its words. There is no such
 * run or reject: 404; but a run that has not ended, or whose end the books have not heard of, is
 * told from the daemon's memory. The client is gone meanwhile: the answer is dropped by lib/httpd.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/api_private.h"
#include "lib/scrub.h"

enum { DEFAULT_ROWS = 50, MAX_ROWS = 500, NAME_BYTES = 128 };

struct answer;

/* Takes the rows; as its last act it asks the next statement, or finishes. */
typedef void (*step_fn)(struct answer *answer, const struct pg_result *result);

/* A request that waits for the database. */
struct answer {
	struct httpd_request *request;
	const struct api_source *source;
	struct ledger_question question; /* being asked */
	step_fn step;                    /* what its rows are for */
	struct ledger_filter filter;     /* its texts point into the rooms below */
	char room[2][NAME_BYTES];
	int64_t id; /* of the one run or reject that was asked for */
	bool is_run;
	struct buffer body;
};

static struct answer *answer_new(const struct api *api, struct httpd_request *request)
{
	struct answer *answer = calloc(1, sizeof(*answer));

	if (answer) {
		answer->request = request;
		answer->source = &api->source;
	} else {
		httpd_problem(request, 503, NULL, 0, "out of memory");
	}
	return answer;
}

static void answer_free(struct answer *answer)
{
	buffer_fini(&answer->body);
	free(answer);
}

/* ---- parameters: false when one is wrong, and the request is answered ---- */

static bool read_number(const char *text, int64_t max, int64_t *ret)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	*ret = v;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && v >= 1 && v <= max;
}

static bool take_number(struct answer *answer, const char *name, int64_t max, int64_t *ret)
{
	const char *text = httpd_query(answer->request, name);

	if (!text || read_number(text, max, ret)) {
		return true;
	}
	httpd_problem(answer->request, 400, NULL, 0, "%s is a whole number from 1 to %lld", name,
		(long long)max);
	return false;
}

static bool is_name(const char *text, size_t len)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return len > 0 && len < NAME_BYTES && strspn(text, allowed) >= len;
}

static bool take_name(struct answer *answer, const char *name, unsigned room, const char **ret)
{
	const char *text = httpd_query(answer->request, name);

	if (!text) {
		return true;
	}
	if (!is_name(text, strlen(text))) {
		httpd_problem(answer->request, 400, NULL, 0, "%s is a name", name);
		return false;
	}
	*ret = memcpy(answer->room[room], text, strlen(text) + 1);
	return true;
}

/* source=DATASET/SOURCE */
static bool take_label(struct answer *answer)
{
	const char *text = httpd_query(answer->request, "source");
	const char *slash = text ? strchr(text, '/') : NULL;

	if (!text) {
		return true;
	}
	if (!slash || !is_name(text, (size_t)(slash - text)) ||
		!is_name(slash + 1, strlen(slash + 1))) {
		httpd_problem(answer->request, 400, NULL, 0, "source is DATASET/SOURCE");
		return false;
	}
	memcpy(answer->room[0], text, (size_t)(slash - text));
	memcpy(answer->room[1], slash + 1, strlen(slash + 1));
	answer->filter.dataset = answer->room[0];
	answer->filter.source = answer->room[1];
	return true;
}

/* One row more than is shown: it says that there is a next page. */
static bool take_page(struct answer *answer)
{
	int64_t limit = DEFAULT_ROWS;

	if (!take_number(answer, "limit", MAX_ROWS, &limit) ||
		!take_number(answer, "before", INT64_MAX, &answer->filter.before)) {
		return false;
	}
	answer->filter.n_rows = (unsigned)limit + 1;
	return true;
}

/* For the one thing that the path names by its id; NULL: the request is answered. */
static struct answer *answer_for_id(const struct api *api, struct httpd_request *request)
{
	struct answer *answer;
	int64_t id;

	if (!read_number(httpd_param(request), INT64_MAX, &id)) {
		httpd_problem(request, 404, NULL, 0, "there is no %s here", httpd_path(request));
		return NULL;
	}
	answer = answer_new(api, request);
	if (answer) {
		answer->id = id;
	}
	return answer;
}

/* ---- statements ---- */

static void finish(struct answer *answer)
{
	api_reply(answer->request, 200, API_JSON, &answer->body);
	answer_free(answer);
}

static void fail(struct answer *answer, int status, const char *why)
{
	char text[ERROR_TEXT_BYTES];

	snprintf(text, sizeof(text), "%s", why);
	scrub_text(text);
	httpd_problem(answer->request, status, NULL, 0, "%s", text);
	answer_free(answer);
}

/* As the daemon remembers it, without its slices. False: the books are needed. */
static bool answer_from_memory(struct answer *answer)
{
	struct api_run run;

	if (!answer->is_run || !answer->source->run(answer->source->arg, answer->id, &run)) {
		return false;
	}
	buffer_clear(&answer->body);
	buffer_append_char(&answer->body, '{');
	api_append_run(&answer->body, &run);
	buffer_append_str(&answer->body, ",\"slice_list\":[]}");
	finish(answer);
	return true;
}

static void on_result(void *arg, const struct pg_result *result, const struct error *error)
{
	struct answer *answer = arg;

	if (error && answer_from_memory(answer)) {
		return;
	}
	if (error) {
		fail(answer, error->class == ERROR_REJECTED ? 500 : 503, error->text);
	} else {
		answer->step(answer, result);
	}
}

static void ask(struct answer *answer, step_fn step)
{
	int r = answer->source->query(answer->source->arg, &answer->question, on_result, answer);

	answer->step = step;
	if (r < 0 && !answer_from_memory(answer)) {
		fail(answer, 503, r == -EBUSY ? "too many questions wait for the database" : strerror(-r));
	}
}

/* The rows of a page and where the next one begins. */
static void append_page(struct answer *answer, const char *key, const struct pg_result *result)
{
	int n = pg_n_rows(result), n_shown = (int)answer->filter.n_rows - 1;

	buffer_printf(&answer->body, "\"%s\":", key);
	ledger_append_rows(&answer->body, &answer->question, result, n < n_shown ? n : n_shown);
	if (n > n_shown) {
		buffer_printf(&answer->body, ",\"next\":%s}", pg_value(result, n_shown - 1, 0));
	} else {
		buffer_append_str(&answer->body, ",\"next\":null}");
	}
}

/* ---- runs ---- */

static void take_runs(struct answer *answer, const struct pg_result *result)
{
	buffer_append_char(&answer->body, '{');
	append_page(answer, "runs", result);
	finish(answer);
}

/* GET /sync/runs?limit=&before=&source= */
void api_on_runs(void *arg, struct httpd_request *request)
{
	struct answer *answer = answer_new(arg, request);

	if (!answer) {
		return;
	}
	if (!take_page(answer) || !take_label(answer)) {
		answer_free(answer);
		return;
	}
	ledger_ask_runs(&answer->question, &answer->filter);
	ask(answer, take_runs);
}

static void take_slices(struct answer *answer, const struct pg_result *result)
{
	buffer_append_str(&answer->body, ",\"slice_list\":");
	ledger_append_rows(&answer->body, &answer->question, result, pg_n_rows(result));
	buffer_append_char(&answer->body, '}');
	finish(answer);
}

static void take_run(struct answer *answer, const struct pg_result *result)
{
	bool open = pg_n_rows(result) == 0 || pg_is_null(result, 0, LEDGER_RUN_FINISHED);

	if (open && answer_from_memory(answer)) {
		return;
	}
	if (pg_n_rows(result) == 0) {
		fail(answer, 404, "the books have no such run");
		return;
	}
	buffer_append_char(&answer->body, '{');
	ledger_append_row(&answer->body, &answer->question, result, 0);
	ledger_ask_slices(&answer->question, answer->id);
	ask(answer, take_slices);
}

/* GET /sync/runs/N */
void api_on_run(void *arg, struct httpd_request *request)
{
	struct answer *answer = answer_for_id(arg, request);

	if (answer) {
		answer->is_run = true;
		ledger_ask_run(&answer->question, answer->id);
		ask(answer, take_run);
	}
}

/* ---- quarantine ---- */

static void take_rejects(struct answer *answer, const struct pg_result *result)
{
	append_page(answer, "quarantine", result);
	finish(answer);
}

static void take_reasons(struct answer *answer, const struct pg_result *result)
{
	int64_t total = 0;

	for (int row = 0; row < pg_n_rows(result); row++) {
		total += pg_i64(result, row, 2);
	}
	buffer_printf(&answer->body, "{\"total\":%" PRId64 ",\"by_reason\":", total);
	ledger_append_rows(&answer->body, &answer->question, result, pg_n_rows(result));
	buffer_append_char(&answer->body, ',');
	ledger_ask_rejects(&answer->question, &answer->filter);
	ask(answer, take_rejects);
}

/* GET /sync/quarantine?dataset=&reason=&limit=&before= */
void api_on_rejects(void *arg, struct httpd_request *request)
{
	struct answer *answer = answer_new(arg, request);

	if (!answer) {
		return;
	}
	if (!take_page(answer) || !take_name(answer, "dataset", 0, &answer->filter.dataset) ||
		!take_name(answer, "reason", 1, &answer->filter.reason)) {
		answer_free(answer);
		return;
	}
	ledger_ask_reasons(&answer->question, &answer->filter);
	ask(answer, take_reasons);
}

static void take_reject(struct answer *answer, const struct pg_result *result)
{
	if (pg_n_rows(result) == 0) {
		fail(answer, 404, "the quarantine has no such record");
		return;
	}
	buffer_append_char(&answer->body, '{');
	ledger_append_row(&answer->body, &answer->question, result, 0);
	buffer_append_char(&answer->body, '}');
	finish(answer);
}

/* GET /sync/quarantine/N */
void api_on_reject(void *arg, struct httpd_request *request)
{
	struct answer *answer = answer_for_id(arg, request);

	if (answer) {
		ledger_ask_reject(&answer->question, answer->id);
		ask(answer, take_reject);
	}
}
