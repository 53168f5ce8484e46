/*
 * Secrets do not leave. SPDX-License-Identifier: Apache-2.0
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/scrub.h"

static const char api_key[] = "579b464db66ec23bdd00000142b26f0cf1b64c3a7f3c2e8d9a0b1c2d";

static int forget(void **state)
{
	(void)state;
	scrub_clear();
	return 0;
}

/* In memory of just the text's size, so that a sanitizer sees what is written behind it. */
static void assert_scrubbed(const char *text, const char *want)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, text, len + 1);
	assert_true(scrub_finds(copy, len) == (strcmp(text, want) != 0));
	scrub_text(copy);
	if (strcmp(copy, want) != 0) {
		fail_msg("\"%s\" became \"%s\", not \"%s\"", text, copy, want);
	}
	free(copy);
}

static void leaves_texts_without_secrets(void **state)
{
	(void)state;
	assert_scrubbed("", "");
	assert_scrubbed("connection refused", "connection refused");
	assert_int_equal(scrub_add(api_key), 0);
	assert_scrubbed("", "");
	assert_scrubbed("connection refused", "connection refused");
}

static void hides_the_key(void **state)
{
	char text[200], want[200];

	(void)state;
	assert_int_equal(scrub_add(api_key), 0);
	snprintf(text, sizeof(text), "GET /resource/x?api-key=%s&limit=10: 502", api_key);
	assert_scrubbed(text, "GET /resource/x?api-key=(hidden)&limit=10: 502");
	snprintf(text, sizeof(text), "%s%s,%s", api_key, api_key, api_key);
	assert_scrubbed(text, "(hidden)(hidden),(hidden)");
	snprintf(text, sizeof(text), "a%sb", api_key);
	assert_scrubbed(text, "a(hidden)b");
	/* Another key with the same start is not ours. */
	snprintf(text, sizeof(text), "%.50sffffff.", api_key);
	snprintf(want, sizeof(want), "%.50sffffff.", api_key);
	assert_scrubbed(text, want);
}

struct spelling {
	const char *secret, *text, *want;
};

static void hides_each_spelling(void **state)
{
	static const struct spelling cases[] = {
		/* percent-encoded, hex in either case, in part or whole */
		{"p@ss/word", "postgres://u:p@ss/word@h/db", "postgres://u:(hidden)@h/db"},
		{"p@ss/word", "postgres://u:p%40ss%2Fword@h/db", "postgres://u:(hidden)@h/db"},
		{"p@ss/word", "u:p%40ss%2fword@h", "u:(hidden)@h"},
		{"p@ss/word", "u:p%40ss/word@h", "u:(hidden)@h"},
		{"p@ss/word", "u:%70%40%73%73%2F%77%6F%72%64@h", "u:(hidden)@h"},
		{"p@ss/word", "u:p%41ss/word@h", "u:p%41ss/word@h"},
		{"two words", "q=two+words&r", "q=(hidden)&r"},
		{"two words", "q=two%20words&r", "q=(hidden)&r"},
		{" lead", "q=+lead.", "q=****."},
		{"two+words", "q=two words", "q=two words"},
		{"50%off!!", "v=50%off!! v=50%25off%21!", "v=(hidden) v=(hidden)"},
		{"50%25off", "v=50%25off v=50%2525off", "v=(hidden) v=(hidden)"},
		{"%%%%", "a%%%%b", "a****b"},
		{"%%%%", "a%25%25%25%25b", "a(hidden)b"},
		/* as JSON and the log write it */
		{"say \"hi\"", "{\"msg\":\"say \\\"hi\\\"\"}", "{\"msg\":\"(hidden)\"}"},
		{"back\\slash", "x=\"back\\\\slash\"", "x=\"(hidden)\""},
		{"back\\slash", "x=back\\slash.", "x=(hidden)."},
		{"http://h/x", "\"http:\\/\\/h\\/x\"", "\"(hidden)\""},
		{"tab\tnl\nend", "tab\\tnl\\u000aend", "(hidden)"},
		{"tab\tnl\nend", "tab\\x09nl\\nend", "(hidden)"},
		{"tab\tnl\nend", "tab%09nl%0Aend", "(hidden)"},
		{"caf\xc3\xa9-x", "\"caf\\u00e9-x\"", "\"(hidden)\""},
		{"caf\xc3\xa9-x", "caf%C3%A9-x.", "(hidden)."},
		{"caf\xc3\xa9-x", "caf\xc3\xa9-x.", "****."},
		{"\xe0\xa4\xb9\xe0\xa4\xb0", "\\u0939\\u0930", "(hidden)"},
		{"ab\xf0\x9f\x94\x91z", "ab\\ud83d\\udd11z!", "(hidden)!"},
		{"ab\xf0\x9f\x94\x91z", "ab\\ud83dxxxx", "ab\\ud83dxxxx"},
		{"abcd", "\\u0061\\u0062cd", "(hidden)"},
		/* short ones, and what stands around */
		{"abcd", "xabcdx", "x****x"},
		{"abcdefg", "<abcdefg>", "<****>"},
		{"abcdefgh", "<abcdefgh>", "<(hidden)>"},
		{"aaaa", "aaaaaa.", "****."},
		{"abcabcd", "abcabcabcd.", "abc****."},
		/* cut off at the end */
		{"abcdefgh", "key=abcd", "key=****"},
		{"abcdefgh", "key=abc", "key=abc"},
		{"abcdefgh", "key=abcdefg", "key=****"},
		{"abcdefgh", "key=abcd ", "key=abcd "},
		{"abcd/fgh", "key=abcd%", "key=****"},
		{"abcd/fgh", "key=abcd%2", "key=****"},
		{"abcd/fgh", "key=abcd%2x", "key=abcd%2x"},
		{"abcd\"fgh", "key=abcd\\", "key=****"},
		{"abcd\"fgh", "key=abcd\\u00", "key=(hidden)"},
		{"abcd\"fgh", "key=abcd\\n", "key=abcd\\n"},
		{"abcd\"fgh", "{\"x\":\"abcd\\nfoo\"}", "{\"x\":\"abcd\\nfoo\"}"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(scrub_add(cases[i].secret), 0);
		assert_scrubbed(cases[i].text, cases[i].want);
		scrub_clear();
		assert_scrubbed(cases[i].text, cases[i].text);
	}
}

static void hides_all_of_overlapping_secrets(void **state)
{
	(void)state;
	assert_int_equal(scrub_add("abcdef"), 0);
	assert_int_equal(scrub_add("abcdefgh"), 0);
	assert_int_equal(scrub_add("efghijkl"), 0);
	assert_scrubbed("-abcdef-", "-****-");
	assert_scrubbed("-abcdefgh-", "-(hidden)-");
	assert_scrubbed("-abcdefghijkl-", "-(hidden)-");
	assert_scrubbed("-abcdefghijklefghijkl-", "-(hidden)(hidden)-");
}

static void refuses_short_secrets(void **state)
{
	(void)state;
	assert_int_equal(scrub_add(NULL), 0);
	assert_int_equal(scrub_add(""), 0);
	assert_int_equal(scrub_add("abc"), -EINVAL);
	assert_scrubbed("abc abc", "abc abc");
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(scrub_add("abcd"), 0);
	}
	assert_scrubbed("abcd abc", "**** abc");
}

static void scrubs_bytes_with_nuls(void **state)
{
	char data[] = "x\0secret-1\0secret-1\0y";
	struct buffer buffer = {0};

	(void)state;
	assert_int_equal(scrub_add("secret-1"), 0);
	assert_int_equal(scrub_bytes(data, sizeof(data) - 1), sizeof(data) - 1);
	assert_memory_equal(data, "x\0(hidden)\0(hidden)\0y", sizeof(data));
	scrub_buffer(&buffer);
	assert_int_equal(buffer.len, 0);
	buffer_append_str(&buffer, "%73ecret-1 and more");
	scrub_buffer(&buffer);
	assert_string_equal(buffer_str(&buffer), "(hidden) and more");
	assert_int_equal(buffer.len, strlen("(hidden) and more"));
	buffer_fini(&buffer);
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* One byte in a spelling of chance. */
static size_t spell(uint64_t *seed, unsigned char c, char *out)
{
	switch (random_next(seed) % 5) {
	case 0:
		return (size_t)sprintf(out, "%%%02x", c);
	case 1:
		return (size_t)sprintf(out, "%%%02X", c);
	case 2:
		return (size_t)sprintf(out, c < 0x80 ? "\\u%04X" : "\\x%02X", c);
	default:
		out[0] = (char)c;
		return 1;
	}
}

static void hides_any_mixture(void **state)
{
	uint64_t seed = 20261120;

	(void)state;
	for (unsigned round = 0; round < 5000; round++) {
		char secret[20] = "", text[200] = "[", want[] = "[(hidden)]";
		size_t n = 8 + random_next(&seed) % 10, len = 1;

		for (size_t i = 0; i < n; i++) {
			do {
				secret[i] = (char)random_next(&seed);
			} while (secret[i] == '\0' || secret[i] == ']' || secret[i] == '[');
			len += spell(&seed, (unsigned char)secret[i], text + len);
		}
		text[len] = ']';
		assert_int_equal(scrub_add(secret), 0);
		assert_scrubbed(text, want);
		scrub_clear();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(leaves_texts_without_secrets, forget),
		cmocka_unit_test_teardown(hides_the_key, forget),
		cmocka_unit_test_teardown(hides_each_spelling, forget),
		cmocka_unit_test_teardown(hides_all_of_overlapping_secrets, forget),
		cmocka_unit_test_teardown(refuses_short_secrets, forget),
		cmocka_unit_test_teardown(scrubs_bytes_with_nuls, forget),
		cmocka_unit_test_teardown(hides_any_mixture, forget),
	};

	return cmocka_run_group_tests_name("scrub", tests, NULL, NULL);
}
