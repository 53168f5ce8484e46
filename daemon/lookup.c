/*
 * Names -> ids: the cache of a dataset's lookup tables. SPDX-License-Identifier: Apache-2.0
 *
 * One map per lookup from the tuple of names (as the fields' wire bytes) to a slot. A slot's id is 0
 * until the database has given one. `known` dates are those stored; `seen` dates those of the rows
 * of the present load. Happy path: find (slot, id) for each row; when some ids are 0, insert those
 * and take the rows that come back; at the end move the dates; commit makes it all known.
 */

#include "daemon/lookup.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "daemon/partition.h"
#include "lib/hashmap.h"
#include "lib/word.h"

enum { DAY_NEVER_FIRST = INT32_MAX, DAY_NEVER_LAST = INT32_MIN };

struct entry {
	int32_t id;
	bool pending; /* id was given in the present transaction */
	bool wanted;  /* a row of this load needs its id */
	int32_t known_first, known_last;
	int32_t seen_first, seen_last;
	size_t name; /* offset of its key in names */
};

struct lookup {
	const struct lookup_def *def;
	struct hashmap *slots;
	struct buffer names; /* keys, one after the other */
	struct entry *entries;
	uint32_t n_entries, size;
	uint32_t n_wanted, n_pending;
	struct buffer key; /* scratch */
	struct buffer last; /* the key that was found last: rows often repeat it */
	uint32_t last_slot;
};

struct lookup_set {
	const struct dataset *dataset;
	pthread_mutex_t lock;
	struct lookup lookups[];
};

int lookup_set_new(const struct dataset *dataset, struct lookup_set **ret)
{
	struct lookup_set *set;
	int r = 0;

	set = calloc(1, sizeof(*set) + dataset->n_lookups * sizeof(set->lookups[0]));
	if (!set) {
		return -ENOMEM;
	}
	set->dataset = dataset;
	pthread_mutex_init(&set->lock, NULL); /* cannot fail on Linux */
	for (unsigned l = 0; l < dataset->n_lookups && r == 0; l++) {
		set->lookups[l].def = &dataset->lookups[l];
		r = hashmap_new(&set->lookups[l].slots);
	}
	if (r < 0) {
		lookup_set_free(set);
		return r;
	}
	*ret = set;
	return 0;
}

struct lookup_set *lookup_set_free(struct lookup_set *set)
{
	if (!set) {
		return NULL;
	}
	for (unsigned l = 0; l < set->dataset->n_lookups; l++) {
		hashmap_free(set->lookups[l].slots);
		buffer_fini(&set->lookups[l].names);
		buffer_fini(&set->lookups[l].key);
		buffer_fini(&set->lookups[l].last);
		free(set->lookups[l].entries);
	}
	pthread_mutex_destroy(&set->lock);
	free(set);
	return NULL;
}

void lookup_lock(struct lookup_set *set)
{
	pthread_mutex_lock(&set->lock);
}

void lookup_unlock(struct lookup_set *set)
{
	pthread_mutex_unlock(&set->lock);
}

size_t lookup_memory_bytes(const struct lookup_set *set)
{
	size_t bytes = 0;

	for (unsigned l = 0; l < set->dataset->n_lookups; l++) {
		bytes += 2 * set->lookups[l].names.size;
		bytes += set->lookups[l].size * sizeof(struct entry);
	}
	return bytes;
}

static int new_entry(struct lookup *lookup, uint32_t *ret_slot)
{
	uint32_t size = lookup->size ? lookup->size * 2 : 64;
	struct entry *entries;
	int r;

	if (lookup->n_entries == lookup->size) {
		entries = realloc(lookup->entries, size * sizeof(*entries));
		if (!entries) {
			return -ENOMEM;
		}
		lookup->entries = entries;
		lookup->size = size;
	}
	lookup->entries[lookup->n_entries] = (struct entry){
		.known_first = DAY_NEVER_FIRST,
		.known_last = DAY_NEVER_LAST,
		.seen_first = DAY_NEVER_FIRST,
		.seen_last = DAY_NEVER_LAST,
		.name = lookup->names.len,
	};
	buffer_append(&lookup->names, lookup->key.data, lookup->key.len);
	if (buffer_failed(&lookup->names)) {
		lookup->names.failed = false; /* what it holds is whole: the next load may have memory */
		return -ENOMEM;
	}
	r = hashmap_put(lookup->slots, lookup->key.data, lookup->key.len, lookup->n_entries);
	if (r < 0) {
		return r;
	}
	*ret_slot = lookup->n_entries++;
	return 0;
}

static bool is_last(const struct lookup *lookup)
{
	return lookup->key.len == lookup->last.len &&
	       word_equal(lookup->key.data, lookup->last.data, lookup->key.len);
}

static void note_last(struct lookup *lookup, uint32_t slot)
{
	struct buffer key = lookup->key;

	lookup->key = lookup->last;
	lookup->last = key;
	lookup->last_slot = slot;
}

/* The slot of the names in lookup->key. */
static int find_key(struct lookup *lookup, uint32_t *ret_slot)
{
	int r = 0;

	if (buffer_failed(&lookup->key)) {
		return -ENOMEM;
	}
	if (is_last(lookup)) {
		*ret_slot = lookup->last_slot;
		return 0;
	}
	if (!hashmap_get(lookup->slots, lookup->key.data, lookup->key.len, ret_slot)) {
		r = new_entry(lookup, ret_slot);
	}
	if (r == 0) {
		note_last(lookup, *ret_slot);
	}
	return r;
}

/* Field `n` of a key: 4 bytes of length, big-endian, -1 for NULL, then the bytes. */
static struct field key_field(const char *key, unsigned n)
{
	struct field field = {.len = -1};
	uint32_t len;

	for (unsigned i = 0; i <= n; i++) {
		key += field.len > 0 ? field.len : 0;
		memcpy(&len, key, sizeof(len));
		key += sizeof(len);
		field.len = (int32_t)be32toh(len);
		field.data = key;
	}
	return field;
}

static int add_values(const struct lookup *lookup, unsigned n, struct valueset *values)
{
	for (uint32_t i = 0; i < lookup->n_entries; i++) {
		struct field field = key_field(lookup->names.data + lookup->entries[i].name, n);

		if (field.len > 0 && valueset_add(values, field.data, (size_t)field.len) < 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

int lookup_values(struct lookup_set *set, unsigned column, struct valueset *values)
{
	int r = 0;

	lookup_lock(set);
	for (unsigned l = 0; l < set->dataset->n_lookups; l++) {
		const struct lookup_def *def = set->lookups[l].def;

		for (unsigned c = 0; c < def->n_columns; c++) {
			if (def->columns[c] == column && r == 0) {
				r = add_values(&set->lookups[l], c, values);
			}
		}
	}
	lookup_unlock(set);
	return r;
}

void lookup_select_sql(const struct lookup_set *set, unsigned l, struct buffer *sql)
{
	const struct lookup_def *def = set->lookups[l].def;

	buffer_append_str(sql, "SELECT id, first_seen, last_seen");
	for (unsigned c = 0; c < def->n_columns; c++) {
		buffer_append_str(sql, ", ");
		pg_append_ident(sql, set->dataset->columns[def->columns[c]].name);
	}
	buffer_append_str(sql, " FROM ");
	append_table(sql, def->schema, def->table, "");
}

int lookup_take_row(struct lookup_set *set, unsigned l, const struct field *fields)
{
	struct lookup *lookup = &set->lookups[l];
	struct entry *entry;
	uint32_t slot = 0;
	int r;

	buffer_clear(&lookup->key);
	for (unsigned c = 0; c < lookup->def->n_columns; c++) {
		copyrow_field(&lookup->key, fields[LOOKUP_FIXED_FIELDS + c]);
	}
	r = find_key(lookup, &slot);
	if (r < 0) {
		return r;
	}
	entry = &lookup->entries[slot];
	if (entry->id == 0) {
		entry->id = field_to_int4(fields[0]);
		entry->pending = true;
		lookup->n_pending++;
		lookup->n_wanted -= entry->wanted;
		entry->wanted = false;
	}
	entry->known_first = fields[1].len < 0 ? DAY_NEVER_FIRST : field_to_date(fields[1]);
	entry->known_last = fields[2].len < 0 ? DAY_NEVER_LAST : field_to_date(fields[2]);
	return 0;
}

int lookup_find(struct lookup_set *set, unsigned l, const struct field *row, int32_t day,
	uint32_t *ret_slot)
{
	struct lookup *lookup = &set->lookups[l];
	struct entry *entry;
	int r;

	buffer_clear(&lookup->key);
	for (unsigned c = 0; c < lookup->def->n_columns; c++) {
		copyrow_field(&lookup->key, row[lookup->def->columns[c]]);
	}
	r = find_key(lookup, ret_slot);
	if (r < 0) {
		return r;
	}
	entry = &lookup->entries[*ret_slot];
	if (entry->id == 0 && !entry->wanted) {
		entry->wanted = true;
		lookup->n_wanted++;
	}
	entry->seen_first = day < entry->seen_first ? day : entry->seen_first;
	entry->seen_last = day > entry->seen_last ? day : entry->seen_last;
	return 0;
}

int32_t lookup_id(const struct lookup_set *set, unsigned l, uint32_t slot)
{
	return set->lookups[l].entries[slot].id;
}

uint32_t lookup_count(const struct lookup_set *set, unsigned l)
{
	return set->lookups[l].n_entries;
}

void lookup_names(const struct lookup_set *set, unsigned l, uint32_t slot, struct field *ret_names)
{
	const struct lookup *lookup = &set->lookups[l];

	for (unsigned c = 0; c < lookup->def->n_columns; c++) {
		ret_names[c] = key_field(lookup->names.data + lookup->entries[slot].name, c);
	}
}

bool lookup_is_new(const struct lookup_set *set, unsigned l, uint32_t slot)
{
	return set->lookups[l].entries[slot].pending;
}

bool lookup_has_new(const struct lookup_set *set, unsigned l)
{
	return set->lookups[l].n_pending > 0;
}

unsigned lookup_wanted(const struct lookup_set *set, unsigned l)
{
	return set->lookups[l].n_wanted;
}

static void append_name_list(const struct lookup_set *set, unsigned l, const char *prefix,
	struct buffer *sql)
{
	const struct lookup_def *def = set->lookups[l].def;

	for (unsigned c = 0; c < def->n_columns; c++) {
		buffer_append_str(sql, c > 0 ? ", " : "");
		buffer_append_str(sql, prefix);
		pg_append_ident(sql, set->dataset->columns[def->columns[c]].name);
	}
}

void lookup_insert_sql(const struct lookup_set *set, unsigned l, struct buffer *sql)
{
	const struct lookup_def *def = set->lookups[l].def;

	buffer_append_str(sql, "WITH u AS (SELECT * FROM unnest(");
	for (unsigned c = 0; c < def->n_columns; c++) {
		buffer_printf(sql, "$%u::text[], ", c + 1);
	}
	buffer_printf(sql, "$%u::date[]) AS u(", def->n_columns + 1);
	append_name_list(set, l, "", sql);
	buffer_append_str(sql, ", day)), new AS (INSERT INTO ");
	append_table(sql, def->schema, def->table, "");
	buffer_append_str(sql, " (");
	append_name_list(set, l, "", sql);
	buffer_append_str(sql, ", first_seen, last_seen) SELECT ");
	append_name_list(set, l, "u.", sql);
	buffer_append_str(sql, ", day, day FROM u ON CONFLICT DO NOTHING"
			       " RETURNING id, first_seen, last_seen, ");
	append_name_list(set, l, "", sql);
	buffer_append_str(sql, ") SELECT * FROM new UNION ALL"
			       " SELECT t.id, t.first_seen, t.last_seen, ");
	append_name_list(set, l, "t.", sql);
	buffer_append_str(sql, " FROM u JOIN ");
	append_table(sql, def->schema, def->table, "");
	buffer_append_str(sql, " t ON ");
	for (unsigned c = 0; c < def->n_columns; c++) {
		const struct column *column = &set->dataset->columns[def->columns[c]];

		buffer_append_str(sql, c > 0 ? " AND t." : "t.");
		pg_append_ident(sql, column->name);
		/* "=" can use the index, so it is taken wherever it will do. */
		buffer_append_str(sql, column->nullable ? " IS NOT DISTINCT FROM u." : " = u.");
		pg_append_ident(sql, column->name);
	}
}

/* Take the names of an entry apart again. */
static void add_names(const struct lookup *lookup, const struct entry *entry, struct pgarray *arrays)
{
	const unsigned char *at = (const unsigned char *)lookup->names.data + entry->name;

	for (unsigned c = 0; c < lookup->def->n_columns; c++) {
		struct field length = {.len = 4, .data = at};
		struct field name = {.len = field_to_int4(length), .data = at + 4};

		pgarray_add(&arrays[c], name);
		at += 4 + (name.len > 0 ? name.len : 0);
	}
}

static void add_day(struct pgarray *array, int32_t day)
{
	if (day == DAY_NEVER_FIRST || day == DAY_NEVER_LAST) {
		pgarray_add(array, field_null);
	} else {
		pgarray_add_date(array, day);
	}
}

unsigned lookup_insert_arrays(const struct lookup_set *set, unsigned l, struct pgarray *arrays)
{
	const struct lookup *lookup = &set->lookups[l];
	unsigned n = 0;

	for (unsigned c = 0; c < lookup->def->n_columns; c++) {
		pgarray_init(&arrays[c], PG_OID_TEXT);
	}
	pgarray_init(&arrays[lookup->def->n_columns], PG_OID_DATE);
	for (uint32_t i = 0; i < lookup->n_entries; i++) {
		if (lookup->entries[i].wanted) {
			add_names(lookup, &lookup->entries[i], arrays);
			add_day(&arrays[lookup->def->n_columns], lookup->entries[i].seen_first);
			n++;
		}
	}
	return n;
}

void lookup_seen_sql(const struct lookup_set *set, unsigned l, struct buffer *sql)
{
	const struct lookup_def *def = set->lookups[l].def;

	buffer_append_str(sql, "UPDATE ");
	append_table(sql, def->schema, def->table, "");
	buffer_append_str(sql, " t SET first_seen = least(t.first_seen, u.first),"
			       " last_seen = greatest(t.last_seen, u.last),"
			       " is_active = t.is_active OR u.last > t.last_seen IS NOT FALSE"
			       " FROM unnest($1::int[], $2::date[], $3::date[]) AS u(id, first, last)"
			       " WHERE t.id = u.id");
}

/* Counted from the newest name, so that nothing fades while there is no data at all. */
bool lookup_inactive_sql(const struct lookup_set *set, unsigned l, struct buffer *sql)
{
	const struct lookup_def *def = set->lookups[l].def;

	if (def->inactive_after_ms == 0) {
		return false;
	}
	buffer_append_str(sql, "UPDATE ");
	append_table(sql, def->schema, def->table, "");
	buffer_append_str(sql, " SET is_active = false WHERE is_active AND last_seen <"
			       " (SELECT max(last_seen) FROM ");
	append_table(sql, def->schema, def->table, "");
	buffer_printf(sql, ") - %u", (unsigned)(def->inactive_after_ms / 86400000));
	return true;
}

static bool moved(const struct entry *entry)
{
	return entry->id != 0 && entry->seen_last != DAY_NEVER_LAST &&
	       (entry->seen_first < entry->known_first || entry->seen_last > entry->known_last);
}

unsigned lookup_seen_arrays(const struct lookup_set *set, unsigned l, struct pgarray arrays[3])
{
	const struct lookup *lookup = &set->lookups[l];
	unsigned n = 0;

	pgarray_init(&arrays[0], PG_OID_INT4);
	pgarray_init(&arrays[1], PG_OID_DATE);
	pgarray_init(&arrays[2], PG_OID_DATE);
	for (uint32_t i = 0; i < lookup->n_entries; i++) {
		const struct entry *entry = &lookup->entries[i];

		if (moved(entry)) {
			pgarray_add_int4(&arrays[0], entry->id);
			add_day(&arrays[1], entry->seen_first);
			add_day(&arrays[2], entry->seen_last);
			n++;
		}
	}
	return n;
}

static void forget_seen(struct entry *entry)
{
	entry->seen_first = DAY_NEVER_FIRST;
	entry->seen_last = DAY_NEVER_LAST;
}

void lookup_commit(struct lookup_set *set)
{
	for (unsigned l = 0; l < set->dataset->n_lookups; l++) {
		for (uint32_t i = 0; i < set->lookups[l].n_entries; i++) {
			struct entry *entry = &set->lookups[l].entries[i];

			if (moved(entry)) {
				entry->known_first = entry->seen_first < entry->known_first
						? entry->seen_first
						: entry->known_first;
				entry->known_last = entry->seen_last > entry->known_last
						? entry->seen_last
						: entry->known_last;
			}
			entry->pending = false;
			forget_seen(entry);
		}
		set->lookups[l].n_pending = 0;
	}
}

void lookup_rollback(struct lookup_set *set)
{
	for (unsigned l = 0; l < set->dataset->n_lookups; l++) {
		for (uint32_t i = 0; i < set->lookups[l].n_entries; i++) {
			struct entry *entry = &set->lookups[l].entries[i];

			if (entry->pending) {
				entry->id = 0;
				entry->pending = false;
				entry->known_first = DAY_NEVER_FIRST;
				entry->known_last = DAY_NEVER_LAST;
			}
			entry->wanted = false;
			forget_seen(entry);
		}
		set->lookups[l].n_wanted = set->lookups[l].n_pending = 0;
	}
}
