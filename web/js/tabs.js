/**
 * One live connection for all tabs of a person in one browser. To be used like a `Live`.
 *
 * Every tab asks for the same Web Lock; who has it leads: runs the `Live`, and tells all others, itself too, what
 * comes of it. So each tab shows a mirror, and whichever leads next goes on from where the mirror stands. Followers
 * ask the leader whether it is still there, and take the lock from one that does not answer. What a tab asked for and
 * has no answer to is asked again of the next leader.
 *
 * Events: those of `Live`, and `alert` {rows}: in the one tab that is to tell of them, by sound and toast.
 *
 * @module tabs
 */
import { Claims } from "./claims.js";
import { Refused } from "./live.js";
import { Mirror } from "./mirror.js";

/** @typedef {import("./inbox.js").Row} Row */
/** @typedef {import("./inbox.js").Cursor} Cursor */
/** @typedef {import("./live.js").Live} Live */
/** @typedef {import("./live.js").Status} Status */

/** A follower asks so long after it last heard of the leader; an answer within this time, or another one leads. */
const ASK_MS = 400;
const ANSWER_MS = 1_500;
const SPREAD_MS = 200;
/** An alarm so late says that this tab was asleep itself, and nothing of the leader, who is asked once more. */
const LATE_MS = 250;
const AWAKE_MS = 600;
const TOLD_AT_MOST = 500;
const MARKS = new Set(["read", "unread", "archive", "readAll"]);
const DONE_BY_LEADER = new Set([...MARKS, "merge"]);

export class Tabs extends EventTarget {
  #name;
  #open;
  #timers;
  #claims;
  #mirror = new Mirror();
  #status;
  #offset = 0;
  #me = crypto.randomUUID();
  #running = false;
  #channel = /** @type {BroadcastChannel|null} */ (null);
  #live = /** @type {Live|null} where this tab leads */ (null);
  #since = 0;
  #term = 0;
  #n = /** @type {number|null} of the leader's last message; null: something is missing */ (null);
  #resign = () => {};
  #standing = new AbortController();
  #timer = /** @type {any} */ (null);
  #asked = /** @type {Map<string, {name: string, args: any[], resolve: (value: any) => void, reject: (why: any) => void}>} */ (new Map());
  #last = 0;
  #topics = /** @type {Map<string, number>} what this tab watches, and shows */ (new Map());
  #versions = /** @type {Map<string, number>} what the leader knows */ (new Map());
  #watchers = /** @type {Map<string, Set<string>>} */ (new Map());
  #told = /** @type {Set<string>} */ (new Set());

  /**
   * @param {object} options
   * @param {string} options.name the same in all tabs of one person, and in no other
   * @param {(cursor: Cursor|null) => Live} options.open makes a connection, not started, that goes on from there
   * @param {import("./live.js").Timers} options.timers
   */
  constructor({ name, open, timers }) {
    super();
    this.#name = name;
    this.#open = open;
    this.#timers = timers;
    this.#claims = new Claims(name, timers);
    this.#status = /** @type {Status} */ ({ state: "catching-up", since: timers.now() });
  }

  /** @returns {Status} */
  get status() {
    return this.#status;
  }

  /** @returns {Mirror} to read from, like an `Inbox` */
  get inbox() {
    return this.#mirror;
  }

  /** @returns {number} the server's clock, in ms */
  get now() {
    return this.#timers.now() + this.#offset;
  }

  /** @returns {boolean} whether this tab has the connection */
  get leads() {
    return this.#live !== null;
  }

  /** @returns {{t: string, ids?: string[], upto?: number}[]} marks of this tab without an answer, as frames */
  get unanswered() {
    const marks = [...this.#asked.values()].filter(({ name }) => MARKS.has(name));
    return marks.map(({ name, args: [what] }) => (name === "readAll" ? { t: "read_all", upto: what } : { t: name, ids: what }));
  }

  /** Take part. Twice is harmless. */
  start() {
    if (this.#running) return;
    this.#running = true;
    if (!shared()) {
      this.#lead();
      return;
    }
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => ("term" in data ? this.#hear(data) : this.#serve(data));
    this.#channel.onmessageerror = () => this.#join();
    this.#claims.start();
    this.#stand();
    this.#join();
  }

  /** Leave; another tab takes over. What has no answer is kept. */
  stop() {
    if (!this.#running) return;
    this.#running = false;
    this.#post({ t: "bye" });
    this.#standing.abort();
    this.#step();
    if (this.#channel) this.#claims.stop();
    this.#timers.clearTimeout(this.#timer);
    this.#channel?.close();
    this.#channel = null;
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  read(ids) {
    return this.#ask("read", ids);
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  unread(ids) {
    return this.#ask("unread", ids);
  }

  /** @param {string[]} ids @returns {Promise<void>} */
  archive(ids) {
    return this.#ask("archive", ids);
  }

  /** @param {number} upto @returns {Promise<void>} */
  readAll(upto) {
    return this.#ask("readAll", upto);
  }

  /** @param {{items: Row[], seq: number, unread: number}} page @returns {Promise<boolean>} see `Live` */
  merge({ items, seq, unread }) {
    return this.#ask("merge", { items, seq, unread });
  }

  /** @param {string} topic @param {number} [version] what is shown already */
  watch(topic, version = -1) {
    this.#topics.set(topic, Math.max(version, this.#topics.get(topic) ?? -1));
    this.#say({ t: "watch", topic, version: this.#topics.get(topic) });
  }

  /** @param {string} topic */
  unwatch(topic) {
    if (this.#topics.delete(topic)) this.#say({ t: "unwatch", topic });
  }

  /** See `Live`; of a follower it asks the leader. @param {boolean} [sure] */
  wake(sure = false) {
    if (this.#live) this.#live.wake(sure);
    else if (!sure && this.#running) {
      this.#post({ t: "wake" });
      this.#doubt();
    }
  }

  // --- who leads --------------------------------------------------------------------------------

  /** Wait for the lock, or take it from somebody who sleeps. */
  async #stand(steal = false) {
    this.#standing.abort();
    const standing = new AbortController();
    this.#standing = standing;
    const lead = () => standing.signal.aborted || new Promise((resign) => this.#lead(/** @type {() => void} */ (resign)));
    try {
      await navigator.locks.request(this.#name, steal ? { steal } : { signal: standing.signal }, lead);
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") throw error;
    }
    if (standing.signal.aborted) return;
    this.#step(); // it was stolen
    this.#stand();
    this.#join();
  }

  #lead(resign = () => {}) {
    this.#resign = resign;
    this.#timers.clearTimeout(this.#timer);
    const { cursor, rows, unread, counted } = this.#mirror;
    const live = this.#open(cursor);
    this.#since = cursor?.seq ?? 0;
    if (counted) live.merge({ items: rows, seq: this.#since, unread });
    this.#live = live;
    this.#term = Math.max(this.#term + 1, this.#timers.now());
    this.#n = 0;
    this.#watchers.clear();
    this.#follow(live);
    if (this.#status.state !== "offline") this.#status = live.status;
    this.#tell({ t: "whole", ...this.#picture() });
    this.#introduce();
    live.start();
  }

  /** Lead no more. */
  #step() {
    const live = this.#live;
    this.#live = null;
    this.#n = null;
    live?.stop();
    this.#resign();
  }

  /** Heard of the leader: ask again in a while. */
  #trust() {
    this.#timers.clearTimeout(this.#timer);
    if (!this.#live) this.#timer = this.#timers.setTimeout(() => this.#doubt(), ASK_MS + Math.random() * SPREAD_MS);
  }

  /** Ask, and wait. A tab that is looked at comes first. @param {number} [answer] within so many ms */
  #doubt(answer = ANSWER_MS) {
    this.#timers.clearTimeout(this.#timer);
    this.#post({ t: "there" });
    const wait = answer + (Math.random() + Number(document.hidden)) * (SPREAD_MS / 2);
    const due = this.#timers.now() + wait;
    this.#timer = this.#timers.setTimeout(() => {
      if (answer === ANSWER_MS && this.#timers.now() - due > LATE_MS) this.#doubt(AWAKE_MS);
      else this.#stand(true);
    }, wait);
  }

  // --- the leader tells --------------------------------------------------------------------------

  #follow(live) {
    const on = (type, act) => live.addEventListener(type, ({ detail }) => this.#live === live && act(detail));
    on("change", ({ changed, added, reset }) => {
      if (reset) this.#tell({ t: "whole", ...this.#picture() });
      else this.#tell({ t: "news", changed, added, ...this.#facts() });
      this.#alert(added);
    });
    on("count", ({ unread }) => {
      if (unread !== this.#mirror.unread || !this.#mirror.counted) this.#tell({ t: "news", changed: [], added: [], ...this.#facts() });
    });
    on("status", (status) => {
      // One that never got through does not know since when there is no way.
      const still = status.state === "offline" && this.#status.state === "offline";
      this.#tell({ t: "status", status: still ? this.#status : status, ...this.#facts() });
    });
    on("state", ({ topic, ver }) => {
      this.#versions.set(topic, ver);
      this.#tell({ t: "state", topic, ver });
    });
    for (const type of ["ahead", "refused"]) on(type, (detail) => this.#tell({ t: "emit", type, detail }));
    for (const type of ["signed-out", "stopped"]) on(type, (detail) => this.#tell({ t: "end", type, detail }));
  }

  #alert(rows) {
    const news = rows.filter(({ id }) => !this.#told.has(id));
    if (news.length > 0) this.#tell({ t: "alert", rows: news, at: this.#timers.now() });
  }

  /** To every tab, this one too. */
  #tell(message) {
    const told = { ...message, term: this.#term, n: (this.#n ?? 0) + 1 };
    this.#n = told.n;
    this.#channel?.postMessage(told);
    this.#take(told);
  }

  #facts() {
    const { cursor, unread, counted, whole } = /** @type {Live} */ (this.#live).inbox;
    const offset = /** @type {Live} */ (this.#live).now - this.#timers.now();
    return { facts: { cursor, unread, counted, whole }, offset };
  }

  #picture() {
    const { rows } = /** @type {Live} */ (this.#live).inbox;
    return { rows, status: this.#status, versions: [...this.#versions], ...this.#facts() };
  }

  /** What other tabs say to the leader, and what it says to itself. */
  #serve({ t, tab, ...message }) {
    if (!this.#live) return;
    switch (t) {
      case "there":
        this.#tell({ t: "here" });
        break;
      case "join":
        this.#tell({ t: "whole", ...this.#picture() });
        break;
      case "watch":
        this.#watch(tab, message);
        break;
      case "unwatch":
        this.#unwatch(tab, message.topic);
        break;
      case "bye":
        for (const topic of [...this.#watchers.keys()]) this.#unwatch(tab, topic);
        break;
      case "wake":
        this.#live.wake();
        break;
      case "do":
        this.#do(message);
        break;
      default:
    }
  }

  async #do({ id, name, args }) {
    const live = this.#live;
    let answer;
    try {
      if (!DONE_BY_LEADER.has(name)) throw new Refused("unknown", name);
      const stale = name === "merge" && args[0].seq < this.#since; // what swept over it meanwhile is not known here
      answer = { value: stale ? false : await live?.[name](...args) };
    } catch (error) {
      const { code = "failed", message } = /** @type {Refused} */ (error);
      answer = { refused: { code, message } };
    }
    if (live === this.#live) this.#tell({ t: "did", id, ...answer });
  }

  #watch(tab, { topic, version }) {
    const watchers = this.#watchers.get(topic) ?? new Set();
    this.#watchers.set(topic, watchers.add(tab));
    const known = this.#versions.get(topic) ?? -1;
    if (version > known) this.#versions.set(topic, version);
    this.#live?.watch(topic, Math.max(version, known));
    if (version !== known && Math.max(version, known) >= 0) this.#tell({ t: "state", topic, ver: Math.max(version, known) });
  }

  #unwatch(tab, topic) {
    const watchers = this.#watchers.get(topic);
    if (!watchers?.delete(tab) || watchers.size > 0) return;
    this.#watchers.delete(topic);
    this.#versions.delete(topic);
    this.#live?.unwatch(topic);
  }

  // --- the others hear ---------------------------------------------------------------------------

  #hear(message) {
    if (message.term < this.#term) return; // somebody who slept and does not know it yet
    if (message.term > this.#term) {
      this.#term = message.term;
      if (this.#live) this.#step();
      this.#n = null;
      this.#introduce();
    }
    if (message.t === "whole") this.#n = message.n;
    else if (this.#n !== null && message.n === this.#n + 1) this.#n = message.n;
    else if (this.#n !== null) this.#join();
    this.#trust();
    this.#take(message);
  }

  #take(message) {
    switch (message.t) {
      case "whole":
        this.#whole(message);
        break;
      case "news":
        if (this.#n !== null) this.#news(message);
        break;
      case "status":
        this.#offset = message.offset;
        this.#show(message.status);
        break;
      case "state":
        this.#state(message.topic, message.ver);
        break;
      case "alert":
        this.#claim(message);
        break;
      case "did":
        this.#did(message);
        break;
      case "emit":
        this.#emit(message.type, message.detail);
        break;
      case "end":
        this.stop();
        if (this.#status.state !== "offline") this.#show({ state: "offline", since: this.#timers.now() });
        this.#emit(message.type, message.detail);
        break;
      default:
    }
  }

  #whole({ rows, facts, offset, status, versions }) {
    const { unread, counted } = this.#mirror;
    const change = this.#mirror.replace(rows, facts);
    this.#offset = offset;
    if (change.changed.length > 0 || change.reset) this.#emit("change", change);
    this.#count(unread, counted);
    this.#show(status);
    for (const [topic, version] of versions) this.#state(topic, version);
  }

  #news({ changed, added, facts, offset }) {
    const { unread, counted } = this.#mirror;
    this.#mirror.put(changed, facts);
    this.#offset = offset;
    if (changed.length > 0 || added.length > 0) this.#emit("change", { changed, added, reset: false });
    this.#count(unread, counted);
  }

  #count(unread, counted) {
    const now = this.#mirror;
    if (now.unread !== unread || now.counted !== counted) this.#emit("count", { unread: now.unread });
  }

  #show(status) {
    const same = status.state === this.#status.state && status.since === this.#status.since;
    this.#status = status;
    if (!same) this.#emit("status", status);
  }

  #state(topic, ver) {
    this.#versions.set(topic, ver);
    if ((this.#topics.get(topic) ?? ver) === ver) return;
    this.#topics.set(topic, ver);
    this.#emit("state", { topic, ver });
  }

  async #claim({ rows, at }) {
    for (const { id } of rows) this.#told.add(id);
    for (const id of this.#told) {
      if (this.#told.size <= TOLD_AT_MOST) break;
      this.#told.delete(id);
    }
    const mine = this.#channel ? await this.#claims.claim(rows, at, () => this.leads) : rows;
    if (mine.length > 0) this.#emit("alert", { rows: mine });
  }

  // --- what this tab asks of the leader ------------------------------------------------------------

  #ask(name, what) {
    return new Promise((resolve, reject) => {
      const id = `${this.#me}:${(this.#last += 1)}`;
      this.#asked.set(id, { name, args: [what], resolve, reject });
      this.#say({ t: "do", id, name, args: [what] });
    });
  }

  #did({ id, value, refused }) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (refused) asked?.reject(new Refused(refused.code, refused.message));
    else asked?.resolve(value);
  }

  /** A new leader knows nothing of this tab yet. */
  #introduce() {
    for (const [topic, version] of this.#topics) this.#say({ t: "watch", topic, version });
    for (const [id, { name, args }] of this.#asked) this.#say({ t: "do", id, name, args });
  }

  /** Something may be missing here: ask for everything. */
  #join() {
    this.#n = null;
    this.#post({ t: "join" });
    this.#doubt();
  }

  /** To whoever leads, be it this tab. */
  #say(message) {
    if (this.#live) this.#serve({ tab: this.#me, ...message });
    else this.#post(message);
  }

  #post(message) {
    this.#channel?.postMessage({ tab: this.#me, ...message });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** @returns {boolean} whether tabs can agree here */
function shared() {
  return Boolean(globalThis.navigator?.locks && globalThis.BroadcastChannel);
}
