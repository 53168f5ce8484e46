/*
 * What the pages of a spool file are worth by today's rules. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: each page goes through the receiver, as it did when it came, and what its envelope
 * says goes to the proof. After the last page M = T is known to hold or not.
 *
 * Failure modes: a column is still in no record of a page, or still more than the limit is
 * rejected: the outcome stays a failure, with today's reason. The file cannot be read: an error.
 */

#include "daemon/reprove.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/filter.h"
#include "daemon/receiver.h"

struct reproof {
	const struct source *source;
	struct proof *proof;
	struct receiver *receiver;
	struct filter_list filters;
	struct valueset values;
	enum proof_step step; /* of the last page */
	int drift;
	uint64_t rows, rejected;
	unsigned pages;
};

static int begin(struct reproof *reproof, const struct spool_header *header, unsigned passes)
{
	struct proof_options proof = {.passes = passes > 0 ? passes : 1};
	struct receiver_options receiver = {
		.source = reproof->source,
		.filters = &reproof->filters,
		.values = &reproof->values,
	};
	int r = proof_new(&proof, &reproof->proof);

	if (r == 0) {
		r = filter_list_init(&reproof->filters, reproof->source, header->day, NULL);
	}
	receiver.proof = reproof->proof;
	return r < 0 ? r : receiver_new(&receiver, &reproof->receiver);
}

static void end(struct reproof *reproof)
{
	receiver_free(reproof->receiver);
	proof_free(reproof->proof);
	filter_list_fini(&reproof->filters);
	valueset_fini(&reproof->values);
}

/* A page that was whole. -1: its content is refused. */
static int take_page(struct reproof *reproof, struct error *error)
{
	const struct received *page = receiver_page(reproof->receiver);

	if (receiver_finish(reproof->receiver) < 0 || receiver_keep(reproof->receiver, 0) < 0) {
		*error = *receiver_content(reproof->receiver);
		return -1;
	}
	reproof->pages++;
	reproof->rows += page->rows;
	reproof->rejected += page->rejected;
	reproof->drift = reproof->drift < 0 ? page->drift : reproof->drift;
	reproof->step = proof_end_answer(reproof->proof, page->envelope.total,
		page->envelope.has_updated ? page->envelope.updated : 0);
	return 0;
}

/* 1: a page; 0: there are no more. */
static int read_page(struct reproof *reproof, struct spool_reader *reader, struct error *error)
{
	enum spool_item item;
	const void *data;
	size_t len;

	if (receiver_begin(reproof->receiver, NULL, proof_reversed(reproof->proof)) < 0) {
		return -1;
	}
	while ((item = spool_reader_next(reader, &data, &len, error)) == SPOOL_DATA) {
		/* A content that fails says so again at its end. */
		(void)!receiver_feed(reproof->receiver, data, len);
	}
	if (item == SPOOL_PAGE_END) {
		return take_page(reproof, error) < 0 ? -1 : 1;
	}
	receiver_abort(reproof->receiver);
	return item == SPOOL_ERROR ? -1 : 0;
}

static void say(struct spool_outcome *outcome, enum slice_state state, const char *reason,
	const char *text)
{
	outcome->state = state;
	snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
	snprintf(outcome->text, sizeof(outcome->text), "%s", text);
}

static void judge(const struct reproof *reproof, struct spool_outcome *outcome)
{
	const struct dataset *dataset = reproof->source->dataset;
	char text[SPOOL_TEXT_BYTES];

	outcome->expected = proof_total(reproof->proof);
	outcome->received = reproof->rows;
	outcome->distinct = proof_distinct(reproof->proof);
	outcome->quarantined = reproof->rejected;
	outcome->pages = reproof->pages;
	if (reproof->drift >= 0) {
		snprintf(text, sizeof(text), "still no record of a page has column %s",
			dataset->columns[reproof->drift].name);
		say(outcome, SLICE_FAILED, "schema_drift", text);
	} else if (reproof->rejected * 1000000 > reproof->rows * dataset->quarantine_limit_ppm) {
		snprintf(text, sizeof(text),
			"still %" PRIu64 " of %" PRIu64 " rows cannot be read",
			reproof->rejected, reproof->rows);
		say(outcome, SLICE_FAILED, "too_many_bad_rows", text);
	} else if (reproof->step == PROOF_PROVEN) {
		say(outcome, SLICE_PROVEN, "", "");
	} else {
		snprintf(text, sizeof(text), "the fetch had ended after %" PRIu64 " of %" PRId64 " rows",
			proof_matched(reproof->proof), outcome->expected);
		say(outcome, SLICE_PARTIAL, "incomplete", text);
	}
}

int reprove(struct spool_reader *reader, const struct source *source, struct spool_outcome *outcome,
	struct error *error)
{
	struct reproof reproof = {.source = source, .step = PROOF_PAGE, .drift = -1};
	int r = begin(&reproof, spool_reader_header(reader), outcome->passes);

	if (r < 0) {
		r = error_no_memory(error, "replay");
	} else {
		do {
			r = read_page(&reproof, reader, error);
		} while (r > 0);
	}
	if (r == 0) {
		judge(&reproof, outcome);
		r = spool_reader_rewind(reader, error);
	}
	end(&reproof);
	return r;
}
