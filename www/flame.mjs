// The flame graph on a canvas: lays out what is wide enough to see, draws what is in sight, and moves a selection by
// mouse and keyboard. Knows trees and pixels; must not know where profiles come from.
import { draw, give } from "./pen.mjs";
import { hash } from "./state.mjs";
import { plural } from "./words.mjs";

const ROW = 18,
	BOX = 17,
	MIN = 3,
	WORD = 30,
	SLICE = 8;

export class Flame {
	// on: { hover(box), select(node), zoom(node, and select it), thin({ n, value }) }; a box is { v, d, x, w, n }: node, row, place, and
	// for the frames too thin to show how many they are, else 0.
	constructor(host, on) {
		this.host = host;
		this.on = on;
		this.canvas = document.createElement("canvas");
		this.canvas.setAttribute("role", "img");
		this.space = document.createElement("div");
		this.mark = document.createElement("div");
		this.mark.className = "mark";
		this.space.append(this.canvas, this.mark);
		host.append(this.space);
		give(this.canvas);
		host.addEventListener("scroll", () => this.draw());
		host.addEventListener("mousemove", e => this.hover(this.hit(e)));
		host.addEventListener("mouseleave", () => this.hover(null));
		host.addEventListener("click", e => this.press(this.hit(e)));
		host.addEventListener("keydown", e => this.key(e));
		new ResizeObserver(() => {
			const { width, height } = this;
			this.measure();
			if (this.tree && this.width !== width) this.lay();
			else if (this.tree && this.height !== height) this.draw();
		}).observe(host);
	}
	measure() {
		this.width = this.host.clientWidth;
		this.height = this.host.clientHeight;
		Object.assign(this.canvas.style, { width: this.width + "px", height: this.height + "px" });
	}

	// view: { zoom, selected, flip, css { back, rest, faint, accent, mono }, colour(v) -> [fill, ink], name(v) }.
	show(tree, view) {
		this.tree = tree;
		this.view = view;
		// What stands around it may have grown: drawn once, at the right size.
		this.measure();
		this.lay();
	}

	// Rows of boxes from the root to the zoomed node, each as wide as all, and from there down by weight.
	lay() {
		const { tree, view } = this;
		this.mark.style.display = "none"; // what the pointer was on may be elsewhere now
		this.boxes = [];
		this.rows = [];
		this.thin = { n: 0, value: 0 };
		const up = [];
		for (let v = view.zoom; v >= 0; v = tree.parent[v]) up.unshift(v);
		for (const v of up) this.put({ v, d: this.rows.length, x: 0, w: this.width, n: 0 });
		this.at = up.length - 1;
		this.total = tree.value(view.zoom);
		this.run = (this.run ?? 0) + 1;
		this.work(this.run, performance.now() + SLICE, 1);
	}
	put(box) {
		(this.rows[box.d] ??= []).push(box);
		this.boxes.push(box);
	}
	// Goes on for a moment at a time, so that the page answers in between.
	work(run, until, slices) {
		if (run !== this.run) return;
		const { boxes } = this;
		for (; this.at < boxes.length; this.at++) {
			if (performance.now() > until) {
				// Something to see at once where the whole takes long.
				if (slices === 4) this.draw();
				return setTimeout(() => this.work(run, performance.now() + SLICE, slices + 1));
			}
			if (!boxes[this.at].n) this.open(boxes[this.at]);
		}
		this.draw();
		this.host.dataset.boxes = boxes.length;
		this.on.thin(this.thin);
		return undefined;
	}
	open(box) {
		const { tree } = this,
			kids = tree.children(box.v),
			d = box.d + 1;
		if (!this.total) return;
		const per = this.width / this.total;
		let x = box.x;
		for (let i = 0; i < kids.length; i++) {
			const w = tree.value(kids[i]) * per;
			if (w >= MIN) {
				this.put({ v: kids[i], d, x, w, n: 0 });
				x += w;
				continue;
			}
			let n = 0,
				value = 0;
			for (; i < kids.length && tree.value(kids[i]) > 0; i++, n++) value += tree.value(kids[i]);
			this.thin.n += n;
			this.thin.value += value;
			if (value * per >= MIN) this.put({ v: box.v, d, x, w: value * per, n });
			return;
		}
	}

	top(d) {
		return this.view.flip ? (this.rows.length - 1 - d) * ROW : d * ROW;
	}
	draw() {
		const { host, view, tree, width, height } = this,
			{ css } = view,
			from = host.scrollTop,
			rest = [css.rest, css.faint],
			boxes = new Float32Array(this.boxes.length * 5),
			colours = new Map(),
			words = [];
		let n = 0,
			frame;
		this.space.style.height = this.rows.length * ROW + 4 + "px";
		for (const { v, d, x, w, n: many } of this.boxes) {
			const y = this.top(d) - from;
			if (y < -ROW || y > height) continue;
			const [fill, text] = many ? rest : view.colour(v),
				// No gap to the caller: it is a part of its code.
				joined = !many && d > 0 && tree.inlined[v];
			let colour = colours.get(fill);
			if (colour === undefined) colours.set(fill, (colour = colours.size));
			boxes[n++] = colour;
			boxes[n++] = x;
			boxes[n++] = joined && !view.flip ? y - 1 : y;
			boxes[n++] = Math.max(w - 1, 1);
			boxes[n++] = joined ? ROW : BOX;
			if (w > WORD)
				words.push([many ? `… ${plural(many, "frame")}` : view.name(v), x + 4, y + BOX / 2 + 1, w - 8, text]);
			if (v === view.selected && !many) frame = [css.accent, [x + 1, y + 1, Math.max(w - 3, 1), BOX - 2]];
		}
		draw({
			width,
			height,
			dpr: devicePixelRatio || 1,
			font: "12px " + css.mono,
			back: css.back,
			boxes: boxes.subarray(0, n),
			colours: [...colours.keys()],
			words,
			frame,
		});
	}

	hit(e) {
		const area = this.canvas.getBoundingClientRect(),
			y = e.clientY - area.top + this.host.scrollTop;
		const i = Math.floor(y / ROW),
			row = this.rows?.[this.view.flip ? this.rows.length - 1 - i : i] ?? [];
		const x = e.clientX - area.left;
		let lo = 0,
			hi = row.length;
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (row[mid].x <= x) lo = mid + 1;
			else hi = mid;
		}
		const box = row[lo - 1];
		return box && x < box.x + box.w ? box : null;
	}
	hover(box) {
		const { style } = this.mark;
		style.display = box ? "block" : "none";
		if (box) {
			style.left = box.x + "px";
			style.top = this.top(box.d) + "px";
			style.width = Math.max(box.w - 1, 1) + "px";
			style.height = BOX + "px";
		}
		this.on.hover(box);
	}
	press(box) {
		if (box) this.on.zoom(box.v);
	}

	// The arrows go the way they point; Enter zooms, Escape lets go.
	key(e) {
		const { tree, view } = this,
			v = view.selected >= 0 ? view.selected : view.zoom;
		const siblings = v > 0 ? tree.children(tree.parent[v]) : [0],
			at = siblings.indexOf(v);
		const down = tree.children(v)[0],
			up = v > 0 ? tree.parent[v] : undefined;
		const to = {
			ArrowLeft: siblings[at - 1],
			ArrowRight: siblings[at + 1],
			ArrowUp: view.flip ? down : up,
			ArrowDown: view.flip ? up : down,
		};
		if (e.key in to) {
			if (to[e.key] !== undefined && tree.value(to[e.key]) > 0) this.on.select(to[e.key]);
		} else if (e.key === "Enter") {
			this.on.zoom(v);
		} else if (e.key === "Escape" && view.zoom > 0) {
			this.on.zoom(tree.parent[view.zoom]);
		} else {
			return;
		}
		e.preventDefault();
		e.stopPropagation();
	}
	reveal(v) {
		const y = this.top(this.tree.depth[v]),
			{ host } = this;
		if (y < host.scrollTop || y + ROW > host.scrollTop + host.clientHeight)
			host.scrollTop = y - host.clientHeight / 2;
	}
}

// Colour stands for the namespace: what comes before the first "::", "." or "_" of a name; 24 hues, and grey for what
// belongs to the system.
const SYSTEM =
	/\/(libc|libpthread|libm|libdl|librt|libgcc_s|libstdc\+\+|libc\+\+|ld-linux[^/]*|ld-musl[^/]*)[-.][^/]*$|^\[/;
export function palette(p, dark) {
	const memo = [],
		light = dark ? 34 : 81;
	const make = (hue, strength) => [`hsl(${hue} ${strength}% ${light}%)`, dark ? "#f2f4f6" : "#15171a"];
	const grey = make(220, dark ? 7 : 10);
	return f =>
		(memo[f] ??= (() => {
			const name = p.names[f],
				space = name.match(/^_*[^_:.+<( ]*/)[0];
			if (/^\[/.test(name) || SYSTEM.test(p.mappings[p.modules[f]]?.file ?? "")) return grey;
			return make(((hash(space) >>> 8) % 24) * 15, dark ? 34 : 58);
		})());
}
