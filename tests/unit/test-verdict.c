/*
 * What an answer means for the fetch. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "daemon/verdict.h"
#include "lib/attr.h"

struct verdict_case {
	int status;
	enum error_class transport_class;
	const char *transport; /* code, or NULL */
	enum error_class content_class;
	const char *content; /* code, or NULL */
	const char *message;
	/* what is due */
	enum verdict_action action;
	unsigned smaller_page_after;
	enum verdict_host host;
	const char *code;
	const char *text; /* NULL: "<code> text" of the error that was handed in */
};

static const struct verdict_case cases[] = {
	/* good */
	{.status = 200, .action = VERDICT_ACCEPT},
	/* transport */
	{.transport_class = ERROR_RETRY,
		.transport = "timeout",
		.action = VERDICT_RETRY,
		.smaller_page_after = 2,
		.host = HOST_TROUBLE,
		.code = "timeout"},
	{.status = 200,
		.transport_class = ERROR_RETRY,
		.transport = "slow",
		.action = VERDICT_RETRY,
		.smaller_page_after = 2,
		.host = HOST_TROUBLE,
		.code = "slow"},
	{.transport_class = ERROR_RETRY,
		.transport = "resolve",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "resolve"},
	{.transport_class = ERROR_RETRY,
		.transport = "connect",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "connect"},
	{.transport_class = ERROR_RETRY,
		.transport = "tls",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "tls"},
	{.transport_class = ERROR_REJECTED,
		.transport = "tls",
		.action = VERDICT_REJECT,
		.host = HOST_UNKNOWN,
		.code = "tls"},
	{.status = 200,
		.transport_class = ERROR_RETRY,
		.transport = "truncated",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "truncated"},
	{.status = 200,
		.transport_class = ERROR_REJECTED,
		.transport = "too_large",
		.action = VERDICT_RETRY,
		.smaller_page_after = 1,
		.code = "too_large"},
	{.transport_class = ERROR_RETRY,
		.transport = "no_memory",
		.action = VERDICT_RETRY,
		.host = HOST_UNKNOWN,
		.code = "no_memory"},
	{.transport_class = ERROR_CANCELED,
		.transport = "canceled",
		.action = VERDICT_CANCEL,
		.host = HOST_UNKNOWN,
		.code = "canceled"},
	/* a body that is no list of records */
	{.status = 200,
		.content_class = ERROR_RETRY,
		.content = "bad_json",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "bad_json"},
	{.status = 200,
		.content_class = ERROR_RETRY,
		.content = "not_json",
		.transport_class = ERROR_CANCELED,
		.transport = "aborted",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "not_json"},
	{.status = 200,
		.content_class = ERROR_RETRY,
		.content = "empty_body",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "empty_body"},
	{.status = 204,
		.content_class = ERROR_RETRY,
		.content = "empty_body",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "empty_body"},
	{.status = 200,
		.content_class = ERROR_RETRY,
		.content = "portal_error",
		.action = VERDICT_RETRY,
		.code = "portal_error"},
	{.status = 200,
		.content_class = ERROR_RETRY,
		.content = "gateway_error",
		.action = VERDICT_RETRY,
		.code = "gateway_error"},
	{.status = 200,
		.content_class = ERROR_RETRY,
		.content = "no_total",
		.action = VERDICT_RETRY,
		.code = "no_total"},
	{.status = 200,
		.content_class = ERROR_REJECTED,
		.content = "portal_error",
		.action = VERDICT_REJECT,
		.code = "portal_error"},
	{.status = 200,
		.content_class = ERROR_REJECTED,
		.content = "filter_ignored",
		.transport_class = ERROR_CANCELED,
		.transport = "aborted",
		.action = VERDICT_REJECT,
		.code = "filter_ignored"},
	/* statuses */
	{.status = 500,
		.action = VERDICT_RETRY,
		.smaller_page_after = 1,
		.host = HOST_TROUBLE,
		.code = "http_500",
		.text = "the portal answered 500 Internal Server Error"},
	{.status = 502,
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "http_502",
		.text = "the portal answered 502 Bad Gateway"},
	{.status = 502,
		.transport_class = ERROR_RETRY,
		.transport = "truncated",
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "http_502",
		.text = "the portal answered 502 Bad Gateway"},
	{.status = 503,
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "http_503",
		.text = "the portal answered 503 Service Unavailable"},
	{.status = 504,
		.action = VERDICT_RETRY,
		.smaller_page_after = 1,
		.host = HOST_TROUBLE,
		.code = "http_504",
		.text = "the portal answered 504 Gateway Timeout"},
	{.status = 500,
		.message = "There was a problem proxying the request",
		.action = VERDICT_RETRY,
		.smaller_page_after = 1,
		.host = HOST_TROUBLE,
		.code = "http_500",
		.text = "the portal answered 500 There was a problem proxying the request"},
	{.status = 599,
		.action = VERDICT_RETRY,
		.host = HOST_TROUBLE,
		.code = "http_599",
		.text = "the portal answered 599"},
	{.status = 429,
		.message = "Rate limit exceeded",
		.action = VERDICT_HOLD,
		.code = "rate_limited",
		.text = "the portal answered 429 Rate limit exceeded"},
	{.status = 429,
		.action = VERDICT_HOLD,
		.code = "rate_limited",
		.text = "the portal answered 429 Too Many Requests"},
	{.status = 408,
		.action = VERDICT_RETRY,
		.code = "http_408",
		.text = "the portal answered 408 Request Timeout"},
	{.status = 403,
		.message = "Key not authorised",
		.action = VERDICT_NEXT_KEY,
		.code = "key_refused",
		.text = "the portal refused the API key (403 Key not authorised)"},
	{.status = 401,
		.action = VERDICT_NEXT_KEY,
		.code = "key_refused",
		.text = "the portal refused the API key (401 Unauthorized)"},
	{.status = 403,
		.action = VERDICT_NEXT_KEY,
		.code = "http_403",
		.text = "the portal refused the request (403 Forbidden)"},
	{.status = 400,
		.message = "Authorization field missing",
		.action = VERDICT_REJECT,
		.code = "key_missing",
		.text = "the portal found no API key in the request "
			"(400 Authorization field missing)"},
	{.status = 400,
		.action = VERDICT_REJECT,
		.code = "http_400",
		.text = "the portal rejected the request (400 Bad Request)"},
	{.status = 404,
		.action = VERDICT_REJECT,
		.code = "http_404",
		.text = "the portal answered 404 Not Found"},
	{.status = 418,
		.action = VERDICT_REJECT,
		.code = "http_418",
		.text = "the portal answered 418"},
	{.status = 302,
		.action = VERDICT_REJECT,
		.code = "redirected",
		.text = "the portal redirects elsewhere (302), which is never followed"},
};

static void make_error(struct error *error, enum error_class class, const char *code)
{
	error_set(error, class, "elsewhere", code, "%s text", code);
}

static void judges_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct verdict_case *c = &cases[i];
		struct error transport = {0}, content = {0};
		struct answer answer = {
			.status = c->status,
			.message = c->message ? c->message : "",
			.transport = c->transport ? &transport : NULL,
			.content = c->content ? &content : NULL,
		};
		struct verdict verdict;
		char text[100];

		make_error(&transport, c->transport_class, c->transport ? c->transport : "");
		make_error(&content, c->content_class, c->content ? c->content : "");
		verdict = verdict_of(&answer);
		if (verdict.action != c->action) {
			fail_msg("case %zu: %s, not %s", i, verdict_action_name(verdict.action),
				verdict_action_name(c->action));
		}
		assert_int_equal(verdict.smaller_page_after, c->smaller_page_after);
		assert_int_equal(verdict.host, c->host);
		assert_int_equal(error_is_set(&verdict.error), c->action != VERDICT_ACCEPT);
		if (c->action == VERDICT_ACCEPT) {
			continue;
		}
		snprintf(text, sizeof(text), "%s text", c->code);
		assert_string_equal(verdict.error.code, c->code);
		assert_string_equal(verdict.error.text, c->text ? c->text : text);
		assert_string_equal(verdict.error.where, "fetch");
	}
}

/* The class must say the same as the action, for those above read only the class. */
static void class_fits_action(void **state)
{
	static const enum error_class classes[] = {
		[VERDICT_ACCEPT] = ERROR_NONE,
		[VERDICT_RETRY] = ERROR_RETRY,
		[VERDICT_HOLD] = ERROR_RETRY,
		[VERDICT_NEXT_KEY] = ERROR_REJECTED,
		[VERDICT_REJECT] = ERROR_REJECTED,
		[VERDICT_CANCEL] = ERROR_CANCELED,
	};

	(void)state;
	for (int status = 100; status < 700; status++) {
		struct verdict verdict =
			verdict_of(&(struct answer){.status = status, .message = ""});

		assert_int_equal(verdict.error.class, classes[verdict.action]);
		assert_int_equal(verdict.action == VERDICT_ACCEPT, status / 100 == 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_answers),
		cmocka_unit_test(class_fits_action),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
