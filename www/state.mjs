// What the page shows, in the address: a link or the back button brings back all of it. Pure.

// k kind · c capture · b compared with · v view · i sample type · q search · f focus · x ignore · l label "key=value" ·
// g group by label · z zoom and p selection as paths of names · s function · n inverted · r folded · u root at the
// bottom · h share of total · o order of the table · t seconds · w window instead of all since the start · a threads in
// that state · j no idle threads
const LETTERS = "kcbviqfxlgzpsnruhotwaj";

export function parseState(hash) {
	const params = new URLSearchParams(hash.replace(/^#/, "")),
		s = {};
	for (const key of LETTERS) s[key] = params.get(key) ?? "";
	return s;
}
export function formatState(s) {
	const parts = [...LETTERS].filter(key => s[key]).map(key => `${key}=${encodeURIComponent(s[key])}`);
	return "#" + parts.join("&");
}

// "key=value" taken apart.
export function labelOf(l) {
	const at = l.indexOf("=");
	return [l.slice(0, at), l.slice(at + 1)];
}

// A name as a short word, the same in every profile.
export function hash(name) {
	let h = 0x811c9dc5;
	for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
	return h >>> 0;
}
export const nameId = name => hash(name).toString(36);
