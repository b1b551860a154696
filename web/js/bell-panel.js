/**
 * The panel of the bell: the newest notifications, what can be done with them, and by which keys.
 *
 * While it is open nothing moves by itself: rows change where they stand, new ones wait above.
 *
 * @module bell-panel
 */
import { BellRow } from "./bell-row.js";
import { el, put, write } from "./element.js";
import { icon } from "./icons.js";
import { isWriting, keyOf } from "./keys.js";

/** @typedef {import("./inbox.js").Row} Row */

const UNDO_MS = 10_000;
const TICK_MS = 30_000;
const EDGE = 8;
const KEYS = [
  [["↑", "↓", "J", "K"], "keyMove"],
  [["Enter"], "keyOpen"],
  [["E"], "keyArchive"],
  [["Shift", "I"], "keyRead"],
  [["Shift", "U"], "keyUnread"],
  [["Z"], "keyUndo"],
  [["?"], "keyHelp"],
  [["Esc"], "keyClose"],
];

export class BellPanel {
  #bell;
  #button;
  #words;
  #chime;
  #announcer;
  #parts = /** @type {Record<string, any>} */ ({});
  #order = /** @type {string[]} */ ([]);
  #items = /** @type {Map<string, BellRow>} */ (new Map());
  #fresh = /** @type {Set<string>} */ (new Set());
  #state = /** @type {"new"|"loading"|"failed"|"ready"} */ ("new");
  #undo = /** @type {(() => Promise<void>)|null} */ (null);
  #undoTimer = 0;
  #ticker = 0;

  /**
   * @param {object} around
   * @param {import("./bell.js").HubBell} around.bell
   * @param {HTMLElement} around.button
   * @param {import("./words.js").Words} around.words
   * @param {import("./chime.js").Chime} around.chime
   * @param {import("./announce.js").Announcer} around.announcer
   */
  constructor({ bell, button, words, chime, announcer }) {
    this.#bell = bell;
    this.#button = button;
    this.#words = words;
    this.#chime = chime;
    this.#announcer = announcer;
    this.element = this.#build();
    button.addEventListener("click", () => (this.open ? this.hide() : this.show()));
    for (const part of [button, this.element]) {
      part.addEventListener("keydown", (event) => this.#key(event));
      part.addEventListener("focusout", ({ relatedTarget }) => this.#left(relatedTarget));
    }
    document.addEventListener("pointerdown", (event) => {
      if (this.open && !event.composedPath().includes(bell)) this.hide();
    });
    globalThis.addEventListener("resize", () => this.#place());
  }

  /** @returns {boolean} */
  get open() {
    return this.element.matches(":popover-open");
  }

  /** Open. Nothing is marked by that. */
  show() {
    if (this.open) return;
    this.#place();
    this.element.showPopover();
    put(this.#button, "aria-expanded", "true");
    this.#arrange();
    this.#load();
    this.#ticker = setInterval(() => this.#paint(), TICK_MS);
  }

  /** Close. @param {boolean} [back] whether focus returns to the button */
  hide(back = false) {
    if (!this.open) return;
    clearInterval(this.#ticker);
    this.element.hidePopover();
    put(this.#button, "aria-expanded", "false");
    put(this.#parts.keys, "hidden", true);
    if (back) this.#button.focus();
  }

  /** Rows are not as they were. @param {boolean} reset all of them, perhaps */
  refresh(reset) {
    if (!this.open) return;
    if (reset || this.#order.length === 0) this.#arrange();
    else this.#paint();
  }

  /** New rows came: they do not push what is being read. @param {Row[]} rows */
  fresh(rows) {
    if (!this.open) return;
    for (const { id } of rows) if (!this.#order.includes(id)) this.#fresh.add(id);
    this.#paint();
  }

  /** @param {number} unread @param {import("./live.js").Status} now */
  head(unread, now) {
    const { sum, status, statusWord, readAll } = this.#parts;
    const { state } = now;
    const count = this.#words.count("unread", unread);
    write(sum, state === "offline" ? this.#words.say("then", { count }) : count);
    write(statusWord, this.#words.status(now));
    put(readAll, "disabled", unread === 0);
    if (status.dataset.status === state) return;
    status.dataset.status = state;
    status.firstElementChild.replaceWith(icon(state));
  }

  // --- the list ---------------------------------------------------------------------------------

  async #load() {
    if (this.#state === "ready" || this.#state === "loading") return;
    this.#state = "loading";
    this.#paint();
    try {
      await this.#bell.load();
      this.#state = "ready";
    } catch {
      this.#state = "failed";
    }
    this.#arrange();
  }

  /** Put the rows in order once more: on opening, and when asked to show what is new. */
  #arrange() {
    this.#fresh.clear();
    this.#order = this.#bell.rows.map(({ id }) => id);
    for (const id of [...this.#items.keys()]) if (!this.#order.includes(id)) this.#items.delete(id);
    this.#paint();
  }

  #paint() {
    const { list, pill, pillWord, note, failed, bones } = this.#parts;
    const rows = this.#order.map((id) => this.#bell.row(id)).filter((row) => row && !row.archived_at);
    const focused = this.#current;
    const next = focused && this.#neighbour(focused, new Set(rows.map((row) => row.id)));
    const items = rows.map((row) => this.#item(row.id, row).element);
    for (const element of [...list.children]) if (!items.includes(element)) element.remove();
    items.forEach((element, at) => {
      if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
    });
    if (focused && !focused.isConnected) (next ? this.#items.get(next)?.link : this.element)?.focus();
    const empty = rows.length === 0;
    put(list, "hidden", empty);
    put(note, "hidden", !empty || this.#state !== "ready");
    put(failed, "hidden", !empty || this.#state !== "failed");
    put(bones, "hidden", !empty || this.#state !== "loading");
    put(pill, "hidden", this.#fresh.size === 0);
    write(pillWord, this.#words.count("showFresh", this.#fresh.size));
  }

  #item(id, row) {
    let item = this.#items.get(id);
    if (!item) {
      item = new BellRow(this.#words, { open: this.#opens, toggle: this.#toggles, archive: this.#archives }, id);
      this.#items.set(id, item);
    }
    item.show(row, { now: this.#bell.now, href: this.#bell.hrefOf(row), target: this.#bell.target });
    return item;
  }

  /** @returns {HTMLElement|null} the row with the focus */
  get #current() {
    const active = this.#bell.shadowRoot?.activeElement;
    return active?.closest(".row") ?? null;
  }

  /** The row after this one that stays, else the one before. */
  #neighbour(element, staying) {
    if (staying.has(element.dataset.id)) return null;
    const ids = [...this.#parts.list.children].map((row) => row.dataset.id);
    const at = ids.indexOf(element.dataset.id);
    return ids.slice(at).find((id) => staying.has(id)) ?? ids.slice(0, at).findLast((id) => staying.has(id));
  }

  // --- doing ------------------------------------------------------------------------------------

  #opens = (id, event) => {
    const row = this.#bell.row(id);
    if (!row) return;
    if (!row.read_at) this.#bell.mark("read", [id]).catch(() => undefined);
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (plain && !this.#bell.offer(row)) event.preventDefault();
  };

  #toggles = (id) => this.#mark(this.#bell.row(id)?.read_at ? "unread" : "read", id);

  #archives = (id) => this.#mark("archive", id);

  async #mark(mark, id) {
    const row = this.#bell.row(id);
    if (!row || (mark === "read" && row.read_at) || (mark === "unread" && !row.read_at)) return;
    const back = async () => {
      const done = [this.#bell.mark("unread", [id])];
      if (row.read_at) done.push(this.#bell.mark("read", [id]));
      this.#focus(id);
      await Promise.all(done);
    };
    if (mark === "archive") this.#did(this.#words.count("didArchive", 1), back);
    else this.#announcer.say(this.#words.count(mark === "read" ? "didRead" : "didUnread", 1));
    await this.#try(this.#bell.mark(mark, [id]));
  }

  async #readAll() {
    const done = this.#bell.readAll(this.#fresh);
    const { ids, all } = (await this.#try(done)) ?? { ids: [], all: true };
    if (ids.length === 0) return;
    const label = all ? this.#words.say("undo") : this.#words.count("undoSome", ids.length);
    this.#did(this.#words.count("didRead", ids.length), () => this.#bell.mark("unread", ids), label);
  }

  /** Say what was done, and for ten seconds how to take it back. */
  #did(text, undo, label = this.#words.say("undo")) {
    const { done, doneWord, undo: button, undoWord } = this.#parts;
    write(doneWord, text);
    write(undoWord, label);
    put(done, "data-failed", false);
    put(button, "hidden", false);
    put(done, "hidden", false);
    this.#undo = undo;
    this.#announcer.say(text);
    this.#doneLasts();
  }

  #doneLasts() {
    clearTimeout(this.#undoTimer);
    this.#undoTimer = setTimeout(() => this.#doneOver(), UNDO_MS);
  }

  #doneOver() {
    const { done, undo } = this.#parts;
    const here = this.#bell.shadowRoot?.activeElement === undo;
    this.#undo = null;
    put(done, "hidden", true);
    if (here) this.#focusFirst();
  }

  async #takeBack() {
    const undo = this.#undo;
    if (undo === null) return;
    this.#doneOver();
    await this.#try(undo());
    this.#announcer.say(this.#words.say("undone"));
  }

  async #try(doing) {
    try {
      return await doing;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#did(this.#words.say("failed", { why }), null);
      put(this.#parts.done, "data-failed", true);
      put(this.#parts.undo, "hidden", true);
      return undefined;
    }
  }

  // --- keys and focus ---------------------------------------------------------------------------

  #key(event) {
    const key = keyOf(event);
    if (key === null || !this.open || isWriting(event.composedPath()[0])) return;
    const row = this.#current?.dataset.id;
    const does = {
      Escape: () => this.hide(true),
      ArrowDown: () => this.#step(1),
      ArrowUp: () => this.#step(-1),
      Home: row && (() => this.#focusFirst()),
      End: row && (() => this.#parts.list.lastElementChild?.querySelector("a").focus()),
    };
    const single = {
      j: () => this.#step(1),
      k: () => this.#step(-1),
      e: row && (() => this.#archives(row)),
      i: row && event.shiftKey && (() => this.#mark("read", row)),
      u: row && event.shiftKey && (() => this.#mark("unread", row)),
      z: this.#undo && (() => this.#takeBack()),
      "?": () => this.#help(),
    };
    const act = does[key] || (this.#bell.shortcuts && single[key]);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  #step(by) {
    const rows = [...this.#parts.list.children];
    const at = rows.indexOf(this.#current);
    const to = at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by;
    if (to < 0) this.#button.focus();
    else rows[Math.min(to, rows.length - 1)]?.querySelector("a").focus();
  }

  #focusFirst() {
    (this.#parts.list.querySelector("a") ?? this.element).focus();
  }

  #focus(id) {
    if (!this.#order.includes(id)) this.#arrange();
    this.#items.get(id)?.link.focus();
  }

  #help() {
    const { keys, help } = this.#parts;
    put(keys, "hidden", !keys.hidden);
    put(help, "aria-expanded", String(!keys.hidden));
    if (!keys.hidden) keys.scrollIntoView({ block: "nearest" });
  }

  #left(target) {
    const root = this.#bell.shadowRoot;
    if (target instanceof Node && target !== this.#bell && !root?.contains(target)) this.hide();
  }

  /** Under the button, its end at the button's end, inside the window. */
  #place() {
    const { bottom, right, left } = this.#button.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const end = this.#words.dir === "rtl" ? left : width - right;
    const most = width - Math.min(416, width - 2 * EDGE) - EDGE;
    this.element.style.setProperty("--at-block", `${Math.round(bottom + 6)}px`);
    this.element.style.setProperty("--at-inline", `${Math.round(Math.max(EDGE, Math.min(end, most)))}px`);
  }

  // --- building ---------------------------------------------------------------------------------

  #build() {
    const words = this.#words;
    const parts = this.#parts;
    const button = (props, ...children) => el("button", { type: "button", ...props }, ...children);
    parts.sum = el("span", { class: "sum" });
    parts.statusWord = el("span");
    parts.status = el("span", { class: "status" }, icon("live"), parts.statusWord);
    parts.readAll = button(
      { class: "plain", on: { click: () => this.#readAll() } },
      icon("checks"),
      el("span", { text: words.say("readAll") }),
    );
    parts.pillWord = el("span");
    parts.pill = button(
      { class: "pill", hidden: true, on: { click: () => (this.#arrange(), this.#top()) } },
      parts.pillWord,
    );
    parts.list = el("ul", { role: "list", "aria-labelledby": "heading" });
    parts.note = el(
      "div",
      { class: "note", hidden: true },
      icon("bell"),
      el("strong", { text: words.say("emptyTitle") }),
      el("span", { text: words.say("emptyText") }),
    );
    parts.failed = el(
      "div",
      { class: "note", hidden: true },
      icon("warning"),
      el("strong", { text: words.say("loadFailed") }),
      button({ class: "plain strong", on: { click: () => this.#load() }, text: words.say("tryAgain") }),
    );
    parts.bones = el("div", { class: "bones", hidden: true }, el("span", { class: "hidden", text: words.say("loading") }), el("i"), el("i"), el("i"));
    parts.doneWord = el("span");
    parts.undoWord = el("b");
    parts.undo = button({ class: "plain strong", on: { click: () => this.#takeBack() } }, icon("undo"), parts.undoWord);
    parts.done = el("div", { class: "done", hidden: true }, parts.doneWord, parts.undo);
    for (const type of ["pointerenter", "focusin"]) parts.done.addEventListener(type, () => clearTimeout(this.#undoTimer));
    for (const type of ["pointerleave", "focusout"]) parts.done.addEventListener(type, () => this.#doneLasts());
    parts.keys = this.#keys();
    parts.help = button(
      {
        class: "plain square keyboard",
        title: words.say("keys"),
        "aria-label": words.say("keys"),
        "aria-expanded": "false",
        "aria-controls": "keys",
        hidden: !this.#bell.shortcuts,
        on: { click: () => this.#help() },
      },
      icon("keyboard"),
    );
    return el(
      "section",
      { id: "panel", class: "panel", part: "panel", popover: "manual", tabindex: "-1", "aria-labelledby": "heading" },
      el(
        "div",
        { class: "head" },
        el("div", { class: "heading" }, el("h2", { id: "heading", text: words.say("name") }), el("p", { class: "state" }, parts.status, parts.sum)),
        parts.pill,
        parts.readAll,
        button({ class: "plain square close", "aria-label": words.say("close"), on: { click: () => this.hide(true) } }, icon("cross")),
      ),
      el("div", { class: "scroll" }, parts.list, parts.note, parts.failed, parts.bones),
      parts.done,
      parts.keys,
      el(
        "div",
        { class: "foot" },
        ...this.#sound(button),
        parts.help,
        el("span", { class: "space" }),
        el(
          "a",
          { class: "plain strong", href: this.#bell.history, target: this.#bell.target },
          el("span", { text: words.say("seeAll") }),
          icon("onward"),
        ),
      ),
    );
  }

  #top() {
    this.#parts.list.parentElement.scrollTop = 0;
    this.#focusFirst();
  }

  #sound(button) {
    const words = this.#words;
    const test = button({ class: "plain", on: { click: () => this.#chime.play() }, text: words.say("soundTest") });
    const word = el("span");
    const toggle = button({ class: "plain" }, icon("sound-off"), word);
    const paint = () => {
      const { on } = this.#chime;
      toggle.firstElementChild.replaceWith(icon(on ? "sound-on" : "sound-off"));
      write(word, words.say(on ? "soundOn" : "soundOff"));
      put(test, "hidden", !on);
    };
    toggle.addEventListener("click", () => {
      this.#chime.on = !this.#chime.on;
      if (this.#chime.on) this.#chime.play();
      paint();
    });
    paint();
    return [toggle, test];
  }

  #keys() {
    const rows = KEYS.flatMap(([caps, word]) => [
      el("dt", {}, .../** @type {string[]} */ (caps).map((text) => el("kbd", { text }))),
      el("dd", { text: this.#words.say(/** @type {string} */ (word)) }),
    ]);
    const title = el("h3", { id: "keys-title", text: this.#words.say("keys") });
    const about = { id: "keys", class: "keys", hidden: true, role: "group", tabindex: "0", "aria-labelledby": "keys-title" };
    return el("div", about, title, el("dl", {}, ...rows));
  }
}
