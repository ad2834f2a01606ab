// A file as text, as `go tool pprof -raw` tells it. Pure.
import { Reader, each, labels, scan, textAt } from "./pprof.mjs";
import { hex } from "./words.mjs";

function labelLines(entries, s) {
	const plain = [],
		numbers = [];
	for (const { key, values, numbers: n, of } of entries)
		if (of[s] >= 0) (n[of[s]] ? numbers : plain).push(`${key}:[${values[of[s]]}]`);
	return [plain, numbers].filter(l => l.length).map(l => " ".repeat(16) + l.sort().join(" "));
}

// Lines for all of the file, of at most `most` samples and as many locations.
export function rawText(bytes, most = 1e9) {
	const p = scan(bytes),
		text = i => textAt(p, i),
		out = [],
		functions = new Map();
	const type = m => `${text(m[1])} ${text(m[2])}`,
		types = [];
	out.push(...p.comments.map(c => `Comment: ${text(c)}`));
	each(p, 11, m => out.push(`PeriodType: ${type(m)}`));
	out.push(
		`Period: ${p.period}`,
		`Time: ${new Date(p.time / 1e6).toISOString()}`,
		`Duration: ${p.duration / 1e9} s`,
		"Samples:",
	);
	each(p, 1, m => types.push(`${text(m[1])}/${text(m[2])}${m[1] === p.preferred ? "[dflt]" : ""}`));
	out.push(types.join(" "));
	const entries = labels(p);
	const r = new Reader(bytes),
		list = p.places[2],
		n = list.length / 2;
	for (let s = 0; s < Math.min(n, most); s++) {
		const ids = [],
			values = [];
		r.over(list[2 * s], list[2 * s + 1]);
		for (let f; (f = r.next());)
			if (f < 3) r.numbers(f === 1 ? ids : values, (f === 1 ? ids : values).length);
		out.push(
			values.map(v => " " + String(v).padStart(10)).join("") + ": " + ids.join(" "),
			...labelLines(entries, s),
		);
	}
	if (n > most) out.push(`… and ${n - most} samples more`);
	each(p, 5, m => functions.set(m[1], [...m]));
	out.push("Locations");
	each(p, 4, (m, lines) => {
		let head = `${String(m[1]).padStart(6)}: ${hex(m[3])} ${m[2] ? `M=${m[2]} ` : ""}${m[5] ? "[F] " : ""}`;
		const told = [];
		for (let i = 0; i < lines.length; i += 2, head = " ".repeat(13)) {
			const line = [0, 0, 0, 0];
			r.over(lines[i], lines[i + 1]);
			for (let f; (f = r.next());) line[f] = r.value;
			const f = functions.get(line[1]);
			told.push(
				head +
					(f
						? `${text(f[2])} ${text(f[4])}:${line[2]}:${line[3]} s=${f[5]}${
								f[2] === f[3] ? "" : `(${text(f[3])})`
							}`
						: "??"),
			);
		}
		out.push(...(told.length ? told : [head]));
	});
	out.push("Mappings");
	each(p, 3, m =>
		out.push(
			`${m[1]}: ${hex(m[2])}/${hex(m[3])}/${hex(m[4])} ${text(m[5])} ${text(m[6])} ${[
				"[FN]",
				"[FL]",
				"[LN]",
				"[IN]",
			]
				.filter((_, i) => m[7 + i])
				.join("")}`,
		),
	);
	return out.join("\n");
}
