#pragma once

/*
 * Connection strings, both forms of libpq. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/error.h"

/*
 * Is it well formed? The error is REJECTED, code "dsn", and quotes nothing of the string: libpq's
 * own texts do, password and all.
 */
int pg_dsn_check(const char *dsn, struct error *error) must_check;

/*
 * Call `found` for each secret in the string (password, sslpassword), decoded; it is borrowed until
 * `found` returns. Returns 0, -EINVAL for a malformed string, or -ENOMEM.
 */
int pg_dsn_secrets(
	const char *dsn, void (*found)(void *arg, const char *secret), void *arg) must_check;

/*
 * "host=db1,db2 port=5432 dbname=market user=sync" appended: what libpq would use, with
 * environment and service file, without any secret. "(malformed)" when it is.
 */
void pg_dsn_describe(const char *dsn, struct buffer *out);
