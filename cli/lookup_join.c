/*
 * ogdsync lookup join: one name is another one's earlier name. SPDX-License-Identifier: Apache-2.0
 *
 * Sets same_as of the old name, which the view <table>_named follows for <lookup>_current; no fact and
 * no loading changes.
 *
 * same_as is one step deep: the present name has none itself, and nothing points to the old one. That
 * is checked under a lock of the lookup table, for which a running load is waited for. Whatever is
 * refused ends with the connection, and so with the transaction.
 */

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/document.h"
#include "cli/lookup.h"
#include "daemon/partition.h"
#include "lib/exitcode.h"

struct join {
	struct cli *cli;
	struct database database;
	struct lookup_place place;
	int64_t ids[2]; /* the old one, the present one */
	bool undo;
};

static int parse_id(struct join *join, const char *text, unsigned i)
{
	const char *colon = strrchr(text, ':');
	struct lookup_place place;
	char *end = NULL;
	int code;

	join->ids[i] = colon ? strtoll(colon + 1, &end, 10) : 0;
	if (!colon || end == colon + 1 || *end != '\0' || join->ids[i] <= 0 ||
		join->ids[i] > INT_MAX) {
		return cli_usage(join->cli, "'%s' is no id: LOOKUP:NUMBER, like market:17", text);
	}
	code = lookup_place(join->cli, join->database.config, text, colon, &place);
	if (code == 0 && i > 0 && place.lookup != join->place.lookup) {
		return cli_usage(join->cli, "%s and %s are no names of one lookup",
			join->cli->operands[0], text);
	}
	join->place = place;
	return code;
}

static const struct lookup_name *find_name(const struct lookup_names *names, int64_t id)
{
	for (unsigned i = 0; i < names->n; i++) {
		if (names->list[i].id == id) {
			return &names->list[i];
		}
	}
	return NULL;
}

/* Why it cannot be; 0: it can. */
static int check_join(struct join *join, const struct lookup_names *names)
{
	struct cli *cli = join->cli;
	const struct lookup_name *old = find_name(names, join->ids[0]);
	const struct lookup_name *current = find_name(names, join->ids[1]);
	const char *lookup = join->place.lookup->name;

	if (!old || (!join->undo && !current)) {
		return cli_error(cli, EXITCODE_NO_INPUT, "there is no %s:%" PRId64, lookup,
			join->ids[old ? 1 : 0]);
	}
	if (join->undo) {
		return old->same_as ? 0
				    : cli_error(cli, EXITCODE_DATA, "%s:%" PRId64 " is joined to nothing",
					      lookup, old->id);
	}
	if (old == current) {
		return cli_error(cli, EXITCODE_DATA, "these are one name");
	}
	if (old->same_as) {
		return cli_error(cli, EXITCODE_DATA,
			"%s:%" PRId64 " is joined to %s:%" PRId64 " already: --undo that first", lookup,
			old->id, lookup, old->same_as);
	}
	if (current->same_as) {
		return cli_error(cli, EXITCODE_DATA,
			"%s:%" PRId64 " is itself joined to %s:%" PRId64 ": join to that", lookup,
			current->id, lookup, current->same_as);
	}
	if (old->n_pointed > 0) {
		return cli_error(cli, EXITCODE_DATA,
			"%" PRId64 " other names are joined to %s:%" PRId64 ": --undo these first, and"
			" join them to %s:%" PRId64, old->n_pointed, lookup, old->id, lookup,
			current->id);
	}
	return 0;
}

static int statement(struct join *join, const char *sql)
{
	return database_query(&join->database, sql, NULL, 0, NULL, NULL) < 0
		       ? database_fail(join->cli, &join->database.error)
		       : 0;
}

static int begin_join(struct join *join)
{
	_cleanup_buffer_ struct buffer lock = {0};
	int code = statement(join, "BEGIN");

	buffer_append_str(&lock, "LOCK TABLE ");
	append_table(&lock, join->place.lookup->schema, join->place.lookup->table, "");
	buffer_append_str(&lock, " IN SHARE ROW EXCLUSIVE MODE");
	code = code == 0 ? statement(join, "SET LOCAL lock_timeout = '60s'") : code;
	return code == 0 ? statement(join, buffer_str(&lock)) : code;
}

static int set_same_as(struct join *join)
{
	_cleanup_buffer_ struct buffer sql = {0};
	int code;

	buffer_append_str(&sql, "UPDATE ");
	append_table(&sql, join->place.lookup->schema, join->place.lookup->table, "");
	buffer_append_str(&sql, " SET same_as = ");
	if (join->undo) {
		buffer_append_str(&sql, "NULL");
	} else {
		buffer_printf(&sql, "%" PRId64, join->ids[1]);
	}
	buffer_printf(&sql, " WHERE id = %" PRId64, join->ids[0]);
	code = statement(join, buffer_str(&sql));
	return code == 0 ? statement(join, "COMMIT") : code;
}

static int print_join(struct join *join, const struct lookup_names *names)
{
	const struct config *config = join->database.config;
	const struct lookup_name *old = find_name(names, join->ids[0]);
	const struct lookup_name *current = join->undo ? NULL : find_name(names, join->ids[1]);
	_cleanup_buffer_ struct buffer text = {0};

	if (cli_flag(join->cli, "json")) {
		return document_print(join->cli,
			json_pack("{s:s, s:s, s:o, s:o}", "dataset", join->place.dataset->name,
				"lookup", join->place.lookup->name, "old",
				lookup_name_json(config, names, old), "current",
				current ? lookup_name_json(config, names, current) : json_null()));
	}
	lookup_append_texts(names, old, &text);
	buffer_append_str(&text, current ? " is now called " : " stands for itself again");
	if (current) {
		lookup_append_texts(names, current, &text);
	}
	fprintf(join->cli->out, "%s\n", buffer_str(&text));
	return EXITCODE_OK;
}

static int do_join(struct join *join)
{
	char where[64];
	struct lookup_names names;
	int code = begin_join(join);

	if (code != 0) {
		return code;
	}
	snprintf(where, sizeof(where), "t.id IN (%" PRId64 ", %" PRId64 ")", join->ids[0],
		join->ids[1]);
	code = lookup_names_read(&join->database, join->place, where, &names);
	code = code == 0 ? check_join(join, &names) : code;
	code = code == 0 ? set_same_as(join) : code;
	code = code == 0 ? print_join(join, &names) : code;
	lookup_names_free(&names);
	return code;
}

static int run_join(struct cli *cli)
{
	struct join join = {.cli = cli, .undo = cli_flag(cli, "undo")};
	int code;

	if (cli->n_operands != (join.undo ? 1 : 2)) {
		return cli_usage(cli, join.undo ? "--undo takes one id"
						: "the id of the old name, and that of the present one");
	}
	code = database_config(cli, &join.database);
	for (int i = 0; i < cli->n_operands && code == 0; i++) {
		code = parse_id(&join, cli->operands[i], (unsigned)i);
	}
	code = code == 0 ? database_connect(&join.database, DATABASE_WRITER) : code;
	code = code == 0 ? do_join(&join) : code;
	database_close(&join.database);
	return code;
}

static const struct cli_option options[] = {
	{"undo", NULL, "take it back"},
	CLI_OPTION_JSON,
	CLI_OPTION_END,
};

const struct command command_lookup_join = {
	.name = "lookup join",
	.synopsis = "OLD [CURRENT]",
	.summary = "Say that one name is another one's earlier name",
	.help = "OLD and CURRENT are ids as `ogdsync lookup similar` shows them, like market:17. The view\n"
		"<table>_named then shows CURRENT as <lookup>_current for both. No fact is changed. A name is\n"
		"joined to one that is joined to nothing itself.\n",
	.run = run_join,
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
};
