/*
 * YAML with places. SPDX-License-Identifier: Apache-2.0
 *
 * libyaml's parser gives events; each collection reads its children by recursion, so the depth is
 * that of the document and is bounded. What is wrong but does not stop the parser (an anchor, a key
 * twice) is noted and reading goes on, so that one reading finds all; what the parser itself
 * stumbles over ends this file.
 */

#include "lib/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct parse {
	struct yaml *yaml;
	yaml_parser_t parser;
	yaml_event_t event; /* the present one; empty (YAML_NO_EVENT) once stopped */
	const char *text;
	size_t len;
	expand_lookup_fn lookup;
	void *arg;
	struct problems *problems;
	bool stopped;
};

static struct yaml_node *parse_node(struct parse *parse, unsigned depth);

static struct problem_place place_at(const struct parse *parse, yaml_mark_t mark)
{
	return (struct problem_place){.file = parse->yaml->file,
		.order = parse->yaml->order,
		.line = (unsigned)mark.line + 1,
		.column = (unsigned)mark.column + 1};
}

#define event_problem(parse, ...)                                                                  \
	problems_add((parse)->problems, place_at(parse, (parse)->event.start_mark), __VA_ARGS__)

/* Bytes that are no UTF-8 are told by their offset. */
static yaml_mark_t mark_of_offset(const struct parse *parse, size_t offset)
{
	yaml_mark_t mark = {.index = offset};

	for (size_t i = 0; i < offset && i < parse->len; i++) {
		mark.column++;
		if (parse->text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

/* Inside { } and [ ] the braces of ${NAME} are YAML's own, and its message does not say so. */
static bool line_has_variable(const struct parse *parse, size_t line)
{
	const char *p = parse->text;
	const char *found, *end;

	for (; line > 0 && p; line--) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	found = p ? strstr(p, "${") : NULL;
	end = p ? strchrnul(p, '\n') : NULL;
	return found && found < end;
}

static void stop_at_error(struct parse *parse)
{
	const yaml_parser_t *p = &parse->parser;
	yaml_mark_t mark = p->problem_mark;

	parse->stopped = true;
	if (p->error == YAML_MEMORY_ERROR) {
		parse->problems->no_memory = true;
		return;
	}
	if (p->error == YAML_READER_ERROR) {
		mark = mark_of_offset(parse, p->problem_offset);
	}
	problems_add(parse->problems, place_at(parse, mark), "%s%s%s%s",
		p->problem ? p->problem : "not YAML", p->context ? " " : "",
		p->context ? p->context : "",
		line_has_variable(parse, mark.line) ? " (inside { } and [ ] write \"${NAME}\")"
						    : "");
}

/* To the next event. A document must end within its limits: then the rest is not read. */
static void advance(struct parse *parse)
{
	yaml_event_delete(&parse->event);
	memset(&parse->event, 0, sizeof(parse->event));
	if (!parse->stopped && !yaml_parser_parse(&parse->parser, &parse->event)) {
		stop_at_error(parse);
	}
}

static void stop(struct parse *parse)
{
	parse->stopped = true;
	advance(parse);
}

static void stop_without_memory(struct parse *parse)
{
	parse->problems->no_memory = true;
	stop(parse);
}

/* A node at the present event; NULL when there are too many, or no memory. */
static struct yaml_node *node_new(struct parse *parse, enum yaml_kind kind)
{
	struct yaml_node *node;

	if (parse->yaml->n_nodes == YAML_MAX_NODES) {
		event_problem(parse, "more than %d values in one file", YAML_MAX_NODES);
		stop(parse);
		return NULL;
	}
	node = arena_alloc(&parse->yaml->arena, sizeof(*node));
	if (!node) {
		stop_without_memory(parse);
		return NULL;
	}
	parse->yaml->n_nodes++;
	*node = (struct yaml_node){.yaml = parse->yaml,
		.kind = kind,
		.line = (unsigned)parse->event.start_mark.line + 1,
		.column = (unsigned)parse->event.start_mark.column + 1};
	return node;
}

/* What stands behind & * ! is not repeated: it may be a password that nobody put in quotes. */
static void refuse_anchor_and_tag(
	struct parse *parse, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor) {
		event_problem(parse,
			"anchors are not supported (a text that begins with & needs quotes)");
	}
	if (tag) {
		event_problem(
			parse, "tags are not supported (a text that begins with ! needs quotes)");
	}
}

static void read_text(struct parse *parse, struct yaml_node *node, const char *text, bool is_key)
{
	const char *problem;
	int r;

	if (is_key) {
		node->expanded.text = arena_copy(&parse->yaml->arena, text, strlen(text) + 1);
		r = node->expanded.text ? 0 : -ENOMEM;
	} else {
		r = expand(text, parse->lookup, parse->arg, &parse->yaml->arena, &node->expanded,
			&problem);
	}
	if (r == -EINVAL) {
		event_problem(parse, "%s", problem);
		node->kind = YAML_BROKEN;
	} else if (r < 0) {
		parse->problems->no_memory = true;
		node->kind = YAML_BROKEN;
	}
}

static struct yaml_node *parse_scalar(struct parse *parse, bool is_key)
{
	struct yaml_node *node = node_new(parse, YAML_SCALAR);
	const char *text = (const char *)parse->event.data.scalar.value;

	if (!node) {
		return NULL;
	}
	refuse_anchor_and_tag(parse, parse->event.data.scalar.anchor, parse->event.data.scalar.tag);
	node->plain = parse->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (strlen(text) != parse->event.data.scalar.length) {
		event_problem(parse, "a text cannot hold a NUL byte");
		node->kind = YAML_BROKEN;
	} else {
		read_text(parse, node, text, is_key);
	}
	advance(parse);
	return node;
}

static struct yaml_node *parse_alias(struct parse *parse)
{
	struct yaml_node *node = node_new(parse, YAML_BROKEN);

	if (node) {
		event_problem(parse,
			"aliases are not supported (a text that begins with * needs quotes)");
		advance(parse);
	}
	return node;
}

static void append_child(struct yaml_node *parent, struct yaml_node **last, struct yaml_node *child)
{
	*(*last ? &(*last)->next : &parent->first) = child;
	*last = child;
	parent->n_children++;
}

static struct yaml_node *parse_sequence(struct parse *parse, unsigned depth)
{
	struct yaml_node *node = node_new(parse, YAML_SEQUENCE), *last = NULL, *child;

	if (!node) {
		return NULL;
	}
	refuse_anchor_and_tag(parse, parse->event.data.sequence_start.anchor,
		parse->event.data.sequence_start.tag);
	advance(parse);
	while (!parse->stopped && parse->event.type != YAML_SEQUENCE_END_EVENT) {
		child = parse_node(parse, depth + 1);
		if (child) {
			append_child(node, &last, child);
		}
	}
	advance(parse);
	return node;
}

/* NULL when it is not one to keep; the problem has been told. */
static struct yaml_node *parse_key(
	struct parse *parse, const struct yaml_node *mapping, unsigned depth)
{
	const struct yaml_node *before;
	char quoted[PROBLEM_QUOTE_BYTES];
	struct yaml_node *key;

	if (parse->event.type != YAML_SCALAR_EVENT) {
		event_problem(parse, "a key must be a single word");
		(void)parse_node(parse, depth + 1);
		return NULL;
	}
	key = parse_scalar(parse, true);
	if (!key || key->kind == YAML_BROKEN) {
		return NULL;
	}
	if (key->plain && strcmp(key->expanded.text, "<<") == 0) {
		yaml_problem(parse->problems, key, "merge keys (<<) are not supported");
		return NULL;
	}
	before = yaml_get(mapping, key->expanded.text);
	if (before) {
		yaml_problem(parse->problems, key, "the key %s stands here twice (first at %u:%u)",
			problem_quote(key->expanded.text, quoted), before->key->line,
			before->key->column);
		return NULL;
	}
	return key;
}

static struct yaml_node *parse_mapping(struct parse *parse, unsigned depth)
{
	struct yaml_node *node = node_new(parse, YAML_MAPPING), *last = NULL, *key, *value;

	if (!node) {
		return NULL;
	}
	refuse_anchor_and_tag(
		parse, parse->event.data.mapping_start.anchor, parse->event.data.mapping_start.tag);
	advance(parse);
	while (!parse->stopped && parse->event.type != YAML_MAPPING_END_EVENT) {
		key = parse_key(parse, node, depth);
		value = parse->stopped ? NULL : parse_node(parse, depth + 1);
		if (key && value) {
			value->key = key;
			append_child(node, &last, value);
		}
	}
	advance(parse);
	return node;
}

/* Reads a node with all that is in it; NULL once stopped. */
static struct yaml_node *parse_node(struct parse *parse, unsigned depth)
{
	if (depth > YAML_MAX_DEPTH) {
		event_problem(parse, "nested more than %d deep", YAML_MAX_DEPTH);
		stop(parse);
		return NULL;
	}
	switch (parse->event.type) {
	case YAML_SCALAR_EVENT:
		return parse_scalar(parse, false);
	case YAML_SEQUENCE_START_EVENT:
		return parse_sequence(parse, depth);
	case YAML_MAPPING_START_EVENT:
		return parse_mapping(parse, depth);
	case YAML_ALIAS_EVENT:
		return parse_alias(parse);
	default:
		stop(parse);
		return NULL;
	}
}

static void parse_document(struct parse *parse)
{
	advance(parse); /* the start of the stream */
	advance(parse);
	if (parse->event.type != YAML_DOCUMENT_START_EVENT) {
		return;
	}
	advance(parse);
	parse->yaml->root = parse_node(parse, 0);
	advance(parse); /* behind the end of the document */
	if (!parse->stopped && parse->event.type == YAML_DOCUMENT_START_EVENT) {
		event_problem(parse, "a second document: one file holds one");
	}
}

void yaml_parse(struct yaml *yaml, const char *text, size_t len, expand_lookup_fn lookup, void *arg,
	struct problems *problems)
{
	struct parse parse = {.yaml = yaml,
		.text = text,
		.len = len,
		.lookup = lookup,
		.arg = arg,
		.problems = problems};
	struct problem_place whole = {.file = yaml->file, .order = yaml->order};

	if (len > YAML_MAX_BYTES) {
		problems_add(problems, whole, "larger than %d KiB", YAML_MAX_BYTES / 1024);
		yaml->broken = true;
		return;
	}
	if (!yaml_parser_initialize(&parse.parser)) {
		problems->no_memory = true;
		yaml->broken = true;
		return;
	}
	yaml_parser_set_encoding(&parse.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parse.parser, (const unsigned char *)text, len);
	parse_document(&parse);
	yaml->broken = parse.stopped;
	yaml_event_delete(&parse.event);
	yaml_parser_delete(&parse.parser);
}

void yaml_fini(struct yaml *yaml)
{
	arena_fini(&yaml->arena);
	yaml->root = NULL;
	yaml->n_nodes = 0;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
	if (!mapping || mapping->kind != YAML_MAPPING) {
		return NULL;
	}
	for (const struct yaml_node *child = mapping->first; child; child = child->next) {
		if (strcmp(child->key->expanded.text, key) == 0) {
			return child;
		}
	}
	return NULL;
}

const char *yaml_text(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->expanded.text ? node->expanded.text : "";
}

bool yaml_is_null(const struct yaml_node *node)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (node->kind != YAML_SCALAR || node->expanded.missing) {
		return false;
	}
	if (node->expanded.has_variable) {
		return yaml_text(node)[0] == '\0';
	}
	for (unsigned i = 0; i < N_ELEMENTS(words) && node->plain; i++) {
		if (strcmp(yaml_text(node), words[i]) == 0) {
			return true;
		}
	}
	return false;
}

const char *yaml_kind_name(enum yaml_kind kind)
{
	switch (kind) {
	case YAML_SCALAR:
		return "a single value";
	case YAML_SEQUENCE:
		return "a list";
	case YAML_MAPPING:
		return "a mapping";
	case YAML_BROKEN:
		break;
	}
	return "something else";
}

struct problem_place yaml_place(const struct yaml_node *node)
{
	return (struct problem_place){.file = node->yaml->file,
		.order = node->yaml->order,
		.line = node->line,
		.column = node->column};
}
