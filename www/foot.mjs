// The line at the foot. Knows boxes of the flame graph and words.
import { el, fill } from "./dom.mjs";
import { now } from "./now.mjs";
import { amount, percent, plain, plural } from "./words.mjs";

// The line at the foot: what the pointer or the selection is on.
export function showBox(box, aloud) {
	const { tree, p, type, visible, b } = now.x ?? {};
	now.box = box;
	if (!box || !tree) return fill(now.ui.status, el("small", now.notes));
	const f = tree.frame[box.v],
		value = c => tree.value(box.v, c),
		say = v => `${amount(v, type.unit)} (${percent(v, visible)})`;
	const own = f < 0 ? "all" : p.names[f],
		name = box.n ? `${plural(box.n, "frame")} too thin to show, in ${own}` : own;
	const place = p.files[f]
		? `${p.files[f]}${p.lines[f] ? `:${p.lines[f]}` : ""}`
		: p.mappings[p.modules[f]]?.file;
	const words = box.n
		? "Callers/callees lists them."
		: b
			? `before ${amount(value(2), type.unit)} · after ${amount(value(1), type.unit)}${
					!value(2) ? " · new" : !value(1) ? " · gone" : ""
				}`
			: `with callees ${say(value(0))} · self ${say(tree.self(box.v))}${tree.inlined[box.v] && f >= 0 ? " · inlined" : ""}`;
	fill(
		now.ui.status,
		el("div", { className: "name" }, plain(name.slice(0, 4000))),
		el("div", words),
		place && el("small", plain(place)),
	);
	if (aloud) now.ui.aloud.textContent = `${plain(name.slice(0, 200))}: ${words}`;
	return undefined;
}
