/**
 * The live connection: one WebSocket speaking hub.v1, kept up, and honest about being down. No DOM.
 *
 * Events: `status` {state, since}, `change` {changed, added, reset}, `count` {unread},
 * `state` {topic, ver}, `signed-out` {code}, `stopped` {code}, `refused` {code, detail}.
 *
 * @module live
 */
import { Inbox } from "./inbox.js";

/** @typedef {import("./inbox.js").Row} Row */
/** @typedef {import("./inbox.js").Cursor} Cursor */
/** @typedef {{state: "live"|"catching-up"|"offline", since: number}} Status `since` in ms of the epoch */
/** @typedef {{load: () => Cursor|null, save: (cursor: Cursor) => void}} CursorStore */
/**
 * @typedef {object} Timers
 * @property {(run: () => void, ms: number) => any} setTimeout
 * @property {(id: any) => void} clearTimeout
 * @property {() => number} now
 */
/**
 * @typedef {object} LiveOptions
 * @property {string} url
 * @property {() => Promise<string>|string} [token] only where there is no cookie
 * @property {CursorStore} [cursor]
 * @property {typeof globalThis.WebSocket} [WebSocket]
 * @property {() => number} [random]
 * @property {Timers} [timers]
 */

const PROTOCOL = "hub.v1";
const ANSWER_MS = 5_000;
const PROBE_MS = 3_000;
const WELCOME_MS = 10_000;
const WATCH_MS = 5_000;
const ASLEEP_MS = 20_000;
const WAKE_MS = 2_000;
const MARK_EVERY_MS = 100;
const IDS_AT_MOST = 100;
const BACKOFF = { first: 5, cap: 30 };

/** An answer `err` to something that was asked. */
export class Refused extends Error {
  /** @param {string} code @param {string} detail */
  constructor(code, detail) {
    super(detail || code);
    this.name = "Refused";
    this.code = code;
  }
}

/**
 * How long to wait before the next attempt.
 * @param {number} attempt 0 for the first one after a connection that worked
 * @param {number|null} code the close code, if there was one
 * @param {{first: number, cap: number}} backoff in seconds, as the server said
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function delay(attempt, code, backoff, random) {
  const cap = backoff.cap * 1_000;
  if (code !== null && code >= 4100 && code < 4150) return cap / 2 + random() * (cap / 2);
  return random() * Math.min(cap, backoff.first * 1_000 * 2 ** Math.min(attempt, 16));
}

export class Live extends EventTarget {
  #url;
  #token;
  #store;
  #Socket;
  #random;
  #timers;
  #inbox;
  #socket = /** @type {WebSocket|null} */ (null);
  #running = false;
  #welcomed = false;
  #turn = 0;
  #attempt = 0;
  #asked = false;
  #hb = 15;
  #backoff = BACKOFF;
  #heard = 0;
  #offset = 0;
  #status = /** @type {Status} */ ({ state: "catching-up", since: 0 });
  #topics = /** @type {Map<string, number>} */ (new Map());
  #marks = /** @type {Map<string, any>} */ (new Map());
  #nonce = 0;
  #counted = -1;
  #alarms = /** @type {Map<string, {at: number, run: () => void}>} */ (new Map());
  #timer = /** @type {any} */ (null);
  #ticked = 0;

  /** @param {LiveOptions} options */
  constructor({ url, token, cursor, WebSocket = globalThis.WebSocket, random = Math.random, timers }) {
    super();
    const at = new URL(url, globalThis.location?.href);
    at.protocol = at.protocol.replace(/^http/, "ws");
    this.#url = at.href;
    this.#token = token ?? null;
    this.#store = cursor ?? null;
    this.#Socket = WebSocket;
    this.#random = random;
    this.#timers = timers ?? {
      setTimeout: (run, ms) => globalThis.setTimeout(run, ms),
      clearTimeout: (id) => globalThis.clearTimeout(id),
      now: () => Date.now(),
    };
    this.#inbox = new Inbox(this.#store?.load() ?? null);
    this.#status = { state: "catching-up", since: this.#now() };
    this.#heard = this.#now();
  }

  /** @returns {Status} */
  get status() {
    return this.#status;
  }

  /** @returns {Inbox} to read from; frames reach it only through here */
  get inbox() {
    return this.#inbox;
  }

  /** @returns {number} the server's clock, in ms */
  get now() {
    return this.#now() + this.#offset;
  }

  /** @returns {object[]} marks that have no answer yet, in the order they were made */
  get unanswered() {
    return [...this.#marks.values()].map(({ frame }) => frame);
  }

  /** Connect, and stay connected. Twice is harmless. */
  start() {
    if (this.#running) return;
    this.#running = true;
    this.#ticked = this.#now();
    this.#watchdog();
    this.#open();
  }

  /** Hang up and stay away until `start`. Marks without an answer are kept. */
  stop() {
    if (!this.#running) return;
    this.#running = false;
    this.#hangUp();
    this.#alarms.clear();
    this.#arm();
    this.#tell("offline");
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  read(ids) {
    return this.#markAll("read", ids);
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  unread(ids) {
    return this.#markAll("unread", ids);
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  archive(ids) {
    return this.#markAll("archive", ids);
  }

  /** Everything unread with a number up to this one becomes read. @param {number} upto @returns {Promise<void>} */
  readAll(upto) {
    return this.#mark({ t: "read_all", upto });
  }

  /** @param {string} topic @param {number} [version] what is shown already */
  watch(topic, version = -1) {
    this.#topics.set(topic, Math.max(version, this.#topics.get(topic) ?? -1));
    if (this.#welcomed) this.#send({ t: "watch", topic });
  }

  /** @param {string} topic */
  unwatch(topic) {
    if (this.#topics.delete(topic) && this.#welcomed) this.#send({ t: "unwatch", topic });
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
    if (!this.#running) return;
    this.#tick();
    if (this.#alarms.has("retry")) this.#sooner("retry", this.#random() * WAKE_MS);
    else if (this.#welcomed && (sure || this.#now() - this.#heard > WAKE_MS)) this.#probe();
  }

  // --- the connection ---------------------------------------------------------------------------

  async #open() {
    const turn = ++this.#turn;
    let token, socket;
    try {
      token = await this.#token?.();
      if (turn !== this.#turn || !this.#running) return;
      socket = new this.#Socket(this.#url, [PROTOCOL]);
    } catch {
      if (turn === this.#turn && this.#running) this.#lost(null);
      return;
    }
    this.#socket = socket;
    this.#alarm("welcome", WELCOME_MS, () => this.#lost(null));
    socket.onopen = () => {
      const hello = { t: "hello", v: 1, cursor: place(this.#inbox.cursor) };
      this.#send(token === undefined ? hello : { ...hello, token });
    };
    socket.onmessage = ({ data }) => this.#frame(data);
    socket.onclose = ({ code }) => this.#lost(code);
  }

  /** Let go of the socket so that nothing it still says is heard. */
  #hangUp() {
    this.#turn += 1;
    this.#welcomed = false;
    const socket = this.#socket;
    this.#socket = null;
    for (const name of ["welcome", "answer", "probe", "silence", "marks"]) this.#alarms.delete(name);
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #lost(code, soon = false) {
    this.#hangUp();
    this.#tell("offline");
    if (code !== null && code >= 4000 && code < 4100) return this.#halt("stopped", code);
    if (code !== null && code >= 4150 && code < 4200 && (this.#token === null || this.#asked)) {
      return this.#halt("signed-out", code);
    }
    this.#asked = code !== null && code >= 4150 && code < 4200;
    const wait = soon ? this.#random() * WAKE_MS : delay(this.#attempt, code, this.#backoff, this.#random);
    this.#attempt += 1;
    this.#alarm("retry", wait, () => this.#open());
    return undefined;
  }

  #halt(type, code) {
    this.#running = false;
    this.#alarms.clear();
    this.#arm();
    this.#emit(type, { code });
  }

  #probe() {
    this.#act(this.#inbox.apply({ t: "resync" }));
    this.#alarm("probe", PROBE_MS, () => this.#lost(null, true));
  }

  #silence() {
    this.#alarm("silence", (2 * this.#hb + 5) * 1_000, () => this.#lost(null));
  }

  // --- frames -----------------------------------------------------------------------------------

  #frame(data) {
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return; // whatever it was, the next heartbeat shows the hole it left
    }
    this.#heard = this.#now();
    this.#alarms.delete("probe");
    if (frame.t === "welcome") this.#welcome(frame);
    if (!this.#welcomed) return;
    this.#silence();
    if (frame.now) this.#offset = Date.parse(frame.now) - this.#now();
    this.#act(this.#inbox.apply(frame));
    switch (frame.t) {
      case "hb":
        this.#attempt = 0;
        this.#send({ t: "pong", n: frame.n });
        for (const [topic, ver] of Object.entries(frame.topics ?? {})) this.#version(topic, ver);
        this.#again(this.#now() - 2 * ANSWER_MS);
        break;
      case "state":
        this.#version(frame.topic, frame.ver);
        break;
      case "ok":
        this.#answer(frame.nonce)?.resolve();
        break;
      case "err": {
        const refused = new Refused(frame.code, frame.detail);
        const mark = this.#answer(frame.nonce);
        if (mark) mark.reject(refused);
        else this.#emit("refused", { code: frame.code, detail: frame.detail });
        break;
      }
      default:
    }
  }

  #welcome(frame) {
    this.#welcomed = true;
    this.#asked = false;
    this.#hb = frame.hb ?? this.#hb;
    this.#backoff = { ...BACKOFF, ...frame.backoff };
    this.#alarms.delete("welcome");
    const { cursor } = this.#inbox;
    for (const topic of this.#topics.keys()) {
      if (cursor !== null && cursor.epoch !== frame.epoch) this.#topics.set(topic, -1);
      this.#send({ t: "watch", topic });
    }
    this.#again(Infinity);
  }

  #version(topic, ver) {
    if (ver <= (this.#topics.get(topic) ?? Infinity)) return;
    this.#topics.set(topic, ver);
    this.#emit("state", { topic, ver });
  }

  /** Do what the inbox decided. */
  #act(effects) {
    const cursor = this.#inbox.cursor;
    if (effects.moved && cursor !== null) this.#store?.save(cursor);
    if (effects.ask !== null) this.#send({ t: "fill", from: effects.ask });
    if (this.#welcomed && this.#inbox.waiting) {
      if (effects.ask !== null || !this.#alarms.has("answer")) {
        this.#alarm("answer", ANSWER_MS, () => this.#act(this.#inbox.overdue()));
      }
    } else {
      this.#alarms.delete("answer");
    }
    if (effects.changed.length > 0 || effects.reset) {
      const { changed, added, reset } = effects;
      this.#emit("change", { changed, added, reset });
    }
    if (this.#inbox.unread !== this.#counted) {
      this.#counted = this.#inbox.unread;
      this.#emit("count", { unread: this.#counted });
    }
    if (this.#welcomed) this.#tell(this.#inbox.waiting || this.#inbox.behind ? "catching-up" : "live");
  }

  // --- marks ------------------------------------------------------------------------------------

  async #markAll(t, ids) {
    const parts = [];
    for (let at = 0; at < ids.length; at += IDS_AT_MOST) {
      parts.push(this.#mark({ t, ids: ids.slice(at, at + IDS_AT_MOST) }));
    }
    await Promise.all(parts);
  }

  #mark(frame) {
    const last = [...this.#marks.values()].at(-1);
    const joins = last && !last.sent && frame.ids && last.frame.t === frame.t;
    if (joins && last.frame.ids.length + frame.ids.length <= IDS_AT_MOST) {
      last.frame.ids = [...new Set([...last.frame.ids, ...frame.ids])];
      return last.promise;
    }
    const nonce = `${Math.floor(this.#random() * 2 ** 40).toString(36)}-${(this.#nonce += 1)}`;
    const mark = { frame: { ...frame, nonce }, sent: 0 };
    mark.promise = new Promise((resolve, reject) => Object.assign(mark, { resolve, reject }));
    this.#marks.set(nonce, mark);
    this.#pump();
    return mark.promise;
  }

  #answer(nonce) {
    const mark = this.#marks.get(nonce);
    this.#marks.delete(nonce);
    return mark;
  }

  /** Send once more what was sent before this time and has no answer. Marks are idempotent. */
  #again(before) {
    for (const mark of this.#marks.values()) if (mark.sent < before) mark.sent = 0;
    this.#pump();
  }

  /** One mark at a time, well below the limit of the server; those that wait are joined. */
  #pump() {
    if (!this.#welcomed || this.#alarms.has("marks")) return;
    const next = [...this.#marks.values()].find(({ sent }) => !sent);
    if (next === undefined) return;
    next.sent = this.#now();
    this.#send(next.frame);
    this.#alarm("marks", MARK_EVERY_MS, () => this.#pump());
  }

  // --- small things -----------------------------------------------------------------------------

  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #tell(state) {
    if (state === this.#status.state) return;
    const since = state === "offline" ? this.#heard : this.#now();
    this.#status = { state, since };
    this.#emit("status", this.#status);
  }

  #now() {
    return this.#timers.now();
  }

  // --- one timer for everything, by the clock on the wall: a sleeping machine misses no alarm ------

  #alarm(name, ms, run) {
    this.#alarms.set(name, { at: this.#now() + ms, run });
    this.#arm();
  }

  #sooner(name, ms) {
    const alarm = this.#alarms.get(name);
    if (alarm) this.#alarm(name, Math.min(ms, alarm.at - this.#now()), alarm.run);
  }

  #arm() {
    if (this.#timer !== null) this.#timers.clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#alarms.size === 0) return;
    const next = Math.min(...[...this.#alarms.values()].map(({ at }) => at));
    this.#timer = this.#timers.setTimeout(() => this.#tick(), Math.max(0, next - this.#now()));
  }

  #tick() {
    const now = this.#now();
    const due = [...this.#alarms].filter(([, { at }]) => at <= now);
    for (const [name, alarm] of due) {
      if (this.#alarms.get(name) !== alarm) continue;
      this.#alarms.delete(name);
      alarm.run();
    }
    this.#arm();
  }

  #watchdog() {
    const now = this.#now();
    const slept = now - this.#ticked > ASLEEP_MS;
    this.#ticked = now;
    this.#alarm("watch", WATCH_MS, () => this.#watchdog());
    if (slept) this.wake();
  }
}

/** @param {Cursor|null} cursor */
function place(cursor) {
  return cursor === null ? null : { epoch: cursor.epoch, seq: cursor.seq };
}
