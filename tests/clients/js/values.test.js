/** Values are received exactly as they were computed, as views of the answer. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Attribution, Client, readNpy, readSafetensors, Tensor, writeNpy } from "../../../clients/js/layerscope.js";
import { ADDRESS, sample } from "./service.js";

const digits = new Client(ADDRESS).model("digits");

test("activations of several layers are views of one answer, and the bytes of an .npy file", async () => {
  const seven = await sample("seven");
  const activations = await digits.activations([seven, await sample("two")], { layers: ["conv1", "type:Dense"] });
  const conv1 = /** @type {Tensor} */ (activations.get("conv1"));

  assert.deepEqual(conv1.shape, [2, 28, 28, 16]);
  assert.equal(activations.model.name, "digits");
  assert.equal(activations.images.length, 2);
  assert.equal(activations.layers.get("conv1")?.channel_axis, 3);
  assert.ok([...activations.values()].every((tensor) => tensor.data.buffer === conv1.data.buffer));
  const npy = await fetch(digits.url("activations", activations.images[0], { layers: "conv1", format: "npy" }));
  assert.deepEqual(readNpy(await npy.arrayBuffer()).data, conv1.data.subarray(0, 28 * 28 * 16));
});

test("a tensor is fed as it is", async () => {
  const inputs = /** @type {Tensor} */ ((await digits.activations(await sample("seven"), { layers: "input" })).get("input"));
  const { outputs } = await digits.predictions(new Tensor(inputs.data, inputs.shape));
  assert.equal(outputs[0].predictions?.[0][0].class, 7);
});

test("the images of several inputs are given by name", async () => {
  const { outputs } = await digits.predictions({ input: [await sample("seven"), await sample("two")] });
  assert.deepEqual(outputs[0].predictions?.map(([best]) => best.class), [7, 2]);
});

test("half precision and quantized values are near the exact ones", async () => {
  const seven = await sample("seven");
  const [exact, half, stored] = await Promise.all(
    /** @type {const} */ (["float32", "float16", "uint8"]).map((dtype) => digits.activations(seven, { layers: "conv1", dtype })),
  );
  const values = /** @type {Float32Array} */ (exact.get("conv1")?.data);
  const { scale, offset } = /** @type {{scale: Float32Array, offset: Float32Array}} */ (stored.quantization("conv1"));
  assert.equal(exact.quantization("conv1"), undefined);
  assert.equal(half.get("conv1")?.dtype, "float16");
  values.forEach((value, index) => {
    const channel = index % 16;
    const quantized = scale[channel] * Number(stored.get("conv1")?.data[index]) + offset[channel];
    assert.ok(Math.abs(quantized - value) <= scale[channel] * 0.501);
    assert.ok(Math.abs(Number(half.get("conv1")?.data[index]) - value) <= Math.abs(value) / 1024 + 1e-7);
  });
});

test("a streamed attribution tells how far it is, and ends in the same values", async () => {
  const seven = await sample("seven");
  /** @type {[number, number][]} */
  const progress = [];
  const options = { method: "integrated-gradients", steps: 64 };
  const streamed = await digits.attribution(seven, { ...options, onProgress: (done, total) => progress.push([done, total]) });
  const whole = await digits.attribution(seven, options);
  assert.ok(progress.length > 0 && progress.every(([done, total]) => done <= total));
  assert.equal(whole.attribution?.targets[0].class, 7);
  assert.deepEqual(streamed.attribution, whole.attribution);
  assert.deepEqual([...streamed.values()], [...whole.values()]);
});

test("a sweep names the channels, and edits take them away", async () => {
  const seven = await sample("seven");
  const swept = await digits.ablations(seven, { layer: "dense" });
  assert.deepEqual([swept.shape, swept.by, swept.clean[0].class], [[32], "channel", 7]);
  const best = swept.order[0].slice(0, 3).join(",");
  const { outputs, edits } = await digits.predictions(seven, { edit: [`dense;channels=${best};set=0`] });
  assert.equal(outputs[0].predictions?.[0][0].class, 3);
  assert.equal(edits?.length, 1);
  const { effects, layers } = await digits.interventions(seven, { edit: [`dense;channels=${best};set=0`] });
  assert.ok(Number(effects[0].score) > 0);
  assert.deepEqual(layers.map(({ address }) => address), ["dense", "probabilities"]);
});

test("a streamed sweep gives effects before its end, and ends in the same ones", async () => {
  const seven = await sample("seven");
  const options = /** @type {const} */ ({ layer: "conv1", by: "place", grid: 12 });
  /** @type {[number, number][]} */
  const progress = [];
  /** @type {{image: number, effects: any[]}[]} */
  const partial = [];
  const streamed = await digits.ablations(seven, {
    ...options,
    onProgress: (done, total) => progress.push([done, total]),
    onPartial: (known) => partial.push(known),
  });
  assert.ok(progress.length > 0 && partial.length > 0);
  assert.deepEqual([partial[0].image, partial[0].effects.length], [0, 12]);
  assert.deepEqual(streamed, await digits.ablations(seven, options));
});

test("maps of any axes are resized linearly between the centres of their values", () => {
  const of = (/** @type {any} */ values, /** @type {number[]} */ shape, /** @type {string[]} */ axes) =>
    Attribution.ofJson(/** @type {any} */ ({ layers: [{ address: "a", values, shape, axes, dtype: "float32" }], images: [], warnings: [] }));
  const series = of([[0, 1], [4, 2]], [2, 2], ["batch", "time"]);
  assert.deepEqual([...series.resized(4).data], [0, 0.25, 0.75, 1, 4, 3.5, 2.5, 2]);
  assert.deepEqual([...series.resized(1).data], [0.5, 3]);
  const map = of([[[0, 2], [4, 6]]], [1, 2, 2], ["batch", "height", "width"]).resized(3, 4);
  assert.deepEqual(map.shape, [1, 3, 4]);
  assert.deepEqual([...map.data], [0, 0.5, 1.5, 2, 2, 2.5, 3.5, 4, 4, 4.5, 5.5, 6]);
  assert.throws(() => series.resized(4, 4), /a size for each of time/);
});

test("an attribution without values has its targets", async () => {
  const bare = await digits.attribution(await sample("seven"), { method: "saliency", values: false, onProgress: () => {} });
  assert.equal(bare.attribution?.targets[0].class, 7);
  assert.deepEqual([[...bare.keys()], [...bare.layers.keys()]], [[], ["input"]]);
});

const KINDS = [
  new Float32Array([1.5, -2, NaN, Infinity]),
  new Float64Array([Math.PI]),
  new Uint8Array(17),
  new Int16Array([-3, 4]),
  new BigInt64Array([-(2n ** 62n)]),
  new Float32Array(0),
];

for (const data of KINDS) {
  test(`${data.constructor.name} of ${data.length} is read as it was written`, () => {
    const shapes = [[data.length], [1, data.length, 1]];
    for (const shape of shapes) {
      const file = writeNpy(new Tensor(data, shape));
      assert.equal(file.indexOf("\n".charCodeAt(0)) % 64, 63);
      assert.deepEqual(readNpy(file.buffer), new Tensor(data, shape));
    }
  });
}

test("what is no such file is refused", () => {
  const whole = writeNpy(new Tensor(new Float32Array(4), [4])).buffer;
  for (let length = 0; length < whole.byteLength; length += 1) {
    assert.throws(() => readNpy(whole.slice(0, length)), SyntaxError);
  }
  for (const bytes of [[], [255, 255, 255, 255, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0, 91, 93, 1]]) {
    assert.throws(() => readSafetensors(new Uint8Array(bytes).buffer), SyntaxError);
  }
  assert.throws(() => new Tensor(new Float32Array(3), [2, 2]), RangeError);
});
