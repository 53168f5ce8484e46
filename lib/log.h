#pragma once

/*
 * Log events with fields. SPDX-License-Identifier: Apache-2.0
 *
 *	log_info(&run->log, "load.done", f_str("table", table), f_u64("rows", n));
 *
 * An event has a stable dotted name and typed fields; there is no prose format. A struct log is a
 * context: its fields and those of its parents stand on every line written through it. One target
 * for the process (stderr, journal or file), set once by main; it and the scrubber (lib/scrub.h) are
 * the only globals of the program, and only for the thread of the loop. A line never blocks: what
 * the target does not take is dropped and counted. Every value passes the scrubber. SIGPIPE must be
 * ignored (main does).
 *
 * Levels: ERROR = a run is lost or the daemon stops; WARNING = we go on (the fields say how);
 * NOTICE = start, reload, stop; INFO = one line per run and slice; DEBUG = states.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"
#include "lib/error.h"

enum log_level {
	LOG_LEVEL_ERROR = 3, /* the values are syslog's priorities */
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

enum log_format {
	LOG_FORMAT_AUTO,    /* journal when stderr is connected to it, else logfmt */
	LOG_FORMAT_JOURNAL, /* native journal protocol: OGDSYNC_* fields */
	LOG_FORMAT_LOGFMT,  /* time LEVEL event key=value ... */
	LOG_FORMAT_JSON,    /* one object a line: ts, level, event, msg (else the event), fields */
};

enum log_kind { LOG_STR, LOG_I64, LOG_U64, LOG_F64, LOG_BOOL };

struct log_field {
	const char *key; /* snake_case, a literal */
	enum log_kind kind;
	union {
		const char *str; /* NULL: the field is left out */
		int64_t i64;
		uint64_t u64;
		double f64;
		bool boolean;
	};
};

enum { LOG_CONTEXT_FIELDS = 4 };

/*
 * A context, in its owner's memory; parent and strings are borrowed for as long as it is used. A
 * parent's fields come first; of two fields with one key only the later is written.
 */
struct log {
	const struct log *parent;
	struct log_field fields[LOG_CONTEXT_FIELDS];
	unsigned n_fields;
};

static inline struct log_field f_str(const char *key, const char *v)
{
	return (struct log_field){.key = key, .kind = LOG_STR, .str = v};
}

static inline struct log_field f_i64(const char *key, int64_t v)
{
	return (struct log_field){.key = key, .kind = LOG_I64, .i64 = v};
}

static inline struct log_field f_u64(const char *key, uint64_t v)
{
	return (struct log_field){.key = key, .kind = LOG_U64, .u64 = v};
}

static inline struct log_field f_f64(const char *key, double v)
{
	return (struct log_field){.key = key, .kind = LOG_F64, .f64 = v};
}

static inline struct log_field f_bool(const char *key, bool v)
{
	return (struct log_field){.key = key, .kind = LOG_BOOL, .boolean = v};
}

/* The message of an error, as field `msg`; its code as f_str("code", error->code). */
static inline struct log_field f_msg(const char *text)
{
	return f_str("msg", text);
}

/* An event and the MESSAGE_ID by which journalctl -x finds its explanation: 32 hex digits. */
struct log_message_id {
	const char *event, *id;
};

struct log_options {
	enum log_format format;
	enum log_level level;
	const char *file; /* also write logfmt lines here (appended); NULL: none; copied */
	const char *journal_socket; /* NULL: journald's own; for tests; copied */
	const struct clock *clock;  /* NULL: the machine's; borrowed */
	/* Ended by one without event; NULL: none. Borrowed until log_close(). */
	const struct log_message_id *message_ids;
};

/*
 * Open the targets, or others at a reload. Returns 0, or -1 with the reason; the old targets then
 * stay. Before the first call lines are dropped.
 */
int log_open(const struct log_options *options, struct error *error) must_check;

/* Open the log file again (it was rotated away). */
int log_reopen(struct error *error) must_check;
void log_close(void);

/*
 * Lines that no target took, since the start. When lines get through again, the first one is
 * followed by a WARNING log.dropped with their number.
 */
uint64_t log_dropped(void);

/*
 * For tests: send every finished line (without its line end) to `sink` instead of the targets; NULL
 * ends that. The sink must not log.
 */
typedef void (*log_sink_fn)(void *arg, enum log_level level, const char *line);
void log_set_sink(log_sink_fn sink, void *arg);

bool log_enabled(enum log_level level);
void log_write(const struct log *log, enum log_level level, const char *event,
	const struct log_field *fields, unsigned n_fields);

#define log_at(log, level, event, ...)                                                           \
	do {                                                                                     \
		if (log_enabled(level)) {                                                        \
			const struct log_field log_fields_[] = {{.key = NULL}, ##__VA_ARGS__};   \
			log_write(log, level, event, log_fields_ + 1,                            \
				N_ELEMENTS(log_fields_) - 1);                                    \
		}                                                                                \
	} while (0)

#define log_error(log, event, ...)   log_at(log, LOG_LEVEL_ERROR, event, ##__VA_ARGS__)
#define log_warning(log, event, ...) log_at(log, LOG_LEVEL_WARNING, event, ##__VA_ARGS__)
#define log_notice(log, event, ...)  log_at(log, LOG_LEVEL_NOTICE, event, ##__VA_ARGS__)
#define log_info(log, event, ...)    log_at(log, LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define log_debug(log, event, ...)   log_at(log, LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)
