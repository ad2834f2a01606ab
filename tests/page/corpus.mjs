// The page's decoder and model beside `go tool pprof`: every row of -raw, -top and -peek of every file in $CORPUS, with
// filters and differences. CORPUS has the files, GO the go command.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { combine, sides } from "../../www/compare.mjs";
import { marked, masked, matching, neighbours, top, within } from "../../www/model.mjs";
import { decode, gunzip, labels } from "../../www/pprof.mjs";
import { rawText } from "../../www/raw.mjs";

const { CORPUS, GO = "go" } = process.env,
	files = readdirSync(CORPUS).sort();
const ALL = ["-symbolize=none", "-nodecount=1000000", "-nodefraction=0", "-edgefraction=0", "-trim=false"];
const pprof = (...args) =>
	execFileSync(GO, ["tool", "pprof", ...args], {
		encoding: "utf8",
		maxBuffer: 1 << 29,
		stdio: ["ignore", "pipe", "ignore"],
	});
const read = async name => {
	const raw = await gunzip(readFileSync(join(CORPUS, name))),
		p = decode(raw);
	p.labels = labels(p);
	return { raw, p };
};
const UNIT = { nanoseconds: "ns", bytes: "B", count: "count" };
const parse = text => Number(text.replace(/[a-zA-Z]+$/, ""));

// name -> [flat, cum] of a -top.
function topOf(path, type, unit, ...more) {
	const out = new Map();
	for (const line of pprof(
		"-top",
		...ALL,
		`-sample_index=${type}`,
		`-unit=${UNIT[unit] ?? unit}`,
		...more,
		path,
	).split("\n")) {
		const m = /^ *(\S+) +\S+% +\S+% +(\S+) +\S+%  (.*?)(?: \((?:partial-)?inline\))?$/.exec(line);
		if (m) out.set(m[3], [parse(m[1]), parse(m[2])]);
	}
	return out;
}
function same(names, values, theirs) {
	const ours = new Map(names.map((name, f) => [name, values(f)]).filter(([, [self, total]]) => self || total));
	assert.deepEqual(new Map([...ours].sort()), new Map([...theirs].sort()));
	return ours.size;
}

for (const name of files) {
	const path = join(CORPUS, name);
	test(`${name}: -raw`, async () => {
		const tidy = text =>
			text
				.split("\n")
				// Older ones number only the mappings that are used, and tell no columns.
				.map(l => l.trimEnd().replace(/ M=\d+/, "").replace(/(:\d+):0 s=/, "$1 s="))
				.filter(l => l && !/^(Time|Duration|Doc):/.test(l))
				.join("\n")
				.split(/\n(?=Mappings$)/m);
		const [ours, maps] = tidy(rawText((await read(name)).raw)),
			[theirs, mapped] = tidy(pprof("-raw", "-symbolize=none", path));
		const a = ours.split("\n"),
			b = theirs.split("\n");
		a.forEach((line, i) => assert.equal(line, b[i]));
		assert.equal(a.length, b.length);
		const bare = text => text.split("\n").map(l => l.replace(/^\d+: /, ""));
		const known = new Set(bare(maps));
		for (const line of bare(mapped)) assert.ok(known.has(line), line);
	});
	// Addresses without names pprof puts together by file, the page does not.
	if (name.startsWith("bare")) continue;
	test(`${name}: -top of every type`, async () => {
		const { p } = await read(name);
		let rows = 0;
		for (const [k, { type, unit }] of p.types.entries()) {
			const t = top(p, [p.values[k]]);
			rows += same(p.names, f => [t.self[0][f], t.total[0][f]], topOf(path, type, unit));
		}
		assert.ok(rows > 0 || !p.n, "no rows");
	});
	test(`${name}: -peek`, async () => {
		const { p } = await read(name),
			{ type, unit } = p.types[p.index],
			w = p.values[p.index],
			sections = [];
		if (!p.n) return;
		for (const line of pprof(
			"-peek=.",
			...ALL,
			`-sample_index=${type}`,
			`-unit=${UNIT[unit] ?? unit}`,
			path,
		).split("\n")) {
			const m =
				/^ *(?:(\S+) +\S+% +\S+% +\S+ +\S+%)? *(?:(\S+) +\S+%)? \| ( *)(.*?)(?: \((?:partial-)?inline\))?$/.exec(
					line,
				);
			if (/^-+\+-+$/.test(line)) sections.push({ callers: [], callees: [], name: null });
			else if (m && m[1] !== undefined) sections[sections.length - 1].name = m[4].trim();
			else if (m)
				sections[sections.length - 1][
					sections[sections.length - 1].name === null ? "callers" : "callees"
				].push([m[4].trim(), parse(m[2])]);
		}
		const seen = sections.filter(s => s.name !== null),
			order = list => list.map(([n, v]) => `${n} ${v}`).sort();
		for (const s of seen) {
			const ours = neighbours(p, w, p.names.indexOf(s.name));
			for (const side of ["callers", "callees"])
				assert.deepEqual(
					order(ours[side].filter(e => e.value).map(e => [p.names[e.f], e.value])),
					order(s[side].filter(([, v]) => v)),
					`${side} of ${s.name}`,
				);
		}
		const t = top(p, [w]);
		assert.equal(seen.length, t.total[0].filter(v => v).length);
	});
}

test("focus, ignore and labels hide the same samples", async () => {
	let rows = 0;
	for (const name of files.filter(f => /^(cpu-1|heap-2|synthetic)/.test(f))) {
		const { p } = await read(name),
			{ type, unit } = p.types[p.index],
			w = p.values[p.index],
			path = join(CORPUS, name);
		const check = (keep, ...options) => {
			const t = top(p, [masked(w, keep)]);
			rows += same(p.names, f => [t.self[0][f], t.total[0][f]], topOf(path, type, unit, ...options));
		};
		for (const text of ["(?:render|cache)", "demo\\.c", "libc"]) {
			const hit = matching(p, marked(p, text, true));
			assert.deepEqual(matching({ ...p, within: within(p) }, marked(p, text, true)), hit);
			if (hit.includes(1)) check(hit, `-focus=(?i)${text}`);
			if (hit.includes(0))
				check(
					hit.map(v => 1 - v),
					`-ignore=(?i)${text}`,
				);
		}
		for (const { key, values, numbers, of } of p.labels) {
			values.slice(0, 2).forEach(
				(v, i) =>
					!numbers[i] &&
					check(
						of.map(x => (x === i ? 1 : 0)),
						`-tagfocus=${key}=^${v.replace(/\W/g, "\\$&")}$`,
					),
			);
			if (of.includes(-1) && !numbers[0])
				check(
					of.map(x => (x < 0 ? 1 : 0)),
					`-tagignore=${key}=.*`,
				);
		}
	}
	assert.ok(rows > 30, `${rows} rows`);
});
test("differences", async () => {
	let rows = 0;
	for (const kind of ["cpu", "heap"]) {
		const pair = files.filter(f => f.startsWith(kind));
		assert.ok(pair.length >= 2, kind);
		const [before, after] = await Promise.all(pair.slice(0, 2).map(async f => (await read(f)).p)),
			base = combine(after, before);
		const { type, unit } = base.types[base.index],
			t = top(base, sides(base, base.values[base.index], 1));
		rows += same(
			base.names,
			f => [t.self[1][f] - t.self[2][f], t.total[1][f] - t.total[2][f]],
			new Map(
				[
					...topOf(
						join(CORPUS, pair[1]),
						type,
						unit,
						`-diff_base=${join(CORPUS, pair[0])}`,
					),
				].filter(([, [a, b]]) => a || b),
			),
		);
	}
	assert.ok(rows > 5, `${rows} rows`);
});
