/**
 * Grid of all channels of a layer on one canvas. Only the rows in view are drawn: a layer can have thousands of channels. A grid
 * of cells lies over the canvas for keyboards, pointers and screen readers.
 *
 * @module
 */

import { GAP, layOutMaps } from "./grid_layout.js";
import { drawNames } from "./grid_names.js";
import { coloursOf } from "./maps.js";

/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */
/** @typedef {import("./maps.js").Coloring} Coloring */
/** @typedef {import("./maps.js").Range} Range */
/** @typedef {{tile: number, row: number, column: number}} Unit */
/** @typedef {import("./grid_layout.js").Side} Side */
/** @typedef {import("./grid_layout.js").Layout} Layout */
/** @typedef {"" | "live" | "dead" | "1" | "10" | "50"} Shown - All channels; those that are not dead, or are; or those whose values reach so many percent of the layer's largest. */

/** Rows that are drawn above and below those in view. */
const MARGIN_ROWS = 1;

export class Grid {
  /** @type {FeatureMaps | undefined} */
  maps;
  /** The tiles in the order of the grid. @type {number[]} */
  #order = [];
  #ordered = "number";
  /** @type {Coloring} */
  #coloring = { palette: "auto", normalize: "channel" };
  /** @type {Range | undefined} */
  #shared;
  /** @type {Side} */
  #side = "auto";
  /** @type {Layout} */
  #layout = { columns: 1, rows: 0, width: 1, height: 1, across: 1, down: 1, side: 0, above: 0, label: 0, total: 0 };
  #current = 0;
  #scratch = document.createElement("canvas");

  /**
   * @param {HTMLElement} scroller - The element that contains the canvas and the cells.
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} cells
   * @param {{open: (tile: number) => void, hover: (unit: Unit | null) => void}} handlers
   */
  constructor(scroller, canvas, cells, handlers) {
    this.scroller = scroller;
    this.canvas = canvas;
    this.cells = cells;
    this.handlers = handlers;
    scroller.addEventListener("scroll", () => this.#draw(), { passive: true });
    new ResizeObserver(() => this.#arrange()).observe(scroller);
    cells.addEventListener("click", (event) => {
      const cell = /** @type {Element} */ (event.target).closest("[role=gridcell]");
      if (cell) this.handlers.open(this.#order[Number(/** @type {HTMLElement} */ (cell).dataset.place)]);
    });
    cells.addEventListener("pointermove", (event) => this.handlers.hover(this.#unitAt(event)));
    cells.addEventListener("pointerleave", () => this.handlers.hover(null));
    cells.addEventListener("keydown", (event) => this.#moved(event));
    cells.addEventListener("focusin", (event) => {
      const { place } = /** @type {HTMLElement} */ (event.target).dataset;
      if (place === undefined || !this.maps) return;
      this.#current = Number(place);
      this.handlers.hover({ tile: this.#order[this.#current], row: -1, column: -1 });
    });
  }

  /**
   * Show maps.
   *
   * @param {FeatureMaps} maps
   * @param {Coloring} coloring
   * @param {{order: string, size: string, shown: string}} arrangement - As in the state.
   * @param {Range} [shared] - The range of the colours, if these maps are compared with others.
   */
  show(maps, coloring, { order, size, shown }, shared) {
    const arranged = `${order} ${shown}`;
    const isOther = this.maps?.address !== maps.address || this.maps?.count !== maps.count || this.#ordered !== arranged;
    this.maps = maps;
    this.#coloring = coloring;
    this.#shared = shared;
    this.#side = Number(size) || (size === "atlas" ? "atlas" : "auto");
    this.#ordered = arranged;
    this.#order = [...Array(maps.count).keys()].filter((tile) => isShown(maps, tile, shown));
    if (order === "activity") this.#order.sort((a, b) => maps.activity[b] - maps.activity[a]);
    if (isOther) {
      this.#current = 0;
      this.scroller.scrollTop = 0;
    }
    this.#arrange();
  }

  /** Show nothing. */
  clear() {
    this.maps = undefined;
    this.cells.replaceChildren();
    this.cells.style.height = "0";
    this.canvas.getContext("2d")?.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** How many maps are shown. */
  get count() {
    return this.#order.length;
  }

  /** Whether a tile is among the shown ones. @param {number} tile */
  has(tile) {
    return this.#order.includes(tile);
  }

  /** The tile that is `by` places after another. @param {number} tile @param {number} by */
  beside(tile, by) {
    const place = this.#order.indexOf(tile) + by;
    return this.#order[Math.max(0, Math.min(this.#order.length - 1, place))];
  }

  /** Move the focus to the cell of a tile. @param {number} tile */
  focus(tile) {
    this.#goTo(Math.max(0, this.#order.indexOf(tile)));
  }

  #arrange() {
    const { maps, scroller, canvas, cells } = this;
    if (!maps || !scroller.clientWidth) return;
    const { scrollTop } = scroller;
    // In a narrow window the height follows from the content.
    canvas.style.height = cells.style.height = "0";
    const [width, height] = [scroller.clientWidth - 2 * GAP, scroller.clientHeight];
    this.#layout = layOutMaps(maps, this.#order.length, this.#side, width, height);
    cells.style.height = `${this.#layout.total}px`;
    cells.setAttribute("aria-rowcount", String(this.#layout.rows));
    cells.setAttribute("aria-colcount", String(this.#layout.columns));
    scroller.scrollTop = scrollTop;
    if (cells.contains(document.activeElement)) this.#goTo(this.#current);
    else this.#draw();
  }

  #draw() {
    const { maps, canvas, scroller } = this;
    if (!maps) return;
    const { rows, down } = this.#layout;
    const ratio = globalThis.devicePixelRatio || 1;
    const [width, height] = [scroller.clientWidth, scroller.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${getComputedStyle(scroller).fontFamily}`;
    context.fillStyle = getComputedStyle(scroller).color;
    const first = Math.max(0, Math.floor((scroller.scrollTop - GAP) / down) - MARGIN_ROWS);
    const last = Math.min(rows, Math.ceil((scroller.scrollTop + height - GAP) / down) + MARGIN_ROWS);
    for (let row = first; row < last; row += 1) this.#drawRow(context, maps, row);
    this.#layCells(first, last);
  }

  /** @param {CanvasRenderingContext2D} context @param {FeatureMaps} maps @param {number} row */
  #drawRow(context, maps, row) {
    const { columns, width, height, across, down, side, above, label } = this.#layout;
    const tiles = this.#order.slice(row * columns, (row + 1) * columns);
    const painted = maps.paint(tiles, this.#coloring, this.#shared);
    this.#scratch.width = painted.width;
    this.#scratch.height = painted.height;
    this.#scratch.getContext("2d")?.putImageData(painted, 0, 0);
    const top = GAP + row * down + above - this.scroller.scrollTop;
    context.imageSmoothingEnabled = width < maps.width;
    context.imageSmoothingQuality = "high";
    tiles.forEach((tile, column) => {
      const left = GAP + column * across + side;
      drawNames(context, maps.tokens, { left, top, width, height, room: side, end: this.scroller.clientHeight });
      context.drawImage(this.#scratch, 0, column * maps.height, maps.width, maps.height, left, top, width, height);
      if (!label) return;
      const isDead = maps.isDead(tile);
      context.globalAlpha = isDead ? 1 : 0.75;
      const value = maps.isVector ? `: ${plain(maps.rangeOf(tile).low)}` : isDead ? " dead" : "";
      context.fillText(`${maps.channelOf(tile)}${value}`, left, top + height + 12);
      context.globalAlpha = 1;
    });
  }

  /** Put a cell over each tile that is drawn. @param {number} first @param {number} last */
  #layCells(first, last) {
    const focused = this.cells.contains(document.activeElement);
    const rows = [];
    for (let row = first; row < last; row += 1) rows.push(this.#rowOf(row));
    this.cells.replaceChildren(...rows);
    if (!this.cells.querySelector("[tabindex='0']")) this.cells.querySelector("[role=gridcell]")?.setAttribute("tabindex", "0");
    if (focused) /** @type {HTMLElement | null} */ (this.cells.querySelector("[tabindex='0']"))?.focus({ preventScroll: true });
  }

  /** @param {number} row */
  #rowOf(row) {
    const { columns, width, height, across, down, side, above } = this.#layout;
    const element = document.createElement("div");
    element.setAttribute("role", "row");
    element.setAttribute("aria-rowindex", String(row + 1));
    this.#order.slice(row * columns, (row + 1) * columns).forEach((tile, column) => {
      const place = row * columns + column;
      const cell = document.createElement("div");
      cell.setAttribute("role", "gridcell");
      cell.setAttribute("aria-colindex", String(column + 1));
      cell.setAttribute("aria-label", this.#nameOf(tile));
      cell.tabIndex = place === this.#current ? 0 : -1;
      cell.dataset.place = String(place);
      const [left, top] = [GAP + column * across + side, GAP + row * down + above];
      Object.assign(cell.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
      element.append(cell);
    });
    return element;
  }

  /** @param {number} tile */
  #nameOf(tile) {
    const maps = /** @type {FeatureMaps} */ (this.maps);
    const { low, high } = maps.rangeOf(tile);
    if (maps.isMatrix) return `matrix of ${maps.height} by ${maps.width}, ${plain(low)} to ${plain(high)}`;
    if (maps.isVector) return `unit ${maps.channelOf(tile)}: ${plain(low)}`;
    return `${maps.unit} ${maps.channelOf(tile)}, ${maps.isDead(tile) ? "dead" : `${plain(low)} to ${plain(high)}`}`;
  }

  /** @param {PointerEvent} event @returns {Unit | null} */
  #unitAt(event) {
    const { maps } = this;
    const cell = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[role=gridcell]"));
    if (!maps || !cell) return null;
    const box = cell.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * maps.width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * maps.height);
    if (column < 0 || row < 0 || column >= maps.width || row >= maps.height) return null;
    return { tile: this.#order[Number(cell.dataset.place)], row, column };
  }

  /** @param {KeyboardEvent} event */
  #moved(event) {
    const { columns } = this.#layout;
    const last = this.#order.length - 1;
    const page = columns * Math.max(1, Math.floor(this.scroller.clientHeight / this.#layout.down));
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -last, End: last, PageDown: page, PageUp: -page };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (event.key === "Enter" || event.key === " ") this.handlers.open(this.#order[this.#current]);
    else if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    else this.#goTo(Math.max(0, Math.min(last, this.#current + step)));
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} place */
  #goTo(place) {
    this.#current = place;
    const { columns, down, above, height } = this.#layout;
    const top = GAP + Math.floor(place / columns) * down;
    const { scroller } = this;
    if (top < scroller.scrollTop) scroller.scrollTop = top - GAP;
    else if (top + above + height > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + down - scroller.clientHeight;
    this.#draw();
    /** @type {HTMLElement | null} */ (this.cells.querySelector(`[data-place='${place}']`))?.focus({ preventScroll: true });
  }
}

/** Whether a channel is among those that a person wants to see. @param {FeatureMaps} maps @param {number} tile @param {string} shown */
function isShown(maps, tile, shown) {
  if (!shown || maps.isMatrix) return true;
  const { low, high } = maps.rangeOf(tile);
  if (shown === "live" || shown === "dead") return (low === 0 && high === 0) === (shown === "dead");
  const most = Math.max(Math.abs(maps.range.low), Math.abs(maps.range.high));
  return Math.max(Math.abs(low), Math.abs(high)) >= (Number(shown) / 100) * most;
}

/** A number as text, with few digits. @param {number | null | undefined} value */
export function plain(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** The text about the value under the pointer. @param {FeatureMaps} maps @param {Unit} unit */
export function described(maps, { tile, row, column }) {
  const { low, high } = maps.rangeOf(tile);
  if (maps.isVector) return `unit ${maps.channelOf(tile)} · ${plain(low)}`;
  const name = maps.isMatrix ? "" : `${maps.unit} ${maps.channelOf(tile)} · `;
  if (row < 0) return `${name}${plain(low)} to ${plain(high)}`;
  return `${name}${maps.placeOf(row, column)}: ${plain(maps.value(tile, row, column))} (${plain(low)} to ${plain(high)})`;
}

/**
 * Show the colour bar with the values at its ends.
 *
 * @param {import("./main.js").Explorer} explorer
 * @param {{low: number, high: number}} range
 * @param {boolean} isOwn - Whether each channel has its own range.
 * @param {Coloring} [coloring]
 */
export function showScale(explorer, { low, high }, isOwn, coloring = explorer.coloring) {
  if (!explorer.maps) return;
  const bar = /** @type {HTMLCanvasElement} */ (document.getElementById("scale-bar"));
  const colours = new Uint32Array(coloursOf(explorer.maps.paletteOf(coloring).name));
  bar.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(colours.buffer), 256, 1), 0, 0);
  /** @type {HTMLElement} */ (document.getElementById("scale-low")).textContent = isOwn ? "lowest" : plain(low);
  /** @type {HTMLElement} */ (document.getElementById("scale-high")).textContent = isOwn ? "highest of each" : plain(high);
}
