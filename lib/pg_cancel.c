/*
 * Asking the server to stop. SPDX-License-Identifier: Apache-2.0
 *
 * PQcancel opens a connection of its own and waits for its end, so it runs in the thread pool, on
 * a copy that PQgetCancel made. It names a backend, not a statement: one that arrives late would
 * hit whatever that backend does then. So the operation is not over before the request is
 * (PG_SETTLING). One that arrives early, before the statement has begun, hits nothing: so it is
 * sent again until the operation ends or its grace does. When the connection is dropped meanwhile
 * the request is left to itself: that backend will get no statement from us any more.
 */

#include <errno.h>

#include "lib/pg_private.h"

enum { AGAIN_MS = 200 };

struct pg_cancel_work {
	uv_work_t work;
	PGcancel *cancel;
	struct pg *pg; /* NULL: nobody waits any more */
};

static void send_request(uv_work_t *work)
{
	struct pg_cancel_work *request = container_of(work, struct pg_cancel_work, work);
	char text[256];

	/* If this fails, the operation's grace ends with the connection. */
	(void)PQcancel(request->cancel, text, sizeof(text));
}

static void on_request_sent(uv_work_t *work, int status)
{
	struct pg_cancel_work *request = container_of(work, struct pg_cancel_work, work);
	struct pg *pg = request->pg;

	(void)status;
	PQfreeCancel(request->cancel);
	free(request);
	if (pg) {
		pg->cancel_work = NULL;
		pg->cancel_again_ms = uv_now(pg->loop) + AGAIN_MS;
		pg_arm(pg);
		pg_advance(pg);
	}
}

int pg_cancel_send(struct pg *pg)
{
	struct pg_cancel_work *request;
	int r;

	pg->cancel_again_ms = 0;
	if (pg->cancel_work) {
		return 0;
	}
	request = calloc(1, sizeof(*request));
	if (!request) {
		return -ENOMEM;
	}
	request->cancel = PQgetCancel(pg->conn);
	request->pg = pg;
	r = request->cancel ? uv_queue_work(pg->loop, &request->work, send_request, on_request_sent)
			    : -ENOMEM;
	if (r < 0) {
		PQfreeCancel(request->cancel);
		free(request);
		return r;
	}
	pg->cancel_work = request;
	return 0;
}

void pg_cancel_abandon(struct pg *pg)
{
	if (pg->cancel_work) {
		pg->cancel_work->pg = NULL;
		(void)uv_cancel((uv_req_t *)&pg->cancel_work->work); /* if it waits for a thread */
		pg->cancel_work = NULL;
	}
}
