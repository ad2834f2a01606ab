// What is damaged, cut off or made to hurt gives a sentence and an end, and never a wrong profile without one.
import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { decode, gunzip, labels } from "../../www/pprof.mjs";
import { rawText } from "../../www/raw.mjs";
import { parseThreads, threadProfile } from "../../www/threads.mjs";
import { bytes, encode, number, packed } from "./make.mjs";
import { synthetic } from "./synthetic.mjs";

const read = async file => {
	const raw = await gunzip(file),
		p = decode(raw);
	labels(p);
	rawText(raw);
	return p;
};
// The sentence with which it was refused, "" when it was read; anything but an Error with a sentence is a fault.
async function refusal(file) {
	try {
		const p = await read(file);
		assert.equal(p.start[p.n], p.frames.length);
		return "";
	} catch (e) {
		assert.ok(e.constructor === Error && /^[A-Z].*\.$/.test(e.message), e.stack);
		return e.message;
	}
}
const small = () =>
	encode({
		types: [
			["samples", "count"],
			["cpu", "nanoseconds"],
		],
		period: 1e7,
		seconds: 1,
		comments: ["a comment"],
		mappings: [{ file: "/opt/app", build: "abcd" }],
		samples: [
			{
				stack: [["inner", "outer"], "main"],
				values: [3, 3e7],
				labels: { route: "/json", bytes: 4096 },
			},
			{ stack: ["main"], values: [1, 1e7], labels: { route: "/page" } },
			{ stack: [{ address: 0x1010 }], values: [1, -5] },
		],
	});

test("a small profile, all of it", async () => {
	const p = await read(small());
	assert.deepEqual(p.names, ["inner", "outer", "main", "app+0x10"]);
	assert.deepEqual([...p.frames], [1, 2, 4, 4, 6]);
	assert.deepEqual([...p.values[1]], [3e7, 1e7, -5]);
	assert.equal(p.index, 1);
	assert.deepEqual(
		labels(p).map(l => [l.key, l.values, [...l.of]]),
		[
			["route", ["/json", "/page"], [0, 1, -1]],
			["bytes", ["4096 bytes"], [0, -1, -1]],
		],
	);
	assert.deepEqual(p.comments, ["a comment"]);
});
test("numbers to the last bit", async () => {
	for (const v of [
		0,
		127,
		128,
		2 ** 31,
		2 ** 32 + 1,
		2 ** 49 - 1,
		2 ** 49,
		2 ** 53 - 1,
		-1,
		-(2 ** 40),
		-(2 ** 53) + 1,
	]) {
		const p = await read(encode({ types: [["x", "y"]], samples: [{ stack: ["f"], values: [v] }] }));
		assert.equal(p.values[0][0], v);
	}
});
test("ids that are no small numbers", async () => {
	const type = [...number(1, 1), ...number(2, 2)],
		big = 0x7fff12345678;
	const file = Buffer.from([
		...bytes(1, type),
		...bytes(2, [...bytes(1, packed([big, 1])), ...number(2, 7)]),
		...bytes(4, [...number(1, big), ...bytes(4, number(1, big))]),
		...bytes(4, [...number(1, 1), ...bytes(4, number(1, 2))]),
		...bytes(5, [...number(1, big), ...number(2, 3)]),
		...bytes(5, [...number(1, 2), ...number(2, 4)]),
		...["", "x", "y", "far", "near"].flatMap(s => bytes(6, Buffer.from(s))),
	]);
	const p = await read(file);
	assert.deepEqual(
		[...p.frames].map(f => p.names[f >> 1]),
		["far", "near"],
	);
});
test("no profile at all", async () => {
	for (const file of [
		"",
		"x",
		"<!DOCTYPE html><html></html>",
		"goroutine profile: total 3\n",
		"{}",
		"\x1f\x8b",
		"\x1f\x8b\x08\0\0\0\0\0",
	])
		assert.notEqual(await refusal(Buffer.from(file, "latin1")), "", JSON.stringify(file));
});
test("cut off at every byte", async () => {
	const raw = await gunzip(small());
	for (let n = 0; n < raw.length; n++) await refusal(raw.subarray(0, n));
	assert.match(await refusal(raw.subarray(0, raw.length - 1)), /cut off/);
	const gz = small();
	for (let n = 2; n < gz.length; n += 3)
		assert.match(await refusal(gz.subarray(0, n)), /damaged or cut off|not a profile/);
});
test("every byte changed, and thousands of chances", async () => {
	const raw = Buffer.from(await gunzip(small()));
	let refused = 0,
		seed = 1;
	const random = n => (seed = (seed * 48271) % 0x7fffffff) % n;
	const change = async at => {
		const copy = Buffer.from(raw);
		for (const i of at) copy[i] = random(256);
		refused += (await refusal(copy)) !== "";
	};
	for (let i = 0; i < raw.length; i++) for (let k = 0; k < 4; k++) await change([i]);
	for (let k = 0; k < 3000; k++) await change(Array.from({ length: 1 + random(6) }, () => random(raw.length)));
	assert.ok(refused > 500, `${refused} refused`);
});
test("what unpacks to too much", async () => {
	const bomb = gzipSync(Buffer.alloc(64 << 20));
	await assert.rejects(gunzip(bomb, 16 << 20), /unpacks to more than 16 MiB\.$/);
	bomb.writeUInt32LE(10, bomb.length - 4);
	await assert.rejects(gunzip(bomb, 16 << 20), /unpacks to more than 16 MiB\.|damaged/);
});
test("a short file of endless stacks", async () => {
	const lines = Array.from({ length: 50000 }, () => bytes(4, number(1, 1))).flat();
	const file = Buffer.from([
		...bytes(1, number(1, 1)),
		...bytes(4, [...number(1, 1), ...lines]),
		...bytes(5, [...number(1, 1), ...number(2, 1)]),
		...bytes(2, [...bytes(1, new Array(50000).fill(1)), ...number(2, 1)]),
		...bytes(6, []),
		...bytes(6, [120]),
	]);
	assert.match(await refusal(file), /too many and too deep/);
});
test("samples that name nothing", async () => {
	const file = Buffer.from([
		...bytes(1, number(1, 1)),
		...bytes(2, [...number(1, 9), ...number(2, 1)]),
		...bytes(6, []),
		...bytes(6, [120]),
	]);
	assert.match(await refusal(file), /location that the file does not have/);
	const few = Buffer.from([
		...bytes(1, number(1, 1)),
		...bytes(1, number(1, 1)),
		...bytes(2, number(2, 1)),
		...bytes(6, []),
		...bytes(6, [120]),
	]);
	assert.match(await refusal(few), /fewer values/);
});
test("a large one is read in moments", async () => {
	const file = synthetic(20000),
		begun = process.cpuUsage();
	assert.equal((await read(file)).n, 20000);
	assert.ok(process.cpuUsage(begun).user < 20e6);
});

test("thread dumps: ours, Go's, and damage", () => {
	const dump = parseThreads(`# demo pid 5, 2026-11-23T03:19:53Z: 3 threads, 3 stacks, taken one by one over 0.4 ms
# deadlock: 2 threads wait for each other
#   21 "a b" waits for mutex 0x55aa held by 22 "w-2", for at least 3.0 s
#   tid  name   state        cpu    labels
#    20  demo   signal wait  0.1 s
#    21  "a b"  mutex wait   0.3 s  route=/json "x y"="q=1"
#    22  w-2    mutex wait   0.3 s

goroutine 20 [signal wait, 3 minutes]:
main(...)
	/x.c:3 +0x71

goroutine 21 [mutex wait (0x55aa held by 22)]:
a::operator()(...)
	/x.c:3
lock<int (*)(char)>(...)
	??:0 +0x0
...additional frames elided...
created by f in goroutine 20
	/x.c:1 +0x2

goroutine 22 [mutex wait (0x55bb held by 21)]:
f(...)
	/x.c:3 +0x1
`);
	assert.equal(dump.took, "0.4 ms");
	assert.deepEqual(
		dump.threads.map(t => [t.tid, t.name, t.state, t.minutes, t.lock, t.owner, t.cut, t.creator]),
		[
			[20, "demo", "signal wait", 3, "", 0, false, ""],
			[21, "a b", "mutex wait", 0, "0x55aa", 22, true, "f"],
			[22, "w-2", "mutex wait", 0, "0x55bb", 21, false, ""],
		],
	);
	assert.deepEqual(dump.threads[1].labels, [
		["route", "/json"],
		["x y", "q=1"],
	]);
	assert.deepEqual(
		dump.threads[1].frames.map(f => [f.name, f.inlined]),
		[
			["a::operator()", true],
			["lock<int (*)(char)>", false],
		],
	);
	const p = threadProfile(dump);
	assert.equal(p.n, 3);
	assert.deepEqual(
		p.labels.map(l => l.key),
		["thread", "state", "route", "x y"],
	);
	const go = parseThreads(
		"goroutine 1 [chan receive (nil chan), 12 minutes, locked to thread] {name: x}:\nmain.(*T).f(0x1, {0x2, 0x3})\n\t/a.go:3 +0x1\n",
	);
	assert.deepEqual(
		[go.threads[0].state, go.threads[0].minutes, go.threads[0].frames[0].name],
		["chan receive (nil chan)", 12, "main.(*T).f"],
	);
	for (const text of ["", "x", "goroutine", "goroutine 1", "goroutine 1 [x", "# tid name"])
		assert.throws(() => parseThreads(text), /^Error: This is not a thread dump\.$/);
});
