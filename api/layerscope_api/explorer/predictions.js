/**
 * The predictions of a model, as a list of the best classes.
 *
 * @module
 */

import { linkOf } from "./elements.js";
import { plain } from "./grid.js";
import { BEST_CLASSES } from "./session.js";

/** @typedef {import("./session.js").Schemas} Schemas */
/** @typedef {{class: number, output: string, label: string, value: number | null, text: string, share: number}} Score - The score of a class. */

/** @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T} */
const find = (id) => /** @type {T} */ (document.getElementById(id));

/** Mark the predictions as those of another image or model. */
export function fadePredictions() {
  find("predictions").classList.add("stale");
}

/** Show the predictions of the current session. @param {import("./main.js").Explorer} explorer */
export async function showPredictions(explorer) {
  const { session } = explorer;
  if (!session?.image) return find("predictions").replaceChildren();
  const { outputs, warnings } = await session.predictions();
  if (session !== explorer.session) return;
  // What is assumed about preprocessing stands in a banner of its own.
  find("warnings").textContent = warnings.filter((warning) => !warning.includes("No preprocessing is declared")).join(" ");
  const rows = scoresOf(outputs).map((score) => rowOf(explorer, score, score.output === outputs[0].name));
  find("predictions").replaceChildren(...rows);
  find("predictions").classList.remove("stale");
  if (!rows.length) find("warnings").textContent ||= "Its outputs are maps or sequences: look at the last layers.";
}

/**
 * The scores of the classes. They are shown as percentages if they can be probabilities, otherwise as they are.
 *
 * @param {Schemas["PredictionsBody"]["outputs"]} outputs
 * @returns {Score[]}
 */
export function scoresOf(outputs) {
  return outputs.flatMap(({ name: output, predictions }) => {
    const scores = predictions?.[0] ?? [];
    const sum = scores.reduce((all, { value }) => all + (value ?? NaN), 0);
    const areAll = scores.length < BEST_CLASSES;
    const areShares = scores.every(({ value }) => Number(value) >= 0) && sum < 1.001 && (!areAll || sum > 0.999);
    const prefix = outputs.length > 1 ? `${output}: ` : "";
    return scores.map(({ class: number, name, value }) => ({
      class: number,
      output,
      value,
      label: prefix + (name ?? `class ${number}`),
      text: areShares ? `${(Number(value) * 100).toFixed(1)} %` : plain(value),
      share: areShares ? Number(value) : 0,
    }));
  });
}

/** The row of a class: a link to why it is predicted. @param {import("./main.js").Explorer} explorer @param {Score} score @param {boolean} isOfFirst - Whether it belongs to the first output. */
function rowOf(explorer, { class: number, output, label, text, share }, isOfFirst) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById("prediction"));
  const row = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
  const [name, value, track] = row.children;
  const asked = { view: "why", target: String(number), options: isOfFirst ? "" : String(new URLSearchParams({ output })), at: "", channel: "" };
  const link = linkOf(explorer, asked, { title: `Why ${label}?`, "aria-label": `${label}, ${text}: why?` }, label);
  // On a telephone the view is below.
  link.addEventListener("click", () => find("layer").scrollIntoView({ block: "nearest" }));
  name.append(link);
  value.textContent = text;
  /** @type {HTMLElement} */ (track.firstElementChild).style.width = `${share * 100}%`;
  return row;
}
