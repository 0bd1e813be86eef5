/**
 * The receptive field of a unit, as a box in the image.
 *
 * @module
 */

/**
 * The receptive field of a unit in pixels of the image. It is that of the middle unit, moved by the stride: the service gives the
 * field of the middle unit both in the input and in the image, which defines the mapping between them. Of a model with several
 * inputs it gives that in the input only; then the image is known to be stretched to the size of the input, or there is no box.
 *
 * @param {import("./session.js").Schemas["ReceptiveFieldBody"]} field - The field of the middle unit.
 * @param {import("./pictures.js").Input | undefined} input - The input whose image it is.
 * @param {import("./grid.js").Unit} unit
 * @param {number} stride
 * @param {{width: number, height: number}} image
 */
export function boxOf({ inputs }, input, { row, column }, stride, image) {
  const seen = inputs.find(({ name }) => name === input?.name) ?? inputs[0];
  const original = seen?.box && (seen.original ?? stretched(seen.box, input, image));
  if (!seen?.box || !original) return null;
  const axes = /** @type {const} */ ([["x", column * stride, 0, image.width], ["y", row * stride, 1, image.height]]);
  const ends = axes.map(([axis, place, at, most]) => {
    const [low, high] = [/** @type {number[]} */ (seen.box)[at], /** @type {number[]} */ (seen.box)[at + 2]];
    const [from, to] = [original[at], original[at + 2]];
    if (seen.whole || seen.size[axis] === undefined) return [from, to];
    const scale = (to - from) / (high - low);
    const start = from + (seen.offset[axis] + seen.stride[axis] * place - low) * scale;
    return [Math.max(0, start), Math.min(most, start + seen.size[axis] * scale)];
  });
  return [ends[0][0], ends[1][0], ends[0][1], ends[1][1]];
}

/** A box of an input in pixels of an image that is stretched to its size. @param {number[]} box @param {import("./pictures.js").Input | undefined} input @param {{width: number, height: number}} image */
function stretched([x0, y0, x1, y1], input, { width, height }) {
  const [rows, columns] = /** @type {number[]} */ (input?.preprocessing?.size ?? []);
  if (!rows || input?.preprocessing?.resize !== "stretch") return null;
  return [(x0 / columns) * width, (y0 / rows) * height, (x1 / columns) * width, (y1 / rows) * height];
}
