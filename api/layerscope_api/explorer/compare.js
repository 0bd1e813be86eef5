/**
 * View that compares two images or two models: a layer of each side by side with one colour scale and common scrolling, their
 * difference where they have the same shape, and the predictions of both.
 *
 * @module
 */

import { choiceOf, element, fill, replace } from "./elements.js";
import { Grid, plain, showScale } from "./grid.js";
import { scoresOf } from "./predictions.js";
import { readsOf } from "./reads.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */
/** @typedef {import("./maps.js").Range} Range */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./session.js").Layer} Layer */
/** @typedef {{root: HTMLElement, canvas: HTMLCanvasElement, cells: HTMLElement, scroller: HTMLElement, readout: HTMLElement, said: HTMLElement}} Side */

const CLASSES = 3;

/** The session of the right side, kept while it is the same. @type {{name: string, session: Session} | undefined} */
let other;

/** What the right side shows, and the values at the ends of the colours of both. @type {{layer: string, range: Range} | undefined} */
let right;

/** The session and the layer of the right side, and the range of both sides. */
export function compared() {
  return { other: other?.session, layer: right?.layer, range: right?.range };
}

/** The picture of the curve over the layers. @type {string} */
let source = "";

/** Show the layer on both sides, and of two models the change of every layer. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  await showBoth(explorer, root);
  const { state } = explorer;
  if (!state.with.startsWith("model:")) return;
  const curve = root.appendChild(element("section", { class: "curve", "aria-live": "polite" }));
  await showCurve(explorer, curve, state.with.slice(6)).catch((error) => {
    if (explorer.state === state) curve.replaceChildren(element("p", { class: "missing" }, error.message));
  });
}

/** Show how far every layer of two models is apart, and where that begins. @param {Explorer} explorer @param {HTMLElement} root @param {string} candidate */
async function showCurve({ client, session, state, leaveSignal: signal }, root, candidate) {
  if (!session) return;
  const images = typeof session.image === "string" ? [session.image] : session.image;
  const { first, origins, verdict } = await client.compare(state.model, candidate, images, { measures: ["relative_l2"], signal });
  const { blob } = await client.comparisonPicture(state.model, candidate, images, { measures: ["relative_l2"], signal });
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

/** Show a layer on both sides. @param {Explorer} explorer @param {HTMLElement} root */
async function showBoth(explorer, root) {
  const { state, layer, maps, imagePanel } = explorer;
  const options = optionsOf(explorer);
  right = undefined;
  state.with ||= options[0]?.value ?? "";
  fill(/** @type {HTMLSelectElement} */ (document.getElementById("with")), options, state.with);
  const sides = [nameOfSession(explorer), options.find(({ value }) => value === state.with)?.text ?? "another", "difference"].map(sideOf);
  sides[2].root.hidden = true;
  replace(root, element("div", { class: "sides" }, ...sides.map((side) => side.root)));
  if (!state.with) return explorer.readout(`There is nothing to compare with. ${imagePanel.isText ? "Write" : "Open"} another ${imagePanel.reads.noun}, or load another model.`);
  if (!layer || !maps) return explorer.readout("This layer has no picture. Choose another from the list.");
  explorer.setWaiting(false);
  explorer.readout("Computing the other one …");
  const beside = await layersBeside(explorer).catch((error) => error);
  if (explorer.state !== state) return;
  if (beside instanceof Error) return explorer.readout(beside.message);
  const chosen = beside.layers.find((/** @type {Layer} */ { address }) => address === state.there) ?? nearest(layer, explorer.layers, beside.layers);
  if (!chosen) return explorer.readout(`${beside.session.model.name} has no layer that can be drawn.`);
  offerLayers(explorer, sides[1], beside.layers, chosen);
  const drawn = await beside.session.maps(chosen).catch((/** @type {unknown} */ error) => error);
  if (explorer.state !== state) return;
  if (drawn instanceof Error) return explorer.readout(drawn.message);
  showSides(explorer, sides, [maps, drawn.at(imagePanel.share)], chosen);
  await Promise.all([explorer.session, beside.session].map((session, place) => session && showClasses(sides[place], session)));
}

/** Draw both sides on one scale, and their difference on its own. @param {Explorer} explorer @param {Side[]} sides @param {FeatureMaps[]} both @param {Layer} chosen */
function showSides(explorer, sides, both, chosen) {
  const { state, coloring } = explorer;
  const [left, beside] = both;
  const range = common(left.range, beside.range);
  right = { layer: chosen.address, range };
  const all = left.isLike(beside) ? [...both, left.minus(beside)] : both;
  sides[2].root.hidden = all.length < 3;
  all.forEach((maps, place) => {
    const { scroller, canvas, cells } = sides[place];
    const grid = new Grid(scroller, canvas, cells, {
      open: (tile) => maps.isVector || maps.isMatrix || explorer.go({ view: "maps", channel: String(maps.channelOf(tile)) }),
      hover: (unit) => sides.forEach(({ readout }, side) => (readout.textContent = unit && all[side] ? readingOf(all[side], unit) : "\u00a0")),
    });
    const isDifference = place === 2;
    grid.show(maps, { ...coloring, range: isDifference ? common(maps.range, maps.range) : range }, { ...state, shown: "" });
  });
  link(sides.map(({ scroller }) => scroller));
  showScale(explorer, range, false, { ...coloring, range });
  if (all[2]) sides[2].said.textContent = `left minus right: ${plain(all[2].range.low)} to ${plain(all[2].range.high)}`;
  explorer.readout(all[2] ? "Both are drawn on one scale, their difference on its own." : "Both are drawn on one scale. Their shapes differ: there is no difference to draw.");
}

/** One range for both sides. It is about zero if there are both signs, so that both have one palette. @param {Range} one @param {Range} two @returns {Range} */
function common(one, two) {
  const [low, high] = [Math.min(one.low, two.low), Math.max(one.high, two.high)];
  const most = Math.max(-low, high);
  return low < 0 && high > 0 ? { low: -most, high: most } : { low, high };
}

/** A choice of the layer on the right side. @param {Explorer} explorer @param {Side} side @param {Layer[]} layers @param {Layer} chosen */
function offerLayers(explorer, side, layers, chosen) {
  const options = layers.map(({ address }) => ({ value: address, text: address }));
  side.root.firstElementChild?.append(" ", choiceOf("Layer", options, chosen.address, (there) => explorer.go({ there })));
}

/** The layer that is most like another: of the same name, else of the same type at about the same depth. @param {Layer} layer @param {Layer[]} layers @param {Layer[]} others @returns {Layer | undefined} */
function nearest(layer, layers, others) {
  const depth = layers.indexOf(layer) / layers.length;
  const distance = (/** @type {Layer} */ each) =>
    (each.address === layer.address ? -9 : 0) + (each.shape.length === layer.shape.length ? 0 : 4) + (each.type === layer.type ? 0 : 1) + Math.abs(others.indexOf(each) / others.length - depth);
  return others.reduce((best, each) => (!best || distance(each) < distance(best) ? each : best), /** @type {Layer | undefined} */ (undefined));
}

/** The session of the right side, and its layers that can be drawn. @param {Explorer} explorer */
async function layersBeside(explorer) {
  const { state } = explorer;
  const [kind, name] = [state.with.slice(0, 5), state.with.slice(6)];
  const [model, image] = kind === "model" ? [name, state.image] : [state.model, name];
  if (other?.name !== `${model} ${image}`) {
    other?.session.close();
    const file = await explorer.imagePanel.pictures.file(image);
    if (file) await explorer.client.upload(file);
    other = { name: `${model} ${image}`, session: explorer.sessionFor(model, image) };
  }
  const { session } = other;
  return { session, layers: (await session.layers()).layers.filter(({ cannot }) => !cannot.picture) };
}

/** @param {Side} side @param {Session} session */
async function showClasses({ said }, session) {
  const { outputs } = await session.predictions();
  said.textContent = scoresOf(outputs).slice(0, CLASSES).map(({ label, text }) => `${label} ${text}`).join(" · ");
}

/** @param {Explorer} explorer */
function optionsOf({ imagePanel, models, state }) {
  const images = imagePanel.pictures.suiting(models.subjectInputs(state.model)[0]).filter(({ id }) => id !== state.image).map(({ id, name }) => ({ value: `image:${id}`, text: name, group: `another ${imagePanel.reads.noun}` }));
  // A model that reads texts cannot look at an image, and the other way round; nor at an array of another kind.
  const alike = models.ready.filter(({ key }) => readsOf(models.subjectInputs(key)[0]).noun === imagePanel.reads.noun);
  const others = alike.map(({ key, title }) => ({ value: `model:${key}`, text: title, group: "another model" }));
  return [...images, ...others.filter(({ value }) => value !== `model:${state.model}`)];
}

/** @param {Explorer} explorer */
function nameOfSession({ imagePanel, state }) {
  return `${imagePanel.pictures.get(state.image)?.name ?? "this image"}, ${state.model}`;
}

/** @param {string} title @returns {Side} */
function sideOf(title) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const cells = element("div", { class: "grid-cells", role: "grid", "aria-label": `Channels of ${title}` });
  const scroller = element("div", { class: "grid-scroll" }, canvas, cells);
  const [readout, said] = [element("p", { class: "readout" }, "\u00a0"), element("p", { class: "quiet readout" }, "\u00a0")];
  const heading = element("div", { class: "row" }, element("h3", {}, title));
  return { canvas, cells, scroller, readout, said, root: element("section", { class: "side", "aria-label": title }, heading, said, scroller, readout) };
}

/** @param {FeatureMaps} maps @param {import("./grid.js").Unit} unit */
function readingOf(maps, { tile, row, column }) {
  if (tile >= maps.count || row >= maps.height || column >= maps.width) return "not there";
  const { low, high } = maps.rangeOf(tile);
  const name = maps.isMatrix ? "" : `${maps.unit} ${maps.channelOf(tile)} · `;
  if (row < 0) return `${name}${plain(low)} to ${plain(high)}`;
  return `${name}${maps.placeOf(row, column)}: ${plain(maps.value(tile, row, column))}`;
}

/** Scroll all together. @param {HTMLElement[]} scrollers */
function link(scrollers) {
  for (const from of scrollers) from.addEventListener("scroll", () => scrollers.forEach((to) => (to.scrollTop = from.scrollTop)), { passive: true });
}
