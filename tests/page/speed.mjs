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
		name.padEnd(52),
		`${value.toFixed(1)} ms`.padStart(10),
		`(at most ${limit})${value > limit ? "  TOO MUCH" : ""}`,
	);
};
try {
	await page.open(url);
	await page.until("!!document.querySelector('.card')");
	await findRenderer();
	for (const n of sizes.length ? sizes : [10000, 100000]) {
		const file = join(T, `${n}.pb.gz`),
			best = { main: Infinity, worker: Infinity, both: Infinity, task: Infinity };
		writeFileSync(file, synthetic(n));
		await page.eval(
			"globalThis.tasks = []; new PerformanceObserver(l => tasks.push(...l.getEntries().map(e => e.duration))).observe({ type: 'longtask' }); 0",
		);
		for (let i = 0; i < RUNS; i++) {
			await page.eval("tasks.length = 0");
			const { main, worker } = await openFile(file);
			await sleep(200);
			const task = await page.eval("Math.max(0, ...tasks)");
			if (main + worker < best.both) Object.assign(best, { main, worker, both: main + worker });
			best.task = Math.min(best.task, task);
		}
		gate(`${n} stacks: bytes to picture`, best.both, n <= 10000 ? 60 : 400);
		say(
			`  of that main thread ${best.main.toFixed(1)}, worker ${best.worker.toFixed(1)}; ${await page.eval("document.getElementById('flame').dataset.boxes")} boxes`,
		);
		gate(`${n} stacks: longest task of the main thread (wall)`, best.task, 50);
		const all = [],
			by = {};
		const measure = async (name, expression) => {
			const before = used();
			await page.eval(complete(expression));
			const { main } = cost(before, used());
			(by[name] ??= []).push(main);
			all.push(main);
		};
		for (let i = 0; i < 8; i++) {
			const at = await page.eval(
				"(() => { const r = document.getElementById('flame').getBoundingClientRect(); return { x: r.x, y: r.y, w: r.width }; })()",
			);
			for (let k = 0; k < 4; k++) {
				const before = used();
				await page.move(at.x + (at.w * (k + 1)) / 6, at.y + 30 + 18 * k);
				await page.eval("new Promise(requestAnimationFrame)");
				const { main } = cost(before, used());
				(by.hover ??= []).push(main);
				all.push(main);
			}
			const click = (x, y) =>
				`document.querySelector("#flame canvas").dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: ${x}, clientY: ${y} }))`;
			await measure("zoom", click(at.x + (at.w * (i + 1)) / 12, at.y + 18 * (6 + i) + 8));
			await measure("zoom out", click(at.x + 300, at.y + 8));
			await measure("nothing", "document.getElementById('flame').dataset.boxes += ''");
			await measure(
				"search",
				set("in-q", ["parse", "Row1", "std", "http", "visit", "query", "lambda", "9"][i]),
			);
			await measure("focus", set("in-f", `Row${i + 1}`));
			await measure("no focus", set("in-f", ""));
			await measure("sample type", set("index", i % 2 ? "cpu" : "samples"));
			await measure("label", set("label", `route=/r${i}`));
			await measure(
				"no label",
				"document.querySelector('.pill[title]') && [...document.querySelectorAll('.pill')].find(e => e.innerText.startsWith('route')).click()",
			);
		}
		for (const [name, list] of Object.entries(by))
			say(
				`  ${name.padEnd(14)} median ${median(list).toFixed(1)}, most ${Math.max(...list).toFixed(1)} ms`,
			);
		gate(
			`${n} stacks: interactions, 95 of 100`,
			[...all].sort((a, b) => a - b)[Math.floor(all.length * 0.95)],
			16,
		);
		const before = used();
		await page.eval("tasks.length = 0");
		await page.eval(complete("document.getElementById('invert').click()"));
		say(
			`  invert: ${cost(before, used()).main.toFixed(1)} ms, longest task ${(await page.eval("Math.max(0, ...tasks)")).toFixed(0)} ms`,
		);
		await page.eval(complete("document.getElementById('invert').click()"));
	}
} catch (e) {
	console.log(e.stack);
	failed++;
} finally {
	await browser.close();
	service.kill();
}
process.exit(failed ? 1 : 0);
