// Profiles made up to a size: templates, lambdas and namespaces as C++ has them, about 36 calls deep, a fifth of the
// frames inlined, two labels, and hardly a stack twice. The same for the same arguments.
import { gzipSync } from "node:zlib";
import { bytes, number, packed } from "./make.mjs";

function generator(seed) {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

// The file, gzip'd. The profile counts samples and nanoseconds of CPU time.
export function synthetic(stacks, functions = 3000) {
	const random = generator(stacks + 17),
		strings = [""],
		known = new Map([["", 0]]),
		parts = [];
	const string = s => known.get(s) ?? (known.set(s, strings.push(s) - 1), strings.length - 1);
	const put = array => parts.push(Buffer.from(array));
	const spaces = ["app", "app::http", "std", "boost::asio::detail", "db::query", "json", "util"];
	const verbs = ["handle", "parse", "render", "visit", "encode", "lookup", "commit", "merge", "walk", "hash"];
	const type = (a, b) => [...number(1, string(a)), ...number(2, string(b))];
	put(bytes(1, type("samples", "count")));
	put(bytes(1, type("cpu", "nanoseconds")));
	const callees = [],
		inlined = [];
	for (let f = 0; f < functions; f++) {
		const name =
			`${spaces[f % 7]}::${verbs[f % 10]}${f % 3 ? "Row" : "Request"}${f}` +
			(f % 4 ? "" : "<std::basic_string<char>, app::Policy>") +
			(f % 9 ? "" : "::{lambda()#1}::operator()");
		put(
			bytes(5, [
				...number(1, f + 1),
				...number(2, string(name)),
				...number(4, string(`/src/file${f % 200}.cc`)),
				...number(5, f % 900),
			]),
		);
		callees.push(Array.from({ length: 6 }, () => Math.floor(random() ** 1.5 * functions)));
		inlined.push(random() < 0.2);
	}
	// Four places in each function; an inlined one is a line of the location of whom it is called by.
	const line = f => bytes(4, [...number(1, f + 1), ...number(2, 10 + (f % 50))]);
	const place = new Map();
	const location = (f, within) => {
		const key = f * functions + (within ?? 0) + (within === undefined ? 0.5 : 0);
		let id = place.get(key);
		if (!id) {
			place.set(key, (id = place.size + 1));
			put(
				bytes(4, [
					...number(1, id),
					...number(2, 1),
					...number(3, 0x400000 + 16 * id),
					...line(f),
					...(within === undefined ? [] : line(within)),
				]),
			);
		}
		return id;
	};
	put(
		bytes(3, [
			...number(1, 1),
			...number(2, 0x400000),
			...number(3, 0x4000000),
			...number(5, string("/opt/app")),
			...number(7, 1),
			...number(8, 1),
			...number(9, 1),
			...number(10, 1),
		]),
	);
	const route = string("route"),
		thread = string("thread");
	for (let s = 0; s < stacks; s++) {
		const path = [],
			n = 16 + Math.floor(random() * 52);
		for (let f = 0, d = 0; d < n; d++) {
			path.push(f);
			f = callees[f][Math.floor(random() ** (d < 8 ? 3 : 1.2) * 6)];
		}
		const ids = [];
		for (let d = n - 1; d >= 0; d--)
			if (d && inlined[path[d]]) ids.push(location(path[d], path[--d]));
			else ids.push(location(path[d]));
		const count = 1 + Math.floor(random() ** 8 * 20);
		put(
			bytes(2, [
				...bytes(1, packed(ids)),
				...bytes(2, packed([count, count * 1e7])),
				...bytes(3, [...number(1, route), ...number(2, string("/r" + (s % 12)))]),
				...bytes(3, [...number(1, thread), ...number(2, string("worker-" + (s % 16)))]),
			]),
		);
	}
	put(bytes(11, type("cpu", "nanoseconds")));
	for (const part of [number(12, 1e7), number(9, 1.7e18), number(10, 3e10), number(14, string("cpu"))]) put(part);
	for (const s of strings) put(bytes(6, Buffer.from(s)));
	return gzipSync(Buffer.concat(parts));
}
