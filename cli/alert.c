/*
 * ogdsync alert test: does a message reach those who are to be told? SPDX-License-Identifier: Apache-2.0
 *
 * The daemon sends it, as it sends alerts, and says how that went.
 */

#include <jansson.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "lib/exitcode.h"

static const char *const channels[] = {"webhook", "notify"};

static bool is_delivered(const json_t *channel)
{
	return json_is_true(json_object_get(channel, "delivered"));
}

static void print_channel(struct cli *cli, const char *name, const json_t *channel)
{
	if (!json_is_object(channel)) {
		fprintf(cli->out, "%s: not configured\n", name);
	} else if (is_delivered(channel)) {
		fprintf(cli->out, "%s: delivered\n", name);
	} else {
		fprintf(cli->out, "%s: not delivered: %s\n", name,
			json_string_value(json_object_get(channel, "error")));
	}
}

/* Every channel that there is must have taken it, and there must be one. */
static int judge(struct cli *cli, const json_t *answer)
{
	unsigned n = 0, n_delivered = 0;

	for (size_t i = 0; i < N_ELEMENTS(channels); i++) {
		const json_t *channel = json_object_get(answer, channels[i]);

		n += json_is_object(channel);
		n_delivered += is_delivered(channel);
	}
	if (n == 0) {
		return cli_error(cli, EXITCODE_CONFIG,
			"neither alerts.webhook nor alerts.notify_channel is configured");
	}
	return n_delivered == n ? EXITCODE_OK : EXITCODE_UNAVAILABLE;
}

static int run_test(struct cli *cli)
{
	struct client_answer answer;
	int code = daemon_post(cli, "/sync/alert-test", json_object(), &answer);
	json_t *json = code == 0 ? json_loads(buffer_str(&answer.body), 0, NULL) : NULL;

	if (code == 0 && cli_flag(cli, "json")) {
		fprintf(cli->out, "%s\n", buffer_str(&answer.body));
	} else if (code == 0) {
		for (size_t i = 0; i < N_ELEMENTS(channels); i++) {
			print_channel(cli, channels[i], json_object_get(json, channels[i]));
		}
	}
	code = code ? code : judge(cli, json);
	json_decref(json);
	client_answer_fini(&answer);
	return code;
}

static const struct cli_option test_options[] = {CLI_OPTION_JSON, CLI_OPTION_END};

const struct command command_alert_test = {
	.name = "alert test",
	.synopsis = "",
	.summary = "Send a message that says it is a test, as alerts are sent",
	.help = "To the webhook and by NOTIFY, whichever is configured, once and without another try.\n"
		"Exits with 69 when one of them did not take it.\n",
	.run = run_test,
	.options = test_options,
};
