/*
 * What the bytes of a spool file mean. SPDX-License-Identifier: Apache-2.0
 *
 * Everything that comes from a file is input: it is checked here and never asserted.
 */

#include "daemon/spool_format.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "daemon/jsontext.h"
#include "lib/buffer.h"

static const char magic[8] = {'o', 'g', 'd', 's', 'p', 'o', 'o', 'l'};

/* ---- file head and block heads ---- */

static void put32(unsigned char *out, uint32_t v)
{
	v = htole32(v);
	memcpy(out, &v, sizeof(v));
}

static void put64(unsigned char *out, uint64_t v)
{
	v = htole64(v);
	memcpy(out, &v, sizeof(v));
}

static uint32_t get32(const unsigned char *in)
{
	uint32_t v;

	memcpy(&v, in, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const unsigned char *in)
{
	uint64_t v;

	memcpy(&v, in, sizeof(v));
	return le64toh(v);
}

void spool_file_head(unsigned char out[static SPOOL_FILE_HEAD_BYTES])
{
	memcpy(out, magic, sizeof(magic));
	put32(out + 8, SPOOL_VERSION);
	put32(out + 12, 0);
}

const char *spool_file_head_check(const unsigned char head[static SPOOL_FILE_HEAD_BYTES])
{
	if (memcmp(head, magic, sizeof(magic)) != 0) {
		return "not a spool file";
	}
	if (get32(head + 8) != SPOOL_VERSION || get32(head + 12) != 0) {
		return "unknown version";
	}
	return NULL;
}

enum { HASH_AT = SPOOL_BLOCK_HEAD_BYTES - 8 };

uint64_t spool_block_hash(
	const unsigned char head[static SPOOL_BLOCK_HEAD_BYTES], uint64_t body_hash)
{
	return XXH64(head, HASH_AT, body_hash);
}

void spool_block_encode(const struct spool_block *block, uint64_t body_hash,
	unsigned char out[static SPOOL_BLOCK_HEAD_BYTES])
{
	put32(out, block->type);
	put32(out + 4, block->number);
	put64(out + 8, block->length);
	put64(out + 16, block->raw_bytes);
	put64(out + 24, block->page.rows);
	put64(out + 32, (uint64_t)block->page.total);
	put64(out + 40, (uint64_t)block->page.updated);
	put64(out + 48, (uint64_t)block->page.fetched_us);
	put64(out + HASH_AT, spool_block_hash(out, body_hash));
}

void spool_block_decode(
	const unsigned char head[static SPOOL_BLOCK_HEAD_BYTES], struct spool_block *ret)
{
	*ret = (struct spool_block){
		.type = get32(head),
		.number = get32(head + 4),
		.length = get64(head + 8),
		.raw_bytes = get64(head + 16),
		.page =
			{
				.rows = get64(head + 24),
				.total = (int64_t)get64(head + 32),
				.updated = (int64_t)get64(head + 40),
				.fetched_us = (int64_t)get64(head + 48),
			},
		.hash = get64(head + HASH_AT),
	};
}

void spool_append_text_block(
	struct buffer *out, enum spool_block_type type, uint32_t number, const char *text)
{
	struct spool_block block = {.type = type, .number = number, .length = strlen(text)};
	unsigned char head[SPOOL_BLOCK_HEAD_BYTES];

	spool_block_encode(&block, XXH64(text, block.length, 0), head);
	buffer_append(out, head, sizeof(head));
	buffer_append(out, text, block.length);
}

/* ---- header and outcome ---- */

const char *slice_state_name(enum slice_state state)
{
	switch (state) {
	case SLICE_PROVEN:
		return "proven";
	case SLICE_PARTIAL:
		return "partial";
	case SLICE_SUSPECT:
		return "suspect";
	case SLICE_FAILED:
		return "failed";
	}
	return "unknown";
}

static bool state_parse(const char *name, enum slice_state *ret)
{
	static const enum slice_state states[] = {
		SLICE_PROVEN, SLICE_PARTIAL, SLICE_SUSPECT, SLICE_FAILED};

	for (size_t i = 0; name && i < N_ELEMENTS(states); i++) {
		if (strcmp(name, slice_state_name(states[i])) == 0) {
			*ret = states[i];
			return true;
		}
	}
	return false;
}

char *spool_header_format(const struct spool_header *header)
{
	json_t *o = json_object();
	int r = 0;

	r |= json_object_set_new(o, "run", json_integer(header->run));
	r |= json_object_set_new(o, "uuid", jsontext_string(header->uuid));
	r |= json_object_set_new(o, "dataset", jsontext_string(header->dataset));
	r |= json_object_set_new(o, "source", jsontext_string(header->source));
	r |= json_object_set_new(o, "slice", jsontext_string(header->slice));
	r |= json_object_set_new(
		o, "day", header->day == INT32_MIN ? json_null() : json_integer(header->day));
	r |= json_object_set_new(o, "started_us", json_integer(header->started_us));
	r |= json_object_set_new(o, "trigger", jsontext_string(header->trigger));
	if (header->accept) {
		r |= json_object_set_new(o, "accept", json_true());
	}
	return jsontext_dump(o, r);
}

char *spool_outcome_format(const struct spool_outcome *outcome)
{
	json_t *o = json_object();
	int r = 0;

	r |= json_object_set_new(o, "state", json_string(slice_state_name(outcome->state)));
	r |= json_object_set_new(o, "reason", jsontext_string(outcome->reason));
	r |= json_object_set_new(o, "text", jsontext_string(outcome->text));
	r |= json_object_set_new(o, "expected", json_integer(outcome->expected));
	r |= json_object_set_new(o, "received", json_integer((json_int_t)outcome->received));
	r |= json_object_set_new(o, "distinct", json_integer((json_int_t)outcome->distinct));
	r |= json_object_set_new(o, "quarantined", json_integer((json_int_t)outcome->quarantined));
	r |= json_object_set_new(o, "pages", json_integer(outcome->pages));
	r |= json_object_set_new(o, "passes", json_integer(outcome->passes));
	r |= json_object_set_new(o, "updated", json_integer(outcome->updated));
	r |= json_object_set_new(o, "finished_us", json_integer(outcome->finished_us));
	return jsontext_dump(o, r);
}

static bool get_day(const json_t *o, int32_t *ret)
{
	int64_t day = INT32_MIN;

	if (!json_is_null(json_object_get(o, "day")) &&
		!jsontext_get_int(o, "day", INT32_MIN + 1, INT32_MAX, &day)) {
		return false;
	}
	*ret = (int32_t)day;
	return true;
}

int spool_header_parse(
	const char *json, size_t len, struct spool_header *ret, const char **ret_wrong)
{
	json_auto_t *o = jsontext_load(json, len);

	if (!o) {
		return -ENOMEM;
	}
	*ret = (struct spool_header){.run = 0};
	if (!jsontext_get_int(o, "run", 1, INT64_MAX, &ret->run) ||
		!jsontext_get_text(o, "uuid", ret->uuid, sizeof(ret->uuid)) ||
		!spool_uuid_is_valid(ret->uuid) ||
		!jsontext_get_text(o, "dataset", ret->dataset, sizeof(ret->dataset)) ||
		!jsontext_get_text(o, "source", ret->source, sizeof(ret->source)) ||
		!jsontext_get_text(o, "slice", ret->slice, sizeof(ret->slice)) ||
		!get_day(o, &ret->day) ||
		!jsontext_get_int(o, "started_us", INT64_MIN, INT64_MAX, &ret->started_us) ||
		!jsontext_get_text(o, "trigger", ret->trigger, sizeof(ret->trigger))) {
		*ret_wrong = "the header lacks a field, or one is malformed";
		return -EINVAL;
	}
	ret->accept = json_is_true(json_object_get(o, "accept"));
	return 0;
}

int spool_outcome_parse(
	const char *json, size_t len, struct spool_outcome *ret, const char **ret_wrong)
{
	json_auto_t *o = jsontext_load(json, len);

	if (!o) {
		return -ENOMEM;
	}
	*ret = (struct spool_outcome){.state = SLICE_FAILED};
	if (!state_parse(json_string_value(json_object_get(o, "state")), &ret->state) ||
		!jsontext_get_text(o, "reason", ret->reason, sizeof(ret->reason)) ||
		!jsontext_get_text(o, "text", ret->text, sizeof(ret->text)) ||
		!jsontext_get_int(o, "expected", -1, INT64_MAX, &ret->expected) ||
		!jsontext_get_count(o, "received", &ret->received) ||
		!jsontext_get_count(o, "distinct", &ret->distinct) ||
		!jsontext_get_count(o, "quarantined", &ret->quarantined) ||
		!jsontext_get_unsigned(o, "pages", &ret->pages) ||
		!jsontext_get_unsigned(o, "passes", &ret->passes) ||
		!jsontext_get_int(o, "updated", INT64_MIN, INT64_MAX, &ret->updated) ||
		!jsontext_get_int(o, "finished_us", INT64_MIN, INT64_MAX, &ret->finished_us)) {
		*ret_wrong = "the outcome lacks a field, or one is malformed";
		return -EINVAL;
	}
	return 0;
}

/* ---- names ---- */

bool spool_uuid_is_valid(const char *uuid)
{
	for (int i = 0; i < SPOOL_UUID_BYTES - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = uuid[i];

		if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
			return false;
		}
	}
	return uuid[SPOOL_UUID_BYTES - 1] == '\0';
}

static const char *suffix_text(enum spool_suffix suffix)
{
	switch (suffix) {
	case SPOOL_PART:
		return ".part";
	case SPOOL_READY:
		return ".ready";
	case SPOOL_LOADED:
		return ".loaded";
	case SPOOL_DAMAGED:
		return ".damaged";
	}
	return "";
}

void spool_name_format(const struct spool_name *name, char out[static SPOOL_FILE_NAME_BYTES])
{
	snprintf(out, SPOOL_FILE_NAME_BYTES, "%" PRId64 "-%s%s", name->run, name->uuid,
		suffix_text(name->suffix));
}

static bool suffix_parse(const char *text, enum spool_suffix *ret)
{
	static const enum spool_suffix suffixes[] = {
		SPOOL_PART, SPOOL_READY, SPOOL_LOADED, SPOOL_DAMAGED};

	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++) {
		if (strcmp(text, suffix_text(suffixes[i])) == 0) {
			*ret = suffixes[i];
			return true;
		}
	}
	return false;
}

bool spool_name_parse(const char *text, struct spool_name *ret)
{
	char again[SPOOL_FILE_NAME_BYTES];
	char *end;

	errno = 0;
	ret->run = strtoll(text, &end, 10);
	if (errno != 0 || ret->run <= 0 || *end != '-' || strlen(end) < SPOOL_UUID_BYTES) {
		return false;
	}
	memcpy(ret->uuid, end + 1, SPOOL_UUID_BYTES - 1);
	ret->uuid[SPOOL_UUID_BYTES - 1] = '\0';
	if (!spool_uuid_is_valid(ret->uuid) ||
		!suffix_parse(end + SPOOL_UUID_BYTES, &ret->suffix)) {
		return false;
	}
	/* Only the spelling that we write: no sign, no leading zero or space. */
	spool_name_format(ret, again);
	return strcmp(text, again) == 0;
}
