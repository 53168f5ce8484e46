/*
 * The coverage calendar: a table for each month, a button for each day that the ledger knows.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One day takes part in the order of Tab; the arrow keys move among the days. Choosing a day asks
 * why it is as it is.
 */

import { count, day, el, facts, show, sign, when } from "./view.js";

const STATES = ["complete", "open", "partial", "suspect", "empty", "missing"];
const WEEKDAYS = [["Mo", "Monday"], ["Tu", "Tuesday"], ["We", "Wednesday"], ["Th", "Thursday"],
	["Fr", "Friday"], ["Sa", "Saturday"], ["Su", "Sunday"]];
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
const MONTH = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });

const months = document.getElementById("coverage-months");
const summary = document.getElementById("coverage-summary");
const why = document.getElementById("why");
const whyTitle = document.getElementById("why-title");
let chosen = null; /* the date in the order of Tab */

function utc(year, month, dayOfMonth) {
	return new Date(Date.UTC(year, month, dayOfMonth));
}

function iso(date) {
	return date.toISOString().slice(0, 10);
}

/* The first and last day of `n` months that end `back` months before the one of `today`. */
export function range(today, back, n) {
	const year = today.getUTCFullYear(), month = today.getUTCMonth() - back;
	const last = utc(year, month + 1, 0);

	return { from: iso(utc(year, month - n + 1, 1)), to: iso(last < today ? last : today) };
}

function describe(entry) {
	const rows = entry.expected === null || entry.expected === undefined
		? entry.received ? `, ${count(entry.received)} rows` : ""
		: `, ${count(entry.received)} of ${count(entry.expected)} rows`;

	return `${day(entry.date)}: ${entry.state}${rows}`;
}

function cell(date, entry) {
	const number = date.getUTCDate();

	if (!entry) {
		return el("td", {}, el("span", { class: "nothing" }, number));
	}
	return el("td", {}, el("button", {
		type: "button", class: `day ${entry.state}`, "data-date": entry.date, tabindex: -1,
		"aria-label": describe(entry), title: describe(entry),
	}, number, el("span", { class: "sign", "aria-hidden": "true" }, sign(entry.state))));
}

function monthTable(first, byDate) {
	const year = first.getUTCFullYear(), month = first.getUTCMonth();
	const length = utc(year, month + 1, 0).getUTCDate(), offset = (first.getUTCDay() + 6) % 7;
	const weeks = [];

	for (let start = 1 - offset; start <= length; start += 7) {
		weeks.push(el("tr", {}, WEEKDAYS.map((_, i) => {
			const date = utc(year, month, start + i);

			return date.getUTCMonth() === first.getUTCMonth() ? cell(date, byDate.get(iso(date))) : el("td");
		})));
	}
	return el("table", { class: "month" }, el("caption", {}, MONTH.format(first)),
		el("thead", {}, el("tr", {}, WEEKDAYS.map(([short, long]) =>
			el("th", { scope: "col", abbr: long }, short)))),
		el("tbody", {}, weeks));
}

function monthsOf(coverage) {
	const byDate = new Map(coverage.days.map((entry) => [entry.date, entry]));
	const tables = [];
	let first = new Date(`${coverage.from.slice(0, 7)}-01T00:00:00Z`);

	while (iso(first) <= coverage.to) {
		tables.push(monthTable(first, byDate));
		first = utc(first.getUTCFullYear(), first.getUTCMonth() + 1, 1);
	}
	return tables;
}

function summaryOf(counts) {
	return STATES.filter((state) => counts[state] !== undefined).map((state) => el("li", {},
		el("span", { class: `day ${state}`, "aria-hidden": "true" }, el("span", { class: "sign" }, sign(state))),
		`${count(counts[state])} ${state}`));
}

function buttons() {
	return [...months.querySelectorAll("button")];
}

function button(date) {
	return months.querySelector(`button[data-date="${date}"]`);
}

/* Let `date`, or else the newest day, be the one that Tab reaches. */
function choose(date) {
	const all = buttons(), one = (date && button(date)) || all.at(-1);

	all.forEach((other) => { other.tabIndex = other === one ? 0 : -1; });
	chosen = one ? one.dataset.date : null;
	return one;
}

export function showCoverage(coverage) {
	const focus = months.contains(document.activeElement);

	show(summary, coverage.summary, summaryOf);
	show(months, coverage, monthsOf);
	const one = choose(chosen);
	if (focus && one) {
		one.focus();
	}
}

/* The day that a key leads to: the nearest one that the ledger knows, in its direction. */
function neighbour(date, key) {
	const all = buttons(), dates = all.map((one) => one.dataset.date), at = new Date(`${date}T00:00:00Z`);
	const month = at.getUTCMonth();
	let target;

	if (key in STEPS) {
		at.setUTCDate(at.getUTCDate() + STEPS[key]);
	} else if (key === "PageUp" || key === "PageDown") {
		at.setUTCMonth(month + (key === "PageUp" ? -1 : 1), Math.min(at.getUTCDate(), 28));
	} else if (key === "Home" || key === "End") {
		at.setUTCDate(key === "Home" ? 1 : utc(at.getUTCFullYear(), month + 1, 0).getUTCDate());
	} else {
		return null;
	}
	target = iso(at);
	return target < date ? dates.findLast((other) => other <= target) ?? dates[0]
		: dates.find((other) => other >= target) ?? dates.at(-1);
}

function onKey(event) {
	const target = event.target.dataset.date && neighbour(event.target.dataset.date, event.key);

	if (target) {
		event.preventDefault();
		choose(target).focus();
	}
}

function factsOf(entry) {
	return facts([["State", entry.state], ["Source", entry.source ?? "–"],
		["Rows", `${count(entry.received)} of ${count(entry.expected)}`],
		["Different rows", count(entry.distinct)], ["In quarantine", count(entry.quarantined)],
		["Reason", entry.code ?? "–"], ["Attempts", count(entry.attempts)], ["Next try", when(entry.next_try)],
		["Run", entry.run ?? "–"], ["Last looked at", when(entry.checked_at)]]);
}

function closeWhy() {
	why.hidden = true;
	(choose(chosen) ?? months).focus();
}

async function openWhy(entry, dataset, ask) {
	const text = document.getElementById("why-text");

	whyTitle.textContent = describe(entry);
	text.textContent = "Asking …";
	document.getElementById("why-facts").replaceChildren(...factsOf(entry));
	why.hidden = false;
	whyTitle.focus();
	const answer = await ask(`/sync/why?${new URLSearchParams({ dataset, date: entry.date })}`);
	if (chosen === entry.date) {
		text.replaceChildren(answer.body ? answer.body.text : `Not available: ${answer.detail}.`);
	}
}

/* `current` says which coverage is shown; `ask` gets a document. */
export function startCalendar(current, ask) {
	months.addEventListener("keydown", onKey);
	months.addEventListener("click", (event) => {
		const one = event.target.closest("button"), coverage = current();

		if (one && coverage) {
			choose(one.dataset.date);
			openWhy(coverage.days.find((entry) => entry.date === chosen), coverage.dataset, ask);
		}
	});
	document.getElementById("why-close").addEventListener("click", closeWhy);
	why.addEventListener("keydown", (event) => event.key === "Escape" && closeWhy());
}

export function clearCalendar() {
	chosen = null;
	why.hidden = true;
	show(summary, null, () => []);
	show(months, null, () => []);
}
