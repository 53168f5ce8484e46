/*
 * A source of a dataset from its part of the file. SPDX-License-Identifier: Apache-2.0
 *
 * Read after the columns and the key of its dataset, which it names. What is sent to the portal
 * (sort, filters, slices) must be readable in the answer too, so each of its columns needs a field.
 */

#include <stdio.h>
#include <string.h>

#include "daemon/config_private.h"
#include "lib/cron.h"

#define AT(field) offsetof(struct source, field)

#define SECOND	  UINT64_C(1000)
#define MINUTE	  (60 * SECOND)
#define HOUR	  (60 * MINUTE)
#define DAY	  (24 * HOUR)

/* A UUID; a few old resources have other names, which begin with t_. */
static const char *wrong_resource(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	static const char hex[] = "0123456789abcdefABCDEF";
	size_t i = 0;

	if (strncmp(text, "t_", 2) == 0 && wrong_name(text) == NULL) {
		return NULL;
	}
	while (form[i] && text[i] &&
		(form[i] == 'x' ? strchr(hex, text[i]) != NULL : text[i] == '-')) {
		i++;
	}
	return form[i] || text[i] ? "must be the UUID of a resource" : NULL;
}

/* Which of the letters a date format must hold each once, and which it may. */
const char *source_wrong_format(const char *text, const char *may)
{
	bool has[128] = {false};

	for (const char *p = text; *p; p++) {
		if (*p != '%') {
			continue;
		}
		p++;
		if (*p == '\0' || (*p != '%' && !strchr(may, *p))) {
			return "holds what no date format knows (%d %m %Y %H %M %S %z)";
		}
		if (*p != '%' && has[(unsigned char)*p]) {
			return "names a part of the date twice";
		}
		has[(unsigned char)*p] = true;
	}
	return has['d'] && has['m'] && has['Y'] ? NULL
						: "must name day (%d), month (%m) and year (%Y)";
}

static const char *wrong_date_format(const char *text)
{
	return source_wrong_format(text, "dmYHMSz");
}

static const char *wrong_filter(const char *text)
{
	return source_is_param(text, "filters") || source_is_param(text, "range") ||
			source_is_param(text, "notfilters")
		? NULL
		: "must be a parameter such as filters[state] or range[date][gte]";
}

/* The column is that of what is wrong, where the text stands as it was written. */
static void check_cron(struct option_reader *reader, const struct yaml_node *node)
{
	struct problem_place place = yaml_place(node);
	struct error error = {0};
	struct cron cron;
	unsigned at = 0;

	if (cron_parse(yaml_text(node), &cron, &at, &error) == 0) {
		return;
	}
	if (node->expanded.n_names > 0) {
		yaml_problem(reader->problems, node, "schedule: is no line of cron (from ${%s})",
			node->expanded.names[0]);
		return;
	}
	if (!node->expanded.has_variable) {
		place.column += at + !node->plain;
	}
	problems_add(reader->problems, place, "schedule: %s", error.text);
}

/* ---- fields ---- */

static void read_field(
	struct option_reader *reader, struct source *source, const struct yaml_node *node)
{
	const struct option_def def = {.name = yaml_text(node->key), .type = OPTION_TEXTS};
	struct yaml_node name = *node->key;
	struct source_field *field;
	int column = dataset_read_column(reader, source->dataset, &name, "fields");

	if (column < 0) {
		return;
	}
	field = &source->fields[column];
	option_texts(reader, &def, node, source, &field->names, &field->n_names);
	if (node->kind == YAML_SEQUENCE && node->n_children == 0) {
		yaml_problem(reader->problems, node, "%s: expected the name of a field", def.name);
	}
}

static void read_fields(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct source *source = base;
	const struct dataset *dataset = source->dataset;

	if (!option_is_mapping(reader, node, "fields") || dataset->n_columns == 0) {
		return;
	}
	source->fields = option_alloc(reader, dataset->n_columns, sizeof(*source->fields));
	if (!source->fields) {
		return;
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		read_field(reader, source, child);
	}
	for (unsigned i = 0; i < dataset->n_columns; i++) {
		if (!dataset->columns[i].nullable && !yaml_get(node, dataset->columns[i].name)) {
			yaml_problem(reader->problems, node->key,
				"fields: \"%s\" is missing, and that column is not nullable",
				dataset->columns[i].name);
		}
	}
}

static void write_fields(struct outline *out, const char *name, const void *base)
{
	const struct source *source = base;

	outline_open(out, name);
	for (unsigned i = 0; i < source->dataset->n_columns; i++) {
		const struct source_field *field = &source->fields[i];

		if (field->n_names == 0) {
			continue;
		}
		outline_open_list(out, source->dataset->columns[i].name);
		for (unsigned j = 0; j < field->n_names; j++) {
			outline_text(out, NULL, field->names[j]);
		}
		outline_close_list(out);
	}
	outline_close(out);
}

/* The column that `node` names, which must have a field here; -1 and a problem if not. */
int source_read_column(struct option_reader *reader, const struct source *source,
	const struct yaml_node *node, const char *option)
{
	int column = dataset_read_column(reader, source->dataset, node, option);

	if (column >= 0 && source->fields && source->fields[column].n_names == 0) {
		yaml_problem(reader->problems, node, "%s: \"%s\" has no entry in fields", option,
			yaml_text(node));
		return -1;
	}
	return column;
}

/* ---- sort ---- */

static void read_sort(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct source *source = base;
	char found[OPTION_FOUND_BYTES];

	if (node->kind != YAML_SEQUENCE) {
		if (node->kind != YAML_BROKEN) {
			yaml_problem(reader->problems, node, "sort: expected a list of columns%s",
				option_found(node, 0, found));
		}
		return;
	}
	source->sort = option_alloc(reader, node->n_children, sizeof(*source->sort));
	for (node = node->first; node && source->sort; node = node->next) {
		int column = source_read_column(reader, source, node, "sort");

		if (column >= 0) {
			source->sort[source->n_sort++] = (unsigned)column;
		}
	}
}

static void add_sort(struct source *source, unsigned column)
{
	bool sliced_by = source->slice.sliced && source->slice.by == (int)column;

	if (!sliced_by && source->fields && source->fields[column].n_names > 0) {
		source->sort[source->n_sort++] = column;
	}
}

/* By default the key: then no two rows compare equal. What all rows of a slice share is left out.
 */
static void default_sort(struct option_reader *reader, struct source *source)
{
	const struct dataset *dataset = source->dataset;

	source->sort = option_alloc(reader, dataset->n_columns + 1, sizeof(*source->sort));
	for (unsigned i = 0; i < dataset->n_key && source->sort; i++) {
		const struct fact_column *fact = &dataset->fact[i];

		if (fact->lookup < 0) {
			add_sort(source, (unsigned)fact->column);
			continue;
		}
		for (unsigned j = 0; j < dataset->lookups[fact->lookup].n_columns; j++) {
			add_sort(source, dataset->lookups[fact->lookup].columns[j]);
		}
	}
}

static void write_sort(struct outline *out, const char *name, const void *base)
{
	const struct source *source = base;

	outline_open_list(out, name);
	for (unsigned i = 0; i < source->n_sort; i++) {
		outline_text(out, NULL, source->dataset->columns[source->sort[i]].name);
	}
	outline_close_list(out);
}

/* ---- filters ---- */

static void read_filters(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct source *source = base;
	char quoted[PROBLEM_QUOTE_BYTES];

	if (!option_is_mapping(reader, node, "filters")) {
		return;
	}
	source->filters = option_alloc(reader, node->n_children, sizeof(*source->filters));
	for (node = node->first; node && source->filters; node = node->next) {
		const struct option_def def = {
			.name = yaml_text(node->key), .type = OPTION_TEXT, .flags = OPTION_EMPTY};
		struct source_filter *filter = &source->filters[source->n_filters++];
		const char *wrong = wrong_filter(def.name);

		filter->param = option_copy(reader, def.name);
		filter->value = option_text(reader, &def, node, source);
		if (wrong) {
			yaml_problem(reader->problems, node->key, "filters: %s %s",
				problem_quote(def.name, quoted), wrong);
		}
	}
}

static void write_filters(struct outline *out, const char *name, const void *base)
{
	const struct source *source = base;

	outline_open(out, name);
	for (unsigned i = 0; i < source->n_filters; i++) {
		outline_text(out, source->filters[i].param, source->filters[i].value);
	}
	outline_close(out);
}

/* ---- the table ---- */

/* clang-format off */

static const struct option_def source_options[] = {
	{.name = "resource", .type = OPTION_TEXT, .flags = OPTION_REQUIRED, .at = AT(resource),
		.wrong = wrong_resource},
	{.name = "schedule", .type = OPTION_TEXTS, .at = AT(schedules), .second = AT(n_schedules),
		.check = check_cron},
	{.name = "every", .type = OPTION_DURATION, .flags = OPTION_NULLABLE, .at = AT(every_ms),
		.min = MINUTE, .max = 366 * DAY},
	{.name = "jitter", .type = OPTION_DURATION, .at = AT(jitter_ms), .fallback = "0s",
		.max = DAY},
	{.name = "on_start", .type = OPTION_BOOL, .at = AT(on_start), .fallback = "false"},
	{.name = "page_size", .type = OPTION_NUMBER, .at = AT(page_size), .fallback = "1000",
		.min = 1, .max = 1000000},
	{.name = "fields", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = read_fields,
		.write = write_fields},
	{.name = "sort", .type = OPTION_SPECIAL, .read = read_sort, .write = write_sort},
	{.name = "date_format", .type = OPTION_TEXTS, .at = AT(date_formats),
		.second = AT(n_date_formats), .fallback = "%d/%m/%Y", .wrong = wrong_date_format},
	{.name = "filters", .type = OPTION_SPECIAL, .read = read_filters, .write = write_filters},
	{.name = "slice", .type = OPTION_SPECIAL, .read = source_read_slice, .write = source_write_slice},
	{.name = "heal", .type = OPTION_SPECIAL, .read = source_read_heal, .write = source_write_heal},
	{0},
};

/* clang-format on */

static void check_schedule(
	struct option_reader *reader, const struct yaml_node *node, const struct source *source)
{
	const struct yaml_node *every = yaml_get(node, "every");
	const struct yaml_node *jitter = yaml_get(node, "jitter");
	const struct yaml_node *on_start = yaml_get(node, "on_start");
	bool scheduled = yaml_get(node, "schedule") || (every && !yaml_is_null(every));

	if (source->n_schedules > 0 && source->every_ms > 0) {
		yaml_problem(reader->problems, every->key,
			"every: schedule is given too; one of them is enough");
	}
	if (source->every_ms > 0 && source->jitter_ms >= source->every_ms) {
		yaml_problem(reader->problems, jitter, "jitter: must be less than every");
	}
	if (source->on_start && !scheduled) {
		yaml_problem(reader->problems, on_start,
			"on_start: a source without schedule or every runs by hand alone");
	}
}

static void check_slice(
	struct option_reader *reader, const struct yaml_node *node, const struct source *source)
{
	const struct yaml_node *heal = yaml_get(node, "heal");

	if (source->heal.enabled && !source->slice.sliced) {
		yaml_problem(reader->problems, heal->key,
			"heal: only a source with slice can ask for single days");
	}
	for (unsigned i = 0; i < source->n_filters; i++) {
		const char *param = source->filters[i].param;

		if ((source->slice.filter && strcmp(param, source->slice.filter) == 0) ||
			(source->slice.split_filter &&
				strcmp(param, source->slice.split_filter) == 0)) {
			yaml_problem(reader->problems,
				yaml_get(yaml_get(node, "filters"), param)->key,
				"filters: %s is the filter of slice already", param);
		}
	}
}

static void label(struct option_reader *reader, struct source *source)
{
	const char *dataset = source->dataset->name ? source->dataset->name : "?";
	size_t size = strlen(dataset) + strlen(source->name) + 2;

	source->label = option_alloc(reader, size, 1);
	if (source->label) {
		snprintf(source->label, size, "%s/%s", dataset, source->name);
	}
}

void source_read(struct option_reader *reader, const struct yaml_node *node, struct source *source)
{
	source->slice.by = -1;
	source->slice.split_by = -1;
	if (!source->name) {
		return;
	}
	label(reader, source);
	options_read(reader, source_options, node, source);
	if (!yaml_get(node, "sort")) {
		default_sort(reader, source);
	}
	check_schedule(reader, node, source);
	check_slice(reader, node, source);
}

void source_write(struct outline *out, const struct source *source)
{
	options_write(out, source_options, source);
}
