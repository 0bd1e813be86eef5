/**
 * The explorer: what is looked at stands in the address, and every part of the page shows it.
 *
 * @module
 */

import { Client, LayerscopeError } from "./client/layerscope.js";
import { Grid, plain } from "./grid.js";
import { LayerList, shapeOf } from "./layers.js";
import { Look } from "./look.js";
import { coloursOf, paletteNames, takePalettes } from "./maps.js";
import { Subject } from "./subject.js";

/** @typedef {import("./look.js").Layer} Layer */
/** @typedef {import("./look.js").Schemas} Schemas */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */
/** @typedef {import("./grid.js").Unit} Unit */
/** @typedef {typeof DEFAULTS} State */

const VIEWS = ["maps", "statistics", "heat", "compare", "graph"];
const FIRST_IMAGE = "seven";
const DEFAULTS = { model: "", image: "", layer: "", channel: "", view: "maps", palette: "auto", normalize: "channel", range: "", order: "number", size: "auto", with: "", method: "gradcam", target: "best" };
/** What differs between entries of the browser's history; the rest changes the entry. */
const STEPS = /** @type {const} */ (["model", "image", "layer", "channel", "view", "with", "method", "target"]);

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));
/** @param {string} id */
const choice = (id) => /** @type {HTMLSelectElement} */ (document.getElementById(id));
/** @param {string} id */
const inputOf = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

/** The page, for the parts of it that come when they are needed. */
export class Explorer {
  client = clientWith(sessionStorage.getItem("key"));
  state = { ...DEFAULTS };
  /** @type {Look | undefined} */
  look;
  /** @type {Layer[]} */
  layers = [];
  /** @type {Schemas["ModelRow"][]} */
  models = [];
  /** @type {FeatureMaps | undefined} */
  maps;
  subject = new Subject(this);
  list = new LayerList((address) => this.go({ layer: address, channel: "" }));
  grid = new Grid(find("maps-scroll"), /** @type {HTMLCanvasElement} */ (document.getElementById("maps-canvas")), find("maps"), {
    open: (tile) => this.maps && !this.maps.isVector && !this.maps.isMatrix && this.go({ channel: String(this.maps.channelOf(tile)) }),
    hover: (unit) => this.#hovered(unit),
  });
  #menu = /** @type {HTMLDetailsElement} */ (document.getElementById("downloads"));
  #leave = new AbortController();
  #shown = 0;
  #shownLook = "";

  /** Read what came with the page, ask for the models, and show what the address says. */
  async start() {
    const shipped = JSON.parse(/** @type {string} */ (find("shipped").textContent));
    takePalettes(shipped.palettes);
    choice("palette").append(...paletteNames().map((name) => new Option(name)));
    this.subject.take(shipped.samples);
    for (const id of /** @type {const} */ (["palette", "normalize", "order", "size"])) {
      choice(id).addEventListener("change", () => this.go({ [id]: choice(id).value }));
    }
    for (const id of ["range-low", "range-high"]) {
      find(id).addEventListener("change", () => this.go({ range: `${inputOf("range-low").value},${inputOf("range-high").value}` }));
    }
    choice("with").addEventListener("change", () => this.go({ with: choice("with").value }));
    choice("model").addEventListener("change", () => this.go({ model: choice("model").value, layer: "", channel: "" }));
    for (const tab of document.querySelectorAll("[role=tab]")) {
      tab.addEventListener("click", () => this.go({ view: /** @type {HTMLElement} */ (tab).dataset.view }));
    }
    addEventListener("popstate", () => this.show());
    this.#menu.addEventListener("toggle", () => this.#menu.open && this.part("downloads", (part) => part.fill(this)).catch((error) => this.trouble(error)));
    addEventListener("click", (event) => this.#menu.contains(/** @type {Node} */ (event.target)) || (this.#menu.open = false));
    addEventListener("keydown", (event) => this.#pressed(event));
    find("skip").addEventListener("click", () => find("layer-title").focus());
    find("help").addEventListener("click", () => /** @type {HTMLDialogElement} */ (document.getElementById("keys")).showModal());
    find("theme").addEventListener("click", () => turnTheme());
    find("problem").lastElementChild?.addEventListener("click", () => this.show());
    find("door-form").addEventListener("submit", () => this.#useKey(/** @type {HTMLInputElement} */ (document.getElementById("key")).value));
    await this.show();
  }

  /** Look at something else. @param {Partial<State>} change */
  go(change) {
    const next = { ...this.state, ...change };
    const isStep = STEPS.some((name) => next[name] !== this.state[name]);
    const said = Object.entries(next).filter(([name, value]) => value !== DEFAULTS[/** @type {keyof State} */ (name)]);
    history[isStep ? "pushState" : "replaceState"](null, "", `#${new URLSearchParams(said)}`);
    return this.show();
  }

  /** Show what the address says. */
  async show() {
    const turn = ++this.#shown;
    this.#leave.abort();
    this.#leave = new AbortController();
    this.#menu.open = false;
    this.waits(true);
    this.state = { ...DEFAULTS, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
    try {
      if (!this.models.length) await this.#listModels();
      await this.#open(turn);
      if (turn === this.#shown) await this.#showLayer(turn);
      if (turn === this.#shown) this.trouble(null);
    } catch (error) {
      if (turn === this.#shown) this.trouble(error);
    }
    if (turn === this.#shown) this.waits(false);
  }

  /** Is aborted as soon as something else is looked at. */
  get left() {
    return this.#leave.signal;
  }

  /** Say whether what is shown is still that of before. @param {boolean} isWaiting */
  waits(isWaiting) {
    document.body.classList.toggle("waiting", isWaiting);
  }

  async #listModels() {
    this.models = await this.client.models();
    const ready = this.models.flatMap(({ name, versions }) =>
      versions.map(({ version, state, reason }) => {
        const option = new Option(state === "ready" ? `${name} ${version}` : `${name} ${version} (${state})`, `${name}@${version}`);
        option.disabled = state !== "ready";
        option.title = reason ?? "";
        return option;
      }),
    );
    choice("model").replaceChildren(...ready);
  }

  /** Send a model, and look through it. @param {File} file */
  async addModel(file) {
    const name = file.name.toLowerCase().replace(/\.\w+$/, "").replace(/[^a-z0-9._-]+/g, "-");
    const { version } = await this.client.addModel(file, name);
    this.models = [];
    return this.go({ model: `${name}@${version}`, layer: "", channel: "" });
  }

  /** The pictures by name of input: the same for all. @param {string} model @param {string} image */
  lookAt(model, image) {
    const [name, version] = model.split("@");
    const inputs = this.models.find((each) => each.name === name)?.versions.find((each) => String(each.version) === version)?.inputs ?? [];
    return new Look(this.client, model, inputs.length > 1 ? Object.fromEntries(inputs.map((input) => [input.name, image])) : image);
  }

  /** Have the model look at the image. @param {number} turn */
  async #open(turn) {
    const { state } = this;
    state.model ||= [...choice("model").options].find((option) => !option.disabled)?.value ?? "";
    if (!state.model) throw new LayerscopeError("no_model", "No model is ready yet. Models that failed say why in the list above.");
    if (![...choice("model").options].some((option) => option.value === state.model)) {
      throw new LayerscopeError("model_not_found", `There is no model ${state.model} here. Choose one above.`);
    }
    choice("model").value = state.model;
    state.image ||= [...this.subject.pictures.values()].find(({ name }) => name === FIRST_IMAGE)?.id ?? "";
    const wanted = `${state.model} ${state.image}`;
    if (wanted === this.#shownLook) return;
    this.look?.close();
    this.#shownLook = "";
    await this.subject.show(state.image);
    if (turn !== this.#shown) return;
    const look = this.lookAt(state.model, state.image);
    this.look = look;
    const { layers, unreachable } = await look.layers();
    if (turn !== this.#shown) return;
    this.layers = layers;
    this.list.show(look, layers, unreachable);
    this.#shownLook = wanted;
    this.subject.showPredictions(look).catch((error) => this.look === look && this.trouble(error));
  }

  /** The view that is shown. */
  get view() {
    return VIEWS.includes(this.state.view) ? this.state.view : "maps";
  }

  /** The layer that is looked at. */
  get layer() {
    return this.layers.find(({ address }) => address === this.state.layer);
  }

  /** @param {number} turn */
  async #showLayer(turn) {
    const { state, look } = this;
    if (!look) return;
    const drawn = this.layers.filter((layer) => !layer.cannot.picture);
    state.layer ||= (drawn.find(({ parameters, channels }) => parameters && (channels ?? 0) > 1) ?? drawn[0])?.address ?? "";
    const { layer } = this;
    if (!layer) throw new LayerscopeError("layer_not_found", `${state.model} has no layer ${state.layer}. Choose one from the list.`);
    document.title = `${layer.address} · ${state.model} · Layerscope`;
    find("layer-title").textContent = layer.address;
    this.list.select(layer.address);
    this.#showControls();
    const reason = layer.cannot.picture;
    find("layer-facts").textContent = [layer.type, shapeOf(layer), layer.parameters ? `${layer.parameters.toLocaleString("en")} parameters` : ""].filter(Boolean).join(" · ");
    if (reason) {
      this.maps = undefined;
      this.grid.clear();
      this.readout(reason);
    } else {
      const maps = await look.maps(layer);
      if (turn !== this.#shown) return;
      this.maps = maps;
      this.#showMaps(maps);
    }
    const { view } = this;
    if (view !== "maps") await this.part(view, (part) => part.show(this, find(`view-${view}`)));
    if (view === "maps") await this.part("channel", (part) => part.show(this, find("channel")));
  }

  #showControls() {
    const { state } = this;
    const { view } = this;
    for (const id of /** @type {const} */ (["palette", "normalize", "order", "size"])) choice(id).value = state[id];
    for (const each of VIEWS) {
      const tab = find(`tab-${each}`);
      tab.setAttribute("aria-selected", String(each === view));
      tab.tabIndex = each === view ? 0 : -1;
      find(`view-${each}`).hidden = each !== view;
    }
    find("own-range").hidden = state.normalize !== "own";
    document.body.dataset.view = view;
    document.body.toggleAttribute("data-channel", view === "maps" && state.channel !== "");
  }

  /** @param {FeatureMaps} maps */
  #showMaps(maps) {
    const { state, coloring } = this;
    const figures = maps.statistics;
    const dead = [...Array(maps.count).keys()].filter((tile) => maps.isDead(tile)).length;
    const facts = [
      find("layer-facts").textContent,
      `${plain(figures?.min ?? maps.range.low)} to ${plain(figures?.max ?? maps.range.high)}`,
      figures && `${Math.round((figures.fraction_zero ?? 0) * 100)} % zero`,
      dead && `${dead} dead channel${dead > 1 ? "s" : ""}`,
      maps.nonfinite && `${maps.nonfinite} values are not finite: drawn as the lowest or highest`,
      maps.stride > 1 && `every ${maps.stride}th pixel is shown`,
    ];
    find("layer-facts").textContent = facts.filter(Boolean).join(" · ");
    const { low, high } = coloring.range ?? maps.range;
    for (const [id, end] of /** @type {const} */ ([["range-low", low], ["range-high", high]])) {
      if (document.activeElement !== find(id)) inputOf(id).value = String(Number(end.toPrecision(4)));
    }
    this.grid.show(maps, coloring, state.order === "activity" ? "activity" : "number", Number(state.size) || "auto");
    this.showScale(maps.spanOf(0, { ...coloring, normalize: "layer" }), coloring.normalize === "channel" && !coloring.range && !maps.isVector && !maps.isMatrix);
    this.readout(maps.isVector ? "Point at a unit to read its value." : "Point at a map: its values, and the part of the image that they see.");
  }

  /** The bar that says which value a colour stands for. @param {{low: number, high: number}} range @param {boolean} isOwn - Of each channel. */
  showScale({ low, high }, isOwn) {
    if (!this.maps) return;
    const bar = /** @type {HTMLCanvasElement} */ (document.getElementById("scale-bar"));
    const colours = new Uint32Array(coloursOf(this.maps.paletteOf(this.coloring).name));
    bar.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(colours.buffer), 256, 1), 0, 0);
    find("scale-low").textContent = isOwn ? "lowest" : plain(low);
    find("scale-high").textContent = isOwn ? "highest of each" : plain(high);
  }

  /** @returns {import("./maps.js").Coloring} */
  get coloring() {
    const { palette, normalize, range } = this.state;
    const [low, high] = range.split(",").map(Number);
    const isOwn = normalize === "own" && this.view === "maps" && low < high;
    return { palette, normalize: normalize === "channel" ? "channel" : "layer", ...(isOwn && { range: { low, high } }) };
  }

  /** @param {Unit | null} unit */
  #hovered(unit) {
    const { maps, layer } = this;
    if (!maps || !layer) return;
    this.subject.showField(layer, unit);
    if (unit) this.readout(described(maps, unit));
  }

  /** Say something below the maps. @param {string} text */
  readout(text) {
    find("readout").textContent = text;
  }

  /** Use a part of the page that is loaded when it is first needed. @param {string} name @param {(part: any) => unknown} use */
  async part(name, use) {
    if (name === "channel" && !this.state.channel) return void (find("channel").hidden = true);
    return use(await import(`./${name}.js`));
  }

  /** Tell what went wrong, or that nothing is wrong any more. @param {unknown} error */
  trouble(error) {
    const box = find("problem");
    box.hidden = !error;
    if (!error) return;
    if (error instanceof LayerscopeError && error.status === 401) {
      box.hidden = true;
      return /** @type {HTMLDialogElement} */ (document.getElementById("door")).showModal();
    }
    /** @type {HTMLElement} */ (box.firstElementChild).textContent = error instanceof Error ? error.message : String(error);
    if (!(error instanceof LayerscopeError)) console.error(error);
  }

  /** Ask with another key from now on. @param {string} key */
  #useKey(key) {
    sessionStorage.setItem("key", key);
    this.client = clientWith(key);
    return this.show();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const isWriting = target.matches("input, select, textarea, dialog *");
    if (event.key === "Escape" && this.#menu.open) return void (this.#menu.open = false);
    if (event.key === "Escape" && this.state.channel && !isWriting) return this.closeChannel();
    if (isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, () => unknown>} */
    const actions = {
      u: () => this.#stepLayer(-1),
      o: () => this.#stepLayer(1),
      e: () => this.subject.step(1),
      w: () => this.subject.step(-1),
      "/": () => find("find").focus(),
      "?": () => find("help").click(),
    };
    VIEWS.forEach((view, place) => (actions[place + 1] = () => this.go({ view })));
    const tabs = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1 });
    if (target.matches("[role=tab]") && event.key in tabs) {
      const view = VIEWS[(VIEWS.indexOf(this.state.view) + tabs[event.key] + VIEWS.length) % VIEWS.length];
      actions[event.key] = () => (find(`tab-${view}`).focus(), this.go({ view }));
    }
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** @param {number} by */
  #stepLayer(by) {
    const place = this.layers.findIndex(({ address }) => address === this.state.layer) + by;
    const layer = this.layers[Math.max(0, Math.min(this.layers.length - 1, place))];
    return this.go({ layer: layer.address, channel: "" });
  }

  /** Back to all channels, to where the one was. */
  async closeChannel() {
    const tile = this.maps?.channels?.indexOf(Number(this.state.channel)) ?? Number(this.state.channel);
    await this.go({ channel: "" });
    this.grid.focus(tile);
  }
}

/** @param {string | null} key */
function clientWith(key) {
  return new Client(new URL("..", document.baseURI), key ? { apiKey: key } : {});
}

/** Between light and dark, starting from what the system prefers. */
function turnTheme() {
  const { dataset } = document.documentElement;
  const isDark = dataset.theme ? dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", dataset.theme);
}

/** @param {FeatureMaps} maps @param {Unit} unit */
function described(maps, { tile, row, column }) {
  const { low, high } = maps.rangeOf(tile);
  if (maps.isVector) return `unit ${maps.channelOf(tile)} · ${plain(low)}`;
  const name = maps.isMatrix ? "" : `channel ${maps.channelOf(tile)} · `;
  if (row < 0) return `${name}${plain(low)} to ${plain(high)}`;
  const place = maps.isMatrix ? `step ${row}, feature ${column}` : `row ${row}, column ${column}`;
  return `${name}${place}: ${plain(maps.value(tile, row, column))} (${plain(low)} to ${plain(high)})`;
}

document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
new Explorer().start();
