/*
 * HMAC-SHA-256. SPDX-License-Identifier: Apache-2.0
 */

#include "lib/hmac.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

int hmac_sha256_hex(const char *key, const void *data, size_t len,
	char out[static HMAC_SHA256_HEX_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!HMAC(EVP_sha256(), key, (int)strlen(key), data, len, digest, &n) || n != 32) {
		return -EIO;
	}
	for (unsigned i = 0; i < n; i++) {
		snprintf(out + 2 * (size_t)i, 3, "%02x", digest[i]);
	}
	return 0;
}
