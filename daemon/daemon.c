/*
 * The long-lived object: owns the loop's inhabitants, starts and stops them in order.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - open the spool (its lock makes us the only one), the portal, the runner, the connection to
 *     the database, the listeners; say READY;
 *   - files that an earlier process left are brought to an end: interrupted ones become partial
 *     slices, ready ones are queued for the load;
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

#include "daemon/daemon.h"

#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/api.h"
#include "daemon/loader.h"
#include "daemon/portal.h"
#include "daemon/reader.h"
#include "daemon/report.h"
#include "daemon/run.h"
#include "daemon/schedule.h"
#include "daemon/spool.h"
#include "daemon/state.h"
#include "lib/exitcode.h"
#include "lib/httpd.h"
#include "lib/log.h"
#include "lib/zone.h"

enum {
	STOP_LIMIT_MS = 10 * 1000,
	ONCE_DATABASE_ATTEMPTS = 3, /* then what was fetched stays in the spool */
	SOCKET_MODE = 0660,
	LOADED_LOOK_BACK_S = 48 * 3600,
};

static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

struct daemon {
	struct daemon_options options;
	struct config *config;
	const struct clock *clock;
	uv_loop_t loop;
	struct zone *zone;
	struct spool *spool;
	struct state *state; /* NULL before the start, and at the end of the stop */
	struct portal *portal;
	struct loader *loader;
	struct reader *reader;
	struct runner *runner;
	struct schedule *schedule;
	struct report *report;
	struct httpd *httpd;
	struct api api;
	struct report_now now;
	uv_timer_t tick;  /* schedule; with `once`, its time limit */
	uv_timer_t limit; /* of stopping */
	uv_signal_t signals[N_ELEMENTS(signals)];
	unsigned n_handles; /* timers and signals that were begun */
	unsigned n_commits; /* interrupted files on their way to .ready */
	int64_t began_us;
	bool stopping, once_begun;
	int exit_code;
};

static void daemon_stop(struct daemon *daemon, const char *why);
static void check_once(struct daemon *daemon);

static void worse(struct daemon *daemon, int code)
{
	/* The order of DESIGN's list: what an operator must mend stands before what mends itself. */
	static const int order[] = {EXITCODE_OK, EXITCODE_TRY_AGAIN, EXITCODE_UNAVAILABLE,
		EXITCODE_NO_PERMISSION, EXITCODE_CONFIG, EXITCODE_SOFTWARE};
	unsigned now = 0, then = 0;

	for (unsigned i = 0; i < N_ELEMENTS(order); i++) {
		now = order[i] == code ? i : now;
		then = order[i] == daemon->exit_code ? i : then;
	}
	daemon->exit_code = now > then ? code : daemon->exit_code;
}

/* ---- exit codes of `once` ---- */

static bool is_refused_right(const char *code)
{
	return strncmp(code, "28", 2) == 0 || strcmp(code, "42501") == 0;
}

static bool is_refused_key(const char *code)
{
	return strcmp(code, "key_refused") == 0 || strcmp(code, "key_missing") == 0;
}

/* The portal answered, and what it served waits in the spool for the dataset to be mended. */
static bool is_kept(const char *code)
{
	return strcmp(code, "schema_drift") == 0 || strcmp(code, "too_many_bad_rows") == 0;
}

static int code_of_run(const struct run_info *run)
{
	const char *why = run->error ? run->error->code : "";

	switch (run->state) {
	case RUN_SUCCESS:
		return EXITCODE_OK;
	case RUN_RUNNING:
	case RUN_SPOOLED:
	case RUN_PARTIAL:
	case RUN_SUSPECT:
	case RUN_CANCELED:
		return is_refused_key(why) ? EXITCODE_NO_PERMISSION : EXITCODE_TRY_AGAIN;
	case RUN_FAILED:
		break;
	}
	if (is_refused_key(why) || is_refused_right(why)) {
		return EXITCODE_NO_PERMISSION;
	}
	if (is_kept(why)) {
		return EXITCODE_TRY_AGAIN;
	}
	/* What the fetch stage says is the portal's fault; all else is rows that are not loaded. */
	return run->error && strcmp(run->error->where, "fetch") == 0 ? EXITCODE_UNAVAILABLE
								     : EXITCODE_TRY_AGAIN;
}

static int code_of_database(const struct loader *loader)
{
	const struct error *error = loader_error(loader);

	if (loader_state(loader) == LOADER_SCHEMA) {
		return is_refused_right(error->code) ? EXITCODE_NO_PERMISSION : EXITCODE_CONFIG;
	}
	return is_refused_right(error->code) ? EXITCODE_NO_PERMISSION : EXITCODE_TRY_AGAIN;
}

/* ---- state.json ---- */

static void save_state(struct daemon *daemon)
{
	struct state_doc *doc;

	if (!daemon->state) {
		return;
	}
	doc = state_doc(daemon->state);
	(void)report_save(daemon->report, doc);
	doc->breaker = portal_breaker(daemon->portal)->state;
	doc->last_run = runner_last_id(daemon->runner);
	state_touch(daemon->state);
}

static void save_breaker(struct daemon *daemon)
{
	const struct breaker_state *now = &portal_breaker(daemon->portal)->state;

	/* Failures that open nothing, and probes, are not worth a write. */
	if (daemon->state && (now->phase == BREAKER_OPEN || now->phase == BREAKER_CLOSED) &&
		(now->phase != state_doc(daemon->state)->breaker.phase ||
			now->opened_us != state_doc(daemon->state)->breaker.opened_us)) {
		save_state(daemon);
	}
}

/*
 * What a source is due for is settled when a run of it is safe in the spool; until then a killed
 * process leaves its tick open, and the next one fires it again.
 */
static void save_marks(struct daemon *daemon, const struct run_info *run)
{
	struct state_source *source;

	if (daemon->state && !daemon->stopping && run->state != RUN_CANCELED) {
		source = state_doc_source(state_doc(daemon->state), run->source);
		schedule_save(daemon->schedule, run->source, &source->mark);
		source->mark.attempt_us = clock_wall_us(daemon->clock); /* also if it only waits */
	}
	save_state(daemon);
}

static void on_state_written(void *arg, const struct error *error)
{
	report_state(((struct daemon *)arg)->report, false, error);
}

static int open_state(struct daemon *daemon)
{
	struct state_options options = {
		.loop = &daemon->loop,
		.config = daemon->config,
		.directory = spool_directory(daemon->spool),
		.on_written = on_state_written,
		.arg = daemon,
	};
	struct spool_stats spool = spool_stats(daemon->spool);
	bool used = spool.n_part + spool.n_ready + spool.n_loaded > 0;
	struct error why = {.class = ERROR_NONE};

	if (state_open(&options, &daemon->state, &why) < 0) {
		return -ENOMEM;
	}
	/* A new installation has none, and that is no news. */
	if (error_is_set(&why) && (used || strcmp(why.code, "ENOENT") != 0)) {
		report_state(daemon->report, true, &why);
	}
	report_restore(daemon->report, state_doc(daemon->state));
	return 0;
}

/* Also for a source that is new: its ticks count from now on, whatever becomes of this process. */
static void restore_schedule(struct daemon *daemon)
{
	for (unsigned d = 0; d < daemon->config->n_datasets; d++) {
		const struct dataset *dataset = daemon->config->datasets[d];

		for (unsigned s = 0; s < dataset->n_sources; s++) {
			struct state_source *source = state_doc_source(
				state_doc(daemon->state), &dataset->sources[s]);

			schedule_restore(daemon->schedule, &dataset->sources[s], &source->mark);
			schedule_save(daemon->schedule, &dataset->sources[s], &source->mark);
		}
	}
}

/* ---- what happens ---- */

static void on_run_start(void *arg, const struct run_info *run)
{
	struct daemon *daemon = arg;

	report_started(daemon->report, run);
	save_state(daemon); /* its id is taken */
}

static void on_run_progress(void *arg, const struct run_info *run)
{
	struct daemon *daemon = arg;

	report_progress(daemon->report, run);
	save_breaker(daemon);
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
	save_marks(daemon, run);
	check_once(daemon);
}

static void on_run_end(void *arg, const struct run_info *run)
{
	struct daemon *daemon = arg;

	report_ended(daemon->report, run);
	schedule_ended(daemon->schedule, run->source, run->state == RUN_SUCCESS,
		clock_wall_us(daemon->clock));
	worse(daemon, code_of_run(run));
	save_marks(daemon, run);
	check_once(daemon);
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
		save_state(daemon); /* a slice of an earlier process has no run that ends */
	}
	check_once(daemon);
}

/* What a slice needed goes back to the system before hours of waiting. */
static void on_loader_idle(void *arg)
{
	struct daemon *daemon = arg;

	if (runner_is_idle(daemon->runner)) {
		malloc_trim(0);
	}
	check_once(daemon);
}

static void on_load_retry(void *arg, const char *uuid, const struct error *error)
{
	report_retry(((struct daemon *)arg)->report, uuid, error);
}

static int recheck(void *arg, const struct spool_entry *entry)
{
	struct daemon *daemon = arg;

	return entry->loaded ? loader_add(daemon->loader, entry->header.uuid, 1, LOADER_LOADED) : 0;
}

/* After a fail-over or a restored backup the database may lack what it had acknowledged. */
static void recheck_loaded(struct daemon *daemon)
{
	struct error error = {.class = ERROR_NONE};
	int64_t since_us =
		clock_wall_us(daemon->clock) - (int64_t)LOADED_LOOK_BACK_S * 1000000;

	if (spool_visit(daemon->spool, since_us, recheck, daemon, &error) < 0) {
		log_warning(NULL, "spool.unreadable", f_str("code", error.code), f_msg(error.text));
	}
}

static void on_database(void *arg, enum loader_state state, const struct error *error)
{
	struct daemon *daemon = arg;

	report_database(daemon->report, state, error);
	if (state == LOADER_UP) {
		reader_start(daemon->reader);
		recheck_loaded(daemon);
	}
	check_once(daemon);
}

/* ---- the lease ---- */

static void fence(void *arg, struct buffer *sql)
{
	reader_fence_sql(((struct daemon *)arg)->reader, sql);
}

static void on_lease(void *arg)
{
	struct daemon *daemon = arg;

	if (daemon->stopping) {
		return;
	}
	report_lease(daemon->report, reader_lease(daemon->reader));
	loader_wake(daemon->loader);
	check_once(daemon);
}

/* ---- once ---- */

static void check_once(struct daemon *daemon)
{
	enum loader_state state = loader_state(daemon->loader);

	if (!daemon->options.once || !daemon->once_begun || daemon->stopping) {
		return;
	}
	if (state == LOADER_SCHEMA) {
		worse(daemon, code_of_database(daemon->loader));
		daemon_stop(daemon, loader_error(daemon->loader)->text);
		return;
	}
	if (runner_is_fetching(daemon->runner) || daemon->n_commits > 0) {
		return;
	}
	if (state == LOADER_DOWN && loader_attempts(daemon->loader) >= ONCE_DATABASE_ATTEMPTS) {
		worse(daemon, code_of_database(daemon->loader));
		daemon_stop(daemon, "the database cannot be reached; what was fetched stays in the spool");
		return;
	}
	if (runner_is_idle(daemon->runner) && loader_is_idle(daemon->loader)) {
		daemon_stop(daemon, "done");
	} else if (reader_lease(daemon->reader)->state == LEASE_STANDBY) {
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

static int32_t today(const struct daemon *daemon)
{
	int64_t local_s =
		zone_to_local(daemon->zone, clock_wall_us(daemon->clock) / 1000000);

	return (int32_t)(local_s >= 0 ? local_s / 86400 : (local_s - 86399) / 86400);
}

static int request_run(struct daemon *daemon, const struct source *source, const char *trigger)
{
	_cleanup_free_ struct plan_slice *slices = calloc(PLAN_MAX_SLICES, sizeof(*slices));
	int64_t id = -ENOMEM;

	if (slices) {
		id = runner_add(daemon->runner, source, trigger, slices,
			plan_due(source, today(daemon), slices, PLAN_MAX_SLICES));
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
	const struct source *source;
	const char *trigger;
	int64_t now_us = clock_wall_us(daemon->clock);

	while ((source = schedule_due(daemon->schedule, now_us, &trigger))) {
		(void)request_run(daemon, source, trigger);
	}
	spool_prune(daemon->spool, now_us);
	uv_timer_start(timer, on_tick, schedule_sleep_ms(daemon->schedule, now_us) + 1, 0);
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
				(void)request_run(daemon, &dataset->sources[s], trigger);
			}
		}
	}
}

/* ---- what an earlier process left ---- */

static int queue_part(void *arg, const struct spool_entry *entry)
{
	struct daemon *daemon = arg;

	return strchr(entry->header.slice, '/')
		       ? loader_add(daemon->loader, entry->header.uuid, 1, LOADER_READY)
		       : 0;
}

static int queue_whole(void *arg, const struct spool_entry *entry)
{
	struct daemon *daemon = arg;

	return strchr(entry->header.slice, '/')
		       ? 0
		       : loader_add(daemon->loader, entry->header.uuid, 1, LOADER_READY);
}

/* Parts first: a whole may be proven by them, and must not be called complete before. */
static int queue_ready(struct daemon *daemon, struct error *error)
{
	int r = spool_visit(daemon->spool, 0, queue_part, daemon, error);

	return r < 0 ? r : spool_visit(daemon->spool, 0, queue_whole, daemon, error);
}

/* Then the runs of earlier processes are over, whether they had come to an end or not. */
static int queue_left_over(struct daemon *daemon, struct error *error)
{
	if (queue_ready(daemon, error) < 0) {
		return -1;
	}
	return loader_close_runs(daemon->loader, daemon->began_us / 1000) < 0
		       ? error_no_memory(error, "daemon")
		       : 0;
}

static void on_recovered(void *arg, const struct error *error)
{
	struct daemon *daemon = arg;

	daemon->n_commits--;
	if (error) {
		log_warning(NULL, "spool.interrupted", f_str("code", error->code),
			f_msg(error->text));
	}
	if (daemon->n_commits == 0 && !daemon->stopping) {
		struct error why = {.class = ERROR_NONE};

		if (queue_left_over(daemon, &why) < 0) {
			log_error(NULL, "spool.unreadable", f_str("code", why.code), f_msg(why.text));
		}
		check_once(daemon);
	}
}

/* A fetch that a dead process had begun: its whole pages are rows, but not provably all. */
static int recover(void *arg, const struct spool_interrupted *part)
{
	struct daemon *daemon = arg;
	struct error error = {.class = ERROR_NONE};
	struct spool_writer *writer;
	struct spool_outcome outcome = {
		.state = SLICE_PARTIAL,
		.reason = "interrupted",
		.text = "the process ended while it was fetching",
		.expected = part->total,
		.received = part->rows,
		.pages = part->pages,
		.passes = 1,
		.updated = part->updated,
		.finished_us = part->written_us,
	};

	if (spool_resume(daemon->spool, part->header.uuid, &writer, &error) < 0) {
		log_warning(NULL, "spool.interrupted", f_str("uuid", part->header.uuid),
			f_str("code", error.code), f_msg(error.text));
		return 0;
	}
	log_notice(NULL, "spool.interrupted", f_str("uuid", part->header.uuid),
		f_str("slice", part->header.slice), f_u64("pages", part->pages),
		f_u64("rows", part->rows));
	if (part->pages == 0) {
		spool_discard(writer);
		return 0;
	}
	daemon->n_commits++;
	spool_commit(writer, &outcome, on_recovered, daemon);
	return 0;
}

static int take_over_spool(struct daemon *daemon, struct error *error)
{
	if (spool_recover(daemon->spool, recover, daemon, error) < 0) {
		return -1;
	}
	/* Else on_recovered() does it, when the last of them is ready. */
	return daemon->n_commits > 0 ? 0 : queue_left_over(daemon, error);
}

/* ---- what is asked over HTTP ---- */

static int64_t next_of(void *arg, const struct source *source)
{
	const struct daemon *daemon = arg;
	int64_t next = schedule_next_us(daemon->schedule, source);

	return next == INT64_MAX ? 0 : next;
}

static const struct status *get_status(void *arg)
{
	struct daemon *daemon = arg;
	int64_t soonest = schedule_soonest_us(daemon->schedule);

	daemon->now.next_us = soonest == INT64_MAX ? 0 : soonest;
	daemon->now.next_of = next_of;
	daemon->now.arg = daemon;
	daemon->now.n_queue = runner_queue(daemon->runner, daemon->now.queue,
		N_ELEMENTS(daemon->now.queue));
	daemon->now.spool = spool_stats(daemon->spool);
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

static int listen_all(struct daemon *daemon, struct error *error)
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
		.status = get_status, .checks = get_checks, .arg = daemon};
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

/* ---- signals ---- */

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
	case SIGHUP: {
		struct error error = {.class = ERROR_NONE};

		if (log_reopen(&error) < 0) {
			log_warning(NULL, "log.reopen_failed", f_msg(error.text));
		}
		break;
	}
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
	daemon->n_handles = 2;
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

static int start_stages(struct daemon *daemon, struct error *error)
{
	struct config *config = daemon->config;
	struct spool_options spool = {
		.directory = config->spool.directory,
		.max_bytes = config->spool.max_bytes,
		.keep_ms = config->spool.keep_ms,
		.page_bytes = config->portal.page_bytes,
	};
	struct portal_options portal = {.config = &config->portal, .clock = daemon->clock};
	struct loader_options loader = {
		.loop = &daemon->loop,
		.clock = daemon->clock,
		.config = config,
		.fence = fence,
		.on_state = on_database,
		.on_slice = on_slice_loaded,
		.on_idle = on_loader_idle,
		.on_retry = on_load_retry,
		.arg = daemon,
	};
	struct reader_options reader = {
		.loop = &daemon->loop,
		.config = config,
		.on_lease = on_lease,
		.arg = daemon,
	};
	struct runner_options runner = {
		.loop = &daemon->loop,
		.clock = daemon->clock,
		.config = config,
		.on_start = on_run_start,
		.on_progress = on_run_progress,
		.on_split = on_run_split,
		.on_fetched = on_run_fetched,
		.on_spooled = on_run_spooled,
		.on_end = on_run_end,
		.arg = daemon,
	};

	if (zone_load(NULL, config->timezone, &daemon->zone, error) < 0 ||
		spool_open(&daemon->loop, &spool, &daemon->spool, error) < 0) {
		return -1;
	}
	if (report_new(config, daemon->clock, &daemon->report) < 0 ||
		schedule_new(config, daemon->zone, clock_wall_us(daemon->clock),
			&daemon->schedule) < 0 ||
		open_state(daemon) < 0) {
		return error_no_memory(error, "daemon");
	}
	restore_schedule(daemon);
	portal.breaker = &state_doc(daemon->state)->breaker;
	runner.last_id = state_doc(daemon->state)->last_run;
	if (portal_new(&daemon->loop, &portal, &daemon->portal) < 0) {
		return error_no_memory(error, "daemon");
	}
	loader.spool = daemon->spool;
	reader.holder = spool_holder(daemon->spool);
	if (loader_new(&loader, &daemon->loader, error) < 0 ||
		reader_new(&reader, &daemon->reader, error) < 0) {
		return -1;
	}
	runner.spool = daemon->spool;
	runner.portal = daemon->portal;
	runner.loader = daemon->loader;
	return runner_new(&runner, &daemon->runner) < 0 ? error_no_memory(error, "daemon") : 0;
}

static int start(struct daemon *daemon, struct error *error)
{
	if (start_handles(daemon, error) < 0 ||
		config_require(daemon->config, CONFIG_NEED_KEY, error) < 0 ||
		start_stages(daemon, error) < 0) {
		return -1;
	}
	if (!daemon->options.once && listen_all(daemon, error) < 0) {
		return -1;
	}
	if (take_over_spool(daemon, error) < 0) {
		return -1;
	}
	save_state(daemon);
	if (daemon->options.once) {
		breaker_probe_now(portal_breaker(daemon->portal));
		run_all(daemon, "once");
		daemon->once_begun = true;
		if (daemon->options.timeout_ms) {
			uv_timer_start(&daemon->tick, on_once_timeout, daemon->options.timeout_ms, 0);
		}
	} else {
		uv_timer_start(&daemon->tick, on_tick, 0, 0);
	}
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
		uv_unref((uv_handle_t *)&daemon->limit);
	}
	for (unsigned i = 2; i < daemon->n_handles; i++) {
		uv_close((uv_handle_t *)&daemon->signals[i - 2], NULL);
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
		save_state(daemon);
	}
	if (daemon->report) {
		report_stopping(daemon->report, why);
	}
	uv_timer_stop(&daemon->tick);
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

static int code_of_start(const struct error *error)
{
	if (strcmp(error->code, "locked") == 0) {
		return EXITCODE_TRY_AGAIN;
	}
	if (strcmp(error->code, "address_in_use") == 0) {
		return EXITCODE_UNAVAILABLE;
	}
	return error->class == ERROR_REJECTED ? EXITCODE_CONFIG : EXITCODE_UNAVAILABLE;
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
		daemon.exit_code = code_of_start(error);
		daemon_stop(&daemon, error->text);
	}
	run_loop(&daemon);
	r = uv_loop_close(&daemon.loop);
	assert(r == 0);
	spool_free(daemon.spool);
	schedule_free(daemon.schedule);
	report_free(daemon.report);
	zone_free(daemon.zone);
	config_unref(daemon.config);
	return options->once || error_is_set(error) ? daemon.exit_code : EXITCODE_OK;
}
