/*
 * Options described in tables. SPDX-License-Identifier: Apache-2.0
 *
 * The walk over a mapping and its table. What the table does not name is refused; what the file
 * does not hold gets its default, which is a text too and takes the same way as a scalar that
 * stands nowhere. The values themselves are read in options_read.c and written in options_write.c.
 */

#include "daemon/options.h"

#include <stdio.h>
#include <string.h>

#include "lib/suggest.h"

void *option_alloc(struct option_reader *reader, size_t n, size_t size)
{
	void *at = n > SIZE_MAX / size ? NULL : arena_alloc(reader->arena, n * size);

	if (!at) {
		reader->problems->no_memory = true;
		return NULL;
	}
	return memset(at, 0, n * size);
}

char *option_copy(struct option_reader *reader, const char *text)
{
	char *copy = arena_copy(reader->arena, text, strlen(text) + 1);

	reader->problems->no_memory |= !copy;
	return copy;
}

const char *option_found(
	const struct yaml_node *node, unsigned flags, char buf[static OPTION_FOUND_BYTES])
{
	char quoted[PROBLEM_QUOTE_BYTES];

	buf[0] = '\0';
	if (node->kind != YAML_SCALAR) {
		snprintf(buf, OPTION_FOUND_BYTES, ", found %s", yaml_kind_name(node->kind));
	} else if (node->expanded.n_names > 0) {
		snprintf(buf, OPTION_FOUND_BYTES, " (from ${%s})", node->expanded.names[0]);
	} else if (yaml_is_null(node)) {
		snprintf(buf, OPTION_FOUND_BYTES, ", found nothing");
	} else if (!(flags & (OPTION_SECRET | OPTION_UNSHOWN))) {
		snprintf(buf, OPTION_FOUND_BYTES, ", found %s",
			problem_quote(yaml_text(node), quoted));
	}
	return buf;
}

const char *option_meant(const char *word, const char *const *words, unsigned n_words,
	char buf[static OPTION_MEANT_BYTES])
{
	/* Any word is near to a short one. */
	const char *meant = strlen(word) < 3 ? NULL : suggest(word, words, n_words);

	buf[0] = '\0';
	if (meant) {
		snprintf(buf, OPTION_MEANT_BYTES, " (did you mean \"%s\"?)", meant);
	}
	return buf;
}

bool option_is_mapping(struct option_reader *reader, const struct yaml_node *node, const char *name)
{
	char found[OPTION_FOUND_BYTES];

	if (node->kind == YAML_MAPPING || yaml_is_null(node)) {
		return true;
	}
	if (node->kind != YAML_BROKEN) {
		yaml_problem(reader->problems, node, "%s: expected a mapping (name: value)%s", name,
			option_found(node, OPTION_UNSHOWN, found));
	}
	return false;
}

/* ---- mappings ---- */

/* A default: a scalar that stands nowhere, or a list of such. */
static bool make_fallback(struct option_reader *reader, const char *text, struct yaml_node *node)
{
	const char *problem;

	*node = (struct yaml_node){.yaml = reader->yaml, .kind = YAML_SCALAR, .plain = true};
	if (expand(text, reader->lookup, reader->arg, reader->arena, &node->expanded, &problem) <
		0) {
		reader->problems->no_memory = true;
		return false;
	}
	return true;
}

static void read_fallbacks(struct option_reader *reader, const struct option_def *def, void *base)
{
	struct yaml_node list = {.yaml = reader->yaml, .kind = YAML_SEQUENCE};
	struct yaml_node **last = &list.first;

	for (; def->fallbacks[list.n_children]; list.n_children++) {
		struct yaml_node *node = option_alloc(reader, 1, sizeof(*node));

		if (!node || !make_fallback(reader, def->fallbacks[list.n_children], node)) {
			return;
		}
		node->plain = false;
		*last = node;
		last = &node->next;
	}
	option_read(reader, def, &list, base);
}

static void read_fallback(struct option_reader *reader, const struct option_def *def, void *base)
{
	struct yaml_node node;

	if (def->type == OPTION_SECTION) {
		options_read(reader, def->section, NULL, base);
	} else if (def->fallbacks) {
		read_fallbacks(reader, def, base);
	} else if (def->fallback && make_fallback(reader, def->fallback, &node)) {
		option_read(reader, def, &node, base);
	}
}

static void refuse_unknown(struct option_reader *reader, const struct option_def *table,
	const struct yaml_node *mapping)
{
	const char *names[64];
	unsigned n = 0;

	for (; table[n].name && n < N_ELEMENTS(names); n++) {
		names[n] = table[n].name;
	}
	for (const struct yaml_node *child = mapping->first; child; child = child->next) {
		const char *name = yaml_text(child->key);
		char quoted[PROBLEM_QUOTE_BYTES], meant[OPTION_MEANT_BYTES];
		bool known = false;

		for (unsigned i = 0; i < n; i++) {
			known |= strcmp(names[i], name) == 0;
		}
		if (!known) {
			yaml_problem(reader->problems, child->key, "unknown option %s%s",
				problem_quote(name, quoted), option_meant(name, names, n, meant));
		}
	}
}

void options_read(struct option_reader *reader, const struct option_def *table,
	const struct yaml_node *node, void *base)
{
	const char *name = node && node->key ? yaml_text(node->key) : "this file";
	const struct yaml_node *child;

	if (node && option_is_mapping(reader, node, name)) {
		refuse_unknown(reader, table, node);
	}
	for (const struct option_def *def = table; def->name; def++) {
		child = yaml_get(node, def->name);
		if (child) {
			option_read(reader, def, child, base);
		} else if (!(def->flags & OPTION_REQUIRED)) {
			read_fallback(reader, def, base);
		} else if (node && (node->kind == YAML_MAPPING || yaml_is_null(node))) {
			yaml_problem(reader->problems, node->key ? node->key : node,
				"%s: the option \"%s\" is missing", name, def->name);
		}
	}
}
