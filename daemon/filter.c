/*
 * The filters of one slice. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * A parameter names a field of the portal: `filters[State]`, or `filters[State.keyword]`. The
 * column is the one that has this field among its names. What cannot be compared (another
 * parameter, a value that is no value of the column's type) is sent all the same and has column -1:
 * a wrong alarm would be worse than none.
 */

#include "daemon/filter.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "daemon/date.h"
#include "daemon/normalise.h"

/* "State" of "filters[State.keyword]": its begin and length, 0 when it is no such parameter. */
static size_t field_of_param(const char *param, const char **ret_name)
{
	static const char prefix[] = "filters[", suffix[] = ".keyword";
	size_t len = strlen(param), n_prefix = sizeof(prefix) - 1, n_suffix = sizeof(suffix) - 1;

	if (len <= n_prefix + 1 || strncmp(param, prefix, n_prefix) != 0 || param[len - 1] != ']') {
		return 0;
	}
	*ret_name = param + n_prefix;
	len -= n_prefix + 1;
	if (len > n_suffix && memcmp(*ret_name + len - n_suffix, suffix, n_suffix) == 0) {
		len -= n_suffix;
	}
	return len;
}

static bool has_name(const struct source_field *field, const char *name, size_t len)
{
	for (unsigned i = 0; i < field->n_names; i++) {
		if (strlen(field->names[i]) == len && memcmp(field->names[i], name, len) == 0) {
			return true;
		}
	}
	return false;
}

static int column_of_param(const struct source *source, const char *param)
{
	const char *name;
	size_t len = field_of_param(param, &name);

	for (unsigned i = 0; len > 0 && i < source->dataset->n_columns; i++) {
		if (has_name(&source->fields[i], name, len)) {
			return (int)i;
		}
	}
	return -1;
}

/* ---- the typed value ---- */

static bool type_day(struct filter *filter, const struct source *source)
{
	for (unsigned i = 0; i < source->n_date_formats; i++) {
		if (date_parse(filter->value, strlen(filter->value), source->date_formats[i],
			    &filter->day) == 0) {
			return true;
		}
	}
	return false;
}

static bool type_number(struct filter *filter)
{
	struct decimal number;
	char *room;

	if (decimal_parse(filter->value, strlen(filter->value), &number) != DECIMAL_OK) {
		return false;
	}
	room = buffer_reserve(&filter->due, decimal_wire_bytes(&number));
	if (room) {
		decimal_to_wire(&number, (unsigned char *)room);
		buffer_grown(&filter->due, decimal_wire_bytes(&number));
	}
	return true;
}

static bool type_integer(struct filter *filter)
{
	long long number;
	char *end;

	errno = 0;
	number = strtoll(filter->value, &end, 10);
	if (errno != 0 || end == filter->value || *end) {
		return false;
	}
	buffer_append_be64(&filter->due, (uint64_t)number);
	return true;
}

static bool type_text(struct filter *filter)
{
	size_t len = strlen(filter->value);
	char *room = buffer_reserve(&filter->due, len);

	if (room) {
		buffer_grown(&filter->due, normalise_text(filter->value, len, room));
	}
	return true;
}

static bool type_value(struct filter *filter, const struct source *source)
{
	switch (source->dataset->columns[filter->column].type) {
	case COLUMN_TEXT:
		return type_text(filter);
	case COLUMN_NUMERIC:
		return type_number(filter);
	case COLUMN_INTEGER:
		return type_integer(filter);
	case COLUMN_DATE:
	case COLUMN_TIMESTAMP:
		return type_day(filter, source);
	case COLUMN_ID:
		break;
	}
	return false;
}

/* ---- making the list ---- */

/* Takes `value`. */
static int add_filter(struct filter_list *list, const char *param, char *take_value, int column)
{
	if (!take_value) {
		return -ENOMEM;
	}
	list->filters[list->n_filters++] = (struct filter){
		.param = param, .value = take_value, .column = column, .day = FILTER_NO_DAY};
	return 0;
}

static int add_day(struct filter_list *list, const struct source *source, int32_t day)
{
	_cleanup_buffer_ struct buffer text = {0};
	int r;

	date_format(day, source->slice.format, &text);
	r = add_filter(list, source->slice.filter, buffer_steal(&text), source->slice.by);
	if (r == 0) {
		list->filters[list->n_filters - 1].day = day;
	}
	return r;
}

static int add_typed(struct filter_list *list, const struct source *source, const char *param,
	const char *value, int column)
{
	struct filter *filter;

	if (add_filter(list, param, strdup(value), column) < 0) {
		return -ENOMEM;
	}
	filter = &list->filters[list->n_filters - 1];
	if (column >= 0 && !type_value(filter, source)) {
		filter->column = -1;
	}
	return buffer_failed(&filter->due) ? -ENOMEM : 0;
}

int filter_list_init(
	struct filter_list *list, const struct source *source, int32_t day, const char *split_value)
{
	int r = 0;

	*list = (struct filter_list){
		.filters = calloc(source->n_filters + 2, sizeof(struct filter))};
	if (!list->filters) {
		return -ENOMEM;
	}
	for (unsigned i = 0; r == 0 && i < source->n_filters; i++) {
		const struct source_filter *own = &source->filters[i];

		r = add_typed(
			list, source, own->param, own->value, column_of_param(source, own->param));
	}
	if (r == 0 && source->slice.sliced && day != FILTER_NO_DAY) {
		r = add_day(list, source, day);
	}
	if (r == 0 && split_value) {
		r = add_typed(list, source, source->slice.split_filter, split_value,
			source->slice.split_by);
	}
	if (r < 0) {
		filter_list_fini(list);
	}
	return r;
}

void filter_list_fini(struct filter_list *list)
{
	for (unsigned i = 0; i < list->n_filters; i++) {
		free(list->filters[i].value);
		buffer_fini(&list->filters[i].due);
	}
	free(list->filters);
	*list = (struct filter_list){0};
}

/* ---- the canary ---- */

const struct record_field *source_find(
	const struct source *source, unsigned column, const struct record *record)
{
	const struct source_field *wanted = &source->fields[column];

	for (unsigned i = 0; i < wanted->n_names; i++) {
		size_t len = strlen(wanted->names[i]);

		/* Of a name that the record repeats the last value counts. */
		for (unsigned k = record->n_fields; k > 0; k--) {
			const struct record_field *field = &record->fields[k - 1];

			if (field->name_len == len &&
				memcmp(field->name, wanted->names[i], len) == 0) {
				return field;
			}
		}
	}
	return NULL;
}

const struct record_field *source_find_near(const struct source *source, unsigned column,
	const struct record *record, struct place *place)
{
	const struct record_field *field;

	if (record->shape != 0 && record->shape == place->shape) {
		return place->at < record->n_fields ? &record->fields[place->at] : NULL;
	}
	field = source_find(source, column, record);
	place->shape = record->shape;
	place->at = field ? (unsigned)(field - record->fields) : UINT_MAX;
	return field;
}

static bool obeys(const struct filter *filter, enum column_type type, struct field field)
{
	if (field.len < 0) {
		return false;
	}
	switch (type) {
	case COLUMN_DATE:
		return field_to_date(field) == filter->day;
	case COLUMN_TIMESTAMP:
		return date_of_us(field_to_timestamp(field)) == filter->day;
	case COLUMN_NUMERIC:
		return decimal_wire_equal(
			field.data, (size_t)field.len, filter->due.data, filter->due.len);
	case COLUMN_TEXT:
	case COLUMN_INTEGER:
	case COLUMN_ID:
		break;
	}
	return (size_t)field.len == filter->due.len &&
		memcmp(field.data, buffer_str(&filter->due), filter->due.len) == 0;
}

static int report(const struct filter *filter, const struct source *source,
	const struct record *record, struct error *error)
{
	const struct record_field *served = source_find(source, (unsigned)filter->column, record);
	int len = served ? (int)(served->len < 80 ? served->len : 80) : 0;

	return error_set(error, ERROR_REJECTED, "fetch", "filter_ignored",
		"the portal ignores the filter %s=%s: record %llu of the page has %s \"%.*s\"",
		filter->param, filter->value, (unsigned long long)record->index,
		source->dataset->columns[filter->column].name, len, served ? served->text : "");
}

int filter_list_check(const struct filter_list *list, const struct source *source,
	const struct field *row, const struct record *record, struct error *error)
{
	for (unsigned i = 0; i < list->n_filters; i++) {
		const struct filter *filter = &list->filters[i];

		if (filter->column >= 0 &&
			!obeys(filter, source->dataset->columns[filter->column].type,
				row[filter->column])) {
			return report(filter, source, record, error);
		}
	}
	return 0;
}
