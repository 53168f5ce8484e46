#pragma once

/*
 * ogdsync doctor: what its checks share. SPDX-License-Identifier: Apache-2.0
 *
 * A check looks at one thing, waits for it, and fills in one finding. It changes nothing.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cli/database.h"
#include "daemon/decode.h"
#include "lib/attr.h"

enum finding_level {
	FINDING_OK,
	FINDING_SKIPPED, /* there is nothing to look at, or what it needs has failed */
	FINDING_UNKNOWN, /* it could not be found out */
	FINDING_WARNING,
	FINDING_CRITICAL,
};

enum { FINDING_REMEDY_BYTES = 256 };

struct finding {
	enum finding_level level;
	char text[ERROR_TEXT_BYTES];
	char remedy[FINDING_REMEDY_BYTES]; /* "" when all is well */
};

/* What came of one request to the portal. */
struct doctor_probe {
	int status;			 /* 0: no answer */
	struct error transport, content; /* set when something was wrong */
	struct envelope envelope;
	int64_t date_s; /* what the portal says the time is; 0: nothing */
	int64_t wall_s; /* what our clock said */
	double seconds;
};

struct doctor {
	struct cli *cli;
	struct database database; /* the configuration, the loop; the connection once it is there */
	bool is_probed;
	const struct source *source; /* that was asked for */
	struct doctor_probe *probes; /* one for each API key, or one without */
	unsigned n_probes;
};

void finding_set(struct finding *finding, enum finding_level level, const char *remedy,
	const char *format, ...) printf_like(4, 5);

void doctor_check_config(struct doctor *doctor, struct finding *finding);

/* cli/doctor_portal.c */
void doctor_check_dns(struct doctor *doctor, struct finding *finding);
void doctor_check_tls(struct doctor *doctor, struct finding *finding);
void doctor_check_clock(struct doctor *doctor, struct finding *finding);
void doctor_check_key(struct doctor *doctor, struct finding *finding);
void doctor_check_page(struct doctor *doctor, struct finding *finding);

/* cli/doctor_database.c */
void doctor_check_database(struct doctor *doctor, struct finding *finding);
void doctor_check_schema(struct doctor *doctor, struct finding *finding);
void doctor_check_rights(struct doctor *doctor, struct finding *finding);

/* cli/doctor_host.c */
void doctor_check_spool(struct doctor *doctor, struct finding *finding);
void doctor_check_unit(struct doctor *doctor, struct finding *finding);
void doctor_check_daemon(struct doctor *doctor, struct finding *finding);
