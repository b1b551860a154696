/**
 * Which way to take to the hub: the best one that gets through, found without asking a hub in trouble more often.
 *
 * A page that begins goes down at once, and so has its data within seconds where WebSockets are blocked. Later there
 * is one attempt for each wait, whichever way it takes: a hub that is away hears no more of us than before. And what
 * the hub itself says (busy, sign in, going away) is no reason to go down: it is there, and it was heard.
 *
 * @module ladder
 */

/** @typedef {"socket"|"events"|"poll"} WayName */
/** @typedef {{way: WayName, until: number}} Kept */
/** @typedef {{load: () => Kept|null, save: (kept: Kept|null) => void}} WayMemory */
/** @typedef {import("./ways.js").Why} Why */

export const LADDER = /** @type {readonly WayName[]} */ (["socket", "events", "poll"]);

const KEPT_MS = 600_000;
const SOON_MS = 60_000;
const STRIKES = 2;
const KEY = "hub:way";

export class Ladder {
  #memory;
  #now;
  #at = 0;
  #home = 0;
  #until = 0;
  #strikes = 0;
  #fresh = true;
  #proved = false;
  #reached = /** @type {"nothing"|"welcome"|"proof"} */ ("nothing");

  /** @param {WayMemory} memory of the ways down @param {() => number} now */
  constructor(memory, now) {
    this.#memory = memory;
    this.#now = now;
    const kept = memory.load();
    if (kept === null || kept.until <= now() || !LADDER.includes(kept.way)) return;
    this.#home = LADDER.indexOf(kept.way);
    this.#until = Math.min(kept.until, now() + KEPT_MS);
  }

  /** @returns {WayName} the one to take */
  get way() {
    return LADDER[this.#at];
  }

  /** @returns {boolean} whether it is still to be found out what gets through here */
  get fresh() {
    return this.#fresh;
  }

  /** @returns {number|null} ms until a better way is worth a try; null on the best one */
  get riseIn() {
    return this.#at === 0 ? null : Math.max(SOON_MS, this.#until - this.#now());
  }

  /** The page, or the network, is a new one. */
  begin() {
    this.#fresh = true;
    this.#goHome();
  }

  /** The hub was heard. */
  welcomed() {
    if (this.#reached === "nothing") this.#reached = "welcome";
    if (this.#fresh && this.#at > 0) this.#remember();
    this.#fresh = false;
  }

  /** This way holds. */
  proved() {
    if (this.#reached === "proof") return;
    this.#reached = "proof";
    this.#proved = true;
    this.#home = this.#at;
    this.#strikes = 0;
    if (this.#at === 0) this.#memory.save(null);
  }

  /** The best way took over. */
  risen() {
    this.#at = 0;
    this.#strikes = 0;
    this.#reached = "nothing";
  }

  /** The best way is still blocked. */
  stayed() {
    this.#remember();
  }

  /**
   * The attempt, or the connection, ended.
   * @param {Why} why @returns {boolean} whether to try the next way at once
   */
  failed(why) {
    const reached = this.#reached;
    this.#reached = "nothing";
    if (reached === "proof" || why === "trouble" || this.#away(why, reached)) return this.#wait();
    if (this.#at < this.#home) {
      this.#goHome();
      this.#remember();
      return this.#wait(false);
    }
    this.#strikes += 1;
    if (why === "cut" && !this.#fresh && this.#strikes < STRIKES) return false;
    const from = this.#at;
    this.#strikes = 0;
    this.#at = (from + 1) % LADDER.length;
    const heard = why === "barred" || (this.#fresh && reached === "nothing" && (from === 0 || why === "silent"));
    return (heard && this.#at > 0) || this.#wait(false);
  }

  /** Nobody there at all, where somebody was: no other way would lead further. @param {Why} why @param {string} reached */
  #away(why, reached) {
    return why === "cut" && reached === "nothing" && this.#at > 0 && this.#proved;
  }

  #wait(home = true) {
    this.#fresh = false;
    if (home) this.#goHome();
    return false;
  }

  #goHome() {
    this.#at = this.#home;
    this.#strikes = 0;
    this.#reached = "nothing";
  }

  #remember() {
    this.#until = this.#now() + KEPT_MS;
    this.#memory.save({ way: this.way, until: this.#until });
  }
}

/** Lasts as long as the tab, where there is a place to keep it. @param {string} url @returns {WayMemory} */
export function tabMemory(url) {
  const key = `${KEY}:${url}`;
  return {
    load() {
      try {
        return JSON.parse(globalThis.sessionStorage.getItem(key) ?? "null");
      } catch {
        return null;
      }
    },
    save(kept) {
      try {
        if (kept === null) globalThis.sessionStorage.removeItem(key);
        else globalThis.sessionStorage.setItem(key, JSON.stringify(kept));
      } catch {
        // no storage: the next page finds its way anew
      }
    },
  };
}
