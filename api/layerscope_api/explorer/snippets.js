/**
 * Code to copy: a request as a curl command, and in Python and JavaScript.
 *
 * Names of models and layers, and what the address of the page holds, are written by others. Each is quoted as the
 * language demands, so that none of it can end the text it stands in.
 *
 * @module
 */

/** @typedef {Record<string, unknown>} Options */
/** @typedef {{text?: string, image?: string}} Subject - What the model reads: a text, an image that the service has under a name, or, without either, an image of a file. */
/** @typedef {{resource: string, python: string, javascript: string, options: Options, method?: string}} Request - A request of the service, and its names in the clients. */

/** Characters that are not seen, or that change the order in which others are seen. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** The request for curl, Python and JavaScript. @param {string} model @param {string} layer @param {Request} request @param {Subject} subject @returns {[string, string][]} */
export function snippetsOf(model, layer, request, subject) {
  const service = new URL("..", document.baseURI).href.replace(/\/$/, "");
  return [
    ["curl", curlOf(service, model, request, subject)],
    ["Python", pythonOf(service, model, layer, request, subject)],
    ["JavaScript", javascriptOf(service, model, layer, request, subject)],
  ];
}

/** @param {string} service @param {string} model @param {Request} request @param {Subject} subject */
function curlOf(service, model, { resource, options }, { text, image: name }) {
  const named = name !== undefined && takesImage(resource) ? { image: name, ...options } : options;
  const query = new URLSearchParams(Object.entries(named).map(([key, value]) => [key, String(value)])).toString();
  const path = [model, ...resource.split("/")].map(encodeURIComponent).join("/");
  const given = text === undefined ? "--data-binary @image.png -H 'Content-Type: image/png'" : `--data-raw ${shellText(text)} -H 'Content-Type: text/plain; charset=utf-8'`;
  const image = takesImage(resource) && name === undefined ? `${given} \\\n  ` : "";
  return `curl ${image}${shellText(`${service}/v1/models/${path}${query && `?${query}`}`)}${isPicture(resource) ? " -o picture.png" : ""}`;
}

/** @param {string} service @param {string} model @param {string} layer @param {Request} request @param {Subject} subject */
function pythonOf(service, model, layer, { resource, python, options, method }, { text, image = "image.png" }) {
  const given = text === undefined ? pythonText(image) : `Text(${pythonText(text)})`;
  const named = Object.entries({ ...(method && { method }), ...options }).map(([key, value]) => `${key}=${pythonValue(value)}`);
  const call = `model.${python}(${[...(takesImage(resource) ? [given] : []), ...named].join(", ")})`;
  return [
    `from layerscope_client import Client${text === undefined ? "" : ", Text"}\n`,
    `model = Client(${pythonText(service)}).model(${pythonText(model)})`,
    ...(isOfMaps(resource) ? [`values = model.activations(${given}, layers=${pythonText(layer)})[${pythonText(layer)}]`] : []),
    isPicture(resource) ? `${call}.save("picture.png")` : `answer = ${call}`,
  ].join("\n");
}

/** @param {string} service @param {string} model @param {string} layer @param {Request} request @param {Subject} subject */
function javascriptOf(service, model, layer, { resource, javascript, options, method }, { text, image }) {
  const subject = text === undefined ? (image === undefined ? "file" : javascriptValue(image)) : `new Text(${javascriptValue(text)})`;
  const named = { ...(method && { method }), ...options };
  const given = [...(takesImage(resource) ? [subject] : []), ...(Object.keys(named).length ? [javascriptValue(named)] : [])];
  return [
    `import { Client${text === undefined ? "" : ", Text"} } from "layerscope-client";\n`,
    `const model = new Client(${javascriptValue(service)}).model(${javascriptValue(model)});`,
    ...(isOfMaps(resource) ? [`const values = (await model.activations(${subject}, { layers: ${javascriptValue(layer)} })).get(${javascriptValue(layer)});`] : []),
    `const ${isPicture(resource) ? "{ blob }" : "answer"} = await model.${javascript}(${given.join(", ")});`,
  ].join("\n");
}

/** @param {string} resource */
const isPicture = (resource) => resource.endsWith(".png");
/** @param {string} resource */
const isOfMaps = (resource) => resource === "feature-map.png";
/** @param {string} resource */
const takesImage = (resource) => resource !== "graph";

/** A word of a POSIX shell: between single quotes, nothing but a single quote has a meaning. @param {string} text */
function shellText(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A value of Python. @param {unknown} value @returns {string} */
function pythonValue(value) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : `float("${value}")`;
  return Array.isArray(value) ? `(${value.map((each) => `${pythonValue(each)}, `).join("").trimEnd()})` : pythonText(String(value));
}

/** A string of Python. Its escapes are those of JSON, but for characters beyond 16 bits. @param {string} text */
function pythonText(text) {
  return JSON.stringify(text).replace(UNSEEN, (character) => `\\U${codeOf(character).padStart(8, "0")}`);
}

/** A value of JavaScript. @param {unknown} value */
function javascriptValue(value) {
  return JSON.stringify(value).replace(UNSEEN, (character) => `\\u{${codeOf(character)}}`);
}

/** @param {string} character */
function codeOf(character) {
  return /** @type {number} */ (character.codePointAt(0)).toString(16);
}
