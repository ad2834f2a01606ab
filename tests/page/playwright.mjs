// The same as cdp.mjs, by playwright-core, which lies in the folder PLAYWRIGHT: opening, pointing, typing and looking go
// its way.
import { createRequire } from "node:module";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { FLAGS, POLICY, Page } from "./cdp.mjs";

const { chromium } = createRequire(import.meta.url)(process.env.PLAYWRIGHT);

export async function launch(folder, flags = []) {
	const context = await chromium.launchPersistentContext(mkdtempSync(join(folder, "chromium-")), {
		executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
		args: [...FLAGS.filter(f => !/headless|debugging/.test(f)), ...flags],
		viewport: { width: 1440, height: 900 },
		acceptDownloads: false,
	});
	await context.addInitScript(POLICY);
	return {
		async page({ dark = false } = {}) {
			const tab = await context.newPage(),
				session = await context.newCDPSession(tab),
				page = new Driven(tab, session);
			await page.theme(dark);
			return page;
		},
		close: () => context.close(),
	};
}

class Driven extends Page {
	constructor(tab, session) {
		super((method, params) => session.send(method, params));
		this.tab = tab;
		tab.on("pageerror", e => this.errors.push(e.stack ?? String(e)));
		tab.on("console", m => ["error", "warning", "assert"].includes(m.type()) && this.errors.push(m.text()));
		tab.on("request", r => this.requests.push(r.url()));
		tab.on("load", () => this.loaded++);
	}
	theme(dark) {
		return this.tab.emulateMedia({ colorScheme: dark ? "dark" : "light" });
	}
	open(url) {
		return this.tab.goto(url);
	}
	eval(expression) {
		return this.tab.evaluate(expression);
	}
	move(x, y) {
		return this.tab.mouse.move(x, y);
	}
	clickAt(x, y) {
		return this.tab.mouse.click(x, y);
	}
	press(key) {
		return this.tab.keyboard.press(key);
	}
	type(text) {
		return this.tab.keyboard.type(text);
	}
	shot(path) {
		return this.tab.screenshot({ path });
	}
	close() {
		return this.tab.close();
	}
}
