/*
 * Options written out. SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/options.h"

#include "daemon/units.h"

static bool is_hidden(const struct option_def *def)
{
	return (def->flags & (OPTION_SECRET | OPTION_SCRUBBED)) == OPTION_SECRET;
}

static void write_texts(struct outline *out, const struct option_def *def, const void *base)
{
	char *const *texts = *OPTION_FIELD(char **const, base, def->at);
	unsigned n = *OPTION_FIELD(const unsigned, base, def->second);

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
		units_put_duration(out, *OPTION_FIELD(const uint64_t, base, def->at));
		break;
	case OPTION_DAYS:
		buffer_printf(out, "%ud", *OPTION_FIELD(const unsigned, base, def->at));
		break;
	case OPTION_SIZE:
		units_put_size(out, *OPTION_FIELD(const uint64_t, base, def->at));
		break;
	case OPTION_SHARE:
		units_put_share(out, *OPTION_FIELD(const unsigned, base, def->at));
		break;
	case OPTION_RATE:
		units_put_rate(out, *OPTION_FIELD(const uint64_t, base, def->at),
			*OPTION_FIELD(const uint64_t, base, def->second));
		break;
	case OPTION_SPAN:
		units_put_span(out, *OPTION_FIELD(const uint64_t, base, def->at),
			*OPTION_FIELD(const uint64_t, base, def->second));
		break;
	case OPTION_TIME_OF_DAY:
		units_put_time_of_day(out, *OPTION_FIELD(const unsigned, base, def->at));
		break;
	case OPTION_DATE:
		units_put_date(out, *OPTION_FIELD(const int32_t, base, def->at));
		break;
	default:
		break;
	}
}

static void write_quantity(struct outline *out, const struct option_def *def, const void *base)
{
	_cleanup_buffer_ struct buffer text = {0};

	if (def->type == OPTION_DURATION && (def->flags & OPTION_NULLABLE) &&
		*OPTION_FIELD(const uint64_t, base, def->at) == 0) {
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
		text = *OPTION_FIELD(char *const, base, def->at);
		outline_text(out, def->name, text && is_hidden(def) ? "(hidden)" : text);
		break;
	case OPTION_TEXTS:
		write_texts(out, def, base);
		break;
	case OPTION_BOOL:
		outline_bool(out, def->name, *OPTION_FIELD(const bool, base, def->at));
		break;
	case OPTION_NUMBER:
		outline_number(out, def->name, *OPTION_FIELD(const unsigned, base, def->at));
		break;
	case OPTION_WORD:
		outline_word(out, def->name,
			def->words[*OPTION_FIELD(const int, base, def->at) - def->first_word]);
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
