/**
 * Transport: requests, retries while the service is busy, errors with a code, and images that are uploaded once.
 *
 * @module
 */

import { Tensor, writeNpy } from "./tensors.js";

/** @typedef {import("./contract.d.ts").components["schemas"]["ImageBody"]} StoredImage */
/** @typedef {Blob | ArrayBuffer | Uint8Array<ArrayBuffer>} ImageFile */
/** @typedef {string | {id: string} | ImageFile | Text | Tokens} Picture
 *    The id of a stored image, the answer of an upload, an image of a data set such as `dataset:val/17`, an image file, or for a
 *    model with a tokenizer a text. */
/** @typedef {Picture | readonly Picture[]} Pictures */
/** @typedef {Pictures | {readonly [input: string]: Pictures | Tensor}} Images */
/** @typedef {string[] | Record<string, string[] | Tensor>} Ids
 *    The ids of stored images; for several inputs, these or a tensor by the name of each. */

/** The longest pause before a retry, in seconds. If the service asks for a longer one, the request is not sent again. */
const MAX_PAUSE = 30;

const FIRST_PAUSE = 0.5;
const BUSY = new Set([429, 503]);
const STORED_ID = /^sha256-[0-9a-f]{64}$/;
const OF_DATA_SET = /^dataset:[a-z0-9][a-z0-9._-]*\/\d+$/;

/** The error that a call rejects with, unless its `signal` is aborted: then it is an `AbortError`. */
export class LayerscopeError extends Error {
  /**
   * @param {string} code - A stable name, such as `layer_not_found`, see docs/reference/errors.md. The client itself adds
   *   `connection_failed`, when no answer comes, and `answer_unreadable`, when something else than the service answers.
   * @param {string} message - One sentence that says what to do.
   * @param {{status?: number, details?: Record<string, any>, requestId?: string | null, cause?: unknown}} [context]
   */
  constructor(code, message, context = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = "LayerscopeError";
    this.code = code;
    /** The HTTP status; undefined if no answer came. */
    this.status = context.status;
    /** The numbers and names in the message. @type {Record<string, any>} */
    this.details = context.details ?? {};
    /** The id of the request in the log of the service. */
    this.requestId = context.requestId ?? undefined;
  }

  /**
   * The error for an answer that is not a success.
   *
   * @param {any} body - The JSON of the answer; undefined if it has none.
   * @param {Response} response
   */
  static of(body, response) {
    const message = body?.error ?? `The service answered ${`${response.status} ${response.statusText}`.trimEnd()}.`;
    const requestId = response.headers.get("x-request-id") ?? body?.request_id;
    const context = { status: response.status, details: body?.details, requestId };
    return new LayerscopeError(body?.code ?? `http_${response.status}`, message, context);
  }
}

/**
 * @typedef {object} Request
 * @property {string} [method] - By default GET.
 * @property {Record<string, unknown>} [query] - Parameters; those that are null or undefined are left out.
 * @property {BodyInit} [body]
 * @property {string} [type] - The media type of the body.
 * @property {string} [accept] - The Accept header.
 * @property {AbortSignal} [signal]
 */

/** Sends requests to the resources below one address. */
export class Transport {
  /**
   * @param {string | URL} address
   * @param {{apiKey?: string, retries?: number, fetch?: typeof fetch}} options - See `Client`.
   */
  constructor(address, { apiKey, retries = 3, fetch = globalThis.fetch }) {
    this.address = String(address).replace(/\/+$/, "");
    this.apiKey = apiKey;
    this.retries = retries;
    this.fetch = fetch.bind(globalThis);
  }

  /**
   * The address of a resource.
   *
   * @param {string} path
   * @param {Record<string, unknown>} [query]
   */
  url(path, query = {}) {
    const text = new URLSearchParams(Object.entries(query).flatMap(parameters)).toString();
    return `${this.address}${path}${text && "?"}${text}`;
  }

  /**
   * Send a request, again while the service is busy, and return the answer.
   *
   * @param {string} path
   * @param {Request} request
   * @returns {Promise<Response>}
   * @throws {LayerscopeError} The answer is an error, or none comes.
   */
  async send(path, { method = "GET", query, body, type, accept, signal }) {
    const headers = new Headers();
    if (type) headers.set("Content-Type", type);
    if (accept) headers.set("Accept", accept);
    if (this.apiKey) headers.set("Authorization", `Bearer ${this.apiKey}`);
    for (let attempt = 0; ; attempt += 1) {
      const response = await this.#once(this.url(path, query), { method, headers, body, signal });
      const seconds = pauseAfter(response, attempt, this.retries);
      if (response.ok) return response;
      if (seconds === undefined) throw LayerscopeError.of(await response.json().catch(() => undefined), response);
      await response.body?.cancel();
      await waited(seconds, signal);
    }
  }

  /**
   * Send a request and return the JSON of its answer.
   *
   * @param {string} path
   * @param {Request} [request]
   * @returns {Promise<any>}
   * @throws {LayerscopeError} The answer is an error or no JSON, or none comes.
   */
  async json(path, request = {}) {
    const response = await this.send(path, { accept: "application/json", ...request });
    return read(request.signal, () => response.json());
  }

  /** @param {string} url @param {RequestInit} init */
  async #once(url, init) {
    try {
      return await this.fetch(url, init);
    } catch (cause) {
      if (init.signal?.aborted) throw cause;
      const message = `No answer from ${new URL(url, globalThis.location?.href).origin}: check that the service runs there, and that it lets this page in.`;
      throw new LayerscopeError("connection_failed", message, { cause });
    }
  }
}

/**
 * Read an answer.
 *
 * @template T
 * @param {AbortSignal | undefined} signal
 * @param {() => T | Promise<T>} reading
 * @returns {Promise<T>}
 * @throws {LayerscopeError} The answer has an unexpected content or is cut off.
 */
export async function read(signal, reading) {
  try {
    return await reading();
  } catch (cause) {
    if (signal?.aborted || cause instanceof LayerscopeError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `The answer cannot be read: ${reason} Is this the address of a Layerscope service?`;
    throw new LayerscopeError("answer_unreadable", message, { cause });
  }
}

/**
 * Read a stream of JSON lines, each as soon as it has arrived.
 *
 * @param {Response} response
 * @returns {AsyncGenerator<any>}
 */
export async function* jsonLines(response) {
  const decoder = new TextDecoder();
  let rest = "";
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const lines = (rest + decoder.decode(chunk.value, { stream: true })).split("\n");
    rest = /** @type {string} */ (lines.pop());
    for (const line of lines) yield JSON.parse(line);
  }
  if (rest) throw new SyntaxError("The stream is cut off.");
}

/** Query parameters of an option. Lists are joined by commas; `layers` and `image` are repeated, since a pattern of layers can
 * contain commas.
 * @param {[string, unknown]} option @returns {[string, string][]} */
function parameters([name, value]) {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && (name === "layers" || name === "image")) return value.map((each) => [name, String(each)]);
  return [[name, String(value)]];
}

/** Seconds to wait before a request is sent again; undefined if its answer is final.
 * @param {Response} response @param {number} attempt @param {number} retries */
function pauseAfter(response, attempt, retries) {
  if (!BUSY.has(response.status) || attempt >= retries) return undefined;
  const retryAfter = response.headers.get("retry-after");
  if (retryAfter === null) return Math.min(FIRST_PAUSE * 2 ** attempt, MAX_PAUSE);
  const seconds = Number.isFinite(Number(retryAfter)) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return seconds > MAX_PAUSE || Number.isNaN(seconds) ? undefined : Math.max(seconds, 0);
}

/** @param {number} seconds @param {AbortSignal} [signal] @returns {Promise<void>} */
function waited(seconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** A text, which a call takes like an image: `model.activations(new Text("a film to remember"), { layers: "all" })`. */
export class Text {
  /** @param {string} text - The model's own tokenizer splits it. */
  constructor(text) {
    this.text = text;
  }
}

/** A text as the ids of its tokens, special ones included, which a call takes like an image. */
export class Tokens {
  /** @param {readonly number[]} ids - Numbers of the model's vocabulary. Padding is left to the service. */
  constructor(ids) {
    this.ids = ids;
  }
}

/** The ids of files that were uploaded. Files are compared by object identity, since hashing them would read each again. */
export class Uploads {
  /** @type {WeakMap<ImageFile | Text | Tokens, string>} */
  #ids = new WeakMap();
  #transport;

  /** @param {Transport} transport */
  constructor(transport) {
    this.#transport = transport;
  }

  /**
   * Upload an image file or a text, even if it was uploaded before.
   *
   * @param {ImageFile | Text | Tokens} file
   * @param {{signal?: AbortSignal}} [call]
   * @returns {Promise<StoredImage>}
   */
  async upload(file, call) {
    const request = { method: "POST", ...bodyOf(file), ...call };
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
   * @param {(ids: Ids) => Promise<T>} request
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

  /** @param {Images} images @param {AbortSignal} [signal] @returns {Promise<Ids>} */
  async #idsOf(images, signal) {
    if (isOne(images) || isMany(images)) {
      return Promise.all([images].flat().map((picture) => this.#idOf(/** @type {Picture} */ (picture), signal)));
    }
    const inputs = Object.entries(images).map(async ([name, each]) => [name, each instanceof Tensor ? each : await this.#idsOf(each, signal)]);
    return Object.fromEntries(await Promise.all(inputs));
  }

  /** @param {Picture} picture @param {AbortSignal} [signal] */
  async #idOf(picture, signal) {
    if (isFile(picture)) return this.#ids.get(picture) ?? (await this.upload(picture, { signal })).id;
    return idOf(picture);
  }
}

/** The path of a stored image. @param {string} id */
export function imagePath(id) {
  if (!STORED_ID.test(id)) throw new RangeError(`The id of an image is sha256- and 64 hexadecimal digits, not ${id}.`);
  return `/v1/images/${id}`;
}

/** What names an image in requests: the id of a stored one, or one of a data set. @param {string | {id: string}} image */
export function idOf(image) {
  const id = typeof image === "string" ? image : image.id;
  if (!STORED_ID.test(id) && !OF_DATA_SET.test(id)) {
    throw new RangeError(`An image is named sha256- and 64 hexadecimal digits, or dataset:NAME/NUMBER, not ${id}.`);
  }
  return id;
}

/** @param {Picture} picture @returns {picture is ImageFile | Text | Tokens} */
function isFile(picture) {
  return [Blob, ArrayBuffer, Uint8Array, Text, Tokens].some((kind) => picture instanceof kind);
}

/** What is sent of a file or a text, and its media type. @param {ImageFile | Text | Tokens} file @returns {{body: BodyInit, type: string}} */
function bodyOf(file) {
  if (file instanceof Text) return { body: file.text, type: "text/plain; charset=utf-8" };
  if (file instanceof Tokens) return { body: JSON.stringify({ tokens: [file.ids] }), type: "application/json" };
  return { body: file, type: "application/octet-stream" };
}

/** @param {Images} images @returns {images is Picture} */
function isOne(images) {
  return typeof images === "string" || isFile(/** @type {Picture} */ (images)) || typeof (/** @type {any} */ (images).id) === "string";
}

/** @param {Images} images @returns {images is readonly Picture[]} */
function isMany(images) {
  return Array.isArray(images);
}

/** @param {Images | Tensor} images @returns {Picture[]} */
function picturesIn(images) {
  if (images instanceof Tensor) return [];
  if (isOne(images)) return [images];
  return isMany(images) ? [...images] : Object.values(images).flatMap(picturesIn);
}

/** The JSON body of a request that names images by id. @param {Ids} ids */
export function imagesBody(ids) {
  if (Array.isArray(ids)) return JSON.stringify({ images: named(ids) });
  return JSON.stringify({ inputs: Object.fromEntries(Object.entries(ids).map(([name, each]) => [name, named(each)])) });
}

/** @param {string[] | Tensor} ids */
function named(ids) {
  if (Array.isArray(ids)) return ids.map((id) => ({ id }));
  // In steps: a function takes only so many arguments.
  const bytes = Array.from(writeNpy(ids), (byte) => String.fromCharCode(byte));
  return [{ base64: btoa(bytes.join("")) }];
}
