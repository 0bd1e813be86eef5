/**
 * View of a layer's statistics: numbers, a histogram, and the range of every channel.
 *
 * @module
 */

import { plain } from "./grid.js";
import { buttonOf, drawn, element } from "./elements.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Schemas["LayerStatistics"]} Statistics */

const [WIDTH, HEIGHT] = [720, 180];
/** Parts of an axis between ticks. */
const [ACROSS, UP] = [6, 4];

/** Show the statistics of the current layer. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { session, layer, state } = explorer;
  if (!session || !layer) return;
  const figures = await session.statistics(layer);
  if (explorer.state !== state) return;
  const open = (/** @type {number} */ channel) => explorer.go({ view: "maps", channel: String(channel) });
  root.replaceChildren(
    tableOf(figures),
    element("h3", {}, "How the values are spread"),
    histogramOf(figures),
    ...channelsOf(figures, open),
    ...named("Dead channels: zero everywhere", figures.dead, buttonOf("Show their maps", () => explorer.go({ view: "maps", channel: "", shown: "dead" }))),
    ...named("Saturated channels: hardly leave one end of the layer's range", figures.saturated, null),
  );
}

/** @param {Statistics} figures */
function tableOf(figures) {
  const rows = /** @type {const} */ ([
    ["lowest", plain(figures.min)],
    ["highest", plain(figures.max)],
    ["mean", plain(figures.mean)],
    ["standard deviation", plain(figures.std)],
    ["zero", `${((figures.fraction_zero ?? 0) * 100).toFixed(1)} %`],
    ["not finite", String(figures.nonfinite)],
  ]);
  return element("dl", { class: "figures" }, ...rows.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

/** The histogram, on a scale that shows small counts, too. @param {Statistics} figures */
function histogramOf(figures) {
  const { edges, counts } = /** @type {{edges: number[], counts: number[]}} */ (figures.histogram ?? { edges: [], counts: [] });
  const most = Math.log1p(Math.max(...counts, 1));
  const step = WIDTH / Math.max(1, counts.length);
  const bars = counts.map((count, bin) => {
    const height = count ? Math.max(2, (Math.log1p(count) / most) * HEIGHT) : 0;
    const title = drawn("title", {}, `${count} values from ${plain(edges[bin])} to ${plain(edges[bin + 1])}`);
    return drawn("rect", { x: bin * step + 0.5, y: HEIGHT - height, width: Math.max(1, step - 1), height }, title);
  });
  const label = `Histogram from ${plain(edges[0])} to ${plain(edges.at(-1))}`;
  const drawing = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, preserveAspectRatio: "none" }, ...bars);
  const values = ticks(edges[0] ?? 0, edges.at(-1) ?? 0, ACROSS).map(plain);
  const numbers = ticks(most, 0, UP).map((each) => Math.round(Math.expm1(each)).toLocaleString("en"));
  return chartOf(drawing, values, numbers, "values; their counts on a logarithmic scale");
}

/** From the lowest to the highest value of each channel, and its mean. @param {Statistics} figures @param {(channel: number) => void} open */
function channelsOf({ channels, min, max }, open) {
  if (!channels) return [];
  const { min: lows, max: highs, mean: means } = /** @type {{min: number[], max: number[], mean: number[]}} */ (channels);
  const [low, high] = [Math.min(min ?? 0, 0), Math.max(max ?? 0, 0)];
  const y = (/** @type {number} */ value) => HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT;
  const step = WIDTH / lows.length;
  // A channel with one value, such as a class, is a bar from zero.
  const ends = lows.map((least, channel) => (least === highs[channel] ? [Math.min(least ?? 0, 0), Math.max(least ?? 0, 0)] : [least ?? 0, highs[channel] ?? 0]));
  const ranges = ends.map(([least, most], channel) => `M${(channel + 0.5) * step} ${y(least)}V${Math.min(y(most), y(least) - 1)}`).join("");
  const middles = means.map((mean, channel) => `M${channel * step} ${y(mean ?? 0)}h${step}`).join("");
  const width = Math.max(0.6, Math.min(14, step * 0.7));
  const chart = drawn(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `The range of each of ${lows.length} channels`, preserveAspectRatio: "none", class: "can-open" },
    drawn("path", { d: ranges, "stroke-width": width, class: "ranges" }),
    drawn("path", { d: middles, class: "means" }),
    drawn("path", { d: `M0 ${y(0)}H${WIDTH}`, class: "zero" }),
  );
  const at = (/** @type {MouseEvent} */ event) => Math.min(lows.length - 1, Math.floor((event.offsetX / chart.clientWidth) * lows.length));
  const hint = element("span", {}, "channels; point at one, or press it to look at it");
  chart.addEventListener("pointermove", (event) => {
    const channel = at(event);
    hint.textContent = `channel ${channel}: ${plain(lows[channel])} to ${plain(highs[channel])}, mean ${plain(means[channel])}`;
  });
  chart.addEventListener("click", (event) => open(at(event)));
  const last = lows.length - 1;
  const numbers = [...new Set(ticks(0, last, Math.min(ACROSS, last)).map(Math.round))].map(String);
  return [element("h3", {}, "Channels: lowest to highest value, and mean"), chartOf(chart, numbers, ticks(high, low, UP).map(plain), hint)];
}

/** Channels by number, neighbours as ranges. @param {string} title @param {number[]} channels @param {HTMLElement | null} button */
function named(title, channels, button) {
  if (!channels.length) return [];
  return [element("h3", {}, `${title} (${channels.length})`), element("p", { class: "numbers quiet" }, rangesOf(channels)), element("p", {}, button)];
}

/** Ascending numbers as text: `0, 3–7, 9`. @param {number[]} numbers */
function rangesOf(numbers) {
  /** @type {[number, number][]} */
  const ranges = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}–${last}`)).join(", ");
}

/** A chart with its axes. @param {SVGElement} drawing @param {string[]} xs - From left to right. @param {string[]} ys - From the top. @param {Node | string} caption */
function chartOf(drawing, xs, ys, caption) {
  const axis = (/** @type {string} */ name, /** @type {string[]} */ texts) => element("div", { class: `ticks quiet ${name}`, "aria-hidden": "true" }, ...texts.map((text) => element("span", {}, text)));
  return element("figure", { class: "chart" }, axis("y", ys), drawing, axis("x", xs), element("figcaption", { class: "quiet" }, caption));
}

/** Ticks at equal steps from one number to another. @param {number} from @param {number} to @param {number} steps */
function ticks(from, to, steps) {
  return Array.from({ length: steps + 1 }, (_, step) => from + ((to - from) * step) / steps);
}
