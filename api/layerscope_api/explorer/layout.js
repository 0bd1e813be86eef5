/**
 * Layered layout of a graph: ranks from top to bottom, few crossings, and lines that pass beside boxes. It takes time in
 * proportion to n log n for n boxes and lines.
 *
 * Simplified from Sugiyama, Tagawa & Toda 1981, Methods for Visual Understanding of Hierarchical System Structures.
 *
 * @module
 */

/** @typedef {{id: string, rank: number, width: number, x: number, y: number}} Place - The position of a box, or of a line that passes a rank. */
/** @typedef {{source: string, target: string, path: Place[]}} Line - A line through places from its source to its target. */

export const DOWN = 92;
const LINE_WIDTH = 24;
const SWEEPS = 6;
/** Most passes: closed groups can make cycles, whose ranks would grow without end. */
const MOST_PASSES = 8;
/** Lines that pass more ranks than this run beside all boxes, since each rank that a line passes costs time. */
const MOST_PASSED = 24;

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
  const [far, near] = [true, false].map((isFar) => lines.filter(({ path }) => isFarLine(path) === isFar));
  /** @type {Place[][]} */
  const ranks = [];
  for (const place of new Set([...boxes.values(), ...near.flatMap(({ path }) => path)])) (ranks[place.rank] ??= []).push(place);
  const [above, below] = neighboursOf(near);
  for (let sweep = 0; sweep < 2 * SWEEPS; sweep += 1) {
    const beside = sweep % 2 ? below : above;
    for (const places of sweep % 2 ? [...ranks].reverse() : ranks) {
      if (sweep < SWEEPS) order(places, beside);
      spread(places, beside);
    }
  }
  const all = ranks.flat();
  const left = all.reduce((least, { x, width }) => Math.min(least, x - width / 2), Infinity);
  for (const place of all) place.x -= left;
  const right = all.reduce((most, { x, width }) => Math.max(most, x + width / 2), 0);
  const lanes = layBeside(far, right);
  for (const place of new Set([...all, ...far.flatMap(({ path }) => path)])) place.y = (place.rank + 0.5) * DOWN;
  return { lines, width: right + lanes * LINE_WIDTH, height: ranks.length * DOWN };
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
  const numbers = new Map(used.map((each, number) => [each, number]));
  for (const box of boxes.values()) box.rank = numbers.get(box.rank) ?? 0;
}

/** The places of a line: one in every rank that it passes; if it passes many, in the first and the last of them. @param {Place} from @param {Place} to */
function pathOf(from, to) {
  const passed = Math.max(0, to.rank - from.rank - 1);
  const steps = passed > MOST_PASSED ? [0, passed - 1] : [...Array(passed).keys()];
  return [from, ...steps.map((step) => ({ id: "", rank: from.rank + step + 1, width: LINE_WIDTH, x: 0, y: 0 })), to];
}

/** @param {Place[]} path */
function isFarLine(path) {
  return path[path.length - 1].rank - path[0].rank - 1 > MOST_PASSED;
}

/** Give each line a lane right of all boxes, which is free again where the line ends. @param {Line[]} lines @param {number} right @returns {number} The number of lanes. */
function layBeside(lines, right) {
  const ends = lines.flatMap((line) => [1, line.path.length - 2].map((place, isEnd) => ({ line, rank: line.path[place].rank, isEnd })));
  ends.sort((a, b) => a.rank - b.rank || a.isEnd - b.isEnd);
  /** @type {number[]} */
  const free = [];
  /** @type {Map<Line, number>} */
  const lanes = new Map();
  let count = 0;
  for (const { line, isEnd } of ends) {
    const lane = lanes.get(line) ?? free.pop() ?? count++;
    lanes.set(line, lane);
    if (isEnd) free.push(lane);
    line.path[1].x = line.path[2].x = right + (lane + 0.5) * LINE_WIDTH;
  }
  return count;
}

/** @param {Line[]} lines @returns {Map<Place, Place[]>[]} */
function neighboursOf(lines) {
  /** @type {Map<Place, Place[]>[]} */
  const [above, below] = [new Map(), new Map()];
  const add = (/** @type {Map<Place, Place[]>} */ map, /** @type {Place} */ place, /** @type {Place} */ other) => map.get(place)?.push(other) ?? map.set(place, [other]);
  for (const { path } of lines) {
    for (let step = 1; step < path.length; step += 1) {
      add(above, path[step], path[step - 1]);
      add(below, path[step - 1], path[step]);
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
