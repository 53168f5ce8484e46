#pragma once

/*
 * Datasets for tests, as the configuration would make them. SPDX-License-Identifier: Apache-2.0
 */

#include <stdlib.h>
#include <string.h>

#include "daemon/dataset.h"

enum { FIXTURE_COLUMNS = 10 };

/* One source and everything it points to. Do not copy: it points into itself. */
struct fixture {
	struct dataset dataset;
	struct source source;
	struct column columns[FIXTURE_COLUMNS];
	struct source_field fields[FIXTURE_COLUMNS];
	char *names[FIXTURE_COLUMNS][4];
	struct lookup_def lookups[4];
	unsigned lookup_columns[4][3];
	struct fact_column fact[FIXTURE_COLUMNS];
	char *nulls[3];
	char *formats[3];
};

static inline unsigned fixture_add_column(struct fixture *f, const char *name, enum column_type type)
{
	unsigned i = f->dataset.n_columns++;

	f->columns[i] = (struct column){.name = (char *)name, .type = type, .lookup = -1};
	f->names[i][0] = (char *)name;
	f->fields[i] = (struct source_field){.names = f->names[i], .n_names = 1};
	return i;
}

/* Another name under which the source may serve the column added last. */
static inline void fixture_add_name(struct fixture *f, const char *name)
{
	struct source_field *field = &f->fields[f->dataset.n_columns - 1];

	field->names[field->n_names++] = (char *)name;
}

static inline void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->nulls[0] = (char *)"NA";
	f->nulls[1] = (char *)"N/A";
	f->nulls[2] = (char *)"-";
	f->formats[0] = (char *)"%d/%m/%Y";
	f->dataset = (struct dataset){
		.name = (char *)"test",
		.columns = f->columns,
		.lookups = f->lookups,
		.fact = f->fact,
		.date = -1,
		.fact_date = -1,
		.nulls = f->nulls,
		.n_nulls = 3,
	};
	f->source = (struct source){
		.dataset = &f->dataset,
		.fields = f->fields,
		.date_formats = f->formats,
		.n_date_formats = 1,
	};
}

/* A column by itself in the fact table. */
static inline void fixture_add_fact(struct fixture *f, unsigned column)
{
	f->fact[f->dataset.n_fact++] = (struct fact_column){
		.name = f->columns[column].name,
		.type = f->columns[column].type,
		.column = (int)column,
		.lookup = -1,
	};
}

/* A lookup of n columns from `first` on, and its id in the fact table. */
static inline void fixture_add_lookup(struct fixture *f, const char *name, unsigned first, unsigned n)
{
	unsigned l = f->dataset.n_lookups++;

	for (unsigned i = 0; i < n; i++) {
		f->lookup_columns[l][i] = first + i;
		f->columns[first + i].lookup = (int)l;
	}
	f->lookups[l] = (struct lookup_def){
		.name = (char *)name,
		.columns = f->lookup_columns[l],
		.n_columns = n,
	};
	f->fact[f->dataset.n_fact++] = (struct fact_column){
		.name = (char *)name,
		.type = COLUMN_ID,
		.column = -1,
		.lookup = (int)l,
	};
}

/* The daily market prices: (commodity, date, market, variety, grade) -> three prices. */
static inline void fixture_mandi(struct fixture *f)
{
	static const char *const texts[] = {"state", "district", "market", "commodity", "variety",
		"grade"};
	static const char *const prices[] = {"min_price", "max_price", "modal_price"};

	fixture_init(f);
	for (unsigned i = 0; i < 6; i++) {
		fixture_add_column(f, texts[i], COLUMN_TEXT);
	}
	f->dataset.date = (int)fixture_add_column(f, "arrival_date", COLUMN_DATE);
	for (unsigned i = 0; i < 3; i++) {
		unsigned column = fixture_add_column(f, prices[i], COLUMN_NUMERIC);

		f->columns[column].nullable = i < 2;
		f->columns[column].has_min = true; /* 0 */
	}
	fixture_add_lookup(f, "commodity", 3, 1);
	fixture_add_fact(f, 6);
	fixture_add_lookup(f, "market", 0, 3);
	fixture_add_lookup(f, "variety", 4, 1);
	fixture_add_lookup(f, "grade", 5, 1);
	f->dataset.n_key = f->dataset.n_fact;
	f->dataset.fact_date = 1;
	for (unsigned i = 7; i < 10; i++) {
		fixture_add_fact(f, i);
	}
}
