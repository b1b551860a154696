/**
 * One notification in the bell's list. Made once, then kept up to date in place, so that focus stays.
 *
 * @module bell-row
 */
import { el, put, write } from "./element.js";
import { icon } from "./icons.js";

/** @typedef {import("./inbox.js").Row} Row */

const CLEARANCE = { cleared: ["success", "ok"], pending: ["clock", "warn"], issue: ["error", "bad"] };
const CONSENT = { signed: ["signed", "ok"], missing: ["missing", "bad"], expired: ["expired", "warn"] };

export class BellRow {
  #words;
  #link;
  #parts;
  #shown = /** @type {Row|null} */ (null);

  /**
   * @param {import("./words.js").Words} words
   * @param {{open: (id: string, event: MouseEvent) => void, toggle: (id: string) => void, archive: (id: string) => void}} does
   * @param {string} id
   */
  constructor(words, does, id) {
    this.#words = words;
    const parts = {
      glyph: el("span", { class: "glyph" }),
      unread: el("span", { class: "hidden" }),
      title: el("bdi", { class: "title" }),
      when: el("time", { class: "when" }),
      body: el("span", { class: "body" }),
      facts: el("span", { class: "facts" }),
      toggle: el("button", { type: "button", class: "act", on: { click: () => does.toggle(id) } }),
      archive: el("button", { type: "button", class: "act", on: { click: () => does.archive(id) } }, icon("archive")),
    };
    this.#parts = parts;
    this.#link = el(
      "a",
      { class: "open", on: { click: (event) => does.open(id, event), auxclick: (event) => does.open(id, event) } },
      parts.glyph,
      el(
        "span",
        { class: "text" },
        el("span", { class: "line" }, el("span", { class: "what" }, parts.unread, parts.title), parts.when),
        parts.body,
        parts.facts,
      ),
    );
    /** @type {HTMLLIElement} */
    this.element = el("li", { class: "row", "data-id": id }, this.#link, el("div", { class: "acts" }, parts.toggle, parts.archive));
  }

  /** @returns {HTMLAnchorElement} */
  get link() {
    return this.#link;
  }

  /** @param {Row} row @param {{now: number, href: string, target: string|null}} around */
  show(row, { now, href, target }) {
    const { title, when, body, facts, toggle, unread, glyph, archive } = this.#parts;
    this.#tick(row, now);
    if (this.#shown === row) return;
    const words = this.#words;
    const visit = row.kind === "patient_arrived" ? visitOf(row.facts, words) : null;
    put(this.element, "data-level", row.level);
    put(this.element, "data-unread", !row.read_at);
    put(this.#link, "href", href);
    put(this.#link, "target", target);
    put(this.#link, "rel", target && "noopener");
    if (this.#shown?.level !== row.level) glyph.replaceChildren(icon(row.level));
    write(unread, row.read_at ? "" : `${words.say("isUnread")}: `);
    write(title, row.title);
    const about = visit ? visit.about : row.body && el("bdi", { text: row.body });
    body.replaceChildren(levelOf(row, words), ...(about ? [" · ", about] : []));
    facts.replaceChildren(...(visit?.chips ?? []));
    put(when, "datetime", row.created_at);
    put(when, "title", words.full(Date.parse(row.created_at)));
    const act = words.say(row.read_at ? "markUnread" : "markRead");
    if (toggle.title !== act) toggle.replaceChildren(icon(row.read_at ? "mail" : "check"));
    name(toggle, act, row.title);
    name(archive, words.say("archive"), row.title);
    this.#shown = row;
  }

  #tick(row, now) {
    write(this.#parts.when, this.#words.ago(Date.parse(row.created_at), now));
  }
}

function levelOf({ level, priority }, words) {
  const word = words.one("level", level) ?? level;
  return el("span", { class: "level", text: priority === "critical" ? `${words.say("critical")} · ${word}` : word });
}

/** When, which number, and whether money and consent are settled: each an icon and a word. */
function visitOf({ time, number, clearance, consent }, words) {
  const chips = [
    chip(words.one("clearance", clearance), CLEARANCE[clearance]),
    chip(words.one("consent", consent), CONSENT[consent]),
  ].filter((one) => one !== null);
  if (!time || chips.length === 0) return null;
  const about = el("span", {}, `${words.say("appointment")} `, el("bdi", { dir: "ltr", text: time }));
  if (number) about.append(" · ", el("bdi", { dir: "ltr", text: number }));
  return { about, chips };
}

function chip(word, [shape, hue] = ["info", "info"]) {
  return word ? el("span", { class: "chip", "data-hue": hue }, icon(shape), el("span", { text: word })) : null;
}

function name(button, act, title) {
  put(button, "title", act);
  put(button, "aria-label", `${act}: ${title}`);
}
