// What is there before anything is taken: the overview of all profiles; and the help.
import { button, el } from "./dom.mjs";
import { rateWords } from "./service.mjs";
import { dot } from "./panels.mjs";
import { clock, digits, kindOf } from "./words.mjs";

export function overview({ kinds, state, captures, pick, take, go }) {
	return el(
		"div",
		{ className: "cards" },
		kinds.map(({ name, count, href }) => {
			const k = kindOf(name),
				r = state?.rates[k.rate],
				last = captures.findLast(c => c.kind === name);
			return el(
				"section",
				{ className: "card" },
				el("h2", dot(r), k.title),
				el(
					"small",
					[r && rateWords(r), !isNaN(count) && `${digits(count)} ${k.counts}`]
						.filter(Boolean)
						.join(" · "),
				),
				el("p", k.help),
				r?.value === 0 &&
					el("p", { className: "warn" }, "Off: what is not recorded is not zero."),
				el(
					"div",
					{ className: "row" },
					button(
						k.window ? "Take 10 s" : "Take",
						() => {
							pick(name);
							take(name);
						},
						{ id: "take-" + name, className: "main" },
					),
					last &&
						button(`Last: ${clock(last.when)}`, () =>
							go({ k: name, c: last.id }, true),
						),
					el(
						"a",
						{
							href: `${href}?debug=${name === "goroutine" ? 2 : 1}`,
							hidden: k.window,
						},
						"text",
					),
					el("a", { href: href + (k.window ? "?seconds=10" : "") }, "file"),
				),
			);
		}),
	);
}

const HELP = [
	["1 – 6", "views"],
	["t", "take"],
	["/", "search"],
	["f", "focus on a pattern"],
	["← ↑ ↓ →", "move the selection in the flame graph"],
	["Enter", "zoom to it"],
	["Esc", "zoom out, or let the filters go"],
	["p", "callers and callees of it"],
	["i", "from the leaves up"],
	["r", "fold recursion"],
	["u", "root at the bottom or at the top"],
	["c", "commands for the terminal"],
	["?", "this"],
];
export const helpDialog = () =>
	el(
		"dialog",
		{ ariaLabel: "Help" },
		el("h2", "How to read it"),
		el(
			"p",
			"A flame graph shows all stacks at once. Each box is a function in its callers; it is as wide as its share. The order is by weight: there is no time in it. A box without a gap above was inlined. Colour is the namespace of the name; grey belongs to the system.",
		),
		el(
			"p",
			"“Self” is what a function did itself, “with callees” what it and all it called did.",
		),
		el(
			"dl",
			HELP.map(([key, what]) => [el("dt", key), el("dd", what)]),
		),
		el("form", { method: "dialog" }, el("button", { className: "main" }, "Close")),
	);
