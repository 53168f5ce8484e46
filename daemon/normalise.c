/*
 * Record -> row. SPDX-License-Identifier: Apache-2.0
 *
 * Happy path: each field of the record is looked up by its name and noted as the choice of its
 * column; then column by column the chosen value (value.c) is written in send format behind the one
 * before into `scratch`; at last the row's bytes are copied into the arena in one go.
 *
 * Records of one page have the same names in the same order, and decode says so (`shape`). So the
 * choices of one record stand for all that follow it, and names are looked up once a page.
 *
 * Failure mode: the first column that cannot be read ends the record with a reject, and out of
 * memory. Which columns the record carried was noted before that, so that drift is seen.
 */

#include "daemon/normalise.h"

#include <errno.h>
#include <string.h>

#include "daemon/text.h"
#include "daemon/value.h"
#include "lib/hashmap.h"

/* A column that a name stands for; rank 0 is the column's first name. */
struct target {
	unsigned column, rank;
};

/* A name of the source's fields and its targets. */
struct name {
	const char *text;
	unsigned first_target, n_targets;
};

/* The field of a record that a column takes its value from. */
struct choice {
	int place; /* -1: the record has none */
	unsigned rank;
};

struct normaliser {
	const struct dataset *dataset;
	const struct source *source;
	struct target *targets;
	struct name *names;
	unsigned n_names, most_targets; /* of one name */
	struct hashmap *index; /* of names */
	struct value_rules rules;
	bool *required; /* per column */
	bool *seen;     /* per column: a record of this page had it */
	uint64_t n_records;
	struct choice *choices; /* per column */
	uint64_t shape;         /* of the records that they are good for */
	struct value_memo *memos; /* per column */
	uint32_t *offsets;        /* per column: its bytes in scratch */
	struct buffer scratch;
};

/* ---- making one ---- */

static void mark_key(struct normaliser *n)
{
	const struct dataset *dataset = n->dataset;

	for (unsigned i = 0; i < dataset->n_key; i++) {
		const struct fact_column *fact = &dataset->fact[i];

		if (fact->lookup < 0) {
			n->required[fact->column] = true;
			continue;
		}
		for (unsigned j = 0; j < dataset->lookups[fact->lookup].n_columns; j++) {
			n->required[dataset->lookups[fact->lookup].columns[j]] = true;
		}
	}
}

static int add_name(struct normaliser *n, const char *text)
{
	uint32_t known;

	if (hashmap_get(n->index, text, strlen(text), &known)) {
		return 0;
	}
	n->names[n->n_names] = (struct name){.text = text};
	return hashmap_put(n->index, text, strlen(text), n->n_names++);
}

/* The targets of each name, one name after the other. */
static void fill_targets(struct normaliser *n)
{
	unsigned n_targets = 0;

	for (unsigned i = 0; i < n->n_names; i++) {
		n->names[i].first_target = n_targets;
		for (unsigned column = 0; column < n->dataset->n_columns; column++) {
			const struct source_field *field = &n->source->fields[column];

			for (unsigned rank = 0; rank < field->n_names; rank++) {
				if (strcmp(field->names[rank], n->names[i].text) == 0) {
					n->targets[n_targets++] = (struct target){column, rank};
				}
			}
		}
		n->names[i].n_targets = n_targets - n->names[i].first_target;
		if (n->names[i].n_targets > n->most_targets) {
			n->most_targets = n->names[i].n_targets;
		}
	}
}

/* Arrays of at least one element, so that NULL is out of memory alone. */
static int allocate(struct normaliser *n)
{
	size_t n_columns = n->dataset->n_columns + 1, n_all = 1;

	for (unsigned i = 0; i < n->dataset->n_columns; i++) {
		n_all += n->source->fields[i].n_names;
	}
	n->targets = calloc(n_all, sizeof(*n->targets));
	n->names = calloc(n_all, sizeof(*n->names));
	n->required = calloc(n_columns, sizeof(*n->required));
	n->seen = calloc(n_columns, sizeof(*n->seen));
	n->choices = calloc(n_columns, sizeof(*n->choices));
	n->memos = calloc(n_columns, sizeof(*n->memos));
	n->offsets = calloc(n_columns, sizeof(*n->offsets));
	if (!n->targets || !n->names || !n->required || !n->seen || !n->choices || !n->memos ||
		!n->offsets) {
		return -ENOMEM;
	}
	return hashmap_new(&n->index);
}

static int compile(struct normaliser *n)
{
	const struct dataset *dataset = n->dataset;
	int r = allocate(n);

	for (unsigned i = 0; r == 0 && i < dataset->n_columns; i++) {
		n->required[i] = !dataset->columns[i].nullable;
		for (unsigned j = 0; r == 0 && j < n->source->fields[i].n_names; j++) {
			r = add_name(n, n->source->fields[i].names[j]);
		}
	}
	if (r == 0) {
		mark_key(n);
		fill_targets(n);
	}
	return r;
}

int normaliser_new(const struct source *source, struct normaliser **ret)
{
	struct normaliser *n = calloc(1, sizeof(*n));

	if (!n) {
		return -ENOMEM;
	}
	n->source = source;
	n->dataset = source->dataset;
	value_rules_init(&n->rules, source);
	if (compile(n) < 0) {
		normaliser_free(n);
		return -ENOMEM;
	}
	*ret = n;
	return 0;
}

struct normaliser *normaliser_free(struct normaliser *n)
{
	if (!n) {
		return NULL;
	}
	free(n->targets);
	free(n->names);
	hashmap_free(n->index);
	free(n->required);
	free(n->seen);
	free(n->choices);
	free(n->memos);
	free(n->offsets);
	buffer_fini(&n->scratch);
	free(n);
	return NULL;
}

/* ---- names ---- */

/* `<=`: of a name that comes twice the last one counts. */
static void offer(struct normaliser *n, const struct name *name, unsigned place)
{
	for (unsigned i = 0; i < name->n_targets; i++) {
		const struct target *target = &n->targets[name->first_target + i];
		struct choice *choice = &n->choices[target->column];

		if (choice->place < 0 || target->rank <= choice->rank) {
			*choice = (struct choice){(int)place, target->rank};
			n->seen[target->column] = true;
		}
	}
}

static void choose(struct normaliser *n, const struct record *record)
{
	uint32_t name;

	if (record->shape != 0 && record->shape == n->shape) {
		return;
	}
	for (unsigned i = 0; i < n->dataset->n_columns; i++) {
		n->choices[i].place = -1;
	}
	for (unsigned i = 0; i < record->n_fields; i++) {
		const struct record_field *field = &record->fields[i];

		if (hashmap_get(n->index, field->name, field->name_len, &name)) {
			offer(n, &n->names[name], i);
		}
	}
	n->shape = record->shape;
}

static const struct record_field *chosen(const struct normaliser *n, const struct record *record,
	unsigned column)
{
	int place = n->choices[column].place;

	return place < 0 ? NULL : &record->fields[place];
}

/* How many bytes the row may take at most: no value is longer than it was served. */
static size_t most_bytes(const struct normaliser *n, const struct record *record)
{
	return n->dataset->n_columns * (size_t)VALUE_BYTES + n->most_targets * record->raw_len;
}

/* ---- rows ---- */

void normaliser_begin_page(struct normaliser *n)
{
	memset(n->seen, 0, n->dataset->n_columns * sizeof(*n->seen));
	n->n_records = 0;
	n->shape = 0; /* so that the first record is seen */
}

int normaliser_drift(const struct normaliser *n)
{
	for (unsigned i = 0; n->n_records > 0 && i < n->dataset->n_columns; i++) {
		if (n->required[i] && !n->seen[i]) {
			return (int)i;
		}
	}
	return -1;
}

int normalise(struct normaliser *n, const struct record *record, struct arena *arena,
	struct field *row, struct reject *reject)
{
	unsigned n_columns = n->dataset->n_columns;
	size_t used = 0;
	char *out, *bytes;

	n->n_records++;
	choose(n, record);
	buffer_clear(&n->scratch);
	out = buffer_reserve(&n->scratch, most_bytes(n, record));
	if (!out) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n_columns; i++) {
		int r = value_put(&n->rules, &n->dataset->columns[i], n->required[i],
			chosen(n, record, i), &n->memos[i], out + used, &row[i].len, reject);

		if (r != 0) {
			reject->column = i;
			return r;
		}
		n->offsets[i] = (uint32_t)used;
		used += row[i].len > 0 ? (size_t)row[i].len : 0;
	}
	bytes = arena_copy(arena, out, used);
	if (!bytes) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n_columns; i++) {
		row[i].data = row[i].len < 0 ? NULL : bytes + n->offsets[i];
	}
	return 0;
}

size_t normalise_text(const char *text, size_t len, char *out)
{
	size_t n;

	(void)text_fold(text, len, out, &n);
	return n;
}
