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
const MOST_NAMED = 60;

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
    ...named("Dead channels: zero everywhere", figures.dead, open),
    ...named("Saturated channels: hardly leave one end of the layer's range", figures.saturated, open),
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
  return element(
    "figure",
    { class: "chart" },
    drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, preserveAspectRatio: "none" }, ...bars),
    element("figcaption", { class: "ends quiet" }, element("span", {}, plain(edges[0])), element("span", {}, "counts on a logarithmic scale"), element("span", {}, plain(edges.at(-1)))),
  );
}

/** From the lowest to the highest value of each channel, and its mean. @param {Statistics} figures @param {(channel: number) => void} open */
function channelsOf({ channels, min, max }, open) {
  if (!channels) return [];
  const { min: lows, max: highs, mean: means } = /** @type {{min: number[], max: number[], mean: number[]}} */ (channels);
  const [low, high] = [Math.min(min ?? 0, 0), Math.max(max ?? 0, 0)];
  const y = (/** @type {number} */ value) => HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT;
  const step = WIDTH / lows.length;
  const ranges = lows.map((least, channel) => `M${(channel + 0.5) * step} ${y(least ?? 0)}V${Math.min(y(highs[channel] ?? 0), y(least ?? 0) - 1)}`).join("");
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
  const hint = element("span", {}, "point at a channel, or press it to look at it");
  chart.addEventListener("pointermove", (event) => {
    const channel = at(event);
    hint.textContent = `channel ${channel}: ${plain(lows[channel])} to ${plain(highs[channel])}, mean ${plain(means[channel])}`;
  });
  chart.addEventListener("click", (event) => open(at(event)));
  return [
    element("h3", {}, `Channels: lowest to highest value, and mean; the chart goes from ${plain(low)} to ${plain(high)}`),
    element("figure", { class: "chart" }, chart, element("figcaption", { class: "ends quiet" }, element("span", {}, "0"), hint, element("span", {}, String(lows.length - 1)))),
  ];
}

/** @param {string} title @param {number[]} channels @param {(channel: number) => void} open */
function named(title, channels, open) {
  if (!channels.length) return [];
  const rest = channels.length - MOST_NAMED;
  const buttons = channels.slice(0, MOST_NAMED).map((channel) => buttonOf(String(channel), () => open(channel)));
  return [element("h3", {}, `${title} (${channels.length})`), element("p", { class: "row" }, ...buttons, rest > 0 && `and ${rest} more`)];
}
