/*
 * The configuration anew, while the daemon runs. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - the files are read and checked as at the start, and compared with what is in force;
 *   - the runner begins no slice and the loader no load; what is under way ends under the old file;
 *   - when nothing uses the old configuration any more, all take the new one in one turn of the loop,
 *     and go on. Runs that were asked for before keep theirs, which is freed with the last of them.
 *
 * Possible failure modes are:
 *   - The files are wrong, or something changed that only a restart can: nothing happens, every
 *     problem is said to whoever asked and in the log.
 *   - Another reload comes while one waits: the newer one takes its place.
 *   - Memory is short in the middle of it: the daemon stops, for half a configuration would be
 *     worse; the next start has all of it.
 */

#include "daemon/daemon_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/config_diff.h"
#include "daemon/message_id.h"
#include "lib/scrub.h"

enum { LOOK_MS = 20 };

/* ---- what is asked ---- */

static void add_line(struct buffer *lines, const char *text, size_t len)
{
	buffer_append(lines, text, len);
	buffer_append_char(lines, '\n');
}

static void on_needs_restart(void *arg, const char *option)
{
	struct buffer line = {0};

	buffer_printf(&line, "%s: needs restart", option);
	add_line(arg, buffer_str(&line), line.len);
	buffer_fini(&line);
}

static void on_change(void *arg, const char *option, const char *old, const char *new)
{
	log_notice(NULL, "config.changed", f_str("option", option), f_str("old", old ? old : "none"),
		f_str("new", new ? new : "none"));
	buffer_printf(arg, "%s: %s -> %s\n", option, old ? old : "none", new ? new : "none");
}

static void refuse(struct api_outcome *outcome, const char *who, int status, const char *why)
{
	const char *at = buffer_str(&outcome->lines), *end;
	char line[ERROR_TEXT_BYTES];

	outcome->status = status;
	snprintf(outcome->text, sizeof(outcome->text), "%s", why);
	for (; (end = strchr(at, '\n')); at = end + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)(end - at), at);
		log_error(NULL, "config.problem", f_msg(line));
	}
	log_error(NULL, "daemon.reload_refused", f_str("by", who), f_msg(why));
}

/* NULL: refused. */
static struct config *read_config(const struct daemon *daemon, const char *who,
	struct api_outcome *outcome)
{
	struct config *config = NULL;
	struct error error = {.class = ERROR_NONE};

	if (config_reload(daemon->config, &config, &outcome->lines) < 0) {
		refuse(outcome, who, 422, "the new configuration is wrong; the old one stays in force");
		return NULL;
	}
	config_unset_secrets(config);
	config_needs_restart(daemon->config, config, on_needs_restart, &outcome->lines);
	if (outcome->lines.len == 0 &&
		(config_require(config, CONFIG_NEED_KEY, &error) < 0 ||
			(config->server.token_file &&
				config_require(config, CONFIG_NEED_TOKEN, &error) < 0))) {
		scrub_text(error.text);
		add_line(&outcome->lines, error.text, strlen(error.text));
	}
	if (outcome->lines.len > 0) {
		refuse(outcome, who, 422, "this cannot be changed so; the old one stays in force");
		return config_unref(config);
	}
	return config;
}

/* ---- taking it ---- */

struct fresh {
	struct zone *zone;
	struct schedule *schedule;
};

static int make_fresh(const struct daemon *daemon, struct config *config, struct fresh *fresh)
{
	struct error error = {.class = ERROR_NONE};

	if (zone_load(NULL, config->timezone, &fresh->zone, &error) < 0 ||
		schedule_new(config, fresh->zone, clock_wall_us(daemon->clock), &fresh->schedule) <
			0) {
		return -ENOMEM; /* the zone was found when the file was read */
	}
	schedule_take_over(fresh->schedule, daemon->schedule);
	return 0;
}

static void open_log(const struct config *config)
{
	const struct log_options options = {
		.format = config->log.format,
		.level = config->log.level,
		.file = config->log.file,
		.message_ids = message_ids,
	};
	struct error error = {.class = ERROR_NONE};

	if (log_open(&options, &error) < 0) {
		log_warning(NULL, "log.reopen_failed", f_msg(error.text));
	}
}

/* What cannot fail. */
static void take_rest(struct daemon *daemon, struct config *config, struct fresh *fresh)
{
	const struct spool_options spool = {
		.max_bytes = config->spool.max_bytes,
		.keep_ms = config->spool.keep_ms,
		.page_bytes = config->portal.page_bytes,
	};

	spool_reconfigure(daemon->spool, &spool);
	reader_reconfigure(daemon->reader, config);
	runner_reconfigure(daemon->runner, config);
	alert_sender_reconfigure(daemon->alerts, config);
	history_reconfigure(daemon->history, config);
	schedule_free(daemon->schedule);
	zone_free(daemon->zone);
	daemon->schedule = take_ptr(fresh->schedule);
	daemon->zone = take_ptr(fresh->zone);
	httpd_set_hosts(daemon->httpd, (const char *const *)config->server.hosts,
		config->server.n_hosts);
	setenv("TZ", config->timezone, 1);
	tzset();
	open_log(config);
	config_unref(daemon->config);
	daemon->config = config_ref(config);
}

static int take(struct daemon *daemon, struct config *config)
{
	struct fresh fresh = {.zone = NULL};
	int r = make_fresh(daemon, config, &fresh);

	r = r < 0 ? r : loader_reconfigure(daemon->loader, config);
	r = r < 0 ? r : portal_reconfigure(daemon->portal, &config->portal);
	r = r < 0 ? r : report_reconfigure(daemon->report, config);
	r = r < 0 ? r : state_reconfigure(daemon->state, config);
	if (r == 0) {
		take_rest(daemon, config, &fresh);
		daemon_restore_schedule(daemon);
		daemon_save_state(daemon);
	}
	schedule_free(fresh.schedule);
	zone_free(fresh.zone);
	return r;
}

static void on_look(uv_timer_t *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, reload);

	if (!runner_is_still(daemon->runner) || !loader_is_still(daemon->loader) ||
		daemon->heal.asking) {
		uv_timer_start(timer, on_look, LOOK_MS, 0);
		return;
	}
	if (take(daemon, daemon->next_config) < 0) {
		daemon_give_up(daemon, "no memory to take the new configuration");
		return;
	}
	daemon->next_config = config_unref(daemon->next_config);
	log_notice(NULL, "daemon.reloaded", f_str("config", daemon->config->file));
	runner_go_on(daemon->runner);
	loader_go_on(daemon->loader);
	daemon_look_at_schedule(daemon);
}

void daemon_reload(struct daemon *daemon, const char *who, struct api_outcome *ret)
{
	struct config *config = read_config(daemon, who, ret);

	if (!config) {
		return;
	}
	log_notice(NULL, "daemon.reload", f_str("by", who));
	if (config_diff(daemon->config, config, on_change, &ret->lines) < 0) {
		config_unref(config);
		refuse(ret, who, 503, "out of memory");
		return;
	}
	config_unref(daemon->next_config);
	daemon->next_config = config;
	runner_hold(daemon->runner);
	loader_hold(daemon->loader);
	uv_timer_start(&daemon->reload, on_look, 0, 0);
}
