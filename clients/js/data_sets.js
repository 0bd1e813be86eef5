/**
 * Data sets: lists of images that the service has frozen under a name.
 *
 * @module
 */

import { read } from "./transport.js";

/** @typedef {import("./contract.d.ts").components["schemas"]} Schemas */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./model.js").Call} Call */

const PATH = "/v1/datasets";

/** The data sets of a service, `Client.datasets`. An image of one is named `dataset:NAME/NUMBER` in all calls. */
export class DataSets {
  #transport;

  /** @param {Transport} transport */
  constructor(transport) {
    this.#transport = transport;
  }

  /**
   * Freeze the list of images of a data set under a name. The same list under the same name again changes nothing.
   * @param {string} name - Lower case letters, digits, dots, dashes and underscores.
   * @param {string} data - Where its images are, such as `photos:2026/`: a place that the operator has named, and what is below it.
   * @param {Call & {labels?: string}} [options] - `labels` is `folders`, `column:NAME`, `csv:photos:labels.csv` or `none`.
   * @returns {Promise<Schemas["DataSetBody"]>}
   */
  async create(name, data, { labels = "none", signal } = {}) {
    const body = JSON.stringify({ name, data, labels });
    return this.#transport.json(PATH, { method: "POST", body, type: "application/json", signal });
  }

  /** Every data set, by name. @param {Call} [call] @returns {Promise<Schemas["DataSetRow"][]>} */
  async list(call) {
    /** @type {Schemas["DataSetRow"][]} */
    const found = [];
    for (let start = 0; start !== null; ) {
      const page = await this.#transport.json(PATH, { query: { start }, ...call });
      found.push(...page.datasets);
      start = page.next;
    }
    return found;
  }

  /** What is known of a data set, with its labels. @param {string} name @param {Call} [call] @returns {Promise<Schemas["DataSetBody"]>} */
  async get(name, call) {
    return this.#transport.json(pathOf(name), call);
  }

  /**
   * Some of the images of a data set, in their order.
   * @param {string} name
   * @param {Call & {start?: number, limit?: number}} [options] - The number of the first one, and most of them.
   * @returns {Promise<Schemas["DataSetImages"]>}
   */
  async rows(name, { signal, ...query } = {}) {
    return this.#transport.json(`${pathOf(name)}/rows`, { query, signal });
  }

  /** An image of a data set: its path, label, size and type. @param {string} name @param {number} number @param {Call} [call]
   * @returns {Promise<Schemas["DataSetImageBody"]>} */
  async row(name, number, call) {
    return this.#transport.json(`${pathOf(name)}/rows/${number}`, call);
  }

  /** A small picture of an image of a data set. @param {string} name @param {number} number @param {Call & {side?: number}} [options]
   * @returns {Promise<Blob>} */
  async thumbnail(name, number, { signal, ...query } = {}) {
    const response = await this.#transport.send(`${pathOf(name)}/rows/${number}/thumbnail.png`, { query, signal });
    return read(signal, () => response.blob());
  }

  /** Forget a data set. Its images stay where they are. @param {string} name @param {Call} [call] @returns {Promise<void>} */
  async delete(name, call) {
    await this.#transport.send(pathOf(name), { method: "DELETE", ...call });
  }
}

/** @param {string} name */
function pathOf(name) {
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(name)) throw new RangeError(`A data set cannot be named ${name}.`);
  return `${PATH}/${name}`;
}
