// Making elements. Text is only ever set as text.

// An element; properties, if there are any, by their names: on... are listeners, what is no property is an attribute, null
// is left out; then what is in it.
export function el(tag, ...parts) {
	const e = document.createElement(tag),
		props = parts[0]?.constructor === Object ? parts.shift() : {};
	for (const [name, value] of Object.entries(props)) {
		if (value === null || value === undefined) continue;
		if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
		else if (name in e) e[name] = value;
		else e.setAttribute(name, value);
	}
	if (parts.length) fill(e, parts);
	return e;
}
export const button = (text, onclick, props) => el("button", { type: "button", onclick, ...props }, text);
// A menu of [value, text] or plain values.
export function choice(options, value, onchange, props) {
	return el(
		"select",
		{ autocomplete: "off", ...props, onchange: e => onchange(e.target.value) },
		options
			.map(o => (Array.isArray(o) ? o : [o, o]))
			.map(([v, text]) => el("option", { value: v, selected: v === value }, text)),
	);
}
export const table = (className, caption, heads, rows) =>
	el("table", { className }, el("caption", caption), el("thead", el("tr", heads)), el("tbody", rows));
// What is inside instead of what was; lists in lists are taken apart, and what is not there is left out.
export const fill = (e, ...children) =>
	e.replaceChildren(...children.flat(9).filter(c => c !== null && c !== undefined && c !== false && c !== ""));

// Not by navigator.clipboard, which does not exist on plain http from another machine.
export function copy(text) {
	const was = document.activeElement,
		area = document.body.appendChild(el("textarea", { value: text, className: "sr" }));
	area.select();
	document.execCommand("copy");
	area.remove();
	was.focus();
}
export function save(name, parts, type = "application/octet-stream") {
	const href = URL.createObjectURL(new Blob(parts, { type }));
	el("a", { href, download: name }).click();
	setTimeout(() => URL.revokeObjectURL(href), 60000);
}

let trust;
// A worker that runs a file of the page. Its address is one of the sinks that trusted types guard.
export function hire(url) {
	trust ??= globalThis.trustedTypes?.createPolicy("pprofd", { createScriptURL: u => u });
	return new Worker(trust ? trust.createScriptURL(url) : url, { type: "module" });
}
