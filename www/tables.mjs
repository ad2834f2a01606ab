// Tables of functions: top, and callers and callees. Knows counts and elements; must not know where they come from.
import { button, el, table } from "./dom.mjs";
import { COLUMNS, amount, digits, percent, plain, scale } from "./words.mjs";

// A number of a column: [in its unit, share]; grey and with a sign when it rests on hardly any samples.
function cells(v, t, rare) {
	const [size] = t.scale;
	return [
		el(
			"td",
			{
				className: rare ? "n rare" : "n",
				title: rare ? "From fewer than 5 samples: a guess." : null,
			},
			(rare && v ? "≈\u00a0" : "") + digits(v / size),
		),
		el("td", { className: "n share" }, percent(v, t.sum)),
	];
}
function name(f, t, extra) {
	const { p } = t,
		file = p.files[f] && `${p.files[f]}${p.lines[f] ? ":" + p.lines[f] : ""}`;
	const module = p.mappings[p.modules[f]]?.file ?? "";
	return el(
		"td",
		{ className: "name" },
		button(plain(p.names[f]), () => t.select(f), {
			className: t.marked?.[f] ? "link hit" : "link",
			title: plain(`${p.names[f].slice(0, 2000)}\n${file || module}`),
			ariaCurrent: f === t.selected ? "true" : null,
		}),
		extra && el("small", extra),
	);
}
const bar = (v, t) => {
	const e = el("td", { className: "bar" }, el("i"));
	e.firstChild.style.width = t.sum ? `${Math.min(100 * Math.abs(v / t.sum), 100)}%` : 0;
	return e;
};
const withUnit = (text, unit) => (unit ? `${text} (${unit})` : text);
const head = (t, key, unit, wide) => {
	const [text, title] = COLUMNS[key],
		chosen = t.sort === key;
	return el(
		"th",
		{ scope: "col", colSpan: wide ? 2 : 1, title, ariaSort: chosen ? "descending" : null },
		button(withUnit(text, unit) + (chosen ? " ▾" : ""), () => t.sorting(key), {
			className: "link",
			id: "sort-" + key,
		}),
	);
};
const title = (key, unit) => el("th", { scope: "col", title: COLUMNS[key][1] }, withUnit(COLUMNS[key][0], unit));

// What goes into the rows, by what they are sorted by, and the heads above them.
function plainRows(t, { self, total }, by) {
	let run = 0;
	return {
		heads: [
			head(t, "self", t.scale[1], true),
			t.sort === "self" && title("run"),
			head(t, "total", t.scale[1], true),
		],
		row(f, extra) {
			const rare = t.raw && t.raw(f) < 5;
			run += self[0][f];
			return [
				bar(by(f), t),
				cells(self[0][f], t, rare),
				t.sort === "self" && el("td", { className: "n share" }, percent(run, t.sum)),
				cells(total[0][f], t, rare),
				name(f, t, extra),
			];
		},
	};
}
function diffRows(t, { self, total }, by) {
	const change = (list, f) => {
		const d = list[1][f] - list[2][f],
			little = t.chance(list[1][f], list[2][f], list[3][f], list[4][f]);
		return el(
			"td",
			{ className: `n ${little ? "rare" : d > 0 ? "more" : "less"}` },
			(d > 0 ? "+" : "") + digits(d / t.scale[0]),
		);
	};
	return {
		heads: [
			title("before", t.scale[1]),
			title("after", t.scale[1]),
			head(t, "change", t.scale[1]),
			head(t, "changeTotal", t.scale[1]),
			el("th"),
		],
		row: (f, extra) => [
			bar(by(f), t),
			cells(self[2][f], t)[0],
			cells(self[1][f], t)[0],
			change(self, f),
			change(total, f),
			el("td", { className: "share" }, total[2][f] ? (total[1][f] ? "" : "gone") : "new"),
			name(f, t, extra),
		],
	};
}

// t: { p, top (of model.mjs: for one profile the weights and the samples taken, for a difference all, after, before and
// the samples of both), sum, unit, raw(f): samples taken of a function or null, diff, chance, sort, limit, selected, marked, select(f), sorting(key), more() }.
export function topTable(t) {
	const { self, total, recursive } = t.top,
		{ names } = t.p;
	const diff = list => f => Math.abs(list[1][f] - list[2][f]);
	const by = {
		self: f => self[0][f],
		total: f => total[0][f],
		change: t.diff && diff(self),
		changeTotal: t.diff && diff(total),
	}[t.sort];
	const rows = [...names.keys()].filter(f => total[0][f] !== 0);
	rows.sort((a, b) => by(b) - by(a) || total[0][b] - total[0][a] || (names[a] < names[b] ? -1 : 1));
	t.scale = scale(t.sum, t.unit);
	const { heads, row } = (t.diff ? diffRows : plainRows)(t, t.top, by),
		shown = rows.slice(0, t.limit);
	return [
		table(
			"top",
			"Functions, heaviest first",
			[el("th", { ariaHidden: "true" }), heads, el("th", { scope: "col", className: "name" }, "function")],
			shown.map(f => el("tr", row(f, recursive[f] ? "recursive" : null))),
		),
		rows.length > shown.length &&
			button(`show all ${digits(rows.length)} functions`, t.more, { className: "more", id: "all" }),
	];
}

// One function between those that call it and those it calls; t as above, with callers, callees, selected.
export function peekTable(t) {
	const f = t.selected,
		own = t.top.self[0][f],
		all = t.top.total[0][f];
	t.scale = scale(all, t.unit);
	const of = { ...t, sum: all };
	const rows = (list, none) =>
		list.length
			? list.map(e =>
					el(
						"tr",
						bar(e.value, of),
						cells(e.value, of),
						name(e.f, t, e.inlined ? "inlined" : null),
					),
				)
			: el("tr", el("td", { colSpan: 3 }), el("td", { className: "faint" }, none));
	const part = (text, ...body) => [
		el("tr", { className: "part" }, el("th", { colSpan: 4, scope: "rowgroup" }, text)),
		body,
	];
	return table(
		"top peek",
		"Callers and callees",
		[
			el("th", { ariaHidden: "true" }),
			el("th", { scope: "col" }, t.scale[1] || "value"),
			el("th", { scope: "col", title: "Of the function in the middle, with its callees." }, "share"),
			el("th", { scope: "col", className: "name" }, "function"),
		],
		[
			part("called by", rows(t.callers, "nobody: stacks begin here")),
			el(
				"tr",
				{ className: "middle" },
				bar(all, of),
				cells(all, of),
				name(
					f,
					t,
					`self ${amount(own, t.unit)} (${percent(own, t.sum)} of all) · with callees ${amount(all, t.unit)} (${percent(all, t.sum)} of all)`,
				),
			),
			part("calls", rows(t.callees, "nobody: it does all by itself")),
		],
	);
}
