/**
 * Banner about preprocessing that nobody declared: what was assumed, and what the model says with another preset.
 *
 * @module
 */

import { Tensor } from "./client/layerscope.js";
import { buttonOf, choiceOf, element, replace } from "./elements.js";
import { scoresOf } from "./predictions.js";
import { BEST_CLASSES } from "./session.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./pictures.js").Input} Input */
/** @typedef {{color: string, scale: number[], offset: number[]}} Preset - Value = pixel * scale + offset, by channel. */

/** Show the banner if the preprocessing of an input is assumed. @param {Explorer} explorer @param {Input[]} inputs */
export function showAssumed(explorer, inputs) {
  const root = /** @type {HTMLElement} */ (document.getElementById("assumed"));
  const assumed = inputs.filter(({ preprocessing }) => preprocessing?.assumed);
  const key = `${explorer.state.model} ${explorer.state.image}`;
  root.hidden = !assumed.length;
  if (root.dataset.of === key) return;
  root.dataset.of = key;
  if (!assumed.length) return replace(root);
  /** @type {Record<string, Preset>} */
  const presets = explorer.shipped.presets;
  const current = nameOf(presets, assumed[0]);
  const names = assumed.map(({ name }) => name).join(" and ");
  const result = element("p", { "aria-live": "polite" });
  const fitting = Object.keys(presets).filter((name) => fits(presets[name], assumed[0]));
  const options = fitting.map((name) => ({ value: name, text: name === current ? `${name} (assumed)` : name }));
  const compare = (/** @type {string} */ name) => tell(explorer, result, assumed[0], name, presets[name], current).catch((error) => explorer.showError(error));
  replace(
    root,
    element("p", {}, element("b", {}, `No preprocessing is declared for ${names}: ${current} was assumed. `), element("span", { class: "more" }, "If the model was trained with another one, its predictions and maps are wrong.")),
    // A tensor can be given to a model with one input only.
    inputs.length === 1 && choiceOf("Compare with", options, current, compare),
    result,
  );
}

/** The name of the preset that was assumed. @param {Record<string, Preset>} presets @param {Input} input */
function nameOf(presets, { preprocessing }) {
  const numbers = (/** @type {any} */ each) => JSON.stringify([each.scale, each.offset, each.color === "bgr"]);
  return Object.keys(presets).find((name) => numbers(presets[name]) === numbers(preprocessing)) ?? "another one";
}

/** @param {Preset} preset @param {Input} input */
function fits({ scale, offset }, { preprocessing }) {
  return preprocessing?.color === "rgb" || preprocessing?.color === "bgr" || Math.max(scale.length, offset.length) === 1;
}

/**
 * Say what the model predicts with another preset, and how to declare it.
 *
 * @param {Explorer} explorer
 * @param {HTMLElement} result
 * @param {Input} input
 * @param {string} name
 * @param {Preset} preset
 * @param {string} current
 */
async function tell({ session }, result, input, name, preset, current) {
  if (name === current || !session) return result.replaceChildren();
  result.replaceChildren("Computing …");
  const { model, image } = session;
  const [tensor] = (await model.activations(image, { layers: "input", dtype: "float32" })).values();
  const pixels = pixelsOf(tensor, /** @type {any} */ (input.preprocessing));
  const values = valuesOf(pixels, preset);
  const [before, { outputs }] = await Promise.all([session.predictions(), model.predictions(arranged(values, tensor.shape, input), { top: BEST_CLASSES })]);
  const [was, is] = [before.outputs, outputs].map((each) => scoresOf(each).slice(0, 1).map(({ label, text }) => `${label} ${text}`).join(", "));
  const declaration = JSON.stringify({ preprocessing: { preset: name } });
  const text = was ? `With ${name}: ${is}; with ${current}: ${was}.` : `The outputs are no classes: compare the maps after declaring ${name}.`;
  const copy = buttonOf("Copy", () => navigator.clipboard.writeText(declaration), { "aria-label": "Copy the declaration" });
  result.replaceChildren(`${text} To keep ${name}, put this into the model's layerscope.json: `, element("code", {}, declaration), " ", copy);
}

/** The pixels of an input from 0 to 255, as red, green and blue or grey. @param {Tensor} tensor @param {Preset & {layout: string}} assumed */
function pixelsOf({ data, shape }, { scale, offset, color, layout }) {
  const channels = layout === "nchw" ? shape[1] : /** @type {number} */ (shape.at(-1));
  const area = data.length / channels;
  return Array.from({ length: channels }, (_, channel) => {
    const from = color === "bgr" ? channels - 1 - channel : channel;
    const [factor, start] = [scale[from % scale.length], offset[from % offset.length]];
    return Float32Array.from({ length: area }, (_, place) => {
      const value = Number(data[layout === "nchw" ? from * area + place : place * channels + from]);
      return Math.round((value - start) / factor);
    });
  });
}

/** The values of each channel of the input with a preset. @param {Float32Array[]} pixels @param {Preset} preset */
function valuesOf(pixels, { scale, offset, color }) {
  const ordered = color === "bgr" && pixels.length === 3 ? [...pixels].reverse() : pixels;
  return ordered.map((channel, number) => channel.map((pixel) => pixel * scale[number % scale.length] + offset[number % offset.length]));
}

/** The tensor of the input. @param {Float32Array[]} channels @param {readonly number[]} shape @param {Input} input */
function arranged(channels, shape, { preprocessing }) {
  const [count, area] = [channels.length, channels[0].length];
  const isFirst = preprocessing?.layout === "nchw";
  const data = new Float32Array(count * area);
  channels.forEach((values, channel) => values.forEach((value, place) => (data[isFirst ? channel * area + place : place * count + channel] = value)));
  return new Tensor(data, shape);
}
