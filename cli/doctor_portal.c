/*
 * ogdsync doctor: the portal. SPDX-License-Identifier: Apache-2.0
 *
 * One request for each API key tells it all: whether the name is known, whether a connection with a
 * good certificate comes about, what time the portal has, whether it takes the key, and whether the
 * key is one of those that get ten rows and no more. It goes the way of a page of the daemon: the
 * same client, URL, parser and verdict.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "daemon/page_url.h"
#include "daemon/portal.h"
#include "daemon/verdict.h"
#include "lib/scrub.h"

enum {
	SAMPLE_ROWS = 10, /* what a sample key gets at most */
	CLOCK_WARNING_S = 30,
	CLOCK_CRITICAL_S = 300, /* certificates and days begin to look wrong */
};

/* One request, from its start until it has ended. */
struct asking {
	struct doctor *doctor;
	struct doctor_probe *probe;
	struct decode *decode;
};

static int on_record(void *arg, const struct record *record)
{
	(void)arg;
	(void)record;
	return 0;
}

static enum http_take on_body(void *arg, const void *data, size_t len)
{
	struct asking *asking = arg;

	/* What is wrong is said again at the end. */
	if (decode_feed(asking->decode, data, len, &asking->probe->content) != 0) {
		error_clear(&asking->probe->content);
	}
	return HTTP_TAKE;
}

static void on_done(void *arg, const struct http_response *response, const struct error *error)
{
	struct asking *asking = arg;
	struct doctor_probe *probe = asking->probe;

	probe->status = response->status;
	probe->date_s = response->date_s;
	probe->seconds = response->seconds;
	probe->wall_s = clock_wall_us(&clock_system) / 1000000;
	if (error) {
		probe->transport = *error;
	} else if (decode_finish(asking->decode, &probe->envelope, &probe->content) == 0) {
		(void)!envelope_check(&probe->envelope, &probe->content);
	}
	database_done(&asking->doctor->database, NULL);
}

static void on_closed(void *arg)
{
	database_done(arg, NULL);
}

static void ask(
	struct doctor *doctor, struct portal *portal, const char *key, struct doctor_probe *probe)
{
	static const struct filter_list no_filters;
	struct asking asking = {.doctor = doctor, .probe = probe};
	_cleanup_buffer_ struct buffer url = {0};
	struct page_query query = {
		.base_url = doctor->database.config->portal.base_url,
		.source = doctor->source,
		.filters = &no_filters,
		.limit = SAMPLE_ROWS + 1,
		.api_key = key,
	};
	struct http_request request = {.on_body = on_body, .on_done = on_done, .arg = &asking};
	struct http_transfer *transfer;

	if (decode_new(on_record, NULL, &asking.decode) < 0) {
		(void)!error_no_memory(&probe->transport, "doctor");
		return;
	}
	page_url(&query, &url);
	request.url = buffer_str(&url);
	if (http_start(portal_http(portal), &request, &transfer, &probe->transport) == 0) {
		(void)!database_wait(&doctor->database);
	}
	decode_free(asking.decode);
}

/* A source without slices is the quickest to answer. */
static const struct source *find_source(const struct config *config)
{
	const struct source *found = NULL;

	for (unsigned i = 0; i < config->n_datasets; i++) {
		const struct dataset *dataset = config->datasets[i];

		for (unsigned j = 0; j < dataset->n_sources; j++) {
			const struct source *source = &dataset->sources[j];

			if (!found || (found->slice.sliced && !source->slice.sliced)) {
				found = source;
			}
		}
	}
	return found;
}

/* Ask, the first time. Returns what came of the first key, or NULL and the finding says why. */
static const struct doctor_probe *probe(struct doctor *doctor, struct finding *finding)
{
	struct config *config = doctor->database.config;
	struct portal_options options = {.config = &config->portal, .clock = &clock_system};
	unsigned n = config->portal.n_api_keys ? config->portal.n_api_keys : 1;
	struct portal *portal;

	if (doctor->is_probed) {
		return doctor->probes;
	}
	doctor->source = find_source(config);
	if (!doctor->source) {
		finding_set(finding, FINDING_SKIPPED, NULL, "no source to ask for");
		return NULL;
	}
	doctor->probes = calloc(n, sizeof(*doctor->probes));
	if (!doctor->probes || portal_new(&doctor->database.loop, &options, &portal) < 0) {
		finding_set(finding, FINDING_UNKNOWN, NULL, "out of memory");
		return NULL;
	}
	doctor->n_probes = n;
	doctor->is_probed = true;
	for (unsigned i = 0; i < n; i++) {
		ask(doctor, portal, config->portal.n_api_keys ? config->portal.api_keys[i] : "",
			&doctor->probes[i]);
	}
	portal_close(portal, on_closed, &doctor->database);
	(void)!database_wait(&doctor->database);
	return doctor->probes;
}

static bool failed_by(const struct doctor_probe *probe, const char *code)
{
	return strcmp(probe->transport.code, code) == 0;
}

void doctor_check_dns(struct doctor *doctor, struct finding *finding)
{
	const struct config_portal *portal = &doctor->database.config->portal;
	const struct doctor_probe *first = probe(doctor, finding);

	if (!first) {
		return;
	}
	if (failed_by(first, "resolve")) {
		finding_set(finding, FINDING_CRITICAL,
			"look at /etc/resolv.conf and portal.base_url; behind a proxy set "
			"portal.proxy",
			"%s", first->transport.text);
		return;
	}
	finding_set(finding, FINDING_OK, NULL, "the name in %s is known%s", portal->base_url,
		portal->proxy ? " to the proxy" : "");
}

static const char *remedy_for_connection(const struct error *error)
{
	if (strcmp(error->code, "tls") == 0) {
		return error->class == ERROR_REJECTED
			? "install ca-certificates, or set portal.ca_file; look at the clock"
			: "look for a firewall or proxy in between; set portal.proxy";
	}
	if (strcmp(error->code, "connect") == 0 || strcmp(error->code, "timeout") == 0) {
		return "look for a firewall; try portal.ip: 4; behind a proxy set portal.proxy";
	}
	return "try again; if it stays, set portal.ip: 4, and look for a proxy in between";
}

void doctor_check_tls(struct doctor *doctor, struct finding *finding)
{
	const struct config_portal *portal = &doctor->database.config->portal;
	const struct doctor_probe *first = probe(doctor, finding);

	if (!first) {
		return;
	}
	if (first->status == 0) {
		finding_set(finding, FINDING_CRITICAL, remedy_for_connection(&first->transport),
			"%s", first->transport.text);
	} else if (strncmp(portal->base_url, "https:", 6) != 0) {
		finding_set(
			finding, FINDING_OK, NULL, "connected; %s needs no TLS", portal->base_url);
	} else {
		finding_set(finding, FINDING_OK, NULL, "connected, the certificate is good");
	}
}

void doctor_check_clock(struct doctor *doctor, struct finding *finding)
{
	const struct doctor_probe *first = probe(doctor, finding);
	int64_t off;

	if (!first) {
		return;
	}
	if (first->date_s == 0) {
		finding_set(finding, FINDING_UNKNOWN,
			"compare `date` with another clock, and see that NTP runs",
			"the portal says no time");
		return;
	}
	off = first->wall_s - first->date_s;
	if (llabs(off) > CLOCK_WARNING_S) {
		finding_set(finding,
			llabs(off) > CLOCK_CRITICAL_S ? FINDING_CRITICAL : FINDING_WARNING,
			"let NTP set the clock: `timedatectl set-ntp true`",
			"the clock is %" PRId64 " s %s that of the portal", (int64_t)llabs(off),
			off > 0 ? "ahead of" : "behind");
		return;
	}
	finding_set(finding, FINDING_OK, NULL, "within %d s of the portal's", CLOCK_WARNING_S);
}

static struct verdict judge(const struct doctor_probe *probe)
{
	struct answer answer = {
		.status = probe->status,
		.transport = error_is_set(&probe->transport) ? &probe->transport : NULL,
		.content = error_is_set(&probe->content) ? &probe->content : NULL,
		.message = probe->envelope.message,
	};

	return verdict_of(&answer);
}

static const char *remedy_for_answer(const struct error *error)
{
	if (strcmp(error->code, "key_refused") == 0) {
		return "log in at data.gov.in, and copy the key of \"My Account\" as it stands";
	}
	if (strcmp(error->code, "key_missing") == 0) {
		return "set portal.api_key or portal.api_key_file";
	}
	if (strcmp(error->code, "http_403") == 0) {
		return "a firewall in front of the portal refuses this address; try from India, or "
		       "a "
		       "proxy";
	}
	if (strcmp(error->code, "rate_limited") == 0) {
		return "lower portal.requests_per_minute; is the key in use elsewhere?";
	}
	if (strcmp(error->code, "portal_error") == 0 || strcmp(error->code, "http_404") == 0) {
		return "look at `resource` of the source";
	}
	return "the portal has trouble of its own; try again later";
}

/* A key that is refused is critical only when no other is left. */
static void judge_keys(const struct doctor *doctor, struct finding *finding)
{
	unsigned n_good = 0, bad = 0;
	struct verdict bad_verdict = {0};

	for (unsigned i = 0; i < doctor->n_probes; i++) {
		struct verdict verdict = judge(&doctor->probes[i]);

		if (verdict.action == VERDICT_ACCEPT) {
			n_good++;
		} else {
			bad = i + 1;
			bad_verdict = verdict;
		}
	}
	if (bad == 0) {
		finding_set(finding, FINDING_OK, NULL, "%u of %u keys taken, for %s", n_good,
			doctor->n_probes, doctor->source->label);
		return;
	}
	finding_set(finding, n_good ? FINDING_WARNING : FINDING_CRITICAL,
		remedy_for_answer(&bad_verdict.error), "key %u of %u, %s: %s", bad,
		doctor->n_probes, doctor->source->label, bad_verdict.error.text);
}

/* That there is none is known without the portal. */
void doctor_check_key(struct doctor *doctor, struct finding *finding)
{
	struct error missing = {.class = ERROR_NONE};
	const struct doctor_probe *first = probe(doctor, finding);

	if (config_require(doctor->database.config, CONFIG_NEED_KEY, &missing) < 0) {
		finding_set(finding, FINDING_CRITICAL,
			"register at data.gov.in, and set portal.api_key_file", "%s", missing.text);
	} else if (first && first->status == 0) {
		finding_set(finding, FINDING_SKIPPED, NULL, "tls comes first");
	} else if (first) {
		judge_keys(doctor, finding);
	}
}

static bool is_sample(const struct doctor_probe *probe)
{
	return judge(probe).action == VERDICT_ACCEPT && probe->envelope.has_total &&
		probe->envelope.total > SAMPLE_ROWS && probe->envelope.n_records == SAMPLE_ROWS;
}

void doctor_check_page(struct doctor *doctor, struct finding *finding)
{
	const struct config_portal *portal = &doctor->database.config->portal;

	for (unsigned i = 0; i < doctor->n_probes; i++) {
		if (is_sample(&doctor->probes[i])) {
			finding_set(finding, FINDING_WARNING,
				"take the key of an account of your own: a day of prices would "
				"need a "
				"thousand requests",
				"key %u of %u is a sample key: %d rows in an answer, whatever is "
				"asked for",
				i + 1, doctor->n_probes, SAMPLE_ROWS);
			return;
		}
	}
	finding_set(finding, FINDING_OK, NULL,
		"%" PRIu64 " of %" PRId64
		" rows in %.1f s; the daemon asks %u times a minute at most",
		doctor->probes[0].envelope.n_records, doctor->probes[0].envelope.total,
		doctor->probes[0].seconds, portal->requests_per_minute);
}
