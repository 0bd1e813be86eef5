/**
 * A look at an image through a model: what the service tells of the two, each thing asked once.
 *
 * @module
 */

import { FeatureMaps } from "./maps.js";

/** @typedef {import("./client/layerscope.js").Client} Client */
/** @typedef {import("./client/layerscope.js").Schemas} Schemas */
/** @typedef {Schemas["LayerRow"]} Layer */

/** Up to so many values, a model is fetched whole: then moving between its layers asks for nothing. */
const FETCHED_WHOLE = 1 << 18;
/** Above so many values of a layer, only every n-th pixel of its maps is fetched. */
const MOST_VALUES = 1 << 24;
/** How many classes of each output are told. */
export const BEST_CLASSES = 5;
const THUMBNAILS_AT_ONCE = 24;
const KEPT = 24;

/** One model and one image. */
export class Look {
  #stop = new AbortController();
  /** @type {Map<string, Promise<any>>} */
  #asked = new Map();
  /** @type {Map<string, {layer: Layer, resolve: (maps: FeatureMaps) => void, reject: (reason: unknown) => void}>} */
  #wanted = new Map();
  #isWaiting = false;

  /**
   * @param {Client} client
   * @param {string} model - Of an exact version: answers can then be kept.
   * @param {string | Record<string, string>} image - The id of a stored image, or one for each input by its name.
   */
  constructor(client, model, image) {
    this.model = client.model(model);
    this.image = image;
  }

  get #signal() {
    return this.#stop.signal;
  }

  /** Give up what is still asked for. */
  close() {
    this.#stop.abort();
  }

  /** @returns {Promise<Schemas["LayerList"]>} */
  layers() {
    return this.#once("layers", () => this.model.layers(undefined, { signal: this.#signal }));
  }

  /** @returns {Promise<Schemas["GraphBody"]>} */
  graph() {
    return this.#once("graph", () => this.model.graph({ signal: this.#signal }));
  }

  /** @returns {Promise<Schemas["PredictionsBody"]>} */
  predictions() {
    return this.#once("predictions", () => this.model.predictions(this.image, { top: BEST_CLASSES, signal: this.#signal }));
  }

  /** Of one layer and its channels, with histograms. @param {Layer} layer @returns {Promise<Schemas["LayerStatistics"]>} */
  statistics(layer) {
    return this.#once(`statistics ${layer.address}`, async () => {
      const options = /** @type {const} */ ({ bins: 48, histograms: "layer" });
      const body = await this.model.statistics(this.image, { layers: layer.address, ...options, signal: this.#signal });
      return body.layers[0];
    });
  }

  /** What the units of a layer see of the first input. @param {Layer} layer @returns {Promise<Schemas["ReceptiveFieldBody"]>} */
  receptiveField(layer) {
    return this.#once(`field ${layer.address}`, () => this.model.receptiveField({ layer: layer.address, signal: this.#signal }, this.image));
  }

  /** One channel with every bit. @param {Layer} layer @param {number} channel */
  channel(layer, channel) {
    return this.#once(`channel ${channel} ${layer.address}`, () =>
      this.model.activations(this.image, { layers: layer.address, channels: channel, dtype: "float32", signal: this.#signal }),
    );
  }

  /** The values of a layer. @param {Layer} layer @returns {Promise<FeatureMaps>} */
  async maps(layer) {
    const whole = await this.#whole();
    if (whole) return this.#once(`maps ${layer.address}`, async () => new FeatureMaps(layer.address, whole));
    return this.#once(`maps ${layer.address}`, async () => {
      const stride = strideOf(layer);
      const options = { ...QUANTIZED, ...(stride > 1 && { stride }), layers: layer.address, signal: this.#signal };
      return new FeatureMaps(layer.address, await this.model.activations(this.image, options), stride);
    });
  }

  /** The channel of a layer that is most active, and the layer's figures. @param {Layer} layer @returns {Promise<FeatureMaps>} */
  async thumbnail(layer) {
    if (await this.#whole()) return this.maps(layer);
    return this.#once(`thumbnail ${layer.address}`, () =>
      new Promise((resolve, reject) => {
        this.#wanted.set(layer.address, { layer, resolve, reject });
        this.#fetchThumbnails();
      }),
    );
  }

  /** Those that are wanted by now, several at once. */
  async #fetchThumbnails() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    await new Promise((resolve) => setTimeout(resolve, 30));
    while (this.#wanted.size) {
      const batch = [...this.#wanted.values()].slice(0, THUMBNAILS_AT_ONCE);
      for (const { layer } of batch) this.#wanted.delete(layer.address);
      const layers = batch.map(({ layer }) => layer.address);
      try {
        const options = { ...QUANTIZED, channels: "top:1", layers, signal: this.#signal };
        const activations = await this.model.activations(this.image, options);
        for (const { layer, resolve } of batch) resolve(new FeatureMaps(layer.address, activations));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isWaiting = false;
  }

  /** Every layer, if that is little. @returns {Promise<import("./client/layerscope.js").Activations | null>} */
  #whole() {
    return this.#once("whole", async () => {
      const { layers } = await this.layers();
      const values = layers.reduce((sum, layer) => sum + (layer.bytes_per_image ?? Infinity) / 4, 0);
      if (values > FETCHED_WHOLE) return null;
      return this.model.activations(this.image, { ...QUANTIZED, layers: "all", signal: this.#signal });
    });
  }

  /**
   * Ask once; what failed is asked again, and what was not looked at for long is forgotten.
   *
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} ask
   * @returns {Promise<T>}
   */
  #once(name, ask) {
    const known = this.#asked.get(name) ?? ask();
    this.#asked.delete(name);
    this.#asked.set(name, known);
    known.catch(() => this.#asked.delete(name));
    const maps = [...this.#asked.keys()].filter((each) => each.startsWith("maps "));
    if (maps.length > KEPT) this.#asked.delete(maps[0]);
    return known;
  }
}

const QUANTIZED = /** @type {const} */ ({ dtype: "uint8", statistics: true });

/** @param {Layer} layer */
function strideOf(layer) {
  const values = (layer.bytes_per_image ?? 0) / 4;
  return values > MOST_VALUES ? Math.ceil(Math.sqrt(values / MOST_VALUES)) : 1;
}

