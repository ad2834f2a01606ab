// The pictures: each fills the element it is given from what the page has worked out (x) and what is chosen (s).
import { button, choice, el, fill, table } from "./dom.mjs";
import { Flame, palette } from "./flame.mjs";
import { graphView } from "./graph.mjs";
import { chance } from "./compare.mjs";
import { neighbours } from "./model.mjs";
import { now, once } from "./now.mjs";
import { peekTable, topTable } from "./tables.mjs";
import { groupThreads, lockGraph, looksIdle, shortNames, unmoved } from "./threads.mjs";
import { amount, clock, percent, plain, plural } from "./words.mjs";

const noise = (tree, v, exact) => chance(tree.value(v, 1), tree.value(v, 2), tree.value(v, 3), tree.value(v, 4), exact);
// More is orange, less is blue, the stronger the larger the part; grey is what chance may do.
function changeColour(tree, x, dark) {
	return v => {
		const a = tree.value(v, 1),
			b = tree.value(v, 2),
			part = (a - b) / Math.max(a, b, 1e-9),
			much = Math.min(Math.abs(part), 1);
		const light = dark ? 24 + 22 * much : 90 - 28 * much,
			ink = dark ? "#f2f4f6" : "#15171a";
		return noise(tree, v, !x.raw)
			? [`hsl(220 6% ${dark ? 28 : 88}%)`, ink]
			: [`hsl(${part > 0 ? 28 : 212} ${40 + 45 * much}% ${light}%)`, ink];
	};
}

let flame;
function showFlame(host, x, page) {
	const { s, tree } = x,
		dark = page.dark();
	if (!flame?.host.isConnected || flame.host.parentElement !== host) {
		const area = el("div", {
			className: "flame",
			id: "flame",
			tabIndex: 0,
			ariaLabel: "Flame graph: the arrow keys move, Enter zooms, Escape goes back",
		});
		fill(host, area);
		flame = new Flame(area, {
			hover: page.hover,
			select: page.selectNode,
			zoom: page.zoom,
			thin: page.thin,
		});
	}
	const colours = once("colours", [x.p.names, dark], () => palette(x.p, dark)),
		changed = changeColour(tree, x, dark);
	const css = once("css", [dark], () => {
		const style = getComputedStyle(host),
			names = ["back", "rest", "faint", "accent", "hit", "text", "mono"];
		return Object.fromEntries(names.map(name => [name, style.getPropertyValue("--" + name)]));
	});
	const names = once("plain names", [x.p.names], () => []),
		hit = [css.hit, "#15171a"],
		all = [css.rest, css.text];
	flame.show(tree, {
		css,
		zoom: x.zoom,
		selected: x.node,
		flip: s.u,
		colour: v =>
			v === 0 ? all : x.marks?.[tree.frame[v]] ? hit : x.b ? changed(v) : colours(tree.frame[v]),
		name: v =>
			v === 0
				? `all · ${amount(x.visible, x.type.unit)}`
				: (names[tree.frame[v]] ??= plain(x.p.names[tree.frame[v]])),
	});
}
// When all is laid out, for it takes a walk.
export function labelFlame(x) {
	flame.canvas.setAttribute("aria-label", `Flame graph. Heaviest path: ${heaviestPath(x)}`);
}
function heaviestPath({ tree, p, zoom, visible }) {
	const out = [];
	for (let v = tree.children(zoom)[0]; v !== undefined && out.length < 12; v = tree.children(v)[0])
		out.push(`${plain(p.names[tree.frame[v]]).slice(0, 80)} ${percent(tree.value(v), visible)}`);
	return out.join(", ");
}
export const revealNode = v => flame?.host.isConnected && flame.reveal(v);

const tableOf = (x, page) => ({
	p: x.p,
	top: x.top,
	sum: x.visible,
	unit: x.type.unit,
	raw: x.even ? f => (x.top.total[0][f] * x.samples) / x.total : x.raw && (f => x.top.total[1][f]),
	diff: Boolean(x.b),
	chance: (a, b, na, nb) => chance(a, b, na, nb, !x.raw),
	selected: x.f,
	marked: x.marks,
	select: f => page.selectFunction(f),
});

function showTop(host, x, page) {
	const sort = x.b ? (/^change/.test(x.s.o) ? x.s.o : "change") : x.s.o === "total" ? "total" : "self";
	fill(
		host,
		topTable({
			...tableOf(x, page),
			sort,
			limit: now.limit,
			more: page.more,
			sorting: o => page.go({ o }),
		}),
	);
}

function showPeek(host, x, page) {
	const f = x.f >= 0 ? x.f : x.top.self[0].indexOf(Math.max(...x.top.self[0]));
	const sides = once("peek", [x.p, x.at, x.filter, f], () => neighbours(x.p, x.w(), f));
	fill(host, f < 0 ? [] : peekTable({ ...tableOf(x, page), ...sides, selected: f }));
}

function showGraph(host, x, page) {
	fill(
		host,
		graphView({
			p: x.p,
			w: x.w(),
			unit: x.type.unit,
			top: x.top,
			selected: x.f,
			colour: palette(x.p, page.dark()),
			select: page.selectFunction,
		}),
	);
}

// ---- threads ----

const chainOf = cycle =>
	cycle.map(t => `${t.name || "thread"} ${t.tid} waits for ${t.lock || "thread"} held by ${t.owner}`).join("; ");
function locksBox({ locks, cycles }) {
	if (!locks.length) return null;
	const who = t => `${t.name || "thread"} ${t.tid}`;
	return [
		cycles.map(c =>
			el(
				"p",
				{ className: "deadlock", role: "alert" },
				el("b", c.length > 1 ? "Deadlock: " : "A thread waits for itself: "),
				plain(chainOf(c)),
			),
		),
		table(
			"locks",
			"Who waits for whom",
			["waited for", "held by", "waiting"].map(h => el("th", { scope: "col" }, h)),
			locks.map(l =>
				el(
					"tr",
					el("td", plain(l.lock)),
					el("td", l.owner ? plain(who(l.owner)) : "not known"),
					el("td", `${l.waiters.length}: ${plain(shortNames(l.waiters.map(who)))}`),
				),
			),
		),
	];
}
const BEGINNING = /^(_{0,2}clone3?|start_thread|_start|__libc_start\S*|thread_start)$/;
function groupBox(group, still, copyText) {
	const [t] = group,
		longest = Math.max(...group.map(x => x.minutes)),
		stuck = still && group.filter(x => still.has(x.tid)).length;
	const names = [...new Set(group.map(x => x.name))].some(Boolean) ? shortNames(group.map(x => x.name)) : "";
	return el(
		"details",
		{ className: "group", open: group.length < 50 },
		el(
			"summary",
			el("b", `${group.length} × `),
			el(
				"span",
				{ className: "name" },
				plain(
					names ||
						group
							.map(x => x.tid)
							.slice(0, 8)
							.join(", "),
				),
			),
			el(
				"span",
				{ className: "state" },
				[
					t.state,
					longest && `up to ${plural(longest, "minute")}`,
					still && (stuck ? `${stuck} not moved` : "moved"),
				]
					.filter(Boolean)
					.join(" · "),
			),
		),
		el(
			"ol",
			t.frames.map(f =>
				el(
					"li",
					{ className: BEGINNING.test(f.name) ? "faint" : "" },
					el("span", plain(f.name)),
					f.inlined && el("small", " inlined"),
					el("small", f.file && ` ${plain(f.file)}:${f.line}`),
				),
			),
		),
		t.cut && el("small", "The walk of this stack ended early."),
		el("small", [
			`${group.length > 1 ? "threads" : "thread"} ${group
				.slice(0, 30)
				.map(x => x.tid + (x.cpu ? ` (${x.cpu} of CPU)` : ""))
				.join(", ")}${group.length > 30 ? " …" : ""} `,
			t.creator && `· started by ${plain(t.creator)} `,
		]),
		button("Copy", copyText, { className: "link" }),
	);
}
function showThreads(host, x, page) {
	const { dump } = x.c,
		{ s } = x,
		others = page.dumps().filter(c => c !== x.c);
	const other = others.find(c => c.id === s.b),
		still = other && (other.when < x.c.when ? unmoved(other.dump, dump) : unmoved(x.c.dump, other.dump));
	const states = new Map();
	for (const t of dump.threads) states.set(t.state, (states.get(t.state) ?? 0) + 1);
	const keep = t =>
		(!s.a || t.state === s.a) &&
		!(s.j && looksIdle(t)) &&
		(!s.q || x.pattern.test(t.name + "\n" + t.frames.map(f => f.name).join("\n"))) &&
		(!x.filter || x.filter[dump.threads.indexOf(t)]);
	const shown = dump.threads.filter(keep),
		groups = groupThreads(shown);
	fill(
		host,
		el(
			"div",
			{ className: "threads" },
			el(
				"div",
				{ className: "row" },
				[...states]
					.sort((a, b) => b[1] - a[1])
					.map(([state, n]) =>
						button(
							`${state} ${n}`,
							() => page.go({ a: s.a === state ? "" : state }, true),
							{
								className: "pill",
								id: "state-" + state,
								ariaPressed: String(s.a === state),
							},
						),
					),
				button("hide waiting ones", () => page.go({ j: s.j ? "" : "1" }), {
					ariaPressed: String(Boolean(s.j)),
					id: "idle",
					title: "Hides threads in waits that idle pools are in. A guess.",
				}),
				el("span", { className: "grow" }),
				button(
					"Compare in 5 s",
					e => {
						e.target.textContent = "Comparing in 5 s …";
						page.again();
					},
					{
						id: "again",
						title: "Takes another dump in 5 s and tells which threads have not moved",
					},
				),
				others.length > 0 &&
					choice(
						[
							["", "not compared"],
							...others.map(c => [c.id, `with ${clock(c.when)}`]),
						],
						s.b,
						b => page.go({ b }, true),
						{ id: "with", ariaLabel: "compared with" },
					),
			),
			still &&
				el(
					"p",
					{ id: "still" },
					`Same stack in both dumps: ${plural(dump.threads.filter(t => still.has(t.tid)).length, "thread")} of ${dump.threads.length}. ` +
						"Only these can be stuck.",
				),
			locksBox(lockGraph(dump.threads)),
			shown.length < dump.threads.length &&
				el(
					"p",
					{ className: "faint" },
					`${plural(dump.threads.length - shown.length, "thread")} hidden.`,
				),
			groups
				.slice(0, 300)
				.map(g =>
					groupBox(g, still, () =>
						page.copy(
							g
								.map(t => `goroutine ${t.tid} [${t.state}]:\n${t.key}`)
								.join("\n\n"),
						),
					),
				),
		),
	);
}

function showRaw(host, x, page) {
	fill(host, el("pre", { id: "raw" }, plain2(x.c.text ?? "")));
	if (x.c.text === undefined) page.loadRaw();
}
const plain2 = text =>
	text
		.split("\n")
		.map(l => l.split("\t").map(plain).join("\t"))
		.join("\n");

export const SHOW = {
	flame: showFlame,
	top: showTop,
	peek: showPeek,
	graph: showGraph,
	threads: showThreads,
	raw: showRaw,
};
