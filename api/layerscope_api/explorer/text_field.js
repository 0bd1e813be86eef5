/**
 * Field of the text that a model reads, in the place of the image.
 *
 * @module
 */

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));

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

/** Show the field for a model that reads texts. @param {boolean} isText @param {import("./pictures.js").Picture | undefined} picture - The text that is shown, if there is one. */
export function showText(isText, picture) {
  document.body.dataset.subject = isText ? "text" : "image";
  find("sentence").hidden = !isText;
  find("image-title").textContent = isText ? "Text" : "Image";
  find("remove").ariaLabel = find("remove").title = picture?.kind === "listed" ? "Remove this image from the list" : `Remove this ${isText ? "text" : "image"}, here and on the service`;
  find("images").ariaLabel = isText ? "Texts" : "Images";
  const field = /** @type {HTMLTextAreaElement} */ (document.getElementById("text"));
  // Of a link, the service tells the tokens of the text, not the text itself.
  if (isText && picture && document.activeElement !== field) field.value = picture.file ? picture.name : "";
}
