/*
 * The proof that a slice is complete. SPDX-License-Identifier: Apache-2.0
 *
 * First by hand: answers and the step that is due after each. Then by trying every small history there
 * is: snapshots that change, pages that overlap, are short, empty or cut, and a plain reference that
 * keeps every answer and looks whether each row of the last snapshot is in one of them. Then larger
 * histories by chance.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "daemon/identity.h"
#include "tests/unit/fixture.h"

static uint64_t identity_of(uint32_t id)
{
	return identity_of_raw(&id, sizeof(id));
}

/* ---- by hand ---- */

static const char *const step_names[] = {
	[PROOF_PAGE] = "page",
	[PROOF_EMPTY] = "empty",
	[PROOF_NEXT_PASS] = "pass",
	[PROOF_RESTART] = "restart",
	[PROOF_PROVEN] = "proven",
	[PROOF_NOTHING] = "nothing",
	[PROOF_SHORT] = "short",
};

/* An answer is its rows, a letter each, then total and updated; "-" is one that was cut. */
static const struct script {
	const char *answers, *steps;
	int matched, distinct, total; /* in the end */
} scripts[] = {
	/* the usual */
	{"abc/3", "proven", 3, 3, 3},
	{"ab/5 cd/5 e/5", "page page proven", 5, 5, 5},
	{"ab/5/7 cd/5/7 e/5/7", "page page proven", 5, 5, 5},
	{"/0", "nothing", 0, 0, 0},
	/* real duplicates count once they come in one answer */
	{"aab/3", "proven", 3, 2, 3},
	{"aa/4 aa/4 aaaa/4", "page pass proven", 4, 1, 4},
	{"aab/6 bbc/6 cbb/6 baa/6", "page pass page short", 5, 3, 6},
	{"aaa/6 aab/6 cab/6 aac/6", "page pass page short", 5, 3, 6},
	/* a key that the server caps: short pages are no end */
	{"a/4 b/4 c/4 d/4", "page page page proven", 4, 4, 4},
	/* overlap: the other direction finds the rest, or not */
	{"ab/4 bc/4 dc/4", "page pass proven", 4, 4, 4},
	{"ab/4 bc/4 cb/4 ba/4", "page pass page short", 3, 3, 4},
	/* a cut answer says nothing */
	{"ab/4 -cd/4 cd/4", "page - proven", 4, 4, 4},
	/* empty answers: asked again, in a row */
	{"ab/4 /4 /4 cd/4", "page empty empty proven", 4, 4, 4},
	{"ab/4 /4 /4 /4 dc/4", "page empty empty pass proven", 4, 4, 4},
	{"ab/6 /6 /6 cd/6 /6 /6 ef/6", "page empty empty page empty empty proven", 6, 6, 6},
	{"/4 /4 /4 /4 /4 /4", "empty empty pass empty empty short", 0, 0, 4},
	{"/4 abcd/4", "empty proven", 4, 4, 4},
	{"/4 /0 /0", "empty empty nothing", 0, 0, 0},
	/* an empty answer does not make a total ... */
	{"ab/4 /0 cd/4", "page empty proven", 4, 4, 4},
	/* ... unless it stays: then rows are gone */
	{"ab/4 /0 /0 /0 /0 /0 /0", "page empty empty restart empty empty nothing", 0, 0, 0},
	/* any other total it says counts */
	{"abcd/9 /2 xy/2", "page restart proven", 2, 2, 2},
	{"ab/4 /5 cd/5 e/5 edc/5 ba/5", "page empty page pass page proven", 5, 5, 5},
	{"ab/4/6 /4/7 cd/4/7 dc/4/7 ba/4/7", "page empty pass page proven", 4, 4, 4},
	/* rows came in between: what was seen before proves nothing of the new snapshot */
	{"ab/4 cd/5 e/5 edc/5 ba/5", "page page pass page proven", 5, 5, 5},
	{"ab/4 xyz/5 zyx/5 wv/5", "page pass page proven", 5, 7, 5},
	{"ab/4/7 cd/4/8 dc/4/8 ba/4/8", "page pass page proven", 4, 4, 4},
	{"ab/4/7 cd/4 ", "page proven", 4, 4, 4},
	{"ab/6/7 cd/6 ef/6/8", "page page pass", 2, 6, 6},
	/* rows are gone: afresh, twice (here: once) at most, then page on */
	{"ab/5 cd/4 abcd/4", "page restart proven", 4, 4, 4},
	{"ab/5 cd/4 ab/4 c/3 cba/3", "page restart page pass proven", 3, 3, 3},
	/* more rows than there are: the snapshot was replaced unseen */
	{"ab/4 ac/4 ed/4 abcd/4", "page pass restart proven", 4, 4, 4},
	{"ab/4 ac/4 ed/4 ab/4 ac/4 ed/4", "page pass restart page pass page", 0, 5, 4},
	{"abc/2 ab/2", "restart proven", 2, 2, 2},
	/* the shape of a roll-over: yesterday's first page and today's rest add up to today's total */
	{"ABC/5 xyz/6 zyx/6 wvu/6", "page pass page proven", 6, 9, 6},
};

static void play_answer(struct proof *proof, const char *answer, char *steps, size_t size)
{
	size_t n_rows = strcspn(answer, "/ ");
	int total = -1, updated = 0;
	const char *step = "-";

	assert_true(sscanf(answer + n_rows, "/%d/%d", &total, &updated) >= 1);
	proof_begin_answer(proof);
	for (size_t i = *answer == '-'; i < n_rows; i++) {
		assert_int_equal(proof_add(proof, identity_of((uint32_t)answer[i])), 0);
	}
	if (*answer == '-') {
		proof_abort_answer(proof);
	} else {
		step = step_names[proof_end_answer(proof, total, updated)];
	}
	snprintf(steps + strlen(steps), size - strlen(steps), "%s%s", *steps ? " " : "", step);
}

static void test_scripts(void **state)
{
	const struct proof_options options = {.passes = 2, .restarts = 1, .empty_tries = 2};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
		const struct script *script = &scripts[i];
		char steps[256] = "";
		struct proof *proof;

		assert_int_equal(proof_new(&options, &proof), 0);
		assert_int_equal(proof_total(proof), -1);
		for (const char *at = script->answers; *at; at += strspn(at, " ")) {
			play_answer(proof, at, steps, sizeof(steps));
			at += strcspn(at, " ");
		}
		assert_string_equal(steps, script->steps);
		assert_int_equal(proof_matched(proof), script->matched);
		assert_int_equal(proof_distinct(proof), script->distinct);
		assert_int_equal(proof_total(proof), script->total);
		proof_free(proof);
	}
	assert_null(proof_free(NULL));
}

static void test_offset_and_direction(void **state)
{
	const struct proof_options options = {.passes = 3, .restarts = 2, .empty_tries = 0};
	struct proof *proof;
	char steps[256] = "";

	(void)state;
	assert_int_equal(proof_new(&options, &proof), 0);
	assert_int_equal(proof_offset(proof), 0);
	assert_int_equal(proof_pass(proof), 1);
	play_answer(proof, "abc/9", steps, sizeof(steps));
	assert_int_equal(proof_offset(proof), 3);
	play_answer(proof, "-de/9", steps, sizeof(steps));
	assert_int_equal(proof_offset(proof), 3);
	play_answer(proof, "/9", steps, sizeof(steps)); /* no tries: the pass is over */
	assert_int_equal(proof_offset(proof), 0);
	assert_int_equal(proof_pass(proof), 2);
	assert_true(proof_reversed(proof));
	play_answer(proof, "/9", steps, sizeof(steps));
	assert_int_equal(proof_pass(proof), 3);
	assert_false(proof_reversed(proof));
	play_answer(proof, "ab/9", steps, sizeof(steps));
	play_answer(proof, "ab/8", steps, sizeof(steps));
	assert_int_equal(proof_pass(proof), 1);
	assert_int_equal(proof_offset(proof), 0);
	assert_string_equal(steps, "page - pass pass page restart");
	proof_free(proof);
}

/* ---- every small history ---- */

/* Goes through all sequences of choices, as an odometer does. */
struct chooser {
	unsigned char taken[512], of[512];
	unsigned n, at;
};

static unsigned choose(struct chooser *chooser, unsigned of)
{
	if (of <= 1) {
		return 0;
	}
	assert_true(chooser->at < sizeof(chooser->taken));
	if (chooser->at == chooser->n) {
		chooser->taken[chooser->n] = 0;
		chooser->of[chooser->n++] = (unsigned char)of;
	}
	assert_int_equal(chooser->of[chooser->at], of);
	return chooser->taken[chooser->at++];
}

static bool next_history(struct chooser *chooser)
{
	chooser->at = 0;
	while (chooser->n > 0 && ++chooser->taken[chooser->n - 1] == chooser->of[chooser->n - 1]) {
		chooser->n--;
	}
	return chooser->n > 0;
}

enum { MAX_ROWS = 8, MAX_ANSWERS = 128 };

struct snapshot {
	uint32_t rows[MAX_ROWS]; /* ascending, with repetitions */
	unsigned n, version;
};

struct answer {
	uint32_t rows[MAX_ROWS];
	unsigned n, version;
};

struct world {
	struct snapshot now;
	struct answer kept[MAX_ANSWERS]; /* since the last restart */
	unsigned n_kept;
	unsigned n_requests;
	unsigned changes_left, faults_left;
};

struct histories {
	const char *name;
	unsigned page;      /* rows of an answer; the tests count it up from here to 3 */
	unsigned changes, faults; /* at most so many in one history */
	bool sorted;
	bool says_updated; /* else a change shows in `total` alone */
	struct proof_options options;
	uint32_t rows[MAX_ROWS];
	unsigned n_rows;
	unsigned long n, n_proven, n_short, n_restarts; /* counted */
};

static unsigned copies_in(const uint32_t *rows, unsigned n, uint32_t row)
{
	unsigned copies = 0;

	for (unsigned i = 0; i < n; i++) {
		copies += rows[i] == row;
	}
	return copies;
}

/* The most copies of a row that one kept answer from the present snapshot had. */
static unsigned copies_kept(const struct world *world, uint32_t row)
{
	unsigned most = 0;

	for (unsigned i = 0; i < world->n_kept; i++) {
		const struct answer *answer = &world->kept[i];
		unsigned copies = copies_in(answer->rows, answer->n, row);

		if (answer->version == world->now.version && copies > most) {
			most = copies;
		}
	}
	return most;
}

static bool is_complete(const struct world *world)
{
	for (unsigned i = 0; i < world->now.n; i++) {
		uint32_t row = world->now.rows[i];

		if (copies_kept(world, row) < copies_in(world->now.rows, world->now.n, row)) {
			return false;
		}
	}
	return true;
}

static void insert_row(struct snapshot *snapshot, uint32_t row)
{
	unsigned at = snapshot->n++;

	for (; at > 0 && snapshot->rows[at - 1] > row; at--) {
		snapshot->rows[at] = snapshot->rows[at - 1];
	}
	snapshot->rows[at] = row;
}

static void remove_row(struct snapshot *snapshot, unsigned at)
{
	snapshot->n--;
	memmove(&snapshot->rows[at], &snapshot->rows[at + 1],
		(snapshot->n - at) * sizeof(snapshot->rows[0]));
}

/* Another day: n rows that nobody has seen. */
static void replace_rows(struct snapshot *snapshot, unsigned n)
{
	uint32_t first = snapshot->rows[snapshot->n - 1] + 100;

	for (unsigned i = 0; i < n; i++) {
		snapshot->rows[i] = first + i;
	}
	snapshot->n = n;
}

/* Those that leave the total as it is come last: only where `updated` tells. */
static void change_world(const struct histories *h, struct world *world, struct chooser *chooser)
{
	struct snapshot *now = &world->now;

	if (world->changes_left == 0 || now->n < 2 || now->n > MAX_ROWS - 2 ||
		!choose(chooser, 2)) {
		return;
	}
	world->changes_left--;
	now->version++;
	switch (choose(chooser, h->says_updated ? 10 : 7)) {
	case 0: /* a row in front, that moves all others */
		insert_row(now, 1);
		break;
	case 1: /* a row in the middle, or another copy */
		insert_row(now, now->rows[now->n / 2]);
		break;
	case 2:
		insert_row(now, now->rows[now->n - 1] + 1);
		break;
	case 3:
		remove_row(now, 0);
		break;
	case 4:
		remove_row(now, now->n - 1);
		break;
	case 5:
		replace_rows(now, now->n + 1);
		break;
	case 6:
		replace_rows(now, now->n - 1);
		break;
	case 7:
		replace_rows(now, now->n);
		break;
	case 8:
		remove_row(now, 0);
		insert_row(now, now->rows[now->n - 1] + 1);
		break;
	default: /* touched only */
		break;
	}
}

/* Any n rows of the snapshot: what an unsorted portal may serve as any page. */
static void pick_any(const struct snapshot *now, unsigned n, struct chooser *chooser,
	struct answer *answer)
{
	for (unsigned i = 0; i < now->n && answer->n < n; i++) {
		unsigned left = now->n - i, wanted = n - answer->n;

		if (left == wanted || !choose(chooser, 2)) {
			answer->rows[answer->n++] = now->rows[i];
		}
	}
}

static void pick_sorted(const struct snapshot *now, unsigned offset, unsigned n, bool reversed,
	struct answer *answer)
{
	for (unsigned i = offset; i < offset + n; i++) {
		answer->rows[answer->n++] = now->rows[reversed ? now->n - 1 - i : i];
	}
}

enum fault { FAULT_NONE, FAULT_EMPTY, FAULT_CUT, FAULT_SHORT };

/* One request. Returns false when its answer was cut. */
static bool request(const struct histories *h, struct world *world, struct chooser *chooser,
	struct proof *proof, enum proof_step *ret_step)
{
	struct answer *answer = &world->kept[world->n_kept];
	enum fault fault = FAULT_NONE;
	unsigned offset, n = 0;

	change_world(h, world, chooser);
	offset = (unsigned)proof_offset(proof);
	if (offset < world->now.n) {
		n = world->now.n - offset < h->page ? world->now.n - offset : h->page;
	}
	if (world->faults_left > 0) {
		fault = choose(chooser, n > 1 ? 4 : 3);
		world->faults_left -= fault != FAULT_NONE;
		n = fault == FAULT_EMPTY ? 0 : fault == FAULT_SHORT ? n - 1 : n;
	}
	*answer = (struct answer){.version = world->now.version};
	if (h->sorted) {
		pick_sorted(&world->now, offset, n, proof_reversed(proof), answer);
	} else {
		pick_any(&world->now, n, chooser, answer);
	}
	proof_begin_answer(proof);
	for (unsigned i = 0; i < answer->n; i++) {
		assert_int_equal(proof_add(proof, identity_of(answer->rows[i])), 0);
	}
	if (fault == FAULT_CUT) {
		proof_abort_answer(proof);
		return false;
	}
	world->n_kept++;
	assert_true(world->n_kept < MAX_ANSWERS);
	*ret_step = proof_end_answer(proof, world->now.n,
		h->says_updated ? 1000 + world->now.version : 0);
	return true;
}

/* Returns true when the history goes on. */
static bool check_step(struct histories *h, struct world *world, const struct proof *proof,
	enum proof_step step)
{
	switch (step) {
	case PROOF_PROVEN:
		assert_true(is_complete(world));
		assert_int_equal(proof_matched(proof), world->now.n);
		h->n_proven++;
		return false;
	case PROOF_SHORT:
		/* Not short of what was there: only with changes is a proof thrown away. */
		assert_true(h->changes > 0 || !is_complete(world));
		assert_int_equal(proof_pass(proof), h->options.passes);
		h->n_short++;
		return false;
	case PROOF_NOTHING:
		assert_int_equal(world->now.n, 0);
		return false;
	case PROOF_RESTART:
		assert_true(h->changes > 0);
		assert_int_equal(proof_offset(proof), 0);
		assert_int_equal(proof_distinct(proof), 0);
		world->n_kept = 0;
		h->n_restarts++;
		return true;
	case PROOF_PAGE:
	case PROOF_EMPTY:
	case PROOF_NEXT_PASS:
		return true;
	}
	return false;
}

static void play_history(struct histories *h, struct chooser *chooser)
{
	struct world world = {.changes_left = h->changes, .faults_left = h->faults};
	enum proof_step step = PROOF_PAGE;
	struct proof *proof;

	world.now.n = h->n_rows;
	memcpy(world.now.rows, h->rows, sizeof(h->rows));
	assert_int_equal(proof_new(&h->options, &proof), 0);
	while (!request(h, &world, chooser, proof, &step) || check_step(h, &world, proof, step)) {
		assert_true(++world.n_requests < 200);
	}
	proof_free(proof);
	h->n++;
}

static void play_all(struct histories *h)
{
	struct chooser chooser = {0};

	do {
		play_history(h, &chooser);
	} while (next_history(&chooser));
	print_message("%-28s page %u: %7lu histories, %lu proven, %lu short, %lu restarts\n", h->name,
		h->page, h->n, h->n_proven, h->n_short, h->n_restarts);
}

static void test_histories(void **state)
{
	static const struct histories all[] = {
		{.name = "stable, sorted", .sorted = true, .rows = {10, 20, 30, 40, 50}, .n_rows = 5},
		{.name = "stable, sorted, copies", .sorted = true, .rows = {10, 20, 20, 30, 40}, .n_rows = 5},
		{.name = "faults", .sorted = true, .rows = {10, 20, 20, 30, 40}, .n_rows = 5, .faults = 4},
		{.name = "unsorted", .rows = {10, 20, 30, 40}, .n_rows = 4},
		{.name = "unsorted, copies", .rows = {10, 20, 20, 30}, .n_rows = 4},
		{.name = "changes", .sorted = true, .rows = {10, 20, 20, 30, 40}, .n_rows = 5, .changes = 3},
		{.name = "changes, updated", .sorted = true, .rows = {10, 20, 20, 30, 40}, .n_rows = 5,
			.changes = 2, .says_updated = true},
		{.name = "changes, updated, faults", .sorted = true, .rows = {10, 20, 20, 30}, .n_rows = 4,
			.changes = 2, .faults = 1, .says_updated = true},
		{.name = "unsorted, changes", .page = 2, .rows = {10, 20, 30}, .n_rows = 3, .changes = 1},
		{.name = "unsorted, changes, updated", .page = 2, .rows = {10, 20, 30}, .n_rows = 3, .changes = 1,
			.says_updated = true},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		for (unsigned page = all[i].page ? all[i].page : 1; page <= 3; page++) {
			struct histories h = all[i];

			h.page = page;
			h.options = (struct proof_options){.passes = 2, .restarts = 1, .empty_tries = 1};
			play_all(&h);
			assert_true(h.n_proven > 0 || page < 3); /* copies never share a small page */
		}
	}
}

/* Nothing but rows in order: proven with the last page, and not one request more. */
static void test_no_extra_requests(void **state)
{
	(void)state;
	for (unsigned n_rows = 1; n_rows <= 7; n_rows++) {
		for (unsigned page = 1; page <= 8; page++) {
			struct histories h = {
				.page = page,
				.sorted = true,
				.n_rows = n_rows,
				.rows = {1, 2, 3, 4, 5, 6, 7},
				.options = {.passes = 3, .restarts = 2, .empty_tries = 5},
			};
			struct world world = {0};
			struct chooser chooser = {0};
			enum proof_step step = PROOF_PAGE;
			struct proof *proof;

			world.now.n = n_rows;
			memcpy(world.now.rows, h.rows, sizeof(h.rows));
			assert_int_equal(proof_new(&h.options, &proof), 0);
			while (step == PROOF_PAGE) {
				assert_true(request(&h, &world, &chooser, proof, &step));
			}
			assert_int_equal(step, PROOF_PROVEN);
			assert_int_equal(world.n_kept, (n_rows + page - 1) / page);
			proof_free(proof);
		}
	}
}

/*
 * What cannot be seen: another snapshot of the same total while the portal says no `updated`. It is
 * taken for proven; with `updated` it is not.
 */
static void test_limits_of_proof(void **state)
{
	const struct proof_options options = {.passes = 2, .restarts = 1, .empty_tries = 1};
	char steps[256] = "";
	struct proof *proof;

	(void)state;
	assert_int_equal(proof_new(&options, &proof), 0);
	play_answer(proof, "ab/4", steps, sizeof(steps));
	play_answer(proof, "yz/4", steps, sizeof(steps)); /* of wxyz */
	assert_string_equal(steps, "page proven");
	proof_free(proof);

	*steps = '\0';
	assert_int_equal(proof_new(&options, &proof), 0);
	play_answer(proof, "ab/4/7", steps, sizeof(steps));
	play_answer(proof, "yz/4/8", steps, sizeof(steps));
	play_answer(proof, "zy/4/8", steps, sizeof(steps));
	play_answer(proof, "xw/4/8", steps, sizeof(steps));
	assert_string_equal(steps, "page pass page proven");
	proof_free(proof);
}

/* ---- large histories by chance ---- */

enum { DAY_ROWS = 3000, DAY_IDS = 12000 };

struct day {
	uint64_t random;
	uint32_t rows[DAY_ROWS + 64];
	unsigned n;
	unsigned version;
	/* reference: the most copies in one kept answer of the present version */
	unsigned char most[DAY_IDS];
	unsigned char copies[DAY_IDS];
	unsigned n_changes;
};

static uint64_t random_next(struct day *day)
{
	day->random ^= day->random << 13;
	day->random ^= day->random >> 7;
	day->random ^= day->random << 17;
	return day->random;
}

static unsigned below(struct day *day, unsigned n)
{
	return (unsigned)(random_next(day) % n);
}

/* Rows come, go, are exchanged, or the next day begins. */
static void change_day(struct day *day)
{
	unsigned n = 1 + below(day, 20);

	day->version++;
	day->n_changes++;
	memset(day->most, 0, sizeof(day->most));
	switch (below(day, 4)) {
	case 0:
		for (unsigned i = 0; i < n && day->n < DAY_ROWS; i++) {
			day->rows[day->n++] = below(day, DAY_IDS);
		}
		break;
	case 1:
		day->n -= n < day->n ? n : 0;
		break;
	case 2:
		for (unsigned i = 0; i < n; i++) {
			day->rows[below(day, day->n)] = below(day, DAY_IDS);
		}
		break;
	default:
		for (unsigned i = 0; i < day->n; i++) {
			day->rows[i] = (day->rows[i] + DAY_IDS / 2) % DAY_IDS;
		}
		break;
	}
}

/* What an answer's rows are: in order, or for an unsorted portal some of them exchanged. */
static void shuffle_some(struct day *day, unsigned swaps)
{
	for (unsigned i = 0; i < swaps; i++) {
		unsigned a = below(day, day->n), b = below(day, day->n);
		uint32_t row = day->rows[a];

		day->rows[a] = day->rows[b];
		day->rows[b] = row;
	}
}

static enum proof_step request_day(struct day *day, struct proof *proof, unsigned page)
{
	unsigned offset = (unsigned)proof_offset(proof), n = 0;
	uint32_t rows[1000];

	if (offset < day->n && below(day, 20) != 0) {
		n = day->n - offset < page ? day->n - offset : page;
	}
	if (n > 1 && below(day, 10) == 0) {
		n = 1 + below(day, n);
	}
	memset(day->copies, 0, sizeof(day->copies));
	proof_begin_answer(proof);
	for (unsigned i = 0; i < n; i++) {
		rows[i] = day->rows[proof_reversed(proof) ? day->n - 1 - offset - i : offset + i];
		assert_int_equal(proof_add(proof, identity_of(rows[i])), 0);
		day->copies[rows[i]]++;
	}
	if (below(day, 20) == 0) {
		proof_abort_answer(proof);
		return PROOF_PAGE;
	}
	for (unsigned i = 0; i < n; i++) {
		if (day->copies[rows[i]] > day->most[rows[i]]) {
			day->most[rows[i]] = day->copies[rows[i]];
		}
	}
	return proof_end_answer(proof, day->n, 1 + day->version);
}

static bool day_is_complete(struct day *day)
{
	memset(day->copies, 0, sizeof(day->copies));
	for (unsigned i = 0; i < day->n; i++) {
		day->copies[day->rows[i]]++;
	}
	for (unsigned i = 0; i < DAY_IDS; i++) {
		if (day->copies[i] > day->most[i]) {
			return false;
		}
	}
	return true;
}

static enum proof_step play_day(struct day *day, unsigned page, unsigned swaps, unsigned change_every)
{
	const struct proof_options options = {.passes = 3, .restarts = 2, .empty_tries = 5};
	enum proof_step step = PROOF_PAGE;
	struct proof *proof;

	assert_int_equal(proof_new(&options, &proof), 0);
	while (step != PROOF_PROVEN && step != PROOF_SHORT) {
		if (change_every && below(day, change_every) == 0) {
			change_day(day);
		}
		shuffle_some(day, swaps);
		step = request_day(day, proof, page);
		assert_int_not_equal(step, PROOF_NOTHING);
		if (step == PROOF_RESTART) {
			memset(day->most, 0, sizeof(day->most));
		}
		assert_true(proof_matched(proof) <= proof_distinct(proof) + day->n);
	}
	assert_true(step == PROOF_SHORT || day_is_complete(day));
	proof_free(proof);
	return step;
}

static void test_days(void **state)
{
	unsigned n_proven = 0, n_short = 0, n_changed = 0;
	struct day *day = calloc(1, sizeof(*day));

	(void)state;
	for (unsigned seed = 1; seed <= 1000; seed++) {
		unsigned page, swaps, change_every;

		*day = (struct day){.random = seed * 0x9e3779b97f4a7c15u};
		day->n = 100 + below(day, seed % 10 ? 400 : DAY_ROWS - 200);
		for (unsigned i = 0; i < day->n; i++) {
			day->rows[i] = seed % 3 ? i : below(day, DAY_IDS);
		}
		page = 10 + below(day, seed % 2 ? 100 : 900);
		swaps = seed % 4 == 0 ? below(day, 20) : 0;
		change_every = seed % 5 == 0 ? 2 + below(day, 40) : 0;
		if (play_day(day, page, swaps, change_every) == PROOF_PROVEN) {
			n_proven++;
			n_changed += day->n_changes > 0;
		} else {
			n_short++;
		}
	}
	print_message("1000 days: %u proven (%u of them changed in between), %u short\n", n_proven,
		n_changed, n_short);
	assert_true(n_proven > 500 && n_short > 10 && n_changed > 10);
	free(day);
}

/* ---- memory ---- */

static void test_memory(void **state)
{
	const struct proof_options options = {.passes = 3, .restarts = 2, .empty_tries = 5};
	const uint32_t n_rows = 1000000, page = 10000;
	struct proof *proof;

	(void)state;
	assert_int_equal(proof_new(&options, &proof), 0);
	for (uint32_t row = 0; row < n_rows;) {
		enum proof_step step;

		proof_begin_answer(proof);
		for (uint32_t i = 0; i < page; i++) {
			assert_int_equal(proof_add(proof, identity_of(row++)), 0);
		}
		step = proof_end_answer(proof, n_rows, 7);
		assert_int_equal(step, row < n_rows ? PROOF_PAGE : PROOF_PROVEN);
	}
	print_message("1,000,000 identities: %zu bytes\n", proof_memory_bytes(proof));
	assert_true(proof_memory_bytes(proof) <= 12 * 1024 * 1024);
	proof_free(proof);
}

/* ---- identities ---- */

static struct field text_field(const char *text)
{
	return (struct field){.len = (int32_t)strlen(text), .data = text};
}

/* The bytes of a numeric stay in `store`. */
static struct field numeric_field(const char *digits, unsigned char *store)
{
	struct decimal decimal;

	assert_int_equal(decimal_parse(digits, strlen(digits), &decimal), DECIMAL_OK);
	decimal_to_wire(&decimal, store);
	return (struct field){.len = (int32_t)decimal_wire_bytes(&decimal), .data = store};
}

static void test_identity_of_row(void **state)
{
	unsigned char store[6][64];
	struct field row[FIXTURE_COLUMNS];
	struct fixture f;
	uint64_t identity, seen[8];

	(void)state;
	fixture_mandi(&f);
	for (unsigned i = 0; i < 6; i++) {
		row[i] = text_field("xy");
	}
	row[6] = field_date(20777, store[0]);
	for (unsigned i = 7; i < 10; i++) {
		row[i] = numeric_field("10.5", store[1]);
	}
	identity = identity_of_row(&f.dataset, row);

	/* values are not part of it */
	row[7] = field_null;
	row[8] = numeric_field("7", store[2]);
	assert_int_equal(identity_of_row(&f.dataset, row), identity);

	/* each column of the key is, those of lookups too */
	seen[0] = identity;
	for (unsigned i = 0; i < 7; i++) {
		struct field saved = row[i];

		row[i] = i < 6 ? text_field("xz") : field_date(20778, store[3]);
		seen[i + 1] = identity_of_row(&f.dataset, row);
		for (unsigned j = 0; j <= i; j++) {
			assert_true(seen[i + 1] != seen[j]);
		}
		row[i] = saved;
	}

	/* and where one ends and the next begins */
	row[0] = text_field("xyx");
	row[1] = text_field("y");
	assert_true(identity_of_row(&f.dataset, row) != identity);
	row[0] = text_field("x");
	row[1] = text_field("yxy");
	assert_true(identity_of_row(&f.dataset, row) != identity);
}

/* 10.50 and 10.5 are one value. */
static void test_identity_of_numbers(void **state)
{
	unsigned char store[4][64];
	struct field row[1];
	struct fixture f;
	uint64_t identity;

	(void)state;
	fixture_init(&f);
	fixture_add_column(&f, "rate", COLUMN_NUMERIC);
	fixture_add_fact(&f, 0);
	f.dataset.n_key = 1;
	row[0] = numeric_field("10.5", store[0]);
	identity = identity_of_row(&f.dataset, row);
	row[0] = numeric_field("10.500", store[1]);
	assert_int_equal(identity_of_row(&f.dataset, row), identity);
	row[0] = numeric_field("-10.5", store[2]);
	assert_true(identity_of_row(&f.dataset, row) != identity);
	row[0] = numeric_field("105", store[3]);
	assert_true(identity_of_row(&f.dataset, row) != identity);
	row[0] = numeric_field("0", store[3]);
	identity = identity_of_row(&f.dataset, row);
	row[0] = numeric_field("-0.00", store[2]);
	assert_int_equal(identity_of_row(&f.dataset, row), identity);
	row[0] = field_null;
	assert_true(identity_of_row(&f.dataset, row) != identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_offset_and_direction),
		cmocka_unit_test(test_no_extra_requests),
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_limits_of_proof),
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_identity_of_row),
		cmocka_unit_test(test_identity_of_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
