/*
 * lib/httpd_check. SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/attr.h"
#include "lib/httpd_check.h"

static void test_host(void **state)
{
	static const struct {
		const char *host;
		bool ours;
	} cases[] = {
		{"localhost", true},
		{"LocalHost:8642", true},
		{"127.0.0.1:1", true},
		{"[::1]", true},
		{"[::1]:65535", true},
		{"prices.example", true},
		{"PRICES.EXAMPLE:80", true},
		{"localhost:", true},
		{"", false},
		{":80", false},
		{"::1", false},
		{"[::1", false},
		{"[::1]x", false},
		{"localhost:80x", false},
		{"localhost.", false},
		{"localhost.evil.example", false},
		{"evil-localhost", false},
		{"prices.example.evil", false},
		{"127.0.0.2", false},
		{" localhost", false},
		{"localhost, evil.example", false},
		{"user@localhost", false},
	};
	static const char *const hosts[] = {"other.example", "prices.example"};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		if (httpd_host_is_ours(cases[i].host, hosts, 2) != cases[i].ours) {
			fail_msg("Host: %s", cases[i].host);
		}
	}
	assert_false(httpd_host_is_ours("prices.example", NULL, 0));
}

static void test_etag(void **state)
{
	static const struct {
		const char *list;
		bool match;
	} cases[] = {
		{"\"a1\"", true},
		{"W/\"a1\"", true},
		{"*", true},
		{" *", true},
		{"\"b\", \"a1\"", true},
		{"\"b\",W/\"a1\",\"c\"", true},
		{"\"a1\",garbage", true},
		{"", false},
		{"a1", false},
		{"\"a1", false},
		{"\"a\"", false},
		{"\"a12\"", false},
		{"\"A1\"", false},
		{"garbage,\"a1\"", false},
		{"\"b\", *", false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		if (httpd_etag_matches(cases[i].list, "a1") != cases[i].match) {
			fail_msg("If-None-Match: %s", cases[i].list);
		}
	}
}

static void test_path(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool match;
		const char *param;
	} cases[] = {
		{"/", "/", true, NULL},
		{"/livez", "/livez", true, NULL},
		{"/livez", "/livez/", false, NULL},
		{"/livez", "/live", false, NULL},
		{"/livez", "", false, NULL},
		{"/sync/runs/*", "/sync/runs/17", true, "17"},
		{"/sync/runs/*", "/sync/runs/", false, NULL},
		{"/sync/runs/*", "/sync/runs", false, NULL},
		{"/sync/runs/*", "/sync/runs/17/x", false, NULL},
		{"/sync/runs/*", "/sync/run", false, NULL},
		{"/sync/runs/*", "", false, NULL},
	};
	const char *param;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		if (httpd_path_matches(cases[i].pattern, cases[i].path, &param) != cases[i].match) {
			fail_msg("%s and %s", cases[i].pattern, cases[i].path);
		}
		if (cases[i].param) {
			assert_string_equal(param, cases[i].param);
		} else {
			assert_null(param);
		}
	}
}

static void test_title(void **state)
{
	(void)state;
	assert_string_equal(httpd_status_title(404), "Not Found");
	assert_string_equal(httpd_status_title(299), "");
}

static void test_bearer(void **state)
{
	static const struct {
		const char *header;
		bool match;
	} cases[] = {
		{"Bearer secret-1", true},
		{"bearer secret-1", true},
		{"Bearer secret-2", false},
		{"Bearer secret-", false},
		{"Bearer secret-1secret-1", false},
		{"Bearer  secret-1", false},
		{"Bearer ", false},
		{"Bearer", false},
		{"Basic secret-1", false},
		{"secret-1", false},
		{"", false},
		{NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		if (httpd_bearer_matches(cases[i].header, "secret-1") != cases[i].match) {
			fail_msg("%s", cases[i].header);
		}
	}
	assert_false(httpd_bearer_matches("Bearer x", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_etag),
		cmocka_unit_test(test_bearer),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_title),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
