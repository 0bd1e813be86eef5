/**
 * The light and the dark theme. The first one is that of the system.
 *
 * @module
 */

import { lasting } from "./storage.js";

/** Show the theme that was chosen before, and switch it by a button. @param {HTMLElement} button */
export function followTheme(button) {
  const { dataset } = document.documentElement;
  dataset.theme = lasting.getItem("theme") ?? "";
  button.addEventListener("click", () => {
    const isDark = dataset.theme ? dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    dataset.theme = isDark ? "light" : "dark";
    lasting.setItem("theme", dataset.theme);
  });
}
