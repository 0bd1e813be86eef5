/**
 * View of heat maps: attributions of classes by a chosen method.
 *
 * @module
 */

import { plain } from "./grid.js";
import { choiceOf, element, replace } from "./elements.js";
import { scoresOf } from "./image_panel.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {import("./image_panel.js").Score} Score */

const SHOWN_AT_ONCE = 3;

/** @type {Promise<Schemas["MethodRow"][]> | undefined} */
let methods;
/** @type {string[]} */
let sources = [];

/** The method and target of one heat map. @typedef {{method: string, layer?: string, target?: string}} Question */
/** The heat maps of the view, for downloads. @type {Question[]} */
export let questions = [];

/** Show heat maps of the best classes, or of one. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { session, layer, state, client, leaveSignal } = explorer;
  if (!session || !layer) return;
  methods ??= client.attributionMethods();
  methods.catch(() => (methods = undefined));
  const [all, { outputs }] = await Promise.all([methods, session.predictions()]);
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
  explorer.setWaiting(false);
  for (const source of sources) URL.revokeObjectURL(source);
  sources = [];
  questions = wanted.map((score) => ({ method: method.name, ...(isOfLayer && !reason && { layer: layer.address }), ...(score && { target: String(score.class) }) }));
  for (const [place, figure] of figures.entries()) {
    const alt = `${method.title} of ${wanted[place]?.label ?? "the image"}`;
    const isDrawn = await draw(explorer, figure, questions[place], alt, leaveSignal);
    if (!isDrawn) return;
  }
}

/**
 * Request one heat map and show its progress, then the map or the error.
 *
 * @param {Explorer} explorer
 * @param {HTMLElement} figure
 * @param {Question} question
 * @param {string} alt
 * @param {AbortSignal} signal
 */
async function draw({ session, imagePanel }, figure, question, alt, signal) {
  const { model, image } = /** @type {import("./session.js").Session} */ (session);
  const bar = /** @type {HTMLProgressElement} */ (figure.querySelector("progress"));
  try {
    // The attribution is in the cache of the service now, so that its picture needs no other run.
    await model.attribution(image, { ...question, values: false, signal, onProgress: (done, total) => (bar.value = done / total) });
    const drawing = await model.attributionPicture(image, { ...question, on: "original", scale: imagePanel.enlargement, signal });
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

/** The figure of a heat map, with the proportions of the image before the map is there. @param {Explorer} explorer @param {Score | null} score */
function figureOf({ imagePanel }, score) {
  const caption = element("figcaption", {}, score ? element("b", {}, score.label) : "the image", score && ` ${score.text}`);
  const figure = element("figure", {}, element("div", { class: "waiting" }, element("progress", { "aria-label": "How much is computed" })), caption, element("span", { class: "quiet" }, "\u00a0"));
  figure.style.setProperty("--ratio", String(imagePanel.ratio));
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
