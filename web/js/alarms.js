/**
 * One timer for everything that has a time, by the clock on the wall: a machine that slept misses no alarm.
 *
 * @module alarms
 */

/**
 * @typedef {object} Timers
 * @property {(run: () => void, ms: number) => any} setTimeout
 * @property {(id: any) => void} clearTimeout
 * @property {() => number} now
 */

/** @returns {Timers} those of the browser */
export function browserTimers() {
  return {
    setTimeout: (run, ms) => globalThis.setTimeout(run, ms),
    clearTimeout: (id) => globalThis.clearTimeout(id),
    now: () => Date.now(),
  };
}

export class Alarms {
  #timers;
  #alarms = /** @type {Map<string, {at: number, run: () => void}>} */ (new Map());
  #timer = /** @type {any} */ (null);

  /** @param {Timers} timers */
  constructor(timers) {
    this.#timers = timers;
  }

  /** @param {string} name @returns {boolean} */
  has(name) {
    return this.#alarms.has(name);
  }

  /** In place of the one with this name, if there is one. @param {string} name @param {number} ms @param {() => void} run */
  set(name, ms, run) {
    this.#alarms.set(name, { at: this.#timers.now() + ms, run });
    this.#arm();
  }

  /** @param {string} name @param {number} ms from now, at the latest */
  sooner(name, ms) {
    const alarm = this.#alarms.get(name);
    if (alarm) this.set(name, Math.min(ms, alarm.at - this.#timers.now()), alarm.run);
  }

  /** @param {string[]} names */
  drop(...names) {
    for (const name of names) this.#alarms.delete(name);
  }

  clear() {
    this.#alarms.clear();
    this.#arm();
  }

  /** Run what is due. */
  tick() {
    const now = this.#timers.now();
    const due = [...this.#alarms].filter(([, { at }]) => at <= now);
    for (const [name, alarm] of due) {
      if (this.#alarms.get(name) !== alarm) continue;
      this.#alarms.delete(name);
      alarm.run();
    }
    this.#arm();
  }

  #arm() {
    if (this.#timer !== null) this.#timers.clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#alarms.size === 0) return;
    const next = Math.min(...[...this.#alarms.values()].map(({ at }) => at));
    this.#timer = this.#timers.setTimeout(() => this.tick(), Math.max(0, next - this.#timers.now()));
  }
}
