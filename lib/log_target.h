#pragma once

/*
 * Where log lines go: stderr, a file, the journal. Internal to lib/log.c.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing here waits: what a descriptor does not take at once is refused.
 */

#include <stdbool.h>
#include <stddef.h>

#include "lib/attr.h"
#include "lib/error.h"
#include "lib/log.h"

enum stream_kind {
	STREAM_NONE,
	STREAM_FILE,   /* a description of our own that does not block, or a regular file */
	STREAM_SOCKET, /* told not to wait with each send */
	STREAM_SHARED, /* blocks and is not ours to change: asked before each piece */
};

struct log_stream {
	enum stream_kind kind;
	int fd;
	bool own; /* closed with the stream */
	bool cut; /* the last line went out in part: the next one needs a line end first */
};

/* A datagram takes 208 KiB where nobody changed the kernel's limits. */
enum { LOG_LINE_BYTES = 128 * 1024 };

struct log_target {
	enum log_format format; /* not AUTO */
	struct log_stream err;
	struct log_stream file;
	char *file_name;
	int journal_fd; /* -1 but for LOG_FORMAT_JOURNAL */
	char *journal_socket;
};

#define LOG_TARGET_NONE {.format = LOG_FORMAT_LOGFMT, .journal_fd = -1}

int log_target_open(const struct log_options *options, struct log_target *ret, struct error *error)
	must_check;
void log_target_close(struct log_target *target);

/* Open the file once more by its name; the old one stays when that fails. */
int log_target_reopen(struct log_target *target, struct error *error) must_check;

/* Write a line that includes its line end. False: it was not, or not wholly, taken. */
bool log_stream_write(struct log_stream *stream, const char *line, size_t len);

/* Send one entry in journald's native format, at most LOG_LINE_BYTES. False: it was not taken. */
bool log_target_send_journal(const struct log_target *target, const void *entry, size_t len);
