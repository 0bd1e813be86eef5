/**
 * What is seen, to take away: as a picture, as numbers, and as the request that gives them.
 *
 * @module
 */

import { writeNpy } from "./client/layerscope.js";
import { buttonOf, element, save } from "./parts.js";

/** @typedef {import("./main.js").Explorer} Explorer */

/** Fill the menu for the layer that is looked at. @param {Explorer} explorer */
export function fill(explorer) {
  const body = /** @type {HTMLElement} */ (document.getElementById("downloads-body"));
  const { layer, look, state, coloring, maps } = explorer;
  if (!layer || !look || !maps) return body.replaceChildren("This layer has no picture.");
  const options = {
    layer: layer.address,
    ...(state.channel && { channel: Number(state.channel) }),
    ...(coloring.palette !== "auto" && { colormap: coloring.palette }),
    ...(coloring.normalize === "layer" && { normalize: "layer" }),
    scale: Math.max(1, Math.floor(Number(state.size) / Math.max(maps.width, maps.height))),
    labels: !state.channel,
  };
  const name = `${state.model}-${layer.address}${state.channel && `-${state.channel}`}`.replace(/[^\w.-]+/g, "_");
  const guarded = (/** @type {() => Promise<void>} */ action) => () => action().catch((error) => explorer.trouble(error));
  body.replaceChildren(
    element(
      "p",
      { class: "row" },
      buttonOf("Picture (PNG)", guarded(async () => save((await look.model.featureMap(look.image, /** @type {any} */ (options))).blob, `${name}.png`))),
      buttonOf("Values (.npy)", guarded(async () => save(await valuesOf(explorer), `${name}.npy`))),
    ),
    ...snippetsOf(explorer, options).flatMap(([language, text]) => [
      element("p", { class: "row" }, element("b", {}, language), buttonOf("Copy", () => navigator.clipboard.writeText(text), { "aria-label": `Copy ${language}` })),
      element("pre", { tabindex: "0" }, text),
    ]),
  );
}

/** @param {Explorer} explorer */
async function valuesOf({ look, layer, state }) {
  const { model, image } = /** @type {import("./look.js").Look} */ (look);
  const address = /** @type {import("./look.js").Layer} */ (layer).address;
  const channels = state.channel ? Number(state.channel) : undefined;
  const activations = await model.activations(image, { layers: address, channels });
  return new Blob([writeNpy(/** @type {import("./client/layerscope.js").Tensor} */ (activations.get(address)))]);
}

/** The picture in three languages. @param {Explorer} explorer @param {Record<string, unknown>} options @returns {[string, string][]} */
function snippetsOf({ look, state, layer }, options) {
  const service = new URL("..", document.baseURI).href.replace(/\/$/, "");
  const named = Object.entries(options);
  const query = new URLSearchParams(named.map(([key, value]) => [key, String(value)]));
  const python = named.map(([key, value]) => `${key}=${typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value)}`).join(", ");
  return [
    ["curl", `curl --data-binary @image.png -H 'Content-Type: image/png' \\\n  '${service}/v1/models/${state.model}/feature-map.png?${query}' -o picture.png`],
    [
      "Python",
      `from layerscope_client import Client\n\nmodel = Client("${service}").model("${state.model}")\nvalues = model.activations("image.png", layers="${layer?.address}")["${layer?.address}"]\nmodel.feature_map("image.png", ${python}).save("picture.png")`,
    ],
    [
      "JavaScript",
      `import { Client } from "layerscope-client";\n\nconst model = new Client("${service}").model("${look?.model.name}");\nconst values = (await model.activations(file, { layers: "${layer?.address}" })).get("${layer?.address}");\nconst { blob } = await model.featureMap(file, ${JSON.stringify(options)});`,
    ],
  ];
}
