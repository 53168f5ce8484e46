#pragma once

/*
 * Dates and times in the forms that a portal writes. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * A format is a strftime subset: %d %m %Y %H %M %S %z, %% and literals. It must name day, month and
 * year. %Y has four digits, %d %m %H %M %S one or two, %z is Z, +05:30, +0530 or +05. The whole text
 * must be of the format and a real date of the years 1 to 9999; nothing is guessed.
 */

#include <stddef.h>
#include <stdint.h>

#include "lib/attr.h"
#include "lib/buffer.h"

/* Days since 1970-01-01; what the text says of a time is checked and left. 0, or -1. */
int date_parse(const char *text, size_t len, const char *format, int32_t *ret_day) must_check;

/* Microseconds since 1970 UTC. Without %z it is Indian time, +05:30. 0, or -1. */
int timestamp_parse(const char *text, size_t len, const char *format, int64_t *ret_us) must_check;

/* The other way, for filters and slices: midnight of `day`, Indian time. */
void date_format(int32_t day, const char *format, struct buffer *out);

/* When a data date begins: midnight in India, microseconds since 1970 UTC. */
int64_t date_begin_us(int32_t day);

/* The data date of a moment. */
int32_t date_of_us(int64_t us);
