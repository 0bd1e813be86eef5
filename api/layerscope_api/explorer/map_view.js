/**
 * View of a layer's feature maps: their facts, the grid, the colour scale, and the value under the pointer.
 *
 * @module
 */

import { find, inputOf } from "./dom.js";
import { plain } from "./grid.js";
import { coloursOf } from "./maps.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */
/** @typedef {import("./grid.js").Unit} Unit */

/** Show the feature maps of a layer. @param {Explorer} explorer @param {FeatureMaps} maps */
export function showMaps(explorer, maps) {
  const { state, coloring } = explorer;
  const figures = maps.statistics;
  const dead = [...Array(maps.count).keys()].filter((tile) => maps.isDead(tile)).length;
  const facts = [
    find("layer-facts").textContent,
    `${plain(figures?.min ?? maps.range.low)} to ${plain(figures?.max ?? maps.range.high)}`,
    figures && `${Math.round((figures.fraction_zero ?? 0) * 100)} % zero`,
    dead && `${dead} dead channel${dead > 1 ? "s" : ""}`,
    maps.nonfinite && `${maps.nonfinite} values are not finite: drawn as the lowest or highest`,
    maps.stride > 1 && `every ${maps.stride}th pixel is shown`,
  ];
  find("layer-facts").textContent = facts.filter(Boolean).join(" · ");
  const { low, high } = coloring.range ?? maps.range;
  for (const [id, end] of /** @type {const} */ ([["range-low", low], ["range-high", high]])) {
    if (document.activeElement !== find(id)) inputOf(id).value = String(Number(end.toPrecision(4)));
  }
  explorer.grid.show(maps, coloring, state.order === "activity" ? "activity" : "number", Number(state.size) || "auto");
  showScale(explorer, maps.spanOf(0, { ...coloring, normalize: "layer" }), coloring.normalize === "channel" && !coloring.range && !maps.isVector && !maps.isMatrix);
  explorer.readout(maps.isVector ? "Point at a unit to read its value." : "Point at a map: its values, and the part of the image that they see.");
}

/**
 * Show the colour bar with the values at its ends.
 *
 * @param {Explorer} explorer
 * @param {{low: number, high: number}} range
 * @param {boolean} isOwn - Whether each channel has its own range.
 */
export function showScale(explorer, { low, high }, isOwn) {
  if (!explorer.maps) return;
  const bar = /** @type {HTMLCanvasElement} */ (document.getElementById("scale-bar"));
  const colours = new Uint32Array(coloursOf(explorer.maps.paletteOf(explorer.coloring).name));
  bar.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(colours.buffer), 256, 1), 0, 0);
  find("scale-low").textContent = isOwn ? "lowest" : plain(low);
  find("scale-high").textContent = isOwn ? "highest of each" : plain(high);
}

/** The text about the value under the pointer. @param {FeatureMaps} maps @param {Unit} unit */
export function described(maps, { tile, row, column }) {
  const { low, high } = maps.rangeOf(tile);
  if (maps.isVector) return `unit ${maps.channelOf(tile)} · ${plain(low)}`;
  const name = maps.isMatrix ? "" : `channel ${maps.channelOf(tile)} · `;
  if (row < 0) return `${name}${plain(low)} to ${plain(high)}`;
  const place = maps.isMatrix ? `step ${row}, feature ${column}` : `row ${row}, column ${column}`;
  return `${name}${place}: ${plain(maps.value(tile, row, column))} (${plain(low)} to ${plain(high)})`;
}
