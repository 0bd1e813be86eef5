/** The service that pytest started for these tests, a sample image, and the requests that are sent. */

import { readFile } from "node:fs/promises";

import { Client, Job } from "../../../clients/js/layerscope.js";
import { Transport } from "../../../clients/js/transport.js";

export const ADDRESS = /** @type {string} */ (process.env.LAYERSCOPE_ADDRESS);

const ROOT = new URL("../../../", import.meta.url);

/** @param {string} name */
export async function sample(name) {
  return new Uint8Array(await readFile(new URL(`service/layerscope/demo/samples/${name}.png`, ROOT)));
}

export async function contract() {
  return JSON.parse(await readFile(new URL("openapi/openapi.json", ROOT), "utf-8"));
}

/** A client of the service, and the requests it sends. */
export function recorded() {
  /** @type {{method: string, path: string}[]} */
  const requests = [];
  /** @type {typeof fetch} */
  const recording = (url, init) => {
    requests.push({ method: init?.method ?? "GET", path: new URL(String(url)).pathname });
    return fetch(url, init);
  };
  /** @param {string} id - Of a job that the service does not know. */
  const job = (id) => {
    const description = /** @type {any} */ ({ id, progress: { parts_total: 1 } });
    return new Job(description, new Transport(ADDRESS, { fetch: recording }));
  };
  return { scope: new Client(ADDRESS, { fetch: recording }), requests, job };
}
