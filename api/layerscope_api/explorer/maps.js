/**
 * Feature maps in the browser: the values of one layer for one image, and their colours.
 *
 * Values are requested as one byte each, with a scale and an offset per channel, and are drawn from those bytes through a
 * palette. Another palette or range therefore needs no request.
 *
 * @module
 */

import { channelsFirst, folded, product } from "./planes.js";

/** @typedef {import("./client/layerscope.js").Activations} Activations */
/** @typedef {{low: number, high: number}} Range */
/** @typedef {{min: number | null, max: number | null, mean: number | null, std: number | null, fraction_zero: number | null}} Figures */
/** @typedef {{palette: string, normalize: "channel" | "layer", range?: Range}} Coloring - A range replaces `normalize`. */

const LEVELS = 256;
/** The diverging palettes; the first is the default for values with both signs. */
const DIVERGING = ["vik", "RdBu_r", "PiYG"];

/** @type {Map<string, Uint32Array>} */
const palettes = new Map();

/** Read the palettes from the data in the page. @param {Record<string, string>} shipped - 256 times red, green, blue, in base 64. */
export function takePalettes(shipped) {
  for (const [name, text] of Object.entries(shipped)) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const colours = new Uint8ClampedArray(LEVELS * 4).fill(255);
    for (let level = 0; level < LEVELS; level += 1) colours.set(bytes.subarray(level * 3, level * 3 + 3), level * 4);
    palettes.set(name, new Uint32Array(colours.buffer));
  }
}

/** The names of the palettes. */
export function paletteNames() {
  return [...palettes.keys()];
}

/** The colours of a palette, from the lowest to the highest, as pixels. @param {string} name */
export function coloursOf(name) {
  return /** @type {Uint32Array} */ (palettes.get(name) ?? palettes.get("viridis"));
}

/** Axes whose places are the tokens of a text. */
const OF_TOKENS = ["tokens", "query", "key"];

/** @typedef {{rows: string[] | null, columns: string[] | null}} Tokens - The tokens that the rows and columns of a map are. */

/** The values of one layer for one image, as tiles: one per channel, or one for a matrix of steps and features. */
export class FeatureMaps {
  /**
   * @param {object} fields
   * @param {string} fields.address - Of the layer.
   * @param {Uint8Array} fields.bytes - The values by tile, row and column: scale * byte + offset of the channel.
   * @param {Float32Array} fields.scale - By channel.
   * @param {Float32Array} fields.offset
   * @param {number} fields.count - Of tiles.
   * @param {number} fields.width - Of a tile.
   * @param {number} fields.height
   * @param {boolean} fields.isMatrix
   * @param {boolean} fields.isVector
   * @param {import("./session.js").Layer["grid"]} fields.grid - The map that tokens are; null where rows and columns have axes of their own.
   * @param {number[] | null} fields.channels - The numbers of the channels, in the order of the tiles.
   * @param {Figures | null} fields.statistics - Of the whole layer.
   * @param {number} fields.nonfinite - How many values are not finite.
   * @param {number} fields.stride - The step between the requested pixels of the map.
   * @param {string} [fields.unit] - What a tile is called.
   * @param {Tokens} [fields.tokens]
   * @param {boolean} [fields.isSeries] - Whether it is a matrix of channels over one other axis.
   * @param {boolean} [fields.isOfTokens] - Whether that axis counts tokens.
   * @param {number} [fields.slices] - How many maps of slices stand one below the other in a tile; 0 for what has none.
   */
  constructor({ address, bytes, scale, offset, count, width, height, isMatrix, isVector, grid, channels, statistics, nonfinite, stride, unit = "channel", tokens = { rows: null, columns: null }, isSeries = false, isOfTokens = false, slices = 0 }) {
    this.address = address;
    this.bytes = bytes;
    this.scale = scale;
    this.offset = offset;
    this.count = count;
    this.width = width;
    this.height = height;
    this.isMatrix = isMatrix;
    this.isVector = isVector;
    this.grid = grid;
    this.channels = channels;
    this.statistics = statistics;
    this.nonfinite = nonfinite;
    this.stride = stride;
    this.unit = unit;
    this.tokens = tokens;
    this.isSeries = isSeries;
    this.isOfTokens = isOfTokens;
    this.slices = slices;
    this.range = rangeOf(scale, offset);
  }

  /**
   * The maps of an answer.
   *
   * @param {import("./session.js").Layer} layer
   * @param {Activations} activations - Its values for one image, as uint8.
   * @param {number} [stride] - The step between the requested pixels of the map.
   */
  static of(layer, activations, stride = 1) {
    const { address } = layer;
    const tensor = activations.get(address);
    const row = activations.layers.get(address);
    const quantization = activations.quantization(address);
    if (!tensor || !row || !quantization) throw new TypeError(`${address} did not come as uint8.`);
    const [, ...sides] = tensor.shape;
    const axis = (row.channel_axis ?? 0) - 1;
    const spatial = sides.filter((_, index) => index !== axis);
    const grid = layer.can.includes("map") && stride === 1 ? layer.grid : null;
    const isMatrix = axis >= 0 && spatial.length === 1 && !grid;
    const values = /** @type {Uint8Array} */ (tensor.data);
    const channels = axis < 0 ? 1 : sides[axis];
    const planes = axis < 0 ? values : channelsFirst(values, channels, product(sides.slice(0, axis)), product(sides.slice(axis + 1)));
    const [place] = row.axes.slice(1).filter((_, index) => index !== axis);
    const height = grid ? grid.height : isMatrix ? spatial[0] : product(spatial.slice(0, -1));
    return new FeatureMaps({
      address,
      bytes: isMatrix ? channelsFirst(planes, height, channels, 1) : grid ? folded(planes, spatial[0], grid, channels) : planes,
      ...quantization,
      count: isMatrix ? 1 : channels,
      width: grid ? grid.width : isMatrix ? channels : (spatial.at(-1) ?? 1),
      height,
      isMatrix,
      isVector: spatial.length === 0,
      grid,
      channels: /** @type {number[] | null} */ (row.channels ?? null),
      statistics: /** @type {Figures | null} */ (row.statistics ?? null),
      nonfinite: row.nonfinite,
      stride,
      unit: row.axes[axis + 1] === "heads" ? "head" : "channel",
      isSeries: isMatrix && row.axes.includes("channels") && place !== "unknown",
      isOfTokens: OF_TOKENS.includes(place),
      slices: spatial.length === 3 ? spatial[0] : 0,
      tokens: tokensOf(row.axes.slice(1).filter((_, index) => index !== axis), spatial, activations.tokens[0] ?? []),
    });
  }

  /** The maps of one slice; these maps where they have no slices. @param {number | null} share - Where the slice lies, from 0 to 1. */
  at(share) {
    if (!this.slices || share === null) return this;
    const number = Math.min(this.slices - 1, Math.floor(share * this.slices));
    const height = this.height / this.slices;
    const size = height * this.width;
    const bytes = new Uint8Array(this.count * size);
    for (let tile = 0; tile < this.count; tile += 1) {
      const first = tile * this.area + number * size;
      bytes.set(this.bytes.subarray(first, first + size), tile * size);
    }
    const found = new FeatureMaps({ ...this, bytes, height, slices: 0 });
    found.slice = { number, count: this.slices };
    // A channel stays where it is while slices are looked through.
    found.#activity = this.activity;
    return found;
  }
  /** The slice that these maps are of. @type {{number: number, count: number} | null} */
  slice = null;

  /** A place of a map in words. @param {number} row @param {number} column */
  placeOf(row, column) {
    const { rows, columns } = this.tokens;
    if (rows) return columns ? `${row} “${rows[row]}” → ${column} “${columns[column]}”` : `token ${row} “${rows[row]}”, ${this.isMatrix ? "feature" : "column"} ${column}`;
    return this.isMatrix ? `step ${row}, feature ${column}` : `${this.slice ? `slice ${this.slice.number}, ` : ""}row ${row}, column ${column}`;
  }

  /** The values of one channel that its map has: all of them, those of the tokens that are a map, or those of the slice. @template {Uint8Array | Float32Array} T @param {T} values */
  ofMap(values) {
    const size = this.slice ? values.length / this.slice.count : 0;
    if (this.slice) return /** @type {T} */ (values.subarray(this.slice.number * size, (this.slice.number + 1) * size));
    return this.grid ? /** @type {T} */ (values.subarray(this.grid.offset, this.grid.offset + this.area)) : values;
  }

  /** Whether other maps have as many values in the same places. @param {FeatureMaps} other */
  isLike(other) {
    return this.count === other.count && this.width === other.width && this.height === other.height && this.isMatrix === other.isMatrix;
  }

  /** These maps minus others of the same sizes, with an error of at most the sum of both. @param {FeatureMaps} other */
  minus(other) {
    const channels = this.scale.length;
    const ofTile = this.isMatrix ? this.width : 1;
    const [scale, offset] = [new Float32Array(channels), new Float32Array(channels)];
    const bytes = new Uint8Array(this.bytes.length);
    for (let channel = 0; channel < channels; channel += 1) {
      const first = this.isMatrix ? channel : channel * this.area;
      const places = Array.from({ length: this.isMatrix ? this.height : this.area }, (_, step) => first + step * ofTile);
      const values = places.map((place) => this.scale[channel] * this.bytes[place] + this.offset[channel] - other.scale[channel] * other.bytes[place] - other.offset[channel]);
      const [low, high] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
      offset[channel] = low;
      scale[channel] = (high - low) / 255;
      places.forEach((place, step) => (bytes[place] = scale[channel] ? Math.round((values[step] - low) / scale[channel]) : 0));
    }
    const { address, count, width, height, isMatrix, isVector, grid, stride } = this;
    return new FeatureMaps({ address, bytes, scale, offset, count, width, height, isMatrix, isVector, grid, channels: this.channels, statistics: null, nonfinite: 0, stride });
  }

  /** Number of values of a tile. */
  get area() {
    return this.width * this.height;
  }

  /** Whether values have both signs. */
  get bothSigns() {
    return this.range.low < 0 && this.range.high > 0;
  }

  /** The number of the channel that a tile shows. @param {number} tile */
  channelOf(tile) {
    return this.channels?.[tile] ?? tile;
  }

  /** One value, with an error of at most half the scale of its channel. @param {number} tile @param {number} row @param {number} column */
  value(tile, row, column) {
    const channel = this.isMatrix ? column : tile;
    return this.scale[channel] * this.bytes[tile * this.area + row * this.width + column] + this.offset[channel];
  }

  /** The lowest and the highest value of a tile. @param {number} tile @returns {Range} */
  rangeOf(tile) {
    if (this.isMatrix) return this.range;
    return { low: this.offset[tile], high: this.offset[tile] + 255 * this.scale[tile] };
  }

  /** Whether a channel is zero everywhere. @param {number} tile */
  isDead(tile) {
    return !this.isMatrix && !this.isVector && this.scale[tile] === 0 && this.offset[tile] === 0;
  }

  /** Mean magnitude of each tile. @returns {Float64Array} */
  get activity() {
    this.#activity ??= Float64Array.from({ length: this.count }, (_, tile) => {
      const [scale, offset] = [this.scale[tile], this.offset[tile]];
      let sum = 0;
      for (let index = tile * this.area; index < (tile + 1) * this.area; index += 1) sum += Math.abs(scale * this.bytes[index] + offset);
      return sum / this.area;
    });
    return this.#activity;
  }
  /** @type {Float64Array | undefined} */
  #activity;

  /** The palette for these maps, and whether its middle is zero. @param {Coloring} coloring */
  paletteOf({ palette, range }) {
    const isAbout = (range ? range.low === -range.high : this.bothSigns) && (palette === "auto" || DIVERGING.includes(palette));
    return { name: palette === "auto" ? (isAbout ? DIVERGING[0] : "viridis") : palette, isCentered: isAbout };
  }

  /**
   * The values at the ends of the colours of a tile.
   *
   * @param {number} tile
   * @param {Coloring} coloring
   * @param {Range} [shared] - The common range of maps that are compared.
   * @returns {Range}
   */
  spanOf(tile, coloring, shared) {
    const { low, high } = shared ?? coloring.range ?? (coloring.normalize === "layer" || this.isVector ? this.range : this.rangeOf(tile));
    if (!this.paletteOf(coloring).isCentered) return { low, high };
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return { low: -most, high: most };
  }

  /**
   * Draw tiles one below the other, one pixel per value.
   *
   * @param {readonly number[]} tiles
   * @param {Coloring} coloring
   * @param {Range} [shared]
   * @returns {ImageData}
   */
  paint(tiles, coloring, shared) {
    const colours = coloursOf(this.paletteOf(coloring).name);
    const image = new ImageData(this.width, this.height * tiles.length);
    const pixels = new Uint32Array(image.data.buffer);
    tiles.forEach((tile, place) => {
      const span = this.spanOf(tile, coloring, shared);
      const first = tile * this.area;
      const target = place * this.area;
      if (this.isMatrix) {
        const tables = Array.from(this.scale, (scale, channel) => tableOf(scale, this.offset[channel], span, colours));
        for (let index = 0; index < this.area; index += 1) pixels[target + index] = tables[index % this.width][this.bytes[first + index]];
      } else {
        const table = tableOf(this.scale[tile], this.offset[tile], span, colours);
        for (let index = 0; index < this.area; index += 1) pixels[target + index] = table[this.bytes[first + index]];
      }
    });
    return image;
  }
}

/**
 * Draw numbers, one pixel each; non-finite ones stay transparent.
 *
 * @param {ArrayLike<number>} numbers - By row and column.
 * @param {number} width
 * @param {Range} span - The values at the ends of the colours.
 * @param {string} palette
 * @returns {ImageData}
 */
export function paintNumbers(numbers, width, { low, high }, palette) {
  const colours = coloursOf(palette);
  const image = new ImageData(width, numbers.length / width);
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < numbers.length; index += 1) {
    if (Number.isFinite(numbers[index])) pixels[index] = colours[levelOf(numbers[index], low, high)];
  }
  return image;
}

/** The tokens of the rows and columns of a map. @param {string[]} axes - Without channels. @param {number[]} sides @param {{text: string}[]} tokens @returns {Tokens} */
function tokensOf(axes, sides, tokens) {
  const of = (/** @type {number} */ place) => (tokens.length && OF_TOKENS.includes(axes[place]) && sides[place] === tokens.length ? tokens.map(({ text }) => text) : null);
  return sides.length > 2 ? { rows: null, columns: null } : { rows: of(0), columns: of(1) };
}

/** The colour of a value as red, green and blue from 0 to 255. @param {string} palette @param {number} value @param {Range} span @returns {number[]} */
export function colourOf(palette, value, { low, high }) {
  const pixel = coloursOf(palette).slice(levelOf(value, low, high)).slice(0, 1);
  return [...new Uint8Array(pixel.buffer)].slice(0, 3);
}

/** @param {number} value @param {number} low @param {number} high */
function levelOf(value, low, high) {
  const place = high > low ? (value - low) / (high - low) : 0;
  return Math.max(0, Math.min(LEVELS - 1, Math.floor(place * LEVELS)));
}

/** The colour of each byte of a channel. @param {number} scale @param {number} offset @param {Range} span @param {Uint32Array} colours */
function tableOf(scale, offset, { low, high }, colours) {
  return Uint32Array.from(colours, (_, byte) => colours[levelOf(scale * byte + offset, low, high)]);
}

/** @param {Float32Array} scale @param {Float32Array} offset @returns {Range} */
function rangeOf(scale, offset) {
  let [low, high] = [Infinity, -Infinity];
  offset.forEach((least, channel) => {
    low = Math.min(low, least);
    high = Math.max(high, least + 255 * scale[channel]);
  });
  return { low, high };
}
