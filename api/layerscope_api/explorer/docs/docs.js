// Shows the service's own OpenAPI document, one entry for each path, with examples and a form that sends requests.
// All text is set as text: nothing in the document can become markup.

const METHODS = ["get", "post", "put", "patch", "delete"];

/** The groups in the order in which people need them. Others follow, and those of the Open Inference Protocol come last. */
const GROUPS = ["predictions", "activations", "pictures", "attributions", "statistics", "comparisons", "models", "images", "service"];

/** Where the key is kept, by the explorer, too: as long as the tab is open. */
const KEY = "key";

/** Characters of an answer that are shown. */
const SHOWN = 20_000;

/** Values for examples, by the name of the parameter; those of the served models are put in when they are known. */
const EXAMPLES = { model: "digits", layer: "conv1", layers: "conv1", method: "gradcam", version: "1", label: "stable", reference: "digits", candidate: "digits" };

/** @param {string} name @param {Record<string, string>} properties @param {(Node | string)[]} children */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  return schema.format === "binary" ? "bytes" : (schema.type ?? "any");
}

function table(titles, rows) {
  const head = element("tr", {}, ...titles.map((title) => element("th", {}, title)));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

const code = (text) => element("code", {}, text);

/** A text in which names stand between backticks. */
const coded = (text) => element("span", {}, ...text.split("`").map((part, place) => (place % 2 ? code(part) : part)));

function section(title, ...content) {
  return [element("h3", {}, title), ...content];
}

/** The parameters of all operations of a path, each once. */
function parametersOf(operations) {
  const all = operations.flatMap(([method, { parameters = [] }]) => parameters.map((each) => ({ ...each, methods: [method] })));
  const byName = new Map();
  for (const each of all) {
    const known = byName.get(each.name);
    if (known) known.methods.push(...each.methods);
    else byName.set(each.name, each);
  }
  return [...byName.values()];
}

function parameterTable(parameters, operations) {
  const rows = parameters.map(({ name, required, schema, description = "", methods }) => {
    const only = methods.length < operations.length ? ` (${methods.join(", ").toUpperCase()} only)` : "";
    return [code(name), typeOf(schema), code(required ? "required" : JSON.stringify(schema?.default ?? null)), coded(description + only)];
  });
  return rows.length ? section("Parameters", table(["name", "type", "default", "meaning"], rows)) : [];
}

function body({ requestBody }) {
  const rows = Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => {
    const fields = Object.keys(schema?.properties ?? {}).join(", ");
    return [code(type), fields || typeOf(schema)];
  });
  return rows.length ? section("Body, one of", table(["Content-Type", "what it holds"], rows)) : [];
}

function answers(operations) {
  const all = new Map(operations.flatMap(([, { responses = {} }]) => Object.entries(responses)));
  const rows = [...all].sort().map(([status, { description = "", content }]) => [code(status), description, Object.keys(content ?? {}).join(", ")]);
  return section("Answers", table(["status", "meaning", "Content-Type"], rows));
}

const takesImage = ({ requestBody }) => Object.keys(requestBody?.content ?? {}).some((type) => type.startsWith("image/"));

function exampleOf({ name, schema, example }) {
  return String(example ?? schema?.examples?.[0] ?? EXAMPLES[name] ?? schema?.enum?.[0] ?? "");
}

/** The address of a request. @param {string} path @param {{in: string, name: string}[]} parameters @param {Map<string, string>} values */
function urlOf(path, parameters, values) {
  const filled = path.replace(/\{(\w+)\}/g, (whole, name) => encodeURIComponent(values.get(name) || whole).replaceAll("%40", "@"));
  const query = new URLSearchParams(parameters.filter((each) => each.in === "query" && values.get(each.name)).map(({ name }) => [name, values.get(name)]));
  return `${filled}${query.size ? `?${query}` : ""}`;
}

function curl(method, path, operation) {
  const parameters = (operation.parameters ?? []).filter((each) => each.required || each.name === "layers");
  const values = new Map(parameters.map((each) => [each.name, exampleOf(each)]));
  const parts = ["curl"];
  if (operation.security && sessionStorage.getItem(KEY)) parts.push("-H 'Authorization: Bearer …'");
  if (takesImage(operation)) parts.push("-H 'Content-Type: image/png' --data-binary @image.png");
  else if (operation.requestBody) parts.push("-H 'Content-Type: application/json' -d '{}'");
  else if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  if (Object.keys(operation.responses?.[200]?.content ?? {})[0] === "image/png") parts.push("-o picture.png");
  parts.push(`'${`${location.origin}${urlOf(path, parameters, values)}`.replaceAll("'", "'\\''")}'`);
  return element("pre", { tabIndex: 0 }, parts.join(" "));
}

/** A form that sends the request, and shows the answer. */
function tryIt(path, operations, parameters) {
  const fields = new Map(parameters.map((each) => [each.name, fieldOf(each)]));
  const method = element("select", { ariaLabel: "Method" }, ...operations.map(([name]) => new Option(name.toUpperCase(), name)));
  const file = element("input", { type: "file", ariaLabel: "Image for the body" });
  const text = element("textarea", { rows: 4, value: "{}", ariaLabel: "Body, JSON" });
  const answer = element("div", { ariaLive: "polite" });
  const bodies = element("span", {});
  const adapt = () => {
    const operation = new Map(operations).get(method.value);
    for (const [name, field] of fields) {
      const taken = (operation.parameters ?? []).find((each) => each.name === name);
      field.required = Boolean(taken?.required);
      field.disabled = !taken;
    }
    bodies.replaceChildren(...(takesImage(operation) ? ["Image ", file] : operation.requestBody ? [text] : []));
  };
  method.addEventListener("change", adapt);
  adapt();
  const rows = parameters.map(({ name }) => element("label", { className: "field" }, code(name), fields.get(name), ...(name === "image" ? [storeField(fields.get(name))] : [])));
  const form = element("form", { className: "try" }, element("div", { className: "fields" }, ...rows), method, " ", bodies, " ", element("button", {}, "Send"), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.replaceChildren("Waiting …");
    const values = new Map([...fields].filter(([, field]) => !field.disabled).map(([name, field]) => [name, field.value.trim()]));
    const sent = bodies.contains(file) ? file.files[0] : bodies.contains(text) ? new Blob([text.value], { type: "application/json" }) : undefined;
    const result = await send(method.value, urlOf(path, parameters, values), sent).catch((error) => [error.message]);
    answer.replaceChildren(...result);
  });
  return section("Try it", form);
}

function fieldOf(parameter) {
  const { name, schema, required } = parameter;
  const value = required || name === "layers" ? exampleOf(parameter) : "";
  if (!schema?.enum) return element("input", { value, placeholder: String(schema?.default ?? ""), required: Boolean(required), ariaLabel: name });
  const field = element("select", { ariaLabel: name }, ...[...(required ? [] : [""]), ...schema.enum].map((each) => new Option(each)));
  field.value = value;
  return field;
}

/** A field that stores an image on the service, and fills in its id. */
function storeField(field) {
  const file = element("input", { type: "file", ariaLabel: "Store an image, and take its id" });
  file.addEventListener("change", async () => {
    const answer = await request("POST", "/v1/images", file.files[0]);
    field.value = (await answer.json()).id ?? "";
  });
  return file;
}

function request(method, url, content) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...(key && { Authorization: `Bearer ${key}` }), ...(content && { "Content-Type": content.type || "application/octet-stream" }) };
  return fetch(url, { method: method.toUpperCase(), headers, body: content });
}

async function send(method, url, content) {
  const answer = await request(method, url, content);
  const type = answer.headers.get("content-type") ?? "";
  const status = element("p", {}, element("b", {}, `${answer.status} ${answer.statusText}`), ` ${type}`);
  if (type.startsWith("image/")) return [status, element("img", { src: URL.createObjectURL(await answer.blob()), alt: `answer of ${url}` })];
  if (!/json|text/.test(type)) return [status, `${(await answer.arrayBuffer()).byteLength.toLocaleString("en")} bytes`];
  const text = await answer.text();
  const pretty = type.includes("json") && !type.includes("ndjson") && text ? JSON.stringify(JSON.parse(text), null, 2) : text;
  return [status, element("pre", { tabIndex: 0 }, pretty.length > SHOWN ? `${pretty.slice(0, SHOWN)}\n…` : pretty)];
}

function route(path, operations) {
  const scopes = [...new Set(operations.flatMap(([, { security = [] }]) => security.flatMap((each) => Object.values(each).flat())))];
  const needs = scopes.length ? `Where keys are in use, needs one with the scope ${scopes.join(", ")}.` : "Needs no key.";
  const parameters = parametersOf(operations);
  const [[, first]] = operations;
  const badges = operations.map(([method]) => element("span", { className: `method ${method}` }, method.toUpperCase()));
  const meanings = operations.map(([method, { description = "", operationId }]) => element("p", { id: operationId }, element("b", {}, `${method.toUpperCase()} `), coded(description)));
  const made = element(
    "details",
    {},
    element("summary", {}, element("span", { className: "methods" }, ...badges), element("span", { className: "path" }, path), element("span", { className: "meaning" }, coded(first.summary ?? ""))),
  );
  // Most are never opened: what is inside is made when it is first looked at.
  made.addEventListener("toggle", () => {
    if (made.querySelector(".inside")) return;
    const examples = operations.map(([method, operation]) => curl(method, path, operation));
    const bodies = operations.flatMap(([, operation]) => body(operation));
    made.append(element("div", { className: "inside" }, ...meanings, element("p", { className: "meaning" }, needs), ...parameterTable(parameters, operations), ...bodies, ...answers(operations), ...section("With curl", ...examples), ...tryIt(path, operations, parameters)));
  });
  made.dataset.operations = operations.map(([, { operationId }]) => operationId).join(" ");
  return made;
}

function show(contract) {
  document.querySelector("#version").textContent = contract.info.version;
  document.querySelector("#description").textContent = contract.info.description;
  const groups = new Map();
  for (const [path, each] of Object.entries(contract.paths)) {
    const operations = METHODS.filter((method) => method in each).map((method) => [method, each[method]]);
    const tag = path.startsWith("/v2") ? "Open Inference Protocol (/v2)" : (operations[0][1].tags?.[0] ?? "other");
    groups.set(tag, [...(groups.get(tag) ?? []), route(path, operations)]);
  }
  const rank = (tag) => (GROUPS.includes(tag) ? GROUPS.indexOf(tag) : tag.startsWith("Open") ? 99 : 98);
  const sorted = [...groups].sort(([one], [two]) => rank(one) - rank(two));
  document.querySelector("#routes").replaceChildren(...sorted.map(([tag, routes]) => element("section", {}, element("h2", {}, tag), ...routes)));
  document.querySelector("#filter").addEventListener("input", (event) => narrow(event.target.value));
  const linked = [...document.querySelectorAll("details")].find(({ dataset }) => dataset.operations.split(" ").includes(location.hash.slice(1)));
  if (linked) linked.open = true;
  linked?.scrollIntoView();
}

/** Take the examples from the models that are served. */
async function findExamples() {
  const { models = [] } = await request("GET", "/v1/models").then((answer) => answer.json());
  const ready = models.find(({ versions }) => versions.some(({ state }) => state === "ready"));
  if (!ready) return;
  Object.assign(EXAMPLES, { model: ready.name, reference: ready.name, candidate: ready.name });
  const { layers = [] } = await request("GET", `/v1/models/${ready.name}/layers`).then((answer) => answer.json());
  const layer = layers.find(({ parameters, cannot }) => parameters && !cannot.picture)?.address;
  if (layer) Object.assign(EXAMPLES, { layer, layers: layer });
}

function narrow(text) {
  for (const group of document.querySelectorAll("main section")) {
    const routes = [...group.querySelectorAll("details")];
    for (const each of routes) {
      each.hidden = !each.querySelector("summary").textContent.toLowerCase().includes(text.toLowerCase());
    }
    group.hidden = routes.every((each) => each.hidden);
  }
}

function keyForm(message) {
  const input = element("input", { type: "password", autocomplete: "off", required: true, placeholder: "API key", ariaLabel: "API key" });
  const form = element("form", {}, element("p", {}, message), input, " ", element("button", {}, "Show the contract"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, input.value.trim());
    start();
  });
  return form;
}

async function fetchContract() {
  const key = sessionStorage.getItem(KEY);
  const answer = await fetch("/openapi.json", { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  const body = await answer.json();
  if (answer.ok) return body;
  if (answer.status === 401) sessionStorage.removeItem(KEY);
  throw Object.assign(new Error(body.error), { needsKey: [401, 403].includes(answer.status) });
}

async function start() {
  try {
    const contract = await fetchContract();
    await findExamples();
    show(contract);
  } catch (error) {
    const message = error.needsKey ? keyForm(error.message) : element("p", {}, error.message);
    document.querySelector("#routes").replaceChildren(message);
  }
}

start();
