// Reads the pprof file format: bytes in, typed arrays out. Knows the wire format; must not know the page.
import { base, hex } from "./words.mjs";

// More than any service of ours sends; a file that claims more is refused before it takes the memory.
export const LIMIT = 256 << 20;

const bad = why => {
	throw new Error(why);
};
const CUT = "The file is cut off: it ends in the middle of a profile.";
const ODD = "This is not a profile in the pprof format.";

// The bytes without gzip; bytes that are not gzip'd come back as they are.
export async function gunzip(bytes, limit = LIMIT) {
	if (bytes[0] !== 0x1f || bytes[1] !== 0x8b)
		return bytes.length > limit ? bad(`The file is larger than ${limit >> 20} MiB.`) : bytes;
	const parts = [],
		reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
	for (let n = 0; ;) {
		const { done, value } = await reader.read().catch(() => bad("The gzip'd file is damaged or cut off."));
		if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
		if ((n += value.length) > limit) {
			reader.cancel().catch(() => {});
			bad(`The file unpacks to more than ${limit >> 20} MiB.`);
		}
		parts.push(value);
	}
}

// The fields of a message one by one: next() is the field's number, 0 at the end; then `value` is a number, or the
// bytes are those from `from` to `to`.
export class Reader {
	constructor(bytes, at = 0, end = bytes.length) {
		this.bytes = bytes;
		this.at = at;
		this.end = end;
		this.type = this.value = this.from = this.to = 0;
	}
	over(from, to) {
		this.at = from;
		this.end = to;
		return this;
	}
	// As int64: what a double cannot hold loses its last digits, never its sign.
	varint() {
		const b = this.bytes;
		let low = 0,
			high = 0;
		for (let scale = 1; scale < 2 ** 49; scale *= 128) {
			const c = b[this.at++];
			low += (c & 127) * scale;
			if (c < 128) return low;
		}
		for (let shift = 0; shift < 21; shift += 7) {
			const c = b[this.at++];
			high |= (c & 127) << shift;
			if (c < 128) return ((high << 17) >> 17) * 2 ** 49 + low;
		}
		return bad(this.at > b.length ? CUT : ODD);
	}
	next() {
		if (this.at >= this.end) return this.at > this.end ? bad(CUT) : 0;
		const tag = this.varint();
		this.type = tag & 7;
		if (this.type === 0) {
			this.value = this.varint();
		} else if (this.type === 2) {
			const n = this.varint();
			this.from = this.at;
			this.at = this.to = n < 0 ? bad(ODD) : this.at + n;
		} else {
			this.at += this.type === 1 ? 8 : this.type === 5 ? 4 : bad(ODD);
		}
		if (this.at > this.end) bad(CUT);
		return tag > 7 ? Math.floor(tag / 8) : bad(ODD);
	}
	// A repeated number, packed or not, into the list from place n on; returns the place behind the last.
	numbers(list, n) {
		if (this.type !== 2) {
			list[n++] = this.value;
			return n;
		}
		const { to } = this;
		for (this.at = this.from; this.at < to;) list[n++] = this.varint();
		return this.at > to ? bad(CUT) : n;
	}
}

export const utf8 = new TextDecoder();
export const textAt = (p, i) => utf8.decode(p.bytes.subarray(p.text[2 * i], p.text[2 * i + 1]));

// Where everything of the file is: for each kind of message the places from, to, from, to ...
export function scan(bytes) {
	const places = { 1: [], 2: [], 3: [], 4: [], 5: [], 6: [], 11: [] };
	const p = { bytes, places, text: places[6], time: 0, duration: 0, period: 0, comments: [] };
	const single = { 9: "time", 10: "duration", 12: "period", 14: "preferred" };
	const r = new Reader(bytes);
	for (let f; (f = r.next());) {
		const list = places[f];
		if (list && r.type === 2) list.push(r.from, r.to);
		else if (f === 13) r.numbers(p.comments, p.comments.length);
		else if (single[f] && r.type === 0) p[single[f]] = r.value;
	}
	if (!places[1].length || !places[6].length) bad(ODD);
	return p;
}

// Calls visit(m, lines) for each message of a kind, both valid until it returns: m[number of the field] for numbers,
// 0 where there is none; `lines` the places of its fields 4 that are messages.
export function each(p, kind, visit) {
	const r = new Reader(p.bytes),
		list = p.places[kind],
		m = new Float64Array(16),
		lines = [];
	for (let i = 0; i < list.length; i += 2) {
		r.over(list[i], list[i + 1]);
		m.fill(0);
		lines.length = 0;
		for (let f; (f = r.next());)
			if (r.type === 0 && f < 16) m[f] = r.value;
			else if (r.type === 2 && f === 4) lines.push(r.from, r.to);
		visit(m, lines);
	}
}

// From ids to places in a list: an array where the ids are small, as they always should be.
function indexOf(ids) {
	const max = ids.reduce((a, b) => Math.max(a, b), 0),
		n = ids.length;
	if (ids.some(id => id < 0) || max > 8 * n + 65536) {
		const map = new Map(ids.map((id, i) => [id, i]));
		return { at: id => map.get(id) ?? -1 };
	}
	const array = new Int32Array(max + 1).fill(-1);
	ids.forEach((id, i) => {
		array[id] = i;
	});
	return { array, at: id => array[id] ?? -1 };
}

// Frames, one for each function name: that is what every view counts by. Each location is a run of them, innermost
// first, as frame * 2 + (1 if inlined).
function frames(p, text) {
	const names = [],
		files = [],
		lines = [],
		modules = [],
		known = new Map();
	const frame = (name, file, line, module) => {
		let f = known.get(name);
		if (f === undefined) {
			known.set(name, (f = names.push(name) - 1));
			files.push(file);
			lines.push(line);
			modules.push(module);
		}
		return f;
	};
	const ids = [],
		functions = [],
		places = [];
	each(p, 5, m => {
		ids.push(m[1]);
		functions.push(m[2], m[4], m[5]);
	});
	const functionAt = indexOf(ids),
		mappingAt = indexOf(p.mappings.map(m => m.id));
	const r = new Reader(p.bytes),
		first = [0],
		run = [];
	const frameOf = new Int32Array(ids.length).fill(-1);
	each(p, 4, ({ 1: id, 2: mapping, 3: address }, line) => {
		const module = mapping ? mappingAt.at(mapping) : -1,
			m = p.mappings[module];
		places.push(id);
		for (let i = 0; i < line.length; i += 2) {
			let at = -1;
			r.over(line[i], line[i + 1]);
			for (let k; (k = r.next());) if (k === 1) at = functionAt.at(r.value);
			if (at < 0) continue;
			if (frameOf[at] < 0)
				frameOf[at] = frame(
					text(functions[3 * at]) || "??",
					text(functions[3 * at + 1]),
					functions[3 * at + 2],
					module,
				);
			run.push(2 * frameOf[at] + (i + 2 < line.length));
		}
		if (first[first.length - 1] === run.length)
			run.push(
				2 *
					frame(
						m
							? `${base(m.file)}+${hex(address - m.start + m.offset)}`
							: hex(address),
						"",
						0,
						module,
					),
			);
		first.push(run.length);
	});
	return {
		names,
		files,
		lines,
		modules: Int32Array.from(modules),
		at: indexOf(places),
		first: Int32Array.from(first),
		run: Int32Array.from(run),
	};
}

// All samples: their frames leaf first one after the other, their values, and where their labels are.
function samples(p, types, t) {
	const b = p.bytes,
		list = p.places[2],
		n = list.length / 2,
		{ array, at: find } = t.at,
		{ first, run } = t;
	const start = new Int32Array(n + 1),
		values = Array.from({ length: types }, () => new Float64Array(n));
	const value = [],
		r = new Reader(b),
		wide = new Reader(b);
	let out = new Int32Array(list.length ? ((list[list.length - 1] - list[0]) / 2 + 64) | 0 : 0),
		used = 0;
	const add = id => {
		const loc = array ? array[id] : find(id);
		if (!(loc >= 0)) bad("A sample names a location that the file does not have.");
		let i = first[loc];
		const end = first[loc + 1];
		if (used + end - i > out.length) {
			if (used + end - i > LIMIT / 4)
				bad("The stacks of this profile are too many and too deep to show.");
			const more = new Int32Array(2 * (used + end - i));
			more.set(out);
			out = more;
		}
		while (i < end) out[used++] = run[i++];
	};
	const packed = (at, to) => {
		while (at < to) {
			let id = b[at++];
			if (id > 127) {
				id = (id & 127) | (b[at++] << 7);
				if (id > 16383) id = (id & 16383) | (b[at++] << 14);
				if (id > 2097151) {
					wide.at = at - 3;
					id = wide.varint();
					at = wide.at;
				}
			}
			add(id);
		}
		return at > to ? bad(CUT) : at;
	};
	for (let s = 0; s < n; s++) {
		r.over(list[2 * s], list[2 * s + 1]);
		let filled = 0;
		for (let f; (f = r.next());) {
			if (f === 1 && r.type === 2) packed(r.from, r.to);
			else if (f === 1) add(r.value);
			else if (f === 2) filled = r.numbers(value, filled);
		}
		start[s + 1] = used;
		for (let k = 0; k < types; k++)
			values[k][s] =
				k < filled
					? value[k]
					: bad("A sample has fewer values than the file has sample types.");
	}
	return { n, start, frames: out.subarray(0, used), values };
}

// A profile ready for the model; throws an Error with a sentence for what is none. bytes, text and places are
// for labels() alone.
export function decode(bytes) {
	const p = scan(bytes),
		strings = p.text.length / 2;
	const text = i => (i < strings && i >= 0 ? textAt(p, i) : bad(ODD));
	const types = [],
		mappings = [];
	each(p, 1, m => types.push({ type: text(m[1]), unit: text(m[2]) }));
	each(p, 3, m =>
		mappings.push({
			id: m[1],
			start: m[2],
			offset: m[4],
			file: text(m[5]),
			build: text(m[6]),
			functions: m[7],
			inlines: m[10],
		}),
	);
	p.mappings = mappings;
	const t = frames(p, text),
		preferred = text(p.preferred ?? 0);
	const at = types.findIndex(x => x.type === preferred);
	return {
		bytes,
		text: p.text,
		places: p.places,
		types,
		index: at < 0 ? types.length - 1 : at,
		time: p.time / 1e6,
		seconds: p.duration / 1e9,
		period: p.period,
		comments: p.comments.map(text),
		mappings,
		names: t.names,
		files: t.files,
		lines: Int32Array.from(t.lines),
		modules: t.modules,
		...samples(p, types.length, t),
	};
}

// The labels of all samples: for each key its values and, for each sample, the number of its value or -1.
export function labels(p) {
	const r = new Reader(p.bytes),
		m = new Reader(p.bytes),
		list = p.places[2],
		n = list.length / 2;
	const entries = [],
		byText = new Map(),
		known = [];
	const entry = at =>
		(known[at] ??= (() => {
			const key = textAt(p, at);
			if (!byText.has(key))
				byText.set(
					key,
					entries[
						entries.push({
							key,
							values: [],
							numbers: [],
							ids: new Map(),
							of: new Int32Array(n).fill(-1),
						}) - 1
					],
				);
			return byText.get(key);
		})());
	for (let s = 0; s < n; s++) {
		r.over(list[2 * s], list[2 * s + 1]);
		for (let field; (field = r.next());) {
			if (field !== 3) continue;
			let key = 0,
				str = 0,
				num = 0,
				unit = 0;
			m.over(r.from, r.to);
			for (let f; (f = m.next());)
				if (f === 1) key = m.value;
				else if (f === 2) str = m.value;
				else if (f === 3) num = m.value;
				else if (f === 4) unit = m.value;
			const e = entry(key),
				id = str ? -str : num;
			let at = e.ids.get(id);
			if (at === undefined) {
				e.ids.set(id, (at = e.values.length));
				e.values.push(str ? textAt(p, str) : `${num}${unit ? " " + textAt(p, unit) : ""}`);
				e.numbers.push(!str);
			}
			e.of[s] = at;
		}
	}
	return entries.map(({ key, values, numbers, of }) => ({ key, values, numbers, of }));
}
