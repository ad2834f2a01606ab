// What the service and its files are about, in the terms of the page: kinds told by sample types, rates in words, the
// state of the admin route. Pure.
import { sum } from "./model.mjs";
import { amount, digits } from "./words.mjs";

// What family of profile it is, told by its sample types; the page takes any file.
export function familyOf(p) {
	const has = type => p.types.some(t => t.type === type);
	return has("cpu")
		? "cpu"
		: has("time")
			? "wall"
			: has("inuse_space") || has("alloc_space")
				? "heap"
				: has("contentions")
					? "wait"
					: has("goroutine")
						? "threads"
						: "other";
}

// A rate in words, off included.
export function rateWords({ value, unit }) {
	if (!value) return "off";
	if (unit === "hertz") return `${digits(value)} Hz`;
	if (value === 1) return "every one";
	return unit === "bytes"
		? `1 per ${amount(value, unit)}`
		: unit === "nanoseconds"
			? `waits of ${amount(value, unit)}`
			: `1 in ${digits(value)}`;
}

// The state of the service as the rules know it, from what the admin route tells; what is missing is undefined.
export function readState(json) {
	const { program = {}, library = {}, rates = {}, history = [], windows = [] } = json;
	return {
		windows: windows.map(w => ({ ...w, ends: Date.now() + 1000 * w.left_s })),
		rates: Object.fromEntries(
			Object.entries(rates).map(([name, r]) => [
				name,
				{ ...r, name, since: Date.parse(r.since), until: r.until ? Date.parse(r.until) : 0 },
			]),
		),
		events: history
			.filter(e => e.source !== "start")
			.map(e => ({ ...e, name: e.rate, time: Date.parse(e.at) })),
		cpus: program.cpus,
		threads: program.threads,
		rss: program.rss_bytes,
		inUse: program.malloc_used_bytes,
		mapped: program.malloc_system_bytes,
		allocator: program.malloc_library,
		pid: program.pid,
		build: program.build_id,
		up: library.uptime_s,
		version: library.version,
	};
}

// The samples that end where a sentence tells of: under "" those in the profiler itself, else by module without symbols.
export function endings({ n, start, frames, names, modules, mappings }) {
	const where = names.map((name, f) =>
			name === "[profiler]" ? "" : /\+0x[0-9a-f]+$/.test(name) ? mappings[modules[f]] : undefined,
		),
		by = new Map();
	for (let s = 0; s < n; s++) {
		const m = start[s] < start[s + 1] ? where[frames[start[s]] >> 1] : undefined;
		if (m !== undefined) (by.get(m) ?? by.set(m, []).get(m)).push(s);
	}
	return by;
}
// What they weigh.
export function ended(by, w) {
	const all = sum(w),
		of = m => (by.get(m) ?? []).reduce((v, s) => v + w[s], 0);
	return {
		own: of(""),
		bare: [...by.keys()]
			.filter(Boolean)
			.map(m => ({ file: m.file, build: m.build, share: of(m) / all }))
			.sort((a, b) => b.share - a.share),
	};
}
