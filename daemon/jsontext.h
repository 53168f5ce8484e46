#pragma once

/*
 * Small JSON documents that we write and read again, by jansson. Pure.
 * SPDX-License-Identifier: Apache-2.0
 *
 * When memory is short jansson may leave out a piece of a text without a word; these notice.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"

/* A string of any bytes: what is no UTF-8 becomes "?". NULL when out of memory. */
json_t *jsontext_string(const char *text) must_check;

/* One line, on the heap; NULL when out of memory or `failed`. Takes the object. */
char *jsontext_dump(json_t *take_object, int failed) must_check;

/* What jsontext_dump() wrote; NULL when it is anything else, or when out of memory. */
json_t *jsontext_load(const char *json, size_t len) must_check;

/* False when there is no such value, or it does not fit. */
bool jsontext_get_text(const json_t *o, const char *key, char *out, size_t size) must_check;
bool jsontext_get_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *ret)
	must_check;
bool jsontext_get_count(const json_t *o, const char *key, uint64_t *ret) must_check;
bool jsontext_get_unsigned(const json_t *o, const char *key, unsigned *ret) must_check;
