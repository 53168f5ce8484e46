#pragma once

/*
 * The bookkeeping schema `ogdsync` as numbered steps, embedded from sql/ at build time.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A step is never changed once released; a new one is added. The database records which ones it has
 * in ogdsync.migration; a database with a step that is not known here is newer than this program.
 */

struct migration {
	int version; /* 1, 2, ...; 0 ends the table */
	const char *name;
	const char *sql;
};

extern const struct migration migrations[];
