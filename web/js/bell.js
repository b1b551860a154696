/**
 * `<hub-bell>`: the bell, its badge, and the panel with the newest notifications.
 *
 * Attributes: `unread` (as the page was made), `lang`, `user` (who is signed in), `zone` (IANA), `theme` (`light`,
 * `dark`), `shortcuts="off"` (no single keys), `history` (address of the whole list); at home also `src` (of the live
 * connection). On another application's page: `hub` (its address, unless this script came from there), `token`,
 * `link-base` (stands before the path of a notification's link). Colours: see bell-style.
 *
 * Events: `hub-open` {row, href}, cancelable: somebody follows a notification's link; on another application's page
 * also `hub-token-needed` {give}, and `hub-signed-out` when no token is good any more.
 *
 * @module bell
 */
import { Announcer } from "./announce.js";
import { Api } from "./api.js";
import { BellPanel } from "./bell-panel.js";
import { bellStyle } from "./bell-style.js";
import { Chime } from "./chime.js";
import { connection, endsSession, hold, release, watchStatus } from "./connection.js";
import { el, put, write } from "./element.js";
import { icon } from "./icons.js";
import { Toasts } from "./toasts.js";
import { Tokens } from "./tokens.js";
import { Wishes } from "./wishes.js";
import { Words } from "./words.js";

/** @typedef {import("./inbox.js").Row} Row */
/** @typedef {import("./live.js").Status} Status */
/** @typedef {string|(() => string|Promise<string>)|null} Token */

const HUB = new URL("/", import.meta.url);
const SHOWN_AT_MOST = 50;
const LOADED = 30;
const MOST_UNDONE = 100;
const BADGE_AT_MOST = 99;
const WISH_LASTS_MS = 3_000;

export class HubBell extends HTMLElement {
  static observedAttributes = ["token"];

  #hub = HUB;
  #home = true;
  #held = false;
  #token = /** @type {Token} */ (null);
  #spent = /** @type {Token} */ (null);
  #give = /** @type {((token: string|Promise<string>) => void)|null} whoever waits for one */ (null);
  #words = new Words("en");
  #api = new Api(HUB);
  #live = /** @type {import("./tabs.js").Tabs} */ (/** @type {unknown} */ (null));
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
    if (this.#live) {
      if (!this.#held) hold(this.#live);
      this.#held = true;
      return;
    }
    this.#early("token");
    this.#hub = new URL(this.getAttribute("hub") ?? HUB, location.href);
    this.#home = !this.hasAttribute("hub") && this.#hub.origin === location.origin;
    const zone = this.getAttribute("zone") ?? (this.#home ? document.body.dataset.zone : undefined);
    this.#words = new Words(this.lang || document.documentElement.lang, zone);
    this.#connect();
    this.#chime = new Chime();
    this.#build();
    this.#live.addEventListener("change", ({ detail }) => this.#changed(detail));
    this.#live.addEventListener("alert", ({ detail }) => this.#alert(detail.rows));
    this.#live.addEventListener("count", () => this.#paint());
    watchStatus(this.#live, (status) => {
      this.#status = status;
      this.#paint();
    });
    this.#paint();
  }

  /** Moved to another place it stays as it is; taken away it hangs up. */
  disconnectedCallback() {
    queueMicrotask(() => {
      if (this.isConnected || !this.#held) return;
      this.#held = false;
      release(this.#live);
    });
  }

  attributeChangedCallback(_name, _before, token) {
    this.token = token;
  }

  /** @returns {Token} another application's token for this person, or how to get one */
  get token() {
    return this.#token;
  }

  set token(token) {
    this.#token = token;
    if (token && this.#give) this.#give(Promise.resolve().then(() => this.#newToken()));
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
    return this.getAttribute("shortcuts") !== "off" && !(this.#home && document.body.dataset.shortcuts === "off");
  }

  /** @returns {string} the address of the whole list */
  get history() {
    return this.getAttribute("history") ?? (this.#home ? "#" : new URL("/console/notifications", this.#hub).href);
  }

  /** @returns {string|null} nobody loses the other application's page by following a link to the hub */
  get target() {
    return this.#home ? null : "_blank";
  }

  /** @param {Row} row @returns {string} where its link leads, if a browser may go there; else to the whole list */
  hrefOf({ related }) {
    if (!related?.link) return this.history;
    const base = this.getAttribute("link-base") ?? (this.#home ? "" : this.#hub.origin);
    const { protocol, href } = new URL(base.replace(/\/$/, "") + related.link, location.href);
    return protocol === "https:" || protocol === "http:" ? href : this.history;
  }

  /** Let the page open it in its own way. @param {Row} row @returns {boolean} whether it leaves that to the browser */
  offer(row) {
    return this.#say("hub-open", { row, href: this.hrefOf(row) });
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
    const isUnread = (row) => !this.#wishes.over(row).read_at;
    const unread = () => inbox.rows.filter((row) => isUnread(row) && row.seq <= seen && !waiting.has(row.id));
    const missing = () => this.unread - unread().length - unseen.filter(isUnread).length;
    if (missing() > 0) await this.#fetch({ state: "unread", limit: MOST_UNDONE }).catch(() => undefined);
    const rows = unread();
    // A row with a mark on its way will have a higher number than the one that is known here.
    const later = rows.filter((row) => row.seq > upto || this.#wishes.over(row) !== row).map(({ id }) => id);
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
    const answer = await this.#api.get("/api/v1/notifications", query);
    if ((this.#home && endsSession(answer)) || !answer.ok) throw new Error(String(answer.status));
    if (!(await this.#live.merge(await answer.json()))) await this.#fetch(query);
  }

  // --- what the server says ---------------------------------------------------------------------

  #changed({ added, reset }) {
    this.#refresh(reset);
    if (added.length === 0) return;
    this.#panel.fresh(added);
    this.#parts.button.classList.remove("rung");
    requestAnimationFrame(() => this.#parts.button.classList.add("rung"));
  }

  /** Of all tabs this is the one that tells. */
  #alert(rows) {
    this.#announcer.news(rows);
    if (!this.#panel.open) this.#toasts.show(rows, (row) => this.#go(row));
    if (rows.some(({ priority }) => priority !== "low")) this.#chime.ring();
  }

  #go(row) {
    if (row === null) {
      this.#panel.show();
      return;
    }
    this.mark("read", [row.id]).catch(() => undefined);
    if (!row.related?.link || !this.offer(row)) return;
    if (this.target) globalThis.open(this.hrefOf(row), this.target, "noopener");
    else location.assign(this.hrefOf(row));
  }

  // --- at home and abroad -------------------------------------------------------------------------

  #connect() {
    const tokens = this.#home ? null : new Tokens(() => this.#newToken());
    const src = this.#home ? (this.getAttribute("src") ?? "/live") : new URL("/live", this.#hub).href;
    this.#api = new Api(this.#home ? new URL(location.origin) : this.#hub, tokens);
    this.#live = connection({ src, user: this.getAttribute("user") ?? "", tokens });
    this.#held = true;
    if (tokens) this.#live.addEventListener("signed-out", () => this.#say("hub-signed-out"));
  }

  /** By the page's function; else the one it set, once; else it is told that one is needed. */
  #newToken() {
    if (typeof this.#token === "function") return this.#token();
    if (this.#token && this.#token !== this.#spent) return (this.#spent = this.#token);
    return /** @type {Promise<string>} */ (
      new Promise((give) => {
        this.#give = (token) => {
          this.#give = null;
          give(token);
        };
        this.#say("hub-token-needed", { give: this.#give });
      })
    );
  }

  /** What the page set on the element before this script was here. */
  #early(name) {
    if (!Object.hasOwn(this, name)) return;
    const value = this[name];
    delete this[name];
    this[name] = value;
  }

  /** @returns {boolean} false when the page said that it sees to it */
  #say(type, detail = {}) {
    return this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, cancelable: true, detail }));
  }

  // --- how it looks -----------------------------------------------------------------------------

  #build() {
    const words = this.#words;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [bellStyle(this.#home)];
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
    const region = this.#home && document.querySelector("[data-announce]");
    const polite = region || el("div", { class: "hidden", role: "status" });
    const place = this.#home && /** @type {HTMLElement|null} */ (document.querySelector("[data-toasts]"));
    const stack = place || el("div", { class: "toasts", popover: "manual" });
    this.#parts = { button, badge, mark };
    this.#announcer = new Announcer({ polite, alert, words });
    this.#toasts = new Toasts(stack, words);
    this.#panel = new BellPanel({ bell: this, button, words, chime: this.#chime, announcer: this.#announcer });
    this.#panel.element.addEventListener("toggle", () => this.#panel.open && this.#toasts.clear());
    const box = el("div", { class: "root", lang: words.lang, dir: words.dir }, button, this.#panel.element, alert);
    if (!region) box.append(polite);
    if (!place) box.append(stack);
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

  /** The number where the page is not looked at: in the tab, and on the icon of the installed app, if they are ours. */
  #elsewhere(unread, known) {
    if (!this.#home) return;
    const count = unread > BADGE_AT_MOST ? `${BADGE_AT_MOST}+` : String(unread);
    const title = unread > 0 ? `(${count}${known ? "" : "?"}) ${this.#title}` : this.#title;
    if (document.title !== title) document.title = title;
    const set = unread > 0 ? navigator.setAppBadge?.(known ? unread : undefined) : navigator.clearAppBadge?.();
    set?.catch(() => undefined);
  }
}

if (!customElements.get("hub-bell")) customElements.define("hub-bell", HubBell);
