/*
 * ogdsyncd: reads its command line and its configuration, and runs the daemon.
 * SPDX-License-Identifier: Apache-2.0
 */

#include <config.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/message_id.h"
#include "lib/exitcode.h"
#include "lib/log.h"
#include "lib/scrub.h"

struct arguments {
	const char *config_file;
	bool check, once;
	uint64_t timeout_ms;
};

static const char usage[] =
	"Usage: ogdsyncd [--config FILE] [--check] [--once [--timeout DURATION]]\n"
	"\n"
	"Keeps PostgreSQL in step with the Open Government Data portal of India.\n"
	"\n"
	"  --config FILE       read this configuration instead of " OGDSYNC_CONFIG_FILE "\n"
	"  --check             read the configuration, report every problem, and exit\n"
	"  --once              run each scheduled source once, load what the spool holds, and exit\n"
	"  --timeout DURATION  with --once: stop after so long (90s, 10m, 2h)\n"
	"  --help, --version\n"
	"\n"
	"Exit codes of --once: 0 all success; 75 partial, suspect, or fetched but not loaded; 69 the\n"
	"portal is unavailable; 77 the key or a database right was refused; 78 configuration or schema.\n";

static int parse_timeout(const char *text, uint64_t *ret_ms)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);
	uint64_t unit = strcmp(end, "s") == 0   ? 1000
			: strcmp(end, "m") == 0 ? 60 * 1000
			: strcmp(end, "h") == 0 ? 3600 * 1000
						: 0;

	if (end == text || unit == 0 || n == 0 || n > 1000000) {
		return -1;
	}
	*ret_ms = n * unit;
	return 0;
}

static int bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "ogdsyncd: %s%s\nTry 'ogdsyncd --help'.\n", what, value);
	return EXITCODE_USAGE;
}

/* Returns -1 to go on, or the exit code. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'},
		{"once", no_argument, NULL, 'o'},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			arguments->config_file = optarg;
			break;
		case 'k':
			arguments->check = true;
			break;
		case 'o':
			arguments->once = true;
			break;
		case 't':
			if (parse_timeout(optarg, &arguments->timeout_ms) < 0) {
				return bad_usage("--timeout wants 90s, 10m or 2h, not ", optarg);
			}
			break;
		case 'h':
			fputs(usage, stdout);
			return EXITCODE_OK;
		case 'V':
			puts("ogdsyncd " OGDSYNC_VERSION);
			return EXITCODE_OK;
		default:
			return EXITCODE_USAGE;
		}
	}
	if (optind < argc) {
		return bad_usage("unexpected argument: ", argv[optind]);
	}
	if (arguments->timeout_ms && !arguments->once) {
		return bad_usage("--timeout goes with --once", "");
	}
	return -1;
}

/* Secrets are in our memory: no core, no ptrace by others of the same user. */
static void protect_process(void)
{
	struct rlimit none = {0, 0};

	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file limit is an error of write(), not a death */
}

static int load_config(const char *file, struct config **ret)
{
	_cleanup_buffer_ struct buffer report = {0};

	if (config_load(file, ret, &report) == 0) {
		return 0;
	}
	fputs(buffer_str(&report), stderr);
	return -1;
}

static int open_log(const struct config *config, struct error *error)
{
	struct log_options options = {
		.format = config->log.format,
		.level = config->log.level,
		.file = config->log.file,
		.message_ids = message_ids,
	};

	return log_open(&options, error);
}

static int run(struct config *config, const struct arguments *arguments)
{
	struct error error = {.class = ERROR_NONE};
	struct daemon_options options = {
		.config = config,
		.once = arguments->once,
		.timeout_ms = arguments->timeout_ms,
	};
	int code = EXITCODE_CONFIG;

	setenv("TZ", config->timezone, 1); /* for the times that people read */
	tzset();
	config_unset_secrets(config);
	if (open_log(config, &error) == 0) {
		code = daemon_run(&options, &error);
	}
	if (error_is_set(&error)) {
		scrub_text(error.text);
		fprintf(stderr, "ogdsyncd: %s\n", error.text);
	}
	log_close();
	return code;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.config_file = OGDSYNC_CONFIG_FILE};
	struct config *config = NULL;
	int code = parse_arguments(argc, argv, &arguments);

	if (code >= 0) {
		return code;
	}
	signal(SIGHUP, SIG_IGN); /* until the loop takes it */
	protect_process();
	if (load_config(arguments.config_file, &config) < 0) {
		return EXITCODE_CONFIG;
	}
	code = EXITCODE_OK;
	if (arguments.check) {
		printf("%s: OK\n", config->file);
	} else {
		code = run(config, &arguments);
	}
	config_unref(config);
	return code;
}
