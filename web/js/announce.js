/**
 * One polite voice for the whole page: new notifications are gathered, and told at most every three seconds.
 *
 * @module announce
 */

const QUIET_MS = 3_000;
const GATHER_MS = 200;
const BREATH_MS = 60;

export class Announcer {
  #polite;
  #alert;
  #words;
  #titles = /** @type {string[]} */ ([]);
  #told = 0;
  #timer = 0;

  /**
   * @param {{polite: Element, alert: Element, words: import("./words.js").Words}} parts
   *   both regions have their role from first paint; only their text changes
   */
  constructor({ polite, alert, words }) {
    this.#polite = polite;
    this.#alert = alert;
    this.#words = words;
  }

  /** @param {import("./inbox.js").Row[]} rows new ones; critical ones interrupt */
  news(rows) {
    const critical = rows.filter(({ priority }) => priority === "critical");
    for (const { title } of critical) speak(this.#alert, `${this.#words.say("critical")}: ${title}`);
    this.#titles.push(...rows.filter((row) => !critical.includes(row)).map(({ title }) => title));
    if (this.#titles.length === 0 || this.#timer) return;
    const wait = Math.max(GATHER_MS, this.#told + QUIET_MS - Date.now());
    this.#timer = setTimeout(() => this.#tell(), wait);
  }

  /** Something the person did worked. @param {string} text */
  say(text) {
    speak(this.#polite, text);
  }

  #tell() {
    const [title] = this.#titles;
    const n = this.#titles.length;
    this.#titles = [];
    this.#timer = 0;
    this.#told = Date.now();
    speak(this.#polite, n === 1 ? this.#words.say("announceOne", { title }) : this.#words.count("fresh", n));
  }
}

/**
 * Emptied first: the same words twice are news twice.
 * @param {Element} region @param {string} text
 */
export function speak(region, text) {
  region.textContent = "";
  setTimeout(() => {
    region.textContent = text;
  }, BREATH_MS);
}
