/*
 * ogdsync, the operator's command. SPDX-License-Identifier: Apache-2.0
 */

#include "cli/commands.h"

#define COMMAND_ENTRY(name) &command_##name,

static const struct command *const commands[] = {COMMANDS(COMMAND_ENTRY) NULL};

int main(int argc, char **argv)
{
	return cli_main(commands, argc, argv, stdout, stderr);
}
