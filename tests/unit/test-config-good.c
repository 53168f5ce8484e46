/*
 * daemon/config: what comes of files that are right. SPDX-License-Identifier: Apache-2.0
 */

#include "tests/unit/config_files.h"

#include "config.h"
#include "daemon/config_private.h"
#include "daemon/decode.h"
#include "daemon/normalise.h"
#include "tests/unit/data.h"

static void test_defaults(void **state)
{
	struct config *config = load_good(*state);
	const struct source *source = config_source(config, "d", "live");

	assert_string_equal(config->portal.base_url, "https://api.data.gov.in");
	assert_int_equal(config->portal.n_api_keys, 1);
	assert_string_equal(config->portal.api_keys[0], KEY);
	assert_int_equal(config->portal.connect_timeout_ms, 20000);
	assert_int_equal(config->portal.low_speed_bytes, 1024);
	assert_int_equal(config->portal.low_speed_ms, 60000);
	assert_int_equal(config->portal.page_bytes, 96 << 20);
	assert_int_equal(config->portal.backoff_max_ms, 300000);
	assert_int_equal(config->portal.breaker_after, 5);
	assert_string_equal(config->database.dsn, "dbname=ogdsync");
	assert_null(config->database.owner_dsn);
	assert_int_equal(config->server.n_listen, 3);
	assert_int_equal(config->server.listen[0].kind, LISTEN_UNIX);
	assert_string_equal(config->server.listen[0].path, "/run/ogdsync/ogdsync.sock");
	assert_string_equal(config->server.listen[2].host, "::1");
	assert_int_equal(config->server.listen[2].port, 8642);
	assert_int_equal(config->log.level, LOG_LEVEL_INFO);
	assert_true(config->history.revisions_ms == UINT64_MAX);
	assert_non_null(source);
	assert_string_equal(source->label, "d/live");
	assert_int_equal(source->page_size, 1000);
	assert_int_equal(source->n_sort, 2);
	assert_int_equal(source->n_schedules, 0);
	assert_false(source->slice.sliced);
	assert_int_equal(source->slice.split_by, -1);
	assert_string_equal(source->date_formats[0], "%d/%m/%Y");
	assert_int_equal(source->dataset->n_nulls, 4);
	assert_int_equal(source->dataset->day_ends_s, 9 * 3600);
	assert_int_equal(source->dataset->quarantine_limit_ppm, 50000);
	assert_int_equal(source->dataset->fact_date, 1);
	assert_null(config_source(config, "d", "dead"));
	assert_null(config_dataset(config, "e"));
	config_unref(config);
}

static void test_values(void **state)
{
	struct directory *d = *state;
	const struct source *source;
	struct config *config;

	put(d, "ogdsync.yaml",
		"portal: {base_url: \"http://[::1]:8080/x\", ip: 4, low_speed: 2KiB/10s,\n"
		"  retry_budget: 0s, breaker: {after: 9}}\n"
		"server: {listen: [\"[::1]:0\"], hosts: a.example}\n"
		"log: {level: debug, format: json, file: /var/log/x}\n"
		"alerts: {notify_channel: null}\n"
		"history: {runs: forever}\n"
		"timezone: UTC\n");
	put(d, "datasets.d/d.yaml",
		"dataset: d\ntable: t\ndate: day\n" COLUMNS
		"  low: {type: integer, nullable: true, min: -5}\n"
		"lookups: {place: {table: s.place, columns: [state]}}\n"
		"key: [day, place]\n"
		"indexes: [[place, day], [price]]\n"
		"partition: month\non_change: keep\nfreshness: 2d\nday_ends: 10:30\n"
		"quarantine_limit: 0.25%\nforeign_keys: true\nnulls: [x, \"\"]\n"
		"sources:\n"
		"  a:\n"
		"    " RESOURCE "\n"
		"    fields: {state: State, day: [day, Day], price: p}\n"
		"    every: 1h\n    jitter: 1m\n    on_start: true\n    page_size: 10000\n"
		"    date_format: [\"%Y-%m-%d\", \"%d/%m/%Y\"]\n"
		"    filters: {\"filters[x]\": \"1$$\"}\n"
		"    slice: {by: day, filter: \"filters[Day]\", lookback: 0d,\n"
		"      split: {by: state, filter: \"filters[State]\"}}\n"
		"    heal: {from: 2024-02-29}\n");
	config = load_good(d);
	assert_string_equal(config->portal.base_url, "http://[::1]:8080/x");
	assert_int_equal(config->portal.ip, IP_4);
	assert_int_equal(config->portal.low_speed_bytes, 2048);
	assert_int_equal(config->portal.low_speed_ms, 10000);
	assert_int_equal(config->portal.breaker_after, 9);
	assert_int_equal(config->portal.breaker_probe_ms, 300000);
	assert_int_equal(config->server.n_listen, 1);
	assert_int_equal(config->server.listen[0].port, 0);
	assert_string_equal(config->server.hosts[0], "a.example");
	assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->log.format, LOG_FORMAT_JSON);
	assert_null(config->alerts.notify_channel);
	assert_true(config->history.runs_ms == UINT64_MAX);

	source = config_source(config, "d", "a");
	assert_string_equal(source->dataset->schema, "public");
	assert_int_equal(source->dataset->n_fact, 4);
	assert_string_equal(source->dataset->fact[0].name, "day");
	assert_string_equal(source->dataset->fact[1].name, "place_id");
	assert_int_equal(source->dataset->fact[1].type, COLUMN_ID);
	assert_int_equal(source->dataset->fact[1].lookup, 0);
	assert_string_equal(source->dataset->fact[2].name, "price");
	assert_string_equal(source->dataset->fact[3].name, "low");
	assert_int_equal(source->dataset->n_key, 2);
	assert_int_equal(source->dataset->fact_date, 0);
	assert_int_equal(source->dataset->indexes[0][0], 1);
	assert_int_equal(source->dataset->indexes[0][1], 0);
	assert_true(source->dataset->indexes[0][2] == UINT32_MAX);
	assert_int_equal(source->dataset->partition, PARTITION_MONTH);
	assert_int_equal(source->dataset->on_change, ON_CHANGE_KEEP);
	assert_int_equal(source->dataset->day_ends_s, 10 * 3600 + 1800);
	assert_int_equal(source->dataset->quarantine_limit_ppm, 2500);
	assert_true(source->dataset->columns[3].has_min);
	assert_true(source->dataset->columns[3].min.negative);
	assert_true(dataset_in_key(source->dataset, 0));
	assert_false(dataset_in_key(source->dataset, 2));
	assert_int_equal(source->fields[1].n_names, 2);
	assert_int_equal(source->fields[3].n_names, 0);
	assert_int_equal(source->every_ms, 3600000);
	assert_string_equal(source->filters[0].value, "1$");
	assert_int_equal(source->slice.by, 1);
	assert_string_equal(source->slice.format, "%d-%m-%Y");
	assert_int_equal(source->slice.lookback_days, 0);
	assert_int_equal(source->slice.split_by, 0);
	assert_int_equal(source->heal.from_day, 19782);
	assert_int_equal(source->heal.max_slices_per_day, 40);
	/* The key, but for the day that all rows of a slice share. */
	assert_int_equal(source->n_sort, 1);
	assert_int_equal(source->sort[0], 0);
	config_unref(config_ref(config));
	config_unref(config);
}

/* A value is never read again: whatever it holds, it stays one text. */
static void test_variables(void **state)
{
	struct directory *d = *state;
	struct config *config;

	setenv("TEST_AGENT", "a: [${HOME}] $$ #x", 1);
	setenv("TEST_EMPTY", "", 1);
	put(d, "ogdsync.yaml",
		"portal:\n"
		"  user_agent: ${TEST_AGENT}/${TEST_EMPTY:-1$$.0}${TEST_EMPTY}\n"
		"  parallel: ${TEST_UNSET:-4}\n"
		"  proxy: ${TEST_EMPTY}\n"
		"  ca_file: \"${TEST_UNSET:-}\"\n"
		"  breaker: {after: \"${TEST_UNSET:-7}\"}\n");
	config = load_good(d);
	assert_string_equal(config->portal.user_agent, "a: [${HOME}] $$ #x/1$.0");
	assert_int_equal(config->portal.parallel, 4);
	assert_int_equal(config->portal.breaker_after, 7);
	assert_null(config->portal.proxy);
	assert_null(config->portal.ca_file);
	config_unref(config);
}

/* ---- what only some need ---- */

static void assert_needs(const struct config *config, enum config_need need, const char *text)
{
	struct error error = {0};

	if (!text) {
		assert_int_equal(config_require(config, need, &error), 0);
		return;
	}
	assert_int_equal(config_require(config, need, &error), -1);
	assert_non_null(strstr(error.text, text));
}

static void test_missing(void **state)
{
	struct directory *d = *state;
	struct config *config;

	unsetenv("DATA_GOV_API_KEY");
	config = load_good(d);
	assert_int_equal(config->portal.n_api_keys, 0);
	assert_string_equal(config->portal.api_key_problem, "DATA_GOV_API_KEY is not set");
	assert_needs(config, CONFIG_NEED_KEY, "portal.api_key: DATA_GOV_API_KEY is not set");
	assert_needs(config, CONFIG_NEED_DSN, NULL);
	assert_needs(config, CONFIG_NEED_OWNER_DSN, NULL);
	assert_needs(config, CONFIG_NEED_TOKEN, NULL);
	config_unref(config);

	setenv("DATA_GOV_API_KEY", "", 1);
	put(d, "ogdsync.yaml",
		"database: {dsn: \"${TEST_UNSET}\", owner_dsn: \"host=${TEST_UNSET}\"}\n"
		"server: {token_file: /nonexistent/token, listen: [\"0.0.0.0:1\"]}\n");
	config = load_good(d);
	assert_null(config->database.dsn);
	assert_needs(config, CONFIG_NEED_KEY, "portal.api_key is empty");
	assert_needs(config, CONFIG_NEED_DSN, "database.dsn: TEST_UNSET is not set");
	assert_needs(config, CONFIG_NEED_OWNER_DSN, "database.owner_dsn: TEST_UNSET is not set");
	assert_needs(config, CONFIG_NEED_TOKEN, "/nonexistent/token: opening: No such file");
	config_unref(config);
}

static void test_key_files(void **state)
{
	struct directory *d = *state;
	_cleanup_buffer_ struct buffer text = {0}, report = {0};
	struct config *config = NULL;
	const char token[] = "0123456789abcdef0123456789abcdef";

	put(d, "key", "\n  " KEY "\r\n");
	put(d, "empty", "\n");
	put(d, "token", token);
	setenv("TEST_DIRECTORY", d->path, 1);
	put(d, "ogdsync.yaml",
		"portal: {api_key_file: [\"${TEST_DIRECTORY}/empty\", \"${TEST_DIRECTORY}/key\"]}\n"
		"server: {token_file: \"${TEST_DIRECTORY}/token\"}\n");
	config = load_good(d);
	assert_int_equal(config->portal.n_api_keys, 1);
	assert_string_equal(config->portal.api_keys[0], KEY);
	assert_string_equal(config->server.token, token);
	assert_true(scrub_finds(KEY, strlen(KEY)));
	assert_true(scrub_finds(token, strlen(token)));
	config_dump(config, &text);
	assert_null(strstr(buffer_str(&text), KEY));
	assert_null(strstr(buffer_str(&text), "api_key:"));
	assert_null(strstr(buffer_str(&text), token));
	config_unref(config);

	put(d, "ogdsync.yaml", "portal: {api_key_file: \"${TEST_DIRECTORY}/empty\"}\n");
	config = load_good(d);
	assert_needs(config, CONFIG_NEED_KEY, "/empty: is empty");
	config_unref(config);

	put(d, "ogdsync.yaml", "portal: {api_key_file: \"${TEST_UNSET}/key\"}\n");
	config = load_good(d);
	assert_needs(config, CONFIG_NEED_KEY, "TEST_UNSET is not set");
	config_unref(config);

	put(d, "token", "0123456789abcdef0123456789abcde");
	put(d, "key", "two words");
	put(d, "ogdsync.yaml",
		"portal: {api_key_file: \"${TEST_DIRECTORY}/key\"}\n"
		"server: {token_file: \"${TEST_DIRECTORY}/token\"}\n");
	assert_int_equal(config_load(d->file, &config, &report), -1);
	relative(d, report.data);
	assert_string_equal(buffer_str(&report),
		"ogdsync.yaml:1:24: key: the key must be plain ASCII without spaces\n"
		"ogdsync.yaml:2:22: token: the token has less than 32 characters\n");
}

/* ---- secrets ---- */

static const char *const secrets[] = {KEY, "pa$s\"word", "pa%24s%22word", "owner-geheim",
	"proxy-geheim", "sign-geheim", "sslgeheim",
	"https://hooks.example.com/services/hook-geheim"};

static void assert_no_secret(const char *text)
{
	for (unsigned i = 0; i < N_ELEMENTS(secrets); i++) {
		if (strstr(text, secrets[i])) {
			print_error("%s\nholds %s\n", text, secrets[i]);
			fail();
		}
	}
}

static const char secret_options[] =
	"portal:\n"
	"  api_key: ${DATA_GOV_API_KEY}\n"
	"  proxy: http://user:proxy-geheim@localhost:3128\n"
	"database:\n"
	"  dsn: postgresql://sync:pa%24s%22word@db/market?sslpassword=sslgeheim\n"
	"  owner_dsn: host=db user=owner password=${TEST_OWNER}\n"
	"alerts:\n"
	"  webhook: https://hooks.example.com/services/hook-geheim\n"
	"  webhook_secret: sign-geheim\n";

static void test_secrets(void **state)
{
	_cleanup_buffer_ struct buffer report = {0}, yaml = {0}, json = {0}, broken = {0};
	struct directory *d = *state;
	struct config *config;

	setenv("TEST_OWNER", "owner-geheim", 1);
	put(d, "ogdsync.yaml", secret_options);
	config = load_good(d);
	assert_string_equal(config->alerts.webhook_secret, "sign-geheim");
	for (unsigned i = 0; i < N_ELEMENTS(secrets); i++) {
		assert_true(scrub_finds(secrets[i], strlen(secrets[i])));
	}
	config_dump(config, &yaml);
	config_dump_json(config, &json);
	assert_no_secret(buffer_str(&yaml));
	assert_no_secret(buffer_str(&json));
	assert_non_null(strstr(buffer_str(&yaml), "  api_key: [\"(hidden)\"]\n"));
	assert_non_null(strstr(buffer_str(&yaml), "  webhook: \"(hidden)\"\n"));
	assert_non_null(strstr(buffer_str(&yaml),
		"  dsn: \"postgresql://sync:(hidden)@db/market?sslpassword=(hidden)\"\n"));
	config_unref(config);

	/* Wrong ones: nothing of a value is told. */
	buffer_append_str(&broken, secret_options);
	for (char *p = broken.data; (p = strpbrk(p, "e")); p++) {
		char before = *p;
		struct config *ignored = NULL;

		*p = '\t';
		put(d, "ogdsync.yaml", broken.data);
		buffer_clear(&report);
		if (config_load(d->file, &ignored, &report) == 0) {
			config_unref(ignored);
		}
		assert_no_secret(buffer_str(&report));
		*p = before;
	}
}

static void test_unset_and_reload(void **state)
{
	_cleanup_buffer_ struct buffer report = {0};
	struct directory *d = *state;
	struct config *config, *again = NULL, *third = NULL;

	setenv("TEST_OWNER", "owner-geheim", 1);
	setenv("DATABASE_URL", "dbname=market", 1);
	setenv("TEST_LEVEL", "debug", 1);
	put(d, "ogdsync.yaml",
		"database: {owner_dsn: \"password=${TEST_OWNER}\"}\nlog:\n  level: "
		"${TEST_LEVEL}\n");
	config = load_good(d);
	assert_non_null(getenv("TEST_OWNER"));
	config_unset_secrets(config);
	assert_null(getenv("TEST_OWNER"));
	assert_null(getenv("DATABASE_URL"));
	assert_null(getenv("DATA_GOV_API_KEY"));
	assert_non_null(getenv("TEST_LEVEL"));

	/* Twice, so that it is handed on. */
	assert_int_equal(config_reload(config, &again, &report), 0);
	config_unref(config);
	assert_int_equal(config_reload(again, &third, &report), 0);
	config_unref(again);
	assert_string_equal(third->database.owner_dsn, "password=owner-geheim");
	assert_string_equal(third->database.dsn, "dbname=market");
	assert_string_equal(third->portal.api_keys[0], KEY);

	put(d, "ogdsync.yaml", "bad: 1\n");
	again = NULL;
	assert_int_equal(config_reload(third, &again, &report), -1);
	assert_null(again);
	config_unref(third);
}

/* ---- what is shipped ---- */

static void copy_file(const struct directory *d, const char *name)
{
	char path[256];
	struct data data;

	snprintf(path, sizeof(path), "%s/conf", getenv("SOURCE_ROOT"));
	data = data_read_path(path, "", name);
	assert_non_null(data.bytes);
	put(d, name, data.bytes);
	free(data.bytes);
}

static struct config *load_shipped(const struct directory *d)
{
	discard(d, "datasets.d/d.yaml");
	copy_file(d, "ogdsync.yaml");
	copy_file(d, "datasets.d/mandi_prices.yaml");
	copy_file(d, "datasets.d/air_quality.yaml");
	copy_file(d, "datasets.d/pincode_directory.yaml");
	return load_good(d);
}

static void test_shipped(void **state)
{
	struct config *config = load_shipped(*state);
	const struct dataset *mandi = config_dataset(config, "mandi_prices");
	const struct dataset *air = config_dataset(config, "air_quality");
	const struct dataset *pin = config_dataset(config, "pincode_directory");

	assert_int_equal(config->n_datasets, 3);
	assert_ptr_equal(config->datasets[0], air);
	assert_int_equal(mandi->n_fact, 8);
	assert_int_equal(mandi->n_key, 5);
	assert_int_equal(mandi->partition, PARTITION_YEAR);
	assert_int_equal(mandi->freshness_ms, 36 * 3600000);
	assert_int_equal(config_source(config, "mandi_prices", "live")->n_schedules, 2);
	assert_int_equal(config_source(config, "mandi_prices", "history")->slice.lookback_days, 3);
	assert_int_equal(air->n_key, 5);
	assert_int_equal(pin->date, -1);
	assert_int_equal(pin->missing_rows, MISSING_DEACTIVATE);
	config_unref(config);
}

struct served {
	struct normaliser *normaliser;
	struct arena arena;
	unsigned n_rows, n_rejects;
	struct field row[16];
};

static int on_record(void *arg, const struct record *record)
{
	struct served *served = arg;
	struct reject reject = {0};

	if (normalise(served->normaliser, record, &served->arena, served->row, &reject) == 0) {
		served->n_rows++;
	} else {
		served->n_rejects++;
	}
	return 0;
}

static void serve(struct served *served, const struct source *source, const char *page)
{
	struct error error = {0};
	struct envelope envelope;
	struct decode *decode;

	*served = (struct served){.n_rows = 0};
	assert_true(source->dataset->n_columns <= N_ELEMENTS(served->row));
	assert_int_equal(normaliser_new(source, &served->normaliser), 0);
	normaliser_begin_page(served->normaliser);
	assert_int_equal(decode_new(on_record, served, &decode), 0);
	assert_int_equal(decode_feed(decode, page, strlen(page), &error), 0);
	assert_int_equal(decode_finish(decode, &envelope, &error), 0);
	assert_int_equal(normaliser_drift(served->normaliser), -1);
	decode_free(decode);
}

static void served_fini(struct served *served)
{
	normaliser_free(served->normaliser);
	arena_fini(&served->arena);
}

/* The shipped sources read records of the form that the portal serves. */
static void test_shipped_records(void **state)
{
	static const struct {
		const char *dataset, *source, *page;
		int32_t day;
	} cases[] = {
		{"mandi_prices", "live",
			"{\"records\":[{\"state\":\"Kerala\",\"district\":\"D\",\"market\":\"M\","
			"\"commodity\":\"C\",\"variety\":\"V\",\"grade\":\"FAQ\","
			"\"arrival_date\":\"20/11/2026\",\"min_price\":0,\"max_price\":12.5,"
			"\"modal_price\":\"1,700\"}]}",
			20777},
		{"mandi_prices", "history",
			"{\"records\":[{\"State\":\"Kerala\",\"District\":\"D\",\"Market\":\"M\","
			"\"Commodity\":\"C\",\"Variety\":\"V\",\"Grade\":\"FAQ\","
			"\"Arrival_Date\":\"20/11/2026\",\"Min_Price\":\"1\",\"Max_Price\":\"NA\","
			"\"Modal_Price\":\"2\",\"Commodity_Code\":\"3\"}]}",
			20777},
		{"air_quality", "live",
			"{\"records\":[{\"country\":\"India\",\"state\":\"Delhi\",\"city\":"
			"\"Delhi\","
			"\"station\":\"ITO, Delhi - CPCB\",\"last_update\":\"20-11-2026 23:00:00\","
			"\"latitude\":\"28.63\",\"longitude\":\"77.24\","
			"\"pollutant_id\":\"PM2.5\",\"min_value\":\"50\",\"max_value\":\"90\","
			"\"avg_value\":\"NA\"}]}",
			20777},
		{"air_quality", "live",
			"{\"records\":[{\"country\":\"India\",\"state\":\"Delhi\",\"city\":"
			"\"Delhi\","
			"\"station\":\"S\",\"last_update\":\"20-11-2026 00:00:00\","
			"\"latitude\":\"28.63\",\"longitude\":\"77.24\","
			"\"pollutant_id\":\"CO\",\"pollutant_min\":\"5\","
			"\"pollutant_max\":\"9\",\"pollutant_avg\":\"7\"}]}",
			20777},
		{"pincode_directory", "all",
			"{\"records\":[{\"circlename\":\"Delhi Circle\",\"regionname\":\"R\","
			"\"divisionname\":\"New Delhi Central\",\"officename\":\"Sansad Marg HO\","
			"\"pincode\":110001,\"officetype\":\"HO\",\"delivery\":\"Delivery\","
			"\"district\":\"NEW DELHI\",\"statename\":\"DELHI\",\"latitude\":\"NA\","
			"\"longitude\":\"77.2\"}]}",
			0},
	};
	struct config *config = load_shipped(*state);

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const struct source *source =
			config_source(config, cases[i].dataset, cases[i].source);
		struct served served;

		serve(&served, source, cases[i].page);
		assert_int_equal(served.n_rows, 1);
		if (source->dataset->date >= 0) {
			assert_int_equal(
				field_to_date(served.row[source->dataset->date]), cases[i].day);
		}
		served_fini(&served);
	}
	config_unref(config);
}

/* An option that is commented out, `  # keep: 30d`, and not one that only may be given instead. */
static bool is_option(const char *mark)
{
	const char *name = mark + 1 + strspn(mark + 1, " ");
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz_");

	return mark[0] == '#' && len > 0 && name[len] == ':' &&
		(name[len + 1] == ' ' || name[len + 1] == '\n') &&
		strncmp(name, "ogdsync:", len) != 0 && strncmp(name, "api_key_file:", len) != 0;
}

static void uncomment(char *text)
{
	for (char *line = text, *mark; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		mark = line + strspn(line, " ");

		if (is_option(mark)) {
			memmove(mark, mark + 2, strlen(mark + 2) + 1);
		}
	}
}

/* What the build puts in. */
static void put_version(const struct directory *d, char *text)
{
	_cleanup_buffer_ struct buffer out = {0};
	char *at = strstr(text, "@VERSION@");

	assert_non_null(at);
	*at = '\0';
	buffer_printf(&out, "%s%s%s", text, OGDSYNC_VERSION, at + strlen("@VERSION@"));
	put(d, "ogdsync.yaml", buffer_str(&out));
}

/* The comments of ogdsync.yaml name each option with its true default. */
static void test_shipped_comments(void **state)
{
	_cleanup_buffer_ struct buffer before = {0}, after = {0};
	struct directory *d = *state;
	struct config *config = load_shipped(d);
	struct data data;

	config_dump(config, &before);
	config_unref(config);
	data = data_read_path(d->path, "", "ogdsync.yaml");
	uncomment(data.bytes);
	assert_non_null(strstr(data.bytes, "\n  requests_per_minute: 60\n"));
	assert_null(strstr(data.bytes, "# keep: "));
	put_version(d, data.bytes);
	free(data.bytes);
	config = load_good(d);
	config_dump(config, &after);
	config_unref(config);
	assert_string_equal(buffer_str(&before), buffer_str(&after));
}

static struct data read_source(const char *directory, const char *name)
{
	char path[256];
	struct data data;

	snprintf(path, sizeof(path), "%s/%s", getenv("SOURCE_ROOT"), directory);
	data = data_read_path(path, "", name);
	assert_non_null(data.bytes);
	return data;
}

static unsigned lacks(const char *page, const char *text)
{
	if (strstr(page, text)) {
		return 0;
	}
	print_error("not documented: %s", text);
	return 1;
}

/* A page names each option of a table, with its default. */
static unsigned undocumented(const struct option_def *table, const char *page)
{
	unsigned n_bad = 0;
	char text[160];

	for (const struct option_def *def = table; def->name; def++) {
		if (def->type == OPTION_SECTION) {
			n_bad += undocumented(def->section, page);
			continue;
		}
		snprintf(text, sizeof(text), "\n.It Ic %s Pq ", def->name);
		n_bad += lacks(page, text);
		/* The version is no word of a page. */
		if (def->fallback && !strchr(def->fallback, '/')) {
			const char *at = strstr(page, text);
			const char *value = at ? strstr(at, def->fallback) : NULL;

			n_bad += !value || value > strchr(at + 1, '\n');
		}
	}
	return n_bad;
}

static void test_man_page(void **state)
{
	struct data page = read_source("man", "ogdsync.yaml.5");

	(void)state;
	assert_int_equal(undocumented(config_options, page.bytes), 0);
	free(page.bytes);
}

/* The keys of a dataset's dump that are options and not names that people choose. */
static bool is_dataset_option(const char *line, bool in_sources, const char *section)
{
	size_t indent = strspn(line, " ");

	if (line[indent] == '"' || line[0] == '-' || line[0] == '#') {
		return false;
	}
	return in_sources ? indent == 4 ||
			(indent > 4 && strcmp(section, "fields") != 0 &&
				strcmp(section, "filters") != 0)
			  : indent == 0 || indent == 4;
}

static void test_dataset_man_page(void **state)
{
	_cleanup_buffer_ struct buffer dump = {0};
	struct config *config = load_shipped(*state);
	struct data page = read_source("man", "ogdsync-datasets.5");
	unsigned n_bad = 0, n_options = 0;
	char section[32] = "", text[64];
	bool in_sources = false;

	config_dump(config, &dump);
	config_unref(config);
	for (char *line = strtok(strstr(dump.data, "\n---\n") + 5, "\n"); line;
		line = strtok(NULL, "\n")) {
		const char *name = line + strspn(line, " ");
		int len = (int)strcspn(name, ":");

		if (name == line) {
			in_sources = strcmp(line, "sources:") == 0;
		}
		if (in_sources && name == line + 4) {
			snprintf(section, sizeof(section), "%.*s", len, name);
		}
		if (is_dataset_option(line, in_sources, section)) {
			snprintf(text, sizeof(text), "\n.It Ic %.*s", len, name);
			n_bad += lacks(page.bytes, text);
			n_options++;
		}
	}
	free(page.bytes);
	assert_int_equal(n_bad, 0);
	assert_true(n_options > 60);
}

/* Write the documents of a dump as files of their own. */
static void put_dump(const struct directory *d, const char *dump)
{
	unsigned n = 0;

	for (const char *p = dump; p; n++) {
		const char *end = strstr(p, "\n---\n");
		size_t len = end ? (size_t)(end - p) + 1 : strlen(p);
		_cleanup_free_ char *text = strndup(p, len);
		char name[64];

		snprintf(name, sizeof(name), n == 0 ? "ogdsync.yaml" : "datasets.d/dump%u.yaml", n);
		put(d, name, text);
		p = end ? end + strlen("\n---\n") : NULL;
	}
}

/* Without the comments that name the files. */
static void drop_comments(struct buffer *text)
{
	for (char *p = text->data; (p = strstr(p, "# /"));) {
		char *end = strchr(p, '\n') + 1;

		memmove(p, end, strlen(end) + 1);
	}
}

static void assert_round_trip(const struct directory *d, struct config *config)
{
	_cleanup_buffer_ struct buffer first = {0}, second = {0};
	char command[160];

	config_dump(config, &first);
	config_unref(config);
	assert_false(buffer_failed(&first));
	snprintf(command, sizeof(command), "rm -f '%s'/datasets.d/*", d->path);
	assert_int_equal(system(command), 0);
	put_dump(d, buffer_str(&first));
	scrub_clear();
	config = load_good(d);
	config_dump(config, &second);
	config_unref(config);
	drop_comments(&first);
	drop_comments(&second);
	assert_string_equal(buffer_str(&first), buffer_str(&second));
}

static void test_dump_again(void **state)
{
	struct directory *d = *state;

	assert_round_trip(d, load_shipped(d));
	/* With texts that YAML would read otherwise. */
	put(d, "ogdsync.yaml",
		"portal: {user_agent: \"a\\\"\\\\b: $${X} # {[\"}\n"
		"database: {dsn: \"host=a password='x$$ y\\\"z'\"}\n"
		"history: {runs: 36h}\nspool: {keep: 1500ms, max_bytes: 1234567B}\n");
	put(d, "datasets.d/odd.yaml",
		"dataset: odd\ntable: odd\ncolumns: {a: {type: numeric, min: -1.50}, b: {type: "
		"text}}\n"
		"key: [a]\nmissing_rows: deactivate\ndeactivate_limit: 0.01%\n"
		"nulls: [\"\", \"null\", \"~\", \"\\u2028\\u0085\\ufeff\", \"हरी\"]\n"
		"sources: {s: {" RESOURCE
		", fields: {a: [\"a b\", \"$$\"], b: \"null\"}, sort: [],\n"
		"  filters: {\"filters[a: \\\"$]\": \"\"}}}\n");
	assert_round_trip(d, load_good(d));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_values),
		TEST(test_variables),
		TEST(test_missing),
		TEST(test_key_files),
		TEST(test_secrets),
		TEST(test_unset_and_reload),
		TEST(test_shipped),
		TEST(test_shipped_records),
		TEST(test_shipped_comments),
		TEST(test_man_page),
		TEST(test_dataset_man_page),
		TEST(test_dump_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
