// The commands that fetch or show the same on a terminal. Pure.
import { labelOf } from "./state.mjs";
import { quote } from "./words.mjs";

const plainly = text => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

// The options of pprof that do what the filters of the page do.
export function filterOptions(s) {
	const re = text => (/[A-Z]/.test(text) ? text : `(?i)${text}`),
		out = [];
	if (s.i) out.push(`-sample_index=${s.i}`);
	if (s.f) out.push(`-focus=${re(s.f)}`);
	if (s.x) out.push(`-ignore=${re(s.x)}`);
	if (s.l) {
		const [key, value] = labelOf(s.l);
		out.push(value ? `-tagfocus=${key}=^${plainly(value)}$` : `-tagignore=${key}=.*`);
	}
	return out;
}

// [what it does, command] for a capture: where is the folder of all profiles, path the profile with its query in it.
export function commands(where, path, file, s, before) {
	const url = where + path,
		options = filterOptions(s).map(quote).join(" "),
		tool = `go tool pprof -http=:`;
	const words = (...list) => list.filter(Boolean).join(" ");
	if (/debug=2/.test(path)) return [["all threads as text", `curl -s ${quote(url)}`]];
	const list = [
		["in pprof's own pages", words(tool, options, quote(url))],
		["as a table", words("go tool pprof -top", options, quote(url))],
		["into a file", `curl -so ${file} ${quote(url)}`],
		["that file without Go (github.com/google/pprof)", words("pprof -http=:", options, file)],
	];
	if (before)
		list.unshift([
			"the difference of two saved files",
			words(tool, options, `-diff_base=${quote(before)} ${file}`),
		]);
	return list;
}
