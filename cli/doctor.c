/*
 * ogdsync doctor: is everything there that the daemon needs? SPDX-License-Identifier: Apache-2.0
 *
 * A table of checks, in the order in which one builds on the other. What needs something that has
 * failed is skipped, so that one cause is one finding. Each finding that is not well says what to do.
 */

#include "cli/doctor.h"

#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/document.h"
#include "lib/scrub.h"

struct check {
	const char *name;
	void (*run)(struct doctor *doctor, struct finding *finding);
	const char *needs; /* the name of an earlier one, or NULL */
};

static const struct check checks[] = {
	{"config", doctor_check_config, NULL},
	{"dns", doctor_check_dns, "config"},
	{"tls", doctor_check_tls, "dns"},
	{"clock", doctor_check_clock, "tls"},
	{"key", doctor_check_key, "config"},
	{"page", doctor_check_page, "key"},
	{"database", doctor_check_database, "config"},
	{"schema", doctor_check_schema, "database"},
	{"rights", doctor_check_rights, "schema"},
	{"spool", doctor_check_spool, "config"},
	{"unit", doctor_check_unit, NULL},
	{"daemon", doctor_check_daemon, NULL},
};

enum { N_CHECKS = N_ELEMENTS(checks) };

void finding_set(struct finding *finding, enum finding_level level, const char *remedy,
	const char *format, ...)
{
	va_list args;

	finding->level = level;
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy ? remedy : "");
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	scrub_text(finding->text);
}

void doctor_check_config(struct doctor *doctor, struct finding *finding)
{
	const struct config *config;

	if (database_config(doctor->cli, &doctor->database) != 0) {
		finding_set(finding, FINDING_CRITICAL,
			"mend what stands above; `ogdsync config check` says it again",
			"%s is refused", doctor->cli->config_file);
		return;
	}
	config = doctor->database.config;
	if (config->n_datasets == 0) {
		finding_set(finding, FINDING_WARNING, "put a dataset into datasets.d/ beside it",
			"%s has no dataset", config->file);
		return;
	}
	finding_set(finding, FINDING_OK, NULL, "%s, %u datasets", config->file, config->n_datasets);
}

static const char *level_name(enum finding_level level)
{
	switch (level) {
	case FINDING_OK:
		return "ok";
	case FINDING_SKIPPED:
		return "skipped";
	case FINDING_UNKNOWN:
		return "unknown";
	case FINDING_WARNING:
		return "warning";
	case FINDING_CRITICAL:
		return "critical";
	}
	return "unknown";
}

/* As checks are used to exit: what monitors call the plugin's status. */
static int exit_code(enum finding_level worst)
{
	switch (worst) {
	case FINDING_OK:
	case FINDING_SKIPPED:
		return 0;
	case FINDING_WARNING:
		return 1;
	case FINDING_CRITICAL:
		return 2;
	case FINDING_UNKNOWN:
		break;
	}
	return 3;
}

static bool is_in_the_way(const struct finding *findings, const char *needs)
{
	for (unsigned i = 0; i < N_CHECKS; i++) {
		if (strcmp(checks[i].name, needs) == 0) {
			return findings[i].level != FINDING_OK &&
				findings[i].level != FINDING_WARNING;
		}
	}
	return false;
}

static void run_checks(struct doctor *doctor, struct finding *findings)
{
	for (unsigned i = 0; i < N_CHECKS; i++) {
		if (checks[i].needs && is_in_the_way(findings, checks[i].needs)) {
			finding_set(&findings[i], FINDING_SKIPPED, NULL, "%s comes first",
				checks[i].needs);
		} else {
			checks[i].run(doctor, &findings[i]);
		}
	}
}

static void print_text(FILE *out, const struct finding *findings)
{
	for (unsigned i = 0; i < N_CHECKS; i++) {
		fprintf(out, "%-8s  %-8s  %s\n", level_name(findings[i].level), checks[i].name,
			findings[i].text);
		if (findings[i].remedy[0]) {
			fprintf(out, "%-20s%s\n", "", findings[i].remedy);
		}
	}
}

static json_t *findings_json(const struct finding *findings, enum finding_level worst)
{
	json_t *array = json_array();
	int r = 0;

	for (unsigned i = 0; i < N_CHECKS; i++) {
		r |= json_array_append_new(array,
			json_pack("{s:s, s:s, s:o, s:o}", "check", checks[i].name, "status",
				level_name(findings[i].level), "text",
				document_text(findings[i].text), "remedy",
				document_text(findings[i].remedy)));
	}
	if (r < 0) {
		json_decref(array);
		return NULL;
	}
	return json_pack("{s:s, s:o}", "status", level_name(worst), "findings", array);
}

static int run_doctor(struct cli *cli)
{
	struct doctor doctor = {.cli = cli};
	struct finding findings[N_CHECKS] = {0};
	enum finding_level worst = FINDING_OK;
	int code;

	run_checks(&doctor, findings);
	for (unsigned i = 0; i < N_CHECKS; i++) {
		worst = findings[i].level > worst ? findings[i].level : worst;
	}
	worst = worst == FINDING_SKIPPED ? FINDING_OK : worst;
	code = exit_code(worst);
	if (cli_flag(cli, "json")) {
		int r = document_print(cli, findings_json(findings, worst));

		code = r ? r : code;
	} else {
		print_text(cli->out, findings);
	}
	database_close(&doctor.database);
	free(doctor.probes);
	return code;
}

static const struct cli_option options[] = {CLI_OPTION_JSON, CLI_OPTION_END};

const struct command command_doctor = {
	.name = "doctor",
	.synopsis = "",
	.summary = "Look whether everything is there that the daemon needs",
	.help = "Checks the configuration, the way to the portal, the clock, each API key, the\n"
		"database with its schema and rights, the spool directory, the unit and the\n"
		"daemon's socket, and says what to do about what it finds. Changes nothing. Asks "
		"the\n"
		"portal once for each key. Run it as the user that the service runs as.\n"
		"\n"
		"Exits with 0 when all is well, 1 on a warning, 2 when something is critical, and "
		"3\n"
		"when something could not be found out.\n",
	.run = run_doctor,
	.options = options,
};
