/*
 * Deleting old books. SPDX-License-Identifier: Apache-2.0
 *
 * A few rows at a time, and none that somebody else has locked: a load or a roll-back never waits for
 * this. Slices go with their run.
 */

#include "daemon/ledger_prune.h"

#include "daemon/partition.h"

static const char prune_runs[] =
	"DELETE FROM ogdsync.run WHERE id IN (SELECT r.id FROM ogdsync.run r"
	" WHERE r.id < $1::bigint AND r.finished_at IS NOT NULL"
	" AND EXISTS (SELECT FROM ogdsync.run later WHERE later.dataset = r.dataset"
	" AND later.source = r.source AND later.id > r.id)"
	" ORDER BY r.id LIMIT $2::bigint FOR UPDATE SKIP LOCKED)";

static const char prune_quarantine[] =
	"DELETE FROM ogdsync.quarantine WHERE id IN (SELECT id FROM ogdsync.quarantine"
	" WHERE last_run < $1::bigint LIMIT $2::bigint FOR UPDATE SKIP LOCKED)";

static void prune_revisions(const struct dataset *dataset, struct buffer *sql)
{
	buffer_append_str(sql, "DELETE FROM ");
	append_table(sql, dataset->schema, dataset->table, "_revision");
	buffer_append_str(sql, " WHERE ctid = ANY (ARRAY (SELECT v.ctid FROM ");
	append_table(sql, dataset->schema, dataset->table, "_revision");
	buffer_append_str(sql,
		" v WHERE v.replaced_by < $1::bigint"
		" AND NOT EXISTS (SELECT FROM ogdsync.run r WHERE r.id = v.replaced_by)"
		" LIMIT $2::bigint FOR UPDATE SKIP LOCKED))");
}

void ledger_prune_sql(enum prune_kind kind, const struct dataset *dataset, struct buffer *sql)
{
	switch (kind) {
	case PRUNE_RUNS:
		buffer_append_str(sql, prune_runs);
		break;
	case PRUNE_QUARANTINE:
		buffer_append_str(sql, prune_quarantine);
		break;
	case PRUNE_REVISIONS:
		prune_revisions(dataset, sql);
		break;
	}
}
