/*
 * ogdsync quarantine ls, show: what could not be read.
 * SPDX-License-Identifier: Apache-2.0
 *
 * `ls` and `show` print what the daemon answers; where none does, they ask the database the same
 * questions (daemon/ledger_read.h), and make the same document.
 */

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/database.h"
#include "cli/document.h"
#include "cli/table.h"
#include "daemon/ledger_read.h"
#include "daemon/units.h"
#include "lib/exitcode.h"

enum { DEFAULT_ROWS = 50, MAX_ROWS = 500 };

/* ---- the document, from the daemon or from the database ---- */

struct ask {
	struct database *database;
	struct ledger_question question;
	struct buffer *out;
	int n_rows; /* most of them */
	int64_t total;
	int found;
};

static void take_reasons(void *arg, const struct pg_result *result)
{
	struct ask *ask = arg;

	for (int row = 0; row < pg_n_rows(result); row++) {
		ask->total += pg_i64(result, row, 2);
	}
	buffer_printf(ask->out, "{\"total\":%" PRId64 ",\"by_reason\":", ask->total);
	ledger_append_rows(ask->out, &ask->question, result, pg_n_rows(result));
}

static void take_rejects(void *arg, const struct pg_result *result)
{
	struct ask *ask = arg;
	int n = pg_n_rows(result) < ask->n_rows ? pg_n_rows(result) : ask->n_rows;

	buffer_append_str(ask->out, ",\"quarantine\":");
	ledger_append_rows(ask->out, &ask->question, result, n);
	if (pg_n_rows(result) > n) {
		buffer_printf(ask->out, ",\"next\":%s}", pg_value(result, n - 1, 0));
	} else {
		buffer_append_str(ask->out, ",\"next\":null}");
	}
}

static void take_reject(void *arg, const struct pg_result *result)
{
	struct ask *ask = arg;

	ask->found = pg_n_rows(result);
	if (ask->found > 0) {
		buffer_append_char(ask->out, '{');
		ledger_append_row(ask->out, &ask->question, result, 0);
		buffer_append_char(ask->out, '}');
	}
}

static int put(struct ask *ask, void (*take)(void *arg, const struct pg_result *result))
{
	const struct ledger_question *question = &ask->question;

	return database_query(ask->database, question->sql, question->params.list,
		question->params.n, take, ask);
}

static int ask_list(struct ask *ask, const struct ledger_filter *filter)
{
	struct ledger_filter page = *filter;

	page.n_rows++; /* one more says that there is a next page */
	ask->n_rows = (int)filter->n_rows;
	ledger_ask_reasons(&ask->question, filter);
	if (put(ask, take_reasons) < 0) {
		return -1;
	}
	ledger_ask_rejects(&ask->question, &page);
	return put(ask, take_rejects);
}

static int ask_one(struct ask *ask, int64_t id)
{
	ledger_ask_reject(&ask->question, id);
	if (put(ask, take_reject) < 0) {
		return -1;
	}
	return ask->found > 0 ? 0
			      : error_set(&ask->database->error, ERROR_REJECTED, "cli", "no_record",
					"the quarantine has no such record");
}

/* `id` 0: the list. 0 and the document, or the exit code. */
static int ask_database(struct cli *cli, const struct ledger_filter *filter, int64_t id,
	struct buffer *out)
{
	struct database database;
	struct ask ask = {.database = &database, .out = out};
	int code = database_open(cli, DATABASE_WRITER, &database);

	if (code == 0 && (id > 0 ? ask_one(&ask, id) : ask_list(&ask, filter)) < 0) {
		code = strcmp(database.error.code, "no_record") == 0
			       ? cli_error(cli, EXITCODE_NO_INPUT, "%s", database.error.text)
			       : database_fail(cli, &database.error);
	}
	database_close(&database);
	return code;
}

static int daemon_code(int status)
{
	return status == 404 ? EXITCODE_NO_INPUT
	       : status == 400 ? EXITCODE_USAGE
	       : status == 403 ? EXITCODE_NO_PERMISSION
			       : EXITCODE_UNAVAILABLE;
}

static int get_document(struct cli *cli, const struct ledger_filter *filter, int64_t id, json_t **ret)
{
	_cleanup_buffer_ struct buffer path = {0}, problem = {0};
	struct client_request request = {.path = NULL};
	struct client_answer answer;
	struct error error = {.class = ERROR_NONE};
	int code;

	if (id > 0) {
		buffer_printf(&path, "/sync/quarantine/%" PRId64, id);
	} else {
		buffer_printf(&path, "/sync/quarantine?limit=%u%s%s%s%s", filter->n_rows,
			filter->dataset ? "&dataset=" : "", filter->dataset ? filter->dataset : "",
			filter->reason ? "&reason=" : "", filter->reason ? filter->reason : "");
	}
	request.path = buffer_str(&path);
	code = daemon_try(cli, &request, &answer, &error);
	if (error_is_set(&error)) { /* no daemon */
		buffer_clear(&answer.body);
		code = ask_database(cli, filter, id, &answer.body);
	} else if (code == 0 && answer.status != 200) {
		client_problem(&answer, &problem);
		code = cli_error(cli, daemon_code(answer.status), "%s", buffer_str(&problem));
	}
	if (code == 0) {
		*ret = json_loads(buffer_str(&answer.body), 0, NULL);
		code = *ret ? 0 : cli_error(cli, EXITCODE_SOFTWARE, "the answer is no JSON");
	}
	client_answer_fini(&answer);
	return code;
}

/* ---- ls ---- */

static const char *text_of(const json_t *record, const char *key)
{
	return json_string_value(json_object_get(record, key));
}

static int print_list(struct cli *cli, const json_t *document)
{
	static const struct table_column columns[] = {
		{"ID", true},
		{"SOURCE", false},
		{"SLICE", false},
		{"REASON", false},
		{"COLUMN", false},
		{"DETAIL", false},
	};
	struct table table = {.columns = columns, .n_columns = N_ELEMENTS(columns)};
	const json_t *record, *shown = json_object_get(document, "quarantine");
	const char *comma = ": ";
	size_t i;
	int r;

	json_array_foreach(shown, i, record)
	{
		table_addf(&table, "%" JSON_INTEGER_FORMAT,
			json_integer_value(json_object_get(record, "id")));
		table_addf(&table, "%s/%s", text_of(record, "dataset"), text_of(record, "source"));
		table_add(&table, text_of(record, "slice"));
		table_add(&table, text_of(record, "reason"));
		table_add(&table, text_of(record, "column"));
		table_add(&table, text_of(record, "detail"));
	}
	r = table_print(&table, cli->out);
	table_fini(&table);
	fprintf(cli->out, "%zu of %" JSON_INTEGER_FORMAT " records", json_array_size(shown),
		json_integer_value(json_object_get(document, "total")));
	json_array_foreach(json_object_get(document, "by_reason"), i, record)
	{
		fprintf(cli->out, "%s%" JSON_INTEGER_FORMAT " %s of %s", comma,
			json_integer_value(json_object_get(record, "count")),
			text_of(record, "reason"), text_of(record, "dataset"));
		comma = ", ";
	}
	fputc('\n', cli->out);
	return r < 0 ? cli_error(cli, EXITCODE_SOFTWARE, "out of memory") : EXITCODE_OK;
}

static bool is_name(const char *text)
{
	return !text ||
	       (*text && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-.") == strlen(text));
}

static int run_ls(struct cli *cli)
{
	const char *limit = cli_option(cli, "limit");
	struct ledger_filter filter = {
		.dataset = cli_option(cli, "dataset"),
		.reason = cli_option(cli, "reason"),
	};
	uint64_t n = DEFAULT_ROWS;
	json_t *document;
	int code;

	if (limit && (!units_number(limit, &n) || n < 1 || n > MAX_ROWS)) {
		return cli_usage(cli, "--limit is a number from 1 to %d", MAX_ROWS);
	}
	if (!is_name(filter.dataset) || !is_name(filter.reason)) {
		return cli_usage(cli, "a dataset or reason has a plain name");
	}
	filter.n_rows = (unsigned)n;
	code = get_document(cli, &filter, 0, &document);
	if (code != 0) {
		return code;
	}
	if (cli_flag(cli, "json")) {
		return document_print(cli, document);
	}
	code = print_list(cli, document);
	json_decref(document);
	return code;
}

/* ---- show ---- */

static void print_field(struct cli *cli, const char *key, const json_t *value)
{
	if (json_is_integer(value)) {
		fprintf(cli->out, "%-10s  %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
	} else {
		fprintf(cli->out, "%-10s  %s\n", key,
			json_is_string(value) ? json_string_value(value) : "-");
	}
}

static int run_show(struct cli *cli)
{
	struct ledger_filter filter = {.n_rows = 1};
	json_t *document, *value;
	const char *key;
	int64_t id;
	int code;

	if (!cli_id(cli->operands[0], &id)) {
		return cli_usage(cli, "'%s' is no id of a record", cli->operands[0]);
	}
	code = get_document(cli, &filter, id, &document);
	if (code != 0) {
		return code;
	}
	if (cli_flag(cli, "json")) {
		return document_print(cli, document);
	}
	json_object_foreach(document, key, value)
	{
		print_field(cli, key, value);
	}
	json_decref(document);
	return EXITCODE_OK;
}

static const struct cli_option ls_options[] = {
	{"dataset", "D", "of this dataset"},
	{"reason", "R", "with this reason, bad_number"},
	{"limit", "N", "at most so many, the newest (50)"},
	CLI_OPTION_JSON,
	CLI_OPTION_END,
};

static const struct cli_option show_options[] = {
	CLI_OPTION_JSON,
	CLI_OPTION_END,
};

const struct command command_quarantine_ls = {
	.name = "quarantine ls",
	.synopsis = "",
	.summary = "List the records that could not be loaded",
	.help = "Asks the daemon, or the database when no daemon answers.\n",
	.run = run_ls,
	.options = ls_options,
};

const struct command command_quarantine_show = {
	.name = "quarantine show",
	.synopsis = "ID",
	.summary = "Print one of them, with the bytes that were served",
	.run = run_show,
	.options = show_options,
	.min_operands = 1,
	.max_operands = 1,
};
