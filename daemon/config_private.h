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

/* The index of the column that `node` names, or -1 and the problem was told. */
int dataset_read_column(struct option_reader *reader, const struct dataset *dataset,
	const struct yaml_node *node, const char *option);

/* What is wrong with a name that becomes one of PostgreSQL's, or NULL. */
const char *wrong_name(const char *text);

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
