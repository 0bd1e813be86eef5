/**
 * Heat maps: where in the image the reasons for a class lie, by a method of choice.
 *
 * @module
 */

import { plain } from "./grid.js";
import { choiceOf, element } from "./parts.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./look.js").Schemas} Schemas */
/** @typedef {Schemas["ClassScore"]} Score */

const SHOWN_AT_ONCE = 3;

/** @type {Promise<Schemas["MethodRow"][]> | undefined} */
let methods;
/** @type {string[]} */
let sources = [];

/** Show heat maps of the best classes, or of one. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { look, layer, state, client } = explorer;
  if (!look || !layer) return;
  methods ??= client.attributionMethods();
  methods.catch(() => (methods = undefined));
  const [all, { outputs }] = await Promise.all([methods, look.predictions()]);
  if (explorer.state !== state) return;
  const scores = outputs.find(({ predictions }) => predictions)?.predictions?.[0] ?? [];
  const method = all.find(({ name }) => name === state.method) ?? all[0];
  const isOfLayer = method.place === "layer";
  const reason = isOfLayer && layer.cannot[method.name];
  const figures = element("div", { class: "heat-maps", "aria-live": "polite" });
  root.replaceChildren(
    element(
      "div",
      { class: "tools" },
      choiceOf("Method", all.map(({ name, title }) => ({ value: name, text: title })), method.name, (value) => explorer.go({ method: value })),
      method.target && scores.length > 0 && choiceOf("Class", classesOf(scores), state.target, (target) => explorer.go({ target })),
    ),
    element("p", { class: "quiet" }, explanation(method, reason ? `${layer.address} has none (${reason}) The last layer that can is explained instead.` : isOfLayer ? `At ${layer.address}.` : "")),
    figures,
  );
  const wanted = method.target ? wantedOf(scores, state.target) : [null];
  const options = { method: method.name, ...(isOfLayer && !reason && { layer: layer.address }), on: /** @type {const} */ ("original"), scale: explorer.subject.enlargement };
  for (const source of sources) URL.revokeObjectURL(source);
  sources = [];
  for (const score of wanted) {
    const figure = element("figure", { class: "waiting" }, element("span", { class: "quiet" }, "…"), captionOf(score));
    figures.append(figure);
    const drawing = await look.model.attributionPicture(look.image, { ...options, ...(score && { target: String(score.class) }) }).catch((error) => error);
    if (explorer.state !== state) return;
    if (drawing instanceof Error) {
      figure.firstElementChild?.replaceWith(element("p", {}, drawing.message));
      return;
    }
    sources.push(URL.createObjectURL(drawing.blob));
    const image = element("img", { src: sources.at(-1), alt: `${method.title} of ${score ? nameOf(score) : "the image"}` });
    await image.decode();
    image.classList.toggle("coarse", image.naturalWidth < 256);
    image.style.setProperty("--ratio", String(image.naturalWidth / image.naturalHeight));
    figure.classList.remove("waiting");
    figure.firstElementChild?.replaceWith(image);
    figure.append(element("span", { class: "quiet" }, `${plain(drawing.minimum)} to ${plain(drawing.maximum)}`));
  }
}

/** @param {Schemas["MethodRow"]} method @param {string} place */
function explanation({ cost, paper, signed }, place) {
  const sign = signed ? "Negative values speak against the class." : "";
  return [place, sign, `Cost: ${cost}.`, paper].filter(Boolean).join(" ");
}

/** @param {Score[]} scores */
function classesOf(scores) {
  return [{ value: "best", text: `the best ${Math.min(SHOWN_AT_ONCE, scores.length)}` }, ...scores.map((score) => ({ value: String(score.class), text: nameOf(score) }))];
}

/** @param {Score[]} scores @param {string} target */
function wantedOf(scores, target) {
  const one = scores.find((score) => String(score.class) === target);
  return one ? [one] : scores.length ? scores.slice(0, SHOWN_AT_ONCE) : [null];
}

/** @param {Score} score */
function nameOf(score) {
  return score.name ?? `class ${score.class}`;
}

/** @param {Score | null} score */
function captionOf(score) {
  return element("figcaption", {}, score ? element("b", {}, nameOf(score)) : "the image", score && score.value !== null && ` ${plain(score.value)}`);
}
