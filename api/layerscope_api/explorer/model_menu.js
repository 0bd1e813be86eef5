/**
 * The models of the service, in every state: loaded, still loading, or failed with a reason.
 *
 * @module
 */

import { fill } from "./elements.js";
import { readsOf } from "./reads.js";

/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {Schemas["VersionBody"] & {key: string, title: string}} Version - One version; `key` is `name@version`. */

/** The menu of models. */
export class ModelMenu {
  /** Every version, in the order of the service. @type {Version[]} */
  versions = [];
  #select = /** @type {HTMLSelectElement} */ (document.getElementById("model"));

  /** @param {(key: string) => void} choose - Called with the model that a person chooses. */
  constructor(choose) {
    this.#select.addEventListener("change", () => choose(this.#select.value));
  }

  /** Whether some are still loading, as far as is known. */
  get areLoading() {
    return this.versions.some(({ state }) => state === "loading");
  }

  /** The versions that can be looked at. */
  get ready() {
    return this.versions.filter(({ state }) => state === "ready");
  }

  /** The version to open: the first that declares how photographs become its input, else the first. */
  get first() {
    const { ready } = this;
    return ready.find(({ key }) => this.subjectInputs(key).some(({ preprocessing }) => preprocessing && preprocessing.color !== "grey" && !preprocessing.assumed)) ?? ready[0];
  }

  /** The inputs of a model that take images; else the first that takes tokens, since one text gives those of all inputs; else all. @param {string} key */
  subjectInputs(key) {
    const inputs = this.find(key)?.inputs ?? [];
    const images = inputs.filter(({ preprocessing }) => preprocessing);
    const ofTokens = inputs.filter((input) => readsOf(input).form === "text");
    return [images, ofTokens.slice(0, 1), inputs].find((each) => each.length) ?? [];
  }

  /** @param {string} key */
  find(key) {
    return this.versions.find((version) => version.key === key);
  }

  /** Request the list of models. @param {import("./client/layerscope.js").Client} client */
  async refresh(client) {
    const rows = await client.models();
    this.versions = rows.flatMap(({ name, versions }) =>
      versions.map((version) => ({ ...version, key: `${name}@${version.version}`, title: `${name} ${version.version}` })),
    );
    const options = this.versions.map(({ key, title, state }) => ({ value: key, text: state === "ready" ? title : `${title} (${state})` }));
    fill(this.#select, options, this.#select.value);
  }

  /** Mark the model that is shown, or waited for. @param {string} key */
  select(key) {
    this.#select.value = key;
    this.#select.title = this.find(key)?.opened_with ? `Opened with ${this.find(key)?.opened_with}` : "";
  }

  /** How far the service is, while a model is loading. @param {string} key */
  progress(key) {
    const total = this.versions.length;
    const done = this.versions.filter(({ state }) => state !== "loading").length;
    const next = this.find(key) ?? this.versions.find(({ state }) => state === "loading");
    return next ? `Loading ${next.title}, ${Math.min(done + 1, total)} of ${total}` : "The service has no models yet.";
  }

  /** Why a model cannot be looked at, and none is loading. @param {string} key - Empty for any model. @returns {string} */
  obstacle(key) {
    const version = this.find(key);
    if (version) return `${version.title} ${version.state === "failed" ? "could not be loaded" : "is not loaded"}${version.reason ? `: ${version.reason}` : "."}`;
    if (key) return `There is no model ${key} here. Choose one above.`;
    const failed = this.versions.find(({ state }) => state === "failed");
    return failed ? `No model could be loaded. ${this.obstacle(failed.key)}` : "No model is loaded.";
  }
}
