/**
 * State of the explorer: everything that is shown is described by the fragment of the address, so that links and the browser's
 * history work.
 *
 * @module
 */

/** @typedef {typeof DEFAULTS} State */

export const VIEWS = ["maps", "statistics", "heat", "compare", "graph"];
const DEFAULTS = { model: "", image: "", layer: "", channel: "", view: "maps", palette: "auto", normalize: "channel", range: "", order: "number", size: "auto", with: "", method: "gradcam", target: "best" };
/** A change of these fields adds an entry to the browser's history; other changes replace the current entry. */
const NAVIGATION = /** @type {const} */ (["model", "image", "layer", "channel", "view", "with", "method", "target"]);

/** The state that the address describes. @returns {State} */
export function readState() {
  return { ...DEFAULTS, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
}

/** Write a changed state into the address. @param {State} state @param {Partial<State>} change */
export function writeState(state, change) {
  const next = { ...state, ...change };
  const isNavigation = NAVIGATION.some((name) => next[name] !== state[name]);
  const changed = Object.entries(next).filter(([name, value]) => value !== DEFAULTS[/** @type {keyof State} */ (name)]);
  history[isNavigation ? "pushState" : "replaceState"](null, "", `#${new URLSearchParams(changed)}`);
}
