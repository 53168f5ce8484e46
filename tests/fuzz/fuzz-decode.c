/*
 * A page, cut into pieces as the input says, decoded and normalised. SPDX-License-Identifier: Apache-2.0
 *
 * The first 4 bytes of the input choose the sizes of the pieces, the rest is the page. The page is also
 * decoded in one piece: both must give the same. What is taken for good JSON and is simple enough for
 * it must be good JSON to jansson too, with as many records.
 */

#include <jansson.h>
#include <string.h>
#include <xxhash.h>

#include "daemon/decode.h"
#include "daemon/identity.h"
#include "daemon/normalise.h"
#include "lib/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fixture.h"

struct run {
	const uint8_t *page;
	size_t len;
	struct fixture fixture;
	struct normaliser *normaliser;
	struct arena arena;
	uint64_t hash; /* of everything that came out */
	uint64_t n_records;
};

static void mix(struct run *run, const void *data, size_t len)
{
	run->hash = XXH3_64bits_withSeed(data, len, run->hash);
}

static void check_utf8(const char *text, size_t len)
{
	uint32_t character;

	for (size_t at = 0; at < len;) {
		unsigned n = utf8_decode(text + at, len - at, &character);

		must(n > 0);
		at += n;
	}
}

static void check_row(struct run *run, const struct field *row)
{
	uint64_t identity = identity_of_row(&run->fixture.dataset, row);

	mix(run, &identity, sizeof(identity));
	for (unsigned i = 0; i < run->fixture.dataset.n_columns; i++) {
		must(row[i].len >= -1 && (row[i].len < 0) == (row[i].data == NULL));
		mix(run, &row[i].len, sizeof(row[i].len));
		if (row[i].len < 0) {
			must(run->fixture.columns[i].nullable);
			continue;
		}
		mix(run, row[i].data, (size_t)row[i].len);
		if (run->fixture.columns[i].type == COLUMN_TEXT) {
			must(row[i].len > 0);
			check_utf8(row[i].data, (size_t)row[i].len);
			must(!memchr(row[i].data, '\0', (size_t)row[i].len));
		}
	}
}

static int on_record(void *arg, const struct record *record)
{
	struct run *run = arg;
	struct field row[FIXTURE_COLUMNS];
	struct reject reject = {0};
	int r;

	must(record->index == run->n_records++);
	must(record->raw_len >= 2 && record->offset + record->raw_len <= run->len);
	must(memcmp(record->raw, run->page + record->offset, record->raw_len) == 0);
	must(record->raw[0] == '{' && record->raw[record->raw_len - 1] == '}');
	for (unsigned i = 0; i < record->n_fields; i++) {
		const struct record_field *f = &record->fields[i];

		mix(run, f->name, f->name_len);
		mix(run, &f->kind, sizeof(f->kind));
		mix(run, f->text, f->len);
		if (f->kind == JSON_NUMBER_VALUE) {
			must(memmem(record->raw, record->raw_len, f->text, f->len));
		}
	}
	r = normalise(run->normaliser, record, &run->arena, row, &reject);
	must(r == 0 || r == 1);
	if (r == 1) {
		must(strlen(reject.text) < sizeof(reject.text));
		check_utf8(reject.text, strlen(reject.text));
		must(*reject_reason_name(reject.reason));
		mix(run, reject.text, strlen(reject.text));
	} else {
		check_row(run, row);
	}
	arena_reset(&run->arena);
	return 0;
}

/* Pieces of `sizes` bytes in turn, each in memory of its own. sizes NULL: one piece. */
static int decode_page(struct run *run, const uint8_t *sizes, struct envelope *envelope,
	struct error *error)
{
	struct decode *decode;
	size_t at = 0;
	int r = 0;

	fixture_mandi(&run->fixture);
	must(normaliser_new(&run->fixture.source, &run->normaliser) == 0);
	must(decode_new(on_record, run, &decode) == 0);
	for (unsigned i = 0; r == 0 && at < run->len; i++) {
		size_t n = run->len - at;
		uint8_t *piece;

		if (sizes && sizes[i % 4] + 1u < n) {
			n = sizes[i % 4] + 1u;
		}
		piece = malloc(n);
		must(piece);
		memcpy(piece, run->page + at, n);
		r = decode_feed(decode, piece, n, error);
		memset(piece, 0xee, n);
		free(piece);
		at += n;
	}
	must(decode_finish(decode, envelope, error) == r || r == 0);
	r = error_is_set(error) ? -1 : 0;
	mix(run, error->code, strlen(error->code));
	decode_free(decode);
	normaliser_free(run->normaliser);
	arena_fini(&run->arena);
	return r;
}

static void check_with_jansson(const struct run *run, const struct envelope *envelope)
{
	const uint8_t *page = run->page;
	const json_t *records;
	json_t *root;

	/*
	 * It rejects bad UTF-8, half surrogates, numbers beyond a double, and \v and \f as white
	 * space, which yajl lets pass.
	 */
	for (size_t i = 0; i < run->len; i++) {
		if (page[i] >= 0x80 || strchr("\\eE\v\f", page[i])) {
			return;
		}
	}
	if (run->len > 300) {
		return;
	}
	root = json_loadb((const char *)page, run->len, JSON_DECODE_INT_AS_REAL, NULL);
	must(root && json_is_object(root));
	records = json_object_get(root, "records");
	if (json_is_array(records)) {
		must(json_array_size(records) == envelope->n_records);
	}
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct envelope whole_envelope, cut_envelope;
	struct error whole_error = {0}, cut_error = {0};
	struct run whole = {0}, cut = {0};

	if (size < 4) {
		return 0;
	}
	whole.page = cut.page = data + 4;
	whole.len = cut.len = size - 4;
	if (decode_page(&whole, NULL, &whole_envelope, &whole_error) == 0) {
		must(whole_envelope.n_records == whole.n_records);
		check_with_jansson(&whole, &whole_envelope);
	}
	decode_page(&cut, data, &cut_envelope, &cut_error);
	must(whole.hash == cut.hash);
	must(whole.n_records == cut.n_records);
	must(memcmp(&whole_envelope, &cut_envelope, sizeof(whole_envelope)) == 0);
	must(envelope_check(&whole_envelope, &whole_error) == 0 || whole_error.code[0]);
	return 0;
}
