/**
 * List of layers in graph order: thumbnail, name, shape, and share of values that are not zero.
 *
 * @module
 */

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./session.js").Layer} Layer */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */

const ROW_HEIGHT = 52;
const LANE_WIDTH = 7;
const MOST_LANES = 4;
const THUMBNAIL_SIDE = 40;

/** The list. `choose` is called with the address of a chosen layer. */
export class LayerList {
  #list = /** @type {HTMLElement} */ (document.getElementById("layers"));
  #lanes = /** @type {SVGSVGElement} */ (/** @type {unknown} */ (document.getElementById("lanes")));
  #find = /** @type {HTMLInputElement} */ (document.getElementById("find"));
  #row = /** @type {HTMLTemplateElement} */ (document.getElementById("layer-row"));
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  /** @type {Layer[]} */
  #layers = [];
  /** @type {Session | undefined} */
  #session;
  #seen = new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && this.#draw(entry.target)), {
    root: this.#list.parentElement,
    rootMargin: "200px",
  });

  /** @param {(address: string) => void} choose */
  constructor(choose) {
    this.choose = choose;
    this.#find.addEventListener("input", () => this.#filter());
    this.#find.addEventListener("keydown", (event) => {
      const [first] = this.#visible();
      if (event.key === "Enter" && first) this.choose(first.address);
    });
    this.#list.addEventListener("click", (event) => {
      const row = /** @type {Element} */ (event.target).closest("li");
      if (row && !row.ariaDisabled) this.choose(/** @type {string} */ (row.dataset.address));
    });
    this.#list.addEventListener("keydown", (event) => this.#moved(event));
  }

  /**
   * Show the layers of a model.
   *
   * @param {Session} session
   * @param {Layer[]} layers
   * @param {{path: string, reason: string}[]} unreachable
   */
  show(session, layers, unreachable) {
    const isSame = this.#layers.map((layer) => layer.address).join() === layers.map((layer) => layer.address).join();
    this.#session = session;
    this.#layers = layers;
    this.#seen.disconnect();
    if (!isSame) {
      this.#rows = new Map(layers.map((layer) => [layer.address, this.#made(layer)]));
      const unable = unreachable.map(({ path, reason }) => this.#unable(path, reason));
      this.#list.replaceChildren(...this.#rows.values(), ...unable);
      this.#find.value = "";
      this.#filter();
    }
    for (const row of this.#rows.values()) {
      row.classList.add("stale");
      this.#seen.observe(row);
    }
  }

  /** Mark the current layer and scroll to it. @param {string} address */
  select(address) {
    for (const [each, row] of this.#rows) row.setAttribute("aria-selected", String(each === address));
    const row = this.#rows.get(address);
    this.#list.setAttribute("aria-activedescendant", row?.id ?? "");
    if (row && !row.hidden) bringIntoView(row, /** @type {HTMLElement} */ (this.#list.parentElement));
  }

  /** @param {KeyboardEvent} event */
  #moved(event) {
    const visible = this.#visible();
    const at = visible.findIndex((layer) => this.#rows.get(layer.address)?.getAttribute("aria-selected") === "true");
    const target = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: visible.length - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    const layer = visible[Math.max(0, Math.min(visible.length - 1, target))];
    if (layer) this.choose(layer.address);
  }

  #visible() {
    return this.#layers.filter((layer) => !this.#rows.get(layer.address)?.hidden);
  }

  #filter() {
    const wanted = this.#find.value.trim().toLowerCase();
    for (const layer of this.#layers) {
      const text = `${layer.address} ${layer.type}`.toLowerCase();
      /** @type {HTMLElement} */ (this.#rows.get(layer.address)).hidden = !text.includes(wanted);
    }
    const shown = this.#visible().length;
    const count = /** @type {HTMLElement} */ (document.getElementById("layers-count"));
    count.textContent = wanted ? `${shown} of ${this.#layers.length}` : String(this.#layers.length);
    const lanes = wanted ? [] : lanesOf(this.#layers);
    this.#lanes.replaceChildren(...lanes);
    this.#list.classList.toggle("beside-lanes", lanes.length > 0);
    this.#lanes.style.height = `${this.#layers.length * ROW_HEIGHT}px`;
  }

  /** @param {Layer} layer */
  #made(layer) {
    const row = /** @type {HTMLElement} */ (/** @type {Element} */ (this.#row.content.firstElementChild).cloneNode(true));
    const [prefix, name] = row.querySelectorAll(".layer-name > *");
    const cut = layer.address.lastIndexOf("/") + 1;
    prefix.textContent = layer.address.slice(0, cut);
    name.textContent = layer.address.slice(cut);
    const [type, shape] = row.querySelectorAll(".layer-kind > *");
    type.textContent = `${layer.type} · `;
    shape.textContent = shapeOf(layer);
    row.id = `layer-${this.#layers.indexOf(layer)}`;
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
    const layer = this.#layers.find((each) => each.address === /** @type {HTMLElement} */ (row).dataset.address);
    if (!layer || !session) return;
    if (layer.cannot.picture) return row.classList.remove("stale");
    // Errors are shown when the layer is chosen, not in its row.
    const maps = await session.thumbnail(layer).catch(() => null);
    if (!maps || session !== this.#session) return;
    row.classList.remove("stale");
    drawThumbnail(/** @type {HTMLCanvasElement} */ (row.querySelector("canvas")), maps);
    const active = 1 - (maps.statistics?.fraction_zero ?? 0);
    /** @type {HTMLElement} */ (row.querySelector(".spark i")).style.width = `${active * 100}%`;
    /** @type {HTMLElement} */ (row).title = `${layer.address}: ${Math.round(active * 100)} % of its values are not zero`;
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

/** Draw the most active channel, or all values of a vector. @param {HTMLCanvasElement} canvas @param {FeatureMaps} maps */
function drawThumbnail(canvas, maps) {
  const coloring = /** @type {const} */ ({ palette: "auto", normalize: "channel" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  if (maps.isVector) {
    const columns = Math.ceil(Math.sqrt(maps.count));
    canvas.width = columns;
    canvas.height = Math.ceil(maps.count / columns);
    const painted = maps.paint([...Array(maps.count).keys()], coloring);
    const pixels = new ImageData(canvas.width, canvas.height);
    pixels.data.set(painted.data);
    context.putImageData(pixels, 0, 0);
  } else {
    canvas.width = maps.width;
    canvas.height = maps.height;
    const most = maps.activity.indexOf(maps.activity.reduce((best, each) => Math.max(best, each), -1));
    context.putImageData(maps.paint([Math.max(0, most)], coloring), 0, 0);
  }
  canvas.classList.toggle("coarse", canvas.width < 2 * THUMBNAIL_SIDE);
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
