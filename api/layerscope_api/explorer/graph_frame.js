/**
 * Frame of a graph: it scrolls and zooms, and a small map of the whole graph shows which part is in view.
 *
 * @module
 */

import { drawn, element } from "./elements.js";

/** @typedef {import("./graph_picture.js").GraphPicture} GraphPicture */
/** @typedef {import("./graph_folding.js").Box} Box */

const [LEAST, MOST, STEP] = [0.05, 2, 1.25];
/** Below this scale, texts cannot be read and are left out. */
const LEGIBLE = 0.45;
/** Milliseconds without a movement until the view counts as at rest. */
const REST = 120;
/** Sizes of the view around it in which the graph is drawn, too. */
const DRAWN_AROUND = 1;

export class GraphFrame {
  scale = 1;
  scroller = element("div", { class: "graph", tabindex: 0, role: "region", "aria-label": "Graph" });
  #view = element("i", { class: "in-view" });
  #plain = drawn("path", { class: "plain" });
  #onPath = drawn("path", { class: "on-path" });
  #current = drawn("path", { class: "current" });
  #whole = drawn("svg", { preserveAspectRatio: "none" }, this.#plain, this.#onPath, this.#current);
  #map = element("div", { class: "minimap", "aria-hidden": "true" }, this.#whole, this.#view);
  element = element("div", { class: "graph-frame" }, this.scroller, this.#map);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** The part that is drawn. @type {import("./graph_picture.js").Area} */
  #drawn = { left: 0, top: 0, right: 0, bottom: 0 };
  /** Where the picture begins in what is scrolled: it is in the middle of a wider frame. */
  #origin = { x: 0, y: 0 };

  /** @param {GraphPicture} picture @param {{moved: () => void, rested: () => void}} handlers - Called after each movement, and when there is no other for a while. */
  constructor(picture, handlers) {
    this.picture = picture;
    this.handlers = handlers;
    this.scroller.append(picture.svg);
    this.#whole.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
    this.scroller.addEventListener("scroll", () => this.#moved(), { passive: true });
    this.scroller.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    this.scroller.addEventListener("pointerdown", (event) => this.#grabbed(event));
    for (const kind of /** @type {const} */ (["pointerdown", "pointermove"])) this.#map.addEventListener(kind, (event) => this.#pointed(event));
    this.scroller.addEventListener("keydown", (event) => this.#pressed(event));
    new ResizeObserver(() => this.draw()).observe(this.scroller);
  }

  /** Whether texts can be read. */
  get isDetailed() {
    return this.scale >= LEGIBLE;
  }

  /** The part of the graph that is in view, with some around it. @param {number} [margin] - In sizes of the view. */
  area(margin = 0) {
    const { scroller, scale } = this;
    const [left, top] = [(scroller.scrollLeft - this.#origin.x) / scale, (scroller.scrollTop - this.#origin.y) / scale];
    const [width, height] = [scroller.clientWidth / scale, scroller.clientHeight / scale];
    return { left: left - margin * width, top: top - margin * height, right: left + (1 + margin) * width, bottom: top + (1 + margin) * height };
  }

  /** Draw what is in view now, and some around it. */
  draw() {
    const { scroller, picture } = this;
    if (!scroller.clientWidth) return;
    const [frame, svg] = [scroller.getBoundingClientRect(), picture.svg.getBoundingClientRect()];
    this.#origin = { x: svg.left - frame.left + scroller.scrollLeft, y: svg.top - frame.top + scroller.scrollTop };
    this.#drawn = this.area(DRAWN_AROUND);
    picture.draw(this.#drawn, this.isDetailed);
    this.#moved();
  }

  /** Draw more where the view nears the end of what is drawn, and show on the map what is in view. */
  #moved() {
    const { left, top, right, bottom } = this.area();
    const { width, height } = this.picture;
    const [near, far] = [this.#drawn, this.area(DRAWN_AROUND / 4)];
    const isOutside = (near.top > far.top && near.top > 0) || (near.bottom < far.bottom && near.bottom < height) || (near.left > far.left && near.left > 0) || (near.right < far.right && near.right < width);
    if (isOutside) return this.draw();
    this.#map.classList.toggle("unneeded", left <= 0 && top <= 0 && right >= width && bottom >= height);
    const share = (/** @type {number} */ value, /** @type {number} */ whole) => `${100 * Math.max(0, Math.min(1, value / whole))}%`;
    const [x, y] = [Math.max(0, left), Math.max(0, top)];
    Object.assign(this.#view.style, { left: share(x, width), top: share(y, height), width: share(right - x, width), height: share(bottom - y, height) });
    this.handlers.moved();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.handlers.rested(), REST);
  }

  /** Draw the map again, after another layer was chosen. @param {Box | undefined} current */
  drawMap(current) {
    const boxes = [...this.picture.seen.boxes.values()];
    // Boxes of a long graph are lower than a pixel there.
    const pathOf = (/** @type {Box[]} */ some) => some.map(({ x, y, width }) => `M${x - width / 2 + 6} ${y - 34}h${width - 12}v68h${12 - width}z`).join("");
    this.#plain.setAttribute("d", pathOf(boxes.filter((box) => !this.picture.isOnPath(box))));
    this.#onPath.setAttribute("d", pathOf(boxes.filter((box) => this.picture.isOnPath(box))));
    this.#current.setAttribute("d", current ? `M0 ${current.y}h${this.picture.width}` : "");
  }

  /** Zoom, with a point of the page that stays where it is; the middle without one. @param {number} scale @param {{x: number, y: number}} [point] */
  zoom(scale, point) {
    const { scroller, picture } = this;
    const frame = scroller.getBoundingClientRect();
    const fixed = point ?? { x: frame.left + scroller.clientWidth / 2, y: frame.top + scroller.clientHeight / 2 };
    const before = picture.svg.getBoundingClientRect();
    const [x, y] = [(fixed.x - before.left) / this.scale, (fixed.y - before.top) / this.scale];
    this.scale = Math.max(LEAST, Math.min(MOST, scale));
    picture.svg.setAttribute("width", String(picture.width * this.scale));
    picture.svg.setAttribute("height", String(picture.height * this.scale));
    const after = picture.svg.getBoundingClientRect();
    scroller.scrollBy(after.left + x * this.scale - fixed.x, after.top + y * this.scale - fixed.y);
    this.draw();
  }

  /** Zoom in or out. @param {1 | -1} direction */
  step(direction) {
    this.zoom(this.scale * STEP ** direction);
  }

  /** The scale at which the whole graph is in view, without enlarging it; a very long one stays visible. */
  get fitting() {
    const { scroller, picture } = this;
    return Math.max(LEAST, Math.min(1, scroller.clientWidth / picture.width, scroller.clientHeight / picture.height));
  }

  /** Bring a box into view: into the middle, if it is not in view. @param {Box} box */
  reveal({ x, y, width }) {
    const { left, top, right, bottom } = this.area();
    const margin = 46;
    if (x - width / 2 >= left && x + width / 2 <= right && y - margin >= top && y + margin <= bottom) return this.draw();
    this.#lookAt(x, y);
  }

  /** @param {number} x @param {number} y - Of the middle of the view. */
  #lookAt(x, y) {
    const { left, top, right, bottom } = this.area();
    this.scroller.scrollBy((x - (left + right) / 2) * this.scale, (y - (top + bottom) / 2) * this.scale);
    this.draw();
  }

  /** Zoom by the wheel with Ctrl, which is also how browsers report a pinch. @param {WheelEvent} event */
  #wheeled(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoom(this.scale * Math.exp(-event.deltaY / 300), { x: event.clientX, y: event.clientY });
  }

  /** Move the graph with the mouse; fingers scroll it anyway. @param {PointerEvent} event */
  #grabbed(event) {
    const { scroller } = this;
    const isOnBar = event.clientX > scroller.getBoundingClientRect().left + scroller.clientWidth || event.clientY > scroller.getBoundingClientRect().top + scroller.clientHeight;
    if (event.pointerType !== "mouse" || event.button !== 0 || isOnBar || /** @type {Element} */ (event.target).closest("[role=button]")) return;
    scroller.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ { movementX, movementY }) => scroller.scrollBy(-movementX, -movementY);
    scroller.addEventListener("pointermove", move);
    scroller.addEventListener("lostpointercapture", () => scroller.removeEventListener("pointermove", move), { once: true });
  }

  /** Look at a place of the map. @param {PointerEvent} event */
  #pointed(event) {
    if (event.type === "pointermove" && !event.buttons) return;
    const box = this.#map.getBoundingClientRect();
    this.#lookAt(((event.clientX - box.left) / box.width) * this.picture.width, ((event.clientY - box.top) / box.height) * this.picture.height);
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const box = this.picture.boxOf(/** @type {Element} */ (event.target));
    const next = box && this.picture.beside(box, event.key);
    /** @type {Record<string, () => void>} */
    const actions = { "+": () => this.step(1), "-": () => this.step(-1), 0: () => this.zoom(this.fitting) };
    if (next) this.moveTo(next);
    else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
  }

  /** Move the focus to a box. @param {Box} box */
  moveTo(box) {
    this.picture.entry = box;
    this.reveal(box);
    this.picture.focus(box);
  }
}
