/**
 * Panel of the image: the images to choose from, the predictions for the current one, and the receptive field of a unit in it.
 *
 * @module
 */

import { LayerscopeError } from "./client/layerscope.js";
import { plain } from "./grid.js";
import { bringIntoView } from "./layers.js";
import { BEST_CLASSES } from "./session.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./session.js").Layer} Layer */
/** @typedef {import("./grid.js").Unit} Unit */
/** @typedef {{class: number, label: string, text: string, share: number}} Score - The score of a class. */
/** @typedef {{id: string, name: string, file: Blob | null}} Picture - An image; one that is stored already needs no file. */

const MODEL_FILE = /\.(keras|h5|hdf5)$/i;
/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));

export class ImagePanel {
  /** By id. @type {Map<string, Picture>} */
  pictures = new Map();
  /** Object URLs of the images. @type {Map<string, string>} */
  #sources = new Map();
  #image = /** @type {HTMLImageElement} */ (document.getElementById("image"));
  #field = find("field");
  /** The size of the upright image. @type {{width: number, height: number} | undefined} */
  #size;

  /** @param {Explorer} explorer */
  constructor(explorer) {
    this.explorer = explorer;
    const file = /** @type {HTMLInputElement} */ (document.getElementById("file"));
    file.addEventListener("change", () => file.files?.[0] && this.open(file.files[0]));
    addEventListener("paste", (event) => {
      const pasted = [...(event.clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
      if (pasted) this.open(pasted);
    });
    addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("dropping");
    });
    addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
    addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dropping");
      const dropped = event.dataTransfer?.files[0];
      if (dropped) this.open(dropped);
    });
  }

  /** Read the samples from the data in the page. @param {{name: string, id: string, png: string}[]} samples */
  take(samples) {
    for (const { name, id, png } of samples) {
      const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
      this.#add({ id, name, file: new Blob([bytes], { type: "image/png" }) });
    }
  }

  /** Open an image file or a model file of the user. @param {File} file */
  async open(file) {
    try {
      if (MODEL_FILE.test(file.name)) return void (await this.explorer.addModel(file));
      const { id } = await this.explorer.client.upload(file);
      if (!this.pictures.has(id)) this.#add({ id, name: file.name || "pasted", file });
      await this.explorer.go({ image: id });
    } catch (error) {
      this.explorer.showError(error);
    }
  }

  /** Show the image that is `by` places further. @param {number} by */
  step(by) {
    const ids = [...this.pictures.keys()];
    const place = ids.indexOf(this.explorer.state.image) + by;
    return this.explorer.go({ image: ids[(place + ids.length) % ids.length] });
  }

  /** @param {Picture} picture */
  #add(picture) {
    this.pictures.set(picture.id, picture);
    const button = document.createElement("button");
    const image = document.createElement("img");
    button.type = "button";
    button.dataset.id = picture.id;
    image.alt = picture.name;
    image.src = this.#sourceOf(picture.id, /** @type {Blob} */ (picture.file));
    button.append(image);
    button.addEventListener("click", () => this.explorer.go({ image: picture.id }));
    find("images").append(button);
  }

  /** @param {string} id @param {Blob} file */
  #sourceOf(id, file) {
    const known = this.#sources.get(id) ?? URL.createObjectURL(file);
    this.#sources.set(id, known);
    return known;
  }

  /** Show an image, and upload it if the service does not have it. @param {string} id */
  async show(id) {
    const picture = this.pictures.get(id);
    const { client } = this.explorer;
    const stored = picture?.file ? await client.upload(picture.file) : await client.image(id).catch(forgotten);
    this.#size = stored;
    this.#image.src = this.#sourceOf(id, picture?.file ?? (await client.thumbnail(id, { side: 1024 })));
    this.#image.alt = picture?.name ?? "the image that is looked at";
    this.#image.hidden = false;
    this.#image.classList.toggle("coarse", Math.max(stored.width, stored.height) < 256);
    this.#field.hidden = true;
    find("image-facts").textContent = [`${stored.width} × ${stored.height}`, stored.format, ...stored.notes].join(" · ");
    for (const button of /** @type {Iterable<HTMLElement>} */ (find("images").children)) {
      button.ariaPressed = String(button.dataset.id === id);
      if (button.dataset.id === id) bringIntoView(button, find("images"));
    }
  }

  /** The `scale` of pictures over the image, by which the service enlarges small images. */
  get enlargement() {
    const { width, height } = this.#size ?? { width: 256, height: 256 };
    return Math.max(1, Math.floor(256 / Math.max(width, height)));
  }

  /** Width of the image divided by its height. */
  get ratio() {
    const { width, height } = this.#size ?? { width: 1, height: 1 };
    return width / height;
  }

  /** Show the predictions. @param {Session} session */
  async showPredictions(session) {
    const list = find("predictions");
    const { outputs, warnings } = await session.predictions();
    if (session !== this.explorer.session) return;
    find("warnings").textContent = warnings.join(" ");
    const rows = scoresOf(outputs).map(rowOf);
    list.replaceChildren(...rows);
    if (!rows.length) find("warnings").textContent ||= "Its outputs are maps or sequences: look at the last layers.";
  }

  /** Show the receptive field of a unit in the image. @param {Layer} layer @param {Unit | null} unit */
  async showField(layer, unit) {
    const { session, maps } = this.explorer;
    const wanted = (this.#wanted = unit);
    if (!unit || unit.row < 0 || !session || !maps || maps.isVector || maps.isMatrix) return void (this.#field.hidden = true);
    const field = await session.receptiveField(layer).catch(() => null);
    // The field of one token does not tell that of the others.
    const isTold = field && (!maps.grid || field.inputs[0]?.whole);
    const box = isTold && this.#size && boxOf(field, unit, maps.stride, this.#size);
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
  /** @type {Unit | null} */
  #wanted = null;
}

/** @param {unknown} error @returns {never} */
function forgotten(error) {
  if (!(error instanceof LayerscopeError) || error.code !== "image_not_found") throw error;
  throw new LayerscopeError("image_not_found", "The service no longer has the image of this link. Open it again, or choose another.");
}

/**
 * The receptive field of a unit in pixels of the image. It is that of the middle unit, moved by the stride: the service gives the
 * field of the middle unit both in the input and in the image, which defines the mapping between them.
 *
 * @param {import("./session.js").Schemas["ReceptiveFieldBody"]} field - The field of the middle unit.
 * @param {Unit} unit
 * @param {number} stride
 * @param {{width: number, height: number}} image
 */
function boxOf({ inputs: [seen] }, { row, column }, stride, image) {
  if (!seen?.box || !seen.original) return null;
  const axes = /** @type {const} */ ([["x", column * stride, 0, image.width], ["y", row * stride, 1, image.height]]);
  const ends = axes.map(([axis, place, at, most]) => {
    const [low, high] = [/** @type {number[]} */ (seen.box)[at], /** @type {number[]} */ (seen.box)[at + 2]];
    const [from, to] = [/** @type {number[]} */ (seen.original)[at], /** @type {number[]} */ (seen.original)[at + 2]];
    if (seen.whole || seen.size[axis] === undefined) return [from, to];
    const scale = (to - from) / (high - low);
    const start = from + (seen.offset[axis] + seen.stride[axis] * place - low) * scale;
    return [Math.max(0, start), Math.min(most, start + seen.size[axis] * scale)];
  });
  return [ends[0][0], ends[1][0], ends[0][1], ends[1][1]];
}

/**
 * The scores of the classes. They are shown as percentages if they can be probabilities, otherwise as they are.
 *
 * @param {import("./session.js").Schemas["PredictionsBody"]["outputs"]} outputs
 * @returns {Score[]}
 */
export function scoresOf(outputs) {
  return outputs.flatMap(({ name: output, predictions }) => {
    const scores = predictions?.[0] ?? [];
    const sum = scores.reduce((all, { value }) => all + (value ?? NaN), 0);
    const areAll = scores.length < BEST_CLASSES;
    const areShares = scores.every(({ value }) => Number(value) >= 0) && sum < 1.001 && (!areAll || sum > 0.999);
    const prefix = outputs.length > 1 ? `${output}: ` : "";
    return scores.map(({ class: number, name, value }) => ({
      class: number,
      label: prefix + (name ?? `class ${number}`),
      text: areShares ? `${(Number(value) * 100).toFixed(1)} %` : plain(value),
      share: areShares ? Number(value) : 0,
    }));
  });
}

/** @param {Score} score */
function rowOf({ label, text, share }) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById("prediction"));
  const row = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
  const [name, value, track] = row.children;
  name.textContent = label;
  value.textContent = text;
  /** @type {HTMLElement} */ (track.firstElementChild).style.width = `${share * 100}%`;
  return row;
}
