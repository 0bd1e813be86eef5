/**
 * View of why: the way from a prediction to what carried it. The first step shows the heat map of a class, and the channels
 * of its layer in the order of what the class loses without each. The second shows one channel, and the predictions without it.
 *
 * @module
 */

import { enlargedOf, tileOf } from "./channel.js";
import { shown, withoutChannels } from "./effects.js";
import { buttonOf, element, linkOf, replace } from "./elements.js";
import { plain } from "./grid.js";
import { targetsOf } from "./heat_controls.js";
import { draw, explain, figureOf, lookOf, release } from "./heat_map.js";
import { scoresOf } from "./predictions.js";
import { BEST_CLASSES } from "./session.js";
import { drawTile } from "./thumbnails.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {import("./session.js").Explained} Explained */
/** @typedef {import("./session.js").Question} Question */
/** @typedef {import("./predictions.js").Score} Score */
/** @typedef {{target: string, label: string, text: string}} Named - The class, its name, and its score if it is known. */
/** @typedef {{explained: Explained, question: Question, named: Named}} Asked - What is explained, and the question of its heat map. */

const METHOD = { name: "gradcam", title: "Grad-CAM" };
/** Channels that are listed. */
const SHOWN = 10;
/** Classes whose scores are compared, of which the best before and after are listed. */
const COMPARED = 100;

/** The channel that was looked at last: it has the focus when all are listed again. @type {string} */
let left = "";

/** Show the current step. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { session, state, leaveSignal } = explorer;
  if (!session) return;
  const [{ outputs }, { classes }] = await Promise.all([session.predictions(), session.description()]);
  const asked = askedOf(explorer, outputs, classes);
  if (!asked) return replace(root, element("p", { class: "missing" }, "Its outputs are no classes: no prediction can be explained."));
  // The service chooses the layer, unless a person did.
  const place = state.at ? state.layer : await session.attribution(asked.question, leaveSignal, () => {}).then(({ layers }) => [...layers.keys()][0], () => state.layer);
  if (explorer.state !== state) return;
  if (place !== state.layer) return explorer.correct({ layer: place, channel: "" });
  await (state.channel ? showChannel : showChannels)(explorer, root, asked);
}

/** What the state asks for; null if the outputs are no classes. @param {Explorer} explorer @param {Schemas["PredictionsBody"]["outputs"]} outputs @param {string[] | null} names @returns {Asked | null} */
function askedOf({ state }, outputs, names) {
  const options = new URLSearchParams(state.options);
  const output = outputs.find(({ name, predictions }) => predictions && name === options.get("output")) ?? outputs.find(({ predictions }) => predictions);
  if (!output) return null;
  const [{ target, label, text }] = targetsOf(scoresOf([output]), state.target, names);
  const explained = { target: String(target), ...(output !== outputs[0] && { output: output.name }) };
  return { explained, question: { method: METHOD.name, ...explained, ...(state.at && { layer: state.layer }) }, named: { target: String(target), label, text } };
}

/** The heat map, and the channels that carried the class. @param {Explorer} explorer @param {HTMLElement} root @param {Asked} asked */
async function showChannels(explorer, root, { explained, question, named }) {
  const { state, layer, leaveSignal: signal } = explorer;
  const heat = figureOf(explorer, { target: named.target, label: named.label, text: named.text }, "");
  const bars = element("div", { class: "carriers" }, element("progress", { "aria-label": "How much is computed" }));
  const others = { view: "heat", channel: "" };
  const { noun, places } = explorer.imagePanel.reads;
  const whole = { view: "whatif", channel: "", off: "", target: named.target };
  replace(
    root,
    trail(explorer, named),
    element(
      "div",
      { class: "why" },
      element(
        "section",
        { class: "heat-maps" },
        heat,
        element(
          "p",
          { class: "quiet" },
          `Where in the ${noun} the reasons lie, over ${state.layer}`,
          state.at ? ". " : `, the last layer with ${places}. `,
          state.at && linkOf(explorer, { at: "" }, {}, `Explain the last one with ${places}`),
          state.at && ". ",
          linkOf(explorer, others, {}, "Other methods"),
        ),
      ),
      element(
        "section",
        {},
        element("h3", {}, `Channels of ${state.layer} that carried ${named.label}`),
        element("p", { class: "quiet" }, "In the order of what the score loses when a channel is set to 0. ", !explained.output && linkOf(explorer, whole, {}, "Several together")),
        bars,
      ),
    ),
  );
  explorer.setWaiting(false);
  release();
  const reason = state.at && layer?.cannot[METHOD.name];
  const drawHeat = async () => {
    if (reason) throw new RangeError(reason);
    await explain(explorer, heat, question, signal);
    await draw(explorer, heat, question, lookOf(state), `${METHOD.title} of`, signal);
  };
  const place = /** @type {HTMLElement} */ (heat.firstElementChild);
  await Promise.all([shown(explorer, place, drawHeat), layer && shown(explorer, bars, () => showCarriers(explorer, bars, explained))]);
}

/** @param {Explorer} explorer @param {HTMLElement} bars @param {Explained} explained */
async function showCarriers(explorer, bars, explained) {
  const { state } = explorer;
  const { order, effects } = await sweptOf(explorer, explained, bars.querySelector("progress"));
  if (explorer.state !== state) return;
  const carriers = order.filter((channel) => effects[channel] > 0).slice(0, SHOWN);
  const most = Math.max(...carriers.map((channel) => effects[channel]));
  const positive = effects.filter((effect) => effect > 0).length;
  const rest = [
    positive > carriers.length && `for it: ${positive - carriers.length} more`,
    `against it: ${effects.filter((effect) => effect < 0).length}`,
    `without effect: ${effects.filter((effect) => effect === 0).length}`,
  ];
  bars.replaceChildren(
    ...(carriers.length ? [element("ol", {}, ...carriers.map((channel) => carrierOf(explorer, channel, effects[channel], most)))] : []),
    element("p", { class: "quiet" }, rest.filter(Boolean).join(" · ")),
  );
  if (left && (document.activeElement === document.body || document.querySelector("#view-why")?.contains(document.activeElement))) {
    /** @type {HTMLElement | null} */ (bars.querySelector(`[data-channel="${left}"]`))?.focus({ preventScroll: true });
  }
  left = "";
}

/** The score of the class, what it loses without each channel, and the channels from the largest loss on. @param {Explorer} explorer @param {Explained} explained @param {HTMLProgressElement | null} bar */
async function sweptOf({ session, layer, leaveSignal }, explained, bar) {
  const { clean, effects, order } = await /** @type {import("./session.js").Session} */ (session).sweep(/** @type {import("./session.js").Layer} */ (layer), explained, leaveSignal, (done, total) => bar && (bar.value = done / total));
  return { score: clean[0].score, effects: /** @type {(number | null)[]} */ (effects[0]).map((effect) => effect ?? 0), order: order[0] };
}

/** A channel as a link: its map, and what the class loses without it. @param {Explorer} explorer @param {number} channel @param {number} effect @param {number} most */
function carrierOf(explorer, channel, effect, most) {
  const { maps } = explorer;
  const canvas = element("canvas", { class: "thumbnail", width: 1, height: 1, "aria-hidden": "true" });
  if (maps && !maps.isMatrix && !maps.isVector) drawTile(canvas, maps, maps.channels?.indexOf(channel) ?? channel, explorer.state.palette);
  const kind = maps?.isVector ? "unit" : "channel";
  const bar = element("i");
  bar.style.width = `${(100 * effect) / most}%`;
  const texts = [element("span", {}, `${kind} ${channel}`), element("span", { class: "track", "aria-hidden": "true" }, bar), element("span", { class: "number" }, plain(effect))];
  return element("li", {}, linkOf(explorer, { channel: String(channel) }, { class: "effect carrier", "data-channel": String(channel) }, canvas, ...texts));
}

/** One channel, and the predictions without it. @param {Explorer} explorer @param {HTMLElement} root @param {Asked} asked */
async function showChannel(explorer, root, { explained, named }) {
  const { maps, state } = explorer;
  left = state.channel;
  const enlarged = maps && !maps.isVector && !maps.isMatrix ? await enlargedOf(explorer, tileOf(explorer)) : null;
  if (explorer.state !== state) return;
  const place = element("span", { class: "quiet rank" });
  const result = element("section", { class: "result", "aria-live": "polite" }, element("progress", { "aria-label": "Predictions without the channel" }));
  const sides = enlarged?.sides ?? element("div", { class: "side-by-side" });
  sides.append(result);
  replace(root, trail(explorer, named, place), sides, enlarged && element("p", { class: "quiet" }, `Channel ${state.channel} of ${state.layer}: ${enlarged.figures}`));
  explorer.setWaiting(false);
  await Promise.all([
    enlarged?.drawOver(),
    shown(explorer, place, () => showRank(explorer, place, explained)),
    shown(explorer, result, () => showWithout(explorer, result, explained, named)),
  ]);
}

/** The place of the channel among the others, with the ways to those beside it. @param {Explorer} explorer @param {HTMLElement} place @param {Explained} explained */
async function showRank(explorer, place, explained) {
  const { state } = explorer;
  const { order } = await sweptOf(explorer, explained, null);
  if (explorer.state !== state) return;
  const rank = order.indexOf(Number(state.channel));
  const beside = (/** @type {string} */ text, /** @type {string} */ name, /** @type {number | undefined} */ channel) =>
    buttonOf(text, () => channel !== undefined && explorer.go({ channel: String(channel) }), { "aria-label": name, ...(channel === undefined && { disabled: "" }) });
  place.replaceChildren(
    beside("‹", "channel with the next larger loss", order[rank - 1]),
    `${rank + 1} of ${order.length}`,
    beside("›", "channel with the next smaller loss", order[rank + 1]),
  );
}

/** The predictions before and after, and their difference. @param {Explorer} explorer @param {HTMLElement} root @param {Explained} explained @param {Named} named */
async function showWithout(explorer, root, explained, named) {
  const { session, state } = explorer;
  const edit = withoutChannels(state.layer, [Number(state.channel)]);
  const changed = /** @type {import("./session.js").Session} */ (session).intervention(edit, explained, COMPARED);
  const [{ outputs }, { score, effects }] = await Promise.all([changed, sweptOf(explorer, explained, null)]);
  if (explorer.state !== state) return;
  const output = outputs.find(({ name }) => name === explained.output) ?? outputs[0];
  const [before, after] = /** @type {const} */ (["clean", "edited"]).map((side) => new Map(scoresOf([{ ...output, predictions: output[side] }]).map((score) => [score.class, score])));
  const best = [...before.keys()].slice(0, BEST_CLASSES);
  const rows = [...new Set([...best, ...[...after.keys()].slice(0, BEST_CLASSES)])].map((number) => rowOf(before.get(number), after.get(number), String(number) === named.target));
  const loss = effects[Number(state.channel)];
  const scoreRow = cellsOf(`score of ${named.label}`, [plain(score), plain(score === null ? null : score - loss), signed(-loss, plain)]);
  const head = ["class", "with it", "without it", "difference"].map((text) => element("th", { scope: "col" }, text));
  replace(
    root,
    element("h3", {}, `Predictions without channel ${state.channel}`),
    element("table", { class: "scores" }, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, scoreRow, ...rows)),
    !explained.output && element("p", {}, linkOf(explorer, { view: "whatif", off: state.channel, channel: "" }, {}, "What changes in later layers, and without several channels")),
  );
}

/** @param {Score | undefined} before @param {Score | undefined} after @param {boolean} isExplained */
function rowOf(before, after, isExplained) {
  const { label } = /** @type {Score} */ (before ?? after);
  const [from, to] = [before?.value, after?.value];
  const change = typeof from === "number" && typeof to === "number" ? to - from : null;
  const areShares = Boolean(before?.text.endsWith("%") && after?.text.endsWith("%"));
  const text = change === null ? "–" : signed(areShares ? change * 100 : change, areShares ? (points) => `${points.toFixed(1)} points` : plain);
  return cellsOf(label, [before?.text ?? "–", after?.text ?? "–", text], isExplained);
}

/** A change with its sign, which what rounds to zero has not. @param {number} change @param {(value: number) => string} written */
function signed(change, written) {
  const text = written(Math.abs(change));
  return Number.parseFloat(text) === 0 ? text : `${change > 0 ? "+" : "−"}${text}`;
}

/** A row of the table. @param {string} name @param {string[]} texts @param {boolean} [isExplained] */
function cellsOf(name, texts, isExplained = false) {
  return element("tr", { class: isExplained && "explained" }, element("th", { scope: "row" }, name), ...texts.map((text) => element("td", {}, text)));
}

/** The steps up to this one, as links. @param {Explorer} explorer @param {Named} named @param {HTMLElement} [rank] */
function trail(explorer, { label }, rank) {
  const { channel } = explorer.state;
  const why = `Why ${label}?`;
  return element(
    "nav",
    { class: "row trail", "aria-label": "Steps" },
    element("h3", {}, channel ? linkOf(explorer, { channel: "" }, {}, why) : why),
    channel && element("span", { "aria-current": "step" }, `› channel ${channel}`),
    rank,
  );
}
