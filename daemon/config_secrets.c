/*
 * Secrets of the configuration. SPDX-License-Identifier: Apache-2.0
 *
 * A secret is made known to the scrubber at the moment it is read, before anything else is done
 * with it. One that is too short to be searched for is refused: it could not be kept out of the
 * log.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/address.h"
#include "daemon/config_private.h"
#include "lib/atomic_file.h"
#include "lib/pg_dsn.h"
#include "lib/scrub.h"

enum { SECRET_FILE_BYTES = 16 * 1024, TOKEN_MIN_BYTES = 32 };

struct finder {
	struct option_reader *reader;
	const struct yaml_node *node;
};

static void keep(struct option_reader *reader, const struct yaml_node *node, const char *secret)
{
	int r = scrub_add(secret);

	if (r == -EINVAL) {
		yaml_problem(reader->problems, node,
			"a secret of less than %d characters cannot be kept out of the log",
			SCRUB_MIN_BYTES);
	} else if (r < 0) {
		reader->problems->no_memory = true;
	}
}

void secret_whole(struct option_reader *reader, const struct yaml_node *node)
{
	keep(reader, node, yaml_text(node));
}

static void on_dsn_secret(void *arg, const char *secret)
{
	struct finder *finder = arg;

	keep(finder->reader, finder->node, secret);
}

void secret_dsn(struct option_reader *reader, const struct yaml_node *node)
{
	struct finder finder = {reader, node};
	struct error error = {0};

	if (pg_dsn_check(yaml_text(node), &error) < 0) {
		yaml_problem(reader->problems, node, "%s", error.text);
	} else if (pg_dsn_secrets(yaml_text(node), on_dsn_secret, &finder) < 0) {
		reader->problems->no_memory = true;
	}
}

void secret_proxy(struct option_reader *reader, const struct yaml_node *node)
{
	char password[256];
	const char *at;
	size_t len;

	if (address_password(yaml_text(node), &at, &len) && len < sizeof(password)) {
		memcpy(password, at, len);
		password[len] = '\0';
		keep(reader, node, password);
		explicit_bzero(password, sizeof(password));
	}
}

const char *secret_wrong_key(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p <= ' ' || *p > '~') {
			return "must be plain ASCII without spaces";
		}
	}
	return NULL;
}

/* ---- files ---- */

/* What stands in the file between white space. NULL with the reason why there is nothing. */
static char *read_secret(struct option_reader *reader, const char *file, struct error *error)
{
	static const char blanks[] = " \t\r\n";
	struct buffer text = {0};
	char *secret = NULL;
	const char *start;
	size_t len;

	if (atomic_file_read(file, SECRET_FILE_BYTES, &text, error) == 0) {
		start = buffer_str(&text) + strspn(buffer_str(&text), blanks);
		len = strlen(start);
		while (len > 0 && strchr(blanks, start[len - 1])) {
			len--;
		}
		secret = option_alloc(reader, len + 1, 1);
		if (secret) {
			memcpy(secret, start, len);
		}
		if (secret && len == 0) {
			error_set(error, ERROR_REJECTED, "config", "empty", "%s: is empty", file);
			secret = NULL;
		}
	}
	if (text.data) {
		explicit_bzero(text.data, text.size);
	}
	buffer_fini(&text);
	return secret;
}

static void read_key_files(
	struct option_reader *reader, const struct yaml_node *node, struct config_portal *portal)
{
	unsigned n = portal->n_api_key_files;

	portal->n_api_keys = 0;
	portal->api_keys = option_alloc(reader, n, sizeof(*portal->api_keys));
	for (unsigned i = 0; i < n && portal->api_keys; i++) {
		struct error error = {0};
		char *key = read_secret(reader, portal->api_key_files[i], &error);
		const char *wrong = key ? secret_wrong_key(key) : NULL;

		if (!key) {
			portal->api_key_problem = option_copy(reader, error.text);
			continue;
		}
		keep(reader, node, key);
		if (wrong) {
			yaml_problem(reader->problems, node, "%s: the key %s",
				portal->api_key_files[i], wrong);
		}
		portal->api_keys[portal->n_api_keys++] = key;
	}
}

static void read_keys(
	struct option_reader *reader, const struct yaml_node *section, struct config_portal *portal)
{
	const struct yaml_node *key = yaml_get(section, "api_key");
	const struct yaml_node *file = yaml_get(section, "api_key_file");

	if (file && !yaml_is_null(file)) {
		if (key && !yaml_is_null(key)) {
			yaml_problem(reader->problems, file,
				"api_key_file: api_key is given too; one of them is enough");
		}
		if (portal->n_api_key_files > 0) {
			portal->api_key_problem = NULL;
		}
		read_key_files(reader, file, portal);
	}
	if (portal->n_api_keys == 0 && !portal->api_key_problem) {
		portal->api_key_problem = option_copy(reader, "portal.api_key is empty");
	}
}

static void read_token(
	struct option_reader *reader, const struct yaml_node *node, struct config_server *server)
{
	struct error error = {0};
	char *token;

	if (!node || !server->token_file) {
		return;
	}
	token = read_secret(reader, server->token_file, &error);
	if (!token) {
		server->token_problem = option_copy(reader, error.text);
		return;
	}
	keep(reader, node, token);
	if (strlen(token) < TOKEN_MIN_BYTES) {
		yaml_problem(reader->problems, node, "%s: the token has less than %d characters",
			server->token_file, TOKEN_MIN_BYTES);
	} else if (secret_wrong_key(token)) {
		yaml_problem(reader->problems, node, "%s: the token %s", server->token_file,
			secret_wrong_key(token));
	}
	server->token = token;
}

void config_read_secret_files(
	struct option_reader *reader, const struct yaml_node *root, struct config *config)
{
	read_keys(reader, yaml_get(root, "portal"), &config->portal);
	read_token(reader, yaml_get(yaml_get(root, "server"), "token_file"), &config->server);
	if (!config->database.dsn && !config->database.dsn_problem) {
		config->database.dsn_problem = option_copy(reader, "database.dsn is empty");
	}
}
