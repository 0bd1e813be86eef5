/**
 * Functions that make elements of the page.
 *
 * @module
 */

/** @typedef {Node | string | null | undefined | false | 0} Child */

/**
 * An HTML element with attributes and children; those that are false or null are left out. Text is never parsed as HTML.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/**
 * An SVG element, made in the same way.
 *
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/** @template {Element} T @param {T} made @param {Record<string, any>} attributes @param {Child[]} children */
function filled(made, attributes, children) {
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(attribute, value === true ? "" : String(value));
  }
  made.append(.../** @type {(Node | string)[]} */ (children.filter(Boolean)));
  return made;
}

/** @typedef {{value: string, text: string, group?: string}} Option - Options of a group are shown together. */

/** A labelled choice. @param {string} label @param {readonly Option[]} options @param {string} value @param {(value: string) => void} changed */
export function choiceOf(label, options, value, changed) {
  const select = element("select", { name: label });
  fill(select, options, value);
  select.addEventListener("change", () => changed(select.value));
  return fieldOf(label, select);
}

/** A control with its label. @param {string} label @param {HTMLElement} control */
export function fieldOf(label, control) {
  return element("label", { class: "field" }, element("span", { class: "label" }, label), " ", control);
}

/** A text of the service in which names stand between backticks. @param {string} text */
export function coded(text) {
  return text.split("`").map((part, place) => (place % 2 ? element("code", {}, part) : part));
}

/** Replace the options of a `<select>`. @param {HTMLSelectElement} select @param {readonly Option[]} options @param {string} chosen */
export function fill(select, options, chosen) {
  const groups = new Map([["", /** @type {HTMLElement} */ (select)]]);
  select.replaceChildren();
  for (const { value, text, group = "" } of options) {
    if (!groups.has(group)) groups.set(group, select.appendChild(element("optgroup", { label: group })));
    groups.get(group)?.append(new Option(text, value, value === chosen, value === chosen));
  }
}

/** Replace the children. The focus moves to the new element of the same name, else to the first that can have it. @param {HTMLElement} root @param {...Child} children */
export function replace(root, ...children) {
  const focused = root.contains(document.activeElement) && nameOf(/** @type {Element} */ (document.activeElement));
  root.replaceChildren(.../** @type {Node[]} */ (children.filter(Boolean)));
  if (!focused) return;
  const all = /** @type {HTMLElement[]} */ ([...root.querySelectorAll("a[href], button, select, input, [tabindex]")]);
  (all.find((each) => nameOf(each) === focused) ?? all.find(({ tabIndex }) => tabIndex >= 0))?.focus({ preventScroll: true });
}

/** @param {Element} control */
function nameOf(control) {
  return ["data-address", "name", "aria-label"].map((name) => control.getAttribute(name)).find(Boolean) ?? control.textContent;
}

/** A button. @param {string} text @param {() => void} pressed @param {Record<string, string>} [attributes] */
export function buttonOf(text, pressed, attributes = {}) {
  const button = element("button", { type: "button", ...attributes }, text);
  button.addEventListener("click", pressed);
  return button;
}

/**
 * A link to a changed state of the page.
 *
 * @param {import("./main.js").Explorer} explorer
 * @param {Partial<import("./session.js").State>} change
 * @param {Record<string, string | null>} attributes
 * @param {...Child} children
 */
export function linkOf(explorer, change, attributes, ...children) {
  const link = element("a", { href: explorer.addressOf(change), ...attributes }, ...children);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    explorer.go(change);
  });
  return link;
}

/** Save a file with the browser. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
