/**
 * View of all maps of a layer: the facts about it, the grid, and the scale of the colours.
 *
 * @module
 */

import { plain, showScale } from "./grid.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));
/** An `<input>` element. @param {string} id */
const inputOf = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

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
  const isCurves = areCurves(explorer);
  const drawn = /** @type {HTMLSelectElement} */ (document.getElementById("drawn"));
  drawn.value = isCurves ? "curves" : "values";
  /** @type {HTMLElement} */ (drawn.parentElement).hidden = !maps.isSeries;
  document.body.toggleAttribute("data-curves", isCurves && explorer.view === "maps");
  explorer.grid.show(maps, coloring, state);
  const hasOwnRanges = !maps.isVector && (!maps.isMatrix || isCurves);
  showScale(explorer, maps.spanOf(0, { ...coloring, normalize: "layer" }), coloring.normalize === "channel" && !coloring.range && hasOwnRanges);
  const { count } = explorer.grid;
  if (count < maps.count) explorer.readout(`${count} of ${maps.count} ${maps.isVector ? "units" : "channels"} are shown.`);
  else explorer.readout(maps.isVector ? "Point at a unit to read its value." : explorer.imagePanel.reads.form !== "image" ? "Point at a map to read its values." : "Point at a map: its values, and the part of the image that they see.");
}

/** Whether channels are drawn as curves: those over time and the like, unless a person wants their values; those of tokens if a person does. @param {Explorer} explorer */
export function areCurves({ maps, state }) {
  return Boolean(maps?.isSeries && (state.drawn ? state.drawn === "curves" : !maps.isOfTokens));
}

/** Move to the channel that was typed; one that is not shown among the others is enlarged. @param {Explorer} explorer */
export function jump(explorer) {
  const { maps, grid, state } = explorer;
  const text = inputOf("jump").value;
  const tile = maps?.channels?.indexOf(Number(text)) ?? Number(text);
  if (!maps || text === "") return;
  if (!Number.isInteger(tile) || tile < 0 || tile >= maps.count) return explorer.readout(`${state.layer} has no channel ${text}: they go from 0 to ${maps.count - 1}.`);
  inputOf("jump").value = "";
  if (grid.has(tile)) grid.focus(tile);
  else explorer.go({ channel: text });
}
