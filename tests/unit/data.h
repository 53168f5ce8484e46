#pragma once

/*
 * Files for tests: tests/unit/data, and the captures that may lie beside the source tree.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdio.h>
#include <stdlib.h>

struct data {
	char *bytes; /* NUL behind them; NULL: no such file */
	size_t len;
};

static inline struct data data_read_path(const char *directory, const char *sub, const char *name)
{
	struct data data = {0};
	char path[4096];
	FILE *file;
	long size;

	snprintf(path, sizeof(path), "%s/%s/%s", directory, sub, name);
	file = fopen(path, "rb");
	if (!file) {
		return data;
	}
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0) {
		rewind(file);
		data.bytes = calloc(1, (size_t)size + 1);
		data.len = data.bytes ? fread(data.bytes, 1, (size_t)size, file) : 0;
	}
	fclose(file);
	return data;
}

/* tests/unit/data/NAME; missing is a broken checkout. */
static inline struct data data_read(const char *name)
{
	const char *root = getenv("SOURCE_ROOT");
	struct data data = data_read_path(root ? root : ".", "tests/unit/data", name);

	if (!data.bytes) {
		fprintf(stderr, "tests/unit/data/%s is missing (SOURCE_ROOT?)\n", name);
		abort();
	}
	return data;
}

/* A real capture: $OGDSYNC_SAMPLES/NAME, else ../shared/samples of the source. bytes NULL: skip. */
static inline struct data sample_read(const char *name)
{
	const char *root = getenv("SOURCE_ROOT");
	const char *samples = getenv("OGDSYNC_SAMPLES");

	return samples ? data_read_path(samples, ".", name)
		       : data_read_path(root ? root : ".", "../shared/samples", name);
}

static inline void data_free(struct data *data)
{
	free(data->bytes);
	*data = (struct data){0};
}
