/**
 * A model of a service: its layers, and what they make of images.
 *
 * @module
 */

import { Activations, Attribution, Tensor, writeNpy } from "./tensors.js";
import { idOf, imagesBody, jsonLines, LayerscopeError, read } from "./transport.js";

/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").Uploads} Uploads */
/** @typedef {import("./contract.d.ts").components["schemas"]} Schemas */
/** @typedef {import("./contract.d.ts").operations} Operations */
/** @typedef {import("./transport.js").ImageFile} ImageFile */
/** @typedef {import("./transport.js").Images | Tensor} Images
 *    One image, text or tensor, or a batch; for a model with several inputs, these by the name of each. A tensor is not preprocessed. */

/** @typedef {{signal?: AbortSignal}} Call */
/** @template {keyof Operations} K @typedef {NonNullable<Operations[K]["parameters"]["query"]>} Query */
/**
 * The options of an operation, as in the OpenAPI contract; `layers` and `channels` can also be arrays.
 *
 * @template {keyof Operations} K
 * @typedef {Call & {[N in keyof Query<K> as Exclude<N, "image" | "format">]: N extends "layers" ? string | readonly string[]
 *   : N extends "channels" ? string | number | readonly number[] : Query<K>[N]}} Options
 */
/** @typedef {{blob: Blob, layer: string | null, minimum: number, maximum: number}} Drawing
 *    A picture, the address of its layer, and the values of its first and last colour; NaN if they are unknown. */

/**
 * The picture of an answer.
 * @param {Response} response
 * @param {AbortSignal} [signal]
 * @returns {Promise<Drawing>}
 */
export async function drawingOf(response, signal) {
  const ends = ["x-value-min", "x-value-max"].map((name) => Number(response.headers.get(name) ?? NaN));
  const blob = await read(signal, () => response.blob());
  return { blob, layer: response.headers.get("x-layer"), minimum: ends[0], maximum: ends[1] };
}

/** A model of the service, made by `Client.model`. */
export class Model {
  #path;
  #transport;
  #uploads;

  /** @param {string} name @param {Transport} transport @param {Uploads} uploads */
  constructor(name, transport, uploads) {
    this.name = name;
    this.#path = `/v1/models/${name}`;
    this.#transport = transport;
    this.#uploads = uploads;
  }

  /** Inputs, outputs, preprocessing, class names, parameters. @param {Call} [call] @returns {Promise<Schemas["ModelBody"]>} */
  async describe(call) {
    return this.#transport.json(this.#path, call);
  }

  /** Nodes, edges and nested groups, for drawing. @param {Call} [call] @returns {Promise<Schemas["GraphBody"]>} */
  async graph(call) {
    return this.#transport.json(`${this.#path}/graph`, call);
  }

  /**
   * The layers that match any selector, such as `conv*` or `type:Conv2D`; all layers without a selector.
   * @param {string | readonly string[]} [layers]
   * @param {Call} [call]
   * @returns {Promise<Schemas["LayerList"]>}
   */
  async layers(layers, call) {
    return this.#transport.json(`${this.#path}/layers`, { query: { layers }, ...call });
  }

  /**
   * The values of layers for a batch of images, bit exact unless options say otherwise.
   * @param {Images} images
   * @param {Options<"get_activations">} options
   * @returns {Promise<Activations>}
   */
  async activations(images, options) {
    const response = await this.#send("activations", images, { ...options, format: "safetensors" });
    return read(options.signal, async () => Activations.of(await response.arrayBuffer()));
  }

  /**
   * The shapes, bytes and memory that `activations` would have, and whether it would be refused. The model is not run.
   * @param {Images | number} images - The images, or only their number if the model takes images of one size.
   * @param {Options<"get_plan">} options
   * @returns {Promise<Schemas["PlanBody"]>}
   */
  async plan(images, options) {
    const sized = typeof images === "number" ? { ...options, batch: images } : options;
    return this.#json("plan", typeof images === "number" ? [] : images, { ...sized, format: "safetensors" });
  }

  /** The best classes of every output, for each image. @param {Images} images @param {Options<"get_predictions">} [options]
   * @returns {Promise<Schemas["PredictionsBody"]>} */
  async predictions(images, options) {
    return this.#json("predictions", images, options);
  }

  /** Statistics and histograms of layers and channels, over all images. @param {Images} images @param {Options<"get_statistics">} [options]
   * @returns {Promise<Schemas["StatisticsBody"]>} */
  async statistics(images, options) {
    return this.#json("statistics", images, options);
  }

  /** How far two images are apart in every layer. @param {Images} images - Two. @param {Options<"get_image_comparison">} [options]
   * @returns {Promise<Schemas["ImageComparisonBody"]>} */
  async compare(images, options) {
    return this.#json("compare", images, options);
  }

  /** A picture of that, one row per layer. @param {Images} images @param {Options<"get_image_comparison_picture">} [options] */
  async comparisonPicture(images, options) {
    return this.#picture("compare.png", images, options);
  }

  /**
   * Predictions, statistics, and links to every picture and tensor, from one run.
   * @param {Images} images
   * @param {Options<"post_inspect">} [options]
   * @returns {Promise<Schemas["InspectionBody"]>}
   */
  async inspect(images, options) {
    const response = await this.#send("inspect", images, { ...options }, "POST");
    return read(options?.signal, () => response.json());
  }

  /**
   * The receptive field of a unit: the part of each input that it depends on. The model is not run.
   * @param {Options<"get_receptive_field">} options
   * @param {Images} [images] - Needed if the model takes images of any size, or for positions in pixels of the image.
   * @returns {Promise<Schemas["ReceptiveFieldBody"]>}
   */
  async receptiveField(options, images = []) {
    return this.#json("receptive-field", images, options);
  }

  /**
   * An attribution: heat maps of the parts of an image, signal, text or vector that an output depends on.
   * @param {Images} images
   * @param {Options<"get_attribution"> & {method: string, onProgress?: (done: number, total: number) => void}} options -
   *   `method` is the name of one of `Client.attributionMethods`; `onProgress` is called during slow ones.
   * @returns {Promise<Attribution>} One layer of heat maps, (images, *places), with `axes` that say what it counts; `attribution` describes what they explain.
   */
  async attribution(images, { method, onProgress, ...options }) {
    const resource = `attributions/${encodeURIComponent(method)}`;
    if (!onProgress) {
      const response = await this.#send(resource, images, { ...options, format: "safetensors" });
      return read(options.signal, async () => Attribution.of(await response.arrayBuffer()));
    }
    return Attribution.ofJson(await this.#streamed(resource, images, options, { progress: onProgress }));
  }

  /**
   * What each channel or place of a layer, or each of several layers, does for an output: it is taken away, and the loss measured.
   * @param {Images} images
   * @param {Options<"get_ablations"> & {onProgress?: (done: number, total: number) => void,
   *   onPartial?: (partial: {image: number, effects: any[]}) => void}} options - Either callback is called during slow sweeps.
   * @returns {Promise<Schemas["AblationBody"]>}
   */
  async ablations(images, { onProgress, onPartial, ...options }) {
    if (!onProgress && !onPartial) return this.#json("ablations", images, options);
    return this.#streamed("ablations", images, options, { progress: onProgress, partial: onPartial });
  }

  /** A picture of that: bars, or for places a grid over the image. @param {Images} image @param {Options<"get_ablations_picture">} options */
  async ablationsPicture(image, options) {
    return this.#picture("ablations.png", image, options);
  }

  /**
   * What edits do: outputs before and after, what a target loses, and the change of each layer.
   * @param {Images} images
   * @param {Options<"get_interventions">} options - With `edit`.
   * @returns {Promise<Schemas["InterventionBody"]>}
   */
  async interventions(images, options) {
    return this.#json("interventions", images, options);
  }

  /** A picture of one channel of a layer, of several channels, or of several layers. @param {Images} image @param {Options<"get_feature_map">} options */
  async featureMap(image, options) {
    return this.#picture("feature-map.png", image, options);
  }

  /**
   * The sprite atlas: position and range of every tile of the picture that `featureMap` returns for the same options.
   * @param {Images} image
   * @param {Options<"get_atlas">} options
   * @returns {Promise<Schemas["AtlasBody"]>}
   */
  async atlas(image, options) {
    return this.#json("feature-map.json", image, options);
  }

  /** A picture of one channel of a layer over the image. @param {Images} image @param {Options<"get_overlay">} options */
  async overlay(image, options) {
    return this.#picture("overlay.png", image, options);
  }

  /** A picture of the statistics of layers, one row per layer. @param {Images} images @param {Options<"get_statistics_picture">} [options] */
  async statisticsPicture(images, options) {
    return this.#picture("statistics.png", images, options);
  }

  /** A picture of a heat map over the image. @param {Images} image @param {Options<"get_attribution_picture"> & {method: string}} options */
  async attributionPicture(image, { method, ...options }) {
    return this.#picture(`attributions/${encodeURIComponent(method)}.png`, image, options);
  }

  /** Load a version from its files; a loaded one is replaced. @param {Call} [call] @returns {Promise<Schemas["NamedVersionBody"]>} */
  async load(call) {
    return this.#transport.json(`${this.#path}/load`, { method: "POST", ...call });
  }

  /** Unload a version after the requests that use it. @param {Call} [call] @returns {Promise<Schemas["NamedVersionBody"]>} */
  async unload(call) {
    return this.#transport.json(`${this.#path}/unload`, { method: "POST", ...call });
  }

  /** Delete this version, which must have been uploaded and be named as `name@version`. @param {Call} [call] @returns {Promise<void>} */
  async remove(call) {
    await this.#transport.send(this.#path, { method: "DELETE", ...call });
  }

  /** Set a label to this version. @param {string} label @param {Call} [call] @returns {Promise<Schemas["LabelsBody"]>} */
  async setLabel(label, call) {
    return this.#transport.json(`${this.#path}/labels/${encodeURIComponent(label)}`, { method: "PUT", ...call });
  }

  /** Remove a label; the model must be named without a version. @param {string} label @param {Call} [call] @returns {Promise<void>} */
  async removeLabel(label, call) {
    await this.#transport.send(`${this.#path}/labels/${encodeURIComponent(label)}`, { method: "DELETE", ...call });
  }

  /**
   * The address of a resource that GET returns, for links and `<img src>`.
   * @param {string} resource - Such as `feature-map.png`.
   * @param {{id: string} | string} image - A stored image.
   * @param {Record<string, unknown>} options
   */
  url(resource, image, options) {
    return this.#transport.url(`${this.#path}/${resource}`, { image: idOf(image), ...options });
  }

  /** @param {string} resource @param {Images} images @param {Record<string, unknown>} options @returns {Promise<Drawing>} */
  async #picture(resource, images, options = {}) {
    return drawingOf(await this.#send(resource, images, options), /** @type {AbortSignal} */ (options.signal));
  }

  /** @param {string} resource @param {Images} images @param {Call & Record<string, unknown>} [options] @returns {Promise<any>} */
  async #json(resource, images, options) {
    const response = await this.#send(resource, images, options);
    return read(options?.signal, () => response.json());
  }

  /**
   * The result of a stream, whose other events go to callbacks.
   * @param {string} resource @param {Images} images @param {Call & Record<string, unknown>} options
   * @param {{progress?: (done: number, total: number) => void, partial?: (partial: any) => void}} callbacks
   * @returns {Promise<any>}
   */
  async #streamed(resource, images, options, { progress, partial }) {
    const response = await this.#send(resource, images, options, "GET", "application/x-ndjson");
    return read(options.signal, async () => {
      for await (const line of jsonLines(response)) {
        if (line.progress) progress?.(line.progress.done, line.progress.total);
        else if (line.partial) partial?.(line.partial);
        else if (line.result) return line.result;
        else throw LayerscopeError.of(line, response);
      }
      throw new SyntaxError("The stream ends without a result.");
    });
  }

  /** @param {string} resource @param {Images} images @param {Call & Record<string, unknown>} [options] @param {string} [method] @param {string} [accept] */
  async #send(resource, images, { signal, ...query } = {}, method = "GET", accept) {
    const path = `${this.#path}/${resource}`;
    if (images instanceof Tensor) {
      const request = { method: "POST", query, body: writeNpy(images), type: "application/x-npy", accept, signal };
      return this.#transport.send(path, request);
    }
    return this.#uploads.use(images, signal, (ids) => {
      if (method === "GET" && Array.isArray(ids)) {
        return this.#transport.send(path, { query: { image: ids, ...query }, accept, signal });
      }
      return this.#transport.send(path, { method: "POST", query, body: imagesBody(ids), type: "application/json", accept, signal });
    });
  }
}
