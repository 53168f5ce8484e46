/*
 * Questions to the books, and their answers as JSON. SPDX-License-Identifier: Apache-2.0
 *
 * A value of the database may be any text: it is escaped. The bytes of a reject are text where they
 * are UTF-8, else base64 under another key, and nothing of them is lost.
 */

#include "daemon/ledger_read.h"

#include <stdbool.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/escape.h"

/* ---- statements ---- */

#define SQL_COUNTS                                                                                 \
	"received, inserted, updated, unchanged, duplicate, quarantined"
#define SQL_RUN                                                                                    \
	"SELECT id, dataset, source, trigger, state, code, error, " SQL_US("started_at") ", "      \
	SQL_US("finished_at") ", slices, " SQL_COUNTS " FROM ogdsync.run"

static const struct ledger_column run_columns[] = {
	{"id", LEDGER_NUMBER},
	{"dataset", LEDGER_TEXT},
	{"source", LEDGER_TEXT},
	{"trigger", LEDGER_TEXT},
	{"state", LEDGER_TEXT},
	{"code", LEDGER_TEXT},
	{"error", LEDGER_TEXT},
	{"started_at", LEDGER_TIME},
	{"finished_at", LEDGER_TIME},
	{"slices", LEDGER_NUMBER},
	{"received", LEDGER_NUMBER},
	{"inserted", LEDGER_NUMBER},
	{"updated", LEDGER_NUMBER},
	{"unchanged", LEDGER_NUMBER},
	{"duplicate", LEDGER_NUMBER},
	{"quarantined", LEDGER_NUMBER},
};

#define SQL_SLICE                                                                                  \
	"SELECT slice, to_char(data_date, 'YYYY-MM-DD'), state, code, error, expected, received,"  \
	" distinct_rows, inserted, updated, unchanged, duplicate, quarantined, pages, passes, "    \
	SQL_US("started_at") ", " SQL_US("fetched_at") ", " SQL_US("loaded_at")                    \
	" FROM ogdsync.run_slice"

static const struct ledger_column slice_columns[] = {
	{"slice", LEDGER_TEXT},
	{"data_date", LEDGER_TEXT},
	{"state", LEDGER_TEXT},
	{"code", LEDGER_TEXT},
	{"error", LEDGER_TEXT},
	{"expected", LEDGER_NUMBER},
	{"received", LEDGER_NUMBER},
	{"distinct", LEDGER_NUMBER},
	{"inserted", LEDGER_NUMBER},
	{"updated", LEDGER_NUMBER},
	{"unchanged", LEDGER_NUMBER},
	{"duplicate", LEDGER_NUMBER},
	{"quarantined", LEDGER_NUMBER},
	{"pages", LEDGER_NUMBER},
	{"passes", LEDGER_NUMBER},
	{"started_at", LEDGER_TIME},
	{"fetched_at", LEDGER_TIME},
	{"loaded_at", LEDGER_TIME},
};

static const struct ledger_column reason_columns[] = {
	{"dataset", LEDGER_TEXT},
	{"reason", LEDGER_TEXT},
	{"count", LEDGER_NUMBER},
};

#define SQL_REJECT                                                                                 \
	"id, dataset, source, slice, reason, \"column\", detail, page, position, first_run,"       \
	" last_run, " SQL_US("created_at")
#define SQL_FILTER " WHERE ($1::text IS NULL OR dataset = $1) AND ($2::text IS NULL OR reason = $2)"

/* The last one is for a single reject. */
static const struct ledger_column reject_columns[] = {
	{"id", LEDGER_NUMBER},
	{"dataset", LEDGER_TEXT},
	{"source", LEDGER_TEXT},
	{"slice", LEDGER_TEXT},
	{"reason", LEDGER_TEXT},
	{"column", LEDGER_TEXT},
	{"detail", LEDGER_TEXT},
	{"page", LEDGER_NUMBER},
	{"position", LEDGER_NUMBER},
	{"first_run", LEDGER_NUMBER},
	{"last_run", LEDGER_NUMBER},
	{"created_at", LEDGER_TIME},
	{NULL, LEDGER_RAW}, /* brings its own key */
};

static void begin(struct ledger_question *question, const char *sql,
	const struct ledger_column *columns, unsigned n_columns)
{
	*question = (struct ledger_question){
		.sql = sql, .columns = columns, .n_columns = n_columns};
}

void ledger_ask_runs(struct ledger_question *question, const struct ledger_filter *filter)
{
	begin(question,
		SQL_RUN " WHERE ($1::text IS NULL OR dataset = $1)"
			" AND ($2::text IS NULL OR source = $2)"
			" AND ($3::bigint IS NULL OR id < $3) ORDER BY id DESC LIMIT $4::bigint",
		run_columns, N_ELEMENTS(run_columns));
	add_text(&question->params, filter->dataset);
	add_text(&question->params, filter->source);
	add_number_or_null(&question->params, filter->before, 0);
	add_number(&question->params, filter->n_rows);
}

void ledger_ask_run(struct ledger_question *question, int64_t run)
{
	begin(question, SQL_RUN " WHERE id = $1", run_columns, N_ELEMENTS(run_columns));
	add_number(&question->params, run);
}

void ledger_ask_slices(struct ledger_question *question, int64_t run)
{
	begin(question, SQL_SLICE " WHERE run = $1 ORDER BY started_at, slice", slice_columns,
		N_ELEMENTS(slice_columns));
	add_number(&question->params, run);
}

void ledger_ask_reasons(struct ledger_question *question, const struct ledger_filter *filter)
{
	begin(question,
		"SELECT dataset, reason, count(*) FROM ogdsync.quarantine" SQL_FILTER
		" GROUP BY dataset, reason ORDER BY dataset, count(*) DESC, reason",
		reason_columns, N_ELEMENTS(reason_columns));
	add_text(&question->params, filter->dataset);
	add_text(&question->params, filter->reason);
}

void ledger_ask_rejects(struct ledger_question *question, const struct ledger_filter *filter)
{
	begin(question,
		"SELECT " SQL_REJECT " FROM ogdsync.quarantine" SQL_FILTER
		" AND ($3::bigint IS NULL OR id < $3) ORDER BY id DESC LIMIT $4::bigint",
		reject_columns, N_ELEMENTS(reject_columns) - 1);
	add_text(&question->params, filter->dataset);
	add_text(&question->params, filter->reason);
	add_number_or_null(&question->params, filter->before, 0);
	add_number(&question->params, filter->n_rows);
}

void ledger_ask_reject(struct ledger_question *question, int64_t reject)
{
	begin(question,
		"SELECT " SQL_REJECT ", encode(raw, 'base64') FROM ogdsync.quarantine WHERE id = $1",
		reject_columns, N_ELEMENTS(reject_columns));
	add_number(&question->params, reject);
}

/* ---- answers ---- */

static void append_string(struct buffer *out, const char *text, size_t len)
{
	buffer_append_char(out, '"');
	escape_append(out, text, len);
	buffer_append_char(out, '"');
}

static void append_key(struct buffer *out, const char *key)
{
	append_string(out, key, strlen(key));
	buffer_append_char(out, ':');
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* PostgreSQL breaks base64 into lines: `text` is what it sent, `bytes` and `one_line` come out. */
static void read_base64(const char *text, struct buffer *bytes, struct buffer *one_line)
{
	uint32_t bits = 0;
	unsigned n_bits = 0;

	for (; *text; text++) {
		int digit = base64_digit(*text);

		if (digit >= 0 || *text == '=') {
			buffer_append_char(one_line, *text);
		}
		if (digit < 0) {
			continue;
		}
		bits = bits << 6 | (uint32_t)digit;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			buffer_append_char(bytes, (char)(bits >> n_bits & 0xff));
		}
	}
}

static bool is_utf8(const char *text, size_t len)
{
	const char *end = text + len;
	size_t n;

	for (; text < end; text += n) {
		n = escape_utf8_bytes(text, end);
		if (n == 0) {
			return false;
		}
	}
	return true;
}

static void append_raw(struct buffer *out, const char *base64)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_buffer_ struct buffer one_line = {0};

	read_base64(base64, &bytes, &one_line);
	out->failed |= buffer_failed(&bytes) || buffer_failed(&one_line);
	if (is_utf8(buffer_str(&bytes), bytes.len)) {
		append_key(out, "raw");
		append_string(out, buffer_str(&bytes), bytes.len);
	} else {
		append_key(out, "raw_base64");
		append_string(out, buffer_str(&one_line), one_line.len);
	}
}

static void append_value(struct buffer *out, enum ledger_kind kind, const struct pg_result *result,
	int row, int column)
{
	char time[CLOCK_RFC3339_BYTES];

	if (pg_is_null(result, row, column)) {
		buffer_append_str(out, "null");
		return;
	}
	switch (kind) {
	case LEDGER_NUMBER:
		buffer_append_str(out, pg_value(result, row, column));
		break;
	case LEDGER_TEXT:
		append_string(out, pg_value(result, row, column),
			(size_t)pg_value_len(result, row, column));
		break;
	case LEDGER_TIME:
		clock_format_rfc3339(pg_i64(result, row, column), 3, time);
		append_string(out, time, strlen(time));
		break;
	case LEDGER_RAW:
		append_raw(out, pg_value(result, row, column));
		break;
	}
}

void ledger_append_row(struct buffer *out, const struct ledger_question *question,
	const struct pg_result *result, int row)
{
	for (unsigned i = 0; i < question->n_columns; i++) {
		const struct ledger_column *column = &question->columns[i];

		if (i > 0) {
			buffer_append_char(out, ',');
		}
		if (column->key) {
			append_key(out, column->key);
		}
		append_value(out, column->kind, result, row, (int)i);
	}
}

void ledger_append_rows(struct buffer *out, const struct ledger_question *question,
	const struct pg_result *result, int n_rows)
{
	buffer_append_char(out, '[');
	for (int row = 0; row < n_rows; row++) {
		buffer_append_str(out, row > 0 ? ",{" : "{");
		ledger_append_row(out, question, result, row);
		buffer_append_char(out, '}');
	}
	buffer_append_char(out, ']');
}
