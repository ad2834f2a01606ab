// Drives Chromium over the DevTools protocol through a pipe: no port, no package. Knows the browser; must not know what
// is tested.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export const FLAGS = [
	"--headless=new",
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--mute-audio",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
	"--disable-extensions",
	"--disable-dev-shm-usage",
	"--hide-scrollbars",
	"--no-default-browser-check",
	"--remote-debugging-pipe",
];
// What the page's policy forbids is an error, too.
export const POLICY = `addEventListener("securitypolicyviolation",
	e => console.error("policy: " + e.violatedDirective + " " + e.blockedURI + " " + e.sample));`;
const KEYS = {
	Enter: [13, "\r"],
	Escape: [27],
	Tab: [9],
	ArrowUp: [38],
	ArrowDown: [40],
	ArrowLeft: [37],
	ArrowRight: [39],
	Backspace: [8],
	" ": [32, " "],
};

export const sleep = ms => new Promise(done => setTimeout(done, ms));

export async function launch(folder, flags = []) {
	const home = mkdtempSync(join(folder, "chromium-"));
	const child = spawn(
		process.env.CHROMIUM || "chromium",
		[...FLAGS, ...flags, `--user-data-dir=${home}`, "about:blank"],
		{ stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"], env: { ...process.env, HOME: home } },
	);
	const [, , , to, from] = child.stdio,
		waiting = new Map(),
		pages = new Map();
	let id = 0,
		rest = Buffer.alloc(0);
	child.on("error", e => {
		for (const w of waiting.values()) w.reject(e);
	});
	child.on("exit", () => {
		for (const w of waiting.values()) w.reject(new Error("the browser has ended"));
	});
	to.on("error", () => {});
	from.on("data", data => {
		rest = Buffer.concat([rest, data]);
		for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1)) {
			const m = JSON.parse(rest.subarray(0, end).toString());
			if (m.id) {
				const w = waiting.get(m.id);
				waiting.delete(m.id);
				if (m.error) w?.reject(new Error(`${w.method}: ${m.error.message}`));
				else w?.resolve(m.result);
			} else {
				pages.get(m.sessionId)?.event(m.method, m.params);
			}
		}
	});
	const send = (method, params = {}, sessionId = undefined) =>
		new Promise((resolve, reject) => {
			waiting.set(++id, { resolve, reject, method });
			to.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
		});
	return {
		async page(options) {
			const { targetId } = await send("Target.createTarget", { url: "about:blank" });
			const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
			const page = new Page((method, params) => send(method, params, sessionId), targetId);
			pages.set(sessionId, page);
			await page.begin(options ?? {});
			return page;
		},
		async close() {
			const ended = new Promise(done => child.on("exit", done));
			await Promise.race([send("Browser.close").catch(() => {}), sleep(3000)]);
			await Promise.race([ended, sleep(5000).then(() => child.kill("SIGKILL"))]);
			rmSync(home, { recursive: true, force: true, maxRetries: 5 });
		},
	};
}

export class Page {
	constructor(send, targetId) {
		this.send = send;
		this.targetId = targetId;
		this.errors = [];
		this.requests = [];
		this.loaded = 0;
	}
	async begin({ width = 1440, height = 900, dark = false }) {
		for (const domain of ["Page", "Runtime", "Network", "Log", "DOM"]) await this.send(`${domain}.enable`);
		await this.send("Page.addScriptToEvaluateOnNewDocument", { source: POLICY });
		await this.send("Emulation.setDeviceMetricsOverride", {
			width,
			height,
			deviceScaleFactor: 1,
			mobile: false,
		});
		await this.theme(dark);
	}
	theme(dark) {
		return this.send("Emulation.setEmulatedMedia", {
			features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
		});
	}
	event(method, p) {
		if (method === "Runtime.exceptionThrown")
			this.errors.push(p.exceptionDetails.exception?.description ?? p.exceptionDetails.text);
		else if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(p.type))
			this.errors.push(p.args.map(a => a.value ?? a.description).join(" "));
		else if (method === "Log.entryAdded" && ["error", "warning"].includes(p.entry.level))
			this.errors.push(`${p.entry.source}: ${p.entry.text} ${p.entry.url ?? ""}`);
		else if (method === "Network.requestWillBeSent") this.requests.push(p.request.url);
		else if (method === "Page.loadEventFired") this.loaded++;
	}
	async open(url) {
		const before = this.loaded;
		await this.send("Page.navigate", { url });
		for (let i = 0; i < 400 && this.loaded === before; i++) await sleep(25);
	}
	// The value of an expression in the page; a promise is waited for.
	async eval(expression) {
		const r = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
		if (r.exceptionDetails)
			throw new Error(
				`${expression}: ${r.exceptionDetails.exception?.description ?? r.exceptionDetails.text}`,
			);
		return r.result.value;
	}
	async until(expression, ms = 15000) {
		for (const end = Date.now() + ms; ;) {
			const v = await this.eval(expression);
			if (v) return v;
			if (Date.now() > end)
				throw new Error(
					`not so within ${ms} ms: ${expression}; the page says: ${(await this.eval("document.body.innerText")).slice(0, 1500)}`,
				);
			await sleep(40);
		}
	}
	// The first visible element with that selector whose text has these words.
	find(selector, words = "") {
		return `[...document.querySelectorAll(${JSON.stringify(selector)})].find(e => e.getClientRects().length && e.textContent.includes(${JSON.stringify(
			words,
		)}))`;
	}
	async click(selector, words) {
		const e = this.find(selector, words);
		await this.until(`Boolean(${e})`);
		const { x, y } = await this
			.eval(`(() => { const e = ${e}; e.scrollIntoView({ block: "nearest" }); const r = e.getBoundingClientRect();
			return { x: r.x + r.width / 2, y: r.y + r.height / 2 }; })()`);
		await this.clickAt(x, y);
	}
	async move(x, y) {
		await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
	}
	async clickAt(x, y) {
		await this.move(x, y);
		for (const type of ["mousePressed", "mouseReleased"])
			await this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
	}
	async press(key, modifiers = 0) {
		const [code, text] = KEYS[key] ?? [key.toUpperCase().charCodeAt(0), key];
		const event = { key, windowsVirtualKeyCode: code, modifiers, ...(text ? { text } : {}) };
		await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", ...event });
		await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event, text: undefined });
	}
	async type(text) {
		for (const c of text) await this.press(c);
	}
	async set(selector, value) {
		await this.until(`Boolean(${this.find(selector)})`);
		await this.eval(`(() => { const e = ${this.find(selector)}; e.value = ${JSON.stringify(value)};
			e.dispatchEvent(new Event("input", { bubbles: true })); e.dispatchEvent(new Event("change", { bubbles: true })); })()`);
	}
	async shot(file) {
		const { data } = await this.send("Page.captureScreenshot", { format: "png" });
		writeFileSync(file, Buffer.from(data, "base64"));
	}
	close() {
		return this.send("Target.closeTarget", { targetId: this.targetId });
	}
}
