/**
 * One person's inbox, live: kept up by whatever way gets through, and honest about being down. No DOM.
 *
 *     const live = new Live({ url: "/live", token: () => newToken() });
 *     live.addEventListener("change", ({ detail }) => show(detail.added));
 *     live.start();
 *
 * Events: `status` {state, since}, `change` {changed, added, reset}, `count` {unread}, `state` {topic, ver},
 * `ahead` {items}, `signed-out` {code}, `stopped` {code}, `refused` {code, detail}. What to tell the person about is
 * in `added`, every row once; `ahead` only says which of them are not in the list yet.
 *
 * @module live
 */
import { Alarms, browserTimers } from "./alarms.js";
import { Inbox } from "./inbox.js";
import { tabMemory } from "./ladder.js";
import { Link } from "./link.js";
import { Marks } from "./marks.js";
import { Refused } from "./protocol.js";

export { Refused };

/** @typedef {import("./inbox.js").Row} Row */
/** @typedef {import("./inbox.js").Cursor} Cursor */
/** @typedef {import("./inbox.js").Effects} Effects */
/** @typedef {import("./ladder.js").WayName} WayName */
/** @typedef {import("./ladder.js").WayMemory} WayMemory */
/** @typedef {import("./alarms.js").Timers} Timers */
/** @typedef {import("./marks.js").MarkFrame} MarkFrame */
/** @typedef {{state: "live"|"catching-up"|"offline", since: number}} Status `since` in ms of the epoch */
/** @typedef {{load: () => Cursor|null, save: (cursor: Cursor) => void}} CursorStore */
/**
 * @typedef {object} LiveOptions
 * @property {string} url of the hub's live endpoint
 * @property {() => Promise<string>|string} [token] only where there is no cookie
 * @property {string} [person] whose inbox it is to be, by id: any other counts as signed out
 * @property {CursorStore} [cursor]
 * @property {WayMemory} [ways] keeps which way got through; by itself, in the session of the tab
 * @property {typeof globalThis.WebSocket} [WebSocket]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {() => number} [random]
 * @property {Timers} [timers]
 */

const ANSWER_MS = 5_000;
const RECEIPT_MS = 2_000;
const RECEIPT_AT_MOST_MS = 60_000;

export class Live extends EventTarget {
  #store;
  #random;
  #timers;
  #alarms;
  #inbox;
  #marks;
  #link;
  #arrived = 0;
  #offset = 0;
  #status = /** @type {Status} */ ({ state: "catching-up", since: 0 });
  #topics = /** @type {Map<string, number>} */ (new Map());
  #counted = -1;

  /** @param {LiveOptions} options */
  constructor({ url, token, person, cursor, ways, random = Math.random, timers = browserTimers(), ...tools }) {
    super();
    const there = new URL(url, globalThis.location?.href);
    there.protocol = there.protocol.replace(/^ws/, "http");
    this.#store = cursor ?? null;
    this.#random = random;
    this.#timers = timers;
    this.#alarms = new Alarms(timers);
    this.#inbox = new Inbox(this.#store?.load() ?? null);
    this.#marks = new Marks({ say: (frame) => this.#link.say(frame), alarms: this.#alarms, timers, random });
    this.#link = new Link({
      url: there,
      token: token ?? null,
      person: person ?? null,
      ways: ways ?? tabMemory(there.href),
      tools: { WebSocket: globalThis.WebSocket, fetch: (there, how) => globalThis.fetch(there, how), ...tools, timers },
      alarms: this.#alarms,
      random,
      where: () => ({ cursor: place(this.#inbox.cursor), topics: [...this.#topics] }),
      heard: (frame) => this.#frame(frame),
      doubted: () => this.#act(this.#inbox.apply({ t: "resync" })),
      lost: () => this.#down(),
      ended: (type, code) => this.#emit(type, { code }),
    });
    this.#status = { state: "catching-up", since: timers.now() };
  }

  /** @returns {Status} */
  get status() {
    return this.#status;
  }

  /** @returns {WayName} the way to the hub that is in use, or tried */
  get way() {
    return this.#link.way;
  }

  /** @returns {Inbox} to read from; frames reach it only through here */
  get inbox() {
    return this.#inbox;
  }

  /** @returns {number} the server's clock, in ms */
  get now() {
    return this.#timers.now() + this.#offset;
  }

  /** @returns {MarkFrame[]} marks that have no answer yet, in the order they were made */
  get unanswered() {
    return this.#marks.unanswered;
  }

  /** Connect, and stay connected. Twice is harmless. */
  start() {
    this.#link.start();
  }

  /** Hang up and stay away until `start`. Marks without an answer are kept. */
  stop() {
    if (this.#link.stop()) this.#down();
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  read(ids) {
    return this.#marks.all("read", ids);
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  unread(ids) {
    return this.#marks.all("unread", ids);
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  archive(ids) {
    return this.#marks.all("archive", ids);
  }

  /** Everything unread with a number up to this one becomes read. @param {number} upto @returns {Promise<void>} */
  readAll(upto) {
    return this.#marks.add({ t: "read_all", upto });
  }

  /** @param {string} topic @param {number} [version] what is shown already */
  watch(topic, version = -1) {
    this.#topics.set(topic, Math.max(version, this.#topics.get(topic) ?? -1));
    this.#link.watch([...this.#topics.keys()]);
  }

  /** @param {string} topic */
  unwatch(topic) {
    if (this.#topics.delete(topic)) this.#link.watch([...this.#topics.keys()]);
  }

  /**
   * Rows fetched over HTTP join the others.
   * @param {{items: Row[], seq: number, unread: number}} page
   * @returns {boolean} false when the page was out of date already: fetch it again
   */
  merge({ items, seq, unread }) {
    const effects = this.#inbox.merge(items, seq, unread);
    if (effects === null) return false;
    this.#act(effects);
    return true;
  }

  /**
   * The network or the machine may be back, or gone: find out now rather than by time-out.
   * @param {boolean} [sure] something did happen; otherwise a connection just heard of is left alone
   */
  wake(sure = false) {
    this.#link.wake(sure);
  }

  // --- frames -----------------------------------------------------------------------------------

  /** @param {any} frame */
  #frame(frame) {
    if (frame.now) this.#offset = Date.parse(frame.now) - this.#timers.now();
    if (frame.t === "welcome") this.#welcome(frame);
    const effects = this.#inbox.apply(frame);
    this.#act(effects);
    switch (frame.t) {
      case "hb":
        this.#link.say({ t: "pong", n: frame.n });
        for (const [topic, ver] of Object.entries(frame.topics ?? {})) this.#version(topic, ver);
        break;
      case "ev":
        if (effects.moved) this.#received();
        break;
      case "ahead":
        if (effects.added.length > 0) this.#emit("ahead", { items: effects.added });
        break;
      case "state":
        this.#version(frame.topic, frame.ver);
        break;
      case "ok":
        this.#marks.answered(frame.nonce)?.resolve();
        break;
      case "err":
        this.#refused(frame);
        break;
      default:
    }
  }

  /** @param {any} frame */
  #welcome({ epoch }) {
    const { cursor } = this.#inbox;
    if (cursor !== null && cursor.epoch !== epoch) for (const topic of this.#topics.keys()) this.#topics.set(topic, -1);
    this.#link.watch([...this.#topics.keys()]);
    this.#marks.again();
  }

  /** @param {string} topic @param {number} ver */
  #version(topic, ver) {
    if (ver <= (this.#topics.get(topic) ?? Infinity)) return;
    this.#topics.set(topic, ver);
    this.#emit("state", { topic, ver });
  }

  /** @param {{nonce?: string, code: string, detail: string}} frame */
  #refused({ nonce, code, detail }) {
    const mark = nonce === undefined ? undefined : this.#marks.answered(nonce);
    if (mark) mark.reject(new Refused(code, detail));
    else this.#emit("refused", { code, detail });
  }

  /** Say, now and then, how far everything is here: so the hub knows what arrives, and how late. */
  #received() {
    this.#arrived = this.#timers.now();
    if (this.#alarms.has("receipt")) return;
    this.#alarms.set("receipt", RECEIPT_MS * (1 + this.#random()), () => {
      const { cursor } = this.#inbox;
      const held = Math.round(this.#timers.now() - this.#arrived);
      if (cursor === null || held < 0 || held > RECEIPT_AT_MOST_MS) return; // the machine slept, or its clock was set
      this.#link.say({ t: "recv", seq: cursor.seq, held_ms: held });
    });
  }

  /** Do what the inbox decided. @param {Effects} effects */
  #act({ ask, changed, added, moved, reset }) {
    const { cursor } = this.#inbox;
    if (moved && cursor !== null) this.#store?.save(cursor);
    if (ask !== null) this.#link.say({ t: "fill", from: ask });
    if (!this.#link.up || !this.#inbox.waiting) this.#alarms.drop("answer");
    else if (ask !== null || !this.#alarms.has("answer")) {
      this.#alarms.set("answer", ANSWER_MS, () => this.#act(this.#inbox.overdue()));
    }
    if (changed.length > 0 || added.length > 0 || reset) this.#emit("change", { changed, added, reset });
    if (this.#inbox.unread !== this.#counted) {
      this.#counted = this.#inbox.unread;
      this.#emit("count", { unread: this.#counted });
    }
    if (this.#link.up) this.#tell(this.#inbox.waiting || this.#inbox.behind ? "catching-up" : "live", this.#timers.now());
  }

  // --- status -----------------------------------------------------------------------------------

  #down() {
    this.#alarms.drop("answer", "receipt");
    this.#tell("offline", this.#link.heard);
  }

  /** @param {Status["state"]} state @param {number} since */
  #tell(state, since) {
    if (state === this.#status.state) return;
    this.#status = { state, since };
    this.#emit("status", this.#status);
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @param {Cursor|null} cursor */
function place(cursor) {
  return cursor === null ? null : { epoch: cursor.epoch, seq: cursor.seq };
}
