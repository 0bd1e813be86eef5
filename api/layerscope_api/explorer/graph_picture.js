/**
 * Picture of a graph as SVG, of which only what is in view is in the page: a model can have thousands of layers.
 *
 * @module
 */

import { drawn } from "./elements.js";
import { pathThrough } from "./graph_folding.js";
import { layOut } from "./layout.js";

/** @typedef {import("./graph_folding.js").Seen} Seen */
/** @typedef {import("./graph_folding.js").Box} Box */
/** @typedef {import("./layout.js").Line} Line */
/** @typedef {{left: number, top: number, right: number, bottom: number}} Area */

const [BOX_WIDTH, BOX_HEIGHT, GAP] = [220, 52, 24];
const [THUMBNAIL, INSET] = [40, 6];
const LETTERS = 20;
/** The room of a frame around the boxes of an open group, for each group inside of it. */
const FRAME = 7;
/** The room above them for its name. */
const LABEL = 12;

/** The boxes of a graph and the lines between them. */
export class GraphPicture {
  svg = drawn("svg", { role: "group", "aria-label": "Layers and what flows between them" });
  /** @type {Line[]} */
  lines;
  #frames = this.svg.appendChild(drawn("g"));
  #lines = this.svg.appendChild(drawn("g"));
  #boxes = this.svg.appendChild(drawn("g"));
  /** The elements made so far. @type {Map<Box, SVGGElement>} */
  #made = new Map();
  /** @type {Map<Line, SVGElement>} */
  #curves = new Map();
  /** The boxes of each rank. @type {Box[][]} */
  #ranks = [];
  /** The boxes that are on the path of the current one. @type {Set<string>} */
  #path = new Set();
  #current = "";
  #wanted = "";
  /** The box that the keyboard enters at. @type {Box | undefined} */
  entry;

  /** @param {Seen} seen @param {{path: string, name: string, parent: string | null}[]} open - The open groups. @param {{choose: (box: Box) => void, fold: (path: string) => void}} handlers */
  constructor(seen, open, handlers) {
    this.seen = seen;
    this.handlers = handlers;
    for (const box of seen.boxes.values()) box.width = BOX_WIDTH + GAP;
    const { lines, width, height } = layOut(seen.boxes, seen.edges);
    this.lines = lines;
    this.width = width + 2 * GAP;
    this.height = height;
    this.svg.setAttribute("viewBox", `${-GAP} 0 ${this.width} ${height}`);
    for (const box of seen.boxes.values()) (this.#ranks[box.rank] ??= []).push(box);
    for (const boxes of this.#ranks) boxes.sort((a, b) => a.x - b.x);
    this.#frames.append(...this.#framesOf(open));
  }

  /** The boxes in an area. @param {Area} area @returns {Box[]} */
  within({ left, top, right, bottom }) {
    const down = this.height / this.#ranks.length;
    const ranks = this.#ranks.slice(Math.max(0, Math.floor(top / down)), Math.max(0, Math.ceil(bottom / down)));
    return ranks.flat().filter(({ x }) => x + BOX_WIDTH / 2 > left && x - BOX_WIDTH / 2 < right);
  }

  /** Draw an area, and remove what is outside of it. @param {Area} area @param {boolean} isDetailed - Whether texts can be read. */
  draw(area, isDetailed) {
    const boxes = new Set(this.within(area));
    const focused = /** @type {Element | null} */ (document.activeElement)?.closest(".box");
    for (const [box, shape] of this.#made) if (box === this.entry || shape === focused) boxes.add(box);
    if (this.entry) boxes.add(this.entry);
    this.svg.classList.toggle("distant", !isDetailed);
    for (const box of boxes) {
      const shape = this.#shapeOf(box);
      if (isDetailed && shape.childElementCount === 1) shape.append(...detailsOf(box));
      if (!shape.isConnected) this.#boxes.append(shape);
    }
    for (const [box, shape] of this.#made) if (!boxes.has(box) && shape.isConnected) shape.remove();
    for (const line of this.lines) {
      const [first, last] = [line.path[0].y, line.path[line.path.length - 1].y];
      const isInside = Math.max(first, last) > area.top && Math.min(first, last) < area.bottom;
      const curve = this.#curves.get(line);
      if (isInside && !curve?.isConnected) this.#lines.append(this.#curveOf(line));
      else if (!isInside) curve?.remove();
    }
  }

  /** Mark the box of the current layer, and its path. @param {string} address */
  mark(address) {
    this.#current = this.seen.seenAs.get(address) ?? address;
    const box = this.seen.boxes.get(this.#current);
    this.#path = box ? pathThrough(this.seen.edges, box.id) : new Set();
    this.entry = box ?? this.entry ?? this.seen.boxes.values().next().value;
    for (const box of this.#made.keys()) this.#paint(box);
    for (const line of this.#curves.keys()) this.#paintLine(line);
    return box;
  }

  /** Whether a box is on the path of the current one. @param {Box} box */
  isOnPath({ id }) {
    return this.#path.has(id);
  }

  /** The boxes whose names or types contain a text; the others are dimmed. @param {string} wanted @returns {Box[]} */
  search(wanted) {
    this.#wanted = wanted.toLowerCase();
    for (const box of this.#made.keys()) this.#paint(box);
    return [...this.seen.boxes.values()].filter(({ text }) => text.includes(this.#wanted));
  }

  /** Move the focus to a box that is drawn. @param {Box} box */
  focus(box) {
    this.entry = box;
    for (const each of this.#made.keys()) this.#paint(each);
    this.#made.get(box)?.focus({ preventScroll: true });
  }

  /** The box that the keyboard leads to from another. @param {Box} box @param {string} key @returns {Box | undefined} */
  beside(box, key) {
    const all = [...this.seen.boxes.values()];
    const inRank = this.#ranks[box.rank];
    const along = (/** @type {"source" | "target"} */ from, /** @type {"source" | "target"} */ to) => this.seen.boxes.get(this.seen.edges.find((edge) => edge[from] === box.id)?.[to] ?? "");
    if (key === "ArrowDown") return along("source", "target");
    if (key === "ArrowUp") return along("target", "source");
    if (key === "ArrowLeft") return inRank[inRank.indexOf(box) - 1];
    if (key === "ArrowRight") return inRank[inRank.indexOf(box) + 1];
    return { Home: all[0], End: all[all.length - 1] }[key];
  }

  /** The box of an element. @param {Element | null} element */
  boxOf(element) {
    const id = element?.closest(".box")?.getAttribute("data-address");
    return id ? this.seen.boxes.get(id) : undefined;
  }

  /** Show a picture of its values in a box. @param {Box} box @param {string} source @param {boolean} isCoarse */
  illustrate(box, source, isCoarse) {
    const shape = this.#made.get(box);
    if (!shape) return;
    shape.querySelector("image")?.remove();
    const place = { x: box.x - BOX_WIDTH / 2 + INSET, y: box.y - THUMBNAIL / 2, width: THUMBNAIL, height: THUMBNAIL };
    shape.append(drawn("image", { href: source, ...place, class: isCoarse && "coarse" }));
  }

  /** @param {Box} box */
  #shapeOf(box) {
    const known = this.#made.get(box);
    if (known) return known;
    const rect = drawn("rect", { x: box.x - BOX_WIDTH / 2, y: box.y - BOX_HEIGHT / 2, width: BOX_WIDTH, height: BOX_HEIGHT, rx: 7 });
    const label = `${box.name}, ${box.kind}, ${box.shape}${box.isGroup ? ", open it" : ""}`;
    const shape = drawn("g", { role: "button", "aria-label": label, "data-address": box.id }, rect);
    shape.addEventListener("click", () => this.handlers.choose(box));
    shape.addEventListener("keydown", (event) => event.key === "Enter" && this.handlers.choose(box));
    this.#made.set(box, shape);
    this.#paint(box);
    return shape;
  }

  /** @param {Box} box */
  #paint(box) {
    const shape = /** @type {SVGGElement} */ (this.#made.get(box));
    const isDim = !box.text.includes(this.#wanted);
    shape.setAttribute("class", ["box", box.isGroup && "group", this.isOnPath(box) && "on-path", isDim && "dim"].filter(Boolean).join(" "));
    if (box.id === this.#current) shape.setAttribute("aria-current", "true");
    else shape.removeAttribute("aria-current");
    shape.setAttribute("tabindex", box === this.entry ? "0" : "-1");
  }

  /** @param {Line} line */
  #curveOf(line) {
    const curve = this.#curves.get(line) ?? drawn("path", { d: curveOf(line.path) });
    this.#curves.set(line, curve);
    this.#paintLine(line);
    return curve;
  }

  /** @param {Line} line */
  #paintLine(line) {
    const { source, target } = line;
    const isNear = source === this.#current || target === this.#current;
    const isOnPath = this.#path.has(source) && this.#path.has(target);
    this.#curves.get(line)?.setAttribute("class", isNear ? "near" : isOnPath ? "on-path" : "");
  }

  /** Frames around the boxes of open groups, with a button that folds them. @param {{path: string, name: string, parent: string | null}[]} open */
  #framesOf(open) {
    const parents = new Map(open.map(({ path, parent }) => [path, parent]));
    /** @type {Map<string, Area>} */
    const areas = new Map();
    /** How deep other frames are inside of one. @type {Map<string, number>} */
    const depths = new Map();
    for (const { x, y, group } of this.seen.boxes.values()) {
      for (let path = group, depth = 1; path; path = parents.get(path) ?? null, depth += 1) {
        const area = areas.get(path) ?? { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
        areas.set(path, { left: Math.min(area.left, x), top: Math.min(area.top, y), right: Math.max(area.right, x), bottom: Math.max(area.bottom, y) });
        depths.set(path, Math.max(depths.get(path) ?? 0, depth));
      }
    }
    return open.flatMap(({ path, name }) => {
      const area = areas.get(path);
      const room = FRAME * (depths.get(path) ?? 1);
      if (!area) return [];
      const [x, y] = [area.left - BOX_WIDTH / 2 - room, area.top - BOX_HEIGHT / 2 - room - LABEL];
      const frame = drawn("rect", { class: "frame", x, y, width: area.right - area.left + BOX_WIDTH + 2 * room, height: area.bottom - area.top + BOX_HEIGHT + 2 * room + LABEL, rx: 9 });
      const button = drawn("text", { class: "fold-group", role: "button", tabindex: 0, "aria-label": `Fold ${path}`, x: x + 8, y: y + LABEL + 1 }, `▾ ${name}`);
      button.addEventListener("click", () => this.handlers.fold(path));
      button.addEventListener("keydown", (event) => event.key === "Enter" && this.handlers.fold(path));
      return [frame, button];
    });
  }
}

/** The texts of a box, beside its thumbnail. @param {Box} box @returns {(SVGElement | string)[]} */
function detailsOf({ x, y, name, kind, shape, isGroup }) {
  const left = x - BOX_WIDTH / 2 + THUMBNAIL + 2 * INSET;
  return [
    drawn("text", { x: left, y: y - 9, class: "name" }, shortened(isGroup ? `▸ ${name}` : name)),
    " ",
    drawn("text", { x: left, y: y + 5 }, shortened(kind)),
    " ",
    drawn("text", { x: left, y: y + 19 }, shape),
  ];
}

/** The path of a line from box to box, straight down beside boxes that it passes. @param {import("./layout.js").Place[]} path */
function curveOf([from, ...path]) {
  const half = BOX_HEIGHT / 2;
  let [x, y] = [from.x, from.y + half];
  const parts = path.map((to, step) => {
    const bend = Math.max(12, (to.y - half - y) / 2);
    const part = `C${x} ${y + bend} ${to.x} ${to.y - half - bend} ${to.x} ${to.y - half}`;
    [x, y] = [to.x, to.y + half];
    return step < path.length - 1 ? `${part}V${y}` : part;
  });
  return `M${from.x} ${from.y + half}${parts.join("")}`;
}

/** A shortened name. The end is kept, because names differ there. @param {string} text */
function shortened(text) {
  return text.length > LETTERS ? `…${text.slice(1 - LETTERS)}` : text;
}
