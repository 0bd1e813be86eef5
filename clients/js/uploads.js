/**
 * Uploads: each image file is sent once and named by its id from then on.
 *
 * @module
 */

import { LayerscopeError } from "./errors.js";

/** @typedef {import("./contract.d.ts").components["schemas"]["ImageBody"]} StoredImage */
/** @typedef {Blob | ArrayBuffer | Uint8Array<ArrayBuffer>} ImageFile */
/** @typedef {string | {id: string} | ImageFile} Picture
 *    The id of a stored image, the answer of an upload, or an image file. */
/** @typedef {Picture | readonly Picture[]} Pictures */
/** @typedef {Pictures | {readonly [input: string]: Pictures}} Images */
/** @typedef {import("./transport.js").Transport} Transport */

const STORED_ID = /^sha256-[0-9a-f]{64}$/;

/** The ids of files that were uploaded. Files are compared by object identity, since hashing them would read each again. */
export class Uploads {
  /** @type {WeakMap<ImageFile, string>} */
  #ids = new WeakMap();
  #transport;

  /** @param {Transport} transport */
  constructor(transport) {
    this.#transport = transport;
  }

  /**
   * Upload an image file, even if it was uploaded before.
   *
   * @param {ImageFile} file
   * @param {{signal?: AbortSignal}} [call]
   * @returns {Promise<StoredImage>}
   */
  async upload(file, call) {
    const request = { method: "POST", body: file, type: "application/octet-stream", ...call };
    const stored = await this.#transport.json("/v1/images", request);
    this.#ids.set(file, stored.id);
    return stored;
  }

  /**
   * Make a request that names images by id. Files are uploaded first, and again if the service has deleted them since.
   *
   * @template T
   * @param {Images} images
   * @param {AbortSignal | undefined} signal
   * @param {(ids: string[] | Record<string, string[]>) => Promise<T>} request
   * @returns {Promise<T>}
   */
  async use(images, signal, request) {
    try {
      return await request(await this.#idsOf(images, signal));
    } catch (error) {
      const files = picturesIn(images).filter(isFile);
      if (!(error instanceof LayerscopeError) || error.code !== "image_not_found" || !files.length) throw error;
      for (const file of files) this.#ids.delete(file);
    }
    return request(await this.#idsOf(images, signal));
  }

  /** @param {Images} images @param {AbortSignal} [signal] @returns {Promise<string[] | Record<string, string[]>>} */
  async #idsOf(images, signal) {
    if (isOne(images) || isMany(images)) {
      return Promise.all([images].flat().map((picture) => this.#idOf(/** @type {Picture} */ (picture), signal)));
    }
    const inputs = Object.entries(images).map(async ([name, pictures]) => [name, await this.#idsOf(pictures, signal)]);
    return Object.fromEntries(await Promise.all(inputs));
  }

  /** @param {Picture} picture @param {AbortSignal} [signal] */
  async #idOf(picture, signal) {
    if (isFile(picture)) return this.#ids.get(picture) ?? (await this.upload(picture, { signal })).id;
    return idOf(picture);
  }
}

/** The path of a stored image. @param {string | {id: string}} image */
export function imagePath(image) {
  return `/v1/images/${idOf(image)}`;
}

/** The id of a stored image. @param {string | {id: string}} image */
export function idOf(image) {
  const id = typeof image === "string" ? image : image.id;
  if (!STORED_ID.test(id)) throw new RangeError(`The id of an image is sha256- and 64 hexadecimal digits, not ${id}.`);
  return id;
}

/** @param {Picture} picture @returns {picture is ImageFile} */
function isFile(picture) {
  return picture instanceof Blob || picture instanceof ArrayBuffer || picture instanceof Uint8Array;
}

/** @param {Images} images @returns {images is Picture} */
function isOne(images) {
  return typeof images === "string" || isFile(/** @type {Picture} */ (images)) || typeof (/** @type {any} */ (images).id) === "string";
}

/** @param {Images} images @returns {images is readonly Picture[]} */
function isMany(images) {
  return Array.isArray(images);
}

/** @param {Images} images @returns {Picture[]} */
function picturesIn(images) {
  if (isOne(images)) return [images];
  return isMany(images) ? [...images] : Object.values(images).flatMap(picturesIn);
}
