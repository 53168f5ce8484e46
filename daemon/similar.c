/*
 * Which names probably mean the same thing. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: both names are folded, step by step, until only their letters and digits are left,
 * without "APMC", and in the spelling that a table says; the first step at which they are equal says
 * why. Else their words are compared: exactly one may differ, by one letter, or two if it is long.
 * Short words and such with digits may not, for they are codes: "Grade A" is not "Grade B", and
 * "DCH-32" is not "DCH-23".
 *
 * What is wrong is a pair too many, or one that is missing: people decide.
 */

#include "daemon/similar.h"

#include <string.h>

#include "lib/buffer.h"
#include "lib/suggest.h"

enum {
	MAX_WORDS = 16,
	SHORT_WORD = 5, /* shorter ones must be equal */
	LONG_WORD = 8,  /* may differ by two letters */
};

/* Spellings in the data and the one that they stand for, folded; districts are told by their state. */
static const struct {
	const char *from, *to;
} known[] = {
	{"ahmednagar", "ahilyanagar"},
	{"andamanandnicobar", "andamanandnicobarislands"},
	{"aurangabad", "chhatrapatisambhajinagar"},
	{"bangalore", "bengaluru"},
	{"belgaum", "belagavi"},
	{"bhindiladiesfinger", "ladiesfinger"},
	{"chattisgarh", "chhattisgarh"},
	{"chattrapatisambhajinagar", "chhatrapatisambhajinagar"},
	{"dharashivusmanabad", "dharashiv"},
	{"garhwalpauri", "paurigarhwal"},
	{"keralam", "kerala"},
	{"nctofdelhi", "delhi"},
	{"orissa", "odisha"},
	{"osmanabad", "dharashiv"},
	{"paddydhanbasmati", "paddybasmati"},
	{"paddydhancommon", "paddycommon"},
	{"pondicherry", "puducherry"},
	{"shimoga", "shivamogga"},
	{"tumkur", "tumakuru"},
	{"usmanabad", "dharashiv"},
	{"uttaranchal", "uttarakhand"},
	{"uttrakhand", "uttarakhand"},
};

const char *similar_name(enum similar similar)
{
	static const char *const names[] = {"equal", "case", "space", "punctuation", "apmc",
		"known", "spelling", "not"};

	return names[similar];
}

/* ---- folds ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '_';
}

/* Bytes of other scripts are letters. */
static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static void cut_apmc(struct buffer *text)
{
	static const char apmc[] = "apmc";
	size_t n = sizeof(apmc) - 1;

	if (text->len <= n) {
		return;
	}
	if (memcmp(text->data, apmc, n) == 0) {
		memmove(text->data, text->data + n, text->len - n);
	} else if (memcmp(text->data + text->len - n, apmc, n) != 0) {
		return;
	}
	text->len -= n;
	text->data[text->len] = '\0';
}

static void spell(struct buffer *text)
{
	for (size_t i = 0; i < N_ELEMENTS(known); i++) {
		if (strlen(known[i].from) == text->len &&
			memcmp(known[i].from, text->data, text->len) == 0) {
			buffer_clear(text);
			buffer_append_str(text, known[i].to);
			return;
		}
	}
}

static void append_letters(struct field name, enum similar step, struct buffer *out)
{
	for (int32_t i = 0; i < name.len; i++) {
		char c = lower(((const char *)name.data)[i]);

		if (!(step >= SIMILAR_SPACE && is_space(c)) &&
			!(step >= SIMILAR_PUNCTUATION && !is_letter(c))) {
			buffer_append_char(out, c);
		}
	}
}

void similar_fold(struct field name, enum similar step, struct buffer *out)
{
	enum similar least = step < SIMILAR_PUNCTUATION ? step : SIMILAR_PUNCTUATION;

	buffer_clear(out);
	for (; out->len == 0 && least > SIMILAR_EQUAL; least--) {
		append_letters(name, least, out); /* where there is nothing else to it, of less */
	}
	if (step >= SIMILAR_APMC && !buffer_failed(out)) {
		cut_apmc(out);
	}
	if (step >= SIMILAR_KNOWN && !buffer_failed(out)) {
		spell(out);
	}
}

/* ---- words ---- */

struct word {
	const char *text;
	size_t len;
};

/* 0: there is none, or too many. */
static unsigned split(const char *text, struct word *words)
{
	unsigned n = 0;
	const char *begin;

	while (*text) {
		for (; *text && !is_letter(*text); text++) {
		}
		begin = text;
		for (; *text && is_letter(*text); text++) {
		}
		if (text == begin || (text - begin == 4 && memcmp(begin, "apmc", 4) == 0)) {
			continue;
		}
		if (n == MAX_WORDS) {
			return 0;
		}
		words[n++] = (struct word){.text = begin, .len = (size_t)(text - begin)};
	}
	return n;
}

static bool has_digit(const struct word *word)
{
	for (size_t i = 0; i < word->len; i++) {
		if (word->text[i] >= '0' && word->text[i] <= '9') {
			return true;
		}
	}
	return false;
}

static bool is_misspelt(const struct word *a, const struct word *b)
{
	size_t shorter = a->len < b->len ? a->len : b->len;
	size_t longer = a->len < b->len ? b->len : a->len;
	unsigned most = longer >= LONG_WORD ? 2 : 1;

	return shorter >= SHORT_WORD && longer - shorter <= most && !has_digit(a) && !has_digit(b) &&
	       suggest_distance(a->text, a->len, b->text, b->len) <= most;
}

bool similar_words(const char *a, const char *b)
{
	struct word words_a[MAX_WORDS], words_b[MAX_WORDS];
	unsigned n = split(a, words_a), n_misspelt = 0;

	if (n == 0 || split(b, words_b) != n) {
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		if (words_a[i].len == words_b[i].len &&
			memcmp(words_a[i].text, words_b[i].text, words_a[i].len) == 0) {
			continue;
		}
		if (!is_misspelt(&words_a[i], &words_b[i])) {
			return false;
		}
		n_misspelt++;
	}
	return n_misspelt == 1;
}

static bool is_misspelling(struct field a, struct field b)
{
	_cleanup_buffer_ struct buffer x = {0}, y = {0};

	similar_fold(a, SIMILAR_CASE, &x);
	similar_fold(b, SIMILAR_CASE, &y);
	return similar_words(buffer_str(&x), buffer_str(&y));
}

/* ---- two names ---- */

static bool is_same(const struct buffer *a, const struct buffer *b)
{
	return !buffer_failed(a) && !buffer_failed(b) && a->len == b->len &&
	       (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

enum similar similar_text(struct field a, struct field b)
{
	_cleanup_buffer_ struct buffer x = {0}, y = {0};

	if (a.len < 0 || b.len < 0) {
		return a.len == b.len ? SIMILAR_EQUAL : SIMILAR_NOT;
	}
	if (a.len == b.len && memcmp(a.data, b.data, (size_t)a.len) == 0) {
		return SIMILAR_EQUAL;
	}
	for (enum similar step = SIMILAR_CASE; step <= SIMILAR_KNOWN; step++) {
		similar_fold(a, step, &x);
		similar_fold(b, step, &y);
		if (x.len > 0 && is_same(&x, &y)) {
			return step;
		}
	}
	return is_misspelling(a, b) ? SIMILAR_SPELLING : SIMILAR_NOT;
}

enum similar similar_rows(const struct field *a, const struct field *b, unsigned n_columns)
{
	enum similar most = SIMILAR_EQUAL;
	unsigned n_misspelt = 0;

	for (unsigned c = 0; c < n_columns; c++) {
		enum similar similar = similar_text(a[c], b[c]);

		most = similar > most ? similar : most;
		n_misspelt += similar == SIMILAR_SPELLING;
	}
	return n_misspelt > 1 ? SIMILAR_NOT : most;
}
