/**
 * What the person asked for and the hub has not answered yet: sent one at a time, and again until it is.
 *
 * Marks are idempotent, so that one that was sent twice is made once.
 *
 * @module marks
 */

/** @typedef {{t: "read"|"unread"|"archive", ids: string[]}|{t: "read_all", upto: number}} Wish */
/** @typedef {Wish & {nonce: string}} MarkFrame */
/**
 * @typedef {object} Mark
 * @property {MarkFrame} frame
 * @property {number} sent when; 0 for not yet, or not on this connection
 * @property {Promise<void>} promise
 * @property {() => void} resolve
 * @property {(error: Error) => void} reject
 */

const EVERY_MS = 100;
const AGAIN_MS = 10_000;
const IDS_AT_MOST = 100;

export class Marks {
  #say;
  #alarms;
  #timers;
  #random;
  #marks = /** @type {Map<string, Mark>} */ (new Map());
  #nonce = 0;

  /**
   * @param {object} parts
   * @param {(frame: MarkFrame) => boolean} parts.say false when nobody would hear it now
   * @param {import("./alarms.js").Alarms} parts.alarms
   * @param {import("./alarms.js").Timers} parts.timers
   * @param {() => number} parts.random
   */
  constructor({ say, alarms, timers, random }) {
    this.#say = say;
    this.#alarms = alarms;
    this.#timers = timers;
    this.#random = random;
  }

  /** @returns {MarkFrame[]} in the order they were made */
  get unanswered() {
    return [...this.#marks.values()].map(({ frame }) => frame);
  }

  /** @param {"read"|"unread"|"archive"} t @param {string[]} ids @returns {Promise<void>} */
  async all(t, ids) {
    const parts = [];
    for (let at = 0; at < ids.length; at += IDS_AT_MOST) {
      parts.push(this.add({ t, ids: ids.slice(at, at + IDS_AT_MOST) }));
    }
    await Promise.all(parts);
  }

  /** @param {Wish} wish @returns {Promise<void>} until it is answered */
  add(wish) {
    const last = [...this.#marks.values()].at(-1);
    if (last && !last.sent && join(last.frame, wish)) return last.promise;
    const nonce = `${Math.floor(this.#random() * 2 ** 40).toString(36)}-${(this.#nonce += 1)}`;
    const mark = /** @type {Mark} */ ({ frame: { ...wish, nonce }, sent: 0 });
    mark.promise = new Promise((resolve, reject) => Object.assign(mark, { resolve, reject }));
    this.#marks.set(nonce, mark);
    this.#pump();
    return mark.promise;
  }

  /** @param {string} nonce @returns {Mark|undefined} the one that has its answer now */
  answered(nonce) {
    const mark = this.#marks.get(nonce);
    this.#marks.delete(nonce);
    return mark;
  }

  /** Send once more what has no answer. @param {number} [before] and was sent no later than this */
  again(before = Infinity) {
    for (const mark of this.#marks.values()) if (mark.sent <= before) mark.sent = 0;
    this.#pump();
  }

  /** One at a time, well below the limit of the hub; those that wait are joined. */
  #pump() {
    const next = [...this.#marks.values()].find(({ sent }) => !sent);
    if (next === undefined || this.#alarms.has("marks") || !this.#say(next.frame)) return;
    next.sent = this.#timers.now();
    this.#alarms.set("marks", EVERY_MS, () => this.#pump());
    if (!this.#alarms.has("unanswered")) this.#patience();
  }

  #patience() {
    if (this.#marks.size === 0) return;
    const now = this.#timers.now();
    const oldest = Math.min(...[...this.#marks.values()].map(({ sent }) => sent || now));
    this.#alarms.set("unanswered", oldest + AGAIN_MS - now, () => {
      this.again(this.#timers.now() - AGAIN_MS);
      this.#patience();
    });
  }
}

/** Whether the wish went into a frame that still waits. @param {MarkFrame} frame @param {Wish} wish */
function join(frame, wish) {
  if (!("ids" in frame) || !("ids" in wish) || frame.t !== wish.t) return false;
  if (frame.ids.length + wish.ids.length > IDS_AT_MOST) return false;
  frame.ids = [...new Set([...frame.ids, ...wish.ids])];
  return true;
}
