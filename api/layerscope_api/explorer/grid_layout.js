/**
 * How maps are laid out in a grid: the size of a map, and the columns.
 *
 * @module
 */

/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */
/** @typedef {number | "auto" | "atlas"} Side - The approximate side of a map in pixels of the screen; the largest at which all maps fit; or that without names, so that even thousands fit. */
/** @typedef {{columns: number, rows: number, width: number, height: number, across: number, down: number, side: number, above: number, label: number, total: number}} Layout - `side` and `above` are the room for the names of rows and columns. */

/** Pixels around the grid, and between maps. */
export const GAP = 10;
const LABEL = 16;
const [VECTOR_WIDTH, VECTOR_HEIGHT] = [72, 20];
/** Most units of a vector that have their number and value below them, and the side of the others. */
const [MOST_NAMED, UNIT_SIDE] = [1024, 22];
/** Largest and smallest side of maps that all fit with their names, and the smallest without. */
const [LARGEST, SMALLEST, TINY] = [800, 96, 6];
/** Side of a map if not all maps fit. In a grid narrower than `NARROW` pixels, three stand side by side; below `NARROWEST`, two. */
const [USUAL_SIDE, NARROW, NARROWEST] = [112, 480, 200];
/** Pixels of a row or column that has a name, most that the names take, and most of the room. */
const [NAMED_SIDE, NAMES, NAMES_SHARE] = [13, 84, 0.35];
/** Pixels of the screen for each value from which on a fraction of a pixel is not seen. */
const COARSE = 4;

/**
 * Lay out a number of maps.
 *
 * @param {FeatureMaps} maps
 * @param {number} count - How many of them are shown.
 * @param {Side} side
 * @param {number} width - Of the room.
 * @param {number} height
 * @returns {Layout}
 */
export function layOutMaps(maps, count, side, width, height) {
  if (maps.isVector) return vectorLayout(count, side, width);
  if (maps.tokens.rows) return namedLayout(maps, count, width);
  if (maps.isMatrix) return layoutOf(maps, 1, matrixScale(maps, width), 0, GAP, width);
  if (side === "atlas") return fitting(maps, count, width, height, 0, 1, TINY) ?? layoutOf(maps, count, scaleOf(maps, TINY), 0, 1, width);
  if (side !== "auto") return layoutOf(maps, count, scaleOf(maps, Math.min(side, width)), LABEL, GAP, width);
  return fitting(maps, count, width, height, LABEL, GAP, SMALLEST) ?? filling(maps, count, width);
}

/** The layout with the largest maps that all fit; undefined if they do not. @param {FeatureMaps} maps @param {number} count @param {number} width @param {number} height @param {number} label @param {number} gap @param {number} smallest */
function fitting(maps, count, width, height, label, gap, smallest) {
  const longest = Math.max(maps.width, maps.height);
  /** @type {Layout | undefined} */
  let best;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const room = [(width + gap) / columns - gap, (height - 2 * GAP + gap) / rows - label - gap];
    const side = Math.min(LARGEST, (room[0] / maps.width) * longest, (room[1] / maps.height) * longest);
    const scale = label ? scaleOf(maps, side) : side / longest;
    if (scale * longest < smallest && scale < 1) continue;
    const layout = layoutOf(maps, count, scale, label, gap, width);
    if (layout.total <= height && scale * longest >= Math.min(smallest, longest) && layout.width * layout.height > (best ? best.width * best.height : 0)) best = layout;
  }
  return best;
}

/** Maps of about the usual side that fill the width. @param {FeatureMaps} maps @param {number} count @param {number} width */
function filling(maps, count, width) {
  const columns = width < NARROWEST ? 2 : width < NARROW ? 3 : Math.floor((width + GAP) / (USUAL_SIDE + GAP));
  const scale = ((width + GAP) / columns - GAP) / maps.width;
  return layoutOf(maps, count, scale, LABEL, GAP, width);
}

/** @param {FeatureMaps} maps @param {number} count @param {number} scale @param {number} label @param {number} gap @param {number} room @returns {Layout} */
function layoutOf(maps, count, scale, label, gap, room) {
  const [width, height] = [maps.width, maps.height].map((numbers) => Math.max(1, Math.floor(numbers * scale)));
  return tiled(count, width, height, Math.max(width, label ? 40 : 1) + gap, label, gap, room);
}

/** @param {number} count @param {number} width @param {number} height @param {number} across @param {number} label @param {number} gap @param {number} room @returns {Layout} */
function tiled(count, width, height, across, label, gap, room) {
  const down = height + label + gap;
  const columns = Math.max(1, Math.min(count, Math.floor((room + gap) / across)));
  const rows = Math.ceil(count / columns);
  return { columns, rows, width, height, across, down, side: 0, above: 0, label, total: rows * down + 2 * GAP - gap };
}

/** Maps with the names of their rows, and of their columns if both are tokens. @param {FeatureMaps} maps @param {number} count @param {number} room */
function namedLayout(maps, count, room) {
  const areBoth = maps.tokens.columns !== null;
  const names = Math.floor(Math.min(NAMES, room * NAMES_SHARE));
  const across = Math.min(NAMED_SIDE, (room - names) / maps.width);
  const [width, height] = [across * maps.width, (areBoth ? across : NAMED_SIDE) * maps.height].map((side) => Math.max(1, Math.floor(side)));
  const [side, above] = [names, areBoth ? names : 0];
  const layout = tiled(count, width, height + above, side + width + GAP, areBoth ? LABEL : 0, GAP, room);
  return { ...layout, height, side, above };
}

/** Units of a vector, with their numbers and values if they are not too many. @param {number} count @param {Side} side @param {number} room */
function vectorLayout(count, side, room) {
  if (side === "atlas" || count > MOST_NAMED) return tiled(count, UNIT_SIDE, UNIT_SIDE, UNIT_SIDE + 2, 0, 2, room);
  return tiled(count, VECTOR_WIDTH, VECTOR_HEIGHT, VECTOR_WIDTH + GAP / 2, LABEL, GAP / 2, room);
}

/** @param {FeatureMaps} maps @param {number} room */
function matrixScale(maps, room) {
  const wanted = room / maps.width;
  return wanted >= 1 ? Math.min(16, Math.floor(wanted)) : wanted;
}

/** Pixels of the screen per value: a whole number where a fraction would be seen, so that all values are equally large. @param {FeatureMaps} maps @param {number} side */
function scaleOf(maps, side) {
  const longest = Math.max(maps.width, maps.height);
  const wanted = side / longest;
  if (wanted >= COARSE) return wanted;
  return wanted >= 1 ? Math.floor(wanted) : wanted;
}
