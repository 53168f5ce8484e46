#pragma once

/*
 * Datasets for tests, read from YAML as the daemon reads its own. SPDX-License-Identifier: Apache-2.0
 *
 * The files live in a directory of their own until they have been read.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "daemon/config.h"

/* Names in lookups, a date in the key, partitions, revisions. */
#define DATASET_PRICES                                                                             \
	"dataset: prices\n"                                                                        \
	"table: m.price\n"                                                                         \
	"date: day\n"                                                                              \
	"columns:\n"                                                                               \
	"  state: {type: text}\n"                                                                  \
	"  market: {type: text}\n"                                                                 \
	"  commodity: {type: text}\n"                                                              \
	"  day: {type: date}\n"                                                                    \
	"  low: {type: numeric, nullable: true, min: 0}\n"                                         \
	"  price: {type: numeric, min: 0}\n"                                                       \
	"lookups:\n"                                                                               \
	"  market: {table: m.market, columns: [state, market]}\n"                                  \
	"  commodity: {table: m.commodity, columns: [commodity]}\n"                                \
	"key: [commodity, day, market]\n"                                                          \
	"partition: year\n"                                                                        \
	"indexes: [[market, day]]\n"                                                               \
	"sources:\n"                                                                               \
	"  live:\n"                                                                                \
	"    resource: 9ef84268-d588-465a-a308-a864a43d0070\n"                                     \
	"    fields: {state: State, market: Market, commodity: Commodity, day: Day, low: Low,"     \
	" price: Price}\n"                                                                         \
	"    date_format: \"%d/%m/%Y\"\n"                                                          \
	"  history:\n"                                                                             \
	"    resource: 35985678-0d79-46b4-9ed6-6f13308a1d24\n"                                     \
	"    slice: {by: day, filter: \"filters[Day]\", format: \"%d-%m-%Y\"}\n"                   \
	"    fields: {state: State, market: Market, commodity: Commodity, day: Day, low: Low,"     \
	" price: Price}\n"                                                                         \
	"    date_format: \"%d/%m/%Y\"\n"

/* Neither lookups nor a date: the table carries the text. */
#define DATASET_FLAT                                                                               \
	"dataset: flat\n"                                                                          \
	"table: m.flat\n"                                                                          \
	"columns:\n"                                                                               \
	"  code: {type: text}\n"                                                                   \
	"  office: {type: text}\n"                                                                 \
	"  name: {type: text, nullable: true}\n"                                                   \
	"  n: {type: integer, nullable: true}\n"                                                   \
	"  at: {type: timestamp, nullable: true}\n"                                                \
	"key: [code, office]\n"                                                                    \
	"sources:\n"                                                                               \
	"  all:\n"                                                                                 \
	"    resource: 5c2f62fe-5afa-4119-a499-fec9d604d5bd\n"                                     \
	"    fields: {code: code, office: office, name: name, n: n, at: at}\n"                     \
	"    date_format: \"%Y-%m-%d %H:%M:%S\"\n"

/* The date and a lookup are values, not part of the key; what changes is overwritten. */
#define DATASET_LATEST                                                                             \
	"dataset: latest\n"                                                                        \
	"table: m.latest\n"                                                                        \
	"date: day\n"                                                                              \
	"columns:\n"                                                                               \
	"  zone: {type: text, nullable: true}\n"                                                   \
	"  city: {type: text, nullable: true}\n"                                                   \
	"  station: {type: text}\n"                                                                \
	"  day: {type: date}\n"                                                                    \
	"  value: {type: numeric}\n"                                                               \
	"lookups:\n"                                                                               \
	"  station: {table: s.station, columns: [station]}\n"                                      \
	"  city: {table: s.city, columns: [zone, city]}\n"                                         \
	"key: [station]\n"                                                                         \
	"partition: none\n"                                                                        \
	"on_change: overwrite\n"                                                                   \
	"sources:\n"                                                                               \
	"  air:\n"                                                                                 \
	"    resource: 3b01bcb8-0b14-4abf-b6f2-c1bfd384ba69\n"                                     \
	"    fields: {zone: zone, city: city, station: station, day: day, value: value}\n"         \
	"    date_format: \"%d/%m/%Y\"\n"

/* What is stored stays. */
#define DATASET_KEEP                                                                               \
	"dataset: keep\n"                                                                          \
	"table: m.keep\n"                                                                          \
	"columns:\n"                                                                               \
	"  code: {type: text}\n"                                                                   \
	"  value: {type: numeric}\n"                                                               \
	"key: [code]\n"                                                                            \
	"on_change: keep\n"                                                                        \
	"sources:\n"                                                                               \
	"  all:\n"                                                                                 \
	"    resource: 5c2f62fe-5afa-4119-a499-fec9d604d5be\n"                                     \
	"    fields: {code: code, value: value}\n"

static inline void dataset_write_file(const char *directory, const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* Each text becomes one file of datasets.d. config_unref() when done. */
static inline struct config *dataset_config(const char *const texts[], unsigned n)
{
	char directory[] = "/tmp/ogdsync-dataset-XXXXXX", path[128], name[32];
	_cleanup_buffer_ struct buffer report = {0};
	struct config *config = NULL;

	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/datasets.d", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	dataset_write_file(directory, "ogdsync.yaml", "");
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "datasets.d/%u.yaml", i);
		dataset_write_file(directory, name, texts[i]);
	}
	snprintf(path, sizeof(path), "%s/ogdsync.yaml", directory);
	if (config_load(path, &config, &report) < 0) {
		fail_msg("%s", buffer_str(&report));
	}
	snprintf(path, sizeof(path), "rm -rf '%s'", directory);
	assert_int_equal(system(path), 0);
	return config;
}

static inline struct config *dataset_config_one(const char *text)
{
	return dataset_config(&text, 1);
}
