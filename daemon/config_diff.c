/*
 * What differs between two configurations. SPDX-License-Identifier: Apache-2.0
 *
 * Both are dumped as JSON with all their defaults, and the documents are compared from the root on: so
 * an option that was left out is equal to one that has its default, and comments and order do not
 * matter. Secrets are hidden in a dump; they are compared by themselves.
 */

#include "daemon/config_diff.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 512 };

static const char hidden[] = "(hidden)";

struct diff {
	char path[PATH_BYTES]; /* of what is being compared: "portal.attempts" */
	config_diff_fn visit;
	void *arg;
	bool failed;
};

static json_t *dump(const struct config *config)
{
	_cleanup_buffer_ struct buffer text = {0};

	config_dump_json(config, &text);
	return buffer_failed(&text) ? NULL : json_loadb(buffer_str(&text), text.len, 0, NULL);
}

/* As it is written: a text without quotes. */
static char *value_text(const json_t *value)
{
	return json_is_string(value) ? strdup(json_string_value(value))
				     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

static void tell(struct diff *diff, const json_t *old, const json_t *new)
{
	_cleanup_free_ char *before = old ? value_text(old) : NULL;
	_cleanup_free_ char *after = new ? value_text(new) : NULL;

	if ((old && !before) || (new && !after)) {
		diff->failed = true;
		return;
	}
	diff->visit(diff->arg, diff->path, before, after);
}

static void compare(struct diff *diff, const json_t *old, const json_t *new);

static void compare_member(struct diff *diff, const char *key, const json_t *old, const json_t *new)
{
	size_t len = strlen(diff->path);

	snprintf(diff->path + len, sizeof(diff->path) - len, "%s%s", len > 0 ? "." : "", key);
	compare(diff, old, new);
	diff->path[len] = '\0';
}

static void compare(struct diff *diff, const json_t *old, const json_t *new)
{
	const char *key;
	json_t *value;

	if (!json_is_object(old) || !json_is_object(new)) {
		if (!old || !new || !json_equal(old, new)) {
			tell(diff, old, new);
		}
		return;
	}
	json_object_foreach((json_t *)old, key, value)
	{
		compare_member(diff, key, value, json_object_get(new, key));
	}
	json_object_foreach((json_t *)new, key, value)
	{
		if (!json_object_get(old, key)) {
			compare_member(diff, key, NULL, value);
		}
	}
}

/* ---- secrets ---- */

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_keys(const struct config_portal *a, const struct config_portal *b)
{
	for (unsigned i = 0; i < a->n_api_keys && i < b->n_api_keys; i++) {
		if (!same(a->api_keys[i], b->api_keys[i])) {
			return false;
		}
	}
	return a->n_api_keys == b->n_api_keys;
}

static void compare_secrets(struct diff *diff, const struct config *old, const struct config *new)
{
	const struct {
		const char *option;
		bool same;
	} secrets[] = {
		{"portal.api_key", same_keys(&old->portal, &new->portal)},
		{"server.token_file", same(old->server.token, new->server.token)},
		{"alerts.webhook", same(old->alerts.webhook, new->alerts.webhook)},
		{"alerts.webhook_secret",
			same(old->alerts.webhook_secret, new->alerts.webhook_secret)},
	};

	for (size_t i = 0; i < N_ELEMENTS(secrets); i++) {
		if (!secrets[i].same) {
			diff->visit(diff->arg, secrets[i].option, hidden, hidden);
		}
	}
}

int config_diff(const struct config *old, const struct config *new, config_diff_fn visit, void *arg)
{
	struct diff diff = {.visit = visit, .arg = arg};
	json_t *before = dump(old), *after = dump(new);

	diff.failed = !before || !after;
	if (!diff.failed) {
		compare(&diff, before, after);
		compare_secrets(&diff, old, new);
	}
	json_decref(before);
	json_decref(after);
	return diff.failed ? -ENOMEM : 0;
}

/* ---- what a running process cannot change ---- */

static bool same_listen(const struct config_server *a, const struct config_server *b)
{
	for (unsigned i = 0; i < a->n_listen && i < b->n_listen; i++) {
		if (strcmp(a->listen[i].text, b->listen[i].text) != 0) {
			return false;
		}
	}
	return a->n_listen == b->n_listen;
}

void config_needs_restart(const struct config *old, const struct config *new,
	void (*visit)(void *arg, const char *option), void *arg)
{
	if (!same_listen(&old->server, &new->server)) {
		visit(arg, "server.listen");
	}
	if (strcmp(old->spool.directory, new->spool.directory) != 0) {
		visit(arg, "spool.directory");
	}
	if (!same(old->database.dsn, new->database.dsn)) {
		visit(arg, "database.dsn");
	}
	if (!same(old->database.owner_dsn, new->database.owner_dsn)) {
		visit(arg, "database.owner_dsn");
	}
	if (old->database.create_tables != new->database.create_tables) {
		visit(arg, "database.create_tables");
	}
}
