#pragma once

/*
 * The insides of the load stage, for its own files: load.c (the transaction and the order of the
 * steps), load_read.c (pages -> sorter), load_partition.c, load_batch.c (sorter -> table),
 * load_deactivate.c (rows that vanished), load_books.c.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/batch.h"
#include "daemon/coverage.h"
#include "daemon/intake.h"
#include "daemon/load.h"
#include "daemon/partition.h"
#include "lib/sorter.h"

enum { LOAD_MAX_PARAMS = DIFF_MAX_FIELDS + 1 };

enum load_state {
	LOAD_BEGIN,
	LOAD_FIND,
	LOAD_FENCE,
	LOAD_PLACES,
	LOAD_OPEN,
	LOAD_READ,
	LOAD_NAMES,
	LOAD_SPILL,
	LOAD_REJECTS,
	LOAD_SORT,
	LOAD_PARTITIONS,
	LOAD_ATTACH,
	LOAD_FILL,
	LOAD_KNOWN,
	LOAD_COPY,
	LOAD_UPDATE,
	LOAD_REVISE,
	LOAD_ACTIVE,
	LOAD_COUNT,
	LOAD_RETURN,
	LOAD_JUDGE,
	LOAD_VANISH,
	LOAD_VANISHED,
	LOAD_SEEN,
	LOAD_INACTIVE,
	LOAD_RUN,
	LOAD_SLICE,
	LOAD_COVER,
	LOAD_RELEASE,
	LOAD_COMMIT,
	LOAD_ROLLBACK,
	LOAD_DONE,
	N_LOAD_STATES,
};

enum step {
	STEP_WAIT, /* an operation was started; its callback goes on */
	STEP_GO,   /* the state changed: go on at once */
	STEP_FAIL, /* load->error says why */
};

struct load {
	struct load_options options;
	load_done_fn on_done;
	void *arg;
	enum load_state state, next; /* next: after the present operation */
	struct error error;
	struct load_result result;
	uint64_t started_ms;
	bool canceled, collecting;

	struct spool_reader *reader;
	struct sorter *sorter;
	struct intake *intake;
	struct batch *batch;
	struct ledger_rejects rejects;
	struct buffer sql, piece;

	unsigned lookup;              /* in LOAD_NAMES and LOAD_SEEN */
	enum load_state after_rejects;
	uint32_t batch_rows, cursor;  /* in the batch's outputs */
	bool known_begun;             /* the COPY of the stored rows has sent its header */
	uint32_t sent;                /* rows of the present UPDATE */
	struct renames *renames; /* at the end */
	struct day_range *partitions;
	unsigned n_partitions;
	struct buffer last_key;       /* of the portion before, as a packed row: load_deactivate.c */
	uint64_t n_active, n_changed, n_vanished;
	unsigned cover;               /* next coverage row: 0 the slice, then the days */
	bool cover_asked, cover_known;
	struct cover_row cover_old;   /* what was known of it */

	uv_work_t work; /* reading, spilling and sorting take their time */
	enum intake_step read; /* how the reading ended */
	uv_idle_t end;         /* on_done comes from its close callback */
	int work_result;
};

/* ---- for every step ---- */

const struct dataset *load_dataset(const struct load *load);

/* Go through the states until one waits. */
void load_go(struct load *load);

/* The state is now `next`: go on at once. */
enum step load_enter(struct load *load, enum load_state next);

enum step load_no_memory(struct load *load);

/* An operation ended, well or not (then its error is kept): go on. */
void load_finish_operation(struct load *load, const struct error *error);

/* For pg_query(): after success the state is load->next. */
void load_on_statement(void *arg, const struct pg_result *result, const struct error *error);

/* Arrays as parameters; *ret_failed is set when one of them lacks memory. */
unsigned load_array_params(struct pgarray *arrays, unsigned n, struct pg_param *params,
	bool *ret_failed);
void load_free_arrays(struct pgarray *arrays, unsigned n);

/* A row of binary results as fields. */
void load_result_fields(const struct pg_result *result, int row, struct field *fields, int n);

/* Do it in the thread pool; on_worked finds load->work_result. */
enum step load_work(struct load *load, uv_work_cb work, uv_after_work_cb on_worked);

/* Every row is in the table: the last rejects, then the books. */
enum step load_end_of_rows(struct load *load);

/* ---- the steps ---- */

enum step load_step_read(struct load *load);
enum step load_step_names(struct load *load);
enum step load_step_spill(struct load *load);
enum step load_step_rejects(struct load *load);

enum step load_step_places(struct load *load);
enum step load_step_open(struct load *load);
int load_check_places(struct load *load); /* -1: too many rows have none */
enum step load_step_partitions(struct load *load);
enum step load_step_attach(struct load *load);

enum step load_step_fill(struct load *load);
enum step load_step_known(struct load *load);
enum step load_step_copy(struct load *load);
enum step load_step_update(struct load *load);
enum step load_step_revise(struct load *load);

enum step load_step_active(struct load *load);
enum step load_step_count(struct load *load);
enum step load_step_return(struct load *load);
enum step load_step_judge(struct load *load);
enum step load_step_vanish(struct load *load);
enum step load_step_vanished(struct load *load);

enum step load_step_seen(struct load *load);
enum step load_step_inactive(struct load *load);
enum step load_step_run(struct load *load);
enum step load_step_slice(struct load *load);
enum step load_step_cover(struct load *load);
enum step load_step_release(struct load *load);
