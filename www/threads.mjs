// Thread dumps: reads their text (ours and Go's), groups equal threads, finds who waits for whom. Pure.

const ESCAPES = { n: "\n", r: "\r", t: "\t", a: "\x07", b: "\b", f: "\f", v: "\v" };
// A word as Go quotes it.
function unquote(s) {
	if (!/^".*"$/.test(s)) return s;
	return s
		.slice(1, -1)
		.replace(/\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[0-7]{3}|.)/gi, (_, e) =>
			/^[xu]./i.test(e)
				? String.fromCodePoint(Math.min(parseInt(e.slice(1), 16), 0x10ffff))
				: (ESCAPES[e] ?? e),
		);
}

// The table on top, when there is one: tid -> { name, cpu, labels }.
function readTable(lines) {
	const at = lines.findIndex(l => /^# +tid +name +state +cpu/.test(l)),
		out = new Map();
	if (at < 0) return out;
	const from = ["name", "state", "cpu", "labels"].map(word => lines[at].indexOf(word));
	for (let i = at + 1; /^# +\d/.test(lines[i] ?? ""); i++) {
		const l = lines[i],
			cell = (a, b) => l.slice(from[a], b === undefined ? undefined : from[b]).trim();
		const labels = (cell(3).match(/("(\\.|[^"])*"|[^\s="]+)=("(\\.|[^"])*"|[^\s"]*)/g) ?? []).map(pair => {
			const cut = pair.startsWith('"') ? pair.indexOf('"=', 1) + 1 : pair.indexOf("=");
			return [unquote(pair.slice(0, cut)), unquote(pair.slice(cut + 1))];
		});
		out.set(Number(l.slice(1, from[0])), { name: unquote(cell(0, 1)), cpu: cell(2, 3), labels });
	}
	return out;
}

function readThread(head, lines, table) {
	const [, tid, bracket] = head,
		[state] = bracket.split(","),
		known = table.get(Number(tid)) ?? {};
	const lock = /\((0x[0-9a-f]+)/.exec(bracket)?.[1] ?? "",
		owner = Number(/(?:held by|\(for) (\d+)/.exec(bracket)?.[1] ?? 0);
	const t = {
		tid: Number(tid),
		name: known.name ?? "",
		cpu: known.cpu ?? "",
		labels: known.labels ?? [],
		lock,
		owner,
		state: state.replace(/ *\((0x|for \d|held |readers).*/, "").trim(),
		minutes: Number(/(\d+) minutes?/.exec(bracket)?.[1] ?? 0),
		frames: [],
		cut: false,
		creator: "",
		key: lines.join("\n"),
	};
	for (let i = 0; i < lines.length; i++) {
		const l = lines[i],
			place = lines[i + 1]?.startsWith("\t") ? lines[++i] : "";
		const [, file, line] = /^\t(.*):(\d+)/.exec(place) ?? ["", "", 0];
		if (l.startsWith("created by ")) t.creator = l.slice(11).replace(/ in goroutine \d+$/, "");
		else if (/^\.\.\..*elided\.\.\.$/.test(l)) t.cut = true;
		else
			t.frames.push({
				name: l.endsWith(")") ? l.slice(0, l.lastIndexOf("(")) : l,
				file: file === "??" ? "" : file,
				line: Number(line),
				inlined: Boolean(file) && !/ \+0x/.test(place),
			});
	}
	return t;
}

// { title, took, threads: [{ tid, name, state, minutes, lock, owner, cpu, labels, frames, cut, creator, key }] }
export function parseThreads(text) {
	const lines = text.split("\n"),
		table = readTable(lines),
		threads = [];
	const title = /^# (.*)/.exec(lines[0])?.[1] ?? "";
	for (let i = 0; i < lines.length; i++) {
		const head = /^goroutine (\d+)(?: [^[]*)? \[(.*?)\](?: \{.*\})?:$/.exec(lines[i]);
		if (!head) continue;
		const from = ++i;
		while (i < lines.length && lines[i] !== "") i++;
		threads.push(readThread(head, lines.slice(from, i), table));
	}
	if (!threads.length) throw new Error("This is not a thread dump.");
	return {
		title,
		threads,
		took: /over ([\d.]+ \w+)/.exec(title)?.[1] ?? "",
	};
}

// The dump as a profile that counts threads, for all views of stacks; labels are the threads' names and states too.
export function threadProfile(dump) {
	const { threads } = dump,
		names = [],
		files = [],
		lines = [],
		known = new Map(),
		frames = [],
		start = [0];
	for (const t of threads) {
		for (const f of t.frames) {
			if (!known.has(f.name)) {
				known.set(f.name, names.push(f.name) - 1);
				files.push(f.file);
				lines.push(f.line);
			}
			frames.push(2 * known.get(f.name) + (f.inlined ? 1 : 0));
		}
		start.push(frames.length);
	}
	const keys = new Map();
	threads.forEach((t, s) =>
		[["thread", t.name], ["state", t.state], ...t.labels].forEach(([key, value]) => {
			const e =
				keys.get(key) ??
				keys
					.set(key, { key, values: [], of: new Int32Array(threads.length).fill(-1) })
					.get(key);
			const at = e.values.indexOf(value);
			e.of[s] = at < 0 ? e.values.push(value) - 1 : at;
		}),
	);
	return {
		types: [{ type: "goroutine", unit: "count" }],
		index: 0,
		period: 1,
		time: Date.parse(/\d{4}-\d\d-\d\dT[\d:]+Z/.exec(dump.title)?.[0] ?? "") || 0,
		seconds: 0,
		comments: [],
		mappings: [],
		names,
		files,
		lines: Int32Array.from(lines),
		modules: new Int32Array(names.length).fill(-1),
		n: threads.length,
		start: Int32Array.from(start),
		frames: Int32Array.from(frames),
		values: [new Float64Array(threads.length).fill(1)],
		labels: [...keys.values()],
	};
}

// worker-1, worker-2, worker-4 as worker-{1,2,4}, and runs of numbers as 1..16.
export function shortNames(names) {
	const groups = new Map();
	for (const name of names) {
		const [, stem, digits] = /^(.*?)(\d*)$/s.exec(name),
			key = digits ? stem + "\0" : name;
		groups.set(key, [...(groups.get(key) ?? []), digits]);
	}
	return [...groups]
		.map(([key, list]) => {
			if (!key.endsWith("\0")) return key + (list.length > 1 ? ` ×${list.length}` : "");
			const stem = key.slice(0, -1),
				numbers = [...new Set(list.map(Number))].sort((a, b) => a - b),
				parts = [];
			if (list.length === 1) return stem + list[0];
			for (let i = 0; i < numbers.length; i++) {
				const first = numbers[i];
				while (numbers[i + 1] === numbers[i] + 1) i++;
				parts.push(
					numbers[i] > first + 1
						? `${first}..${numbers[i]}`
						: numbers[i] > first
							? `${first},${numbers[i]}`
							: first,
				);
			}
			return `${stem}{${parts.join(",")}}`;
		})
		.join(", ");
}

// Threads with one stack and one state together, most first.
export function groupThreads(threads) {
	const groups = new Map();
	for (const t of threads) {
		const key = t.state + "\0" + t.frames.map(f => f.name).join("\0");
		groups.set(key, [...(groups.get(key) ?? []), t]);
	}
	return [...groups.values()].sort((a, b) => b.length - a.length || a[0].tid - b[0].tid);
}

// Who holds what others wait for: locks [{ lock, owner, waiters }], and cycles of threads that wait for each other.
export function lockGraph(threads) {
	const byTid = new Map(threads.map(t => [t.tid, t])),
		locks = new Map(),
		cycles = [],
		done = new Set();
	for (const t of threads)
		if (t.lock || t.owner) {
			const key = t.lock || `the end of thread ${t.owner}`;
			const e = locks.get(key) ?? locks.set(key, { lock: key, owner: null, waiters: [] }).get(key);
			e.owner ??= byTid.get(t.owner) ?? null;
			e.waiters.push(t);
		}
	for (const t of threads) {
		const path = [];
		for (let at = t; at?.owner && !done.has(at); at = byTid.get(at.owner)) {
			const i = path.indexOf(at);
			if (i >= 0) {
				cycles.push(path.slice(i));
				break;
			}
			path.push(at);
		}
		path.forEach(x => done.add(x));
	}
	return { locks: [...locks.values()].sort((a, b) => b.waiters.length - a.waiters.length), cycles };
}

// The tids of threads whose stacks are the same to the instruction in both dumps.
export function unmoved(before, after) {
	const keys = new Map(before.threads.map(t => [t.tid, t.key]));
	return new Set(after.threads.filter(t => keys.get(t.tid) === t.key).map(t => t.tid));
}

// Waits that a pool of workers is in when there is nothing to do. A guess.
export const looksIdle = t => !t.owner && /^(futex|poll|signal|sleep|select|chan|cond|sem|io) ?/i.test(t.state);
