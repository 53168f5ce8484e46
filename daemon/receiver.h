#pragma once

/*
 * The receiving half of a fetch: the body of one answer goes into the spool as it comes, and is
 * read once for what fetch must know of it. SPDX-License-Identifier: Apache-2.0
 *
 * Count, identities (the proof), canary, order, values to split by. No row is kept.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/decode.h"
#include "daemon/filter.h"
#include "daemon/identity.h"
#include "daemon/spool.h"
#include "daemon/valueset.h"
#include "lib/attr.h"
#include "lib/error.h"

struct receiver;

struct receiver_options {
	const struct source *source; /* all four are borrowed */
	const struct filter_list *filters;
	struct proof *proof;
	struct valueset *values; /* of the split column, as served */
};

int receiver_new(
	const struct receiver_options *options, struct receiver **ret) must_check; /* -errno */
struct receiver *receiver_free(struct receiver *receiver);

/*
 * A page begins: what comes now goes into `writer` and into the proof. Every page ends with
 * receiver_keep() or receiver_abort(). `writer` NULL: it is read, and written nowhere.
 */
int receiver_begin(
	struct receiver *receiver, struct spool_writer *writer, bool reversed) must_check;

/* Or: an answer that is no page begins. It is read for what it says of itself, and not kept. */
void receiver_begin_message(struct receiver *receiver);

/* A piece of either. -1: no more is wanted, receiver_content() or receiver_disk() says why. */
int receiver_feed(struct receiver *receiver, const void *data, size_t len) must_check;

/* The body is at its end. -1 as above. A message never fails. */
int receiver_finish(struct receiver *receiver) must_check;

struct received {
	struct envelope envelope; /* as far as it was seen */
	uint64_t rows, rejected;
	bool unsorted;
	int drift;              /* column (normaliser_drift), -1: none; known after finish */
	char first_reject[256]; /* why the first bad row of the page is bad, or "" */
};
const struct received *receiver_page(const struct receiver *receiver);

/* What the portal or its gateway said of an error; "" when it did not. */
const char *receiver_message(const struct receiver *receiver);

/* What is wrong with the body, and what with the disk; NULL: nothing. */
const struct error *receiver_content(const struct receiver *receiver);
const struct error *receiver_disk(const struct receiver *receiver);

/*
 * End of a page that was finished: it is whole in the spool, or left out when it had no rows. -1:
 * receiver_disk(), then abort. proof_end_answer() is the caller's.
 */
int receiver_keep(struct receiver *receiver, int64_t now_us) must_check;

/* Or: cut it off again and forget its identities. Nothing happens when no page is open. */
void receiver_abort(struct receiver *receiver);
