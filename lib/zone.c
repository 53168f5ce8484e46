/*
 * Time zones by name. SPDX-License-Identifier: Apache-2.0
 *
 * A TZif file holds the same data twice, with 32-bit times for old readers and then with 64-bit
 * times; only files that have the second part are read (all since 2005). Behind it stands a rule in
 * the form of the POSIX variable TZ, which says what comes after the last listed transition.
 *
 * Every question is answered by one function: the offset at a moment, and until when it holds.
 * A file is foreign input: each count is checked against the bytes before it is used.
 */

#include "lib/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/civil.h"
#include "lib/zone_rule.h"

static const char default_directory[] = "/usr/share/zoneinfo";

enum {
	HEADER_BYTES = 44,
	TYPE_BYTES = 6,
	MAX_TYPES = 256,
	MAX_TRANSITIONS = 10000,
	MAX_FILE_BYTES = 256 * 1024,
	MAX_OFFSET_S = 26 * 3600, /* RFC 8536, 3.2: from -24:59:59 to 25:59:59 */
};

struct zone {
	int32_t offsets[MAX_TYPES];
	bool has_rule;
	struct zone_rule rule;
	unsigned n_transitions;
	struct transition {
		int64_t at; /* from then on */
		unsigned char type;
	} transitions[];
};

/* ---- reading ---- */

struct counts {
	uint32_t isut, isstd, leap, time, type, chars;
};

struct reader {
	const unsigned char *at, *end;
};

static uint32_t be32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t be64(const unsigned char *at)
{
	return (int64_t)((uint64_t)be32(at) << 32 | be32(at + 4));
}

/* The next n bytes, or NULL. */
static const unsigned char *take(struct reader *reader, uint64_t n)
{
	const unsigned char *at = reader->at;

	if ((uint64_t)(reader->end - at) < n) {
		return NULL;
	}
	reader->at += n;
	return at;
}

static bool read_header(struct reader *reader, struct counts *ret)
{
	const unsigned char *at = take(reader, HEADER_BYTES);

	if (!at || memcmp(at, "TZif", 4) != 0 || at[4] < '2') {
		return false;
	}
	*ret = (struct counts){
		.isut = be32(at + 20),
		.isstd = be32(at + 24),
		.leap = be32(at + 28),
		.time = be32(at + 32),
		.type = be32(at + 36),
		.chars = be32(at + 40),
	};
	return true;
}

/* Bytes of a data block whose times have `time_bytes`. */
static uint64_t block_bytes(const struct counts *n, uint64_t time_bytes)
{
	return n->time * (time_bytes + 1) + (uint64_t)n->type * TYPE_BYTES + n->chars +
		n->leap * (time_bytes + 4) + n->isstd + (uint64_t)n->isut;
}

static bool read_types(struct zone *zone, const unsigned char *at, const struct counts *n)
{
	for (uint32_t i = 0; i < n->type; i++) {
		zone->offsets[i] = (int32_t)be32(at + (size_t)i * TYPE_BYTES);
		if (zone->offsets[i] <= -MAX_OFFSET_S || zone->offsets[i] >= MAX_OFFSET_S) {
			return false;
		}
	}
	return true;
}

static bool read_transitions(struct zone *zone, const unsigned char *times,
	const unsigned char *types, const struct counts *n)
{
	for (uint32_t i = 0; i < n->time; i++) {
		struct transition *transition = &zone->transitions[i];

		*transition = (struct transition){
			.at = be64(times + (size_t)i * sizeof(int64_t)), .type = types[i]};
		if (transition->type >= n->type || (i > 0 && transition->at <= transition[-1].at)) {
			return false;
		}
	}
	zone->n_transitions = n->time;
	return true;
}

/* "\n" the rule "\n"; an empty one says that nothing is known of the time after. */
static bool read_footer(struct zone *zone, struct reader *reader)
{
	size_t len = (size_t)(reader->end - reader->at);
	const unsigned char *end = len > 0 ? memchr(reader->at + 1, '\n', len - 1) : NULL;

	if (!end || *reader->at != '\n') {
		return false;
	}
	reader->at++;
	len = (size_t)(end - reader->at);
	zone->has_rule = len > 0;
	return len == 0 || zone_rule_parse((const char *)reader->at, len, &zone->rule);
}

static bool is_plausible(const struct counts *n)
{
	return n->type >= 1 && n->type <= MAX_TYPES && n->time <= MAX_TRANSITIONS && n->leap == 0;
}

static int malformed(struct error *error)
{
	return error_set(error, ERROR_REJECTED, "zone", "zone_malformed",
		"this is no time zone file, or one of an unknown form");
}

int zone_parse(const void *data, size_t len, struct zone **ret, struct error *error)
{
	struct reader reader = {.at = data, .end = (const unsigned char *)data + len};
	const unsigned char *block;
	struct counts n;
	struct zone *zone;

	if (!read_header(&reader, &n) || !take(&reader, block_bytes(&n, 4)) ||
		!read_header(&reader, &n) || !is_plausible(&n)) {
		return malformed(error);
	}
	block = take(&reader, block_bytes(&n, 8));
	if (!block) {
		return malformed(error);
	}
	zone = calloc(1, sizeof(*zone) + n.time * sizeof(zone->transitions[0]));
	if (!zone) {
		return error_no_memory(error, "zone");
	}
	if (!read_transitions(zone, block, block + (size_t)n.time * 8, &n) ||
		!read_types(zone, block + (size_t)n.time * 9, &n) || !read_footer(zone, &reader)) {
		zone_free(zone);
		return malformed(error);
	}
	*ret = zone;
	return 0;
}

struct zone *zone_free(struct zone *zone)
{
	free(zone);
	return NULL;
}

/* ---- files ---- */

/* A name, and no way out of the directory. */
static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+-/";

	return *name && *name != '/' && name[strspn(name, letters)] == '\0';
}

static int read_file(
	const char *path, unsigned char *data, size_t size, size_t *ret_len, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = 0;
	size_t len = 0;

	if (fd < 0) {
		return error_errno(error, ERROR_REJECTED, "zone", errno, "opening it");
	}
	do {
		n = read(fd, data + len, size - len);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	if (n < 0) {
		error_errno(error, ERROR_REJECTED, "zone", errno, "reading it");
	}
	close(fd);
	*ret_len = len;
	return n < 0 ? -1 : 0;
}

static int load_file(const char *path, struct zone **ret, struct error *error)
{
	_cleanup_free_ unsigned char *data = malloc(MAX_FILE_BYTES);
	size_t len = 0;

	if (!data) {
		return error_no_memory(error, "zone");
	}
	if (read_file(path, data, MAX_FILE_BYTES, &len, error) < 0) {
		return -1;
	}
	return zone_parse(data, len, ret, error);
}

int zone_load(const char *directory, const char *name, struct zone **ret, struct error *error)
{
	char path[PATH_MAX];
	int n;

	if (strcmp(name, "UTC") == 0) {
		*ret = calloc(1, sizeof(**ret));
		return *ret ? 0 : error_no_memory(error, "zone");
	}
	n = snprintf(path, sizeof(path), "%s/%s", directory ? directory : default_directory, name);
	if (!is_name(name) || n < 0 || (size_t)n >= sizeof(path)) {
		error_set(error, ERROR_REJECTED, "zone", "zone_name", "this is no name of a zone");
	} else if (load_file(path, ret, error) == 0) {
		return 0;
	}
	error_prefix(error, "time zone \"%s\"", name);
	return -1;
}

/* ---- questions ---- */

/* How many transitions were at or before t. */
static unsigned count_before(const struct zone *zone, int64_t t)
{
	unsigned low = 0, high = zone->n_transitions;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (zone->transitions[middle].at <= t) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/* The offset at t, and in *ret_until the first moment at which it may be another. */
static int32_t span_at(const struct zone *zone, int64_t t, int64_t *ret_until)
{
	unsigned n = count_before(zone, t);

	*ret_until = n < zone->n_transitions ? zone->transitions[n].at : INT64_MAX;
	if (n == zone->n_transitions && zone->has_rule) {
		return zone_rule_span(&zone->rule, t, ret_until);
	}
	return zone->offsets[n == 0 ? 0 : zone->transitions[n - 1].type];
}

int32_t zone_offset(const struct zone *zone, int64_t utc_s)
{
	int64_t until;

	return span_at(zone, utc_s, &until);
}

int64_t zone_to_utc(const struct zone *zone, int64_t local_s)
{
	int64_t t = local_s - MAX_OFFSET_S, until; /* clocks show less here, wherever they are */

	for (;;) {
		int32_t offset = span_at(zone, t, &until);

		if (local_s - offset <= t) {
			return t; /* they jumped over it */
		}
		if (local_s - offset < until) {
			return local_s - offset;
		}
		t = until;
	}
}
