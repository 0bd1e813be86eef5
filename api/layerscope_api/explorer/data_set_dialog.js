/**
 * Dialog in which an image of a data set is chosen: the data sets of the service, and one page of images at a time.
 *
 * @module
 */

import { placeOf } from "./data_set_images.js";
import { buttonOf, choiceOf, element, fieldOf, replace } from "./elements.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./client/layerscope.js").Schemas} Schemas */

/** Images of a page, and the side of their pictures in pixels, for sharp ones of half that size. */
const [SHOWN, SIDE] = [24, 160];

const dialog = element("dialog", { id: "data-sets", "aria-labelledby": "data-sets-title" });
const controls = element("div", { class: "row" });
const [said, problem] = [element("p", { class: "quiet", role: "status" }), element("p", { class: "missing", role: "alert" })];
const turns = element("div", { class: "row turns" });
const images = element("div", { class: "listed", role: "group", "aria-label": "Images of the data set" });
document.body.append(dialog);
dialog.append(
  element("h2", { id: "data-sets-title" }, "Images of data sets"),
  controls,
  element("div", { class: "row" }, said, turns),
  problem,
  images,
  element("form", { method: "dialog" }, element("button", {}, "Close")),
);
// The event comes a moment later: the dialog may be open again.
dialog.addEventListener("close", () => dialog.open || empty());

/** The page that is shown, where the next opening begins. */
let place = { name: "", start: 0 };
/** Ends the requests of a page that is left. */
let leave = new AbortController();
/** @type {string[]} */
let sources = [];

/** Open the dialog where the current image is, or where it was left. @param {Explorer} explorer @param {string} current - The name of the image that is shown. */
export async function show(explorer, current) {
  empty();
  dialog.showModal();
  const { name, number = 0 } = placeOf(current) ?? {};
  if (name) place = { name, start: number - (number % SHOWN) };
  await attempted(async (signal) => {
    const sets = await explorer.client.datasets.list({ signal });
    if (!sets.length) return void (said.textContent = "No data set is registered.");
    const chosen = sets.find((each) => each.name === place.name) ?? sets[0];
    if (chosen.name !== place.name) place = { name: chosen.name, start: 0 };
    const turnTo = (/** @type {Partial<typeof place>} */ to) => {
      place = { ...place, ...to };
      attempted(() => showPage(explorer, current, turnTo));
    };
    const options = sets.map((each) => ({ value: each.name, text: `${each.name} (${each.images.toLocaleString("en")})` }));
    const jump = element("input", { type: "number", min: 0, step: 1, placeholder: "number" });
    jump.addEventListener("change", () => turnTo({ start: Math.max(0, Math.trunc(jump.valueAsNumber) || 0) }));
    replace(controls, choiceOf("Data set", options, chosen.name, (name) => turnTo({ name, start: 0 })), fieldOf("Go to image", jump));
    controls.querySelector("select")?.focus();
    await showPage(explorer, current, turnTo);
  });
}

/** Do what asks the service, and say what it says if that fails. @param {(signal: AbortSignal) => Promise<unknown>} task */
async function attempted(task) {
  clear();
  const { signal } = leave;
  await task(signal).catch((error) => {
    if (!signal.aborted) problem.textContent = error.message;
  });
}

/** Show no page. */
function empty() {
  clear();
  said.textContent = "";
  images.replaceChildren();
}

/** End what the page waits for, and forget its pictures. */
function clear() {
  leave.abort();
  leave = new AbortController();
  for (const source of sources) URL.revokeObjectURL(source);
  sources = [];
  problem.textContent = "";
}

/** Show one page of the images. Behind the last comes the first one. @param {Explorer} explorer @param {string} current @param {(to: Partial<typeof place>) => void} turnTo */
async function showPage(explorer, current, turnTo) {
  const { signal } = leave;
  const { name, start } = place;
  // How many it gives at once, the service decides: a longer page than its limit would be refused.
  const { rows: all, total } = await explorer.client.datasets.rows(name, { start, signal });
  const rows = all.slice(0, SHOWN);
  const end = start + rows.length;
  said.textContent = rows.length ? `${start.toLocaleString("en")} to ${(end - 1).toLocaleString("en")} of ${total.toLocaleString("en")}` : `There is no image ${start}: there are ${total.toLocaleString("en")}, from 0 on.`;
  const isWhole = start === 0 && end >= total;
  const before = start > 0 ? Math.max(0, Math.min(start, total) - SHOWN) : total - 1 - ((total - 1) % SHOWN);
  replace(turns, !isWhole && buttonOf("Previous page", () => turnTo({ start: before })), !isWhole && buttonOf("Next page", () => turnTo({ start: end >= total ? 0 : end })));
  replace(images, ...rows.map((row) => tileOf(explorer, row, current, signal)));
}

/** A button with the picture and the label of an image. @param {Explorer} explorer @param {Schemas["DataSetImage"]} row @param {string} current @param {AbortSignal} signal */
function tileOf(explorer, { number, image: id, path, label }, current, signal) {
  const picture = explorer.imagePanel.reads.form === "image" ? element("img", { alt: "" }) : element("span", { class: "quiet" }, String(number));
  const text = label ?? path.replace(/.*\//, "");
  const tile = buttonOf("", () => {
    dialog.close();
    explorer.imagePanel.choose(id);
  }, { title: path, "aria-label": `${text}, image ${number}: ${path}`, "aria-pressed": String(id === current) });
  tile.append(picture, element("span", {}, text));
  if (!(picture instanceof HTMLImageElement)) return tile;
  explorer.client.datasets.thumbnail(place.name, number, { side: SIDE, signal }).then((blob) => {
    sources.push((picture.src = URL.createObjectURL(blob)));
  }, (error) => {
    if (signal.aborted) return;
    picture.replaceWith(element("span", { class: "quiet" }, error.code === "input_changed" ? "not as listed" : "no picture"));
    tile.title = error.message;
  });
  return tile;
}
