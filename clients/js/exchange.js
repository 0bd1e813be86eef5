/**
 * What is sent and what comes back: requests, retries, errors with a code, and images that are sent once.
 *
 * @module
 */

/** @typedef {import("./contract.d.ts").components["schemas"]["ImageBody"]} StoredImage */
/** @typedef {Blob | ArrayBuffer | Uint8Array<ArrayBuffer>} ImageFile */
/** @typedef {string | {id: string} | ImageFile} Picture
 *    The id of a stored image, the answer of an upload, or an image file. */
/** @typedef {Picture | readonly Picture[]} Pictures */
/** @typedef {Pictures | {readonly [input: string]: Pictures}} Images */

/** The longest pause before a request is sent again, in seconds. Who asks for more is not asked again. */
const MOST_PAUSE = 30;

const FIRST_PAUSE = 0.5;
const BUSY = new Set([429, 503]);
const STORED_ID = /^sha256-[0-9a-f]{64}$/;

/** Everything that a call can reject with, apart from an `AbortError` when its `signal` is aborted. */
export class LayerscopeError extends Error {
  /**
   * @param {string} code - A stable name, such as `layer_not_found`: see docs/errors.md. Of this client's own:
   *   `connection_failed` when no answer comes, `answer_unreadable` when it is not what the service answers.
   * @param {string} message - One sentence to act on.
   * @param {{status?: number, details?: Record<string, any>, requestId?: string | null, cause?: unknown}} [about]
   */
  constructor(code, message, about = {}) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause });
    this.name = "LayerscopeError";
    this.code = code;
    /** The HTTP status; undefined if none came. */
    this.status = about.status;
    /** The figures and names in the sentence. @type {Record<string, any>} */
    this.details = about.details ?? {};
    /** What the log of the service calls the request. */
    this.requestId = about.requestId ?? undefined;
  }

  /**
   * The error that the JSON of an answer stands for, if there is any.
   *
   * @param {any} body
   * @param {Response} response
   */
  static of(body, response) {
    const message = body?.error ?? `The service answered ${`${response.status} ${response.statusText}`.trimEnd()}.`;
    const requestId = response.headers.get("x-request-id") ?? body?.request_id;
    const about = { status: response.status, details: body?.details, requestId };
    return new LayerscopeError(body?.code ?? `http_${response.status}`, message, about);
  }
}

/**
 * @typedef {object} Request
 * @property {string} [method] - By default GET.
 * @property {Record<string, unknown>} [query] - What is null or undefined is left out.
 * @property {BodyInit} [body]
 * @property {string} [type] - Of the body.
 * @property {string} [accept]
 * @property {AbortSignal} [signal]
 */

/** Sends requests below one address. */
export class Exchange {
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
   * Send a request, again while the service is busy, and return what answers it.
   *
   * @param {string} path
   * @param {Request} request
   * @returns {Promise<Response>}
   * @throws {LayerscopeError}
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
   * Send a request that JSON answers.
   *
   * @param {string} path
   * @param {Request} [request]
   * @returns {Promise<any>}
   * @throws {LayerscopeError}
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

/** Which files the service has been sent. A file counts as the same as long as it is the same object. */
export class Uploads {
  /** @type {WeakMap<ImageFile, string>} */
  #ids = new WeakMap();
  #exchange;

  /** @param {Exchange} exchange */
  constructor(exchange) {
    this.#exchange = exchange;
  }

  /**
   * Send an image file, whether or not it was sent before.
   *
   * @param {ImageFile} file
   * @param {{signal?: AbortSignal}} [call]
   * @returns {Promise<StoredImage>}
   */
  async upload(file, call) {
    const request = { method: "POST", body: file, type: "application/octet-stream", ...call };
    const stored = await this.#exchange.json("/v1/images", request);
    this.#ids.set(file, stored.id);
    return stored;
  }

  /**
   * Ask for something by the ids of images, sending those that the service does not have, or has forgotten.
   *
   * @template T
   * @param {Images} images
   * @param {AbortSignal | undefined} signal
   * @param {(ids: string[] | Record<string, string[]>) => Promise<T>} ask
   * @returns {Promise<T>}
   */
  async use(images, signal, ask) {
    try {
      return await ask(await this.#idsOf(images, signal));
    } catch (error) {
      const files = picturesIn(images).filter(isFile);
      if (!(error instanceof LayerscopeError) || error.code !== "image_not_found" || !files.length) throw error;
      for (const file of files) this.#ids.delete(file);
    }
    return ask(await this.#idsOf(images, signal));
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

/** Where a stored image is described. @param {string | {id: string}} image */
export function imagePath(image) {
  return `/v1/images/${idOf(image)}`;
}

/** The id of a stored image. @param {string | {id: string}} image */
export function idOf(image) {
  const id = typeof image === "string" ? image : image.id;
  if (!STORED_ID.test(id)) throw new RangeError(`The id of an image is sha256- and 64 hexadecimal digits, not ${id}.`);
  return id;
}

/**
 * Read an answer.
 *
 * @template T
 * @param {AbortSignal | undefined} signal
 * @param {() => T | Promise<T>} reading
 * @returns {Promise<T>}
 * @throws {LayerscopeError} It says something else than it should, or is cut off.
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
 * Read lines of JSON as they come.
 *
 * @param {Response} response
 * @returns {AsyncGenerator<any>}
 */
export async function* jsonLines(response) {
  const decoder = new TextDecoder();
  let rest = "";
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const lines = (rest + decoder.decode(piece.value, { stream: true })).split("\n");
    rest = /** @type {string} */ (lines.pop());
    for (const line of lines) yield JSON.parse(line);
  }
  if (rest) throw new SyntaxError("The stream is cut off.");
}

/** Lists are joined by commas; `layers` and `image` are repeated, since a pattern may have a comma of its own.
 * @param {[string, unknown]} option @returns {[string, string][]} */
function parameters([name, value]) {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && (name === "layers" || name === "image")) return value.map((each) => [name, String(each)]);
  return [[name, String(value)]];
}

/** Seconds to wait before a request is sent again; undefined where its answer is final.
 * @param {Response} response @param {number} attempt @param {number} retries */
function pauseAfter(response, attempt, retries) {
  if (!BUSY.has(response.status) || attempt >= retries) return undefined;
  const asked = response.headers.get("retry-after");
  if (asked === null) return Math.min(FIRST_PAUSE * 2 ** attempt, MOST_PAUSE);
  const seconds = Number.isFinite(Number(asked)) ? Number(asked) : (Date.parse(asked) - Date.now()) / 1000;
  return seconds > MOST_PAUSE || Number.isNaN(seconds) ? undefined : Math.max(seconds, 0);
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
