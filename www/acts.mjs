// What a click or a key does, besides choosing: other profiles, rates, themes, files.
import { setRate, take } from "./captures.mjs";
import { save } from "./dom.mjs";
import { go, now } from "./now.mjs";
import { RATES, kindOf } from "./words.mjs";

export function pick(kind) {
	const last = now.captures.findLast(c => c.kind === kind && !c.file),
		{ v } = now.s;
	now.limit = 100;
	go(
		{
			k: kind,
			c: last?.id ?? "",
			b: "",
			z: "",
			p: "",
			i: "",
			v: kind === "goroutine" || v === "threads" ? "" : v,
		},
		true,
	);
	if (kind && !last && !kindOf(kind).window) take(kind);
}
export function act(what) {
	const kind = now.s.k || now.x?.c.kind,
		{ rate } = kindOf(kind);
	if (what === "on") setRate(rate, RATES[rate][0], "60s");
	else if (what === "inuse") go({ i: "inuse_space" }, true);
	else if (what === "window") go({ k: kind, w: "1" }) || take(kind);
	else pick(what === "threads" ? "goroutine" : what);
}
export const set = (name, value) => {
	now[name] = value;
	now.render();
};
export const theme = () =>
	document.documentElement.dataset.theme ||
	(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
export function changeTheme() {
	document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
	try {
		localStorage.setItem("pprofd-theme", theme());
	} catch {
		// Nothing is kept then.
	}
	now.render();
}
export function saveCapture() {
	const { kind, when, dump, bytes } = now.x.c,
		time = new Date(when).toISOString().slice(0, 19).replace(/:/g, "");
	save(`${now.program}-${kind}-${time}${dump ? ".txt" : ".pb.gz"}`, [bytes]);
}
export const flip = key => go({ [key]: now.s[key] ? "" : "1", ...(key === "n" ? { z: "", p: "" } : {}) }, true);
