/*
 * ogdsync doctor: the machine. SPDX-License-Identifier: Apache-2.0
 *
 * The spool directory, its room and its lock; the unit, where systemd runs; the daemon, by its
 * socket. Whether the lock is held is read from the kernel's list and not tried: a daemon that
 * starts meanwhile would find it taken.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/daemon.h"
#include "cli/doctor.h"
#include "config.h"
#include "lib/exitcode.h"

#if HAVE_SYSTEMD
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#endif

static const char *user_name(uid_t uid, char *buf, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user) {
		snprintf(buf, size, "%s", user->pw_name);
	} else {
		snprintf(buf, size, "user %u", (unsigned)uid);
	}
	return buf;
}

/* ---- the spool ---- */

/* The bytes of the files in `dir`, which is closed. */
static uint64_t bytes_used(DIR *dir)
{
	const struct dirent *entry;
	uint64_t sum = 0;
	struct stat st;

	while ((entry = readdir(dir))) {
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode)) {
			sum += (uint64_t)st.st_size;
		}
	}
	closedir(dir);
	return sum;
}

/* Who holds the lock of the spool: a process id, or 0 for nobody that can be seen. */
static int lock_holder(const char *directory)
{
	_cleanup_buffer_ struct buffer path = {0};
	char line[256], file[64];
	struct stat st;
	FILE *locks;
	int pid, holder = 0;

	buffer_printf(&path, "%s/lock", directory);
	if (stat(buffer_str(&path), &st) < 0) {
		return 0;
	}
	locks = fopen("/proc/locks", "re");
	snprintf(file, sizeof(file), "%02x:%02x:%ju ", major(st.st_dev), minor(st.st_dev),
		(uintmax_t)st.st_ino);
	while (locks && fgets(line, sizeof(line), locks)) {
		if (strstr(line, file) && sscanf(line, "%*d: FLOCK ADVISORY WRITE %d", &pid) == 1) {
			holder = pid;
		}
	}
	if (locks) {
		fclose(locks);
	}
	return holder;
}

static void judge_room(const struct config *config, const struct statvfs *fs, uint64_t used,
	struct finding *finding)
{
	const struct config_spool *spool = &config->spool;
	uint64_t mib = UINT64_C(1) << 20, free_bytes = (uint64_t)fs->f_bavail * fs->f_frsize;
	int holder = lock_holder(spool->directory);
	char lock[48] = "nobody holds its lock";

	if (free_bytes < config->portal.page_bytes) {
		finding_set(finding, FINDING_CRITICAL, "make room on that file system",
			"%s has %" PRIu64 " MiB left, and a page may have %" PRIu64 " MiB",
			spool->directory, free_bytes / mib, config->portal.page_bytes / mib);
		return;
	}
	if (used + free_bytes < spool->max_bytes) {
		finding_set(finding, FINDING_WARNING, "make room, or lower spool.max_bytes",
			"%s may grow to %" PRIu64 " MiB, and there is room for %" PRIu64 " MiB",
			spool->directory, spool->max_bytes / mib, (used + free_bytes) / mib);
		return;
	}
	if (holder) {
		snprintf(lock, sizeof(lock), "process %d holds its lock", holder);
	}
	finding_set(finding, FINDING_OK, NULL, "%s, %" PRIu64 " MiB used, %" PRIu64 " MiB free, %s",
		spool->directory, used / mib, free_bytes / mib, lock);
}

static void judge_missing(const char *directory, int err, struct finding *finding)
{
	if (err == ENOENT) {
		finding_set(finding, FINDING_WARNING,
			"the daemon makes it when it starts, if its user may", "%s is not there",
			directory);
	} else {
		finding_set(finding, FINDING_UNKNOWN, "run this as the user of the service",
			"%s: %s", directory, strerror(err));
	}
}

void doctor_check_spool(struct doctor *doctor, struct finding *finding)
{
	const char *directory = doctor->database.config->spool.directory;
	char owner[64];
	struct statvfs fs;
	struct stat st;
	DIR *dir;

	if (stat(directory, &st) < 0 || statvfs(directory, &fs) < 0) {
		judge_missing(directory, errno, finding);
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		finding_set(finding, FINDING_CRITICAL, "look at spool.directory",
			"%s is not a directory", directory);
		return;
	}
	dir = opendir(directory);
	if (!dir) {
		finding_set(finding, FINDING_UNKNOWN, "run this as its owner", "%s is for %s alone",
			directory, user_name(st.st_uid, owner, sizeof(owner)));
		return;
	}
	if (access(directory, W_OK | X_OK) < 0) {
		closedir(dir);
		finding_set(finding, FINDING_CRITICAL,
			"give it to the user of the service: chown -R ogdsync:",
			"%s belongs to %s and cannot be written to", directory,
			user_name(st.st_uid, owner, sizeof(owner)));
		return;
	}
	judge_room(doctor->database.config, &fs, bytes_used(dir), finding);
}

/* ---- the unit ---- */

#if HAVE_SYSTEMD
enum { PROPERTY_BYTES = 64 };

struct unit {
	char load[PROPERTY_BYTES], file[PROPERTY_BYTES], active[PROPERTY_BYTES];
};

static int read_property(sd_bus *bus, const char *path, const char *name, char *ret)
{
	char *text = NULL;
	int r = sd_bus_get_property_string(bus, "org.freedesktop.systemd1", path,
		"org.freedesktop.systemd1.Unit", name, NULL, &text);

	snprintf(ret, PROPERTY_BYTES, "%s", r >= 0 ? text : "");
	free(text);
	return r;
}

/* What systemd knows of the unit. Returns -errno when it cannot be asked. */
static int read_unit(struct unit *ret)
{
	sd_bus *bus = NULL;
	sd_bus_message *reply = NULL;
	const char *path;
	int r = sd_bus_open_system(&bus);

	if (r >= 0) {
		r = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
			"org.freedesktop.systemd1.Manager", "LoadUnit", NULL, &reply, "s",
			"ogdsyncd.service");
	}
	if (r >= 0) {
		r = sd_bus_message_read(reply, "o", &path);
	}
	if (r >= 0) {
		r = read_property(bus, path, "LoadState", ret->load);
	}
	if (r >= 0) {
		r = read_property(bus, path, "UnitFileState", ret->file);
	}
	if (r >= 0) {
		r = read_property(bus, path, "ActiveState", ret->active);
	}
	sd_bus_message_unref(reply);
	sd_bus_flush_close_unref(bus);
	return r < 0 ? r : 0;
}

static void judge_unit(const struct unit *unit, struct finding *finding)
{
	if (strcmp(unit->load, "not-found") == 0) {
		finding_set(finding, FINDING_WARNING,
			"install it: meson install, then systemctl "
			"daemon-reload",
			"there is no ogdsyncd.service");
	} else if (strcmp(unit->load, "loaded") != 0) {
		finding_set(finding, FINDING_CRITICAL, "see `systemctl status ogdsyncd`",
			"ogdsyncd.service cannot be used: %s", unit->load);
	} else if (strcmp(unit->active, "failed") == 0) {
		finding_set(finding, FINDING_CRITICAL,
			"see `journalctl -xeu ogdsyncd`; then systemctl restart ogdsyncd",
			"ogdsyncd.service has failed");
	} else if (strcmp(unit->active, "active") != 0 && strcmp(unit->active, "reloading") != 0) {
		finding_set(finding, FINDING_WARNING, "systemctl enable --now ogdsyncd",
			"ogdsyncd.service is %s", unit->active);
	} else if (strcmp(unit->file, "disabled") == 0) {
		finding_set(finding, FINDING_WARNING, "systemctl enable ogdsyncd",
			"ogdsyncd.service runs, and will not after a reboot");
	} else {
		finding_set(finding, FINDING_OK, NULL, "ogdsyncd.service is %s and %s", unit->file,
			unit->active);
	}
}

void doctor_check_unit(struct doctor *doctor, struct finding *finding)
{
	struct unit unit;
	int r;

	(void)doctor;
	if (sd_booted() <= 0) {
		finding_set(finding, FINDING_SKIPPED, NULL, "systemd does not run here");
		return;
	}
	r = read_unit(&unit);
	if (r < 0) {
		finding_set(finding, FINDING_UNKNOWN, "see `systemctl status ogdsyncd`",
			"systemd cannot be asked: %s", strerror(-r));
		return;
	}
	judge_unit(&unit, finding);
}
#else
void doctor_check_unit(struct doctor *doctor, struct finding *finding)
{
	(void)doctor;
	finding_set(finding, FINDING_SKIPPED, NULL, "built without systemd");
}
#endif

/* ---- the daemon ---- */

/* The lines of /readyz that say what is not ready, in one. */
static void collect_failures(const char *body, struct buffer *out)
{
	while (*body) {
		size_t len = strcspn(body, "\n");

		if (strncmp(body, "[-] ", 4) == 0) {
			buffer_append_str(out, out->len ? "; " : "");
			buffer_append(out, body + 4, len - 4);
		}
		body += len + (body[len] == '\n');
	}
}

static void judge_answer(struct client_answer *answer, const char *address, struct finding *finding)
{
	_cleanup_buffer_ struct buffer failures = {0};

	collect_failures(buffer_str(&answer->body), &failures);
	if (answer->status == 200) {
		finding_set(finding, FINDING_OK, NULL, "answers at %s and is ready", address);
	} else {
		finding_set(finding, FINDING_WARNING, "see `ogdsync status`",
			"answers at %s and is not ready: %s", address, buffer_str(&failures));
	}
}

void doctor_check_daemon(struct doctor *doctor, struct finding *finding)
{
	const struct config *config = doctor->database.config;
	const char *address = doctor->cli->socket;
	struct client_request request = {.path = "/readyz"};
	struct client_answer answer = {.status = 0};
	struct error error = {.class = ERROR_NONE};
	int holder = config ? lock_holder(config->spool.directory) : 0;

	if (!address && config) {
		address = daemon_configured_address(config);
	}
	if (!address) {
		finding_set(finding, FINDING_SKIPPED, NULL, "it is not known where it listens");
		return;
	}
	request.address = address;
	if (client_ask(&request, &answer, &error) == 0) {
		judge_answer(&answer, address, finding);
	} else if (strcmp(error.code, "no_permission") == 0) {
		finding_set(finding, FINDING_UNKNOWN, "join the group that owns the socket", "%s",
			error.text);
	} else if (holder) {
		finding_set(finding, FINDING_CRITICAL,
			"see its log; then systemctl restart ogdsyncd",
			"process %d holds the spool, but: %s", holder, error.text);
	} else {
		finding_set(finding, FINDING_WARNING, "systemctl start ogdsyncd", "%s", error.text);
	}
	client_answer_fini(&answer);
}
