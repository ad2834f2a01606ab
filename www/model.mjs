// What the views count: the call tree, the table of functions, callers and callees, filters and differences. Pure
// arithmetic over the arrays of pprof.mjs; must not know the page.
//
// A "stacks" object is { n, start, frames, names, files, modules, mappings ... }: sample s has the frames
// frames[start[s]] ... frames[start[s + 1] - 1], leaf first, each a function's number * 2 + (1 if inlined).
// Weights are one number for each sample; a sample that a filter hides weighs 0.

// The call tree over stacks, or from the leaves when inverted. A node is a range of samples that begin alike; its
// children are made when somebody looks. weigh() must come first.
export class Tree {
	constructor(p, inverted) {
		const { n, start } = p;
		this.p = p;
		this.step = inverted ? 1 : -1;
		for (const name of ["from", "len", "perm", "room"]) this[name] = new Int32Array(n);
		for (let s = 0; s < n; s++) {
			this.from[s] = inverted ? start[s] : start[s + 1] - 1;
			this.len[s] = start[s + 1] - start[s];
			this.perm[s] = s;
		}
		this.which = new Int32Array(n);
		this.slot = new Int32Array(p.names.length + 1).fill(-1);
		Object.assign(this, {
			frame: [-1],
			parent: [-1],
			depth: [0],
			lo: [0],
			hi: [n],
			inlined: [0],
			kids: [null],
			sorted: [0],
		});
		this.epoch = 0;
	}

	// Columns of weights, and which samples count, all if null: a node is as wide as its sum of the first column.
	weigh(columns, keep) {
		const { n } = this.p,
			other = this.columns !== columns;
		Object.assign(this, { columns, keep });
		for (const name of ["weights", "sums"])
			this[name] = columns.map((_, c) => this[name]?.[c] ?? new Float64Array(n + 1));
		this.add(0, n, other);
		this.epoch++;
	}
	// The weights stand in the tree's order as well: looked up by perm[] they take several times as long.
	add(lo, hi, moved) {
		const { perm, keep } = this;
		this.columns.forEach((w, c) => {
			const sum = this.sums[c],
				own = this.weights[c];
			if (moved) for (let i = lo; i < hi; i++) own[i] = w[perm[i]];
			for (let i = lo, total = sum[lo]; i < hi; i++) sum[i + 1] = total += keep ? own[i] * keep[perm[i]] : own[i];
		});
	}
	value(v, c = 0) {
		return this.sums[c][this.hi[v]] - this.sums[c][this.lo[v]];
	}
	// What is in the node itself and not in its children.
	self(v, c = 0) {
		const kids = this.children(v),
			end = kids.end ?? this.lo[v];
		return this.sums[c][this.hi[v]] - this.sums[c][end];
	}

	// The children, heaviest first.
	children(v) {
		const kids = this.kids[v] ?? this.split(v);
		if (this.sorted[v] !== this.epoch) {
			const sum = this.sums[0],
				{ lo, hi, frame } = this;
			kids.sort((a, b) => sum[hi[b]] - sum[lo[b]] - sum[hi[a]] + sum[lo[a]] || frame[a] - frame[b]);
			this.sorted[v] = this.epoch;
		}
		return kids;
	}
	split(v) {
		const { perm, room, which, slot, from, len, step } = this,
			{ frames, names } = this.p;
		const lo = this.lo[v],
			hi = this.hi[v],
			d = this.depth[v],
			ends = 2 * names.length;
		const found = [],
			count = [],
			inlined = [];
		for (let i = lo; i < hi; i++) {
			const s = perm[i],
				f = d < len[s] ? frames[from[s] + step * d] : ends;
			let k = slot[f >> 1];
			if (k < 0) {
				k = slot[f >> 1] = found.push(f >> 1) - 1;
				count.push(0);
				inlined.push(1);
			}
			which[i] = k;
			count[k]++;
			inlined[k] &= f;
		}
		const kids = [],
			at = [];
		let end = lo;
		found.forEach((f, k) => {
			slot[f] = -1;
			if (f === names.length) return at.push(hi - count[k]);
			at.push(end);
			kids.push(this.frame.push(f) - 1);
			this.parent.push(v);
			this.depth.push(d + 1);
			this.lo.push(end);
			this.hi.push((end += count[k]));
			this.inlined.push(inlined[k]);
			this.kids.push(null);
			this.sorted.push(0);
		});
		if (found.length > 1) {
			for (let i = lo; i < hi; i++) room[at[which[i]]++] = perm[i];
			perm.set(room.subarray(lo, hi), lo);
			this.add(lo, hi, true);
		}
		kids.end = end;
		this.sorted[v] = 0;
		return (this.kids[v] = kids);
	}
	// The node reached from the root by these functions, as far as it goes.
	follow(path) {
		let v = 0;
		for (const f of path) {
			const next = this.children(v).find(k => this.frame[k] === f);
			if (next === undefined) break;
			v = next;
		}
		return v;
	}
	path(v) {
		const out = [];
		for (; v > 0; v = this.parent[v]) out.unshift(this.frame[v]);
		return out;
	}
}

// For each column of weights what each function did itself, and with its callees, a stack counted once however often
// it is in it; `recursive` are those more than once in a stack.
export function top(p, columns) {
	const { n, start, frames } = p,
		recursive = new Uint8Array(p.names.length);
	const parts = columns.map(w => {
		const self = new Float64Array(p.names.length),
			total = new Float64Array(p.names.length);
		const last = new Int32Array(p.names.length).fill(-1);
		for (let s = 0; s < n; s++) {
			const v = w[s],
				end = start[s + 1];
			let i = start[s];
			if (v === 0) continue;
			if (i < end) self[frames[i] >> 1] += v;
			for (; i < end; i++) {
				const f = frames[i] >> 1;
				if (last[f] === s) {
					recursive[f] = 1;
				} else {
					last[f] = s;
					total[f] += v;
				}
			}
		}
		return { self, total };
	});
	return { self: parts.map(x => x.self), total: parts.map(x => x.total), recursive, sums: columns.map(sum) };
}

// Calls between the functions of a list, each pair once for each stack, those of itself left out; frames of others are
// passed over: [{ from, to, value, inlined, direct }] with places in the list.
export function calls(p, w, list) {
	const n = list.length,
		{ start, frames } = p,
		at = new Int32Array(p.names.length).fill(-1);
	const value = new Float64Array(n * n),
		last = new Int32Array(n * n).fill(-1),
		inlined = new Uint8Array(n * n).fill(1);
	const direct = new Uint8Array(n * n);
	list.forEach((f, i) => {
		at[f] = i;
	});
	for (let s = 0; s < p.n; s++) {
		if (w[s] === 0) continue;
		for (let i = start[s], end = start[s + 1], callee = -1, bit = 0, near = 1; i < end; i++) {
			const f = at[frames[i] >> 1];
			if (f < 0) {
				near = 0;
				continue;
			}
			const pair = f * n + callee;
			if (callee >= 0 && callee !== f && last[pair] !== s) {
				last[pair] = s;
				value[pair] += w[s];
				inlined[pair] &= bit & near;
				direct[pair] |= near;
			}
			callee = f;
			bit = frames[i] & 1;
			near = 1;
		}
	}
	const out = [];
	value.forEach(
		(v, i) =>
			v &&
			out.push({
				from: Math.floor(i / n),
				to: i % n,
				value: v,
				inlined: inlined[i],
				direct: direct[i],
			}),
	);
	return out;
}

// Who calls a function and whom it calls: [{ f, value, inlined }], heaviest first. inlined: always so.
export function neighbours(p, w, f) {
	const callers = new Map(),
		callees = new Map(),
		{ start, frames } = p;
	const put = (map, other, v, inlined, s) => {
		const e = map.get(other) ?? map.set(other, { f: other, value: 0, inlined: 1, s: -1 }).get(other);
		if (e.s === s) return;
		e.s = s;
		e.value += v;
		e.inlined &= inlined;
	};
	for (let s = 0; s < p.n; s++) {
		if (w[s] === 0) continue;
		for (let i = start[s], end = start[s + 1]; i < end; i++) {
			if (frames[i] >> 1 !== f) continue;
			if (i + 1 < end && frames[i + 1] >> 1 !== f)
				put(callers, frames[i + 1] >> 1, w[s], frames[i] & 1, s);
			if (i > start[s] && frames[i - 1] >> 1 !== f)
				put(callees, frames[i - 1] >> 1, w[s], frames[i - 1] & 1, s);
		}
	}
	const list = map => [...map.values()].sort((a, b) => b.value - a.value || a.f - b.f);
	return { callers: list(callers), callees: list(callees) };
}

// The samples that each function is in, f's from at[f] up to at[f + 1]. Takes as long as two looks at all frames.
export function within({ n, start, frames, names }) {
	const at = new Int32Array(names.length + 2),
		last = new Int32Array(names.length);
	let samples = null;
	for (;;) {
		last.fill(-1);
		for (let s = 0; s < n; s++)
			for (let i = start[s], end = start[s + 1]; i < end; i++) {
				const f = frames[i] >> 1;
				if (last[f] === s) continue;
				last[f] = s;
				if (samples) samples[at[f + 1]++] = s;
				else at[f + 2]++;
			}
		if (samples) return { at, samples };
		for (let f = 2; f < at.length; f++) at[f] += at[f - 1];
		samples = new Int32Array(at[at.length - 1]);
	}
}

// Which samples have a frame that is marked. Functions that are in few samples lead to them; of those that are in many
// one is soon met.
export function matching(p, marked) {
	const out = new Uint8Array(p.n),
		{ n, start, frames, within } = p;
	let few = within ? 10 * n : 0;
	for (let f = 0; f < marked.length && few > 0; f++) if (marked[f]) few -= within.at[f + 1] - within.at[f];
	if (few > 0) {
		marked.forEach((yes, f) => {
			if (yes) for (let i = within.at[f]; i < within.at[f + 1]; i++) out[within.samples[i]] = 1;
		});
		return out;
	}
	for (let s = 0; s < n; s++)
		for (let i = start[s]; i < start[s + 1]; i++)
			if (marked[frames[i] >> 1]) {
				out[s] = 1;
				break;
			}
	return out;
}

// Functions that a pattern names: without capital letters in it, capitals do not matter. What is no regular expression
// is looked for as it stands. wide: the source file and the module count too, as pprof's -focus has it.
export function pattern(text) {
	const flags = /[A-Z]/.test(text) ? "" : "i";
	try {
		return new RegExp(text, flags);
	} catch {
		return new RegExp(text.replace(/[^\w\s]/g, "\\$&"), flags);
	}
}
export function marked(p, text, wide) {
	const re = pattern(text),
		memo = new Map();
	const file = s => memo.get(s) ?? memo.set(s, re.test(s)).get(s),
		out = new Uint8Array(p.names.length);
	p.names.forEach((name, f) => {
		if (re.test(name) || (wide && (file(p.files[f]) || file(p.mappings[p.modules[f]]?.file ?? "")))) out[f] = 1;
	});
	return out;
}

// All of them, or those that are kept.
export function sum(w, keep) {
	let all = 0;
	if (keep) for (let s = 0; s < w.length; s++) all += w[s] * keep[s];
	else for (let s = 0; s < w.length; s++) all += w[s];
	return all;
}

// A number for each sample. Many times faster than map() of an array.
export function numbers(n, value) {
	const out = new Float64Array(n);
	for (let s = 0; s < n; s++) out[s] = value(s);
	return out;
}
// The weights with 0 for what is not kept; the weights themselves when nothing is hidden.
export function masked(w, keep) {
	if (!keep) return w;
	const out = new Float64Array(w.length);
	for (let s = 0; s < w.length; s++) out[s] = w[s] * keep[s];
	return out;
}

// How many samples were really taken for each row, so that chance can be judged; null where every event is counted.
export function taken(p) {
	const at = name => p.values[p.types.findIndex(t => t.type === name)];
	if (at("samples")) return at("samples");
	if (at("contentions")) return p.period > 1 ? at("contentions").map(v => v / p.period) : at("contentions");
	const name = p.types[p.index]?.type.startsWith("alloc") ? "alloc" : "inuse",
		objects = at(name + "_objects");
	const bytes = at(name + "_space");
	if (!objects || !bytes || p.period <= 1) return null;
	return numbers(p.n, s => objects[s] && objects[s] * -Math.expm1(-bytes[s] / objects[s] / p.period));
}

// The stacks told otherwise. fold: direct recursion is one frame; group: { key, values, of } of a label becomes the
// outermost frame; ends: stacks that do not begin where threads do are put under [truncated]. Leaves in the profiler
// itself always become one frame, [profiler].
const OWN = /\/libpprofd(-server)?\.so[^/]*$/;
const BEGINS = /^(_start|_{0,2}clone3?|start_thread|main|__libc_start\S*|\[.*|thread_start|_dl_start_user)$/;
export function derive(p, { fold, group, ends }) {
	const ours = p.mappings.map(m => OWN.test(m.file)),
		own = p.names.map((_, f) => ours[p.modules[f]] ?? false),
		mine = own.includes(true);
	if (!fold && !group && !mine && !ends) return p;
	const names = [...p.names],
		files = [...p.files],
		modules = [...p.modules];
	const extra = name => {
		files.push("");
		modules.push(-1);
		return names.push(name) - 1;
	};
	const profiler = mine ? extra("[profiler]") : -2;
	const begins = ends ? p.names.map(name => BEGINS.test(name)) : [],
		truncated = ends ? extra("[truncated]") : -1;
	const roots = group
		? [...group.values, null].map(v => extra(v === null ? `no ${group.key}` : `${group.key}: ${v}`))
		: [];
	const frames = new Int32Array(p.frames.length + 2 * p.n),
		start = new Int32Array(p.n + 1);
	let used = 0;
	for (let s = 0; s < p.n; s++) {
		let last = -1,
			f = -1;
		for (let i = p.start[s]; i < p.start[s + 1]; i++) {
			f = p.frames[i] >> 1;
			if (mine && (last === -1) | (last === profiler) && own[f]) f = profiler;
			if (f === last && (fold || f === profiler)) used--;
			frames[used++] = (2 * f) | (p.frames[i] & 1);
			last = f;
		}
		if (ends && !begins[f]) frames[used++] = 2 * truncated;
		if (group) frames[used++] = 2 * roots[group.of[s] < 0 ? group.values.length : group.of[s]];
		start[s + 1] = used;
	}
	return { ...p, names, files, modules, start, frames: frames.subarray(0, used), within: null };
}
