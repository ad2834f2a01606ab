// What the page knows at this moment, and how it is changed. Whatever changes it calls now.render().
import { fill } from "./dom.mjs";
import { formatState } from "./state.mjs";

// s: what is chosen, as in the address; x: what follows from it (chosen.mjs); ui: elements by name; jobs: profiles being
// taken, by kind; state: of the service, null when it cannot be read.
export const now = {
	s: {},
	x: null,
	captures: [],
	jobs: new Map(),
	kinds: [],
	state: null,
	program: "",
	problem: "",
	editing: "",
	limit: 100,
	thin: null,
	box: null,
	notes: "",
	ui: {},
	render() {},
};
const kept = {};
let writing = 0;

// The value that was made of the same things the last time, or a new one.
export function once(name, deps, make) {
	const known = kept[name];
	if (known?.deps.length === deps.length && known.deps.every((d, i) => d === deps[i])) return known.value;
	return (kept[name] = { deps, value: make() }).value;
}
export const forget = name => delete kept[name];

// A part of the page, made again when what it shows has changed.
export const shown = (name, deps, make) => once("ui " + name, deps, () => fill(now.ui[name], make()));

// Choose something else; remember: the back button returns to what was before.
export function go(change, remember) {
	const other = Object.keys(change).some(key => now.s[key] !== change[key]);
	now.s = { ...now.s, ...change };
	clearTimeout(writing);
	const write = () => history[remember ? "pushState" : "replaceState"](null, "", formatState(now.s));
	if (remember) write();
	else writing = setTimeout(write, 150);
	if (!other) return;
	now.box = null;
	now.render();
}

// Do what may fail; the reason is shown.
export async function attempt(what, before = "") {
	now.problem = "";
	try {
		await what();
	} catch (e) {
		now.problem = before + e.message;
	}
	now.render();
}
