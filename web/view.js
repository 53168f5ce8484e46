/*
 * How the page shows things. SPDX-License-Identifier: Apache-2.0
 *
 * Names come from the portal and texts from elsewhere, so everything is set as text: nothing here or
 * in the other files makes HTML out of a string. Text in Devanagari is marked as such, so that a
 * reader pronounces it and the right font is taken.
 */

const DEVANAGARI = /([\u0900-\u097f]+(?:\s+[\u0900-\u097f]+)*)/;

/* An element with its attributes and children; a child is a node or a text, null is left out. */
export function el(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);

	for (const [name, value] of Object.entries(attributes)) {
		if (value !== null && value !== undefined && value !== false) {
			element.setAttribute(name, value === true ? "" : value);
		}
	}
	for (const child of children.flat()) {
		if (child !== null && child !== undefined) {
			element.append(child instanceof Node ? child : words(String(child)));
		}
	}
	return element;
}

/* A text; what of it is in Devanagari is marked so. */
export function words(text) {
	const all = document.createDocumentFragment();

	text.split(DEVANAGARI).forEach((part, i) => {
		all.append(i % 2 ? el("span", { lang: "hi" }, document.createTextNode(part)) : part);
	});
	return all;
}

const NUMBER = new Intl.NumberFormat("en-US");
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MOMENT = new Intl.DateTimeFormat("en-GB",
	{ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

export const zone = CLOCK.resolvedOptions().timeZone;

export function count(n) {
	return n === null || n === undefined ? "–" : NUMBER.format(n);
}

export function clock(ms) {
	return CLOCK.format(ms);
}

/* "2026-11-25" as people write it. */
export function day(date) {
	return DAY.format(new Date(`${date}T00:00:00Z`));
}

/* A time of a document as it is in this zone, with how far away it is (kept right by tick()). */
export function when(rfc3339) {
	const at = Date.parse(rfc3339 ?? "");

	if (Number.isNaN(at)) {
		return el("span", { class: "quiet" }, "–");
	}
	return el("time", { datetime: rfc3339, title: EXACT.format(at) }, MOMENT.format(at), " ",
		el("span", { class: "quiet", "data-at": at }, distance(at, Date.now())));
}

export function tick() {
	for (const span of document.querySelectorAll("[data-at]")) {
		const text = distance(Number(span.dataset.at), Date.now());

		if (span.textContent !== text) {
			span.textContent = text;
		}
	}
}

/* "in 5 min", "2 d 3 h ago". */
export function distance(at, now) {
	const text = duration(Math.round(Math.abs(at - now) / 1000));

	return at > now ? `in ${text}` : `${text} ago`;
}

export function duration(seconds) {
	const s = Math.round(seconds);
	const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"],
		[Math.floor(s / 60) % 60, "min"]];
	const first = parts.findIndex(([n]) => n > 0);

	if (first < 0) {
		return seconds < 10 && seconds % 1 ? `${seconds.toFixed(1)} s` : `${s} s`;
	}
	return parts.slice(first, first + 2).filter(([n]) => n > 0).map((part) => part.join(" ")).join(" ");
}

export function bytes(n) {
	const units = ["B", "KiB", "MiB", "GiB", "TiB"];
	let unit = 0;

	while (n >= 1024 && unit < units.length - 1) {
		n /= 1024;
		unit++;
	}
	return `${unit ? n.toFixed(1) : n} ${units[unit]}`;
}

/* A state as a sign and a word: the colour only helps. */
const SIGNS = {
	success: "✓", complete: "✓", proven: "✓", up: "✓", holder: "✓", fresh: "✓",
	running: "▶", open: "…", spooled: "⇣", loading: "⇣", idle: "·", standby: "‖", paused: "‖",
	partial: "◐", suspect: "?", stale: "!", schema: "!", empty: "∅", unknown: "?",
	failed: "✕", missing: "✕", down: "✕", rolled_back: "↶", canceled: "–",
};

export function sign(state) {
	return SIGNS[state] ?? "•";
}

export function chip(state, text = state) {
	return el("span", { class: `chip ${state}` },
		el("span", { class: "sign", "aria-hidden": "true" }, sign(state)), text);
}

/*
 * A table with a heading for each column. A column is {title, cell(row), number}. The roles are
 * written out, because on a narrow screen rows become blocks and would lose them.
 */
export function table(caption, columns, rows) {
	const head = el("tr", { role: "row" }, columns.map((column) =>
		el("th", { role: "columnheader", scope: "col", class: column.number ? "number" : null }, column.title)));
	const body = rows.map((row) => el("tr", { role: "row" }, columns.map((column, i) =>
		el(i ? "td" : "th", {
			role: i ? "cell" : "rowheader", scope: i ? null : "row", "data-title": column.title,
			class: column.number ? "number" : column.wide ? "wide" : null,
		}, column.cell(row)))));

	return el("table", { role: "table" }, el("caption", { class: "unseen" }, caption),
		el("thead", { role: "rowgroup" }, head), el("tbody", { role: "rowgroup" }, body));
}

/* Pairs of a name and its value. */
export function facts(pairs) {
	return pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

/*
 * Show what was made from `document` in `place`, unless it stands there already: so a reader or the
 * focus is not disturbed by what has not changed.
 */
const shown = new WeakMap();

export function show(place, document, make) {
	const key = JSON.stringify(document);

	if (shown.get(place) !== key) {
		shown.set(place, key);
		place.replaceChildren(...[make(document)].flat().filter((node) => node !== null));
	}
}
