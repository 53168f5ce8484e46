/*
 * POST /sync/lend: a command on this host asks for the lease. SPDX-License-Identifier: Apache-2.0
 *
 * The daemon gives it up at once, and the load that is going on keeps its row locked to its end. The
 * command takes it from the database; if it does not, the daemon has it back after a moment, and
 * else when the command gives it up or its time is over.
 */

#include "daemon/api_private.h"

#include <stdio.h>

static void reply_lent(struct httpd_request *request, const char *holder)
{
	char body[128];
	int len = snprintf(body, sizeof(body), "{\"lent\":true,\"holder\":\"%s\"}\n", holder);

	httpd_reply(request,
		&(struct httpd_answer){
			.status = 202,
			.content_type = "application/json",
			.body = body,
			.len = (size_t)len,
			.take = HTTPD_COPY,
		});
}

void api_on_lend(void *arg, struct httpd_request *request)
{
	const struct api *api = arg;
	char holder[LEASE_HOLDER_BYTES];

	if (!httpd_is_unix(request)) {
		httpd_problem(request, 403, NULL, 0, "the lease is lent over the unix socket alone");
		return;
	}
	snprintf(holder, sizeof(holder), "%s", api->source.lease(api->source.arg)->holder);
	if (api->source.lend(api->source.arg)) {
		reply_lent(request, holder);
	} else if (holder[0]) {
		httpd_problem(request, 409, NULL, 0,
			"the daemon does not have the lease itself: %s has", holder);
	} else {
		httpd_problem(request, 409, NULL, 0,
			"the daemon does not know who has the lease: is the database up?");
	}
}
