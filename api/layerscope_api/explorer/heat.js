/**
 * Heat maps: where in the image the reasons for a class lie, by a method of choice.
 *
 * @module
 */

import { plain } from "./grid.js";
import { choiceOf, element, replace } from "./parts.js";
import { scoresOf } from "./subject.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./look.js").Schemas} Schemas */
/** @typedef {import("./subject.js").Score} Score */

const SHOWN_AT_ONCE = 3;

/** @type {Promise<Schemas["MethodRow"][]> | undefined} */
let methods;
/** @type {string[]} */
let sources = [];

/** What is asked for one heat map of the view. @typedef {{method: string, layer?: string, target?: string}} Question */
/** What the view shows now, to be taken away. @type {Question[]} */
export let questions = [];

/** Show heat maps of the best classes, or of one. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { look, layer, state, client, left } = explorer;
  if (!look || !layer) return;
  methods ??= client.attributionMethods();
  methods.catch(() => (methods = undefined));
  const [all, { outputs }] = await Promise.all([methods, look.predictions()]);
  if (explorer.state !== state) return;
  const scores = scoresOf(outputs.filter(({ predictions }) => predictions).slice(0, 1));
  const method = all.find(({ name }) => name === state.method) ?? all[0];
  const isOfLayer = method.place === "layer";
  const reason = isOfLayer && layer.cannot[method.name];
  const wanted = method.target ? wantedOf(scores, state.target) : [null];
  const figures = wanted.map((score) => figureOf(explorer, score));
  replace(
    root,
    element(
      "div",
      { class: "tools" },
      choiceOf("Method", all.map(({ name, title }) => ({ value: name, text: title })), method.name, (value) => explorer.go({ method: value })),
      method.target && scores.length > 0 && choiceOf("Class", classesOf(scores), state.target, (target) => explorer.go({ target })),
    ),
    element("p", { class: "quiet" }, ...explanation(method, reason ? `${layer.address} has none (${reason}) The last layer that can is explained instead.` : isOfLayer ? `At ${layer.address}.` : "")),
    element("div", { class: "heat-maps", "aria-live": "polite" }, ...figures),
  );
  explorer.waits(false);
  for (const source of sources) URL.revokeObjectURL(source);
  sources = [];
  questions = wanted.map((score) => ({ method: method.name, ...(isOfLayer && !reason && { layer: layer.address }), ...(score && { target: String(score.class) }) }));
  for (const [place, figure] of figures.entries()) {
    const alt = `${method.title} of ${wanted[place]?.label ?? "the image"}`;
    const isDrawn = await draw(explorer, figure, questions[place], alt, left);
    if (!isDrawn) return;
  }
}

/**
 * Ask for one heat map, telling how far it is, and show it; where that fails, why.
 *
 * @param {Explorer} explorer
 * @param {HTMLElement} figure
 * @param {Question} question
 * @param {string} alt
 * @param {AbortSignal} signal
 */
async function draw({ look, subject }, figure, question, alt, signal) {
  const { model, image } = /** @type {import("./look.js").Look} */ (look);
  const bar = /** @type {HTMLProgressElement} */ (figure.querySelector("progress"));
  try {
    // The picture of what has been computed costs nothing more.
    await model.attribution(image, { ...question, values: false, signal, onProgress: (done, total) => (bar.value = done / total) });
    const drawing = await model.attributionPicture(image, { ...question, on: "original", scale: subject.enlargement, signal });
    sources.push(URL.createObjectURL(drawing.blob));
    const picture = element("img", { src: sources.at(-1), alt });
    await picture.decode();
    picture.classList.toggle("coarse", picture.naturalWidth < 256);
    bar.parentElement?.replaceWith(picture);
    /** @type {Element} */ (figure.lastElementChild).textContent = `${plain(drawing.minimum)} to ${plain(drawing.maximum)}`;
    return true;
  } catch (error) {
    if (!signal.aborted) bar.parentElement?.replaceWith(element("p", {}, error instanceof Error ? error.message : String(error)));
    return false;
  }
}

/** Room for a heat map, of the sides that it will have. @param {Explorer} explorer @param {Score | null} score */
function figureOf({ subject }, score) {
  const caption = element("figcaption", {}, score ? element("b", {}, score.label) : "the image", score && ` ${score.said}`);
  const figure = element("figure", {}, element("div", { class: "waiting" }, element("progress", { "aria-label": "How much is computed" })), caption, element("span", { class: "quiet" }, "\u00a0"));
  figure.style.setProperty("--ratio", String(subject.ratio));
  return figure;
}

/** @param {Schemas["MethodRow"]} method @param {string} place */
function explanation({ cost, paper, signed }, place) {
  const sign = signed ? "Negative values speak against the class." : "";
  const [text, link] = paper.split(/, (?=https:)/);
  return [`${[place, sign, `Cost: ${cost}.`].filter(Boolean).join(" ")} `, link ? element("a", { href: link, rel: "noreferrer" }, text) : text];
}

/** @param {Score[]} scores */
function classesOf(scores) {
  return [{ value: "best", text: `the best ${Math.min(SHOWN_AT_ONCE, scores.length)}` }, ...scores.map((score) => ({ value: String(score.class), text: score.label }))];
}

/** @param {Score[]} scores @param {string} target */
function wantedOf(scores, target) {
  const one = scores.find((score) => String(score.class) === target);
  return one ? [one] : scores.length ? scores.slice(0, SHOWN_AT_ONCE) : [null];
}
