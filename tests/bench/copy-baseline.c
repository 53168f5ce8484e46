/*
 * What the load is measured against: COPY BINARY of a file's rows. SPDX-License-Identifier: Apache-2.0
 *
 *	copy-baseline CONNINFO 'COPY table (columns) FROM STDIN (FORMAT binary)' FILE
 */

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

static char piece[64 * 1024];

static int copy(PGconn *pg, const char *sql, FILE *file)
{
	PGresult *result = PQexec(pg, sql);
	int ok = PQresultStatus(result) == PGRES_COPY_IN;
	size_t n;

	PQclear(result);
	while (ok && (n = fread(piece, 1, sizeof(piece), file)) > 0) {
		ok = PQputCopyData(pg, piece, (int)n) == 1;
	}
	ok = ok && PQputCopyEnd(pg, NULL) == 1;
	while ((result = PQgetResult(pg))) {
		ok = ok && PQresultStatus(result) == PGRES_COMMAND_OK;
		PQclear(result);
	}
	return ok;
}

int main(int argc, char **argv)
{
	PGconn *pg = argc == 4 ? PQconnectdb(argv[1]) : NULL;
	FILE *file = argc == 4 ? fopen(argv[3], "rb") : NULL;
	int ok = pg && file && PQstatus(pg) == CONNECTION_OK && copy(pg, argv[2], file);

	if (!ok) {
		fprintf(stderr, "copy-baseline: %s", pg ? PQerrorMessage(pg) : "three arguments\n");
	}
	if (file) {
		fclose(file);
	}
	PQfinish(pg);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
