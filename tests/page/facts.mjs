// Each way to misread a profile, from a profile that invites it to the sentence that prevents it; and that the sentence
// is not said where it would be wrong. Through the decoder, as the page does it.
import assert from "node:assert/strict";
import test from "node:test";
import { rateWords } from "../../www/service.mjs";
import { COLUMNS, KINDS, indexWords, kindOf } from "../../www/words.mjs";
import { cpu, heap, rate, told, wait } from "./fixtures.mjs";

const used = (cpuTime, wall, share) => [
	`CPU used: ${cpuTime} of ${wall} wall (7 %); the rest was off-CPU`,
	...(share ? [`Samples stand for 1 s of CPU: ${share} % of the CPU used.`] : []),
];

// row, what invites to misread, the words that must be there, [what does not, words that must then be missing]
const CASES = [
	[
		1,
		[cpu(0, { comments: used("0.03 s", "10.0 s") })],
		/No samples: in 10\ss this process used 30\sms of CPU\. It was waiting/,
		[cpu(300)],
	],
	[
		2,
		[cpu(300, { comments: used("7.7 s", "10.0 s", 39) })],
		/missed 61 % of the CPU time/,
		[cpu(300, { comments: used("3 s", "10 s", 99) })],
	],
	[
		2,
		[cpu(0, { comments: used("7.7 s", "10.0 s") })],
		/No samples, although 7\.70?\ss of CPU were used/,
		[cpu(0, { comments: used("0.03 s", "10 s") })],
	],
	[3, [cpu(70)], /Off the CPU 93\.0\s% of the time: waiting is not in this profile/, [cpu(700)]],
	[
		4,
		[cpu(1190), { state: rate("cpu_hz", 100) }],
		/11\.9\ss of CPU in 10\ss = 1\.19 cores busy of 16/,
		[wait(3, 100)],
	],
	[
		5,
		[heap(100, 1000), { index: "alloc_space", kind: "allocs" }],
		/since the start, freed memory included: not what is in use/,
	],
	[5, [heap(100, 1000), { kind: "heap" }], /In use: allocated and not freed/, [cpu(3)]],
	[
		6,
		[
			heap(10000, 1000),
			{
				kind: "heap",
				state: rate("heap_rate", 524288, {
					program: {
						rss_bytes: 90 << 20,
						malloc_used_bytes: 12 << 20,
						malloc_system_bytes: 40 << 20,
					},
				}),
			},
		],
		/RSS 90\sMiB = 12\sMiB in use \(this profile: 9\.54\sMiB\) \+ 28\sMiB kept by the allocator \+ 50\sMiB stacks/,
		[heap(10000, 1000), { kind: "heap" }],
	],
	[
		7,
		[heap(100000, 1000), { kind: "heap" }],
		/1 sample per 512\sKiB: 191 samples, about ±7\s%/,
		[heap(100000, 1000, { period: 1 }), { kind: "heap" }],
	],
	[7, [cpu(3584)], /3\u202f584 samples at 100 Hz, about ±2\s%/],
	[7, [cpu(119122)], /119\u202f122 samples at 100 Hz, about ±1\s%/],
	[8, [cpu(37)], /Only 37 samples: take longer before comparing/, [cpu(370)]],
	[
		9,
		[wait(0), { kind: "block", state: rate("block_rate", 0) }],
		/Off since .*: this does not mean that nobody waits/,
		[wait(3, 100), { kind: "block", state: rate("block_rate", 10000) }],
	],
	[
		9,
		[
			wait(0, 0, { comments: ["Off since 03:00: mutex_fraction is 0, nothing is sampled."] }),
			{ kind: "mutex" },
		],
		/Off: this does not mean/,
	],
	[
		10,
		[
			wait(3, 100),
			{
				kind: "block",
				state: rate("block_rate", 1000, {
					history: [
						{
							at: "2026-11-23T02:00:00Z",
							rate: "block_rate",
							was: 0,
							now: 1000,
							source: "http",
						},
					],
				}),
			},
		],
		/rate was changed at .* \(off → waits of 1\sµs\)/,
		[wait(3, 100), { kind: "block", state: rate("block_rate", 1000) }],
	],
	[
		10,
		[cpu(300, { comments: ["The rate was changed from 100 to 250 samples per second meanwhile; x"] })],
		/changed from 100 to 250/,
	],
	[
		11,
		[wait(3, 100), { kind: "block" }],
		/Only waits that have ended are counted; a thread that is stuck now is in Threads/,
		[cpu(300)],
	],
	[12, [wait(3, 100), { kind: "mutex" }], /those who held the lock/],
	[12, [wait(3, 100), { kind: "block" }], /those who waited/, [cpu(300)]],
	[
		13,
		[
			wait(30, 34e9),
			{
				kind: "block",
				state: rate("block_rate", 1, {
					history: [{ at: "2026-11-23T03:00:00Z", rate: "block_rate", was: 0, now: 1 }],
				}),
			},
		],
		/34\ss of waiting in 20\ss: the sum over 48 threads/,
		[wait(30, 3e9), { kind: "block", state: rate("block_rate", 1) }],
	],
	[
		14,
		[wait(3, 100), { kind: "mutex", state: rate("mutex_fraction", 1) }],
		/Counted since .*3 d 0 h ago.*, not now/,
		[wait(3, 100, { seconds: 10 }), { kind: "mutex" }],
	],
	[
		15,
		[cpu(300)],
		/1 different stack$/,
		[{ types: [["goroutine", "count"]], samples: [{ stack: ["f"], values: [3] }] }, { kind: "goroutine" }],
	],
	[
		16,
		[
			{
				types: [["goroutine", "count"]],
				samples: [
					{ stack: ["f"], values: [40] },
					{ stack: ["g"], values: [8] },
				],
			},
			{ kind: "goroutine" },
		],
		/48 threads in 2 different stacks/,
		[cpu(300)],
	],
	[17, [cpu(300), { view: "top" }], /overlaps: it does not add up to 100 %/, [cpu(300), { view: "flame" }]],
	[
		18,
		[cpu(0, { samples: [{ stack: ["f", "f", "main"], values: [1, 1e7] }] }), { view: "top" }],
		/recursive function counts once/,
		[cpu(300), { view: "top" }],
	],
	[
		19,
		[cpu(300, { mappings: [{ file: "/opt/app", inlines: 0 }] })],
		/Inlined calls in app are charged to their caller/,
		[cpu(300, { mappings: [{ file: "/opt/app" }] })],
	],
	[20, [cpu(300), { visible: 471e6 }], /keep 15\.7\s% and hide 2\.53\ss/, [cpu(300)]],
	[20, [cpu(300), { label: { key: "route", without: 0.3 } }], /30\.0\s% of it carries no “route” label/],
	[21, [cpu(300)], /Wider is more; the order is by weight, not time/, [cpu(300), { view: "top" }]],
	[22, [cpu(300)], /Colour is the namespace.*depth is not cost/, [cpu(300), { view: "top" }]],
	[
		23,
		[
			cpu(0, {
				mappings: [{ file: "/usr/lib/libpprofd.so.0" }, { file: "/opt/app" }],
				samples: [
					{
						stack: [
							{ name: "pd_tick", module: 1 },
							{ name: "main", module: 2 },
						],
						values: [1, 1e7],
					},
					{
						stack: [
							{ name: "f", module: 2 },
							{ name: "pprofd_do", module: 1 },
							{ name: "main", module: 2 },
						],
						values: [3, 3e7],
					},
				],
			}),
		],
		/profiler's own work is 25\.0\s%, shown as \[profiler\]/,
		[cpu(300, { mappings: [{ file: "/opt/app" }] })],
	],
	[
		24,
		[
			cpu(300, {
				comments: [
					"Lost: 12 of 312 samples due (3.8 %), by reason: busy 12.",
					"Truncated: 9 samples (3.0 %) end before the thread's first frame.",
				],
			}),
		],
		/Lost: 12 of 312.*Truncated: 9 samples/,
		[cpu(300)],
	],
	[
		25,
		[
			cpu(0, {
				mappings: [
					{ file: "/opt/app" },
					{ file: "/lib/libfoo.so", build: "9f3c00112233445566", named: 0 },
				],
				samples: [
					{ stack: [{ address: 0x2010, module: 2 }, "main"], values: [18, 18e7] },
					{ stack: ["main"], values: [82, 82e7] },
				],
			}),
		],
		/libfoo\.so has no symbols: 18\.0\s% of the time ends there \(build id 9f3c00112233…\)/,
		[cpu(300, { mappings: [{ file: "/opt/app" }] })],
	],
	[
		26,
		[
			cpu(300),
			{
				diff: {
					after: { seconds: 30, mappings: [{ build: "aaaabbbbcccc" }] },
					before: { seconds: 10, mappings: [{ build: "ddddeeeeffff" }] },
					mode: "second",
				},
			},
		],
		/Before 10\ss, after 30\ss: compared per second.*Different builds: ddddeeee… and aaaabbbb…/,
		[cpu(300)],
	],
	[
		27,
		[
			{ types: [["goroutine", "count"]], samples: [{ stack: ["f"], values: [1] }] },
			{ kind: "goroutine", dump: { took: "1.9 ms" } },
		],
		/thread by thread within 1\.9 ms, not at one instant/,
		[cpu(300)],
	],
	[
		28,
		[cpu(300), { thin: { n: 12, value: 9e6 } }],
		/12 frames too thin to show, together 0\.30\s%/,
		[cpu(300), { thin: { n: 0, value: 0 } }],
	],
	[
		29,
		[
			heap(100, 1000),
			{
				kind: "heap",
				state: rate("heap_rate", 524288, { program: { malloc_library: "libjemalloc.so.2" } }),
			},
		],
		/Counts what goes through libjemalloc\.so\.2 since .*; earlier allocations are not in it/,
		[cpu(300)],
	],
	[
		30,
		[
			cpu(300, {
				comments: [
					"Cost of profiling: 30.0 ms in the sampled threads, 10.0 ms in pprofd's own.",
				],
			}),
		],
		/Profiling used 0\.40\s% of a core/,
		[cpu(300)],
	],
];

for (const [row, yes, words, no] of CASES)
	test(`row ${row}: ${words}`, async () => {
		const said = (await told(...yes))
			.filter(f => f.row === row)
			.map(f => f.text)
			.join(" ");
		assert.match(said, words);
		if (no)
			assert.doesNotMatch(
				(await told(...no))
					.filter(f => f.row === row)
					.map(f => f.text)
					.join(" "),
				words,
			);
	});
test("every row has a case", () =>
	assert.deepEqual(
		[...new Set(CASES.map(c => c[0]))].sort((a, b) => a - b),
		Array.from({ length: 30 }, (_, i) => i + 1),
	));

const THREADS = { types: [["goroutine", "count"]], samples: [{ stack: ["f"], values: [40e9] }] };
test("a sentence is said only of the profiles it is for", async () => {
	const own = { cpu: [1, 2, 3, 4], heap: [5, 6, 14, 29], wait: [11, 12, 13, 14], threads: [16] };
	const comments = used("7.7 s", "10.0 s", 39),
		state = rate("heap_rate", 524288, {
			program: { rss_bytes: 90 << 20, malloc_used_bytes: 12 << 20, malloc_library: "libc.so.6" },
		});
	const profiles = {
		cpu: [cpu(2000), cpu(70), cpu(0), cpu(2000, { seconds: 0 })],
		heap: [heap(100, 1000), heap(100, 1000, { seconds: 10 })],
		wait: [wait(0), wait(3, 100), wait(30, 34e9, { seconds: 10 }), wait(3, 100, { seconds: 10 })],
		threads: [THREADS, { ...THREADS, seconds: 10 }],
	};
	for (const [family, list] of Object.entries(profiles))
		for (const m of list.flatMap(m => [m, { ...m, comments }]))
			for (const f of await told(m, { kind: "mutex", state }))
				for (const [other, rows] of Object.entries(own))
					assert.ok(
						!rows.includes(f.row) || own[family].includes(f.row),
						`${f.row}, for ${other}, of ${family}: ${f.text}`,
					);
});

test("sentences that no rule knows are passed on", async () => {
	const list = await told(
		cpu(300, { comments: ["pprofd 1.0, 100 samples per second of CPU time.", "Something new\u202e."] }),
	);
	assert.deepEqual(
		list.filter(f => f.row === 0).map(f => f.text),
		["Something new\\u{202e}."],
	);
});
test("a foreign file and no state do no harm", async () => {
	for (const m of [
		cpu(3),
		heap(3, 3),
		wait(3, 3),
		{ types: [["x", "y"]], samples: [{ stack: ["f"], values: [-3] }] },
	])
		for (const view of ["flame", "top", "peek", "graph", "raw"])
			for (const f of await told(m, { kind: "", view, file: "x" }))
				assert.ok(f.text && !/undefined|NaN|null|Invalid/.test(f.text), f.text);
});
test("kinds, types, columns and rates in words", () => {
	assert.match(indexWords({ type: "alloc_space", unit: "bytes" }), /allocated since the start, freed ones too/);
	assert.match(indexWords({ type: "inuse_space", unit: "bytes" }), /in use now/);
	assert.match(COLUMNS.total[1], /does not add up to 100 %/);
	assert.equal(KINDS.goroutine.counts, "threads");
	assert.equal(kindOf("heap").counts, "stacks");
	assert.match(kindOf("<b>").title, /^<b>$/);
	assert.equal(rateWords({ unit: "bytes", value: 524288 }), "1 per 512\u00a0KiB");
	assert.equal(rateWords({ unit: "fraction", value: 10 }), "1 in 10");
	assert.equal(rateWords({ unit: "nanoseconds", value: 0 }), "off");
});
