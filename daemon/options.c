/*
 * Options described in tables. SPDX-License-Identifier: Apache-2.0
 *
 * Each type has one function that makes a value of a text. A default is a text too and takes the
 * same way, as a scalar that stands nowhere. After a problem the value stays zero and reading goes
 * on, so that one reading finds all; nobody uses the result then.
 */

#include "daemon/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/units.h"
#include "lib/suggest.h"

#define FIELD(type, base, at) ((type *)(void *)((char *)(base) + (at)))

void *option_alloc(struct option_reader *reader, size_t n, size_t size)
{
	void *at = n > SIZE_MAX / size ? NULL : arena_alloc(reader->arena, n * size);

	if (!at) {
		reader->problems->no_memory = true;
		return NULL;
	}
	return memset(at, 0, n * size);
}

char *option_copy(struct option_reader *reader, const char *text)
{
	char *copy = arena_copy(reader->arena, text, strlen(text) + 1);

	reader->problems->no_memory |= !copy;
	return copy;
}

const char *option_found(
	const struct yaml_node *node, unsigned flags, char buf[static OPTION_FOUND_BYTES])
{
	char quoted[PROBLEM_QUOTE_BYTES];

	buf[0] = '\0';
	if (node->kind != YAML_SCALAR) {
		snprintf(buf, OPTION_FOUND_BYTES, ", found %s", yaml_kind_name(node->kind));
	} else if (node->expanded.n_names > 0) {
		snprintf(buf, OPTION_FOUND_BYTES, " (from ${%s})", node->expanded.names[0]);
	} else if (yaml_is_null(node)) {
		snprintf(buf, OPTION_FOUND_BYTES, ", found nothing");
	} else if (!(flags & (OPTION_SECRET | OPTION_UNSHOWN))) {
		snprintf(buf, OPTION_FOUND_BYTES, ", found %s",
			problem_quote(yaml_text(node), quoted));
	}
	return buf;
}

const char *option_meant(const char *word, const char *const *words, unsigned n_words,
	char buf[static OPTION_MEANT_BYTES])
{
	/* Any word is near to a short one. */
	const char *meant = strlen(word) < 3 ? NULL : suggest(word, words, n_words);

	buf[0] = '\0';
	if (meant) {
		snprintf(buf, OPTION_MEANT_BYTES, " (did you mean \"%s\"?)", meant);
	}
	return buf;
}

static void expected(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, const char *what)
{
	char found[OPTION_FOUND_BYTES];

	if (node->kind != YAML_BROKEN) {
		yaml_problem(reader->problems, node, "%s: expected %s%s", def->name, what,
			option_found(node, def->flags, found));
	}
}

bool option_is_mapping(struct option_reader *reader, const struct yaml_node *node, const char *name)
{
	const struct option_def def = {.name = name, .flags = OPTION_UNSHOWN};

	if (node->kind == YAML_MAPPING || yaml_is_null(node)) {
		return true;
	}
	expected(reader, &def, node, "a mapping (name: value)");
	return false;
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
		*FIELD(char *, base, def->problem) = option_copy(reader, text);
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
	if (def->keep_secret) {
		def->keep_secret(reader, node);
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
	*FIELD(bool, base, def->at) = strcmp(text, "true") == 0;
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
	*FIELD(unsigned, base, def->at) = (unsigned)v;
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
			*FIELD(int, base, def->at) = def->first_word + (int)i;
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
		*FIELD(uint64_t, base, def->at) = v;
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
	*FIELD(unsigned, base, def->at) = (unsigned)(v / 86400000);
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
		*FIELD(uint64_t, base, def->at) = v;
	}
}

static void read_share(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a share from 0% to 100%, such as 5%";
	const char *text = scalar_text(reader, def, node, base, what);

	if (text && !units_share(text, FIELD(unsigned, base, def->at))) {
		expected(reader, def, node, what);
	}
}

static void read_rate(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a size and a time, such as 1KiB/60s";
	const char *text = scalar_text(reader, def, node, base, what);

	if (text &&
		!units_rate(
			text, FIELD(uint64_t, base, def->at), FIELD(uint64_t, base, def->second))) {
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
		*FIELD(uint64_t, base, def->at) = least;
		*FIELD(uint64_t, base, def->second) = most;
	}
}

static void read_time_of_day(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a time of day such as 09:00";
	const char *text = scalar_text(reader, def, node, base, what);

	if (text && !units_time_of_day(text, FIELD(unsigned, base, def->at))) {
		expected(reader, def, node, what);
	}
}

static void read_date(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	static const char what[] = "a date such as 2024-01-31";
	const char *text = scalar_text(reader, def, node, base, what);

	if (text && !units_date(text, FIELD(int32_t, base, def->at))) {
		expected(reader, def, node, what);
	}
}

/* ---- mappings ---- */

static void read_option(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base)
{
	switch (def->type) {
	case OPTION_TEXT:
		*FIELD(char *, base, def->at) = option_text(reader, def, node, base);
		break;
	case OPTION_TEXTS:
		option_texts(reader, def, node, base, FIELD(char **, base, def->at),
			FIELD(unsigned, base, def->second));
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

/* A default: a scalar that stands nowhere, or a list of such. */
static bool make_fallback(struct option_reader *reader, const char *text, struct yaml_node *node)
{
	const char *problem;

	*node = (struct yaml_node){.yaml = reader->yaml, .kind = YAML_SCALAR, .plain = true};
	if (expand(text, reader->lookup, reader->arg, reader->arena, &node->expanded, &problem) <
		0) {
		reader->problems->no_memory = true;
		return false;
	}
	return true;
}

static void read_fallbacks(struct option_reader *reader, const struct option_def *def, void *base)
{
	struct yaml_node list = {.yaml = reader->yaml, .kind = YAML_SEQUENCE};
	struct yaml_node **last = &list.first;

	for (; def->fallbacks[list.n_children]; list.n_children++) {
		struct yaml_node *node = option_alloc(reader, 1, sizeof(*node));

		if (!node || !make_fallback(reader, def->fallbacks[list.n_children], node)) {
			return;
		}
		node->plain = false;
		*last = node;
		last = &node->next;
	}
	read_option(reader, def, &list, base);
}

static void read_fallback(struct option_reader *reader, const struct option_def *def, void *base)
{
	struct yaml_node node;

	if (def->type == OPTION_SECTION) {
		options_read(reader, def->section, NULL, base);
	} else if (def->fallbacks) {
		read_fallbacks(reader, def, base);
	} else if (def->fallback && make_fallback(reader, def->fallback, &node)) {
		read_option(reader, def, &node, base);
	}
}

static void refuse_unknown(struct option_reader *reader, const struct option_def *table,
	const struct yaml_node *mapping)
{
	const char *names[64];
	unsigned n = 0;

	for (; table[n].name && n < N_ELEMENTS(names); n++) {
		names[n] = table[n].name;
	}
	for (const struct yaml_node *child = mapping->first; child; child = child->next) {
		const char *name = yaml_text(child->key);
		char quoted[PROBLEM_QUOTE_BYTES], meant[OPTION_MEANT_BYTES];
		bool known = false;

		for (unsigned i = 0; i < n; i++) {
			known |= strcmp(names[i], name) == 0;
		}
		if (!known) {
			yaml_problem(reader->problems, child->key, "unknown option %s%s",
				problem_quote(name, quoted), option_meant(name, names, n, meant));
		}
	}
}

void options_read(struct option_reader *reader, const struct option_def *table,
	const struct yaml_node *node, void *base)
{
	const char *name = node && node->key ? yaml_text(node->key) : "this file";
	const struct yaml_node *child;

	if (node && option_is_mapping(reader, node, name)) {
		refuse_unknown(reader, table, node);
	}
	for (const struct option_def *def = table; def->name; def++) {
		child = yaml_get(node, def->name);
		if (child) {
			read_option(reader, def, child, base);
		} else if (!(def->flags & OPTION_REQUIRED)) {
			read_fallback(reader, def, base);
		} else if (node && (node->kind == YAML_MAPPING || yaml_is_null(node))) {
			yaml_problem(reader->problems, node->key ? node->key : node,
				"%s: the option \"%s\" is missing", name, def->name);
		}
	}
}

/* ---- writing ---- */

static bool is_hidden(const struct option_def *def)
{
	return (def->flags & (OPTION_SECRET | OPTION_SCRUBBED)) == OPTION_SECRET;
}

static void write_texts(struct outline *out, const struct option_def *def, const void *base)
{
	char *const *texts = *FIELD(char **const, base, def->at);
	unsigned n = *FIELD(const unsigned, base, def->second);

	if (n == 0 && (def->flags & OPTION_NULLABLE)) {
		outline_text(out, def->name, NULL);
		return;
	}
	outline_open_list(out, def->name);
	for (unsigned i = 0; i < n; i++) {
		outline_text(out, NULL, is_hidden(def) ? "(hidden)" : texts[i]);
	}
	outline_close_list(out);
}

static void put_quantity(struct buffer *out, const struct option_def *def, const void *base)
{
	switch (def->type) {
	case OPTION_DURATION:
		units_put_duration(out, *FIELD(const uint64_t, base, def->at));
		break;
	case OPTION_DAYS:
		buffer_printf(out, "%ud", *FIELD(const unsigned, base, def->at));
		break;
	case OPTION_SIZE:
		units_put_size(out, *FIELD(const uint64_t, base, def->at));
		break;
	case OPTION_SHARE:
		units_put_share(out, *FIELD(const unsigned, base, def->at));
		break;
	case OPTION_RATE:
		units_put_rate(out, *FIELD(const uint64_t, base, def->at),
			*FIELD(const uint64_t, base, def->second));
		break;
	case OPTION_SPAN:
		units_put_span(out, *FIELD(const uint64_t, base, def->at),
			*FIELD(const uint64_t, base, def->second));
		break;
	case OPTION_TIME_OF_DAY:
		units_put_time_of_day(out, *FIELD(const unsigned, base, def->at));
		break;
	case OPTION_DATE:
		units_put_date(out, *FIELD(const int32_t, base, def->at));
		break;
	default:
		break;
	}
}

static void write_quantity(struct outline *out, const struct option_def *def, const void *base)
{
	_cleanup_buffer_ struct buffer text = {0};

	if (def->type == OPTION_DURATION && (def->flags & OPTION_NULLABLE) &&
		*FIELD(const uint64_t, base, def->at) == 0) {
		outline_text(out, def->name, NULL);
		return;
	}
	put_quantity(&text, def, base);
	outline_word(out, def->name, buffer_str(&text));
	out->out->failed |= buffer_failed(&text);
}

static void write_option(struct outline *out, const struct option_def *def, const void *base)
{
	const char *text;

	switch (def->type) {
	case OPTION_TEXT:
		text = *FIELD(char *const, base, def->at);
		outline_text(out, def->name, text && is_hidden(def) ? "(hidden)" : text);
		break;
	case OPTION_TEXTS:
		write_texts(out, def, base);
		break;
	case OPTION_BOOL:
		outline_bool(out, def->name, *FIELD(const bool, base, def->at));
		break;
	case OPTION_NUMBER:
		outline_number(out, def->name, *FIELD(const unsigned, base, def->at));
		break;
	case OPTION_WORD:
		outline_word(out, def->name,
			def->words[*FIELD(const int, base, def->at) - def->first_word]);
		break;
	case OPTION_SECTION:
		outline_open(out, def->name);
		options_write(out, def->section, base);
		outline_close(out);
		break;
	case OPTION_SPECIAL:
		def->write(out, def->name, base);
		break;
	case OPTION_DURATION:
	case OPTION_DAYS:
	case OPTION_SIZE:
	case OPTION_SHARE:
	case OPTION_RATE:
	case OPTION_SPAN:
	case OPTION_TIME_OF_DAY:
	case OPTION_DATE:
		write_quantity(out, def, base);
		break;
	}
}

void options_write(struct outline *out, const struct option_def *table, const void *base)
{
	for (const struct option_def *def = table; def->name; def++) {
		if (!def->left_out || !def->left_out(base)) {
			write_option(out, def, base);
		}
	}
}
