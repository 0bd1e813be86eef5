/**
 * View of one channel, enlarged with the exact values, beside the same map over the image.
 *
 * @module
 */

import { buttonOf, element, replace } from "./elements.js";
import { plain, showScale } from "./grid.js";
import { paintNumbers } from "./maps.js";

/** @typedef {import("./main.js").Explorer} Explorer */

/** @type {string[]} */
let sources = [];

/** Show the current channel. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { maps, state } = explorer;
  const tile = tileOf(explorer);
  const enlarged = await enlargedOf(explorer, tile);
  if (!enlarged || !maps || explorer.state !== state) return;
  const beside = (/** @type {number} */ by) => explorer.go({ channel: String(maps.channelOf(explorer.grid.beside(tile, by))) });
  replace(
    root,
    element(
      "div",
      { class: "row" },
      buttonOf("All channels", () => explorer.closeChannel()),
      element("h3", { id: "channel-title" }, `Channel ${state.channel}`),
      buttonOf("‹", () => beside(-1), { "aria-label": "channel before" }),
      buttonOf("›", () => beside(1), { "aria-label": "next channel" }),
      element("span", { class: "quiet" }, enlarged.figures),
    ),
    enlarged.sides,
  );
  root.hidden = false;
  await enlarged.drawOver();
}

/** The tile of the current channel. @param {Explorer} explorer @throws {RangeError} The layer has no such channel. */
export function tileOf({ maps, state }) {
  const number = Number(state.channel);
  const tile = maps?.channels?.indexOf(number) ?? number;
  if (!maps || !Number.isInteger(tile) || tile < 0 || tile >= maps.count) throw new RangeError(`${state.layer} has no channel ${state.channel}.`);
  return tile;
}

/**
 * The enlarged map of a channel, beside the same over the image.
 *
 * @param {Explorer} explorer
 * @param {number} tile
 * @returns {Promise<{figures: string, sides: HTMLElement, drawOver: () => Promise<void>} | undefined>} The figures of its values;
 *   the two pictures; and what draws the second one. Undefined if another state is shown meanwhile.
 */
export async function enlargedOf(explorer, tile) {
  const { session, layer, maps, state } = explorer;
  if (!session || !layer || !maps) return;
  const number = maps.channelOf(tile);
  const tensor = /** @type {import("./client/layerscope.js").Tensor} */ ((await session.channel(layer, number)).get(layer.address));
  if (explorer.state !== state) return;
  const values = maps.ofMap(/** @type {Float32Array} */ (tensor.data));
  const isFlat = tensor.shape.length < 4 && !maps.grid;
  const width = isFlat ? values.length : maps.stride > 1 ? tensor.shape[2] : maps.width;
  const span = spanOf(explorer, tile, values);
  const canvas = element("canvas", { class: "enlarged", role: "img", "aria-label": `channel ${number} of ${layer.address}` });
  const painted = paintNumbers(values, width, span, maps.paletteOf(explorer.coloring).name);
  Object.assign(canvas, { width: painted.width, height: painted.height });
  canvas.getContext("2d")?.putImageData(painted, 0, 0);
  canvas.classList.toggle("coarse", width < 512);
  canvas.style.setProperty("--ratio", String(painted.width / painted.height));
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.min(width - 1, Math.floor(((event.clientX - box.left) / box.width) * width));
    const row = Math.min(painted.height - 1, Math.floor(((event.clientY - box.top) / box.height) * painted.height));
    explorer.imagePanel.showField(layer, { tile, row: row / maps.stride, column: column / maps.stride });
    explorer.readout(`${maps.unit} ${number} · ${maps.placeOf(row, column)}: ${plain(values[row * width + column])}`);
  });
  canvas.addEventListener("pointerleave", () => explorer.imagePanel.showField(layer, null));
  showScale(explorer, span, false);
  explorer.readout(explorer.imagePanel.isArray ? "Point at the map to read its values." : "Point at the map: its values, and the part of the image that they see.");
  const over = element("figure", { class: "over" });
  const caption = element("figcaption", { class: "quiet" }, `${painted.width} × ${painted.height} values, a square each`);
  const sides = element("div", { class: "side-by-side" }, element("figure", {}, canvas, caption), over);
  return { figures: figuresOf(values), sides, drawOver: () => showOver(explorer, over, number) };
}

/** Show the map over the image, drawn by the service. @param {Explorer} explorer @param {HTMLElement} over @param {number} channel */
async function showOver(explorer, over, channel) {
  const { session, layer, state, coloring } = explorer;
  if (!session || !layer || layer.cannot.overlay) return;
  const colormap = coloring.palette === "auto" ? undefined : coloring.palette;
  const range = coloring.range && /** @type {[number, number]} */ ([coloring.range.low, coloring.range.high]);
  const { blob } = await session.model.overlay(session.image, { layer: layer.address, channel, colormap, range });
  if (explorer.state !== state) return;
  for (const source of sources) URL.revokeObjectURL(source);
  sources = [URL.createObjectURL(blob)];
  const image = element("img", { src: sources[0], alt: `channel ${channel} over the image` });
  await image.decode();
  image.classList.toggle("coarse", image.naturalWidth < 256);
  image.style.setProperty("--ratio", String(image.naturalWidth / image.naturalHeight));
  over.replaceChildren(image, element("figcaption", { class: "quiet" }, "over the image"));
}

/** @param {Explorer} explorer @param {number} tile @param {Float32Array} values */
function spanOf({ maps, coloring }, tile, values) {
  const finite = values.filter(Number.isFinite);
  const exact = { low: finite.reduce((a, b) => Math.min(a, b), Infinity), high: finite.reduce((a, b) => Math.max(a, b), -Infinity) };
  const own = finite.length ? exact : { low: 0, high: 0 };
  return /** @type {import("./maps.js").FeatureMaps} */ (maps).spanOf(tile, coloring, coloring.range ?? (coloring.normalize === "channel" ? own : undefined));
}

/** @param {Float32Array} values */
function figuresOf(values) {
  const finite = values.filter(Number.isFinite);
  const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
  const zeros = finite.filter((value) => value === 0).length / values.length;
  const lost = values.length - finite.length;
  const [low, high] = finite.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  return `${plain(low)} to ${plain(high)} · mean ${plain(mean)} · ${Math.round(zeros * 100)} % zero${lost ? ` · ${lost} not finite` : ""}`;
}
