/*
 * lib/yaml, lib/expand, lib/problems: the tree, its places, what is refused.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/yaml.h"

static const char *look_up(void *arg, const char *name)
{
	static const char *const variables[][2] = {
		{"NAME", "value"}, {"EMPTY", ""}, {"ODD", "${NAME} $$ \" [a: b] # \n&x"}};

	(void)arg;
	for (unsigned i = 0; i < N_ELEMENTS(variables); i++) {
		if (strcmp(variables[i][0], name) == 0) {
			return variables[i][1];
		}
	}
	return NULL;
}

static void parse(struct yaml *yaml, const char *text, struct problems *problems)
{
	*yaml = (struct yaml){.file = "f"};
	yaml_parse(yaml, text, strlen(text), look_up, NULL, problems);
}

static void write_tree(const struct yaml_node *node, struct buffer *out)
{
	buffer_printf(out, "%u:%u", node->line, node->column);
	if (node->kind == YAML_SCALAR) {
		buffer_printf(out, "%s%s%s", node->plain ? "'" : "\"", yaml_text(node),
			node->plain ? "'" : "\"");
	}
	if (node->kind == YAML_BROKEN) {
		buffer_append_char(out, '!');
	}
	if (node->kind != YAML_SEQUENCE && node->kind != YAML_MAPPING) {
		return;
	}
	buffer_append_char(out, node->kind == YAML_SEQUENCE ? '[' : '{');
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (child->key) {
			buffer_printf(out, "%u:%u %s=", child->key->line, child->key->column,
				yaml_text(child->key));
		}
		write_tree(child, out);
		buffer_append_str(out, child->next ? " " : "");
	}
	buffer_append_char(out, node->kind == YAML_SEQUENCE ? ']' : '}');
}

static void test_tree(void **state)
{
	static const struct {
		const char *text, *tree, *problems;
	} cases[] = {
		{"", "", ""},
		{"# nothing\n", "", ""},
		{"---\n", "2:1''", ""},
		{"a: b\nc:\n  - d\n  - 'e'\n  - \"\\u0915\"\n",
			"1:1{1:1 a=1:4'b' 2:1 c=3:3[3:5'd' 4:5\"e\" 5:5\"\u0915\"]}", ""},
		{"हिन्दी: {x: [1, 2]}", "1:1{1:1 हिन्दी=1:9{1:10 x=1:13[1:14'1' 1:17'2']}}", ""},
		{"a:\nb: ~\n", "1:1{1:1 a=1:3'' 2:1 b=2:4'~'}", ""},
		{"a: |\n  x\n  y\n", "1:1{1:1 a=1:4\"x\ny\n\"}", ""},
		{"${NAME}: ${NAME}", "1:1{1:1 ${NAME}=1:10'value'}", ""},
		{"a: 1\na: 2\nb: 3", "1:1{1:1 a=1:4'1' 3:1 b=3:4'3'}",
			"f:2:1: the key \"a\" stands here twice (first at 1:1)\n"},
		{"a: &x [*x, &y b]\n? {c: d}\n: e\nf: !t g\n",
			"1:1{1:1 a=1:4[1:8! 1:12'b'] 4:1 f=4:4'g'}",
			"f:1:4: anchors are not supported (a text that begins with & needs "
			"quotes)\n"
			"f:1:8: aliases are not supported (a text that begins with * needs "
			"quotes)\n"
			"f:1:12: anchors are not supported (a text that begins with & needs "
			"quotes)\n"
			"f:2:3: a key must be a single word\n"
			"f:4:4: tags are not supported (a text that begins with ! needs quotes)\n"},
		{"<<: {a: b}\n\"<<\": c", "1:1{2:1 <<=2:7'c'}",
			"f:1:1: merge keys (<<) are not supported\n"},
		{"a: [b\n", NULL,
			"f:2:1: did not find expected ',' or ']' while parsing a flow sequence\n"},
		{"a: b\n---\nc: d\n---\n", NULL, "f:2:1: a second document: one file holds one\n"},
		{"a: \x01", NULL, "f:1:4: control characters are not allowed\n"},
		{"a: \"\\x00\"", "1:1{1:1 a=1:4!}", "f:1:4: a text cannot hold a NUL byte\n"},
		{"a:\n\tb: c", NULL,
			"f:2:1: found character that cannot start any token while scanning for the "
			"next token\n"},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_buffer_ struct buffer tree = {0}, report = {0};
		struct problems problems = {0};
		struct yaml yaml;

		parse(&yaml, cases[i].text, &problems);
		if (yaml.root && cases[i].tree) {
			write_tree(yaml.root, &tree);
		}
		problems_report(&problems, &report);
		assert_string_equal(buffer_str(&report), cases[i].problems);
		if (cases[i].tree) {
			assert_string_equal(buffer_str(&tree), cases[i].tree);
		}
		assert_int_equal(problems_none(&problems), cases[i].problems[0] == '\0');
		problems_fini(&problems);
		yaml_fini(&yaml);
	}
}

static void test_limits(void **state)
{
	_cleanup_buffer_ struct buffer text = {0}, report = {0};
	struct problems problems = {0};
	struct yaml yaml;

	(void)state;
	while (text.len <= YAML_MAX_BYTES) {
		buffer_append_str(&text, "# a comment that is as good as any other\n");
	}
	parse(&yaml, buffer_str(&text), &problems);
	assert_true(yaml.broken);
	yaml_fini(&yaml);
	buffer_clear(&text);
	buffer_append_char(&text, '[');
	for (int i = 0; i < YAML_MAX_NODES; i++) {
		buffer_append_str(&text, "a,\n");
	}
	parse(&yaml, buffer_str(&text), &problems);
	assert_true(yaml.broken);
	yaml_fini(&yaml);
	problems_report(&problems, &report);
	assert_string_equal(buffer_str(&report),
		"f: larger than 256 KiB\n"
		"f:10000:1: more than 10000 values in one file\n");
	problems_fini(&problems);
}

static void test_null(void **state)
{
	static const struct {
		const char *text;
		bool is_null;
	} cases[] = {
		{"a:", true},
		{"a: ~", true},
		{"a: null", true},
		{"a: NULL", true},
		{"a: 'null'", false},
		{"a: \"\"", false},
		{"a: nil", false},
		{"a: ${EMPTY}", true},
		{"a: \"${EMPTY}\"", true},
		{"a: \"${MISSING:-}\"", true},
		{"a: ${MISSING:-null}", false},
		{"a: ${MISSING}", false},
		{"a: []", false},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct problems problems = {0};
		struct yaml yaml;

		parse(&yaml, cases[i].text, &problems);
		assert_true(problems_none(&problems));
		assert_int_equal(yaml_is_null(yaml_get(yaml.root, "a")), cases[i].is_null);
		assert_null(yaml_get(yaml.root, "b"));
		assert_null(yaml_get(NULL, "a"));
		yaml_fini(&yaml);
	}
}

static void test_expand(void **state)
{
	static const struct {
		const char *text, *expanded, *names, *missing;
	} cases[] = {
		{"", "", "", NULL},
		{"plain", "plain", "", NULL},
		{"$$", "$", "", NULL},
		{"$${NAME}", "${NAME}", "", NULL},
		{"${NAME}", "value", "NAME ", NULL},
		{"<${NAME}-${NAME}>", "<value-value>", "NAME NAME ", NULL},
		{"${ODD}", "${NAME} $$ \" [a: b] # \n&x", "ODD ", NULL},
		{"${EMPTY}", "", "EMPTY ", NULL},
		{"${EMPTY:-x}", "x", "", NULL},
		{"${MISSING:-x y:}z", "x y:z", "", NULL},
		{"${MISSING:-$$}", "$", "", NULL},
		{"${NAME:-x}", "value", "NAME ", NULL},
		{"a${MISSING}b${OTHER}", "ab", "", "MISSING"},
		{"$", NULL, "a lone $: write $$ for a dollar, ${NAME} for a variable", NULL},
		{"$NAME", NULL, "a lone $: write $$ for a dollar, ${NAME} for a variable", NULL},
		{"${", NULL, "expected ${NAME} or ${NAME:-default}", NULL},
		{"${}", NULL, "expected ${NAME} or ${NAME:-default}", NULL},
		{"${NAME", NULL, "expected ${NAME} or ${NAME:-default}", NULL},
		{"${NA ME}", NULL, "expected ${NAME} or ${NAME:-default}", NULL},
		{"${1}", NULL, "expected ${NAME} or ${NAME:-default}", NULL},
		{"${NAME:=x}", NULL, "expected ${NAME} or ${NAME:-default}", NULL},
		{"${NAME:-x", NULL, "expected ${NAME} or ${NAME:-default}", NULL},
		{"${MISSING:-${NAME}}", NULL,
			"a default cannot hold a variable (write $$ for a dollar)", NULL},
		{"${NAME}${NAME}${NAME}${NAME}${NAME}${NAME}${NAME}${NAME}${NAME}", NULL,
			"more than 8 variables in one value", NULL},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct expanded expanded = {0};
		struct arena arena = {0};
		const char *problem = NULL;
		char names[128] = "";
		int r = expand(cases[i].text, look_up, NULL, &arena, &expanded, &problem);

		assert_int_equal(r < 0, cases[i].expanded == NULL);
		if (r < 0) {
			assert_string_equal(problem, cases[i].names);
			arena_fini(&arena);
			continue;
		}
		for (unsigned n = 0; n < expanded.n_names; n++) {
			strcat(strcat(names, expanded.names[n]), " ");
		}
		assert_string_equal(expanded.text, cases[i].expanded);
		assert_string_equal(names, cases[i].names);
		assert_int_equal(expanded.missing != NULL, cases[i].missing != NULL);
		if (expanded.missing) {
			assert_string_equal(expanded.missing, cases[i].missing);
		}
		arena_fini(&arena);
	}
}

static void test_quote(void **state)
{
	char buf[PROBLEM_QUOTE_BYTES], text[400] = "";

	(void)state;
	assert_string_equal(problem_quote("", buf), "\"\"");
	assert_string_equal(problem_quote("a\nb\x7f", buf), "\"a?b?\"");
	for (int i = 0; i < 100; i++) {
		strcat(text, "\u0915"); /* three bytes, none of them cut off */
		problem_quote(text, buf);
		assert_int_equal((strlen(buf) - (i < 30 ? 2 : 5)) % 3, 0);
	}
	assert_string_equal(buf + strlen(buf) - 7, "\u0915...\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_quote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
