/**
 * Random inboxes, random bad luck on the way, and what must hold at every step.
 *
 * The reference keeps every version of every row; the inbox under test only ever sees frames.
 */
import { Inbox } from "/assets/js/inbox.js";

const MOST_MISSED = 8;
const SNAPSHOT = 6;

/** A small generator of numbers, so that a failure can be run again. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Server {
  constructor({ mostMissed = MOST_MISSED, snapshot = SNAPSHOT } = {}) {
    Object.assign(this, { mostMissed, snapshot });
    this.epochs = 0;
    this.rows = new Map();
    this.seq = 0;
    this.number = 0;
    this.begin();
  }

  begin() {
    this.epochs += 1;
    this.epoch = `epoch ${this.epochs}`;
    this.versions = new Map([...this.rows].map(([id, row]) => [id, [row]]));
  }

  get unread() {
    return [...this.rows.values()].filter((row) => !row.read_at).length;
  }

  put(row) {
    this.rows.set(row.id, row);
    if (!this.versions.has(row.id)) this.versions.set(row.id, []);
    this.versions.get(row.id).push(row);
  }

  event(more) {
    return { t: "ev", seq: this.seq, prev: this.seq - 1, unread: this.unread, ...more };
  }

  create() {
    this.seq += 1;
    this.number += 1;
    const row = { id: `n${this.number}`, number: this.number, seq: this.seq, title: `${this.number}`, read_at: null, archived_at: null };
    this.put(row);
    return this.event({ items: [row] });
  }

  change(ids, change) {
    const rows = ids.map((id) => this.rows.get(id)).filter((row) => Object.keys(change).some((key) => !row[key] !== !change[key]));
    if (rows.length === 0) return null;
    this.seq += 1;
    const items = rows.map((row) => ({ ...row, ...change, seq: this.seq, swept: false }));
    items.forEach((row) => this.put(row));
    return this.event({ items });
  }

  readAll(upto) {
    const rows = [...this.rows.values()].filter((row) => !row.read_at && row.seq <= upto);
    if (rows.length === 0) return null;
    this.seq += 1;
    const at = `read at ${this.seq}`;
    rows.forEach((row) => this.put({ ...row, read_at: at, seq: this.seq, swept: true }));
    return this.event({ read_upto: upto, at });
  }

  snap() {
    const items = [...this.rows.values()].filter((row) => !row.archived_at).sort((a, b) => b.number - a.number);
    return { t: "snap", seq: this.seq, unread: this.unread, items: items.slice(0, this.snapshot), more: items.length > this.snapshot };
  }

  fill(from) {
    const items = [...this.rows.values()].filter((row) => row.seq > from);
    if (items.length > this.mostMissed) return this.snap();
    return { t: "fill", from, to: this.seq, unread: this.unread, items };
  }

  hello(cursor) {
    const resumes = cursor !== null && cursor.epoch === this.epoch && cursor.seq <= this.seq;
    const answer = resumes ? this.fill(cursor.seq) : this.snap();
    const resume = answer.t === "fill" ? "ok" : "reset";
    return [{ t: "welcome", epoch: this.epoch, head: this.seq, unread: this.unread, resume }, answer];
  }

  /** The newest row, before its turn. */
  hurry() {
    return { t: "ahead", items: [[...this.rows.values()].at(-1)] };
  }

  beat() {
    return { t: "hb", head: this.seq, unread: this.unread };
  }

  /** Every row as it was at this number. */
  asOf(seq) {
    return [...this.versions.values()].map((all) => all.findLast((row) => row.seq <= seq)).filter(Boolean);
  }

  /** Whether somebody who listened from `since` to `seq` was told this row itself, not only "all up to here is read". */
  told(id, since, seq) {
    return this.versions.get(id).some((row) => row.seq > since && row.seq <= seq && !row.swept);
  }
}

export function same(a, b) {
  return ["id", "number", "seq", "title", "read_at", "archived_at"].every((key) => a[key] === b[key]);
}

export function must(holds, what, about) {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(about)}`);
}

class Trial {
  constructor(seed) {
    this.random = random(seed);
    this.server = new Server();
    this.wire = [];
    this.pages = [];
    this.saved = null;
    this.announced = new Set();
    this.tried = { fills: 0, snaps: 0, lost: 0, doubled: 0, reordered: 0, ahead: 0 };
    for (let n = this.below(12); n > 0; n -= 1) this.server.create();
    this.reload();
  }

  below(n) {
    return Math.floor(this.random() * n);
  }

  some() {
    return [...this.server.rows.keys()].filter(() => this.random() < 0.25);
  }

  act(effects) {
    if (effects.reset) {
      this.since = this.inbox.cursor.seq;
      this.newest = new Map();
      this.tried.snaps += 1;
    }
    for (const { id } of effects.added) {
      must(!this.announced.has(id), "announced twice", id);
      this.announced.add(id);
    }
    if (effects.moved) this.saved = this.inbox.cursor ?? this.saved;
    if (effects.ask === null) return;
    this.tried.fills += 1;
    if (this.random() < 0.8) this.wire.push(this.server.fill(effects.ask));
  }

  connect() {
    this.wire = this.server.hello(this.inbox.cursor);
    this.deliver(0); // nothing overtakes the welcome
  }

  /** A new page: nothing but the cursor is left. */
  reload() {
    this.inbox = new Inbox(this.saved);
    this.since = this.saved?.seq ?? 0;
    this.newest = new Map();
    this.pages = [];
    // What the old page told ahead of its place, the new one knows nothing of.
    for (const id of this.announced) if (this.server.rows.get(id)?.number > (this.saved?.top ?? 0)) this.announced.delete(id);
    this.connect();
  }

  deliver(at) {
    const [frame] = this.wire.splice(at, 1);
    if (frame?.t === "ahead") this.hear(frame);
    else if (frame) this.act(this.inbox.apply(frame));
  }

  /** Told at once, or known already; and nothing else is any different. */
  hear(frame) {
    const seen = ({ cursor, rows, unread, waiting }) => JSON.stringify([cursor, rows, unread, waiting]);
    const before = seen(this.inbox);
    const effects = this.inbox.apply(frame);
    must(seen(this.inbox) === before && !effects.moved && effects.ask === null, "moved by what came ahead", frame);
    this.act(effects);
    const [{ id, number }] = frame.items;
    must(this.announced.has(id) || number <= (this.inbox.cursor?.top ?? 0), "not told at once", id);
    this.tried.ahead += 1;
  }

  push(frame) {
    if (frame) this.wire.push(frame);
  }

  step() {
    const { server, wire } = this;
    const chance = this.below(100);
    if (chance < 14) this.push(server.create());
    else if (chance < 18) this.critical();
    else if (chance < 24) this.push(server.change(this.some(), { read_at: `read ${server.seq}` }));
    else if (chance < 28) this.push(server.change(this.some(), { read_at: null, archived_at: null }));
    else if (chance < 32) this.push(server.change(this.some(), { read_at: `read ${server.seq}`, archived_at: `archived ${server.seq}` }));
    else if (chance < 37) this.push(server.readAll(this.below(server.seq + 1)));
    else if (chance < 42) this.push(server.beat());
    else if (chance < 48 && wire.length > 0) this.lose();
    else if (chance < 53 && wire.length > 0) this.double();
    else if (chance < 60 && wire.length > 1) this.overtake();
    else if (chance < 63) this.connect();
    else if (chance < 65) this.reload();
    else if (chance < 66) this.restore();
    else if (chance < 69) this.pages.push(this.page());
    else if (chance < 73) this.merge();
    else if (chance < 75) this.act(this.inbox.overdue());
    else if (chance < 76) this.push({ t: "resync" });
    else if (chance < 78) this.push(server.fill(this.below(server.seq + 1))); // an answer to nobody
    else this.deliver(0);
    this.check();
  }

  /** Its turn comes at the end of the queue; its news does not wait. */
  critical() {
    this.push(this.server.create());
    this.wire.splice(this.below(this.wire.length), 0, this.server.hurry());
  }

  lose() {
    this.wire.splice(this.below(this.wire.length), 1);
    this.tried.lost += 1;
  }

  double() {
    const frame = this.wire[this.below(this.wire.length)];
    this.wire.splice(this.below(this.wire.length + 1), 0, frame);
    this.tried.doubled += 1;
  }

  overtake() {
    this.deliver(1 + this.below(this.wire.length - 1));
    this.tried.reordered += 1;
  }

  page() {
    const { rows, seq, unread } = this.server;
    return { items: [...rows.values()].filter(() => this.random() < 0.7), seq, unread };
  }

  merge() {
    const [page] = this.pages.splice(this.below(this.pages.length), 1);
    if (!page) return;
    const effects = this.inbox.merge(page.items, page.seq, page.unread);
    if (effects !== null) this.act(effects);
  }

  /** The server comes back from a backup: less is known, under a new epoch. */
  restore() {
    const { server } = this;
    const seq = this.below(server.seq + 1);
    server.rows = new Map(server.asOf(seq).map((row) => [row.id, row]));
    server.number = Math.max(0, ...[...server.rows.values()].map(({ number }) => number));
    server.seq = seq;
    server.begin();
    this.announced.clear();
    this.pages = [];
    this.connect();
  }

  check() {
    const { inbox, server } = this;
    for (const row of inbox.rows) {
      must(row.seq >= (this.newest.get(row.id) ?? 0), "a row went back", row);
      this.newest.set(row.id, row.seq);
      if (inbox.cursor?.epoch !== server.epoch) continue;
      const real = server.versions.get(row.id)?.some((version) => same(version, row));
      must(real, "a row that never was", row);
    }
    if (inbox.cursor === null) return;
    must(inbox.cursor.seq <= server.seq, "cursor ahead of the head", inbox.cursor);
    const { seq } = inbox.cursor;
    for (const row of server.asOf(seq)) {
      const held = inbox.row(row.id);
      if (held) must(held.seq >= row.seq, "the cursor passed over a change", [held, row]);
      else must(!server.told(row.id, this.since, seq), "the cursor passed over a row", row);
    }
  }

  /** The luck turns: everything arrives from now on. In the end both sides agree. */
  settle() {
    const { server } = this;
    this.random = () => 0;
    while (this.wire.length > 0) this.deliver(0);
    for (let turn = 0; turn < 3; turn += 1) {
      this.push(server.beat());
      while (this.wire.length > 0) this.deliver(0);
      this.act(this.inbox.overdue());
    }
    while (this.wire.length > 0) this.deliver(0);
    while (this.pages.length > 0) this.merge();
    this.check();
    const { inbox } = this;
    must(!inbox.behind && !inbox.waiting, "still behind", inbox.cursor);
    must(inbox.cursor.seq === server.seq, "another cursor", inbox.cursor);
    must(inbox.unread === server.unread, "another number of unread", [inbox.unread, server.unread]);
    for (const row of inbox.rows) must(same(row, server.rows.get(row.id)), "a row out of date", row);
  }
}

/**
 * @param {number} first @param {number} count @param {number} steps
 * @returns {{failure: string|null, tried: object}} the first failure, with its seed
 */
export function trials(first, count, steps) {
  const tried = {};
  for (let seed = first; seed < first + count; seed += 1) {
    const trial = new Trial(seed);
    try {
      for (let step = 0; step < steps; step += 1) trial.step();
      trial.settle();
    } catch (error) {
      return { failure: `seed ${seed}: ${error.message}`, tried };
    }
    for (const [what, times] of Object.entries(trial.tried)) tried[what] = (tried[what] ?? 0) + times;
  }
  return { failure: null, tried };
}
