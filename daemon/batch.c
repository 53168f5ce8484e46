/*
 * The second half of a load: sorted rows -> what to insert, to update and to leave alone.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rows come from the sorter ordered by key and then by values, so records of one key are neighbours
 * and the last of them is the greatest. One row is held back until a greater key (or the end)
 * proves it the last of its key; it is the last in the buffer of the rows, and stays held from one
 * batch to the next.
 *
 * The rows of a batch lie in one buffer in key order, found by binary search when the table's own
 * row of a key arrives. Mostly it is the next one and equal byte for byte, which one comparison
 * tells. Its old fields are kept only for rows that will become a revision.
 */

#include "daemon/batch.h"

#include <errno.h>
#include <string.h>

enum { PIECE_BYTES = 64 * 1024, ROW_OVERHEAD_BYTES = 16 };

struct slot {
	size_t at;  /* of the packed row in `rows` */
	size_t old; /* of the stored row in `olds`, when it becomes a revision */
	enum diff_verdict verdict;
};

struct batch {
	struct batch_options options;
	const struct dataset *dataset;
	struct buffer rows, olds;
	struct slot *slots;
	uint32_t n_slots;
	uint32_t expected; /* the slot whose stored row is likely to come next */
	size_t held; /* where the packed row lies in `rows` that may still lose to a greater one */
	bool holding, end;
	uint64_t n_duplicate;
	struct row_origin *conflicts;
	size_t n_conflicts, size_conflicts;
	struct batch_verdicts total;
};

int batch_new(const struct batch_options *options, struct batch **ret)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch) {
		return -ENOMEM;
	}
	batch->options = *options;
	batch->dataset = options->dataset;
	batch->slots = calloc(options->max_rows, sizeof(*batch->slots));
	if (!batch->slots) {
		batch_free(batch);
		return -ENOMEM;
	}
	*ret = batch;
	return 0;
}

struct batch *batch_free(struct batch *batch)
{
	if (!batch) {
		return NULL;
	}
	buffer_fini(&batch->rows);
	buffer_fini(&batch->olds);
	free(batch->slots);
	free(batch->conflicts);
	free(batch);
	return NULL;
}

/* The first n fields. */
static void unpack(const struct batch *batch, const struct slot *slot, struct field *fields,
	unsigned n)
{
	row_unpack(batch->rows.data + slot->at, fields, n);
}

static size_t row_bytes(const struct batch *batch, uint32_t i)
{
	size_t end = batch->holding ? batch->held : batch->rows.len;

	end = i + 1 < batch->n_slots ? batch->slots[i + 1].at : end;
	return end - batch->slots[i].at - sizeof(struct row_origin);
}

/* A row's fields, in wire form one behind the other. */
static const char *fields_of(const struct batch *batch, uint32_t i)
{
	return batch->rows.data + batch->slots[i].at + sizeof(struct row_origin);
}

/* ---- taking rows ---- */

static int add_conflict(struct batch *batch, struct row_origin origin)
{
	size_t size = batch->size_conflicts ? batch->size_conflicts * 2 : 16;
	struct row_origin *conflicts;

	if (batch->n_conflicts == batch->size_conflicts) {
		conflicts = realloc(batch->conflicts, size * sizeof(*conflicts));
		if (!conflicts) {
			return -ENOMEM;
		}
		batch->conflicts = conflicts;
		batch->size_conflicts = size;
	}
	batch->conflicts[batch->n_conflicts++] = origin;
	return 0;
}

static const char *held_row(const struct batch *batch)
{
	return batch->rows.data + batch->held;
}

static void hold(struct batch *batch, const void *item, size_t len)
{
	batch->held = batch->rows.len;
	buffer_append(&batch->rows, item, len);
	batch->holding = true;
}

/* `next` has the key of the held row, which goes. Returns -errno. */
static int settle(struct batch *batch, const void *next, size_t len)
{
	struct field a[DIFF_MAX_FIELDS], b[DIFF_MAX_FIELDS];
	struct row_origin origin = row_unpack(held_row(batch), a, batch->dataset->n_fact);
	bool same;

	row_unpack(next, b, batch->dataset->n_fact);
	same = row_compare_values(batch->dataset, a, b) == 0;
	batch->rows.len = batch->held;
	hold(batch, next, len);
	if (same) {
		batch->n_duplicate++;
		return 0;
	}
	return add_conflict(batch, origin);
}

static void count_day(struct batch *batch, const struct slot *slot)
{
	struct field fields[DIFF_MAX_FIELDS];
	struct day_count *day;

	if (batch->dataset->fact_date < 0) {
		return;
	}
	unpack(batch, slot, fields, (unsigned)batch->dataset->fact_date + 1);
	if (fields[batch->dataset->fact_date].len < 0) {
		return;
	}
	day = day_find(batch->options.days, batch->options.n_days,
		field_to_date(fields[batch->dataset->fact_date]));
	if (day) {
		day->distinct++;
	}
}

static void emit_held(struct batch *batch)
{
	struct slot *slot = &batch->slots[batch->n_slots++];

	*slot = (struct slot){.at = batch->held, .verdict = DIFF_NEW};
	batch->holding = false;
	count_day(batch, slot);
}

static int take(struct batch *batch, const void *item, size_t len)
{
	int r = 0;

	if (batch->holding &&
		row_compare_packed_key(batch->dataset, held_row(batch), item) == 0) {
		r = settle(batch, item, len);
	} else {
		if (batch->holding) {
			emit_held(batch);
		}
		hold(batch, item, len);
	}
	return buffer_failed(&batch->rows) ? -ENOMEM : r;
}

/* The rows of the last batch go; the one that is held stays. */
static void begin_batch(struct batch *batch)
{
	size_t len = batch->holding ? batch->rows.len - batch->held : 0;

	batch->n_slots = batch->expected = 0;
	buffer_clear(&batch->olds);
	if (len > 0) {
		memmove(batch->rows.data, held_row(batch), len);
	}
	batch->held = 0;
	batch->rows.len = len;
}

static bool is_full(const struct batch *batch)
{
	return batch->n_slots == batch->options.max_rows ||
	       batch->rows.len + batch->n_slots * ROW_OVERHEAD_BYTES >= batch->options.memory_bytes;
}

static void count_verdicts(struct batch *batch)
{
	struct batch_verdicts now = batch_verdicts(batch);

	batch->total.n_new += now.n_new;
	batch->total.n_changed += now.n_changed;
	batch->total.n_overwritten += now.n_overwritten;
	batch->total.n_unchanged += now.n_unchanged;
}

int batch_fill(struct batch *batch, uint32_t *ret_n, struct error *error)
{
	const void *item;
	size_t len;
	int r = 1;

	count_verdicts(batch);
	begin_batch(batch);
	while (!batch->end && !is_full(batch)) {
		r = sorter_next(batch->options.sorter, &item, &len, error);
		if (r < 0) {
			return -1;
		}
		if (r == 0) {
			batch->end = true;
			break;
		}
		if (take(batch, item, len) < 0) {
			return error_no_memory(error, "load");
		}
	}
	if (batch->end && batch->holding && !is_full(batch)) {
		emit_held(batch);
	}
	*ret_n = batch->n_slots;
	return buffer_failed(&batch->rows) ? error_no_memory(error, "load") : 0;
}

static int compare_origin(const void *a, const void *b)
{
	const struct row_origin *x = a, *y = b;

	if (x->page != y->page) {
		return x->page < y->page ? -1 : 1;
	}
	return x->position < y->position ? -1 : x->position > y->position;
}

const struct row_origin *batch_conflicts(struct batch *batch, size_t *ret_n)
{
	if (batch->n_conflicts > 0) {
		qsort(batch->conflicts, batch->n_conflicts, sizeof(*batch->conflicts),
			compare_origin);
	}
	*ret_n = batch->n_conflicts;
	return batch->conflicts;
}

/* ---- asking what is known ---- */

bool batch_one_day(const struct batch *batch, int32_t *ret_day)
{
	if (batch->dataset->fact_date < 0 || batch->options.n_days != 1) {
		return false;
	}
	*ret_day = batch->options.days[0].day;
	return true;
}

enum pg_oid column_type_oid(enum column_type type)
{
	switch (type) {
	case COLUMN_TEXT:
		return PG_OID_TEXT;
	case COLUMN_NUMERIC:
		return PG_OID_NUMERIC;
	case COLUMN_INTEGER:
		return PG_OID_INT8;
	case COLUMN_DATE:
		return PG_OID_DATE;
	case COLUMN_TIMESTAMP:
		return PG_OID_TIMESTAMPTZ;
	case COLUMN_ID:
		return PG_OID_INT4;
	}
	return PG_OID_TEXT;
}

static void init_arrays(const struct batch *batch, struct pgarray *arrays, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pgarray_init(&arrays[i], column_type_oid(batch->dataset->fact[i].type));
	}
}

uint32_t batch_key_arrays(const struct batch *batch, uint32_t from, uint32_t n,
	struct pgarray *arrays)
{
	struct field fields[DIFF_MAX_FIELDS];
	uint32_t to = batch->n_slots - from < n ? batch->n_slots : from + n;

	init_arrays(batch, arrays, batch->dataset->n_key);
	for (uint32_t i = from; i < to; i++) {
		unpack(batch, &batch->slots[i], fields, batch->dataset->n_key);
		for (unsigned k = 0; k < batch->dataset->n_key; k++) {
			pgarray_add(&arrays[k], fields[k]);
		}
	}
	return to - from;
}

void batch_key_ids(const struct batch *batch, unsigned k, struct buffer *out)
{
	struct field fields[DIFF_MAX_FIELDS];
	int32_t last = 0;

	for (uint32_t i = 0; i < batch->n_slots; i++) {
		int32_t id;

		unpack(batch, &batch->slots[i], fields, k + 1);
		id = field_to_int4(fields[k]);
		if (i == 0 || id != last) {
			buffer_printf(out, i > 0 ? ",%d" : "%d", id);
			last = id;
		}
	}
}

static bool is_at(const struct batch *batch, uint32_t i, const struct field *key,
	struct field *ret_row)
{
	if (i >= batch->n_slots) {
		return false;
	}
	unpack(batch, &batch->slots[i], ret_row, batch->dataset->n_fact);
	return row_compare_key(batch->dataset, ret_row, key) == 0;
}

/* Stored rows mostly come in key order too: the one behind the last that was found is tried first. */
static struct slot *find(struct batch *batch, const struct field *key, struct field *ret_row)
{
	uint32_t low = 0, high = batch->n_slots;

	if (is_at(batch, batch->expected, key, ret_row)) {
		return &batch->slots[batch->expected];
	}
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int r;

		unpack(batch, &batch->slots[middle], ret_row, batch->dataset->n_fact);
		r = row_compare_key(batch->dataset, ret_row, key);
		if (r == 0) {
			return &batch->slots[middle];
		}
		if (r < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return NULL;
}

static bool is_update(const struct slot *slot)
{
	return slot->verdict == DIFF_CHANGED || slot->verdict == DIFF_OVERWRITE;
}

int batch_known(struct batch *batch, const struct field *stored)
{
	const struct dataset *dataset = batch->dataset;
	struct field row[DIFF_MAX_FIELDS];
	struct slot *slot = find(batch, stored, row);
	struct field run_id = stored[dataset->n_fact];
	int64_t run = run_id.len == 8 ? field_to_int8(run_id) : 0;

	if (!slot) {
		return 0;
	}
	batch->expected = (uint32_t)(slot - batch->slots) + 1;
	slot->verdict = diff_known(
		dataset, row, batch->options.run, stored, run, batch->options.force);
	if (is_update(slot) && batch->options.settled && run == batch->options.run) {
		slot->verdict = DIFF_CONFLICT;
		return add_conflict(batch, row_unpack(batch->rows.data + slot->at, row,
						   dataset->n_fact));
	}
	if (slot->verdict == DIFF_CHANGED) {
		slot->old = batch->olds.len;
		for (unsigned i = 0; i <= dataset->n_fact; i++) {
			copyrow_field(&batch->olds, stored[i]);
		}
	}
	return buffer_failed(&batch->olds) ? -ENOMEM : 0;
}

/* The tuple is the row that is likely to come next, byte for byte. */
static bool is_expected(const struct batch *batch, const char *tuple, size_t len)
{
	size_t n;

	if (batch->expected >= batch->n_slots) {
		return false;
	}
	n = row_bytes(batch, batch->expected);
	return len >= n && memcmp(tuple, fields_of(batch, batch->expected), n) == 0;
}

int batch_known_tuples(struct batch *batch, const char *data, size_t len)
{
	unsigned n_fields = batch->dataset->n_fact + 1;
	struct field stored[DIFF_MAX_FIELDS + 1];
	int r = 0;

	while (r == 0 && len > 0 && !copyrow_is_trailer(data, len)) {
		long n = copyrow_parse(data, len, stored, n_fields);

		if (n <= 0) {
			return -EBADMSG;
		}
		if (is_expected(batch, data + COPYROW_COUNT_BYTES, (size_t)n - COPYROW_COUNT_BYTES)) {
			batch->slots[batch->expected++].verdict = DIFF_UNCHANGED;
		} else {
			r = batch_known(batch, stored);
		}
		data += n;
		len -= (size_t)n;
	}
	return r;
}

struct batch_verdicts batch_verdicts(const struct batch *batch)
{
	struct batch_verdicts v = {0};

	for (uint32_t i = 0; i < batch->n_slots; i++) {
		v.n_new += batch->slots[i].verdict == DIFF_NEW;
		v.n_changed += batch->slots[i].verdict == DIFF_CHANGED;
		v.n_overwritten += batch->slots[i].verdict == DIFF_OVERWRITE;
		v.n_unchanged += batch->slots[i].verdict == DIFF_UNCHANGED;
	}
	return v;
}

/* ---- what goes to the table ---- */

bool batch_copy_new(const struct batch *batch, uint32_t *cursor, struct buffer *out)
{
	for (; *cursor < batch->n_slots && out->len < PIECE_BYTES; (*cursor)++) {
		if (batch->slots[*cursor].verdict != DIFF_NEW) {
			continue;
		}
		copyrow_begin(out, batch->dataset->n_fact + 1);
		buffer_append(out, fields_of(batch, *cursor), row_bytes(batch, *cursor));
		copyrow_int8(out, batch->options.run);
	}
	return *cursor < batch->n_slots;
}

uint32_t batch_update_arrays(const struct batch *batch, uint32_t *cursor, uint32_t n,
	struct pgarray *arrays)
{
	struct field fields[DIFF_MAX_FIELDS];
	uint32_t taken = 0;

	init_arrays(batch, arrays, batch->dataset->n_fact);
	for (; *cursor < batch->n_slots && taken < n; (*cursor)++) {
		if (!is_update(&batch->slots[*cursor])) {
			continue;
		}
		unpack(batch, &batch->slots[*cursor], fields, batch->dataset->n_fact);
		for (unsigned i = 0; i < batch->dataset->n_fact; i++) {
			pgarray_add(&arrays[i], fields[i]);
		}
		taken++;
	}
	return taken;
}

/* Bytes of `n` fields in wire form. */
static size_t fields_bytes(const char *at, unsigned n)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		int32_t len = field_to_int4((struct field){.len = 4, .data = at + bytes});

		bytes += 4 + (size_t)(len > 0 ? len : 0);
	}
	return bytes;
}

bool batch_copy_revisions(const struct batch *batch, uint32_t *cursor, struct buffer *out)
{
	unsigned n_fields = batch->dataset->n_fact + 1;
	const char *old;

	for (; *cursor < batch->n_slots && out->len < PIECE_BYTES; (*cursor)++) {
		if (batch->slots[*cursor].verdict != DIFF_CHANGED) {
			continue;
		}
		old = batch->olds.data + batch->slots[*cursor].old;
		copyrow_begin(out, n_fields + 1);
		buffer_append(out, old, fields_bytes(old, n_fields));
		copyrow_int8(out, batch->options.run);
	}
	return *cursor < batch->n_slots;
}

void batch_count(const struct batch *batch, struct row_counts *counts)
{
	struct batch_verdicts now = batch_verdicts(batch);

	counts->inserted += batch->total.n_new + now.n_new;
	counts->updated += batch->total.n_changed + batch->total.n_overwritten + now.n_changed +
			   now.n_overwritten;
	counts->unchanged += batch->total.n_unchanged + now.n_unchanged;
	counts->duplicate += batch->n_duplicate;
	counts->quarantined += batch->n_conflicts;
}
