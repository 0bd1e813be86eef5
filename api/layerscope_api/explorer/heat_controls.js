/**
 * Controls of the heat maps: the method and its options, what is explained, and how the maps are drawn.
 *
 * @module
 */

import { choiceOf, coded, element, fieldOf } from "./elements.js";
import { paletteNames } from "./maps.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {import("./predictions.js").Score} Score */
/** @typedef {{target?: string, label: string, text: string}} Target - What a heat map explains; `text` is its score, if it is known. */
/** @typedef {Record<string, string>} MethodOptions - The options of a method that are not left to the service. */

const SHOWN_AT_ONCE = 3;
/** Options that have a place of their own on the page, or none. */
const ELSEWHERE = ["target", "layer", "position"];
/** Percent of the values that are left out at both ends of the colours. */
const CLIPS = ["", "1", "2", "5"];

/**
 * The controls.
 *
 * @param {Explorer} explorer
 * @param {{methods: Schemas["MethodRow"][], method: Schemas["MethodRow"], description: Schemas["ModelBody"], scores: Score[], isOpen: boolean}} shown
 */
export function controlsOf(explorer, { methods, method, description, scores, isOpen }) {
  const { state } = explorer;
  const titles = methods.map(({ name, title }) => ({ value: name, text: title }));
  const palettes = ["auto", ...paletteNames()].map((name) => ({ value: name, text: name === "auto" ? "automatic" : name }));
  const clips = CLIPS.map((value) => ({ value, text: value ? `${value} % at each end` : "nothing" }));
  const opacity = element("input", { type: "range", name: "Opacity", min: 0, max: 1, step: 0.05, value: state.opacity });
  opacity.addEventListener("change", () => explorer.go({ opacity: opacity.value }));
  return [
    element(
      "div",
      { class: "tools" },
      choiceOf("Method", titles, method.name, (value) => explorer.go({ method: value })),
      method.target && scores.length > 0 && classField(explorer, scores, description.classes),
    ),
    element(
      "div",
      { class: "tools" },
      !explorer.imagePanel.isText && fieldOf("Opacity", opacity),
      choiceOf("Palette", palettes, state.palette, (palette) => explorer.go({ palette })),
      choiceOf("Range", [{ value: "", text: "of each map" }, { value: "yes", text: "shared" }], state.shared, (shared) => explorer.go({ shared })),
      choiceOf("Cut off", clips, state.clip, (clip) => explorer.go({ clip })),
    ),
    optionFields(explorer, method, description, isOpen),
  ];
}

/** The options of a method that the address contains. @param {Schemas["MethodRow"]} method @param {string} text @returns {MethodOptions} */
export function optionsOf(method, text) {
  const known = new Set(method.options.map(({ name }) => name).filter((name) => !ELSEWHERE.includes(name)));
  return Object.fromEntries([...new URLSearchParams(text)].filter(([name]) => known.has(name)));
}

/**
 * What is explained: the best classes, or the one that a person asks for by name or number.
 *
 * @param {Score[]} scores - Of the best classes.
 * @param {string} wanted
 * @param {string[] | null} names - Of all classes.
 * @returns {Target[]}
 * @throws {RangeError} There is no such class.
 */
export function targetsOf(scores, wanted, names) {
  const found = scores.map((score) => ({ ...score, target: String(score.class) }));
  if (wanted === "best") return found.length ? found.slice(0, SHOWN_AT_ONCE) : [{ label: "the image", text: "" }];
  const known = found.find(({ target, label }) => label === wanted || target === wanted);
  const number = names?.indexOf(wanted) ?? -1;
  const target = number < 0 ? wanted.replace(/^class (?=\d+$)/, "") : String(number);
  return [known ?? { target, label: wanted, text: "" }];
}

/** A field for any class, by name or number. @param {Explorer} explorer @param {Score[]} scores @param {string[] | null} names */
function classField(explorer, scores, names) {
  const labels = [...new Set([...scores.map(({ label }) => label), ...(names ?? [])])];
  const list = element("datalist", { id: "classes" }, ...labels.map((label) => element("option", { value: label })));
  const { target } = explorer.state;
  const input = element("input", {
    type: "search",
    name: "Class",
    list: list.id,
    placeholder: `the best ${Math.min(SHOWN_AT_ONCE, scores.length)}`,
    value: target === "best" ? "" : target,
    autocomplete: "off",
  });
  input.addEventListener("change", () => explorer.go({ target: classOf(input.value.trim(), names) || "best" }));
  const field = fieldOf("Class", input);
  field.append(list);
  return field;
}

/** The class that a person means: a part of one name is enough. @param {string} text @param {string[] | null} names */
function classOf(text, names) {
  if (!text || !names || names.includes(text) || /^(class )?\d+$/.test(text)) return text;
  const near = names.filter((name) => name.toLowerCase().includes(text.toLowerCase()));
  return near.find((name) => name.toLowerCase() === text.toLowerCase()) ?? (near.length === 1 ? near[0] : text);
}

/** @param {Explorer} explorer @param {Schemas["MethodRow"]} method @param {Schemas["ModelBody"]} description @param {boolean} isOpen */
function optionFields(explorer, method, description, isOpen) {
  const given = optionsOf(method, explorer.state.options);
  const choices = { input: description.inputs.map(({ name }) => name), output: description.outputs.map(({ name }) => name) };
  const fields = method.options.flatMap((option) => {
    if (ELSEWHERE.includes(option.name)) return [];
    const named = choices[/** @type {keyof typeof choices} */ (option.name)];
    if (named && named.length < 2) return [];
    return [fieldOfOption({ ...option, choices: named ?? option.choices }, given[option.name] ?? "", (value) => {
      const next = Object.entries({ ...given, [option.name]: value }).filter(([, each]) => each !== "");
      explorer.go({ options: String(new URLSearchParams(next)) });
    })];
  });
  return fields.length > 0 && element("details", { class: "options", open: isOpen }, element("summary", {}, "Options"), element("dl", {}, ...fields));
}

/** @param {Schemas["MethodOption"]} option @param {string} value @param {(value: string) => void} changed */
function fieldOfOption({ name, default: usual, minimum, maximum, choices, meaning }, value, changed) {
  const fallback = usual === null ? "automatic" : String(usual);
  const label = name.replaceAll("_", " ");
  const field = choices
    ? choiceOf(label, [{ value: "", text: fallback }, ...choices.map((each) => ({ value: each, text: each.replaceAll("_", " ") }))], value, changed)
    : numberField(label, { min: minimum, max: maximum, step: Number.isInteger(usual ?? 1) ? 1 : "any", placeholder: fallback, value }, changed);
  return element("div", {}, element("dt", {}, field), element("dd", { class: "quiet" }, ...coded(meaning)));
}

/** @param {string} label @param {Record<string, any>} attributes @param {(value: string) => void} changed */
function numberField(label, attributes, changed) {
  const input = element("input", { type: "number", name: label, ...attributes });
  input.addEventListener("change", () => input.reportValidity() && changed(input.value));
  return fieldOf(label, input);
}
