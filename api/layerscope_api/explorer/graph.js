/**
 * The model as a graph: layers of layers from top to bottom, nested models folded until they are opened.
 *
 * @module
 */

import { buttonOf, drawn, element } from "./parts.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./look.js").Schemas["GraphBody"]} Graph */
/** @typedef {{id: string, name: string, type: string, isGroup: boolean, rank: number, x: number, y: number}} Box */
/** @typedef {{boxes: Map<string, Box>, edges: {source: string, target: string}[]}} Drawing */

const [BOX_WIDTH, BOX_HEIGHT, ACROSS, DOWN] = [156, 40, 176, 68];
const SWEEPS = 4;
/** Folded groups can make a circle, whose ranks would grow for ever. */
const MOST_PASSES = 8;
const LETTERS = 20;

/** The groups that are open, by model. @type {Map<string, Set<string>>} */
const opened = new Map();

/** Show the graph around the layer that is looked at. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { look, state } = explorer;
  if (!look) return;
  const graph = await look.graph();
  if (explorer.state !== state) return;
  const open = opened.get(state.model) ?? new Set(groupsAround(graph, state.layer));
  opened.set(state.model, open);
  const redraw = () => show(explorer, root);
  const drawing = laidOut(graph, open);
  const picture = pictureOf(drawing, state.layer, (box) => {
    if (!box.isGroup) return void explorer.go({ layer: box.id, channel: "" });
    open.add(box.id);
    redraw();
  });
  const find = element("input", { type: "search", placeholder: "Find in the graph", "aria-label": "Find in the graph" });
  find.addEventListener("input", () => mark(picture, drawing, find.value.trim().toLowerCase()));
  const foldable = graph.groups.filter(({ path }) => open.has(path)).map(({ path }) => buttonOf(`Fold ${path}`, () => (open.delete(path), redraw())));
  const unfold = graph.groups.length > open.size && buttonOf("Open all", () => (graph.groups.forEach(({ path }) => open.add(path)), redraw()));
  const frame = element("div", { class: "graph", tabindex: 0, role: "region", "aria-label": "Graph" }, picture);
  root.replaceChildren(element("div", { class: "tools" }, find, unfold, ...foldable), frame);
  const current = drawing.boxes.get(state.layer);
  if (current) frame.scrollTo(current.x - frame.clientWidth / 2, current.y - frame.clientHeight / 2);
}

/** @param {Graph} graph @param {string} address */
function groupsAround({ groups }, address) {
  return groups.map(({ path }) => path).filter((path) => address.startsWith(`${path}/`));
}

/** Ranks by the longest way from the inputs, then fewer crossings by moving boxes to the middle of their neighbours.
 * @param {Graph} graph @param {Set<string>} open @returns {Drawing} */
function laidOut(graph, open) {
  const { boxes, edges } = folded(graph, open);
  const [into, outOf] = [neighboursOf(edges, "target", "source"), neighboursOf(edges, "source", "target")];
  for (let pass = 0, isMoved = true; isMoved && pass < MOST_PASSES; pass += 1) {
    isMoved = false;
    for (const box of boxes.values()) {
      const rank = (into.get(box.id) ?? []).reduce((most, id) => Math.max(most, (boxes.get(id)?.rank ?? -1) + 1), 0);
      isMoved ||= rank !== box.rank;
      box.rank = rank;
    }
  }
  /** @type {Box[][]} */
  const ranks = [];
  for (const box of boxes.values()) (ranks[box.rank] ??= []).push(box);
  const filled = ranks.filter(Boolean);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const near = sweep % 2 ? outOf : into;
    for (const rank of sweep % 2 ? [...filled].reverse() : filled) order(rank, near, boxes);
  }
  const widest = Math.max(...filled.map((rank) => rank.length));
  for (const rank of filled) {
    rank.forEach((box, place) => {
      box.x = ((widest - rank.length) / 2 + place + 0.5) * ACROSS;
      box.y = (box.rank + 0.5) * DOWN;
    });
  }
  return { boxes, edges };
}

/** What is seen while some groups are folded: their layers become one box. @param {Graph} graph @param {Set<string>} open @returns {Drawing} */
function folded({ nodes, edges, groups }, open) {
  const parents = new Map(groups.map(({ path, parent }) => [path, parent]));
  const kinds = new Map(groups.map(({ path, name, type }) => [path, { name, type }]));
  /** @type {Map<string, Box>} */
  const boxes = new Map();
  const seenAs = new Map();
  for (const { address, name, type, group } of nodes) {
    let id = address;
    for (let path = group; path; path = parents.get(path) ?? null) if (!open.has(path)) id = path;
    const kind = kinds.get(id);
    seenAs.set(address, id);
    if (!boxes.has(id)) boxes.set(id, { id, name: kind?.name ?? name, type: kind?.type ?? type, isGroup: id !== address, rank: 0, x: 0, y: 0 });
  }
  const seen = edges.map(({ source, target }) => ({ source: seenAs.get(source), target: seenAs.get(target) }));
  const unique = new Map(seen.filter(({ source, target }) => source !== target).map((edge) => [`${edge.source} ${edge.target}`, edge]));
  return { boxes, edges: [...unique.values()] };
}

/** @param {Drawing["edges"]} edges @param {"source" | "target"} from @param {"source" | "target"} to */
function neighboursOf(edges, from, to) {
  /** @type {Map<string, string[]>} */
  const found = new Map();
  for (const edge of edges) found.set(edge[from], [...(found.get(edge[from]) ?? []), edge[to]]);
  return found;
}

/** @param {Box[]} rank @param {Map<string, string[]>} near @param {Map<string, Box>} boxes */
function order(rank, near, boxes) {
  const middle = new Map(
    rank.map((box, place) => {
      const places = (near.get(box.id) ?? []).map((id) => boxes.get(id)?.x ?? 0);
      return [box, places.length ? places.reduce((sum, x) => sum + x, 0) / places.length : place];
    }),
  );
  rank.sort((a, b) => (middle.get(a) ?? 0) - (middle.get(b) ?? 0));
  rank.forEach((box, place) => (box.x = place - rank.length / 2));
}

/** @param {Drawing} drawing @param {string} current @param {(box: Box) => void} choose */
function pictureOf({ boxes, edges }, current, choose) {
  const all = [...boxes.values()];
  const width = Math.max(...all.map(({ x }) => x)) + ACROSS / 2;
  const height = Math.max(...all.map(({ y }) => y)) + DOWN / 2;
  const lines = edges.map(({ source, target }) => {
    const [from, to] = [boxes.get(source), boxes.get(target)];
    if (!from || !to) return null;
    const [top, bottom] = [from.y + BOX_HEIGHT / 2, to.y - BOX_HEIGHT / 2];
    const bend = Math.max(12, (bottom - top) / 2);
    const isNear = source === current || target === current;
    return drawn("path", { d: `M${from.x} ${top}C${from.x} ${top + bend} ${to.x} ${bottom - bend} ${to.x} ${bottom}`, class: isNear ? "near" : "" });
  });
  const shapes = all.map((box) => shapeOf(box, box.id === current, () => choose(box)));
  const first = shapes.find((shape) => shape.getAttribute("aria-current")) ?? shapes[0];
  first?.setAttribute("tabindex", "0");
  const svg = drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Layers and what flows between them" }, ...lines, ...shapes);
  svg.addEventListener("keydown", (event) => {
    const place = shapes.indexOf(/** @type {SVGGElement} */ (document.activeElement));
    const target = shapes[place + (/** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 })[event.key] ?? NaN)];
    if (!target) return;
    event.preventDefault();
    shapes[place].setAttribute("tabindex", "-1");
    target.setAttribute("tabindex", "0");
    target.focus();
  });
  return svg;
}

/** @param {Box} box @param {boolean} isCurrent @param {() => void} choose */
function shapeOf(box, isCurrent, choose) {
  const [left, top] = [box.x - BOX_WIDTH / 2, box.y - BOX_HEIGHT / 2];
  const shape = drawn(
    "g",
    { class: box.isGroup ? "box group" : "box", role: "button", tabindex: -1, "aria-current": isCurrent ? "true" : null, "data-address": box.id, "data-text": `${box.id} ${box.type}`.toLowerCase() },
    drawn("rect", { x: left, y: top, width: BOX_WIDTH, height: BOX_HEIGHT, rx: 7 }),
    drawn("text", { x: box.x, y: box.y - 3, class: "name" }, shortened(box.name)),
    " ",
    drawn("text", { x: box.x, y: box.y + 12 }, box.isGroup ? `${shortened(box.type)} +` : shortened(box.type)),
  );
  shape.addEventListener("click", choose);
  shape.addEventListener("keydown", (event) => event.key === "Enter" && choose());
  return shape;
}

/** The end of a name tells it apart. @param {string} text */
function shortened(text) {
  return text.length > LETTERS ? `…${text.slice(1 - LETTERS)}` : text;
}

/** Mark what is looked for, and go to the first. @param {SVGElement} picture @param {Drawing} drawing @param {string} wanted */
function mark(picture, { boxes }, wanted) {
  const shapes = [...picture.querySelectorAll(".box")];
  for (const shape of shapes) shape.classList.toggle("dim", !shape.getAttribute("data-text")?.includes(wanted));
  const first = [...boxes.values()].find(({ id, type }) => `${id} ${type}`.toLowerCase().includes(wanted));
  const frame = picture.parentElement;
  if (wanted && first && frame) frame.scrollTo({ left: first.x - frame.clientWidth / 2, top: first.y - frame.clientHeight / 2 });
}
