#pragma once

/*
 * What a command prints with --json, where no daemon made the document.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <jansson.h>
#include <stdint.h>

#include "cli/cli.h"

/* RFC 3339 with offset; 0 is unknown: null. */
json_t *document_time(int64_t us);

/* Any bytes; NULL and "" are null. */
json_t *document_text(const char *text);

/* A number, null when it is -1. */
json_t *document_count(int64_t n);

/* Takes the document, NULL and one that lacks something is a lack of memory. The exit code. */
int document_print(struct cli *cli, json_t *take_document);
