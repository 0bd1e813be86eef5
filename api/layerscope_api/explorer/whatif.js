/**
 * View of what-ifs: what each channel of the layer does for a class, and what the network makes of the image without some of them.
 *
 * @module
 */

import { barOf, shown, withoutChannels } from "./effects.js";
import { buttonOf, choiceOf, element, replace } from "./elements.js";
import { plain } from "./grid.js";
import { scoresOf } from "./predictions.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Schemas} Schemas */

/** Bars that are shown, besides those of channels that are switched off. */
const SHOWN = 24;

/** The picture of the change. @type {string} */
let source = "";
/** The name of the control that gets the focus when the bars are drawn again. */
let focused = "";

/** Show the effect of each channel, and of those that are switched off. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { session, layer, state } = explorer;
  if (!session || !layer) return;
  const scores = scoresOf((await session.predictions()).outputs.slice(0, 1));
  if (explorer.state !== state) return;
  const off = state.off.split(",").filter(Boolean).map(Number);
  const targets = [{ value: "best", text: "the best class" }, ...scores.map(({ class: number, label }) => ({ value: String(number), text: label }))];
  const bars = element("div", { class: "bars", "aria-live": "polite" }, element("progress", { "aria-label": "How much is computed" }));
  const result = element("section", { class: "result", "aria-live": "polite" });
  replace(
    root,
    element(
      "div",
      { class: "tools" },
      choiceOf("Class", targets, state.target, (target) => explorer.go({ target })),
      off.length > 0 && buttonOf("Switch all on", () => explorer.go({ off: "" })),
    ),
    result,
    element("h3", {}, `What the class loses without a channel of ${layer.address}`),
    element("p", { class: "quiet" }, "Each channel is set to 0 alone. Tick channels to switch them off together."),
    bars,
  );
  explorer.setWaiting(false);
  const target = state.target === "best" ? "argmax" : state.target;
  await Promise.all([shown(explorer, bars, () => showBars(explorer, bars, target, off)), off.length && shown(explorer, result, () => showResult(explorer, result, target, off))]);
}

/** @param {Explorer} explorer @param {HTMLElement} bars @param {string} target @param {number[]} off */
async function showBars(explorer, bars, target, off) {
  const { session, layer, state, leaveSignal } = explorer;
  if (!session || !layer) return;
  const progress = bars.querySelector("progress");
  const swept = await session.sweep(layer, { target }, leaveSignal, (done, total) => progress && (progress.value = done / total));
  if (explorer.state !== state) return;
  const effects = /** @type {(number | null)[]} */ (swept.effects[0]);
  const most = Math.max(...effects.map((effect) => Math.abs(effect ?? 0))) || 1;
  const first = swept.order[0].filter((channel) => effects[channel]).slice(0, SHOWN);
  const rows = [...first, ...off.filter((channel) => !first.includes(channel))];
  const dead = swept.unchanged[0].length;
  replace(
    bars,
    ...rows.map((channel) => rowOf(explorer, channel, effects[channel], most, off)),
    dead > 0 && element("p", { class: "quiet" }, `${dead} channel${dead > 1 ? "s are" : " is"} 0 already.`),
  );
  if (focused) /** @type {HTMLElement | null} */ (bars.querySelector(`[name="${focused}"]`))?.focus({ preventScroll: true });
  focused = "";
}

/** @param {Explorer} explorer @param {number} channel @param {number | null} effect @param {number} most @param {number[]} off */
function rowOf(explorer, channel, effect, most, off) {
  const box = element("input", { type: "checkbox", name: `off ${channel}`, checked: off.includes(channel) });
  box.addEventListener("change", () => {
    focused = box.name;
    const next = box.checked ? [...off, channel] : off.filter((each) => each !== channel);
    explorer.go({ off: next.join(",") });
  });
  return element("label", { class: "effect" }, box, element("span", {}, `channel ${channel}`), barOf(effect ?? 0, most), element("span", { class: "number" }, plain(effect)));
}

/** What the network makes of the image without some channels. @param {Explorer} explorer @param {HTMLElement} root @param {string} target @param {number[]} off */
async function showResult(explorer, root, target, off) {
  const { session, layer, state } = explorer;
  if (!session || !layer) return;
  const edit = withoutChannels(layer.address, off);
  const found = await session.intervention(edit, { target });
  if (explorer.state !== state) return;
  const { outputs, layers } = found;
  const scores = (/** @type {"clean" | "edited"} */ side) => scoresOf(outputs.slice(0, 1).map(({ name, address, shape, ...both }) => ({ name, address, shape, predictions: both[side] })));
  const pictured = new Set(explorer.layers.filter(({ cannot }) => !cannot.picture).map(({ address }) => address));
  const later = layers.filter(({ address }) => address !== layer.address);
  const behind = (later.find(({ address }) => address === state.behind) ?? later.find(({ address }) => pictured.has(address)))?.address;
  const figure = element("figure", { class: "change" });
  replace(
    root,
    element("h3", {}, `Without ${off.length} channel${off.length > 1 ? "s" : ""}`),
    element("div", { class: "sides" }, listOf("before", scores("clean")), listOf("after", scores("edited"))),
    element("h3", {}, "How far later layers change"),
    element("div", { class: "bars" }, ...later.map((each) => changeOf(explorer, each, behind, pictured))),
    figure,
  );
  if (behind) await showChange(explorer, figure, edit, behind);
}

/** @param {string} title @param {import("./predictions.js").Score[]} scores */
function listOf(title, scores) {
  return element("section", {}, element("h4", {}, title), element("ol", {}, ...scores.map(({ label, text }) => element("li", {}, `${label} ${text}`))));
}

/** @param {Explorer} explorer @param {Schemas["ChangedLayer"]} change @param {string | undefined} behind @param {Set<string>} pictured */
function changeOf(explorer, { address, relative_l2: change }, behind, pictured) {
  const name = pictured.has(address)
    ? buttonOf(address, () => explorer.go({ behind: address }), { "aria-pressed": String(address === behind) })
    : element("span", {}, address);
  return element("div", { class: "effect of-layer" }, name, barOf(Math.min(change ?? 1, 1), 1), element("span", { class: "number" }, plain(change)));
}

/** Draw what changes in a later layer, by the service. @param {Explorer} explorer @param {HTMLElement} figure @param {string} edit @param {string} address */
async function showChange({ session, leaveSignal: signal }, figure, edit, address) {
  if (!session) return;
  const options = { layer: address, edit: [edit], change: true, channels: "top:16", columns: 8, scale: 4, gap: 4, labels: true, signal };
  const { blob, minimum, maximum } = await session.model.featureMap(session.image, options);
  URL.revokeObjectURL(source);
  source = URL.createObjectURL(blob);
  const image = element("img", { src: source, alt: `What changes in ${address}` });
  await image.decode();
  const caption = `What changes in ${address}, in the 16 channels that change most: blue is less, red is more, from ${plain(minimum)} to ${plain(maximum)}.`;
  figure.replaceChildren(image, element("figcaption", { class: "quiet" }, caption));
}
