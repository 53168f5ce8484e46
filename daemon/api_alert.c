/*
 * POST /sync/alert-test: say on each channel that this is a test, and answer whether it was taken.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/api_private.h"
#include "daemon/jsontext.h"

static json_t *channel_json(const struct alert_test_result *result, enum alert_channel channel, int *r)
{
	const struct error *error = &result->errors[channel];
	json_t *o;

	if (!result->tried[channel]) {
		return json_null();
	}
	o = json_object();
	*r |= json_object_set_new(o, "delivered", json_boolean(!error_is_set(error)));
	*r |= json_object_set_new(o, "code",
		error_is_set(error) ? jsontext_string(error->code) : json_null());
	*r |= json_object_set_new(o, "error",
		error_is_set(error) ? jsontext_string(error->text) : json_null());
	return o;
}

static void on_tested(void *arg, const struct alert_test_result *result)
{
	struct httpd_request *request = arg;
	struct buffer body = {0};
	json_t *o = json_object();
	_cleanup_free_ char *text = NULL;
	int r = 0;

	for (int i = 0; i < N_ALERT_CHANNELS; i++) {
		enum alert_channel channel = (enum alert_channel)i;

		r |= json_object_set_new(
			o, alert_channel_name(channel), channel_json(result, channel, &r));
	}
	text = jsontext_dump(o, r);
	if (text) {
		buffer_append_str(&body, text);
	} else {
		body.failed = true;
	}
	api_reply(request, 200, API_JSON, &body);
}

void api_on_alert_test(void *arg, struct httpd_request *request)
{
	const struct api *api = arg;
	char who[API_WHO_BYTES];

	if (!api_may_control(api, request, who)) {
		return;
	}
	if (api->source.alert_test(api->source.arg, who, on_tested, request) < 0) {
		httpd_problem(request, 503, NULL, 0, "out of memory");
	}
}
