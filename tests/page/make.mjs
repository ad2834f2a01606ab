// Profiles as files, from plain objects. Knows the wire format and nothing of the page.
import { gzipSync } from "node:zlib";

export function varint(out, n) {
	for (n = BigInt.asUintN(64, BigInt(n)); n > 127n; n >>= 7n) out.push(Number(n & 127n) | 128);
	out.push(Number(n));
}
export const number = (field, n) => {
	const out = [];
	varint(out, field * 8);
	varint(out, n);
	return out;
};
export const bytes = (field, data) => {
	const out = [];
	varint(out, field * 8 + 2);
	varint(out, data.length);
	return [...out, ...data];
};
export const packed = list => {
	const out = [];
	for (const n of list) varint(out, n);
	return out;
};

// m: { types: [[type, unit]], samples: [{ stack, values, labels }], mappings: [{ file, build, named, inlines }], comments,
// period, periodType, time (ms), seconds, preferred }. A stack is leaf first; an entry is a name, a list of names inlined
// into the last of them, or { name, file, line, module (from 1), address }.
export function encode(m) {
	const strings = [""],
		parts = [],
		functions = new Map(),
		locations = new Map();
	const string = s => {
		const at = strings.indexOf(s);
		return at < 0 ? strings.push(s) - 1 : at;
	};
	const put = array => parts.push(Buffer.from(array));
	const type = ([a, b]) => [...number(1, string(a)), ...number(2, string(b))];
	for (const t of m.types) put(bytes(1, type(t)));
	const lineOf = f => {
		const { name, file = "", line = 0 } = typeof f === "string" ? { name: f } : f,
			key = name + "\0" + file;
		if (!functions.has(key)) {
			functions.set(key, functions.size + 1);
			put(
				bytes(5, [
					...number(1, functions.size),
					...number(2, string(name)),
					...number(3, string(name)),
					...number(4, string(file)),
					...number(5, line),
				]),
			);
		}
		return bytes(4, [...number(1, functions.get(key)), ...number(2, line)]);
	};
	const locationOf = entry => {
		const key = JSON.stringify(entry);
		if (!locations.has(key)) {
			locations.set(key, locations.size + 1);
			const id = locations.size,
				list = Array.isArray(entry) ? entry : [entry];
			put(
				bytes(4, [
					...number(1, id),
					...number(2, entry.module ?? (m.mappings ? 1 : 0)),
					...number(3, entry.address ?? 0x1000 + id),
					...list.filter(f => typeof f === "string" || f.name).flatMap(lineOf),
				]),
			);
		}
		return locations.get(key);
	};
	(m.mappings ?? []).forEach((x, i) =>
		put(
			bytes(3, [
				...number(1, i + 1),
				...number(2, 0x1000 * (i + 1)),
				...number(3, 0x1000 * (i + 2)),
				...number(5, string(x.file)),
				...number(6, string(x.build ?? "")),
				...number(7, x.named ?? 1),
				...number(8, 1),
				...number(9, 1),
				...number(10, x.inlines ?? 1),
			]),
		),
	);
	for (const s of m.samples) {
		const labels = Object.entries(s.labels ?? {}).flatMap(([k, v]) =>
			bytes(3, [
				...number(1, string(k)),
				...(typeof v === "number"
					? [...number(3, v), ...number(4, string("bytes"))]
					: number(2, string(v))),
			]),
		);
		put(bytes(2, [...bytes(1, packed(s.stack.map(locationOf))), ...bytes(2, packed(s.values)), ...labels]));
	}
	for (const c of m.comments ?? []) put(number(13, string(c)));
	put(bytes(11, type(m.periodType ?? m.types[m.types.length - 1])));
	put([
		...number(12, m.period ?? 1),
		...number(9, Math.round((m.time ?? 1.7e12) * 1e6)),
		...number(10, Math.round((m.seconds ?? 0) * 1e9)),
		...number(14, string(m.preferred ?? "")),
	]);
	for (const s of strings) put(bytes(6, Buffer.from(s)));
	return gzipSync(Buffer.concat(parts));
}
