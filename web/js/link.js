/**
 * Keeps one line to the hub open: finds a way, notices when it is dead, comes back after a fitting while, and takes a
 * better way when there is one. It knows when frames come, and nothing of what they mean for an inbox.
 *
 * @module link
 */
import { Ladder } from "./ladder.js";
import { NOT_SIGNED_IN, asksWho, delay, stops } from "./protocol.js";
import { openLine } from "./ways.js";

/** @typedef {import("./ways.js").End} End */
/** @typedef {import("./ways.js").Line} Line */
/** @typedef {import("./ladder.js").WayName} WayName */
/**
 * @typedef {object} LinkParts
 * @property {URL} url by HTTP
 * @property {(() => Promise<string>|string)|null} token
 * @property {string|null} person nobody else's line is kept
 * @property {import("./ladder.js").WayMemory} ways
 * @property {import("./ways.js").Tools} tools
 * @property {import("./alarms.js").Alarms} alarms
 * @property {() => number} random
 * @property {() => import("./ways.js").Where} where
 * @property {(frame: any) => void} heard every frame from `welcome` on
 * @property {() => void} doubted ask the hub something, it may be gone
 * @property {() => void} lost
 * @property {(type: "signed-out"|"stopped", code: number|null) => void} ended for good
 */

const PROBE_MS = 3_000;
const FIND_MS = 3_000;
const FOUND_MS = 4_800;
const WELCOME_MS = 10_000;
const WATCH_MS = 5_000;
const ASLEEP_MS = 20_000;
const WAKE_MS = 2_000;
const RENEW_AGAIN_MS = 10_000;
const RISE_WITHIN_MS = 60_000;
const BACKOFF = { first: 5, cap: 30 };
const OF_A_LINE = ["welcome", "probe", "silence", "drain", "renew", "rise"];

export class Link {
  #parts;
  #alarms;
  #random;
  #ladder;
  #line = /** @type {Line|null} */ (null);
  #better = /** @type {Line|null} */ (null);
  #running = false;
  #begun = 0;
  #turn = 0;
  #welcomed = 0;
  #heard = 0;
  #attempt = 0;
  #notBefore = 0;
  #asked = false;
  #hb = 15;
  #backoff = BACKOFF;
  #ticked = 0;

  /** @param {LinkParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#alarms = parts.alarms;
    this.#random = parts.random;
    this.#ladder = new Ladder(parts.ways, parts.tools.timers.now);
    this.#heard = this.#now();
  }

  /** @returns {WayName} the one in use, or tried */
  get way() {
    return this.#ladder.way;
  }

  /** @returns {boolean} whether there is somebody to speak to */
  get up() {
    return this.#welcomed > 0;
  }

  /** @returns {number} when a frame came last, in ms */
  get heard() {
    return this.#heard;
  }

  /** Twice is harmless. */
  start() {
    if (this.#running) return;
    this.#running = true;
    this.#ticked = this.#now();
    this.#watchdog();
    this.#begin();
    this.#open();
  }

  /** @returns {boolean} whether it ran */
  stop() {
    const ran = this.#running;
    this.#running = false;
    this.#hangUp();
    this.#alarms.clear();
    return ran;
  }

  /** @param {any} frame @returns {boolean} whether there was somebody to say it to */
  say(frame) {
    if (this.up) this.#line?.say(frame);
    return this.up;
  }

  /** @param {string[]} topics */
  watch(topics) {
    if (this.up) this.#line?.watch(topics);
  }

  /** @param {boolean} sure something did happen; otherwise a line just heard of is left alone */
  wake(sure) {
    if (!this.#running) return;
    this.#alarms.tick();
    if (this.#alarms.has("retry")) {
      if (sure) this.#begin();
      if (this.#now() >= this.#notBefore) this.#alarms.sooner("retry", this.#random() * WAKE_MS);
    } else if (this.up && (sure || this.#now() - this.#heard > WAKE_MS)) this.#probe();
  }

  // --- open, and open again -------------------------------------------------------------------------

  #begin() {
    this.#begun = this.#now();
    this.#ladder.begin();
  }

  #open() {
    const { way } = this.#ladder;
    this.#alarms.set("welcome", WELCOME_MS, () => this.#lost({ code: null, why: "trouble" })); // no token comes
    const opened = (/** @type {Line} */ line) => {
      this.#line = line;
      this.#alarms.set("welcome", this.#patience, () => this.#lost({ code: null, why: "silent" }));
    };
    this.#dial(way, opened, (end) => this.#lost(end));
  }

  /** @returns {number} ms: little while ways are tried in a row, so that the last one is reached in time */
  get #patience() {
    if (!this.#ladder.fresh || this.way === "poll") return WELCOME_MS;
    return Math.min(FIND_MS, Math.max(FOUND_MS - FIND_MS, this.#begun + FOUND_MS - this.#now()));
  }

  /** @param {WayName} way @param {(line: Line) => void} opened @param {(end: End) => void} failed */
  async #dial(way, opened, failed) {
    const { url, token: ask, where, heard, tools } = this.#parts;
    const turn = this.#turn;
    const wanted = () => this.#running && turn === this.#turn;
    let token;
    try {
      token = await ask?.();
    } catch {
      if (wanted()) failed({ code: null, why: "trouble" });
      return;
    }
    if (!wanted()) return;
    let line = /** @type {Line|null} */ (null);
    try {
      line = openLine(way, {
        url,
        token,
        where,
        tools,
        heard: (frame) => line && this.#hear(line, frame),
        answered: (frame) => this.up && heard(frame),
        ended: (end) => line && this.#ended(line, end),
      });
    } catch {
      failed({ code: null, why: "barred" }); // this browser has no such way, or may not take it
      return;
    }
    opened(line);
  }

  /** Let go of the line so that nothing it still says is heard. */
  #hangUp() {
    this.#turn += 1;
    this.#welcomed = 0;
    this.#alarms.drop(...OF_A_LINE);
    this.#line?.close();
    this.#better?.close();
    this.#line = this.#better = null;
  }

  /** @param {Line} line @param {End} end */
  #ended(line, end) {
    if (line === this.#better) this.#stay();
    else if (line === this.#line) this.#lost(end);
  }

  /** @param {End} end @param {boolean} [soon] */
  #lost({ code, retryAfter = null, why }, soon = false) {
    const { up } = this;
    this.#hangUp();
    const next = this.#ladder.failed(why);
    if (stops(code)) return this.#halt("stopped", code);
    if (asksWho(code) && (this.#parts.token === null || this.#asked)) return this.#halt("signed-out", code);
    this.#asked = asksWho(code);
    if (up || !next) this.#parts.lost();
    if (next) return this.#open();
    const wait = soon ? this.#random() * WAKE_MS : this.#wait(code, retryAfter);
    this.#attempt += 1;
    this.#notBefore = retryAfter === null ? 0 : this.#now() + retryAfter * 1_000;
    this.#alarms.set("retry", wait, () => this.#open());
    return undefined;
  }

  /** @param {number|null} code @param {number|null} retryAfter in seconds @returns {number} */
  #wait(code, retryAfter) {
    if (retryAfter === null) return delay(this.#attempt, code, this.#backoff, this.#random);
    return (retryAfter + this.#random() * Math.max(1, retryAfter / 2)) * 1_000;
  }

  /** @param {"signed-out"|"stopped"} type @param {number|null} code */
  #halt(type, code) {
    this.stop();
    this.#parts.lost();
    this.#parts.ended(type, code);
  }

  // --- what comes -----------------------------------------------------------------------------------

  /** @param {Line} line @param {any} frame */
  #hear(line, frame) {
    if (line !== this.#line && line !== this.#better) return undefined;
    // The cookie may be another person's by now: what is theirs must not show in this page.
    if (frame.t === "welcome" && this.#isAnothers(frame.you)) return this.#halt("signed-out", NOT_SIGNED_IN);
    if (line === this.#better && frame.t === "welcome") this.#risen();
    if (line !== this.#line) return undefined;
    this.#heard = this.#now();
    this.#alarms.drop("probe");
    if (frame.t === "welcome") this.#welcome(frame);
    if (!this.up) return undefined;
    this.#silence();
    if (frame.t === "hb" || this.#heard - this.#welcomed >= this.#hb * 1_000) this.#steady();
    if (frame.t === "drain") this.#alarms.set("drain", frame.after_ms, () => this.#anew());
    if (frame.t === "renew") this.#renew(this.#now() + frame.within_s * 1_000);
    this.#parts.heard(frame);
    return undefined;
  }

  /** @param {{id: string}|undefined} you @returns {boolean} */
  #isAnothers(you) {
    return this.#parts.person !== null && you !== undefined && you.id !== this.#parts.person;
  }

  /** @param {any} frame */
  #welcome(frame) {
    this.#welcomed ||= this.#now();
    this.#asked = false;
    this.#hb = frame.hb ?? this.#hb;
    this.#backoff = { ...BACKOFF, ...frame.backoff };
    this.#alarms.drop("welcome");
    this.#ladder.welcomed();
    this.#climb();
  }

  /** It works, and not only for a moment. */
  #steady() {
    this.#attempt = 0;
    this.#ladder.proved();
  }

  /** The hub is going to restart: another line in place of this one. It is lost only if that fails. */
  #anew() {
    this.#hangUp();
    this.#open();
  }

  /** A new token before the old one ends. Without one the hub closes, and it is asked for then. @param {number} end */
  async #renew(end) {
    const { token: ask } = this.#parts;
    if (ask === null) return;
    const turn = this.#turn;
    this.#alarms.set("renew", RENEW_AGAIN_MS, () => this.#now() < end && this.#renew(end));
    const token = await Promise.resolve().then(ask).catch(() => null);
    if (token === null || turn !== this.#turn) return;
    this.#alarms.drop("renew");
    this.say({ t: "auth", token, nonce: `auth-${this.#now()}` });
  }

  #probe() {
    this.#parts.doubted();
    this.#line?.turn();
    this.#alarms.set("probe", PROBE_MS, () => this.#lost({ code: null, why: "trouble" }, true));
  }

  #silence() {
    this.#alarms.set("silence", (2 * this.#hb + 5) * 1_000, () => {
      this.#lost({ code: null, why: this.#slept ? "trouble" : "silent" });
    });
  }

  // --- a better way, while this one still serves ------------------------------------------------------

  #climb() {
    const ms = this.#ladder.riseIn;
    if (ms === null || this.#alarms.has("rise")) return;
    this.#alarms.set("rise", ms + this.#random() * RISE_WITHIN_MS, () => this.#rise());
  }

  #rise() {
    const opened = (/** @type {Line} */ line) => {
      this.#better = line;
      this.#alarms.set("rise", WELCOME_MS, () => this.#stay());
    };
    this.#dial("socket", opened, () => this.#stay());
  }

  #stay() {
    this.#better?.close();
    this.#better = null;
    this.#alarms.drop("rise");
    this.#ladder.stayed();
    this.#climb();
  }

  #risen() {
    this.#line?.close();
    this.#line = this.#better;
    this.#better = null;
    this.#welcomed = 0;
    this.#alarms.drop("rise", "drain", "renew");
    this.#ladder.risen();
  }

  // --- time -----------------------------------------------------------------------------------------

  #now() {
    return this.#parts.tools.timers.now();
  }

  /** @returns {boolean} whether the machine did: no timer ran for longer than any waits */
  get #slept() {
    return this.#now() - this.#ticked > ASLEEP_MS;
  }

  #watchdog() {
    const slept = this.#slept;
    this.#ticked = this.#now();
    this.#alarms.set("watch", WATCH_MS, () => this.#watchdog());
    if (slept) this.wake(true);
  }
}
