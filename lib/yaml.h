#pragma once

/*
 * A small YAML document as a tree in which every node knows its place.
 * SPDX-License-Identifier: Apache-2.0
 *
 * For files that people write by hand: what makes a text mean something else than it says (anchors,
 * aliases, merge keys, tags, a second document, the same key twice) is refused. Scalars are texts
 * with their variables expanded (lib/expand.h); whoever wants a number reads one. The only file
 * that knows libyaml.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/arena.h"
#include "lib/attr.h"
#include "lib/expand.h"
#include "lib/problems.h"

enum yaml_kind {
	YAML_SCALAR,
	YAML_SEQUENCE,
	YAML_MAPPING,
	YAML_BROKEN, /* the problem has been told; readers pass over it */
};

/* Far more than a file of ours ever needs. */
enum { YAML_MAX_BYTES = 256 * 1024, YAML_MAX_DEPTH = 16, YAML_MAX_NODES = 10000 };

struct yaml;

struct yaml_node {
	const struct yaml *yaml;
	enum yaml_kind kind;
	unsigned line, column; /* from 1 */
	/* Scalars. */
	struct expanded expanded;
	bool plain; /* written without quotes */
	/* Sequences and mappings: the items or values, in the order written. */
	struct yaml_node *first, *next;
	unsigned n_children;
	struct yaml_node *key; /* of a mapping's value: a scalar, not expanded; else NULL */
};

struct yaml {
	const char *file; /* as messages name it; borrowed */
	unsigned order;	  /* of the file among those that are read */
	struct arena arena;
	struct yaml_node *root; /* NULL: it holds nothing at all, or is broken */
	bool broken;		/* not read to its end */
	unsigned n_nodes;
};

/*
 * Parse `text`, which has a NUL behind it. The caller has set `file` and `order` and calls
 * yaml_fini(), whatever happened. What is wrong goes to `problems`; the tree then holds what could
 * be read.
 */
void yaml_parse(struct yaml *yaml, const char *text, size_t len, expand_lookup_fn lookup, void *arg,
	struct problems *problems);
void yaml_fini(struct yaml *yaml);

/* The value of a key, or NULL. `mapping` may be NULL or of another kind. */
const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key);

/* "" for what is no scalar. */
const char *yaml_text(const struct yaml_node *node);

/* Written as null, ~ or nothing at all; or its variables came to nothing. */
bool yaml_is_null(const struct yaml_node *node);

const char *yaml_kind_name(enum yaml_kind kind); /* "a list" */

struct problem_place yaml_place(const struct yaml_node *node);

#define yaml_problem(problems, node, ...) problems_add(problems, yaml_place(node), __VA_ARGS__)
