/**
 * A text whose tokens have the colours of an attribution, with the number of the token that is pointed at.
 *
 * @module
 */

import { element } from "./elements.js";
import { plain } from "./grid.js";
import { colourOf } from "./maps.js";

/** @typedef {import("./client/layerscope.js").Activations} Activations */
/** @typedef {import("./maps.js").Range} Range */
/** @typedef {{text: string, number: string, value: number}} Word - A token, or all padding together: its number as text, and the value that its colour shows. */

const PALETTE = "vik";
/** Relative luminance of WCAG 2.2 from which on black letters stand out more than white ones. */
const BRIGHT = 0.179;

/**
 * The text of an attribution. Unless a range is given, the middle of its colours is zero.
 *
 * @param {Activations} attribution - Of one text, with its values.
 * @param {import("./heat_map.js").Look} look
 * @param {string} title - What the colours mean.
 * @returns {{text: HTMLElement, range: Range, palette: string}}
 */
export function tokensOf(attribution, look, title) {
  const [tensor] = attribution.values();
  const values = Array.from(/** @type {Float32Array} */ (tensor.data));
  const palette = look.colormap ?? PALETTE;
  const range = rangeOf(values, look);
  const readout = element("p", { class: "readout", "aria-hidden": "true" }, "Point at a token, or move between them with the arrow keys, to read its number.");
  const items = wordsOf(attribution.tokens[0] ?? [], values).map((word) => itemOf(word, palette, range));
  items[0]?.setAttribute("tabindex", "0");
  const list = element("ol", { class: "tokens", "aria-label": title }, ...items);
  const read = (/** @type {Event} */ { target }) => {
    const item = /** @type {Element} */ (target).closest("li");
    if (item) readout.textContent = item.textContent;
  };
  list.addEventListener("pointerover", read);
  list.addEventListener("focusin", read);
  list.addEventListener("keydown", (event) => move(event, items));
  return { text: element("div", {}, list, readout), range, palette };
}

/** @param {Word} word @param {string} palette @param {Range} range */
function itemOf({ text, number, value }, palette, range) {
  const item = element("li", { tabindex: "-1" }, text, element("span", { class: "unseen" }, `: ${number}`));
  if (!Number.isFinite(value)) return item;
  const colour = colourOf(palette, value, range);
  item.style.backgroundColor = `rgb(${colour.join(" ")})`;
  item.style.color = luminanceOf(colour) > BRIGHT ? "#000" : "#fff";
  return item;
}

/** The relative luminance of a colour. Source: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance @param {number[]} colour - Red, green and blue up to 255. */
function luminanceOf(colour) {
  const [red, green, blue] = colour.map((part) => (part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Move the focus to another token. @param {KeyboardEvent} event @param {HTMLElement[]} items */
function move(event, items) {
  const at = items.indexOf(/** @type {HTMLElement} */ (event.target));
  const place = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (place === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  event.stopPropagation();
  const next = items[Math.max(0, Math.min(items.length - 1, place))];
  for (const item of items) item.tabIndex = item === next ? 0 : -1;
  next.focus();
}

/** The tokens with their numbers. Those of padding, which repeat one token without a place in the text at either end, are one. @param {Activations["tokens"][number]} tokens @param {number[]} values @returns {Word[]} */
function wordsOf(tokens, values) {
  /** @type {{text: string, numbers: number[]}[]} */
  const runs = [];
  tokens.forEach(({ text, id, start }, place) => {
    const before = tokens[place - 1];
    const isAgain = start === null && before && before.start === null && before.id === id;
    if (isAgain) runs.at(-1)?.numbers.push(values[place]);
    else runs.push({ text: text || `(${id})`, numbers: [values[place]] });
  });
  return runs.map(({ text, numbers }) => {
    const value = numbers.reduce((most, each) => (Math.abs(each) > Math.abs(most) ? each : most));
    const number = numbers.length === 1 ? plain(value) : `${plain(Math.min(...numbers))} to ${plain(Math.max(...numbers))}`;
    return { text: numbers.length === 1 ? text : `${text} × ${numbers.length}`, number, value };
  });
}

/** The values at the ends of the colours. @param {number[]} values @param {import("./heat_map.js").Look} look @returns {Range} */
function rangeOf(values, { range, percentile = [0, 100] }) {
  if (range) return { low: range[0], high: range[1] };
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const [low, high] = percentile.map((percent) => sorted[Math.round((percent / 100) * (sorted.length - 1))] ?? 0);
  const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
  return { low: -most, high: most };
}
