#pragma once

/*
 * How `ogdsyncd --once` exits: the worst of what happened, in the numbers of lib/exitcode.h.
 * SPDX-License-Identifier: Apache-2.0
 */

#include "daemon/loader.h"
#include "daemon/run_info.h"

/* The one of the two that an operator must hear of first. */
int exit_code_worse(int a, int b);

int exit_code_of_run(const struct run_info *run);
/* From the words for it: what a client of the daemon knows. `code` may be NULL. */
int exit_code_of_words(const char *state, const char *code);
int exit_code_of_database(enum loader_state state, const struct error *error);
int exit_code_of_start(const struct error *error); /* something could not be started */
