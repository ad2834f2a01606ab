// What large profiles cost in the page: time on the processor, of the page's main thread and its worker. DEMO serves
// the page; T: a private folder; arguments: numbers of stacks, 10000 and 100000 if none are given.
import { spawn } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launch, sleep } from "./cdp.mjs";
import { synthetic } from "./synthetic.mjs";

const { DEMO, T } = process.env,
	sizes = process.argv.slice(2).map(Number),
	RUNS = 6;
const service = spawn(DEMO, [], {
	stdio: ["ignore", "pipe", "inherit"],
	env: { ...process.env, PPROFD_LISTEN: "127.0.0.1:0" },
});
const url = String(await new Promise(done => service.stdout.once("data", done))).trim();
const browser = await launch(T),
	page = await browser.page({ width: 1600 });

// Nanoseconds on the processor by thread name, of the process that shows the page.
let renderer = 0;
function used() {
	const out = {};
	for (const task of readdirSync(`/proc/${renderer}/task`))
		try {
			const name = readFileSync(`/proc/${renderer}/task/${task}/comm`, "utf8").trim();
			out[name] =
				(out[name] ?? 0) +
				Number(readFileSync(`/proc/${renderer}/task/${task}/schedstat`, "utf8").split(" ")[0]);
		} catch {
			// The thread has ended.
		}
	return out;
}
// The process that an endless loop in the page makes busy is its own.
async function findRenderer() {
	const all = () =>
		readdirSync("/proc")
			.filter(p => /^\d+$/.test(p))
			.flatMap(p => {
				try {
					return /--type=renderer/.test(readFileSync(`/proc/${p}/cmdline`, "utf8"))
						? [
								[
									p,
									Number(
										readFileSync(
											`/proc/${p}/schedstat`,
											"utf8",
										).split(" ")[0],
									),
								],
							]
						: [];
				} catch {
					return [];
				}
			});
	const before = new Map(all());
	await page.eval("(() => { for (const end = performance.now() + 300; performance.now() < end;); })()");
	[[renderer]] = all()
		.map(([p, t]) => [p, t - (before.get(p) ?? t)])
		.sort((a, b) => b[1] - a[1]);
}
const ms = (a, b, name) => ((b[name] ?? 0) - (a[name] ?? 0)) / 1e6;
const MAIN = /^(chromium|CrRendererMain)$/,
	WORKER = /^DedicatedWorker/;
function cost(a, b) {
	let main = 0,
		worker = 0;
	for (const name of Object.keys(b))
		if (MAIN.test(name)) main += ms(a, b, name);
		else if (WORKER.test(name)) worker += ms(a, b, name);
	return { main, worker };
}
// A promise in the page that ends when the flame graph is complete again and drawn.
const complete = (
	what,
	other = false,
) => `new Promise(done => { let n = ${other} ? 0 : setTimeout(() => done(), 700); const was = location.hash;
	const seen = new MutationObserver(() => { if (${other} && location.hash === was) return; clearTimeout(n); n = setTimeout(() => { seen.disconnect(); done(); }, 150); });
	seen.observe(document.body, { subtree: true, attributes: true, attributeFilter: ["data-boxes"] }); ${what}; })`;
const openFile = async file => {
	const { root } = await page.send("DOM.getDocument"),
		{ nodeId } = await page.send("DOM.querySelector", {
			nodeId: root.nodeId,
			selector: "input[type=file]",
		});
	const done = page.eval(complete("0", true));
	const before = used();
	await page.send("DOM.setFileInputFiles", { files: [file], nodeId });
	await done;
	return cost(before, used());
};
const set = (id, value) =>
	`(e => { e.value = ${JSON.stringify(value)}; e.dispatchEvent(new Event("input", { bubbles: true })); e.dispatchEvent(new Event("change", { bubbles: true })); })(document.getElementById("${id}"))`;
const median = list => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const say = (...words) => console.log(words.join("  "));
let failed = 0;
const gate = (name, value, limit) => {
	failed += value > limit ? 1 : 0;
	say(
		name.padEnd(60),
		`${value.toFixed(1)} ms`.padStart(10),
		`(at most ${limit})${value > limit ? "  TOO MUCH" : ""}`,
	);
};

// The time on the processor that the longest task of the main thread takes while something is done. The clock on the
// wall would count whatever else the machine does.
async function longestTask(what) {
	const tasks = new Map();
	let ended;
	const all = new Promise(done => (ended = done)),
		before = page.event;
	page.event = (method, { value }) => {
		if (method === "Tracing.tracingComplete") ended();
		for (const e of (method === "Tracing.dataCollected" && value) || [])
			if (e.ph === "X" && /RunTask$/.test(e.name) && e.pid === Number(renderer) && e.tid === e.pid)
				tasks.set(e.ts, Math.max(tasks.get(e.ts) ?? 0, e.tdur ?? 0));
	};
	await page.send("Tracing.start", {
		transferMode: "ReportEvents",
		traceConfig: { includedCategories: ["toplevel"] },
	});
	await what();
	await page.send("Tracing.end");
	await all;
	page.event = before;
	return Math.max(...tasks.values()) / 1000;
}

const REPEATS = 5;
const setting = {
	search: i => set("in-q", ["parse", "Row1", "std", "http", "visit", "query", "lambda", "9"][i]),
	"no search": () => set("in-q", ""),
	focus: i => set("in-f", `Row${i + 1}`),
	"no focus": () => set("in-f", ""),
	"sample type": () => set("index", "samples"),
	"and back": () => set("index", "cpu"),
	label: i => set("label", `route=/r${i}`),
	"no label": () =>
		"[...document.querySelectorAll('.pill')].find(e => e.innerText.startsWith('route')).click()",
	nothing: () => "document.getElementById('flame').dataset.boxes += ''",
};
// What each thing that a reader does costs the main thread: the same thing is done a few times, for its median, and what
// the measuring itself costs is taken off. Returns lists by name.
async function interactions() {
	const by = {},
		costs = new Map(),
		beside = [];
	const measure = async (name, i, what) => {
		const before = used();
		await what();
		const key = `${name}/${i}`,
			{ main, worker } = cost(before, used());
		costs.set(key, [...(costs.get(key) ?? []), main]);
		if (name === "zoom") beside.push(worker);
	};
	const at = await page.eval(
		"(() => { const r = document.getElementById('flame').getBoundingClientRect(); return { x: r.x, y: r.y, w: r.width }; })()",
	);
	const click = (x, y) => () =>
		page.eval(
			complete(
				`document.querySelector("#flame canvas").dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: ${x}, clientY: ${y} }))`,
			),
		);
	// Places where there is something to zoom into, as deep as there is.
	const places = [];
	for (let i = 0; i < 8; i++)
		for (let d = 6 + i, hit = false; d > 0 && !hit; d--) {
			const place = [at.x + (at.w * (i + 1)) / 12, at.y + 18 * d + 8];
			await click(...place)();
			hit = await page.eval("/[#&]z=/.test(location.hash)");
			if (hit) places.push(place);
			if (hit) await click(at.x + 300, at.y + 8)();
		}
	for (let i = 0; i < places.length; i++)
		for (let r = 0; r < REPEATS; r++) {
			for (let k = 0; k < 4; k++)
				await measure("hover", 4 * i + k, async () => {
					await page.move(at.x + (at.w * (k + 1)) / 6 + i, at.y + 30 + 18 * k);
					// Until it is painted: by the second frame.
					await page.eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
				});
			await measure("zoom", i, click(...places[i]));
			await measure("zoom out", i, click(at.x + 300, at.y + 8));
			for (const [name, make] of Object.entries(setting))
				await measure(name, i, () => page.eval(complete(make(i))));
		}
	const nothing = median([...costs].flatMap(([key, list]) => (key.startsWith("nothing") ? list : [])));
	say(`  nothing at all: ${nothing.toFixed(1)} ms, not in what follows`);
	say(`  drawing after a zoom: ${median(beside).toFixed(1)} ms in the worker, not in what follows either`);
	for (const [key, list] of costs) {
		const name = key.split("/")[0];
		// Of a pointer's move the measuring takes less.
		if (name !== "nothing") (by[name] ??= []).push(Math.max(0, median(list) - (name === "hover" ? 0 : nothing)));
	}
	return by;
}

try {
	await page.open(url);
	await page.until("!!document.querySelector('.card')");
	await findRenderer();
	for (const n of sizes.length ? sizes : [10000, 100000]) {
		const file = join(T, `${n}.pb.gz`),
			best = { main: Infinity, worker: Infinity, both: Infinity };
		writeFileSync(file, synthetic(n));
		for (let i = 0; i < RUNS; i++) {
			const { main, worker } = await openFile(file);
			if (main + worker < best.both) Object.assign(best, { main, worker, both: main + worker });
		}
		gate(`${n} stacks: bytes to picture`, best.both, n <= 10000 ? 60 : 400);
		say(
			`  of that main thread ${best.main.toFixed(1)}, worker ${best.worker.toFixed(1)}; ${await page.eval("document.getElementById('flame').dataset.boxes")} boxes`,
		);
		const longest = [];
		for (let i = 0; i < 3; i++) longest.push(await longestTask(() => openFile(file)));
		gate(`${n} stacks: longest task of the main thread`, median(longest), 50);
		const by = await interactions();
		for (const [name, list] of Object.entries(by))
			say(
				`  ${name.padEnd(14)} median ${median(list).toFixed(1)}, most ${Math.max(...list).toFixed(1)} ms`,
			);
		const all = Object.values(by)
			.flat()
			.sort((a, b) => a - b);
		// Where each stack is wide enough to be drawn, the picture has thousands of boxes, and takes as long.
		gate(`${n} stacks: interactions, 95 of 100`, all[Math.floor(all.length * 0.95)], n <= 10000 ? 50 : 16);
		const invert = () => page.eval(complete("document.getElementById('invert').click()"));
		say(`  invert: longest task ${(await longestTask(invert)).toFixed(1)} ms`);
		await invert();
	}
} catch (e) {
	console.log(e.stack);
	failed++;
} finally {
	await browser.close();
	service.kill();
}
process.exit(failed ? 1 : 0);
