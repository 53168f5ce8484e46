/*
 * Which daemon a command talks to. SPDX-License-Identifier: Apache-2.0
 *
 * Operators may use the socket without a right to read the configuration, which may hold secrets;
 * they then name the socket.
 */

#include "cli/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "daemon/date.h"
#include "daemon/page_url.h"
#include "lib/exitcode.h"

const char *daemon_configured_address(const struct config *config)
{
	const struct config_server *server = &config->server;

	for (unsigned i = 0; i < server->n_listen; i++) {
		if (server->listen[i].kind == LISTEN_UNIX) {
			return server->listen[i].path;
		}
	}
	return server->n_listen > 0 ? server->listen[0].text : NULL;
}

static void configp(struct config **config)
{
	config_unref(*config);
}

/* 0 and the address on the heap, or the exit code. */
static int configured_address(struct cli *cli, char **ret)
{
	_cleanup_buffer_ struct buffer report = {0};
	_cleanup_(configp) struct config *config = NULL;
	const char *address;

	if (config_load(cli->config_file, &config, &report) < 0) {
		fputs(buffer_str(&report), cli->err);
		return cli_error(cli, EXITCODE_CONFIG,
			"where the daemon listens is not known; name its socket with --socket");
	}
	address = daemon_configured_address(config);
	if (!address) {
		return cli_error(
			cli, EXITCODE_CONFIG, "%s: server.listen is empty", cli->config_file);
	}
	*ret = strdup(address);
	return *ret ? 0 : cli_error(cli, EXITCODE_SOFTWARE, "out of memory");
}

static int error_code(const struct error *error)
{
	return strcmp(error->code, "no_permission") == 0 ? EXITCODE_NO_PERMISSION
							 : EXITCODE_UNAVAILABLE;
}

int daemon_try(struct cli *cli, struct client_request *request, struct client_answer *ret,
	struct error *error)
{
	_cleanup_free_ char *address = NULL;
	int code;

	*ret = (struct client_answer){.status = 0};
	if (!cli->socket) {
		code = configured_address(cli, &address);
		if (code != 0) {
			return code;
		}
	}
	request->address = cli->socket ? cli->socket : address;
	return client_ask(request, ret, error) < 0 ? error_code(error) : 0;
}

int daemon_ask(struct cli *cli, struct client_request *request, struct client_answer *ret)
{
	struct error error = {0};
	int code = daemon_try(cli, request, ret, &error);

	return error_is_set(&error) ? cli_error(cli, code, "%s", error.text) : code;
}

int daemon_refused(struct cli *cli, const struct client_answer *answer)
{
	_cleanup_buffer_ struct buffer problem = {0};
	int code = EXITCODE_UNAVAILABLE;

	switch (answer->status) {
	case 400:
		code = EXITCODE_USAGE;
		break;
	case 401:
	case 403:
		code = EXITCODE_NO_PERMISSION;
		break;
	case 404:
		code = EXITCODE_NO_INPUT;
		break;
	case 409:
		code = EXITCODE_TRY_AGAIN;
		break;
	case 422:
		code = EXITCODE_CONFIG;
		break;
	default:
		break;
	}
	client_problem(answer, &problem);
	return cli_error(cli, code, "%s", buffer_str(&problem));
}

int daemon_get(struct cli *cli, const char *path, struct client_answer *ret)
{
	struct client_request request = {.path = path};
	int code = daemon_ask(cli, &request, ret);

	return code != 0 || ret->status / 100 == 2 ? code : daemon_refused(cli, ret);
}

int daemon_post_any(struct cli *cli, const char *path, json_t *take_body,
	struct client_answer *ret)
{
	_cleanup_free_ char *body = json_dumps(take_body, JSON_COMPACT);
	struct client_request request = {
		.path = path, .body = body, .token = getenv("OGDSYNC_TOKEN")};

	json_decref(take_body);
	*ret = (struct client_answer){.status = 0};
	return body ? daemon_ask(cli, &request, ret)
		    : cli_error(cli, EXITCODE_SOFTWARE, "out of memory");
}

int daemon_post(struct cli *cli, const char *path, json_t *take_body, struct client_answer *ret)
{
	int code = daemon_post_any(cli, path, take_body, ret);

	return code != 0 || ret->status / 100 == 2 ? code : daemon_refused(cli, ret);
}

void daemon_add_param(struct buffer *path, const char *name, const char *value)
{
	if (!value) {
		return;
	}
	buffer_printf(path, "%c%s=", strchr(buffer_str(path), '?') ? '&' : '?', name);
	url_encode(value, path);
}

int daemon_show(struct cli *cli, const char *path, int (*print)(struct cli *cli, const json_t *json))
{
	struct client_answer answer;
	int code = daemon_get(cli, path, &answer);
	json_t *json;

	if (code == 0 && cli_flag(cli, "json")) {
		fprintf(cli->out, "%s\n", buffer_str(&answer.body));
	} else if (code == 0) {
		json = json_loads(buffer_str(&answer.body), 0, NULL);
		code = json ? print(cli, json)
			    : cli_error(cli, EXITCODE_UNAVAILABLE,
				      "the answer is not what ogdsyncd says");
		json_decref(json);
	}
	client_answer_fini(&answer);
	return code;
}

int daemon_check_date(struct cli *cli, const char *option)
{
	const char *text = cli_option(cli, option);
	int32_t day;

	if (!text || date_parse(text, strlen(text), "%Y-%m-%d", &day) == 0) {
		return 0;
	}
	return cli_usage(cli, "--%s is a date such as 2026-11-19", option);
}
