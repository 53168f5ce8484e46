#pragma once

/*
 * How ogdsyncd and ogdsync exit. Pure. SPDX-License-Identifier: Apache-2.0
 *
 * The numbers are those of sysexits.h; ogdsync(1) and ogdsyncd(8) promise them.
 */

enum exitcode {
	EXITCODE_OK = 0,
	EXITCODE_USAGE = 64,         /* the command line is wrong */
	EXITCODE_DATA = 65,          /* an input file is bad */
	EXITCODE_NO_INPUT = 66,      /* an input file is not there */
	EXITCODE_UNAVAILABLE = 69,   /* the portal, the daemon or an address is */
	EXITCODE_SOFTWARE = 70,      /* a bug */
	EXITCODE_TRY_AGAIN = 75,     /* partial, suspect, not loaded, or somebody else is at it */
	EXITCODE_NO_PERMISSION = 77, /* a key or a right was refused */
	EXITCODE_CONFIG = 78,        /* the configuration, or a schema that does not fit */
};

/* Checks (`doctor`, `status --check`) exit as monitoring plugins do. */
enum check_level {
	CHECK_OK = 0,
	CHECK_WARNING = 1,
	CHECK_CRITICAL = 2,
	CHECK_UNKNOWN = 3,
};
