/**
 * Field of the text that a model reads, in the place of the image, and the words for what is looked at.
 *
 * @module
 */

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));

/** What can be opened besides models. @type {Record<import("./reads.js").Reads["form"], string>} */
const FILES = { image: "image/png,image/jpeg,image/webp,image/bmp,image/gif", text: "", array: ".npy,.json" };

/** Take each text that is written: with the button, or with Enter (Shift and Enter begin a line). @param {(text: string) => unknown} written */
export function listenForTexts(written) {
  const form = /** @type {HTMLFormElement} */ (document.getElementById("sentence"));
  const field = /** @type {HTMLTextAreaElement} */ (document.getElementById("text"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    written(field.value);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

/** Show the field for a model that reads texts, and the words for what other models read. @param {import("./reads.js").Reads} reads @param {import("./pictures.js").Picture | undefined} picture - What is shown, if there is anything. */
export function showReads({ form, noun }, picture) {
  const title = `${noun[0].toUpperCase()}${noun.slice(1)}`;
  Object.assign(document.body.dataset, { subject: form, noun });
  find("sentence").hidden = form !== "text";
  find("image-title").textContent = title;
  find("remove").ariaLabel = find("remove").title = picture?.kind === "listed" ? `Remove this ${noun} from the list` : `Remove this ${noun}, here and on the service`;
  find("images").ariaLabel = `${title}s`;
  find("open").textContent = `Open ${noun}s…`;
  /** @type {HTMLInputElement} */ (find("file")).accept = `${FILES[form]},.keras,.h5,.hdf5`;
  const field = /** @type {HTMLTextAreaElement} */ (document.getElementById("text"));
  // Of a link, the service tells the tokens of the text, not the text itself.
  if (form === "text" && picture && document.activeElement !== field) field.value = picture.file ? picture.name : "";
}
