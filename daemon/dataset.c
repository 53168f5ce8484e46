/*
 * Questions about a dataset. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/dataset.h"

#include <string.h>

#include "daemon/date.h"

int dataset_column(const struct dataset *dataset, const char *name)
{
	for (unsigned i = 0; i < dataset->n_columns; i++) {
		if (strcmp(dataset->columns[i].name, name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

bool dataset_in_key(const struct dataset *dataset, unsigned column)
{
	int lookup = dataset->columns[column].lookup;

	for (unsigned i = 0; i < dataset->n_key; i++) {
		const struct fact_column *fact = &dataset->fact[i];

		if (fact->lookup >= 0 ? fact->lookup == lookup : fact->column == (int)column) {
			return true;
		}
	}
	return false;
}

int64_t dataset_fresh_until_us(const struct dataset *dataset, int32_t newest)
{
	if (dataset->freshness_ms == 0 || newest == INT32_MIN) {
		return INT64_MAX;
	}
	return date_begin_us(newest + 1) + (int64_t)dataset->freshness_ms * 1000;
}

const char *column_type_name(enum column_type type)
{
	switch (type) {
	case COLUMN_TEXT:
		return "text";
	case COLUMN_NUMERIC:
		return "numeric";
	case COLUMN_INTEGER:
		return "integer";
	case COLUMN_DATE:
		return "date";
	case COLUMN_TIMESTAMP:
		return "timestamp";
	case COLUMN_ID:
		return "id";
	}
	return "?";
}

const char *column_type_sql(enum column_type type)
{
	switch (type) {
	case COLUMN_TEXT:
		return "text";
	case COLUMN_NUMERIC:
		return "numeric";
	case COLUMN_INTEGER:
		return "bigint";
	case COLUMN_DATE:
		return "date";
	case COLUMN_TIMESTAMP:
		return "timestamp with time zone";
	case COLUMN_ID:
		return "integer";
	}
	return "?";
}
