// The views of one profile and of two, as a person goes through them.
import assert from "node:assert/strict";
import { factsSay, flameText, json, page, rows, share, shot, takeCpu, text } from "./kit.mjs";

export const VIEWS = {
	async "the overview: every profile with what it is, links for those without a script"() {
		const cards = await page.eval(`[...document.querySelectorAll(".card")].map(c => c.innerText)`);
		for (const name of ["CPU", "Heap", "Allocations", "Block", "Mutex", "Threads", "Thread creation"])
			assert.ok(
				cards.some(c => c.startsWith(name)),
				`${name} among ${cards}`,
			);
		assert.match(
			cards.find(c => c.startsWith("Block")),
			/Off: what is not recorded is not zero/,
		);
		assert.match(
			cards.find(c => c.startsWith("Threads")),
			/13 threads/,
		);
		assert.match(await text("header"), /demo.*pid \d+ · up .* threads · RSS .*MiB/s);
		await shot("overview");
	},
	async "a CPU profile: progress, picture, facts, all functions of the demo"() {
		await page.click("#kind-profile");
		await shot("prompt");
		await page.set("#seconds", "3");
		await page.click("#take");
		await page.until(
			"document.querySelector('#left')?.textContent.includes('s left') && document.querySelector('progress').value > 0.2",
		);
		await shot("taking");
		await page.until("!!document.querySelector('#flame canvas')", 30000);
		await factsSay("/ of CPU in 3.* cores busy of \\d/");
		await factsSay("/samples at 100 Hz, about ±/");
		assert.match(await flameText(), /Heaviest path: clone3 .*thread_main.*serve_next.*parse_request/);
		await shot("flame");
	},
	async "top: shares as the demo keeps them"() {
		await page.press("2");
		await page.until("!!document.querySelector('table.top')");
		for (const [name, want] of [
			["parse_request", 50],
			["checksum", 30],
			["compress_block", 20],
		])
			assert.ok(Math.abs((await share(name)) - want) < 12, `${name}: ${await share(name)}`);
		await factsSay("/overlaps: it does not add up to 100 %/");
		await page.click("#sort-total");
		assert.match((await rows())[0].at(-1), /clone3|start_thread|thread_main/);
		await page.click("#sort-self");
		await shot("top");
	},
	async "callers and callees by a click on a function, and back by the back button"() {
		await page.click("td.name .link", "render_page");
		await page.until("!!document.querySelector('table.peek')");
		const list = (await rows()).map(r => r.at(-1));
		assert.ok(
			list.some(r => r.startsWith("pprofd_do")) && list.some(r => /^checksum\s*inlined/.test(r)),
			list.join("\n"),
		);
		await shot("peek");
		await page.eval("history.back()");
		await page.until("!!document.querySelector('table.top:not(.peek)')");
	},
	async "graph and raw"() {
		await page.click("#view-graph");
		await page.until("document.querySelectorAll('.graph .node').length > 5");
		await shot("graph");
		await page.click(".graph .node", "serve_next");
		await page.until("document.querySelector('.middle')?.innerText.includes('serve_next')");
		await page.click("#view-raw");
		await page.until(
			"/samples\\/count cpu\\/nanoseconds\\[dflt\\]/.test(document.getElementById('raw')?.textContent)",
		);
		await shot("raw");
	},
	async "flame: hover tells, a click zooms, keys move, search marks and counts"() {
		await page.click("#view-flame");
		const at = await page.eval(
			"(() => { const r = document.querySelector('#flame canvas').getBoundingClientRect(); return { x: r.x + 300, y: r.y + 26 }; })()",
		);
		await page.move(at.x, at.y);
		await page.until("/clone3[^]*with callees .*100\\s%/.test(document.querySelector('footer').innerText)");
		await page.clickAt(at.x, at.y + 18 * 6);
		await page.until("location.hash.includes('z=')");
		await page.until("getComputedStyle(document.querySelector('#flame .mark')).display === 'none'");
		const zoomed = await page.eval("location.hash");
		await page.press("ArrowUp");
		await page.press("ArrowDown");
		await page.press("Escape");
		await page.until(`location.hash !== ${JSON.stringify(zoomed)}`);
		await page.eval("document.activeElement.blur()");
		await page.press("Escape");
		await page.until("!location.hash.includes('z=')");
		await page.press("/");
		await page.type("render");
		await page.until(
			"/1 function match.*\\d\\d\\.\\d\\s% with callees/.test(document.getElementById('found')?.innerText)",
		);
		await shot("search");
		await page.press("Escape");
		await page.press("Escape");
		for (const [key, id] of [
			["i", "invert"],
			["r", "fold"],
			["u", "flip"],
		]) {
			await page.press(key);
			await page.until(`document.getElementById("${id}").ariaPressed === "true"`);
			await shot(id);
			await page.press(key);
		}
	},
	async "the picture itself: boxes in their colours as far as it reaches, also when the browser zooms"() {
		// Of the first row both ends, of what is below all rows one pixel, and how many colours there are.
		const look = scale =>
			page.until(`(() => {
				const picture = document.querySelector("#flame canvas"), { width, height } = picture,
					ink = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
				ink.drawImage(picture, 0, 0);
				const pixels = new Uint32Array(ink.getImageData(0, 0, width, height).data.buffer),
					at = (x, y) => pixels[width * ${scale} * y + (x < 0 ? width : 0) + ${scale} * x];
				return devicePixelRatio === ${scale} && width === ${scale} * picture.clientWidth
					&& at(5, 2) === at(-5, 2) && at(5, 2) !== at(-5, picture.clientHeight - 2)
					&& new Set(pixels).size > 10;
			})()`);
		await look(1);
		const size = { width: 1440, height: 900, deviceScaleFactor: 1, mobile: false };
		await page.send("Emulation.setDeviceMetricsOverride", {
			...size,
			width: 720,
			height: 450,
			deviceScaleFactor: 2,
		});
		await look(2);
		await shot("flame-zoomed-in");
		await page.send("Emulation.setDeviceMetricsOverride", size);
		await look(1);
	},
	async "focus, ignore and labels: what they keep and hide, and the command that does the same"() {
		await page.set("#in-f", "render_page");
		await factsSay("/keep [1-4]\\d\\.\\d\\s% and hide/");
		await page.set("#in-x", "checksum");
		await factsSay("/keep <?\\d\\.?\\d*\\s%|keep 0\\s%/");
		await page.set("#in-f", "");
		await page.set("#in-x", "");
		await page.set("#label", "route=/json");
		await factsSay("/keep [3-6]\\d\\.\\d\\s%.* carries no “route” label/");
		await page.click("#command summary");
		await page.until("document.querySelectorAll('#command code').length > 2");
		assert.match(
			await text("#command"),
			/go tool pprof -http=: '-tagfocus=route=\^\/json\$' 'http:\/\/127\.0\.0\.1:\d+\/debug\/pprof\/profile\?seconds=3'/,
		);
		await shot("command");
		await page.click("#command summary");
		await page.click(".pill", "route: /json");
		await page.set("#label", "+route");
		await page.until(
			"document.querySelector('#flame canvas').getAttribute('aria-label').includes('route: /json')",
		);
		await shot("by-label");
		await page.click(".pill", "by route");
	},
	async "two captures compared: per second, as shares, and what chance may do"() {
		await takeCpu(1);
		const options = await page.eval("[...document.querySelectorAll('#compare option')].map(o => o.value)");
		await page.set("#compare", options[1]);
		await factsSay("/Before 3.*after 1.*compared per second/");
		await shot("diff-flame");
		await page.click("#view-top");
		await page.until("/change of self/.test(document.querySelector('table.top')?.innerText)");
		await shot("diff-top");
		await page.set("#share", "1");
		await factsSay("/as shares of each total/");
		await page.set("#compare", "");
	},
};
