/*
 * ogdsync coverage: a calendar of what is known of each day. SPDX-License-Identifier: Apache-2.0
 *
 * A line for each month, a letter for each day, and on a terminal a colour for what needs attention.
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "daemon/date.h"
#include "lib/civil.h"
#include "lib/exitcode.h"

/* In the order of the legend. The last one is for a state of a later version. */
static const struct mark {
	const char *name, *color, *means;
	char letter;
} marks[] = {
	{"complete", "\033[32m", "all rows came", '.'},
	{"weak", "\033[33m", "complete, but far fewer rows than usual", 'w'},
	{"open", "\033[36m", "all rows so far: the day was not over", 'o'},
	{"partial", "\033[35m", "rows came, but not provably all", 'p'},
	{"suspect", "\033[33m", "nothing came, and that is not believed yet", 's'},
	{"empty", "\033[2m", "there is nothing", 'e'},
	{"missing", "\033[31m", "nothing was fetched", 'M'},
	{"?", "", "a state of a later version", '?'},
};

static unsigned mark_of(const json_t *day)
{
	const char *state = json_string_value(json_object_get(day, "state"));
	const char *code = json_string_value(json_object_get(day, "code"));
	unsigned i = 0;

	if (code && strcmp(code, "weak") == 0) {
		state = code;
	}
	while (i + 1 < N_ELEMENTS(marks) && (!state || strcmp(marks[i].name, state) != 0)) {
		i++;
	}
	return i;
}

static bool read_day(const json_t *json, const char *key, int32_t *ret)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text && date_parse(text, strlen(text), "%Y-%m-%d", ret) == 0;
}

/* The calendar under way. */
struct calendar {
	FILE *out;
	bool color;
	int32_t next; /* the day that the next letter stands for */
	bool begun;
	unsigned counts[N_ELEMENTS(marks)];
};

static void begin_month(struct calendar *calendar, const struct civil *date)
{
	fprintf(calendar->out, "%s%04d-%02d  ", calendar->begun ? "\n" : "", date->year, date->month);
	for (int day = 1; day < date->day; day++) {
		fputs(day % 5 == 0 ? "  " : " ", calendar->out);
	}
	calendar->begun = true;
}

/* A letter, or a blank for a day that is not due; a gap behind every fifth. */
static void put_letter(struct calendar *calendar, const struct mark *mark)
{
	struct civil date = civil_from_day(calendar->next);

	if (!calendar->begun || date.day == 1) {
		begin_month(calendar, &date);
	}
	if (mark && calendar->color && mark->color[0]) {
		fprintf(calendar->out, "%s%c\033[0m", mark->color, mark->letter);
	} else {
		fputc(mark ? mark->letter : ' ', calendar->out);
	}
	if (date.day % 5 == 0) {
		fputc(' ', calendar->out);
	}
	calendar->next++;
}

static void put_legend(const struct calendar *calendar)
{
	fputs("\n\n", calendar->out);
	for (unsigned i = 0; i < N_ELEMENTS(marks); i++) {
		if (calendar->counts[i] > 0) {
			fprintf(calendar->out, "  %s%c%s %-9s %6u  %s\n",
				calendar->color ? marks[i].color : "", marks[i].letter,
				calendar->color ? "\033[0m" : "", marks[i].name,
				calendar->counts[i], marks[i].means);
		}
	}
}

static int print_calendar(struct cli *cli, const json_t *json)
{
	struct calendar calendar = {.out = cli->out, .color = cli_color(cli->out)};
	const json_t *days = json_object_get(json, "days"), *day;
	int32_t date;
	size_t i;

	if (json_array_size(days) == 0) {
		fputs("No day is known or due.\n", cli->out);
		return EXITCODE_OK;
	}
	fputs("         1     6     11    16    21    26\n", cli->out);
	json_array_foreach(days, i, day)
	{
		if (!read_day(day, "date", &date)) {
			return cli_error(cli, EXITCODE_UNAVAILABLE, "a day without a date came");
		}
		calendar.next = calendar.begun ? calendar.next : date;
		while (calendar.next < date) {
			put_letter(&calendar, NULL);
		}
		put_letter(&calendar, &marks[mark_of(day)]);
		calendar.counts[mark_of(day)]++;
	}
	put_legend(&calendar);
	return EXITCODE_OK;
}

static int run_coverage(struct cli *cli)
{
	_cleanup_buffer_ struct buffer path = {0};
	int code = daemon_check_date(cli, "from");

	code = code ? code : daemon_check_date(cli, "to");
	if (code != 0) {
		return code;
	}
	buffer_append_str(&path, "/sync/coverage");
	daemon_add_param(&path, "dataset", cli_option(cli, "dataset"));
	daemon_add_param(&path, "from", cli_option(cli, "from"));
	daemon_add_param(&path, "to", cli_option(cli, "to"));
	return daemon_show(cli, buffer_str(&path), print_calendar);
}

static const struct cli_option options[] = {
	CLI_OPTION_JSON,
	{"dataset", "NAME", "of this dataset (the first one that has a date)"},
	{"from", "DATE", "from this day on (the first that is known or due)"},
	{"to", "DATE", "up to this day (today)"},
	CLI_OPTION_END,
};

const struct command command_coverage = {
	.name = "coverage",
	.synopsis = "",
	.summary = "Show which days are complete, and which are holes",
	.help = "A line for each month, a letter for each day; what they mean stands below.\n",
	.run = run_coverage,
	.options = options,
};
