/*
 * Feeds a fuzz target with the files of its corpus. SPDX-License-Identifier: Apache-2.0
 *
 *	replay-<name> FILE or DIRECTORY ...
 */

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/atomic_file.h"
#include "tests/fuzz/fuzz.h"

enum { LIMIT_BYTES = 16 * 1024 * 1024 };

static int replay_file(const char *path)
{
	_cleanup_buffer_ struct buffer text = {0};
	_cleanup_free_ uint8_t *exact = NULL;
	struct error error = {0};

	if (atomic_file_read(path, LIMIT_BYTES, &text, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	/* Of exactly that size, so that the sanitizer sees a byte too far. */
	exact = malloc(text.len > 0 ? text.len : 1);
	if (!exact) {
		return -1;
	}
	memcpy(exact, buffer_str(&text), text.len);
	LLVMFuzzerTestOneInput(exact, text.len);
	return 0;
}

/* Returns how many files were replayed, or -1. */
static int replay_directory(const char *directory)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, NULL, alphasort), n_files = 0, r = 0;

	for (int i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && r == 0) {
			r = replay_file(path);
			n_files++;
		}
		free(entries[i]);
	}
	if (n >= 0) {
		free(entries);
	}
	return n < 0 || r < 0 ? -1 : n_files;
}

int main(int argc, char **argv)
{
	int n_files = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		int n = 1;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			n = replay_directory(argv[i]);
		} else if (replay_file(argv[i]) < 0) {
			n = -1;
		}
		if (n < 0) {
			return EXIT_FAILURE;
		}
		n_files += n;
	}
	printf("%d files\n", n_files);
	return n_files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
