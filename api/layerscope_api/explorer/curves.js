/**
 * View of the channels of a layer as curves, drawn by the service.
 *
 * @module
 */

import { buttonOf, element, replace } from "./elements.js";

/** @typedef {import("./main.js").Explorer} Explorer */

/** Channels that are drawn at once. */
const SHOWN = 16;
/** Pixels of a picture at scale 1, about. */
const WIDTH = 400;

/** The picture. @type {string} */
let source = "";

/** The first and the last channel that are drawn. @param {Explorer} explorer */
function channelsOf({ maps, state }) {
  const count = maps?.width ?? 0;
  const wanted = Math.max(0, Math.min(count - 1, Number(state.first) || 0));
  const first = Math.floor(wanted / SHOWN) * SHOWN;
  return { first, last: Math.min(count, first + SHOWN) - 1, count };
}

/** The options of the picture. @param {Explorer} explorer @returns {{curves: true, channels: string, normalize: "channel" | "layer", colormap?: string, range?: [number, number]}} */
export function optionsOf(explorer) {
  const { palette, normalize, range } = explorer.coloring;
  const { first, last } = channelsOf(explorer);
  return {
    curves: true,
    channels: `${first}-${last}`,
    normalize,
    ...(palette !== "auto" && { colormap: palette }),
    ...(range && { range: /** @type {[number, number]} */ ([range.low, range.high]) }),
  };
}

/** Show the curves of the current layer. @param {Explorer} explorer @param {HTMLElement} root */
export async function show(explorer, root) {
  const { session, layer, maps, state, leaveSignal: signal } = explorer;
  if (!session || !layer || !maps) return;
  root.hidden = false;
  const scale = Math.max(1, Math.floor(root.clientWidth / WIDTH));
  const { blob } = await session.model.featureMap(session.image, { layer: layer.address, ...optionsOf(explorer), scale, signal });
  URL.revokeObjectURL(source);
  source = URL.createObjectURL(blob);
  const { first, last, count } = channelsOf(explorer);
  const channels = first === last ? `channel ${first}` : `channels ${first} to ${last}`;
  const picture = element("img", { src: source, alt: `Curves of ${channels} of ${layer.address}` });
  await picture.decode();
  if (explorer.state !== state) return;
  const beside = (/** @type {number} */ by) => explorer.go({ first: String(first + by) });
  replace(
    root,
    count > SHOWN &&
      element(
        "div",
        { class: "row" },
        buttonOf("‹", () => beside(-SHOWN), { "aria-label": "channels before", ...(!first && { disabled: "" }) }),
        element("span", {}, `${channels} of ${count}`),
        buttonOf("›", () => beside(SHOWN), { "aria-label": "next channels", ...(last + 1 === count && { disabled: "" }) }),
      ),
    picture,
  );
  root.scrollTop = 0;
  explorer.readout("Each channel is a curve in front of its values as colours.");
}
