// The page: puts together what the other files make, and listens to mouse and keys. Everything chosen is in the address.
import { act, changeTheme, flip, pick, saveCapture, set, theme } from "./acts.mjs";
import { openFiles, refresh, setRate, take } from "./captures.mjs";
import { chosen, withTop, withTree } from "./chosen.mjs";
import { commands } from "./command.mjs";
import { button, copy, el, fill } from "./dom.mjs";
import { facts } from "./facts.mjs";
import { ended, endings } from "./service.mjs";
import { matching, numbers, sum } from "./model.mjs";
import { showBox } from "./foot.mjs";
import { forget, go, now, once, shown } from "./now.mjs";
import {
	VIEWS,
	commandList,
	factItems,
	kindTabs,
	labelChoice,
	pills,
	rateRow,
	takeRow,
	toggles,
	viewTabs,
	whoRow,
} from "./panels.mjs";
import { gunzip, utf8 } from "./pprof.mjs";
import { rawText } from "./raw.mjs";
import { helpDialog, overview } from "./start.mjs";
import { labelOf, nameId, parseState } from "./state.mjs";
import { stored } from "./store.mjs";
import { groupThreads } from "./threads.mjs";
import { SHOW, labelFlame, revealNode } from "./views.mjs";
import { KINDS, kindOf, percent, plain, plural } from "./words.mjs";

const { ui } = now;

// The plain index knows what there is: [{ name, count, href }]; what it lists without a query is no profile.
function readIndex() {
	const index = document.getElementById("plain"),
		order = Object.keys(KINDS),
		place = k => order.indexOf(k.name) + 1 || 99;
	const list = [...index.querySelectorAll("tbody tr")].map(tr => {
		const a = tr.querySelector("a"),
			count = parseInt(tr.cells[0].textContent, 10);
		const [href, query] = a.getAttribute("href").split("?");
		return { name: a.textContent, href, query, count };
	});
	index.remove();
	return list.filter(k => k.query).sort((a, b) => place(a) - place(b));
}

// ---- what can be done ----

// A node of the tree as it stands in the address: its path, and its function.
function nodeState(v) {
	const { tree, p } = now.x,
		path = tree.path(v).map(f => nameId(p.names[f]));
	return { p: path.join("."), s: path.at(-1) ?? "" };
}
// What the views call.
const page = {
	copy,
	go,
	hover: box => showBox(box),
	dark: () => theme() === "dark",
	more: () => set("limit", 1e9),
	dumps: () => now.captures.filter(c => c.dump || c.kind === "goroutine"),
	selectNode(v) {
		go(nodeState(v));
		revealNode(v);
		showBox({ v, n: 0 }, true);
	},
	zoom: v => go({ ...nodeState(v), z: nodeState(v).p }, true),
	selectFunction: f =>
		go({ s: nameId(now.x.p.names[f]), v: /top|graph/.test(now.x.view) ? "peek" : now.s.v }, true),
	thin(t) {
		if (now.x?.tree) labelFlame(now.x);
		if (now.x && (now.thin?.n !== t.n || now.thin.value !== t.value)) {
			now.thin = t;
			renderFacts(now.x);
		}
	},
	again: () => setTimeout(() => take("goroutine", c => ({ b: now.x?.c === c ? "" : now.x?.c.id })), 5000),
	async loadRaw() {
		const { c } = now.x;
		c.text = c.dump ? utf8.decode(c.bytes) : rawText(await gunzip(c.bytes), 2000);
		now.render();
	},
};

// ---- rendering ----

function renderFacts(x) {
	const { s, c, b, base, p, at } = x,
		key = s.l ? labelOf(s.l)[0] : s.g,
		values = base.values[at];
	const entry = key && base.labels?.find(l => l.key === key);
	const list = facts({
		kind: c.kind,
		file: c.file,
		view: x.view,
		p: c.p,
		at,
		total: x.total,
		visible: x.visible,
		samples: x.samples,
		state: now.state,
		ends: once("ends", [p, at], () => ended(once("endings", [p], () => endings(p)), values)),
		recursive: x.top?.recursive,
		thin: now.thin,
		label:
			entry &&
			once("label", [entry, values], () => ({
				key,
				without: sum(numbers(values.length, i => (entry.of[i] < 0 ? values[i] : 0))) / (sum(values) || 1),
			})),
		dump: c.dump && { took: c.dump.took, groups: groupThreads(c.dump.threads).length },
		diff: b && { after: { ...c.p, time: c.when }, before: { ...b.p, time: b.when }, mode: x.mode },
	});
	const said = list.map(f => f.text).join("\n"),
		keeps = list.find(f => f.filters)?.text;
	once("facts", [c, said], () => {
		// What has not changed stays where it is: laying out sentences takes long.
		const old = [...ui.facts.children],
			all = factItems(list, act);
		old.splice(all.length).forEach(li => li.remove());
		all.forEach((li, i) => {
			if (!old[i]) ui.facts.append(li);
			else if (!old[i].isEqualNode(li)) old[i].replaceWith(li);
		});
	});
	shown("keeps", [keeps], () => keeps);
	now.notes = list
		.filter(f => f.note)
		.map(f => f.text)
		.join(" ");
	if (!now.box) showBox(null);
	return list;
}

function renderFilters(x) {
	const { s, p, marks } = x,
		labels = x.base.labels ?? [];
	const found = marks
		? once("found", [p, marks, x.at, x.filter], () => {
				const hit = matching(p, marks),
					share = sum(x.w(), hit),
					n = sum(marks);
				return n
					? `${plural(n, "function")} match: ${percent(share, x.visible)} with callees`
					: "nothing matches";
			})
		: "";
	for (const key of "qfx") if (document.activeElement !== ui[key]) ui[key].value = s[key];
	shown("label", [labels], () => (labels.length ? labelChoice(labels, s, go) : []));
	if (ui.label.firstChild) ui.label.firstChild.value = s.l;
	shown("pills", [found, s.f, s.x, s.l, s.g, s.z], () => pills({ s, go, found }));
	shown("tabs", [x.view, x.c.dump], () => viewTabs({ view: x.view, threads: x.c.dump, go }));
	shown("toggles", [x.view, s.n, s.r, s.u], () => (x.view === "flame" ? toggles(s, flip) : []));
}

function renderCommands() {
	const { c, b } = now.x ?? {},
		kind = c?.kind || now.s.k || "profile";
	const path = c?.path ?? kind + (kind === "goroutine" ? "?debug=2" : kindOf(kind).window ? "?seconds=10" : "");
	const where = new URL("./", document.baseURI).href;
	fill(ui.commands, commandList(commands(where, path, `${kind}.pb.gz`, now.s, b && "before.pb.gz")));
}

function message(...parts) {
	forget("main");
	fill(ui.view, el("div", { className: "empty" }, ...parts));
}
// The sentences that explain an empty picture, in its place.
function explain(list, kind) {
	const none = `Nothing was recorded${kindOf(kind).off ? ": nobody waited while it was on" : ""}.`;
	message(
		list.length
			? list.map(f => el("p", f.text, " ", f.act?.[0] && button(f.act[0], () => act(f.act[1]))))
			: el("p", none),
	);
}
function renderMain(x) {
	const { s, state, captures, kinds } = now,
		main = (deps, make) => once("main", deps, make);
	if (!x && !s.k && !s.c)
		return main([state, captures], () =>
			fill(ui.view, overview({ kinds, state, captures, pick, take, go })),
		);
	if (!x && now.jobs.has(s.k) && (kindOf(s.k).window || s.w))
		return message("Sampling. The service goes on as it is.");
	if (!x && (now.jobs.has(s.k) || captures.some(c => c.id === s.c))) return message("Reading …");
	if (!x) return message(s.k ? kindOf(s.k).help : "This capture is not kept any more.");
	if (/top|peek|graph/.test(x.view)) withTop(x);
	const list = renderFacts(x).filter(f => f.warn && f.row);
	if (!x.p.n && x.view !== "raw") return explain(list, x.c.kind);
	if (x.view === "flame") withTree(x);
	// Made again only when something in it changes: what a reader has opened stays open.
	return main(
		[
			x.view,
			x.c,
			x.p,
			x.columns,
			x.marks,
			x.zoom,
			x.node,
			x.f,
			x.c.text,
			now.limit,
			theme(),
			captures.length,
			s.o,
			s.u,
			s.q,
			s.a,
			s.j,
			s.b,
			x.filter,
		],
		() => SHOW[x.view](ui.view, x, page),
	);
}

function render() {
	const { s, state, captures, jobs, problem } = now,
		focus = document.activeElement?.id,
		x = chosen(),
		job = jobs.get(s.k),
		other = !job && state?.windows.find(w => w.kind === s.k && w.ends > Date.now() + 1000);
	now.x = x;
	shown("who", [state], () =>
		whoRow({
			program: now.program,
			state,
			theme: changeTheme,
			openFiles,
			help: () => ui.help.showModal(),
			command: ui.command,
		}),
	);
	shown("kinds", [s.k, state, [...jobs.keys()].join()], () =>
		kindTabs({ kinds: now.kinds, s, state, pick, busy: k => jobs.has(k) }),
	);
	shown("take", [s.k, s.w, s.t, s.h, job, other?.client, captures, x?.c, x?.b, x?.mode], () =>
		takeRow({
			s,
			job,
			other,
			kind: s.k,
			x,
			captures,
			go,
			take,
			cancel: () => job.abort.abort(),
			save: saveCapture,
		}),
	);
	shown("rates", [state, now.editing], () =>
		rateRow({ state, editing: now.editing, edit: name => set("editing", name), set: setRate }),
	);
	shown(
		"problem",
		[problem],
		() => problem && [plain(problem), button("×", () => set("problem", ""), { ariaLabel: "close" })],
	);
	ui.take.hidden = !s.k && !x;
	ui.problem.hidden = !problem;
	ui.facts.hidden = ui.filters.hidden = ui.foot.hidden = !x;
	const index = document.getElementById("index");
	if (index && x) index.value = x.type.type;
	if (ui.command.open) renderCommands();
	if (x) renderFilters(x);
	renderMain(x);
	if (focus && document.activeElement === document.body) document.getElementById(focus)?.focus();
}

// ---- the frame of it all ----

const KEYS = {
	"/": () => ui.q.focus(),
	f: () => ui.f.focus(),
	t: () => now.s.k && take(now.s.k),
	p: () => now.s.s && go({ v: "peek" }, true),
	i: () => flip("n"),
	r: () => flip("r"),
	u: () => flip("u"),
	c: () => {
		ui.command.open = !ui.command.open;
	},
	"?": () => ui.help.showModal(),
	Escape: () => go(now.s.z ? { z: "" } : { q: "", f: "", x: "", l: "", g: "" }, true),
};
function press(e) {
	if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || ui.help.open) return;
	const typing = e.target.closest("input, select, textarea"),
		view = VIEWS.filter(([v]) => v !== "threads" || now.x?.c.dump)[e.key - 1];
	const run = typing
		? e.key === "Escape" && (() => typing.blur())
		: (KEYS[e.key] ?? (now.x && view && (() => go({ v: view[0] }, true))));
	if (run) {
		e.preventDefault();
		run();
	}
}

const part = (name, tag, props, ...children) => (ui[name] = el(tag, props, ...children));
const field = (key, text, title) =>
	part(key, "input", {
		type: "search",
		autocomplete: "off",
		id: "in-" + key,
		placeholder: text,
		title,
		ariaLabel: title,
		size: 12,
		spellcheck: false,
		oninput: e => go({ [key]: e.target.value }),
		onchange: e => go({ [key]: e.target.value }, true),
	});
function build() {
	const row = more => ({ className: "row " + (more ?? "") }),
		matches = "a function, source file or module that matches";
	part(
		"command",
		"details",
		{ className: "menu", id: "command", ontoggle: renderCommands },
		el("summary", { role: "button" }, "Command"),
		part("commands", "div"),
	);
	document.body.classList.add("app");
	document.body.append(
		part("who", "header", row()),
		part("kinds", "nav", { ...row(), role: "tablist", ariaLabel: "Profiles" }),
		part("take", "div", row()),
		part("rates", "div", row("rates")),
		part("problem", "div", { ...row("problem"), role: "alert" }),
		part("facts", "ul", { className: "facts", ariaLabel: "What to know" }),
		part(
			"filters",
			"div",
			row("bar-row"),
			part("tabs", "div", { className: "tabs", role: "tablist", ariaLabel: "Views" }),
			part("toggles", "span", { className: "tabs" }),
			field("q", "search  /", "Mark functions whose name matches"),
			field("f", "focus  f", `Keep stacks with ${matches} (pprof: focus)`),
			field("x", "ignore", `Hide stacks with ${matches} (pprof: ignore)`),
			part("label", "span"),
			part("pills", "span", row()),
			part("keeps", "span"),
		),
		part("view", "main", { className: "view", id: "view" }),
		part("foot", "footer", {}, part("status", "div")),
		part("aloud", "div", { className: "sr", role: "status" }),
		(ui.help = helpDialog()),
	);
}

function begin() {
	Object.assign(now, {
		s: parseState(location.hash),
		render,
		program: document.title.split(" - ")[0],
		kinds: readIndex(),
	});
	build();
	addEventListener("keydown", press);
	addEventListener("popstate", () => set("s", parseState(location.hash)));
	addEventListener("dragover", e => e.preventDefault());
	addEventListener("drop", e => {
		e.preventDefault();
		openFiles(e.dataTransfer.files);
	});
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
	try {
		document.documentElement.dataset.theme = localStorage.getItem("pprofd-theme") ?? "";
	} catch {
		// The system's choice it is.
	}
	stored().then(list => set("captures", [...list, ...now.captures]));
	refresh();
	setInterval(() => document.visibilityState === "visible" && !now.editing && refresh(), 5000);
}
// The worker runs the same files.
if (globalThis.document) begin();
