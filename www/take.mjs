// Taking profiles from the service, and reading them away from the page so that it never stands still: this module is
// also what the worker runs. Knows requests; must not know views.
import { hire } from "./dom.mjs";
import { within } from "./model.mjs";
import { decode, gunzip, labels } from "./pprof.mjs";

// In the worker: the profile first, then its labels and what makes searches fast.
if (!globalThis.document && globalThis.postMessage)
	addEventListener("message", async ({ data: { id, bytes } }) => {
		if (!bytes) return;
		try {
			const { bytes: raw, text, places, ...p } = decode(await gunzip(bytes)),
				kept = p.n > 20000 && { ...p, start: p.start.slice(), frames: p.frames.slice() };
			postMessage({ id, p }, [
				...new Set([p.start, p.frames, p.lines, p.modules, ...p.values].map(a => a.buffer)),
			]);
			postMessage({ id, labels: labels({ bytes: raw, text, places }), within: kept && within(kept) });
		} catch (e) {
			postMessage({ id, error: e.message });
		}
	});

let worker,
	asked = 0;
const waiting = new Map();

function answer({ data: { id, p, labels: told, within, error } }) {
	const w = waiting.get(id);
	if (!w) return;
	if (told) {
		Object.assign(w.p, { labels: told, within });
		w.ready?.(w.p);
		waiting.delete(id);
	} else if (error) {
		w.reject(new Error(error));
		waiting.delete(id);
	} else {
		w.resolve((w.p = p));
	}
}
function employ() {
	worker = hire(import.meta.url);
	worker.onmessage = answer;
	worker.onerror = () => {
		for (const w of waiting.values())
			w.reject(new Error("The page's worker could not be loaded: reload the page."));
		waiting.clear();
		worker = null;
	};
}

// A profile from the bytes of a file; ready(p) follows when p.labels is there.
export function decodeFile(bytes, ready) {
	if (!worker) employ();
	return new Promise((resolve, reject) => {
		const id = ++asked;
		waiting.set(id, { resolve, reject, ready });
		worker.postMessage({ id, bytes });
	});
}

const sleep = (ms, signal) =>
	new Promise((resolve, reject) => {
		const timer = setTimeout(resolve, ms);
		signal?.addEventListener("abort", () => {
			clearTimeout(timer);
			reject(signal.reason);
		});
	});

// The bytes behind a path, or an Error with the service's own sentence. When all windows are taken it waits for the
// first one to end, and says so by queued(seconds).
export async function get(path, signal, queued) {
	for (;;) {
		const r = await fetch(path, { signal, cache: "no-store" }).catch(e => {
			throw e.name === "AbortError" ? e : new Error("The service does not answer.");
		});
		const again = Number(r.headers.get("Retry-After"));
		if (r.ok) return new Uint8Array(await r.arrayBuffer());
		if (r.status !== 429 || !queued)
			throw new Error((await r.text()).trim() || `The service answers ${r.status}.`);
		queued(again || 1);
		await sleep(1000 * Math.min(again || 1, 5), signal);
	}
}

export async function getState() {
	const r = await fetch("admin", { cache: "no-store" });
	return r.ok && /json/.test(r.headers.get("Content-Type")) ? r.json() : null;
}
export async function postRates(changes) {
	const r = await fetch("admin", { method: "POST", body: new URLSearchParams(changes) });
	const text = await r.text();
	if (!r.ok) throw new Error(text.trim());
	return text;
}
