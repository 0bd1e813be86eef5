/**
 * Session: the state that the address describes, and the requests about its model and image.
 *
 * Links and the browser's history work because the fragment of the address describes everything that is shown.
 *
 * @module
 */

import { FeatureMaps } from "./maps.js";

/** @typedef {import("./client/layerscope.js").Client} Client */
/** @typedef {import("./client/layerscope.js").Schemas} Schemas */
/** @typedef {Schemas["LayerRow"]} Layer */
/** @typedef {typeof DEFAULTS} State */
/** @typedef {{target: string, output?: string}} Explained - A class, and the output that it belongs to; the first without one. */
/** @typedef {{method: string, layer?: string, target?: string, output?: string}} Question - What a heat map explains: a method, and its options. */

export const VIEWS = ["maps", "statistics", "heat", "compare", "graph", "whatif", "why"];
const DEFAULTS = { model: "", image: "", input: "", layer: "", channel: "", view: "maps", palette: "auto", normalize: "channel", range: "", order: "number", size: "auto", shown: "", drawn: "", first: "0", slice: "", with: "", there: "", method: "gradcam", target: "best", options: "", at: "", off: "", behind: "", opacity: "0.5", shared: "", clip: "" };
/** A change of these fields adds an entry to the browser's history; other changes replace the current entry. */
const NAVIGATION = /** @type {const} */ (["model", "image", "input", "layer", "channel", "view", "with", "there", "method", "target", "options", "at", "off"]);
/** Most values of all layers that are fetched at once, so that a change of the layer needs no request. */
const FETCHED_WHOLE = 1 << 18;
/** Most values of one layer; of larger ones only every n-th pixel is fetched. */
const MOST_VALUES = 1 << 24;
/** Number of classes that are requested of each output. */
export const BEST_CLASSES = 5;
const THUMBNAILS_AT_ONCE = 24;
const KEPT = 24;

/** The state that the address describes. @returns {State} */
export function readState() {
  return { ...DEFAULTS, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
}

/** The address of a changed state. @param {State} state @param {Partial<State>} change */
export function addressOf(state, change) {
  const changed = Object.entries({ ...state, ...change }).filter(([name, value]) => value !== DEFAULTS[/** @type {keyof State} */ (name)]);
  return `#${new URLSearchParams(changed)}`;
}

/** Write a changed state into the address. @param {State} state @param {Partial<State>} change @param {boolean} [isStep] - Whether the browser's back leads to the state before. */
export function writeState(state, change, isStep = NAVIGATION.some((name) => name in change && change[name] !== state[name])) {
  history[isStep ? "pushState" : "replaceState"](null, "", addressOf(state, change));
}

/** The requests about one model and one image. Each is sent once, and its answer is kept. */
export class Session {
  #stop = new AbortController();
  /** @type {Map<string, Promise<any>>} */
  #requests = new Map();
  /** @type {Map<string, {layer: Layer, resolve: (maps: FeatureMaps) => void, reject: (reason: unknown) => void}>} */
  #requested = new Map();
  #isWaiting = false;

  /**
   * @param {Client} client
   * @param {string} model - The name with an exact version, so that answers stay valid.
   * @param {string | Record<string, string>} image - The id of a stored image, or one for each input by its name.
   */
  constructor(client, model, image) {
    this.model = client.model(model);
    this.image = image;
  }

  get #signal() {
    return this.#stop.signal;
  }

  /** Cancel the requests that are not answered yet. */
  close() {
    this.#stop.abort();
  }

  /** The layers, and behind those of attention their scores. @returns {Promise<Schemas["LayerList"]>} */
  layers() {
    return this.#once("layers", async () => {
      const list = await this.model.layers(undefined, { signal: this.#signal });
      if (!list.layers.some(({ sites }) => sites.includes("scores"))) return list;
      const { layers: scores } = await this.model.layers("all@scores", { signal: this.#signal });
      const behind = (/** @type {Layer} */ layer) => scores.filter(({ address }) => address === `${layer.address}@scores`).map((row) => ({ ...row, parameters: 0, group: false }));
      return { ...list, layers: list.layers.flatMap((layer) => [layer, ...behind(layer)]) };
    });
  }

  /** The layers that a selector selects. @param {string} selector @returns {Promise<Schemas["LayerList"]>} */
  select(selector) {
    return this.#once(`select ${selector}`, () => this.model.layers(selector, { signal: this.#signal }));
  }

  /** @returns {Promise<Schemas["GraphBody"]>} */
  graph() {
    return this.#once("graph", () => this.model.graph({ signal: this.#signal }));
  }

  /** @returns {Promise<Schemas["PredictionsBody"]>} */
  predictions() {
    return this.#once("predictions", () => this.model.predictions(this.image, { top: BEST_CLASSES, signal: this.#signal }));
  }

  /** What the model is: its inputs, outputs and classes. @returns {Promise<Schemas["ModelBody"]>} */
  description() {
    return this.#once("description", () => this.model.describe({ signal: this.#signal }));
  }

  /**
   * What a heat map explains, once it is computed. The service keeps it, so that its pictures need no other run. The values come
   * with it if the page draws them itself.
   *
   * @param {Question} question
   * @param {AbortSignal} signal - Ends the computation.
   * @param {(done: number, total: number) => void} onProgress
   * @param {boolean} [values]
   */
  attribution(question, signal, onProgress, values = false) {
    return this.#once(`attribution ${values} ${JSON.stringify(question)}`, () => this.model.attribution(this.image, { ...question, values, signal, onProgress }));
  }

  /**
   * What a class loses without each channel of a layer.
   *
   * @param {Layer} layer
   * @param {Explained} explained
   * @param {AbortSignal} signal - Ends the computation.
   * @param {(done: number, total: number) => void} onProgress
   * @returns {Promise<Schemas["AblationBody"]>}
   */
  sweep(layer, explained, signal, onProgress) {
    return this.#once(`sweep ${JSON.stringify(explained)} ${layer.address}`, () => this.model.ablations(this.image, { layer: layer.address, ...explained, top: 10_000, signal, onProgress }));
  }

  /** What an edit does to outputs and layers. @param {string} edit @param {Explained} explained @param {number} [top] - Classes of each output. @returns {Promise<Schemas["InterventionBody"]>} */
  intervention(edit, explained, top = BEST_CLASSES) {
    return this.#once(`intervention ${JSON.stringify([explained, top])} ${edit}`, () => this.model.interventions(this.image, { edit: [edit], ...explained, top, signal: this.#signal }));
  }

  /** Statistics of one layer and its channels, with histograms. @param {Layer} layer @returns {Promise<Schemas["LayerStatistics"]>} */
  statistics(layer) {
    return this.#once(`statistics ${layer.address}`, async () => {
      const options = /** @type {const} */ ({ bins: 48, histograms: "layer" });
      const body = await this.model.statistics(this.image, { layers: layer.address, ...options, signal: this.#signal });
      return body.layers[0];
    });
  }

  /** The receptive field of the middle unit of a layer. @param {Layer} layer @returns {Promise<Schemas["ReceptiveFieldBody"]>} */
  receptiveField(layer) {
    return this.#once(`field ${layer.address}`, () => this.model.receptiveField({ layer: layer.address, signal: this.#signal }, typeof this.image === "string" ? this.image : []));
  }

  /** The exact values of one channel. @param {Layer} layer @param {number} channel */
  channel(layer, channel) {
    return this.#once(`channel ${channel} ${layer.address}`, () =>
      this.model.activations(this.image, { layers: layer.address, channels: channel, dtype: "float32", signal: this.#signal }),
    );
  }

  /** The values of a layer. @param {Layer} layer @returns {Promise<FeatureMaps>} */
  async maps(layer) {
    const whole = await this.#whole();
    if (whole?.has(layer.address)) return this.#once(`maps ${layer.address}`, async () => FeatureMaps.of(layer, whole));
    return this.#once(`maps ${layer.address}`, async () => {
      const stride = strideOf(layer);
      const options = { ...QUANTIZED, ...(stride > 1 && { stride }), layers: layer.address, signal: this.#signal };
      return FeatureMaps.of(layer, await this.model.activations(this.image, options), stride);
    });
  }

  /** The most active channel of a layer, with the statistics of the layer. @param {Layer} layer @returns {Promise<FeatureMaps>} */
  async thumbnail(layer) {
    if ((await this.#whole())?.has(layer.address)) return this.maps(layer);
    return this.#once(`thumbnail ${layer.address}`, () =>
      new Promise((resolve, reject) => {
        this.#requested.set(layer.address, { layer, resolve, reject });
        this.#fetchThumbnails();
      }),
    );
  }

  /** Fetch all requested thumbnails, several layers in one request. */
  async #fetchThumbnails() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    await new Promise((resolve) => setTimeout(resolve, 30));
    while (this.#requested.size) {
      const batch = [...this.#requested.values()].slice(0, THUMBNAILS_AT_ONCE);
      for (const { layer } of batch) this.#requested.delete(layer.address);
      const layers = batch.map(({ layer }) => layer.address);
      try {
        const options = { ...QUANTIZED, channels: "top:1", layers, signal: this.#signal };
        const activations = await this.model.activations(this.image, options);
        for (const { layer, resolve } of batch) resolve(FeatureMaps.of(layer, activations));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWaiting = false;
  }

  /** All layers, or null if they have too many values. @returns {Promise<import("./client/layerscope.js").Activations | null>} */
  #whole() {
    return this.#once("whole", async () => {
      const { layers } = await this.layers();
      const values = layers.reduce((sum, layer) => sum + (layer.bytes_per_image ?? Infinity) / 4, 0);
      if (values > FETCHED_WHOLE) return null;
      return this.model.activations(this.image, { ...QUANTIZED, layers: "all", signal: this.#signal });
    });
  }

  /**
   * Send a request once. One that failed is sent again, and only the maps of the layers used last are kept.
   *
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} request
   * @returns {Promise<T>}
   */
  #once(name, request) {
    const known = this.#requests.get(name) ?? request();
    this.#requests.delete(name);
    this.#requests.set(name, known);
    known.catch(() => this.#requests.delete(name));
    const maps = [...this.#requests.keys()].filter((each) => each.startsWith("maps "));
    if (maps.length > KEPT) this.#requests.delete(maps[0]);
    return known;
  }
}

const QUANTIZED = /** @type {const} */ ({ dtype: "uint8", statistics: true });

/** @param {Layer} layer */
function strideOf(layer) {
  const values = (layer.bytes_per_image ?? 0) / 4;
  return values > MOST_VALUES ? Math.ceil(Math.sqrt(values / MOST_VALUES)) : 1;
}

