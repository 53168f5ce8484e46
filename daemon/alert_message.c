/*
 * The message of an alert. SPDX-License-Identifier: Apache-2.0
 *
 * One JSON object. `text` is the whole in a sentence, for that is the field that chat services show.
 */

#include "daemon/alert.h"

#include <config.h>

#include <stdio.h>

#include "daemon/jsontext.h"
#include "lib/clock.h"
#include "lib/scrub.h"

static json_t *text_or_null(const char *text)
{
	return text ? jsontext_string(text) : json_null();
}

static json_t *time_or_null(int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	return us == 0 ? json_null() : json_string(clock_format_rfc3339(us, 0, text));
}

/* "ogdsync on HOST: mandi_prices/live is failing: why" */
static json_t *sentence(const struct alert *alert, const char *host)
{
	char text[2 * ALERT_TEXT_BYTES];

	snprintf(text, sizeof(text), "ogdsync on %s: %s%s%s%s%s%s%s", host,
		alert->dataset ? alert->dataset : "", alert->source ? "/" : "",
		alert->source ? alert->source : "", alert->dataset ? ": " : "",
		alert_kind_name(alert->kind), alert->firing ? ": " : " is over",
		alert->firing ? alert->text : "");
	scrub_text(text);
	return jsontext_string(text);
}

static char *finish(json_t *take_o, const char *host, int64_t now_us, int r)
{
	r |= json_object_set_new(take_o, "at", time_or_null(now_us));
	r |= json_object_set_new(take_o, "host", jsontext_string(host));
	r |= json_object_set_new(take_o, "version", json_string(OGDSYNC_VERSION));
	return jsontext_dump(take_o, r);
}

char *alert_message(const struct alert *alert, const char *host, int64_t now_us)
{
	json_t *o = json_object();
	char reason[ALERT_TEXT_BYTES];
	int r = 0;

	snprintf(reason, sizeof(reason), "%s", alert->text);
	scrub_text(reason);
	r |= json_object_set_new(o, "text", sentence(alert, host));
	r |= json_object_set_new(o, "alert", json_string(alert_kind_name(alert->kind)));
	r |= json_object_set_new(o, "state", json_string(alert->firing ? "firing" : "over"));
	r |= json_object_set_new(o, "dataset", text_or_null(alert->dataset));
	r |= json_object_set_new(o, "source", text_or_null(alert->source));
	r |= json_object_set_new(o, "reason", jsontext_string(reason));
	r |= json_object_set_new(o, "since", time_or_null(alert->since_us));
	return finish(o, host, now_us, r);
}

char *alert_test_message(const char *host, int64_t now_us)
{
	json_t *o = json_object();
	char text[ALERT_TEXT_BYTES];
	int r = 0;

	snprintf(text, sizeof(text), "ogdsync on %s: this is a test", host);
	r |= json_object_set_new(o, "text", jsontext_string(text));
	r |= json_object_set_new(o, "alert", json_string("test"));
	r |= json_object_set_new(o, "state", json_string("test"));
	r |= json_object_set_new(o, "dataset", json_null());
	r |= json_object_set_new(o, "source", json_null());
	r |= json_object_set_new(o, "reason", json_string("somebody asked for it"));
	r |= json_object_set_new(o, "since", json_null());
	return finish(o, host, now_us, r);
}
