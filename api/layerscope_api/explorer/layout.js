/**
 * Layered layout of a graph: ranks from top to bottom, few crossings, and lines that pass beside boxes.
 *
 * Simplified from Sugiyama, Tagawa & Toda 1981, Methods for Visual Understanding of Hierarchical System Structures.
 *
 * @module
 */

/** @typedef {{id: string, rank: number, width: number, x: number, y: number}} Place - The position of a box, or of a line that passes a rank. */
/** @typedef {{source: string, target: string, path: Place[]}} Line - A line through places from its source to its target. */

const [DOWN, LINE_WIDTH] = [68, 24];
const SWEEPS = 6;
/** Most passes: closed groups can make cycles, whose ranks would grow without end. */
const MOST_PASSES = 8;

/**
 * Position all boxes.
 *
 * @template {Place} P
 * @param {Map<string, P>} boxes - By id, in the order of the graph.
 * @param {{source: string, target: string}[]} edges
 * @returns {{lines: Line[], width: number, height: number}}
 */
export function layOut(boxes, edges) {
  rank(boxes, edges);
  const lines = edges.map((edge) => ({ ...edge, path: pathOf(/** @type {P} */ (boxes.get(edge.source)), /** @type {P} */ (boxes.get(edge.target))) }));
  /** @type {Place[][]} */
  const ranks = [];
  for (const place of new Set([...boxes.values(), ...lines.flatMap(({ path }) => path)])) (ranks[place.rank] ??= []).push(place);
  const [above, below] = neighboursOf(lines);
  for (let sweep = 0; sweep < 2 * SWEEPS; sweep += 1) {
    const near = sweep % 2 ? below : above;
    for (const places of sweep % 2 ? [...ranks].reverse() : ranks) {
      if (sweep < SWEEPS) order(places, near);
      spread(places, near);
    }
  }
  const all = ranks.flat();
  const left = Math.min(...all.map(({ x, width }) => x - width / 2));
  for (const place of all) {
    place.x -= left;
    place.y = (place.rank + 0.5) * DOWN;
  }
  return { lines, width: Math.max(...all.map(({ x, width }) => x + width / 2)), height: ranks.length * DOWN };
}

/** Assign ranks: the length of the longest path from the inputs. @param {Map<string, Place>} boxes @param {{source: string, target: string}[]} edges */
function rank(boxes, edges) {
  for (let pass = 0, isMoved = true; isMoved && pass < MOST_PASSES; pass += 1) {
    isMoved = false;
    for (const { source, target } of edges) {
      const [from, to] = [/** @type {Place} */ (boxes.get(source)), /** @type {Place} */ (boxes.get(target))];
      if (to.rank > from.rank) continue;
      to.rank = from.rank + 1;
      isMoved = true;
    }
  }
  const used = [...new Set([...boxes.values()].map((box) => box.rank))].sort((a, b) => a - b);
  for (const box of boxes.values()) box.rank = used.indexOf(box.rank);
}

/** The places of a line: one in every rank that it passes. @param {Place} from @param {Place} to */
function pathOf(from, to) {
  const passed = Math.max(0, to.rank - from.rank - 1);
  const places = Array.from({ length: passed }, (_, step) => ({ id: "", rank: from.rank + step + 1, width: LINE_WIDTH, x: 0, y: 0 }));
  return [from, ...places, to];
}

/** @param {Line[]} lines @returns {Map<Place, Place[]>[]} */
function neighboursOf(lines) {
  /** @type {Map<Place, Place[]>[]} */
  const [above, below] = [new Map(), new Map()];
  for (const { path } of lines) {
    for (let step = 1; step < path.length; step += 1) {
      above.set(path[step], [...(above.get(path[step]) ?? []), path[step - 1]]);
      below.set(path[step - 1], [...(below.get(path[step - 1]) ?? []), path[step]]);
    }
  }
  return [above, below];
}

/** The mean position of the places that a place is connected to. @param {Place} place @param {Map<Place, Place[]>} near */
function middleOf(place, near) {
  const places = near.get(place) ?? [];
  return places.length ? places.reduce((sum, { x }) => sum + x, 0) / places.length : place.x;
}

/** @param {Place[]} places @param {Map<Place, Place[]>} near */
function order(places, near) {
  const middles = new Map(places.map((place) => [place, middleOf(place, near)]));
  places.sort((a, b) => /** @type {number} */ (middles.get(a)) - /** @type {number} */ (middles.get(b)));
}

/** Move places towards the mean of their neighbours, as far as their order and widths allow. @param {Place[]} places @param {Map<Place, Place[]>} near */
function spread(places, near) {
  const wanted = places.map((place) => middleOf(place, near));
  let end = -Infinity;
  places.forEach((place, index) => {
    place.x = Math.max(wanted[index], end + place.width / 2);
    end = place.x + place.width / 2;
  });
  const shift = places.reduce((sum, place, index) => sum + wanted[index] - place.x, 0) / places.length;
  for (const place of places) place.x += shift;
}
