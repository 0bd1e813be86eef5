/**
 * Elements of the page by id.
 *
 * @module
 */

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
export const find = (id) => /** @type {T} */ (document.getElementById(id));
/** A `<select>` element. @param {string} id */
export const choice = (id) => /** @type {HTMLSelectElement} */ (document.getElementById(id));
/** An `<input>` element. @param {string} id */
export const inputOf = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));
