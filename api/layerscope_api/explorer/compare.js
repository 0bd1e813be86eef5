/**
 * View that compares two images or two models: the same layer side by side, with one colour scale and common scrolling.
 *
 * @module
 */

import { element, fill } from "./elements.js";
import { Grid, plain, showScale } from "./grid.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */
/** @typedef {import("./session.js").Session} Session */

/** The session of the right side, kept while it is the same. @type {{name: string, session: Session} | undefined} */
let other;

/** The values at the ends of the colours of both sides. @type {import("./maps.js").Range | undefined} */
let range;

/** The session of the right side, and the range of both sides. */
export function compared() {
  return { other: other?.session, range };
}

/** The picture of the curve over the layers. @type {string} */
let source = "";

/** Show the layer on both sides, and of two models the change of every layer. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  await showSides(explorer, root);
  const { state } = explorer;
  if (!state.with.startsWith("model:")) return;
  const curve = root.appendChild(element("section", { class: "curve", "aria-live": "polite" }));
  await showCurve(explorer, curve, state.with.slice(6)).catch((error) => {
    if (explorer.state === state) curve.replaceChildren(element("p", { class: "missing" }, error.message));
  });
}

/** Show how far every layer of two models is apart, and where that begins. @param {Explorer} explorer @param {HTMLElement} root @param {string} candidate */
async function showCurve({ client, state, leaveSignal: signal }, root, candidate) {
  const { first, origins, verdict } = await client.compare(state.model, candidate, [state.image], { measures: ["relative_l2"], signal });
  const { blob } = await client.comparisonPicture(state.model, candidate, [state.image], { measures: ["relative_l2"], signal });
  if (signal.aborted) return;
  URL.revokeObjectURL(source);
  source = URL.createObjectURL(blob);
  const begins = origins.length ? `It begins in ${origins.join(", ")}.` : "No layer differs.";
  const drifts = first ? ` The first layer that drifts by more than 1 % is ${first}.` : "";
  root.replaceChildren(
    element("h3", {}, `Every layer against ${candidate}: ${verdict}`),
    element("p", {}, begins + drifts),
    element("img", { src: source, alt: `The change of each layer between ${state.model} and ${candidate}` }),
  );
}

/** @param {Explorer} explorer @param {HTMLElement} root */
async function showSides(explorer, root) {
  const { state, layer, maps, coloring } = explorer;
  const options = optionsOf(explorer);
  range = undefined;
  state.with ||= options[0]?.value ?? "";
  fill(/** @type {HTMLSelectElement} */ (document.getElementById("with")), options, state.with);
  const [left, right] = [sideOf(nameOfSession(explorer)), sideOf(options.find(({ value }) => value === state.with)?.text ?? "another")];
  root.replaceChildren(element("div", { class: "sides" }, left.root, right.root));
  if (!layer || !maps) return explorer.readout("This layer has no picture. Choose another from the list.");
  explorer.setWaiting(false);
  explorer.readout("Computing the other one …");
  const beside = await mapsBeside(explorer).catch((error) => error);
  if (explorer.state !== state) return;
  if (beside instanceof Error) return explorer.readout(beside.message);
  const both = [maps, beside];
  range = { low: Math.min(...both.map((each) => each.range.low)), high: Math.max(...both.map((each) => each.range.high)) };
  const grids = [left, right].map(({ scroller, canvas, cells }) =>
    new Grid(scroller, canvas, cells, {
      open: (tile) => maps.isVector || maps.isMatrix || explorer.go({ view: "maps", channel: String(maps.channelOf(tile)) }),
      hover: (unit) => [left, right].forEach(({ readout }, side) => (readout.textContent = unit ? readingOf(both[side], unit) : "\u00a0")),
    }),
  );
  link(left.scroller, right.scroller);
  const order = state.order === "activity" ? "activity" : "number";
  grids.forEach((grid, side) => grid.show(both[side], coloring, order, Number(state.size) || "auto", range));
  showScale(explorer, maps.spanOf(0, coloring, range), false);
  explorer.readout("Both are drawn on one scale.");
}

/** @param {Explorer} explorer @returns {Promise<FeatureMaps>} */
async function mapsBeside(explorer) {
  const { state } = explorer;
  const [kind, name] = [state.with.slice(0, 5), state.with.slice(6)];
  const [model, image] = kind === "model" ? [name, state.image] : [state.model, name];
  if (other?.name !== `${model} ${image}`) {
    other?.session.close();
    const picture = explorer.imagePanel.pictures.get(image);
    if (picture?.file) await explorer.client.upload(picture.file);
    other = { name: `${model} ${image}`, session: explorer.sessionFor(model, image) };
  }
  const { session } = other;
  const layer = (await session.layers()).layers.find(({ address }) => address === state.layer);
  if (!layer || layer.cannot.picture) throw new RangeError(`${model} has no layer ${state.layer} to draw. Choose one that both have.`);
  return session.maps(layer);
}

/** @param {Explorer} explorer */
function optionsOf({ imagePanel, models, state }) {
  const images = [...imagePanel.pictures.values()].filter(({ id }) => id !== state.image).map(({ id, name }) => ({ value: `image:${id}`, text: name, group: "another image" }));
  const others = models.ready.map(({ key, title }) => ({ value: `model:${key}`, text: title, group: "another model" }));
  return [...images, ...others.filter(({ value }) => value !== `model:${state.model}`)];
}

/** @param {Explorer} explorer */
function nameOfSession({ imagePanel, state }) {
  return `${imagePanel.pictures.get(state.image)?.name ?? "this image"}, ${state.model}`;
}

/** @param {string} title */
function sideOf(title) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const cells = element("div", { class: "grid-cells", role: "grid", "aria-label": `Channels of ${title}` });
  const scroller = element("div", { class: "grid-scroll" }, canvas, cells);
  const readout = element("p", { class: "readout" }, "\u00a0");
  return { canvas, cells, scroller, readout, root: element("section", { class: "side", "aria-label": title }, element("h3", {}, title), scroller, readout) };
}

/** @param {FeatureMaps} maps @param {import("./grid.js").Unit} unit */
function readingOf(maps, { tile, row, column }) {
  if (tile >= maps.count || row >= maps.height || column >= maps.width) return "not there";
  const { low, high } = maps.rangeOf(tile);
  const name = maps.isMatrix ? "" : `channel ${maps.channelOf(tile)} · `;
  if (row < 0) return `${name}${plain(low)} to ${plain(high)}`;
  return `${name}row ${row}, column ${column}: ${plain(maps.value(tile, row, column))}`;
}

/** Scroll both together. @param {HTMLElement} one @param {HTMLElement} two */
function link(one, two) {
  const follow = (/** @type {HTMLElement} */ from, /** @type {HTMLElement} */ to) => from.addEventListener("scroll", () => (to.scrollTop = from.scrollTop), { passive: true });
  follow(one, two);
  follow(two, one);
}
