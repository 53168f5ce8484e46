/*
 * The receiving half of a fetch. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: receiver_begin() opens a page in the spool; each piece of the body is written
 * there and decoded; each record is normalised, which makes its identity, is compared with the
 * filters, and is forgotten. receiver_finish() checks that the answer was whole and was a list of
 * records, receiver_keep() ends the page.
 *
 * Failure modes: the body is no such list (content: fetch judges it), or the spool cannot be
 * written (disk). Either way nothing more is read, and receiver_abort() takes page and identities
 * back. A record that cannot be normalised is no failure: it counts as rejected, and its raw bytes
 * are its identity.
 */

#include "daemon/receiver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/normalise.h"
#include "daemon/order.h"

/* A message is an error of the portal or the page of a proxy; more of it tells no more. */
enum { MESSAGE_MAX_BYTES = 64 * 1024 };

enum receiver_mode { RECEIVER_IDLE, RECEIVER_PAGE, RECEIVER_MESSAGE };

struct receiver {
	struct receiver_options options;
	struct decode *decode;
	struct normaliser *normaliser;
	struct arena arena;
	struct field *row;
	struct order order;
	struct place split_place; /* of the split column in a record */
	enum receiver_mode mode;
	struct spool_writer *writer; /* of the present page; NULL: it is not written */
	size_t n_message_bytes;
	struct received page;
	struct error content, disk;
};

static int count_record(struct receiver *receiver, uint64_t identity)
{
	receiver->page.rows++;
	if (proof_add(receiver->options.proof, identity) < 0) {
		return error_no_memory(&receiver->content, "fetch");
	}
	return 0;
}

static int take_rejected(
	struct receiver *receiver, const struct record *record, const struct reject *reject)
{
	struct received *page = &receiver->page;

	if (page->rejected++ == 0) {
		snprintf(page->first_reject, sizeof(page->first_reject), "%s", reject->text);
	}
	return count_record(receiver, identity_of_raw(record->raw, record->raw_len));
}

static int take_row(struct receiver *receiver, const struct record *record)
{
	const struct source *source = receiver->options.source;

	if (filter_list_check(receiver->options.filters, source, receiver->row, record,
		    &receiver->content) < 0) {
		return -1;
	}
	return count_record(receiver, identity_of_row(source->dataset, receiver->row));
}

static int note_split_value(struct receiver *receiver, const struct record *record)
{
	const struct source *source = receiver->options.source;
	const struct record_field *field;

	if (source->slice.split_by < 0) {
		return 0;
	}
	field = source_find_near(
		source, (unsigned)source->slice.split_by, record, &receiver->split_place);
	if (!field || (field->kind != JSON_STRING_VALUE && field->kind != JSON_NUMBER_VALUE)) {
		return 0;
	}
	if (valueset_add(receiver->options.values, field->text, field->len) < 0) {
		return error_no_memory(&receiver->content, "fetch");
	}
	return 0;
}

static int on_record(void *arg, const struct record *record)
{
	struct receiver *receiver = arg;
	struct reject reject;
	int r;

	if (receiver->mode == RECEIVER_MESSAGE) {
		return 0;
	}
	arena_reset(&receiver->arena);
	r = normalise(receiver->normaliser, record, &receiver->arena, receiver->row, &reject);
	if (r < 0) {
		return error_no_memory(&receiver->content, "fetch");
	}
	order_add(&receiver->order, record);
	if (note_split_value(receiver, record) < 0) {
		return -1;
	}
	return r == 0 ? take_row(receiver, record) : take_rejected(receiver, record, &reject);
}

/* ---- a page ---- */

static void begin(struct receiver *receiver, enum receiver_mode mode)
{
	receiver->mode = mode;
	receiver->n_message_bytes = 0;
	receiver->page = (struct received){.drift = -1};
	error_clear(&receiver->content);
	error_clear(&receiver->disk);
	decode_reset(receiver->decode);
}

int receiver_begin(struct receiver *receiver, struct spool_writer *writer, bool reversed)
{
	begin(receiver, RECEIVER_PAGE);
	normaliser_begin_page(receiver->normaliser);
	order_begin(&receiver->order, reversed);
	proof_begin_answer(receiver->options.proof);
	receiver->writer = writer;
	return writer ? spool_page_begin(writer, &receiver->disk) : 0;
}

void receiver_begin_message(struct receiver *receiver)
{
	begin(receiver, RECEIVER_MESSAGE);
}

static int feed_message(struct receiver *receiver, const void *data, size_t len)
{
	struct error ignored = {0};
	size_t room = MESSAGE_MAX_BYTES - receiver->n_message_bytes;

	len = len < room ? len : room;
	receiver->n_message_bytes += len;
	(void)!decode_feed(receiver->decode, data, len, &ignored);
	return 0;
}

int receiver_feed(struct receiver *receiver, const void *data, size_t len)
{
	if (receiver->mode == RECEIVER_MESSAGE) {
		return feed_message(receiver, data, len);
	}
	if (error_is_set(&receiver->content) || error_is_set(&receiver->disk)) {
		return -1;
	}
	if (receiver->writer &&
		spool_page_write(receiver->writer, data, len, &receiver->disk) < 0) {
		return -1;
	}
	return decode_feed(receiver->decode, data, len, &receiver->content) == 0 ? 0 : -1;
}

int receiver_finish(struct receiver *receiver)
{
	struct received *page = &receiver->page;
	struct error ignored = {0};

	if (receiver->mode == RECEIVER_MESSAGE) {
		(void)!decode_finish(receiver->decode, &page->envelope, &ignored);
		return 0;
	}
	if (error_is_set(&receiver->content) || error_is_set(&receiver->disk)) {
		return -1;
	}
	if (decode_finish(receiver->decode, &page->envelope, &receiver->content) < 0 ||
		envelope_check(&page->envelope, &receiver->content) < 0) {
		return -1;
	}
	page->unsorted = receiver->order.violated;
	if (page->rows > 0) {
		page->drift = normaliser_drift(receiver->normaliser);
	}
	return 0;
}

const struct received *receiver_page(const struct receiver *receiver)
{
	return &receiver->page;
}

const char *receiver_message(const struct receiver *receiver)
{
	return receiver->page.envelope.message;
}

static const struct error *error_or_null(const struct error *error)
{
	return error_is_set(error) ? error : NULL;
}

const struct error *receiver_content(const struct receiver *receiver)
{
	return error_or_null(&receiver->content);
}

const struct error *receiver_disk(const struct receiver *receiver)
{
	return error_or_null(&receiver->disk);
}

static int keep_in_spool(struct receiver *receiver, int64_t now_us)
{
	const struct received *page = &receiver->page;

	spool_page_describe(receiver->writer,
		&(struct spool_page){
			.rows = page->rows,
			.total = page->envelope.has_total ? page->envelope.total : -1,
			.updated = page->envelope.has_updated ? page->envelope.updated : 0,
			.fetched_us = now_us,
		});
	if (page->rows == 0) {
		spool_page_abort(receiver->writer);
		return 0;
	}
	return spool_page_end(receiver->writer, &receiver->disk);
}

int receiver_keep(struct receiver *receiver, int64_t now_us)
{
	if (receiver->writer && keep_in_spool(receiver, now_us) < 0) {
		return -1;
	}
	receiver->mode = RECEIVER_IDLE;
	return 0;
}

void receiver_abort(struct receiver *receiver)
{
	if (receiver->mode == RECEIVER_PAGE) {
		if (receiver->writer) {
			spool_page_abort(receiver->writer);
		}
		proof_abort_answer(receiver->options.proof);
	}
	receiver->mode = RECEIVER_IDLE;
}

/* ---- begin and end ---- */

int receiver_new(const struct receiver_options *options, struct receiver **ret)
{
	struct receiver *receiver = calloc(1, sizeof(*receiver));
	int r = -ENOMEM;

	if (!receiver) {
		return -ENOMEM;
	}
	receiver->options = *options;
	receiver->row = calloc(options->source->dataset->n_columns, sizeof(*receiver->row));
	if (receiver->row) {
		r = decode_new(on_record, receiver, &receiver->decode);
	}
	if (r == 0) {
		r = normaliser_new(options->source, &receiver->normaliser);
	}
	if (r == 0) {
		r = order_init(&receiver->order, options->source);
	}
	if (r < 0) {
		receiver_free(receiver);
		return r;
	}
	*ret = receiver;
	return 0;
}

struct receiver *receiver_free(struct receiver *receiver)
{
	if (!receiver) {
		return NULL;
	}
	decode_free(receiver->decode);
	normaliser_free(receiver->normaliser);
	order_fini(&receiver->order);
	arena_fini(&receiver->arena);
	free(receiver->row);
	free(receiver);
	return NULL;
}
