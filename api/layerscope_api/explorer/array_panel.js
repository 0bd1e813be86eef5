/**
 * The array that a model reads, drawn by the service in the place of the image, and the slider that chooses the slice of a volume
 * or the frame of a film.
 *
 * @module
 */

import { shapeTaken } from "./array_files.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */

/** Pixels that the longer side of a slice has in its picture, at least. */
const SIDE = 256;
/** Milliseconds between two changes of the address: browsers ignore more than 200 in 30 seconds. */
const PAUSE = 160;

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));
const picture = /** @type {HTMLImageElement} */ (document.getElementById("image"));
const slider = /** @type {HTMLInputElement} */ (document.getElementById("slice"));

/** What the picture shows, and its address. */
let [shown, source] = ["", ""];
/** The page that listens to the slider. @type {Explorer | undefined} */
let listening;
/** When the slice may change again, and what changes it then. @type {{at: number, timer: ReturnType<typeof setTimeout> | undefined}} */
const next = { at: 0, timer: undefined };

/** Show the array of the current slot, and choose its slice. @param {Explorer} explorer @param {import("./reads.js").Input} input @param {string} name - Of the array. */
export async function show(explorer, input, name) {
  const { session, state, imagePanel } = explorer;
  listen(explorer);
  const hint = find("no-image");
  hint.textContent = `Open a .npy or .json file of ${shapeTaken(input)} numbers.`;
  hint.hidden = Boolean(name);
  if (!session?.image) return clear(explorer);
  const layer = await layerOf(explorer, input);
  const maps = await session.maps(layer);
  if (explorer.state !== state) return;
  imagePanel.slice = chosen(state.slice, maps, input);
  showSlider(imagePanel.slice);
  await draw(explorer, layer.address, maps, name);
}

/** Show neither array nor slider. @param {Explorer} explorer */
function clear({ imagePanel }) {
  imagePanel.slice = null;
  picture.hidden = true;
  showSlider(null);
}

/** The layer that an input is. @param {Explorer} explorer @param {import("./reads.js").Input} input */
async function layerOf({ session, models, state }, input) {
  const { layers } = await /** @type {import("./session.js").Session} */ (session).select("input");
  return layers[(models.find(state.model)?.inputs ?? []).findIndex(({ name }) => name === input.name)];
}

/** The slice of the state, else the middle one; null for what has no slices. @param {string} text @param {FeatureMaps} maps @param {import("./reads.js").Input} input */
function chosen(text, { slices }, { axes }) {
  if (!slices) return null;
  const number = text === "" ? Math.floor(slices / 2) : Number(text);
  return { number: Math.max(0, Math.min(slices - 1, Math.round(number) || 0)), count: slices, axis: axes.find((axis) => axis !== "channels") ?? "" };
}

/** @param {import("./image_panel.js").Slice | null} slice */
function showSlider(slice) {
  find("slices").hidden = !slice;
  // A person who still moves the slider is further than the state.
  if (!slice || next.timer) return;
  const { number, count, axis } = slice;
  /** @type {HTMLElement} */ (find("slices").querySelector(".label")).textContent = axis;
  Object.assign(slider, { max: String(count - 1), value: String(number), ariaValueText: `${number}, the last is ${count - 1}` });
  find("slice-number").textContent = `${number} (0–${count - 1})`;
}

/** @param {Explorer} explorer */
function listen(explorer) {
  if (listening === explorer) return;
  listening = explorer;
  slider.addEventListener("input", () => {
    clearTimeout(next.timer);
    next.timer = setTimeout(() => {
      Object.assign(next, { at: performance.now() + PAUSE, timer: undefined });
      explorer.go({ slice: slider.value });
    }, next.at - performance.now());
  });
}

/** The colours of all slices, so that they can be compared. @param {FeatureMaps} maps */
function coloursOf(maps) {
  const coloring = /** @type {const} */ ({ palette: "auto", normalize: "layer" });
  const { low, high } = maps.spanOf(0, coloring);
  return low < high ? { range: /** @type {[number, number]} */ ([low, high]), colormap: maps.paletteOf(coloring).name } : {};
}

/** Draw the array, unless the picture shows it. @param {Explorer} explorer @param {string} layer @param {FeatureMaps} maps @param {string} name */
async function draw({ session, imagePanel, leaveSignal: signal }, layer, maps, name) {
  const { model, image } = /** @type {import("./session.js").Session} */ (session);
  const { slice } = imagePanel;
  const wanted = JSON.stringify([model.name, image, layer, slice]);
  if (wanted === shown && picture.src === source) return;
  const scale = Math.max(1, Math.floor(SIDE / Math.max(maps.width, maps.at(imagePanel.share).height)));
  const look = maps.isSeries ? { curves: true } : { scale, ...(slice && { slice: String(slice.number), ...coloursOf(maps) }) };
  const { blob } = await model.featureMap(image, { layer, normalize: "layer", ...look, signal });
  URL.revokeObjectURL(source);
  source = URL.createObjectURL(blob);
  picture.src = source;
  picture.alt = slice ? `${name}, ${slice.axis} ${slice.number}` : name;
  picture.classList.remove("coarse");
  picture.hidden = false;
  shown = wanted;
}
