/**
 * Tensors, and the formats `.npy` and safetensors.
 *
 * A tensor that is read is a view of the bytes of the file. It is copied only where its position is no multiple of its item
 * size, since a typed array cannot begin there.
 *
 * @module
 */

/** @typedef {Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array | Float32Array | Float64Array} TypedArray */
/** @typedef {new (buffer: ArrayBufferLike, start: number, length: number) => TypedArray} ArrayType */
/** @typedef {import("./contract.d.ts").components["schemas"]} Schemas */
/** @typedef {"bool" | "int8" | "uint8" | "int16" | "uint16" | "int32" | "uint32" | "int64" | "uint64" | "float16" | "float32" | "float64"} Dtype */

/** The name of each dtype in both formats, and the array type that views it; `float16` is viewed as its bits.
 * @type {Record<Dtype, {npy: string, safetensors: string, array: ArrayType & {BYTES_PER_ELEMENT: number}}>} */
const DTYPES = {
  bool: { npy: "|b1", safetensors: "BOOL", array: Uint8Array },
  int8: { npy: "|i1", safetensors: "I8", array: Int8Array },
  uint8: { npy: "|u1", safetensors: "U8", array: Uint8Array },
  int16: { npy: "<i2", safetensors: "I16", array: Int16Array },
  uint16: { npy: "<u2", safetensors: "U16", array: Uint16Array },
  int32: { npy: "<i4", safetensors: "I32", array: Int32Array },
  uint32: { npy: "<u4", safetensors: "U32", array: Uint32Array },
  int64: { npy: "<i8", safetensors: "I64", array: BigInt64Array },
  uint64: { npy: "<u8", safetensors: "U64", array: BigUint64Array },
  float16: { npy: "<f2", safetensors: "F16", array: Uint16Array },
  float32: { npy: "<f4", safetensors: "F32", array: Float32Array },
  float64: { npy: "<f8", safetensors: "F64", array: Float64Array },
};

const NPY_MAGIC = "\x93NUMPY";

/** An array of numbers in row-major order. */
export class Tensor {
  /**
   * @param {TypedArray} data - The numbers; `float16` is given as `Float32Array`, `bool` as `Uint8Array`.
   * @param {readonly number[]} shape - The sides; their product is `data.length`.
   * @param {Dtype} [dtype] - The type that the service computed; by default the type of `data`.
   */
  constructor(data, shape, dtype = dtypeOf(data)) {
    if (product(shape) !== data.length) {
      throw new RangeError(`${data.length} values do not fill the shape ${shape.join(" x ")}.`);
    }
    this.data = data;
    this.shape = shape;
    this.dtype = dtype;
  }
}

/** @param {TypedArray} data @returns {Dtype} */
function dtypeOf(data) {
  const name = /** @type {Dtype} */ (Object.keys(DTYPES).find((each) => DTYPES[/** @type {Dtype} */ (each)].array === data.constructor));
  return name === "bool" ? "uint8" : name;
}

/**
 * Read a `.npy` file.
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * @param {ArrayBuffer} buffer
 * @returns {Tensor}
 * @throws {SyntaxError} The file is no .npy file, or has a type of numbers that JavaScript lacks.
 */
export function readNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes.length < 12 || latin1(bytes.subarray(0, 6)) !== NPY_MAGIC) throw new SyntaxError("This is no .npy file.");
  const lengthBytes = bytes[6] === 1 ? 2 : 4;
  const start = 8 + lengthBytes + littleEndian(bytes.subarray(8, 8 + lengthBytes));
  const header = latin1(bytes.subarray(8 + lengthBytes, start));
  const [, code] = /'descr':\s*'([^']+)'/.exec(header) ?? [];
  const [, order] = /'fortran_order':\s*(True|False)/.exec(header) ?? [];
  const [, sides] = /'shape':\s*\(([^)]*)\)/.exec(header) ?? [];
  const dtype = namedBy("npy", code);
  if (!dtype || order !== "False" || sides === undefined) {
    throw new SyntaxError("The .npy file has a header that is not understood, or numbers of another kind.");
  }
  const shape = sides.split(",").filter((side) => side.trim()).map(Number);
  return tensorAt(buffer, start, shape, dtype);
}

/**
 * Write a tensor as a `.npy` file.
 *
 * @param {Tensor} tensor
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function writeNpy({ data, shape }) {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '${DTYPES[dtypeOf(data)].npy}', 'fortran_order': False, 'shape': (${sides}), }`;
  // The format pads the header so that the data begin at a multiple of 64 bytes.
  const start = Math.ceil((10 + text.length + 1) / 64) * 64;
  const file = new Uint8Array(start + data.byteLength);
  const header = `${NPY_MAGIC}\x01\x00\x00\x00${text.padEnd(start - 11)}\n`;
  for (let index = 0; index < start; index += 1) file[index] = header.charCodeAt(index);
  new DataView(file.buffer).setUint16(8, start - 10, true);
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
  return file;
}

/**
 * Read a safetensors file.
 * Source: https://huggingface.co/docs/safetensors, section "Format"
 *
 * @param {ArrayBuffer} buffer
 * @returns {{tensors: Map<string, Tensor>, metadata: Record<string, string>}}
 * @throws {SyntaxError} The file is no safetensors file, is cut off, or has a type of numbers that JavaScript lacks.
 */
export function readSafetensors(buffer) {
  const bytes = new Uint8Array(buffer);
  const start = 8 + littleEndian(bytes.subarray(0, 8));
  if (bytes.length < 8 || start > bytes.length) throw new SyntaxError("This is no safetensors file, or it is cut off.");
  /** @type {Record<string, {dtype: string, shape: number[], data_offsets: [number, number]}>} */
  const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, start)));
  if (Object.prototype.toString.call(header) !== "[object Object]") throw new SyntaxError("The header is no object.");
  const { __metadata__: metadata = {}, ...entries } = header;
  const tensors = new Map();
  for (const [name, { dtype: code, shape, data_offsets: offsets }] of Object.entries(entries)) {
    const dtype = namedBy("safetensors", code);
    if (!dtype) throw new SyntaxError(`The tensor ${name} is of a kind that JavaScript has not: ${code}.`);
    tensors.set(name, tensorAt(buffer, start + offsets[0], shape, dtype));
  }
  return { tensors, metadata: /** @type {Record<string, string>} */ (/** @type {unknown} */ (metadata)) };
}

/** The values of layers by address, and their metadata. @extends {Map<string, Tensor>} */
export class Activations extends Map {
  /** The model that computed them. @type {{name: string, version: number, digest: string}} */
  model = { name: "", version: 0, digest: "" };
  /** The ids of the images. @type {string[]} */
  images = [];
  /** @type {string[]} */
  warnings = [];
  /** The metadata of each layer, by address. @type {Map<string, Omit<Schemas["LayerValues"], "values">>} */
  layers = new Map();
  /** The method and targets of heat maps; undefined for other values. @type {Schemas["AttributionRow"] | undefined} */
  attribution;
  /** Of each text, one token for each position of the input; empty if the images are no texts. @type {Schemas["TokenBody"][][]} */
  tokens = [];
  /** @type {Map<string, Tensor>} */
  #stored = new Map();

  /** @template {Activations} T @this {new () => T} @param {ArrayBuffer} buffer - A safetensors file of the service. */
  static of(buffer) {
    const { tensors, metadata } = readSafetensors(buffer);
    const { model, version, digest, ...nested } = metadata;
    const { layers, images, warnings, attribution, tokens = "[]" } = nested;
    const fields = {
      model: { name: model, version: Number(version), digest },
      layers: JSON.parse(layers),
      images: JSON.parse(images),
      warnings: JSON.parse(warnings),
      tokens: JSON.parse(tokens),
      attribution: attribution && JSON.parse(attribution),
    };
    return new this().#filled(fields, tensors);
  }

  /** Activations from a JSON answer. Layers whose values were left out have metadata only. @template {Activations} T @this {new () => T} @param {Schemas["ActivationsBody"] & {attribution?: Schemas["AttributionRow"]}} body */
  static ofJson(body) {
    const carried = body.layers.filter(({ values }) => values);
    const tensors = carried.map(({ address, values, shape, dtype }) => {
      const numbers = Float32Array.from(/** @type {any[]} */ (values).flat(shape.length - 1), (value) => value ?? NaN);
      return /** @type {[string, Tensor]} */ ([address, new Tensor(numbers, shape, /** @type {any} */ (dtype))]);
    });
    return new this().#filled(body, new Map(tensors), carried);
  }

  /** @param {any} fields @param {Map<string, Tensor>} tensors @param {{address: string}[]} [carried] - The layers that have values. @returns {this} */
  #filled({ model, layers, images, warnings, attribution, tokens = [] }, tensors, carried = layers) {
    Object.assign(this, { model, images, warnings, attribution, tokens });
    this.#stored = tensors;
    for (const row of layers) this.layers.set(row.address, row);
    for (const row of carried) {
      const tensor = tensors.get(row.address);
      if (!tensor) throw new SyntaxError(`It describes ${row.address} but does not carry it.`);
      this.set(row.address, tensor);
    }
    return this;
  }

  /**
   * The scale and offset of each channel of a layer that was sent as `uint8`: value = scale * stored + offset, with an
   * error of at most half a scale. Undefined for other layers.
   *
   * @param {string} address
   */
  quantization(address) {
    const [scale, offset] = ["@scale", "@offset"].map((suffix) => this.#stored.get(address + suffix)?.data);
    return scale && offset ? { scale: /** @type {Float32Array} */ (scale), offset: /** @type {Float32Array} */ (offset) } : undefined;
  }
}

/** Heat maps of the parts of images, signals, volumes, texts or vectors that an output depends on: the only layer. */
export class Attribution extends Activations {
  /** The address of the layer, or of the input, that the maps lie over. @returns {string} */
  get layer() {
    return [...this.layers.keys()][0];
  }

  /** What the axes of the maps count, `batch` first: then height and width of an image, time of a series, tokens of a text, channels of a vector. @returns {string[]} */
  get axes() {
    return this.layers.get(this.layer)?.axes ?? [];
  }

  /** A map for each image, as the paper of the method defines it, not scaled; it covers the whole input. Undefined if values were left out. @returns {Tensor} */
  get maps() {
    return /** @type {Tensor} */ (this.get(this.layer));
  }

  /** What is explained of each image; empty for methods without a target. @returns {Schemas["TargetRow"][]} */
  get targets() {
    return this.attribution?.targets ?? [];
  }

  /**
   * The maps with other numbers of places, such as those of the input: linear between the centres of the values.
   *
   * @param {...number} sizes - One for each axis behind `batch`.
   * @returns {Tensor}
   * @throws {RangeError} There are more or fewer sizes than axes.
   */
  resized(...sizes) {
    const places = this.axes.slice(1);
    if (sizes.length !== places.length) throw new RangeError(`Give a size for each of ${places.join(", ")}.`);
    return sizes.reduce((maps, size, index) => resizedAlong(maps, index + 1, size), this.maps);
  }
}

/** A tensor of numbers with another size along an axis. @param {Tensor} tensor @param {number} axis @param {number} size */
function resizedAlong({ data, shape }, axis, size) {
  const count = shape[axis];
  const [before, after] = [product(shape.slice(0, axis)), product(shape.slice(axis + 1))];
  const resized = new Float32Array(before * size * after);
  for (let place = 0; place < size; place += 1) {
    const at = Math.min(Math.max(((place + 0.5) * count) / size - 0.5, 0), count - 1);
    const [first, next] = [Math.floor(at), Math.min(Math.floor(at) + 1, count - 1)];
    for (let outer = 0; outer < before; outer += 1) {
      for (let inner = 0; inner < after; inner += 1) {
        const [low, high] = [first, next].map((index) => Number(data[(outer * count + index) * after + inner]));
        resized[(outer * size + place) * after + inner] = low + (high - low) * (at - first);
      }
    }
  }
  return new Tensor(resized, [...shape.slice(0, axis), size, ...shape.slice(axis + 1)]);
}

/** The number of values of a tensor. @param {readonly number[]} sides */
function product(sides) {
  return sides.reduce((all, side) => all * side, 1);
}

/** @param {ArrayBuffer} buffer @param {number} start @param {number[]} shape @param {Dtype} dtype */
function tensorAt(buffer, start, shape, dtype) {
  const { array } = DTYPES[dtype];
  const count = product(shape);
  const end = start + count * array.BYTES_PER_ELEMENT;
  if (!Number.isSafeInteger(count) || count < 0 || end > buffer.byteLength) throw new SyntaxError("The file is cut off.");
  const isAligned = start % array.BYTES_PER_ELEMENT === 0;
  const stored = isAligned ? new array(buffer, start, count) : new array(buffer.slice(start, end), 0, count);
  return new Tensor(dtype === "float16" ? widened(/** @type {Uint16Array} */ (stored)) : stored, shape, dtype);
}

/** Half precision to single precision: 1 bit of sign, 5 of exponent, 10 of fraction (IEEE 754). @param {Uint16Array} bits */
function widened(bits) {
  return Float32Array.from(bits, (half) => {
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

/** @param {"npy" | "safetensors"} format @param {string | undefined} code */
function namedBy(format, code) {
  const found = Object.entries(DTYPES).find(([, names]) => names[format] === code);
  return /** @type {Dtype | undefined} */ (found?.[0]);
}

/** @param {Uint8Array} bytes */
function latin1(bytes) {
  return String.fromCharCode(...bytes);
}

/** @param {Uint8Array} bytes */
function littleEndian(bytes) {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}
