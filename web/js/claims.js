/**
 * Who of all tabs tells of a notification: the one that is looked at, else the leader; one of them, and never two.
 *
 * A claim is a Web Lock by the row's name: the first tab has it, and keeps it so long that even a tab which slept
 * through it comes too late. A tab that is looked at says so by a lock too, which ends with it, so that the others know
 * whom to let go first, and none has to wait where there is nobody.
 *
 * @module claims
 */

/** @typedef {import("./inbox.js").Row} Row */

const KEPT = 50;
const STALE_MS = 10_000;
/** For one who was let go first and does not tell. */
const PATIENCE_MS = 1_000;
const UNHEARD_MS = 300;

const FOCUSED = 0;
const VISIBLE = 1;
const HIDDEN = 2;

export class Claims {
  #name;
  #timers;
  #kept = /** @type {(() => void)[]} */ ([]);
  #stop = new AbortController();
  #leave = () => {};
  #look = HIDDEN;

  /** @param {string} name the same in all tabs of a person @param {import("./live.js").Timers} timers */
  constructor(name, timers) {
    this.#name = name;
    this.#timers = timers;
  }

  /** Take part. */
  start() {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    for (const type of ["focus", "blur"]) globalThis.addEventListener(type, () => this.#show(look()), { signal });
    document.addEventListener("visibilitychange", () => this.#show(look()), { signal });
    this.#show(look());
  }

  /** Let others have what is held here. */
  stop() {
    this.#stop.abort();
    this.#show(HIDDEN);
    for (const release of this.#kept.splice(0)) release();
  }

  /**
   * @param {Row[]} rows news to all tabs @param {number} at when they were
   * @param {() => boolean} leads whether this tab has the connection
   * @returns {Promise<Row[]>} those that this tab is to tell of
   */
  async claim(rows, at, leads) {
    if (this.#timers.now() - at > STALE_MS) return [];
    const wait = await this.#patience(leads());
    if (wait === null) return [];
    if (wait > 0) await new Promise((done) => this.#timers.setTimeout(done, wait));
    const mine = await Promise.all(rows.map(({ id }) => this.#take(id)));
    return rows.filter((_, at) => mine[at]);
  }

  /**
   * How long others go first, in ms; null: for ever. A page that nobody has touched yet can make no sound, so of the
   * hidden ones those go first that can.
   */
  async #patience(leads) {
    const touched = navigator.userActivation?.hasBeenActive ?? true;
    const own = look();
    if (own === FOCUSED) return 0;
    if (own === HIDDEN && !leads && !touched) return null;
    const { held = [] } = await navigator.locks.query();
    const others = held.some(({ name = "" }) => name.startsWith(`${this.#name}:seen:`) && Number(name.at(-1)) < own);
    if (others) return PATIENCE_MS + (leads ? 0 : UNHEARD_MS);
    if (own === VISIBLE || (leads && touched)) return 0;
    return leads ? 2 * UNHEARD_MS : UNHEARD_MS;
  }

  /** Hold the lock that says how this tab is looked at. */
  #show(how) {
    if (how === this.#look) return;
    this.#look = how;
    this.#leave();
    let leave = () => {};
    let gone = false;
    this.#leave = () => {
      gone = true;
      leave();
    };
    if (how === HIDDEN) return;
    const hold = () => gone || new Promise((release) => (leave = /** @type {() => void} */ (release)));
    navigator.locks.request(`${this.#name}:seen:${how}`, { mode: "shared" }, hold).catch(() => undefined);
  }

  #take(id) {
    return new Promise((answer) => {
      const hold = (lock) => {
        answer(lock !== null);
        return lock && new Promise((release) => this.#keep(release));
      };
      navigator.locks.request(`${this.#name}:told:${id}`, { ifAvailable: true }, hold).catch(() => answer(false));
    });
  }

  #keep(release) {
    this.#kept.push(release);
    if (this.#kept.length > KEPT) this.#kept.shift()?.();
  }
}

/** How this tab is looked at: the smaller the nearer. */
function look() {
  if (document.visibilityState !== "visible") return HIDDEN;
  return document.hasFocus() ? FOCUSED : VISIBLE;
}
