// Shows the service's own OpenAPI document. All text is set as text: nothing in the document can become markup.

const METHODS = ["get", "post", "put", "patch", "delete"];

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

function section(title, ...content) {
  return [element("h3", {}, title), ...content];
}

function parameters(operation) {
  const rows = (operation.parameters ?? []).map((each) => {
    const fallback = each.required ? "required" : JSON.stringify(each.schema?.default ?? null);
    return [code(each.name), typeOf(each.schema), code(fallback), each.description ?? ""];
  });
  return rows.length ? section("Parameters", table(["name", "type", "default", "meaning"], rows)) : [];
}

function body(operation) {
  const content = Object.entries(operation.requestBody?.content ?? {});
  const rows = content.map(([type, { schema }]) => {
    const fields = Object.keys(schema?.properties ?? {}).join(", ");
    return [code(type), fields || typeOf(schema)];
  });
  return rows.length ? section("Body, one of", table(["Content-Type", "what it holds"], rows)) : [];
}

function answers(operation) {
  const rows = Object.entries(operation.responses ?? {}).map(([status, { description, content }]) => {
    return [code(status), description ?? "", Object.keys(content ?? {}).join(", ")];
  });
  return section("Answers", table(["status", "meaning", "Content-Type"], rows));
}

function curl(method, path, operation) {
  const required = (operation.parameters ?? []).filter((each) => each.in === "query" && each.required);
  const query = required.map((each) => `${each.name}=…`).join("&");
  const parts = ["curl"];
  if (operation.security) parts.push("-H 'Authorization: Bearer …'");
  if (operation.requestBody) parts.push("-H 'Content-Type: image/png' --data-binary @image.png");
  else if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  const url = `${location.origin}${path}${query && `?${query}`}`;
  parts.push(`'${url.replaceAll("'", "'\\''")}'`);
  return section("With curl", element("pre", {}, parts.join(" ")));
}

function route(path, method, operation) {
  const scopes = (operation.security ?? []).flatMap((each) => Object.values(each).flat());
  const needs = scopes.length ? `Where keys are in use, needs one with the scope ${scopes.join(", ")}.` : "Needs no key.";
  return element(
    "details",
    { id: operation.operationId },
    element(
      "summary",
      {},
      element("span", { className: `method ${method}` }, method.toUpperCase()),
      element("span", { className: "path" }, path),
      element("span", { className: "meaning" }, operation.summary ?? ""),
    ),
    element(
      "div",
      { className: "inside" },
      element("p", {}, operation.description ?? ""),
      element("p", { className: "meaning" }, needs),
      ...parameters(operation),
      ...body(operation),
      ...answers(operation),
      ...curl(method, path, operation),
    ),
  );
}

function show(contract) {
  document.querySelector("#version").textContent = contract.info.version;
  document.querySelector("#description").textContent = contract.info.description;
  const groups = new Map();
  for (const [path, operations] of Object.entries(contract.paths)) {
    for (const method of METHODS.filter((each) => each in operations)) {
      const [tag = "other"] = operations[method].tags ?? [];
      groups.set(tag, [...(groups.get(tag) ?? []), route(path, method, operations[method])]);
    }
  }
  const sections = [...groups].map(([tag, routes]) => element("section", {}, element("h2", {}, tag), ...routes));
  document.querySelector("#routes").replaceChildren(...sections);
  document.querySelector("#filter").addEventListener("input", (event) => narrow(event.target.value));
  const linked = location.hash && document.getElementById(location.hash.slice(1));
  if (linked) linked.open = true;
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

/** Where the explorer keeps it, too: as long as the tab is open. */
const KEY = "key";

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
    show(await fetchContract());
  } catch (error) {
    const message = error.needsKey ? keyForm(error.message) : element("p", {}, error.message);
    document.querySelector("#routes").replaceChildren(message);
  }
}

start();
