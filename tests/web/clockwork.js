/**
 * `Live` with a clock and sockets of our own: hours pass at once, and every frame is seen.
 */
import { Live } from "/assets/js/live.js";

class Clock {
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
    while (!ended()) {
      const [next] = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!next) break;
      this.#timers.delete(next[0]);
      this.time = Math.max(this.time, next[1].at);
      next[1].run();
      await null;
      await null;
    }
    if (!ended()) this.time = end;
  }

  /** A machine asleep: the time is later, and no timer ran. */
  sleep(ms) {
    this.time += ms;
  }
}

/** A connection under full control. */
export async function clockwork({ random = 0.5, ...options } = {}) {
  const clock = new Clock();
  const sockets = [];
  class Socket {
    readyState = 0;
    sent = [];
    closed = null;

    constructor(url, protocols) {
      Object.assign(this, { url, protocols, at: clock.time });
      sockets.push(this);
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
  const events = [];
  const saved = [];
  const live = new Live({
    url: "ws://hub.example/live",
    WebSocket: Socket,
    timers: clock,
    random: () => (typeof random === "function" ? random() : random),
    cursor: { load: () => null, save: (cursor) => saved.push(cursor) },
    ...options,
  });
  for (const type of ["status", "signed-out", "stopped", "state", "refused"]) {
    live.addEventListener(type, ({ detail }) => events.push({ type, ...detail }));
  }
  live.start();
  await null;
  await null;
  const welcome = { t: "welcome", conn: "c", epoch: "e", head: 0, unread: 0, hb: 15, backoff: { first: 5, cap: 30 }, resume: "reset" };
  const world = {
    live,
    clock,
    sockets,
    events,
    saved,
    get socket() {
      return sockets.at(-1);
    },
    /** How long until the next attempt; null when there is none within two minutes. */
    async back() {
      const [gone, made] = [clock.time, sockets.length];
      await clock.pass(120_000, () => sockets.length > made);
      return sockets.length > made ? clock.time - gone : null;
    },
    /** The newest socket opens, is welcomed, and stands at this number. */
    join(head = 0, more = {}) {
      world.socket.open();
      const reset = { t: "snap", seq: head, unread: 0, items: [], more: false };
      const fill = { t: "fill", from: live.inbox.cursor?.seq, to: head, unread: 0, items: [] };
      const resumes = live.inbox.cursor?.epoch === "e";
      world.socket.say({ ...welcome, head, resume: resumes ? "ok" : "reset", ...more }, resumes ? fill : reset);
    },
  };
  return world;
}
