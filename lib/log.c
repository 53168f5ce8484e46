/*
 * Log events with fields. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path of a line: the fields of the context, its parents first, and of the call are listed;
 * each value is turned into text, scrubbed and only then escaped, so that no escape can hide a
 * secret and no hidden secret can break a line. The same list is written as logfmt, as JSON or as
 * the journal's fields.
 *
 * Failure modes: no memory, or a target that does not take the line now. Either way the line is
 * gone and counted; logging has no error to report and never changes errno.
 */

#include "lib/log.h"

#include <assert.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/buffer.h"
#include "lib/escape.h"
#include "lib/log_target.h"
#include "lib/scrub.h"

enum {
	LINE_FIELDS = 40,	/* of the context, its parents and the call */
	VALUE_BYTES = 2 * 1024, /* a longer value is cut */
	TIME_DIGITS = 3,	/* of the second's fraction */
};

/* See log.h why this is global. */
static struct {
	struct log_target target;
	enum log_level level;
	const struct clock *clock;
	const struct log_message_id *message_ids;
	log_sink_fn sink;
	void *sink_arg;
	uint64_t n_dropped, n_reported;
	struct buffer value, line; /* kept from line to line */
} logger = {
	.target = LOG_TARGET_NONE,
	.level = LOG_LEVEL_INFO,
	.clock = &clock_system,
	.line = {.limit = LOG_LINE_BYTES},
};

/* The fields of one line in their order. */
struct fields {
	const struct log_field *at[LINE_FIELDS];
	unsigned n;
};

int log_open(const struct log_options *options, struct error *error)
{
	struct log_target target;

	if (log_target_open(options, &target, error) < 0) {
		return -1;
	}
	log_target_close(&logger.target);
	logger.target = target;
	logger.level = options->level;
	logger.clock = options->clock ? options->clock : &clock_system;
	logger.message_ids = options->message_ids;
	return 0;
}

int log_reopen(struct error *error)
{
	return log_target_reopen(&logger.target, error);
}

void log_close(void)
{
	log_target_close(&logger.target);
	buffer_fini(&logger.value);
	buffer_fini(&logger.line);
	logger.message_ids = NULL;
	logger.n_reported = logger.n_dropped; /* whoever opens next starts with a clean page */
}

uint64_t log_dropped(void)
{
	return logger.n_dropped;
}

void log_set_sink(log_sink_fn sink, void *arg)
{
	logger.sink = sink;
	logger.sink_arg = arg;
}

bool log_enabled(enum log_level level)
{
	return level <= logger.level;
}

/* ---- values ---- */

static void append_quoted(struct buffer *out, const struct buffer *text)
{
	buffer_append_char(out, '"');
	escape_append(out, buffer_str(text), text->len);
	buffer_append_char(out, '"');
}

/* Would a logfmt reader take it for something else without quotes? */
static bool needs_quotes(const struct buffer *text)
{
	return text->len == 0 || escape_is_needed(text->data, text->len) ||
	       memchr(text->data, ' ', text->len) || memchr(text->data, '=', text->len);
}

/* Cut at the end of a character. */
static void cut_value(struct buffer *value)
{
	size_t len = VALUE_BYTES;

	if (value->len <= VALUE_BYTES) {
		return;
	}
	while (len > 0 && ((unsigned char)value->data[len] & 0xc0) == 0x80) {
		len--;
	}
	value->len = len;
	buffer_append_str(value, "...");
}

/* The value as text without secrets, in logger.value. */
static const struct buffer *value_text(const struct log_field *field)
{
	struct buffer *value = &logger.value;

	buffer_clear(value);
	switch (field->kind) {
	case LOG_STR:
		buffer_append_str(value, field->str);
		break;
	case LOG_I64:
		buffer_printf(value, "%" PRIi64, field->i64);
		break;
	case LOG_U64:
		buffer_printf(value, "%" PRIu64, field->u64);
		break;
	case LOG_F64:
		buffer_printf(value, "%.10g", field->f64);
		break;
	case LOG_BOOL:
		buffer_append_str(value, field->boolean ? "true" : "false");
		break;
	}
	scrub_buffer(value);
	cut_value(value);
	logger.line.failed |= buffer_failed(value); /* rather no line than half a value */
	return value;
}

/* ---- lines ---- */

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "ERROR";
	case LOG_LEVEL_WARNING:
		return "WARNING";
	case LOG_LEVEL_NOTICE:
		return "NOTICE";
	case LOG_LEVEL_INFO:
		return "INFO";
	case LOG_LEVEL_DEBUG:
		return "DEBUG";
	}
	return "?";
}

/* Add a field; an earlier one of the same key goes. */
static void add_field(struct fields *fields, const struct log_field *field)
{
	unsigned kept = 0;

	if (field->kind == LOG_STR && !field->str) {
		return;
	}
	for (unsigned i = 0; i < fields->n; i++) {
		if (strcmp(fields->at[i]->key, field->key) != 0) {
			fields->at[kept++] = fields->at[i];
		}
	}
	assert(kept < LINE_FIELDS);
	fields->at[kept++] = field;
	fields->n = kept;
}

static void add_context(struct fields *fields, const struct log *log)
{
	if (!log) {
		return;
	}
	add_context(fields, log->parent);
	for (unsigned i = 0; i < log->n_fields; i++) {
		add_field(fields, &log->fields[i]);
	}
}

static void append_time(struct buffer *out)
{
	char text[CLOCK_RFC3339_BYTES];

	buffer_append_str(
		out, clock_format_rfc3339(clock_wall_us(logger.clock), TIME_DIGITS, text));
}

/* event key=value ..., which is the journal's MESSAGE too. */
static void append_logfmt(struct buffer *out, const char *event, const struct fields *fields)
{
	buffer_append_str(out, event);
	for (unsigned i = 0; i < fields->n; i++) {
		const struct buffer *value = value_text(fields->at[i]);

		buffer_append_char(out, ' ');
		buffer_append_str(out, fields->at[i]->key);
		buffer_append_char(out, '=');
		if (needs_quotes(value)) {
			append_quoted(out, value);
		} else {
			buffer_append(out, value->data, value->len);
		}
	}
}

static void append_logfmt_line(
	struct buffer *out, enum log_level level, const char *event, const struct fields *fields)
{
	append_time(out);
	buffer_append_char(out, ' ');
	buffer_append_str(out, level_name(level));
	buffer_append_char(out, ' ');
	append_logfmt(out, event, fields);
}

static void append_json_value(struct buffer *out, const struct log_field *field)
{
	const struct buffer *value = value_text(field);
	bool is_bare = field->kind != LOG_STR && !strpbrk(buffer_str(value), "(*");

	if (field->kind == LOG_F64 && !isfinite(field->f64)) {
		buffer_append_str(out, "null");
	} else if (is_bare) {
		buffer_append(out, value->data, value->len);
	} else {
		append_quoted(out, value);
	}
}

static void append_json_line(
	struct buffer *out, enum log_level level, const char *event, const struct fields *fields)
{
	struct log_field msg = f_str("msg", event);

	for (unsigned i = 0; i < fields->n; i++) {
		if (strcmp(fields->at[i]->key, "msg") == 0) {
			msg = *fields->at[i];
		}
	}
	buffer_append_str(out, "{\"ts\":\"");
	append_time(out);
	buffer_printf(
		out, "\",\"level\":\"%s\",\"event\":\"%s\",\"msg\":", level_name(level), event);
	append_json_value(out, &msg);
	for (unsigned i = 0; i < fields->n; i++) {
		if (strcmp(fields->at[i]->key, "msg") != 0) {
			buffer_printf(out, ",\"%s\":", fields->at[i]->key);
			append_json_value(out, fields->at[i]);
		}
	}
	buffer_append_char(out, '}');
}

/* ---- the journal's entries: NAME=value, or with a length when the value has line ends ---- */

static void append_entry(struct buffer *out, const char *name, const char *value, size_t len)
{
	uint64_t length = htole64(len);

	buffer_append_str(out, name);
	if (len > 0 && memchr(value, '\n', len)) {
		buffer_append_char(out, '\n');
		buffer_append(out, &length, sizeof(length));
	} else {
		buffer_append_char(out, '=');
	}
	buffer_append(out, value, len);
	buffer_append_char(out, '\n');
}

static void append_entry_field(struct buffer *out, const struct log_field *field)
{
	const struct buffer *value = value_text(field);
	char name[65] = "OGDSYNC_"; /* journald takes 64 bytes */
	size_t n = strlen(name);

	for (const char *key = field->key; *key && n < sizeof(name) - 1; key++) {
		name[n++] = (char)toupper((unsigned char)*key);
	}
	name[n] = '\0';
	append_entry(out, name, buffer_str(value), value->len);
}

static void append_message_id(struct buffer *out, const char *event)
{
	const struct log_message_id *known = logger.message_ids;

	for (; known && known->event; known++) {
		if (strcmp(known->event, event) == 0) {
			append_entry(out, "MESSAGE_ID", known->id, strlen(known->id));
			return;
		}
	}
}

static void append_journal(
	struct buffer *out, enum log_level level, const char *event, const struct fields *fields)
{
	buffer_append_str(out, "MESSAGE=");
	append_logfmt(out, event, fields); /* escaped: without line ends */
	buffer_printf(out, "\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nOGDSYNC_EVENT=%s\n", (int)level,
		program_invocation_short_name, event);
	append_message_id(out, event);
	for (unsigned i = 0; i < fields->n; i++) {
		append_entry_field(out, fields->at[i]);
	}
}

/* ---- sending ---- */

static bool send_sink(enum log_level level, const char *event, const struct fields *fields)
{
	buffer_clear(&logger.line);
	if (logger.target.format == LOG_FORMAT_JSON) {
		append_json_line(&logger.line, level, event, fields);
	} else {
		append_logfmt_line(&logger.line, level, event, fields);
	}
	if (buffer_failed(&logger.line)) {
		return false;
	}
	logger.sink(logger.sink_arg, level, buffer_str(&logger.line));
	return true;
}

static bool send_stream(struct log_stream *stream)
{
	buffer_append_char(&logger.line, '\n');
	return !buffer_failed(&logger.line) &&
		log_stream_write(stream, logger.line.data, logger.line.len);
}

static bool send_main(enum log_level level, const char *event, const struct fields *fields)
{
	struct log_target *target = &logger.target;

	buffer_clear(&logger.line);
	switch (target->format) {
	case LOG_FORMAT_JOURNAL:
		append_journal(&logger.line, level, event, fields);
		return !buffer_failed(&logger.line) &&
			log_target_send_journal(target, logger.line.data, logger.line.len);
	case LOG_FORMAT_JSON:
		append_json_line(&logger.line, level, event, fields);
		return send_stream(&target->err);
	case LOG_FORMAT_AUTO:
	case LOG_FORMAT_LOGFMT:
		append_logfmt_line(&logger.line, level, event, fields);
		return send_stream(&target->err);
	}
	return false;
}

static bool send_file(enum log_level level, const char *event, const struct fields *fields)
{
	if (logger.target.file.kind == STREAM_NONE) {
		return false;
	}
	buffer_clear(&logger.line);
	append_logfmt_line(&logger.line, level, event, fields);
	return send_stream(&logger.target.file);
}

static bool send_line(enum log_level level, const char *event, const struct fields *fields)
{
	bool by_main, by_file;

	if (logger.sink) {
		return send_sink(level, event, fields);
	}
	by_main = send_main(level, event, fields);
	by_file = send_file(level, event, fields);
	return by_main || by_file;
}

/* Lines get through again: say that some did not. */
static void report_dropped(void)
{
	struct log_field lines = f_u64("lines", logger.n_dropped - logger.n_reported);
	struct fields fields = {.at = {&lines}, .n = 1};

	if (lines.u64 > 0 && send_line(LOG_LEVEL_WARNING, "log.dropped", &fields)) {
		logger.n_reported += lines.u64;
	}
}

void log_write(const struct log *log, enum log_level level, const char *event,
	const struct log_field *fields, unsigned n_fields)
{
	struct fields all = {.n = 0};
	int err = errno;

	add_context(&all, log);
	for (unsigned i = 0; i < n_fields; i++) {
		add_field(&all, &fields[i]);
	}
	if (send_line(level, event, &all)) {
		report_dropped();
	} else {
		logger.n_dropped++;
	}
	errno = err;
}
