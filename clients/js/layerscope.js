/**
 * The JavaScript client of Layerscope: any layer of any registered Keras model, for any image, over HTTP.
 *
 *     import { Client } from "layerscope-client";
 *
 *     const scope = new Client("http://127.0.0.1:8000");
 *     const digits = scope.model("digits");
 *     const activations = await digits.activations(file, { layers: "conv*" });
 *
 * It runs in browsers and in Node 20 or newer, and has no dependencies.
 *
 * @module
 */

import { DataSets } from "./data_sets.js";
import { Job, Jobs } from "./jobs.js";
import { drawingOf, Model } from "./model.js";
import { Activations, Attribution, readNpy, readSafetensors, Tensor, writeNpy } from "./tensors.js";
import { imagePath, imagesBody, jsonLines, LayerscopeError, read, Text, Tokens, Transport, Uploads } from "./transport.js";

export { Activations, Attribution, DataSets, Job, Jobs, LayerscopeError, Model, readNpy, readSafetensors, Tensor, Text, Tokens, writeNpy };

/** @typedef {import("./contract.d.ts").components["schemas"]} Schemas */
/** @typedef {import("./transport.js").ImageFile} ImageFile */
/** @typedef {import("./model.js").Images} Images */
/** @typedef {import("./model.js").Call} Call */
/** @typedef {import("./model.js").Drawing} Drawing */
/** @template {keyof import("./contract.d.ts").operations} K @typedef {import("./model.js").Options<K>} Options */
/** @typedef {Omit<Options<"post_compare">, "reference" | "candidate">} ComparisonOptions */

const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]*$/;

/** A Layerscope service. Every call rejects with a `LayerscopeError`, or an `AbortError` once its `signal` is aborted. */
export class Client {
  #transport;
  #uploads;

  /**
   * @param {string | URL} [address] - The address of the service, with the path before `/v1` if it has one.
   * @param {object} [options]
   * @param {string} [options.apiKey] - Sent as a bearer token.
   * @param {number} [options.retries] - Most retries of a request while the service is busy (429, 503), each after the pause that
   *   it asks for. If that is longer than 30 s, the request fails.
   * @param {typeof fetch} [options.fetch] - The function that sends requests, instead of the global `fetch`.
   */
  constructor(address = "http://127.0.0.1:8000", options = {}) {
    this.#transport = new Transport(address, options);
    this.#uploads = new Uploads(this.#transport);
    this.jobs = new Jobs(this.#transport);
    /** The data sets that the service has registered. */
    this.datasets = new DataSets(this.#transport);
  }

  /** A model by name. No request is sent, so that it need not exist. @param {string} name - `name` (its default version), `name@3` or `name@label`. */
  model(name) {
    if (!MODEL_NAME.test(name)) throw new RangeError(`A model is named as name, name@version or name@label, not ${name}.`);
    return new Model(name, this.#transport, this.#uploads);
  }

  /** Every model with its versions, loaded or not. @param {Call} [call] @returns {Promise<Schemas["ModelRow"][]>} */
  async models(call) {
    return (await this.#transport.json("/v1/models", call)).models;
  }

  /** Every bound the service enforces. @param {Call} [call] @returns {Promise<Schemas["LimitRow"][]>} */
  async limits(call) {
    return (await this.#transport.json("/v1/limits", call)).limits;
  }

  /** The names of all colormaps. @param {Call} [call] @returns {Promise<string[]>} */
  async colormaps(call) {
    return (await this.#transport.json("/v1/colormaps", call)).colormaps;
  }

  /** Every attribution method, with its options. @param {Call} [call] @returns {Promise<Schemas["MethodRow"][]>} */
  async attributionMethods(call) {
    return (await this.#transport.json("/v1/attributions", call)).methods;
  }

  /** The versions of the service and of its libraries. @param {Call} [call] @returns {Promise<Schemas["VersionInfo"]>} */
  async version(call) {
    return this.#transport.json("/v1/version", call);
  }

  /** Whether the service is alive. @param {Call} [call] @returns {Promise<Schemas["Liveness"]>} */
  async live(call) {
    return this.#transport.json("/v2/health/live", call);
  }

  /** Whether every model is loaded or has failed. @param {Call} [call] @returns {Promise<Schemas["Readiness"]>} */
  async ready(call) {
    return this.#transport.json("/v2/health/ready", call);
  }

  /**
   * Compare two models on the same images: how each layer changed, where that begins, and whether predictions agree.
   * @param {string} reference - The trusted model, as `name`, `name@version` or `name@label`.
   * @param {string} candidate - The other one, or a `.tflite` file beside one, such as "digits@1/model.tflite".
   * @param {Images} images
   * @param {ComparisonOptions & {onProgress?: (done: number, total: number) => void}} [options] - `onProgress` is called with the
   *   images that are done.
   * @returns {Promise<Schemas["ComparisonBody"]>}
   */
  async compare(reference, candidate, images, { onProgress, ...options } = {}) {
    const query = { reference, candidate, ...options };
    const response = await this.#compare("/v1/compare", images, query, onProgress && "application/x-ndjson");
    return read(options.signal, async () => {
      if (!onProgress) return response.json();
      for await (const line of jsonLines(response)) {
        if (line.progress) onProgress(line.progress.done, line.progress.total);
        else if (line.result) return line.result;
        else throw LayerscopeError.of(line, response);
      }
      throw new SyntaxError("The stream ends without a result.");
    });
  }

  /** A picture of the change of each layer, or of all pairs of layers (`match: "matrix"`).
   * @param {string} reference @param {string} candidate @param {Images} images @param {ComparisonOptions} [options]
   * @returns {Promise<Drawing>} */
  async comparisonPicture(reference, candidate, images, options = {}) {
    const response = await this.#compare("/v1/compare.png", images, { reference, candidate, ...options });
    return drawingOf(response, options.signal);
  }

  /** @param {string} path @param {Images} images @param {Call & Record<string, unknown>} options @param {string} [accept] @returns {Promise<Response>} */
  async #compare(path, images, { signal, ...query }, accept) {
    if (images instanceof Tensor) {
      return this.#transport.send(path, { method: "POST", query, body: writeNpy(images), type: "application/x-npy", accept, signal });
    }
    return this.#uploads.use(images, signal, (ids) => {
      return this.#transport.send(path, { method: "POST", query, body: imagesBody(ids), type: "application/json", accept, signal });
    });
  }

  /**
   * Upload a model file as the next version of a model. A file that is a version already does not become another one.
   * @param {Blob} file - A .keras or .h5 file.
   * @param {string} name - The name of the model.
   * @param {Call & {declaration?: Record<string, unknown>, load?: boolean}} [options] - `declaration` as in a `layerscope.json`.
   * @returns {Promise<Schemas["UploadBody"]>}
   */
  async addModel(file, name, { declaration, load = true, signal } = {}) {
    const body = new FormData();
    body.set("model", file);
    body.set("name", name);
    body.set("load", String(load));
    if (declaration) body.set("declaration", JSON.stringify(declaration));
    return this.#transport.json("/v1/models", { method: "POST", body, signal });
  }

  /**
   * Upload an image, a `.npy` file or a text, or renew the time of a stored one. Calls on models upload their images, too.
   * @param {ImageFile | Text | Tokens} file
   * @param {Call} [call]
   * @returns {Promise<Schemas["ImageBody"]>}
   */
  upload(file, call) {
    return this.#uploads.upload(file, call);
  }

  /** The description of a stored image. @param {string} id @param {Call} [call] @returns {Promise<Schemas["ImageBody"]>} */
  async image(id, call) {
    return this.#transport.json(imagePath(id), call);
  }

  /** A small picture of a stored image. @param {string} id @param {Options<"thumbnail">} [options] @returns {Promise<Blob>} */
  async thumbnail(id, { signal, ...query } = {}) {
    const response = await this.#transport.send(`${imagePath(id)}/thumbnail.png`, { query, signal });
    return read(signal, () => response.blob());
  }

  /** Delete a stored image. @param {string} id @param {Call} [call] @returns {Promise<void>} */
  async forget(id, call) {
    await this.#transport.send(imagePath(id), { method: "DELETE", ...call });
  }
}

