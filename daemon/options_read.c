/*
 * Values of options, by their types. SPDX-License-Identifier: Apache-2.0
 *
 * Each type has one function that makes a value of a text. After a problem the value stays zero and
 * reading goes on, so that one reading finds all; nobody uses the result then.
 */

#include "daemon/options.h"

#include <stdio.h>
#include <string.h>

#include "daemon/units.h"

static void expected(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, const char *what)
{
	char found[OPTION_FOUND_BYTES];

	if (node->kind != YAML_BROKEN) {
		yaml_problem(reader->problems, node, "%s: expected %s%s", def->name, what,
			option_found(node, def->flags, found));
	}
}

/* ---- scalars ---- */

/*
 * The text of a scalar, or NULL: it is null, or there is a problem and it was told. A quoted text
 * is no number, unless the quotes had to be there for a variable.
 */
static const char *scalar_text(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base, const char *what)
{
	bool is_text = def->type == OPTION_TEXT || def->type == OPTION_TEXTS;

	if (node->kind != YAML_SCALAR) {
		expected(reader, def, node, what);
		return NULL;
	}
	if (node->expanded.missing && (def->flags & OPTION_LAZY)) {
		char text[160];

		snprintf(text, sizeof(text), "%s is not set", node->expanded.missing);
		*OPTION_FIELD(char *, base, def->problem) = option_copy(reader, text);
		return NULL;
	}
	if (node->expanded.missing) {
		yaml_problem(reader->problems, node, "%s: %s is not set", def->name,
			node->expanded.missing);
		return NULL;
	}
	if (yaml_is_null(node) && (def->flags & OPTION_NULLABLE)) {
		return NULL;
	}
	if (yaml_is_null(node) && !((def->flags & OPTION_EMPTY) && node->expanded.has_variable)) {
		expected(reader, def, node, what);
		return NULL;
	}
	if (!is_text && !node->plain && !node->expanded.has_variable) {
		char found[OPTION_FOUND_BYTES];

		yaml_problem(reader->problems, node, "%s: expected %s%s in quotes", def->name, what,
			option_found(node, def->flags, found));
		return NULL;
	}
	return yaml_text(node);
}

static bool has_control(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < ' ' || *p == 0x7f) {
			return true;
		}
	}
	return false;
}

static const char *wrong_text(const struct option_def *def, const char *text)
{
	if (!*text && !(def->flags & OPTION_EMPTY)) {
		return "must not be empty";
	}
	if (has_control(text)) {
		return "must not hold control characters";
	}
	return def->wrong ? def->wrong(text) : NULL;
}

char *option_text(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	const char *text = scalar_text(reader, def, node, base, "a text");
	char found[OPTION_FOUND_BYTES];
	const char *wrong;

	if (!text) {
		return NULL;
	}
	if (def->flags & OPTION_SECRET) {
		for (unsigned i = 0; i < node->expanded.n_names; i++) {
			reader->on_secret_variable(reader->arg, node->expanded.names[i]);
		}
	}
	if (def->check) {
		def->check(reader, node);
	}
	wrong = wrong_text(def, text);
	if (wrong) {
		yaml_problem(reader->problems, node, "%s: %s%s", def->name, wrong,
			option_found(node, def->flags, found));
		return NULL;
	}
	return option_copy(reader, text);
}

void option_texts(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base, char ***ret, unsigned *ret_n)
{
	bool is_list = node->kind == YAML_SEQUENCE;
	struct option_def item = *def;
	unsigned n = is_list ? node->n_children : 1, n_read = 0;
	char **texts = option_alloc(reader, n, sizeof(*texts));
	const struct yaml_node *child = is_list ? node->first : node;

	if (is_list) {
		item.flags &= ~(unsigned)OPTION_NULLABLE;
	}
	for (; texts && child; child = child->next) {
		char *text = option_text(reader, &item, child, base);

		if (text) {
			texts[n_read++] = text;
		}
		if (!is_list) {
			break;
		}
	}
	*ret = texts;
	*ret_n = texts ? n_read : 0;
}

static void read_bool(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "true or false";
	const char *text = scalar_text(reader, def, node, base, what);

	if (!text) {
		return;
	}
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
		expected(reader, def, node, what);
		return;
	}
	*OPTION_FIELD(bool, base, def->at) = strcmp(text, "true") == 0;
}

static bool in_range(const struct option_def *def, uint64_t v)
{
	return v >= def->min && (def->max == 0 || v <= def->max);
}

static void read_number(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	const char *text;
	char what[96];
	uint64_t v;

	snprintf(what, sizeof(what), "a whole number from %llu to %llu",
		(unsigned long long)def->min, (unsigned long long)def->max);
	text = scalar_text(reader, def, node, base, what);
	if (!text) {
		return;
	}
	if (!units_number(text, &v) || !in_range(def, v)) {
		expected(reader, def, node, what);
		return;
	}
	*OPTION_FIELD(unsigned, base, def->at) = (unsigned)v;
}

static void read_word(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	_cleanup_buffer_ struct buffer what = {0};
	char found[OPTION_FOUND_BYTES], meant[OPTION_MEANT_BYTES];
	const char *text;
	unsigned n = 0;

	for (; def->words[n]; n++) {
		buffer_printf(&what, "%s%s",
			n == 0			    ? ""
				: def->words[n + 1] ? ", "
						    : " or ",
			def->words[n]);
	}
	text = scalar_text(reader, def, node, base, buffer_str(&what));
	if (!text) {
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(text, def->words[i]) == 0) {
			*OPTION_FIELD(int, base, def->at) = def->first_word + (int)i;
			return;
		}
	}
	yaml_problem(reader->problems, node, "%s: expected %s%s%s", def->name, buffer_str(&what),
		option_found(node, def->flags, found),
		node->expanded.n_names > 0 ? "" : option_meant(text, def->words, n, meant));
}

/* ---- quantities ---- */

/* Told with its limits, each in the unit in which people write it. */
static void out_of_range(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void (*put)(struct buffer *, uint64_t))
{
	_cleanup_buffer_ struct buffer what = {0};
	char found[OPTION_FOUND_BYTES];

	buffer_append_str(&what, "at least ");
	put(&what, def->min);
	if (def->max > 0) {
		buffer_append_str(&what, ", at most ");
		put(&what, def->max);
	}
	yaml_problem(reader->problems, node, "%s: expected %s%s", def->name, buffer_str(&what),
		option_found(node, def->flags, found));
}

static void read_duration(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	const char *what = def->flags & OPTION_FOREVER
		? "a duration such as 500ms, 5m, 36h, 30d or forever"
		: "a duration such as 500ms, 5m, 36h or 30d";
	const char *text = scalar_text(reader, def, node, base, what);
	uint64_t v;

	if (!text) {
		return;
	}
	if (!units_duration(text, &v) || (v == UNITS_FOREVER && !(def->flags & OPTION_FOREVER))) {
		expected(reader, def, node, what);
	} else if (v != UNITS_FOREVER && !in_range(def, v)) {
		out_of_range(reader, def, node, units_put_duration);
	} else {
		*OPTION_FIELD(uint64_t, base, def->at) = v;
	}
}

static void read_days(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "whole days, such as 3d";
	const char *text = scalar_text(reader, def, node, base, what);
	uint64_t v;

	if (!text) {
		return;
	}
	if (!units_duration(text, &v) || v % 86400000 != 0 || v / 86400000 > def->max) {
		expected(reader, def, node, what);
		return;
	}
	*OPTION_FIELD(unsigned, base, def->at) = (unsigned)(v / 86400000);
}

static void read_size(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a size such as 64KiB, 96MiB or 2GiB";
	const char *text = scalar_text(reader, def, node, base, what);
	uint64_t v;

	if (!text) {
		return;
	}
	if (!units_size(text, &v)) {
		expected(reader, def, node, what);
	} else if (!in_range(def, v)) {
		out_of_range(reader, def, node, units_put_size);
	} else {
		*OPTION_FIELD(uint64_t, base, def->at) = v;
	}
}

static void read_share(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a share from 0% to 100%, such as 5%";
	const char *text = scalar_text(reader, def, node, base, what);

	if (text && !units_share(text, OPTION_FIELD(unsigned, base, def->at))) {
		expected(reader, def, node, what);
	}
}

static void read_rate(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a size and a time, such as 1KiB/60s";
	const char *text = scalar_text(reader, def, node, base, what);

	if (text &&
		!units_rate(text, OPTION_FIELD(uint64_t, base, def->at),
			OPTION_FIELD(uint64_t, base, def->second))) {
		expected(reader, def, node, what);
	}
}

static void read_span(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a range of durations, such as 1s..5m";
	const char *text = scalar_text(reader, def, node, base, what);
	uint64_t least, most;

	if (!text) {
		return;
	}
	if (!units_span(text, &least, &most)) {
		expected(reader, def, node, what);
	} else if (!in_range(def, least) || !in_range(def, most)) {
		out_of_range(reader, def, node, units_put_duration);
	} else {
		*OPTION_FIELD(uint64_t, base, def->at) = least;
		*OPTION_FIELD(uint64_t, base, def->second) = most;
	}
}

static void read_time_of_day(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a time of day such as 09:00";
	const char *text = scalar_text(reader, def, node, base, what);

	if (text && !units_time_of_day(text, OPTION_FIELD(unsigned, base, def->at))) {
		expected(reader, def, node, what);
	}
}

static void read_date(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a date such as 2024-01-31";
	const char *text = scalar_text(reader, def, node, base, what);

	if (text && !units_date(text, OPTION_FIELD(int32_t, base, def->at))) {
		expected(reader, def, node, what);
	}
}

/* ---- all of them ---- */

void option_read(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	switch (def->type) {
	case OPTION_TEXT:
		*OPTION_FIELD(char *, base, def->at) = option_text(reader, def, node, base);
		break;
	case OPTION_TEXTS:
		option_texts(reader, def, node, base, OPTION_FIELD(char **, base, def->at),
			OPTION_FIELD(unsigned, base, def->second));
		break;
	case OPTION_BOOL:
		read_bool(reader, def, node, base);
		break;
	case OPTION_NUMBER:
		read_number(reader, def, node, base);
		break;
	case OPTION_DURATION:
		read_duration(reader, def, node, base);
		break;
	case OPTION_DAYS:
		read_days(reader, def, node, base);
		break;
	case OPTION_SIZE:
		read_size(reader, def, node, base);
		break;
	case OPTION_SHARE:
		read_share(reader, def, node, base);
		break;
	case OPTION_RATE:
		read_rate(reader, def, node, base);
		break;
	case OPTION_SPAN:
		read_span(reader, def, node, base);
		break;
	case OPTION_TIME_OF_DAY:
		read_time_of_day(reader, def, node, base);
		break;
	case OPTION_DATE:
		read_date(reader, def, node, base);
		break;
	case OPTION_WORD:
		read_word(reader, def, node, base);
		break;
	case OPTION_SECTION:
		options_read(reader, def->section, node, base);
		break;
	case OPTION_SPECIAL:
		if (def->read) {
			def->read(reader, node, base);
		}
		break;
	}
}
