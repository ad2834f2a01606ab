// Numbers and names as the page says them. Pure; must not know where they are shown.

const IEC = ["B", "KiB", "MiB", "GiB", "TiB"].map((name, i) => [1024 ** i, name]);
const SCALES = {
	bytes: IEC,
	nanoseconds: [
		[1, "ns"],
		[1e3, "µs"],
		[1e6, "ms"],
		[1e9, "s"],
		[3600e9, "h"],
	],
	count: [
		[1, ""],
		[1e6, "M"],
		[1e9, "G"],
	],
};

// Three digits of a number, and all of those before the point: 1.02, 35.8, 3 584.
export function digits(v) {
	const a = Math.abs(v),
		places = a === 0 || a >= 100 || Number.isInteger(v) ? 0 : a >= 10 ? 1 : a >= 0.01 ? 2 : 3;
	const [whole, part] = a.toFixed(places).split(".");
	return (v < 0 ? "−" : "") + whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") + (part ? "." + part : "");
}

// [divisor, name] of the unit that numbers up to max are best told in; one for a whole column.
export function scale(max, unit) {
	const list = SCALES[unit] ?? [[1, unit]];
	const fit = list.filter(([size]) => size <= Math.abs(max) * 1.001);
	return fit[fit.length - 1] ?? list[0];
}
export function amount(v, unit, [size, name] = scale(v, unit)) {
	return digits(v / size) + (name && "\u00a0" + name);
}
export const percent = (part, whole) => {
	const v = whole ? (100 * part) / whole : 0,
		a = Math.abs(v);
	return (
		(a >= 99.95 || a === 0
			? v.toFixed(0)
			: a >= 10
				? v.toFixed(1)
				: a >= 0.01
					? v.toFixed(2)
					: v < 0
						? ">−0.01"
						: "<0.01") + "\u00a0%"
	);
};
export const seconds = s => amount(s * 1e9, "nanoseconds");
export const plural = (n, one, many = one + "s") => `${digits(n)} ${n === 1 ? one : many}`;
export function span(s) {
	const d = Math.floor(s / 86400),
		h = Math.floor(s / 3600) % 24,
		m = Math.floor(s / 60) % 60;
	return d
		? `${d} d ${h} h`
		: h
			? `${h} h ${m} min`
			: m
				? `${m} min ${Math.floor(s) % 60} s`
				: `${Math.floor(s)} s`;
}

// What shows nothing or turns the line around is shown as its number.
export const plain = s =>
	s.replace(
		/[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]/g,
		c => `\\u{${c.charCodeAt(0).toString(16)}}`,
	);

// A name in at most n characters: leading scopes go first, one by one, then the end.
export function fit(name, n) {
	if (name.length <= n) return name;
	for (let i = 0, depth = 0, last = name.length - 2; i < last && name.length > n; i++) {
		const c = name[i];
		if (c === "<" || c === "(") depth++;
		else if (c === ">" || c === ")") depth--;
		else if (c === ":" && name[i + 1] === ":" && depth <= 0) {
			name = name.slice(i + 2);
			i = -1;
			last = name.length - 2;
		}
	}
	return name.length <= n ? name : n > 1 ? name.slice(0, n - 1) + "…" : "";
}

export const base = path => path.slice(path.lastIndexOf("/") + 1);
export const hex = n => "0x" + BigInt.asUintN(64, BigInt(n)).toString(16);
export const clock = t => new Date(t).toTimeString().slice(0, 8);

// A word for the shell.
export const quote = s => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replace(/'/g, "'\\''")}'`);

// The kinds, in their order on the page. window: takes time, there is nothing to see before. rate: the switch behind it.
// noun: what is taken, when that is no profile; counts: what the index counts, when that is not stacks.
export const KINDS = {
	profile: {
		title: "CPU",
		window: true,
		rate: "cpu_hz",
		help: "Where processor time goes. Waiting is not in it.",
	},
	wall: {
		title: "Wall clock",
		window: true,
		rate: "wall_hz",
		help: "Where all threads spend their time, running or waiting.",
	},
	heap: {
		title: "Heap",
		rate: "heap_rate",
		help: "Who allocated the memory that is in use.",
	},
	allocs: {
		title: "Allocations",
		rate: "heap_rate",
		help: "Who allocated memory since the start, freed or not.",
	},
	block: {
		title: "Block",
		rate: "block_rate",
		off: true,
		help: "Who waited for locks, conditions and other threads, and how long.",
	},
	mutex: {
		title: "Mutex",
		rate: "mutex_fraction",
		off: true,
		help: "Who held the locks that others waited for.",
	},
	io: {
		title: "I/O waits",
		rate: "io_rate",
		off: true,
		help: "Who waited in poll, read, sleep and the like.",
	},
	goroutine: {
		title: "Threads",
		noun: "thread dump",
		counts: "threads",
		help: "What every thread does right now, and which ones wait for each other.",
	},
	threadcreate: {
		title: "Thread creation",
		counts: "threads started",
		help: "Where threads were started.",
	},
};
// The rates: a value to begin with, and what it costs.
export const RATES = {
	cpu_hz: [100, "Costs a short signal for each sample, only while somebody takes a profile."],
	wall_hz: [20, "Costs a look at each thread for each sample, only while somebody takes a profile."],
	heap_rate: [524288, "Costs a stack for each so many bytes allocated."],
	block_rate: [10000, "Costs two looks at the clock for each wait, and a stack for the long ones."],
	mutex_fraction: [10, "Costs a stack for one in so many waits for a lock."],
	io_rate: [1000000, "Costs two looks at the clock for each such call, and a stack for the long ones."],
};
// What a rate is of.
export const rateTitle = name => Object.values(KINDS).find(k => k.rate === name).title;
export function kindOf(name) {
	const k = KINDS[name] ?? { title: plain(name), counts: "entries", help: "A profile of the program's own." },
		// CPU and I/O keep their capitals.
		title = k.title.replace(/^[A-Z](?=[a-z])/, c => c.toLowerCase());
	return { noun: `${title} profile`, counts: "stacks", ...k };
}

// The sample types in plain words.
const INDEX = {
	"samples/count": "samples",
	"cpu/nanoseconds": "CPU time",
	"time/nanoseconds": "wall clock time",
	"alloc_objects/count": "objects allocated since the start, freed ones too",
	"alloc_space/bytes": "bytes allocated since the start, freed ones too",
	"inuse_objects/count": "objects in use now",
	"inuse_space/bytes": "bytes in use now",
	"contentions/count": "how many waits",
	"delay/nanoseconds": "time waited",
	"goroutine/count": "threads",
	"threadcreate/count": "threads started",
};
export const indexWords = ({ type, unit }) => INDEX[`${type}/${unit}`] ?? plain(`${type} (${unit})`);

// Column heads: [what it says, what it means].
export const COLUMNS = {
	self: ["self", "In the function itself, its callees left out (pprof: flat). Adds up to 100 %."],
	run: ["sum", "Of this row and all rows above it, by self."],
	total: [
		"with callees",
		"In the function and all it calls (pprof: cum). Rows overlap: this does not add up to 100 %. " +
			"A recursive function counts once per stack.",
	],
	before: ["before", "Self, in the capture that is compared with."],
	after: ["after", "Self, in this capture."],
	change: ["change of self", "After less before. Grey: no more than chance may do."],
	changeTotal: [
		"change with callees",
		"After less before, in the function and all it calls. Grey: no more than chance may do.",
	],
};
