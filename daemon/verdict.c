/*
 * What an answer of the portal means for the fetch. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * The portal says little by its statuses (PORTAL 4.1): 200 may hold an HTML page, an error, or a
 * part of a JSON text; 500 and 504 are what too large a page looks like; 502 may last for minutes
 * or days; 429 means the key or the host, and what is sent on is counted against it. Only 400, 401,
 * 403 and the rest of 4xx are about us: the same request will be refused again, so the source stops
 * and somebody is told. 408 and 425 are the exceptions, they ask for another try by themselves.
 *
 * The order in which things are looked at: what we ended ourselves; a status that is bad by itself,
 * even if its body was cut; what is missing of the answer; what is wrong inside a body of 200.
 */

#include "daemon/verdict.h"

#include <stdio.h>
#include <string.h>

static void set_verdict(
	struct verdict *verdict, enum verdict_action action, const char *code, const char *text)
{
	enum error_class class =
		action == VERDICT_RETRY || action == VERDICT_HOLD ? ERROR_RETRY : ERROR_REJECTED;

	verdict->action = action;
	error_set(&verdict->error, class, "fetch", code, "%s", text);
}

static const char *status_phrase(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 408:
		return "Request Timeout";
	case 410:
		return "Gone";
	case 429:
		return "Too Many Requests";
	case 500:
		return "Internal Server Error";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "";
	}
}

/* "403 Key not authorised", "502 Bad Gateway", "418": as the gateway says it, else as RFC 9110. */
static void say_status(const struct answer *answer, char *out, size_t size)
{
	const char *phrase = answer->message[0] ? answer->message : status_phrase(answer->status);

	snprintf(out, size, "%d%s%s", answer->status, phrase[0] ? " " : "", phrase);
}

static void judge_refusal(const struct answer *answer, struct verdict *verdict)
{
	bool by_gateway = answer->message[0];
	char said[256], text[ERROR_TEXT_BYTES];

	say_status(answer, said, sizeof(said));
	if (by_gateway || answer->status == 401) {
		snprintf(text, sizeof(text), "the portal refused the API key (%s)", said);
		set_verdict(verdict, VERDICT_NEXT_KEY, "key_refused", text);
	} else {
		/* No word of the key: a firewall in front of the portal, or a proxy. */
		snprintf(text, sizeof(text), "the portal refused the request (%s)", said);
		set_verdict(verdict, VERDICT_NEXT_KEY, "http_403", text);
	}
}

static void judge_bad_request(const struct answer *answer, struct verdict *verdict)
{
	char said[256], text[ERROR_TEXT_BYTES];

	say_status(answer, said, sizeof(said));
	if (strcasestr(answer->message, "authori")) {
		snprintf(text, sizeof(text), "the portal found no API key in the request (%s)",
			said);
		set_verdict(verdict, VERDICT_REJECT, "key_missing", text);
	} else {
		snprintf(text, sizeof(text), "the portal rejected the request (%s)", said);
		set_verdict(verdict, VERDICT_REJECT, "http_400", text);
	}
}

/* True when the status alone decides. */
static bool judge_status(const struct answer *answer, struct verdict *verdict)
{
	char said[256], text[ERROR_TEXT_BYTES], code[ERROR_CODE_BYTES];
	int status = answer->status;

	say_status(answer, said, sizeof(said));
	snprintf(text, sizeof(text), "the portal answered %s", said);
	snprintf(code, sizeof(code), "http_%d", status);
	if (status == 0 || status / 100 == 2) {
		return false;
	}
	if (status >= 500) {
		set_verdict(verdict, VERDICT_RETRY, code, text);
		verdict->host = HOST_TROUBLE;
		verdict->smaller_page_after = status == 500 || status == 504 ? 1 : 0;
	} else if (status == 429) {
		set_verdict(verdict, VERDICT_HOLD, "rate_limited", text);
	} else if (status == 408 || status == 425) {
		set_verdict(verdict, VERDICT_RETRY, code, text);
	} else if (status == 401 || status == 403) {
		judge_refusal(answer, verdict);
	} else if (status == 400) {
		judge_bad_request(answer, verdict);
	} else if (status / 100 == 3) {
		snprintf(text, sizeof(text),
			"the portal redirects elsewhere (%s), which is never followed", said);
		set_verdict(verdict, VERDICT_REJECT, "redirected", text);
	} else {
		set_verdict(verdict, VERDICT_REJECT, code, text);
	}
	return true;
}

/* The class of an error that others have set says what to do. */
static void judge_error(const struct error *error, struct verdict *verdict)
{
	verdict->error = *error;
	verdict->error.where = "fetch";
	switch (error->class) {
	case ERROR_CANCELED:
		verdict->action = VERDICT_CANCEL;
		return;
	case ERROR_REJECTED:
	case ERROR_UNCERTAIN:
	case ERROR_NONE:
		verdict->action = VERDICT_REJECT;
		return;
	case ERROR_RETRY:
		verdict->action = VERDICT_RETRY;
	}
}

static void judge_transport(const struct error *error, struct verdict *verdict)
{
	judge_error(error, verdict);
	/* Unknown: our own memory, a certificate, an end that we made ourselves. */
	verdict->host = verdict->action == VERDICT_RETRY && strcmp(error->code, "no_memory") != 0
		? HOST_TROUBLE
		: HOST_UNKNOWN;
	if (strcmp(error->code, "too_large") == 0) {
		verdict->action = VERDICT_RETRY;
		verdict->error.class = ERROR_RETRY;
		verdict->smaller_page_after = 1;
		verdict->host = HOST_WELL;
	}
	/* One stalled connection is how some throttle (PORTAL 4.2). */
	if (strcmp(error->code, "timeout") == 0 || strcmp(error->code, "slow") == 0) {
		verdict->smaller_page_after = 2;
	}
}

/* What the service says in good JSON shows that the host works; anything else does not. */
static bool says_the_service(const char *code)
{
	return strcmp(code, "portal_error") == 0 || strcmp(code, "gateway_error") == 0 ||
		strcmp(code, "no_records") == 0 || strcmp(code, "no_total") == 0 ||
		strcmp(code, "no_memory") == 0;
}

struct verdict verdict_of(const struct answer *answer)
{
	struct verdict verdict = {.action = VERDICT_ACCEPT};

	if (answer->transport && answer->transport->class == ERROR_CANCELED && !answer->content) {
		judge_error(answer->transport, &verdict);
		verdict.host = HOST_UNKNOWN;
	} else if (judge_status(answer, &verdict)) {
		/* decided */
	} else if (answer->content) {
		judge_error(answer->content, &verdict);
		if (verdict.action == VERDICT_RETRY && !says_the_service(answer->content->code)) {
			verdict.host = HOST_TROUBLE;
		}
	} else if (answer->transport) {
		judge_transport(answer->transport, &verdict);
	}
	return verdict;
}

enum answer_kind answer_kind_of(const struct answer *answer)
{
	if (answer->transport && answer->transport->class == ERROR_CANCELED && !answer->content) {
		return ANSWER_DROPPED;
	}
	if (answer->status >= 500) {
		return ANSWER_SERVER_ERROR;
	}
	if (answer->status == 429) {
		return ANSWER_RATE_LIMITED;
	}
	if (answer->status >= 300) {
		return ANSWER_REFUSED;
	}
	if (answer->content) {
		return ANSWER_UNUSABLE;
	}
	return answer->transport ? ANSWER_UNREACHABLE : ANSWER_OK;
}

const char *answer_kind_name(enum answer_kind kind)
{
	switch (kind) {
	case ANSWER_OK:
		return "ok";
	case ANSWER_UNREACHABLE:
		return "unreachable";
	case ANSWER_SERVER_ERROR:
		return "server_error";
	case ANSWER_RATE_LIMITED:
		return "rate_limited";
	case ANSWER_REFUSED:
		return "refused";
	case ANSWER_UNUSABLE:
		return "unusable";
	case ANSWER_DROPPED:
		return "dropped";
	}
	return "unknown";
}

const char *verdict_action_name(enum verdict_action action)
{
	switch (action) {
	case VERDICT_ACCEPT:
		return "accept";
	case VERDICT_RETRY:
		return "retry";
	case VERDICT_HOLD:
		return "hold";
	case VERDICT_NEXT_KEY:
		return "next_key";
	case VERDICT_REJECT:
		return "reject";
	case VERDICT_CANCEL:
		return "cancel";
	}
	return "unknown";
}
