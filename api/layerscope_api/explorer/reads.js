/**
 * What a model reads: images, texts, or arrays such as signals and volumes; and the words for each.
 *
 * @module
 */

/** @typedef {import("./session.js").Schemas["InputBody"]} Input */
/** @typedef {{form: "image" | "text" | "array", noun: string, places: string}} Reads - `places` is what layers have that are maps over it. */

/** Axes of places in the order of arrays that have a name, and that name. @type {Record<string, string>} */
const ARRAYS = { time: "signal", "depth,height,width": "volume", "time,height,width": "film", "": "vector" };

/** What an input reads. @param {Input | undefined} input @returns {Reads} */
export function readsOf(input) {
  if (!input || input.preprocessing) return { form: "image", noun: "image", places: "rows and columns" };
  if (input.axes.join() === "tokens") return { form: "text", noun: "text", places: "tokens" };
  const places = input.axes.filter((axis) => axis !== "channels");
  return { form: "array", noun: ARRAYS[places.join()] ?? "array", places: inWords(places) };
}

/** Whether an array has a shape; null is any size. @param {readonly number[]} shape @param {readonly (number | null)[]} wanted */
export function fits(shape, wanted) {
  return shape.length === wanted.length && wanted.every((side, axis) => side === null || side === shape[axis]);
}

/** What several things are together. @param {string[]} names */
function inWords(names) {
  if (names.length < 2) return names[0] ? `an axis of ${names[0]}` : "channels";
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
