/**
 * `<hub-bell>`: the bell, its badge, and the panel with the newest notifications.
 *
 * Attributes: `unread` (as the page was made), `lang`, `src` (of the live connection), `history` (address of
 * the whole list), `user`, `zone` (IANA), `shortcuts="off"` (no single keys). Colours: see bell-style.
 *
 * @module bell
 */
import { Announcer } from "./announce.js";
import { BellPanel } from "./bell-panel.js";
import { bellStyle } from "./bell-style.js";
import { Chime } from "./chime.js";
import { connection, endsSession, watchStatus } from "./connection.js";
import { el, put, write } from "./element.js";
import { icon } from "./icons.js";
import { Toasts } from "./toasts.js";
import { Wishes } from "./wishes.js";
import { Words } from "./words.js";

/** @typedef {import("./inbox.js").Row} Row */
/** @typedef {import("./live.js").Status} Status */

const SHOWN_AT_MOST = 50;
const LOADED = 30;
const MOST_UNDONE = 100;
const BADGE_AT_MOST = 99;
const WISH_LASTS_MS = 3_000;

export class HubBell extends HTMLElement {
  #words = new Words("en");
  #live = /** @type {import("./live.js").Live} */ (/** @type {unknown} */ (null));
  #wishes = new Wishes();
  #chime = /** @type {Chime} */ (/** @type {unknown} */ (null));
  #announcer = /** @type {Announcer} */ (/** @type {unknown} */ (null));
  #toasts = /** @type {Toasts} */ (/** @type {unknown} */ (null));
  #panel = /** @type {BellPanel} */ (/** @type {unknown} */ (null));
  #parts = /** @type {Record<string, HTMLElement>} */ ({});
  #status = /** @type {Status} */ ({ state: "live", since: 0 });
  #loaded = false;
  #title = document.title;

  connectedCallback() {
    if (this.#live) return;
    this.#words = new Words(this.lang || document.documentElement.lang, this.getAttribute("zone") ?? document.body.dataset.zone);
    this.#live = connection({ src: this.getAttribute("src") ?? "/live", user: this.getAttribute("user") ?? "" });
    this.#chime = new Chime();
    this.#build();
    this.#live.addEventListener("change", ({ detail }) => this.#changed(detail));
    this.#live.addEventListener("count", () => this.#paint());
    watchStatus(this.#live, (status) => {
      this.#status = status;
      this.#paint();
    });
    this.#paint();
  }

  /** @returns {number} unread notifications, with what was asked for and is still on its way */
  get unread() {
    const { inbox } = this.#live;
    const known = inbox.counted ? inbox.unread : Number(this.getAttribute("unread") ?? 0);
    return this.#wishes.count(known, (id) => inbox.row(id));
  }

  /** @returns {number} the time on the server's clock, in ms */
  get now() {
    return this.#live.now;
  }

  /** @returns {Row[]} what the panel lists: unread first, each newest first */
  get rows() {
    const rows = this.#live.inbox.rows.map((row) => this.#wishes.over(row)).filter((row) => !row.archived_at);
    return [...rows.filter((row) => !row.read_at), ...rows.filter((row) => row.read_at)].slice(0, SHOWN_AT_MOST);
  }

  /** @param {string} id @returns {Row|undefined} */
  row(id) {
    const row = this.#live.inbox.row(id);
    return row && this.#wishes.over(row);
  }

  /** @returns {boolean} whether single keys may be used */
  get shortcuts() {
    return this.getAttribute("shortcuts") !== "off" && document.body.dataset.shortcuts !== "off";
  }

  // --- what the person does ---------------------------------------------------------------------

  /** Mark these; optimistic, and taken back when the server refuses. @param {import("./wishes.js").Mark} mark @param {string[]} ids */
  async mark(mark, ids) {
    const rows = ids.map((id) => this.#live.inbox.row(id)).filter((row) => row !== undefined);
    await this.#wish(mark, rows, () => this.#live[mark](ids));
  }

  /**
   * Everything that was there to be seen becomes read; what comes meanwhile does not.
   * @param {Set<string>} waiting ids of rows that came, but are not shown yet
   * @returns {Promise<{ids: string[], all: boolean}>} those to mark unread again, should it have been a mistake
   */
  async readAll(waiting) {
    const { inbox } = this.#live;
    const shown = inbox.rows.filter(({ id }) => !waiting.has(id));
    const unseen = inbox.rows.filter(({ id }) => waiting.has(id));
    const seen = Math.max(0, ...shown.map(({ seq }) => seq));
    const upto = Math.min(seen, ...unseen.map(({ seq }) => seq - 1));
    const unread = () => inbox.rows.filter((row) => !row.read_at && row.seq <= seen && !waiting.has(row.id));
    const missing = () => inbox.unread - unread().length - unseen.filter((row) => !row.read_at).length;
    if (missing() > 0) await this.#fetch({ state: "unread", limit: MOST_UNDONE }).catch(() => undefined);
    const rows = unread();
    const later = rows.filter(({ seq }) => seq > upto).map(({ id }) => id);
    const all = missing() <= 0;
    await this.#wish("read", rows, () => Promise.all([this.#live.readAll(upto), this.#live.read(later)]));
    return { ids: rows.map(({ id }) => id), all };
  }

  async #wish(mark, rows, ask) {
    const drop = this.#wishes.add(mark, rows, this.#live.now);
    this.#refresh();
    const forget = () => {
      drop();
      this.#refresh();
    };
    try {
      await ask();
      setTimeout(forget, WISH_LASTS_MS);
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** Rows for the panel, unless a snap has brought them. Throws when there is no answer. */
  async load() {
    if (this.#loaded || this.#live.inbox.whole) return;
    await this.#fetch({ limit: LOADED });
    const seen = this.#live.inbox.rows.filter((row) => !row.read_at && !row.archived_at).length;
    if (seen < Math.min(LOADED, this.#live.inbox.unread)) await this.#fetch({ state: "unread", limit: LOADED });
    this.#loaded = true;
  }

  async #fetch(query) {
    const socket = new URL(this.getAttribute("src") ?? "/live", location.href);
    const there = new URL(`/api/v1/notifications?${new URLSearchParams(query)}`, socket.href.replace(/^ws/, "http"));
    const answer = await fetch(there, { headers: { Accept: "application/json", "X-Background": "1" }, cache: "no-store" });
    if (endsSession(answer) || !answer.ok) throw new Error(String(answer.status));
    if (!this.#live.merge(await answer.json())) await this.#fetch(query);
  }

  // --- what the server says ---------------------------------------------------------------------

  #changed({ added, reset }) {
    this.#refresh(reset);
    if (added.length === 0) return;
    this.#panel.fresh(added);
    const here = document.visibilityState === "visible";
    if (here) this.#announcer.news(added);
    if (here && !this.#panel.open) this.#toasts.show(added, (row) => this.#go(row));
    const [loudest] = added.filter(({ priority }) => priority !== "low");
    if (loudest) this.#chime.ring(loudest.id);
    this.#parts.button.classList.remove("rung");
    requestAnimationFrame(() => this.#parts.button.classList.add("rung"));
  }

  #go(row) {
    if (row === null) {
      this.#panel.show();
      return;
    }
    this.mark("read", [row.id]).catch(() => undefined);
    const link = this.#panel.linkOf(row);
    if (link) location.assign(link);
  }

  // --- how it looks -----------------------------------------------------------------------------

  #build() {
    const words = this.#words;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [bellStyle];
    const badge = el("span", { class: "badge", part: "badge", "aria-hidden": "true", hidden: true });
    const mark = el("span", { class: "mark", "aria-hidden": "true", hidden: true });
    const button = el(
      "button",
      { type: "button", class: "bell", part: "button", "aria-expanded": "false", "aria-controls": "panel" },
      icon("bell"),
      badge,
      mark,
    );
    const alert = el("div", { class: "hidden", role: "alert" });
    const region = document.querySelector("[data-announce]");
    const polite = region ?? el("div", { class: "hidden", role: "status" });
    const stack = document.querySelector("[data-toasts]") ?? el("div", { class: "toasts" });
    this.#parts = { button, badge, mark };
    this.#announcer = new Announcer({ polite, alert, words });
    this.#toasts = new Toasts(stack, words);
    this.#panel = new BellPanel({ bell: this, button, words, chime: this.#chime, announcer: this.#announcer });
    this.#panel.element.addEventListener("toggle", () => this.#panel.open && this.#toasts.clear());
    const box = el("div", { lang: words.lang, dir: words.dir }, button, this.#panel.element, alert);
    if (!region) box.append(polite);
    if (!stack.isConnected) box.append(stack);
    root.replaceChildren(box);
    this.replaceChildren(); // what stood here for browsers without scripts
  }

  /** The list and everything counted from it. */
  #refresh(reset = false) {
    this.#panel.refresh(reset);
    this.#paint();
  }

  #paint() {
    const { button, badge, mark } = this.#parts;
    const words = this.#words;
    const { unread } = this;
    const live = this.#status.state === "live";
    const name = words.count("nameUnread", unread);
    const status = words.status(this.#status);
    put(button, "aria-label", live ? name : words.say("nameNotLive", { name, status }));
    put(button, "title", live ? null : `${status}. ${words.say("stale")}`);
    put(button, "data-status", live ? null : this.#status.state);
    put(badge, "hidden", unread === 0);
    write(badge, unread > BADGE_AT_MOST ? `${BADGE_AT_MOST}+` : String(unread));
    put(mark, "hidden", live);
    if (!live) mark.replaceChildren(icon(this.#status.state));
    this.#panel.head(unread, this.#status);
    this.#elsewhere(unread, this.#status.state !== "offline");
  }

  /** The number where the page is not looked at: in the tab, and on the icon of the installed app. */
  #elsewhere(unread, known) {
    const count = unread > BADGE_AT_MOST ? `${BADGE_AT_MOST}+` : String(unread);
    const title = unread > 0 ? `(${count}${known ? "" : "?"}) ${this.#title}` : this.#title;
    if (document.title !== title) document.title = title;
    const set = unread > 0 ? navigator.setAppBadge?.(known ? unread : undefined) : navigator.clearAppBadge?.();
    set?.catch(() => undefined);
  }
}

if (!customElements.get("hub-bell")) customElements.define("hub-bell", HubBell);
