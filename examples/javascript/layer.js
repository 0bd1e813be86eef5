/**
 * A page of one's own that shows a layer of an image. It may come from anywhere: start the service with
 *
 *     LAYERSCOPE_CORS_ORIGINS='["http://localhost:8080"]' layerscope serve
 *
 * and open this folder with `python -m http.server 8080`, as http://localhost:8080/layer.html.
 * Another service or model is named in the address: `layer.html?service=http://127.0.0.1:9000&model=mobilenet`.
 */

const query = new URLSearchParams(location.search);
const service = query.get("service") ?? "http://127.0.0.1:8000";
const { Client } = await import(`${service}/ui/client/layerscope.js`);
const model = new Client(service).model(query.get("model") ?? "digits");

const file = /** @type {HTMLInputElement} */ (document.getElementById("file"));
const layer = /** @type {HTMLSelectElement} */ (document.getElementById("layer"));
const maps = /** @type {HTMLImageElement} */ (document.getElementById("maps"));
const said = /** @type {HTMLElement} */ (document.getElementById("said"));

const { layers } = await model.layers("rank:4");
layer.append(...layers.map((/** @type {{address: string}} */ { address }) => new Option(address)));
file.addEventListener("change", show);
layer.addEventListener("change", show);

async function show() {
  const image = file.files?.[0];
  if (!image) return;
  try {
    // The image is sent once, however many requests use it.
    const [{ blob, minimum, maximum }, activations] = await Promise.all([
      model.featureMap(image, { layer: layer.value, scale: 4, labels: true }),
      model.activations(image, { layers: layer.value }),
    ]);
    URL.revokeObjectURL(maps.src);
    maps.src = URL.createObjectURL(blob);
    maps.alt = `The channels of ${layer.value}`;
    said.textContent = `${activations.get(layer.value).shape.join(" x ")} values from ${minimum} to ${maximum}`;
  } catch (error) {
    said.textContent = String(error);
  }
}
