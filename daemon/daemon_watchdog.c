/*
 * The daemon and the watchdog of systemd. SPDX-License-Identifier: Apache-2.0
 *
 * A sign of life is sent three times in the interval that systemd asks for, as long as nothing that is
 * waited for is more than GRACE_MS past the time by which it had to end: the request to the portal,
 * the operation on each connection to the database, the file that is being made .ready. That the
 * timer fires shows that the loop turns.
 *
 * When something is late it is said once, and no sign is sent until it is over; systemd then ends the
 * process and starts another, which goes on from the spool.
 */

#include "daemon/daemon_private.h"

#include <stdlib.h>
#include <unistd.h>

enum { GRACE_MS = 30 * 1000, SIGNS = 3 };

struct waits {
	const char *what;
	uint64_t deadline_ms, now_ms;
};

/* What is late, or NULL. */
static const char *what_is_late(struct daemon *daemon)
{
	uint64_t mono_ms = clock_mono_ms(daemon->clock), loop_ms = uv_now(&daemon->loop);
	const struct waits waits[] = {
		{"fetch", runner_deadline_ms(daemon->runner), mono_ms},
		{"file", runner_write_deadline_ms(daemon->runner), mono_ms},
		{"load", loader_deadline_ms(daemon->loader), loop_ms},
		{"lease", reader_deadline_ms(daemon->reader), loop_ms},
	};

	for (size_t i = 0; i < N_ELEMENTS(waits); i++) {
		if (waits[i].deadline_ms < waits[i].now_ms &&
			waits[i].now_ms - waits[i].deadline_ms > GRACE_MS) {
			return waits[i].what;
		}
	}
	return NULL;
}

static void on_watchdog(uv_timer_t *timer)
{
	struct daemon *daemon = container_of(timer, struct daemon, watchdog);
	const char *late = daemon->stopping ? NULL : what_is_late(daemon);

	if (late && !daemon->late) {
		log_error(NULL, "daemon.stuck", f_str("what", late),
			f_msg("it is long past its own deadline; no sign of life until it ends"));
	}
	daemon->late = late != NULL;
	if (!late) {
		report_alive(daemon->report);
	}
}

void daemon_start_watchdog(struct daemon *daemon)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t ms = usec ? strtoull(usec, NULL, 10) / 1000 / SIGNS : 0;

	if (ms > 0 && (!pid || strtoull(pid, NULL, 10) == (unsigned long long)getpid())) {
		uv_timer_start(&daemon->watchdog, on_watchdog, ms, ms);
	}
}
