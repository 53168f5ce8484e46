/*
 * daemon/config: every message that an operator can read. SPDX-License-Identifier: Apache-2.0
 *
 * The files are written to a directory of the test's own; reports name them relative to it.
 */

#include "tests/unit/config_files.h"

/* The report, or "" when the files are right. */
static void load_report(const struct directory *d, struct buffer *report)
{
	struct config *config = NULL;

	buffer_clear(report);
	if (config_load(d->file, &config, report) == 0) {
		assert_int_equal(report->len, 0);
		config_unref(config);
		return;
	}
	assert_null(config);
	assert_false(buffer_failed(report));
	relative(d, report->data);
}

/* A table is run to its end, so that one run shows all that differs. */
static unsigned differs(const struct directory *d, const char *expected)
{
	_cleanup_buffer_ struct buffer report = {0};

	load_report(d, &report);
	if (strcmp(buffer_str(&report), expected) == 0) {
		return 0;
	}
	print_error("got:\n%sexpected:\n%s", buffer_str(&report), expected);
	return 1;
}

static void assert_report(const struct directory *d, const char *expected)
{
	assert_int_equal(differs(d, expected), 0);
}

static void test_main_problems(void **state)
{
	static const struct {
		const char *text, *report; /* behind "ogdsync.yaml:" */
	} cases[] = {
		{"portl: {}", "1:1: unknown option \"portl\" (did you mean \"portal\"?)"},
		{"xyzzy: 1", "1:1: unknown option \"xyzzy\""},
		{"portal:\n  paralel: 3",
			"2:3: unknown option \"paralel\" (did you mean \"parallel\"?)"},
		{"portal: {breaker: {afer: 5}}",
			"1:20: unknown option \"afer\" (did you mean \"after\"?)"},
		{"portal: 5", "1:9: portal: expected a mapping (name: value)"},
		{"portal: [a]", "1:9: portal: expected a mapping (name: value), found a list"},
		{"- a", "1:1: this file: expected a mapping (name: value), found a list"},
		{"portal: {parallel: many}",
			"1:20: parallel: expected a whole number from 1 to 16, found \"many\""},
		{"portal: {parallel: 0}",
			"1:20: parallel: expected a whole number from 1 to 16, found \"0\""},
		{"portal: {parallel: 17}",
			"1:20: parallel: expected a whole number from 1 to 16, found \"17\""},
		{"portal: {parallel: 99999999999999999999}",
			"1:20: parallel: expected a whole number from 1 to 16, found "
			"\"99999999999999999999\""},
		{"portal: {parallel: \"2\"}",
			"1:20: parallel: expected a whole number from 1 to 16, found \"2\" in "
			"quotes"},
		{"portal:\n  parallel:",
			"2:12: parallel: expected a whole number from 1 to 16, found nothing"},
		{"portal: {connect_timeout: 3 parsecs}",
			"1:27: connect_timeout: expected a duration such as 500ms, 5m, 36h or 30d, "
			"found \"3 parsecs\""},
		{"portal: {connect_timeout: forever}",
			"1:27: connect_timeout: expected a duration such as 500ms, 5m, 36h or 30d, "
			"found \"forever\""},
		{"portal: {connect_timeout: 2h}",
			"1:27: connect_timeout: expected at least 100ms, at most 1h, found \"2h\""},
		{"portal: {connect_timeout: 200s}",
			"1:27: request_timeout must not be shorter than connect_timeout"},
		{"portal: {page_bytes: 1MB}",
			"1:22: page_bytes: expected a size such as 64KiB, 96MiB or 2GiB, found "
			"\"1MB\""},
		{"portal: {page_bytes: 1KiB}",
			"1:22: page_bytes: expected at least 64KiB, at most 4GiB, found \"1KiB\""},
		{"portal: {low_speed: 1KiB}",
			"1:21: low_speed: expected a size and a time, such as 1KiB/60s, found "
			"\"1KiB\""},
		{"portal: {backoff: 5m..1s}",
			"1:19: backoff: expected a range of durations, such as 1s..5m, found "
			"\"5m..1s\""},
		{"portal: {ip: ipv4}", "1:14: ip: expected any, 4 or 6, found \"ipv4\""},
		{"portal: {user_agent: \"\"}", "1:22: user_agent: must not be empty, found \"\""},
		{"portal: {user_agent: \"a\\nb\"}",
			"1:22: user_agent: must not hold control characters, found \"a?b\""},
		{"portal: {user_agent: {}}", "1:22: user_agent: expected a text, found a mapping"},
		{"portal: {base_url: http://example.com}",
			"1:20: base_url: must begin with https://: plain http goes to this machine "
			"alone"},
		{"portal: {base_url: https://u:geheim@example.com}",
			"1:20: base_url: must not hold a user or password"},
		{"portal: {base_url: https://example.com/}",
			"1:20: base_url: must not end with a slash"},
		{"portal: {base_url: \"https://example.com?x=1\"}",
			"1:20: base_url: must not hold a query or fragment"},
		{"portal: {base_url: ftp://example.com}",
			"1:20: base_url: must begin with https://"},
		{"portal: {base_url: example.com}", "1:20: base_url: is not a URL"},
		{"portal: {ca_file: ca.pem}",
			"1:19: ca_file: must be an absolute path, found \"ca.pem\""},
		{"portal: {api_key: abc}",
			"1:19: a secret of less than 4 characters cannot be kept out of the log"},
		{"portal: {api_key: \"ab cd\"}",
			"1:19: api_key: must be plain ASCII without spaces"},
		{"portal: {api_key: " KEY ", api_key_file: /nonexistent}",
			"1:67: api_key_file: api_key is given too; one of them is enough"},
		{"portal: {proxy: \"http://u:geheim@h:99999\"}",
			"1:17: proxy: has a port that is none"},
		{"database: {dsn: \"postgres://u:geheim@x@h/d\"}",
			"1:17: the connection string is malformed: an @ in the password must be "
			"written %40"},
		{"database: {dsn: \"host=a bogus=b\"}",
			"1:17: the connection string is malformed: invalid connection option \"\""},
		{"database: {create_tables: yes}",
			"1:27: create_tables: expected true or false, found \"yes\""},
		{"server: {listen: [\"0.0.0.0:80\"]}",
			"1:19: listen: 0.0.0.0:80 is open to other machines: server.token_file is "
			"needed"},
		{"server: {listen: [\"127.0.0.1:80\", \"127.0.0.1:80\"]}",
			"1:35: listen: 127.0.0.1:80 stands here twice"},
		{"server: {listen: \"unix:relative\"}",
			"1:18: listen: needs an absolute path behind unix:, found "
			"\"unix:relative\""},
		{"server: {listen: \"example.com:80\"}",
			"1:18: listen: expected unix:/path, 127.0.0.1:8642 or [::1]:8642, found "
			"\"example.com:80\""},
		{"server: {hosts: null}", "1:17: hosts: expected a text, found nothing"},
		{"server: {hosts: [a/b]}",
			"1:18: hosts: must be the name of a host, found \"a/b\""},
		{"log: {level: warn}",
			"1:14: level: expected error, warning, notice, info or debug, found "
			"\"warn\""},
		{"log: {level: infoo}",
			"1:14: level: expected error, warning, notice, info or debug, found "
			"\"infoo\" "
			"(did you mean \"info\"?)"},
		{"alerts: {webhook: \"http://example.com/geheim\"}",
			"1:19: webhook: must begin with https://: plain http goes to this machine "
			"alone"},
		{"alerts: {notify_channel: A-B}",
			"1:26: notify_channel: must be a name of lower-case letters, digits and _, "
			"found \"A-B\""},
		{"history: {runs: 1h}", "1:17: runs: expected at least 1d, found \"1h\""},
		{"timezone: Asia/Calcuta",
			"1:11: timezone: is not a time zone of this machine, found "
			"\"Asia/Calcuta\""},
		{"timezone: ../../../etc/passwd",
			"1:11: timezone: is not a time zone of this machine, found "
			"\"../../../etc/passwd\""},
		/* What no file of ours may hold. */
		{"load: {memory: 2MiB}\nlog: {}\nload: {}",
			"3:1: the key \"load\" stands here twice (first at 1:1)"},
		{"log: &a {}",
			"1:6: anchors are not supported (a text that begins with & needs quotes)"},
		{"log: *a",
			"1:6: aliases are not supported (a text that begins with * needs quotes)"},
		{"alerts:\n  webhook_secret: *geheim",
			"2:19: aliases are not supported (a text that begins with * needs quotes)"},
		{"log: {<<: {level: info}}", "1:7: merge keys (<<) are not supported"},
		{"timezone: !!str UTC",
			"1:11: tags are not supported (a text that begins with ! needs quotes)"},
		{"timezone: UTC\n---\ntimezone: UTC", "2:1: a second document: one file holds one"},
		{"log: {level: info",
			"2:1: did not find expected ',' or '}' while parsing a flow "
			"mapping"},
		{"timezone: \"a\\0b\"", "1:11: a text cannot hold a NUL byte"},
		{"timezone: \"\xff\"", "1:12: invalid leading UTF-8 octet"},
		{"? [a]\n: b", "1:3: a key must be a single word"},
		{"log: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "1:22: nested more than 16 deep"},
		/* Variables. */
		{"timezone: $UTC", "1:11: a lone $: write $$ for a dollar, ${NAME} for a variable"},
		{"timezone: ${UTC", "1:11: expected ${NAME} or ${NAME:-default}"},
		{"timezone: ${1A}", "1:11: expected ${NAME} or ${NAME:-default}"},
		{"timezone: ${A:-${B}}",
			"1:11: a default cannot hold a variable (write $$ for a dollar)"},
		{"timezone: ${TEST_UNSET}", "1:11: timezone: TEST_UNSET is not set"},
		{"timezone: ${TEST_GEHEIM}",
			"1:11: timezone: is not a time zone of this machine (from ${TEST_GEHEIM})"},
		{"portal: {parallel: \"${TEST_GEHEIM}\"}",
			"1:20: parallel: expected a whole number from 1 to 16 (from "
			"${TEST_GEHEIM})"},
		{"log: {level: ${TEST_GEHEIM}}",
			"1:14: a lone $: write $$ for a dollar, ${NAME} for a variable\n"
			"ogdsync.yaml:1:15: did not find expected ',' or '}' while parsing a flow "
			"mapping (inside { } and [ ] write \"${NAME}\")"},
	};
	const struct directory *d = *state;
	unsigned n_bad = 0;

	setenv("TEST_GEHEIM", "geheim", 1);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char expected[512];

		put(d, "ogdsync.yaml", cases[i].text);
		snprintf(expected, sizeof(expected), "ogdsync.yaml:%s\n", cases[i].report);
		n_bad += differs(d, expected);
		assert_null(strstr(expected, "geheim"));
	}
	assert_int_equal(n_bad, 0);
}

static void test_dataset_problems(void **state)
{
	static const struct {
		const char *text, *report; /* behind "datasets.d/d.yaml:" */
	} cases[] = {
		{HEAD SOURCE "colour: red\n", "11:1: unknown option \"colour\""},
		{HEAD SOURCE "frshness: 5h\n",
			"11:1: unknown option \"frshness\" (did you mean \"freshness\"?)"},
		{"table: s.t\n" COLUMNS "key: [state]\n" SOURCE,
			"1:1: this file: the option \"dataset\" is missing"},
		{"dataset: D\ntable: s.t\n" COLUMNS "key: [state]\n" SOURCE,
			"1:10: dataset: must be a name of lower-case letters, digits and _, found "
			"\"D\""},
		{"dataset: d\ntable: ogdsync.t\n" COLUMNS "key: [state]\n" SOURCE,
			"2:8: table: must not be in the schema ogdsync, which keeps the books, "
			"found "
			"\"ogdsync.t\""},
		{"dataset: d\ntable: a.b.c\n" COLUMNS "key: [state]\n" SOURCE,
			"2:8: table: must be schema.name, both of lower-case letters, digits and "
			"_, "
			"found \"a.b.c\""},
		{"dataset: d\ntable: "
		 "a_table_with_a_name_so_long_that_nothing_fits_behind_it_x\n" COLUMNS
		 "key: [state]\n" SOURCE,
			"2:8: table: must not have a name longer than 54 bytes, found "
			"\"a_table_with_a_name_so_long_that_nothing_fits_behind_it_x\""},
		{"dataset: d\ntable: t\ncolumns: {}\nkey: [a]\n" SOURCE,
			"3:10: columns: expected 1 to 250 columns, found 0"},
		{"dataset: d\ntable: t\ncolumns: {a: text}\nkey: [a]\n"
		 "sources: {live: {" RESOURCE ", fields: {a: a}}}\n",
			"3:14: a: expected a mapping (name: value)"},
		{"dataset: d\ntable: t\ncolumns: {a: {type: txt}}\nkey: [a]\n"
		 "sources: {live: {" RESOURCE ", fields: {a: a}}}\n",
			"3:21: type: expected text, numeric, integer, date or timestamp, found "
			"\"txt\" "
			"(did you mean \"text\"?)"},
		{"dataset: d\ntable: t\ncolumns: {a: {type: text, min: 5}}\nkey: [a]\n"
		 "sources: {live: {" RESOURCE ", fields: {a: a}}}\n",
			"3:27: min: only numeric and integer columns have one"},
		{"dataset: d\ntable: t\ncolumns: {a: {type: integer, min: 5, max: 4.5}}\nkey: [a]\n"
		 "sources: {live: {" RESOURCE ", fields: {a: a}}}\n",
			"3:43: max: is less than min"},
		{"dataset: d\ntable: t\ncolumns: {a: {type: integer, min: 5e}}\nkey: [a]\n"
		 "sources: {live: {" RESOURCE ", fields: {a: a}}}\n",
			"3:35: min: expected a number, found \"5e\""},
		{"dataset: d\ntable: t\ncolumns: {run_id: {type: text}}\nkey: [run_id]\n"
		 "sources: {live: {" RESOURCE ", fields: {run_id: a}}}\n",
			"3:11: column \"run_id\": the name is taken by a column of the table's "
			"own"},
		{"dataset: d\ntable: s.t\ndate: dya\n" COLUMNS "key: [state, day]\n" SOURCE,
			"3:7: date: there is no column \"dya\" (did you mean \"day\"?)"},
		{"dataset: d\ntable: s.t\ndate: state\n" COLUMNS "key: [state, day]\n" SOURCE,
			"3:7: date: the column \"state\" is of type text, not date"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [state, dya]\n" SOURCE,
			"7:14: key: there is no column \"dya\" (did you mean \"day\"?)"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [state, state]\n" SOURCE,
			"7:14: key: \"state\" stands here twice"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [state, price]\n" SOURCE,
			"7:14: key: the column \"price\" is nullable, which a key cannot be"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: []\n" SOURCE,
			"7:6: key: expected a list of columns, found an empty one"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: state\n" SOURCE,
			"7:6: key: expected a list of columns, found \"state\""},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [day, state]\n"
		 "lookups: {l: {table: s.l, columns: [state]}}\n" SOURCE,
			"7:12: key: the column \"state\" is part of the lookup \"l\": name that"},
		{HEAD "lookups: {l: {table: s.l, columns: [price]}}\n" SOURCE,
			"9:37: columns: a lookup is made of texts, and \"price\" is of type "
			"numeric"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [day, l]\n"
		 "lookups: {l: {table: s.l, columns: [state], inactive_after: 1h}}\n" SOURCE,
			"8:61: inactive_after: expected at least 1d, found \"1h\""},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [day, l]\n"
		 "lookups: {l: {table: s.l, columns: [state]}, "
		 "m: {table: s.m, columns: [state]}}\n" SOURCE,
			"8:72: columns: \"state\" belongs to the lookup \"l\" already"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [day, l]\n"
		 "lookups: {l: {table: s.t, columns: [state]}}\n" SOURCE,
			"8:22: table: s.t belongs to the dataset \"d\" already"},
		{HEAD "indexes: [[stat]]\n" SOURCE,
			"9:12: indexes: there is no column \"stat\" (did you mean \"state\"?)"},
		{HEAD "indexes: [state]\n" SOURCE,
			"9:11: indexes: expected a list of lists of columns"},
		{HEAD "partition: yearly\n" SOURCE,
			"9:12: partition: expected none, year or month, found \"yearly\" (did you "
			"mean "
			"\"year\"?)"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [state]\npartition: year\n" SOURCE,
			"8:12: partition: a dataset without date has no ranges to part it by"},
		{"dataset: d\ntable: s.t\ndate: day\n" COLUMNS
		 "key: [state]\npartition: year\n" SOURCE,
			"9:12: partition: the date \"day\" must be part of the key"},
		{"dataset: d\ntable: s.t\n" COLUMNS "key: [state]\nfreshness: 5h\n" SOURCE,
			"8:12: freshness: a dataset without date cannot be stale"},
		{HEAD "missing_rows: deactivate\n" SOURCE,
			"9:15: missing_rows: only a dataset without date is served whole, so only "
			"there can rows be missing"},
		{HEAD "quarantine_limit: 101%\n" SOURCE,
			"9:19: quarantine_limit: expected a share from 0% to 100%, such as 5%, "
			"found "
			"\"101%\""},
		{HEAD "day_ends: 9:00\n" SOURCE,
			"9:11: day_ends: expected a time of day such as 09:00, found \"9:00\""},
		{HEAD "sources: {}\n", "9:10: sources: there is none"},
		{HEAD "sources: {Live: {" RESOURCE ", " FIELDS "}}\n",
			"9:11: source \"Live\": must be a name of lower-case letters, digits and "
			"_"},
		{HEAD "sources: {live: {" FIELDS "}}\n",
			"9:11: live: the option \"resource\" is missing"},
		{HEAD "sources: {live: {" RESOURCE "}}\n",
			"9:11: live: the option \"fields\" is missing"},
		{HEAD "sources: {live: {resource: 9ef84268, " FIELDS "}}\n",
			"9:28: resource: must be the UUID of a resource, found \"9ef84268\""},
		{HEAD "sources:\n  live:\n    " RESOURCE "\n    fields: {state: s}\n",
			"12:5: fields: \"day\" is missing, and that column is not nullable"},
		{HEAD "sources:\n  live:\n    " RESOURCE
		      "\n    fields: {state: s, day: d, dya: d}\n",
			"12:32: fields: there is no column \"dya\" (did you mean \"day\"?)"},
		{HEAD "sources:\n  live:\n    " RESOURCE "\n    fields: {state: s, day: []}\n",
			"12:29: day: expected the name of a field"},
		{HEAD SOURCE "    " /* flow mapping is closed; a new source */ "\n"
			     "  b:\n    " RESOURCE "\n    " FIELDS "\n    schedule: \"* * *\"\n",
			"15:16: schedule: a cron line has 5 fields (minute hour day month "
			"weekday), "
			"not 3"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    schedule: [\"0 1 * * *\", \"0 25 * * *\"]\n",
			"13:32: schedule: hour 25 is not within 0-23"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    schedule: ${TEST_GEHEIM}\n",
			"13:15: schedule: is no line of cron (from ${TEST_GEHEIM})"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS "\n    schedule: 0 1 * * *\n"
		      "    every: 5h\n",
			"14:5: every: schedule is given too; one of them is enough"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS "\n    every: 5m\n"
		      "    jitter: 5m\n",
			"14:13: jitter: must be less than every"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS "\n    on_start: true\n",
			"13:15: on_start: a source without schedule or every runs by hand alone"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS "\n    page_size: 20000\n",
			"13:16: page_size: 20000 is more than portal.page_max, which is 10000"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS "\n    sort: [staet]\n",
			"13:12: sort: there is no column \"staet\" (did you mean \"state\"?)"},
		{HEAD "sources:\n  b:\n    " RESOURCE
		      "\n    fields: {state: s, day: d}\n    sort: [price]\n",
			"13:12: sort: \"price\" has no entry in fields"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    date_format: \"%d-%m-%y\"\n",
			"13:18: date_format: holds what no date format knows (%d %m %Y %H %M %S "
			"%z), "
			"found \"%d-%m-%y\""},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    date_format: \"%d-%m\"\n",
			"13:18: date_format: must name day (%d), month (%m) and year (%Y), found "
			"\"%d-%m\""},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS "\n    filters: {limit: 5}\n",
			"13:15: filters: \"limit\" must be a parameter such as filters[state] or "
			"range[date][gte]"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    slice: {by: state, filter: \"filters[d]\"}\n",
			"13:17: by: \"state\" is not the dataset's date (day)"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS "\n    slice: {by: day}\n",
			"13:5: slice: the option \"filter\" is missing"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    slice: {by: day, filter: \"offset\", lookback: 36h, format: \"%H\"}\n",
			"13:30: filter: must be a parameter such as filters[Arrival_Date], found "
			"\"offset\"\n"
			"datasets.d/d.yaml:13:50: lookback: expected whole days, such as 3d, found "
			"\"36h\"\n"
			"datasets.d/d.yaml:13:63: format: must be made of %d, %m and %Y, found "
			"\"%H\""},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    slice: {by: day, filter: \"filters[d]\", split: {by: price, filter: "
		      "\"filters[s]\"}}\n",
			"13:56: by: \"price\" is of type numeric, not text"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    heal: {from: 2024-01-01}\n",
			"13:5: heal: only a source with slice can ask for single days"},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    slice: {by: day, filter: \"filters[d]\"}\n    heal: {from: "
		      "2024-02-30}\n",
			"14:18: from: expected a date such as 2024-01-31, found \"2024-02-30\""},
		{HEAD "sources:\n  b:\n    " RESOURCE "\n    " FIELDS
		      "\n    slice: {by: day, filter: \"filters[d]\"}\n"
		      "    filters: {\"filters[d]\": x}\n",
			"14:15: filters: filters[d] is the filter of slice already"},
	};
	const struct directory *d = *state;
	unsigned n_bad = 0;

	setenv("TEST_GEHEIM", "geheim", 1);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char expected[1024];

		put(d, "datasets.d/d.yaml", cases[i].text);
		snprintf(expected, sizeof(expected), "datasets.d/d.yaml:%s\n", cases[i].report);
		n_bad += differs(d, expected);
	}
	assert_int_equal(n_bad, 0);
}

static void test_files(void **state)
{
	const struct directory *d = *state;
	char path[128];

	put(d, "datasets.d/e.yml", DATASET);
	put(d, "datasets.d/.hidden.yaml", "bad");
	put(d, "datasets.d/d.yaml~", "bad");
	assert_report(d, "datasets.d/e.yml: would not be read: name it *.yaml\n");
	discard(d, "datasets.d/e.yml");
	put(d, "datasets.d/e.yaml", "# nothing\n");
	assert_report(d, "datasets.d/e.yaml: the file is empty\n");
	put(d, "datasets.d/e.yaml", DATASET);
	assert_report(d,
		"datasets.d/e.yaml:1:10: dataset: \"d\" stands in datasets.d/d.yaml already\n"
		"datasets.d/e.yaml:2:8: table: s.t belongs to the dataset \"d\" already\n"
		"datasets.d/e.yaml:2:8: table: s.t_revision belongs to the dataset \"d\" "
		"already\n"
		"datasets.d/e.yaml:2:8: table: s.t_named belongs to the dataset \"d\" already\n");
	discard(d, "datasets.d/e.yaml");
	snprintf(path, sizeof(path), "%s/datasets.d/e.yaml", d->path);
	assert_int_equal(symlink("/nonexistent", path), 0);
	assert_report(d, "datasets.d/e.yaml: opening: No such file or directory\n");
	discard(d, "datasets.d/e.yaml");
	discard(d, "datasets.d/d.yaml");
	assert_report(d, "datasets.d: there is no dataset (*.yaml) here\n");
	discard(d, "ogdsync.yaml");
	put(d, "datasets.d/d.yaml", DATASET);
	assert_report(d, "ogdsync.yaml: opening: No such file or directory\n");
}

/* Problems of all files come together, and not without end. */
static void test_many_problems(void **state)
{
	_cleanup_buffer_ struct buffer text = {0}, report = {0};
	const struct directory *d = *state;
	unsigned n_lines = 0;

	for (int i = 0; i < 1100; i++) {
		buffer_printf(&text, "xyzzy_%d: 1\n", i);
	}
	put(d, "ogdsync.yaml", buffer_str(&text));
	load_report(d, &report);
	for (const char *p = buffer_str(&report); *p; p++) {
		n_lines += *p == '\n';
	}
	assert_int_equal(n_lines, 51);
	assert_string_equal(strstr(buffer_str(&report), "ogdsync.yaml:50:1"),
		"ogdsync.yaml:50:1: unknown option \"xyzzy_49\"\nand 1050 more\n");
	put(d, "ogdsync.yaml", "a: 1\nb: 1\n");
	put(d, "datasets.d/d.yaml", DATASET "c: 1\n");
	assert_report(d,
		"ogdsync.yaml:1:1: unknown option \"a\"\n"
		"ogdsync.yaml:2:1: unknown option \"b\"\n"
		"datasets.d/d.yaml:11:1: unknown option \"c\"\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_main_problems),
		TEST(test_dataset_problems),
		TEST(test_files),
		TEST(test_many_problems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
