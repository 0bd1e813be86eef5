/**
 * Names beside the rows and above the columns of a map that is drawn in a grid.
 *
 * @module
 */

/** Letters of a name that are drawn, and the least pixels between two names. */
const [LETTERS, APART] = [12, 11];

/**
 * Draw the tokens that rows and columns are. Where they are closer than names can be, some are left out.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {import("./maps.js").Tokens} tokens
 * @param {{left: number, top: number, width: number, height: number, room: number, end: number}} box - Of the map, with the room for a name; what is below `end` is not seen.
 */
export function drawNames(context, { rows, columns }, { left, top, width, height, room, end }) {
  if (rows) {
    const step = height / rows.length;
    context.textAlign = "right";
    for (const [place, name] of shownOf(rows, step)) {
      const middle = top + (place + 0.5) * step;
      if (middle > 0 && middle < end + step) context.fillText(name, left - 5, middle + 4, room - 5);
    }
    context.textAlign = "start";
  }
  if (!columns) return;
  const step = width / columns.length;
  for (const [place, name] of shownOf(columns, step)) {
    context.save();
    context.translate(left + (place + 0.5) * step + 4, top - 5);
    context.rotate(-Math.PI / 2);
    context.fillText(name, 0, 0, room - 5);
    context.restore();
  }
}

/** The names that are drawn, by their places. @param {string[]} names @param {number} step - Pixels from one to the next. @returns {[number, string][]} */
function shownOf(names, step) {
  const every = Math.ceil(APART / step);
  return names.flatMap((name, place) => (place % every ? [] : [[place, shortened(name)]]));
}

/** @param {string} name */
function shortened(name) {
  const letters = [...name];
  return letters.length > LETTERS ? `${letters.slice(0, LETTERS - 1).join("")}…` : name;
}
