/**
 * The page with all notifications, kept as true as the bell: marks change where they stand, new rows wait above.
 *
 * @module history
 */
import { endsSession } from "./connection.js";
import { el, write } from "./element.js";
import { LOCAL, morph } from "./morph.js";

const GATHER_MS = 250;

export class History {
  #page;
  #live;
  #words;
  #waiting = /** @type {Set<string>} */ (new Set());
  #timer = 0;

  /**
   * @param {HTMLElement} page the `[data-history]`: its rows are `[data-note]`, its count `[data-unread-count]`
   * @param {import("./live.js").Live} live
   * @param {import("./words.js").Words} words
   */
  constructor(page, live, words) {
    this.#page = page;
    this.#live = live;
    this.#words = words;
    live.addEventListener("count", () => this.#count());
    live.addEventListener("change", ({ detail }) => {
      for (const { id } of detail.added) this.#waiting.add(id);
      if (detail.added.length > 0 || detail.reset || detail.changed.some(({ id }) => this.#row(id))) this.#soon();
    });
    this.#count();
  }

  #row(id) {
    return this.#page.querySelector(`[data-note="${CSS.escape(id)}"]`);
  }

  #count() {
    const { inbox } = this.#live;
    if (!inbox.counted) return;
    for (const place of document.querySelectorAll("[data-unread-count]")) {
      write(place, this.#words.count("unread", inbox.unread));
    }
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fetch(), GATHER_MS);
  }

  async #fetch() {
    const answer = await fetch(location.href, { headers: { "X-Background": "1" }, cache: "no-store" }).catch(() => null);
    if (answer && !endsSession(answer) && answer.ok) this.#take(await answer.text());
  }

  #take(html) {
    const next = new DOMParser().parseFromString(html, "text/html").querySelector("[data-history]");
    if (!next) return;
    const fresh = [...next.querySelectorAll("[data-note]")].filter((row) => this.#waiting.has(row.dataset.note));
    for (const row of fresh) without(row);
    morph(this.#page, next);
    this.#count();
    this.#offer(fresh.length);
  }

  /** A way to the new rows, which do not push what is being read. */
  #offer(n) {
    this.#page.querySelector("[data-show-new]")?.remove();
    if (n === 0) return;
    const show = () => {
      this.#waiting.clear();
      this.#fetch();
    };
    const text = this.#words.count("showFresh", n);
    const button = { type: "button", class: "button is-primary is-small", on: { click: show }, text };
    this.#page.prepend(el("p", { "data-show-new": true, [LOCAL]: true, class: "show-new" }, el("button", button)));
  }
}

/** Take a row out, and its list and heading when nothing else is under them. */
function without(row) {
  const list = row.parentElement;
  row.remove();
  if (!list || list.childElementCount > 0) return;
  const heading = list.previousElementSibling;
  if (heading?.matches("h2, h3")) heading.remove();
  list.remove();
}
