/**
 * Images of data sets: lists of images that the service has frozen under a name. One is named `dataset:NAME/NUMBER`.
 *
 * @module
 */

/** @typedef {import("./client/layerscope.js").Client} Client */
/** @typedef {import("./client/layerscope.js").Schemas} Schemas */
/** @typedef {Schemas["ImageBody"] | Schemas["DataSetImageBody"]} Description */

const NAME = /^dataset:([^/]+)\/(\d+)$/;

/** The data set that an image is of, and its number in it; undefined for a stored image. @param {string} id */
export function placeOf(id) {
  const [, name, number] = NAME.exec(id) ?? [];
  return name === undefined ? undefined : { name, number: Number(number) };
}

/** What the service knows of an image that it has. @param {Client} client @param {string} id @returns {Promise<Description>} */
export function description(client, id) {
  const place = placeOf(id);
  return place ? client.datasets.row(place.name, place.number) : client.image(id);
}

/** A small picture of an image that the service has. @param {Client} client @param {string} id @param {number} side - Most pixels of its longer side. */
export function thumbnail(client, id, side) {
  const place = placeOf(id);
  return place ? client.datasets.thumbnail(place.name, place.number, { side }) : client.thumbnail(id, { side });
}

/** The size, the type and the label of an image, and what decoding does to it. A text has none of them. @param {Description} described */
export function factsOf(described) {
  if (described.format === "text") return "";
  const label = "label" in described && described.label !== null && `labelled ${described.label}`;
  const size = described.width === null ? "shape" in described && described.shape : [described.width, described.height];
  return [label, size && size.join(" × "), described.format, ...described.notes].filter(Boolean).join(" · ");
}
