/**
 * Keys that work everywhere on the page.
 *
 * @module
 */

import { VIEWS } from "./session.js";

/** @typedef {import("./main.js").Explorer} Explorer */

/** @param {string} id */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** React to a key, unless the user is typing text. @param {Explorer} explorer @param {KeyboardEvent} event */
export function handleKey(explorer, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const isWriting = target.matches("input, select, textarea, dialog *");
  if (event.key === "Escape" && explorer.menu.open) return void (explorer.menu.open = false);
  if (event.key === "Escape" && explorer.state.channel && !isWriting) return explorer.closeChannel();
  if (isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
  /** @type {Record<string, () => unknown>} */
  const actions = {
    u: () => explorer.list.step(-1),
    o: () => explorer.list.step(1),
    e: () => explorer.imagePanel.step(1),
    w: () => explorer.imagePanel.step(-1),
    "/": () => find("find").focus(),
    "?": () => find("help").click(),
  };
  VIEWS.forEach((view, place) => (actions[place + 1] = () => explorer.go({ view })));
  const tabs = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1 });
  if (target.matches("[role=tab]") && event.key in tabs) {
    const view = VIEWS[(VIEWS.indexOf(explorer.state.view) + tabs[event.key] + VIEWS.length) % VIEWS.length];
    actions[event.key] = () => (find(`tab-${view}`).focus(), explorer.go({ view }));
  }
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}
