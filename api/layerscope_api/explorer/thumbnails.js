/**
 * Thumbnails of layers: the most active channel, or the values of a vector as bars.
 *
 * @module
 */

/** @typedef {import("./maps.js").FeatureMaps} FeatureMaps */

const SIDE = 40;
/** Pixels of the canvas for each on the page, for sharp bars. */
const DENSITY = 2;

/**
 * Draw a thumbnail.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {FeatureMaps} maps
 * @param {string} palette
 * @returns {number | null} The channel that is shown; null if all are.
 */
export function drawThumbnail(canvas, maps, palette) {
  if (maps.isVector) {
    drawBars(canvas, maps);
    return null;
  }
  const most = Math.max(0, maps.activity.indexOf(maps.activity.reduce((best, each) => Math.max(best, each), -1)));
  drawTile(canvas, maps, most, palette);
  return maps.isMatrix ? null : maps.channelOf(most);
}

/** Draw one tile, in the range of its own values. @param {HTMLCanvasElement} canvas @param {FeatureMaps} maps @param {number} tile @param {string} palette */
export function drawTile(canvas, maps, tile, palette) {
  canvas.width = maps.width;
  canvas.height = maps.height;
  canvas.getContext("2d")?.putImageData(maps.paint([tile], { palette, normalize: "channel" }), 0, 0);
  canvas.classList.toggle("coarse", canvas.width < 2 * SIDE);
}

/** The values of a vector as bars from zero; where they are many, the largest of each few. @param {HTMLCanvasElement} canvas @param {FeatureMaps} maps */
function drawBars(canvas, maps) {
  canvas.width = canvas.height = SIDE * DENSITY;
  canvas.classList.remove("coarse");
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = getComputedStyle(canvas).color;
  const bars = Math.min(maps.count, SIDE);
  const values = Array.from({ length: bars }, (_, bar) => {
    const [first, end] = [bar, bar + 1].map((each) => Math.floor((each * maps.count) / bars));
    const few = Array.from({ length: end - first }, (_, place) => maps.value(first + place, 0, 0));
    return few.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  });
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const y = (/** @type {number} */ value) => ((high - value) / (high - low || 1)) * canvas.height;
  const step = canvas.width / bars;
  values.forEach((value, bar) => {
    const top = Math.min(y(value), y(0));
    context.fillRect(bar * step, top, Math.max(1, step - (step > 3 ? 1 : 0)), Math.max(1, Math.abs(y(value) - y(0))));
  });
}
