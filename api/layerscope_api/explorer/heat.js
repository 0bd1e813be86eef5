/**
 * View of heat maps: attributions of classes by a chosen method.
 *
 * @module
 */

import { plain } from "./grid.js";
import { buttonOf, coded, element, replace } from "./elements.js";
import { controlsOf, optionsOf, targetsOf } from "./heat_controls.js";
import { scoresOf } from "./predictions.js";
import { coloursOf } from "./maps.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {import("./session.js").Question} Question */
/** @typedef {import("./session.js").State} State */
/** @typedef {import("./heat_controls.js").Target} Target */
/** @typedef {{low: number, high: number}} Range */
/** @typedef {{alpha: number, colormap?: string, percentile?: [number, number], range?: [number, number]}} Look - Options of the pictures. */

/** @type {Promise<Schemas["MethodRow"][]> | undefined} */
let methods;
/** The pictures, by what they show. They are kept while their heat map is in the view. @type {Map<HTMLElement, string>} */
const sources = new Map();

/** What the view shows, for downloads. @type {{questions: Question[], look: Look}} */
export let shown = { questions: [], look: { alpha: 0.5 } };

/** Show heat maps of the best classes, or of one. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { session, state, client } = explorer;
  if (!session) return;
  methods ??= client.attributionMethods();
  methods.catch(() => (methods = undefined));
  const [all, { outputs }, description] = await Promise.all([methods, session.predictions(), session.description()]);
  if (explorer.state !== state) return;
  const method = all.find(({ name }) => name === state.method) ?? all[0];
  const options = optionsOf(method, state.options);
  const output = outputs.find(({ name }) => name === options.output) ?? outputs.find(({ predictions }) => predictions);
  const scores = scoresOf(output ? [output] : []);
  const targets = method.target ? targetsOf(scores, state.target, description.classes) : [{ label: "the image", text: "" }];
  const place = placeOf(explorer, method);
  const questions = targets.map(({ target }) => ({
    method: method.name,
    ...options,
    ...(method.target && output && output !== outputs[0] && { output: output.name }),
    ...(place.layer && { layer: place.layer }),
    ...(target !== undefined && { target }),
  }));
  const before = new Map([.../** @type {Iterable<HTMLElement>} */ (root.querySelectorAll("figure"))].map((figure) => [figure.dataset.shows, figure]));
  const figures = questions.map((question, place) => {
    const shows = JSON.stringify([session.model.name, session.image, question]);
    return before.get(shows) ?? figureOf(explorer, targets[place], shows);
  });
  shown = { questions, look: lookOf(state) };
  replace(
    root,
    ...controlsOf(explorer, { methods: all, method, description, scores, isOpen: root.querySelector("details")?.open ?? state.options !== "" }),
    element("p", { class: "quiet" }, ...place.line, ...explanation(method)),
    element("div", { class: "heat-maps", "aria-live": "polite" }, ...figures),
  );
  explorer.setWaiting(false);
  for (const [figure, source] of sources) if (!figures.includes(figure)) (sources.delete(figure), URL.revokeObjectURL(source));
  await drawAll(explorer, figures, questions, `${method.title} of`);
}

/** Compute and draw one heat map after the other. @param {Explorer} explorer @param {HTMLElement[]} figures @param {Question[]} questions @param {string} title */
async function drawAll(explorer, figures, questions, title) {
  const { state, leaveSignal: signal } = explorer;
  const { look } = shown;
  /** @type {Range[]} */
  const ranges = [];
  for (const [place, figure] of figures.entries()) {
    try {
      await explain(explorer, figure, questions[place], signal);
      ranges.push(await draw(explorer, figure, questions[place], look, title, signal));
    } catch (error) {
      if (signal.aborted) return;
      figure.firstElementChild?.replaceWith(element("p", { class: "missing" }, ...coded(error instanceof Error ? error.message : String(error))));
    }
  }
  if (!state.shared || ranges.length < 2) return;
  const { low, high } = common(ranges);
  shown.look = { ...look, percentile: undefined, range: [low, high] };
  for (const [place, figure] of figures.entries()) {
    if (figure.querySelector("img")) await draw(explorer, figure, questions[place], shown.look, title, signal).catch((error) => signal.aborted || explorer.showError(error));
  }
}

/** Compute a heat map, with its progress, and name what it explains. @param {Explorer} explorer @param {HTMLElement} figure @param {Question} question @param {AbortSignal} signal */
async function explain({ session }, figure, question, signal) {
  const bar = figure.querySelector("progress");
  const { attribution, layers } = await /** @type {import("./session.js").Session} */ (session).attribution(question, signal, (done, total) => bar && (bar.value = done / total));
  const at = document.querySelector("#view-heat .at");
  const [address] = layers.keys();
  if (at) at.textContent = `${address}, the last layer with rows and columns`;
  const target = attribution?.targets[0];
  const name = /** @type {HTMLElement} */ (figure.querySelector("b"));
  if (!target || "isKnown" in name.dataset) return;
  name.textContent = target.name ?? (target.class === null ? name.textContent : `class ${target.class}`);
  name.after(` ${plain(target.value)}`);
  name.dataset.isKnown = "";
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
async function draw({ session, imagePanel }, figure, question, look, title, signal) {
  const { model, image } = /** @type {import("./session.js").Session} */ (session);
  const options = /** @type {const} */ ({ ...question, ...look, on: "original", scale: imagePanel.enlargement, signal });
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

/** The figure of a heat map, with the proportions of the image before the map is there. @param {Explorer} explorer @param {Target} target @param {string} shows */
function figureOf({ imagePanel }, { label, text }, shows) {
  const caption = element("figcaption", {}, element("b", { "data-is-known": text !== "" }, label), text && ` ${text}`);
  const waiting = element("div", { class: "waiting" }, element("progress", { "aria-label": "How much is computed" }));
  const figure = element("figure", { "data-shows": shows }, waiting, caption, element("span", { class: "scale" }, "\u00a0"));
  figure.style.setProperty("--ratio", String(imagePanel.ratio));
  return figure;
}

/** @param {string} palette @param {number} low @param {number} high */
function colourBar(palette, low, high) {
  const bar = element("canvas", { width: 256, height: 1, role: "img", "aria-label": `The colours from ${plain(low)} to ${plain(high)}` });
  bar.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(new Uint32Array(coloursOf(palette)).buffer), 256, 1), 0, 0);
  return element("span", { class: "scale quiet" }, plain(low), bar, plain(high));
}

/** The smallest range that contains all; about zero if there are both signs. @param {Range[]} ranges */
function common(ranges) {
  const [low, high] = [Math.min(...ranges.map(({ low }) => low)), Math.max(...ranges.map(({ high }) => high))];
  const most = Math.max(-low, high);
  return low < 0 && high > 0 ? { low: -most, high: most } : { low, high };
}

/** How the pictures are drawn. @param {State} state @returns {Look} */
function lookOf({ opacity, palette, clip }) {
  return {
    alpha: Number(opacity),
    ...(palette !== "auto" && { colormap: palette }),
    ...(clip && { percentile: /** @type {[number, number]} */ ([Number(clip), 100 - Number(clip)]) }),
  };
}

/** The layer that is explained, and the sentence about it. @param {Explorer} explorer @param {Schemas["MethodRow"]} method */
function placeOf(explorer, method) {
  const { layer, state } = explorer;
  if (method.place !== "layer") return { line: [] };
  const reason = layer?.cannot[method.name];
  if (layer && state.at === "layer" && !reason) {
    return { layer: layer.address, line: [`Over ${layer.address}. `, buttonOf("Explain the last one with rows and columns", () => explorer.go({ at: "" })), " "] };
  }
  const other = reason ? [`${layer?.address} has none: `, ...coded(reason)] : [layer && buttonOf(`Explain ${layer.address}`, () => explorer.go({ at: "layer" }))];
  return { line: ["Over ", element("span", { class: "at" }, "the last layer with rows and columns"), ". ", ...other, " "] };
}

/** @param {Schemas["MethodRow"]} method */
function explanation({ cost, paper, signed, target }) {
  const sign = signed && (target ? "Negative values speak against the class. " : "It looks at no class: values say how much a place belongs to the main pattern of the layer, and which side of it. ");
  const [text, link] = paper.split(/, (?=https:)/);
  return [sign, "Cost: ", ...coded(cost), ". ", link ? element("a", { href: link, rel: "noreferrer" }, text) : text];
}
