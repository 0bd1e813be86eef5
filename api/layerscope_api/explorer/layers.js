/**
 * List of layers in graph order: thumbnail, name, shape, and share of values that are not zero.
 *
 * @module
 */

import { LayerSearch } from "./layer_search.js";
import { drawThumbnail } from "./thumbnails.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./session.js").Layer} Layer */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */

const ROW_HEIGHT = 52;
const LANE_WIDTH = 7;
const MOST_LANES = 4;

/** The list, a tree: a nested model stands above its layers. `choose` is called with the address of a chosen layer. */
export class LayerList {
  /** The layers in the order of the list. @type {Layer[]} */
  layers = [];
  #list = /** @type {HTMLElement} */ (document.getElementById("layers"));
  #lanes = /** @type {SVGSVGElement} */ (/** @type {unknown} */ (document.getElementById("lanes")));
  #row = /** @type {HTMLTemplateElement} */ (document.getElementById("layer-row"));
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  /** The group around each layer. @type {Map<string, string>} */
  #groups = new Map();
  /** The groups whose layers are hidden. @type {Set<string>} */
  #folded = new Set();
  /** The layers that were searched for; null for all. @type {Set<string> | null} */
  #found = null;
  /** The maps behind the thumbnails. @type {Map<string, FeatureMaps>} */
  #drawn = new Map();
  #palette = "auto";
  #current = "";
  /** @type {Session | undefined} */
  #session;
  #seen = new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && this.#draw(entry.target)), {
    root: this.#list.parentElement,
    rootMargin: "200px",
  });
  #search = new LayerSearch(this);

  /** @param {(address: string) => void} choose */
  constructor(choose) {
    this.choose = choose;
    this.#list.addEventListener("click", (event) => {
      const clicked = /** @type {Element} */ (event.target);
      const { address = "" } = clicked.closest("li")?.dataset ?? {};
      if (clicked.closest(".fold")) this.#fold(address, !this.#folded.has(address));
      else if (address) this.choose(address);
    });
    this.#list.addEventListener("keydown", (event) => this.#moved(event));
  }

  /**
   * Show the layers of a model.
   *
   * @param {Session} session
   * @param {Layer[]} layers - In graph order.
   * @param {{path: string, reason: string}[]} unreachable
   */
  show(session, layers, unreachable) {
    const around = groupsOf(layers);
    const ordered = groupsFirst(layers, around);
    const isSame = this.layers.map(({ address }) => address).join() === ordered.map(({ address }) => address).join();
    this.#session = session;
    this.layers = ordered;
    this.#drawn.clear();
    this.#seen.disconnect();
    if (!isSame) {
      this.#groups = around;
      this.#folded.clear();
      this.#rows = new Map(ordered.map((layer) => [layer.address, this.#made(layer)]));
      const unable = unreachable.map(({ path, reason }) => this.#unable(path, reason));
      this.#list.replaceChildren(...this.#rows.values(), ...unable);
      this.#search.reset();
    }
    for (const row of this.#rows.values()) {
      row.classList.add("stale");
      this.#seen.observe(row);
    }
  }

  /** Mark the current layer and scroll to it. @param {string} address */
  select(address) {
    this.#current = address;
    for (const [each, row] of this.#rows) row.setAttribute("aria-selected", String(each === address));
    for (const group of this.#around(address)) if (this.#folded.has(group)) this.#fold(group, false);
    this.#list.setAttribute("aria-activedescendant", this.#rows.get(address)?.id ?? "");
    this.#reveal();
  }

  /** Draw the thumbnails with another palette. @param {string} palette */
  colour(palette) {
    if (palette === this.#palette) return;
    this.#palette = palette;
    for (const [address, maps] of this.#drawn) this.#paint(address, maps);
  }

  /** Show some of the layers, from the first, or all and the current one. @param {Set<string> | null} found */
  filter(found) {
    this.#found = found;
    this.#arrange();
    const count = /** @type {HTMLElement} */ (document.getElementById("layers-count"));
    count.textContent = found ? `${found.size} of ${this.layers.length}` : String(this.layers.length);
    /** @type {HTMLElement} */ (this.#list.parentElement).scrollTo(0, 0);
    if (!found) this.#reveal();
  }

  /** The layers that a selector selects. @param {string} selector @returns {Promise<Layer[]>} */
  async selected(selector) {
    const selected = (await this.#session?.select(selector))?.layers ?? [];
    const addresses = new Set(selected.map(({ address }) => (this.#rows.has(address) ? address : address.replace(/@\w+$/, ""))));
    return this.layers.filter(({ address }) => addresses.has(address));
  }

  /** Choose the layer that is `by` rows further; the first, if the current one is not in view. @param {number} by */
  step(by) {
    const visible = this.layers.filter(({ address }) => !this.#rows.get(address)?.hidden);
    const at = visible.findIndex(({ address }) => address === this.#current);
    const layer = visible[Math.max(0, Math.min(visible.length - 1, at < 0 ? 0 : at + by))];
    if (layer) this.choose(layer.address);
  }

  /** Move the focus to the list. */
  focus() {
    this.#list.focus();
  }

  /** @param {KeyboardEvent} event */
  #moved(event) {
    const isFolded = this.#rows.get(this.#current)?.ariaExpanded;
    const all = this.layers.length;
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -all, End: all }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    if (event.key === "ArrowRight" && isFolded === "false") this.#fold(this.#current, false);
    else if (event.key === "ArrowLeft" && isFolded === "true") this.#fold(this.#current, true);
    else this.step(step);
  }

  /** @param {string} group @param {boolean} isFolded */
  #fold(group, isFolded) {
    this.#folded[isFolded ? "add" : "delete"](group);
    this.#rows.get(group)?.setAttribute("aria-expanded", String(!isFolded));
    this.#arrange();
  }

  /** The groups around a layer. @param {string} address */
  #around(address) {
    const groups = [];
    for (let group = this.#groups.get(address); group; group = this.#groups.get(group)) groups.push(group);
    return groups;
  }

  /** Hide the rows that were not searched for, or are folded. */
  #arrange() {
    const found = this.#found;
    for (const [address, row] of this.#rows) row.hidden = found ? !found.has(address) : this.#around(address).some((group) => this.#folded.has(group));
    for (const row of /** @type {Iterable<HTMLElement>} */ (this.#list.querySelectorAll("[aria-disabled]"))) row.hidden = found !== null;
    const visible = this.layers.filter(({ address }) => !this.#rows.get(address)?.hidden);
    const lanes = found ? [] : lanesOf(visible);
    this.#lanes.replaceChildren(...lanes);
    this.#list.classList.toggle("beside-lanes", lanes.length > 0);
    this.#lanes.style.height = `${visible.length * ROW_HEIGHT}px`;
  }

  #reveal() {
    const row = this.#rows.get(this.#current);
    if (row && !row.hidden) bringIntoView(row, /** @type {HTMLElement} */ (this.#list.parentElement));
  }

  /** @param {Layer} layer */
  #made(layer) {
    const row = /** @type {HTMLElement} */ (/** @type {Element} */ (this.#row.content.firstElementChild).cloneNode(true));
    const [prefix, name] = row.querySelectorAll(".layer-name > :not(.fold)");
    const cut = layer.address.lastIndexOf("/") + 1;
    prefix.textContent = layer.address.slice(0, cut);
    name.textContent = layer.address.slice(cut);
    const [type, shape] = row.querySelectorAll(".layer-kind > *");
    type.textContent = `${layer.type} · `;
    shape.textContent = shapeOf(layer);
    row.id = `layer-${this.layers.indexOf(layer)}`;
    row.ariaLevel = String(this.#around(layer.address).length + 1);
    const isGroup = [...this.#groups.values()].includes(layer.address);
    if (isGroup) row.ariaExpanded = "true";
    /** @type {HTMLElement} */ (row.querySelector(".fold")).hidden = !isGroup;
    row.dataset.address = layer.address;
    row.title = layer.address;
    return row;
  }

  /** A row for a layer whose values cannot be requested. @param {string} path @param {string} reason */
  #unable(path, reason) {
    const row = /** @type {HTMLElement} */ (/** @type {Element} */ (this.#row.content.firstElementChild).cloneNode(true));
    /** @type {Element} */ (row.querySelector(".layer-name b")).textContent = path;
    /** @type {Element} */ (row.querySelector(".layer-kind")).textContent = reason;
    row.title = reason;
    row.ariaDisabled = "true";
    return row;
  }

  /** Draw the thumbnail of a row that scrolled into view. @param {Element} row */
  async #draw(row) {
    this.#seen.unobserve(row);
    const session = this.#session;
    const layer = this.layers.find((each) => each.address === /** @type {HTMLElement} */ (row).dataset.address);
    if (!layer || !session) return;
    if (layer.cannot.picture || !session.image) return row.classList.remove("stale");
    // Errors are shown when the layer is chosen, not in its row.
    const maps = await session.thumbnail(layer).catch(() => null);
    if (!maps || session !== this.#session) return;
    row.classList.remove("stale");
    this.#drawn.set(layer.address, maps);
    this.#paint(layer.address, maps);
    const active = 1 - (maps.statistics?.fraction_zero ?? 0);
    /** @type {HTMLElement} */ (row.querySelector(".spark i")).style.width = `${active * 100}%`;
    /** @type {HTMLElement} */ (row).title = `${layer.address}: ${Math.round(active * 100)} % of its values are not zero`;
  }

  /** @param {string} address @param {FeatureMaps} maps */
  #paint(address, maps) {
    const row = /** @type {HTMLElement} */ (this.#rows.get(address));
    const channel = drawThumbnail(/** @type {HTMLCanvasElement} */ (row.querySelector("canvas")), maps.at(0.5), this.#palette);
    /** @type {HTMLElement} */ (row.querySelector(".layer-channel")).textContent = channel === null ? "" : ` · map ${channel}`;
  }
}

/** Scroll a frame, but nothing around it, until a row is in view with its neighbours. @param {HTMLElement} row @param {HTMLElement} frame */
export function bringIntoView(row, frame) {
  const { offsetTop: top, offsetLeft: left, offsetHeight: height, offsetWidth: width } = row;
  frame.scrollTop = Math.min(top - height, Math.max(frame.scrollTop, top + 2 * height - frame.clientHeight));
  frame.scrollLeft = Math.min(left - width, Math.max(frame.scrollLeft, left + 2 * width - frame.clientWidth));
}

/** The shape of one image's values. @param {Layer} layer */
export function shapeOf(layer) {
  return layer.shape.map((side) => side ?? "?").join(" × ") || "one number";
}

/** The group around each layer. The value of a group appears behind those of the layers inside it. @param {Layer[]} layers @returns {Map<string, string>} */
function groupsOf(layers) {
  const around = new Map();
  /** @type {Layer[]} */
  let waiting = [];
  for (const layer of layers) {
    if (layer.group) {
      const inside = waiting.filter(({ address }) => address.startsWith(`${layer.address.replace(/:.*$/, "")}/`));
      for (const { address } of inside) around.set(address, layer.address);
      waiting = waiting.filter((each) => !inside.includes(each));
    }
    waiting.push(layer);
  }
  return around;
}

/** The layers in graph order, but each group before the layers inside it. @param {Layer[]} layers @param {Map<string, string>} around @returns {Layer[]} */
function groupsFirst(layers, around) {
  const inside = Map.groupBy(layers, ({ address }) => around.get(address) ?? "");
  /** @param {string} group @returns {Layer[]} */
  const listed = (group) => (inside.get(group) ?? []).flatMap((layer) => [layer, ...listed(layer.address)]);
  return listed("");
}

/** Lines beside the list for connections that skip layers. @param {Layer[]} layers @returns {SVGElement[]} */
function lanesOf(layers) {
  const places = new Map(layers.map((layer, index) => [layer.address, index]));
  const skips = layers.flatMap((layer, to) =>
    layer.inbound.map((address) => ({ from: places.get(address) ?? to, to })).filter(({ from }) => to - from > 1),
  );
  /** The row at which the last connection of each lane ends. @type {number[]} */
  const ends = [];
  return skips.sort((a, b) => a.from - b.from).flatMap(({ from, to }) => {
    const free = ends.findIndex((end) => end <= from);
    const lane = free < 0 ? ends.length : free;
    if (lane >= MOST_LANES) return [];
    ends[lane] = to;
    const x = LANE_WIDTH * (MOST_LANES - lane - 0.5);
    const [top, bottom] = [from, to].map((index) => (index + 0.5) * ROW_HEIGHT);
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const edge = MOST_LANES * LANE_WIDTH;
    path.setAttribute("d", `M${edge} ${top + 6}Q${x} ${top + 6} ${x} ${top + 18}V${bottom - 18}Q${x} ${bottom - 6} ${edge} ${bottom - 6}`);
    return [path];
  });
}
