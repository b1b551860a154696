/**
 * The arrivals board: live on every desk, and never moving under the hand that uses it.
 *
 * @module board
 */
import { speak } from "./announce.js";
import { endsSession } from "./connection.js";
import { el, put, reveal, write } from "./element.js";
import { isWriting, keyOf } from "./keys.js";
import { LOCAL, morph } from "./morph.js";
import { ask, VisitForms } from "./visit-forms.js";

const TOPIC = "arrivals";
const AGAIN_MS = 5_000;
const RENEW_MS = 2 * 60_000;
const TICK_MS = 15_000;
const FRESH_MS = 10_000;
const MINUTE = 60_000;

export class Board {
  #board;
  #live;
  #words;
  #filter;
  #fetching = false;
  #wanted = false;
  #later = /** @type {string|null} */ (null);
  #shown = Date.now();
  #timer = 0;
  /** @type {Set<string>} offers to undo that have stood out long enough */
  #settled = new Set();

  /**
   * @param {HTMLElement} board the `[data-board]` of the page
   * @param {import("./live.js").Live} live
   * @param {import("./words.js").Words} words
   */
  constructor(board, live, words) {
    this.#board = board;
    this.#live = live;
    this.#words = words;
    this.#filter = /** @type {HTMLInputElement|null} */ (document.querySelector("[data-board-filter]"));
    reveal(document.querySelector("[data-board-filter-box]"));
    reveal(this.#filter);
    this.#filter?.addEventListener("input", () => this.#sift(true));
    board.addEventListener("submit", (event) => this.#submit(event));
    // The second click of a double one would hit what the first one has put in its place.
    board.addEventListener("click", (event) => event.detail > 1 && event.preventDefault(), true);
    board.addEventListener("focusout", () => setTimeout(() => this.#settle())); // once the focus has arrived elsewhere
    document.addEventListener("keydown", (event) => this.#key(event));
    new VisitForms(document.querySelector("[data-board-dialog]"), words, (answered, row) => this.#answered(answered, row));
    live.addEventListener("state", ({ detail }) => detail.topic === TOPIC && this.refresh());
    live.watch(TOPIC, this.#version);
    setInterval(() => this.#tick(), TICK_MS);
    this.#ready();
    this.#renewLater(RENEW_MS);
  }

  get #version() {
    return Number(this.#board.dataset.version ?? -1);
  }

  get #rows() {
    return /** @type {HTMLElement[]} */ ([...this.#board.querySelectorAll("[data-row]")]);
  }

  /** @returns {HTMLElement|null} the row that has the focus, or holds it */
  get #current() {
    return /** @type {HTMLElement|null} */ (document.activeElement?.closest("[data-row]") ?? null);
  }

  // --- keeping it true --------------------------------------------------------------------------

  /** Fetch the board again: one request at a time, and once more when it was asked for meanwhile. */
  async refresh() {
    this.#wanted = true;
    if (this.#fetching) return;
    this.#fetching = true;
    while (this.#wanted) {
      this.#wanted = false;
      await this.#fetch();
    }
    this.#fetching = false;
  }

  async #fetch() {
    const headers = { "X-Fragment": "board", "X-Background": "1" };
    try {
      const answer = await fetch(this.#board.dataset.url ?? location.href, { headers, cache: "no-store" });
      if (endsSession(answer)) return;
      if (!answer.ok) throw new Error(String(answer.status));
      this.#take(await answer.text());
      this.#renewLater(RENEW_MS);
    } catch {
      this.#stale();
      this.#renewLater(AGAIN_MS * (1 + Math.random()));
    }
  }

  #renewLater(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), ms);
  }

  /** Show this, except for the row somebody is at work in: that one follows when they leave it. */
  #take(html, done = /** @type {HTMLElement|null} */ (null)) {
    const next = boardIn(html);
    if (next === null || Number(next.getAttribute("data-version")) < this.#version) return;
    const current = this.#current;
    this.#later = null;
    this.#board.querySelector("[data-board-stale]")?.remove();
    morph(this.#board, next, (element) => {
      const kept = element !== done && this.#inUse(element);
      if (kept) this.#later = html;
      return kept;
    });
    this.#shown = Date.now();
    this.#ready();
    const lost = current?.isConnected && !current.contains(document.activeElement);
    if (lost && document.activeElement === document.body) current.focus();
  }

  #inUse(element) {
    if (!(element instanceof HTMLElement) || !element.dataset.row) return false;
    if (element.querySelector("[aria-busy=true], :popover-open")) return true;
    return element.contains(document.activeElement) && isWriting(document.activeElement ?? undefined);
  }

  #settle() {
    if (this.#later !== null) this.#take(this.#later);
  }

  #ready() {
    for (const row of this.#rows) row.tabIndex = -1;
    for (const undo of this.#board.querySelectorAll("[data-fresh]")) this.#calm(undo);
    this.#sift(false);
    this.#tick();
  }

  /** What can be undone stands out for a moment only. */
  #calm(undo) {
    const calm = () => document.getElementById(undo.id)?.classList.remove("is-fresh");
    if (this.#settled.has(undo.id)) return calm();
    setTimeout(() => {
      this.#settled.add(undo.id);
      calm();
    }, FRESH_MS);
  }

  /** The board may be out of date: say so, and since when. */
  #stale() {
    const text = this.#words.say("boardFailed", { time: this.#words.clock(this.#shown) });
    const old = this.#board.querySelector("[data-board-stale]");
    if (old) write(old, text);
    else this.#board.prepend(el("p", { class: "alert is-warn", role: "status", "data-board-stale": true, [LOCAL]: true, text }));
  }

  #tick() {
    for (const time of /** @type {NodeListOf<HTMLElement>} */ (this.#board.querySelectorAll("[data-since]"))) {
      const minutes = Math.floor((this.#live.now - Date.parse(time.dataset.since ?? "")) / MINUTE);
      if (minutes >= 0) write(time.querySelector("[data-since-text]") ?? time, this.#words.minutes(minutes));
    }
  }

  // --- steps, each with a click -----------------------------------------------------------------

  async #submit(event) {
    const form = /** @type {HTMLFormElement} */ (event.target);
    if (!form.matches("[data-act]")) return;
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    const row = /** @type {HTMLElement} */ (form.closest("[data-row]"));
    /** @type {HTMLElement & {hidePopover: () => void}|null} */ (row.querySelector(":popover-open"))?.hidePopover();
    const asked = ask(form, event.submitter, this.#words);
    this.#busy(form, true);
    this.#problem(row, "");
    try {
      const answered = await asked;
      this.#busy(form, false);
      this.#answered(answered, row);
    } finally {
      this.#busy(form, false);
    }
  }

  /** A step was taken, or refused: then the row says why. */
  #answered({ ok, html, problem }, row) {
    const next = boardIn(html);
    if (next !== null && next.dataset.focus && next.dataset.day !== this.#board.dataset.day) {
      location.assign(`${next.dataset.url}#${next.dataset.focus}`);
      return;
    }
    if (ok && next !== null) {
      this.#take(html, row);
      const about = document.getElementById(next.dataset.focus ?? "") ?? row;
      about?.focus({ preventScroll: about === row });
      if (next.dataset.said) this.#say(next.dataset.said);
      return;
    }
    this.#problem(row, next?.querySelector("[data-board-problem]")?.textContent.trim() || problem);
    if (html || !ok) this.refresh();
  }

  #busy(form, busy) {
    put(form, "aria-busy", busy ? "true" : null);
    for (const button of form.querySelectorAll("button")) button.disabled = busy;
  }

  /** Why something did not work: in its row, or above all of them when there is none. */
  #problem(row, text) {
    const place = row?.querySelector("[data-act]") ?? this.#board;
    for (const old of this.#board.querySelectorAll("[data-problem]")) {
      if (old.parentElement === place || old.parentElement === this.#board) old.remove();
    }
    if (!text) return;
    const error = el("p", { "data-problem": true, [LOCAL]: true, role: "alert", class: "field-error" }, el("span", { text }));
    if (place === this.#board) place.prepend(error);
    else place.append(error);
  }

  #say(text) {
    const region = document.querySelector("[data-announce]");
    if (region) speak(region, text);
  }

  // --- finding ----------------------------------------------------------------------------------

  #sift(aloud) {
    const wanted = folded(this.#filter?.value ?? "").split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of this.#rows) {
      const text = folded(row.dataset.search ?? "");
      const fits = wanted.every((word) => text.includes(word));
      put(row, "hidden", !fits);
      found += Number(fits);
    }
    for (const group of this.#board.querySelectorAll("[data-group]")) {
      put(group, "hidden", wanted.length > 0 && group.querySelector("[data-row]:not([hidden])") === null);
    }
    put(this.#board.querySelector("[data-board-empty]") ?? el("i"), "hidden", found > 0 || wanted.length === 0);
    if (aloud && wanted.length > 0) this.#say(this.#words.count("found", found));
  }

  // --- keys -------------------------------------------------------------------------------------

  #key(event) {
    const key = keyOf(event);
    if (key === null || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const act = event.target === this.#filter ? this.#filterKey(key) : this.#boardKey(key, event);
    if (!act) return;
    event.preventDefault();
    act();
  }

  #filterKey(key) {
    const filter = /** @type {HTMLInputElement} */ (this.#filter);
    const empty = () => {
      filter.value = "";
      this.#sift(false);
    };
    if (key === "Escape") return filter.value ? empty : () => filter.blur();
    return key === "Enter" || key === "ArrowDown" ? () => this.#step(1) : undefined;
  }

  #boardKey(key, event) {
    if (isWriting(event.target) || (event.shiftKey && key !== "?")) return undefined;
    const row = this.#current;
    const arrows = { ArrowDown: row && (() => this.#step(1)), ArrowUp: row && (() => this.#step(-1)) };
    if (document.body.dataset.shortcuts === "off") return arrows[key];
    const named = `[data-key="${CSS.escape(key)}"]`;
    const own = row?.querySelector(named) ?? document.querySelector(`.page-actions ${named}`);
    return {
      ...arrows,
      "j": () => this.#step(1),
      "k": () => this.#step(-1),
      "/": this.#filter && (() => this.#filter?.focus()),
    }[key] ?? (own && (() => /** @type {HTMLElement} */ (own).click()));
  }

  #step(by) {
    const rows = this.#rows.filter((row) => !row.hidden);
    const at = this.#current ? rows.indexOf(this.#current) : by > 0 ? -1 : rows.length;
    const row = rows[Math.max(0, Math.min(at + by, rows.length - 1))];
    row?.focus();
    row?.scrollIntoView({ block: "nearest" });
  }
}

/** @param {string} html @returns {HTMLElement|null} the board in an answer */
function boardIn(html) {
  return new DOMParser().parseFromString(html, "text/html").querySelector("[data-board]");
}

/** Letters as people search for them: no accents, no hamza, no tatweel, Latin digits, small. */
function folded(text) {
  return text
    .normalize("NFKD")
    .replace(/[\p{M}ـ]/gu, "")
    .replace(/[أإآٱ]/g, "ا")
    .replace(/ى/g, "ي")
    .replace(/ة/g, "ه")
    .replace(/[٠-٩]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
    .toLowerCase();
}
