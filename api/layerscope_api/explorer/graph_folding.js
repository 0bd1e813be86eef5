/**
 * What of a graph is seen: a group of layers is one box until it is opened. Groups are the calls of nested models, and blocks:
 * layers that follow each other and whose names begin alike, such as `block_1_expand` and `block_1_project`.
 *
 * @module
 */

/** @typedef {import("./session.js").Schemas["GraphBody"]} Graph */
/** @typedef {Graph["nodes"][number]} Node */
/** @typedef {Graph["groups"][number]} Group */
/** @typedef {import("./layout.js").Place & {name: string, kind: string, shape: string, isGroup: boolean, group: string | null, shows: string, text: string}} Box -
 *    A layer, or a folded group; `group` is the one around it, `shows` the layer whose values it shows, and `text` what is searched. */
/** @typedef {{boxes: Map<string, Box>, edges: {source: string, target: string}[], seenAs: Map<string, string>}} Seen - The boxes, and the box of each layer. */

/** The end of the part of a name that the layers of a block share: a number, and what may stand before the next part. */
const SHARED = /\d[a-z]?(?=[_.])/g;
/** Fewer layers are no block. */
const LEAST = 4;

/** A graph in which the layers of each block are a group. @param {Graph} graph @returns {Graph} */
export function withBlocks(graph) {
  const blocks = /** @type {Group[]} */ ([]);
  /** The group of each layer that is in a block. @type {Map<Node, string>} */
  const around = new Map();
  const taken = new Set(graph.groups.map(({ path }) => path));
  /** @param {Node[]} nodes @param {number} depth @param {string | null} parent */
  const divide = (nodes, depth, parent) => {
    for (const run of runsOf(nodes, depth)) {
      const [{ address, group, name }] = run;
      const shared = sharedOf(name, depth);
      if (!shared) continue;
      const isBlock = run.length >= LEAST && run.length < nodes.length;
      const path = isBlock ? unusedOf(`${address.slice(0, address.lastIndexOf("/") + 1)}${shared}_*`, taken) : (parent ?? group);
      if (isBlock) {
        blocks.push({ path: /** @type {string} */ (path), name: shared, type: "block", parent: parent ?? group });
        for (const node of run) around.set(node, /** @type {string} */ (path));
      }
      divide(run, depth + 1, isBlock ? path : parent);
    }
  };
  divide(graph.nodes, 0, null);
  const nodes = graph.nodes.map((node) => ({ ...node, group: around.get(node) ?? node.group }));
  return { ...graph, nodes, groups: [...graph.groups, ...blocks] };
}

/** Layers that follow each other and share a part of their names. @param {Node[]} nodes @param {number} depth @returns {Node[][]} */
function runsOf(nodes, depth) {
  /** @type {Node[][]} */
  const runs = [];
  let last = "";
  for (const node of nodes) {
    const key = `${node.group ?? ""} ${sharedOf(node.name, depth)}`;
    if (key === last) runs[runs.length - 1].push(node);
    else runs.push([node]);
    last = key;
  }
  return runs;
}

/** The part of a name that the layers of a block share; empty without one. @param {string} name @param {number} depth - 0 for the shortest. */
function sharedOf(name, depth) {
  const end = [...name.matchAll(SHARED)][depth];
  return end ? name.slice(0, end.index + end[0].length) : "";
}

/** @param {string} path @param {Set<string>} taken */
function unusedOf(path, taken) {
  let unused = path;
  for (let number = 2; taken.has(unused); number += 1) unused = `${path} ${number}`;
  taken.add(unused);
  return unused;
}

/** The groups that a layer is inside of. @param {Graph} graph @param {string} address */
export function groupsAround({ nodes, groups }, address) {
  const parents = new Map([...nodes.map(({ address, group }) => /** @type {const} */ ([address, group])), ...groups.map(({ path, parent }) => /** @type {const} */ ([path, parent]))]);
  const around = [];
  for (let path = parents.get(address); path; path = parents.get(path)) around.push(path);
  return around;
}

/** The boxes of a graph in which each closed group is one. @param {Graph} graph @param {Set<string>} open @returns {Seen} */
export function folded({ nodes, edges, groups }, open) {
  const known = new Map(groups.map((group) => [group.path, group]));
  /** @type {Map<string, Node[]>} */
  const members = new Map();
  const seenAs = new Map();
  for (const node of nodes) {
    let id = node.address;
    for (let path = node.group; path; path = known.get(path)?.parent ?? null) if (!open.has(path)) id = path;
    seenAs.set(node.address, id);
    members.get(id)?.push(node) ?? members.set(id, [node]);
  }
  const boxes = new Map([...members].map(([id, inside]) => [id, boxOf(id, inside, known.get(id))]));
  const seen = edges.map(({ source, target }) => ({ source: seenAs.get(source), target: seenAs.get(target) }));
  const unique = new Map(seen.filter(({ source, target }) => source !== target).map((edge) => [`${edge.source} ${edge.target}`, edge]));
  return { boxes, edges: [...unique.values()], seenAs };
}

/** @param {string} id @param {Node[]} inside @param {Group | undefined} group @returns {Box} */
function boxOf(id, inside, group) {
  const last = inside[inside.length - 1];
  return {
    id,
    name: group?.name ?? last.name,
    kind: !group ? last.type : group.type === "block" ? `${inside.length} layers` : `${group.type} · ${inside.length} layers`,
    shape: last.shape.map((side) => side ?? "?").join(" × "),
    isGroup: group !== undefined,
    group: group ? group.parent : last.group,
    shows: group && group.type !== "block" ? id : last.address,
    text: [id, ...inside.flatMap(({ address, type }) => [address, type])].join(" ").toLowerCase(),
    rank: 0,
    width: 0,
    x: 0,
    y: 0,
  };
}

/** The boxes that a box depends on, those that depend on it, and itself. @param {{source: string, target: string}[]} edges @param {string} id @returns {Set<string>} */
export function pathThrough(edges, id) {
  const reached = [["source", "target"], ["target", "source"]].flatMap(([from, to]) => {
    const steps = Map.groupBy(edges, (edge) => edge[/** @type {"source"} */ (from)]);
    const found = new Set([id]);
    for (const each of found) for (const edge of steps.get(each) ?? []) found.add(edge[/** @type {"source"} */ (to)]);
    return [...found];
  });
  return new Set(reached);
}
