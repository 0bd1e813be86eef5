/**
 * Downloads of the current view: as a picture, as numbers, and as the request that returns them.
 *
 * @module
 */

import { writeNpy } from "./client/layerscope.js";
import { optionsOf } from "./curves.js";
import { withoutChannels } from "./effects.js";
import { buttonOf, element, save } from "./elements.js";
import { areCurves } from "./maps_view.js";
import { snippetsOf } from "./snippets.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {{text: string, name: string, make: () => Promise<Blob>}} Offer - A file that is made when it is downloaded. */
/** @typedef {Record<string, unknown>} Options */
/** @typedef {import("./snippets.js").Request} Request */

/** Fill the menu for the current view. @param {Explorer} explorer */
export async function fill(explorer) {
  const body = /** @type {HTMLElement} */ (document.getElementById("downloads-body"));
  const { layer, session, maps } = explorer;
  if (!layer || !session) return;
  const needsMaps = explorer.view === "maps" || explorer.view === "compare";
  if (needsMaps && !maps) return body.replaceChildren("This layer has no picture.");
  const { offers, request } = await OFFERED[explorer.view](explorer, session, layer.address);
  const guarded = (/** @type {Offer} */ { make, name }) => () => make().then((blob) => save(blob, name)).catch((error) => explorer.showError(error));
  body.replaceChildren(
    element("p", { class: "row" }, ...offers.map((offer) => buttonOf(offer.text, guarded(offer)))),
    ...snippetsOf(session.model.name, layer.address, request, explorer.imagePanel.subject).flatMap(([language, text]) => [
      element("p", { class: "row" }, element("b", {}, language), buttonOf("Copy", () => navigator.clipboard.writeText(text), { "aria-label": `Copy ${language}` })),
      element("pre", { tabindex: "0" }, text),
    ]),
  );
}

/** The downloads and the request of each view. @type {Record<string, (explorer: Explorer, session: Session, layer: string) => {offers: Offer[], request: Request} | Promise<{offers: Offer[], request: Request}>>} */
const OFFERED = {
  maps: (explorer, session, layer) => {
    const { channel } = explorer.state;
    const options = { layer, ...(channel && { channel: Number(channel) }), ...drawnAs(explorer) };
    const name = nameOf(session.model.name, layer, channel);
    return { offers: offersOf(session, options, name, ""), request: { resource: "feature-map.png", python: "feature_map", javascript: "featureMap", options } };
  },
  compare: async (explorer, session, layer) => {
    const { other, layer: there = layer, range } = await import("./compare.js").then((part) => part.compared());
    const options = { layer, ...drawnAs(explorer), ...(range && { range: [range.low, range.high].map((end) => Number(end.toPrecision(7))) }) };
    const sides = [...offersOf(session, options, nameOf(session.model.name, layer, "left"), " on the left"), ...(other ? offersOf(other, { ...options, layer: there }, nameOf(other.model.name, there, "right"), " on the right") : [])];
    return { offers: sides, request: { resource: "feature-map.png", python: "feature_map", javascript: "featureMap", options } };
  },
  statistics: (_explorer, session, layer) => {
    const options = { layers: layer };
    const name = nameOf(session.model.name, layer, "statistics");
    const figures = async () => new Blob([JSON.stringify(await session.model.statistics(session.image, options), null, 2)], { type: "application/json" });
    const offers = [
      { text: "Picture (PNG)", name: `${name}.png`, make: async () => (await session.model.statisticsPicture(session.image, options)).blob },
      { text: "Figures (JSON)", name: `${name}.json`, make: figures },
    ];
    return { offers, request: { resource: "statistics", python: "statistics", javascript: "statistics", options } };
  },
  whatif: ({ state }, session, layer) => {
    const options = { layer, ...(state.target !== "best" && { target: state.target }) };
    const name = nameOf(session.model.name, layer, "sweep");
    const effects = async () => new Blob([JSON.stringify(await session.model.ablations(session.image, options), null, 2)], { type: "application/json" });
    const offers = [
      { text: "Bars (PNG)", name: `${name}.png`, make: async () => (await session.model.ablationsPicture(session.image, options)).blob },
      { text: "Effects (JSON)", name: `${name}.json`, make: effects },
    ];
    return { offers, request: { resource: "ablations", python: "ablations", javascript: "ablations", options } };
  },
  why: ({ state, imagePanel }, session, layer) => {
    const output = new URLSearchParams(state.options).get("output");
    const explained = { ...(state.target !== "best" && { target: state.target }), ...(output && { output }) };
    const drawn = /** @type {const} */ ({ method: "gradcam", layer, ...explained, ...imagePanel.overlaid });
    const name = nameOf(session.model.name, layer, "why", state.target);
    const effects = async () => new Blob([JSON.stringify(await session.model.ablations(session.image, { layer, ...explained }), null, 2)], { type: "application/json" });
    const offers = [
      { text: "Heat map (PNG)", name: `${name}.png`, make: async () => (await session.model.attributionPicture(session.image, drawn)).blob },
      { text: "Effects of channels (JSON)", name: `${name}.json`, make: effects },
    ];
    const [resource, options] = state.channel ? ["interventions", { edit: [withoutChannels(layer, [Number(state.channel)])] }] : ["ablations", { layer }];
    return { offers, request: { resource, python: resource, javascript: resource, options: { ...options, ...explained } } };
  },
  heat: async ({ state, imagePanel }, session) => {
    const { questions, look } = (await import("./heat.js")).shown;
    const drawn = /** @type {const} */ ({ ...look, ...imagePanel.overlaid });
    const offers = questions.flatMap((question) => {
      const name = nameOf(session.model.name, question.method, question.target ?? "");
      const of = question.target ? ` of class ${question.target}` : "";
      const values = async () => new Blob([writeNpy(/** @type {any} */ ([...(await session.model.attribution(session.image, question)).values()][0]))]);
      return [
        { text: `Picture${of} (PNG)`, name: `${name}.png`, make: async () => (await session.model.attributionPicture(session.image, { ...question, ...drawn })).blob },
        { text: `Values${of} (.npy)`, name: `${name}.npy`, make: values },
      ];
    });
    const { method, ...options } = { ...(questions[0] ?? { method: state.method }), ...drawn };
    return { offers, request: { resource: `attributions/${method}.png`, python: "attribution_picture", javascript: "attributionPicture", options, method } };
  },
  graph: (_explorer, session) => {
    const name = nameOf(session.model.name, "graph", "");
    const nodes = async () => new Blob([JSON.stringify(await session.graph(), null, 2)], { type: "application/json" });
    const offers = [
      { text: "Picture (SVG)", name: `${name}.svg`, make: async () => (await import("./graph.js")).picture() },
      { text: "Nodes and edges (JSON)", name: `${name}.json`, make: nodes },
    ];
    return { offers, request: { resource: "graph", python: "graph", javascript: "graph", options: {} } };
  },
};

/** How the maps are drawn, as options of the service's pictures. @param {Explorer} explorer */
function drawnAs(explorer) {
  const { state, coloring, maps } = explorer;
  if (explorer.view === "maps" && areCurves(explorer)) return { ...optionsOf(explorer), scale: 2 };
  const side = Number(state.size) || 112;
  return {
    ...(coloring.palette !== "auto" && { colormap: coloring.palette }),
    ...(coloring.normalize === "layer" && { normalize: "layer" }),
    ...(coloring.range && { range: [coloring.range.low, coloring.range.high] }),
    // The names of tokens need a size, which the service knows.
    ...(!maps?.tokens.rows && { scale: maps ? Math.max(1, Math.floor(side / Math.max(maps.width, maps.height))) : 1 }),
    ...(!state.channel && { labels: true }),
    ...(maps?.slice && { slice: String(maps.slice.number) }),
  };
}

/** The maps of a layer, as a picture and as numbers. @param {Session} session @param {Options} options @param {string} name @param {string} side @returns {Offer[]} */
function offersOf({ model, image }, options, name, side) {
  const { layer, channel } = /** @type {{layer: string, channel?: number}} */ (options);
  const values = async () => new Blob([writeNpy(/** @type {any} */ ((await model.activations(image, { layers: layer, channels: channel })).get(layer)))]);
  return [
    { text: `Picture${side} (PNG)`, name: `${name}.png`, make: async () => (await model.featureMap(image, /** @type {any} */ (options))).blob },
    { text: `Values${side} (.npy)`, name: `${name}.npy`, make: values },
  ];
}

/** A file name. @param {...string} parts */
function nameOf(...parts) {
  return parts.filter(Boolean).join("-").replace(/[^\w.-]+/g, "_");
}
