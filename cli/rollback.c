/*
 * ogdsync rollback: undo what a run wrote. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is:
 *   - what did the run write, and what of it was changed again since? That is said, and without
 *     --yes it is all;
 *   - as holder of the lease (holder.h), in one transaction that begins with the fence: rows return
 *     to the values that the run replaced, or are deleted if it had inserted them; the slices
 *     become `rolled_back`; the dates of these rows are proven no longer, whoever proved them;
 *   - COMMIT.
 *
 * Possible failure modes are:
 *   - The run updated rows whose old values are not there (on_change: overwrite, or the revisions
 *     were deleted by age): nothing is done, for the rows would be lost. 65.
 *   - The run is not in the books, or only repeats what others fetched: 66, 64.
 *   - Anything in the transaction: it is rolled back. An answer to COMMIT that does not come leaves
 *     it open; asked again, the command says what there is to undo.
 */

#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/holder.h"
#include "cli/table.h"
#include "daemon/ledger_repair.h"
#include "daemon/rollback.h"
#include "lib/exitcode.h"

enum { MAX_LISTED = 20, MAX_COLUMNS = 30, NUMBER_BYTES = 24 };

struct rollback {
	struct cli *cli;
	struct database *database;
	int64_t run;
	char number[NUMBER_BYTES]; /* the run as a parameter */
	const struct dataset *dataset;
	/* of the run */
	char dataset_name[64], source[64], state[32], trigger[64], started[40];
	int64_t n_slices, n_updated;
	bool known, repeats;
	/* of its rows */
	int64_t n_rows, n_return, n_changed, n_revisions;
	char *dates, *left; /* arrays as text: of its rows; those that still have rows */
	bool any_left;
	int64_t n_done;
	bool no_memory;
};

/* ---- what there is ---- */

static void copy(char *room, size_t size, const struct pg_result *result, int column)
{
	snprintf(room, size, "%s", pg_value(result, 0, column));
}

static void on_run(void *arg, const struct pg_result *result, const struct error *error)
{
	struct rollback *rollback = arg;

	if (!error && pg_n_rows(result) > 0) {
		rollback->known = true;
		copy(rollback->dataset_name, sizeof(rollback->dataset_name), result, 0);
		copy(rollback->source, sizeof(rollback->source), result, 1);
		copy(rollback->state, sizeof(rollback->state), result, 2);
		copy(rollback->trigger, sizeof(rollback->trigger), result, 3);
		copy(rollback->started, sizeof(rollback->started), result, 4);
		rollback->n_slices = pg_i64(result, 0, 5);
		rollback->n_updated = pg_i64(result, 0, 6);
		rollback->repeats = pg_bool(result, 0, 7);
	}
	database_done(rollback->database, error);
}

static void on_counts(void *arg, const struct pg_result *result)
{
	struct rollback *rollback = arg;

	rollback->n_rows = pg_i64(result, 0, 0);
	rollback->n_return = pg_i64(result, 0, 1);
	rollback->n_changed = pg_i64(result, 0, 2);
	rollback->n_revisions = pg_i64(result, 0, 3);
}

static int ask(struct rollback *rollback, void (*append)(const struct dataset *, struct buffer *),
	void (*on_result)(void *arg, const struct pg_result *result))
{
	_cleanup_buffer_ struct buffer sql = {0};
	struct pg_param params[] = {{.data = rollback->number}};

	append(rollback->dataset, &sql);
	if (buffer_failed(&sql)) {
		return error_no_memory(&rollback->database->error, "cli");
	}
	return database_query(rollback->database, buffer_str(&sql), params, N_ELEMENTS(params),
		on_result, rollback);
}

/* 0, or the exit code. */
static int look_at_run(struct rollback *rollback)
{
	struct cli *cli = rollback->cli;

	ledger_find_run(rollback->database->pg, rollback->run, on_run, rollback);
	if (database_wait(rollback->database) < 0) {
		return database_fail(cli, &rollback->database->error);
	}
	if (!rollback->known) {
		return cli_error(cli, EXITCODE_NO_INPUT, "the books have no run %" PRId64,
			rollback->run);
	}
	if (rollback->repeats) {
		return cli_error(cli, EXITCODE_USAGE,
			"run %" PRId64 " only repeats what other runs fetched: roll those back",
			rollback->run);
	}
	rollback->dataset = config_dataset(rollback->database->config, rollback->dataset_name);
	if (!rollback->dataset) {
		return cli_error(cli, EXITCODE_CONFIG, "dataset %s is not configured",
			rollback->dataset_name);
	}
	return ask(rollback, rollback_count_sql, on_counts) < 0
		       ? database_fail(cli, &rollback->database->error)
		       : 0;
}

/* ---- what is said of it ---- */

struct listing {
	struct rollback *rollback;
	struct table_column columns[MAX_COLUMNS];
	struct table table;
};

static void name_columns(struct listing *listing)
{
	const struct dataset *dataset = listing->rollback->dataset;
	unsigned n = 0;

	for (unsigned k = 0; k < dataset->n_key && n < MAX_COLUMNS - 1; k++) {
		const struct fact_column *fact = &dataset->fact[k];
		const struct lookup_def *lookup =
			fact->lookup < 0 ? NULL : &dataset->lookups[fact->lookup];

		for (unsigned c = 0; lookup && c < lookup->n_columns && n < MAX_COLUMNS - 1; c++) {
			listing->columns[n++].name = dataset->columns[lookup->columns[c]].name;
		}
		if (!lookup) {
			listing->columns[n++].name = fact->name;
		}
	}
	listing->columns[n++].name = "changed by run";
	listing->table = (struct table){.columns = listing->columns, .n_columns = n};
}

static void on_changed(void *arg, const struct pg_result *result)
{
	struct listing *listing = arg;
	int last = pg_n_columns(result) - 1;

	for (int row = 0; row < pg_n_rows(result); row++) {
		for (int c = 0; c + 1 < (int)listing->table.n_columns; c++) {
			table_add(&listing->table, pg_value(result, row, c));
		}
		table_add(&listing->table, pg_value(result, row, last));
	}
}

/* The first of the keys whose rows stay, because another run has changed them. */
static int list_changed(struct rollback *rollback)
{
	_cleanup_buffer_ struct buffer sql = {0};
	struct listing listing = {.rollback = rollback};
	char limit[NUMBER_BYTES];
	struct pg_param params[] = {{.data = rollback->number}, {.data = limit}};
	int r;

	snprintf(limit, sizeof(limit), "%d", MAX_LISTED);
	rollback_changed_sql(rollback->dataset, &sql);
	name_columns(&listing);
	r = buffer_failed(&sql)
		    ? error_no_memory(&rollback->database->error, "cli")
		    : database_query(rollback->database, buffer_str(&sql), params,
			      N_ELEMENTS(params), on_changed, &listing);
	if (r == 0 && table_print(&listing.table, rollback->cli->out) < 0) {
		r = error_no_memory(&rollback->database->error, "cli");
	}
	table_fini(&listing.table);
	return r;
}

/* 0, or the exit code. */
static int say(struct rollback *rollback)
{
	FILE *out = rollback->cli->out;

	fprintf(out, "run %" PRId64 " of %s/%s, %s, %s: %s\n", rollback->run, rollback->dataset_name,
		rollback->source, rollback->trigger, rollback->started, rollback->state);
	fprintf(out,
		"%" PRId64 " rows return to the values that it replaced, %" PRId64
		" that it inserted are deleted\n",
		rollback->n_return, rollback->n_rows - rollback->n_return);
	if (rollback->n_changed > 0) {
		fprintf(out, "%" PRId64 " were changed again since, and stay:\n",
			rollback->n_changed);
		if (list_changed(rollback) < 0) {
			return database_fail(rollback->cli, &rollback->database->error);
		}
	}
	if (rollback->n_revisions < rollback->n_updated) {
		return cli_error(rollback->cli, EXITCODE_DATA,
			"the run updated %" PRId64 " rows, and the old values of %" PRId64
			" are not kept: it cannot be undone",
			rollback->n_updated, rollback->n_updated - rollback->n_revisions);
	}
	return 0;
}

/* ---- doing it ---- */

static int run_sql(struct rollback *rollback, const char *sql)
{
	pg_exec(rollback->database->pg, sql, database_done, rollback->database);
	return database_wait(rollback->database);
}

static void on_fence(void *arg, const struct pg_result *result)
{
	((struct rollback *)arg)->known = pg_n_rows(result) == 1;
}

static int fence(struct rollback *rollback, struct holder *holder)
{
	if (database_query(rollback->database, holder_fence(holder), NULL, 0, on_fence, rollback) < 0) {
		return -1;
	}
	if (!rollback->known) {
		lease_set_fenced(&rollback->database->error);
	}
	return rollback->known ? 0 : -1;
}

static void on_dates(void *arg, const struct pg_result *result)
{
	struct rollback *rollback = arg;

	rollback->dates = strdup(pg_value(result, 0, 0));
	rollback->no_memory = !rollback->dates;
}

static void on_done_count(void *arg, const struct pg_result *result)
{
	((struct rollback *)arg)->n_done += pg_i64(result, 0, 0);
}

static void on_booked(void *arg, const struct pg_result *result, const struct error *error)
{
	(void)result;
	database_done(arg, error);
}

static void on_left(void *arg, const struct pg_result *result)
{
	struct rollback *rollback = arg;

	rollback->any_left = pg_bool(result, 0, 0);
	rollback->left = strdup(pg_value(result, 0, 1));
	rollback->no_memory = !rollback->left;
}

/* Which of the dates still have rows. */
static int ask_left(struct rollback *rollback)
{
	_cleanup_buffer_ struct buffer sql = {0};
	struct pg_param params[] = {{.data = rollback->dates}};
	int r;

	rollback_left_sql(rollback->dataset, &sql);
	r = buffer_failed(&sql) ? -1
				: database_query(rollback->database, buffer_str(&sql), params,
					  N_ELEMENTS(params), on_left, rollback);
	return r == 0 && !rollback->no_memory
		       ? 0
		       : error_no_memory(&rollback->database->error, "cli"); /* the first stays */
}

static int book(struct rollback *rollback)
{
	struct database *database = rollback->database;

	ledger_roll_back(database->pg, rollback->run, on_booked, database);
	if (database_wait(database) < 0) {
		return -1;
	}
	if (rollback->n_rows == 0) {
		return 0; /* its rows were all known before: what is proven of them stays */
	}
	if (ask_left(rollback) < 0) {
		return -1;
	}
	ledger_make_holes(database->pg, rollback->dataset_name, rollback->dates, rollback->left,
		rollback->any_left, on_booked, database);
	return database_wait(database);
}

static int undo(struct rollback *rollback, struct holder *holder)
{
	if (run_sql(rollback, "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '30s'") <
			0 ||
		fence(rollback, holder) < 0 ||
		ask(rollback, rollback_count_sql, on_counts) < 0 ||
		ask(rollback, rollback_dates_sql, on_dates) < 0) {
		return -1;
	}
	if (rollback->no_memory) {
		return error_no_memory(&rollback->database->error, "cli");
	}
	if (ask(rollback, rollback_restore_sql, on_done_count) < 0 ||
		ask(rollback, rollback_delete_sql, on_done_count) < 0 || book(rollback) < 0) {
		return -1;
	}
	return database_query(rollback->database, "COMMIT", NULL, 0, NULL, NULL);
}

static int undo_or_not(struct rollback *rollback, struct holder *holder)
{
	struct error error;
	int code;

	if (undo(rollback, holder) == 0) {
		fprintf(rollback->cli->out, "done: %" PRId64 " rows, %" PRId64 " slices rolled back\n",
			rollback->n_done, rollback->n_slices);
		return EXITCODE_OK;
	}
	error = rollback->database->error;
	code = database_fail(rollback->cli, &error);
	if (pg_is_connected(rollback->database->pg)) {
		(void)!run_sql(rollback, "ROLLBACK");
	}
	return code;
}

/* ---- the command ---- */

static int dry_run(struct rollback *rollback)
{
	struct database database;
	int code = database_open(rollback->cli, DATABASE_WRITER, &database);

	rollback->database = &database;
	code = code == 0 ? look_at_run(rollback) : code;
	code = code == 0 ? say(rollback) : code;
	if (code == 0) {
		fputs("nothing was changed: say --yes\n", rollback->cli->out);
	}
	database_close(&database);
	return code;
}

static int for_real(struct rollback *rollback)
{
	struct holder holder;
	int code = holder_open(rollback->cli, &holder);

	rollback->database = &holder.database;
	code = code == 0 ? look_at_run(rollback) : code;
	code = code == 0 ? say(rollback) : code;
	code = code == 0 ? undo_or_not(rollback, &holder) : code;
	holder_close(&holder);
	return code;
}

static int run_rollback(struct cli *cli)
{
	struct rollback rollback = {.cli = cli};
	const char *run = cli_option(cli, "run");
	int code;

	if (!run || !cli_id(run, &rollback.run)) {
		return cli_usage(cli, "name the run: --run=ID");
	}
	snprintf(rollback.number, sizeof(rollback.number), "%" PRId64, rollback.run);
	code = cli_flag(cli, "yes") ? for_real(&rollback) : dry_run(&rollback);
	free(rollback.dates);
	free(rollback.left);
	return code;
}

static const struct cli_option options[] = {
	{"run", "N", "the run that fetched the rows"},
	{"yes", NULL, "do it; else only say what would be done"},
	CLI_OPTION_END,
};

const struct command command_rollback = {
	.name = "rollback",
	.synopsis = "",
	.summary = "Undo what a run wrote",
	.help = "Rows that the run wrote return to the values that it replaced, or are deleted if it\n"
		"inserted them, in one transaction. Rows that another run changed since stay, and "
		"are\n"
		"counted and listed. Its slices become rolled_back, and the dates are holes until they\n"
		"are fetched again. Without --yes nothing is changed.\n",
	.run = run_rollback,
	.options = options,
};
