/*
 * ogdsync completion: what bash needs to complete a command line. SPDX-License-Identifier: Apache-2.0
 *
 * Printed from the table of commands, so it knows what this program knows: the words of the commands,
 * their options, which options and operands are files. The script needs bash alone.
 */

#include <string.h>

#include "cli/commands.h"
#include "lib/exitcode.h"

/* Values that are paths, by how help calls them. */
static bool is_path(const char *argument)
{
	return strstr(argument, "FILE") || strstr(argument, "DIR") || strstr(argument, "ADDRESS");
}

static const char common_options[] = "--config= --socket= --help --version";

static const char head[] = "# bash completion for ogdsync, as printed by `ogdsync completion`\n"
			   "# SPDX-License-Identifier: Apache-2.0\n\n"
			   "_ogdsync()\n"
			   "{\n"
			   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} option='' command=. next word i\n"
			   "\tlocal -a words=() found=()\n"
			   "\tlocal paths=' --config --socket ' operands=' '\n"
			   "\tlocal -A options=(\n";

/*
 * The readline of bash parts words at `=`: "--config=F" is three. An option that awaits its value is
 * left in `option`; the words of the command are those that are neither.
 */
static const char tail[] =
	"\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tif [[ $word == = ]]; then\n"
	"\t\t\tcontinue\n"
	"\t\telif [[ $word == --* ]]; then\n"
	"\t\t\toption=$word\n"
	"\t\t\t[[ \" ${options[$command]} \" == *\" $word= \"* ]] || option=''\n"
	"\t\telif [[ $option ]]; then\n"
	"\t\t\toption=''\n"
	"\t\telse\n"
	"\t\t\twords+=(\"$word\")\n"
	"\t\t\tnext=${words[*]}\n"
	"\t\t\t[[ ${options[\"$next\"]+x} ]] && command=$next\n"
	"\t\tfi\n"
	"\tdone\n"
	"\t[[ $cur == = ]] && cur=''\n\n"
	"\tif [[ $option ]]; then\n"
	"\t\tif [[ $paths == *\" $option \"* ]]; then\n"
	"\t\t\tcompopt -o filenames\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"\t\tfi\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tif [[ $cur == -* ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"${options[$command]}\" -- \"$cur\")\n"
	"\t\t[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfor word in \"${!options[@]}\"; do\n"
	"\t\tnext=${words[*]:+${words[*]} }\n"
	"\t\tif [[ $word != . && $word == \"$next\"* ]]; then\n"
	"\t\t\tword=${word#\"$next\"}\n"
	"\t\t\tfound+=(\"${word%% *}\")\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ $operands == *\"|$command|\"* ]]; then\n"
	"\t\tcompopt -o filenames\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"${found[*]}\" -- \"$cur\" | sort -u)\n"
	"\tfi\n"
	"}\n"
	"complete -F _ogdsync ogdsync\n";

/* ['schema apply']='--config= ... --writer=' */
static void print_options(FILE *out, const struct command *command)
{
	const struct cli_option *option = command->options;

	fprintf(out, "\t\t['%s']='%s", command->name, common_options);
	for (; option && option->name; option++) {
		fprintf(out, " --%s%s", option->name, option->argument ? "=" : "");
	}
	fputs("'\n", out);
}

static void print_paths(FILE *out, const struct command *command)
{
	const struct cli_option *option = command->options;

	for (; option && option->name; option++) {
		if (option->argument && is_path(option->argument)) {
			fprintf(out, "\tpaths+='--%s '\n", option->name);
		}
	}
	if (is_path(command->synopsis)) {
		fprintf(out, "\toperands+='|%s|'\n", command->name);
	}
}

static int run_completion(struct cli *cli)
{
	const struct command *const *command;

	fputs(head, cli->out);
	fprintf(cli->out, "\t\t['.']='%s'\n", common_options);
	for (command = cli->commands; *command; command++) {
		print_options(cli->out, *command);
	}
	fputs("\t)\n\n", cli->out);
	for (command = cli->commands; *command; command++) {
		print_paths(cli->out, *command);
	}
	fputs(tail, cli->out);
	return EXITCODE_OK;
}

const struct command command_completion = {
	.name = "completion",
	.synopsis = "",
	.summary = "Print what bash needs to complete commands and options",
	.help = "Installed already where bash-completion looks for it. Else:\n"
		"\n"
		"  . <(ogdsync completion)\n",
	.run = run_completion,
};
