/*
 * ogdsync spool ls, spool verify: what lies on the disk. SPDX-License-Identifier: Apache-2.0
 *
 * Reads the files themselves, without a lock: the daemon may run or not. It needs the rights of the
 * spool's owner.
 *
 * `ls` opens each file for its header and its outcome alone. `verify` reads every block of a file,
 * checks its checksum and decompresses it. The end of a .part may be torn, or be written just now:
 * that is no damage, and verify says how far it is whole.
 */

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/database.h"
#include "cli/document.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "daemon/spool_list.h"
#include "lib/clock.h"
#include "lib/exitcode.h"

static int file_error(struct cli *cli, const struct error *error)
{
	int code = strcmp(error->code, "damaged") == 0	 ? EXITCODE_DATA
		 : strcmp(error->code, "not_found") == 0 ? EXITCODE_NO_INPUT
		 : strcmp(error->code, "ENOENT") == 0	 ? EXITCODE_NO_INPUT
		 : strcmp(error->code, "EACCES") == 0	 ? EXITCODE_NO_PERMISSION
							 : EXITCODE_UNAVAILABLE;

	return cli_error(cli, code, "%s", error->text);
}

static int list_spool(struct cli *cli, struct database *database, struct spool_list *ret)
{
	struct error error = {.class = ERROR_NONE};
	int code = database_config(cli, database);

	*ret = (struct spool_list){.directory = NULL};
	if (code != 0) {
		return code;
	}
	return spool_list_read(database->config->spool.directory, ret, &error) < 0
		       ? file_error(cli, &error)
		       : 0;
}

/* ---- ls ---- */

/* What a file says of itself; header and outcome are empty as far as they cannot be read. */
struct contents {
	struct spool_header header;
	struct spool_outcome outcome;
	bool readable, has_outcome;
};

static struct contents look_into(const struct spool_list *list, struct spool_found *found)
{
	struct contents contents = {.readable = false};
	struct error error = {.class = ERROR_NONE};
	struct spool_reader *reader;

	if (spool_found_open(list, found, &reader, &error) < 0) {
		return contents;
	}
	contents.readable = true;
	contents.header = *spool_reader_header(reader);
	if (spool_reader_outcome(reader)) {
		contents.outcome = *spool_reader_outcome(reader);
		contents.has_outcome = true;
	}
	spool_reader_free(reader);
	return contents;
}

static const char *outcome_name(const struct contents *contents)
{
	return contents->has_outcome ? slice_state_name(contents->outcome.state)
	       : contents->readable  ? ""
				     : "unreadable";
}

static json_t *file_json(const struct spool_found *found, const struct contents *contents)
{
	const struct spool_header *header = &contents->header;
	const struct spool_outcome *outcome = &contents->outcome;
	char name[SPOOL_FILE_NAME_BYTES];

	spool_name_format(&found->name, name);
	return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o}",
		"file", name, "state", spool_suffix_name(found->name.suffix), "run",
		(json_int_t)found->name.run, "uuid", found->name.uuid, "dataset",
		document_text(header->dataset), "source", document_text(header->source), "slice",
		document_text(header->slice), "trigger", document_text(header->trigger), "outcome",
		document_text(outcome_name(contents)), "code", document_text(outcome->reason),
		"received", document_count(contents->has_outcome ? (int64_t)outcome->received : -1),
		"pages", document_count(contents->has_outcome ? (int64_t)outcome->pages : -1),
		"bytes", (json_int_t)found->bytes, "started_at", document_time(header->started_us),
		"fetched_at", document_time(outcome->finished_us), "changed_at",
		document_time(found->changed_us));
}

static int print_json(struct cli *cli, const struct config_spool *spool, struct spool_list *list)
{
	json_t *files = json_array();
	uint64_t bytes = 0;
	int r = files ? 0 : -1;

	for (unsigned i = 0; i < list->n_files && r == 0; i++) {
		struct contents contents = look_into(list, &list->files[i]);

		bytes += list->files[i].bytes;
		r = json_array_append_new(files, file_json(&list->files[i], &contents));
	}
	if (r < 0) {
		json_decref(files);
		return document_print(cli, NULL);
	}
	return document_print(cli,
		json_pack("{s:o, s:I, s:I, s:o}", "directory", document_text(list->directory),
			"bytes", (json_int_t)bytes, "limit_bytes", (json_int_t)spool->max_bytes,
			"files", files));
}

static void add_row(struct table *table, struct spool_list *list, struct spool_found *found)
{
	struct contents contents = look_into(list, found);
	char name[SPOOL_FILE_NAME_BYTES], when[CLOCK_RFC3339_BYTES];

	table_add(table, spool_suffix_name(found->name.suffix));
	table_addf(table, "%s%s%s", contents.header.dataset, contents.readable ? "/" : "",
		contents.header.source);
	table_add(table, contents.header.slice);
	table_add(table, outcome_name(&contents));
	if (contents.has_outcome) {
		table_addf(table, "%" PRIu64, contents.outcome.received);
	} else {
		table_add(table, NULL);
	}
	table_addf(table, "%" PRIu64, found->bytes);
	table_add(table, clock_format_rfc3339(found->changed_us, 0, when));
	spool_name_format(&found->name, name);
	table_add(table, name);
}

static int print_table(struct cli *cli, struct spool_list *list)
{
	static const struct table_column columns[] = {
		{"STATE", false},
		{"SOURCE", false},
		{"SLICE", false},
		{"FETCHED", false},
		{"ROWS", true},
		{"BYTES", true},
		{"SINCE", false},
		{"FILE", false},
	};
	struct table table = {.columns = columns, .n_columns = N_ELEMENTS(columns)};
	int r;

	for (unsigned i = 0; i < list->n_files; i++) {
		add_row(&table, list, &list->files[i]);
	}
	r = table_print(&table, cli->out);
	table_fini(&table);
	return r < 0 ? cli_error(cli, EXITCODE_SOFTWARE, "out of memory") : EXITCODE_OK;
}

static int run_ls(struct cli *cli)
{
	struct database database;
	struct spool_list list;
	int code = list_spool(cli, &database, &list);

	if (code == 0) {
		code = cli_flag(cli, "json") ? print_json(cli, &database.config->spool, &list)
					     : print_table(cli, &list);
	}
	spool_list_fini(&list);
	database_close(&database);
	return code;
}

/* ---- verify ---- */

struct verify {
	struct cli *cli;
	struct progress progress;
	uint64_t done; /* bytes of files that are through */
	int code;      /* of the first that is bad */
};

/* The end of a .part is no damage. */
static int verify_part(struct verify *verify, struct spool_reader *reader, const char *path,
	struct error *error)
{
	uint64_t bytes;
	unsigned pages;

	if (spool_part_measure(reader, &bytes, &pages, error) < 0) {
		return -1;
	}
	progress_clear(&verify->progress);
	fprintf(verify->cli->out, "%s: not finished, whole up to byte %" PRIu64 ", %u pages\n", path,
		bytes, pages);
	return 0;
}

static int verify_pages(struct verify *verify, struct spool_reader *reader, const char *path,
	struct error *error)
{
	uint64_t at = verify->done;
	unsigned pages = 0;
	const void *data;
	size_t len;

	for (;;) {
		switch (spool_reader_next(reader, &data, &len, error)) {
		case SPOOL_ERROR:
			return -1;
		case SPOOL_END:
			progress_clear(&verify->progress);
			fprintf(verify->cli->out, "%s: OK, %u pages, %" PRIu64 " rows\n", path,
				pages, spool_reader_outcome(reader)->received);
			return 0;
		case SPOOL_PAGE_END:
			pages++;
			at = verify->done + spool_reader_at(reader);
			break;
		case SPOOL_DATA:
			break;
		}
		progress_set(&verify->progress, at);
	}
}

static void verify_file(struct verify *verify, const char *path, struct spool_reader *reader,
	struct error *error)
{
	int code;

	if (!error_is_set(error) && spool_reader_outcome(reader)) {
		(void)!verify_pages(verify, reader, path, error);
	} else if (!error_is_set(error)) {
		(void)!verify_part(verify, reader, path, error);
	}
	spool_reader_free(reader);
	if (error_is_set(error)) {
		progress_clear(&verify->progress);
		code = file_error(verify->cli, error);
		verify->code = verify->code == EXITCODE_OK ? code : verify->code;
	}
}

static void verify_all(struct verify *verify, struct spool_list *list)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < list->n_files; i++) {
		bytes += list->files[i].bytes;
	}
	progress_begin(&verify->progress, verify->cli->err, "verifying", bytes);
	for (unsigned i = 0; i < list->n_files; i++) {
		struct error error = {.class = ERROR_NONE};
		struct spool_reader *reader = NULL;
		char name[SPOOL_FILE_NAME_BYTES];

		(void)!spool_found_open(list, &list->files[i], &reader, &error);
		spool_name_format(&list->files[i].name, name);
		if (strcmp(error.code, "not_found") != 0) { /* else it was removed meanwhile */
			verify_file(verify, name, reader, &error);
		}
		verify->done += list->files[i].bytes;
	}
	progress_clear(&verify->progress);
}

static void verify_named(struct verify *verify)
{
	struct cli *cli = verify->cli;

	progress_begin(&verify->progress, cli->err, "verifying", 0);
	for (int i = 0; i < cli->n_operands; i++) {
		struct error error = {.class = ERROR_NONE};
		struct spool_reader *reader = NULL;

		(void)!spool_path_open(cli->operands[i], &reader, &error);
		verify_file(verify, cli->operands[i], reader, &error);
	}
	progress_clear(&verify->progress);
}

static int run_verify(struct cli *cli)
{
	struct verify verify = {.cli = cli};
	struct database database;
	struct spool_list list;

	if (cli_flag(cli, "all") == (cli->n_operands > 0)) {
		return cli_usage(cli, "name the files, or say --all");
	}
	if (cli->n_operands > 0) {
		verify_named(&verify);
		return verify.code;
	}
	verify.code = list_spool(cli, &database, &list);
	if (verify.code == 0) {
		verify_all(&verify, &list);
	}
	spool_list_fini(&list);
	database_close(&database);
	return verify.code;
}

static const struct cli_option ls_options[] = {
	CLI_OPTION_JSON,
	CLI_OPTION_END,
};

static const struct cli_option verify_options[] = {
	{"all", NULL, "every file of the spool"},
	CLI_OPTION_END,
};

const struct command command_spool_ls = {
	.name = "spool ls",
	.synopsis = "",
	.summary = "List the fetched slices on the disk",
	.help = "A file for each slice: `part` while it is fetched, `ready` to be loaded, `loaded`,\n"
		"or `damaged`. Works beside a running daemon and without one.\n",
	.run = run_ls,
	.options = ls_options,
};

const struct command command_spool_verify = {
	.name = "spool verify",
	.synopsis = "[FILE...]",
	.summary = "Read files of the spool and check every byte",
	.help = "Exits 0 when all is as it was written, 65 when a file is damaged; the message names\n"
		"file, block and byte. Works beside a running daemon and without one.\n",
	.run = run_verify,
	.options = verify_options,
	.max_operands = -1,
};
