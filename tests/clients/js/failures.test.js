/** Failures: errors by code, busy services, aborted calls, images that the service has deleted. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { Client, LayerscopeError } from "../../../clients/js/layerscope.js";
import { ADDRESS, recorded, sample } from "./service.js";

/**
 * A server with fixed answers, one for each request; the last answer is repeated.
 *
 * @param {[number, Record<string, string>, string][]} answers
 * @param {(address: string, attempts: () => number) => Promise<void>} use
 */
async function answering(answers, use) {
  let attempts = 0;
  const server = createServer((_, response) => {
    const [status, headers, body] = answers[Math.min(attempts, answers.length - 1)];
    attempts += 1;
    response.writeHead(status, headers).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  try {
    await use(`http://127.0.0.1:${port}`, () => attempts);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** @param {string} code */
const withCode = (code) => (/** @type {unknown} */ error) => error instanceof LayerscopeError && error.code === code;

test("an error has the code, the status, the details and the id that the log knows", async () => {
  const { scope } = recorded();
  await assert.rejects(scope.model("digits").layers("conv9"), (error) => {
    assert.ok(error instanceof LayerscopeError);
    assert.equal(error.code, "layer_not_found");
    assert.equal(error.status, 422);
    assert.ok(error.details.near.length > 0);
    assert.match(error.requestId ?? "", /^\w+$/);
    return true;
  });
  await assert.rejects(scope.model("none").describe(), withCode("model_not_found"));
  await assert.rejects(scope.upload(new Uint8Array([1, 2, 3])), withCode("unsupported_image"));
  assert.throws(() => scope.model("../limits"), RangeError);
  await assert.rejects(scope.forget("sha256-../../limits"), RangeError);
});

test("no answer, and one that is not the service's, are errors of their own", async () => {
  await assert.rejects(new Client("http://127.0.0.1:1").models(), withCode("connection_failed"));
  await answering([[200, {}, "<html>"]], async (address) => {
    await assert.rejects(new Client(address).models(), withCode("answer_unreadable"));
    await assert.rejects(new Client(address).model("m").activations("sha256-" + "0".repeat(64), { layers: "all" }), withCode("answer_unreadable"));
  });
  await answering([[502, {}, "<html>"]], async (address) => {
    await assert.rejects(new Client(address).models(), withCode("http_502"));
  });
});

test("a request to a busy service is sent again after the time it asks for", async () => {
  const busy = /** @type {[number, Record<string, string>, string]} */ ([429, { "Retry-After": "0" }, "{}"]);
  await answering([busy, [503, { "Retry-After": new Date(0).toUTCString() }, "{}"], [200, {}, '{"models": []}']], async (address, attempts) => {
    assert.deepEqual(await new Client(address).models(), []);
    assert.equal(attempts(), 3);
  });
  await answering([busy], async (address, attempts) => {
    await assert.rejects(new Client(address, { retries: 2 }).models(), withCode("http_429"));
    assert.equal(attempts(), 3);
  });
  await answering([[503, { "Retry-After": "3600" }, "{}"]], async (address, attempts) => {
    await assert.rejects(new Client(address).models(), withCode("http_503"));
    assert.equal(attempts(), 1);
  });
});

test("other errors are final", async () => {
  await answering([[500, {}, "{}"]], async (address, attempts) => {
    await assert.rejects(new Client(address).models(), withCode("http_500"));
    assert.equal(attempts(), 1);
  });
});

test("a call can be given up before it, during it, and while it waits", async () => {
  await assert.rejects(new Client(ADDRESS).models({ signal: AbortSignal.abort() }), { name: "AbortError" });
  await answering([[503, { "Retry-After": "20" }, "{}"]], async (address, attempts) => {
    const stop = new AbortController();
    const models = new Client(address).models({ signal: stop.signal });
    while (!attempts()) await new Promise((resolve) => setTimeout(resolve, 1));
    stop.abort();
    await assert.rejects(models, { name: "AbortError" });
  });
});

test("an image is sent once, and again when the service has forgotten it", async () => {
  const { scope, requests } = recorded();
  const digits = scope.model("digits");
  const nine = await sample("nine");
  const sent = () => requests.filter(({ method, path }) => method === "POST" && path === "/v1/images").length;

  await digits.predictions(nine);
  const { images } = await digits.predictions([nine, nine]);
  assert.equal(sent(), 1);
  await scope.forget(images[0]);
  await digits.predictions(nine);
  assert.equal(sent(), 2);
  await scope.forget(images[0]);
  await assert.rejects(digits.predictions(images[0]), withCode("image_not_found"));
});

test("a key is sent as a bearer token, and a path before /v1 may be part of the address", async () => {
  /** @type {Request[]} */
  const requests = [];
  const scope = new Client("http://service.test/behind/a/proxy/", {
    apiKey: "secret",
    fetch: async (url, init) => {
      requests.push(new Request(url, init));
      return Response.json({ limits: [] });
    },
  });
  await scope.limits();
  assert.equal(requests[0].url, "http://service.test/behind/a/proxy/v1/limits");
  assert.equal(requests[0].headers.get("authorization"), "Bearer secret");
});
