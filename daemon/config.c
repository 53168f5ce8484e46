/*
 * The configuration: files to a checked struct. SPDX-License-Identifier: Apache-2.0
 *
 * ogdsync.yaml is read by its tables (config_options.c), then what no table can say is checked,
 * then the files that hold secrets are read, then each datasets.d/<name>.yaml (dataset_read.c,
 * source_read.c, dataset_check.c). Nothing stops at the first problem: all are collected, and any
 * of them means that there is no configuration. Everything lives in the arena of struct config.
 *
 * What depends on who asks is no problem here: a key that is not set matters only to those who
 * fetch. The reason is kept, and config_require() tells it.
 *
 * Secrets leave the environment after the first reading, so a variable is looked for there and then
 * in the configuration that runs.
 */

#include "daemon/config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config_private.h"
#include "lib/atomic_file.h"
#include "lib/scrub.h"

struct loading {
	const struct config *running; /* or NULL */
	struct config *config;
	struct problems problems;
	struct option_reader reader;
	unsigned n_files;
	bool main_is_broken;
};

/* ---- variables ---- */

static const struct config_variable *find_variable(const struct config *config, const char *name)
{
	const struct config_variable *v = config ? config->variables : NULL;

	while (v && strcmp(v->name, name) != 0) {
		v = v->next;
	}
	return v;
}

static const char *look_up(void *arg, const char *name)
{
	const struct loading *loading = arg;
	const char *value = getenv(name);
	const struct config_variable *v = find_variable(loading->running, name);

	return value ? value : v ? v->value : NULL;
}

static void on_secret_variable(void *arg, const char *name)
{
	struct loading *loading = arg;
	const char *value = look_up(arg, name);
	struct config_variable *v;

	if (!value || find_variable(loading->config, name)) {
		return;
	}
	v = option_alloc(&loading->reader, 1, sizeof(*v));
	if (v) {
		v->name = option_copy(&loading->reader, name);
		v->value = option_copy(&loading->reader, value);
		v->next = loading->config->variables;
		loading->config->variables = v;
	}
}

/* libpq takes this one by itself, at each connection: it must stay, and must not be shown. */
static void hide_libpq_password(struct loading *loading)
{
	if (scrub_add(getenv("PGPASSWORD")) == -ENOMEM) {
		loading->problems.no_memory = true;
	}
}

/* ---- files ---- */

/* Parse a file into `yaml`; it is broken when it cannot be read. */
static void parse_file(struct loading *loading, const char *path, struct yaml *yaml)
{
	struct problem_place whole = {.file = path, .order = loading->n_files};
	struct buffer text = {0};
	struct error error = {0};

	*yaml = (struct yaml){.file = path, .order = loading->n_files++};
	loading->reader.yaml = yaml;
	if (atomic_file_read(path, YAML_MAX_BYTES, &text, &error) < 0) {
		size_t n = strlen(path);

		yaml->broken = true;
		problems_add(&loading->problems, whole, "%s",
			strncmp(error.text, path, n) == 0 ? error.text + n + strlen(": ")
							  : error.text);
	} else {
		yaml_parse(yaml, buffer_str(&text), text.len, look_up, loading, &loading->problems);
	}
	if (text.data) {
		explicit_bzero(text.data, text.size);
	}
	buffer_fini(&text);
}

static void read_main(struct loading *loading)
{
	struct config *config = loading->config;
	struct yaml yaml;

	parse_file(loading, config->file, &yaml);
	loading->main_is_broken = yaml.broken;
	if (!yaml.broken) {
		options_read(&loading->reader, config_options, yaml.root, config);
		config_check(&loading->reader, yaml.root, config);
		config_read_secret_files(&loading->reader, yaml.root, config);
	}
	yaml_fini(&yaml);
}

static void read_dataset(struct loading *loading, const char *path)
{
	unsigned page_max = loading->main_is_broken || loading->config->portal.page_max == 0
		? UINT_MAX
		: loading->config->portal.page_max;
	struct config *config = loading->config;
	struct dataset *dataset = NULL;
	struct yaml yaml;

	parse_file(loading, path, &yaml);
	if (!yaml.broken) {
		dataset = dataset_read(&loading->reader, &yaml);
	}
	if (dataset) {
		dataset_check(&loading->reader, yaml.root, dataset, page_max);
		dataset_check_others(
			&loading->reader, yaml.root, dataset, config->datasets, config->n_datasets);
		config->datasets[config->n_datasets++] = dataset;
	}
	yaml_fini(&yaml);
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), n_end = strlen(end);

	return n > n_end && strcmp(text + n - n_end, end) == 0;
}

/* Hidden files and what editors and package managers leave behind are nobody's dataset. */
static int is_yaml(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
		(ends_with(entry->d_name, ".yaml") || ends_with(entry->d_name, ".yml"));
}

static char *join(struct option_reader *reader, const char *directory, const char *name)
{
	size_t size = strlen(directory) + strlen(name) + 2;
	char *path = option_alloc(reader, size, 1);

	if (path) {
		snprintf(path, size, "%s/%s", directory, name);
	}
	return path;
}

/* "datasets.d" beside the file. */
static char *dataset_directory(struct option_reader *reader, const char *file)
{
	const char *slash = strrchr(file, '/');
	char *parent = option_copy(reader, slash ? file : ".");

	if (!parent) {
		return NULL;
	}
	if (slash) {
		parent[slash == file ? 1 : slash - file] = '\0';
	}
	return slash ? join(reader, parent, "datasets.d") : option_copy(reader, "datasets.d");
}

static void read_entry(struct loading *loading, const char *directory, const char *name)
{
	char *path = join(&loading->reader, directory, name);
	struct problem_place place = {.file = path, .order = loading->n_files};

	if (path && ends_with(name, ".yml")) {
		problems_add(&loading->problems, place, "would not be read: name it *.yaml");
	} else if (path) {
		read_dataset(loading, path);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct dataset *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_datasets(struct loading *loading)
{
	struct config *config = loading->config;
	char *directory = dataset_directory(&loading->reader, config->file);
	struct problem_place whole = {.file = directory, .order = UINT_MAX};
	struct dirent **entries = NULL;
	int n;

	if (!directory) {
		return;
	}
	n = scandir(directory, &entries, is_yaml, by_bytes);
	if (n < 0) {
		problems_add(&loading->problems, whole, "%s", strerror(errno));
		return;
	}
	if (n == 0) {
		problems_add(&loading->problems, whole, "there is no dataset (*.yaml) here");
	}
	config->datasets = option_alloc(&loading->reader, (size_t)n, sizeof(*config->datasets));
	for (int i = 0; i < n; i++) {
		if (config->datasets) {
			read_entry(loading, directory, entries[i]->d_name);
		}
		free(entries[i]);
	}
	free(entries);
}

/* ---- the whole ---- */

static struct config *config_new(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config) {
		config->n_refs = 1;
	}
	return config;
}

static void load_all(struct loading *loading, const char *file)
{
	loading->config->file = option_copy(&loading->reader, file);
	if (!loading->config->file) {
		return;
	}
	hide_libpq_password(loading);
	read_main(loading);
	read_datasets(loading);
}

static int load(
	const char *file, const struct config *running, struct config **ret, struct buffer *report)
{
	struct loading loading = {.running = running, .config = config_new()};
	int r = -1;

	if (!loading.config) {
		buffer_append_str(report, "out of memory\n");
		return -1;
	}
	loading.reader = (struct option_reader){.problems = &loading.problems,
		.arena = &loading.config->arena,
		.lookup = look_up,
		.on_secret_variable = on_secret_variable,
		.arg = &loading};
	load_all(&loading, file);
	if (problems_none(&loading.problems)) {
		qsort(loading.config->datasets, loading.config->n_datasets,
			sizeof(loading.config->datasets[0]), by_name);
		*ret = loading.config;
		r = 0;
	} else {
		problems_report(&loading.problems, report);
		scrub_buffer(report);
		config_unref(loading.config);
	}
	problems_fini(&loading.problems);
	return r;
}

int config_load(const char *file, struct config **ret_config, struct buffer *report)
{
	return load(file, NULL, ret_config, report);
}

int config_reload(const struct config *running, struct config **ret_config, struct buffer *report)
{
	return load(running->file, running, ret_config, report);
}

struct config *config_ref(struct config *config)
{
	config->n_refs++;
	return config;
}

struct config *config_unref(struct config *config)
{
	if (config && --config->n_refs == 0) {
		arena_fini(&config->arena);
		free(config);
	}
	return NULL;
}

void config_unset_secrets(const struct config *config)
{
	for (const struct config_variable *v = config->variables; v; v = v->next) {
		char *value = getenv(v->name);

		if (value) {
			explicit_bzero(value, strlen(value)); /* /proc/PID/environ shows these bytes */
		}
		unsetenv(v->name);
	}
}

int config_require(const struct config *config, enum config_need need, struct error *error)
{
	const struct config_database *database = &config->database;
	const char *problem = NULL, *option = NULL;

	switch (need) {
	case CONFIG_NEED_KEY:
		option = "portal.api_key";
		problem = config->portal.n_api_keys > 0 ? NULL : config->portal.api_key_problem;
		break;
	case CONFIG_NEED_DSN:
		option = "database.dsn";
		problem = database->dsn_problem;
		break;
	case CONFIG_NEED_OWNER_DSN:
		option = "database.owner_dsn";
		problem = database->owner_dsn_problem;
		if (!problem && !database->owner_dsn) {
			option = "database.dsn";
			problem = database->dsn_problem;
		}
		break;
	case CONFIG_NEED_TOKEN:
		option = "server.token_file";
		problem = config->server.token_problem;
		break;
	}
	if (!problem) {
		return 0;
	}
	return error_set(error, ERROR_REJECTED, "config", "config", "%s: %s: %s", config->file,
		option, problem);
}

/* ---- writing ---- */

static void dump_main(struct outline *out, const struct config *config)
{
	options_write(out, config_options, config);
}

void config_dump(const struct config *config, struct buffer *out)
{
	struct outline outline = {.out = out, .format = OUTLINE_YAML};

	buffer_printf(out, "# %s\n", config->file);
	dump_main(&outline, config);
	for (unsigned i = 0; i < config->n_datasets; i++) {
		buffer_printf(out, "---\n# %s\n", config->datasets[i]->file);
		dataset_write(&outline, config->datasets[i]);
	}
}

void config_dump_json(const struct config *config, struct buffer *out)
{
	struct outline outline = {.out = out, .format = OUTLINE_JSON};

	outline_open(&outline, NULL);
	dump_main(&outline, config);
	outline_open(&outline, "datasets");
	for (unsigned i = 0; i < config->n_datasets; i++) {
		outline_open(&outline, config->datasets[i]->name);
		dataset_write(&outline, config->datasets[i]);
		outline_close(&outline);
	}
	outline_close(&outline);
	outline_close(&outline);
}

/* ---- looking up ---- */

const struct dataset *config_dataset(const struct config *config, const char *name)
{
	for (unsigned i = 0; i < config->n_datasets; i++) {
		if (strcmp(config->datasets[i]->name, name) == 0) {
			return config->datasets[i];
		}
	}
	return NULL;
}

const struct source *config_source(
	const struct config *config, const char *dataset, const char *source)
{
	const struct dataset *d = config_dataset(config, dataset);

	for (unsigned i = 0; d && i < d->n_sources; i++) {
		if (strcmp(d->sources[i].name, source) == 0) {
			return &d->sources[i];
		}
	}
	return NULL;
}
