/**
 * View of the model as a graph, from top to bottom. Each call of a nested model is one box until it is opened.
 *
 * @module
 */

import { layOut } from "./layout.js";
import { buttonOf, drawn, element, replace } from "./elements.js";

/** @typedef {import("./main.js").Explorer} Explorer */
/** @typedef {import("./session.js").Schemas["GraphBody"]} Graph */
/** @typedef {import("./layout.js").Place & {name: string, type: string, isGroup: boolean}} Box */
/** @typedef {{boxes: Map<string, Box>, lines: import("./layout.js").Line[], width: number, height: number}} Drawing */

const [BOX_WIDTH, BOX_HEIGHT, GAP] = [156, 40, 20];
const LETTERS = 20;

/** The open groups of each model. @type {Map<string, Set<string>>} */
const opened = new Map();

/** Show the graph, scrolled to the current layer. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { session, state } = explorer;
  if (!session) return;
  const graph = await session.graph();
  if (explorer.state !== state) return;
  const open = opened.get(state.model) ?? new Set(groupsAround(graph, state.layer));
  opened.set(state.model, open);
  const redraw = () => show(explorer, root);
  const { boxes, edges } = folded(graph, open);
  const drawing = { boxes, ...layOut(boxes, edges) };
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
  replace(root, element("div", { class: "tools" }, find, unfold, ...foldable), frame);
  const current = drawing.boxes.get(state.layer);
  if (current) frame.scrollTo(current.x - frame.clientWidth / 2, current.y - frame.clientHeight / 2);
}

/** The groups that a layer is inside of. @param {Graph} graph @param {string} address */
function groupsAround({ nodes, groups }, address) {
  const parents = new Map([...nodes.map(({ address, group }) => /** @type {const} */ ([address, group])), ...groups.map(({ path, parent }) => /** @type {const} */ ([path, parent]))]);
  const around = [];
  for (let path = parents.get(address); path; path = parents.get(path)) around.push(path);
  return around;
}

/** The drawing of a graph in which each closed group is one box. @param {Graph} graph @param {Set<string>} open */
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
    if (!boxes.has(id)) boxes.set(id, { id, name: kind?.name ?? name, type: kind?.type ?? type, isGroup: id !== address, rank: 0, width: BOX_WIDTH + GAP, x: 0, y: 0 });
  }
  const seen = edges.map(({ source, target }) => ({ source: seenAs.get(source), target: seenAs.get(target) }));
  const unique = new Map(seen.filter(({ source, target }) => source !== target).map((edge) => [`${edge.source} ${edge.target}`, edge]));
  return { boxes, edges: [...unique.values()] };
}

/** @param {Drawing} drawing @param {string} current @param {(box: Box) => void} choose */
function pictureOf({ boxes, lines, width, height }, current, choose) {
  const isNear = (/** @type {{source: string, target: string}} */ { source, target }) => source === current || target === current;
  const neighbours = new Set(lines.filter(isNear).flatMap(({ source, target }) => [source, target]));
  const paths = lines.map((line) => drawn("path", { d: curveOf(line.path), class: isNear(line) && "near" }));
  const shapes = [...boxes.values()].map((box) => shapeOf(box, box.id === current, neighbours.has(box.id), () => choose(box)));
  const first = shapes.find((shape) => shape.getAttribute("aria-current")) ?? shapes[0];
  first?.setAttribute("tabindex", "0");
  const svg = drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Layers and what flows between them" }, ...paths, ...shapes);
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

/** The path of a line from box to box, straight down beside boxes that it passes. @param {import("./layout.js").Place[]} path */
function curveOf([from, ...path]) {
  const half = BOX_HEIGHT / 2;
  let [x, y] = [from.x, from.y + half];
  const parts = path.map((to, step) => {
    const bend = Math.max(12, (to.y - half - y) / 2);
    const part = `C${x} ${y + bend} ${to.x} ${to.y - half - bend} ${to.x} ${to.y - half}`;
    [x, y] = [to.x, to.y + half];
    return step < path.length - 1 ? `${part}V${y}` : part;
  });
  return `M${from.x} ${from.y + half}${parts.join("")}`;
}

/** @param {Box} box @param {boolean} isCurrent @param {boolean} isNear @param {() => void} choose */
function shapeOf(box, isCurrent, isNear, choose) {
  const [left, top] = [box.x - BOX_WIDTH / 2, box.y - BOX_HEIGHT / 2];
  const shape = drawn(
    "g",
    { class: ["box", box.isGroup && "group", isNear && "near"].filter(Boolean).join(" "), role: "button", tabindex: -1, "aria-current": isCurrent ? "true" : null, "data-address": box.id, "data-text": `${box.id} ${box.type}`.toLowerCase() },
    drawn("rect", { x: left, y: top, width: BOX_WIDTH, height: BOX_HEIGHT, rx: 7 }),
    drawn("text", { x: box.x, y: box.y - 3, class: "name" }, shortened(box.name)),
    " ",
    drawn("text", { x: box.x, y: box.y + 12 }, box.isGroup ? `${shortened(box.type)} +` : shortened(box.type)),
  );
  shape.addEventListener("click", choose);
  shape.addEventListener("keydown", (event) => event.key === "Enter" && choose());
  return shape;
}

/** A shortened name. The end is kept, because names differ there. @param {string} text */
function shortened(text) {
  return text.length > LETTERS ? `…${text.slice(1 - LETTERS)}` : text;
}

/** Mark the boxes whose name contains a text, and scroll to the first. @param {SVGElement} picture @param {Drawing} drawing @param {string} wanted */
function mark(picture, { boxes }, wanted) {
  const shapes = [...picture.querySelectorAll(".box")];
  for (const shape of shapes) shape.classList.toggle("dim", !shape.getAttribute("data-text")?.includes(wanted));
  const first = [...boxes.values()].find(({ id, type }) => `${id} ${type}`.toLowerCase().includes(wanted));
  const frame = picture.parentElement;
  if (wanted && first && frame) frame.scrollTo({ left: first.x - frame.clientWidth / 2, top: first.y - frame.clientHeight / 2 });
}

/** The styles of the page that the graph needs in a file. */
const [STYLED, PROPERTIES] = ["rect, path, text", ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight", "text-anchor"]];

/** The graph as it is shown, as an SVG file. */
export function picture() {
  const shown = /** @type {SVGSVGElement} */ (document.querySelector(".graph svg"));
  const copy = /** @type {SVGSVGElement} */ (shown.cloneNode(true));
  const originals = shown.querySelectorAll(STYLED);
  copy.querySelectorAll(STYLED).forEach((each, place) => {
    const style = getComputedStyle(originals[place]);
    for (const property of PROPERTIES) each.setAttribute(property, style.getPropertyValue(property));
  });
  return new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
}
