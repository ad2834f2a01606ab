// The call graph: the heaviest functions in layers, callers above callees. Knows counts, places and SVG.
import { calls } from "./model.mjs";
import { amount, fit, percent, plain } from "./words.mjs";

const NODES = 40,
	HEIGHT = 36,
	GAP = 56,
	SPACE = 18;

// The functions worth a box: those with most of the weight, by themselves or with their callees.
export function heaviest({ self: [self], total: [total], sums: [sum] }, most = NODES) {
	const all = [...total.keys()].filter(f => total[f] >= sum / 200);
	const by = key => [...all].sort((a, b) => key[b] - key[a]).slice(0, most / 2);
	return [...new Set([...by(total), ...by(self)])];
}

// A layer for each node, so that calls go down; calls back up a cycle are left as they are. Then an order within the
// layers that lets few lines cross, and places: [{ x, y, row }].
export function layout(widths, edges) {
	const n = widths.length,
		out = Array.from({ length: n }, () => []),
		row = new Int32Array(n),
		seen = new Uint8Array(n),
		order = [];
	for (const e of [...edges].sort((a, b) => b.value - a.value)) out[e.from].push(e.to);
	const visit = v => {
		seen[v] = 1;
		for (const to of out[v])
			if (!seen[to]) visit(to);
			else if (seen[to] === 1) edges.find(e => e.from === v && e.to === to).back = true;
		seen[v] = 2;
		order.unshift(v);
	};
	for (let v = 0; v < n; v++) if (!seen[v]) visit(v);
	for (const v of order)
		for (const e of edges) if (e.from === v && !e.back) row[e.to] = Math.max(row[e.to], row[v] + 1);
	const rows = [],
		x = new Float64Array(n);
	for (const v of order) (rows[row[v]] ??= []).push(v);
	const spread = list => {
		const width = list.reduce((a, v) => a + widths[v] + SPACE, -SPACE);
		let at = -width / 2;
		for (const v of list) {
			x[v] = at + widths[v] / 2;
			at += widths[v] + SPACE;
		}
	};
	rows.forEach(spread);
	for (let sweep = 0; sweep < 6; sweep++)
		for (const list of rows) {
			const want = list.map(v => {
				let sum = 0,
					weight = 0;
				for (const e of edges)
					if (e.from === v || e.to === v) {
						sum += x[e.from === v ? e.to : e.from] * e.value;
						weight += e.value;
					}
				return [v, weight ? sum / weight : x[v]];
			});
			want.sort((a, b) => a[1] - b[1]).forEach(([v], i) => {
				list[i] = v;
			});
			spread(list);
		}
	return widths.map((_, v) => ({ x: x[v], y: row[v] * (HEIGHT + GAP), row: row[v] }));
}

function svg(tag, props, ...children) {
	const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(props)) e.setAttribute(name, value);
	e.append(...children);
	return e;
}

// t: { p, w, unit, top (of model.mjs), colour(f), selected, select(f) }.
export function graphView(t) {
	const list = heaviest(t.top),
		{
			self: [self],
			total: [total],
			sums: [sum],
		} = t.top,
		{ names } = t.p;
	const edges = calls(t.p, t.w, list).filter(e => e.value >= sum / 500);
	const label = list.map(f => plain(fit(names[f], 34)));
	const widths = list.map((_, i) => Math.max(label[i].length * 7.3, 150) + 16);
	const at = layout(widths, edges);
	const left = Math.min(...at.map((a, i) => a.x - widths[i] / 2)) - 30,
		right = Math.max(...at.map((a, i) => a.x + widths[i] / 2)) + 30;
	const width = right - left,
		height = Math.max(...at.map(a => a.y)) + HEIGHT + 40;
	const root = svg("svg", {
		width,
		height,
		viewBox: `${left} -20 ${width} ${height}`,
		class: "graph",
		role: "group",
		"aria-label": "Call graph; callers above callees",
	});
	for (const e of edges) {
		const a = at[e.from],
			b = at[e.to],
			y1 = a.y + HEIGHT,
			y2 = b.y,
			bend = Math.max(Math.abs(y2 - y1) / 2, 30);
		root.append(
			svg(
				"path",
				{
					d: `M${a.x} ${y1}C${a.x} ${y1 + bend} ${b.x} ${y2 - bend} ${b.x} ${y2 - 3}`,
					class: e.direct ? "call" : "call far",
					"stroke-width": Math.max((8 * e.value) / sum, 1),
				},
				svg(
					"title",
					{},
					`${plain(names[list[e.from]])} → ${plain(names[list[e.to]])}: ${amount(e.value, t.unit)} (${percent(e.value, sum)})${
						e.direct ? "" : ", through others"
					}${e.inlined ? ", inlined" : ""}`,
				),
			),
		);
	}
	list.forEach((f, i) => {
		const { x, y } = at[i],
			[back, ink] = t.colour(f);
		const box = svg(
			"g",
			{
				tabindex: 0,
				role: "button",
				class: f === t.selected ? "node chosen" : "node",
				transform: `translate(${x - widths[i] / 2} ${y})`,
			},
			svg("title", {}, plain(names[f])),
			svg("rect", { width: widths[i], height: HEIGHT, rx: 4, fill: back }),
			svg("text", { x: 8, y: 15, fill: ink }, label[i]),
			svg(
				"text",
				{ x: 8, y: 30, fill: ink, class: "count" },
				`${percent(total[f], sum)} · self ${percent(self[f], sum)}`,
			),
		);
		box.addEventListener("click", () => t.select(f));
		box.addEventListener("keydown", e => e.key === "Enter" && t.select(f));
		root.append(box);
	});
	return root;
}
