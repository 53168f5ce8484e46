/*
 * The daemon and what is asked of it over HTTP.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/daemon_private.h"

#include <config.h>

#include <stdio.h>
#if HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

enum {
	SOCKET_MODE = 0660,
	FIRST_INHERITED = 3, /* SD_LISTEN_FDS_START */
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

static int64_t get_now_us(void *arg)
{
	return clock_wall_us(((const struct daemon *)arg)->clock);
}

static void get_plan(void *arg, const struct source *source, struct api_plan *ret)
{
	const struct daemon *daemon = arg;
	int64_t now_us = get_now_us(arg);
	int64_t next_us = source ? schedule_next_us(daemon->schedule, source) : INT64_MAX;

	*ret = (struct api_plan){
		.next_run_us = next_us,
		.next_day = next_us == INT64_MAX ? INT32_MAX : daemon_day(daemon, next_us),
		.today = daemon_day(daemon, now_us),
		.day_begin_us = daemon_day_begin_us(daemon, now_us),
		.paused = schedule_is_paused(daemon->schedule, NULL) ||
			  (source && schedule_is_paused(daemon->schedule, source)),
	};
}

static unsigned get_upcoming(void *arg, struct schedule_tick *ticks, unsigned max)
{
	return schedule_upcoming(((const struct daemon *)arg)->schedule, get_now_us(arg), ticks, max);
}

static void on_backfilled(void *arg, const struct source *source, int64_t n_days, const char *who)
{
	log_notice(NULL, "heal.backfill", f_str("source", source->label), f_i64("days", n_days),
		f_str("by", who));
	daemon_heal_soon(arg);
	daemon_heal_look(arg);
}

/* ---- sockets ---- */

/* That systemd opened and keeps over a restart; from the descriptor 3 on. */
static int inherited_sockets(void)
{
#if HAVE_SYSTEMD
	return sd_listen_fds(1);
#else
	return 0;
#endif
}

static int say_listener(int r, const struct httpd_listener *listener)
{
	if (r == 0) {
		log_info(NULL, "daemon.listen", f_str("address", httpd_listener_name(listener)));
	}
	return r;
}

static int adopt(struct daemon *daemon, int n, struct error *error)
{
	struct httpd_listener *listener = NULL;
	int r = 0;

	for (int fd = FIRST_INHERITED; fd < FIRST_INHERITED + n && r == 0; fd++) {
		r = httpd_listen_fd(daemon->httpd, fd, &listener, error);
		r = say_listener(r, listener);
	}
	return r;
}

static int bind_all(struct daemon *daemon, struct error *error)
{
	const struct config_server *server = &daemon->config->server;
	struct httpd_listener *listener = NULL;
	int r = 0;

	for (unsigned i = 0; i < server->n_listen && r == 0; i++) {
		const struct config_listen *listen = &server->listen[i];

		r = listen->kind == LISTEN_UNIX
			    ? httpd_listen_unix(daemon->httpd, listen->path, SOCKET_MODE,
				      &listener, error)
			    : httpd_listen_tcp(daemon->httpd, listen->host, listen->port,
				      &listener, error);
		r = say_listener(r, listener);
	}
	return r;
}

int daemon_listen(struct daemon *daemon, struct error *error)
{
	const struct config_server *server = &daemon->config->server;
	struct httpd_options options = {
		.routes = api_routes,
		.n_routes = api_n_routes,
		.arg = &daemon->api,
	};
	int n;

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
		.now_us = get_now_us,
		.plan = get_plan,
		.upcoming = get_upcoming,
		.backfilled = on_backfilled,
		.arg = daemon,
	};
	if (httpd_new(&daemon->loop, &options, &daemon->httpd) < 0) {
		return error_no_memory(error, "daemon");
	}
	httpd_set_hosts(daemon->httpd, (const char *const *)server->hosts, server->n_hosts);
	n = inherited_sockets();
	return n > 0 ? adopt(daemon, n, error) : bind_all(daemon, error);
}
