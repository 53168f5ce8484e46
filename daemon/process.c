/*
 * What this process uses of the machine, from getrusage() and /proc/self, which are memory and never
 * wait. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t size = 0, resident = 0;

	if (file) {
		if (fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident) != 2) {
			resident = 0;
		}
		fclose(file);
	}
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Without the one that looks. */
static uint64_t count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	uint64_t n = 0;

	if (!directory) {
		return 0;
	}
	while ((entry = readdir(directory))) {
		n += entry->d_name[0] != '.';
	}
	closedir(directory);
	return n - 1;
}

void process_usage(struct metrics_process *process)
{
	struct rusage usage = {0};
	struct rlimit limit = {0};

	getrusage(RUSAGE_SELF, &usage);
	getrlimit(RLIMIT_NOFILE, &limit);
	process->cpu_seconds = seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
	process->resident_bytes = resident_bytes();
	process->n_fds = count_fds();
	process->max_fds = limit.rlim_cur;
}
