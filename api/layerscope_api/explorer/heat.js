/**
 * View of heat maps: attributions of classes by a chosen method.
 *
 * @module
 */

import { buttonOf, coded, element, replace } from "./elements.js";
import { controlsOf, optionsOf, targetsOf } from "./heat_controls.js";
import { draw, explain, figureOf, lookOf, release } from "./heat_map.js";
import { scoresOf } from "./predictions.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {import("./session.js").Question} Question */
/** @typedef {import("./maps.js").Range} Range */
/** @typedef {import("./heat_map.js").Look} Look */

/** @type {Promise<Schemas["MethodRow"][]> | undefined} */
let methods;
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
  const targets = method.target ? targetsOf(scores, state.target, description.classes) : [{ label: `the ${explorer.imagePanel.reads.noun}`, text: "" }];
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
  release();
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
      const address = await explain(explorer, figure, questions[place], signal);
      const at = document.querySelector("#view-heat .at");
      if (at) at.textContent = `${address}, ${lastOf(explorer)}`;
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
    if (figure.querySelector("img, .tokens")) await draw(explorer, figure, questions[place], shown.look, title, signal).catch((error) => signal.aborted || explorer.showError(error));
  }
}

/** The smallest range that contains all; about zero if there are both signs. @param {Range[]} ranges */
function common(ranges) {
  const [low, high] = [Math.min(...ranges.map(({ low }) => low)), Math.max(...ranges.map(({ high }) => high))];
  const most = Math.max(-low, high);
  return low < 0 && high > 0 ? { low: -most, high: most } : { low, high };
}

/** The layer that is explained unless a person chooses another. @param {Explorer} explorer */
function lastOf({ imagePanel }) {
  return `the last layer with ${imagePanel.reads.places}`;
}

/** The layer that is explained, and the sentence about it. @param {Explorer} explorer @param {Schemas["MethodRow"]} method */
function placeOf(explorer, method) {
  const { imagePanel, layer, state } = explorer;
  const last = lastOf(explorer);
  if (method.place !== "layer") return { line: [] };
  const reason = layer?.cannot[method.name];
  if (layer && state.at === "layer" && !reason) {
    return { layer: layer.address, line: [`Over ${layer.address}. `, buttonOf(`Explain the last one with ${imagePanel.reads.places}`, () => explorer.go({ at: "" })), " "] };
  }
  const other = reason ? [`${layer?.address} has none: `, ...coded(reason)] : [layer && buttonOf(`Explain ${layer.address}`, () => explorer.go({ at: "layer" }))];
  return { line: ["Over ", element("span", { class: "at" }, last), ". ", ...other, " "] };
}

/** @param {Schemas["MethodRow"]} method */
function explanation({ cost, paper, signed, target }) {
  const sign = signed && (target ? "Negative values speak against the class. " : "It looks at no class: values say how much a place belongs to the main pattern of the layer, and which side of it. ");
  const [text, link] = paper.split(/, (?=https:)/);
  return [sign, "Cost: ", ...coded(cost), ". ", link ? element("a", { href: link, rel: "noreferrer" }, text) : text];
}
