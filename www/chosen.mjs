// From what is chosen to what is shown, step by step; each step is kept until what it depends on changes.
import { load } from "./captures.mjs";
import { combine, sides } from "./compare.mjs";
import { Tree, derive, marked, masked, matching, pattern, sum, taken, top } from "./model.mjs";
import { attempt, now, once } from "./now.mjs";
import { labelOf, nameId } from "./state.mjs";

// Null, or { s, c: the capture, b: what it is compared with, base: both, p: the stacks as shown, at and type: the sample
// type, filter: samples kept, columns: weights of all, w(): of those kept, total, visible: sums, raw and samples: how many
// were taken, even: each stands for the same, marks: functions searched for, f: the function chosen, byId: functions by
// nameId, view ... }.
export function chosen() {
	const { s, captures } = now;
	const c = captures.find(x => x.id === s.c),
		other = captures.find(x => x.id === s.b && x !== c);
	for (const y of [c, other]) if (y && !y.p) y.loading ??= attempt(() => load(y));
	// Large ones that are out of sight are read again when they come back.
	for (const y of captures) if (y !== c && y !== other && y.p?.n > 30000) y.p = y.loading = null;
	if (!c?.p) return null;
	const b = other?.p && !c.dump && other.types === c.types ? other : null;
	const x = { s, c, b, ...stacksOf(s, c, b) };
	x.view = s.v && (s.v !== "threads" || c.dump) ? s.v : c.dump ? "threads" : "flame";
	x.marks = s.q ? once("marks", [x.p, s.q], () => marked(x.p, s.q)) : null;
	x.pattern = s.q && pattern(s.q);
	x.byId = id => once("ids", [x.p.names], () => new Map(x.p.names.map((n, f) => [nameId(n), f]))).get(id);
	x.f = s.s ? (x.byId(s.s) ?? -1) : -1;
	return Object.assign(x, weightsOf(x));
}
function stacksOf(s, c, b) {
	const base = once("base", [c.p, b?.p, c.p.labels, b?.p.labels], () => (b ? combine(c.p, b.p) : c.p));
	const ends = base.comments.some(t => t.startsWith("Truncated: ")),
		group = s.g && base.labels?.find(l => l.key === s.g);
	const p = once("stacks", [base, s.r, group, ends], () => derive(base, { fold: s.r, group, ends }));
	const index = p.types.findIndex(t => t.type === s.i),
		at = index < 0 ? p.index : index;
	return { base, p, at, type: p.types[at] };
}
function weightsOf({ s, c, b, base, at, type }) {
	const filter = once("keep", [base, s.f, s.x, s.l], () => filterOf(s, base));
	const total = once("total", [base, at, b], () => sum(b ? c.p.values[at] : base.values[at]));
	const w = () => once("weights", [base, at, filter], () => masked(base.values[at], filter));
	const raw = once("raw", [base, at], () => (b ? taken(c.p) : taken({ ...base, index: at })));
	const samples = once("samples", [raw], () => raw && sum(raw)),
		[factor, mode] = b ? scaling(s, c.p, b.p, at) : [1];
	// Where each sample weighs the same, what was taken follows from the weight.
	const even = /^(cpu|time|samples)$/.test(type.type);
	const columns = once("columns", [base, at, raw, factor, b, even], () =>
		b ? sides(base, base.values[at], factor) : raw && !even ? [base.values[at], raw] : [base.values[at]],
	);
	const visible = filter || b ? once("visible", [columns, filter], () => sum(columns[b ? 1 : 0], filter)) : total;
	return { filter, total, w, raw, samples, even, columns, visible, mode };
}
function filterOf(s, p) {
	if (!s.f && !s.x && !s.l) return null;
	const focus = s.f && matching(p, marked(p, s.f, true));
	if (!s.x && !s.l) return focus;
	const ignore = s.x && matching(p, marked(p, s.x, true)),
		[key, value] = labelOf(s.l),
		out = new Uint8Array(p.n);
	const entry = p.labels?.find(l => l.key === key),
		at = entry?.values.map(String).indexOf(value) ?? -1;
	// What is not there is no label's number.
	const want = value === "" ? -1 : at < 0 ? NaN : at;
	for (let i = 0; i < p.n; i++)
		out[i] =
			(!focus || focus[i]) && !(ignore && ignore[i]) && (!s.l || (entry ? entry.of[i] : -1) === want) ? 1 : 0;
	return out;
}
// What the earlier capture is multiplied by to be compared, and how that is called.
function scaling(s, after, before, at) {
	if (s.h) return [sum(after.values[at]) / (sum(before.values[at]) || 1), "share"];
	return after.seconds && before.seconds ? [after.seconds / before.seconds, "second"] : [1, "plain"];
}

// With the call tree, and where in it the zoom and the selection are.
export function withTree(x) {
	const { s } = x;
	x.tree = once("tree" + s.n, [x.p], () => new Tree(x.p, s.n));
	if (x.tree.columns !== x.columns || x.tree.keep !== x.filter) x.tree.weigh(x.columns, x.filter);
	const node = text => x.tree.follow(text.split(".").map(x.byId));
	x.zoom = s.z ? node(s.z) : 0;
	x.node = s.p ? node(s.p) : -1;
}
// With the sums of all functions.
export function withTop(x) {
	const columns = () => x.columns.map(w => masked(w, x.filter));
	x.top = once("top", [x.p, x.columns, x.filter], () => top(x.p, columns()));
}
