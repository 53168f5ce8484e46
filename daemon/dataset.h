#pragma once

/*
 * What is synced: a dataset is one target table, its sources are the portal resources that fill it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Made by config.c from datasets.d/<name>.yaml, checked, immutable afterwards; owned by the arena of its
 * struct config and borrowed by everybody else for as long as they hold a reference to that.
 * Grammar and defaults: DESIGN of the configuration in ogdsync-datasets(5).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/decimal.h"

enum column_type {
	COLUMN_TEXT,      /* text; COLLATE "C" where it is part of the key */
	COLUMN_NUMERIC,   /* numeric without scale */
	COLUMN_INTEGER,   /* bigint */
	COLUMN_DATE,      /* date */
	COLUMN_TIMESTAMP, /* timestamptz; IST where the portal names no zone */
	COLUMN_ID,        /* integer: a lookup's id; only in struct fact_column */
};

/* A column as the portal's records fill it, before names are turned into ids. */
struct column {
	char *name;
	enum column_type type;
	bool nullable;
	bool has_min, has_max;   /* numeric and integer: outside is quarantined */
	struct decimal min, max; /* inclusive */
	int lookup;              /* index into dataset->lookups whose name it is part of, or -1 */
};

/* Names that live once: `<name>_id integer` in the fact table stands for the tuple of columns. */
struct lookup_def {
	char *name;
	char *schema; /* "mandi" */
	char *table;  /* "market" */
	unsigned *columns; /* indexes into dataset->columns */
	unsigned n_columns;
	uint64_t inactive_after_ms; /* a name not seen for so long is inactive; 0: never */
};

/* A column of the fact table as stored, in the order in which rows are written and read. */
struct fact_column {
	char *name; /* "market_id" or "arrival_date" */
	enum column_type type;
	bool nullable;
	int column; /* index into dataset->columns, or -1 */
	int lookup; /* index into dataset->lookups, or -1 */
};

enum partition_by { PARTITION_NONE, PARTITION_YEAR, PARTITION_MONTH };
enum on_change { ON_CHANGE_REVISE, ON_CHANGE_OVERWRITE, ON_CHANGE_KEEP };
enum missing_rows { MISSING_KEEP, MISSING_DEACTIVATE };

/* How a column is found in a record and read. */
struct source_field {
	char **names; /* the first one that is present in the record counts */
	unsigned n_names;
};

/* A further filter that every request of the source carries. */
struct source_filter {
	char *param; /* as sent: "filters[state]" */
	char *value;
};

struct source_slice {
	bool sliced;         /* false: the one slice `all` */
	int by;              /* column; the dataset's date */
	char *filter;        /* parameter: "filters[Arrival_Date]" */
	char *format;        /* strftime subset of the filter's value: "%d-%m-%Y" */
	unsigned lookback_days;
	int split_by;        /* column, or -1 */
	char *split_filter;  /* parameter: "filters[State]" */
};

struct source_heal {
	bool enabled;
	int32_t from_day; /* days since 1970-01-01 */
	unsigned max_slices_per_day;
};

struct dataset;

struct source {
	const struct dataset *dataset;
	char *name;     /* "live" */
	char *label;    /* "mandi_prices/live": logs, metrics */
	char *resource; /* UUID */
	char **schedules; /* cron lines in config->timezone; see lib/cron.h */
	unsigned n_schedules;
	uint64_t every_ms; /* 0: none */
	uint64_t jitter_ms;
	bool on_start;
	unsigned page_size;
	unsigned *sort; /* columns, in order; sent under the source's own field names */
	unsigned n_sort;
	struct source_field *fields; /* one per column of the dataset */
	char **date_formats;         /* "%d/%m/%Y", ... */
	unsigned n_date_formats;
	struct source_filter *filters;
	unsigned n_filters;
	struct source_slice slice;
	struct source_heal heal;
};

struct dataset {
	char *name;
	char *file; /* where it was read from */
	char *schema, *table;
	int date; /* column, or -1 */
	struct column *columns;
	unsigned n_columns;
	struct lookup_def *lookups;
	unsigned n_lookups;
	struct fact_column *fact; /* the key as written, then the values in column order */
	unsigned n_fact;
	unsigned n_key;       /* the first n_key of fact are the primary key */
	int fact_date;        /* index into fact of the date, or -1 */
	unsigned **indexes;   /* each a list of fact columns, ended by UINT_MAX */
	unsigned n_indexes;
	enum partition_by partition;
	enum on_change on_change;
	enum missing_rows missing_rows;
	unsigned deactivate_limit_ppm; /* 5 % = 50,000 */
	unsigned quarantine_limit_ppm;
	uint64_t freshness_ms; /* 0: not watched */
	unsigned day_ends_s;   /* seconds after midnight of the next day when a data date is over */
	bool foreign_keys;
	char **nulls; /* texts that mean NULL, after trimming */
	unsigned n_nulls;
	struct source *sources;
	unsigned n_sources;
};

/* The index of a column, or -1. */
int dataset_column(const struct dataset *dataset, const char *name);

/* True when the column is part of the key, by itself or through its lookup. */
bool dataset_in_key(const struct dataset *dataset, unsigned column);

/*
 * Until when a dataset is fresh whose newest stored data date is `newest`: 24:00 of that date in India
 * and `freshness`. INT64_MAX: for ever, because it is not watched or has no date yet (INT32_MIN).
 */
int64_t dataset_fresh_until_us(const struct dataset *dataset, int32_t newest);

/* "date", "numeric" ... as the configuration and PostgreSQL call the type. */
const char *column_type_name(enum column_type type);
const char *column_type_sql(enum column_type type);
