/*
 * A format, a line end and a text. SPDX-License-Identifier: Apache-2.0
 */

#include <string.h>

#include "daemon/date.h"
#include "tests/fuzz/fuzz.h"

enum { DAY_MIN = -719162, DAY_MAX = 2932896 }; /* of the years 1 to 9999 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	struct buffer shown = {0};
	const char *text;
	char format[64];
	size_t len;
	int32_t day, again;
	int64_t us;
	int r;

	if (!end || (size_t)(end - data) >= sizeof(format)) {
		return 0;
	}
	memcpy(format, data, (size_t)(end - data));
	format[end - data] = '\0';
	text = (const char *)end + 1;
	len = size - (size_t)(end - data) - 1;
	r = date_parse(text, len, format, &day);
	must(r == timestamp_parse(text, len, format, &us));
	if (r == 0) {
		must(day >= DAY_MIN && day <= DAY_MAX);
		/* The same day at most 16 hours off, be the zone what it may. */
		must(us / 1000000 >= (int64_t)day * 86400 - 16 * 3600);
		must(us / 1000000 < (int64_t)(day + 1) * 86400 + 16 * 3600);
		date_format(day, "%d/%m/%Y", &shown);
		must(date_parse(shown.data, shown.len, "%d/%m/%Y", &again) == 0 && again == day);
	}
	buffer_fini(&shown);
	return 0;
}
