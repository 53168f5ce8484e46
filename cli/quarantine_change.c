/*
 * ogdsync quarantine replay, drop: records that are to leave quarantine.
 * SPDX-License-Identifier: Apache-2.0
 *
 * `replay` reads them by today's rules, as holder of the lease (release.h): what is good now is loaded.
 * `drop` deletes them, or says how many they are; it touches no table but that one, and needs no
 * lease.
 */

#include <inttypes.h>

#include "cli/commands.h"
#include "cli/release.h"
#include "lib/exitcode.h"

/* What was picked on the command line. */
struct picked {
	struct ledger_pick pick;
	struct pgarray ids;
};

static void add_id(struct pgarray *ids, int64_t id)
{
	unsigned char store[8];

	pgarray_add(ids, field_int8(id, store));
}

static int read_picked(struct cli *cli, struct picked *picked)
{
	bool options = cli_option(cli, "dataset") || cli_option(cli, "reason");

	*picked = (struct picked){
		.pick = {.dataset = cli_option(cli, "dataset"), .reason = cli_option(cli, "reason")}};
	pgarray_init(&picked->ids, PG_OID_INT8);
	if (options && cli->n_operands > 0) {
		return cli_usage(cli, "name records, or a dataset and a reason");
	}
	for (int i = 0; i < cli->n_operands; i++) {
		int64_t id;

		if (!cli_id(cli->operands[i], &id)) {
			return cli_usage(cli, "'%s' is no id of a record", cli->operands[i]);
		}
		add_id(&picked->ids, id);
		picked->pick.ids = &picked->ids;
	}
	return buffer_failed(&picked->ids.bytes)
		       ? cli_error(cli, EXITCODE_SOFTWARE, "out of memory")
		       : 0;
}

struct count {
	struct database *database;
	int64_t n;
};

static void on_count(void *arg, const struct pg_result *result, const struct error *error)
{
	struct count *count = arg;

	if (!error) {
		count->n = pg_i64(result, 0, 0);
	}
	database_done(count->database, error);
}

static int count_or_drop(struct database *database, const struct ledger_pick *pick, bool only_count,
	int64_t *ret)
{
	struct count count = {.database = database};

	ledger_drop_records(database->pg, pick, only_count, on_count, &count);
	if (database_wait(database) < 0) {
		return database_fail(database->cli, &database->error);
	}
	*ret = count.n;
	return 0;
}

static int replay_all(struct cli *cli, struct holder *holder, const struct ledger_pick *pick)
{
	struct release_totals totals = {0};
	struct rerun_list reruns;
	struct progress progress;
	int64_t n = 0;
	int code = count_or_drop(&holder->database, pick, true, &n);

	if (code != 0) {
		return code;
	}
	progress_begin(&progress, cli->err, "replaying", (uint64_t)n);
	rerun_init(&reruns, holder, "quarantine");
	code = release_records(&reruns, pick, &progress, &totals);
	progress_clear(&progress);
	if (code == 0 && rerun_finish(&reruns) < 0) {
		code = database_fail(cli, &holder->database.error);
	}
	rerun_fini(&reruns);
	fprintf(cli->out,
		"%" PRIu64 " records, %" PRIu64 " left quarantine (%" PRIu64 " inserted, %" PRIu64
		" updated, %" PRIu64 " unchanged, %" PRIu64 " duplicate), %" PRIu64 " stay\n",
		totals.looked_at, totals.released, totals.counts.inserted, totals.counts.updated,
		totals.counts.unchanged, totals.counts.duplicate,
		totals.looked_at - totals.released);
	return code;
}

static int run_replay(struct cli *cli)
{
	struct picked picked;
	struct holder holder;
	int code = read_picked(cli, &picked);

	if (code == 0) {
		code = holder_open(cli, &holder);
		if (code == 0) {
			code = replay_all(cli, &holder, &picked.pick);
		}
		holder_close(&holder);
	}
	pgarray_fini(&picked.ids);
	return code;
}

static int drop(struct cli *cli, const struct ledger_pick *pick)
{
	bool yes = cli_flag(cli, "yes");
	struct database database;
	int64_t n = 0;
	int code = database_open(cli, DATABASE_WRITER, &database);

	if (code == 0) {
		code = count_or_drop(&database, pick, !yes, &n);
	}
	if (code == 0) {
		fprintf(cli->out, "%" PRId64 " records %s\n", n,
			yes ? "deleted" : "would be deleted: say --yes");
	}
	database_close(&database);
	return code;
}

static int run_drop(struct cli *cli)
{
	struct picked picked;
	int code = read_picked(cli, &picked);

	if (code == 0 && !picked.pick.ids && !picked.pick.dataset && !picked.pick.reason) {
		code = cli_usage(cli, "name records, or a dataset, or a reason");
	}
	code = code == 0 ? drop(cli, &picked.pick) : code;
	pgarray_fini(&picked.ids);
	return code;
}

static const struct cli_option replay_options[] = {
	{"dataset", "D", "all of this dataset"},
	{"reason", "R", "all with this reason"},
	CLI_OPTION_END,
};

static const struct cli_option drop_options[] = {
	{"dataset", "D", "all of this dataset"},
	{"reason", "R", "all with this reason"},
	{"yes", NULL, "do it; else only say how many there are"},
	CLI_OPTION_END,
};

const struct command command_quarantine_replay = {
	.name = "quarantine replay",
	.synopsis = "[ID...]",
	.summary = "Read them by today's rules, and load what is good now",
	.help = "What is loaded leaves quarantine in the same transaction; what is bad still stays as\n"
		"it is. Without a choice, all of them. A daemon that runs lends its lease.\n",
	.run = run_replay,
	.options = replay_options,
	.max_operands = -1,
};

const struct command command_quarantine_drop = {
	.name = "quarantine drop",
	.synopsis = "[ID...]",
	.summary = "Delete records for good",
	.help = "They are named, or chosen by dataset or reason. Without --yes it only counts them.\n",
	.run = run_drop,
	.options = drop_options,
	.max_operands = -1,
};
