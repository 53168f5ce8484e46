/*
 * The options of ogdsync.yaml. SPDX-License-Identifier: Apache-2.0
 *
 * One table for each section: name, type, place, default, limits. Limits only keep out what cannot
 * be meant; why a default is what it is, is said in conf/ogdsync.yaml and ogdsync.yaml(5).
 */

#include <config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/address.h"
#include "daemon/config_private.h"
#include "lib/zone.h"

#define AT(field) offsetof(struct config, field)

#define KIB	  UINT64_C(1024)
#define MIB	  (1024 * KIB)
#define GIB	  (1024 * MIB)
#define TIB	  (1024 * GIB)
#define SECOND	  UINT64_C(1000)
#define MINUTE	  (60 * SECOND)
#define HOUR	  (60 * MINUTE)
#define DAY	  (24 * HOUR)

static const char *wrong_path(const char *text)
{
	return text[0] == '/' ? NULL : "must be an absolute path";
}

/* It becomes a header of a request. */
static const char *wrong_header(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p > '~') {
			return "must be plain ASCII";
		}
	}
	return text[strspn(text, " ")] ? NULL : "must not be empty";
}

static const char *wrong_host(const char *text)
{
	static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    ".-_:[]";

	return text[strspn(text, bytes)] ? "must be the name of a host" : NULL;
}

/* An unknown zone would be UTC without a word. */
static void check_timezone(struct option_reader *reader, const struct yaml_node *node)
{
	char found[OPTION_FOUND_BYTES];
	struct error error = {0};
	struct zone *zone = NULL;

	if (zone_load(NULL, yaml_text(node), &zone, &error) < 0 && error.class == ERROR_RETRY) {
		reader->problems->no_memory = true;
	} else if (error_is_set(&error)) {
		yaml_problem(reader->problems, node,
			"timezone: is not a time zone of this machine%s",
			option_found(node, 0, found));
	}
	zone_free(zone);
}

static void read_listen(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	static const struct option_def def = {
		.name = "listen", .type = OPTION_TEXTS, .wrong = address_wrong_listen};
	struct config_server *server = &((struct config *)base)->server;
	char host[ADDRESS_HOST_BYTES];
	char **texts;
	unsigned n;

	option_texts(reader, &def, node, base, &texts, &n);
	server->listen = option_alloc(reader, n, sizeof(*server->listen));
	for (unsigned i = 0; i < n && server->listen; i++) {
		struct config_listen *listen = &server->listen[server->n_listen++];

		listen->text = texts[i];
		if (address_is_unix(texts[i])) {
			listen->kind = LISTEN_UNIX;
			listen->path = texts[i] + strlen("unix:");
			continue;
		}
		listen->kind = LISTEN_TCP;
		listen->port = address_split_listen(texts[i], host, sizeof(host));
		listen->host = option_copy(reader, host);
	}
}

static void write_listen(struct outline *out, const char *name, const void *base)
{
	const struct config_server *server = &((const struct config *)base)->server;

	outline_open_list(out, name);
	for (unsigned i = 0; i < server->n_listen; i++) {
		outline_text(out, NULL, server->listen[i].text);
	}
	outline_close_list(out);
}

static bool keys_are_from_files(const void *base)
{
	return ((const struct config *)base)->portal.n_api_key_files > 0;
}

/* clang-format off */

static const struct option_def breaker_options[] = {
	{.name = "after", .type = OPTION_NUMBER, .at = AT(portal.breaker_after), .fallback = "5",
		.min = 1, .max = 1000},
	{.name = "probe", .type = OPTION_DURATION, .at = AT(portal.breaker_probe_ms),
		.fallback = "5m", .min = SECOND, .max = DAY},
	{0},
};

static const char *const ip_words[] = {"any", "4", "6", NULL};

static const struct option_def portal_options[] = {
	{.name = "base_url", .type = OPTION_TEXT, .flags = OPTION_UNSHOWN,
		.at = AT(portal.base_url), .fallback = "https://api.data.gov.in",
		.wrong = address_wrong_base_url},
	{.name = "api_key", .type = OPTION_TEXTS,
		.flags = OPTION_SECRET | OPTION_LAZY | OPTION_NULLABLE, .at = AT(portal.api_keys),
		.second = AT(portal.n_api_keys), .problem = AT(portal.api_key_problem),
		.fallback = "${DATA_GOV_API_KEY}", .wrong = secret_wrong_key,
		.check = secret_whole, .left_out = keys_are_from_files},
	{.name = "api_key_file", .type = OPTION_TEXTS, .flags = OPTION_LAZY | OPTION_NULLABLE,
		.at = AT(portal.api_key_files), .second = AT(portal.n_api_key_files),
		.problem = AT(portal.api_key_problem), .wrong = wrong_path},
	{.name = "user_agent", .type = OPTION_TEXT, .at = AT(portal.user_agent),
		.fallback = "ogdsync/" OGDSYNC_VERSION, .wrong = wrong_header},
	{.name = "requests_per_minute", .type = OPTION_NUMBER, .at = AT(portal.requests_per_minute),
		.fallback = "60", .min = 1, .max = 60000},
	{.name = "parallel", .type = OPTION_NUMBER, .at = AT(portal.parallel), .fallback = "2",
		.min = 1, .max = 16},
	{.name = "connect_timeout", .type = OPTION_DURATION, .at = AT(portal.connect_timeout_ms),
		.fallback = "20s", .min = 100, .max = HOUR},
	{.name = "low_speed", .type = OPTION_RATE, .at = AT(portal.low_speed_bytes),
		.second = AT(portal.low_speed_ms), .fallback = "1KiB/60s"},
	{.name = "request_timeout", .type = OPTION_DURATION, .at = AT(portal.request_timeout_ms),
		.fallback = "180s", .min = 100, .max = DAY},
	{.name = "page_bytes", .type = OPTION_SIZE, .at = AT(portal.page_bytes),
		.fallback = "96MiB", .min = 64 * KIB, .max = 4 * GIB},
	{.name = "page_max", .type = OPTION_NUMBER, .at = AT(portal.page_max), .fallback = "10000",
		.min = 1, .max = 1000000},
	{.name = "attempts", .type = OPTION_NUMBER, .at = AT(portal.attempts), .fallback = "6",
		.min = 1, .max = 100},
	{.name = "backoff", .type = OPTION_SPAN, .at = AT(portal.backoff_min_ms),
		.second = AT(portal.backoff_max_ms), .fallback = "1s..5m", .min = 1, .max = DAY},
	{.name = "retry_budget", .type = OPTION_DURATION, .at = AT(portal.retry_budget_ms),
		.fallback = "30m", .max = 30 * DAY},
	{.name = "passes", .type = OPTION_NUMBER, .at = AT(portal.passes), .fallback = "3",
		.min = 1, .max = 100},
	{.name = "ip", .type = OPTION_WORD, .at = AT(portal.ip), .fallback = "any",
		.words = ip_words, .first_word = IP_ANY},
	{.name = "proxy", .type = OPTION_TEXT,
		.flags = OPTION_NULLABLE | OPTION_SECRET | OPTION_SCRUBBED, .at = AT(portal.proxy),
		.wrong = address_wrong_proxy, .check = secret_proxy},
	{.name = "ca_file", .type = OPTION_TEXT, .flags = OPTION_NULLABLE, .at = AT(portal.ca_file),
		.wrong = wrong_path},
	{.name = "breaker", .type = OPTION_SECTION, .section = breaker_options},
	{0},
};

static const struct option_def database_options[] = {
	{.name = "dsn", .type = OPTION_TEXT,
		.flags = OPTION_SECRET | OPTION_SCRUBBED | OPTION_LAZY | OPTION_NULLABLE,
		.at = AT(database.dsn), .problem = AT(database.dsn_problem),
		.fallback = "${DATABASE_URL:-dbname=ogdsync}", .check = secret_dsn},
	{.name = "create_tables", .type = OPTION_BOOL, .at = AT(database.create_tables),
		.fallback = "false"},
	{.name = "owner_dsn", .type = OPTION_TEXT,
		.flags = OPTION_SECRET | OPTION_SCRUBBED | OPTION_LAZY | OPTION_NULLABLE,
		.at = AT(database.owner_dsn), .problem = AT(database.owner_dsn_problem),
		.check = secret_dsn},
	{.name = "statement_timeout", .type = OPTION_DURATION,
		.at = AT(database.statement_timeout_ms), .fallback = "5m", .min = 100,
		.max = 30 * DAY},
	{.name = "reconnect", .type = OPTION_SPAN, .at = AT(database.reconnect_min_ms),
		.second = AT(database.reconnect_max_ms), .fallback = "1s..5s", .min = 10,
		.max = HOUR},
	{0},
};

static const char *const listen_default[] = {
	"unix:/run/ogdsync/ogdsync.sock", "127.0.0.1:8642", "[::1]:8642", NULL};

static const struct option_def server_options[] = {
	{.name = "listen", .type = OPTION_SPECIAL, .read = read_listen, .write = write_listen,
		.fallbacks = listen_default},
	{.name = "token_file", .type = OPTION_TEXT, .flags = OPTION_LAZY | OPTION_NULLABLE,
		.at = AT(server.token_file), .problem = AT(server.token_problem),
		.wrong = wrong_path},
	{.name = "hosts", .type = OPTION_TEXTS, .at = AT(server.hosts),
		.second = AT(server.n_hosts), .wrong = wrong_host},
	{0},
};

static const struct option_def spool_options[] = {
	{.name = "directory", .type = OPTION_TEXT, .at = AT(spool.directory),
		.fallback = "/var/lib/ogdsync/spool", .wrong = wrong_path},
	{.name = "max_bytes", .type = OPTION_SIZE, .at = AT(spool.max_bytes), .fallback = "2GiB",
		.min = MIB, .max = 1024 * TIB},
	{.name = "keep", .type = OPTION_DURATION, .flags = OPTION_FOREVER, .at = AT(spool.keep_ms),
		.fallback = "30d"},
	{0},
};

static const struct option_def load_options[] = {
	{.name = "memory", .type = OPTION_SIZE, .at = AT(load_memory_bytes), .fallback = "12MiB",
		.min = MIB, .max = 64 * GIB},
	{0},
};

static const char *const level_words[] = {"error", "warning", "notice", "info", "debug", NULL};
static const char *const format_words[] = {"auto", "journal", "logfmt", "json", NULL};

static const struct option_def log_options[] = {
	{.name = "level", .type = OPTION_WORD, .at = AT(log.level), .fallback = "info",
		.words = level_words, .first_word = LOG_LEVEL_ERROR},
	{.name = "format", .type = OPTION_WORD, .at = AT(log.format), .fallback = "auto",
		.words = format_words, .first_word = LOG_FORMAT_AUTO},
	{.name = "file", .type = OPTION_TEXT, .flags = OPTION_NULLABLE, .at = AT(log.file),
		.wrong = wrong_path},
	{0},
};

static const struct option_def alerts_options[] = {
	{.name = "webhook", .type = OPTION_TEXT, .flags = OPTION_NULLABLE | OPTION_SECRET,
		.at = AT(alerts.webhook), .wrong = address_wrong_webhook,
		.check = secret_whole},
	{.name = "webhook_secret", .type = OPTION_TEXT, .flags = OPTION_NULLABLE | OPTION_SECRET,
		.at = AT(alerts.webhook_secret), .check = secret_whole},
	{.name = "notify_channel", .type = OPTION_TEXT, .flags = OPTION_NULLABLE,
		.at = AT(alerts.notify_channel), .fallback = "ogdsync", .wrong = wrong_name},
	{.name = "after_failures", .type = OPTION_NUMBER, .at = AT(alerts.after_failures),
		.fallback = "3", .min = 1, .max = 1000},
	{0},
};

static const struct option_def history_options[] = {
	{.name = "runs", .type = OPTION_DURATION, .flags = OPTION_FOREVER,
		.at = AT(history.runs_ms), .fallback = "400d", .min = DAY},
	{.name = "quarantine", .type = OPTION_DURATION, .flags = OPTION_FOREVER,
		.at = AT(history.quarantine_ms), .fallback = "400d", .min = DAY},
	{.name = "revisions", .type = OPTION_DURATION, .flags = OPTION_FOREVER,
		.at = AT(history.revisions_ms), .fallback = "forever", .min = DAY},
	{0},
};

const struct option_def config_options[] = {
	{.name = "portal", .type = OPTION_SECTION, .section = portal_options},
	{.name = "database", .type = OPTION_SECTION, .section = database_options},
	{.name = "server", .type = OPTION_SECTION, .section = server_options},
	{.name = "spool", .type = OPTION_SECTION, .section = spool_options},
	{.name = "load", .type = OPTION_SECTION, .section = load_options},
	{.name = "log", .type = OPTION_SECTION, .section = log_options},
	{.name = "alerts", .type = OPTION_SECTION, .section = alerts_options},
	{.name = "history", .type = OPTION_SECTION, .section = history_options},
	{.name = "timezone", .type = OPTION_TEXT, .at = AT(timezone), .fallback = "Asia/Kolkata",
		.check = check_timezone},
	{0},
};

/* clang-format on */

/* ---- what depends on each other ---- */

static const struct yaml_node *option_at(
	const struct yaml_node *root, const char *section, const char *name)
{
	return yaml_get(yaml_get(root, section), name);
}

/* The node of the n-th listener; NULL when it is a default. */
static const struct yaml_node *listen_at(const struct yaml_node *root, unsigned n)
{
	const struct yaml_node *node = option_at(root, "server", "listen");

	if (!node || node->kind != YAML_SEQUENCE) {
		return node;
	}
	node = node->first;
	for (; n > 0 && node; n--) {
		node = node->next;
	}
	return node;
}

/* Only when each could be read do the listeners stand where their nodes do. */
static void check_listen(struct option_reader *reader, const struct yaml_node *root,
	const struct config_server *server)
{
	const struct yaml_node *token = option_at(root, "server", "token_file");
	const struct yaml_node *list = option_at(root, "server", "listen");
	bool has_token = token && !yaml_is_null(token);

	if (!list || (list->kind == YAML_SEQUENCE && list->n_children != server->n_listen)) {
		return;
	}
	for (unsigned i = 0; i < server->n_listen; i++) {
		const struct config_listen *listen = &server->listen[i];

		if (listen->kind == LISTEN_TCP && !address_is_loopback(listen->host) &&
			!has_token) {
			yaml_problem(reader->problems, listen_at(root, i),
				"listen: %s is open to other machines: server.token_file is needed",
				listen->text);
		}
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(server->listen[j].text, listen->text) == 0) {
				yaml_problem(reader->problems, listen_at(root, i),
					"listen: %s stands here twice", listen->text);
				break;
			}
		}
	}
}

void config_check(
	struct option_reader *reader, const struct yaml_node *root, const struct config *config)
{
	const struct yaml_node *node = option_at(root, "portal", "request_timeout");

	check_listen(reader, root, &config->server);
	node = node ? node : option_at(root, "portal", "connect_timeout");
	if (node && config->portal.request_timeout_ms > 0 &&
		config->portal.request_timeout_ms < config->portal.connect_timeout_ms) {
		yaml_problem(reader->problems, node,
			"request_timeout must not be shorter than connect_timeout");
	}
}
