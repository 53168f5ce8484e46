#pragma once

/*
 * Names -> ids: the cache of a dataset's lookup tables. Knows SQL text, no connection.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The load stage reads every lookup table once after it connected, finds the ids of each row's names
 * here, and inserts the names that are new inside the load transaction. An id that was given in a
 * transaction that did not commit is forgotten by lookup_rollback(). Entries are never removed:
 * ogdsync never deletes a lookup row.
 */

#include <stdbool.h>
#include <stdint.h>

#include "daemon/dataset.h"
#include "daemon/valueset.h"
#include "lib/attr.h"
#include "lib/copyrow.h"
#include "lib/pg.h"
#include "lib/pgarray.h"

struct lookup_set;

int lookup_set_new(const struct dataset *dataset, struct lookup_set **ret) must_check; /* -errno */
struct lookup_set *lookup_set_free(struct lookup_set *set);
size_t lookup_memory_bytes(const struct lookup_set *set);

/*
 * A load finds names in the thread pool. Whoever may read on the loop meanwhile (lookup_values) holds
 * the lock, and so does the finder; everything else comes while nobody finds.
 */
void lookup_lock(struct lookup_set *set);
void lookup_unlock(struct lookup_set *set);

/* ---- filling the cache ---- */

/* SELECT of id, first_seen, last_seen and the names, for lookup `l`; rows go to lookup_take_row. */
void lookup_select_sql(const struct lookup_set *set, unsigned l, struct buffer *sql);
/* fields: id, first_seen, last_seen, names ..., all binary. A known id stays. */
int lookup_take_row(struct lookup_set *set, unsigned l, const struct field *fields) must_check;
enum { LOOKUP_FIXED_FIELDS = 3 };

/* Adds the texts of a column that is part of a lookup; nothing when it is in none. 0 or -ENOMEM. */
int lookup_values(struct lookup_set *set, unsigned column, struct valueset *values) must_check;

/* ---- finding ---- */

/*
 * The slot of the names in `row` (one field per dataset column), made when they are new. `day` is
 * the row's data date. Returns 0 or -ENOMEM.
 */
int lookup_find(struct lookup_set *set, unsigned l, const struct field *row, int32_t day,
	uint32_t *ret_slot) must_check;

/* 0 when the database has not given one yet. */
int32_t lookup_id(const struct lookup_set *set, unsigned l, uint32_t slot);

/* How many slots there are, and the names of one; borrowed until the next that is made. */
uint32_t lookup_count(const struct lookup_set *set, unsigned l);
void lookup_names(const struct lookup_set *set, unsigned l, uint32_t slot, struct field *ret_names);

/* Its id was given in the present transaction. */
bool lookup_is_new(const struct lookup_set *set, unsigned l, uint32_t slot);
bool lookup_has_new(const struct lookup_set *set, unsigned l); /* any */

/* Names of `l` that rows of this load need and that have no id yet. */
unsigned lookup_wanted(const struct lookup_set *set, unsigned l);

/*
 * The statement that inserts them and returns their ids, in the row shape of lookup_take_row. One
 * that somebody else inserted meanwhile is found by its second half. Arrays: one per name column
 * and one of days.
 */
void lookup_insert_sql(const struct lookup_set *set, unsigned l, struct buffer *sql);
unsigned lookup_insert_arrays(const struct lookup_set *set, unsigned l, struct pgarray *arrays);
enum { LOOKUP_MAX_COLUMNS = 250 }; /* as many as a dataset may have */

/*
 * The statement that moves first_seen back and last_seen forward for what this load has seen;
 * three arrays: id, first, last. Returns how many ids there are (0: nothing to do).
 */
void lookup_seen_sql(const struct lookup_set *set, unsigned l, struct buffer *sql);
unsigned lookup_seen_arrays(const struct lookup_set *set, unsigned l, struct pgarray arrays[3]);

/* The statement that makes names inactive which were not seen for long; false: none ever is. */
bool lookup_inactive_sql(const struct lookup_set *set, unsigned l, struct buffer *sql);

/* The transaction ended. */
void lookup_commit(struct lookup_set *set);
void lookup_rollback(struct lookup_set *set);
