/**
 * Search among the layers: by a part of a name or type, or by a selector, which the service reads.
 *
 * @module
 */

import { coded, fill } from "./elements.js";

/** @typedef {import("./layers.js").LayerList} LayerList */
/** @typedef {import("./session.js").Layer} Layer */

/** What makes a text a selector, see docs/reference/selectors.md. */
const SELECTOR = /[:*?[\],@]|^(outputs|all)$/;
/** Milliseconds without a key until a selector is sent. */
const PAUSE = 250;

/** The search field and the choice of a type. */
export class LayerSearch {
  #input = /** @type {HTMLInputElement} */ (document.getElementById("find"));
  #types = /** @type {HTMLSelectElement} */ (document.getElementById("types"));
  #none = /** @type {HTMLElement} */ (document.getElementById("layers-none"));
  #turn = 0;

  /** @param {LayerList} list */
  constructor(list) {
    this.list = list;
    this.#input.addEventListener("input", () => this.#search());
    this.#input.addEventListener("keydown", (event) => this.#pressed(event));
    this.#types.addEventListener("change", () => {
      this.#input.value = this.#types.value;
      this.#search();
    });
  }

  /** Begin with the layers of another model. */
  reset() {
    const counts = new Map();
    for (const { type } of this.list.layers) counts.set(type, (counts.get(type) ?? 0) + 1);
    const types = [...counts].sort().map(([type, count]) => ({ value: `type:${type}`, text: `${type} (${count})` }));
    fill(this.#types, [{ value: "", text: "all types" }, ...types], "");
    this.#input.value = "";
    this.#search();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") this.list.step(0);
    else if (step) this.list.step(step);
    else if (event.key !== "Escape") return;
    else if (this.#input.value) {
      this.#input.value = "";
      this.#search();
    } else this.list.focus();
    event.preventDefault();
  }

  async #search() {
    const turn = ++this.#turn;
    const text = this.#input.value.trim();
    if (this.#types.value !== text) this.#types.value = [...this.#types.options].some(({ value }) => value === text) ? text : "";
    if (!text) return this.#show(null, "");
    const near = this.list.layers.filter(({ address, type }) => `${address} ${type}`.toLowerCase().includes(text.toLowerCase()));
    if (near.length || !SELECTOR.test(text)) return this.#show(near, `No layer has “${text}” in its name or type.`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (turn !== this.#turn) return;
    /** @type {[Layer[], string]} */
    const answer = await this.list.selected(text).then((found) => [found, ""], (error) => [[], error.message]);
    if (turn === this.#turn) this.#show(...answer);
  }

  /** @param {Layer[] | null} found - Null for all. @param {string} reason - Why there is none. */
  #show(found, reason) {
    this.list.filter(found && new Set(found.map(({ address }) => address)));
    this.#none.hidden = !found || found.length > 0;
    this.#none.replaceChildren(...coded(reason));
  }
}
