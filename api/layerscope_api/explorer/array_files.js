/**
 * Files of arrays that a person opens: `.npy`, or JSON with lists of numbers.
 *
 * @module
 */

import { LayerscopeError, readNpy, Tensor, writeNpy } from "./client/layerscope.js";
import { fits } from "./reads.js";

/** @typedef {import("./reads.js").Input} Input */

/** Most arrays of one file that are opened. */
const MOST_ROWS = 32;

/**
 * The arrays of a file that an input takes, as `.npy` files. One that has an axis more holds several; an axis of one channel may be left out.
 *
 * @param {File} file
 * @param {Input} input
 * @returns {Promise<{file: File, shape: number[]}[]>}
 * @throws {LayerscopeError} The file has none.
 */
export async function arraysOf(file, input) {
  const { data, shape } = await read(file);
  const channel = input.axes.indexOf("channels");
  const left = input.shape[channel] === 1 ? input.shape.filter((_, axis) => axis !== channel) : input.shape;
  const [isOne, areMany] = [shape, shape.slice(1)].map((each) => fits(each, input.shape) || fits(each, left));
  const rows = isOne ? 1 : areMany ? shape[0] : 0;
  if (!rows) throw unfitting(file, shape, input);
  const own = isOne ? shape : shape.slice(1);
  const sides = own.length < input.shape.length ? own.toSpliced(channel, 0, 1) : own;
  const size = data.length / rows;
  return Array.from({ length: Math.min(rows, MOST_ROWS) }, (_, row) => {
    const values = writeNpy(new Tensor(data.subarray(row * size, (row + 1) * size), sides));
    return { file: new File([values], rows > 1 ? `${file.name} ${row}` : file.name), shape: sides };
  });
}

/** The shape that an input takes, in words. @param {Input} input */
export function shapeTaken(input) {
  return input.shape.map((side) => side ?? "any").join(" × ");
}

/** @param {File} file @returns {Promise<{data: Float32Array, shape: number[]}>} In whatever type of numbers the file has. */
async function read(file) {
  try {
    const { data, shape } = /\.json$/i.test(file.name) ? ofLists(JSON.parse(await file.text())) : readNpy(await file.arrayBuffer());
    return { data: /** @type {any} */ (data), shape: [...shape] };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new LayerscopeError("tensor_unreadable", `${file.name} cannot be read: ${error.message}`);
  }
}

/** The array of nested lists. @param {unknown} lists @returns {Tensor} @throws {SyntaxError} They are none of numbers, or of different lengths. */
function ofLists(lists) {
  const shape = [];
  for (let inner = lists; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  const numbers = Array.isArray(lists) ? lists.flat(Infinity) : [];
  if (!numbers.length || !isOf(lists, shape)) throw new SyntaxError("It must be lists of numbers, all of one length.");
  return new Tensor(Float32Array.from(numbers), shape);
}

/** Whether lists are numbers in a shape. @param {unknown} lists @param {number[]} shape @returns {boolean} */
function isOf(lists, [count, ...inner]) {
  if (count === undefined) return typeof lists === "number";
  return Array.isArray(lists) && lists.length === count && lists.every((each) => isOf(each, inner));
}

/** @param {File} file @param {readonly number[]} shape @param {Input} input */
function unfitting(file, shape, input) {
  const message = `${file.name} has the shape ${shape.join(" × ") || "of one number"}; ${input.name} takes ${shapeTaken(input)}, or several of these.`;
  return new LayerscopeError("input_mismatch", message);
}
