/*
 * Variables in a text. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/expand.h"

#include <errno.h>
#include <string.h>

struct expansion {
	expand_lookup_fn lookup;
	void *arg;
	struct arena *arena;
	struct buffer text;
	struct expanded expanded;
	const char *problem;
	bool no_memory;
};

static bool is_name_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		c == '_';
}

static size_t name_len(const char *text)
{
	size_t n = 0;

	while (is_name_byte(text[n])) {
		n++;
	}
	return text[0] >= '0' && text[0] <= '9' ? 0 : n;
}

static char *copy(struct expansion *e, const char *text, size_t len)
{
	char *at = arena_alloc(e->arena, len + 1);

	if (!at) {
		e->no_memory = true;
		return NULL;
	}
	memcpy(at, text, len);
	at[len] = '\0';
	return at;
}

/* The default behind ":-", up to the brace that ends it. Returns that brace, or NULL. */
static const char *put_default(struct expansion *e, const char *p, bool wanted)
{
	for (; *p && *p != '}'; p++) {
		if (*p == '$' && *++p != '$') {
			e->problem = "a default cannot hold a variable (write $$ for a dollar)";
			return NULL;
		}
		if (wanted) {
			buffer_append_char(&e->text, *p);
		}
	}
	return *p ? p : NULL;
}

static void put_value(struct expansion *e, char *name, const char *value)
{
	if (e->expanded.n_names == EXPAND_MAX_NAMES) {
		e->problem = "more than 8 variables in one value";
		return;
	}
	e->expanded.names[e->expanded.n_names++] = name;
	buffer_append_str(&e->text, value);
}

/* `p` stands behind "${". Returns the closing brace, or NULL with the problem. */
static const char *put_variable(struct expansion *e, const char *p)
{
	size_t len = name_len(p);
	char *name = copy(e, p, len);
	const char *value;
	bool has_default;

	if (!name) {
		return NULL;
	}
	p += len;
	value = e->lookup(e->arg, name);
	has_default = len > 0 && strncmp(p, ":-", 2) == 0;
	if (has_default && value && !*value) {
		value = NULL;
	}
	if (has_default) {
		p = put_default(e, p + 2, !value);
	}
	if (len == 0 || !p || *p != '}') {
		e->problem = e->problem ? e->problem : "expected ${NAME} or ${NAME:-default}";
		return NULL;
	}
	e->expanded.has_variable = true;
	if (value) {
		put_value(e, name, value);
	} else if (!has_default && !e->expanded.missing) {
		e->expanded.missing = name;
	}
	return p;
}

static void put_all(struct expansion *e, const char *p)
{
	for (; *p && !e->problem && !e->no_memory; p++) {
		if (*p != '$') {
			buffer_append_char(&e->text, *p);
		} else if (p[1] == '$') {
			buffer_append_char(&e->text, *++p);
		} else if (p[1] == '{') {
			p = put_variable(e, p + 2);
			if (!p) {
				return;
			}
		} else {
			e->problem = "a lone $: write $$ for a dollar, ${NAME} for a variable";
		}
	}
}

int expand(const char *text, expand_lookup_fn lookup, void *arg, struct arena *arena,
	struct expanded *ret, const char **ret_problem)
{
	struct expansion e = {.lookup = lookup, .arg = arg, .arena = arena};

	put_all(&e, text);
	if (!e.problem) {
		e.expanded.text = copy(&e, buffer_str(&e.text), e.text.len);
	}
	e.no_memory |= buffer_failed(&e.text);
	buffer_fini(&e.text);
	if (e.no_memory) {
		return -ENOMEM;
	}
	if (e.problem) {
		*ret_problem = e.problem;
		return -EINVAL;
	}
	*ret = e.expanded;
	return 0;
}
