/**
 * One heat map as a figure: computed with its progress, drawn over the image by the service or as the colours of a text, with the
 * scale of its colours.
 *
 * @module
 */

import { element } from "./elements.js";
import { plain } from "./grid.js";
import { coloursOf } from "./maps.js";
import { tokensOf } from "./token_text.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Question} Question */
/** @typedef {import("./session.js").State} State */
/** @typedef {import("./heat_controls.js").Target} Target */
/** @typedef {import("./maps.js").Range} Range */
/** @typedef {{alpha: number, colormap?: string, percentile?: [number, number], range?: [number, number]}} Look - Options of the pictures. */

/** The pictures, by what they show. They are kept while their heat map is on the page. @type {Map<HTMLElement, string>} */
const sources = new Map();

/** Forget the pictures of heat maps that are not on the page any more. */
export function release() {
  for (const [figure, source] of sources) if (!figure.isConnected) (sources.delete(figure), URL.revokeObjectURL(source));
}

/** The figure of a heat map, with the proportions of the image before the map is there. @param {Explorer} explorer @param {Target} target @param {string} shows */
export function figureOf({ imagePanel }, { label, text }, shows) {
  const caption = element("figcaption", {}, element("b", { "data-is-known": text !== "" }, label), text && ` ${text}`);
  const waiting = element("div", { class: "waiting" }, element("progress", { "aria-label": "How much is computed" }));
  const figure = element("figure", { "data-shows": shows }, waiting, caption, element("span", { class: "scale" }, "\u00a0"));
  figure.style.setProperty("--ratio", String(imagePanel.ratio));
  return figure;
}

/**
 * Compute a heat map, with its progress, and name what it explains.
 *
 * @param {Explorer} explorer
 * @param {HTMLElement} figure
 * @param {Question} question
 * @param {AbortSignal} signal
 * @returns {Promise<string>} The layer that it is over.
 */
export async function explain({ session, imagePanel }, figure, question, signal) {
  const bar = figure.querySelector("progress");
  const { attribution, layers } = await /** @type {import("./session.js").Session} */ (session).attribution(question, signal, (done, total) => bar && (bar.value = done / total), imagePanel.isText);
  const [address] = layers.keys();
  const target = attribution?.targets[0];
  const name = /** @type {HTMLElement} */ (figure.querySelector("b"));
  if (!target || "isKnown" in name.dataset) return address;
  name.textContent = target.name ?? (target.class === null ? name.textContent : `class ${target.class}`);
  name.after(` ${plain(target.value)}`);
  name.dataset.isKnown = "";
  return address;
}

/**
 * Draw a heat map that is computed.
 *
 * @param {Explorer} explorer
 * @param {HTMLElement} figure
 * @param {Question} question
 * @param {Look} look
 * @param {string} title
 * @param {AbortSignal} signal
 * @returns {Promise<Range>} The values of its first and last colour.
 */
export async function draw({ session, imagePanel }, figure, question, look, title, signal) {
  const { model, image } = /** @type {import("./session.js").Session} */ (session);
  if (imagePanel.isText) {
    const found = await /** @type {import("./session.js").Session} */ (session).attribution(question, signal, () => {}, true);
    const { text, range, palette } = tokensOf(found, look, `${title} ${figure.querySelector("b")?.textContent}`);
    figure.firstElementChild?.replaceWith(text);
    figure.lastElementChild?.replaceWith(colourBar(palette, range.low, range.high));
    return range;
  }
  const options = /** @type {const} */ ({ ...question, ...look, ...imagePanel.overlaid, signal });
  const { blob, minimum: low, maximum: high } = await model.attributionPicture(image, options);
  const source = URL.createObjectURL(blob);
  const picture = element("img", { src: source, alt: `${title} ${figure.querySelector("b")?.textContent}` });
  await picture.decode();
  picture.classList.toggle("coarse", picture.naturalWidth < 256);
  URL.revokeObjectURL(sources.get(figure) ?? "");
  sources.set(figure, source);
  figure.firstElementChild?.replaceWith(picture);
  figure.lastElementChild?.replaceWith(colourBar(look.colormap ?? (low < 0 && high > 0 ? "vik" : "viridis"), low, high));
  return { low, high };
}

/** @param {string} palette @param {number} low @param {number} high */
function colourBar(palette, low, high) {
  const bar = element("canvas", { width: 256, height: 1, role: "img", "aria-label": `The colours from ${plain(low)} to ${plain(high)}` });
  bar.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(new Uint32Array(coloursOf(palette)).buffer), 256, 1), 0, 0);
  return element("span", { class: "scale quiet" }, plain(low), bar, plain(high));
}

/** How the pictures are drawn. @param {State} state @returns {Look} */
export function lookOf({ opacity, palette, clip }) {
  return {
    alpha: Number(opacity),
    ...(palette !== "auto" && { colormap: palette }),
    ...(clip && { percentile: /** @type {[number, number]} */ ([Number(clip), 100 - Number(clip)]) }),
  };
}
