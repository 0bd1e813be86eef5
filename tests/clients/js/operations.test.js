/** Every operation of the contract has a method, and every method calls the operation of its name. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { contract, recorded, sample } from "./service.js";

/** Operations without a method: Prometheus and the Open Inference Protocol have other clients; only its probes have methods. */
const ELSEWHERE = /^\/(metrics|v2|v2\/(?!health\/(live|ready)$).*)$/;

test("the client calls every operation of the contract", async () => {
  const { paths } = await contract();
  const { scope, requests, job } = recorded();
  const digits = scope.model("digits");
  const seven = await sample("seven");
  const { id } = await scope.upload(seven);
  await Promise.all([scope.models(), scope.limits(), scope.colormaps(), scope.attributionMethods(), scope.version()]);
  await Promise.all([scope.live(), scope.ready(), scope.image(id), scope.thumbnail(id, { side: 16 })]);
  await Promise.all([digits.describe(), digits.graph(), digits.layers(), digits.receptiveField({ layer: "conv1" })]);
  const { input } = Object.fromEntries(await digits.activations(seven, { layers: "input" }));
  for (const image of [seven, input]) {
    await digits.activations(image, { layers: "conv1" });
    await digits.plan(image, { layers: "conv1" });
    await digits.predictions(image);
    await digits.statistics(image);
    await digits.inspect(image);
    await digits.attribution(image, { method: "gradcam" });
    await digits.featureMap(image, { layer: "conv1" });
    await digits.atlas(image, { layer: "conv1" });
    await digits.overlay(image, { layer: "conv1", on: "input" });
    await digits.statisticsPicture(image);
    await digits.attributionPicture(image, { method: "gradcam", on: "input" });
    await digits.ablations(image, { layer: "conv1", screen: 1 });
    await digits.ablationsPicture(image, { layers: "conv1" });
    await digits.interventions(image, { edit: ["conv1;set=0"] });
  }
  for (const pair of [[seven, await sample("three")], input]) {
    await scope.compare("digits", "digits@1", pair, { layers: ["conv*"] });
    await scope.comparisonPicture("digits", "digits@1", pair);
  }
  const pair = [seven, await sample("three")];
  assert.equal((await digits.compare(pair, { layers: "conv1" })).layers.length, 1);
  await digits.comparisonPicture(pair);
  const tensors = Object.fromEntries(await digits.activations(pair, { layers: "input" }));
  await digits.compare(tensors.input);
  await digits.comparisonPicture(tensors.input);
  /** @type {number[][]} */
  const progress = [];
  const streamed = await scope.compare("digits", "digits@1", pair, { onProgress: (...counts) => progress.push(counts) });
  assert.equal(streamed.verdict, "same");
  assert.deepEqual(progress.at(-1), [2, 2]);
  const { images } = await scope.datasets.create("val", "photos:");
  assert.equal((await scope.datasets.get("val")).images, images);
  assert.deepEqual((await scope.datasets.list()).map(({ name }) => name), ["val"]);
  const { rows, next } = await scope.datasets.rows("val", { start: 5, limit: 1 });
  assert.deepEqual([rows[0].path, next], ["seven.png", 6]);
  assert.deepEqual({ ...rows[0], ...(await scope.datasets.row("val", 5)) }, await scope.datasets.row("val", 5));
  assert.ok((await scope.datasets.thumbnail("val", 5, { side: 14 })).size > 0);
  assert.deepEqual(await digits.predictions(rows[0].image), await digits.predictions(seven));
  await scope.datasets.delete("val");
  await scope.forget(id);
  assert.deepEqual(await scope.jobs.list(), []);
  const forgotten = job("0".repeat(32));
  const calls = [scope.jobs.get("0"), forgotten.refresh(), forgotten.stop(), forgotten.failed(), forgotten.progress().next(), forgotten.rows().next()];
  await Promise.all(calls.map((call) => assert.rejects(call, { code: "job_not_found" })));
  const orders = [digits.load(), digits.unload(), digits.setLabel("stable"), digits.removeLabel("stable"), digits.remove(), scope.addModel(new Blob(["x"]), "x"), scope.jobs.start({ model: "digits", layers: ["dense"], data: "photos:", to: "features:" })];
  await Promise.all(orders.map((order) => assert.rejects(order, { code: "control_refused" })));

  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
  const missing = operations.filter(({ method, path }) => {
    const pattern = new RegExp(`^${path.replace(/\{\w+\}/g, "[^/.]+").replace(/\.png$/, "\\.png")}$`);
    return !ELSEWHERE.test(path) && !requests.some((sent) => sent.method === method && pattern.test(sent.path));
  });
  assert.deepEqual(missing, []);
});

test("an answer has what the contract says", async () => {
  const { scope } = recorded();
  const seven = await sample("seven");
  const digits = scope.model("digits");

  const { layers } = await digits.layers("type:Conv2D");
  assert.ok(layers.length > 1 && layers.every((layer) => layer.type === "Conv2D" && layer.can.includes("map")));
  const { outputs } = await digits.predictions(seven, { top: 3 });
  assert.equal(outputs[0].predictions?.[0].length, 3);
  assert.equal(outputs[0].predictions?.[0][0].name, "7");
  assert.equal((await digits.plan(64, { layers: "conv1" })).images, 64);
  const { inputs } = await digits.receptiveField({ layer: "conv1", x: 4, y: 5 }, seven);
  assert.equal(inputs[0].box?.length, 4);
});

test("a drawing is a picture with its layer and the range of its values", async () => {
  const { scope } = recorded();
  const { blob, layer, minimum, maximum } = await scope.model("digits").featureMap(await sample("seven"), { layer: "conv1", channel: 1 });
  assert.equal(blob.type, "image/png");
  assert.equal(layer, "conv1");
  assert.ok(minimum <= maximum);
});

test("the address of a picture can be followed as it is", async () => {
  const { scope } = recorded();
  const stored = await scope.upload(await sample("two"));
  const address = scope.model("digits").url("feature-map.png", stored, { layer: "conv1", channels: [0, 3], range: [0, 1] });
  const response = await fetch(address);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "image/png");
});
