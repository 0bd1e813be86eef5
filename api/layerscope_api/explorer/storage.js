/**
 * Storage of the browser. It is denied to a page in a frame of another site, such as a notebook: values then last until the page is closed.
 *
 * @module
 */

/** Values until the tab is closed. */
export const untilClosed = storageOf(() => sessionStorage);
/** Values that stay. */
export const lasting = storageOf(() => localStorage);

/** @param {() => Storage} open @returns {Pick<Storage, "getItem" | "setItem">} */
function storageOf(open) {
  try {
    return open();
  } catch {
    /** @type {Map<string, string>} */
    const values = new Map();
    return { getItem: (name) => values.get(name) ?? null, setItem: (name, value) => void values.set(name, value) };
  }
}
