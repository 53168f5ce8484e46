/*
 * What a dead process left in the spool. SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: a fetch of the slice begins, finds the file, and takes its pages over into its own
 * (fetch_resume.c). When that is safe, the old file is forgotten.
 *
 * Failure modes: the file is too old, damaged, or its pages are of another snapshot. Then it stays
 * where it is, and the daemon makes a partial slice of it (daemon_spool.c): nothing that was
 * received is thrown away.
 */

#include "daemon/resume.h"

#include <string.h>

enum { YOUNG_S = 15 * 60 };

struct search {
	const struct spool_header *slice;
	int64_t now_us;
	uint64_t most_rows;
	char *uuid;
};

bool resume_is_young(const struct spool_interrupted *part, int64_t now_us)
{
	int64_t age_us = now_us - part->written_us;

	return age_us >= 0 && age_us <= (int64_t)YOUNG_S * 1000000;
}

static int look(void *arg, const struct spool_interrupted *part)
{
	struct search *search = arg;
	const struct spool_header *header = &part->header;

	if (part->rows > search->most_rows && resume_is_young(part, search->now_us) &&
		header->day == search->slice->day &&
		strcmp(header->dataset, search->slice->dataset) == 0 &&
		strcmp(header->source, search->slice->source) == 0 &&
		strcmp(header->slice, search->slice->slice) == 0) {
		search->most_rows = part->rows;
		memcpy(search->uuid, header->uuid, SPOOL_UUID_BYTES);
	}
	return 0;
}

struct spool_reader *resume_find(struct spool *spool, const struct spool_header *slice,
	int64_t now_us, char ret_uuid[static SPOOL_UUID_BYTES])
{
	struct search search = {.slice = slice, .now_us = now_us, .uuid = ret_uuid};
	struct spool_reader *reader = NULL;
	struct error ignored = {.class = ERROR_NONE};

	/* What cannot be read is not resumed; whoever ends it says why. */
	if (spool_stats(spool).n_part == 0 || spool_recover(spool, look, &search, &ignored) < 0 ||
		search.most_rows == 0 ||
		spool_read(spool, ret_uuid, &reader, &ignored) < 0) {
		return NULL;
	}
	return reader;
}

void resume_forget(struct spool *spool, const char *uuid)
{
	struct spool_writer *writer;
	struct error ignored = {.class = ERROR_NONE};

	if (spool_resume(spool, uuid, &writer, &ignored) == 0) {
		spool_discard(writer);
	}
}
