// Draws the flame graph away from the page, which goes on meanwhile: this module is also what the worker runs. Knows
// rectangles and words; must not know what they stand for.
import { hire } from "./dom.mjs";
import { fit } from "./words.mjs";

let ink,
	glyph,
	next,
	painter;

function paint() {
	const { width, height, dpr, font, back, boxes, colours, words, frame } = next,
		{ canvas } = ink,
		wide = Math.round(width * dpr),
		tall = Math.round(height * dpr);
	next = null;
	if (canvas.width !== wide || canvas.height !== tall) {
		canvas.width = wide;
		canvas.height = tall;
		ink.font = font;
		ink.textBaseline = "middle";
		glyph = ink.measureText("0".repeat(50)).width / 50;
	}
	ink.setTransform(dpr, 0, 0, dpr, 0, 0);
	ink.fillStyle = back;
	ink.fillRect(0, 0, width, height);
	for (let i = 0; i < boxes.length; i += 5) {
		ink.fillStyle = colours[boxes[i]];
		ink.fillRect(boxes[i + 1], boxes[i + 2], boxes[i + 3], boxes[i + 4]);
	}
	// Afterwards, for they are mostly of one colour, and changing it takes longer than writing.
	let last = "";
	for (const [name, x, y, room, colour] of words) {
		if (colour !== last) ink.fillStyle = last = colour;
		ink.fillText(fit(name, Math.floor(room / glyph)), x, y);
	}
	if (frame) {
		ink.strokeStyle = frame[0];
		ink.lineWidth = 2;
		ink.strokeRect(...frame[1]);
	}
}
// In the worker. Of pictures that follow each other faster than they are drawn, the last one counts.
if (!globalThis.document && globalThis.postMessage)
	addEventListener("message", ({ data: { canvas, boxes }, data }) => {
		if (canvas) ink = canvas.getContext("2d", { alpha: false });
		if (!boxes) return;
		if (!next) setTimeout(paint);
		next = data;
	});

// Whose drawing it is from now on.
export function give(canvas) {
	painter ??= hire(import.meta.url);
	const away = canvas.transferControlToOffscreen();
	painter.postMessage({ canvas: away }, [away]);
}
// A picture: its size in CSS pixels, and pixels of the screen for each (dpr); boxes: five numbers each, the place of its
// colour in colours, then x, y, width, height; words: [text, x, y, room, colour], cut to the room; frame: [colour,
// [x, y, width, height]].
export const draw = picture => painter.postMessage(picture, [picture.boxes.buffer]);
