/*
 * A slice fetched from a scripted portal into a real spool. SPDX-License-Identifier: Apache-2.0
 *
 * The portal of this test holds `n_rows` rows of one day and serves them as the real one does;
 * faults are switched on for one request by its number, or for all. What came is checked in the
 * spool, not in fetch's own words alone. Pauses are a few milliseconds.
 */

#include "tests/loop/helper/spool.h"

#include <signal.h>

#include "daemon/fetch.h"
#include "lib/buffer.h"
#include "tests/loop/helper/fail_alloc.h"
#include "tests/loop/helper/http_server.h"

enum { GUARD_MS = 60000, PAGE_SIZE = 20, DAY = 20776, MAX_REQUESTS = 400, MAX_PAGES = 400 };

/* What one request meets instead of a page. */
enum fault {
	FAULT_NONE,
	FAULT_500,
	FAULT_502,
	FAULT_504,
	FAULT_429,
	FAULT_429_LONG, /* Retry-After: 86400 */
	FAULT_503_NOW,  /* Retry-After: 0 */
	FAULT_403,
	FAULT_400,
	FAULT_404,
	FAULT_META, /* 200, Meta not found */
	FAULT_STATUS_ERROR,
	FAULT_HTML,
	FAULT_BAD_JSON,
	FAULT_EMPTY_BODY,
	FAULT_EMPTY_PAGE,
	FAULT_TRUNCATED,
	FAULT_CUT, /* curl itself asks again when that befalls a kept connection */
	FAULT_STALL,
	FAULT_DRIFT,    /* the field Market is called Mandi */
	FAULT_BAD_ROWS, /* two rows of the page have a price that is none */
	FAULT_ZERO_TOTAL,
};

struct model {
	unsigned n_rows;
	unsigned cap;                /* at most so many rows a page; 0: none */
	unsigned short_at;           /* this request gets half of what it asks for; 0: none */
	unsigned max_limit;          /* 500 when more are asked for; 0: none */
	bool unsorted;               /* ignores `sort`, and begins elsewhere for each request */
	bool other_day, other_state; /* ignores the filter */
	enum fault at[MAX_REQUESTS], always;
	unsigned shrink_at, shrink_to; /* at this request the snapshot is replaced */
	unsigned grow_at, grow_to;
	const char *good_key; /* NULL: any */
	unsigned delay_ms;    /* before each answer */
	/* what it saw */
	unsigned n_requests;
	unsigned limits[MAX_REQUESTS], offsets[MAX_REQUESTS];
	bool descending[MAX_REQUESTS];
	uint64_t busy_until_ms;
	unsigned n_overlaps; /* requests that came while another one was not answered yet */
	char first[1024], last[1024];
};

struct world {
	struct fixture *spool;
	uv_loop_t *loop;
	uv_timer_t guard;
	struct http_server *server;
	struct model model;
	struct config_portal config;
	char base_url[64];
	char *keys[2];
	struct portal *portal;
	bool portal_closed;
	struct dataset dataset;
	struct source source;

	struct spool_reader *old_reader; /* to go on with */
	struct fetch *fetch;
	char uuid[SPOOL_UUID_BYTES];
	unsigned n_done;
	struct fetch_result result;
	char values[400]; /* of the split column, joined */
	/* progress */
	char waits[200]; /* each reason once, in order */
	char troubles[400];
	unsigned n_progress, cancel_at_progress;
	const char *cancel_when_waiting;
	int64_t last_pages;
};

/* ---- the portal ---- */

static uint64_t number_of(const char *request, const char *param)
{
	const char *at = strstr(request, param);

	assert_non_null(at);
	return strtoull(at + strlen(param), NULL, 10);
}

static void add_row(
	const struct model *model, struct buffer *out, unsigned i, enum fault fault, unsigned place)
{
	/* Ten markets a state. */
	buffer_printf(out,
		"%s{\"State\":\"%s%02u\",\"%s\":\"Market %04u\",\"Arrival_Date\":\"%s\",",
		place ? "," : "", model->other_state ? "X" : "S", i / 10,
		fault == FAULT_DRIFT ? "Mandi" : "Market", i,
		model->other_day ? "18/11/2026" : "19/11/2026");
	if (fault == FAULT_BAD_ROWS && place < 2) {
		buffer_append_str(out, "\"Price\":\"12..5\"}");
	} else {
		buffer_printf(out, "\"Price\":%u.50}", i + 1);
	}
}

/* Which row stands at this place of what is asked for. */
static unsigned row_at(const struct model *model, unsigned place, bool descending)
{
	if (model->unsorted) {
		return (place * 7 + model->n_requests * 3) % model->n_rows;
	}
	return descending ? model->n_rows - 1 - place : place;
}

static void make_page(const struct model *model, unsigned offset, unsigned limit, bool descending,
	enum fault fault, struct buffer *out)
{
	unsigned n = 0;

	buffer_printf(out,
		"{\"updated\":1795187440,\"message\":\"Resource lists\",\"status\":\"ok\","
		"\"total\":%u,\"limit\":\"%u\",\"offset\":\"%u\",\"records\":[",
		fault == FAULT_ZERO_TOTAL ? 0 : model->n_rows, limit, offset);
	if (model->cap && limit > model->cap) {
		limit = model->cap;
	}
	if (model->short_at && model->n_requests == model->short_at) {
		limit /= 2;
	}
	while (fault != FAULT_EMPTY_PAGE && fault != FAULT_ZERO_TOTAL && n < limit &&
		offset + n < model->n_rows) {
		add_row(model, out, row_at(model, offset + n, descending), fault, n);
		n++;
	}
	buffer_printf(out, "],\"count\":%u}", n);
}

static void answer_text(struct http_conn *conn, int status, const char *headers, const char *body)
{
	conn_answer(conn, status, headers, body, strlen(body));
}

static void answer_fault(struct http_conn *conn, enum fault fault, const struct buffer *page)
{
	switch (fault) {
	case FAULT_500:
		answer_text(conn, 500, "", "<html>oops</html>");
		break;
	case FAULT_502:
		answer_text(conn, 502, "", "<html><h1>502 Bad Gateway</h1></html>");
		break;
	case FAULT_504:
		answer_text(conn, 504, "", "<html>late</html>");
		break;
	case FAULT_429:
		answer_text(conn, 429, "", "{\"error\": \"Rate limit exceeded\"}");
		break;
	case FAULT_429_LONG:
		answer_text(conn, 429, "Retry-After: 86400\r\n",
			"{\"error\": \"Rate limit exceeded\"}");
		break;
	case FAULT_503_NOW:
		answer_text(conn, 503, "Retry-After: 0\r\n", "");
		break;
	case FAULT_403:
		answer_text(conn, 403, "", "{\"error\": \"Key not authorised\"}");
		break;
	case FAULT_400:
		answer_text(conn, 400, "", "{\"error\": \"Authorization field missing\"}");
		break;
	case FAULT_404:
		answer_text(conn, 404, "", "");
		break;
	case FAULT_META:
		answer_text(conn, 200, "",
			"{\"message\":\"Meta not "
			"found\",\"version\":\"2.2.0\",\"status\":\"error\"}");
		break;
	case FAULT_STATUS_ERROR:
		answer_text(conn, 200, "", "{\"message\":\"busy\",\"status\":\"error\"}");
		break;
	case FAULT_HTML:
		answer_text(conn, 200, "", "<html>maintenance</html>");
		break;
	case FAULT_BAD_JSON:
		conn_answer(conn, 200, "", page->data, page->len - 30);
		break;
	case FAULT_EMPTY_BODY:
		answer_text(conn, 200, "", "");
		break;
	case FAULT_TRUNCATED:
		conn_send_text(conn, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", page->len);
		conn_send(conn, page->data, page->len / 2);
		conn_cut(conn);
		break;
	case FAULT_CUT:
		conn_cut(conn);
		break;
	case FAULT_STALL:
		conn_stall(conn);
		break;
	case FAULT_NONE:
	case FAULT_EMPTY_PAGE:
	case FAULT_DRIFT:
	case FAULT_BAD_ROWS:
	case FAULT_ZERO_TOTAL:
		conn_answer(conn, 200, "Content-Type: application/json\r\n", page->data, page->len);
		break;
	}
}

static enum fault fault_of(struct model *model, unsigned n, unsigned limit, const char *request)
{
	if (model->good_key && !strstr(request, model->good_key)) {
		return FAULT_403;
	}
	if (model->max_limit && limit > model->max_limit) {
		return FAULT_500;
	}
	return model->at[n] != FAULT_NONE ? model->at[n] : model->always;
}

static void on_request(void *arg, struct http_conn *conn, const char *request)
{
	struct world *w = arg;
	struct model *model = &w->model;
	unsigned n = model->n_requests, limit = (unsigned)number_of(request, "&limit=");
	unsigned offset = (unsigned)number_of(request, "offset=");
	bool descending = strstr(request, "=desc") != NULL;
	_cleanup_buffer_ struct buffer page = {0};

	assert_in_range(n, 0, MAX_REQUESTS - 1);
	model->limits[n] = limit;
	model->offsets[n] = offset;
	model->descending[n] = descending;
	snprintf(n ? model->last : model->first, sizeof(model->first), "%.*s",
		(int)strcspn(request, "\r"), request);
	if (model->shrink_to && n == model->shrink_at) {
		model->n_rows = model->shrink_to;
	}
	if (model->grow_to && n == model->grow_at) {
		model->n_rows = model->grow_to;
	}
	make_page(model, offset, limit, descending, fault_of(model, n, limit, request), &page);
	if (model->delay_ms) {
		model->n_overlaps += uv_now(w->loop) < model->busy_until_ms;
		model->busy_until_ms = uv_now(w->loop) + model->delay_ms;
		conn_delay(conn, model->delay_ms);
	}
	answer_fault(conn, fault_of(model, n, limit, request), &page);
	model->n_requests++;
}

/* ---- the dataset ---- */

enum { STATE, MARKET, ARRIVAL_DATE, PRICE, N_COLUMNS };

static char *names[N_COLUMNS][2] = {{(char *)"State"}, {(char *)"Market", (char *)"market"},
	{(char *)"Arrival_Date"}, {(char *)"Price"}};
static struct column columns[N_COLUMNS] = {
	{.name = (char *)"state", .type = COLUMN_TEXT, .lookup = -1},
	{.name = (char *)"market", .type = COLUMN_TEXT, .lookup = -1},
	{.name = (char *)"arrival_date", .type = COLUMN_DATE, .lookup = -1},
	{.name = (char *)"price", .type = COLUMN_NUMERIC, .lookup = -1, .nullable = true},
};
static struct fact_column fact[N_COLUMNS] = {
	{.name = (char *)"arrival_date", .type = COLUMN_DATE, .column = 2, .lookup = -1},
	{.name = (char *)"state", .type = COLUMN_TEXT, .column = 0, .lookup = -1},
	{.name = (char *)"market", .type = COLUMN_TEXT, .column = 1, .lookup = -1},
	{.name = (char *)"price", .type = COLUMN_NUMERIC, .column = 3, .lookup = -1},
};
static struct source_field fields[N_COLUMNS] = {
	{names[0], 1}, {names[1], 2}, {names[2], 1}, {names[3], 1}};
static unsigned sort_columns[] = {STATE, MARKET};
static char *date_formats[] = {(char *)"%d/%m/%Y"};

static void make_dataset(struct world *w)
{
	w->dataset = (struct dataset){
		.name = (char *)"mandi_prices",
		.date = ARRIVAL_DATE,
		.columns = columns,
		.n_columns = N_COLUMNS,
		.fact = fact,
		.n_fact = N_COLUMNS,
		.n_key = 3,
		.quarantine_limit_ppm = 50000,
	};
	w->source = (struct source){
		.dataset = &w->dataset,
		.name = (char *)"history",
		.label = (char *)"mandi_prices/history",
		.resource = (char *)"35985678-0d79-46b4-9ed6-6f13308a1d24",
		.page_size = PAGE_SIZE,
		.sort = sort_columns,
		.n_sort = N_ELEMENTS(sort_columns),
		.fields = fields,
		.date_formats = date_formats,
		.n_date_formats = 1,
		.slice = {.sliced = true,
			.by = ARRIVAL_DATE,
			.filter = (char *)"filters[Arrival_Date]",
			.format = (char *)"%d-%m-%Y",
			.split_by = STATE,
			.split_filter = (char *)"filters[State.keyword]"},
	};
}

/* ---- the world ---- */

static void on_guard(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("the test hangs");
}

static void open_portal(struct world *w)
{
	assert_int_equal(
		portal_new(w->loop,
			&(struct portal_options){.config = &w->config, .clock = &clock_system},
			&w->portal),
		0);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(fixture_set_up((void **)&w->spool), 0);
	w->loop = &w->spool->loop;
	fixture_open(w->spool);
	uv_timer_init(w->loop, &w->guard);
	uv_timer_start(&w->guard, on_guard, GUARD_MS, 0);
	uv_unref((uv_handle_t *)&w->guard);
	w->server = http_server_new(w->loop, on_request, w);
	snprintf(w->base_url, sizeof(w->base_url), "http://127.0.0.1:%d",
		http_server_port(w->server));
	w->keys[0] = (char *)"first-key-579b464d";
	w->keys[1] = (char *)"second-key-579b464d";
	w->config = (struct config_portal){
		.base_url = w->base_url,
		.api_keys = w->keys,
		.n_api_keys = 2,
		.user_agent = (char *)"ogdsync-test/1.0",
		.requests_per_minute = 600000,
		.parallel = 1,
		.connect_timeout_ms = 5000,
		.request_timeout_ms = 5000,
		.low_speed_ms = 5000,
		.page_bytes = 1024 * 1024,
		.page_max = 10000,
		.attempts = 4,
		.passes = 3,
		.backoff_min_ms = 1,
		.backoff_max_ms = 4,
		.retry_budget_ms = 20000,
		.breaker_after = 100,
		.breaker_probe_ms = 50,
	};
	make_dataset(w);
	w->model.n_rows = 50;
	open_portal(w);
	*state = w;
	return 0;
}

static void on_portal_closed(void *arg)
{
	((struct world *)arg)->portal_closed = true;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	if (w->result.writer) {
		spool_discard(w->result.writer);
	}
	portal_close(w->portal, on_portal_closed, w);
	http_server_close(w->server);
	uv_close((uv_handle_t *)&w->guard, NULL);
	uv_run(w->loop, UV_RUN_DEFAULT);
	assert_true(w->portal_closed);
	assert_int_equal(fixture_tear_down((void **)&w->spool), 0); /* uv_loop_close() == 0 */
	free(w);
	return 0;
}

static void append_once(char *list, size_t size, const char *word)
{
	size_t len = strlen(list), n = strlen(word);

	if (n > 0 && (len < n || strcmp(list + len - n, word) != 0)) {
		snprintf(list + len, size - len, "%s%s", len ? " " : "", word);
	}
}

static void on_progress(void *arg, const struct fetch_progress *progress)
{
	struct world *w = arg;

	assert_int_equal(w->n_done, 0);
	append_once(w->waits, sizeof(w->waits), progress->waiting);
	if (progress->trouble) {
		append_once(w->troubles, sizeof(w->troubles), progress->trouble->code);
		assert_null(strstr(progress->trouble->text, "579b464d"));
	}
	w->last_pages = progress->pages;
	w->n_progress++;
	if (w->n_progress == w->cancel_at_progress ||
		(w->cancel_when_waiting &&
			strcmp(w->cancel_when_waiting, progress->waiting) == 0)) {
		fetch_cancel(w->fetch);
	}
}

static void on_fetched(void *arg, const struct fetch_result *result)
{
	struct world *w = arg;

	w->n_done++;
	w->result = *result;
	w->fetch = NULL;
	assert_null(strstr(result->outcome.text, "579b464d"));
	assert_null(strstr(result->error.text, "579b464d"));
	w->values[0] = '\0';
	for (size_t i = 0; i < result->values->n_values; i++) {
		append_once(w->values, sizeof(w->values), result->values->values[i]);
	}
}

static int start(struct world *w, const char *split_value)
{
	struct spool_header header = header_of_run(1795187440123);

	memcpy(w->uuid, header.uuid, sizeof(w->uuid));
	if (w->result.writer) {
		spool_discard(w->result.writer);
	}
	memset(&w->result, 0, sizeof(w->result));
	w->n_done = w->n_progress = 0;
	w->waits[0] = w->troubles[0] = '\0';
	return fetch_start(&(struct fetch_request){.portal = w->portal,
				   .source = &w->source,
				   .spool = w->spool->spool,
				   .header = &header,
				   .split_value = split_value,
				   .take_reader = w->old_reader,
				   .on_progress = on_progress,
				   .on_done = on_fetched,
				   .arg = w},
		&w->fetch);
}

static void run_until_done(struct world *w)
{
	while (w->n_done == 0) {
		uv_run(w->loop, UV_RUN_ONCE);
	}
	assert_int_equal(w->n_done, 1);
}

static void fetch(struct world *w)
{
	assert_int_equal(start(w, NULL), 0);
	assert_int_equal(w->n_done, 0);
	run_until_done(w);
}

static void expect(struct world *w, enum slice_state state, const char *reason)
{
	const struct spool_outcome *outcome = &w->result.outcome;

	if (outcome->state != state || strcmp(outcome->reason, reason) != 0) {
		fail_msg("%s %s: %s (%s)", slice_state_name(outcome->state), outcome->reason,
			outcome->text, w->troubles);
	}
}

/* ---- what lies in the spool ---- */

struct found {
	unsigned pages, rows, distinct;
	bool seen[1000]; /* by the number of the market */
};

static void count_rows(const char *text, struct found *found)
{
	while ((text = strstr(text, ":\"Market "))) {
		unsigned i = (unsigned)strtoul(text + 9, NULL, 10);

		assert_in_range(i, 0, N_ELEMENTS(found->seen) - 1);
		found->rows++;
		found->distinct += !found->seen[i];
		found->seen[i] = true;
		text++;
	}
}

/* Commit what came and read it again. */
static struct found read_spool(struct world *w)
{
	struct outcome done = {0};
	struct spool_reader *reader;
	struct found found = {0};
	struct error error = {0};
	_cleanup_buffer_ struct buffer text = {0};
	enum spool_item item;
	const void *data;
	size_t len;

	spool_commit(w->result.writer, &w->result.outcome, on_done, &done);
	w->result.writer = NULL;
	while (!done.done) {
		uv_run(w->loop, UV_RUN_ONCE);
	}
	assert_false(error_is_set(&done.error));
	reader = open_reader(w->spool, w->uuid);
	assert_int_equal(spool_reader_outcome(reader)->state, w->result.outcome.state);
	while ((item = spool_reader_next(reader, &data, &len, &error)) != SPOOL_END) {
		assert_int_not_equal(item, SPOOL_ERROR);
		if (item == SPOOL_DATA) {
			buffer_append(&text, data, len);
			continue;
		}
		assert_int_equal(text.data[text.len - 1], '}');
		count_rows(buffer_str(&text), &found);
		assert_int_equal(spool_reader_page(reader)->total, w->model.n_rows);
		assert_int_equal(spool_reader_page(reader)->updated, 1795187440);
		buffer_clear(&text);
		found.pages++;
	}
	spool_reader_free(reader);
	return found;
}

/* Proven, and everything is there once. */
static void expect_whole(struct world *w)
{
	struct found found;

	expect(w, SLICE_PROVEN, "");
	assert_int_equal(w->result.error.class, ERROR_NONE);
	found = read_spool(w);
	assert_int_equal(found.distinct, w->model.n_rows);
	assert_int_equal(found.rows, w->result.outcome.received);
	assert_int_equal(found.pages, w->result.outcome.pages);
}

/* ---- paging ---- */

static void fetches_page_by_page(void **state)
{
	struct world *w = *state;
	const struct spool_outcome *outcome = &w->result.outcome;

	fetch(w);
	expect(w, SLICE_PROVEN, "");
	assert_string_equal(w->model.first,
		"GET /resource/35985678-0d79-46b4-9ed6-6f13308a1d24?format=json&offset=0&limit=20"
		"&filters%5BArrival_Date%5D=19-11-2026&sort%5BState%5D=asc&sort%5BMarket%5D=asc"
		"&api-key=first-key-579b464d HTTP/1.1");
	assert_non_null(strstr(w->model.last, "offset=40&limit=20"));
	assert_int_equal(w->model.n_requests, 3);
	assert_int_equal(w->result.n_requests, 3);
	assert_int_equal(w->result.n_retries, 0);
	assert_int_equal(outcome->expected, 50);
	assert_int_equal(outcome->received, 50);
	assert_int_equal(outcome->distinct, 50);
	assert_int_equal(outcome->quarantined, 0);
	assert_int_equal(outcome->pages, 3);
	assert_int_equal(outcome->passes, 1);
	assert_int_equal(outcome->updated, 1795187440);
	assert_true(outcome->finished_us > 1700000000000000);
	assert_false(w->result.sort_ignored);
	assert_false(w->result.key_limited);
	assert_string_equal(w->values, "S00 S01 S02 S03 S04");
	assert_string_equal(w->troubles, "");
	assert_int_equal(w->last_pages, 3);
	expect_whole(w);
}

static void advances_by_rows_received(void **state)
{
	struct world *w = *state;

	w->model.cap = 7;
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->model.n_requests, 8);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(w->model.offsets[i], i * 7);
	}
	assert_false(w->result.key_limited);
}

static void asks_again_for_an_empty_page(void **state)
{
	struct world *w = *state;

	w->model.at[1] = w->model.at[2] = FAULT_EMPTY_PAGE;
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->model.n_requests, 5);
	assert_true(w->waits[0] == 0 || strcmp(w->waits, "empty") == 0); /* a pause may be 0 */
	assert_string_equal(w->troubles, "empty_page");
}

static void does_not_believe_in_empty_pages_for_ever(void **state)
{
	struct world *w = *state;

	for (unsigned i = 1; i < MAX_REQUESTS; i++) {
		w->model.at[i] = FAULT_EMPTY_PAGE;
	}
	fetch(w);
	expect(w, SLICE_PARTIAL, "incomplete");
	assert_string_equal(w->result.outcome.text, "20 of 50 rows came in 3 passes");
	assert_int_equal(w->result.outcome.received, 20);
	assert_true(w->model.n_requests <= 20);
}

static void nothing_is_suspect(void **state)
{
	struct world *w = *state;

	w->model.always = FAULT_ZERO_TOTAL;
	fetch(w);
	expect(w, SLICE_SUSPECT, "nothing");
	assert_string_equal(w->result.outcome.text, "the portal answered 200 with total 0");
	assert_int_equal(w->result.error.class, ERROR_NONE);
	assert_int_equal(w->result.outcome.pages, 0);
	assert_int_equal(w->result.outcome.expected, 0);
}

static void proves_an_unsorted_slice_by_passes(void **state)
{
	struct world *w = *state;
	bool seen_descending = false;

	w->model.unsorted = true;
	fetch(w);
	assert_true(w->result.sort_ignored);
	assert_true(w->result.outcome.passes > 1);
	for (unsigned i = 0; i < w->model.n_requests; i++) {
		seen_descending |= w->model.descending[i];
	}
	assert_true(seen_descending);
	if (w->result.outcome.state == SLICE_PROVEN) {
		expect_whole(w);
	} else {
		expect(w, SLICE_PARTIAL, "incomplete");
		assert_int_equal(w->result.outcome.passes, 3);
	}
}

static void starts_again_when_the_snapshot_shrinks(void **state)
{
	struct world *w = *state;

	w->model.shrink_at = 2;
	w->model.shrink_to = 45;
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->result.outcome.received, 45);
	assert_int_equal(w->result.outcome.pages, 3);
	assert_string_equal(w->values, "S00 S01 S02 S03 S04");
}

static void goes_on_when_the_snapshot_grows(void **state)
{
	struct world *w = *state;

	w->model.grow_at = 2;
	w->model.grow_to = 75;
	fetch(w);
	assert_int_equal(w->result.outcome.expected, 75);
	assert_int_equal(w->result.outcome.distinct, 75);
	assert_int_equal(w->result.outcome.state, SLICE_PROVEN);
	assert_true(w->model.descending[w->model.n_requests - 1]);
	assert_false(w->result.sort_ignored); /* the second pass is to be descending */
}

static void asks_for_a_part_of_a_slice(void **state)
{
	struct world *w = *state;

	w->model.n_rows = 10; /* all of S00 */
	assert_int_equal(start(w, "S00"), 0);
	run_until_done(w);
	expect_whole(w);
	assert_non_null(strstr(w->model.first,
		"&filters%5BArrival_Date%5D=19-11-2026&filters%5BState.keyword%5D=S00&sort"));
}

/* ---- retries ---- */

struct retry_case {
	enum fault fault;
	const char *code;
	unsigned next_limit; /* what is asked for then */
};

static const struct retry_case retry_cases[] = {
	{FAULT_500, "http_500", 10},
	{FAULT_502, "http_502", 20},
	{FAULT_504, "http_504", 10},
	{FAULT_429, "rate_limited", 20},
	{FAULT_503_NOW, "http_503", 20},
	{FAULT_STATUS_ERROR, "portal_error", 20},
	{FAULT_HTML, "not_json", 20},
	{FAULT_BAD_JSON, "bad_json", 20},
	{FAULT_EMPTY_BODY, "empty_body", 20},
	{FAULT_TRUNCATED, "truncated", 20},
	{FAULT_STALL, "timeout", 20},
};

/* Each fault at the first, the second and the last page: then nothing is missing and nothing
 * double. */
static void tries_again(void **state)
{
	struct world *w = *state;

	portal_close(w->portal, on_portal_closed, w);
	w->config.request_timeout_ms = 100;
	open_portal(w);
	for (size_t i = 0; i < N_ELEMENTS(retry_cases); i++) {
		for (unsigned n = 0; n < 3; n++) {
			/* A resource of its own: page sizes are remembered. */
			char resource[40];

			snprintf(resource, sizeof(resource), "%zu-%u", i, n);
			w->source.resource = resource;
			w->model = (struct model){.n_rows = 50};
			w->model.at[n] = retry_cases[i].fault;
			fetch(w);
			expect(w, SLICE_PROVEN, "");
			assert_string_equal(w->troubles, retry_cases[i].code);
			assert_int_equal(w->result.n_retries, 1);
			assert_int_equal(w->model.offsets[n + 1], n * 20);
			assert_int_equal(w->model.limits[n + 1], retry_cases[i].next_limit);
			if (w->waits[0]) { /* the pause may be 0 */
				assert_string_equal(w->waits,
					retry_cases[i].fault == FAULT_429 ? "hold" : "retry");
			}
			expect_whole(w);
		}
	}
}

static void gives_up_after_attempts(void **state)
{
	struct world *w = *state;

	for (unsigned i = 2; i < MAX_REQUESTS; i++) {
		w->model.at[i] = FAULT_502;
	}
	fetch(w);
	expect(w, SLICE_PARTIAL, "http_502");
	assert_string_equal(w->result.outcome.text, "the portal answered 502 Bad Gateway");
	assert_int_equal(w->result.error.class, ERROR_RETRY);
	assert_int_equal(w->model.n_requests, 2 + 4);
	assert_int_equal(w->result.outcome.received, 40);
	assert_int_equal(w->result.outcome.expected, 50);
	assert_int_equal(read_spool(w).rows, 40);

	w->model = (struct model){.n_rows = 50, .always = FAULT_HTML};
	fetch(w);
	expect(w, SLICE_FAILED, "not_json");
	assert_int_equal(w->result.error.class, ERROR_RETRY);
	assert_int_equal(w->result.outcome.expected, -1);
	assert_int_equal(w->model.n_requests, 4);
	assert_false(w->result.replayable);
}

static void attempts_are_counted_per_page(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 30; i++) {
		w->model.at[i] = i % 4 == 3 ? FAULT_NONE : FAULT_502;
	}
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->result.n_retries, 9);
}

static void budget_is_the_runs(void **state)
{
	struct world *w = *state;

	w->config.retry_budget_ms = 86400 * 1000 - 1;
	w->model.at[1] = FAULT_429_LONG;
	fetch(w);
	expect(w, SLICE_PARTIAL, "rate_limited");
	assert_string_equal(w->result.outcome.text, "the portal answered 429 Rate limit exceeded");
	assert_int_equal(w->model.n_requests, 2);
	/* The hold is of the host: the next slice of this run does not even ask. */
	fetch(w);
	expect(w, SLICE_FAILED, "host_held");
	assert_non_null(strstr(w->result.outcome.text, "the portal wants to be left alone for 86"));
	assert_int_equal(w->model.n_requests, 2);
	assert_int_equal(w->result.error.class, ERROR_RETRY);
	/* With a budget for it, it waits. */
	w->config.retry_budget_ms = 2 * 86400 * 1000;
	w->cancel_when_waiting = "hold";
	fetch(w);
	expect(w, SLICE_FAILED, "canceled");
}

static void waits_for_the_breaker(void **state)
{
	struct world *w = *state;

	portal_close(w->portal, on_portal_closed, w);
	w->config.breaker_after = 2;
	open_portal(w);
	w->model.at[1] = w->model.at[2] = FAULT_502;
	fetch(w);
	expect_whole(w);
	assert_non_null(strstr(w->waits, "breaker"));
}

static void keeps_the_pace(void **state)
{
	struct world *w = *state;
	uint64_t begin = uv_now(w->loop);

	portal_close(w->portal, on_portal_closed, w);
	w->config.requests_per_minute = 60 * 20;
	open_portal(w);
	w->source.page_size = 5;
	fetch(w);
	expect_whole(w);
	assert_string_equal(w->waits, "pace");
	assert_true(uv_now(w->loop) - begin >= 300);
}

static void remembers_what_page_was_too_large(void **state)
{
	struct world *w = *state;

	w->model.max_limit = 12;
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->result.n_retries, 1);
	assert_int_equal(w->model.limits[1], 10);
	w->model.n_requests = 0;
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->result.n_retries, 0);
	assert_int_equal(w->model.limits[0], 10);
}

/* ---- more than one page at a time ---- */

static void asks_ahead(void **state)
{
	struct world *w = *state;

	w->config.parallel = 3;
	w->model = (struct model){.n_rows = 130, .delay_ms = 20};
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->model.n_requests, 7);
	assert_true(w->model.n_overlaps >= 4);
	assert_int_equal(w->result.outcome.pages, 7);
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(w->model.offsets[i], i * PAGE_SIZE);
	}
	assert_int_equal(http_server_connections(w->server), 3);
}

/* Short pages: what was asked ahead is wrong, and none of it counts. */
static void drops_what_was_asked_ahead_in_vain(void **state)
{
	struct world *w = *state;

	w->config.parallel = 3;
	w->model = (struct model){.n_rows = 130, .delay_ms = 5, .short_at = 2};
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->result.outcome.received, 130);
	assert_true(w->model.n_requests > 7);
}

static void never_asks_ahead_behind_short_pages(void **state)
{
	struct world *w = *state;

	w->config.parallel = 3;
	w->model = (struct model){.n_rows = 50, .delay_ms = 5, .cap = 7};
	fetch(w);
	expect_whole(w);
	assert_int_equal(w->model.n_overlaps, 0);
	assert_int_equal(w->model.n_requests, 8);
}

/* Every fault at every request of a slice that is asked for three pages at a time. */
static void tries_again_what_was_asked_ahead(void **state)
{
	struct world *w = *state;

	portal_close(w->portal, on_portal_closed, w);
	w->config.request_timeout_ms = 100;
	w->config.parallel = 3;
	open_portal(w);
	for (size_t i = 0; i < N_ELEMENTS(retry_cases); i++) {
		for (unsigned n = 0; n < 7; n++) {
			char resource[40];

			snprintf(resource, sizeof(resource), "%zu-%u", i, n);
			w->source.resource = resource;
			w->model = (struct model){.n_rows = 130};
			w->model.delay_ms = n % 2;
			w->model.at[n] = retry_cases[i].fault;
			fetch(w);
			expect_whole(w);
			assert_int_equal(w->result.outcome.received, 130);
		}
	}
}

static void paces_what_it_asks_ahead(void **state)
{
	struct world *w = *state;
	uint64_t begin = uv_now(w->loop);

	portal_close(w->portal, on_portal_closed, w);
	w->config.requests_per_minute = 60 * 20;
	w->config.parallel = 2;
	open_portal(w);
	w->model.n_rows = 200;
	w->model.delay_ms = 80;
	fetch(w);
	expect_whole(w);
	assert_true(w->model.n_overlaps > 0);
	assert_true(uv_now(w->loop) - begin >= 350); /* 10 requests, 50 ms each, 2 at once */
}

/* ---- keys ---- */

static void takes_the_next_key_on_403(void **state)
{
	struct world *w = *state;

	w->model.good_key = "second-key";
	fetch(w);
	expect_whole(w);
	assert_string_equal(w->troubles, "key_refused");
	assert_int_equal(w->model.n_requests, 4);
	/* Refused for the rest of the run, but not of the next. */
	w->model.n_requests = 0;
	fetch(w);
	assert_int_equal(w->model.n_requests, 3);
	portal_begin_run(w->portal);
	w->model.n_requests = 0;
	fetch(w);
	assert_int_equal(w->model.n_requests, 4);
	assert_non_null(strstr(w->model.first, "first-key"));
}

static void stops_without_a_key(void **state)
{
	struct world *w = *state;

	w->model.good_key = "another-key";
	fetch(w);
	expect(w, SLICE_FAILED, "key_refused");
	assert_int_equal(w->result.error.class, ERROR_REJECTED);
	assert_string_equal(
		w->result.error.text, "the portal refused the API key (403 Key not authorised)");
	assert_int_equal(w->model.n_requests, 2);
	fetch(w);
	expect(w, SLICE_FAILED, "key_refused");
	assert_int_equal(w->model.n_requests, 2);
	w->config.n_api_keys = 0;
	fetch(w);
	expect(w, SLICE_FAILED, "key_missing");
	assert_string_equal(w->result.error.text, "no API key is configured (portal.api_key)");
}

static void stops_when_rejected(void **state)
{
	static const struct {
		enum fault fault;
		const char *code, *text;
	} cases[] = {
		{FAULT_400, "key_missing",
			"the portal found no API key in the request "
			"(400 Authorization field missing)"},
		{FAULT_404, "http_404", "the portal answered 404 Not Found"},
		{FAULT_META, "portal_error", "the portal says: Meta not found"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		w->model = (struct model){.n_rows = 50, .always = cases[i].fault};
		fetch(w);
		expect(w, SLICE_FAILED, cases[i].code);
		assert_string_equal(w->result.outcome.text, cases[i].text);
		assert_int_equal(w->result.error.class, ERROR_REJECTED);
		assert_int_equal(w->model.n_requests, 1);
	}
	/* With rows in hand they are kept. */
	w->model = (struct model){.n_rows = 50, .at = {[1] = FAULT_404}};
	fetch(w);
	expect(w, SLICE_PARTIAL, "http_404");
	assert_int_equal(read_spool(w).rows, 20);
}

static void finishes_with_a_limited_key(void **state)
{
	struct world *w = *state;

	w->model.cap = 10;
	fetch(w);
	expect_whole(w);
	assert_true(w->result.key_limited);
	assert_int_equal(w->model.n_requests, 5);
	assert_int_equal(w->last_pages, 5);
}

static void stops_with_a_limited_key(void **state)
{
	struct world *w = *state;

	w->model.cap = 10;
	w->model.n_rows = 900;
	w->config.requests_per_minute = 60; /* 88 s are left, 20 may be */
	fetch(w);
	expect(w, SLICE_PARTIAL, "key_limited");
	assert_string_equal(
		w->result.outcome.text, "key is limited to 10 rows a call: 20 of 900 rows came");
	assert_int_equal(w->result.error.class, ERROR_REJECTED);
	assert_int_equal(w->model.n_requests, 2);
}

static void says_limited_key_when_the_limit_was_reached(void **state)
{
	struct world *w = *state;

	w->model.cap = 10;
	for (unsigned i = 3; i < MAX_REQUESTS; i++) {
		w->model.at[i] = FAULT_429;
	}
	fetch(w);
	expect(w, SLICE_PARTIAL, "key_limited");
	assert_string_equal(w->result.outcome.text,
		"key is limited to 10 rows a call: the portal answered 429 Rate limit exceeded");
}

static void ten_rows_that_are_all_are_no_limit(void **state)
{
	struct world *w = *state;

	w->model.n_rows = 10;
	fetch(w);
	expect_whole(w);
	assert_false(w->result.key_limited);
}

/* ---- content ---- */

static void fails_when_a_filter_is_ignored(void **state)
{
	static struct source_filter own = {(char *)"filters[State]", (char *)"S00"};
	struct world *w = *state;

	w->model.other_day = true;
	fetch(w);
	expect(w, SLICE_FAILED, "filter_ignored");
	assert_string_equal(w->result.outcome.text,
		"the portal ignores the filter filters[Arrival_Date]=19-11-2026: record 0 of the "
		"page has arrival_date \"18/11/2026\"");
	assert_int_equal(w->result.error.class, ERROR_REJECTED);
	assert_int_equal(w->model.n_requests, 1);
	assert_false(w->result.replayable);

	w->model = (struct model){.n_rows = 50, .other_state = true};
	assert_int_equal(start(w, "S00"), 0);
	run_until_done(w);
	expect(w, SLICE_FAILED, "filter_ignored");
	assert_string_equal(w->result.outcome.text,
		"the portal ignores the filter filters[State.keyword]=S00: record 0 of the page "
		"has state \"X00\"");

	w->model = (struct model){.n_rows = 50};
	w->source.filters = &own;
	w->source.n_filters = 1;
	fetch(w);
	expect(w, SLICE_FAILED, "filter_ignored");
	assert_string_equal(w->result.outcome.text,
		"the portal ignores the filter filters[State]=S00: record 10 of the page has "
		"state \"S01\"");
}

static void fails_when_a_field_is_gone(void **state)
{
	struct world *w = *state;

	w->model.at[1] = FAULT_DRIFT;
	fetch(w);
	expect(w, SLICE_FAILED, "schema_drift");
	assert_string_equal(w->result.outcome.text,
		"no record of the page has column market; names tried: Market, market");
	assert_int_equal(w->result.error.class, ERROR_REJECTED);
	assert_true(w->result.replayable);
	assert_int_equal(w->result.outcome.pages, 2);
	/* The page is kept, to be loaded when the dataset knows the new name. */
	assert_int_equal(read_spool(w).pages, 2);
}

static void bears_some_bad_rows(void **state)
{
	struct world *w = *state;

	w->model.at[1] = FAULT_BAD_ROWS;
	fetch(w); /* 2 of 50: 4 % */
	expect(w, SLICE_PROVEN, "");
	assert_int_equal(w->result.outcome.quarantined, 2);
	expect_whole(w);
}

static void fails_with_too_many_bad_rows(void **state)
{
	struct world *w = *state;
	const char *text = w->result.outcome.text;

	w->model.always = FAULT_BAD_ROWS;
	fetch(w);
	expect(w, SLICE_FAILED, "too_many_bad_rows");
	assert_string_equal(text,
		"6 of 50 rows cannot be read, more than 5 %; the first: price: \"12..5\" is no "
		"number");
	assert_int_equal(w->result.error.class, ERROR_NONE); /* the next slice may be better */
	assert_true(w->result.replayable);
	assert_int_equal(w->result.outcome.quarantined, 6);
	assert_int_equal(read_spool(w).rows, 50);
}

/* ---- the spool is full ---- */

static void waits_for_room_in_the_spool(void **state)
{
	struct world *w = *state;

	spool_free(w->spool->spool);
	fixture_open_with(w->spool, &(struct spool_options){.max_bytes = 500});
	w->cancel_when_waiting = "spool_full";
	fetch(w);
	assert_string_equal(w->troubles, "spool_full");
	assert_string_equal(w->result.outcome.reason, "canceled");
	assert_int_equal(w->result.error.class, ERROR_CANCELED);
}

/* ---- after an interruption ---- */

static int ignore_part(void *arg, const struct spool_interrupted *part)
{
	assert_string_equal(part->header.uuid, ((struct world *)arg)->uuid);
	return 0;
}

/*
 * Fetch until `n_pages` are there, and then all over with a copy of the spool, as after a crash.
 * What is to be gone on with is in w->old_reader.
 */
static void interrupt(struct world *w, unsigned n_pages)
{
	struct error error = {0};
	char command[200], old[64];

	assert_int_equal(start(w, NULL), 0);
	while (w->n_done == 0 && w->model.n_requests <= n_pages) {
		uv_run(w->loop, UV_RUN_ONCE);
	}
	if (w->n_done == 0) {
		fetch_cancel(w->fetch);
		run_until_done(w);
	}
	memcpy(old, w->spool->directory, sizeof(old));
	snprintf(w->spool->directory, sizeof(w->spool->directory), "/tmp/test-fetch-XXXXXX");
	assert_non_null(mkdtemp(w->spool->directory));
	snprintf(command, sizeof(command), "cp %s/*%s.part %s", old, w->uuid, w->spool->directory);
	assert_int_equal(system(command), 0);
	spool_discard(w->result.writer);
	w->result.writer = NULL;
	spool_free(w->spool->spool);
	remove_directory(old);
	fixture_open(w->spool);
	assert_int_equal(spool_recover(w->spool->spool, ignore_part, w, &error), 0);
	w->old_reader = open_reader(w->spool, w->uuid);
}

static void resume(struct world *w)
{
	assert_int_equal(start(w, NULL), 0);
	w->old_reader = NULL;
}

static void goes_on_after_an_interruption(void **state)
{
	struct world *w = *state;

	w->model.n_rows = 130;
	w->model.delay_ms = 2;
	interrupt(w, 3);
	w->model.n_requests = 0;
	resume(w);
	run_until_done(w);
	expect(w, SLICE_PROVEN, "");
	assert_true(w->result.resumed);
	assert_int_equal(w->model.offsets[0], 60);
	assert_int_equal(w->model.n_requests, 4);
	assert_int_equal(w->result.outcome.pages, 7);
	assert_int_equal(w->result.outcome.received, 130);
	assert_string_equal(w->values, "S00 S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S12");
	expect_whole(w);
}

static void begins_afresh_with_other_data(void **state)
{
	struct world *w = *state;

	for (int change = 1; change >= -1; change -= 2) {
		w->model = (struct model){.n_rows = 130, .delay_ms = 2};
		interrupt(w, 3);
		w->model.n_rows = 130 + change;
		w->model.n_requests = 0;
		resume(w);
		run_until_done(w);
		expect(w, SLICE_PROVEN, "");
		assert_false(w->result.resumed);
		assert_int_equal(w->model.offsets[0], 60);
		assert_int_equal(w->model.offsets[1], 0);
		assert_int_equal(w->result.outcome.received, w->model.n_rows);
		expect_whole(w);
	}
}

/* The process died when it had all pages, and had not said so. */
static void asks_nothing_if_all_was_there(void **state)
{
	struct world *w = *state;

	w->model.n_rows = 130;
	w->model.delay_ms = 2;
	interrupt(w, 100);
	w->model.n_requests = 0;
	resume(w);
	run_until_done(w);
	assert_true(w->result.resumed);
	assert_int_equal(w->model.n_requests, 0);
	expect_whole(w);
}

static void goes_on_behind_a_damaged_page(void **state)
{
	struct world *w = *state;
	char path[PATH_MAX];
	FILE *file;

	w->model.n_rows = 130;
	w->model.delay_ms = 2;
	interrupt(w, 4);
	snprintf(path, sizeof(path), "%s/1795187440123-%s.part", w->spool->directory, w->uuid);
	file = fopen(path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, -10, SEEK_END), 0);
	assert_true(fputs("damage", file) >= 0);
	assert_int_equal(fclose(file), 0);
	w->model.n_requests = 0;
	resume(w);
	run_until_done(w);
	expect(w, SLICE_PROVEN, "");
	assert_false(w->result.resumed);
	assert_int_equal(w->model.offsets[0], 60);
	expect_whole(w);
}

static void is_interrupted_again_at_any_time(void **state)
{
	struct world *w = *state;

	for (unsigned n = 0; n < 15; n++) {
		w->model = (struct model){.n_rows = 130, .delay_ms = 2};
		interrupt(w, 4);
		resume(w);
		for (unsigned i = 0; i < n && w->n_done == 0; i++) {
			uv_run(w->loop, UV_RUN_NOWAIT);
		}
		if (w->n_done == 0) {
			fetch_cancel(w->fetch);
		}
		run_until_done(w);
		assert_true(w->result.outcome.received <= 80);
		assert_true(!w->result.resumed || w->result.outcome.received == 80);
		if (w->result.writer) {
			spool_discard(w->result.writer);
			w->result.writer = NULL;
		}
	}
}

/* ---- cancel, memory ---- */

static void cancel_at(struct world *w, unsigned n)
{
	assert_int_equal(start(w, NULL), 0);
	for (unsigned i = 0; i < n && w->n_done == 0; i++) {
		uv_run(w->loop, UV_RUN_NOWAIT);
	}
	if (w->n_done == 0) {
		fetch_cancel(w->fetch);
		assert_int_equal(w->n_done, 0);
		run_until_done(w);
		assert_int_equal(w->result.error.class, ERROR_CANCELED);
		expect(w, w->result.outcome.received ? SLICE_PARTIAL : SLICE_FAILED, "canceled");
	}
	if (w->result.outcome.pages > 0) {
		assert_int_equal(read_spool(w).rows, w->result.outcome.received);
	}
}

static void cancels_at_any_time(void **state)
{
	struct world *w = *state;

	for (unsigned n = 0; n < 120; n++) {
		w->config.parallel = 1 + n % 3;
		w->model = (struct model){.n_rows = 150, .at = {[1] = FAULT_502, [4] = FAULT_CUT}};
		w->model.delay_ms = n / 3 % 2;
		cancel_at(w, n / 2);
	}
}

static void cancels_from_its_own_callback(void **state)
{
	struct world *w = *state;

	for (unsigned n = 1; n < 12; n++) {
		w->model = (struct model){.n_rows = 50, .at = {[1] = FAULT_502}};
		w->cancel_at_progress = n;
		fetch(w);
		if (w->result.outcome.state != SLICE_PROVEN) {
			assert_string_equal(w->result.outcome.reason, "canceled");
		}
	}
}

static bool fetch_without_memory(struct world *w, unsigned n)
{
	bool failed;
	int r;

	w->model = (struct model){.n_rows = 30};
	fail_alloc_at(n);
	r = start(w, NULL);
	if (r == 0) {
		run_until_done(w);
	}
	failed = fail_alloc_end();
	assert_true(r == 0 || r == -ENOMEM);
	if (r == 0) {
		expect(w, SLICE_PROVEN, "");
		assert_int_equal(w->result.outcome.received, 30);
	}
	return failed;
}

/* One allocation that fails costs a try at most. */
static void survives_no_memory(void **state)
{
	struct world *w = *state;
	unsigned n = 1;

	while (fetch_without_memory(w, n)) {
		n++;
	}
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define fetch_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		fetch_test(fetches_page_by_page),
		fetch_test(advances_by_rows_received),
		fetch_test(asks_again_for_an_empty_page),
		fetch_test(does_not_believe_in_empty_pages_for_ever),
		fetch_test(nothing_is_suspect),
		fetch_test(proves_an_unsorted_slice_by_passes),
		fetch_test(starts_again_when_the_snapshot_shrinks),
		fetch_test(goes_on_when_the_snapshot_grows),
		fetch_test(asks_for_a_part_of_a_slice),
		fetch_test(tries_again),
		fetch_test(gives_up_after_attempts),
		fetch_test(attempts_are_counted_per_page),
		fetch_test(budget_is_the_runs),
		fetch_test(waits_for_the_breaker),
		fetch_test(keeps_the_pace),
		fetch_test(remembers_what_page_was_too_large),
		fetch_test(asks_ahead),
		fetch_test(drops_what_was_asked_ahead_in_vain),
		fetch_test(never_asks_ahead_behind_short_pages),
		fetch_test(tries_again_what_was_asked_ahead),
		fetch_test(paces_what_it_asks_ahead),
		fetch_test(takes_the_next_key_on_403),
		fetch_test(stops_without_a_key),
		fetch_test(stops_when_rejected),
		fetch_test(finishes_with_a_limited_key),
		fetch_test(stops_with_a_limited_key),
		fetch_test(says_limited_key_when_the_limit_was_reached),
		fetch_test(ten_rows_that_are_all_are_no_limit),
		fetch_test(fails_when_a_filter_is_ignored),
		fetch_test(fails_when_a_field_is_gone),
		fetch_test(bears_some_bad_rows),
		fetch_test(fails_with_too_many_bad_rows),
		fetch_test(waits_for_room_in_the_spool),
		fetch_test(goes_on_after_an_interruption),
		fetch_test(begins_afresh_with_other_data),
		fetch_test(asks_nothing_if_all_was_there),
		fetch_test(goes_on_behind_a_damaged_page),
		fetch_test(is_interrupted_again_at_any_time),
		fetch_test(cancels_at_any_time),
		fetch_test(cancels_from_its_own_callback),
		fetch_test(survives_no_memory),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
