// What the steps in the browser share: services, the page that is looked at, and what a person does to it.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

const { launch } = await import(process.env.PLAYWRIGHT ? "./playwright.mjs" : "./cdp.mjs");

export const { T } = process.env;
const SHOTS = process.env.SHOTS || join(T, "shots");
mkdirSync(SHOTS, { recursive: true });

const services = [];
export async function serve(program, env) {
	const child = spawn(program, [], {
		stdio: ["ignore", "pipe", "inherit"],
		env: { ...process.env, PPROFD_LISTEN: "127.0.0.1:0", ...env },
	});
	services.push(child);
	return new Promise((done, fail) => {
		child.stdout.once("data", text => done(String(text).trim()));
		child.once("exit", () => fail(new Error(`${program} has ended`)));
	});
}

// The page that is looked at, the service it is of, and all pages there were with their origins.
export let page, base;
export const pages = [],
	browser = await launch(T, ["--host-resolver-rules=MAP prof.test 127.0.0.1"]);
export async function tab(url) {
	page = await browser.page();
	pages.push([page, new URL(url).origin]);
	await page.open(url);
}
export async function visit(url) {
	base = url;
	await tab(url);
	await page.until("!!document.querySelector('body.app .card')");
}
export async function end() {
	await browser.close();
	services.forEach(s => s.kill("SIGKILL"));
}

export const json = async url => (await fetch(url)).json();

export const shot = name => page.shot(join(SHOTS, `${name}.png`));
export const text = selector => page.eval(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ""`);
export const factsSay = words =>
	page.until(
		`${words}.test(document.querySelector(".facts").innerText + document.querySelector(".bar-row").innerText + document.querySelector("footer").innerText)`,
	);
export const shown = () => page.until("!!document.querySelector('#flame canvas, table.top, .threads, .graph, #raw')", 30000);
export async function takeCpu(seconds) {
	await page.click("#kind-profile");
	await page.set("#seconds", String(seconds));
	await page.click("#take");
	await page.until("!!document.getElementById('cancel')");
	await page.until("!document.getElementById('cancel')", 30000);
	await shown();
}
export const rows = () =>
	page.eval(
		`[...document.querySelectorAll("table.top tbody tr")].map(tr => [...tr.cells].map(c => c.innerText))`,
	);
export const share = async name => parseFloat((await rows()).find(r => r[r.length - 1].startsWith(name))?.[2] ?? "NaN");
export async function flameText() {
	await page.click("#view-flame");
	await page.click("#flame"); // below the boxes
	return page.eval("document.querySelector('#flame canvas').getAttribute('aria-label')");
}
export async function open(file) {
	const { root } = await page.send("DOM.getDocument"),
		{ nodeId } = await page.send("DOM.querySelector", {
			nodeId: root.nodeId,
			selector: "input[type=file]",
		});
	await page.send("DOM.setFileInputFiles", { files: [file], nodeId });
}
