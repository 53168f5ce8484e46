/*
 * Arrays in PostgreSQL's binary format, as parameters of unnest(). SPDX-License-Identifier: Apache-2.0
 */

#include "lib/pgarray.h"

#include <endian.h>
#include <string.h>

enum { OFFSET_HAS_NULL = 4, OFFSET_COUNT = 12 };

static uint32_t array_oid(enum pg_oid element)
{
	switch (element) {
	case PG_OID_BOOL:
		return 1000;
	case PG_OID_BYTEA:
		return 1001;
	case PG_OID_INT8:
		return 1016;
	case PG_OID_INT4:
		return 1007;
	case PG_OID_TEXT:
		return 1009;
	case PG_OID_DATE:
		return 1182;
	case PG_OID_TIMESTAMPTZ:
		return 1185;
	case PG_OID_NUMERIC:
		return 1231;
	}
	return 0;
}

static void put_be32(struct buffer *bytes, size_t offset, uint32_t v)
{
	v = htobe32(v);
	if (!buffer_failed(bytes)) {
		memcpy(bytes->data + offset, &v, sizeof(v));
	}
}

void pgarray_init(struct pgarray *array, enum pg_oid element)
{
	*array = (struct pgarray){.element = element};
	pgarray_clear(array);
}

void pgarray_fini(struct pgarray *array)
{
	buffer_fini(&array->bytes);
}

void pgarray_clear(struct pgarray *array)
{
	buffer_clear(&array->bytes);
	array->n_elements = 0;
	buffer_append_be32(&array->bytes, 1); /* dimensions */
	buffer_append_be32(&array->bytes, 0); /* has NULLs */
	buffer_append_be32(&array->bytes, array->element);
	buffer_append_be32(&array->bytes, 0); /* elements, filled in at the end */
	buffer_append_be32(&array->bytes, 1); /* lower bound */
}

void pgarray_add(struct pgarray *array, struct field field)
{
	if (field.len < 0) {
		put_be32(&array->bytes, OFFSET_HAS_NULL, 1);
	}
	copyrow_field(&array->bytes, field);
	array->n_elements++;
}

void pgarray_add_text(struct pgarray *array, const char *text)
{
	pgarray_add(array,
		text ? (struct field){.len = (int32_t)strlen(text), .data = text} : field_null);
}

void pgarray_add_int4(struct pgarray *array, int32_t v)
{
	unsigned char store[4];

	pgarray_add(array, field_int4(v, store));
}

void pgarray_add_date(struct pgarray *array, int32_t day)
{
	unsigned char store[4];

	pgarray_add(array, field_date(day, store));
}

struct pg_param pgarray_param(struct pgarray *array)
{
	put_be32(&array->bytes, OFFSET_COUNT, array->n_elements);
	return (struct pg_param){
		.data = array->bytes.data,
		.len = (int)array->bytes.len,
		.binary = true,
		.oid = array_oid(array->element),
	};
}
