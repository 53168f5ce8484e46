#pragma once

/*
 * Arrays in PostgreSQL's binary format, as parameters of unnest(). SPDX-License-Identifier: Apache-2.0
 *
 * One dimension, lower bound 1 (array_recv() in PostgreSQL's arrayfuncs.c): dimensions, has-null
 * flag, element type, length, lower bound, then the elements as fields of lib/copyrow.h. So a value
 * that is kept in send format travels into a statement without ever becoming text.
 */

#include <stdint.h>

#include "lib/buffer.h"
#include "lib/copyrow.h"
#include "lib/pg.h"

/* Type numbers of the catalog (pg_type.dat); they never change. */
enum pg_oid {
	PG_OID_BOOL = 16,
	PG_OID_BYTEA = 17,
	PG_OID_INT8 = 20,
	PG_OID_INT4 = 23,
	PG_OID_TEXT = 25,
	PG_OID_DATE = 1082,
	PG_OID_TIMESTAMPTZ = 1184,
	PG_OID_NUMERIC = 1700,
};

struct pgarray {
	struct buffer bytes;
	enum pg_oid element;
	uint32_t n_elements;
};

void pgarray_init(struct pgarray *array, enum pg_oid element);
void pgarray_fini(struct pgarray *array);
void pgarray_clear(struct pgarray *array); /* keeps the memory */
void pgarray_add(struct pgarray *array, struct field field);
void pgarray_add_text(struct pgarray *array, const char *text); /* NULL is NULL */
void pgarray_add_int4(struct pgarray *array, int32_t v);
void pgarray_add_date(struct pgarray *array, int32_t day);

/* The parameter, borrowed from the array until its next change. Bytes of a failed array are short: see buffer_failed(). */
struct pg_param pgarray_param(struct pgarray *array);
