// The arithmetic of the views where pprof has no word for it: threads, differences, folding, words, commands, addresses.
import assert from "node:assert/strict";
import test from "node:test";
import { commands } from "../../www/command.mjs";
import { layout } from "../../www/graph.mjs";
import { chance, combine, sides } from "../../www/compare.mjs";
import { Tree, derive, marked, pattern, top } from "../../www/model.mjs";
import { decode, gunzip } from "../../www/pprof.mjs";
import { formatState, nameId, parseState } from "../../www/state.mjs";
import { groupThreads, lockGraph, shortNames, unmoved } from "../../www/threads.mjs";
import { amount, digits, fit, percent, plain, quote, scale, seconds, span } from "../../www/words.mjs";
import { encode } from "./make.mjs";

const load = async m => decode(await gunzip(encode({ types: [["samples", "count"]], ...m })));
const stacks = (...list) => ({ samples: list.map(([stack, v]) => ({ stack: stack.split(" "), values: [v] })) });

test("the tree: heaviest first, self, zero weights, and order after a change of weights", async () => {
	const p = await load(stacks(["a main", 1], ["b a main", 5], ["c main", 3])),
		t = new Tree(p, false);
	t.weigh([p.values[0]]);
	const names = v => t.children(v).map(k => p.names[t.frame[k]]),
		[main] = t.children(0),
		[a] = t.children(main);
	assert.deepEqual(
		[names(0), names(main), t.value(main), t.value(a), t.self(a)],
		[["main"], ["a", "c"], 9, 6, 1],
	);
	t.weigh([Float64Array.of(1, 0, 3)]);
	assert.deepEqual([names(main), t.value(a)], [["c", "a"], 1]);
	const up = new Tree(p, true);
	up.weigh([p.values[0]]);
	assert.deepEqual(
		up.children(0).map(k => [p.names[up.frame[k]], up.value(k)]),
		[
			["b", 5],
			["c", 3],
			["a", 1],
		],
	);
	assert.equal(up.follow(up.path(up.children(up.children(0)[0])[0])), up.children(up.children(0)[0])[0]);
});
test("folding, grouping, truncated ends", async () => {
	const p = await load({
		samples: [
			{ stack: ["f", "f", "f", "main"], values: [2], labels: { r: "x" } },
			{ stack: ["g"], values: [1] },
		],
	});
	const names = q =>
		Array.from({ length: q.n }, (_, s) =>
			[...q.frames.subarray(q.start[s], q.start[s + 1])].map(f => q.names[f >> 1]).join(" "),
		);
	assert.deepEqual(names(derive(p, { fold: true })), ["f main", "g"]);
	assert.deepEqual(names(derive(p, { ends: true })), ["f f f main", "g [truncated]"]);
	assert.deepEqual(names(derive(p, { group: { key: "r", values: ["x"], of: [0, -1] } })), [
		"f f f main r: x",
		"g no r",
	]);
	assert.equal(derive(p, {}), p);
});
test("a difference: nothing vanishes, and chance is called chance", async () => {
	const after = await load(stacks(["a main", 400], ["new main", 100])),
		before = await load(stacks(["a main", 390], ["gone main", 90]));
	const base = combine(after, before),
		columns = sides(base, base.values[0], 1),
		t = top(base, columns),
		at = name => base.names.indexOf(name);
	const both = name => [t.self[1][at(name)], t.self[2][at(name)]];
	assert.deepEqual(["a", "new", "gone"].map(both), [
		[400, 390],
		[100, 0],
		[0, 90],
	]);
	assert.equal(t.sums[0], 980);
	assert.ok(chance(400, 390, 400, 390, false) && !chance(100, 0, 100, 0, false) && !chance(400, 390, 0, 0, true));
	assert.deepEqual(top(base, sides(base, base.values[0], 2)).self[2][at("a")], 780);
});
test("threads: groups, locks, circles, what has not moved", () => {
	const thread = (tid, name, state, frames, more = {}) => ({
		tid,
		name,
		state,
		frames: frames.map(f => ({ name: f })),
		lock: "",
		owner: 0,
		key: frames.join(),
		...more,
	});
	const a = [
		thread(1, "w-1", "poll", ["poll", "run"]),
		thread(2, "w-2", "poll", ["poll", "run"]),
		thread(3, "x", "mutex wait", ["lock"], { lock: "0x1", owner: 4 }),
		thread(4, "y", "mutex wait", ["lock"], { lock: "0x2", owner: 3 }),
		thread(5, "z", "mutex wait", ["lock"], { lock: "0x1", owner: 4 }),
		thread(6, "self", "mutex wait", ["lock"], { lock: "0x3", owner: 6 }),
	];
	assert.deepEqual(
		groupThreads(a).map(g => g.length),
		[4, 2],
	);
	const { locks, cycles } = lockGraph(a);
	assert.deepEqual(
		cycles.map(c => c.map(t => t.tid)),
		[[3, 4], [6]],
	);
	assert.deepEqual(
		locks.map(l => [l.lock, l.owner.tid, l.waiters.length]),
		[
			["0x1", 4, 2],
			["0x2", 3, 1],
			["0x3", 6, 1],
		],
	);
	const later = a.map(t => (t.tid === 2 ? { ...t, key: "moved" } : t)).filter(t => t.tid !== 5);
	assert.deepEqual([...unmoved({ threads: a }, { threads: later })], [1, 3, 4, 6]);
	assert.equal(shortNames(["w-1", "w-2", "w-3", "w-7", "main", "main"]), "w-{1..3,7}, main ×2");
});
test("a graph with a cycle gets layers all the same", () => {
	const at = layout(
		[50, 50, 50],
		[
			{ from: 0, to: 1, value: 5 },
			{ from: 1, to: 2, value: 4 },
			{ from: 2, to: 0, value: 1 },
		],
	);
	assert.deepEqual(
		at.map(a => a.row),
		[0, 1, 2],
	);
});
test("words", () => {
	assert.deepEqual([0, 5, 1.234, 35.84, 3584, 0.05, -7, 1e6].map(digits), [
		"0",
		"5",
		"1.23",
		"35.8",
		"3\u202f584",
		"0.05",
		"−7",
		"1\u202f000\u202f000",
	]);
	assert.equal(amount(1.5 * 2 ** 20, "bytes"), "1.50\u00a0MiB");
	assert.equal(amount(12345678, "nanoseconds"), "12.3\u00a0ms");
	assert.deepEqual(scale(2e9, "nanoseconds"), [1e9, "s"]);
	assert.equal(percent(1, 3), "33.3\u00a0%");
	assert.equal(percent(1, 1e6), "<0.01\u00a0%");
	assert.equal(seconds(0.03), "30\u00a0ms");
	assert.equal(span(266400), "3 d 2 h");
	assert.equal(plain("a\x1b[31m\u202eb\0"), "a\\u{1b}[31m\\u{202e}b\\u{0}");
	assert.equal(fit("app::db::Query<std::string>::parseRow", 20), "parseRow");
	assert.equal(fit("averyveryverylongname", 8), "averyve…");
	assert.equal(fit("x", 0), "");
	assert.equal(quote("it's"), "'it'\\''s'");
});
test("patterns: smart case, and what is no pattern is looked for as it stands", async () => {
	const p = await load(stacks(["Parse", 1], ["operator()", 1], ["x*(", 1]));
	assert.deepEqual([...marked(p, "parse")], [1, 0, 0]);
	assert.deepEqual([...marked(p, "PARSE")], [0, 0, 0]);
	assert.deepEqual([...marked(p, "*(")], [0, 0, 1]);
	assert.ok(pattern("(").test("x*("));
});
test("commands carry the filters, quoted for the shell", () => {
	const s = { ...parseState(""), i: "cpu", f: "it's", x: "std::", l: "route=/json" };
	const [[, line]] = commands("http://h:6060/debug/pprof/", "profile?seconds=10", "profile.pb.gz", s);
	assert.equal(
		line,
		"go tool pprof -http=: -sample_index=cpu '-focus=(?i)it'\\''s' '-ignore=(?i)std::' '-tagfocus=route=^/json$' 'http://h:6060/debug/pprof/profile?seconds=10'",
	);
	assert.match(
		commands("http://h/", "heap", "heap.pb.gz", { ...s, l: "route=" })[0][1],
		/'-tagignore=route=\.\*'/,
	);
	assert.match(
		commands("http://h/", "heap", "heap.pb.gz", s, "before.pb.gz")[0][1],
		/-diff_base=before\.pb\.gz heap\.pb\.gz$/,
	);
});
test("the address holds all that is chosen", () => {
	const s = { ...parseState(""), k: "heap", q: "a&b=c#d e", l: "k=v", z: "x.y" };
	assert.deepEqual(parseState(formatState(s)), s);
	assert.equal(nameId("main"), nameId("main"));
	assert.notEqual(nameId("main"), nameId("mainn"));
});
