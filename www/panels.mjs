// The rows above the picture: profiles, taking, rates, sentences, filters. Each is made from what the
// page knows and asks the page to change something; none of them fetches.
import { button, choice, copy, el } from "./dom.mjs";
import { rateWords } from "./service.mjs";
import { RATES, amount, clock, indexWords, kindOf, plain, rateTitle, seconds, span } from "./words.mjs";

export const dot = r => r && el("span", { className: r.value ? "dot on" : "dot", title: r.value ? "on" : "off" });

export function whoRow({ program, state, theme, openFiles, help, command }) {
	const told = state
		? [
				`pid ${state.pid}`,
				`up ${span(state.up)}`,
				`${state.threads} threads`,
				state.rss && `RSS ${amount(state.rss, "bytes")}`,
				state.build && `build ${state.build.slice(0, 8)}…`,
				`pprofd ${state.version}`,
			]
		: [];
	const file = el("input", {
		type: "file",
		multiple: true,
		hidden: true,
		onchange: e => {
			openFiles([...e.target.files]);
			e.target.value = "";
		},
	});
	return [
		el("h1", plain(program)),
		el("span", { className: "faint" }, told.filter(Boolean).join(" · ")),
		el("span", { className: "grow" }),
		file,
		button("Open…", () => file.click(), {
			id: "open",
			title: "A .pb.gz file or a thread dump; or drop it on the page",
		}),
		command,
		button("◐", theme, { id: "theme", title: "Light or dark", ariaLabel: "Light or dark" }),
		button("?", help, { id: "help", title: "Help and keys", ariaLabel: "Help and keys" }),
	];
}

export const kindTabs = ({ kinds, s, state, pick, busy }) =>
	[["", "Overview"], ...kinds.map(k => [k.name, kindOf(k.name).title])].map(([name, title]) =>
		el(
			"button",
			{
				type: "button",
				id: "kind-" + name,
				role: "tab",
				ariaSelected: String(s.k === name),
				onclick: () => pick(name),
			},
			name && dot(state?.rates[kindOf(name).rate]),
			title,
			busy(name) && el("small", "…"),
		),
	);

const captureWords = c =>
	`${c.file || kindOf(c.kind).title}, ${clock(c.when)}${c.seconds ? `, ${seconds(c.seconds)}` : ""}`;

export function takeRow({ s, job, other, kind, captures, go, take, cancel, save, x }) {
	const capture = x?.c;
	if (job) {
		const left = el("span", { id: "left" }),
			bar = el("progress", { max: job.wait || 1, ariaLabel: "time taken" });
		job.tick = () => {
			const gone = (Date.now() - job.begun) / 1000;
			if (job.wait && gone >= 0) bar.value = Math.min(gone, job.wait);
			left.textContent =
				gone < 0
					? job.said
					: !job.wait
						? "taking it …"
						: gone < job.wait
							? `${Math.ceil(job.wait - gone)} s left`
							: "reading it …";
		};
		job.tick();
		return [bar, left, button("Cancel", cancel, { id: "cancel" })];
	}
	const k = kindOf(kind),
		timed = k.window || s.w,
		mine = captures.filter(c => c.kind === kind || c === capture);
	const like = capture && !capture.dump ? captures.filter(c => c !== capture && c.types === capture.types) : [];
	return [
		kind &&
			!k.window &&
			k.counts !== "threads" &&
			choice(
				[
					["", "since the start"],
					["1", "what changes"],
				],
				s.w,
				w => go({ w }),
				{ id: "since", ariaLabel: "since when" },
			),
		kind &&
			timed &&
			el(
				"label",
				"for ",
				el("input", {
					type: "number",
					id: "seconds",
					min: 1,
					max: 300,
					value: s.t || 10,
					onchange: e => go({ t: e.target.value }),
				}),
				" s",
			),
		kind && button(`Take ${k.noun}`, () => take(kind), { className: capture ? "" : "main", id: "take" }),
		other &&
			button(
				`Join ${other.client} until ${clock(other.ends)}`,
				() => {
					go({ t: Math.max(Math.round((other.ends - Date.now()) / 1000), 1), w: k.window ? "" : "1" });
					take(kind);
				},
				{ id: "join", title: "Somebody else is taking one: take it together, to the same end" },
			),
		mine.length > 0 &&
			capture &&
			el(
				"label",
				"showing ",
				choice(
					mine.map(c => [c.id, captureWords(c)]),
					capture.id,
					c => go({ c, z: "", p: "" }, true),
					{ id: "showing" },
				),
			),
		capture?.p.types.length > 1 &&
			el(
				"label",
				"as ",
				choice(
					capture.p.types.map(t => [t.type, indexWords(t)]),
					x.type.type,
					i => go({ i }, true),
					{ id: "index" },
				),
			),
		capture &&
			like.length > 0 &&
			el(
				"label",
				"compared with ",
				choice(
					[["", "nothing"], ...like.map(c => [c.id, captureWords(c)])],
					s.b,
					b => go({ b, z: "", p: "" }, true),
					{ id: "compare" },
				),
			),
		x?.b &&
			choice(
				[
					["", s.h || x.mode === "second" ? "per second" : "as they are"],
					["1", "shares of the total"],
				],
				s.h,
				h => go({ h }),
				{ id: "share", ariaLabel: "how to compare" },
			),
		el("span", { className: "grow" }),
		capture && button("Save", save, { id: "save", title: "As a file for pprof and other viewers" }),
	];
}

// One switch for each rate, and the editor of the one that is chosen.
export function rateRow({ state, editing, edit, set }) {
	if (!state) return [el("span", { className: "faint" }, "The rates of this service cannot be read here.")];
	const list = Object.values(state.rates).filter(r => RATES[r.name]),
		r = state.rates[editing];
	const row = list.map(x =>
		el(
			"span",
			{ className: "rate" },
			dot(x),
			rateTitle(x.name) + " ",
			button(
				rateWords(x) + (x.until ? ` until ${clock(x.until)}` : ""),
				() => edit(editing === x.name ? "" : x.name),
				{
					className: "link",
					id: "rate-" + x.name,
					ariaExpanded: String(editing === x.name),
					title: "Change it",
				},
			),
		),
	);
	row.unshift("Rates");
	if (!r) return row;
	const value = el("input", {
		type: "number",
		id: "rate-value",
		min: r.min,
		max: r.max,
		value: r.value || RATES[r.name][0],
	});
	const until = choice(
		[
			["60s", "for 1 minute"],
			["10m", "for 10 minutes"],
			["1h", "for an hour"],
			["", "until it is changed"],
		],
		"60s",
		() => {},
		{ id: "rate-for", ariaLabel: "how long" },
	);
	const send = v => set(r.name, v, until.value);
	return [
		row,
		el(
			"form",
			{
				className: "editor",
				onsubmit: e => {
					e.preventDefault();
					send(value.value);
				},
			},
			el("label", rateTitle(r.name) + " ", value, ` ${r.unit}`),
			until,
			el("button", { className: "main", id: "rate-set" }, "Set"),
			r.value > 0 && r.min === 0 && button("Turn off", () => set(r.name, 0), { id: "rate-off" }),
			el("small", `${r.help}. ${RATES[r.name][1]}`),
		),
	];
}

// The sentences; those of the service that no rule knows are folded.
export function factItems(facts, act) {
	const rest = facts.filter(f => !f.row);
	return facts
		.filter(f => f.row && !f.note && !f.filters)
		.map(f =>
			el(
				"li",
				{ className: f.warn ? "warn" : "" },
				f.text,
				f.act?.[0] && button(f.act[0], () => act(f.act[1]), { id: "act-" + f.row }),
			),
		)
		.concat(
			rest.length
				? el(
						"li",
						el(
							"details",
							el("summary", `${rest.length} more from the service`),
							rest.map(f => el("div", f.text)),
						),
					)
				: [],
		);
}

export const VIEWS = [
	["flame", "Flame"],
	["top", "Top"],
	["peek", "Callers/callees"],
	["graph", "Graph"],
	["threads", "Threads"],
	["raw", "Raw"],
];
export function viewTabs({ view, threads, go }) {
	return VIEWS.filter(([v]) => v !== "threads" || threads).map(([v, title]) =>
		el(
			"button",
			{
				type: "button",
				role: "tab",
				id: "view-" + v,
				ariaSelected: String(v === view),
				onclick: () => go({ v }, true),
			},
			title,
		),
	);
}
const toggle = (id, text, title, on, flip) => button(text, flip, { id, title, ariaPressed: String(Boolean(on)) });

export const toggles = (s, flip) => [
	toggle("invert", "invert", "From the leaves up (i)", s.n, () => flip("n")),
	toggle("fold", "fold", "Direct recursion as one box (r)", s.r, () => flip("r")),
	toggle("flip", "flip", "The root at the bottom (u)", s.u, () => flip("u")),
];

// What hides or marks something, each with a way to let it go.
export function pills({ s, go, found }) {
	const pill = (text, change) =>
		button(text + " ×", () => go(change, true), { className: "pill", title: "Let it go" });
	return [
		found && el("span", { id: "found" }, found),
		s.f && pill(`focus ${plain(s.f)}`, { f: "" }),
		s.x && pill(`ignore ${plain(s.x)}`, { x: "" }),
		s.l && pill(plain(s.l.endsWith("=") ? `no ${s.l.slice(0, -1)}` : s.l.replace("=", ": ")), { l: "" }),
		s.g && pill(`by ${plain(s.g)}`, { g: "" }),
		s.z && pill("zoomed", { z: "" }),
	];
}
export function labelChoice(labels, s, go) {
	const options = [["", "label …"]];
	for (const { key, values, of } of labels) {
		options.push(["+" + key, `group by ${plain(key)}`]);
		values.slice(0, 200).forEach(v =>
			options.push([`${key}=${v}`, `${plain(key)}: ${plain(String(v)).slice(0, 60)}`]),
		);
		if (of.includes(-1)) options.push([key + "=", `no ${plain(key)}`]);
	}
	return choice(options, s.l, v => go(v.startsWith("+") ? { g: v.slice(1), z: "", p: "" } : { l: v }, true), {
		id: "label",
		ariaLabel: "label",
	});
}

// [what, command]: each with a button that copies it.
export const commandList = list =>
	list.map(([what, line]) =>
		el(
			"div",
			el("small", what),
			el("code", line),
			button("Copy", e => {
				copy(line);
				e.target.textContent = "Copied";
			}),
		),
	);
