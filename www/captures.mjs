// Profiles taken, opened and kept: { id, kind, path, when, file, bytes, types, seconds, p (of pprof.mjs), dump (of
// threads.mjs) }; and what is asked of the service besides.
import { familyOf, readState } from "./service.mjs";
import { attempt, go, now } from "./now.mjs";
import { utf8 } from "./pprof.mjs";
import { nameId } from "./state.mjs";
import { keep } from "./store.mjs";
import { decodeFile, get, getState, postRates } from "./take.mjs";
import { parseThreads, threadProfile } from "./threads.mjs";
import { kindOf } from "./words.mjs";

const FAMILY = { cpu: "profile", wall: "wall", heap: "heap", wait: "block", threads: "goroutine" };

// Read its bytes.
export async function load(c) {
	if (/^(# |goroutine \d)/.test(utf8.decode(c.bytes.subarray(0, 64)))) {
		c.dump = parseThreads(utf8.decode(c.bytes));
		c.p = threadProfile(c.dump);
	} else {
		c.p = await decodeFile(c.bytes, now.render);
	}
	c.types = c.p.types.map(t => `${t.type}/${t.unit}`).join(" ");
	c.seconds = c.p.seconds;
	c.kind ||= FAMILY[familyOf(c.p)] ?? "";
	return c;
}
async function open(bytes, about) {
	const id = nameId(`${about.path} ${about.file} ${Date.now()} ${now.captures.length}`);
	const c = await load({ id, when: Date.now(), ...about, bytes }),
		{ p, dump, ...record } = c;
	now.captures = [...now.captures, c].slice(-20);
	setTimeout(keep, 1000, record);
	return c;
}
export async function openFiles(files) {
	for (const file of files)
		await attempt(async () => {
			const c = await open(new Uint8Array(await file.arrayBuffer()), { kind: "", file: file.name });
			go({ k: "", c: c.id, v: c.dump ? "threads" : "", b: "", z: "", p: "", i: "" }, true);
		}, `${file.name}: `);
}

// Take a profile of a kind and show it, with what also(capture) chooses.
export async function take(kind, also = () => ({})) {
	const { s, jobs } = now,
		timed = kindOf(kind).window || (s.w && kind !== "goroutine");
	if (jobs.has(kind)) return;
	const wait = timed ? Math.min(Math.max(Number(s.t) || 10, 1), 300) : 0,
		abort = new AbortController();
	const job = { abort, wait, begun: Date.now(), timer: setInterval(() => job.tick?.(), 200) };
	jobs.set(kind, job);
	now.render();
	await attempt(async () => {
		const path =
			(now.kinds.find(k => k.name === kind)?.href ?? kind) +
			(kind === "goroutine" ? "?debug=2" : wait ? `?seconds=${wait}` : "");
		const bytes = await get(path, abort.signal, t => {
			job.begun = Date.now() + t * 1000;
			job.said = `All windows are taken. The first one ends in ${t} s; this one begins then.`;
		}).catch(e => (abort.signal.aborted ? null : Promise.reject(e)));
		const c = bytes && (await open(bytes, { kind, path }));
		if (c && now.s.k === kind) go({ c: c.id, z: "", p: "", b: "", ...also(c) }, true);
	});
	clearInterval(job.timer);
	jobs.delete(kind);
	refresh();
}

export async function refresh() {
	now.state = await getState()
		.then(json => json && readState(json))
		.catch(() => null);
	now.render();
}
export const setRate = (name, value, time) =>
	attempt(async () => {
		await postRates({ [name]: value, ...(time ? { for: time } : {}) });
		now.editing = "";
		await refresh();
	});
