/*
 * ogdsync lookup similar: names that probably mean the same thing. SPDX-License-Identifier: Apache-2.0
 *
 * The portal renames; facts keep the names that were served. This proposes pairs (daemon/similar.h)
 * of names that are joined to nothing yet, the surest first. It changes nothing.
 */

#include <string.h>

#include "cli/commands.h"
#include "cli/document.h"
#include "cli/lookup.h"
#include "cli/table.h"
#include "daemon/similar.h"
#include "lib/exitcode.h"

struct proposals {
	struct cli *cli;
	const struct config *config;
	struct table table;
	json_t *pairs; /* with --json */
};

static int by_similar(const void *a, const void *b)
{
	const struct similar_pair *x = a, *y = b;

	return x->similar != y->similar ? (x->similar < y->similar ? -1 : 1)
	       : x->old != y->old	? (x->old < y->old ? -1 : 1)
					: (x->current > y->current) - (x->current < y->current);
}

static void add_row(struct proposals *proposals, const struct lookup_names *names, const struct lookup_name *name)
{
	_cleanup_buffer_ struct buffer id = {0}, texts = {0};

	lookup_append_id(proposals->config, names->place, name->id, &id);
	lookup_append_texts(names, name, &texts);
	table_add(&proposals->table, buffer_str(&id));
	table_add(&proposals->table, buffer_str(&texts));
	table_addf(&proposals->table, "%s..%s", name->first_seen ? name->first_seen : "",
		name->last_seen ? name->last_seen : "");
}

static int add_pair(struct proposals *proposals, const struct lookup_names *names,
	const struct similar_pair *pair)
{
	const struct lookup_name *old = &names->list[pair->old], *current = &names->list[pair->current];

	if (!proposals->pairs) {
		table_add(&proposals->table, similar_name(pair->similar));
		add_row(proposals, names, old);
		add_row(proposals, names, current);
		return 0;
	}
	return json_array_append_new(proposals->pairs,
		json_pack("{s:s, s:s, s:s, s:o, s:o}", "dataset", names->place.dataset->name,
			"lookup", names->place.lookup->name, "why", similar_name(pair->similar),
			"old", lookup_name_json(proposals->config, names, old), "current",
			lookup_name_json(proposals->config, names, current)));
}

static int propose(struct proposals *proposals, const struct lookup_names *names)
{
	_cleanup_free_ struct similar_row *rows = calloc(names->n + 1, sizeof(*rows));
	struct similar_list found = {0};
	int r = rows ? 0 : -1;

	for (unsigned i = 0; rows && i < names->n; i++) {
		rows[i] = (struct similar_row){
			.names = names->list[i].texts, .rank = names->list[i].rank};
	}
	r = r == 0 ? similar_find(rows, names->n, names->place.lookup->n_columns, false, &found) : r;
	if (r == 0 && found.n_pairs > 0) {
		qsort(found.pairs, found.n_pairs, sizeof(*found.pairs), by_similar);
	}
	for (size_t i = 0; i < found.n_pairs && r == 0; i++) {
		r = add_pair(proposals, names, &found.pairs[i]);
	}
	similar_list_fini(&found);
	return r < 0 ? cli_error(proposals->cli, EXITCODE_SOFTWARE, "out of memory") : 0;
}

static int propose_for(struct proposals *proposals, struct database *database, struct lookup_place place)
{
	struct lookup_names names;
	int code = lookup_names_read(database, place, "t.same_as IS NULL", &names);

	code = code == 0 ? propose(proposals, &names) : code;
	lookup_names_free(&names);
	return code;
}

static int propose_all(struct proposals *proposals, struct database *database)
{
	const struct config *config = database->config;
	const char *operand = proposals->cli->n_operands ? proposals->cli->operands[0] : NULL;
	struct lookup_place place;
	int code = 0;

	if (operand) {
		code = lookup_place(proposals->cli, config, operand, operand + strlen(operand), &place);
		return code == 0 ? propose_for(proposals, database, place) : code;
	}
	for (unsigned d = 0; d < config->n_datasets; d++) {
		for (unsigned l = 0; l < config->datasets[d]->n_lookups && code == 0; l++) {
			place = (struct lookup_place){config->datasets[d], &config->datasets[d]->lookups[l]};
			code = propose_for(proposals, database, place);
		}
	}
	return code;
}

static int print_proposals(struct proposals *proposals)
{
	struct cli *cli = proposals->cli;
	json_t *pairs = proposals->pairs;

	if (pairs) {
		proposals->pairs = NULL;
		return document_print(cli, json_pack("{s:o}", "pairs", pairs));
	}
	if (proposals->table.n_cells == 0) {
		fputs("no two names look alike\n", cli->err);
	}
	return table_print(&proposals->table, cli->out) < 0
		       ? cli_error(cli, EXITCODE_SOFTWARE, "out of memory")
		       : EXITCODE_OK;
}

static int run_similar(struct cli *cli)
{
	static const struct table_column columns[] = {
		{"WHY", false},
		{"OLD", false},
		{"NAME", false},
		{"SEEN", false},
		{"CURRENT", false},
		{"NAME", false},
		{"SEEN", false},
	};
	struct proposals proposals = {
		.cli = cli,
		.table = {.columns = columns, .n_columns = N_ELEMENTS(columns)},
		.pairs = cli_flag(cli, "json") ? json_array() : NULL,
	};
	struct database database;
	int code = database_open(cli, DATABASE_WRITER, &database);

	proposals.config = database.config;
	code = code == 0 ? propose_all(&proposals, &database) : code;
	code = code == 0 ? print_proposals(&proposals) : code;
	json_decref(proposals.pairs);
	table_fini(&proposals.table);
	database_close(&database);
	return code;
}

static const struct cli_option options[] = {CLI_OPTION_JSON, CLI_OPTION_END};

const struct command command_lookup_similar = {
	.name = "lookup similar",
	.synopsis = "[LOOKUP]",
	.summary = "Propose names that probably mean the same thing",
	.help = "Compares the names of a lookup (or of all) that are joined to nothing yet. They are alike but\n"
		"for case, space, punctuation, an APMC before or behind, a known spelling, or a letter or two\n"
		"of one longer word. Changes nothing: see `ogdsync lookup join`.\n",
	.run = run_similar,
	.options = options,
	.max_operands = 1,
};
