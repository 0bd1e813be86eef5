/** Texts, tokens, and tensors by the name of an input. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, Tensor, Text, Tokens } from "../../../clients/js/layerscope.js";
import { ADDRESS } from "./service.js";

const scope = new Client(ADDRESS);

test("a text is taken like an image by every call", async () => {
  const sentences = scope.model("sentences");
  const text = new Text("An integer is a whole number 😀.");
  const found = await sentences.activations([text, new Text("")], { layers: "probabilities" });

  assert.deepEqual(found.get("probabilities")?.shape, [2, 4]);
  assert.deepEqual(found.tokens[0][0], { text: "[CLS]", id: 2, start: null, end: null });
  assert.equal((await scope.upload(text)).format, "text");
  const { outputs, tokens } = await sentences.predictions(text);
  assert.equal(outputs[0].predictions?.[0][0].name, "numbers");
  assert.deepEqual(tokens?.[0], found.tokens[0]);
  const ids = found.tokens[0].filter(({ text: each }) => each !== "[PAD]").map(({ id }) => id);
  const again = await sentences.activations(new Tokens(ids), { layers: "probabilities" });
  assert.deepEqual(again.get("probabilities")?.data, found.get("probabilities")?.data.subarray(0, 4));
  assert.equal((await sentences.featureMap(text, { layer: "embedding" })).blob.type, "image/png");
});

test("an attribution of a text has a number for each of its tokens", async () => {
  const found = await scope.model("sentences").attribution(new Text("An integer has no sign."), { method: "occlusion" });
  assert.deepEqual([found.axes, found.layer], [["batch", "tokens"], "tokens"]);
  assert.deepEqual(found.maps.shape, [1, found.tokens[0].length]);
  assert.equal(found.targets[0].name, "numbers");
  assert.deepEqual(found.resized(32).data, found.maps.data);
});

test("ids, mask and segments come from a text or from tensors by name", async () => {
  const segments = scope.model("segments");
  const found = await segments.activations(new Text("the film"), { layers: "all" });
  const inputs = {
    token_ids: new Tensor(Int32Array.of(1, 2, 0, 0, 0, 0), [6]),
    padding_mask: new Tensor(Int32Array.of(1, 1, 0, 0, 0, 0), [6]),
    segment_ids: new Tensor(new Int32Array(6), [6]),
  };
  const given = await segments.activations(inputs, { layers: "all" });
  for (const [address, { data }] of found) assert.deepEqual(given.get(address)?.data, data);
  assert.equal(found.images.length, 1);
});
