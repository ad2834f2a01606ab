// What the page asks of the service, and what it keeps: windows, rates, every kind of profile, files.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { sleep } from "./cdp.mjs";
import { T, base, browser, factsSay, flameText, json, open, page, shot, shown, text } from "./kit.mjs";

export const SERVICE = {
	async "cancel frees the window"() {
		await page.click("#kind-profile");
		await page.set("#seconds", "60");
		await page.click("#take");
		await page.until("!!document.getElementById('cancel')");
		const open = async n => {
			for (let i = 0; i < 100 && (await json(base + "admin")).windows.length !== n; i++)
				await sleep(50);
		};
		await open(1);
		assert.equal((await json(base + "admin")).windows.length, 1);
		await page.click("#cancel");
		await open(0);
		assert.equal((await json(base + "admin")).windows.length, 0);
		await page.until("!document.getElementById('cancel')");
		assert.equal(await text(".problem"), "");
	},
	async "all windows taken: it says so, waits and goes on by itself"() {
		const all = Array.from({ length: 16 }, () =>
			fetch(base + "profile?seconds=3").then(r => r.arrayBuffer()),
		);
		await sleep(700);
		await page.set("#seconds", "1");
		await page.click("#take");
		await page.until("/All windows are taken/.test(document.getElementById('left')?.innerText)");
		await shot("queued");
		await Promise.all(all);
		await page.until("!document.getElementById('cancel')", 20000);
		// The browser itself puts every refusal into its log.
		page.errors = page.errors.filter(e => !/status of 429/.test(e));
		assert.equal(await text(".problem"), "");
	},
	async "a window that somebody else has open is joined, to the same end"() {
		const other = fetch(base + "profile?seconds=9").then(r => r.arrayBuffer());
		await page.until("document.getElementById('join')?.innerText.startsWith('Join 127.0.0.1:')", 9000);
		await shot("join");
		await page.click("#join");
		await page.until("!!document.getElementById('cancel')");
		const left = (await json(base + "admin")).windows.map(w => w.left_s);
		assert.ok(left.length === 2 && Math.abs(left[0] - left[1]) < 1, String(left));
		await other;
		await page.until("!document.getElementById('cancel')", 20000);
		assert.equal(await text(".problem"), "");
	},
	async "rates: on for a while, off again, seen by the service"() {
		await page.click("#rate-block_rate");
		await shot("rate");
		await page.set("#rate-value", "2000");
		await page.click("#rate-set");
		await page.until("/waits of 2\\sµs until/.test(document.querySelector('.rates').innerText)");
		let { block_rate: r } = (await json(base + "admin")).rates;
		assert.equal(r.value, 2000);
		assert.ok(
			Date.parse(r.until) - Date.now() > 40000 && Date.parse(r.until) - Date.now() < 61000,
			r.until,
		);
		await page.until("!!document.querySelector('#kind-block .dot.on')");
		await page.click("#rate-block_rate");
		await page.click("#rate-off");
		await page.until("!document.querySelector('#kind-block .dot.on')");
		({ block_rate: r } = (await json(base + "admin")).rates);
		assert.equal(r.value, 0);
	},
	async "off is not zero: an I/O profile says so and turns itself on"() {
		await page.click("#kind-io");
		await page.until(
			"/this does not mean that nobody waits/.test(document.querySelector('main').innerText)",
		);
		await shot("off");
		await page.click("main button", "Turn on");
		await page.until("!!document.querySelector('#kind-io .dot.on')");
		assert.equal((await json(base + "admin")).rates.io_rate.value, 1000000);
		await sleep(500);
		await page.click("#take");
		await page.until(
			"/sleep_us|nanosleep/.test(document.querySelector('main').innerText + document.querySelector('canvas')?.getAttribute('aria-label'))",
		);
		await shot("io");
	},
	async "heap: sample types in words, allocated is not in use, RSS, change over a window"() {
		await page.click("#kind-heap");
		await shown();
		await factsSay("/In use: allocated and not freed/");
		await factsSay("/RSS .* in use \\(this profile: .*kept by the allocator/");
		assert.match(await flameText(), /remember.*cache_insert/);
		await shot("heap");
		await page.set("#index", "alloc_space");
		await factsSay("/freed memory included: not what is in use/");
		await page.click(".facts button", "Show what is in use");
		await page.until("document.getElementById('index').value === 'inuse_space'");
		await page.set("#since", "1");
		await page.set("#seconds", "1");
		await page.click("#take");
		await page.until("!!document.getElementById('cancel')");
		await page.until("!document.getElementById('cancel')", 20000);
		await page.set("#since", "");
	},
	async "threads: groups, states, idle ones hidden, two dumps compared, all other views"() {
		await page.click("#kind-goroutine");
		await page.until("!!document.querySelector('.threads')");
		await factsSay("/13 threads in .* different stacks/");
		await factsSay("/Taken thread by thread within/");
		const all = await page.eval("document.querySelectorAll('.group').length");
		await shot("threads");
		await page.click(".pill", "IO wait (poll)");
		await page.until("document.querySelectorAll('.group').length === 1");
		assert.match(await text(".group"), /idle-poll/);
		await page.click(".pill", "IO wait (poll)");
		await page.click("#idle");
		await page.until(`document.querySelectorAll(".group").length < ${all}`);
		await page.click("#idle");
		await page.set("#in-q", "idle-");
		await page.until("document.querySelectorAll('.group').length === 3");
		await page.set("#in-q", "");
		await page.click("#again");
		await page.until(
			"/Same stack in both dumps: \\d+ threads of 13/.test(document.getElementById('still')?.innerText)",
			15000,
		);
		const still = await page.eval(
			"[...document.querySelectorAll('.group')].filter(g => g.innerText.includes('1 not moved')).map(g => g.innerText).join()",
		);
		assert.ok(/idle-poll/.test(still) && /idle-sleep/.test(still), still);
		await shot("threads-compared");
		await page.click("#view-flame");
		await page.until(
			"/thread_main 92/.test(document.querySelector('#flame canvas')?.getAttribute('aria-label'))",
		);
	},
	async "save, open again, damaged and foreign files"() {
		const saved = join(T, "saved");
		await page.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: saved });
		mkdirSync(saved, { recursive: true });
		await page.click("#kind-heap");
		await page.click("#take");
		await shown();
		await page.click("#save");
		let names = [];
		for (let i = 0; i < 100 && !(names = readdirSync(saved).filter(n => n.endsWith(".pb.gz"))).length; i++)
			await sleep(50);
		assert.match(names[0], /^demo-heap-.*\.pb\.gz$/);
		assert.ok(gunzipSync(readFileSync(join(saved, names[0]))).includes("inuse_space"));
		await open(join(saved, names[0]));
		await page.until(
			`document.getElementById("showing")?.selectedOptions[0].innerText.startsWith(${JSON.stringify(names[0].slice(0, 20))})`,
		);
		writeFileSync(join(T, "cut.pb.gz"), readFileSync(join(saved, names[0])).subarray(0, 300));
		await open(join(T, "cut.pb.gz"));
		await page.until(
			"/cut\\.pb\\.gz: The gzip'd file is damaged or cut off/.test(document.querySelector('.problem').innerText)",
		);
		await shot("problem");
		writeFileSync(join(T, "page.html"), "<!DOCTYPE html><p>no profile");
		await open(join(T, "page.html"));
		await page.until(
			"/not a profile in the pprof format/.test(document.querySelector('.problem').innerText)",
		);
		await page.click(".problem button");
	},
};
