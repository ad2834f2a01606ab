// What a reader must know before believing a picture, in sentences: a rule for each way to misread a profile. Pure: a
// profile, the service's state and the view in, sentences out.
import { familyOf, rateWords } from "./service.mjs";
import { amount, base, clock, digits, kindOf, percent, plain, plural, seconds, span } from "./words.mjs";

const SECONDS = { s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, min: 60, h: 3600 };
const spanOf = (text = "") => {
	const m = /([\d.]+) ?([a-zµ]+)/.exec(text);
	return m ? m[1] * (SECONDS[m[2]] ?? NaN) : NaN;
};

// What the rules look at. x: { kind, view, file, p, at, total, visible, samples (taken, null: all), state, ends, recursive, thin,
// label, diff, dump, now }.
export function gather(x) {
	const { p, state } = x,
		type = p.types[x.at],
		known = new Set();
	const said = re => {
		const c = p.comments.find(t => re.test(t));
		known.add(c);
		return c === undefined ? null : re.exec(c);
	};
	const used = said(/^CPU used: ([\d.]+ \w+) of ([\d.]+ \w+) wall/),
		wall = p.seconds || spanOf(used?.[2]) || 0,
		cpu = spanOf(used?.[1]),
		rate = state?.rates?.[kindOf(x.kind).rate];
	return {
		...x,
		type,
		said,
		known,
		wall,
		cpu,
		// More than the grain of the clock.
		missed: !p.n && cpu > (10 * p.period) / 1e9,
		cores: p.n && wall && type.unit === "nanoseconds" ? x.total / 1e9 / wall : NaN,
		family: familyOf(p),
		allocated: type.type.startsWith("alloc_"),
		state: state ?? {},
		rate,
		events: (rate && state.events?.filter(e => e.name === rate.name)) ?? [],
		taken: p.n && x.samples !== null ? Math.round(x.samples) : NaN,
		now: x.now ?? Date.now(),
	};
}

const margin = n => `about ±${digits(Math.round(100 / Math.sqrt(n || 1)) || 1)}\u00a0%`;
const bytes = v => amount(v, "bytes");
const warn = (text, ...act) => ({ text, warn: true, act });
const note = text => ({ text, note: true });

// [row, families of profiles, rule]: a rule gives a sentence, or { text, warn, act }, or nothing; note: said at the foot of
// the view, where it helps to read it; filters: beside the filters. act: [what the button says, what it does].
const RULES = [
	[
		1,
		"cpu",
		c =>
			!c.p.n &&
			!c.missed &&
			warn(
				`No samples: in ${seconds(c.wall)} this process used ${isNaN(c.cpu) ? "next to no" : seconds(c.cpu) + " of"} CPU. It was waiting.`,
				"Show the threads",
				"threads",
			),
	],
	[
		4,
		"cpu",
		c =>
			c.cores >= 0 &&
			`${amount(c.total, c.type.unit)} of CPU in ${seconds(c.wall)} = ${digits(c.cores)} cores busy${c.state.cpus ? ` of ${c.state.cpus}` : ""}`,
	],
	[
		2,
		"cpu",
		c => {
			const share = Number(c.said(/^Samples stand for .* of CPU: (\d+) %/)?.[1] ?? NaN);
			if (c.missed)
				return warn(
					`No samples, although ${seconds(c.cpu)} of CPU were used: the profiler could not see them.`,
				);
			return share < 90
				? warn(
						`The profiler missed ${100 - share} % of the CPU time used: ${
							c.said(/^(Blind spot|Lost): .*/)?.[0] ??
							"signals were blocked, or the machine was too busy."
						}`,
					)
				: share > 110 &&
						warn(`The samples stand for ${share} % of the CPU time used: shares hold, seconds do not.`);
		},
	],
	[
		3,
		"cpu",
		c =>
			c.cores < 0.2 &&
			warn(
				`Off the CPU ${percent(1 - c.cores, 1)} of the time: waiting is not in this profile.`,
				"Wall clock",
				"wall",
			),
	],
	[
		12,
		"wait",
		c =>
			c.kind === "mutex"
				? "Stacks of those who held the lock, with the time others waited for it."
				: /^(block|io)$/.test(c.kind) && "Stacks of those who waited.",
	],
	[
		5,
		"heap",
		c =>
			c.allocated
				? warn(
						`Allocated ${c.p.seconds ? "in this window" : "since the start"}, freed memory included: not what is in use.`,
						...(c.p.types.some(t => t.type.startsWith("inuse"))
							? ["Show what is in use", "inuse"]
							: []),
					)
				: "In use: allocated and not freed.",
	],
	[
		7,
		"heap cpu wall wait",
		c =>
			c.taken >= 0 &&
			(c.family === "heap"
				? `Estimate from 1 sample per ${bytes(c.p.period)}: ${plural(c.taken, "sample")}, ${margin(c.taken)}`
				: c.family === "wait"
					? c.p.period > 1 &&
						`Estimate from 1 in ${digits(c.p.period)}: about ${plural(c.taken, "wait")} seen`
					: `${plural(c.taken, "sample")}${c.p.period ? ` at ${digits(1e9 / c.p.period)} Hz` : ""}, ${margin(c.taken)}`),
	],
	[15, "cpu wall heap wait other", c => c.p.n > 0 && plural(c.p.n, "different stack")],
	[8, "", c => c.taken < 100 && warn(`Only ${plural(c.taken, "sample")}: take longer before comparing.`)],
	[
		6,
		"heap",
		c => {
			const { rss, inUse, mapped = inUse } = c.state;
			if (c.allocated || c.type.unit !== "bytes" || !rss || c.p.seconds) return null;
			const slack = mapped - inUse,
				rest = rss - mapped;
			return `RSS ${bytes(rss)}${inUse ? ` = ${bytes(inUse)} in use (this profile: ${bytes(c.total)})` : ""}${
				slack > 0 ? ` + ${bytes(slack)} kept by the allocator` : ""
			}${rest > 0 && inUse ? ` + ${bytes(rest)} stacks, code and files` : ""}`;
		},
	],
	[
		9,
		"",
		c =>
			(c.rate ? c.rate.value === 0 : c.said(/^Off( since .*)?: \w+ is 0/)) &&
			!c.p.seconds &&
			warn(
				c.family === "heap"
					? "Heap sampling is off: nothing is recorded. This does not mean nothing is allocated."
					: `Off${c.rate?.since ? ` since ${clock(c.rate.since)}` : ""}: this does not mean that nobody waits.`,
				"Turn on",
				"on",
			),
	],
	[
		10,
		"",
		c => {
			const said = c.said(/^(The rate|\w+) was changed (from|meanwhile).*/)?.[0],
				{ events, rate } = c,
				[last] = events;
			return said
				? warn(said)
				: last &&
						c.p.n > 0 &&
						!c.p.seconds &&
						warn(
							`The rate was changed ${events[1] ? `${events.length} times, last ` : ""}at ${clock(last.time)} (${rateWords(
								{ ...rate, value: last.was },
							)} → ${rateWords({ ...rate, value: last.now })}): what is from before was recorded otherwise.`,
							"Take a window",
							"window",
						);
		},
	],
	[
		11,
		"wait",
		() => ({
			text: "Only waits that have ended are counted; a thread that is stuck now is in Threads.",
			act: ["Threads", "threads"],
		}),
	],
	[
		13,
		"wait",
		c => {
			const on = c.events.filter(e => e.now).at(-1)?.time,
				wall = c.wall || (on ? (c.now - on) / 1000 : c.state.up);
			return (
				c.type.unit === "nanoseconds" &&
				c.total / 1e9 > wall &&
				`${amount(c.total, c.type.unit)} of waiting in ${seconds(wall)}: the sum over ${c.state.threads ? plural(c.state.threads, "thread") : "all threads"}.`
			);
		},
	],
	[
		14,
		"heap wait",
		c =>
			(c.allocated || c.family === "wait") &&
			!c.p.seconds &&
			!c.file && {
				text: `Counted since the start${c.state.up ? ` (${span(c.state.up)} ago)` : ""}, not now.`,
				act: ["Change over 10 s", "window"],
			},
	],
	[
		16,
		"threads",
		c => `${plural(c.total, "thread")} in ${plural(c.dump?.groups ?? c.p.n, "different stack")}`,
	],
	[
		17,
		"",
		c => c.view === "top" && note("“With callees” overlaps: it does not add up to 100 %. “Self” does."),
	],
	[
		18,
		"",
		c =>
			/top|peek/.test(c.view) &&
			c.recursive?.includes(1) &&
			note("A recursive function counts once per stack."),
	],
	[
		19,
		"",
		c => {
			const bare = c.p.mappings.filter(
				(m, i) => m.functions && !m.inlines && m.file.includes("/") && c.p.modules.includes(i),
			);
			return (
				bare[0] &&
				`Inlined calls in ${bare
					.slice(0, 3)
					.map(m => plain(base(m.file)))
					.join(", ")} are charged to their caller: no debug information there.`
			);
		},
	],
	[
		20,
		"",
		c => {
			const hidden = c.total - c.visible,
				parts = [
					hidden &&
						`The filters keep ${percent(c.visible, c.total)} and hide ${amount(hidden, c.type.unit)}.`,
					c.label &&
						`${percent(c.label.without, 1)} of it carries no “${plain(c.label.key)}” label.`,
				].filter(Boolean);
			return parts[0] && { text: parts.join(" "), warn: c.visible === 0, filters: true };
		},
	],
	[21, "", c => c.view === "flame" && note("Wider is more; the order is by weight, not time.")],
	[
		22,
		"",
		c =>
			c.view === "flame" &&
			!c.diff &&
			note("Colour is the namespace, grey the system; depth is not cost."),
	],
	[
		23,
		"",
		c =>
			c.ends?.own > 0 &&
			`The profiler's own work is ${percent(c.ends.own, c.visible)}, shown as [profiler].`,
	],
	[
		24,
		"",
		c => {
			const all = c.p.comments.filter(t =>
				/^(Lost|Truncated|Overflow): |stacks? end before|stack unavailable/.test(t),
			);
			all.forEach(t => c.known.add(t));
			return all[0] && warn(all.map(plain).join(" "));
		},
	],
	[
		25,
		"",
		c =>
			c.ends?.bare
				.slice(0, 2)
				.filter(b => b.share > 0.01)
				.map(b => ({
					text: `${plain(base(b.file))} has no symbols: ${percent(
						b.share,
						1,
					)} of the time ends there${b.build ? ` (build id ${b.build.slice(0, 12)}…)` : ""}.`,
					warn: b.share > 0.05,
				})),
	],
	[
		26,
		"",
		c => {
			if (!c.diff) return null;
			const { after, before, mode } = c.diff,
				long = p => (p.seconds ? seconds(p.seconds) : clock(p.time)),
				[a, b] = [after, before].map(p => p.mappings[0]?.build ?? "");
			const how = { second: "per second", share: "as shares of each total", plain: "as they are" };
			return [
				`Before ${long(before)}, after ${long(after)}: compared ${how[mode]}. Orange is more, blue is less, grey is within chance.`,
				a && b && a !== b && warn(`Different builds: ${b.slice(0, 8)}… and ${a.slice(0, 8)}…`),
			];
		},
	],
	[27, "", c => c.dump?.took && `Taken thread by thread within ${c.dump.took}, not at one instant.`],
	[
		28,
		"",
		c =>
			c.view === "flame" &&
			c.thin?.n > 0 &&
			note(
				`${plural(c.thin.n, "frame")} too thin to show, together ${percent(c.thin.value, c.visible)}.`,
			),
	],
	[
		29,
		"heap",
		c =>
			!c.file &&
			!c.p.seconds &&
			(c.state.allocator
				? `Counts what goes through ${plain(c.state.allocator)} since ${c.rate?.since ? clock(c.rate.since) : "the profiler was started"}; earlier allocations are not in it.`
				: "Allocations made before the profiler was started are not in it."),
	],
	[
		30,
		"",
		c => {
			const m = c.said(/^Cost of profiling: ([\d.]+ \w+) in .*?([\d.]+ \w+) in pprofd/);
			return (
				m &&
				c.wall > 0 &&
				`Profiling used ${percent((spanOf(m[1]) + spanOf(m[2])) / c.wall, 1)} of a core.`
			);
		},
	],
];

// Every sentence that applies: [{ row, text, warn, ... }]; at the end, as row 0, those of the file that no rule knows.
export function facts(x) {
	const c = gather(x),
		out = [];
	for (const [row, families, rule] of RULES)
		if (!families || families.includes(c.family))
			for (const f of [rule(c)].flat()) if (f) out.push({ row, ...(f.text ? f : { text: f }) });
	return [
		...out,
		...c.p.comments
			.filter(t => !c.known.has(t) && !/^pprofd |^Labels: /.test(t))
			.map(t => ({ row: 0, text: plain(t) })),
	];
}
