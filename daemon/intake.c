/*
 * The first half of a load: pages of a slice -> packed rows in key order, and rejects.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Happy path of one step: a piece of at most 128 KiB comes from the spool and is decoded; each
 * record becomes a row, its names get their ids, and it is packed into the sorter. From the first row
 * on that needs a new name, or for which the sorter has no room, the rows of the piece are set aside;
 * the next step ends with NAMES, or with FULL, and the one after goes on with them. What is held is one
 * piece, the sorter and the list of rejects.
 *
 * Failure modes: a damaged file, a page that does not decode (it did when it was fetched), no
 * memory. All end the load; nothing was changed but the open transaction.
 *
 * In collecting mode (after a conflict was found while deduplicating) rows are thrown away and only
 * the raw bytes of the wanted records are kept.
 */

#include "daemon/intake.h"

#include <errno.h>
#include <string.h>

#include "daemon/partition.h"
#include "lib/arena.h"

enum { REJECTS_FLUSH_BYTES = 256 * 1024, DAYS_MAX = 36600 };

/* A normalised record that waits for an id of its names, or for room. */
struct pending {
	struct field *row; /* in the arena */
	uint32_t *slots;   /* of its names, one per lookup; in the arena */
	struct row_origin origin;
};

struct intake {
	struct intake_options options;
	const struct dataset *dataset;
	struct decode *decode;
	struct normaliser *normaliser;
	struct arena arena;
	struct pending *pending;
	uint32_t n_pending, size_pending;
	uint32_t n_packed; /* of pending */
	bool asked;        /* for the ids of their names */
	uint32_t page;     /* 1-based */
	bool end;
	struct intake_counts counts;
	const struct day_range *places; /* NULL: every day has one */
	unsigned n_places;
	struct day_count *days;
	unsigned n_days, size_days;
	struct buffer packed;
	const struct row_origin *wanted; /* collecting mode */
	size_t n_wanted, next_wanted;
};

static int on_record(void *arg, const struct record *record);

int intake_new(const struct intake_options *options, struct intake **ret)
{
	struct intake *intake = calloc(1, sizeof(*intake));
	int r;

	if (!intake) {
		return -ENOMEM;
	}
	intake->options = *options;
	intake->dataset = options->source->dataset;
	intake->page = 1;
	r = decode_new(on_record, intake, &intake->decode);
	if (r == 0) {
		r = normaliser_new(options->source, &intake->normaliser);
	}
	if (r < 0) {
		intake_free(intake);
		return r;
	}
	*ret = intake;
	return 0;
}

struct intake *intake_free(struct intake *intake)
{
	if (!intake) {
		return NULL;
	}
	decode_free(intake->decode);
	normaliser_free(intake->normaliser);
	arena_fini(&intake->arena);
	buffer_fini(&intake->packed);
	free(intake->pending);
	free(intake->days);
	free(intake);
	return NULL;
}

void intake_places(struct intake *intake, const struct day_range *ranges, unsigned n_ranges)
{
	intake->places = ranges;
	intake->n_places = n_ranges;
}

struct intake_counts intake_counts(const struct intake *intake)
{
	return intake->counts;
}

struct day_count *intake_days(struct intake *intake, unsigned *ret_n)
{
	*ret_n = intake->n_days;
	return intake->days;
}

struct day_count *day_find(struct day_count *days, unsigned n_days, int32_t day)
{
	unsigned low = 0, high = n_days;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (days[middle].day < day) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < n_days && days[low].day == day ? &days[low] : NULL;
}

/* A hundred years. Rows of days beyond are not lost, only not listed one by one in coverage. */
static int count_day(struct intake *intake, int32_t day)
{
	struct day_count *found = day_find(intake->days, intake->n_days, day);
	unsigned at = intake->n_days;

	if (found) {
		found->received++;
		return 0;
	}
	if (intake->n_days == DAYS_MAX) {
		return 0;
	}
	if (intake->n_days == intake->size_days) {
		unsigned size = intake->size_days ? intake->size_days * 2 : 16;
		struct day_count *days = realloc(intake->days, size * sizeof(*days));

		if (!days) {
			return -ENOMEM;
		}
		intake->days = days;
		intake->size_days = size;
	}
	for (; at > 0 && intake->days[at - 1].day > day; at--) {
		intake->days[at] = intake->days[at - 1];
	}
	intake->days[at] = (struct day_count){.day = day, .received = 1};
	intake->n_days++;
	return 0;
}

static int keep_reject(struct intake *intake, const struct record *record, const char *reason,
	const char *column, const char *detail)
{
	struct ledger_reject reject = {
		.reason = reason,
		.column = column,
		.detail = detail,
		.raw = record->raw,
		.raw_len = record->raw_len,
		.page = intake->page,
		.position = (uint32_t)record->index,
	};

	if (intake->options.rejected) {
		intake->options.rejected[record->index] = true;
	}
	return ledger_rejects_add(intake->options.rejects, &reject) < 0 ? -ENOMEM : 0;
}

static int collect(struct intake *intake, const struct record *record)
{
	const struct row_origin *wanted = &intake->wanted[intake->next_wanted];

	if (intake->next_wanted == intake->n_wanted || wanted->page != intake->page ||
		wanted->position != record->index) {
		return 0;
	}
	intake->next_wanted++;
	return keep_reject(intake, record, reject_reason_name(REJECT_CONFLICT), NULL,
		"same key as another record of the slice, other values");
}

/* INT32_MIN: none */
static int32_t day_of(const struct intake *intake, const struct field *row)
{
	int date = intake->dataset->date;

	return date >= 0 && row[date].len > 0 ? field_to_date(row[date]) : INT32_MIN;
}

static int reject_homeless(struct intake *intake, const struct record *record, int32_t day)
{
	if (intake->counts.homeless++ == 0) {
		intake->counts.homeless_day = day;
	}
	intake->counts.quarantined++;
	return keep_reject(intake, record, "no_partition",
		intake->dataset->columns[intake->dataset->date].name,
		"the table has no partition for this date");
}

static int make_room(struct intake *intake)
{
	uint32_t size = intake->size_pending ? intake->size_pending * 2 : 256;
	struct pending *pending;

	if (intake->n_pending < intake->size_pending) {
		return 0;
	}
	pending = realloc(intake->pending, size * sizeof(*pending));
	if (!pending) {
		return -ENOMEM;
	}
	intake->pending = pending;
	intake->size_pending = size;
	return 0;
}

static int set_aside(struct intake *intake, const struct field *row, const uint32_t *slots,
	struct row_origin origin)
{
	const struct dataset *dataset = intake->dataset;
	struct pending pending = {
		.row = arena_copy(&intake->arena, row, dataset->n_columns * sizeof(*row)),
		.slots = arena_copy(&intake->arena, slots, dataset->n_lookups * sizeof(*slots)),
		.origin = origin,
	};

	if (!pending.row || !pending.slots || make_room(intake) < 0) {
		return -ENOMEM;
	}
	intake->pending[intake->n_pending++] = pending;
	return 0;
}

/* The slots of a row's names. False in *ret_known: one of them has no id yet. */
static int find_names(struct intake *intake, const struct field *row, int32_t day, uint32_t *slots,
	bool *ret_known)
{
	*ret_known = true;
	for (unsigned l = 0; l < intake->dataset->n_lookups; l++) {
		int r = lookup_find(intake->options.lookups, l, row,
			day == INT32_MIN ? intake->options.default_day : day, &slots[l]);

		if (r < 0) {
			return r;
		}
		*ret_known &= lookup_id(intake->options.lookups, l, slots[l]) != 0;
	}
	return 0;
}

/* The fact row in the form that is sorted. */
static int pack(struct intake *intake, const struct field *row, const uint32_t *slots,
	struct row_origin origin)
{
	const struct dataset *dataset = intake->dataset;
	unsigned char ids[DIFF_MAX_FIELDS][4];
	struct field fact[DIFF_MAX_FIELDS];

	for (unsigned i = 0; i < dataset->n_fact; i++) {
		int l = dataset->fact[i].lookup;

		fact[i] = l < 0 ? row[dataset->fact[i].column]
				: field_int4(lookup_id(intake->options.lookups, (unsigned)l, slots[l]),
					  ids[i]);
	}
	buffer_clear(&intake->packed);
	row_pack(&intake->packed, origin, fact, dataset->n_fact);
	return buffer_failed(&intake->packed) ? -ENOMEM : 0;
}

/* Into the sorter. 0, 1 when that is full, -errno. */
static int sort_in(struct intake *intake, const struct field *row, const uint32_t *slots,
	struct row_origin origin)
{
	int r = pack(intake, row, slots, origin);

	return r < 0 ? r : sorter_add(intake->options.sorter, intake->packed.data,
				   intake->packed.len);
}

/* Nearly every row has ids for its names and room in the sorter: it goes there at once. */
static int keep_row(
	struct intake *intake, const struct field *row, uint32_t position, int32_t day)
{
	struct row_origin origin = {.page = intake->page, .position = position};
	uint32_t slots[DIFF_MAX_FIELDS];
	bool known = false;
	int r = day == INT32_MIN ? 0 : count_day(intake, day);

	if (r == 0) {
		r = find_names(intake, row, day, slots, &known);
	}
	if (r < 0) {
		return r;
	}
	r = known && intake->n_pending == 0 ? sort_in(intake, row, slots, origin) : 1;
	return r == 1 ? set_aside(intake, row, slots, origin) : r;
}

static int on_record(void *arg, const struct record *record)
{
	struct intake *intake = arg;
	struct field row[DIFF_MAX_FIELDS];
	struct reject reject;
	int32_t day;
	int r;

	if (intake->wanted) {
		return collect(intake, record);
	}
	intake->counts.received++;
	if (intake->n_pending == 0) {
		arena_reset(&intake->arena);
	}
	r = normalise(intake->normaliser, record, &intake->arena, row, &reject);
	if (r == 0) {
		day = day_of(intake, row);
		return intake->places && !partition_has(intake->places, intake->n_places, day)
			       ? reject_homeless(intake, record, day)
			       : keep_row(intake, row, (uint32_t)record->index, day);
	}
	if (r < 0) {
		return r;
	}
	intake->counts.quarantined++;
	return keep_reject(intake, record, reject_reason_name(reject.reason),
		intake->dataset->columns[reject.column].name, reject.text);
}

static enum intake_step fail(struct error *error, int r)
{
	if (r == -EMSGSIZE) {
		error_set(error, ERROR_REJECTED, "load", "too_long",
			"a row of the slice is too long to be sorted in `load.memory`");
	} else if (!error_is_set(error)) {
		error_errno(error, ERROR_RETRY, "load", r < -1 ? -r : ENOMEM, "reading pages");
	}
	return INTAKE_ERROR;
}

static enum intake_step end_page(struct intake *intake, struct error *error)
{
	struct envelope envelope;

	if (decode_finish(intake->decode, &envelope, error) < 0) {
		error_prefix(error, "page %u of the spool file", intake->page);
		return fail(error, -1);
	}
	decode_reset(intake->decode);
	intake->page++;
	return INTAKE_MORE;
}

/* One piece out of the spool, through the decoder. */
static enum intake_step take_piece(struct intake *intake, struct error *error)
{
	const void *data;
	size_t len;
	int r;

	switch (spool_reader_next(intake->options.reader, &data, &len, error)) {
	case SPOOL_ERROR:
		return INTAKE_ERROR;
	case SPOOL_END:
		intake->end = true;
		return INTAKE_MORE;
	case SPOOL_PAGE_END:
		return end_page(intake, error);
	case SPOOL_DATA:
		break;
	}
	lookup_lock(intake->options.lookups);
	r = decode_feed(intake->decode, data, len, error);
	lookup_unlock(intake->options.lookups);
	return r == 0 ? INTAKE_MORE : fail(error, r);
}

/* Of the rows set aside; the lookups know which of their names have no id yet. */
static bool want_names(const struct intake *intake)
{
	unsigned n = 0;

	for (unsigned l = 0; l < intake->dataset->n_lookups; l++) {
		n += lookup_wanted(intake->options.lookups, l);
	}
	return n > 0;
}

static enum intake_step pack_pending(struct intake *intake, struct error *error)
{
	for (; intake->n_packed < intake->n_pending; intake->n_packed++) {
		const struct pending *p = &intake->pending[intake->n_packed];
		int r = sort_in(intake, p->row, p->slots, p->origin);

		if (r != 0) {
			return r < 0 ? fail(error, r) : INTAKE_FULL;
		}
	}
	intake->n_pending = intake->n_packed = 0;
	intake->asked = false;
	return INTAKE_MORE;
}

enum intake_step intake_advance(struct intake *intake, struct error *error)
{
	if (intake->n_pending == 0) {
		if (ledger_rejects_bytes(intake->options.rejects) > REJECTS_FLUSH_BYTES) {
			return INTAKE_REJECTS;
		}
		return intake->end ? INTAKE_END : take_piece(intake, error);
	}
	if (!intake->asked) {
		intake->asked = true;
		if (want_names(intake)) {
			return INTAKE_NAMES;
		}
	}
	return pack_pending(intake, error);
}

void intake_collect(struct intake *intake, const struct row_origin *origins, size_t n_origins)
{
	intake->wanted = origins;
	intake->n_wanted = n_origins;
	intake->next_wanted = 0;
	intake->page = 1;
	intake->end = false;
	decode_reset(intake->decode);
}
