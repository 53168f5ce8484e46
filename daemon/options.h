#pragma once

/*
 * Options of the configuration, described in tables: read, checked, filled with defaults, written
 * out again. SPDX-License-Identifier: Apache-2.0
 *
 * A table names each option of a mapping once: its type, its limits, its default in the words of
 * the file, and where in a struct the value goes. An option that the table does not name is a
 * problem, and so is everything else that could not mean what was written. All texts are allocated
 * in the reader's arena. How each type is written: ogdsync.yaml(5).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/outline.h"
#include "lib/arena.h"
#include "lib/problems.h"
#include "lib/yaml.h"

enum option_type {
	OPTION_TEXT,	    /* char * */
	OPTION_TEXTS,	    /* char **, and unsigned at `second`; a single text is a list of one */
	OPTION_BOOL,	    /* bool */
	OPTION_NUMBER,	    /* unsigned, from min to max */
	OPTION_DURATION,    /* uint64_t ms, from min to max */
	OPTION_DAYS,	    /* unsigned; whole days as a duration, up to max */
	OPTION_SIZE,	    /* uint64_t bytes, from min to max */
	OPTION_SHARE,	    /* unsigned, millionths */
	OPTION_RATE,	    /* uint64_t bytes, and uint64_t ms at `second` */
	OPTION_SPAN,	    /* uint64_t ms, and uint64_t ms at `second`; from min to max */
	OPTION_TIME_OF_DAY, /* unsigned, seconds after midnight */
	OPTION_DATE,	    /* int32_t, days since 1970-01-01 */
	OPTION_WORD,	    /* an enum: the index into `words`, plus `first_word` */
	OPTION_SECTION,	    /* a mapping described by `section`, in the same struct */
	OPTION_SPECIAL,	    /* `read` and `write` do it all; without `read` the caller does */
};

enum option_flags {
	OPTION_REQUIRED = 1,  /* there is no default */
	OPTION_NULLABLE = 2,  /* null is a value: NULL, or for a duration 0 */
	OPTION_EMPTY = 4,     /* an empty text is a value */
	OPTION_FOREVER = 8,   /* so is the duration `forever` */
	OPTION_SECRET = 16,   /* never shown; the variables it came from are kept and unset */
	OPTION_UNSHOWN = 32,  /* not shown in messages: it may hold a password by mistake */
	OPTION_SCRUBBED = 64, /* of a secret only a part must be hidden: the scrubber knows which */
	OPTION_LAZY = 128,    /* a missing variable is told at `problem`, for whoever needs it */
};

struct option_reader;

struct option_def {
	const char *name; /* NULL ends a table */
	enum option_type type;
	unsigned flags; /* enum option_flags */
	size_t at, second;
	size_t problem;	      /* char *, see OPTION_LAZY */
	const char *fallback; /* the default as it would be written; NULL: zero, NULL or an empty
				 list */
	const char *const *fallbacks; /* the same for a list, ended by NULL */
	uint64_t min, max;	      /* max 0: no limit */
	const char *const *words;     /* ended by NULL */
	int first_word;
	const struct option_def *section;
	/* A text, or each of a list: what is wrong with it, or NULL. */
	const char *(*wrong)(const char *text);
	/* The same for what says more than a fixed text, or has something to do with each. */
	void (*check)(struct option_reader *reader, const struct yaml_node *node);
	void (*read)(struct option_reader *reader, const struct yaml_node *node, void *base);
	void (*write)(struct outline *out, const char *name, const void *base);
	bool (*left_out)(const void *base); /* true: writing it would say too much */
};

struct option_reader {
	struct problems *problems;
	struct arena *arena;
	const struct yaml *yaml; /* the file that is read */
	expand_lookup_fn lookup; /* for defaults that hold a variable */
	/* A variable became part of a secret. */
	void (*on_secret_variable)(void *arg, const char *name);
	void *arg; /* for both */
};

/* Read a mapping into `base`. `node` may be NULL: then everything is at its default. */
void options_read(struct option_reader *reader, const struct option_def *table,
	const struct yaml_node *node, void *base);

/* Write what options_read() would read back, as entries of the mapping that is open. */
void options_write(struct outline *out, const struct option_def *table, const void *base);

/* The place of a value. */
#define OPTION_FIELD(type, base, at) ((type *)(void *)((char *)(base) + (at)))

/* One value, whatever its type. */
void option_read(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base);

/* ---- for options that are read by hand ---- */

/* True for a mapping; null is an empty one. Else a problem, unless it has been told. */
bool option_is_mapping(
	struct option_reader *reader, const struct yaml_node *node, const char *name);

/* One text in the arena as the table says, or NULL: null, or a problem that was told. */
char *option_text(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base);

/* A list of texts as `def` says; a single text is a list of one. */
void option_texts(struct option_reader *reader, const struct option_def *def,
	const struct yaml_node *node, void *base, char ***ret, unsigned *ret_n);

/* "(from ${NAME})" or `, found "text"` or `, found a list`. */
enum { OPTION_FOUND_BYTES = 160 };
const char *option_found(
	const struct yaml_node *node, unsigned flags, char buf[static OPTION_FOUND_BYTES]);

/* ` (did you mean "x"?)` or "". */
enum { OPTION_MEANT_BYTES = 120 };
const char *option_meant(const char *word, const char *const *words, unsigned n_words,
	char buf[static OPTION_MEANT_BYTES]);

/* Zeroed memory, never NULL while problems->no_memory is false; then whoever reads stops. */
void *option_alloc(struct option_reader *reader, size_t n, size_t size);
char *option_copy(struct option_reader *reader, const char *text);
