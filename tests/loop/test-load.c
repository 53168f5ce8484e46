/*
 * The load stage, from a spool file to the tables of a real server.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each test has fresh tables, made by the schema stage itself. Pages are written by hand into the
 * spool; what the tables hold afterwards is read by SQL, never by our own code.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "daemon/load.h"
#include "daemon/schema.h"
#include "tests/helper/dataset.h"
#include "tests/loop/helper/fail_alloc.h"
#include "tests/loop/helper/pgloop.h"
#include "tests/loop/helper/postgres.h"

/* There under gcc's and clang's AddressSanitizer, whose memory is not ours to bound. */
void __asan_init(void) __attribute__((weak));

enum { DAY = 20776 /* 2026-11-19 */, MEMORY_BYTES = 4 * 1024 * 1024 };

#define DAY_US INT64_C(86400000000)
/* The next day at 09:30 in India: the data date is over. */
#define NEXT_MORNING_US ((DAY + 1) * DAY_US + 4 * INT64_C(3600000000))

struct rig {
	struct postgres *postgres;
	struct pgloop l;
	char directory[64];
	struct spool *spool;
	struct config *config;
	struct lookup_set *lookups[4];
	struct clock_manual clock;
	size_t memory_bytes;
	bool force;
	const char *fence;
};

/* ---- fresh tables ---- */

struct schema_outcome {
	unsigned n_done, n_statements;
	struct error error;
	char statements[16 * 1024];
};

static void on_schema(void *arg, const struct schema_result *result, const struct error *error)
{
	struct schema_outcome *outcome = arg;

	outcome->n_done++;
	outcome->n_statements = result->n_statements;
	snprintf(outcome->statements, sizeof(outcome->statements), "%s", result->statements);
	outcome->error = error ? *error : (struct error){0};
}

static struct schema_outcome schema(struct rig *rig, enum schema_mode mode, const char *writer)
{
	struct schema_outcome outcome = {0};
	struct schema_options options = {
		.pg = rig->l.pg,
		.config = rig->config,
		.mode = mode,
		.writer = writer,
		.today = DAY,
	};

	assert_int_equal(schema_start(&options, on_schema, &outcome), 0);
	pgloop_until(&rig->l, &outcome.n_done, 1);
	return outcome;
}

static void must(const struct error *error)
{
	if (error_is_set(error)) {
		fail_msg("%s %s: %s", error_class_name(error->class), error->code, error->text);
	}
}

static void new_lookups(struct rig *rig)
{
	for (unsigned d = 0; d < rig->config->n_datasets; d++) {
		lookup_set_free(rig->lookups[d]);
		assert_int_equal(lookup_set_new(rig->config->datasets[d], &rig->lookups[d]), 0);
	}
}

static int set_up(void **state)
{
	const char *const datasets[] = {DATASET_PRICES, DATASET_FLAT, DATASET_LATEST, DATASET_KEEP};
	struct spool_options options = {.keep_ms = UINT64_MAX};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct schema_outcome applied;
	struct error error = {0};

	rig->postgres = *state;
	postgres_sql(rig->postgres, "DROP SCHEMA IF EXISTS m, s, ogdsync CASCADE");
	pgloop_open(&rig->l, postgres_dsn(rig->postgres));
	pgloop_connect(&rig->l);
	strcpy(rig->directory, "/tmp/test-load-XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	options.directory = rig->directory;
	if (spool_open(&rig->l.loop, &options, &rig->spool, &error) < 0) {
		fail_msg("%s", error.text);
	}
	rig->config = dataset_config(datasets, N_ELEMENTS(datasets));
	applied = schema(rig, SCHEMA_APPLY, NULL);
	must(&applied.error);
	new_lookups(rig);
	clock_manual_init(&rig->clock, NEXT_MORNING_US);
	rig->memory_bytes = MEMORY_BYTES;
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[128];

	*state = rig->postgres;
	for (unsigned d = 0; d < rig->config->n_datasets; d++) {
		lookup_set_free(rig->lookups[d]);
	}
	spool_free(rig->spool);
	pgloop_close(&rig->l); /* and the loop: nothing may be left on it */
	config_unref(rig->config);
	snprintf(command, sizeof(command), "rm -rf '%s'", rig->directory);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

/* ---- slices ---- */

struct slice {
	struct spool_writer *writer;
	struct spool_header header;
	struct spool_outcome outcome;
	struct buffer page;
	unsigned n_rows; /* of the open page */
};

static void slice_begin(struct rig *rig, struct slice *slice, const char *dataset,
	const char *source, const char *name, int64_t run)
{
	struct error error = {0};

	*slice = (struct slice){
		.header = {.run = run, .day = INT32_MIN, .started_us = NEXT_MORNING_US - 1000000},
		.outcome = {.state = SLICE_PROVEN,
			.expected = -1,
			.passes = 1,
			.finished_us = NEXT_MORNING_US},
	};
	snprintf(slice->header.dataset, sizeof(slice->header.dataset), "%s", dataset);
	snprintf(slice->header.source, sizeof(slice->header.source), "%s", source);
	snprintf(slice->header.slice, sizeof(slice->header.slice), "%s", name);
	strcpy(slice->header.trigger, "schedule");
	assert_int_equal(spool_uuid_new(slice->header.uuid), 0);
	if (strcmp(source, "history") == 0) {
		slice->header.day = DAY;
	}
	if (spool_create(rig->spool, &slice->header, &slice->writer, &error) < 0) {
		fail_msg("%s", error.text);
	}
}

static void end_page(struct slice *slice)
{
	_cleanup_buffer_ struct buffer body = {0};
	struct error error = {0};

	buffer_printf(&body, "{\"status\":\"ok\",\"total\":%u,\"count\":%u,\"records\":[%s]}",
		slice->n_rows, slice->n_rows, buffer_str(&slice->page));
	assert_int_equal(spool_page_begin(slice->writer, &error), 0);
	assert_int_equal(spool_page_write(slice->writer, body.data, body.len, &error), 0);
	assert_int_equal(spool_page_end(slice->writer, &error), 0);
	buffer_clear(&slice->page);
	slice->n_rows = 0;
	slice->outcome.pages++;
}

static void add_record(struct slice *slice, const char *record)
{
	buffer_append_str(&slice->page, slice->n_rows++ > 0 ? "," : "");
	buffer_append_str(&slice->page, record);
	slice->outcome.received++;
	slice->outcome.distinct++;
}

/* Numbers are served as strings, as the portal does. */
static void add_price(struct slice *slice, const char *market, const char *commodity,
	const char *day, const char *low, const char *price)
{
	char record[512];

	snprintf(record, sizeof(record),
		"{\"State\":\"Kerala\",\"Market\":\"%s\",\"Commodity\":\"%s\",\"Day\":\"%s\","
		"\"Low\":\"%s\",\"Price\":\"%s\"}",
		market, commodity, day, low, price);
	add_record(slice, record);
}

struct done {
	unsigned n;
	struct error error;
	struct load_result result;
};

static void on_committed(void *arg, const struct error *error)
{
	struct done *done = arg;

	done->n++;
	assert_null(error);
}

static void slice_end(struct rig *rig, struct slice *slice)
{
	struct done done = {0};

	if (slice->n_rows > 0) {
		end_page(slice);
	}
	spool_commit(slice->writer, &slice->outcome, on_committed, &done);
	pgloop_until(&rig->l, &done.n, 1);
	buffer_fini(&slice->page);
}

/* ---- loading ---- */

static void on_loaded(void *arg, const struct load_result *result, const struct error *error)
{
	struct done *done = arg;

	done->n++;
	done->result = *result;
	done->error = error ? *error : (struct error){0};
}

static unsigned dataset_index(const struct rig *rig, const char *name)
{
	unsigned d = 0;

	while (strcmp(rig->config->datasets[d]->name, name) != 0) {
		d++;
	}
	return d;
}

/* Returns -1 when it did not start. */
static int start(struct rig *rig, const struct slice *slice, struct done *done, struct load **load)
{
	unsigned d = dataset_index(rig, slice->header.dataset);
	struct load_options options = {
		.loop = &rig->l.loop,
		.pg = rig->l.pg,
		.spool = rig->spool,
		.clock = &rig->clock.clock,
		.dataset = rig->config->datasets[d],
		.source = config_source(rig->config, slice->header.dataset, slice->header.source),
		.lookups = rig->lookups[d],
		.memory_bytes = rig->memory_bytes,
		.n_slices = 1,
		.force = rig->force,
		.fence = rig->fence,
	};

	*done = (struct done){0};
	if (load_start(&options, slice->header.uuid, on_loaded, done, load, &done->error) < 0) {
		return -1;
	}
	assert_int_equal(done->n, 0); /* never from inside */
	return 0;
}

static struct done try_load(struct rig *rig, const struct slice *slice)
{
	struct load *load;
	struct done done;

	if (start(rig, slice, &done, &load) == 0) {
		pgloop_until(&rig->l, &done.n, 1);
	}
	assert_false(pg_is_busy(rig->l.pg));
	return done;
}

/* "received inserted updated unchanged duplicate quarantined" */
static void check_counts(const struct row_counts *c, const char *want)
{
	char have[160];

	assert_int_equal(c->received,
		c->inserted + c->updated + c->unchanged + c->duplicate + c->quarantined);
	snprintf(have, sizeof(have), "%d %d %d %d %d %d", (int)c->received, (int)c->inserted,
		(int)c->updated, (int)c->unchanged, (int)c->duplicate, (int)c->quarantined);
	assert_string_equal(have, want);
}

static void load(struct rig *rig, const struct slice *slice, const char *counts)
{
	struct done done = try_load(rig, slice);

	must(&done.error);
	check_counts(&done.result.counts, counts);
	assert_false(done.result.already);
}

static void check_failure(const struct done *done, enum error_class class, const char *code)
{
	assert_string_equal(done->error.code, code);
	assert_string_equal(error_class_name(done->error.class), error_class_name(class));
}

static void check_sql(struct rig *rig, const char *sql, const char *want)
{
	char value[4096];

	postgres_value(rig->postgres, sql, value, sizeof(value));
	assert_string_equal(value, want);
}

#define PRICES                                                                                     \
	"SELECT string_agg(concat_ws(' ', market, commodity, day, coalesce(low::text, '~'), "      \
	"price,"                                                                                   \
	" run_id), ', ' ORDER BY day, commodity, market) FROM m.price_named"

/* Everything that a load could touch, with the versions of the rows of the targets. */
static void fingerprint(struct rig *rig, char value[static 64])
{
	postgres_value(rig->postgres,
		"SELECT md5(concat("
		"(SELECT string_agg(concat(tableoid, ctid, xmin, t::text), ';' ORDER BY tableoid, "
		"ctid)"
		" FROM m.price t),"
		"(SELECT string_agg(concat(ctid, xmin, t::text), ';' ORDER BY ctid) FROM m.market "
		"t),"
		"(SELECT string_agg(concat(ctid, xmin, t::text), ';' ORDER BY ctid) FROM "
		"m.commodity t),"
		"(SELECT string_agg(t::text, ';' ORDER BY t::text) FROM m.price_revision t),"
		"(SELECT string_agg(concat(ctid, xmin, t::text), ';' ORDER BY ctid) FROM m.flat t),"
		"(SELECT string_agg(t::text, ';' ORDER BY t::text) FROM ogdsync.quarantine t)))",
		value, 64);
}

/* ---- tests ---- */

static void six_prices(struct slice *slice, const char *price)
{
	add_price(slice, "Aluva", "Rice", "19/11/2026", "100", price);
	add_price(slice, "Aluva", "Onion", "19/11/2026", "", "55.50");
	add_price(slice, "Kochi", "Rice", "19/11/2026", "NA", price);
	end_page(slice);
	add_price(slice, "Kochi", "Onion", "19/11/2026", "40", "60");
	add_price(slice, "  Thrissur   APMC ", "Rice", "19/11/2026", "1,00,000", "120000");
	add_price(slice, "Thrissur APMC", "Onion", "19/11/2026", "41", "61");
}

static void test_all_new(void **state)
{
	struct rig *rig = *state;
	struct slice slice;
	struct done done;

	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1001);
	six_prices(&slice, "120");
	slice.outcome.expected = 6;
	slice_end(rig, &slice);
	done = try_load(rig, &slice);
	must(&done.error);
	check_counts(&done.result.counts, "6 6 0 0 0 0");
	assert_int_equal(done.result.newest_day, DAY);
	assert_string_equal(done.result.header.uuid, slice.header.uuid);
	check_sql(rig, PRICES,
		"Aluva Onion 2026-11-19 ~ 55.50 1001, Kochi Onion 2026-11-19 40 60 1001,"
		" Thrissur APMC Onion 2026-11-19 41 61 1001, Aluva Rice 2026-11-19 100 120 1001,"
		" Kochi Rice 2026-11-19 ~ 120 1001,"
		" Thrissur APMC Rice 2026-11-19 100000 120000 1001");
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', state, market, first_seen, last_seen, "
		"is_active), ', '"
		" ORDER BY market) FROM m.market",
		"Kerala Aluva 2026-11-19 2026-11-19 t, Kerala Kochi 2026-11-19 2026-11-19 t,"
		" Kerala Thrissur APMC 2026-11-19 2026-11-19 t");
	check_sql(rig,
		"SELECT concat_ws(' ', run, slice, data_date, state, coalesce(code, '~'), expected,"
		" received, distinct_rows, inserted, pages, passes,"
		" fetched_at AT TIME ZONE 'UTC') FROM ogdsync.run_slice",
		"1001 2026-11-19 2026-11-19 proven ~ 6 6 6 6 2 1 2026-11-20 04:00:00");
	check_sql(rig,
		"SELECT concat_ws(' ', id, dataset, source, trigger, state, slices, received, "
		"inserted)"
		" FROM ogdsync.run",
		"1001 prices history schedule running 1 6 6");
	check_sql(rig,
		"SELECT concat_ws(' ', slice, data_date, state, expected, received, distinct_rows,"
		" quarantined, attempts, run) FROM ogdsync.coverage",
		"2026-11-19 2026-11-19 complete 6 6 6 0 1 1001");
}

static void test_replay_writes_nothing(void **state)
{
	struct rig *rig = *state;
	char before[64], after[64], lsn[64], sql[128];
	struct slice slice;

	for (int64_t run = 1001; run <= 1004; run++) {
		slice_begin(rig, &slice, "prices", "history", "2026-11-19", run);
		six_prices(&slice, run == 1003 ? "120.000" : "120"); /* equal by value */
		add_record(&slice,
			"{\"State\":\"Kerala\",\"Market\":\"X\",\"Commodity\":\"Rice\","
			"\"Day\":\"yesterday\",\"Price\":\"1\"}");
		slice_end(rig, &slice);
		postgres_value(
			rig->postgres, "SELECT pg_current_wal_insert_lsn()", lsn, sizeof(lsn));
		load(rig, &slice, run == 1001 ? "7 6 0 0 0 1" : "7 0 0 6 0 1");
		snprintf(sql, sizeof(sql), "SELECT pg_current_wal_insert_lsn() - '%s'", lsn);
		if (run > 1001) {
			assert_in_range(postgres_number(rig->postgres, sql), 0, 1024);
		}
		if (run == 1001) {
			postgres_sql(
				rig->postgres, "UPDATE ogdsync.quarantine SET last_run = 9999");
			fingerprint(rig, before);
		}
		fingerprint(rig, after);
		assert_string_equal(after, before);
	}
	check_sql(rig, "SELECT concat_ws(' ', attempts, run) FROM ogdsync.coverage", "4 1004");
}

static void test_changes(void **state)
{
	struct rig *rig = *state;
	struct slice slice;

	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1001);
	six_prices(&slice, "120");
	slice_end(rig, &slice);
	load(rig, &slice, "6 6 0 0 0 0");
	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1002);
	six_prices(&slice, "125.5");
	add_price(&slice, "Munnar", "Rice", "19/11/2026", "1", "2");
	slice_end(rig, &slice);
	load(rig, &slice, "7 1 2 4 0 0");
	check_sql(rig, PRICES,
		"Aluva Onion 2026-11-19 ~ 55.50 1001, Kochi Onion 2026-11-19 40 60 1001,"
		" Thrissur APMC Onion 2026-11-19 41 61 1001, Aluva Rice 2026-11-19 100 125.5 1002,"
		" Kochi Rice 2026-11-19 ~ 125.5 1002, Munnar Rice 2026-11-19 1 2 1002,"
		" Thrissur APMC Rice 2026-11-19 100000 120000 1001");
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', m.market, coalesce(low::text, '~'), price, "
		"run_id,"
		" replaced_by), ', ' ORDER BY m.market) FROM m.price_revision r"
		" JOIN m.market m ON m.id = market_id",
		"Aluva 100 120 1001 1002, Kochi ~ 120 1001 1002");
}

/* The greater tuple of values wins, whatever the order; NULL is the least. */
static void test_duplicates_and_conflicts(void **state)
{
	static const char *const prices[] = {"", "90", "100", "90.0", "9"};
	struct rig *rig = *state;
	struct slice slice;

	for (unsigned first = 0; first < N_ELEMENTS(prices); first++) {
		char day[16];

		snprintf(day, sizeof(day), "%02u/11/2026", first + 1);
		slice_begin(rig, &slice, "prices", "live", "all", 1001 + first);
		for (unsigned i = 0; i < N_ELEMENTS(prices); i++) {
			add_price(&slice, "Aluva", "Rice", day,
				prices[(first + i) % N_ELEMENTS(prices)], "120");
			if (i % 2) {
				end_page(&slice);
			}
		}
		slice_end(rig, &slice);
		load(rig, &slice, "5 1 0 0 1 3");
	}
	check_sql(rig, "SELECT string_agg(low::text, ' ') FROM m.price", "100 100 100 100 100");
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', reason, coalesce(\"column\", '~'), page, "
		"position,"
		" convert_from(raw, 'UTF8')), ', ' ORDER BY page, position) FROM ogdsync.quarantine"
		" WHERE first_run = 1001",
		"conflict ~ 1 0 {\"State\":\"Kerala\",\"Market\":\"Aluva\",\"Commodity\":\"Rice\","
		"\"Day\":\"01/11/2026\",\"Low\":\"\",\"Price\":\"120\"}, "
		"conflict ~ 2 1 {\"State\":\"Kerala\",\"Market\":\"Aluva\",\"Commodity\":\"Rice\","
		"\"Day\":\"01/11/2026\",\"Low\":\"90.0\",\"Price\":\"120\"}, "
		"conflict ~ 3 0 {\"State\":\"Kerala\",\"Market\":\"Aluva\",\"Commodity\":\"Rice\","
		"\"Day\":\"01/11/2026\",\"Low\":\"9\",\"Price\":\"120\"}");
}

static void test_rejects(void **state)
{
	static const char *const records[] = {
		"{\"State\":\"Kerala\",\"Market\":\"Aluva\",\"Commodity\":\"Rice\","
		"\"Day\":\"31/11/2026\",\"Low\":\"1\",\"Price\":\"2\"}",
		"{\"State\":\"Kerala\",\"Market\":\"Aluva\",\"Commodity\":\"Rice\","
		"\"Day\":\"19/11/2026\",\"Low\":\"1\",\"Price\":\"-2\"}",
		"{\"State\":\"Kerala\",\"Market\":\"\",\"Commodity\":\"Rice\","
		"\"Day\":\"19/11/2026\",\"Low\":\"1\",\"Price\":\"2\"}",
		"{\"State\":\"Kerala\",\"Market\":\"\xff\",\"Commodity\":\"Rice\","
		"\"Day\":\"19/11/2026\",\"Low\":\"1\",\"Price\":\"2\"}",
	};
	struct rig *rig = *state;
	struct slice slice;

	slice_begin(rig, &slice, "prices", "live", "all", 1001);
	for (unsigned i = 0; i < N_ELEMENTS(records); i++) {
		add_record(&slice, records[i]);
	}
	add_record(&slice, records[0]); /* the same bytes again are one row there */
	six_prices(&slice, "120");
	slice_end(rig, &slice);
	load(rig, &slice, "11 6 0 0 0 5");
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', dataset, source, slice, reason, \"column\", page,"
		" position, first_run, digest = sha256(raw)), ', ' ORDER BY position)"
		" FROM ogdsync.quarantine",
		"prices live all bad_date day 1 0 1001 t, prices live all out_of_range price 1 1 "
		"1001 t,"
		" prices live all missing market 1 2 1001 t, prices live all bad_text market 1 3 "
		"1001 t");
	check_sql(rig,
		"SELECT position('\\xff'::bytea IN raw) > 0 FROM ogdsync.quarantine"
		" WHERE reason = 'bad_text'",
		"t");
	check_sql(
		rig, "SELECT detail <> '' FROM ogdsync.quarantine WHERE reason = 'bad_date'", "t");
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', slice, data_date, state, received, quarantined), "
		"', '"
		" ORDER BY slice) FROM ogdsync.coverage",
		"2026-11-19 2026-11-19 complete 6 0, all complete 11 5");
}

static void load_one_price(struct rig *rig, int64_t run, const char *price, const char *counts)
{
	struct slice slice;

	slice_begin(rig, &slice, "prices", "history", "2026-11-19", run);
	add_price(&slice, "Aluva", "Rice", "19/11/2026", "1", price);
	slice_end(rig, &slice);
	load(rig, &slice, counts);
}

/* More than are held at once: they are written in portions, on both ways through the pages. */
static void test_many_rejects(void **state)
{
	enum { N = 3000 };
	struct rig *rig = *state;
	struct slice slice;

	for (int64_t run = 1; run <= 2; run++) {
		slice_begin(rig, &slice, "prices", "live", "all", run);
		for (unsigned i = 0; i < N; i++) {
			char market[24], price[16];

			snprintf(market, sizeof(market), "M%u", i);
			snprintf(price, sizeof(price), "%u", i);
			add_price(&slice, market, "Rice", "19/11/2026", "1", price);
			add_price(&slice, market, "Rice", "19/11/26", "1", price);
			add_price(&slice, market, "Rice", "19/11/2026", "2", price);
		}
		slice_end(rig, &slice);
		load(rig, &slice, run == 1 ? "9000 3000 0 0 0 6000" : "9000 0 0 3000 0 6000");
		check_sql(rig,
			"SELECT string_agg(concat_ws(' ', reason, n, d), ', ' ORDER BY reason) FROM"
			" (SELECT reason, count(*) n, count(DISTINCT position) d"
			" FROM ogdsync.quarantine GROUP BY reason) x",
			"bad_date 3000 3000, conflict 3000 3000");
	}
	check_sql(rig, "SELECT concat_ws(' ', count(*), min(low), max(low)) FROM m.price",
		"3000 2 2");
	check_sql(rig,
		"SELECT count(*) FROM ogdsync.quarantine WHERE NOT (convert_from(raw, 'UTF8')::json"
		" ->> 'Market' = 'M' || position / 3"
		" AND position % 3 = CASE reason WHEN 'conflict' THEN 0 ELSE 1 END)",
		"0");
}

static void test_nothing_good(void **state)
{
	struct rig *rig = *state;
	struct slice slice;

	slice_begin(rig, &slice, "prices", "live", "all", 1);
	add_price(&slice, "Aluva", "Rice", "nowhen", "1", "2");
	slice_end(rig, &slice);
	load(rig, &slice, "1 0 0 0 0 1");
	slice_begin(rig, &slice, "prices", "live", "all", 2);
	end_page(&slice); /* no records */
	slice_end(rig, &slice);
	load(rig, &slice, "0 0 0 0 0 0");
	slice_begin(rig, &slice, "prices", "live", "all", 3); /* no page */
	slice_end(rig, &slice);
	load(rig, &slice, "0 0 0 0 0 0");
	check_sql(rig, "SELECT count(*) FROM m.market", "0");
}

/* Longer than the pieces in which a page comes. */
static void test_long_text(void **state)
{
	enum { LEN = 60000 };
	struct rig *rig = *state;
	struct slice slice;

	for (int64_t run = 1; run <= 2; run++) {
		slice_begin(rig, &slice, "flat", "all", "all", run);
		for (int i = 0; i < 20; i++) {
			_cleanup_buffer_ struct buffer record = {0};

			buffer_printf(&record, "{\"code\":\"%d\",\"office\":\"o\",\"name\":\"", i);
			for (int k = 0; k < LEN; k++) {
				buffer_append_char(&record, (char)('a' + (i + k) % 26));
			}
			buffer_append_str(&record, "\"}");
			add_record(&slice, buffer_str(&record));
		}
		slice_end(rig, &slice);
		load(rig, &slice, run == 1 ? "20 20 0 0 0 0" : "20 0 0 20 0 0");
	}
	check_sql(rig,
		"SELECT concat_ws(' ', min(length(name)), max(length(name)),"
		" bool_and(ascii(name) = 97 + code::int)) FROM m.flat",
		"60000 60000 t");
}

#define OURS	 "SELECT 1"
#define NOT_OURS "SELECT 1 WHERE false"

static int n_booked;

static void on_booked(void *arg, const struct pg_result *result, const struct error *error)
{
	n_booked = error ? 0 : pg_n_rows(result);
	on_committed(arg, error);
}

/* The run's row is made by whoever comes first. */
static void test_end_of_run(void **state)
{
	struct rig *rig = *state;
	struct ledger_run run = {
		.id = 1,
		.dataset = "prices",
		.source = "history",
		.trigger = "once",
		.started_us = NEXT_MORNING_US,
		.n_slices = 2,
	};
	struct done done = {0};

	ledger_finish_run(rig->l.pg, OURS, &run, RUN_FAILED, "http_502", "the portal's \"fault\"",
		NEXT_MORNING_US + 1000000, on_booked, &done);
	pgloop_until(&rig->l, &done.n, 1);
	assert_int_equal(n_booked, 1);
	check_sql(rig,
		"SELECT concat_ws(' ', state, code, error, slices, finished_at - started_at)"
		" FROM ogdsync.run",
		"failed http_502 the portal's \"fault\" 2 00:00:01");
	load_one_price(rig, 1, "10", "1 1 0 0 0 0");
	ledger_finish_run(rig->l.pg, OURS, &run, RUN_SUCCESS, "", "", NEXT_MORNING_US + 2000000,
		on_booked, &done);
	pgloop_until(&rig->l, &done.n, 2);
	check_sql(rig,
		"SELECT concat_ws(' ', state, coalesce(code, '~'), coalesce(error, '~'),"
		" received, inserted, finished_at - started_at) FROM ogdsync.run",
		"success ~ ~ 1 1 00:00:02");
}

/* Who lost the lease changes nothing in the books, neither a run's end nor that of others. */
static void test_fenced_books(void **state)
{
	struct rig *rig = *state;
	struct ledger_run run = {
		.id = 1, .dataset = "prices", .source = "history", .trigger = "once", .n_slices = 1};
	struct done done = {0};

	load_one_price(rig, 1, "10", "1 1 0 0 0 0");
	ledger_finish_run(
		rig->l.pg, NOT_OURS, &run, RUN_SUCCESS, "", "", NEXT_MORNING_US, on_booked, &done);
	pgloop_until(&rig->l, &done.n, 1);
	assert_int_equal(n_booked, 0);
	ledger_interrupt_runs(rig->l.pg, NOT_OURS, 2, on_booked, &done);
	pgloop_until(&rig->l, &done.n, 2);
	assert_int_equal(n_booked, 0);
	check_sql(rig, "SELECT state FROM ogdsync.run", "running");
	ledger_interrupt_runs(rig->l.pg, OURS, 1, on_booked, &done);
	pgloop_until(&rig->l, &done.n, 3);
	assert_int_equal(n_booked, 1);
	check_sql(rig, "SELECT state FROM ogdsync.run", "running");
	ledger_interrupt_runs(rig->l.pg, OURS, 2, on_booked, &done);
	pgloop_until(&rig->l, &done.n, 4);
	check_sql(rig, "SELECT concat_ws(' ', state, code, finished_at IS NOT NULL) FROM ogdsync.run",
		"interrupted interrupted t");
}

static void test_older_run(void **state)
{
	struct rig *rig = *state;

	load_one_price(rig, 2000, "10", "1 1 0 0 0 0");
	load_one_price(rig, 1000, "20", "1 0 0 1 0 0");
	check_sql(rig, PRICES, "Aluva Rice 2026-11-19 1 10 2000");
	rig->force = true;
	load_one_price(rig, 1001, "30", "1 0 1 0 0 0");
	check_sql(rig, PRICES, "Aluva Rice 2026-11-19 1 30 1001");
	check_sql(rig, "SELECT concat_ws(' ', price, run_id, replaced_by) FROM m.price_revision",
		"10 2000 1001");
	check_sql(rig, "SELECT concat_ws(' ', state, run, attempts) FROM ogdsync.coverage",
		"complete 2000 3");
}

static void load_latest(
	struct rig *rig, int64_t run, const char *day, const char *value, const char *counts)
{
	struct slice slice;
	char record[200];

	slice_begin(rig, &slice, "latest", "air", "all", run);
	for (int i = 0; i < 3; i++) {
		snprintf(record, sizeof(record),
			"{%s\"station\":\"S%d\",\"day\":\"%s\",\"value\":%s}",
			i == 2 ? "\"city\":\"Kochi\"," : "", i, day, value);
		add_record(&slice, record);
	}
	slice_end(rig, &slice);
	load(rig, &slice, counts);
}

/* The stored row of a key may lie on any date when the date is not part of the key. */
static void test_overwrite(void **state)
{
	struct rig *rig = *state;

	load_latest(rig, 1001, "18/11/2026", "1.5", "3 3 0 0 0 0");
	load_latest(rig, 1002, "19/11/2026", "1.5", "3 0 3 0 0 0");
	new_lookups(rig); /* names are found in the table by what they are, NULL included */
	load_latest(rig, 1003, "19/11/2026", "15e-1", "3 0 0 3 0 0");
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', station, day, value, run_id), ', ' ORDER BY "
		"station)"
		" FROM m.latest_named",
		"S0 2026-11-19 1.5 1002, S1 2026-11-19 1.5 1002, S2 2026-11-19 1.5 1002");
	check_sql(rig, "SELECT to_regclass('m.latest_revision') IS NULL", "t");
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', coalesce(zone, '~'), coalesce(city, '~')), ', '"
		" ORDER BY city) FROM s.city",
		"~ Kochi, ~ ~");
	check_sql(rig,
		"SELECT string_agg(coalesce(city, '~'), ' ' ORDER BY station)"
		" FROM m.latest_named",
		"~ ~ Kochi");
	check_sql(rig,
		"SELECT concat_ws(' ', min(first_seen), max(last_seen), count(*)) FROM s.station",
		"2026-11-18 2026-11-19 3");
}

static void test_keep(void **state)
{
	struct rig *rig = *state;

	for (int64_t run = 1; run <= 2; run++) {
		struct slice slice;

		slice_begin(rig, &slice, "keep", "all", "all", run);
		add_record(&slice,
			run == 1 ? "{\"code\":\"a\",\"value\":1}" : "{\"code\":\"a\",\"value\":2}");
		slice_end(rig, &slice);
		load(rig, &slice, run == 1 ? "1 1 0 0 0 0" : "1 0 0 1 0 0");
	}
	check_sql(rig, "SELECT value FROM m.keep", "1");
}

static void test_many_dates(void **state)
{
	struct rig *rig = *state;
	struct slice slice;

	for (int64_t run = 1; run <= 3; run++) {
		slice_begin(rig, &slice, "prices", "live", "all", run);
		for (int day = 1; day <= 20; day++) {
			char text[16];

			snprintf(text, sizeof(text), "%02d/11/2026", day);
			add_price(&slice, "Aluva", "Rice", text, "1",
				run == 3 && day % 2 ? "11" : "10");
			if (run > 1) {
				add_price(&slice, "Kochi", "Rice", text, "1", "10");
			}
		}
		slice_end(rig, &slice);
		load(rig, &slice,
			run == 1	   ? "20 20 0 0 0 0"
				: run == 2 ? "40 20 0 20 0 0"
					   : "40 0 10 30 0 0");
	}
	/* The 20th is not over yet, by the clock of the fetch. */
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', state, n, received, distinct_rows), ', ' ORDER "
		"BY state)"
		" FROM (SELECT state, count(*) n, min(received) received, max(distinct_rows)"
		" distinct_rows FROM ogdsync.coverage WHERE data_date IS NOT NULL GROUP BY state) "
		"x",
		"complete 19 2 2, open 1 2 2");
	check_sql(rig,
		"SELECT concat_ws(' ', first_seen, last_seen) FROM m.market WHERE market = 'Kochi'",
		"2026-11-01 2026-11-20");
	check_sql(rig, "SELECT state FROM ogdsync.coverage_day WHERE data_date = '2026-11-19'",
		"complete");
}

/* The order of text keys is that of bytes, and NULL, quotes and backslashes are what they are. */
static void test_text_keys(void **state)
{
	static const char *const records[] = {
		"{\"code\":\"b\",\"office\":\"O'Neil \\\\ "
		"\\\"x\\\"\",\"name\":\"{NULL,a}\",\"n\":1,"
		"\"at\":\"2026-11-19 12:00:00\"}",
		"{\"code\":\"B\",\"office\":\"\\u0915\",\"name\":null,\"n\":null,\"at\":null}",
		"{\"code\":\"a b\",\"office\":\"x\",\"name\":\"n\",\"n\":-9223372036854775808}",
		"{\"code\":\"ab\",\"office\":\"x\",\"name\":\"n\",\"n\":9223372036854775807}",
	};
	struct rig *rig = *state;
	struct slice slice;

	for (int64_t run = 1; run <= 3; run++) {
		slice_begin(rig, &slice, "flat", "all", "all", run);
		for (unsigned i = 0; i < N_ELEMENTS(records); i++) {
			add_record(&slice,
				run == 3 && i == 1 ? "{\"code\":\"B\",\"office\":\"\\u0915\","
						     "\"name\":\"\\u00e9\",\"n\":7}"
						   : records[i]);
		}
		slice_end(rig, &slice);
		load(rig, &slice,
			run == 1	   ? "4 4 0 0 0 0"
				: run == 2 ? "4 0 0 4 0 0"
					   : "4 0 1 3 0 0");
	}
	check_sql(rig,
		"SELECT string_agg(concat_ws('|', code, office, coalesce(name, '~'), n,"
		" at AT TIME ZONE 'Asia/Kolkata'), ', ' ORDER BY code, office) FROM m.flat",
		"B|\xe0\xa4\x95|\xc3\xa9|7, a b|x|n|-9223372036854775808,"
		" ab|x|n|9223372036854775807, b|O'Neil \\ \"x\"|{NULL,a}|1|2026-11-19 12:00:00");
	check_sql(rig,
		"SELECT concat_ws('|', code, coalesce(name, '~'), coalesce(n, -1), replaced_by)"
		" FROM m.flat_revision",
		"B|~|-1|3");
	check_sql(rig,
		"SELECT concat_ws(' ', slice, coalesce(data_date::text, '~'), state)"
		" FROM ogdsync.coverage",
		"all ~ complete");
}

/* More than the memory: sorted through files, several batches; the rows come in a bad order. */
static void test_spill(void **state)
{
	enum { N = 30000 };
	struct rig *rig = *state;
	struct slice slice;

	rig->memory_bytes = 1024 * 1024;
	for (int64_t run = 1; run <= 3; run++) {
		slice_begin(rig, &slice, "prices", "history", "2026-11-19", run);
		for (unsigned i = 0; i < N; i++) {
			unsigned k = (unsigned)((uint64_t)i * 7919 % N);
			char market[16], commodity[16], price[16];

			snprintf(market, sizeof(market), "M%u", k % 300);
			snprintf(commodity, sizeof(commodity), "C%u", k / 300);
			snprintf(price, sizeof(price), "%u", run == 3 && k % 10 == 0 ? k + 1 : k);
			add_price(&slice, market, commodity, "19/11/2026", "", price);
			if (i % 1000 == 999) {
				end_page(&slice);
			}
		}
		slice_end(rig, &slice);
		load(rig, &slice,
			run == 1	   ? "30000 30000 0 0 0 0"
				: run == 2 ? "30000 0 0 30000 0 0"
					   : "30000 0 3000 27000 0 0");
	}
	check_sql(rig,
		"SELECT concat_ws(' ', count(*), sum(price), count(*) FILTER (WHERE run_id = 3),"
		" bool_and(price - (run_id = 3)::int ="
		" substr(commodity, 2)::int * 300 + substr(market, 2)::int)) FROM m.price_named",
		"30000 449988000 3000 t");
	check_sql(rig, "SELECT concat_ws(' ', count(*), sum(price)) FROM m.price_revision",
		"3000 44985000");
	check_sql(rig,
		"SELECT concat_ws(' ', (SELECT count(*) FROM m.market),"
		" (SELECT count(*) FROM m.commodity))",
		"300 100");
}

static long peak_rss_kib(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* One slice much larger than the memory; first, so that no other test has grown the heap. */
static void test_memory(void **state)
{
	enum { N = 200000, MARKETS = 2000 };
	struct rig *rig = *state;
	struct slice slice;

	rig->memory_bytes = 12 * 1024 * 1024;
	for (int64_t run = 1; run <= 3; run++) {
		slice_begin(rig, &slice, "prices", "history", "2026-11-19", run);
		for (unsigned i = 0; i < N; i++) {
			unsigned k = (unsigned)((uint64_t)i * 7919 % N);
			char market[16], commodity[16], price[16];

			snprintf(market, sizeof(market), "M%u", k % MARKETS);
			snprintf(commodity, sizeof(commodity), "C%u", k / MARKETS);
			snprintf(price, sizeof(price), "%u", run == 3 && k % 10 == 0 ? k + 1 : k);
			add_price(&slice, market, commodity, "19/11/2026", "1", price);
			if (i % 1000 == 999) {
				end_page(&slice);
			}
		}
		slice_end(rig, &slice);
		load(rig, &slice,
			run == 1	   ? "200000 200000 0 0 0 0"
				: run == 2 ? "200000 0 0 200000 0 0"
					   : "200000 0 20000 180000 0 0");
	}
	print_message("peak RSS %ld KiB\n", peak_rss_kib());
	if (!__asan_init) {
		assert_in_range(peak_rss_kib(), 1, 32 * 1024);
	}
}

static void test_partition_on_demand(void **state)
{
	struct rig *rig = *state;
	struct slice slice;

	slice_begin(rig, &slice, "prices", "live", "all", 1);
	add_price(&slice, "Aluva", "Rice", "31/12/2011", "1", "2");
	add_price(&slice, "Aluva", "Rice", "01/01/2012", "1", "2");
	add_price(&slice, "Aluva", "Rice", "19/11/2026", "1", "2");
	slice_end(rig, &slice);
	load(rig, &slice, "3 3 0 0 0 0");
	check_sql(rig, "SELECT string_agg(DISTINCT tableoid::regclass::text, ' ') FROM m.price",
		"m.price_2011 m.price_2012 m.price_2026");
	check_sql(rig, "SELECT count(*) FROM pg_indexes WHERE tablename = 'price_2011'", "2");
}

/* One row of a day that has no place, among so many of others. */
static void add_homeless(struct slice *slice, const char *date, unsigned n)
{
	char price[12];

	add_price(slice, "Aluva", "Rice", date, "1", "2");
	for (unsigned i = 0; i < n; i++) {
		snprintf(price, sizeof(price), "%u", i + 1);
		add_price(slice, price, "Wheat", "19/11/2026", "1", price);
	}
}

/* Nobody makes a partition for the year 206, whatever the rights. */
static void test_homeless_rows(void **state)
{
	struct rig *rig = *state;
	struct schema_outcome applied;
	struct slice slice;
	struct done done;

	slice_begin(rig, &slice, "prices", "live", "all", 1);
	add_homeless(&slice, "01/01/0206", 39);
	slice_end(rig, &slice);
	load(rig, &slice, "40 39 0 0 0 1");
	check_sql(rig, "SELECT reason || ' ' || \"column\" || ' ' || detail FROM ogdsync.quarantine",
		"no_partition day the table has no partition for this date");
	check_sql(rig, "SELECT count(*) FROM ogdsync.coverage WHERE data_date < '1900-01-01'", "0");
	check_sql(rig, "SELECT count(*) FROM m.market WHERE market = 'Aluva'", "0");

	postgres_sql(rig->postgres, "DROP ROLE IF EXISTS writer; CREATE ROLE writer");
	applied = schema(rig, SCHEMA_APPLY, "writer");
	must(&applied.error);
	pgloop_exec(&rig->l, "SET ROLE writer");
	slice_begin(rig, &slice, "prices", "live", "all", 2);
	add_homeless(&slice, "31/12/2011", 39);
	slice_end(rig, &slice);
	load(rig, &slice, "40 0 0 39 0 1");
	slice_begin(rig, &slice, "prices", "live", "all", 3);
	add_homeless(&slice, "31/12/2011", 18);
	slice_end(rig, &slice);
	done = try_load(rig, &slice);
	check_failure(&done, ERROR_REJECTED, "no_partition");
	check_sql(rig, "SELECT count(*) FROM ogdsync.quarantine", "2");
}

static void test_no_partition(void **state)
{
	struct rig *rig = *state;
	struct schema_outcome applied;
	struct slice slice;
	struct done done;

	postgres_sql(rig->postgres, "DROP ROLE IF EXISTS writer; CREATE ROLE writer");
	applied = schema(rig, SCHEMA_APPLY, "writer");
	must(&applied.error);
	pgloop_exec(&rig->l, "SET ROLE writer");
	slice_begin(rig, &slice, "prices", "live", "all", 1);
	add_price(&slice, "Aluva", "Rice", "31/12/2011", "1", "2");
	slice_end(rig, &slice);
	done = try_load(rig, &slice);
	check_failure(&done, ERROR_REJECTED, "no_partition");
	assert_string_equal(done.error.text,
		"m.price has no partition for the dates of 1 of 1 rows, like 2011-12-31, and this role"
		" may not make one: run `ogdsync schema apply`");
	check_sql(rig, "SELECT count(*) FROM m.market", "0");
	/* All else works with these rights. */
	slice_begin(rig, &slice, "prices", "live", "all", 2);
	six_prices(&slice, "120");
	slice_end(rig, &slice);
	load(rig, &slice, "6 6 0 0 0 0");
	load_latest(rig, 3, "18/11/2026", "1.5", "3 3 0 0 0 0");
	pgloop_exec(&rig->l, "RESET ROLE");
	postgres_sql(rig->postgres, "DROP OWNED BY writer; DROP ROLE writer");
}

static void on_row(void *arg, const struct pg_result *row)
{
	struct rig *rig = arg;
	struct field fields[8];
	unsigned d = dataset_index(rig, "prices");

	for (int i = 0; i < pg_n_columns(row); i++) {
		fields[i].len = pg_is_null(row, 0, i) ? -1 : pg_value_len(row, 0, i);
		fields[i].data = pg_value(row, 0, i);
	}
	assert_int_equal(lookup_take_row(rig->lookups[d], 0, fields), 0);
}

static void on_rows(void *arg, const struct error *error)
{
	struct rig *rig = arg;

	assert_null(error);
	rig->l.n_done++;
}

/* Names go in once, whoever knows them; their dates only grow apart. */
static void test_names(void **state)
{
	struct rig *rig = *state;
	unsigned d = dataset_index(rig, "prices"), n_done;
	_cleanup_buffer_ struct buffer sql = {0};
	struct slice slice;

	postgres_sql(rig->postgres,
		"INSERT INTO m.market (id, state, market, first_seen, last_seen)"
		" VALUES (77, 'Kerala', 'Kochi', '2026-11-19', '2026-11-19')");
	load_one_price(rig, 1, "10", "1 1 0 0 0 0");
	slice_begin(rig, &slice, "prices", "live", "all", 2);
	add_price(&slice, "Kochi", "Rice", "17/11/2026", "1", "2"); /* not in the cache */
	add_price(&slice, "Aluva", "Rice", "18/11/2026", "1", "2");
	slice_end(rig, &slice);
	load(rig, &slice, "2 2 0 0 0 0");
	check_sql(rig,
		"SELECT string_agg(concat_ws(' ', market, first_seen, last_seen), ', ' ORDER BY "
		"market)"
		" FROM m.market",
		"Aluva 2026-11-18 2026-11-19, Kochi 2026-11-17 2026-11-19");
	check_sql(rig, "SELECT count(*) FROM m.price WHERE market_id = 77", "1");
	/* A cache that was read from the table knows all of that. */
	new_lookups(rig);
	lookup_select_sql(rig->lookups[d], 0, &sql);
	n_done = rig->l.n_done;
	pg_query_rows(rig->l.pg, buffer_str(&sql), NULL, 0, on_row, on_rows, rig);
	pgloop_until(&rig->l, &rig->l.n_done, n_done + 1);
	lookup_commit(rig->lookups[d]);
	slice_begin(rig, &slice, "prices", "live", "all", 3);
	add_price(&slice, "Kochi", "Rice", "17/11/2026", "1", "2");
	slice_end(rig, &slice);
	load(rig, &slice, "1 0 0 1 0 0");
	check_sql(rig, "SELECT concat_ws(' ', count(*), count(DISTINCT xmin::text)) FROM m.market",
		"2 1");
}

static void test_roll_back_forgets_ids(void **state)
{
	struct rig *rig = *state;
	struct slice slice;
	struct done done;

	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1);
	six_prices(&slice, "120");
	slice_end(rig, &slice);
	postgres_sql(rig->postgres, "ALTER TABLE ogdsync.coverage RENAME TO gone");
	done = try_load(rig, &slice);
	check_failure(&done, ERROR_REJECTED, "42P01");
	check_sql(rig, "SELECT count(*) FROM m.market", "0");
	postgres_sql(rig->postgres, "ALTER TABLE ogdsync.gone RENAME TO coverage");
	load(rig, &slice, "6 6 0 0 0 0");
	check_sql(rig,
		"SELECT count(*) FROM m.price_named WHERE market IS NOT NULL"
		" AND commodity IS NOT NULL",
		"6");
}

static void test_already(void **state)
{
	struct rig *rig = *state;
	struct slice slice;
	struct done done;

	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1);
	six_prices(&slice, "120");
	slice_end(rig, &slice);
	load(rig, &slice, "6 6 0 0 0 0");
	done = try_load(rig, &slice);
	must(&done.error);
	assert_true(done.result.already);
	check_counts(&done.result.counts, "6 6 0 0 0 0");
	check_sql(rig,
		"SELECT concat_ws(' ', received, (SELECT attempts FROM ogdsync.coverage))"
		" FROM ogdsync.run",
		"6 1");
}

static void test_fence(void **state)
{
	struct rig *rig = *state;
	struct slice slice;
	struct done done;

	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1);
	six_prices(&slice, "120");
	slice_end(rig, &slice);
	rig->fence = "SELECT epoch FROM ogdsync.lease WHERE name = 'writer' AND epoch = 7"
		     " FOR KEY SHARE";
	done = try_load(rig, &slice);
	check_failure(&done, ERROR_RETRY, "fenced");
	check_sql(rig, "SELECT count(*) FROM ogdsync.run", "0");
	postgres_sql(rig->postgres, "INSERT INTO ogdsync.lease VALUES ('writer', 'me', 7, now())");
	load(rig, &slice, "6 6 0 0 0 0");
}

/* Nothing to load: the attempt is booked, and takes nothing back. */
static void test_slices_without_rows(void **state)
{
	static const struct {
		enum slice_state state;
		const char *code, *slice, *coverage;
	} cases[] = {
		{SLICE_FAILED, "http_502", "failed http_502 0", "missing 0 http_502 1"},
		{SLICE_SUSPECT, "empty", "suspect empty 0", "suspect 0 empty 2"},
		{SLICE_PARTIAL, "short", "partial short 6", "partial 6 short 3"},
		{SLICE_SUSPECT, "empty", "suspect empty 0", "partial 6 short 4"},
		{SLICE_PROVEN, "", "proven ~ 6", "complete 6 ~ 5"},
		{SLICE_FAILED, "http_502", "failed http_502 0", "complete 6 ~ 6"},
		{SLICE_PARTIAL, "short", "partial short 6", "complete 6 ~ 7"},
	};
	struct rig *rig = *state;
	struct slice slice;

	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		bool rows = cases[i].state == SLICE_PROVEN || cases[i].state == SLICE_PARTIAL;
		struct done done;

		slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1 + i);
		if (rows) {
			six_prices(&slice, "120");
		}
		slice.outcome.state = cases[i].state;
		snprintf(slice.outcome.reason, sizeof(slice.outcome.reason), "%s", cases[i].code);
		slice_end(rig, &slice);
		done = try_load(rig, &slice);
		must(&done.error);
		check_sql(rig,
			"SELECT concat_ws(' ', state, coalesce(code, '~'), received)"
			" FROM ogdsync.run_slice ORDER BY run DESC LIMIT 1",
			cases[i].slice);
		check_sql(rig,
			"SELECT concat_ws(' ', state, received, coalesce(code, '~'), attempts)"
			" FROM ogdsync.coverage",
			cases[i].coverage);
	}
}

/* When it is asked for again is in the books, by the clock of the fetch; nothing thrice is believed. */
static void test_looks_in_vain(void **state)
{
	static const struct {
		int days; /* after the first look */
		enum slice_state state;
		const char *coverage;
	} cases[] = {
		{0, SLICE_SUSPECT, "suspect 1 1 2026-11-21 04:00:00"},
		{1, SLICE_FAILED, "suspect 2 1 2026-11-23 04:00:00"},
		{3, SLICE_SUSPECT, "suspect 3 2 2026-11-27 04:00:00"},
		{7, SLICE_SUSPECT, "empty 3 3 ~"},
		{8, SLICE_SUSPECT, "empty 3 4 ~"},
		{9, SLICE_PROVEN, "complete 3 0 ~"},
	};
	struct rig *rig = *state;
	struct slice slice;

	for (unsigned i = 0; i < N_ELEMENTS(cases); i++) {
		struct done done;

		slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1 + i);
		if (cases[i].state == SLICE_PROVEN) {
			six_prices(&slice, "120");
		}
		slice.outcome.state = cases[i].state;
		slice.outcome.finished_us = NEXT_MORNING_US + cases[i].days * INT64_C(86400000000);
		slice_end(rig, &slice);
		done = try_load(rig, &slice);
		must(&done.error);
		check_sql(rig,
			"SELECT concat_ws(' ', state, tries, zeros,"
			" coalesce((next_try AT TIME ZONE 'UTC')::text, '~')) FROM ogdsync.coverage",
			cases[i].coverage);
	}
}

/* Somebody writes one of our keys by hand, between our reading and our COPY. */
static void test_unique_violation(void **state)
{
	struct rig *rig = *state;
	struct load *load_;
	struct slice slice;
	struct done done;

	load_one_price(rig, 1, "10", "1 1 0 0 0 0");
	postgres_sql(
		rig->postgres, "INSERT INTO m.market (state, market) VALUES ('Kerala', 'Kochi')");
	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 2);
	add_price(&slice, "Kochi", "Rice", "19/11/2026", "1", "2");
	slice_end(rig, &slice);
	/* The trigger stands for the somebody: its row is there when ours comes. */
	postgres_sql(rig->postgres,
		"CREATE FUNCTION m.race() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
		" IF pg_trigger_depth() = 1 AND NEW.run_id = 2 THEN"
		" INSERT INTO m.price SELECT NEW.commodity_id, NEW.day, NEW.market_id, 5, 6, 0;"
		" END IF; RETURN NEW; END $$;"
		"CREATE TRIGGER race BEFORE INSERT ON m.price FOR EACH ROW EXECUTE FUNCTION "
		"m.race()");
	done = try_load(rig, &slice);
	assert_string_equal(done.error.code, "23505");
	check_sql(rig, "SELECT count(*) FROM m.price", "1");
	postgres_sql(rig->postgres, "DROP TRIGGER race ON m.price");
	/* Now it is there before: the same again succeeds, as a change. */
	postgres_sql(rig->postgres,
		"INSERT INTO m.price (commodity_id, day, market_id, low, price, run_id)"
		" SELECT c.id, '2026-11-19', m.id, 5, 6, 0 FROM m.commodity c, m.market m"
		" WHERE m.market = 'Kochi'");
	assert_int_equal(start(rig, &slice, &done, &load_), 0);
	pgloop_until(&rig->l, &done.n, 1);
	must(&done.error);
	check_counts(&done.result.counts, "1 0 1 0 0 0");
}

/* What the server did not do is not counted as done. */
static void test_rows_that_vanish(void **state)
{
	struct rig *rig = *state;
	struct slice slice;
	struct done done;

	load_one_price(rig, 1, "10", "1 1 0 0 0 0");
	postgres_sql(rig->postgres,
		"CREATE FUNCTION m.swallow() RETURNS trigger LANGUAGE plpgsql AS"
		" $$ BEGIN RETURN NULL; END $$;"
		"CREATE TRIGGER swallow BEFORE INSERT OR UPDATE ON m.price FOR EACH ROW"
		" EXECUTE FUNCTION m.swallow()");
	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 2);
	add_price(&slice, "Kochi", "Rice", "19/11/2026", "1", "2");
	slice_end(rig, &slice);
	done = try_load(rig, &slice);
	check_failure(&done, ERROR_REJECTED, "copy_count");
	assert_string_equal(done.error.text, "COPY stored 0 of 1 rows");
	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 3);
	add_price(&slice, "Aluva", "Rice", "19/11/2026", "1", "20");
	slice_end(rig, &slice);
	done = try_load(rig, &slice);
	check_failure(&done, ERROR_RETRY, "40001");
	assert_string_equal(done.error.text,
		"1 rows were to be updated, 0 were: somebody else changes the same rows");
	check_sql(rig, PRICES, "Aluva Rice 2026-11-19 1 10 1");
	check_sql(rig, "SELECT count(*) FROM ogdsync.run_slice", "1");
}

static void test_damaged_file(void **state)
{
	struct rig *rig = *state;
	struct slice slice;
	struct done done;
	struct load *load_;
	char path[256];
	FILE *file;

	slice_begin(rig, &slice, "prices", "history", "2026-11-19", 1);
	six_prices(&slice, "120");
	slice_end(rig, &slice);
	snprintf(path, sizeof(path), "%s/%lld-%s.ready", rig->directory, 1LL, slice.header.uuid);
	file = fopen(path, "r+");
	assert_non_null(file);
	fseek(file, 400, SEEK_SET);
	fputs("xxxx", file);
	fclose(file);
	if (start(rig, &slice, &done, &load_) == 0) {
		pgloop_until(&rig->l, &done.n, 1);
	}
	check_failure(&done, ERROR_REJECTED, "damaged");
	check_sql(rig, "SELECT count(*) FROM m.price", "0");
	strcpy(slice.header.uuid, "00000000-0000-4000-8000-000000000000");
	assert_int_equal(start(rig, &slice, &done, &load_), -1);
	assert_string_equal(done.error.code, "not_found");
}

/* ---- interrupted ---- */

/* A first slice, and a second one that makes the load go through every state. */
static void prepare_rich_slice(struct rig *rig, struct slice *slice)
{
	slice_begin(rig, slice, "prices", "live", "all", 1);
	six_prices(slice, "120");
	slice_end(rig, slice);
	load(rig, slice, "6 6 0 0 0 0");
	slice_begin(rig, slice, "prices", "live", "all", 2);
	six_prices(slice, "130");
	add_price(slice, "Aluva", "Rice", "19/11/2026", "101", "1");
	add_price(slice, "Palakkad", "Wheat", "31/12/2013", "1", "2");
	add_price(slice, "Palakkad", "Wheat", "31/12/2013", "1", "2");
	add_price(slice, "Palakkad", "Wheat", "31/12/201", "1", "2");
	slice_end(rig, slice);
}

#define RICH_COUNTS "10 1 2 4 1 2"

static void check_rich(struct rig *rig)
{
	check_sql(rig, PRICES,
		"Palakkad Wheat 2013-12-31 1 2 2,"
		" Aluva Onion 2026-11-19 ~ 55.50 1, Kochi Onion 2026-11-19 40 60 1,"
		" Thrissur APMC Onion 2026-11-19 41 61 1, Aluva Rice 2026-11-19 101 1 2,"
		" Kochi Rice 2026-11-19 ~ 130 2, Thrissur APMC Rice 2026-11-19 100000 120000 1");
	check_sql(rig, "SELECT string_agg(reason, ' ' ORDER BY reason) FROM ogdsync.quarantine",
		"bad_date conflict");
	check_sql(rig, "SELECT count(*) FROM m.price_revision", "2");
	check_sql(rig, "SELECT count(*) FROM ogdsync.run_slice", "2");
	check_sql(rig,
		"SELECT concat_ws(' ', received, inserted, updated, unchanged, duplicate,"
		" quarantined) FROM ogdsync.run WHERE id = 2",
		RICH_COUNTS);
}

static bool turn(struct rig *rig, const struct done *done, unsigned n)
{
	for (unsigned i = 0; i < n && done->n == 0; i++) {
		uv_run(&rig->l.loop, UV_RUN_ONCE);
	}
	return done->n == 0;
}

static void test_cancel_at_each_turn(void **state)
{
	struct rig *rig = *state;
	char before[64], after[64];
	struct load *load_;
	struct slice slice;
	struct done done = {0};
	unsigned n_canceled = 0;

	prepare_rich_slice(rig, &slice);
	fingerprint(rig, before);
	for (unsigned n = 0; n < 1000; n++) {
		assert_int_equal(start(rig, &slice, &done, &load_), 0);
		if (!turn(rig, &done, n)) {
			break;
		}
		load_cancel(load_);
		load_cancel(load_);
		assert_int_equal(done.n, 0); /* never from inside */
		pgloop_until(&rig->l, &done.n, 1);
		if (!error_is_set(&done.error)) {
			break; /* COMMIT had been sent */
		}
		if (done.error.class != ERROR_CANCELED) {
			fail_msg("turn %u: %s %s: %s", n, error_class_name(done.error.class),
				done.error.code, done.error.text);
		}
		n_canceled++;
		assert_true(pg_is_connected(rig->l.pg));
		fingerprint(rig, after);
		assert_string_equal(after, before);
		check_sql(rig, "SELECT count(*) FROM ogdsync.run_slice", "1");
	}
	assert_in_range(n_canceled, 15, 999);
	must(&done.error);
	check_counts(&done.result.counts, RICH_COUNTS);
	check_rich(rig);
}

static void test_killed_at_each_turn(void **state)
{
	struct rig *rig = *state;
	char before[64], after[64], sql[64];
	struct load *load_;
	struct slice slice;
	struct done done = {0};
	bool committed = false;
	unsigned n = 0;

	prepare_rich_slice(rig, &slice);
	fingerprint(rig, before);
	for (; n < 1000; n++) {
		long pid = pgloop_number(&rig->l, "SELECT pg_backend_pid()");

		assert_int_equal(start(rig, &slice, &done, &load_), 0);
		if (!turn(rig, &done, n)) {
			break;
		}
		snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%ld, 5000)", pid);
		postgres_sql(rig->postgres, sql);
		pgloop_until(&rig->l, &done.n, 1);
		committed = postgres_number(
				    rig->postgres, "SELECT count(*) FROM ogdsync.run_slice") == 2;
		if (!error_is_set(&done.error) || committed) {
			break;
		}
		assert_true(done.error.class == ERROR_RETRY || done.error.class == ERROR_UNCERTAIN);
		fingerprint(rig, after);
		assert_string_equal(after, before);
		pgloop_connect(&rig->l);
	}
	assert_in_range(n, 15, 999);
	if (error_is_set(&done.error)) {
		assert_int_equal(done.error.class, ERROR_UNCERTAIN);
		pgloop_connect(&rig->l);
		done = try_load(rig, &slice);
		assert_true(done.result.already);
	}
	must(&done.error);
	check_counts(&done.result.counts, RICH_COUNTS);
	check_rich(rig);
}

static void start_over(struct rig *rig, struct slice *slice)
{
	postgres_sql(rig->postgres,
		"DROP TABLE m.price_2013; TRUNCATE m.price, m.market, m.commodity, "
		"m.price_revision,"
		" ogdsync.run, ogdsync.run_slice, ogdsync.coverage, ogdsync.quarantine");
	new_lookups(rig);
	prepare_rich_slice(rig, slice);
}

/* Every load fails cleanly, or (where only the words for people were lost) is whole. */
static void test_no_memory_anywhere(void **state)
{
	struct rig *rig = *state;
	char before[64], after[64];
	struct load *load_;
	struct slice slice;
	struct done done = {0};
	unsigned n = 1;

	prepare_rich_slice(rig, &slice);
	fingerprint(rig, before);
	for (; n < 5000; n++) {
		int r;

		if (n % 100 == 0) {
			new_lookups(rig); /* so that the cache grows again */
		}
		if (!pg_is_connected(rig->l.pg)) {
			pgloop_connect(&rig->l);
		}
		fail_alloc_at(n);
		r = start(rig, &slice, &done, &load_);
		if (r == 0) {
			pgloop_until(&rig->l, &done.n, 1);
		}
		if (!fail_alloc_end()) {
			break;
		}
		if (!error_is_set(&done.error)) {
			check_rich(rig);
			start_over(rig, &slice);
			fingerprint(rig, before);
			continue;
		}
		if (done.error.class != ERROR_RETRY) {
			fail_msg("allocation %u: %s %s: %s", n, error_class_name(done.error.class),
				done.error.code, done.error.text);
		}
		fingerprint(rig, after);
		assert_string_equal(after, before);
	}
	assert_in_range(n, 20, 4999);
	must(&done.error);
	check_rich(rig);
}

/* ---- the schema stage ---- */

static void test_schema(void **state)
{
	struct rig *rig = *state;
	struct schema_outcome outcome = schema(rig, SCHEMA_PLAN, NULL);

	must(&outcome.error);
	assert_string_equal(outcome.statements, "");
	outcome = schema(rig, SCHEMA_CHECK, NULL);
	must(&outcome.error);
	postgres_sql(
		rig->postgres, "DROP TABLE m.price_2027; DROP INDEX m.price_market_id_day_idx");
	outcome = schema(rig, SCHEMA_CHECK, NULL);
	must(&outcome.error);
	outcome = schema(rig, SCHEMA_APPLY, NULL);
	must(&outcome.error);
	assert_int_equal(outcome.n_statements, 3);
	postgres_sql(rig->postgres, "DROP TABLE m.price_revision");
	outcome = schema(rig, SCHEMA_CHECK, NULL);
	assert_string_equal(outcome.error.code, "schema_older");
	assert_string_equal(outcome.error.text,
		"the database lacks tables that the configuration needs: run `ogdsync schema apply`"
		" (3 statements; `ogdsync schema plan` shows them)");
	postgres_sql(
		rig->postgres, "DROP VIEW m.flat_named; ALTER TABLE m.flat ALTER n TYPE integer");
	outcome = schema(rig, SCHEMA_CHECK, NULL);
	assert_string_equal(outcome.error.code, "schema_differs");
	assert_string_equal(outcome.error.text, "m.flat.n is integer, dataset flat wants bigint");
	postgres_sql(rig->postgres, "INSERT INTO ogdsync.migration VALUES (99, 'future')");
	outcome = schema(rig, SCHEMA_APPLY, NULL);
	assert_string_equal(outcome.error.code, "schema_newer");
	postgres_sql(rig->postgres, "DROP SCHEMA m, s, ogdsync CASCADE");
	outcome = schema(rig, SCHEMA_CHECK, NULL);
	assert_string_equal(outcome.error.code, "schema_missing");
}

static int start_server(void **state)
{
	*state = postgres_start();
	return 0;
}

static int stop_server(void **state)
{
	postgres_free(*state);
	return 0;
}

#define load_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		load_test(test_memory),
		load_test(test_all_new),
		load_test(test_replay_writes_nothing),
		load_test(test_changes),
		load_test(test_duplicates_and_conflicts),
		load_test(test_rejects),
		load_test(test_many_rejects),
		load_test(test_nothing_good),
		load_test(test_long_text),
		load_test(test_end_of_run),
		load_test(test_fenced_books),
		load_test(test_older_run),
		load_test(test_overwrite),
		load_test(test_keep),
		load_test(test_many_dates),
		load_test(test_text_keys),
		load_test(test_spill),
		load_test(test_partition_on_demand),
		load_test(test_homeless_rows),
		load_test(test_no_partition),
		load_test(test_names),
		load_test(test_roll_back_forgets_ids),
		load_test(test_already),
		load_test(test_fence),
		load_test(test_slices_without_rows),
		load_test(test_looks_in_vain),
		load_test(test_unique_violation),
		load_test(test_rows_that_vanish),
		load_test(test_damaged_file),
		load_test(test_cancel_at_each_turn),
		load_test(test_killed_at_each_turn),
		load_test(test_no_memory_anywhere),
		load_test(test_schema),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}
