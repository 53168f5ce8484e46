#pragma once

/*
 * What an answer of the portal means for the fetch: take it, try again, or stop. Pure.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>

#include "lib/error.h"

enum verdict_action {
	VERDICT_ACCEPT,
	VERDICT_RETRY,    /* the same again, after a pause */
	VERDICT_HOLD,     /* 429: nothing to this host for a while, then the same again */
	VERDICT_NEXT_KEY, /* 403: the same at once with the next API key; without one, reject */
	VERDICT_REJECT,   /* the same request will fail again: stop the source */
	VERDICT_CANCEL,   /* we ended it ourselves */
};

/* What the answer says of the host, for the circuit breaker. */
enum verdict_host { HOST_WELL, HOST_TROUBLE, HOST_UNKNOWN };

/* One answer, as far as it came. All texts are borrowed. */
struct answer {
	int status;                    /* 0: none came */
	const struct error *transport; /* why it is not whole, or NULL */
	const struct error *content;   /* what is wrong with a body of status 200, or NULL */
	const char *message;           /* what the body says of itself, or "" */
};

struct verdict {
	enum verdict_action action;
	/*
	 * After how many failures of this kind in a row a smaller page is worth a try, for it may
	 * have been too large to make or to send; 0: never.
	 */
	unsigned smaller_page_after;
	enum verdict_host host;
	struct error error; /* set unless ACCEPT; its class says the same as the action */
};

/*
 * Codes: those of lib/http.h and daemon/decode.h, and "http_<status>", "rate_limited" (429),
 * "key_refused" (401, 403 of the gateway), "key_missing", "redirected".
 */
struct verdict verdict_of(const struct answer *answer);

/* What came of a request, for those who count. */
enum answer_kind {
	ANSWER_OK,
	ANSWER_UNREACHABLE,  /* no whole answer came */
	ANSWER_SERVER_ERROR, /* 5xx */
	ANSWER_RATE_LIMITED, /* 429 */
	ANSWER_REFUSED,      /* 3xx and the rest of 4xx */
	ANSWER_UNUSABLE,     /* 200, and the body is not what was asked for */
	ANSWER_DROPPED,      /* we ended it, or did not want it any more */
};
enum { N_ANSWER_KINDS = ANSWER_DROPPED + 1 };
enum answer_kind answer_kind_of(const struct answer *answer);
const char *answer_kind_name(enum answer_kind kind);

const char *verdict_action_name(enum verdict_action action);
