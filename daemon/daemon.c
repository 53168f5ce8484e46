/*
 * The long-lived object: owns the loop's inhabitants, starts and stops them in order.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - open the spool (its lock makes us the only one), the portal, the runner, the connection to
 *     the database, the listeners; say READY;
 *   - files that an earlier process left are brought to an end: ready ones are queued for the load,
 *     interrupted ones are gone on with, or become partial slices;
 *   - a timer asks the schedule what is due and hands it to the runner;
 *   - SIGTERM: no new runs; the runner ends its slice, then loader, portal and listeners close; the
 *     loop runs empty and is closed.
 *
 * With `once` there are no listeners and no schedule: every scheduled source is run at once, and the
 * daemon stops when all is loaded, or when it is clear that nothing more will be.
 *
 * Possible failure modes are:
 *   - Something cannot be started: the rest is closed again, the exit code says what it was.
 *   - The stop takes longer than 10 s: _exit. Nothing is lost: what was acknowledged is on disk.
 *
 * A second signal ends it at once.
 */

#include "daemon/daemon_private.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/exit_code.h"
#include "lib/civil.h"
#include "lib/exitcode.h"

enum {
	STOP_LIMIT_MS = 10 * 1000,
	ONCE_DATABASE_ATTEMPTS = 3, /* then what was fetched stays in the spool */
};

static const int signals[N_DAEMON_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

static void daemon_stop(struct daemon *daemon, const char *why);

void daemon_give_up(struct daemon *daemon, const char *why)
{
	log_error(NULL, "daemon.giving_up", f_msg(why));
	daemon->exit_code = EXITCODE_TRY_AGAIN;
	daemon_stop(daemon, why);
}

static void worse(struct daemon *daemon, int code)
{
	daemon->exit_code = exit_code_worse(daemon->exit_code, code);
}

/* ---- what happens ---- */

static void on_run_start(void *arg, const struct run_info *run)
{
	struct daemon *daemon = arg;

	report_started(daemon->report, run);
	daemon_save_state(daemon); /* its id is taken */
}

static void on_run_progress(void *arg, const struct run_info *run)
{
	struct daemon *daemon = arg;

	report_progress(daemon->report, run);
	daemon_save_breaker(daemon);
}

static void on_run_split(void *arg, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, unsigned n_parts)
{
	report_split(((struct daemon *)arg)->report, run, slice, outcome, n_parts);
}

static void on_run_fetched(void *arg, const struct run_info *run, const char *slice,
	const struct spool_outcome *outcome, const struct error *error)
{
	report_fetched(((struct daemon *)arg)->report, run, slice, outcome, error);
}

static void on_run_spooled(void *arg, const struct run_info *run)
{
	struct daemon *daemon = arg;

	report_spooled(daemon->report, run);
	daemon_save_marks(daemon, run);
	daemon_check_once(daemon);
}

/* What somebody canceled is not tried again by itself. */
static enum schedule_end schedule_end_of(enum run_state state)
{
	return state == RUN_SUCCESS || state == RUN_CANCELED ? SCHEDULE_SUCCESS
	       : state == RUN_FAILED ? SCHEDULE_NOTHING
				     : SCHEDULE_PART;
}

static void on_run_end(void *arg, const struct run_info *run)
{
	struct daemon *daemon = arg;

	report_ended(daemon->report, run);
	daemon_remember_run(daemon, run);
	if (run->heals) {
		daemon_heal_ended(daemon, run);
	} else {
		schedule_ended(daemon->schedule, run->source, schedule_end_of(run->state),
			clock_wall_us(daemon->clock));
	}
	if (run->state == RUN_CANCELED && !run->heals) {
		schedule_skipped(daemon->schedule, run->source);
	}
	worse(daemon, exit_code_of_run(run));
	daemon_look(daemon);
	daemon_save_marks(daemon, run);
	daemon_check_once(daemon);
}

static void on_slice_loaded(void *arg, const struct load_result *result,
	const struct error *error)
{
	struct daemon *daemon = arg;

	report_loaded(daemon->report, result, error);
	if (error) {
		worse(daemon, EXITCODE_TRY_AGAIN);
	}
	runner_settle(daemon->runner, result, error);
	if (daemon->state && report_save(daemon->report, state_doc(daemon->state))) {
		daemon_save_state(daemon); /* a slice of an earlier process has no run that ends */
	}
	daemon_check_once(daemon);
}

/* What a slice needed goes back to the system before hours of waiting. */
static void on_loader_idle(void *arg)
{
	struct daemon *daemon = arg;

	if (runner_is_idle(daemon->runner)) {
		malloc_trim(0);
		daemon_heal_soon(daemon); /* now the books have it all */
	}
	daemon_heal_look(daemon);
	if (daemon->history) {
		history_look(daemon->history);
	}
	daemon_check_once(daemon);
}

static void on_load_retry(void *arg, const char *uuid, const struct error *error)
{
	report_retry(((struct daemon *)arg)->report, uuid, error);
}

static void on_database(void *arg, enum loader_state state, const struct error *error)
{
	struct daemon *daemon = arg;

	report_database(daemon->report, state, error);
	if (state == LOADER_UP) {
		reader_start(daemon->reader);
		daemon_recheck_loaded(daemon);
		daemon_heal_soon(daemon);
	}
	daemon_heal_look(daemon);
	daemon_look(daemon);
	daemon_check_once(daemon);
}

/* ---- the lease ---- */

static void fence(void *arg, struct buffer *sql)
{
	reader_fence_sql(((struct daemon *)arg)->reader, sql);
}

static void on_lease(void *arg)
{
	struct daemon *daemon = arg;
	const struct lease_status *lease = reader_lease(daemon->reader);

	if (daemon->stopping) {
		return;
	}
	report_lease(daemon->report, lease);
	if (lease->state == LEASE_HOLDER) {
		daemon_close_runs(daemon);
	}
	if (error_is_set(&lease->error)) {
		loader_doubt(daemon->loader, &lease->error);
	}
	loader_wake(daemon->loader);
	daemon_heal_soon(daemon);
	daemon_heal_look(daemon);
	if (daemon->alerts) {
		alert_sender_retry(daemon->alerts, ALERT_NOTIFY);
	}
	daemon_check_once(daemon);
}

/* ---- once ---- */

void daemon_check_once(struct daemon *daemon)
{
	enum loader_state state = loader_state(daemon->loader);

	if (!daemon->options.once || !daemon->once_begun || daemon->stopping) {
		return;
	}
	if (state == LOADER_SCHEMA) {
		worse(daemon, exit_code_of_database(state, loader_error(daemon->loader)));
		daemon_stop(daemon, loader_error(daemon->loader)->text);
		return;
	}
	if (runner_is_fetching(daemon->runner) || daemon->n_commits > 0) {
		return;
	}
	if (!daemon->left_over) {
		daemon->left_over = true;
		daemon_end_interrupted(daemon);
		if (daemon->n_commits > 0) {
			return;
		}
	}
	if (state == LOADER_DOWN && loader_attempts(daemon->loader) >= ONCE_DATABASE_ATTEMPTS) {
		worse(daemon, exit_code_of_database(state, loader_error(daemon->loader)));
		daemon_stop(daemon, "the database cannot be reached; what was fetched stays in the spool");
		return;
	}
	if (runner_is_idle(daemon->runner) && loader_is_idle(daemon->loader)) {
		daemon_stop(daemon, "done");
	} else if (reader_lease(daemon->reader)->state == LEASE_STANDBY &&
		   reader_lease(daemon->reader)->left_ms > 0) { /* else it is taken next */
		worse(daemon, EXITCODE_TRY_AGAIN);
		daemon_stop(daemon, "another daemon holds the lease; what was fetched stays in the spool");
	}
}

static void on_once_timeout(uv_timer_t *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, tick);

	worse(daemon, EXITCODE_TRY_AGAIN);
	daemon_stop(daemon, "--timeout is over");
}

/* ---- the schedule ---- */

int32_t daemon_day(const struct daemon *daemon, int64_t us)
{
	return (int32_t)civil_day_of_second(zone_to_local(daemon->zone, us / 1000000));
}

int64_t daemon_day_begin_us(const struct daemon *daemon, int64_t us)
{
	return zone_to_utc(daemon->zone, (int64_t)daemon_day(daemon, us) * DAY_SECONDS) * 1000000;
}

static int request_run(struct daemon *daemon, const struct source *source, const char *trigger,
	int64_t since_us)
{
	_cleanup_free_ struct plan_slice *slices = calloc(PLAN_MAX_SLICES, sizeof(*slices));
	int64_t id = -ENOMEM;

	if (slices) {
		id = runner_add(daemon->runner, source, trigger, slices,
			plan_due(source, daemon_day(daemon, since_us),
				daemon_day(daemon, clock_wall_us(daemon->clock)), slices,
				PLAN_MAX_SLICES));
	}
	if (id <= 0) {
		schedule_skipped(daemon->schedule, source);
	}
	if (id == 0) {
		log_notice(NULL, "schedule.skipped", f_str("source", source->label),
			f_msg("its last run is still going on"));
	} else if (id < 0) {
		log_error(NULL, "schedule.failed", f_str("source", source->label),
			f_msg(strerror((int)-id)));
	}
	return id < 0 ? (int)id : 0;
}

static void on_tick(uv_timer_t *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, tick);
	struct schedule_due due;
	int64_t now_us = clock_wall_us(daemon->clock);

	while (schedule_due(daemon->schedule, now_us, &due)) {
		(void)request_run(daemon, due.source, due.trigger, due.since_us);
	}
	daemon_end_interrupted(daemon);
	daemon_heal_look(daemon);
	report_systemd(daemon->report); /* what it could not hear before comes with it */
	spool_prune(daemon->spool, now_us);
	daemon_look(daemon);
	history_look(daemon->history);
	uv_timer_start(timer, on_tick, schedule_sleep_ms(daemon->schedule, now_us) + 1, 0);
}

void daemon_look_at_schedule(struct daemon *daemon)
{
	uv_timer_start(&daemon->tick, on_tick, 0, 0);
}

static bool is_scheduled(const struct source *source)
{
	return source->n_schedules > 0 || source->every_ms > 0 || source->on_start;
}

static void run_all(struct daemon *daemon, const char *trigger)
{
	for (unsigned d = 0; d < daemon->config->n_datasets; d++) {
		const struct dataset *dataset = daemon->config->datasets[d];

		for (unsigned s = 0; s < dataset->n_sources; s++) {
			if (is_scheduled(&dataset->sources[s])) {
				(void)request_run(daemon, &dataset->sources[s], trigger,
					clock_wall_us(daemon->clock));
			}
		}
	}
}

/* ---- signals ---- */

/* Open the log again, and the configuration too, unless it would be read for one run alone. */
static void on_hang_up(uv_timer_t *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, hang_up);
	struct error error = {.class = ERROR_NONE};
	struct api_outcome outcome = {.status = 202};

	if (log_reopen(&error) < 0) {
		log_warning(NULL, "log.reopen_failed", f_msg(error.text));
	}
	if (!daemon->options.once) {
		daemon_reload(daemon, "SIGHUP", &outcome);
		buffer_fini(&outcome.lines);
	}
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	switch (number) {
	case SIGTERM:
	case SIGINT:
		if (daemon->stopping) {
			_exit(EXITCODE_TRY_AGAIN);
		}
		if (daemon->options.once) {
			worse(daemon, EXITCODE_TRY_AGAIN);
		}
		daemon_stop(daemon, number == SIGTERM ? "SIGTERM" : "SIGINT");
		break;
	case SIGHUP: /* a thousand of them are one, and do not keep a SIGTERM waiting */
		if (!daemon->stopping) {
			uv_timer_start(&daemon->hang_up, on_hang_up, 0, 0);
		}
		break;
	case SIGUSR1:
		run_all(daemon, "signal");
		break;
	default:
		break;
	}
}

/* ---- life ---- */

static int start_handles(struct daemon *daemon, struct error *error)
{
	int r = 0;

	uv_timer_init(&daemon->loop, &daemon->tick);
	uv_timer_init(&daemon->loop, &daemon->limit);
	uv_timer_init(&daemon->loop, &daemon->hang_up);
	uv_timer_init(&daemon->loop, &daemon->reload);
	uv_timer_init(&daemon->loop, &daemon->watchdog);
	daemon->n_handles = N_DAEMON_TIMERS;
	for (unsigned i = 0; i < N_ELEMENTS(signals) && r == 0; i++) {
		r = uv_signal_init(&daemon->loop, &daemon->signals[i]);
		if (r == 0) {
			daemon->signals[i].data = daemon;
			daemon->n_handles++;
			r = uv_signal_start(&daemon->signals[i], on_signal, signals[i]);
		}
	}
	return r == 0 ? 0 : error_errno(error, ERROR_RETRY, "daemon", -r, "signals");
}

/* What is on the disk, and what is remembered of earlier processes. */
static int start_memory(struct daemon *daemon, struct error *error)
{
	const struct config *config = daemon->config;
	struct spool_options spool = {
		.directory = config->spool.directory,
		.max_bytes = config->spool.max_bytes,
		.keep_ms = config->spool.keep_ms,
		.page_bytes = config->portal.page_bytes,
	};

	if (zone_load(NULL, config->timezone, &daemon->zone, error) < 0 ||
		spool_open(&daemon->loop, &spool, &daemon->spool, error) < 0) {
		return -1;
	}
	if (report_new(daemon->config, daemon->clock, &daemon->report) < 0 ||
		schedule_new(config, daemon->zone, clock_wall_us(daemon->clock),
			&daemon->schedule) < 0 ||
		daemon_open_state(daemon) < 0) {
		return error_no_memory(error, "daemon");
	}
	daemon_restore_schedule(daemon);
	return 0;
}

static int start_database(struct daemon *daemon, struct error *error)
{
	struct loader_options loader = {
		.loop = &daemon->loop,
		.clock = daemon->clock,
		.config = daemon->config,
		.spool = daemon->spool,
		.fence = fence,
		.on_state = on_database,
		.on_slice = on_slice_loaded,
		.on_idle = on_loader_idle,
		.on_retry = on_load_retry,
		.arg = daemon,
	};
	struct reader_options reader = {
		.loop = &daemon->loop,
		.config = daemon->config,
		.holder = spool_holder(daemon->spool),
		.on_lease = on_lease,
		.arg = daemon,
	};

	return loader_new(&loader, &daemon->loader, error) < 0 ||
			       reader_new(&reader, &daemon->reader, error) < 0
		       ? -1
		       : 0;
}

static int start_runs(struct daemon *daemon, struct error *error)
{
	struct portal_options portal = {
		.config = &daemon->config->portal,
		.clock = daemon->clock,
		.breaker = &state_doc(daemon->state)->breaker,
	};
	struct runner_options runner = {
		.loop = &daemon->loop,
		.clock = daemon->clock,
		.config = daemon->config,
		.spool = daemon->spool,
		.loader = daemon->loader,
		.last_id = state_doc(daemon->state)->last_run,
		.on_start = on_run_start,
		.on_progress = on_run_progress,
		.on_split = on_run_split,
		.on_fetched = on_run_fetched,
		.on_spooled = on_run_spooled,
		.on_end = on_run_end,
		.arg = daemon,
	};

	if (portal_new(&daemon->loop, &portal, &daemon->portal) < 0) {
		return error_no_memory(error, "daemon");
	}
	runner.portal = daemon->portal;
	return runner_new(&runner, &daemon->runner) < 0 ? error_no_memory(error, "daemon") : 0;
}

static int start(struct daemon *daemon, struct error *error)
{
	if (start_handles(daemon, error) < 0 ||
		config_require(daemon->config, CONFIG_NEED_KEY, error) < 0 ||
		start_memory(daemon, error) < 0 || start_database(daemon, error) < 0 ||
		start_runs(daemon, error) < 0) {
		return -1;
	}
	if (!daemon->options.once &&
		(daemon_open_alerts(daemon) < 0 || daemon_open_history(daemon) < 0)) {
		return error_no_memory(error, "daemon");
	}
	if (!daemon->options.once && daemon_listen(daemon, error) < 0) {
		return -1;
	}
	if (daemon_take_over_spool(daemon, error) < 0) {
		return -1;
	}
	daemon_save_state(daemon);
	if (daemon->options.once) {
		breaker_probe_now(portal_breaker(daemon->portal));
		run_all(daemon, "once");
		daemon->once_begun = true;
		if (daemon->options.timeout_ms) {
			uv_timer_start(&daemon->tick, on_once_timeout, daemon->options.timeout_ms, 0);
		}
	} else {
		daemon_look_at_schedule(daemon);
	}
	daemon_start_watchdog(daemon);
	report_ready(daemon->report);
	return 0;
}

static void on_part_closed(void *arg)
{
	(void)arg; /* the loop runs until all parts are gone */
}

/* The limit stays: a thread that hangs in the pool must not keep the process. */
static void close_handles(struct daemon *daemon)
{
	if (daemon->n_handles > 0) {
		uv_close((uv_handle_t *)&daemon->tick, NULL);
		uv_close((uv_handle_t *)&daemon->hang_up, NULL);
		uv_close((uv_handle_t *)&daemon->reload, NULL);
		uv_close((uv_handle_t *)&daemon->watchdog, NULL);
		uv_unref((uv_handle_t *)&daemon->limit);
	}
	for (unsigned i = N_DAEMON_TIMERS; i < daemon->n_handles; i++) {
		uv_close((uv_handle_t *)&daemon->signals[i - N_DAEMON_TIMERS], NULL);
	}
}

/* Until nothing is left; then the loop can be closed. */
static void run_loop(struct daemon *daemon)
{
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	if (daemon->n_handles > 0) {
		uv_close((uv_handle_t *)&daemon->limit, NULL);
	}
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
}

static void on_reader_closed(void *arg)
{
	struct daemon *daemon = arg;

	daemon->reader = NULL;
	if (daemon->alerts) {
		alert_sender_close(daemon->alerts, on_part_closed, daemon);
		daemon->alerts = NULL;
	}
	if (daemon->history) {
		history_close(daemon->history, on_part_closed, daemon);
		daemon->history = NULL;
	}
	if (daemon->state) {
		state_close(daemon->state);
		daemon->state = NULL;
	}
	if (daemon->portal) {
		portal_close(daemon->portal, on_part_closed, daemon);
		daemon->portal = NULL;
	}
	close_handles(daemon);
}

static void on_loader_closed(void *arg)
{
	struct daemon *daemon = arg;

	daemon->loader = NULL;
	if (daemon->reader) {
		reader_close(daemon->reader, on_reader_closed, daemon);
	} else {
		on_reader_closed(daemon);
	}
}

static void on_runner_closed(void *arg)
{
	struct daemon *daemon = arg;

	daemon->runner = NULL;
	if (daemon->loader) {
		loader_close(daemon->loader, on_loader_closed, daemon);
	} else {
		on_loader_closed(daemon);
	}
}

static void on_limit(uv_timer_t *timer)
{
	const struct daemon *daemon = container_of(timer, struct daemon, limit);

	log_error(NULL, "daemon.stop_limit",
		f_msg("stopping took too long; what was fetched is in the spool"));
	log_close();
	_exit(daemon->options.once ? daemon->exit_code : EXITCODE_OK);
}

/* Runs first, then what they need, in the order in which the rows flow. */
static void daemon_stop(struct daemon *daemon, const char *why)
{
	if (daemon->stopping) {
		return;
	}
	daemon->stopping = true;
	if (daemon->portal && daemon->runner) {
		daemon_save_state(daemon);
	}
	if (daemon->report) {
		report_stopping(daemon->report, why);
	}
	uv_timer_stop(&daemon->tick);
	uv_timer_stop(&daemon->hang_up);
	uv_timer_stop(&daemon->reload);
	uv_timer_start(&daemon->limit, on_limit, STOP_LIMIT_MS - 1000, 0);
	if (daemon->httpd) {
		httpd_close(daemon->httpd, on_part_closed, daemon);
		daemon->httpd = NULL;
	}
	if (daemon->runner) {
		runner_close(daemon->runner, on_runner_closed, daemon);
	} else {
		on_runner_closed(daemon);
	}
}

int daemon_run(const struct daemon_options *options, struct error *error)
{
	struct daemon daemon = {
		.options = *options,
		.config = config_ref(options->config),
		.clock = &clock_system,
		.began_us = clock_wall_us(&clock_system),
	};
	int r = uv_loop_init(&daemon.loop);

	if (r < 0) {
		config_unref(daemon.config);
		error_errno(error, ERROR_RETRY, "daemon", -r, "event loop");
		return EXITCODE_UNAVAILABLE;
	}
	if (start(&daemon, error) < 0) {
		daemon.exit_code = exit_code_of_start(error);
		daemon_stop(&daemon, error->text);
	}
	run_loop(&daemon);
	r = uv_loop_close(&daemon.loop);
	assert(r == 0);
	spool_free(daemon.spool);
	schedule_free(daemon.schedule);
	report_free(daemon.report);
	zone_free(daemon.zone);
	config_unref(daemon.next_config);
	config_unref(daemon.config);
	return options->once || error_is_set(error) ? daemon.exit_code : EXITCODE_OK;
}
