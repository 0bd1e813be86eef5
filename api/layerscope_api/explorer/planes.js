/**
 * Planes: the values of a layer, channel by channel.
 *
 * @module
 */

/** Move the axis of the channels to the front. @param {Uint8Array} bytes @param {number} channels @param {number} before @param {number} behind */
export function channelsFirst(bytes, channels, before, behind) {
  if (before === 1) return bytes;
  const moved = new Uint8Array(bytes.length);
  let source = 0;
  for (let outer = 0; outer < before; outer += 1) {
    for (let channel = 0; channel < channels; channel += 1) {
      const target = channel * before * behind + outer * behind;
      for (let inner = 0; inner < behind; inner += 1) moved[target + inner] = bytes[source++];
    }
  }
  return moved;
}

/** The values of the tokens that are a map. @param {Uint8Array} planes - By channel and token. @param {number} tokens @param {{offset: number, width: number, height: number}} grid @param {number} channels */
export function folded(planes, tokens, { offset, width, height }, channels) {
  const kept = new Uint8Array(channels * width * height);
  for (let channel = 0; channel < channels; channel += 1) kept.set(planes.subarray(channel * tokens + offset, channel * tokens + offset + width * height), channel * width * height);
  return kept;
}

/** The number of values of an array. @param {readonly number[]} sides */
export function product(sides) {
  return sides.reduce((all, side) => all * side, 1);
}
