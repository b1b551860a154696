/**
 * `Live` with a clock and a network of our own: hours pass at once, and every frame and request is seen.
 */
import { Live } from "/assets/js/live.js";

/** How many steps of promises something that happened may take to be felt everywhere. */
const RIPPLES = 24;

export async function ripple() {
  for (let n = 0; n < RIPPLES; n += 1) await null;
}

export class Clock {
  time = 1_800_000_000_000;
  #timers = new Map();
  #last = 0;

  now = () => this.time;

  setTimeout = (run, ms) => {
    this.#timers.set((this.#last += 1), { at: this.time + ms, run });
    return this.#last;
  };

  clearTimeout = (id) => this.#timers.delete(id);

  /** Everything due in the meantime runs, each at its time; it ends early where asked to. */
  async pass(ms, ended = () => false) {
    const end = this.time + ms;
    await ripple();
    while (!ended()) {
      let [id, next] = [null, null];
      for (const [at, timer] of this.#timers) if (timer.at <= end && (!next || timer.at < next.at)) [id, next] = [at, timer];
      if (!next) break;
      this.#timers.delete(id);
      this.time = Math.max(this.time, next.at);
      next.run();
      await ripple();
    }
    if (!ended()) this.time = end;
  }

  /** A machine asleep: the time is later, and no timer ran. */
  sleep(ms) {
    this.time += ms;
  }
}

/** A request under full control. It is answered once, or with a stream of frames. */
export class Ask {
  #chunks = [];
  #wanted = null;

  constructor(there, { method, headers, body, signal }) {
    this.url = new URL(there);
    this.path = this.url.pathname.split("/").at(-1);
    this.query = this.url.searchParams;
    Object.assign(this, { method, headers, signal, frames: body && JSON.parse(body) });
    this.promise = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    signal.addEventListener("abort", () => {
      this.reject(signal.reason);
      this.#wanted?.reject(signal.reason);
    });
  }

  /** No answer at all. */
  fail() {
    this.reject(new TypeError("Failed to fetch"));
  }

  /** An answer in one piece. */
  reply(frames, { status = 200, type = "application/json", ...headers } = {}) {
    const answer = { status, ok: status === 200, headers: new Headers({ "Content-Type": type, ...headers }), json: async () => frames };
    this.resolve(answer);
  }

  /** The stream begins; `say` and `end` follow. */
  stream() {
    const read = () =>
      new Promise((resolve, reject) => {
        if (this.signal.aborted) reject(this.signal.reason);
        this.#wanted = { resolve, reject };
        this.#flow();
      });
    const headers = new Headers({ "Content-Type": "text/event-stream; charset=utf-8" });
    this.resolve({ status: 200, ok: true, headers, body: { getReader: () => ({ read }) } });
  }

  say(...frames) {
    const text = frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join("");
    this.#chunks.push({ done: false, value: new TextEncoder().encode(text) });
    this.#flow();
  }

  end() {
    this.#chunks.push({ done: true });
    this.#flow();
  }

  #flow() {
    if (this.#chunks.length === 0 || this.#wanted === null) return;
    this.#wanted.resolve(this.#chunks.shift());
    this.#wanted = null;
  }
}

/** A WebSocket under full control. */
export class Socket {
  readyState = 0;
  sent = [];
  closed = null;

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closed = code;
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  say(...frames) {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  end(code) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

/** A connection under full control. */
export async function clockwork({ random = 0.5, ...options } = {}) {
  const clock = new Clock();
  const [sockets, asks, attempts, events, saved] = [[], [], [], [], []];
  const tried = (way, attempt) => attempts.push(Object.assign(attempt, { way, at: clock.time }));
  let kept = null;
  const live = new Live({
    url: "ws://hub.example/live",
    WebSocket: class extends Socket {
      constructor(url, protocols) {
        super(url, protocols);
        sockets.push(this);
        tried("socket", this);
      }
    },
    fetch: (there, how) => {
      const ask = new Ask(there, how);
      asks.push(ask);
      if (ask.path !== "say" && !ask.query.has("again")) tried(ask.path, ask);
      return ask.promise;
    },
    timers: clock,
    random: () => (typeof random === "function" ? random() : random),
    cursor: { load: () => null, save: (cursor) => saved.push(cursor) },
    ways: { load: () => kept, save: (way) => (kept = way) },
    ...options,
  });
  for (const type of ["status", "signed-out", "stopped", "state", "refused", "ahead"]) {
    live.addEventListener(type, ({ detail }) => events.push({ type, ...detail }));
  }
  const added = [];
  live.addEventListener("change", ({ detail }) => added.push(...detail.added.map(({ id }) => id)));
  live.start();
  await ripple();
  const welcome = { t: "welcome", conn: "c", epoch: "e", head: 0, unread: 0, hb: 15, backoff: { first: 5, cap: 30 }, resume: "reset" };
  const world = {
    live,
    clock,
    sockets,
    asks,
    attempts,
    events,
    saved,
    added,
    get kept() {
      return kept;
    },
    get socket() {
      return sockets.at(-1);
    },
    /** The newest request for this. */
    ask(path) {
      return asks.findLast((ask) => ask.path === path);
    },
    /** The newest attempt comes to nothing: no handshake, no answer. */
    async fail() {
      const last = attempts.at(-1);
      if (last.way === "socket") last.end(1006);
      else last.fail();
      await ripple();
    },
    /** How long until the next attempt; null when there is none within two minutes. */
    async back() {
      const [gone, made] = [clock.time, attempts.length];
      await clock.pass(120_000, () => attempts.length > made);
      return attempts.length > made ? clock.time - gone : null;
    },
    greeting(head = 0, more = {}) {
      const reset = { t: "snap", seq: head, unread: 0, items: [], more: false };
      const fill = { t: "fill", from: live.inbox.cursor?.seq, to: head, unread: 0, items: [] };
      const resumes = live.inbox.cursor?.epoch === "e";
      return [{ ...welcome, head, resume: resumes ? "ok" : "reset", ...more }, resumes ? fill : reset];
    },
    /** The newest socket opens, is welcomed, and stands at this number. */
    join(head = 0, more = {}) {
      world.socket.open();
      world.socket.say(...world.greeting(head, more));
    },
    /** The newest request for a stream or a poll is answered with a welcome. */
    async greet(head = 0, more = {}) {
      const ask = attempts.at(-1);
      if (ask.way === "events") {
        ask.stream();
        ask.say(...world.greeting(head, more));
      } else ask.reply(world.greeting(head, more));
      await ripple();
    },
    beat(n = 1) {
      return { t: "hb", n, head: live.inbox.cursor?.seq ?? 0, unread: 0, topics: {} };
    },
  };
  return world;
}
