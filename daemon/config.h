#pragma once

/*
 * The configuration: YAML files to one checked, immutable, counted struct.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every problem of every file is found in one reading and reported as
 * `file:line:column: message`. Secrets (keys, DSN, token, webhook) are registered with the scrubber
 * (lib/scrub.h) as they are expanded and are never part of a message. The environment variables
 * they came from are unset by config_unset_secrets(), which main calls after a successful load.
 */

#include "daemon/dataset.h"
#include "lib/arena.h"
#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/error.h"
#include "lib/log.h"

enum ip_version { IP_ANY, IP_4, IP_6 };

struct config_portal {
	char *base_url; /* no slash at the end; https, or http to loopback */
	char **api_keys;
	unsigned n_api_keys; /* 0: no key was given; an error only for who fetches */
	char **api_key_files; /* where they were read from, if from files */
	unsigned n_api_key_files;
	char *api_key_problem; /* why there is none: "DATA_GOV_API_KEY is not set" */
	char *user_agent;
	unsigned requests_per_minute;
	unsigned parallel;
	uint64_t connect_timeout_ms, request_timeout_ms;
	uint64_t low_speed_bytes, low_speed_ms;
	uint64_t page_bytes; /* decompressed */
	unsigned page_max;   /* rows */
	unsigned attempts, passes;
	uint64_t backoff_min_ms, backoff_max_ms, retry_budget_ms;
	unsigned breaker_after;
	uint64_t breaker_probe_ms;
	enum ip_version ip;
	char *proxy, *ca_file; /* or NULL */
};

struct config_database {
	char *dsn;       /* NULL: none, see dsn_problem */
	char *owner_dsn; /* NULL: none, see owner_dsn_problem; if that is NULL too, dsn counts */
	char *dsn_problem, *owner_dsn_problem; /* "DATABASE_URL is not set", or NULL */
	bool create_tables;
	uint64_t statement_timeout_ms, reconnect_min_ms, reconnect_max_ms;
};

enum listen_kind { LISTEN_UNIX, LISTEN_TCP };

struct config_listen {
	enum listen_kind kind;
	char *text;       /* as written */
	char *path;       /* unix */
	char *host;       /* tcp, without brackets */
	unsigned port;    /* 0: the system picks */
};

struct config_server {
	struct config_listen *listen;
	unsigned n_listen;
	char *token; /* contents of token_file, or NULL */
	char *token_file, *token_problem; /* or NULL: token_file: why there is no token */
	char **hosts;
	unsigned n_hosts;
};

struct config_spool {
	char *directory;
	uint64_t max_bytes, keep_ms;
};

struct config_alerts {
	char *webhook, *webhook_secret, *notify_channel; /* or NULL */
	unsigned after_failures;
};

struct config_history {
	uint64_t runs_ms, quarantine_ms, revisions_ms; /* UINT64_MAX: forever */
};

/* An environment variable that a secret was expanded from, kept for the next reading. */
struct config_variable {
	struct config_variable *next;
	char *name, *value;
};

struct config {
	unsigned n_refs;
	struct arena arena; /* all that is behind these pointers */
	struct config_variable *variables;
	char *file;
	struct config_portal portal;
	struct config_database database;
	struct config_server server;
	struct config_spool spool;
	uint64_t load_memory_bytes;
	struct {
		enum log_level level;
		enum log_format format;
		char *file; /* or NULL */
	} log;
	struct config_alerts alerts;
	struct config_history history;
	char *timezone;
	struct dataset **datasets; /* sorted by name */
	unsigned n_datasets;
};

/*
 * Read `file` and datasets.d/ beside it. Returns 0 and a configuration with one reference, or -1
 * with all problems in `report`, one line each.
 */
int config_load(const char *file, struct config **ret_config, struct buffer *report) must_check;

/*
 * Read the file of `running` again. The variables that config_unset_secrets() has taken out of the
 * environment have the values that they had.
 */
int config_reload(const struct config *running, struct config **ret_config, struct buffer *report)
	must_check;

/*
 * What a value could not be had for (a variable that is not set, a file that cannot be read) is no
 * matter to those who do not use it; those who do ask here first. Returns -1 and the reason.
 */
enum config_need { CONFIG_NEED_KEY, CONFIG_NEED_DSN, CONFIG_NEED_OWNER_DSN, CONFIG_NEED_TOKEN };
int config_require(const struct config *config, enum config_need need, struct error *error)
	must_check;

struct config *config_ref(struct config *config);
struct config *config_unref(struct config *config); /* takes NULL, returns NULL */

/* Remove from the environment what secrets were expanded from; config_reload() still knows them. */
void config_unset_secrets(const struct config *config);

/*
 * Write the whole configuration with its defaults, every secret as "(hidden)": as YAML, one document
 * for each file; or as one JSON object, the datasets in a mapping by their names.
 */
void config_dump(const struct config *config, struct buffer *out);
void config_dump_json(const struct config *config, struct buffer *out);

const struct dataset *config_dataset(const struct config *config, const char *name);
const struct source *config_source(const struct config *config, const char *dataset,
	const char *source);
