/*
 * A bar for what takes longer than a second. SPDX-License-Identifier: Apache-2.0
 */

#include "cli/progress.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/clock.h"

enum { QUIET_MS = 1000, EVERY_MS = 100, BAR_CELLS = 30, LINE_CELLS = 78 };

void progress_begin(struct progress *progress, FILE *file, const char *what, uint64_t total)
{
	int fd = fileno(file);

	*progress = (struct progress){
		.file = file,
		.what = what,
		.total = total,
		.began_ms = clock_mono_ms(&clock_system),
		.on = fd >= 0 && isatty(fd),
		.color = cli_color(file),
	};
}

/* "replaying  [#####.....]  50 %  12 of 24" */
static void draw(struct progress *progress)
{
	uint64_t done = progress->done < progress->total ? progress->done : progress->total;
	int filled = progress->total ? (int)(done * BAR_CELLS / progress->total) : 0;
	char bar[BAR_CELLS + 1];

	if (progress->total == 0) {
		fprintf(progress->file, "\r%s  %" PRIu64, progress->what, progress->done);
	} else {
		memset(bar, '.', BAR_CELLS);
		memset(bar, '#', (size_t)filled);
		bar[BAR_CELLS] = '\0';
		fprintf(progress->file, "\r%s  [%s%s%s]  %3" PRIu64 " %%  %" PRIu64 " of %" PRIu64,
			progress->what, progress->color ? "\033[32m" : "", bar,
			progress->color ? "\033[0m" : "", done * 100 / progress->total, done,
			progress->total);
	}
	fflush(progress->file);
	progress->drawn = true;
}

void progress_set(struct progress *progress, uint64_t done)
{
	uint64_t now_ms = progress->on ? clock_mono_ms(&clock_system) : 0;

	progress->done = done;
	if (!progress->on || now_ms < progress->began_ms + QUIET_MS ||
		now_ms < progress->drawn_ms + EVERY_MS) {
		return;
	}
	progress->drawn_ms = now_ms;
	draw(progress);
}

void progress_clear(struct progress *progress)
{
	if (progress->drawn) {
		fprintf(progress->file, "\r%*s\r", LINE_CELLS, "");
		fflush(progress->file);
		progress->drawn = false;
	}
}
