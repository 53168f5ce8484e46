/*
 * Whether rows come in the order that was asked for. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * Only text is compared: how dates and numbers are sorted depends on how the portal's index holds
 * them. So the columns from the first that is no text on are left out; rows that are equal before
 * it say nothing. A value that is missing stands last in both directions and says nothing either.
 */

#include "daemon/order.h"

#include <errno.h>
#include <string.h>

int order_init(struct order *order, const struct source *source)
{
	*order = (struct order){.source = source};
	while (order->n_columns < source->n_sort &&
		source->dataset->columns[source->sort[order->n_columns]].type == COLUMN_TEXT) {
		order->n_columns++;
	}
	order->last = calloc(order->n_columns + 1, sizeof(*order->last));
	order->places = calloc(order->n_columns + 1, sizeof(*order->places));
	if (!order->last || !order->places) {
		order_fini(order);
		return -ENOMEM;
	}
	return 0;
}

void order_fini(struct order *order)
{
	for (unsigned i = 0; order->last && i < order->n_columns; i++) {
		buffer_fini(&order->last[i]);
	}
	free(order->last);
	free(order->places);
	*order = (struct order){0};
}

void order_begin(struct order *order, bool reversed)
{
	order->reversed = reversed;
	order->has_last = false;
}

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

static void remember(struct buffer *last, const struct record_field *field)
{
	buffer_clear(last);
	buffer_append(last, field->text, field->len);
}

/* Remember the row's texts; `*ret` is its place against the row before. False: nothing to say. */
static bool take(struct order *order, const struct record *record, int *ret)
{
	int c = 0, here;

	for (unsigned i = 0; i < order->n_columns; i++) {
		const struct record_field *field = source_find_near(
			order->source, order->source->sort[i], record, &order->places[i]);
		struct buffer *last = &order->last[i];

		if (!field || field->kind != JSON_STRING_VALUE) {
			return false;
		}
		here = compare_bytes(field->text, field->len, buffer_str(last), last->len);
		c = c == 0 && order->has_last ? here : c;
		if (here != 0) {
			remember(last, field);
		}
	}
	*ret = order->reversed ? -c : c;
	return true;
}

void order_add(struct order *order, const struct record *record)
{
	int c;

	if (order->violated || order->n_columns == 0) {
		return;
	}
	if (!take(order, record, &c)) {
		order->has_last = false;
		return;
	}
	order->violated = order->has_last && c < 0;
	order->has_last = true;
}
