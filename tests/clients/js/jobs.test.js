/** Jobs: their progress as it comes, and the rows of their results. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "../../../clients/js/layerscope.js";
import { ADDRESS } from "./service.js";

const JOB = { id: "0".repeat(32), state: "running", progress: { done: 0, failed: 0, total: 3, parts: 0, parts_total: 2 } };

/** A client of a service whose answers are given by path; a list is a stream of lines. @param {Record<string, any>} answers */
function answered(answers) {
  /** @type {typeof fetch} */
  const fetched = async (url) => {
    const answer = answers[new URL(String(url)).pathname];
    if (answer instanceof Uint8Array) return new Response(/** @type {any} */ (answer));
    return new Response(Array.isArray(answer) ? answer.map((each) => `${JSON.stringify(each)}\n`).join("") : JSON.stringify(answer));
  };
  return new Client(ADDRESS, { fetch: fetched });
}

/** A part with two values of each of its images. @param {string[]} paths @param {number[]} values */
function part(paths, values) {
  const metadata = { paths: JSON.stringify(paths), images: JSON.stringify(paths.map((path) => `of ${path}`)) };
  const data = new Uint8Array(Float32Array.from(values).buffer);
  const dense = { dtype: "F32", shape: [paths.length, 2], data_offsets: [0, data.length] };
  const header = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, dense }));
  const file = new Uint8Array(8 + header.length + data.length);
  new DataView(file.buffer).setUint32(0, header.length, true);
  file.set(header, 8);
  file.set(data, 8 + header.length);
  return file;
}

test("progress comes until the job has ended", async () => {
  const done = { ...JOB, state: "done", progress: { ...JOB.progress, done: 3, parts: 2 } };
  const lines = [{ progress: { ...JOB.progress, state: "running" } }, { progress: { ...done.progress, state: "running" } }, { result: done }];
  const scope = answered({ "/v1/jobs": JOB, [`/v1/jobs/${JOB.id}`]: lines });
  const job = await scope.jobs.start({ model: "digits", layers: ["dense"], data: "photos:", to: "features:" });
  const seen = [];
  for await (const { done: count, total } of job.progress()) seen.push([count, total]);
  assert.deepEqual(seen, [[0, 3], [3, 3]]);
  assert.equal(job.description.state, "done");
});

test("a job that fails rejects with its code", async () => {
  const error = { error: "Another job writes there.", code: "job_differs", request_id: "", details: {} };
  const scope = answered({ "/v1/jobs": JOB, [`/v1/jobs/${JOB.id}`]: [error] });
  const job = await scope.jobs.start({ model: "digits", layers: ["dense"], data: "photos:", to: "features:" });
  await assert.rejects(job.progress().next(), { code: "job_differs" });
});

test("the rows of all parts have paths and values", async () => {
  const path = `/v1/jobs/${JOB.id}`;
  const parts = { [`${path}/parts/0`]: part(["a.png", "b.png"], [1, 2, 3, 4]), [`${path}/parts/1`]: part(["c.png"], [5, 6]) };
  const job = await answered({ [path]: { ...JOB, state: "done" }, ...parts }).jobs.get(JOB.id);
  const rows = [];
  for await (const { path: name, image, layers } of job.rows()) rows.push([name, image, [...(layers.get("dense")?.data ?? [])]]);
  assert.deepEqual(rows, [["a.png", "of a.png", [1, 2]], ["b.png", "of b.png", [3, 4]], ["c.png", "of c.png", [5, 6]]]);
});
