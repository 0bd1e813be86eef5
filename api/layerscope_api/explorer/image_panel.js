/**
 * Panel of the image: the images to choose from, the one that is shown, and the receptive field of a unit in it. For a model that
 * reads texts or arrays, they take the place of images.
 *
 * A model with several inputs has a slot for each of them: the image that is chosen goes into the current slot.
 *
 * @module
 */

import { LayerscopeError, Text } from "./client/layerscope.js";
import { description, factsOf, placeOf, thumbnail } from "./data_set_images.js";
import { buttonOf, element, replace } from "./elements.js";
import { bringIntoView } from "./layers.js";
import { foundBy, imagesOf, imagesText, Pictures } from "./pictures.js";
import { readsOf } from "./reads.js";
import { boxOf } from "./receptive_field.js";
import { listenForTexts, showReads } from "./text_field.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Layer} Layer */
/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {import("./grid.js").Unit} Unit */
/** @typedef {import("./pictures.js").Input} Input */
/** @typedef {{number: number, count: number, axis: string}} Slice - One of the slices along the first axis of a volume or film. */

const MODEL_FILE = /\.(keras|h5|hdf5)$/i;
const ARRAY_FILE = /\.(npy|json)$/i;
/** Width of the picture of a series, divided by its height, about. */
const SERIES_RATIO = 2.4;
/** Side of the small pictures in the list. */
const SMALL_SIDE = 72;
/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));

export class ImagePanel {
  pictures;
  /** The slice that is shown; null for what has no slices. @type {Slice | null} */
  slice = null;
  #image = /** @type {HTMLImageElement} */ (document.getElementById("image"));
  #field = find("field");
  /** The inputs of the model that take images. @type {Input[]} */
  #inputs = [];
  /** The image of each input. @type {Record<string, string>} */
  #images = {};
  /** The descriptions of images that the service has. @type {Map<string, import("./data_set_images.js").Description>} */
  #stored = new Map();
  /** Object URLs by what they show. @type {Map<string, Promise<string>>} */
  #sources = new Map();
  /** @type {Unit | null} */
  #wanted = null;

  /** @param {Explorer} explorer @param {(import("./pictures.js").Picture & {png?: string})[]} samples */
  constructor(explorer, samples) {
    this.explorer = explorer;
    this.pictures = new Pictures(samples);
    const file = /** @type {HTMLInputElement} */ (document.getElementById("file"));
    file.addEventListener("change", () => {
      const files = [...(file.files ?? [])];
      // So that the same file can be chosen again.
      file.value = "";
      this.open(files);
    });
    find("remove").addEventListener("click", () => this.#remove());
    find("listed").addEventListener("click", () => explorer.part("data_set_dialog", (part) => part.show(explorer, this.#current)).catch((error) => explorer.showError(error)));
    find("listed").hidden = !explorer.shipped.dataSets;
    listenForTexts((text) => this.#write(text).catch((error) => explorer.showError(error)));
    addEventListener("paste", (event) => this.open([...(event.clipboardData?.files ?? [])].filter(({ name, type }) => (this.isArray ? ARRAY_FILE.test(name) : type.startsWith("image/")))));
    addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
    addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      this.open([...(event.dataTransfer?.files ?? [])]);
    });
  }

  /** Open image files, and model files, of the user; the first image is shown. @param {File[]} files */
  async open(files) {
    /** @type {string[]} */
    const opened = [];
    /** @type {unknown} */
    let problem;
    for (const file of files) {
      try {
        if (MODEL_FILE.test(file.name)) await this.explorer.addModel(file);
        else opened.push(...(await this.#upload(file)));
      } catch (error) {
        problem = files.length > 1 && error instanceof LayerscopeError ? new LayerscopeError(error.code, `${file.name}: ${error.message}`, error) : error;
      }
    }
    if (opened.length) await this.choose(opened[0]);
    if (problem) this.explorer.showError(problem);
  }

  /** Upload an image, or the arrays of a file. @param {File} file @returns {Promise<string[]>} */
  async #upload(file) {
    const { client, state } = this.explorer;
    if (this.isArray !== ARRAY_FILE.test(file.name)) throw new LayerscopeError("input_mismatch", `${state.model} takes ${this.isArray ? ".npy or .json files" : `${this.reads.noun}s`}, not ${file.name || "this"}.`);
    /** @type {{file: File, shape?: number[]}[]} */
    const given = this.isArray ? await (await import("./array_files.js")).arraysOf(file, /** @type {Input} */ (this.#slot)) : [{ file }];
    const ids = [];
    for (const each of given) {
      const { id } = await client.upload(each.file);
      this.pictures.add(id, each.file.name || "pasted", each.file, this.isArray ? "array" : "opened", each.shape);
      ids.push(id);
    }
    return ids;
  }

  /** Store a text, and show it. @param {string} text */
  async #write(text) {
    const file = new Text(text);
    const { id } = await this.explorer.client.upload(file);
    this.pictures.add(id, text, file, "text");
    await this.choose(id);
  }

  /** What the model reads. */
  get reads() {
    return readsOf(this.#slot);
  }

  /** Whether the model reads a text, not images. */
  get isText() {
    return this.reads.form === "text";
  }

  /** Whether the model reads arrays, not images. */
  get isArray() {
    return this.reads.form === "array";
  }

  /** Where along the first axis the slice lies, from 0 to 1; null for what has no slices. */
  get share() {
    return this.slice && (this.slice.number + 0.5) / this.slice.count;
  }

  /** What the model reads, for code to copy. A text is empty where a link names it by its id. @returns {import("./snippets.js").Subject} */
  get subject() {
    const { file } = this.pictures.get(this.#current) ?? {};
    if (this.#inputs.length === 1 && (this.isArray || placeOf(this.#current))) return { image: this.#current };
    return this.isText ? { text: file instanceof Text ? file.text : "" } : {};
  }

  /** Why nothing is shown while there is no image. */
  get missing() {
    const empty = this.#inputs.length > 1 && this.#inputs.find(({ name }) => !this.#images[name]);
    const article = /^[aeiou]/.test(this.reads.noun) ? "an" : "a";
    return `${this.isText ? "Write" : "Open"} ${article} ${this.reads.noun}${empty ? ` for the input ${empty.name}` : ""}: every layer then shows what it makes of it.`;
  }

  /** Forget the image that is shown, here and on the service. */
  async #remove() {
    const id = this.#current;
    const ids = this.#suiting.map((picture) => picture.id);
    const next = ids[ids.indexOf(id) + 1] ?? ids[ids.indexOf(id) - 1] ?? "";
    this.pictures.remove(id);
    await this.#place(Object.fromEntries(Object.entries(this.#images).map(([name, each]) => [name, each === id ? next : each])));
    if (!placeOf(id)) await this.explorer.client.forget(id).catch((error) => this.explorer.showError(error));
  }

  /** Show an image in the current slot. @param {string} id */
  choose(id) {
    return this.#place({ ...this.#images, [this.#slot?.name ?? ""]: id });
  }

  /** @param {Record<string, string>} images */
  #place(images) {
    return this.explorer.go({ image: Object.values(images).some(Boolean) ? imagesText(images) : "" });
  }

  /** Show the image that is `by` places further. @param {number} by */
  step(by) {
    const ids = this.#suiting.map(({ id }) => id);
    return this.choose(ids[(ids.indexOf(this.#current) + by + ids.length) % ids.length]);
  }

  /** The images to look at, for a state that names none. @param {Input[]} inputs */
  usual([input]) {
    const pictures = this.pictures.suiting(input);
    return (pictures.find(({ name }) => name === "seven") ?? pictures[0])?.id ?? "";
  }

  /** The image of the state in another model: samples stay only where they suit. @param {string} text @param {Input[]} inputs */
  moved(text, inputs) {
    const ids = Object.values(imagesOf(text, inputs.map(({ name }) => name)));
    return ids.every((id) => (this.pictures.get(id) ? this.pictures.suits(/** @type {any} */ (this.pictures.get(id)), inputs[0]) : id)) ? text : "";
  }

  get #slot() {
    return this.#inputs.find(({ name }) => name === this.explorer.state.input) ?? this.#inputs[0];
  }

  /** The id of the image that is shown. */
  get #current() {
    return this.#images[this.#slot?.name ?? ""] ?? "";
  }

  get #suiting() {
    return this.#slot ? this.pictures.suiting(this.#slot) : [];
  }

  /** The size of the image that is shown, upright. */
  get #size() {
    const stored = this.#stored.get(this.#current);
    const { width, height } = stored ?? {};
    // A text has none.
    return stored && width && height ? { ...stored, width, height } : undefined;
  }

  /** Upload the images of all inputs, unless the service has them. @param {string} text @param {Input[]} inputs */
  async store(text, inputs) {
    const { client } = this.explorer;
    const images = imagesOf(text, inputs.map(({ name }) => name));
    for (const id of new Set(Object.values(images).filter(Boolean))) {
      const file = await this.pictures.file(id);
      this.#stored.set(id, file ? await client.upload(file) : await description(client, id).catch(forgotten));
      const { kind, name } = foundBy(id, inputs[0]);
      this.pictures.add(id, this.pictures.get(id)?.name ?? name, file, kind);
    }
  }

  /** Show the image of the current slot, which is stored. @param {string} text @param {Input[]} inputs */
  async show(text, inputs) {
    this.#inputs = inputs;
    this.#images = imagesOf(text, inputs.map(({ name }) => name));
    const id = this.#current;
    const [picture, stored] = [this.pictures.get(id), this.#size];
    this.#showChoice();
    showReads(this.reads, picture);
    find("remove").hidden = !this.pictures.isOwn(id);
    this.#field.hidden = true;
    const described = this.#stored.get(id);
    find("image-facts").textContent = described ? factsOf({ ...described, ...(picture?.shape && { shape: picture.shape }) }) : "";
    if (this.isArray) return;
    this.slice = null;
    find("no-image").hidden = find("slices").hidden = true;
    this.#image.hidden = !stored;
    if (!stored) return;
    this.#image.src = await this.#sourceOf(id, 1024);
    this.#image.alt = picture?.name ?? "";
    this.#image.classList.toggle("coarse", Math.max(stored.width, stored.height) < 256);
  }

  /** Show the array of the current slot, drawn by the service, once there is a session. */
  async showArray() {
    if (this.isArray) await this.explorer.part("array_panel", (part) => part.show(this.explorer, this.#slot, this.pictures.get(this.#current)?.name ?? ""));
  }

  /** Show the slots and the images to choose from. */
  #showChoice() {
    const slots = this.#inputs.length < 2 ? [] : this.#inputs.map(({ name }) => {
      const isCurrent = name === this.#slot?.name;
      const button = buttonOf("", () => this.explorer.go({ input: name }), { "aria-label": `input ${name}`, "aria-pressed": String(isCurrent) });
      if (!this.isArray) button.append(this.#small(this.#images[name]));
      button.append(name);
      return button;
    });
    replace(find("slots"), ...slots);
    const list = find("images");
    const buttons = this.#suiting.map(({ id, name }) => {
      const button = buttonOf("", () => this.choose(id), { "data-id": id, "aria-label": name, title: name, "aria-pressed": String(id === this.#current) });
      button.append(this.reads.form === "image" ? this.#small(id) : name);
      return button;
    });
    replace(list, ...buttons);
    const pressed = buttons.find(({ ariaPressed }) => ariaPressed === "true");
    if (pressed) bringIntoView(pressed, list);
  }

  /** A small picture of an image. One that is on the service only, and that it no longer has, is left out of the list. @param {string} id */
  #small(id) {
    const place = placeOf(id);
    if (place && this.#stored.get(id)?.format === "tensor") return String(place.number);
    const image = element("img", { alt: "" });
    this.#sourceOf(id, SMALL_SIDE).then((source) => (image.src = source), (error) => {
      if (!(error instanceof LayerscopeError) || error.code !== "image_not_found" || id === this.#current) return;
      this.pictures.remove(id);
      image.closest("button")?.remove();
    });
    return image;
  }

  /** The address of a picture of an image: of its file, or made by the service. @param {string} id @param {number} side */
  #sourceOf(id, side) {
    const isHere = this.pictures.get(id)?.path ?? this.pictures.get(id)?.file;
    const name = isHere ? id : `${id} ${side}`;
    const known = this.#sources.get(name) ?? this.#newSource(id, side);
    this.#sources.set(name, known);
    known.catch(() => this.#sources.delete(name));
    return known;
  }

  /** @param {string} id @param {number} side */
  async #newSource(id, side) {
    return URL.createObjectURL(/** @type {Blob | undefined} */ (await this.pictures.file(id)) ?? (await thumbnail(this.explorer.client, id, side)));
  }

  /** The options of pictures over the image: the service enlarges small images. A text has none. @returns {{on?: "original", scale?: number, slice?: string}} */
  get overlaid() {
    if (this.isText) return {};
    if (this.isArray) return this.slice ? { scale: 4, slice: String(this.slice.number) } : { scale: 2 };
    const { width, height } = this.#size ?? { width: 256, height: 256 };
    return { on: "original", scale: Math.max(1, Math.floor(256 / Math.max(width, height))) };
  }

  /** Width of the image divided by its height. */
  get ratio() {
    if (this.isArray) return this.slice ? 1 : SERIES_RATIO;
    const { width, height } = this.#size ?? { width: 1, height: 1 };
    return width / height;
  }

  /** Show the receptive field of a unit in the image. @param {Layer} layer @param {Unit | null} unit */
  async showField(layer, unit) {
    const { session, maps } = this.explorer;
    const wanted = (this.#wanted = unit);
    if (!unit || unit.row < 0 || !session || !this.#size || !maps || maps.isVector || maps.isMatrix) return void (this.#field.hidden = true);
    const field = await session.receptiveField(layer).catch(() => null);
    // The field of one token does not tell that of the others.
    const isTold = field && (!maps.grid || field.inputs[0]?.whole);
    const box = isTold && this.#size && boxOf(field, this.#slot, unit, maps.stride, this.#size);
    if (wanted !== this.#wanted) return;
    this.#field.hidden = !box;
    if (!box || !this.#size) return;
    const { width, height } = this.#size;
    const [left, top, right, bottom] = box;
    Object.assign(this.#field.style, {
      left: `${(left / width) * 100}%`,
      top: `${(top / height) * 100}%`,
      width: `${((right - left) / width) * 100}%`,
      height: `${((bottom - top) / height) * 100}%`,
    });
  }
}

/** @param {unknown} error @returns {never} */
function forgotten(error) {
  if (!(error instanceof LayerscopeError) || error.code !== "image_not_found") throw error;
  throw new LayerscopeError("image_not_found", "The service no longer has the image or text of this link. Open it again, or choose another.");
}
