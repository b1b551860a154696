/**
 * Toasts: a glance at what is in the bell already. Short, few, never in the way, never the only place.
 *
 * @module toasts
 */
import { el } from "./element.js";
import { icon } from "./icons.js";

const SHOWN_MS = 6_000;
const CRITICAL_MS = 20_000;
const AT_MOST = 3;

export class Toasts {
  #stack;
  #words;

  /** @param {HTMLElement} stack may be a popover @param {import("./words.js").Words} words */
  constructor(stack, words) {
    this.#stack = stack;
    this.#words = words;
  }

  /**
   * @param {import("./inbox.js").Row[]} rows new ones
   * @param {(row: import("./inbox.js").Row|null) => void} open what a click does; null for many together
   */
  show(rows, open) {
    if (rows.length > AT_MOST) {
      const many = { level: "info", title: this.#words.count("fresh", rows.length), body: "", priority: "medium" };
      this.#add(many, () => open(null));
      return;
    }
    for (const row of rows) this.#add(row, () => open(row));
  }

  /** The bell was opened: there they are. */
  clear() {
    this.#stack.replaceChildren();
  }

  /** In the top layer, above whatever came there since. */
  #raise() {
    if (!this.#stack.popover) return;
    if (this.#stack.matches(":popover-open")) this.#stack.hidePopover();
    this.#stack.showPopover();
  }

  #add({ level, title, body, priority }, open) {
    // The live region has said it: for a screen reader the toast would only be a second time.
    const toast = el(
      "div",
      { class: "toast", "data-level": level, "aria-hidden": "true", on: { click: open } },
      icon(level),
      el("div", {}, el("div", { class: "toast-title" }, el("bdi", { text: title }))),
    );
    if (body) toast.lastElementChild.append(el("div", { class: "toast-text" }, el("bdi", { text: body })));
    this.#stack.append(toast);
    this.#raise();
    while (this.#stack.childElementCount > AT_MOST) this.#stack.firstElementChild?.remove();
    lastsFor(toast, priority === "critical" ? CRITICAL_MS : SHOWN_MS);
  }
}

/** Goes by itself, but not while a pointer rests on it. */
function lastsFor(toast, ms) {
  let timer = 0;
  const start = () => {
    timer = setTimeout(() => toast.remove(), ms);
  };
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", start);
  toast.addEventListener("click", () => toast.remove());
  start();
}
