/**
 * The explorer: reads the state from the address, and shows it in every part of the page.
 *
 * @module
 */

import { Client, LayerscopeError } from "./client/layerscope.js";
import { described, Grid, plain, showScale } from "./grid.js";
import { ImagePanel } from "./image_panel.js";
import { handleKey } from "./keyboard.js";
import { LayerList, shapeOf } from "./layers.js";
import { paletteNames, takePalettes } from "./maps.js";
import { ModelMenu } from "./model_menu.js";
import { readState, Session, VIEWS, writeState } from "./session.js";

/** @typedef {import("./session.js").Layer} Layer */
/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */
/** @typedef {import("./grid.js").Unit} Unit */
/** @typedef {import("./session.js").State} State */

const FIRST_IMAGE = "seven";
/** Seconds until the service is asked again: how far it has loaded its models, and whether it is back. */
const [LOADING_PAUSE, LOST_PAUSE] = [1, 2];

const GONE = "The service does not answer. This page goes on by itself as soon as it does.";

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));
/** A `<select>` element. @param {string} id */
const choice = (id) => /** @type {HTMLSelectElement} */ (document.getElementById(id));
/** An `<input>` element. @param {string} id */
const inputOf = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

/** The page. Modules that are loaded when they are first needed get it as an argument. */
export class Explorer {
  client = clientWith(sessionStorage.getItem("key"));
  state = readState();
  /** @type {Session | undefined} */
  session;
  /** @type {Layer[]} */
  layers = [];
  models = new ModelMenu((model) => this.go({ model, layer: "", channel: "", off: "" }));
  /** @type {FeatureMaps | undefined} */
  maps;
  imagePanel = new ImagePanel(this);
  list = new LayerList((address) => this.choose(address));
  grid = new Grid(find("maps-scroll"), /** @type {HTMLCanvasElement} */ (document.getElementById("maps-canvas")), find("maps"), {
    open: (tile) => this.maps && !this.maps.isVector && !this.maps.isMatrix && this.go({ channel: String(this.maps.channelOf(tile)) }),
    hover: (unit) => this.#hovered(unit),
  });
  menu = /** @type {HTMLDetailsElement} */ (document.getElementById("downloads"));
  #leave = new AbortController();
  #shown = 0;
  #shownSession = "";
  #isLost = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** Read the data in the page, request the models, and show the state of the address. */
  async start() {
    const shipped = JSON.parse(/** @type {string} */ (find("shipped").textContent));
    takePalettes(shipped.palettes);
    choice("palette").append(...paletteNames().map((name) => new Option(name)));
    this.imagePanel.take(shipped.samples);
    for (const id of /** @type {const} */ (["palette", "normalize", "order", "size"])) {
      choice(id).addEventListener("change", () => this.go({ [id]: choice(id).value }));
    }
    for (const id of ["range-low", "range-high"]) {
      find(id).addEventListener("change", () => this.go({ range: `${inputOf("range-low").value},${inputOf("range-high").value}` }));
    }
    choice("with").addEventListener("change", () => this.go({ with: choice("with").value }));
    for (const tab of document.querySelectorAll("[role=tab]")) {
      tab.addEventListener("click", () => this.go({ view: /** @type {HTMLElement} */ (tab).dataset.view }));
    }
    addEventListener("popstate", () => this.show());
    this.menu.addEventListener("toggle", () => this.menu.open && this.part("downloads", (part) => part.fill(this)).catch((error) => this.showError(error)));
    addEventListener("click", (event) => this.menu.contains(/** @type {Node} */ (event.target)) || (this.menu.open = false));
    addEventListener("keydown", (event) => handleKey(this, event));
    find("skip").addEventListener("click", () => find("layer-title").focus());
    find("help").addEventListener("click", () => /** @type {HTMLDialogElement} */ (document.getElementById("keys")).showModal());
    find("theme").addEventListener("click", () => switchTheme());
    find("problem").lastElementChild?.addEventListener("click", () => this.show());
    find("door-form").addEventListener("submit", () => this.#useKey(/** @type {HTMLInputElement} */ (document.getElementById("key")).value));
    await this.show();
  }

  /** Change the state and show it. @param {Partial<State>} change */
  go(change) {
    writeState(this.state, change);
    return this.show();
  }

  /** Show another layer; heat maps then explain this one. @param {string} address */
  choose(address) {
    return this.go({ layer: address, channel: "", off: "", ...(this.view === "heat" && { at: "layer" }) });
  }

  /** Show the state of the address. A later call makes an earlier one stop at its next step (`turn`). */
  async show() {
    const turn = ++this.#shown;
    this.#leave.abort();
    this.#leave = new AbortController();
    clearTimeout(this.#timer);
    this.menu.open = false;
    this.setWaiting(true);
    this.state = readState();
    try {
      await this.#open(turn);
      if (turn === this.#shown) await this.#showLayer(turn);
      if (turn === this.#shown) this.#succeed();
    } catch (error) {
      if (turn === this.#shown) this.showError(error);
    }
  }

  #succeed() {
    this.setWaiting(false);
    this.showError(null);
    if (this.models.areLoading) this.#later(LOADING_PAUSE, () => this.#followLoading());
  }

  /** List the models again until all are loaded, without a change of what is shown. */
  async #followLoading() {
    await this.models.refresh(this.client).catch((error) => this.showError(error));
    if (this.models.areLoading && !this.#isLost) this.#later(LOADING_PAUSE, () => this.#followLoading());
  }

  /** Do something later, unless the state changes. @param {number} seconds @param {() => unknown} task */
  #later(seconds, task) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(task, seconds * 1000);
  }

  /** A signal that is aborted when the state changes. */
  get leaveSignal() {
    return this.#leave.signal;
  }

  /** Mark whether the page still shows the previous state. @param {boolean} isWaiting */
  setWaiting(isWaiting) {
    document.body.classList.toggle("waiting", isWaiting);
  }

  /** Upload a model and show it. @param {File} file */
  async addModel(file) {
    const name = file.name.toLowerCase().replace(/\.\w+$/, "").replace(/[^a-z0-9._-]+/g, "-");
    const { version } = await this.client.addModel(file, name);
    await this.models.refresh(this.client);
    return this.go({ model: `${name}@${version}`, layer: "", channel: "", off: "" });
  }

  /** A session of a model and an image; a model with several inputs gets the image at each of them. @param {string} model @param {string} image */
  sessionFor(model, image) {
    const inputs = this.models.find(model)?.inputs ?? [];
    return new Session(this.client, model, inputs.length > 1 ? Object.fromEntries(inputs.map((input) => [input.name, image])) : image);
  }

  /** Open a session of the model and the image of the state. @param {number} turn */
  async #open(turn) {
    const { state } = this;
    await this.#requireModel(state);
    state.image ||= [...this.imagePanel.pictures.values()].find(({ name }) => name === FIRST_IMAGE)?.id ?? "";
    const wanted = `${state.model} ${state.image}`;
    if (wanted === this.#shownSession) return;
    this.session?.close();
    this.#shownSession = "";
    await this.imagePanel.show(state.image);
    if (turn !== this.#shown) return;
    const session = this.sessionFor(state.model, state.image);
    this.session = session;
    const { layers, unreachable } = await session.layers();
    if (turn !== this.#shown) return;
    this.layers = layers;
    this.list.show(session, layers, unreachable);
    this.#shownSession = wanted;
    this.imagePanel.showPredictions(session).catch((error) => this.session === session && this.showError(error));
  }

  /** Choose a model that is ready, unless the state names one. @param {State} state @throws {LayerscopeError} It is not ready. */
  async #requireModel(state) {
    const { models } = this;
    state.model ||= models.ready[0]?.key ?? "";
    if (this.#isLost || models.areLoading || models.find(state.model)?.state !== "ready") await models.refresh(this.client);
    state.model ||= models.ready[0]?.key ?? "";
    models.select(state.model);
    const version = models.find(state.model);
    if (version?.state === "ready") return;
    const isComing = version ? version.state === "loading" : !state.model && (models.areLoading || !models.versions.length);
    throw new LayerscopeError(isComing ? "model_loading" : "model_not_ready", isComing ? models.progress(state.model) : models.obstacle(state.model));
  }

  /** The current view. */
  get view() {
    return VIEWS.includes(this.state.view) ? this.state.view : "maps";
  }

  /** The current layer. */
  get layer() {
    return this.layers.find(({ address }) => address === this.state.layer);
  }

  /** @param {number} turn */
  async #showLayer(turn) {
    const { state, session } = this;
    if (!session) return;
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
      const maps = await session.maps(layer);
      if (turn !== this.#shown) return;
      this.maps = maps;
      showMaps(this, maps);
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
    this.imagePanel.showField(layer, unit);
    if (unit) this.readout(described(maps, unit));
  }

  /** Show a text below the maps. @param {string} text */
  readout(text) {
    find("readout").textContent = text;
  }

  /** Call a function of a module that is loaded when it is first needed. @param {string} name @param {(part: any) => unknown} use */
  async part(name, use) {
    if (name === "channel" && !this.state.channel) return void (find("channel").hidden = true);
    return use(await import(`./${name}.js`));
  }

  /** Show an error, or remove it (null). What will be over by itself is tried again. @param {unknown} error */
  showError(error) {
    const code = error instanceof LayerscopeError ? error.code : "";
    const isLoading = code === "model_loading";
    this.#isLost = code === "connection_failed";
    find("notice").hidden = !isLoading;
    find("problem").hidden = !error || isLoading;
    if (!error) return;
    if (error instanceof LayerscopeError && error.status === 401) {
      find("problem").hidden = true;
      return /** @type {HTMLDialogElement} */ (document.getElementById("door")).showModal();
    }
    const message = error instanceof Error ? error.message : String(error);
    /** @type {HTMLElement} */ (find(isLoading ? "notice" : "problem").firstElementChild).textContent = this.#isLost ? GONE : message;
    if (isLoading || this.#isLost) this.#later(isLoading ? LOADING_PAUSE : LOST_PAUSE, () => this.show());
    if (!code) console.error(error);
  }

  /** Send requests with another API key from now on. @param {string} key */
  #useKey(key) {
    sessionStorage.setItem("key", key);
    this.client = clientWith(key);
    return this.show();
  }

  /** Return to all channels, with the focus on the one that was shown. */
  async closeChannel() {
    const tile = this.maps?.channels?.indexOf(Number(this.state.channel)) ?? Number(this.state.channel);
    await this.go({ channel: "" });
    this.grid.focus(tile);
  }
}

/** Show the feature maps of a layer. @param {Explorer} explorer @param {FeatureMaps} maps */
function showMaps(explorer, maps) {
  const { state, coloring } = explorer;
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
  explorer.grid.show(maps, coloring, state.order === "activity" ? "activity" : "number", Number(state.size) || "auto");
  showScale(explorer, maps.spanOf(0, { ...coloring, normalize: "layer" }), coloring.normalize === "channel" && !coloring.range && !maps.isVector && !maps.isMatrix);
  explorer.readout(maps.isVector ? "Point at a unit to read its value." : "Point at a map: its values, and the part of the image that they see.");
}

/** @param {string | null} key */
function clientWith(key) {
  return new Client(new URL("..", document.baseURI), key ? { apiKey: key } : {});
}

/** Switch between the light and the dark theme; the first one is that of the system. */
function switchTheme() {
  const { dataset } = document.documentElement;
  const isDark = dataset.theme ? dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", dataset.theme);
}

document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
new Explorer().start();
