/**
 * Jobs: layers of every image of a data set, which processes of the service write to files.
 *
 * @module
 */

import { readSafetensors, Tensor } from "./tensors.js";
import { jsonLines, LayerscopeError, read } from "./transport.js";

/** @typedef {import("./contract.d.ts").components["schemas"]} Schemas */
/** @typedef {import("./model.js").Call} Call */
/** @typedef {import("./contract.d.ts").operations["start_job"]["requestBody"]["content"]["application/json"]} Asked */
/** @typedef {Schemas["JobProgressBody"] & {state: Schemas["JobBody"]["state"]}} Progress */
/** @typedef {{path: string, image: string, layers: Map<string, Tensor>}} Row */

/** The jobs of a service. */
export class Jobs {
  #transport;

  /** @param {import("./transport.js").Transport} transport */
  constructor(transport) {
    this.#transport = transport;
  }

  /**
   * Have a job done. The same options again are the same job: it goes on from what is there.
   * @param {Asked & Call} options - `model`, `layers`, `data` and `to` are needed; see the contract for the others.
   * @returns {Promise<Job>}
   */
  async start({ signal, ...asked }) {
    const request = { method: "POST", body: JSON.stringify(asked), type: "application/json", signal };
    return new Job(await this.#transport.json("/v1/jobs", request), this.#transport);
  }

  /** A page of all jobs, the one that was asked for last first.
   * @param {Call & {start?: number, limit?: number}} [options] @returns {Promise<Job[]>} */
  async list({ signal, ...query } = {}) {
    const { jobs } = await this.#transport.json("/v1/jobs", { query, signal });
    return jobs.map((/** @type {Schemas["JobBody"]} */ each) => new Job(each, this.#transport));
  }

  /** A job by its id. @param {string} id @param {Call} [call] @returns {Promise<Job>} */
  async get(id, call) {
    return new Job(await this.#transport.json(`/v1/jobs/${encodeURIComponent(id)}`, call), this.#transport);
  }
}

/** A job on the service. It goes on whoever follows it, and whether anybody does. */
export class Job {
  #transport;

  /** @param {Schemas["JobBody"]} description - The job as the service described it last.
   * @param {import("./transport.js").Transport} transport */
  constructor(description, transport) {
    this.description = description;
    this.#transport = transport;
  }

  get #path() {
    return `/v1/jobs/${this.description.id}`;
  }

  /**
   * The progress of the job until its end: `for await (const { done, total } of job.progress()) …`
   * @param {Call} [call]
   * @returns {AsyncGenerator<Progress>}
   * @throws {LayerscopeError} The job failed, with its code.
   */
  async *progress(call) {
    const response = await this.#transport.send(this.#path, { ...call, accept: "application/x-ndjson" });
    for await (const line of jsonLines(response)) {
      if (line.result) {
        this.description = line.result;
        return;
      }
      if (!line.progress) throw LayerscopeError.of(line, response);
      yield line.progress;
    }
  }

  /** Ask the service how the job is now. @param {Call} [call] @returns {Promise<Job>} */
  async refresh(call) {
    this.description = await this.#transport.json(this.#path, call);
    return this;
  }

  /** Stop the job. What it has done stays, and `start` with the same options goes on with it. @param {Call} [call] @returns {Promise<Job>} */
  async stop(call) {
    this.description = await this.#transport.json(this.#path, { method: "DELETE", ...call });
    return this;
  }

  /** A page of the images that are not in the result, each with a code and a sentence.
   * @param {Call & {start?: number, limit?: number}} [options] @returns {Promise<Schemas["FailedImage"][]>} */
  async failed({ signal, ...query } = {}) {
    return (await this.#transport.json(`${this.#path}/failed`, { query, signal })).failed;
  }

  /**
   * The images of a result in the format safetensors, one part at a time in memory: their paths, the SHA-256 of their content, and
   * the values of each layer by its address.
   * @param {Call} [call]
   * @returns {AsyncGenerator<Row>}
   */
  async *rows(call) {
    for (let part = 0; part < this.description.progress.parts_total; part += 1) {
      const response = await this.#transport.send(`${this.#path}/parts/${part}`, { ...call });
      const { tensors, metadata } = await read(call?.signal, async () => readSafetensors(await response.arrayBuffer()));
      const images = JSON.parse(metadata.images);
      for (const [row, path] of JSON.parse(metadata.paths).entries()) {
        const layers = new Map([...tensors].map(([name, values]) => [name, rowOf(values, row)]));
        yield { path, image: images[row], layers };
      }
    }
  }
}

/** The values of one image of many. @param {Tensor} values @param {number} row */
function rowOf({ data, shape, dtype }, row) {
  const [, ...sides] = shape;
  const size = sides.reduce((product, side) => product * side, 1);
  return new Tensor(data.subarray(row * size, (row + 1) * size), sides, dtype);
}
