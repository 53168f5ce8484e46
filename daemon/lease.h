#pragma once

/*
 * The lease: which of several daemons may write. SPDX-License-Identifier: Apache-2.0
 *
 * One row (name, holder, epoch, expires_at) of ogdsync.lease. The server's clock alone decides when
 * it expires. What counts is the epoch: it grows with each take-over, and every load transaction
 * begins with lease_fence_sql(), so that whoever lost the lease cannot commit. The status
 * here is what is known, for deciding whether to try; it is no permission.
 *
 * The connection is the caller's, who connects it, and shared with other users of single
 * statements: a lease that finds it busy tries again a moment later, and never blocks it (a
 * take-over does not wait inside the server). A transaction must not be left open on it between
 * callbacks.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/error.h"
#include "lib/pg.h"

enum lease_state {
	LEASE_UNKNOWN, /* not asked yet, or no answer for so long that it may have expired */
	LEASE_HOLDER,
	LEASE_STANDBY, /* somebody else's, or given up on purpose */
};

const char *lease_state_name(enum lease_state state);

enum { LEASE_HOLDER_BYTES = 64 };

struct lease_status {
	enum lease_state state;
	int64_t epoch;			 /* the last one seen; ours when holder; 0 none */
	char holder[LEASE_HOLDER_BYTES]; /* who has it, as far as is known; "" nobody or unknown */
	int64_t left_ms;		 /* of another's, when it was last looked at; <= 0: it is free */
	struct error error;		 /* why it is unknown, or ERROR_NONE */
};

struct lease;

struct lease_options {
	const char *name;     /* copied */
	const char *holder;   /* our id, at most LEASE_HOLDER_BYTES - 1; copied */
	uint64_t duration_ms; /* renewed every third of it */
	/* State, epoch or the error's code changed. The lease's last act: anything may be called from it. */
	void (*on_change)(void *arg);
	void *arg;
};

/* `pg` is borrowed until lease_close() has reported. */
int lease_new(uv_loop_t *loop, struct pg *pg, const struct lease_options *options,
	struct lease **ret) must_check; /* -errno */

/*
 * Want it, from now until lease_release() or lease_close(). Also: look now, e.g. because the
 * connection is back.
 */
void lease_want(struct lease *lease);

/* The connection could not be made: this is what the status says then. */
void lease_no_connection(struct lease *lease, const struct error *error);

/*
 * The first statement of a load transaction, appended: it locks the row if it still is ours, and
 * returns it; no row means that somebody else has the lease. The lock keeps a take-over out until
 * the transaction has ended, and lets renewals pass. Valid as long as the status is holder of this
 * epoch.
 */
void lease_fence_sql(const struct lease *lease, struct buffer *sql);

/* What it means that it returned no row: RETRY, "fenced". */
void lease_set_fenced(struct error *error);

/*
 * Give it up, so that somebody else can take it at once, and want it again `hold_off_ms` later
 * (UINT64_MAX: not before lease_want()). The status is standby at once, without on_change.
 * on_released comes once, later; its error says that the server does not know of it, and the lease
 * will expire.
 */
void lease_release(struct lease *lease, uint64_t hold_off_ms,
	void (*on_released)(void *arg, const struct error *error), void *arg);

/* Borrowed until the next turn of the loop. */
const struct lease_status *lease_status(struct lease *lease);

/* A statement of the lease is due now; other users of the connection let it pass. */
bool lease_is_due(const struct lease *lease);

/* Does not release. A statement in flight is canceled, and waited for; on_released comes first. */
void lease_close(struct lease *lease, void (*on_closed)(void *arg), void *arg);
