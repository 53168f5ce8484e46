#pragma once

/*
 * Dataset -> tables: what is missing, what differs, and the statements that add it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Only adds: nothing is dropped or altered in place. A table that exists with other types or
 * another key is a difference that a person must settle; the daemon then loads nothing.
 */

#include <stdint.h>

#include "daemon/config.h"
#include "lib/buffer.h"
#include "lib/pg.h"

enum schema_mode {
	SCHEMA_CHECK, /* as the daemon does after connecting: an error unless all is in place */
	SCHEMA_PLAN,  /* the statements, not run */
	SCHEMA_APPLY, /* the statements, run in one transaction */
};

struct schema_options {
	struct pg *pg; /* connected and idle; ours until on_done */
	const struct config *config;
	enum schema_mode mode;
	const char *writer; /* role to GRANT to, or NULL */
	int32_t today;      /* partitions are made from `heal.from` (or this year) through next year */
};

struct schema_result {
	const char *statements; /* SQL text; "" when nothing is to do */
	unsigned n_statements;
};

/*
 * Error codes: "schema_missing", "schema_older", "schema_newer", "schema_differs" (all REJECTED; the
 * text says which object and names `ogdsync schema apply` where that helps), else the SQLSTATE.
 * The result is borrowed until on_done returns.
 */
typedef void (*schema_done_fn)(void *arg, const struct schema_result *result,
	const struct error *error);

int schema_start(const struct schema_options *options, schema_done_fn on_done, void *arg) must_check;

/* ---- the pure half ---- */

/* What the database has of the objects that the configuration asks for. */
struct catalog_item {
	/*
	 * 's' schema, 'r' relation, 'c' column, 'i' index, 'p' partition, 'm' migration, 'g' schema
	 * in which the writer has all rights
	 */
	char kind;
	char *schema, *table, *name;
	char *type; /* column: format_type; relation: relkind; partition: its bound */
	bool not_null;
	int n; /* column: position in the primary key, 0 none; migration: version */
};

struct catalog {
	struct catalog_item *items;
	size_t n_items, size;
};

int catalog_add(struct catalog *catalog, char kind, const char *schema, const char *table,
	const char *name, const char *type, bool not_null, int n) must_check;
void catalog_fini(struct catalog *catalog);

/*
 * The statements that are missing, each ended by ";\n"; with required_only those without which a load
 * cannot work (partitions are made by the load that needs one). Returns how many, or -1 with an
 * error: "schema_newer", "schema_differs".
 */
int schema_plan(const struct config *config, const struct catalog *catalog, const char *writer,
	int32_t today, bool required_only, struct buffer *sql, struct error *error) must_check;
