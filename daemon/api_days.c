/*
 * A request about the days of a dataset: parameters, statements, and how it ends.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/api_days.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/date.h"
#include "daemon/why.h"
#include "lib/clock.h"
#include "lib/escape.h"
#include "lib/scrub.h"

static void days_free(struct api_days *days)
{
	coverage_fini(&days->list);
	buffer_fini(&days->body);
	config_unref(days->config);
	free(days->why);
	free(days);
}

void api_days_fail(struct api_days *days, int status, const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	scrub_text(text);
	httpd_problem(days->request, status, NULL, 0, "%s", text);
	days_free(days);
}

void api_days_finish(struct api_days *days)
{
	api_reply(days->request, 200, API_JSON, &days->body);
	days_free(days);
}

/* ---- what is asked about ---- */

static const struct dataset *find_dataset(const struct config *config, const char *name)
{
	if (name) {
		return config_dataset(config, name);
	}
	for (unsigned d = 0; d < config->n_datasets; d++) {
		if (config->datasets[d]->date >= 0) {
			return config->datasets[d];
		}
	}
	return NULL;
}

/* The source that can be asked for single days: that of the name, else the one that heals. */
static const struct source *find_source(const struct dataset *dataset, const char *name)
{
	const struct source *found = NULL;

	for (unsigned s = 0; s < dataset->n_sources; s++) {
		const struct source *source = &dataset->sources[s];

		if (name ? strcmp(source->name, name) == 0 : source->heal.enabled) {
			return source;
		}
		if (!name && source->slice.sliced && !found) {
			found = source;
		}
	}
	return found;
}

struct api_days *api_days_new(const struct api *api, struct httpd_request *request,
	const char *dataset, const char *source)
{
	struct api_days *days = calloc(1, sizeof(*days));

	if (!days) {
		httpd_problem(request, 503, NULL, 0, "out of memory");
		return NULL;
	}
	days->request = request;
	days->source = &api->source;
	days->config = config_ref((struct config *)api->source.config(api->source.arg));
	days->from = days->to = INT32_MIN;
	days->dataset = find_dataset(days->config, dataset);
	if (!days->dataset) {
		api_days_fail(days, 404, "there is no dataset %s", dataset ? dataset : "with a date");
		return NULL;
	}
	if (days->dataset->date < 0) {
		api_days_fail(days, 400, "%s has no date, so it has no days", days->dataset->name);
		return NULL;
	}
	days->list.day_ends_s = days->dataset->day_ends_s;
	days->asks = find_source(days->dataset, source);
	if (source && !days->asks) {
		api_days_fail(days, 404, "%s has no source %s", days->dataset->name, source);
		return NULL;
	}
	days->now_us = api->source.now_us(api->source.arg);
	api->source.plan(api->source.arg, days->asks, &days->plan);
	return days;
}

bool api_read_day(const char *text, int32_t *ret)
{
	return date_parse(text, strlen(text), "%Y-%m-%d", ret) == 0;
}

bool api_days_take(struct api_days *days, const char *name, int32_t *ret)
{
	const char *text = httpd_query(days->request, name);

	if (!text || api_read_day(text, ret)) {
		return true;
	}
	api_days_fail(days, 400, "%s is a date such as 2026-11-19", name);
	return false;
}

/* ---- statements ---- */

static void on_result(void *arg, const struct pg_result *result, const struct error *error)
{
	struct api_days *days = arg;

	if (error) {
		api_days_fail(days, error->class == ERROR_REJECTED ? 500 : 503, "%s", error->text);
	} else {
		days->step(days, result);
	}
}

void api_days_ask(struct api_days *days, api_days_step_fn step)
{
	int r = days->source->query(days->source->arg, &days->question, on_result, days);

	days->step = step;
	if (r < 0) {
		api_days_fail(days, 503, "%s",
			r == -EBUSY ? "too many questions wait for the database" : strerror(-r));
	}
}

void api_days_ask_coverage(struct api_days *days, api_days_step_fn step)
{
	ledger_ask_coverage(&days->question, days->dataset->name, COVERAGE_FIRST_DAY,
		COVERAGE_LAST_DAY);
	api_days_ask(days, step);
}

bool api_days_take_coverage(struct api_days *days, const struct pg_result *result)
{
	if (ledger_read_coverage(result, days->dataset, &days->list) < 0) {
		api_days_fail(days, 503, "out of memory");
		return false;
	}
	return true;
}

/* ---- values ---- */

void api_put_key(struct buffer *out, const char *key)
{
	if (out->len > 0 && out->data[out->len - 1] != '{') {
		buffer_append_char(out, ',');
	}
	buffer_printf(out, "\"%s\":", key);
}

void api_put_text(struct buffer *out, const char *key, const char *text)
{
	api_put_key(out, key);
	if (!text || !text[0]) {
		buffer_append_str(out, "null");
		return;
	}
	buffer_append_char(out, '"');
	escape_append(out, text, strlen(text));
	buffer_append_char(out, '"');
}

void api_put_day(struct buffer *out, const char *key, int32_t day)
{
	api_put_key(out, key);
	buffer_append_char(out, '"');
	date_format(day, "%Y-%m-%d", out);
	buffer_append_char(out, '"');
}

void api_put_time(struct buffer *out, const char *key, int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	api_put_text(out, key, us ? clock_format_rfc3339(us, 3, text) : NULL);
}

void api_put_number(struct buffer *out, const char *key, int64_t n, int64_t null)
{
	api_put_key(out, key);
	if (n == null) {
		buffer_append_str(out, "null");
	} else {
		buffer_printf(out, "%" PRId64, n);
	}
}

void api_put_bool(struct buffer *out, const char *key, bool value)
{
	api_put_key(out, key);
	buffer_append_str(out, value ? "true" : "false");
}
