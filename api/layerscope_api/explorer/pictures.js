/**
 * Images and texts to look at: samples that suit a model, and those that a person opened or wrote, which are kept until the tab is closed.
 *
 * @module
 */

import { Text } from "./client/layerscope.js";
import { placeOf } from "./data_set_images.js";
import { fits, readsOf } from "./reads.js";
import { untilClosed } from "./storage.js";

/** @typedef {import("./reads.js").Input} Input */
/** @typedef {"digits" | "photos" | "given" | "opened" | "listed" | "text" | "array"} Kind - Samples of two kinds, images that whoever started the service gave, those that a person opened or took from a data set, texts, and arrays. */
/** @typedef {{id: string, name: string, kind: Kind, path?: string, file?: Blob | Text, shape?: number[]}} Picture - An image, a text or an array, of which a link does not tell the shape. A sample has a path; one that is on the service only has neither path nor file. */

/** Where the opened images are remembered by id and name. */
const STORE = "opened";
/** What somebody chose suits every input of images. @type {Kind[]} */
const CHOSEN = ["given", "opened", "listed"];
/** What is remembered. @type {Kind[]} */
const OWN = ["opened", "listed", "text", "array"];
/** The largest side of an input that digits suit. */
const SMALL = 64;

/** All images of the page, by id. */
export class Pictures {
  /** @type {Map<string, Picture>} */
  #all = new Map();

  /** Take the samples, and the images that were opened before. @param {(Picture & {png?: string})[]} samples - As they are in the page. */
  constructor(samples) {
    const opened = /** @type {Picture[]} */ (JSON.parse(untilClosed.getItem(STORE) ?? "[]"));
    for (const { png, ...picture } of samples) this.#all.set(picture.id, { ...picture, file: png ? blobOf(png) : undefined });
    for (const { file, ...picture } of opened) this.#all.set(picture.id, { ...picture, file: file && new Text(/** @type {Text} */ (file).text) });
  }

  /** @param {string} id */
  get(id) {
    return this.#all.get(id);
  }

  /** Add an image, a text or an array, unless it is there. @param {string} id @param {string} name @param {Blob | Text} [file] @param {Kind} [kind] @param {number[]} [shape] */
  add(id, name, file, kind = "opened", shape = undefined) {
    if (!this.#all.get(id)?.file) this.#all.set(id, { kind, shape, ...this.#all.get(id), id, name, file });
    this.#remember();
  }

  /** @param {string} id */
  remove(id) {
    this.#all.delete(id);
    this.#remember();
  }

  /** The samples that suit an input, and all opened images. @param {Input | undefined} input @returns {Picture[]} */
  suiting(input) {
    return [...this.#all.values()].filter((picture) => this.suits(picture, input));
  }

  /** Whether a picture suits an input: texts suit tokens, arrays inputs of their shape, digits small grey ones, photographs all others, and images that somebody chose every one. @param {Picture} picture @param {Input | undefined} input */
  suits({ kind, shape }, input) {
    const { form } = readsOf(input);
    if (kind === "text" || form === "text") return kind === form;
    if (form === "array") return kind === "listed" || (kind === "array" && (!shape || !input || fits(shape, input.shape)));
    if (kind === "array") return false;
    if (CHOSEN.includes(kind)) return true;
    const isSmall = Math.max(...(input?.shape ?? []).map((side) => side ?? 0)) <= SMALL;
    return (input?.preprocessing?.color === "grey" && isSmall) === (kind === "digits");
  }

  /** Whether an image or a text can be removed: a sample cannot. @param {string} id */
  isOwn(id) {
    return OWN.includes(/** @type {Kind} */ (this.#all.get(id)?.kind));
  }

  /** The bytes of an image, or a text; undefined if only the service has it. @param {string} id @returns {Promise<Blob | Text | undefined>} */
  async file(id) {
    const picture = this.#all.get(id);
    if (picture?.path) picture.file ??= await fetch(picture.path).then((response) => response.blob());
    return picture?.file;
  }

  #remember() {
    const own = [...this.#all.values()].filter(({ id }) => this.isOwn(id));
    // Images would not fit, and the service has them.
    const opened = own.map(({ id, name, kind, shape, file }) => ({ id, name, kind, shape, ...(file instanceof Text && { file }) }));
    untilClosed.setItem(STORE, JSON.stringify(opened));
  }
}

/** What an image or a text is of which the page has the id only. @param {string} id @param {Input} input @returns {Pick<Picture, "kind" | "name">} */
export function foundBy(id, input) {
  if (placeOf(id)) return { kind: "listed", name: id.replace("dataset:", "") };
  const { form, noun } = readsOf(input);
  return { kind: form === "image" ? "opened" : form, name: `${noun} of the link` };
}

/** @param {string} png - In base 64. */
function blobOf(png) {
  return new Blob([Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

/** The image of each input: an id for all of them, or one by the name of each. @param {string} text - As in the address. @param {string[]} inputs @returns {Record<string, string>} */
export function imagesOf(text, inputs) {
  const named = Object.fromEntries(text.includes("=") ? new URLSearchParams(text) : []);
  const [usual = text] = Object.values(named);
  return Object.fromEntries(inputs.map((name) => [name, named[name] ?? usual]));
}

/** The images of the inputs as in the address. @param {Record<string, string>} images */
export function imagesText(images) {
  const ids = new Set(Object.values(images));
  return ids.size === 1 ? [...ids][0] : String(new URLSearchParams(images));
}
