#pragma once

/*
 * HMAC-SHA-256 (RFC 2104), by the libcrypto that curl and libpq bring along. SPDX-License-Identifier: Apache-2.0
 */

#include <stddef.h>

#include "lib/attr.h"

enum { HMAC_SHA256_HEX_BYTES = 65 };

/* As lower-case hex digits. 0, or -EIO when libcrypto refuses. */
int hmac_sha256_hex(const char *key, const void *data, size_t len,
	char out[static HMAC_SHA256_HEX_BYTES]) must_check;
