/**
 * What the two ways over HTTP share: how they ask, how they are refused, and how the client speaks on them.
 *
 * @module way-http
 */
import { BUSY, MALFORMED, NOT_SIGNED_IN } from "./protocol.js";

/** @typedef {import("./ways.js").End} End */
/** @typedef {{query?: URLSearchParams, body?: any[], accept: string, signal: AbortSignal}} Request */

const ANSWER_MS = 10_000;
const FRAMES_AT_ONCE = 20;
const RETRY_AT_MOST_S = 300;

/** A line that is read in rounds, each begun at the cursor. */
export class HttpLine {
  #setting;
  #follow;
  #token;
  #round = new AbortController();
  #watched = "";
  #unsaid = /** @type {Map<string, any>} */ (new Map());
  #speaking = false;
  #closed = false;

  /**
   * @param {import("./ways.js").Setting} setting
   * @param {(line: HttpLine, signal: AbortSignal) => Promise<void>} follow one round: read until the signal
   */
  constructor(setting, follow) {
    this.#setting = setting;
    this.#follow = follow;
    this.#token = setting.token;
    this.turn();
  }

  // --- as a line ----------------------------------------------------------------------------------

  /** @param {any} frame */
  say(frame) {
    if (frame.t === "pong") return; // an answer to each heartbeat is worth no request
    if (frame.t === "auth") {
      this.#token = frame.token;
      this.turn(); // a round lasts no longer than the token it began with
      return;
    }
    this.#unsaid.set(frame.nonce ?? frame.t, frame);
    this.#speak();
  }

  /** @param {string[]} topics */
  watch(topics) {
    if (topics.join() !== this.#watched) this.turn();
  }

  turn() {
    this.#round.abort();
    this.#round = new AbortController();
    this.#watched = this.#setting.where().topics.map(([topic]) => topic).join();
    this.#follow(this, this.#round.signal);
  }

  close() {
    this.#closed = true;
    this.#round.abort();
  }

  // --- for those who read -------------------------------------------------------------------------

  /** @returns {import("./alarms.js").Timers} */
  get timers() {
    return this.#setting.tools.timers;
  }

  /** @param {any} frame */
  heard(frame) {
    if (frame?.t === "bye") this.end({ code: frame.code, why: "trouble" });
    else if (frame !== null) this.#setting.heard(frame);
  }

  /** It ended by itself. @param {End} end */
  end(end) {
    if (this.#closed) return;
    this.close();
    this.#setting.ended(end);
  }

  /** Where the client stands, as a query. @param {Record<string, string>} [more] @returns {URLSearchParams} */
  query(more = {}) {
    const { cursor, topics } = this.#setting.where();
    const query = new URLSearchParams({ v: "1", ...more });
    if (cursor !== null) {
      query.set("epoch", cursor.epoch);
      query.set("seq", String(cursor.seq));
    }
    for (const [topic, version] of topics) query.append("topic", version < 0 ? topic : `${topic}:${version}`);
    return query;
  }

  /** @param {string} path below the live endpoint @param {Request} request @returns {Promise<Response>} */
  async ask(path, { query, body, accept, signal }) {
    const { url, tools } = this.#setting;
    const there = new URL(url);
    there.pathname = `${there.pathname.replace(/\/$/, "")}/${path}`;
    for (const [name, value] of query ?? []) there.searchParams.append(name, value);
    const headers = new Headers({ Accept: accept });
    // A page that listens is no person at work: it keeps no session going.
    if (this.#token === undefined) headers.set("X-Background", "1");
    else headers.set("Authorization", `Bearer ${this.#token}`);
    if (body) headers.set("Content-Type", "application/json");
    return tools.fetch(there.href, {
      method: body ? "POST" : "GET",
      headers,
      body: body && JSON.stringify(body),
      credentials: this.#token === undefined ? "same-origin" : "omit",
      cache: "no-store",
      signal,
    });
  }

  /** @param {number} ms @returns {Promise<void>} */
  rest(ms) {
    return new Promise((done) => this.timers.setTimeout(done, ms));
  }

  // --- speaking -----------------------------------------------------------------------------------

  /** One request at a time keeps what is said in order. What is lost is said again by who said it. */
  async #speak() {
    if (this.#speaking || this.#closed || this.#unsaid.size === 0) return;
    this.#speaking = true;
    const frames = [...this.#unsaid].slice(0, FRAMES_AT_ONCE);
    for (const [key] of frames) this.#unsaid.delete(key);
    const pause = await this.#post(frames.map(([, frame]) => frame));
    if (pause > 0) await this.rest(pause * 1_000);
    this.#speaking = false;
    this.#speak();
  }

  /** @param {any[]} frames @returns {Promise<number>} for how many seconds to say nothing more */
  async #post(frames) {
    const late = new AbortController();
    const timer = this.timers.setTimeout(() => late.abort(), ANSWER_MS);
    try {
      const answer = await this.ask("say", { body: frames, accept: "application/json", signal: late.signal });
      if (answer.ok) for (const frame of await answer.json()) this.#answered(frame);
      else return this.#unheard(refusal(answer));
    } catch {
      // no answer, or none that can be read
    } finally {
      this.timers.clearTimeout(timer);
    }
    return 0;
  }

  /** @param {any} frame */
  #answered(frame) {
    if (!this.#closed) this.#setting.answered(frame);
  }

  /** @param {End} end @returns {number} */
  #unheard(end) {
    if (end.code === BUSY) return end.retryAfter ?? 1;
    if (end.code !== null || end.why === "barred") this.end(end);
    return 0;
  }
}

/** What the hub means by an answer that is not the one that was asked for. @param {Response} answer @returns {End} */
export function refusal({ status, headers }) {
  if (status === 401) return { code: NOT_SIGNED_IN, why: "trouble" };
  if (status === 400) return { code: MALFORMED, why: "trouble" };
  if (status === 503 || status === 429) return { code: BUSY, retryAfter: seconds(headers.get("Retry-After")), why: "trouble" };
  return { code: null, why: status >= 500 ? "trouble" : "barred" };
}

/** Null when it is for the usual wait. @param {string|null} text @returns {number|null} */
function seconds(text) {
  return text !== null && /^\d+$/.test(text) ? Math.min(Number(text), RETRY_AT_MOST_S) : null;
}

/** Whether the answer is of this type, and not the page of some proxy. @param {Response} answer @param {string} type */
export function is(answer, type) {
  return answer.ok && (answer.headers.get("Content-Type") ?? "").startsWith(type);
}
