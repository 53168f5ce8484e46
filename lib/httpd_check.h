#pragma once

/*
 * The parts of HTTP that are decided by looking at text. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * Used by httpd.c; nothing here remembers anything.
 */

#include <stdbool.h>
#include <stddef.h>

/*
 * Is `host` (the Host header: a name or address, with or without port) this machine's loopback or
 * one of `hosts`? A browser that was lured here by a name of the attacker (DNS rebinding) sends
 * that name.
 */
bool httpd_host_is_ours(const char *host, const char *const *hosts, unsigned n_hosts);

/* Does If-None-Match `list` hold `etag` (without quotes)? Weak comparison, RFC 9110, 13.1.2. */
bool httpd_etag_matches(const char *list, const char *etag);

/*
 * Is `header` (Authorization, or NULL) "Bearer " and `token`? Takes as long whatever is wrong with it.
 */
bool httpd_bearer_matches(const char *header, const char *token);

/*
 * Does `path` fit the route's `pattern`, equal or, with a pattern that ends in "*", with one more
 * part that is not empty? *ret_param is then that part, else NULL.
 */
bool httpd_path_matches(const char *pattern, const char *path, const char **ret_param);

/* "Not Found"; "" for a status that we never send. */
const char *httpd_status_title(int status);
