#pragma once

/*
 * Small files that are replaced whole or not at all. SPDX-License-Identifier: Apache-2.0
 *
 * Written to `<path>.tmp` (mode 0600), synced, renamed over `path`, the directory synced: after a crash
 * at any instant the file holds the old bytes or the new ones. One write of a path at a time.
 */

#include <stddef.h>
#include <uv.h>

#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/error.h"

/* Blocks. The error names file and errno; the old file is then untouched. */
int atomic_file_write(const char *path, const void *data, size_t len, struct error *error)
	must_check;

/*
 * The same in the thread pool. Path and data are copied. on_done comes once from the loop, error is
 * NULL on success. Returns 0, or -ENOMEM and then no callback comes.
 */
typedef void (*atomic_file_done_fn)(void *arg, const struct error *error);
int atomic_file_write_async(uv_loop_t *loop, const char *path, const void *data, size_t len,
	atomic_file_done_fn on_done, void *arg) must_check;

/*
 * Append a whole file to `out`. Blocks. Code "ENOENT" when there is none, "too_large" (REJECTED)
 * when it has more than limit_bytes.
 */
int atomic_file_read(const char *path, size_t limit_bytes, struct buffer *out, struct error *error)
	must_check;
