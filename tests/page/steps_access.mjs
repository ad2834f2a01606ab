// For everybody, from everywhere: addresses, both themes, the keyboard alone, other origins, and names that mean harm.
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { sleep } from "./cdp.mjs";
import { T, base, open, page, rows, serve, shot, shown, tab, takeCpu, text, visit } from "./kit.mjs";
import { encode } from "./make.mjs";

const { ODD } = process.env;

export const ACCESS = {
	async "an address brings all of it back in another tab"() {
		await page.click("#kind-profile");
		await page.click("#view-top");
		await page.set("#in-f", "render");
		await page.until("location.hash.includes('f=render') && location.hash.includes('v=top')");
		await sleep(300);
		const url = await page.eval("location.href"),
			before = await rows();
		await tab(url);
		await page.until("document.querySelectorAll('table.top tbody tr').length > 0");
		assert.deepEqual(await rows(), before);
		assert.equal(await page.eval("document.getElementById('in-f').value"), "render");
	},
	async "dark: everything can be read"() {
		await page.theme(true);
		await page.click("#kind-profile");
		for (const view of ["flame", "top", "graph"]) {
			await page.click("#view-" + view);
			await shown();
			await shot("dark-" + view);
		}
		await checkContrast();
		await page.click("#theme");
		await page.until("document.documentElement.dataset.theme === 'light'");
		await page.theme(false);
		await checkContrast();
		await page.click("#theme");
		await page.until("getComputedStyle(document.documentElement).colorScheme === 'dark'");
		await page.click("#theme");
	},
	async "the keyboard alone: from the page to the top function"() {
		await visit(base);
		const focused = () => page.eval("document.activeElement?.id");
		for (let i = 0; i < 20 && (await focused()) !== "kind-profile"; i++) await page.press("Tab");
		assert.equal(await focused(), "kind-profile");
		await page.press("Enter");
		await page.eval("document.activeElement.blur()");
		if (!(await page.eval("!!document.querySelector('#flame')"))) {
			await page.press("t");
			await page.until("!!document.querySelector('#flame')", 30000);
		}
		await page.press("2");
		await page.until("!!document.querySelector('table.top')");
		for (let i = 0; i < 60 && !(await page.eval("!!document.activeElement.closest('tbody')")); i++)
			await page.press("Tab");
		assert.match(await page.eval("document.activeElement.innerText"), /parse_request/);
		await page.press("Enter");
		await page.until("document.querySelector('.middle')?.innerText.includes('parse_request')");
		await page.press("1");
		await page.until("!!document.querySelector('#flame canvas')");
		await page.eval("document.getElementById('flame').focus()");
		for (let i = 0; i < 3; i++) await page.press("ArrowDown");
		await page.until(
			"/^thread_main: with callees/.test(document.querySelector('[role=status]').innerText)",
		);
		await page.press("Enter");
		await page.until("/z=/.test(location.hash)");
		await page.press("?");
		await page.until("document.querySelector('dialog').open");
		await shot("help");
		await page.press("Enter");
	},
	async "no name without a label for those who cannot see"() {
		const bare =
			await page.eval(`[...document.querySelectorAll("button, input, select, canvas, [role=tab]")].filter(e => !e.hidden && e.type !== "file"
			&& !e.textContent.trim() && !e.ariaLabel && !e.getAttribute("aria-label") && !e.closest("label")).map(e => e.outerHTML)`);
		assert.deepEqual(bare, []);
		assert.equal(await page.eval("document.documentElement.lang"), "en");
	},
	async "another origin than localhost, without a secure context"() {
		const url = base.replace("127.0.0.1", "prof.test");
		await visit(url);
		assert.equal(await page.eval("isSecureContext"), false);
		await takeCpu(1);
		await page.click("#command summary");
		await page.click("#command button", "Copy");
		await page.until(
			"!!document.querySelector('#command') && /Copied/.test(document.getElementById('command').innerText)",
		);
		assert.match(await text("#command"), /'http:\/\/prof\.test:\d+\/debug\/pprof\/profile\?seconds=1'/);
		await page.click("#rate-mutex_fraction");
		await page.click("#rate-set");
		await page.until("!!document.querySelector('#kind-mutex .dot.on')");
	},
	async "the modules as they lie in their folder, with their imports"() {
		await visit(await asTheyLie(base.replace("prof.test", "127.0.0.1")));
		await page.until("/Rates.*CPU.*100 Hz/s.test(document.querySelector('.rates').innerText)");
		await takeCpu(1);
		for (const view of ["top", "peek", "graph", "raw", "flame"]) {
			await page.click("#view-" + view);
			await shown();
		}
		await page.click("#kind-goroutine");
		await page.until("!!document.querySelector('.threads')");
		await page.click("#rate-block_rate");
		await page.click("#command summary");
		await page.until("!!document.querySelector('#rate-set') && !!document.querySelector('#command code')");
	},
	async "names that are markup, control bytes or endless are shown as text"() {
		await hostile();
		await visit(await serve(join(T, "<i>odd"), {}));
		assert.equal(await page.eval("document.title"), "<i>odd - /debug/pprof/");
		assert.equal(await text("h1"), "<i>odd");
		await page.click("nav button", "mine");
		await shown();
		await takeCpu(2);
		await page.click("#view-top");
		const names = (await rows()).map(r => r.at(-1)).join("\n");
		for (const words of [
			"<img src=x onerror=alert(1)>",
			"\"'&amp;<script>alert(2)</script>",
			"bell\\u{7}escape\\u{1b}[31mred",
			"long_abcdefghij",
		])
			assert.ok(names.includes(words), words + " in\n" + names.slice(0, 2000));
		await shot("odd-top");
		for (const view of ["flame", "graph", "peek", "raw"]) {
			await page.click("#view-" + view);
			await shown();
			await sleep(150);
			await shot("odd-" + view);
		}
		await page.click("#kind-goroutine");
		await page.until("!!document.querySelector('.deadlock')");
		const threads = await text("main");
		assert.match(
			threads,
			/Deadlock: .*(<b>first<\/b>).* waits for 0x[0-9a-f]+ held by \d+; .*second.* waits for 0x/s,
		);
		assert.ok(threads.includes("<u>spin"));
		await shot("odd-threads");
		const file = join(T, "odd.pb.gz");
		writeFileSync(
			file,
			encode({
				types: [["<b>x", "count"]],
				comments: ["<img src=x onerror=alert(3)>"],
				samples: [
					{
						stack: ["\u202eevil\0", "<svg onload=alert(4)>"],
						values: [3],
						labels: { "<i>k": "<img src=x>" },
					},
				],
			}),
		);
		await open(file);
		await page.until(
			"/<svg onload=alert/.test(document.querySelector('#flame canvas')?.getAttribute('aria-label'))",
		);
		assert.equal(
			await page.eval(
				"document.querySelectorAll('main img, main script, main b.x, .facts img, nav i, header i, select i').length",
			),
			0,
		);
		await shot("odd-file");
	},
};

// A service's pages with the modules of the folder instead of those that it has embedded.
async function asTheyLie(url) {
	const folder = new URL("../../www/", import.meta.url);
	const server = createServer(async (ask, answer) => {
		const module = /\/(\w+\.mjs)$/.exec(ask.url)?.[1];
		const r = await fetch(new URL(ask.url, url), { headers: { Accept: ask.headers.accept ?? "*/*" } });
		const body = Buffer.from(await r.arrayBuffer()),
			types = r.headers.get("Content-Type") ?? "";
		answer.setHeader("Content-Type", module ? "text/javascript" : types);
		answer.end(
			module
				? readFileSync(new URL(module, folder))
				: /html/.test(types)
					? String(body).replace("page.mjs", "app.mjs")
					: body,
		);
	});
	await new Promise(done => server.listen(0, "127.0.0.1", done));
	server.unref();
	return url.replace(/:\d+/, ":" + server.address().port);
}
// The program with worse names than a compiler lets through, under a name that is markup.
async function hostile() {
	const tail = "_0123456789012345678901234567890123456789",
		program = readFileSync(ODD);
	for (const [name, worse] of [
		["markup", "<img src=x onerror=alert(1)>"],
		["quotes", "\"'&amp;<script>alert(2)</script>"],
		["control", "bell\x07escape\x1b[31mred"],
	]) {
		const from = Buffer.from(name + tail),
			to = Buffer.alloc(from.length);
		to.write(worse, "latin1");
		for (let at = 0; (at = program.indexOf(from, at)) >= 0; at++) to.copy(program, at);
	}
	const path = join(T, "<i>odd");
	writeFileSync(path, program);
	chmodSync(path, 0o755);
}
// All text against what is behind it.
async function checkContrast() {
	const poor = await page.eval(`(() => {
		const rgb = c => c.match(/[\\d.]+/g).map(Number), light = c => rgb(c).slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
			.reduce((a, v, i) => a + v * [.2126, .7152, .0722][i], 0);
		const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgb(c)[3] !== 0) return c; } return "rgb(255,255,255)"; };
		return [...document.querySelectorAll("body *")].filter(e => e.getClientRects().length && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && !e.closest("svg, .sr, option"))
			.map(e => { const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x); return [(a + .05) / (b + .05), e.innerText.slice(0, 40), e.className]; })
			.filter(([ratio]) => ratio < 4.5);
	})()`);
	assert.deepEqual(poor, []);
}
