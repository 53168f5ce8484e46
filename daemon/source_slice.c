/*
 * How a source is cut into slices, and how its holes are healed.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include "daemon/config_private.h"

#define AT(field) offsetof(struct source, field)

static const char *wrong_day_format(const char *text)
{
	return source_wrong_format(text, "dmY") ? "must be made of %d, %m and %Y" : NULL;
}

bool source_is_param(const char *text, const char *name)
{
	size_t n = strlen(name), len = strlen(text);

	return strncmp(text, name, n) == 0 && text[n] == '[' && len > n + 2 && text[len - 1] == ']';
}

static const char *wrong_slice_filter(const char *text)
{
	return source_is_param(text, "filters")
		? NULL
		: "must be a parameter such as filters[Arrival_Date]";
}

static void read_by(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct source *source = base;
	const struct dataset *dataset = source->dataset;
	int column = source_read_column(reader, source, node, "by");

	if (column >= 0 && column != dataset->date) {
		yaml_problem(reader->problems, node, "by: \"%s\" is not the dataset's date%s%s%s",
			yaml_text(node), dataset->date < 0 ? "; it has none" : " (",
			dataset->date < 0 ? "" : dataset->columns[dataset->date].name,
			dataset->date < 0 ? "" : ")");
		return;
	}
	source->slice.by = column;
}

static void write_by(struct outline *out, const char *name, const void *base)
{
	const struct source *source = base;

	outline_text(out, name, source->dataset->columns[source->slice.by].name);
}

static void read_split_by(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct source *source = base;
	int column = source_read_column(reader, source, node, "by");

	if (column >= 0 && source->dataset->columns[column].type != COLUMN_TEXT) {
		yaml_problem(reader->problems, node, "by: \"%s\" is of type %s, not text",
			yaml_text(node), column_type_name(source->dataset->columns[column].type));
		return;
	}
	source->slice.split_by = column;
}

static void write_split_by(struct outline *out, const char *name, const void *base)
{
	const struct source *source = base;

	outline_text(out, name, source->dataset->columns[source->slice.split_by].name);
}

/* clang-format off */

static const struct option_def split_options[] = {
	{.name = "by", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = read_split_by,
		.write = write_split_by},
	{.name = "filter", .type = OPTION_TEXT, .flags = OPTION_REQUIRED,
		.at = AT(slice.split_filter), .wrong = wrong_slice_filter},
	{0},
};

/* clang-format on */

static void read_split(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	if (!yaml_is_null(node)) {
		options_read(reader, split_options, node, base);
	}
}

static void write_split(struct outline *out, const char *name, const void *base)
{
	const struct source *source = base;

	if (source->slice.split_by >= 0) {
		outline_open(out, name);
		options_write(out, split_options, base);
		outline_close(out);
	}
}

/* clang-format off */

static const struct option_def slice_options[] = {
	{.name = "by", .type = OPTION_SPECIAL, .flags = OPTION_REQUIRED, .read = read_by,
		.write = write_by},
	{.name = "filter", .type = OPTION_TEXT, .flags = OPTION_REQUIRED, .at = AT(slice.filter),
		.wrong = wrong_slice_filter},
	{.name = "format", .type = OPTION_TEXT, .at = AT(slice.format), .fallback = "%d-%m-%Y",
		.wrong = wrong_day_format},
	{.name = "lookback", .type = OPTION_DAYS, .at = AT(slice.lookback_days), .fallback = "3d",
		.max = 366},
	{.name = "split", .type = OPTION_SPECIAL, .read = read_split, .write = write_split},
	{0},
};

/* clang-format on */

void source_read_slice(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct source *source = base;

	if (!yaml_is_null(node)) {
		source->slice.sliced = true;
		options_read(reader, slice_options, node, source);
	}
}

void source_write_slice(struct outline *out, const char *name, const void *base)
{
	const struct source *source = base;

	if (source->slice.sliced) {
		outline_open(out, name);
		options_write(out, slice_options, base);
		outline_close(out);
	}
}

/* clang-format off */

static const struct option_def heal_options[] = {
	{.name = "from", .type = OPTION_DATE, .flags = OPTION_REQUIRED, .at = AT(heal.from_day)},
	{.name = "max_slices_per_day", .type = OPTION_NUMBER, .at = AT(heal.max_slices_per_day),
		.fallback = "40", .min = 1, .max = 10000},
	{0},
};

/* clang-format on */

void source_read_heal(struct option_reader *reader, const struct yaml_node *node, void *base)
{
	struct source *source = base;

	if (!yaml_is_null(node)) {
		source->heal.enabled = true;
		options_read(reader, heal_options, node, source);
	}
}

void source_write_heal(struct outline *out, const char *name, const void *base)
{
	const struct source *source = base;

	if (source->heal.enabled) {
		outline_open(out, name);
		options_write(out, heal_options, base);
		outline_close(out);
	}
}
