/**
 * What the views of what channels do share: bars of effects, edits, and the reason where there is nothing to show.
 *
 * @module
 */

import { drawn, element } from "./elements.js";

/** A bar to the right for what speaks for the class, to the left for what speaks against it. @param {number} value @param {number} most */
export function barOf(value, most) {
  const width = (Math.abs(value) / most) * 100;
  const bar = drawn("rect", { x: value < 0 ? 100 - width : 100, y: 0, width, height: 4, class: value < 0 ? "against" : "for" });
  return drawn("svg", { viewBox: "0 0 200 4", preserveAspectRatio: "none", "aria-hidden": "true" }, bar);
}

/** The edit that sets channels of a layer to 0. @param {string} address @param {number[]} channels */
export function withoutChannels(address, channels) {
  return `${address.replaceAll(";", "%3B")};channels=${channels.join(",")};set=0`;
}

/** Do something, and show why it cannot be done in its place. @param {import("./main.js").Explorer} explorer @param {HTMLElement} place @param {() => Promise<void>} task */
export async function shown(explorer, place, task) {
  const { leaveSignal } = explorer;
  try {
    await task();
  } catch (error) {
    if (!leaveSignal.aborted) place.replaceChildren(element("p", { class: "missing" }, error instanceof Error ? error.message : String(error)));
  }
}
