/*
 * The status page: ask, and show the answers. SPDX-License-Identifier: Apache-2.0
 *
 * The status document is asked for every few seconds, by its tag, so that an answer without news has
 * no body. What the ledger knows (runs, coverage, quarantine, schedule) is asked for when the status
 * has moved on, and every minute. Each part says for itself when it is not available; what was known
 * stays, with its time. When nobody answers, the page says since when, and asks less and less often.
 * A page that nobody sees asks once a minute.
 */

import { clearCalendar, range, showCoverage, startCalendar } from "./calendar.js";
import { showRuns, startRuns } from "./runs.js";
import { bytes, chip, clock, count, day, duration, el, facts, show, table, tick, when, words, zone }
	from "./view.js";

const RUNNING_MS = 1000, IDLE_MS = 3000, HIDDEN_MS = 60000, GONE_MS = 2000, GONE_MAX_MS = 30000;
const LISTS_MS = 60000, LISTS_LEAST_MS = 3000, TIMEOUT_MS = 15000, N_RUNS = 15, N_SCHEDULE = 10, MAX_KNOWN = 50;

const page = {
	known: new Map(), /* path -> {etag, body} of the last good answer */
	status: null,
	answeredAt: null, /* when the daemon last answered, ms */
	isGone: false,
	goneMs: 0,        /* how long to wait before asking again */
	news: "",         /* what of the status makes the lists old */
	listsAt: 0,
	coverage: null,
	monthsBack: 0,
	timer: 0,
};

function part(id) {
	return document.querySelector(`#${id} .body`);
}

function remember(path, answer) {
	if (page.known.size >= MAX_KNOWN) {
		page.known.clear();
	}
	page.known.set(path, answer);
}

/* {body}, or {detail} when it is not available, with gone when nobody answered. */
async function ask(path) {
	const known = page.known.get(path);
	let response;

	try {
		response = await fetch(path, {
			headers: known?.etag ? { "If-None-Match": known.etag } : {},
			cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS),
		});
		if (response.status === 304) {
			return { body: known.body };
		}
		const body = await response.json();
		if (!response.ok) {
			return { detail: body.detail ?? `the daemon answers ${response.status}` };
		}
		remember(path, { etag: response.headers.get("ETag"), body });
		return { body };
	} catch {
		return { detail: response ? "the answer cannot be read" : "nobody answers", gone: !response };
	}
}

/* State and alerts. */

function stateOf(status) {
	if (status.status === "running") {
		const { dataset, source } = status.running ?? {};

		return ["running", dataset ? `Running ${dataset}/${source}` : "Running"];
	}
	return status.paused ? ["paused", "Paused"] : ["idle", "Idle"];
}

function alertsOf(status) {
	const alerts = [];

	if (page.isGone) {
		alerts.push(["down", page.answeredAt
			? `The daemon does not answer since ${clock(page.answeredAt)}. What you see is of then.`
			: "The daemon does not answer."]);
	}
	if (!status) {
		return alerts;
	}
	if (status.database.state === "down") {
		alerts.push(["down", "The database is down. Pages are fetched and wait on the disk; "
			+ "runs, coverage and quarantine cannot be read."]);
	} else if (status.database.state === "schema") {
		alerts.push(["schema", "The tables do not fit the configuration; nothing is loaded. "
			+ "See ogdsync schema plan."]);
	}
	if (status.spool.limit_bytes && status.spool.bytes >= status.spool.limit_bytes) {
		alerts.push(["down", "The spool is full; fetching waits."]);
	}
	for (const dataset of status.datasets.filter((one) => one.stale)) {
		alerts.push(["stale", `${dataset.name} is stale: its newest date is ${
			dataset.newest_date ? day(dataset.newest_date) : "not known"}.`]);
	}
	return alerts;
}

function showState() {
	const [state, text] = page.isGone || !page.status ? ["down", "No answer"] : stateOf(page.status);
	const place = document.getElementById("state");
	const asOf = document.getElementById("as-of");

	show(place, [state, text], () => chip(state, text));
	show(document.getElementById("alerts"), alertsOf(page.status), (alerts) =>
		alerts.map(([kind, message]) => el("p", { class: `alert ${kind}` }, chip(kind, message))));
	asOf.textContent = page.answeredAt ? `as of ${clock(page.answeredAt)}` : "";
	document.body.classList.toggle("gone", page.isGone);
	document.title = `${text} · ogdsync`;
}

/* The parts that come from the status document. */

function progressOf(running) {
	const page = running.page ?? 0, pages = running.pages;
	const done = pages ? `page ${count(page)} of ${count(pages)}` : `page ${count(page)}`;

	return [
		el("p", { class: "big" }, chip("running", `${running.dataset}/${running.source}`)),
		el("p", {}, "Slice ", el("strong", {}, words(running.slice ?? "–")), `, ${done}, ${
			count(running.rows)} rows, run ${running.run}`),
		el("progress", {
			"aria-label": `Progress of ${running.dataset}/${running.source}`, max: pages || null,
			value: pages ? Math.min(page, pages) : null,
		}),
	];
}

function lastOf(sync) {
	const took = duration(sync.duration_seconds);

	return [
		el("p", {}, "Last run: ", chip(sync.status), ", ended ", when(sync.finished_at), `, took ${took}`),
		el("p", {}, `${count(sync.records_fetched)} received = ${count(sync.records_inserted)} new + ${
			count(sync.records_updated)} changed + ${count(sync.records_unchanged)} unchanged + ${
			count(sync.records_duplicate)} twice + ${count(sync.records_quarantined)} in quarantine`),
		sync.error ? el("p", { class: "error" }, sync.error) : null,
	];
}

function nowOf({ running, queue, paused, reload, last, next, syncs, failures }) {
	const waiting = queue.map((one) => `${one.dataset}/${one.source}`).join(", ");

	return [
		...(running ? progressOf(running) : [el("p", { class: "big" }, paused
			? chip("paused", "Paused: the schedule starts nothing") : chip("idle", "Nothing runs"))]),
		waiting ? el("p", {}, `Then: ${waiting}`) : null,
		reload ? el("p", {}, "A changed configuration waits for the end of this run.") : null,
		el("p", {}, "Next run: ", when(next)),
		...(last ? lastOf(last) : [el("p", {}, "No run has ended yet.")]),
		el("p", { class: "quiet" }, `${count(syncs)} runs, ${count(failures)} of them no success`),
	];
}

function machineOf({ database, lease, spool }) {
	return el("dl", {}, facts([
		["Database", [chip(database.state), " since ", when(database.since)]],
		...(database.error ? [["Error", el("span", { class: "error" }, database.error)]] : []),
		["Lease", [chip(lease.state), lease.epoch === null ? "" : ` epoch ${count(lease.epoch)}`]],
		...(lease.state === "standby" && lease.holder ? [["Held by", lease.holder]] : []),
		["Spool", [`${bytes(spool.bytes)} of ${bytes(spool.limit_bytes)} `,
			el("meter", { "aria-label": "Use of the spool", min: 0, max: spool.limit_bytes || 1,
				high: spool.limit_bytes * 0.9, value: spool.bytes })]],
		["Files", `${count(spool.ready)} wait for the database, ${count(spool.loaded)} loaded`],
	]));
}

const DATASETS = [
	{ title: "Dataset", cell: (row) => row.name },
	{ title: "Newest date", cell: (row) => row.newest_date ? day(row.newest_date) : "–" },
	{ title: "Freshness", cell: (row) => row.stale ? chip("stale") : row.newest_date ? chip("fresh") : "–" },
	{ title: "Missing days", number: true, cell: (row) => count(row.coverage.missing_days) },
	{ title: "Partial days", number: true, cell: (row) => count(row.coverage.partial_days) },
];

const SOURCES = [
	{ title: "Source", cell: (row) => `${row.dataset}/${row.name}` },
	{ title: "State", cell: (row) => row.status === "running" ? chip("running")
		: row.paused ? chip("paused") : row.last_sync ? chip(row.last_sync.status) : "not yet run" },
	{ title: "Last run", cell: (row) => when(row.last_sync?.finished_at) },
	{ title: "Received", number: true, cell: (row) => count(row.last_sync?.records_fetched) },
	{ title: "Last success", cell: (row) => when(row.last_success_at) },
	{ title: "Next run", cell: (row) => when(row.next_run_at) },
	{ title: "Failures", number: true, cell: (row) => `${count(row.total_failures)} of ${count(row.total_syncs)}` },
];

function datasetsOf(datasets) {
	const sources = datasets.flatMap((dataset) =>
		dataset.sources.map((source) => ({ ...source, dataset: dataset.name })));

	return [table("Datasets and how fresh they are", DATASETS, datasets),
		table("Sources and their last and next runs", SOURCES, sources)];
}

function showDatasetChoice(datasets) {
	const select = document.getElementById("coverage-dataset"), before = select.value;
	const names = datasets.map((dataset) => dataset.name);
	/* Of those with dates first: the others have no calendar. */
	const dated = (datasets.find((dataset) => dataset.coverage.missing_days !== null)
		?? datasets.find((dataset) => dataset.newest_date))?.name;

	show(select, names, () => names.map((name) => el("option", { value: name }, name)));
	select.value = names.includes(before) ? before : dated ?? names[0] ?? "";
}

function showStatus(status) {
	show(part("now"), {
		running: status.running, queue: status.queue, paused: status.paused, reload: status.reload,
		last: status.last_sync, next: status.next_run_at, syncs: status.total_syncs, failures: status.total_failures,
	}, nowOf);
	show(part("machine"), { database: status.database, lease: status.lease, spool: status.spool }, machineOf);
	show(part("datasets"), status.datasets, datasetsOf);
	showDatasetChoice(status.datasets);
}

/* The parts that come from the ledger. */

const SCHEDULE = [
	{ title: "Source", cell: (row) => `${row.dataset}/${row.source}` },
	{ title: "When", cell: (row) => when(row.at) },
	{ title: "Trigger", cell: (row) => row.trigger },
];

const REASONS = [
	{ title: "Reason", cell: (row) => row.reason },
	{ title: "Dataset", cell: (row) => row.dataset },
	{ title: "Rows", number: true, cell: (row) => count(row.count) },
];

function tableOr(rows, none, ...rest) {
	return rows.length ? table(...rest, rows) : el("p", {}, none);
}

const LISTS = {
	runs: {
		path: () => `/sync/runs?limit=${N_RUNS}`,
		show: ({ runs }) => showRuns(runs, ask),
	},
	schedule: {
		path: () => `/sync/schedule?n=${N_SCHEDULE}`,
		show: ({ schedule }) => show(part("schedule"), schedule, () =>
			tableOr(schedule, "Nothing is scheduled.", "Next runs", SCHEDULE)),
	},
	quarantine: {
		path: () => "/sync/quarantine?limit=1",
		show: ({ by_reason: reasons, total }) => show(part("quarantine"), reasons, () => [
			tableOr(reasons, "Nothing is in quarantine.", "Rows in quarantine by reason", REASONS),
			reasons.length ? el("p", { class: "quiet" },
				`${count(total)} in all. See them with ogdsync quarantine.`) : null]),
	},
	coverage: {
		path: coveragePath,
		show: (coverage) => {
			page.coverage = coverage;
			showCoverage(coverage);
		},
	},
};

function coveragePath() {
	const dataset = document.getElementById("coverage-dataset").value;

	return dataset
		? `/sync/coverage?${new URLSearchParams({ dataset, ...range(new Date(), page.monthsBack, monthsShown()) })}`
		: null;
}

function monthsShown() {
	return window.matchMedia("(max-width: 40rem)").matches ? 2 : 6;
}

/* Ask for one list, and say when it is not available or old. */
async function refresh(name) {
	const list = LISTS[name], path = list.path(), note = document.querySelector(`#${name} .note`);
	const answer = path ? await ask(path) : { detail: "no dataset is known" };

	if (path !== list.path()) {
		return; /* somebody has chosen another meanwhile */
	}
	if (answer.body) {
		list.show(answer.body);
		list.at = Date.now();
	}
	note.hidden = Boolean(answer.body);
	note.textContent = answer.body ? "" : `Not available: ${answer.detail}.${
		list.at ? ` What is shown is of ${clock(list.at)}.` : ""}`;
}

function newsOf(status) {
	return JSON.stringify([status.total_syncs, status.running?.run, status.running?.slice, status.paused,
		status.database.state, status.next_run_at, status.datasets.map((dataset) => dataset.newest_date)]);
}

function refreshLists(status) {
	const age = Date.now() - page.listsAt, news = newsOf(status);

	if (age > LISTS_MS || (news !== page.news && age > LISTS_LEAST_MS)) {
		page.news = news;
		page.listsAt = Date.now();
		Object.keys(LISTS).forEach(refresh);
	}
}

/* The life of the page. */

/* How long until the next question. */
function pause() {
	if (document.hidden) {
		return HIDDEN_MS;
	}
	return page.isGone ? page.goneMs : page.status?.status === "running" ? RUNNING_MS : IDLE_MS;
}

function schedule() {
	clearTimeout(page.timer);
	page.timer = setTimeout(poll, pause());
}

async function poll() {
	clearTimeout(page.timer);
	const answer = await ask("/sync/status");

	if (page.isGone && answer.body) {
		page.listsAt = 0; /* all of it is old */
	}
	page.isGone = !answer.body;
	page.goneMs = page.isGone ? Math.min(page.goneMs * 2 || GONE_MS, GONE_MAX_MS) : 0;
	if (answer.body) {
		page.status = answer.body;
		page.answeredAt = Date.now();
		showStatus(page.status);
		refreshLists(page.status);
	}
	showState();
	schedule();
}

function move(months) {
	page.monthsBack = Math.max(0, page.monthsBack + months);
	document.getElementById("coverage-later").disabled = page.monthsBack === 0;
	page.coverage = null;
	LISTS.coverage.at = 0;
	clearCalendar();
	refresh("coverage");
}

function start() {
	document.getElementById("zone").textContent = zone;
	document.getElementById("coverage-dataset").addEventListener("change", () => move(0));
	document.getElementById("coverage-earlier").addEventListener("click", () => move(monthsShown()));
	document.getElementById("coverage-later").addEventListener("click", () => move(-monthsShown()));
	document.addEventListener("visibilitychange", () => document.hidden ? schedule() : poll());
	startRuns(ask);
	startCalendar(() => page.coverage, ask);
	setInterval(tick, 1000);
	poll();
}

start();
