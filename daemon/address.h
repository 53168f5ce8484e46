#pragma once

/*
 * Addresses as the configuration writes them: of the portal, a webhook, a proxy, a listener. Pure.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/attr.h"

/* What is wrong with a URL, or NULL. Plain http is for loopback alone. */
const char *address_wrong_base_url(const char *text); /* no query, no slash at the end, no user */
const char *address_wrong_webhook(const char *text);
const char *address_wrong_proxy(const char *text);

/* The password in scheme://user:password@host, not decoded; false when there is none. */
bool address_password(const char *url, const char **ret, size_t *ret_len) must_check;

/* "localhost", 127.0.0.0/8 or ::1, without brackets. */
bool address_is_loopback(const char *host);

/* What is wrong with `unix:/path`, `127.0.0.1:8642` or `[::1]:8642`, or NULL. */
const char *address_wrong_listen(const char *text);

/* The parts of a listen address that is right: host without brackets, at most `size` bytes. */
unsigned address_split_listen(const char *text, char *ret_host, size_t size);
bool address_is_unix(const char *text);

enum { ADDRESS_HOST_BYTES = 64 };
