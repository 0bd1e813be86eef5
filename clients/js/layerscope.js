/**
 * The JavaScript client of Layerscope: any layer of any registered Keras model, for any image, over HTTP.
 *
 *     import { Client } from "layerscope-client";
 *
 *     const scope = new Client("http://127.0.0.1:8000");
 *     const digits = scope.model("digits");
 *     const activations = await digits.activations(file, { layers: "conv*" });
 *
 * It runs in browsers and in Node 20 or newer, and needs nothing else.
 *
 * @module
 */

import { Exchange, idOf, imagePath, jsonLines, LayerscopeError, read, Uploads } from "./exchange.js";
import { Activations, readNpy, readSafetensors, Tensor, writeNpy } from "./tensors.js";

export { Activations, LayerscopeError, readNpy, readSafetensors, Tensor, writeNpy };

/** @typedef {import("./contract.d.ts").components["schemas"]} Schemas */
/** @typedef {import("./contract.d.ts").operations} Operations */
/** @typedef {import("./exchange.js").ImageFile} ImageFile */
/** @typedef {import("./exchange.js").Images | Tensor} Images
 *    One image or a batch; for several inputs, either by the name of each. A tensor is fed as it is. */

/** @typedef {{signal?: AbortSignal}} Call */
/** @template {keyof Operations} K @typedef {NonNullable<Operations[K]["parameters"]["query"]>} Query */
/**
 * The options of an operation, as the contract has them; lists may be given as such.
 *
 * @template {keyof Operations} K
 * @typedef {Call & {[N in keyof Query<K> as Exclude<N, "image" | "format">]: N extends "layers" ? string | readonly string[]
 *   : N extends "channels" ? string | number | readonly number[] : Query<K>[N]}} Options
 */
/** @typedef {{blob: Blob, layer: string | null, minimum: number, maximum: number}} Drawing
 *    A picture, the layer it shows, and the values at the ends of its colours. */

const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]*$/;

/** A Layerscope service. Every call rejects with a `LayerscopeError`, or an `AbortError` once its `signal` is aborted. */
export class Client {
  #exchange;
  #uploads;

  /**
   * @param {string | URL} [address] - Where the service is; a path before `/v1` may be part of it.
   * @param {object} [options]
   * @param {string} [options.apiKey] - Sent as a bearer token.
   * @param {number} [options.retries] - How often a request is sent again while the service says it is busy (429,
   *   503), after the time it asks for. A pause of more than 30 s is not waited for.
   * @param {typeof fetch} [options.fetch] - What sends requests, instead of the global `fetch`.
   */
  constructor(address = "http://127.0.0.1:8000", options = {}) {
    this.#exchange = new Exchange(address, options);
    this.#uploads = new Uploads(this.#exchange);
  }

  /**
   * Name a model, without asking whether it exists.
   *
   * @param {string} name - `name` (its default version), `name@3` or `name@label`.
   */
  model(name) {
    if (!MODEL_NAME.test(name)) throw new RangeError(`A model is named as name, name@version or name@label, not ${name}.`);
    return new Model(name, this.#exchange, this.#uploads);
  }

  /** Every model with its versions, loaded or not. @param {Call} [call] @returns {Promise<Schemas["ModelRow"][]>} */
  async models(call) {
    return (await this.#exchange.json("/v1/models", call)).models;
  }

  /** Every bound the service enforces. @param {Call} [call] @returns {Promise<Schemas["LimitRow"][]>} */
  async limits(call) {
    return (await this.#exchange.json("/v1/limits", call)).limits;
  }

  /** The names that `colormap` takes. @param {Call} [call] @returns {Promise<string[]>} */
  async colormaps(call) {
    return (await this.#exchange.json("/v1/colormaps", call)).colormaps;
  }

  /** Every attribution method, with its options. @param {Call} [call] @returns {Promise<Schemas["MethodRow"][]>} */
  async attributionMethods(call) {
    return (await this.#exchange.json("/v1/attributions", call)).methods;
  }

  /** The versions of what computes. @param {Call} [call] @returns {Promise<Schemas["VersionInfo"]>} */
  async version(call) {
    return this.#exchange.json("/v1/version", call);
  }

  /** Whether the process answers. @param {Call} [call] @returns {Promise<Schemas["Liveness"]>} */
  async live(call) {
    return this.#exchange.json("/v2/health/live", call);
  }

  /** Whether every model is loaded or has failed. @param {Call} [call] @returns {Promise<Schemas["Readiness"]>} */
  async ready(call) {
    return this.#exchange.json("/v2/health/ready", call);
  }

  /**
   * Send a model file, which becomes the next version of a model, or is one already.
   *
   * @param {Blob} file - A .keras or .h5 file.
   * @param {string} name - What to call the model.
   * @param {Call & {declaration?: Record<string, unknown>, load?: boolean}} [options] - `declaration` as in a `layerscope.json`.
   * @returns {Promise<Schemas["UploadBody"]>}
   */
  async addModel(file, name, { declaration, load = true, signal } = {}) {
    const body = new FormData();
    body.set("model", file);
    body.set("name", name);
    body.set("load", String(load));
    if (declaration) body.set("declaration", JSON.stringify(declaration));
    return this.#exchange.json("/v1/models", { method: "POST", body, signal });
  }

  /**
   * Store an image, or renew the time of one that is stored. Calls on models do this by themselves.
   *
   * @param {ImageFile} file
   * @param {Call} [call]
   * @returns {Promise<Schemas["ImageBody"]>}
   */
  upload(file, call) {
    return this.#uploads.upload(file, call);
  }

  /** What is known of a stored image. @param {string} id @param {Call} [call] @returns {Promise<Schemas["ImageBody"]>} */
  async image(id, call) {
    return this.#exchange.json(imagePath(id), call);
  }

  /**
   * A small picture of a stored image.
   *
   * @param {string} id
   * @param {Options<"thumbnail">} [options]
   * @returns {Promise<Blob>}
   */
  async thumbnail(id, { signal, ...query } = {}) {
    const response = await this.#exchange.send(`${imagePath(id)}/thumbnail.png`, { query, signal });
    return read(signal, () => response.blob());
  }

  /** Delete a stored image. @param {string} id @param {Call} [call] @returns {Promise<void>} */
  async forget(id, call) {
    await this.#exchange.send(imagePath(id), { method: "DELETE", ...call });
  }
}

/** A model of the service, made by `Client.model`. */
export class Model {
  #path;
  #exchange;
  #uploads;

  /** @param {string} name @param {Exchange} exchange @param {Uploads} uploads */
  constructor(name, exchange, uploads) {
    this.name = name;
    this.#path = `/v1/models/${name}`;
    this.#exchange = exchange;
    this.#uploads = uploads;
  }

  /** Inputs, outputs, preprocessing, class names, parameters. @param {Call} [call] @returns {Promise<Schemas["ModelBody"]>} */
  async describe(call) {
    return this.#exchange.json(this.#path, call);
  }

  /** Nodes, edges and nested groups, for drawing. @param {Call} [call] @returns {Promise<Schemas["GraphBody"]>} */
  async graph(call) {
    return this.#exchange.json(`${this.#path}/graph`, call);
  }

  /**
   * The layers that match any selector, such as `conv*` or `type:Conv2D`; without any, all.
   *
   * @param {string | readonly string[]} [layers]
   * @param {Call} [call]
   * @returns {Promise<Schemas["LayerList"]>}
   */
  async layers(layers, call) {
    return this.#exchange.json(`${this.#path}/layers`, { query: { layers }, ...call });
  }

  /**
   * The values of layers for a batch of images, bit exact unless options say otherwise.
   *
   * @param {Images} images
   * @param {Options<"get_activations">} options
   * @returns {Promise<Activations>}
   */
  async activations(images, options) {
    const response = await this.#ask("activations", images, { ...options, format: "safetensors" });
    return read(options.signal, async () => Activations.of(await response.arrayBuffer()));
  }

  /**
   * What `activations` would be and take, and whether it would be refused. The model is not run.
   *
   * @param {Images | number} images - Or only how many, where the model takes images of one size.
   * @param {Options<"get_plan">} options
   * @returns {Promise<Schemas["PlanBody"]>}
   */
  async plan(images, options) {
    const sized = typeof images === "number" ? { ...options, batch: images } : options;
    return this.#asked("plan", typeof images === "number" ? [] : images, { ...sized, format: "safetensors" });
  }

  /** The best classes of every output. @param {Images} images @param {Options<"get_predictions">} [options]
   * @returns {Promise<Schemas["PredictionsBody"]>} */
  async predictions(images, options) {
    return this.#asked("predictions", images, options);
  }

  /** What the values of layers and channels are like. @param {Images} images @param {Options<"get_statistics">} [options]
   * @returns {Promise<Schemas["StatisticsBody"]>} */
  async statistics(images, options) {
    return this.#asked("statistics", images, options);
  }

  /**
   * Predictions, statistics, and links to every picture and tensor, from one run.
   *
   * @param {Images} images
   * @param {Options<"post_inspect">} [options]
   * @returns {Promise<Schemas["InspectionBody"]>}
   */
  async inspect(images, options) {
    const response = await this.#ask("inspect", images, { ...options }, "POST");
    return read(options?.signal, () => response.json());
  }

  /**
   * Which part of each input a unit of a layer sees. The model is not run.
   *
   * @param {Options<"get_receptive_field">} options
   * @param {Images} [images] - Where the model takes images of any size, or to have it in pixels of the image.
   * @returns {Promise<Schemas["ReceptiveFieldBody"]>}
   */
  async receptiveField(options, images = []) {
    return this.#asked("receptive-field", images, options);
  }

  /**
   * Where in an image the reasons for an output lie.
   *
   * @param {Images} images
   * @param {Options<"get_attribution"> & {method: string, onProgress?: (done: number, total: number) => void}} options -
   *   `method` is one of `Client.attributionMethods`; `onProgress` is called while slow ones work.
   * @returns {Promise<Activations>} Heat maps, of shape (images, height, width), of the only layer; `attribution` tells of what.
   */
  async attribution(images, { method, onProgress, ...options }) {
    const resource = `attributions/${encodeURIComponent(method)}`;
    if (!onProgress) {
      const response = await this.#ask(resource, images, { ...options, format: "safetensors" });
      return read(options.signal, async () => Activations.of(await response.arrayBuffer()));
    }
    const response = await this.#ask(resource, images, options, "GET", "application/x-ndjson");
    return read(options.signal, async () => {
      for await (const line of jsonLines(response)) {
        if (line.progress) onProgress(line.progress.done, line.progress.total);
        else if (line.result) return Activations.ofJson(line.result);
        else throw LayerscopeError.of(line, response);
      }
      throw new SyntaxError("The stream ends without a result.");
    });
  }

  /** One channel of a layer, or a grid of several, or several layers, drawn. @param {Images} image @param {Options<"get_feature_map">} options */
  async featureMap(image, options) {
    return this.#drawn("feature-map.png", image, options);
  }

  /**
   * What lies where in the picture that `featureMap` gives for the same options.
   *
   * @param {Images} image
   * @param {Options<"get_atlas">} options
   * @returns {Promise<Schemas["AtlasBody"]>}
   */
  async atlas(image, options) {
    return this.#asked("feature-map.json", image, options);
  }

  /** A map of a layer over the picture. @param {Images} image @param {Options<"get_overlay">} options */
  async overlay(image, options) {
    return this.#drawn("overlay.png", image, options);
  }

  /** A row a layer: how its values are spread. @param {Images} images @param {Options<"get_statistics_picture">} [options] */
  async statisticsPicture(images, options) {
    return this.#drawn("statistics.png", images, options);
  }

  /** A heat map over the picture. @param {Images} image @param {Options<"get_attribution_picture"> & {method: string}} options */
  async attributionPicture(image, { method, ...options }) {
    return this.#drawn(`attributions/${encodeURIComponent(method)}.png`, image, options);
  }

  /** Load a version as its files are now, in place of itself too. @param {Call} [call] @returns {Promise<Schemas["NamedVersionBody"]>} */
  async load(call) {
    return this.#exchange.json(`${this.#path}/load`, { method: "POST", ...call });
  }

  /** Take a version out of memory once nobody uses it. @param {Call} [call] @returns {Promise<Schemas["NamedVersionBody"]>} */
  async unload(call) {
    return this.#exchange.json(`${this.#path}/unload`, { method: "POST", ...call });
  }

  /** Remove this version, which was sent; it is named as `name@version`. @param {Call} [call] @returns {Promise<void>} */
  async remove(call) {
    await this.#exchange.send(this.#path, { method: "DELETE", ...call });
  }

  /** Let a label point at this version. @param {string} label @param {Call} [call] @returns {Promise<Schemas["LabelsBody"]>} */
  async setLabel(label, call) {
    return this.#exchange.json(`${this.#path}/labels/${encodeURIComponent(label)}`, { method: "PUT", ...call });
  }

  /** Let a label point at nothing; the model is named without a version. @param {string} label @param {Call} [call] @returns {Promise<void>} */
  async removeLabel(label, call) {
    await this.#exchange.send(`${this.#path}/labels/${encodeURIComponent(label)}`, { method: "DELETE", ...call });
  }

  /**
   * The address of what a GET answers, for links and `<img src>`.
   *
   * @param {string} resource - Such as `feature-map.png`.
   * @param {{id: string} | string} image - A stored image.
   * @param {Record<string, unknown>} options
   */
  url(resource, image, options) {
    return this.#exchange.url(`${this.#path}/${resource}`, { image: idOf(image), ...options });
  }

  /** @param {string} resource @param {Images} images @param {Record<string, unknown>} options @returns {Promise<Drawing>} */
  async #drawn(resource, images, options = {}) {
    const response = await this.#ask(resource, images, options);
    const ends = ["x-value-min", "x-value-max"].map((name) => Number(response.headers.get(name) ?? NaN));
    const blob = await read(/** @type {AbortSignal} */ (options.signal), () => response.blob());
    return { blob, layer: response.headers.get("x-layer"), minimum: ends[0], maximum: ends[1] };
  }

  /** @param {string} resource @param {Images} images @param {Call & Record<string, unknown>} [options] @returns {Promise<any>} */
  async #asked(resource, images, options) {
    const response = await this.#ask(resource, images, options);
    return read(options?.signal, () => response.json());
  }

  /** @param {string} resource @param {Images} images @param {Call & Record<string, unknown>} [options] @param {string} [method] @param {string} [accept] */
  async #ask(resource, images, { signal, ...query } = {}, method = "GET", accept) {
    const path = `${this.#path}/${resource}`;
    if (images instanceof Tensor) {
      const request = { method: "POST", query, body: writeNpy(images), type: "application/x-npy", accept, signal };
      return this.#exchange.send(path, request);
    }
    return this.#uploads.use(images, signal, (ids) => {
      if (method === "GET" && Array.isArray(ids)) {
        return this.#exchange.send(path, { query: { image: ids, ...query }, accept, signal });
      }
      const body = JSON.stringify(Array.isArray(ids) ? { images: byId(ids) } : { inputs: Object.fromEntries(Object.entries(ids).map(([name, each]) => [name, byId(each)])) });
      return this.#exchange.send(path, { method: "POST", query, body, type: "application/json", accept, signal });
    });
  }
}

/** @param {string[]} ids */
function byId(ids) {
  return ids.map((id) => ({ id }));
}
