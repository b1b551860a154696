/**
 * The live mark outside of the bell: every `[data-live-mark]` of the page, a shape by the page's style and a word.
 *
 * @module live-mark
 */
import { watchStatus } from "./connection.js";
import { el } from "./element.js";

const SHAPES = { live: "live", "catching-up": "catching", offline: "offline" };

/**
 * @param {import("./live.js").Live} live
 * @param {import("./words.js").Words} words
 */
export function keepLiveMarks(live, words) {
  watchStatus(live, (status) => {
    // Being offline must be readable on a phone too, where the word of a live connection gives way.
    const word = el("span", { class: status.state === "offline" ? null : "live-mark-word", text: words.status(status) });
    for (const mark of document.querySelectorAll("[data-live-mark]")) {
      mark.setAttribute("data-state", SHAPES[status.state]);
      mark.replaceChildren(word.cloneNode(true));
      mark.toggleAttribute("hidden", false);
    }
  });
}
