/*
 * What a command prints with --json. SPDX-License-Identifier: Apache-2.0
 */

#include "cli/document.h"

#include "daemon/jsontext.h"
#include "lib/clock.h"
#include "lib/exitcode.h"

json_t *document_time(int64_t us)
{
	char text[CLOCK_RFC3339_BYTES];

	return us == 0 ? json_null() : json_string(clock_format_rfc3339(us, 0, text));
}

json_t *document_text(const char *text)
{
	return text && *text ? jsontext_string(text) : json_null();
}

json_t *document_count(int64_t n)
{
	return n == -1 ? json_null() : json_integer(n);
}

int document_print(struct cli *cli, json_t *take_document)
{
	int r = take_document ? json_dumpf(take_document, cli->out, JSON_INDENT(2)) : -1;

	json_decref(take_document);
	fputc('\n', cli->out);
	return r < 0 ? cli_error(cli, EXITCODE_SOFTWARE, "out of memory") : EXITCODE_OK;
}
