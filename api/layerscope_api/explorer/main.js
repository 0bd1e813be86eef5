/**
 * The explorer: reads the state from the address, and shows it in every part of the page.
 *
 * @module
 */

import { showAssumed } from "./assumed.js";
import { Client, LayerscopeError } from "./client/layerscope.js";
import { described, Grid } from "./grid.js";
import { ImagePanel } from "./image_panel.js";
import { handleKey } from "./keyboard.js";
import { bringIntoView, LayerList, shapeOf } from "./layers.js";
import { paletteNames, takePalettes } from "./maps.js";
import { areCurves, jump, showMaps } from "./maps_view.js";
import { ModelMenu } from "./model_menu.js";
import { imagesOf } from "./pictures.js";
import { fadePredictions, showPredictions } from "./predictions.js";
import { addressOf, readState, Session, VIEWS, writeState } from "./session.js";
import { untilClosed } from "./storage.js";
import { followTheme } from "./theme.js";

/** @typedef {import("./session.js").Layer} Layer */
/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */
/** @typedef {import("./grid.js").Unit} Unit */
/** @typedef {import("./session.js").State} State */

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
  client = clientWith(untilClosed.getItem("key"));
  state = readState();
  /** @type {Session | undefined} */
  session;
  /** @type {Layer[]} */
  layers = [];
  models = new ModelMenu((model) => this.go({ model, layer: "", channel: "", off: "", with: "", image: this.imagePanel.moved(this.state.image, this.models.subjectInputs(model)) }));
  /** @type {FeatureMaps | undefined} */
  maps;
  shipped = JSON.parse(/** @type {string} */ (find("shipped").textContent));
  imagePanel = new ImagePanel(this, this.shipped.samples);
  list = new LayerList((address) => this.choose(address));
  grid = new Grid(find("maps-scroll"), /** @type {HTMLCanvasElement} */ (document.getElementById("maps-canvas")), find("maps"), {
    open: (tile) => this.maps && !this.maps.isVector && !this.maps.isMatrix && this.go({ channel: String(this.maps.channelOf(tile)) }),
    hover: (unit) => this.#hovered(unit),
  });
  menu = /** @type {HTMLDetailsElement} */ (document.getElementById("downloads"));
  #leave = new AbortController();
  #shown = 0;
  #failed = 0;
  #shownSession = "";
  #isLost = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** Read the data in the page, request the models, and show the state of the address. */
  async start() {
    takePalettes(this.shipped.palettes);
    choice("palette").append(...paletteNames().map((name) => new Option(name)));
    for (const id of /** @type {const} */ (["palette", "drawn", "normalize", "order", "size", "shown"])) {
      choice(id).addEventListener("change", () => this.go({ [id]: choice(id).value }));
    }
    for (const id of ["range-low", "range-high"]) {
      find(id).addEventListener("change", () => this.go({ range: `${inputOf("range-low").value},${inputOf("range-high").value}` }));
    }
    find("more-tools").addEventListener("click", () => (find("more-tools").ariaExpanded = String(find("more-tools").ariaExpanded !== "true")));
    find("jump").addEventListener("change", () => jump(this));
    choice("with").addEventListener("change", () => this.go({ with: choice("with").value, there: "" }));
    for (const tab of document.querySelectorAll("[role=tab]")) {
      tab.addEventListener("click", () => this.go({ view: /** @type {HTMLElement} */ (tab).dataset.view }));
    }
    addEventListener("popstate", () => this.show());
    this.menu.addEventListener("toggle", () => this.menu.open && this.part("downloads", (part) => part.fill(this)).catch((error) => this.showError(error)));
    addEventListener("click", (event) => this.menu.contains(/** @type {Node} */ (event.target)) || (this.menu.open = false));
    addEventListener("keydown", (event) => handleKey(this, event));
    find("skip").addEventListener("click", () => find("layer-title").focus());
    find("help").addEventListener("click", () => /** @type {HTMLDialogElement} */ (document.getElementById("keys")).showModal());
    find("problem").lastElementChild?.addEventListener("click", () => this.show());
    find("door-form").addEventListener("submit", () => this.#useKey(/** @type {HTMLInputElement} */ (document.getElementById("key")).value));
    await this.show();
  }

  /** Change the state and show it. @param {Partial<State>} change */
  go(change) {
    writeState(this.state, change);
    return this.show();
  }

  /** The address of a changed state. @param {Partial<State>} change */
  addressOf(change) {
    return addressOf(this.state, change);
  }

  /** Change the state in place, so that the browser's back leads to the one before. @param {Partial<State>} change */
  correct(change) {
    writeState(this.state, change, false);
    return this.show();
  }

  /** Show another layer; heat maps then explain this one. @param {string} address */
  choose(address) {
    return this.go({ layer: address, channel: "", off: "", ...((this.view === "heat" || this.view === "why") && { at: "layer" }) });
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
      if (turn === this.#shown) await this.imagePanel.showArray();
      if (turn === this.#shown) await this.#showLayer(turn);
      if (turn === this.#shown) this.#succeed();
    } catch (error) {
      if (turn === this.#shown) this.showError(error);
    }
  }

  #succeed() {
    this.setWaiting(false);
    // What failed meanwhile, such as a file that was opened, stays to be read.
    if (this.#failed !== this.#shown) this.showError(null);
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

  /** A session of a model and the images of its inputs. @param {string} model @param {string} image - As in the address. */
  sessionFor(model, image) {
    const images = imagesOf(image, this.models.subjectInputs(model).map(({ name }) => name));
    const [first = "", ...others] = Object.values(images);
    const isWhole = Object.values(images).every(Boolean);
    return new Session(this.client, model, others.length && isWhole ? images : isWhole ? first : "");
  }

  /** Open a session of the model and the image of the state. @param {number} turn */
  async #open(turn) {
    const { state } = this;
    await this.#requireModel(state);
    const inputs = this.models.subjectInputs(state.model);
    document.body.classList.add("opened");
    state.image ||= this.imagePanel.usual(inputs);
    const wanted = `${state.model} ${state.image}`;
    showAssumed(this, inputs);
    if (wanted === this.#shownSession) return this.imagePanel.show(state.image, inputs);
    this.session?.close();
    this.session = undefined;
    this.#shownSession = "";
    const session = this.sessionFor(state.model, state.image);
    // The layers do not depend on the image: they are listed while it is stored.
    const [{ layers, unreachable }] = await Promise.all([session.layers(), this.imagePanel.store(state.image, inputs)]);
    if (turn !== this.#shown) return;
    fadePredictions();
    await this.imagePanel.show(state.image, inputs);
    if (turn !== this.#shown) return;
    this.session = session;
    this.layers = layers;
    this.list.show(session, layers, unreachable);
    this.#shownSession = wanted;
    showPredictions(this).catch((error) => this.session === session && this.showError(error));
  }

  /** Choose a model that is ready, unless the state names one. @param {State} state @throws {LayerscopeError} It is not ready. */
  async #requireModel(state) {
    const { models } = this;
    state.model ||= models.first?.key ?? "";
    if (this.#isLost || models.areLoading || models.find(state.model)?.state !== "ready") await models.refresh(this.client);
    state.model ||= models.first?.key ?? "";
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
    this.list.colour(state.palette);
    this.#showControls();
    const reason = session.image ? layer.cannot.picture : this.imagePanel.missing;
    find("layer-facts").textContent = [layer.type, shapeOf(layer), layer.parameters ? `${layer.parameters.toLocaleString("en")} parameters` : ""].filter(Boolean).join(" · ");
    if (reason) {
      this.maps = undefined;
      this.grid.clear();
      this.readout(reason);
    } else {
      const maps = (await session.maps(layer)).at(this.imagePanel.share);
      if (turn !== this.#shown) return;
      this.maps = maps;
      showMaps(this, maps);
    }
    const { view } = this;
    if (view !== "maps" && (session.image || view === "graph")) await this.part(view, (part) => part.show(this, find(`view-${view}`)));
    if (view === "maps") await this.part("channel", (part) => part.show(this, find("channel")));
    if (view === "maps") await this.part("curves", (part) => part.show(this, find("curves")));
  }

  #showControls() {
    const { state } = this;
    const { view } = this;
    for (const id of /** @type {const} */ (["palette", "normalize", "order", "size", "shown"])) choice(id).value = state[id];
    for (const each of VIEWS) {
      const tab = find(`tab-${each}`);
      tab.setAttribute("aria-selected", String(each === view));
      tab.tabIndex = each === view ? 0 : -1;
      if (each === view) bringIntoView(tab, /** @type {HTMLElement} */ (tab.parentElement));
      const panel = find(`view-${each}`);
      // The focus is not lost with the view that it is in.
      if (each !== view && panel.contains(document.activeElement)) find(`tab-${view}`).focus();
      panel.hidden = each !== view;
    }
    find("own-range").hidden = state.normalize !== "own";
    document.body.dataset.view = view;
    document.body.toggleAttribute("data-channel", (view === "maps" || view === "why") && state.channel !== "");
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
    if (name === "curves" && !areCurves(this)) return void (find("curves").hidden = true);
    return use(await import(`./${name}.js`));
  }

  /** Show an error, or remove it (null). What will be over by itself is tried again. @param {unknown} error */
  showError(error) {
    if (error) this.#failed = this.#shown;
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
    untilClosed.setItem("key", key);
    this.client = clientWith(key);
    return this.show();
  }

  /** Return to all channels, with the focus on the one that was shown. */
  async closeChannel() {
    const tile = this.maps?.channels?.indexOf(Number(this.state.channel)) ?? Number(this.state.channel);
    await this.go({ channel: "" });
    if (this.view === "maps") this.grid.focus(tile);
  }
}

/** @param {string | null} key */
function clientWith(key) {
  return new Client(new URL("..", document.baseURI), key ? { apiKey: key } : {});
}

followTheme(find("theme"));
new Explorer().start();
