/*
 * Records out of quarantine. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path is, for the records of one slice at a time:
 *   - read them; decode and normalise each by the rules of the configuration as it is now;
 *   - those that are good become the one page of a file in memory, which the load stage loads like
 *     any other: their rows, their books and their leaving are one transaction;
 *   - go on behind them.
 *
 * A record whose key has a row of the same run with other values is a conflict: the row stays, and
 * the record does. One whose row is younger counts as unchanged, and leaves.
 *
 * Possible failure modes are: the dataset or source is not configured any more, a record cannot be
 * read still: it stays. A load fails: that is said, and ends it.
 */

#include "cli/release.h"

#include <stdio.h>
#include <string.h>

#include "daemon/normalise.h"
#include "daemon/spool_memory.h"
#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/scrub.h"

enum { BATCH_BYTES = 2 * 1024 * 1024 };

struct piece {
	int64_t id;
	size_t at, len; /* in raws */
	bool good;
};

struct batch {
	struct database *database;
	struct ledger_place place; /* of the last record taken */
	char of[SPOOL_UUID_BYTES]; /* "" unknown */
	int32_t day;
	struct buffer raws;
	struct piece pieces[LEDGER_PICK_ROWS];
	unsigned n, n_good;
	bool full;
	struct buffer page;
	struct arena arena;
	struct normaliser *normaliser; /* of the sifting */
	struct field *row;
};

/* ---- taking them ---- */

static void copy_text(char *room, size_t size, const struct pg_result *row, int column)
{
	snprintf(room, size, "%.*s", pg_value_len(row, 0, column), pg_value(row, 0, column));
}

static int64_t int8_at(const struct pg_result *row, int column)
{
	return field_to_int8((struct field){.len = 8, .data = pg_value(row, 0, column)});
}

static void on_record_row(void *arg, const struct pg_result *row)
{
	struct batch *batch = arg;
	size_t len = (size_t)pg_value_len(row, 0, 5);

	batch->full |= batch->n > 0 && batch->raws.len + len > BATCH_BYTES;
	if (batch->full || batch->n == LEDGER_PICK_ROWS) {
		return;
	}
	batch->place.id = int8_at(row, 0);
	copy_text(batch->place.dataset, sizeof(batch->place.dataset), row, 1);
	copy_text(batch->place.source, sizeof(batch->place.source), row, 2);
	copy_text(batch->place.slice, sizeof(batch->place.slice), row, 3);
	batch->place.run = int8_at(row, 4);
	copy_text(batch->of, sizeof(batch->of), row, 6);
	batch->day = INT32_MIN;
	if (!pg_is_null(row, 0, 7)) {
		batch->day = field_to_int4((struct field){.len = 4, .data = pg_value(row, 0, 7)});
	}
	batch->pieces[batch->n++] = (struct piece){
		.id = batch->place.id, .at = batch->raws.len, .len = len};
	buffer_append(&batch->raws, pg_value(row, 0, 5), len);
}

static void on_records(void *arg, const struct error *error)
{
	database_done(((struct batch *)arg)->database, error);
}

static int take_batch(struct batch *batch, const struct ledger_pick *pick)
{
	struct ledger_place after = batch->place;

	buffer_clear(&batch->raws);
	batch->n = batch->n_good = 0;
	batch->full = false;
	ledger_pick_records(batch->database->pg, pick, &after, on_record_row, on_records, batch);
	if (database_wait(batch->database) < 0) {
		return -1;
	}
	return buffer_failed(&batch->raws) ? error_no_memory(&batch->database->error, "cli") : 0;
}

/* ---- which are good ---- */

/* An answer of the portal with all records, or with the good ones. */
static void make_page(struct batch *batch, bool only_good)
{
	const char *comma = "";

	buffer_clear(&batch->page);
	buffer_append_str(&batch->page, "{\"status\":\"ok\",\"records\":[");
	for (unsigned i = 0; i < batch->n; i++) {
		const struct piece *piece = &batch->pieces[i];

		if (piece->good || !only_good) {
			buffer_append_str(&batch->page, comma);
			buffer_append(&batch->page, batch->raws.data + piece->at, piece->len);
			comma = ",";
		}
	}
	buffer_append_str(&batch->page, "]}");
}

static int on_record(void *arg, const struct record *record)
{
	struct batch *batch = arg;
	struct reject reject;
	int r;

	arena_reset(&batch->arena);
	r = normalise(batch->normaliser, record, &batch->arena, batch->row, &reject);
	if (r == 0 && record->index < batch->n) {
		batch->pieces[record->index].good = true;
		batch->n_good++;
	}
	return r < 0 ? r : 0;
}

/* -1: memory is short, or the records cannot be read at all. */
static int sift(struct batch *batch, const struct source *source, struct error *error)
{
	struct decode *decode = NULL;
	int r = decode_new(on_record, batch, &decode);

	if (r == 0) {
		r = normaliser_new(source, &batch->normaliser);
	}
	batch->row = calloc(source->dataset->n_columns, sizeof(*batch->row));
	make_page(batch, false);
	if (r == 0 && batch->row && !buffer_failed(&batch->page)) {
		r = decode_feed(decode, batch->page.data, batch->page.len, error);
	} else {
		r = -1;
	}
	batch->normaliser = normaliser_free(batch->normaliser);
	free(take_ptr(batch->row));
	decode_free(decode);
	return r < 0 ? error_no_memory(error, "cli") : 0; /* the first error stays */
}

/* ---- loading them ---- */

static void describe(const struct batch *batch, const struct rerun_list *reruns,
	struct spool_header *header, struct spool_outcome *outcome)
{
	*header = (struct spool_header){
		.run = batch->place.run,
		.day = batch->day,
		.started_us = batch->place.run * 1000, /* what a run's id is */
	};
	snprintf(header->dataset, sizeof(header->dataset), "%s", batch->place.dataset);
	snprintf(header->source, sizeof(header->source), "%s", batch->place.source);
	snprintf(header->slice, sizeof(header->slice), "%s", batch->place.slice);
	snprintf(header->trigger, sizeof(header->trigger), "%s", reruns->trigger);
	*outcome = (struct spool_outcome){
		.state = SLICE_PARTIAL,
		.reason = "quarantine",
		.text = "records out of quarantine",
		.expected = batch->n_good,
		.received = batch->n_good,
		.distinct = batch->n_good,
		.pages = 1,
		.passes = 1,
		.finished_us = clock_wall_us(&clock_system),
	};
}

static int load_good(struct batch *batch, struct rerun_list *reruns, const struct source *source,
	int64_t loaded, struct release_totals *totals, struct error *error)
{
	int64_t ids[LEDGER_PICK_ROWS];
	bool rejected[LEDGER_PICK_ROWS] = {false};
	struct load_release release = {.ids = ids, .rejected = rejected, .loaded = loaded};
	struct load_replay replay = {.release = &release, .of = batch->of[0] ? batch->of : NULL};
	struct load_result result;
	struct spool_reader *reader;
	struct spool_header header;

	for (unsigned i = 0; i < batch->n; i++) {
		if (batch->pieces[i].good) {
			ids[release.n++] = batch->pieces[i].id;
		}
	}
	make_page(batch, true);
	describe(batch, reruns, &header, &replay.outcome);
	if (buffer_failed(&batch->page) || spool_uuid_new(header.uuid) < 0) {
		return error_no_memory(error, "cli");
	}
	if (spool_of_page(&header, &replay.outcome, batch->page.data, batch->page.len, &reader,
		    error) < 0 ||
		rerun_load(reruns, source, &replay, false, reader, &result, error) < 0) {
		return -1;
	}
	for (unsigned i = 0; i < release.n; i++) {
		totals->released += !rejected[i];
	}
	row_counts_add(&totals->counts, &result.counts);
	return 0;
}

/* The exit code, 0 to go on. */
static int release_batch(struct batch *batch, struct rerun_list *reruns, int64_t loaded,
	struct release_totals *totals)
{
	struct database *database = batch->database;
	const struct source *source =
		config_source(database->config, batch->place.dataset, batch->place.source);
	struct error error = {.class = ERROR_NONE};
	int r = 0;

	totals->looked_at += batch->n;
	if (!source) {
		cli_error(database->cli, 0, "%s/%s is not configured: %u records stay",
			batch->place.dataset, batch->place.source, batch->n);
		return 0;
	}
	r = sift(batch, source, &error);
	if (r == 0 && batch->n_good > 0) {
		r = load_good(batch, reruns, source, loaded, totals, &error);
	}
	if (r < 0) {
		return database_fail(database->cli, &error);
	}
	return 0;
}

int release_records(struct rerun_list *reruns, const struct ledger_pick *pick,
	struct progress *progress, struct release_totals *totals)
{
	struct database *database = &reruns->holder->database;
	struct batch *batch = calloc(1, sizeof(*batch));
	int code = 0;

	if (!batch) {
		return cli_error(database->cli, EXITCODE_SOFTWARE, "out of memory");
	}
	batch->database = database;
	while (code == 0) {
		if (take_batch(batch, pick) < 0) {
			code = database_fail(database->cli, &database->error);
		} else if (batch->n == 0) {
			break;
		} else {
			code = release_batch(batch, reruns, pick->run, totals);
		}
		if (progress) {
			progress_set(progress, totals->looked_at);
		}
	}
	buffer_fini(&batch->raws);
	buffer_fini(&batch->page);
	arena_fini(&batch->arena);
	free(batch);
	return code;
}
