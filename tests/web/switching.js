/**
 * `Live` on random networks: ways that open and close every few seconds, frames that are lost on them, a hub that is
 * away, busy or about to restart, a machine that sleeps. In the end nothing is missing and nothing was told twice.
 */
import { Live } from "/assets/js/live.js";
import { Ask, Clock, Socket, ripple } from "/tests/clockwork.js";
import { Server, must, random, same } from "/tests/model.js";

const WAYS = ["socket", "events", "poll"];
const BLOCKS = { socket: ["refused", "hangs", "silent", "dies"], events: ["refused", "missing", "buffered"], poll: ["refused", "missing"] };
const BEAT_MS = 15_000;
const WAIT_MS = 25_000;

/** What the hub writes to: in order, after a while, and not always. */
class Wire {
  last = 0;
  open = true;

  constructor(net, write, end) {
    Object.assign(this, { net, write, end });
    net.wires.add(this);
  }

  push(frame, sure = false) {
    const { net } = this;
    const times = sure || net.random() >= net.bad ? 1 : net.below(2) * 2;
    for (let n = 0; n < times; n += 1) this.later(() => this.write(frame));
  }

  cut(code) {
    this.net.wires.delete(this);
    this.later(() => {
      this.open = false;
      this.end(code);
    });
  }

  close() {
    this.open = false;
    this.net.wires.delete(this);
  }

  later(run) {
    this.last = Math.max(this.last, this.net.clock.time + this.net.latency());
    this.net.clock.setTimeout(() => this.open && run(), this.last - this.net.clock.time);
  }
}

class Net {
  wires = new Set();
  doors = { socket: "open", events: "open", poll: "open" };
  away = false;
  busy = null;
  bad = 0.1;
  attempts = 0;

  constructor(seed) {
    this.random = random(seed);
    this.clock = new Clock();
    this.server = new Server({ mostMissed: Infinity, snapshot: Infinity });
    const beat = () => {
      for (const wire of [...this.wires]) wire.push(this.beat());
      this.clock.setTimeout(beat, BEAT_MS);
    };
    beat();
  }

  below(n) {
    return Math.floor(this.random() * n);
  }

  latency() {
    return 5 + this.below(150);
  }

  after(run) {
    this.clock.setTimeout(run, this.latency());
  }

  beat() {
    return { ...this.server.beat(), n: 1, topics: {} };
  }

  tell(frame) {
    if (frame) for (const wire of [...this.wires]) wire.push(frame);
  }

  cut(code) {
    for (const wire of [...this.wires]) wire.cut(code);
  }

  hello(cursor) {
    const [welcome, rest] = this.server.hello(cursor);
    return [{ ...welcome, hb: 15, backoff: { first: 5, cap: 30 } }, rest];
  }

  /** @returns {object[]} answers to what a client says */
  heard(frame) {
    const { server } = this;
    const answers = [];
    if (frame.t === "fill") answers.push(server.fill(frame.from));
    if (frame.t === "recv") must(Number.isInteger(frame.seq) && frame.held_ms >= 0 && frame.held_ms <= 60_000, "a receipt", frame);
    if (frame.t === "read") this.tell(server.change(frame.ids.filter((id) => server.rows.has(id)), { read_at: `read ${server.seq}` }));
    if (frame.nonce) answers.push({ t: "ok", nonce: frame.nonce });
    return answers;
  }

  // --- the three ways ---------------------------------------------------------------------------

  sockets() {
    const net = this;
    return class extends Socket {
      constructor(url, protocols) {
        super(url, protocols);
        net.attempts += 1;
        const door = net.away || net.busy !== null ? "refused" : net.doors.socket;
        this.silent = door === "silent";
        if (door === "refused") net.after(() => this.end(1006));
        if (door === "dies") net.after(() => (this.open(), net.after(() => this.end(1006))));
        if (door === "open" || door === "silent") net.after(() => this.readyState === 0 && this.open());
      }

      send(text) {
        const frame = JSON.parse(text);
        net.after(() => {
          if (this.readyState !== 1 || this.silent) return;
          if (frame.t === "hello") {
            this.wire = new Wire(net, (said) => this.say(said), (code) => this.end(code));
            for (const said of net.hello(frame.cursor)) this.wire.push(said, true);
          } else for (const said of net.heard(frame)) this.wire?.push(said);
        });
      }

      close(code) {
        super.close(code);
        this.wire?.close();
      }
    };
  }

  fetch = (there, how) => {
    const ask = new Ask(there, how);
    if (ask.path !== "say" && !ask.query.has("again")) this.attempts += 1;
    this.after(() => ask.signal.aborted || this.answer(ask));
    return ask.promise;
  };

  answer(ask) {
    const door = ask.path === "say" ? "open" : this.doors[ask.path];
    if (this.away || door === "refused") ask.fail();
    else if (this.busy !== null) ask.reply({}, { status: 503, "Retry-After": String(this.busy) });
    else if (door === "missing") ask.reply({}, { status: 404 });
    else if (door === "buffered") ask.stream();
    else this[ask.path](ask);
  }

  place({ query }) {
    return query.has("seq") ? { epoch: query.get("epoch"), seq: Number(query.get("seq")) } : null;
  }

  events(ask) {
    ask.stream();
    const end = (code) => {
      if (this.random() < 0.5) ask.say({ t: "bye", code, reason: "" });
      ask.end();
    };
    const wire = new Wire(this, (said) => ask.say(said), end);
    ask.signal.addEventListener("abort", () => wire.close());
    for (const said of this.hello(this.place(ask))) wire.push(said, true);
  }

  poll(ask) {
    const cursor = this.place(ask);
    if (!ask.query.has("again") || cursor.epoch !== this.server.epoch) return ask.reply(this.hello(cursor));
    if (cursor.seq < this.server.seq) return ask.reply([this.server.fill(cursor.seq)]);
    const news = [];
    const reply = () => {
      wire.close();
      ask.reply(news);
    };
    const write = (frame) => news.push(frame) === 1 && this.after(reply);
    const wire = new Wire(this, write, (code) => ask.reply([...news, { t: "bye", code, reason: "" }]));
    ask.signal.addEventListener("abort", () => wire.close());
    this.clock.setTimeout(() => wire.open && write(this.beat()), WAIT_MS);
    return undefined;
  }

  say(ask) {
    const answers = ask.frames.flatMap((frame) => this.heard(frame));
    this.after(() => (this.random() < this.bad ? ask.fail() : ask.reply(answers)));
  }
}

class Trial {
  constructor(seed) {
    const net = new Net(seed);
    this.net = net;
    this.told = [];
    this.certain = new Set();
    this.tried = { switches: 0, cuts: 0, outages: 0, sleeps: 0, ahead: 0, attempts: 0, socket: 0, events: 0, poll: 0 };
    const { clock } = net;
    let kept = null;
    const ways = { load: () => kept, save: (way) => (kept = way) };
    const tools = { WebSocket: net.sockets(), fetch: net.fetch, timers: clock, random: () => net.random() };
    this.live = new Live({ url: "https://hub.example/live", ways, ...tools });
    this.live.addEventListener("change", ({ detail }) => this.told.push(...detail.added.map(({ id }) => id)));
    this.live.start();
  }

  create() {
    const { server } = this.net;
    const frame = server.create();
    const [{ id }] = frame.items;
    if (this.live.inbox.cursor !== null) this.certain.add(id);
    if (this.net.random() < 0.3) {
      this.net.tell(server.hurry());
      this.tried.ahead += 1;
    }
    this.net.tell(frame);
  }

  read() {
    const { net, live } = this;
    const ids = [...net.server.rows.keys()].filter(() => net.random() < 0.2);
    for (const id of ids) this.certain.delete(id); // it may be read before it is seen
    if (net.random() < 0.5) live.read(ids);
    else net.tell(net.server.change(ids, { read_at: `read ${net.server.seq}` }));
  }

  /** One way is open, and no other. */
  only(way) {
    const { net } = this;
    for (const other of WAYS) net.doors[other] = other === way ? "open" : BLOCKS[other][net.below(BLOCKS[other].length)];
    net.cut([1001, 1012, 4200, 4201][net.below(4)]);
    this.tried.switches += 1;
  }

  async step() {
    const { net } = this;
    const chance = net.below(100);
    if (chance < 40) this.create();
    else if (chance < 50) this.read();
    else if (chance < 70) this.only(WAYS[net.below(3)]);
    else if (chance < 76) {
      net.cut(1012);
      this.tried.cuts += 1;
    } else if (chance < 82) {
      net.away = !net.away;
      if (net.away) net.cut(1012);
      this.tried.outages += 1;
    } else if (chance < 86) net.busy = net.busy === null ? 1 + net.below(10) : null;
    else if (chance < 90) net.tell({ t: "drain", after_ms: net.below(3_000) });
    else if (chance < 94) this.live.wake(net.random() < 0.5);
    else if (chance < 97) {
      net.clock.sleep(net.below(600_000));
      this.tried.sleeps += 1;
    } else net.tell({ t: "resync" });
    await net.clock.pass(net.below(chance % 2 ? 8_000 : 300));
    if (this.live.status.state === "live") this.tried[this.live.way] += 1;
  }

  async settle() {
    const { net, live } = this;
    Object.assign(net, { away: false, busy: null, bad: 0, doors: { socket: "open", events: "open", poll: "open" } });
    await net.clock.pass(120_000);
    const { server } = net;
    must(live.status.state === "live", "not live", live.status);
    must(live.inbox.cursor.seq === server.seq, "another cursor", live.inbox.cursor);
    must(live.inbox.unread === server.unread, "another number of unread", [live.inbox.unread, server.unread]);
    for (const row of live.inbox.rows) must(same(row, server.rows.get(row.id)), "a row out of date", row);
    must(live.unanswered.length === 0, "a mark without an answer", live.unanswered);
    must(new Set(this.told).size === this.told.length, "told twice", this.told);
    for (const id of this.certain) must(this.told.includes(id), "never told", id);
    await net.clock.pass(700_000);
    must(live.way === "socket", "down the ladder for good", live.way);
    this.tried.attempts = net.attempts;
    live.stop();
    await ripple();
  }
}

/**
 * @param {number} first @param {number} count @param {number} steps
 * @returns {Promise<{failure: string|null, tried: object}>} the first failure, with its seed
 */
export async function switches(first, count, steps) {
  const tried = {};
  for (let seed = first; seed < first + count; seed += 1) {
    const trial = new Trial(seed);
    try {
      for (let step = 0; step < steps; step += 1) await trial.step();
      await trial.settle();
    } catch (error) {
      return { failure: `seed ${seed}: ${error.message}`, tried };
    }
    for (const [what, times] of Object.entries(trial.tried)) tried[what] = (tried[what] ?? 0) + times;
  }
  return { failure: null, tried };
}
