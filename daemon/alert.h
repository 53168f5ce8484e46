#pragma once

/*
 * Alerts: what needs a person, and who was told of it. Pure. SPDX-License-Identifier: Apache-2.0
 *
 *	            it holds                held for so long
 *	  well --------------> begun -------------------------> firing --+
 *	   ^                     |                                       |
 *	   +---------------------+---------------------------------------+
 *	                          it holds no more
 *
 * There is one for each kind and source, kind and dataset, or kind, from the beginning. Whoever sends
 * messages asks for one of which its channel was told last something else than what is so; `told`
 * follows `firing`, one message each way. What was over before it could be told is not told at all.
 * state.json keeps them, so that a restart repeats nothing.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config.h"
#include "lib/attr.h"

enum alert_kind {
	ALERT_FAILING,       /* of a source: after_failures runs in a row were no success */
	ALERT_SUSPECT,       /* of a source: it brought nothing where something was due */
	ALERT_QUARANTINE,    /* of a source: too many rows of a slice could not be read */
	ALERT_STALE,         /* of a dataset: `freshness` is over */
	ALERT_KEY_REFUSED,   /* the portal does not take the API key */
	ALERT_PORTAL_DOWN,   /* the circuit breaker is open for long */
	ALERT_SPOOL_FULL,    /* what is not loaded leaves no room to fetch */
	ALERT_DATABASE_DOWN, /* for long, or its schema is not as configured */
};
enum { N_ALERT_KINDS = ALERT_DATABASE_DOWN + 1 };
const char *alert_kind_name(enum alert_kind kind);

enum alert_channel { ALERT_WEBHOOK, ALERT_NOTIFY };
enum { N_ALERT_CHANNELS = ALERT_NOTIFY + 1 };
const char *alert_channel_name(enum alert_channel channel);

enum { ALERT_TEXT_BYTES = 256 };

struct alert {
	enum alert_kind kind;
	const char *dataset, *source; /* borrowed from the configuration; NULL: not of one */
	int64_t since_us;             /* it holds since; 0: it does not */
	bool firing;
	bool told[N_ALERT_CHANNELS];  /* the last message said that it is firing */
	char text[ALERT_TEXT_BYTES];  /* why, in a sentence; stays when it is over */
};

struct alerts {
	struct alert *list;
	unsigned n;
};

/* None holds. -ENOMEM. `config` is borrowed until alerts_fini(). */
int alerts_init(struct alerts *alerts, const struct config *config) must_check;
void alerts_fini(struct alerts *alerts);
void alerts_clear(struct alerts *alerts);

/* NULL: there is none such. */
struct alert *alerts_find(struct alerts *alerts, enum alert_kind kind, const char *dataset,
	const char *source);

/* Both were made from the same configuration. */
void alerts_copy(struct alerts *to, const struct alerts *from);

/* What `from`, of another configuration, knows of those that `to` has too. */
void alerts_take_over(struct alerts *to, struct alerts *from);

/* It holds, for the reason `text`, or does not. */
void alert_set(struct alert *alert, bool holds, const char *text, int64_t now_us);

/* The next one that begins or ends to fire by now, and so is changed; NULL: no more. */
struct alert *alerts_step(struct alerts *alerts, int64_t now_us);

/* One that the channel is to be told of, as `firing` says; NULL: none. */
struct alert *alerts_untold(struct alerts *alerts, enum alert_channel channel);

unsigned alerts_firing(const struct alerts *alerts);

/* ---- what happens, and what it means for the alerts ---- */

struct alert_run {
	const char *dataset, *source;
	bool success, suspect; /* how it ended; neither: in another way */
	unsigned n_unsuccessful;
	const char *code, *text; /* of its error; "" */
};
void alerts_take_run(struct alerts *alerts, const struct alert_run *run, unsigned after_failures,
	int64_t now_us);

/* A slice was given up because too many of its rows are bad. */
void alerts_take_bad_rows(struct alerts *alerts, const char *dataset, const char *source,
	const char *text, int64_t now_us);

/* What can be looked at at any time. */
struct alert_look {
	bool breaker_open, database_up;
	const char *database_error; /* or "" */
	uint64_t unloaded_bytes, limit_bytes; /* of the spool; limit 0: none */
	bool spool_refused; /* it took no page, for want of room */
};
void alerts_take_look(struct alerts *alerts, const struct alert_look *look, int64_t now_us);

void alerts_take_freshness(struct alerts *alerts, const struct dataset *dataset, int32_t newest,
	int64_t now_us);

/* The message, one JSON object, on the heap; NULL when out of memory. `host` is this machine. */
char *alert_message(const struct alert *alert, const char *host, int64_t now_us) must_check;

/* One that says it is a test. */
char *alert_test_message(const char *host, int64_t now_us) must_check;

/* How a test went: of a channel that is not configured `tried` is false. */
struct alert_test_result {
	bool tried[N_ALERT_CHANNELS];
	struct error errors[N_ALERT_CHANNELS]; /* ERROR_NONE: it was taken */
};
typedef void (*alert_tested_fn)(void *arg, const struct alert_test_result *result);
