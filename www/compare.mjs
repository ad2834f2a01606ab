// Two profiles beside each other. Pure.
import { numbers, taken } from "./model.mjs";

// Two profiles of the same sample types as one: first the samples of `after`, then those of `before`, functions of one
// name the same.
export function combine(after, before) {
	const names = [...after.names],
		files = [...after.files],
		modules = [...after.modules],
		lines = [...after.lines];
	const known = new Map(names.map((name, f) => [name, f])),
		mappings = [...after.mappings, ...before.mappings];
	const map = before.names.map((name, f) => {
		if (!known.has(name)) {
			known.set(name, names.push(name) - 1);
			files.push(before.files[f]);
			lines.push(before.lines[f]);
			modules.push(before.modules[f] < 0 ? -1 : before.modules[f] + after.mappings.length);
		}
		return known.get(name);
	});
	const n = after.n + before.n,
		length = after.start[after.n],
		start = new Int32Array(n + 1);
	start.set(after.start);
	for (let s = 1; s <= before.n; s++) start[after.n + s] = length + before.start[s];
	const frames = new Int32Array(length + before.start[before.n]);
	frames.set(after.frames.subarray(0, length));
	for (let i = 0; i < frames.length - length; i++)
		frames[length + i] = (2 * map[before.frames[i] >> 1]) | (before.frames[i] & 1);
	const values = after.values.map((w, k) => join(w, before.values[k])),
		labels = [];
	for (const { key } of [...(after.labels ?? []), ...(before.labels ?? [])])
		if (!labels.some(l => l.key === key)) labels.push(joinLabel(key, after, before));
	return {
		...after,
		n,
		start,
		frames,
		names,
		files,
		lines,
		modules,
		mappings,
		values,
		labels,
		within: null,
		sides: [after, before],
	};
}
function join(a, b) {
	const out = new a.constructor(a.length + b.length);
	out.set(a);
	out.set(b, a.length);
	return out;
}
function joinLabel(key, after, before) {
	const none = p => ({ values: [], of: new Int32Array(p.n).fill(-1) });
	const [a, b] = [after, before].map(p => p.labels?.find(l => l.key === key) ?? none(p));
	const values = [...a.values],
		map = b.values.map(v => (values.includes(v) ? values.indexOf(v) : values.push(v) - 1));
	return {
		key,
		values,
		of: join(
			a.of,
			b.of.map(v => (v < 0 ? v : map[v])),
		),
	};
}

// The weights of a difference: all, after, before (made as long, or as much, as after by the factor), and the samples
// that were taken for each side.
export function sides(base, w, factor) {
	const [after, before] = base.sides,
		cut = after.n,
		ra = taken(after),
		rb = taken(before);
	const n = w.length,
		a = numbers(n, s => (s < cut ? w[s] : 0)),
		b = numbers(n, s => (s < cut ? 0 : w[s] * factor));
	const samples = (r, from, to) => numbers(n, s => (r && w[s] && s >= from && s < to ? r[s - from] : 0));
	return [numbers(n, s => a[s] + b[s]), a, b, samples(ra, 0, cut), samples(rb, cut, n)];
}
// Is a change from b to a, told by nb and na samples, no more than chance may do? exact: every event was counted.
export function chance(a, b, na, nb, exact) {
	const off = (v, n, w, m) => (n ? (v * v) / n : m ? (w / m) ** 2 : 0);
	return a === b || (!exact && Math.abs(a - b) < 2 * Math.sqrt(off(a, na, b, nb) + off(b, nb, a, na)));
}
