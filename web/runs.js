/*
 * Recent runs, and the slices of one that is opened. SPDX-License-Identifier: Apache-2.0
 *
 * The table is made afresh when a run begins or ends; the run that was open then stays open.
 */

import { chip, count, duration, el, show, table, when, words } from "./view.js";

const COUNTS = [
	{ title: "Received", number: true, cell: (row) => count(row.received) },
	{ title: "New", number: true, cell: (row) => count(row.inserted) },
	{ title: "Changed", number: true, cell: (row) => count(row.updated) },
	{ title: "Unchanged", number: true, cell: (row) => count(row.unchanged) },
	{ title: "Twice", number: true, cell: (row) => count(row.duplicate) },
	{ title: "Quarantine", number: true, cell: (row) => count(row.quarantined) },
];
const ERROR = { title: "Error", wide: true, cell: (row) => row.error ?? row.code ?? "" };

const RUNS = [
	{ title: "Started", cell: opener },
	{ title: "Source", cell: (row) => `${row.dataset}/${row.source}` },
	{ title: "State", cell: (row) => chip(row.state) },
	...COUNTS,
	{ title: "Took", number: true, cell: took },
	{ title: "Trigger", cell: (row) => row.trigger },
	ERROR,
];

const SLICES = [
	{ title: "Slice", cell: (row) => words(row.slice) },
	{ title: "State", cell: (row) => chip(row.state) },
	...COUNTS,
	{ title: "Expected", number: true, cell: (row) => count(row.expected) },
	{ title: "Pages", number: true, cell: (row) => count(row.pages) },
	ERROR,
];

const place = document.querySelector("#runs .body");
let open = null; /* the id of the run whose slices are shown */

function opener(row) {
	return el("button", { type: "button", class: "plain", "data-run": row.id, "aria-expanded": "false" },
		when(row.started_at), el("span", { class: "unseen" }, `, slices of run ${row.id}`));
}

function took(row) {
	return row.finished_at
		? duration((Date.parse(row.finished_at) - Date.parse(row.started_at)) / 1000) : "–";
}

function close() {
	place.querySelector(".slices")?.remove();
	place.querySelector("[aria-expanded=true]")?.setAttribute("aria-expanded", "false");
}

/* Put the slices of the open run below it. */
async function unfold(ask) {
	const id = open, answer = await ask(`/sync/runs/${id}`);
	const button = place.querySelector(`[data-run="${id}"]`);
	let content;

	close();
	if (open !== id || !button) {
		return; /* another one meanwhile, or it is too old to be listed */
	}
	if (!answer.body) {
		content = `Not available: ${answer.detail}.`;
	} else {
		const slices = answer.body.slice_list;

		content = slices.length ? table(`Slices of run ${id}`, SLICES, slices) : "It has no slice in the ledger.";
	}
	button.setAttribute("aria-expanded", "true");
	button.closest("tr").after(el("tr", { role: "row", class: "slices" },
		el("td", { role: "cell", colspan: RUNS.length, class: "wide" }, content)));
}

export function showRuns(runs, ask) {
	show(place, runs, () => runs.length ? table("Recent runs", RUNS, runs) : el("p", {}, "No run yet."));
	if (open && !place.querySelector(".slices")) {
		unfold(ask);
	}
}

export function startRuns(ask) {
	place.addEventListener("click", (event) => {
		const button = event.target.closest("[data-run]");

		if (!button) {
			return;
		}
		close();
		open = open === button.dataset.run ? null : button.dataset.run;
		if (open) {
			unfold(ask);
		}
	});
}
