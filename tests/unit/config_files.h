#pragma once

/*
 * A configuration in a directory of the test's own, for the tests of daemon/config.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "lib/scrub.h"

#define KEY "579b464db66ec23bdd000001cafe0123"

/* Small and right. */
#define COLUMNS                                                                                    \
	"columns:\n"                                                                               \
	"  state: {type: text}\n"                                                                  \
	"  day: {type: date}\n"                                                                    \
	"  price: {type: numeric, nullable: true}\n"
#define HEAD	 "dataset: d\ntable: s.t\ndate: day\n" COLUMNS "key: [state, day]\n"
#define RESOURCE "resource: 9ef84268-d588-465a-a308-a864a43d0070"
#define FIELDS	 "fields: {state: State, day: [day, Day], price: p}"
#define SOURCE	 "sources:\n  live: {" RESOURCE ", " FIELDS "}\n"
#define DATASET	 HEAD SOURCE

struct directory {
	char path[64];
	char file[96];
};

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
}

static inline void put(const struct directory *d, const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", d->path, name);
	write_file(path, text);
}

static inline void discard(const struct directory *d, const char *name)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", d->path, name);
	unlink(path);
}

static inline int setup(void **state)
{
	struct directory *d = calloc(1, sizeof(*d));
	char path[96];

	strcpy(d->path, "/tmp/ogdsync-config-XXXXXX");
	assert_non_null(mkdtemp(d->path));
	snprintf(d->file, sizeof(d->file), "%s/ogdsync.yaml", d->path);
	snprintf(path, sizeof(path), "%s/datasets.d", d->path);
	assert_int_equal(mkdir(path, 0700), 0);
	put(d, "ogdsync.yaml", "");
	put(d, "datasets.d/d.yaml", DATASET);
	setenv("DATA_GOV_API_KEY", KEY, 1);
	unsetenv("DATABASE_URL");
	unsetenv("PGPASSWORD");
	scrub_clear();
	*state = d;
	return 0;
}

static inline int teardown(void **state)
{
	struct directory *d = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", d->path);
	assert_int_equal(system(command), 0);
	free(d);
	scrub_clear();
	return 0;
}

/* Take the directory out of a report. */
static inline void relative(const struct directory *d, char *text)
{
	size_t n = strlen(d->path) + 1;

	for (char *p = text; (p = strstr(p, d->path)) && p[n - 1] == '/';) {
		memmove(p, p + n, strlen(p + n) + 1);
	}
}

static inline struct config *load_good(const struct directory *d)
{
	_cleanup_buffer_ struct buffer report = {0};
	struct config *config = NULL;

	if (config_load(d->file, &config, &report) < 0) {
		print_error("%s", buffer_str(&report));
		fail();
	}
	return config;
}
