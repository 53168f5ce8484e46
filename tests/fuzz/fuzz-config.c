/*
 * The configuration's reader on arbitrary bytes. SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says which file the others are: ogdsync.yaml or a dataset. Whatever they hold, there is
 * a report or a configuration; and a configuration that is written out is read back as the same.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config_private.h"
#include "lib/scrub.h"
#include "tests/fuzz/fuzz.h"

static void check(bool holds, const char *what, const char *text)
{
	if (!holds) {
		fprintf(stderr, "%s:\n%s\n", what, text);
		abort();
	}
}

static const char *look_up(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "NAME") == 0 ? "value" : NULL;
}

static void on_secret_variable(void *arg, const char *name)
{
	(void)arg;
	(void)name;
}

struct reading {
	struct problems problems;
	struct arena arena;
	struct config config;
	struct dataset *dataset;
};

static void read_text(struct reading *reading, bool is_main, const char *text, size_t len)
{
	struct yaml yaml = {.file = "f"};
	struct option_reader reader = {.problems = &reading->problems,
		.arena = &reading->arena,
		.yaml = &yaml,
		.lookup = look_up,
		.on_secret_variable = on_secret_variable};

	yaml_parse(&yaml, text, len, look_up, NULL, &reading->problems);
	if (!yaml.broken && is_main) {
		options_read(&reader, config_options, yaml.root, &reading->config);
		config_check(&reader, yaml.root, &reading->config);
	} else if (!yaml.broken) {
		reading->dataset = dataset_read(&reader, &yaml);
	}
	if (reading->dataset) {
		dataset_check(&reader, yaml.root, reading->dataset, 10000);
	}
	yaml_fini(&yaml);
}

static void write_text(const struct reading *reading, bool is_main, struct buffer *out)
{
	struct outline outline = {.out = out, .format = OUTLINE_YAML};

	if (is_main) {
		options_write(&outline, config_options, &reading->config);
	} else {
		dataset_write(&outline, reading->dataset);
	}
}

static void fini(struct reading *reading)
{
	problems_fini(&reading->problems);
	arena_fini(&reading->arena);
	*reading = (struct reading){.dataset = NULL};
}

/* One line for each problem, and nothing in it that would break a terminal. */
static void check_report(struct reading *reading)
{
	_cleanup_buffer_ struct buffer report = {0};

	problems_report(&reading->problems, &report);
	check(report.len > 0 && report.data[report.len - 1] == '\n', "no line",
		buffer_str(&report));
	for (size_t i = 0; i < report.len; i++) {
		check((unsigned char)report.data[i] >= ' ' || report.data[i] == '\n',
			"a control character", buffer_str(&report));
	}
}

static void check_again(const struct reading *reading, bool is_main)
{
	_cleanup_buffer_ struct buffer first = {0}, second = {0}, report = {0};
	struct reading again = {.dataset = NULL};

	write_text(reading, is_main, &first);
	read_text(&again, is_main, buffer_str(&first), first.len);
	problems_report(&again.problems, &report);
	/* A hidden webhook is none. */
	if (reading->config.alerts.webhook) {
		fini(&again);
		return;
	}
	check(report.len == 0, "what was written is not right", buffer_str(&report));
	write_text(&again, is_main, &second);
	check(strcmp(buffer_str(&first), buffer_str(&second)) == 0, "it is read back otherwise",
		buffer_str(&second));
	fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct reading reading = {.dataset = NULL};
	bool is_main = len > 0 && data[0] == 'm';
	_cleanup_free_ char *text = malloc(len + 1);

	check(text != NULL, "no memory", "");
	if (len > 0) {
		memcpy(text, data + 1, --len);
	}
	text[len] = '\0';
	scrub_clear();
	read_text(&reading, is_main, text, len);
	if (!problems_none(&reading.problems)) {
		check_report(&reading);
	} else if (is_main || reading.dataset) {
		check_again(&reading, is_main);
	}
	fini(&reading);
	return 0;
}
