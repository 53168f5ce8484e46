/*
 * The daemon and what is asked of it over HTTP.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/daemon_private.h"

#include <stdio.h>

enum {
	SOCKET_MODE = 0660,
	LEND_HOLD_OFF_MS = 5000, /* for a command to take the lease that it asked for */
};

static int64_t next_of(void *arg, const struct source *source)
{
	const struct daemon *daemon = arg;
	int64_t next = schedule_next_us(daemon->schedule, source);

	return next == INT64_MAX ? 0 : next;
}

static bool paused_of(void *arg, const struct source *source)
{
	return schedule_is_paused(((struct daemon *)arg)->schedule, source);
}

static const struct status *get_status(void *arg)
{
	struct daemon *daemon = arg;
	int64_t soonest = schedule_soonest_us(daemon->schedule);

	daemon->now.next_us = soonest == INT64_MAX ? 0 : soonest;
	daemon->now.next_of = next_of;
	daemon->now.paused_of = paused_of;
	daemon->now.arg = daemon;
	daemon->now.n_queue = runner_queue(daemon->runner, daemon->now.queue,
		N_ELEMENTS(daemon->now.queue));
	daemon->now.spool = spool_stats(daemon->spool);
	daemon->now.reload_waits = daemon->next_config != NULL;
	return report_status(daemon->report, &daemon->now);
}

static unsigned get_checks(void *arg, struct api_check *checks)
{
	struct daemon *daemon = arg;
	enum loader_state state = loader_state(daemon->loader);
	struct spool_stats spool = spool_stats(daemon->spool);

	checks[0] = (struct api_check){.name = "database", .ok = state == LOADER_UP};
	snprintf(checks[0].detail, sizeof(checks[0].detail), "%s",
		state == LOADER_UP ? "connected, schema as configured"
				   : loader_error(daemon->loader)->text);
	checks[1] = (struct api_check){
		.name = "spool",
		.ok = spool.limit_bytes == 0 || spool.bytes < spool.limit_bytes,
	};
	snprintf(checks[1].detail, sizeof(checks[1].detail), "%u ready, %llu of %llu bytes",
		spool.n_ready, (unsigned long long)spool.bytes,
		(unsigned long long)spool.limit_bytes);
	return 2;
}

static const struct config *get_config(void *arg)
{
	return ((struct daemon *)arg)->config;
}

static int ask_books(void *arg, const struct ledger_question *question, pg_result_fn on_result,
	void *result_arg)
{
	return reader_query(((struct daemon *)arg)->reader, question->sql, question->params.list,
		question->params.n, on_result, result_arg);
}

static bool lend(void *arg)
{
	return reader_lend(((struct daemon *)arg)->reader, LEND_HOLD_OFF_MS);
}

static const struct lease_status *get_lease(void *arg)
{
	return reader_lease(((struct daemon *)arg)->reader);
}

int daemon_listen(struct daemon *daemon, struct error *error)
{
	const struct config_server *server = &daemon->config->server;
	struct httpd_options options = {
		.routes = api_routes,
		.n_routes = api_n_routes,
		.arg = &daemon->api,
	};

	if (server->token_file &&
		config_require(daemon->config, CONFIG_NEED_TOKEN, error) < 0) {
		return -1;
	}
	daemon->api.source = (struct api_source){
		.status = get_status,
		.checks = get_checks,
		.metrics = daemon_metrics,
		.config = get_config,
		.query = ask_books,
		.lend = lend,
		.lease = get_lease,
		.control = daemon_control,
		.alert_test = daemon_test_alerts,
		.run = daemon_find_run,
		.arg = daemon,
	};
	if (httpd_new(&daemon->loop, &options, &daemon->httpd) < 0) {
		return error_no_memory(error, "daemon");
	}
	httpd_set_hosts(daemon->httpd, (const char *const *)server->hosts, server->n_hosts);
	for (unsigned i = 0; i < server->n_listen; i++) {
		const struct config_listen *listen = &server->listen[i];
		struct httpd_listener *listener;
		int r = listen->kind == LISTEN_UNIX
				? httpd_listen_unix(daemon->httpd, listen->path, SOCKET_MODE,
					  &listener, error)
				: httpd_listen_tcp(daemon->httpd, listen->host, listen->port,
					  &listener, error);

		if (r < 0) {
			return -1;
		}
		log_info(NULL, "daemon.listen", f_str("address", httpd_listener_name(listener)));
	}
	return 0;
}
