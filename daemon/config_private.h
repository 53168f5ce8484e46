#pragma once

/*
 * Shared by the files that read the configuration. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/config.h"
#include "daemon/options.h"

/* ---- config_options.c: the tables of ogdsync.yaml ---- */
extern const struct option_def config_options[];

/* What no table can say: options that depend on each other. `root` may be NULL. */
void config_check(
	struct option_reader *reader, const struct yaml_node *root, const struct config *config);

/* ---- config_secrets.c ---- */

/* Hooks of option_def. */
void secret_whole(struct option_reader *reader, const struct yaml_node *node);
void secret_dsn(struct option_reader *reader, const struct yaml_node *node);
void secret_proxy(struct option_reader *reader, const struct yaml_node *node);
const char *secret_wrong_key(const char *text);

/* Read the files that hold keys and the token. */
void config_read_secret_files(
	struct option_reader *reader, const struct yaml_node *root, struct config *config);

/* ---- dataset_read.c ---- */

/* In the reader's arena, with whatever could be read. NULL: no memory, or nothing is in the file.
 */
struct dataset *dataset_read(struct option_reader *reader, const struct yaml *yaml);
void dataset_write(struct outline *out, const struct dataset *dataset);

/* What is wrong with a name that becomes one of PostgreSQL's, or NULL. */
const char *wrong_name(const char *text);

/* Is the key of a mapping such a name, of at most `max` bytes? `what` it is, for the problem. */
bool dataset_is_name(
	struct option_reader *reader, const struct yaml_node *key, const char *what, size_t max);

/* schema.table */
void dataset_read_table(struct option_reader *reader, const struct yaml_node *node,
	char **ret_schema, char **ret_table);
void dataset_write_table(
	struct outline *out, const char *name, const char *schema, const char *table);

/* ---- dataset_columns.c: hooks of option_def; base is a struct dataset ---- */
void dataset_read_columns(struct option_reader *reader, const struct yaml_node *node, void *base);
void dataset_write_columns(struct outline *out, const char *name, const void *base);
void dataset_read_date(struct option_reader *reader, const struct yaml_node *node, void *base);
void dataset_write_date(struct outline *out, const char *name, const void *base);
void dataset_read_lookups(struct option_reader *reader, const struct yaml_node *node, void *base);
void dataset_write_lookups(struct outline *out, const char *name, const void *base);

/* The index of the column that `node` names, or -1 and the problem was told. */
int dataset_read_column(struct option_reader *reader, const struct dataset *dataset,
	const struct yaml_node *node, const char *option);
bool dataset_is_word(
	struct option_reader *reader, const struct yaml_node *node, const char *option);
void dataset_unknown_column(struct option_reader *reader, const struct dataset *dataset,
	const struct yaml_node *node, const char *option, bool lookups_too);

/* ---- dataset_fact.c: hooks likewise ---- */
void dataset_read_key(struct option_reader *reader, const struct yaml_node *node, void *base);
void dataset_write_key(struct outline *out, const char *name, const void *base);
void dataset_read_indexes(struct option_reader *reader, const struct yaml_node *node, void *base);
void dataset_write_indexes(struct outline *out, const char *name, const void *base);

/* ---- dataset_check.c ---- */

/* page_max: portal.page_max, or UINT_MAX when it is not known. */
void dataset_check(struct option_reader *reader, const struct yaml_node *root,
	const struct dataset *dataset, unsigned page_max);

/* What two datasets must not share. */
void dataset_check_others(struct option_reader *reader, const struct yaml_node *root,
	const struct dataset *dataset, struct dataset *const *others, unsigned n_others);

/* ---- source_read.c ---- */

void source_read(struct option_reader *reader, const struct yaml_node *node, struct source *source);
void source_write(struct outline *out, const struct source *source);

/* The column that `node` names, which must have a field here; -1 and a problem if not. */
int source_read_column(struct option_reader *reader, const struct source *source,
	const struct yaml_node *node, const char *option);

/* What is wrong with a date format made of the conversions in `may`, or NULL. */
const char *source_wrong_format(const char *text, const char *may);

/* ---- source_slice.c: hooks; base is a struct source ---- */
void source_read_slice(struct option_reader *reader, const struct yaml_node *node, void *base);
void source_write_slice(struct outline *out, const char *name, const void *base);
void source_read_heal(struct option_reader *reader, const struct yaml_node *node, void *base);
void source_write_heal(struct outline *out, const char *name, const void *base);

/* True for `name[...]`. */
bool source_is_param(const char *text, const char *name);
