// Profiles that invite to be misread, and what the page says of one: through the decoder, as the page does it.
import { facts } from "../../www/facts.mjs";
import { ended, endings, readState } from "../../www/service.mjs";
import { derive, sum, taken, top } from "../../www/model.mjs";
import { decode, gunzip } from "../../www/pprof.mjs";
import { encode } from "./make.mjs";

const CPU = [
		["samples", "count"],
		["cpu", "nanoseconds"],
	],
	HEAP = [
		["alloc_objects", "count"],
		["alloc_space", "bytes"],
		["inuse_objects", "count"],
		["inuse_space", "bytes"],
	],
	WAIT = [
		["contentions", "count"],
		["delay", "nanoseconds"],
	];
export const cpu = (n, more = {}) => ({
	types: CPU,
	period: 1e7,
	seconds: 10,
	samples: n ? [{ stack: ["f", "main"], values: [n, n * 1e7] }] : [],
	...more,
});
export const heap = (objects, size, more = {}) => ({
	types: HEAP,
	period: 524288,
	periodType: ["space", "bytes"],
	samples: [
		{ stack: ["malloc_user", "main"], values: [2 * objects, 2 * objects * size, objects, objects * size] },
	],
	preferred: "inuse_space",
	...more,
});
export const wait = (n, ns, more = {}) => ({
	types: WAIT,
	samples: n ? [{ stack: ["pthread_mutex_lock", "f"], values: [n, ns] }] : [],
	...more,
});
const UNITS = { cpu_hz: "hertz", heap_rate: "bytes", block_rate: "nanoseconds", mutex_fraction: "fraction" };
export const rate = (name, value, more = {}) => ({
	library: { uptime_s: 259200 },
	program: { threads: 48, cpus: 16, ...more.program },
	rates: { [name]: { value, unit: UNITS[name], since: "2026-11-23T03:00:00Z", until: null } },
	history: more.history ?? [],
});

export async function told(m, x = {}) {
	const file = decode(await gunzip(encode(m))),
		index = file.types.findIndex(t => t.type === x.index),
		at = index < 0 ? file.index : index;
	const p = derive(file, {}),
		w = p.values[at],
		raw = taken({ ...p, index: at }),
		{ recursive } = top(p, [w]);
	return facts({
		kind: "profile",
		view: "flame",
		p,
		at,
		total: sum(w),
		visible: sum(w),
		samples: raw && sum(raw),
		ends: ended(endings(p), w),
		recursive,
		...x,
		state: x.state && readState(x.state),
		dump: x.dump,
		now: Date.parse("2026-11-23T03:00:20Z"),
	});
}
