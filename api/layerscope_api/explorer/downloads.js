/**
 * What is seen, to take away: as a picture, as numbers, and as the request that gives them.
 *
 * @module
 */

import { writeNpy } from "./client/layerscope.js";
import { buttonOf, element, save } from "./parts.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {{text: string, name: string, make: () => Promise<Blob>}} Offer - A file that is made when it is asked for. */
/** @typedef {Record<string, unknown>} Options */
/** @typedef {{resource: string, python: string, javascript: string, options: Options, method?: string}} Request - One of the service, and what the clients call it. */

/** Fill the menu for what is looked at. @param {Explorer} explorer */
export async function fill(explorer) {
  const body = /** @type {HTMLElement} */ (document.getElementById("downloads-body"));
  const { layer, look, maps } = explorer;
  if (!layer || !look) return;
  const needsMaps = explorer.view === "maps" || explorer.view === "compare";
  if (needsMaps && !maps) return body.replaceChildren("This layer has no picture.");
  const { offers, request } = await OFFERED[explorer.view](explorer, look, layer.address);
  const guarded = (/** @type {Offer} */ { make, name }) => () => make().then((blob) => save(blob, name)).catch((error) => explorer.trouble(error));
  body.replaceChildren(
    element("p", { class: "row" }, ...offers.map((offer) => buttonOf(offer.text, guarded(offer)))),
    ...snippetsOf(look, layer.address, request).flatMap(([language, text]) => [
      element("p", { class: "row" }, element("b", {}, language), buttonOf("Copy", () => navigator.clipboard.writeText(text), { "aria-label": `Copy ${language}` })),
      element("pre", { tabindex: "0" }, text),
    ]),
  );
}

/** What each view offers. @type {Record<string, (explorer: Explorer, look: Look, layer: string) => {offers: Offer[], request: Request} | Promise<{offers: Offer[], request: Request}>>} */
const OFFERED = {
  maps: (explorer, look, layer) => {
    const { channel } = explorer.state;
    const options = { layer, ...(channel && { channel: Number(channel) }), ...drawnAs(explorer) };
    const name = nameOf(look.model.name, layer, channel);
    return { offers: offersOf(look, options, name, ""), request: { resource: "feature-map.png", python: "feature_map", javascript: "featureMap", options } };
  },
  compare: async (explorer, look, layer) => {
    const { other, range } = await import("./compare.js").then((part) => part.compared());
    const options = { layer, ...drawnAs(explorer), ...(range && { range: [range.low, range.high].map((end) => Number(end.toPrecision(7))) }) };
    const sides = [...offersOf(look, options, nameOf(look.model.name, layer, "left"), " on the left"), ...(other ? offersOf(other, options, nameOf(other.model.name, layer, "right"), " on the right") : [])];
    return { offers: sides, request: { resource: "feature-map.png", python: "feature_map", javascript: "featureMap", options } };
  },
  statistics: (_explorer, look, layer) => {
    const options = { layers: layer };
    const name = nameOf(look.model.name, layer, "statistics");
    const figures = async () => new Blob([JSON.stringify(await look.model.statistics(look.image, options), null, 2)], { type: "application/json" });
    const offers = [
      { text: "Picture (PNG)", name: `${name}.png`, make: async () => (await look.model.statisticsPicture(look.image, options)).blob },
      { text: "Figures (JSON)", name: `${name}.json`, make: figures },
    ];
    return { offers, request: { resource: "statistics", python: "statistics", javascript: "statistics", options } };
  },
  heat: async ({ state, subject }, look) => {
    const { questions } = await import("./heat.js");
    const drawn = /** @type {const} */ ({ on: "original", scale: subject.enlargement });
    const offers = questions.flatMap((question) => {
      const name = nameOf(look.model.name, question.method, question.target ?? "");
      const of = question.target ? ` of class ${question.target}` : "";
      const values = async () => new Blob([writeNpy(/** @type {any} */ ([...(await look.model.attribution(look.image, question)).values()][0]))]);
      return [
        { text: `Picture${of} (PNG)`, name: `${name}.png`, make: async () => (await look.model.attributionPicture(look.image, { ...question, ...drawn })).blob },
        { text: `Values${of} (.npy)`, name: `${name}.npy`, make: values },
      ];
    });
    const { method, ...options } = { ...(questions[0] ?? { method: state.method }), ...drawn };
    return { offers, request: { resource: `attributions/${method}.png`, python: "attribution_picture", javascript: "attributionPicture", options, method } };
  },
  graph: (_explorer, look) => {
    const name = nameOf(look.model.name, "graph", "");
    const nodes = async () => new Blob([JSON.stringify(await look.graph(), null, 2)], { type: "application/json" });
    const offers = [
      { text: "Picture (SVG)", name: `${name}.svg`, make: async () => (await import("./graph.js")).picture() },
      { text: "Nodes and edges (JSON)", name: `${name}.json`, make: nodes },
    ];
    return { offers, request: { resource: "graph", python: "graph", javascript: "graph", options: {} } };
  },
};

/** How maps are drawn, as options of the service's pictures. @param {Explorer} explorer */
function drawnAs({ state, coloring, maps }) {
  const side = Number(state.size) || 112;
  return {
    ...(coloring.palette !== "auto" && { colormap: coloring.palette }),
    ...(coloring.normalize === "layer" && { normalize: "layer" }),
    ...(coloring.range && { range: [coloring.range.low, coloring.range.high] }),
    scale: maps ? Math.max(1, Math.floor(side / Math.max(maps.width, maps.height))) : 1,
    ...(!state.channel && { labels: true }),
  };
}

/** The maps of a layer, as a picture and as numbers. @param {Look} look @param {Options} options @param {string} name @param {string} side @returns {Offer[]} */
function offersOf({ model, image }, options, name, side) {
  const { layer, channel } = /** @type {{layer: string, channel?: number}} */ (options);
  const values = async () => new Blob([writeNpy(/** @type {any} */ ((await model.activations(image, { layers: layer, channels: channel })).get(layer)))]);
  return [
    { text: `Picture${side} (PNG)`, name: `${name}.png`, make: async () => (await model.featureMap(image, /** @type {any} */ (options))).blob },
    { text: `Values${side} (.npy)`, name: `${name}.npy`, make: values },
  ];
}

/** A name for a file. @param {...string} parts */
function nameOf(...parts) {
  return parts.filter(Boolean).join("-").replace(/[^\w.-]+/g, "_");
}

/** The request in three languages. @param {Look} look @param {string} layer @param {Request} request @returns {[string, string][]} */
function snippetsOf({ model: { name } }, layer, { resource, python, javascript, options, method }) {
  const service = new URL("..", document.baseURI).href.replace(/\/$/, "");
  const isPicture = resource.endsWith(".png");
  const takesImage = resource !== "graph";
  const query = new URLSearchParams(Object.entries(options).map(([key, value]) => [key, String(value)])).toString();
  const url = `${service}/v1/models/${name}/${resource}${query && `?${query}`}`;
  const named = { ...(method && { method }), ...options };
  const arguments_ = Object.entries(named).map(([key, value]) => `${key}=${pythonOf(value)}`);
  const given = (/** @type {string} */ image, /** @type {string[]} */ rest) => [...(takesImage ? [image] : []), ...rest].join(", ");
  const result = `model.${python}(${given('"image.png"', arguments_)})`;
  const object = Object.keys(named).length ? [JSON.stringify(named)] : [];
  const isOfMaps = resource === "feature-map.png";
  const pythonValues = isOfMaps ? `\nvalues = model.activations("image.png", layers="${layer}")["${layer}"]` : "";
  const javascriptValues = isOfMaps ? `\nconst values = (await model.activations(file, { layers: "${layer}" })).get("${layer}");` : "";
  return [
    ["curl", `curl ${takesImage ? "--data-binary @image.png -H 'Content-Type: image/png' \\\n  " : ""}'${url}'${isPicture ? " -o picture.png" : ""}`],
    ["Python", `from layerscope_client import Client\n\nmodel = Client("${service}").model("${name}")${pythonValues}\n${isPicture ? `${result}.save("picture.png")` : `answer = ${result}`}`],
    [
      "JavaScript",
      `import { Client } from "layerscope-client";\n\nconst model = new Client("${service}").model("${name}");${javascriptValues}\nconst ${isPicture ? "{ blob }" : "answer"} = await model.${javascript}(${given("file", object)});`,
    ],
  ];
}

/** @param {unknown} value */
function pythonOf(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  return Array.isArray(value) ? `(${value.join(", ")})` : JSON.stringify(value);
}
