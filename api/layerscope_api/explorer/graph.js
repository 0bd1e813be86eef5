/**
 * View of the model as a graph, from top to bottom: groups of layers open and fold, and the path of the current layer stands out.
 *
 * @module
 */

import { buttonOf, element, replace } from "./elements.js";
import { folded, groupsAround, withBlocks } from "./graph_folding.js";
import { GraphFrame } from "./graph_frame.js";
import { GraphPicture } from "./graph_picture.js";
import { drawThumbnail } from "./thumbnails.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./graph_folding.js").Graph} Graph */
/** @typedef {import("./graph_folding.js").Box} Box */

/** Scale from which a whole graph is shown at first; a larger graph is shown around the current layer. */
const LEGIBLE_WHOLE = 0.6;

/** The view of the model that was shown last. @type {GraphView | undefined} */
let view;

/** Show the graph. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { session, state } = explorer;
  if (!session) return;
  const graph = await session.graph();
  if (explorer.state !== state) return;
  if (view?.model !== session.model.name || view.root !== root) view = new GraphView(explorer, root, graph);
  view.follow();
}

/** The graph of one model. */
class GraphView {
  /** The open groups. @type {Set<string>} */
  #open = new Set();
  #layer = "";
  /** @type {GraphPicture} */
  #picture;
  /** @type {GraphFrame} */
  #frame;
  #find = element("input", { type: "search", placeholder: "Find in the graph", "aria-label": "Find in the graph" });
  #found = element("span", { class: "quiet", role: "status" });
  #scale = element("output", { class: "quiet zoom-scale" });
  #scratch = element("canvas", { class: "thumbnail", hidden: true });
  /** The pictures of the values of layers, for one image and palette. @type {Map<string, {source: string, isCoarse: boolean} | null>} */
  #sources = new Map();
  #shows = "";

  /** @param {Explorer} explorer @param {HTMLElement} root @param {Graph} graph */
  constructor(explorer, root, graph) {
    this.explorer = explorer;
    this.root = root;
    this.model = explorer.session?.model.name;
    this.graph = withBlocks(graph);
    this.#layer = explorer.state.layer;
    this.#openAround(this.#layer);
    this.#find.addEventListener("input", () => this.#search());
    this.#find.addEventListener("keydown", (event) => event.key === "Enter" && this.#search()[0] && this.#frame.moveTo(this.#search()[0]));
    const groups = this.graph.groups.length > 0 && [
      buttonOf("Open all", () => this.#openOnly(this.graph.groups.map(({ path }) => path))),
      buttonOf("Fold all", () => this.#openOnly([])),
    ];
    const zoom = element(
      "span",
      { class: "zoom row", role: "group", "aria-label": "Zoom" },
      buttonOf("−", () => this.#frame.step(-1), { "aria-label": "Zoom out" }),
      this.#scale,
      buttonOf("+", () => this.#frame.step(1), { "aria-label": "Zoom in" }),
      buttonOf("Fit", () => this.#frame.zoom(this.#frame.fitting), { title: "Show the whole graph" }),
    );
    [this.#picture, this.#frame] = this.#drawn();
    replace(root, element("div", { class: "tools" }, this.#find, this.#found, zoom, ...(groups || [])), this.#scratch, this.#frame.element);
    const { fitting } = this.#frame;
    this.#frame.zoom(fitting >= LEGIBLE_WHOLE ? fitting : 1);
    if (this.#picture.entry) this.#frame.reveal(this.#picture.entry);
  }

  /** Show the current layer, and the values of the current image. */
  follow() {
    const { session, state } = this.explorer;
    const shows = `${JSON.stringify(session?.image)} ${state.palette}`;
    if (shows !== this.#shows) this.#sources = new Map();
    this.#shows = shows;
    const isOther = state.layer !== this.#layer;
    this.#layer = state.layer;
    if (isOther && this.#openAround(state.layer)) this.#redraw();
    const current = this.#picture.mark(state.layer);
    this.#frame.drawMap(current);
    if (current && isOther) this.#frame.reveal(current);
    else this.#frame.draw();
  }

  /** The picture of what is open, in a frame. @returns {[GraphPicture, GraphFrame]} */
  #drawn() {
    const open = this.graph.groups.filter(({ path }) => this.#open.has(path));
    const picture = new GraphPicture(folded(this.graph, this.#open), open, { choose: (box) => this.#choose(box), fold: (path) => this.#turn(path, false) });
    const frame = new GraphFrame(picture, {
      moved: () => (this.#scale.value = `${Math.max(1, Math.round(100 * frame.scale))} %`),
      rested: () => this.#illustrate(),
    });
    picture.mark(this.#layer);
    return [picture, frame];
  }

  /** Draw the graph again after groups were opened or folded, at the same scale. @param {string} [address] - Of a layer that comes into view. */
  #redraw(address = this.#layer) {
    const before = this.#frame;
    const isFocused = before.element.contains(document.activeElement);
    [this.#picture, this.#frame] = this.#drawn();
    before.element.replaceWith(this.#frame.element);
    this.#frame.zoom(before.scale);
    const { boxes, seenAs } = this.#picture.seen;
    this.#frame.drawMap(boxes.get(seenAs.get(this.#layer) ?? this.#layer));
    const box = boxes.get(seenAs.get(address) ?? address);
    if (this.#find.value) this.#search();
    if (!box) return;
    if (isFocused) this.#frame.moveTo(box);
    else this.#frame.reveal(box);
  }

  /** @param {Box} box */
  #choose(box) {
    if (box.isGroup) this.#turn(box.id, true);
    else this.explorer.go({ layer: box.id, channel: "" });
  }

  /** Open or fold a group. @param {string} path @param {boolean} isOpen */
  #turn(path, isOpen) {
    const [first = path] = [...this.#picture.seen.seenAs].find(([, box]) => box === path) ?? [];
    this.#open[isOpen ? "add" : "delete"](path);
    this.#redraw(first);
  }

  /** @param {string[]} paths */
  #openOnly(paths) {
    this.#open = new Set(paths);
    this.#redraw();
  }

  /** Open the groups around a layer. @param {string} address @returns {boolean} Whether one was closed. */
  #openAround(address) {
    const before = this.#open.size;
    for (const path of groupsAround(this.graph, address)) this.#open.add(path);
    return this.#open.size > before;
  }

  /** Mark what is searched for, and bring the first into view. */
  #search() {
    const wanted = this.#find.value.trim();
    const found = this.#picture.search(wanted);
    this.#found.textContent = wanted && `${found.length} found`;
    if (wanted && found.length) this.#frame.reveal(found[0]);
    return found;
  }

  /** Show the values of the boxes in view. */
  async #illustrate() {
    const { session } = this.explorer;
    const [picture, frame, sources] = [this.#picture, this.#frame, this.#sources];
    if (!session?.image || !frame.isDetailed || !frame.scroller.clientWidth) return;
    await Promise.all(
      picture.within(frame.area()).map(async (box) => {
        if (!sources.has(box.shows)) sources.set(box.shows, await this.#sourceOf(session, box.shows));
        const known = sources.get(box.shows);
        if (known && picture === this.#picture && sources === this.#sources) picture.illustrate(box, known.source, known.isCoarse);
      }),
    );
  }

  /** The picture of the values of a layer. @param {Session} session @param {string} address */
  async #sourceOf(session, address) {
    const layer = this.explorer.layers.find((each) => each.address === address);
    // Errors are shown when the layer is chosen.
    const maps = layer && !layer.cannot.picture && (await session.thumbnail(layer).catch(() => null));
    if (!maps) return null;
    drawThumbnail(this.#scratch, maps, this.explorer.state.palette);
    return { source: this.#scratch.toDataURL(), isCoarse: this.#scratch.classList.contains("coarse") };
  }

  /** The whole graph as an SVG file, in the styles of the page. */
  file() {
    const { svg, width, height } = this.#picture;
    this.#picture.draw({ left: -Infinity, top: 0, right: Infinity, bottom: height }, true);
    const copy = /** @type {SVGSVGElement} */ (svg.cloneNode(true));
    const originals = svg.querySelectorAll(STYLED);
    copy.querySelectorAll(STYLED).forEach((each, place) => {
      const style = getComputedStyle(originals[place]);
      for (const property of PROPERTIES) each.setAttribute(property, style.getPropertyValue(property));
    });
    for (const [name, value] of Object.entries({ width, height })) copy.setAttribute(name, String(value));
    this.#frame.draw();
    return new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
  }
}

/** The styles of the page that the graph needs in a file. */
const [STYLED, PROPERTIES] = ["rect, path, text, image", ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight", "image-rendering"]];

/** The graph as an SVG file. */
export function picture() {
  return /** @type {GraphView} */ (view).file();
}
